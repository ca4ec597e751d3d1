"""Reads the events of a link as a session does: one reader, from the first event to the end, with
limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from ...errors import NetworkError
from ...ports import Link, LinkEvent, MessageArrived
from .expecting import MOMENT, PATIENCE, Unmet, described, expect_that, in_time, shown

_Event = TypeVar("_Event", bound=LinkEvent)


class Reader:
    """Reads the events of one link; each method raises `Unmet` when something else comes than what
    it waits for.
    """

    def __init__(self, link: Link) -> None:
        self._events: AsyncIterator[LinkEvent] = link.events()

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
            return await in_time(anext(self._events), otherwise, PATIENCE)
        except (StopAsyncIteration, NetworkError):
            return None
        except Unmet:
            raise
        except Exception as error:
            raise Unmet(f"the events end with {described(error)}, not with NetworkError") from error
