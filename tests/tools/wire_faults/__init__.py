"""A proxy between a client and one upstream that knows HTTP/1.1 and WebSocket, and does to them
what a network does.

    async with FaultProxy("http://127.0.0.1:8000") as proxy:
        proxy.plan(Swallow("POST", "/sessions/identify"))
        ...  # the client goes to proxy.url
        assert [entry.path for entry in proxy.applied(Swallow)] == ["/widget/v1/sessions/identify"]
        proxy.heal()

The faults are told in `faults`, what the log holds in `log`, the switches in `proxy`.
"""

from .faults import (
    BlockUpgrade,
    CloseWith,
    Cut,
    CutFrame,
    Delay,
    DelayFrame,
    DropAfter,
    Duplicate,
    Fault,
    Garbage,
    GarbageFrame,
    LoseFrame,
    Refuse,
    RepeatFrame,
    Slow,
    SlowFrames,
    Stall,
    StallFrames,
    Status,
    Swallow,
)
from .log import Entry
from .plans import Plan
from .proxy import FaultProxy
from .seeds import random_faults

__all__ = [
    "BlockUpgrade",
    "CloseWith",
    "Cut",
    "CutFrame",
    "Delay",
    "DelayFrame",
    "DropAfter",
    "Duplicate",
    "Entry",
    "Fault",
    "FaultProxy",
    "Garbage",
    "GarbageFrame",
    "LoseFrame",
    "Plan",
    "Refuse",
    "RepeatFrame",
    "Slow",
    "SlowFrames",
    "Stall",
    "StallFrames",
    "Status",
    "Swallow",
    "random_faults",
]
