"""The thread that keeps the order: it says what was committed, reads the news, and reads in order.

Works are committed beside each other by the threads of a pool. What one has read is older than what
others commit before its `then` is called; so the news are read only up to the least position that
any work under way began with. A read in order is done in the transaction that has read the news, up
to the same position.

After it has told something, it gives the other gateways a hint: one for all that it told at once,
and outside of their transactions, since a commit with a notification in it keeps every other one of
the whole server waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import psycopg

from ..pieces import MustWriteError, Piece, Tell, Told
from ..store import Work
from .connection import Link, Transaction
from .links import Links

CHANNEL: Final = "support_chat"
"""Where hints are given."""
_READS_WITHIN: Final = 8.0
"""Seconds within which what is read in order has been read: links wait for it."""
_LOG: Final = logging.getLogger("support_chat.server")


class Order:
    """What has been done and what is to be read, on its way to the owner's thread. `write` takes a
    read that turned out to write; `name` is what this gateway's hints are signed with.
    """

    def __init__(self, links: Links, told: Told, name: str, write: Callable[[Piece], None]) -> None:
        self._links = links
        self._told = told
        self._name = name
        self._write = write
        self._changed = threading.Condition()
        self._done: list[Piece] = []
        self._reads: list[Piece] = []
        self._look = False
        self._over = False
        self._under_way: dict[int, int] = {}
        self._up_to = 0
        self._link: Link | None = None
        self.read_at = time.monotonic()
        """When the news were read last."""
        self.news: Work[Any] = lambda db: None
        self.tell_news: Callable[[Any], None] = lambda news: None
        self.thread = threading.Thread(target=self._work, name="postgres order", daemon=True)
        self.thread.start()

    def begun(self, piece: Piece, settled: int) -> int:
        """A work that writes has begun, when so much was settled; returns the position that it goes
        by.
        """
        with self._changed:
            position = self._under_way[id(piece)] = max(settled, self._up_to)
            return position

    def is_over(self, piece: Piece, *, tell: bool) -> None:
        """A work has ended; if nothing is to be told, it will begin again, or is not wanted."""
        with self._changed:
            self._under_way.pop(id(piece), None)
            if tell:
                self._done.append(piece)
                self._changed.notify()

    def read(self, piece: Piece) -> None:
        """Lines up a read in order."""
        with self._changed:
            self._reads.append(piece)
            self._changed.notify()

    def look(self) -> None:
        """There may be news."""
        with self._changed:
            self._look = True
            self._changed.notify()

    def end(self) -> None:
        """Ends the thread once nothing is left."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._done or self._reads or self._look or self._over):
                    self._changed.wait()
                if self._over and not (self._done or self._reads):
                    break
                reads, self._reads, self._look = self._reads, [], False
            self._pass(reads)
        self._drop_link()

    def _pass(self, reads: list[Piece]) -> None:
        """Tells what was done, and does these reads."""
        told = _Telling()
        failure: Exception | None = None
        for _ in range(2):  # a connection may have been lost long ago
            try:
                self._in_order(reads, told)
                while reads:
                    self._in_order(reads, told)
            except Exception as error:
                failure = error
                self._drop_link()
                if not isinstance(error, psycopg.Error):
                    _LOG.error("The news of a database could not be read.", exc_info=error)
                    break
            else:
                failure = None
                self.read_at = time.monotonic()
                break
        self._take_done(told)
        for piece in reads:
            piece.error = failure
            told.add(piece)
        self._told.put(told.tells, told.pieces)
        if any(piece.writes and piece.error is None for piece in told.pieces):
            self._give_hint()

    def _in_order(self, reads: list[Piece], told: _Telling) -> None:
        """Does as many reads as it can in one transaction, and takes them off the list."""
        link = self._link = self._link or self._links.open(durable=False)
        with link.limited(_READS_WITHIN):
            settled = link.begin_reading()
            db = Transaction(link.db, None, self._take_done(told, settled))
            while (news := self.news(db)) is not None:
                told.tells.append(partial(self.tell_news, news))
            while reads:
                piece = reads[0]
                try:
                    piece.run(db)
                except MustWriteError:
                    piece.writes = True
                    self._write(reads.pop(0))
                    continue
                except Exception as error:
                    if not link.is_open:
                        raise
                    piece.error = error
                told.add(reads.pop(0))
                if isinstance(piece.error, psycopg.Error):
                    break
            link.end("ROLLBACK")

    def _take_done(self, told: _Telling, settled: int = 0) -> int:
        """Takes over what was done, and says up to which position the news after it go."""
        with self._changed:
            done, self._done = self._done, []
            self._up_to = max(self._up_to, min([settled, *self._under_way.values()]))
        for piece in done:
            told.add(piece)
        return self._up_to

    def _give_hint(self) -> None:
        if self._link is None:
            return
        try:
            with self._link.limited(_READS_WITHIN):
                self._link.db.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._name))
        except psycopg.Error:  # the others look by themselves, a little later
            self._drop_link()

    def _drop_link(self) -> None:
        if self._link is not None:
            self._links.close(self._link)
            self._link = None


class _Telling:
    """What is to be told, in order, and who waits for it."""

    def __init__(self) -> None:
        self.tells: list[Tell] = []
        self.pieces: list[Piece] = []

    def add(self, piece: Piece) -> None:
        """Tells what came of a piece."""
        self.tells.append(piece.tell)
        self.pieces.append(piece)
