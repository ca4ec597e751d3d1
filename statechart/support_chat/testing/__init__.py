"""What the library's own tests use, shipped for yours; import it in tests only.

*Of an adapter that you write*, `check_storage`, `check_token_provider` and `check_transport` find
out whether it keeps its port, and name the clause that it breaks:

    check_storage(lambda: MyStorage(path))

*Of a frontend that you write*, `run(main())` runs a coroutine in virtual time; `RecordingStorage`,
`RecordingTransport` and `ScriptedTokens` stand in for the outside world, and answer what the test
says:

    transport.hold("open")                                        # the next dials wait...
    transport.waiting("open")[0].fail(NetworkError("No route."))  # ... until the test decides
    transport.link.emit(TokenExpired())                           # the backend speaks

`FaultyStorage`, `FaultyTransport` and `FaultyTokens` make any adapter misbehave by seed, and log
what they did; `support_chat.testing.strategies`, which needs hypothesis, makes up steps of a chart
and whole lives of a session.
"""

from .conformance.arrangement import Arrangement, FullArrangement
from .conformance.checks import (
    STORAGE_CLAUSES,
    TOKEN_CLAUSES,
    TRANSPORT_CLAUSES,
    check_storage,
    check_token_provider,
    check_transport,
)
from .conformance.storage.place import StoragePlace
from .conformance.suites import Clause, ConformanceError, Failure, Report
from .conformance.tokens.source import TokenSource
from .doubles.script import CallLog, Pending, PortCall, Script
from .doubles.storage import RecordingStorage
from .doubles.tokens import ScriptedTokens, unsigned_token
from .doubles.transport import RecordingTransport, ScriptedLink
from .faults.plans import Fault, FaultLog, Faults, Injected
from .faults.storage import FaultyStorage
from .faults.tokens import FaultyTokens
from .faults.transport import FaultyLink, FaultyTransport
from .virtual_loop import DeadlockError, VirtualLoop, Waiter, run

__all__ = [
    "STORAGE_CLAUSES",
    "TOKEN_CLAUSES",
    "TRANSPORT_CLAUSES",
    "Arrangement",
    "CallLog",
    "Clause",
    "ConformanceError",
    "DeadlockError",
    "Failure",
    "Fault",
    "FaultLog",
    "Faults",
    "FaultyLink",
    "FaultyStorage",
    "FaultyTokens",
    "FaultyTransport",
    "FullArrangement",
    "Injected",
    "Pending",
    "PortCall",
    "RecordingStorage",
    "RecordingTransport",
    "Report",
    "Script",
    "ScriptedLink",
    "ScriptedTokens",
    "StoragePlace",
    "TokenSource",
    "VirtualLoop",
    "Waiter",
    "check_storage",
    "check_token_provider",
    "check_transport",
    "run",
    "unsigned_token",
]
