"""The engine: one pure value, the snapshot, and one pure function, `Engine.step`.

A shell gives it what happened (`inputs`) and does what it says (`commands`); nothing is left for
the shell to decide, and nothing here knows of asyncio, adapters or the clock. What the names of a
chart mean is data that the chart brings along (`support_chat.chart.model`).
"""

from .commands import (
    Arm,
    Bound,
    Cancel,
    Close,
    Command,
    Disarm,
    Emit,
    Keep,
    Perform,
    Request,
    Settle,
)
from .engine import Engine, Reaction
from .inputs import (
    AwaiterCame,
    AwaiterLeft,
    CallMade,
    Expired,
    Heard,
    Hinted,
    Input,
    LimitReachedError,
    Now,
    Outcome,
    OutOfTime,
)
from .moment import Moment
from .snapshot import Snapshot, Waiter

__all__ = [
    "Arm",
    "AwaiterCame",
    "AwaiterLeft",
    "Bound",
    "CallMade",
    "Cancel",
    "Close",
    "Command",
    "Disarm",
    "Emit",
    "Engine",
    "Expired",
    "Heard",
    "Hinted",
    "Input",
    "Keep",
    "LimitReachedError",
    "Moment",
    "Now",
    "OutOfTime",
    "Outcome",
    "Perform",
    "Reaction",
    "Request",
    "Settle",
    "Snapshot",
    "Waiter",
]
