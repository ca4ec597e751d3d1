"""The words that clauses are written in: what was seen is compared with what was promised, and what
cannot be tried is reported.

They do not use `assert`: a suite that is shipped must also find faults where Python runs with `-O`.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast

from ...errors import NetworkError
from ...ports import Link, LinkEvent, MessageArrived

_T = TypeVar("_T")
_Error = TypeVar("_Error", bound=Exception)
_Event = TypeVar("_Event", bound=LinkEvent)

_SHOWN: Final = 160
"""How many characters of a value are shown."""
PATIENCE: Final = 5.0
"""How long a clause waits for what must come, in seconds: a slow machine and a network are between.
"""
MOMENT: Final = 0.1
"""How long a clause waits to see that nothing comes, in seconds."""


class Unmet(AssertionError):
    """A clause does not hold; the message says what was seen. Raise it in a clause of your own."""


class NotApplicable(Exception):
    """A clause cannot be tried here; the message says why. Raise it in a clause of your own."""


class ArrangementFailed(Exception):
    """A control of the suite's own arrangement has failed, which says nothing of the adapter."""


def shown(value: object) -> str:
    """The `repr` of a value, short enough to be read."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def described(error: BaseException) -> str:
    """Kind and message of an error, and the line where it was raised."""
    text = str(error)
    name = type(error).__name__
    message = f"{name}: {text[:_SHOWN]}" if text else name
    return f"{message} ({where(error)})"


def where(error: BaseException) -> str:
    """The innermost line of an error's traceback that is not asyncio's own: `redis.py:42, in
    get`.
    """
    place, trace = "nowhere", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        path = code.co_filename.replace("\\", "/")
        if "/asyncio/" not in path:
            place = f"{path.rsplit('/', 1)[-1]}:{trace.tb_lineno}, in {code.co_name}"
        trace = trace.tb_next
    return place


def expect(seen: object, wanted: object, what: str) -> None:
    """Raises Unmet unless `what` came to exactly this: equal, and of the same type."""
    if seen != wanted or type(seen) is not type(wanted):
        raise Unmet(f"{what} came to {shown(seen)} instead of {shown(wanted)}")


def expect_that(holds: bool, otherwise: str) -> None:
    """Raises Unmet, saying what was seen `otherwise`, unless it `holds`."""
    if not holds:
        raise Unmet(otherwise)


async def raised(kind: type[_Error], asked: Awaitable[object], what: str) -> _Error:
    """The error of this kind that `what` raises; anything else, another error included, is
    Unmet.
    """
    try:
        answer = await asked
    except kind as error:
        return error
    except Exception as error:
        raise Unmet(f"{what} raised {described(error)} instead of {kind.__name__}") from error
    raise Unmet(f"{what} answered {shown(answer)} instead of raising {kind.__name__}")


async def until(holds: Callable[[], object], otherwise: str, patience: float = PATIENCE) -> None:
    """Waits until `holds()` (whose answer may be awaitable) is true; Unmet, saying what was seen
    `otherwise`, after `patience` s.
    """

    async def held() -> None:
        while not await resolved(holds()):  # noqa: ASYNC110  # nobody tells when it holds
            await asyncio.sleep(0.005)

    await in_time(held(), otherwise, patience)


async def in_time(asked: Awaitable[_T], otherwise: str, patience: float = PATIENCE) -> _T:
    """What is awaited; Unmet, saying what was seen `otherwise`, if it takes longer than `patience`
    s.
    """
    limit = asyncio.timeout(patience)
    try:
        async with limit:
            try:
                return await asked
            except asyncio.CancelledError as error:
                error.add_note(otherwise)  # the limit of the clause may be shorter than this wait
                raise
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Unmet(f"{otherwise} (waited {patience:g} s)") from error


async def resolved(answer: object) -> object:
    """An answer that may be awaitable, awaited if it is."""
    return await cast("Awaitable[object]", answer) if isinstance(answer, Awaitable) else answer


@asynccontextmanager
async def entered(made: Any) -> AsyncGenerator[Any, None]:
    """What a factory made: itself, or what it gives if it is an asynchronous context manager."""
    if hasattr(made, "__aenter__"):
        async with made as inside:
            yield inside
    else:
        yield made


class Reader:
    """Reads the events of one link as a session does, from the first to the end, with limits; each
    method raises `Unmet` when something else comes than what it waits for.

    The session's own messages, which not every backend echoes, are left out unless they are wanted.
    """

    def __init__(self, link: Link, *, own: bool = False) -> None:
        self._events: AsyncIterator[LinkEvent] = link.events()
        self._own = own

    async def next(self, kind: type[_Event], what: str) -> _Event:
        """The next event, which must be of this kind and come in time."""
        event = await self._next(f"{what} does not come")
        if event is None:
            raise Unmet(f"the events end where {what} should come")
        if not isinstance(event, kind):
            raise Unmet(f"{shown(event)} comes instead of {what}")
        return event

    async def texts(self, count: int) -> Sequence[str]:
        """The texts of the next messages."""
        return [
            (await self.next(MessageArrived, f"message {n + 1} of {count}")).message.text
            for n in range(count)
        ]

    async def ends(self) -> None:
        """The events end, or raise NetworkError, as those of a link that is over do; nothing comes
        before.
        """
        event = await self._next("the events do not end, though the link is over")
        expect_that(event is None, f"{shown(event)} comes on a link that is over")

    async def silent(self) -> None:
        """Nothing comes for a moment."""
        waiting = asyncio.ensure_future(self._next("nothing"))
        done, _ = await asyncio.wait({waiting}, timeout=MOMENT)
        waiting.cancel()
        await asyncio.wait({waiting})
        if done:
            raise Unmet(f"{shown(waiting.result())} comes, though nothing was sent")

    async def _next(self, otherwise: str) -> LinkEvent | None:
        """The next event, None at the end."""
        try:
            event = await in_time(anext(self._events), otherwise, PATIENCE)
            while isinstance(event, MessageArrived) and event.own and not self._own:
                event = await in_time(anext(self._events), otherwise, PATIENCE)
            return event
        except (StopAsyncIteration, NetworkError):
            return None
        except Unmet:
            raise
        except Exception as error:
            raise Unmet(f"the events end with {described(error)}, not with NetworkError") from error
