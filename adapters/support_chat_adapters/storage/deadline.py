"""Writes to a Redis server that can land no more once their call has ended.

What was sent cannot be called back: the network, or a server that stands still, may hold it until
long after whoever sent it has given up, or died. So each write carries a deadline in the server's
own time, past which its script refuses it; and its call ends only when it was answered, or past
that deadline.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import attrs

_T = TypeVar("_T")

IN_TIME: Final = """
local now = redis.call('TIME')
if now[1] * 1000000 + now[2] > tonumber(ARGV[1]) then return {'late'} end
"""
"""The beginning of a script: past the deadline, which is ARGV[1], it changes nothing and answers
`late`.
"""
_DRIFT: Final = 0.001
"""Of any time, how much the server's clock and ours may differ at its end: while they are corrected
they may run apart by twice 0.05 %.
"""


@attrs.frozen
class ServerTime:
    """What a server's clock showed (`micros`, since its epoch) a moment before `at` of our
    monotonic clock.
    """

    micros: int
    at: float

    def deadline(self, limit: float) -> Deadline:
        """The one in `limit` seconds from now."""
        now = time.monotonic()
        seconds = now - self.at + limit
        return Deadline(now + limit, self.micros + round(seconds * (1 - _DRIFT) * 1_000_000))


@attrs.frozen
class Deadline:
    """A moment after which the server refuses a write: `at` of our monotonic clock, and for the
    server, which must not be later, `micros` of its own.
    """

    at: float
    micros: int


async def ended(sending: Coroutine[Any, Any, _T], deadline: Deadline) -> _T | None:
    """What the sending of a write comes to, None if it was not answered by its deadline. Cancelled,
    or failed without an answer, it ends only once it can land no more.
    """
    sent = asyncio.ensure_future(sending)
    cancelled = await _deaf(sent, deadline.at)
    if not _is_answered(sent):
        cancelled += await _deaf(asyncio.get_running_loop().create_future(), deadline.at)
    if not sent.done():
        sent.cancel()
        await asyncio.wait({sent})
    if cancelled:
        raise cancelled[0]
    return None if sent.cancelled() else sent.result()


async def closed(closing: Coroutine[Any, Any, None]) -> None:
    """Closes something, all of it, also if it is cancelled meanwhile."""
    work = asyncio.ensure_future(closing)
    if cancelled := await _deaf(work, math.inf):
        raise cancelled[0]
    work.result()


async def _deaf(work: asyncio.Future[Any], until: float) -> list[asyncio.CancelledError]:
    """Waits until it is done, or a moment of our monotonic clock; returns the cancellations that
    came meanwhile.
    """
    cancelled = list[asyncio.CancelledError]()
    while not work.done() and (left := until - time.monotonic()) > 0:
        try:
            await asyncio.wait({work}, timeout=None if left == math.inf else left)
        except asyncio.CancelledError as error:
            cancelled.append(error)
    if work.done() and not work.cancelled():
        work.exception()  # looked at, as nobody may do who was cancelled
    return cancelled


def _is_answered(sent: asyncio.Future[Any]) -> bool:
    """Whether the server has answered, be it by an error, or nothing was sent to it."""
    from redis import exceptions as e

    if not sent.done() or sent.cancelled():
        return False
    error = sent.exception()
    refused = (e.AuthenticationError, e.AuthorizationError, e.BusyLoadingError)
    return isinstance(error, refused) or not isinstance(
        error, (e.ConnectionError, e.TimeoutError, OSError)
    )
