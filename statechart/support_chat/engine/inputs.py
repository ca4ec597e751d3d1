"""What a shell tells the engine: everything that can happen, and when it is.

An input is data. A log of inputs, each with its `Now`, replays to the same commands.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeAlias

import attrs

from .commands import Request

_DRAW: Final = 16
"""Bytes of one draw."""


@attrs.frozen(slots=False)
class Now:
    """The clocks and the randomness of one step.

    `at` is the time on the session's clock and `heard_at` when the open link last gave a sign of
    life on it (`at` without a link), both in seconds; `wall` is the time since the epoch in
    seconds. `entropy` are random bytes: everything random in the step is drawn from them, by label.
    """

    at: float
    heard_at: float = 0.0
    wall: float = 0.0
    entropy: bytes = attrs.field(default=b"", repr=False)

    def draw(self, label: str) -> bytes:
        """Sixteen bytes for one purpose; another label gives others, the same label the same."""
        return _drawn(self.entropy, label)

    def roll(self, label: str) -> float:
        """A number in [0, 1) for one purpose, drawn from the last eight bytes alone."""
        return int.from_bytes(_drawn(self.entropy[-8:], label)[:6], "big") / 2**48


def _drawn(entropy: bytes, label: str) -> bytes:
    return hashlib.blake2b(label.encode(), key=entropy, digest_size=_DRAW).digest()


class LimitReachedError(Exception):
    """The error of an outcome that did not come in time; `seconds` is the limit that was over."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@attrs.frozen(slots=False)
class CallMade:
    """A user calls: `call` is its number, never used before in this session."""

    call: int
    trigger: str
    arguments: Any = attrs.field(default=None, repr=False)


@attrs.frozen(slots=False)
class Outcome:
    """A request has ended with its `result`, or with the `error` that the adapter raised.

    Each `Perform` may be answered by several: one by its limit, and one that comes all the same.
    """

    request: Request
    result: Any = attrs.field(default=None, repr=False)
    error: BaseException | None = None


@attrs.frozen(slots=False)
class Heard:
    """A link, by its number, has yielded an event; None if it is lost, with the `error` if any."""

    link: int
    event: Any = None
    error: Exception | None = None


@attrs.frozen(slots=False)
class Expired:
    """A timer has run out."""

    timer: str


@attrs.frozen(slots=False)
class Hinted:
    """The platform, or the user, hints at something: an external trigger that is no call. `call` is
    the one that it is about, if it is about one.
    """

    trigger: str
    call: int | None = None


@attrs.frozen(slots=False)
class AwaiterLeft:
    """Nobody awaits this call any more: the last one who did was cancelled."""

    call: int


@attrs.frozen(slots=False)
class OutOfTime:
    """The time of this call is over, and it is not settled."""

    call: int


@attrs.frozen(slots=False)
class AwaiterCame:
    """Somebody awaits a call that everybody had left."""

    call: int


Input: TypeAlias = (
    CallMade | Outcome | Heard | Expired | Hinted | AwaiterLeft | AwaiterCame | OutOfTime
)
"""One thing that happens."""
