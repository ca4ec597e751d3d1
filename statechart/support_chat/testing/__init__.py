"""What the library's own tests use, shipped for yours: a loop with virtual time, and doubles for the ports.

Import it in tests only. `run(main())` runs a coroutine in virtual time; `RecordingStorage`, `RecordingTransport` and
`ScriptedTokens` stand in for the outside world, share one `CallLog`, and answer what the test says:

    log = CallLog()
    storage, transport, tokens = RecordingStorage(log=log), RecordingTransport(log=log), ScriptedTokens(log=log)
    transport.hold("open")                              # the next dials wait...
    transport.waiting("open")[0].fail(NetworkError("No route.")) # ... until the test decides
    transport.link.emit(TokenExpired())                 # the backend speaks
"""

from .recording_storage import RecordingStorage
from .recording_transport import RecordingTransport
from .script import CallLog, Pending, PortCall, Script
from .scripted_link import ScriptedLink
from .scripted_tokens import ScriptedTokens, unsigned_token
from .virtual_loop import DeadlockError, VirtualLoop, Waiter, run

__all__ = [
    "CallLog",
    "DeadlockError",
    "Pending",
    "PortCall",
    "RecordingStorage",
    "RecordingTransport",
    "Script",
    "ScriptedLink",
    "ScriptedTokens",
    "VirtualLoop",
    "Waiter",
    "run",
    "unsigned_token",
]
