"""What is ready on a loop, when independent sources take turns by chance.

asyncio runs callbacks in the order in which they became ready. Of one producer's that is a promise,
and code may build on it; that another producer's come before or after is how it happened to be.
`Turns` keeps the first and draws the second: it stands where a loop keeps what is ready, and has a
queue for each *source*. What makes a callback ready, or sets a timer, is of the source that the
variable `SOURCE` names there; tasks inherit it, as they do every context variable:

    context = contextvars.copy_context()
    context.run(SOURCE.set, "tab 1")
    context.run(chat.boot)  # and all that follows from it is the source's
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

SOURCE: Final = ContextVar("support-chat source", default="")
"""The name of the source whose callbacks become ready here."""


class Turns:
    """The ready callbacks, each source's in its order; `choose` draws whose turn it is."""

    def __init__(self, choose: random.Random, ready: Iterable[asyncio.Handle] = ()) -> None:
        self._choose = choose
        self._queues: dict[str, deque[asyncio.Handle]] = {}
        for handle in ready:
            self.append(handle)

    def append(self, handle: asyncio.Handle) -> None:
        """It is ready, after all of its source."""
        set_by: str | None = None
        if isinstance(handle, asyncio.TimerHandle):
            set_by = getattr(handle.when(), "source", None)
        source = SOURCE.get() if set_by is None else set_by
        self._queues.setdefault(source, deque()).append(handle)

    def popleft(self) -> asyncio.Handle:
        """What runs next. Raises IndexError if nothing is ready."""
        if not self._queues:
            raise IndexError("Nothing is ready.")
        sources = list(self._queues)
        source = sources[0] if len(sources) == 1 else self._choose.choice(sources)
        queue = self._queues[source]
        handle = queue.popleft()
        if not queue:
            del self._queues[source]
        return handle

    def clear(self) -> None:
        """Nothing is ready any more."""
        self._queues.clear()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))
