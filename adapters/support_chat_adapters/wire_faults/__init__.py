"""A fault proxy for tests of network clients: it stands between a client and one upstream, knows
HTTP/1.1 and WebSocket, and does to them what bad networks do.

    async with FaultProxy("http://127.0.0.1:8000") as proxy:
        proxy.plan(Swallow("POST", "/sessions/identify"))
        ...  # the client goes to proxy.url
        assert [entry.path for entry in proxy.applied(Swallow)] == ["/widget/v1/sessions/identify"]
        proxy.heal()
"""

from .faults import (
    CloseWith,
    Cut,
    CutFrame,
    Duplicate,
    Fault,
    Garbage,
    Refuse,
    RepeatFrame,
    ReplaceFrame,
    Slow,
    SlowFrames,
    Stall,
    StallFrames,
    Status,
    Swallow,
)
from .log import Entry
from .plans import Plan, random_faults
from .proxy import FaultProxy

__all__ = [
    "CloseWith",
    "Cut",
    "CutFrame",
    "Duplicate",
    "Entry",
    "Fault",
    "FaultProxy",
    "Garbage",
    "Plan",
    "Refuse",
    "RepeatFrame",
    "ReplaceFrame",
    "Slow",
    "SlowFrames",
    "Stall",
    "StallFrames",
    "Status",
    "Swallow",
    "random_faults",
]
