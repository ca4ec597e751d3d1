"""The threads that do works beside each other, each on a connection of its own.

A work begins with the locks of all owners whom it concerns, taken in one order, so that what it
reads is no older than they are and nobody waits in a circle. Which ones it needs is known when it
asks for them: it is then begun again with these. Works of one owner in this process wait for each
other here, and keep no connection busy meanwhile.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from typing import Final

import attrs
import psycopg
from psycopg import errors

from ..pieces import MustWriteError, Piece, settle
from ..store import StoreBusyError
from .connection import Link, MustLockError, Transaction
from .links import Links
from .order import Order

_AGAIN: Final = (
    errors.DeadlockDetected,
    errors.ForeignKeyViolation,
    errors.IdleInTransactionSessionTimeout,
    errors.SerializationFailure,
    errors.UniqueViolation,
)
"""What works that run beside each other may do to each other, and what the server does to one that
stops in the middle: nothing of it was done, and it begins again.
"""
_TRIES: Final = 10
"""How often a work begins for such a reason, at the most."""
_LEAST_PATIENCE: Final = 0.1
"""Seconds for which a work waits for locks of others that has waited long for its turn."""


@attrs.frozen
class Job:
    """A piece for the pool."""

    piece: Piece
    in_order: bool
    """What came of it is told in its turn; else at once."""
    owners: frozenset[str] = frozenset()
    """Whose locks it needs, as far as is known."""
    tries: int = 0


class Pool:
    """So many threads; they begin when they are needed."""

    def __init__(self, links: Links, size: int, *, durable: bool) -> None:
        self._links = links
        self._size = size
        self._durable = durable
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._turns = _Turns()
        self.threads: list[threading.Thread] = []
        self.order: Order

    def put(self, job: Job) -> None:
        """Lines a job up. On the owner's thread, or on one that the pool has made."""
        self._queue.put(job)
        if len(self.threads) < self._size:
            name = f"postgres {len(self.threads) + 1}"
            self.threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self.threads[-1].start()

    def end(self) -> None:
        """Ends the threads once nothing is left."""
        for _ in self.threads:
            self._queue.put(None)

    def _work(self) -> None:
        worker = _Worker(self._links, self.order, durable=self._durable)
        while (job := self._queue.get()) is not None:
            again: Job | None = job
            while again is not None and self._turns.take(again):
                now, again = again, None
                try:
                    again = worker.do(now)
                finally:
                    for other in self._turns.give_back(now):
                        self._queue.put(other)
        worker.drop_link()


class _Turns:
    """Whose turn it is, among the works of one owner."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Job]] = {}

    def take(self, job: Job) -> bool:
        """Whether it is its turn; if not, it is given back by who has it."""
        with self._lock:
            taken = next((owner for owner in job.owners if owner in self._waiting), None)
            if taken is not None:
                self._waiting[taken].append(job)
                return False
            self._waiting.update((owner, deque()) for owner in job.owners)
            return True

    def give_back(self, job: Job) -> list[Job]:
        """Those who have waited for the turn of this one."""
        with self._lock:
            return [other for owner in job.owners for other in self._waiting.pop(owner)]


class _Worker:
    """What one thread has: its connection."""

    def __init__(self, links: Links, order: Order, *, durable: bool) -> None:
        self._links = links
        self._order = order
        self._durable = durable
        self._link: Link | None = None
        self._committing = False

    def do(self, job: Job) -> Job | None:
        """Does a job, and says what came of it; returns what has to be done instead."""
        piece, again = job.piece, None
        if not piece.is_wanted:
            return None
        self._committing = False
        try:
            is_done = self._run(job)
        except MustWriteError:
            piece.writes = True
            again = attrs.evolve(job, in_order=True)
        except MustLockError as missing:
            if job.tries < _TRIES:
                owners = job.owners | missing.owners
                again = attrs.evolve(job, owners=owners, tries=job.tries + 1)
            else:  # a work must come to the same owners again
                piece.error = missing
        except psycopg.Error as error:
            again = self._after(job, error)
        except Exception as error:
            piece.error = error
        else:
            if not is_done:
                self._order.is_over(piece, tell=False)
                return None
        self._roll_back()
        if job.in_order:
            self._order.is_over(piece, tell=again is None)
        elif again is None:
            _answer(piece)
        return again

    def _run(self, job: Job) -> bool:
        """Does it, and commits it unless nobody wants it any more."""
        piece = job.piece
        link = self._link = self._link or self._links.open(durable=self._durable)
        with link.limited():
            if not job.in_order:
                self._run_beside(link, piece)
                return True
            patience = max(_LEAST_PATIENCE, piece.until - time.monotonic())
            settled = self._order.begun(piece, link.begin(job.owners, patience))
            piece.run(Transaction(link.db, job.owners, settled))
            self._committing = piece.is_wanted
            link.end("COMMIT" if self._committing else "ROLLBACK")
            return self._committing

    def _run_beside(self, link: Link, piece: Piece) -> None:
        """Does what needs no order: a read, or one statement that is a transaction by itself."""
        if piece.writes:
            piece.run(Transaction(link.db, frozenset(), 0))
        else:
            piece.run(Transaction(link.db, None, link.begin_reading()))
            link.end("ROLLBACK")

    def _after(self, job: Job, error: psycopg.Error) -> Job | None:
        """What is to be done after an error of the database. A commit whose answer was lost may
        have been done, so nothing is done again then.
        """
        is_lost = self._link is not None and not self._link.is_open
        may_begin_again = isinstance(error, _AGAIN) or (is_lost and not self._committing)
        if may_begin_again and job.tries < _TRIES:
            return attrs.evolve(job, tries=job.tries + 1)
        is_busy = isinstance(error, errors.LockNotAvailable | errors.QueryCanceled)
        job.piece.error = _busy() if is_busy else error
        return None

    def _roll_back(self) -> None:
        if self._link is None:
            return
        try:
            if self._link.is_in_transaction:
                with self._link.limited():
                    self._link.end("ROLLBACK")
        except psycopg.Error:
            self.drop_link()
        else:
            if not self._link.is_open:
                self.drop_link()

    def drop_link(self) -> None:
        """Closes the connection."""
        if self._link is not None:
            self._links.close(self._link)
            self._link = None


def _answer(piece: Piece) -> None:
    if piece.future is not None:
        with contextlib.suppress(RuntimeError):  # the loop is over
            piece.future.get_loop().call_soon_threadsafe(
                settle, piece.future, piece.answer, piece.error
            )


def _busy() -> StoreBusyError:
    return StoreBusyError(
        "Another program keeps the database locked; nothing was done. Come back in a second.",
        retry_after=1.0,
        reason="busy",
    )
