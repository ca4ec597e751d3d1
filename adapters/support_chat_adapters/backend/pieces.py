"""Work on its way through a store's threads, and what is told of it on the owner's: the part that
every store with threads has.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import attrs

from support_chat.errors import StorageError, WrongThreadError

from .store import Transaction, Work

Tell: TypeAlias = Callable[[], None]
"""Says something on the owner's thread."""


class MustWriteError(Exception):
    """Work that was taken for a read wants a lock."""


@attrs.define(eq=False)
class Piece:
    """Work on its way: what is to be done, and what came of it."""

    work: Work[Any]
    then: Callable[[Any], Any]
    writes: bool
    until: float
    """When it has waited long enough for the lock, in `time.monotonic()`."""
    future: asyncio.Future[Any] | None
    """Who waits for it on the loop."""
    done: threading.Event | None
    """Who waits for it on a thread."""
    answer: Any = None
    error: BaseException | None = None

    @property
    def is_wanted(self) -> bool:
        """Nobody has given it up."""
        return self.future is None or not self.future.cancelled()

    def run(self, db: Transaction) -> None:
        """Does the work; raises what it raises."""
        self.answer = self.work(db)

    def tell(self) -> None:
        """Says on the owner's thread what came of it."""
        if self.error is None:
            try:
                self.answer = self.then(self.answer)
            except Exception as error:
                self.error = error
        if self.future is not None:
            settle(self.future, self.answer, self.error)


class Told:
    """What threads have to tell, in order, until the owner's thread comes for it."""

    def __init__(self) -> None:
        self._tells: deque[Tell] = deque()
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where it is told for which nobody waits."""

    def put(self, tells: Iterable[Tell], of: Sequence[Piece]) -> None:
        """Lines up what is to be told, and wakes those who wait for these pieces."""
        self._tells += tells
        loops = {piece.future.get_loop() for piece in of if piece.future is not None}
        if self._tells and self.loop is not None:
            loops.add(self.loop)
        for loop in loops:
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(self.tell_all)
        for piece in of:
            if piece.done is not None:
                piece.done.set()

    def tell_all(self) -> None:
        """On the owner's thread: tells all of it."""
        while self._tells:
            self._tells.popleft()()


class Home:
    """The thread and the process that a store belongs to, until it is closed."""

    def __init__(self) -> None:
        self._here = _here()
        self.is_closed = False

    def check(self) -> None:
        """Raises StorageError after the end, WrongThreadError anywhere else."""
        if self.is_closed:
            raise StorageError(
                "This Backend is closed; make a new one.", reason="closed", recoverable=False
            )
        if _here() != self._here:
            raise WrongThreadError(
                "This Backend belongs to the thread and the process that made it. Make one of your "
                "own here, on the same database, or run the session on that thread's event loop."
            )


def settle(future: asyncio.Future[Any], answer: Any, failure: BaseException | None) -> None:
    """Says to whoever awaits it what came of their work, unless they have gone."""
    if future.done():
        return
    if failure is None:
        future.set_result(answer)
    else:
        future.set_exception(failure)


def _here() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()
