"""The `Store` in SQLite: in memory, or in a file that several processes may share.

In memory, and as long as nobody asks for anything asynchronously, work runs where it is asked for.
From then on a file has two threads: the *writer*, which keeps the order, and a *reader* for reads
that need none (`sqlite_line`). The event loop never waits for the disk.

What a request was answered is on disk when it is answered: a killed process loses nothing. A power
cut loses nothing either, unless the store was made with `durable=False`: then the fsync is left out
(`synchronous = NORMAL`), and the commits of the last moments may be gone after it; the database
stays sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Final

from .in_memory import MemoryBuckets, MemoryTokens
from .pieces import Home, MustWriteError, Piece
from .schema import bring_up_to_date
from .sqlite_line import Line, Reader, SQLiteConnection, Writer
from .store import Ability, N, T, U, Work, as_it_is

PATIENCE: Final = 15.0
"""How many seconds work waits while another program holds the write lock."""
_SLICE: Final = 0.1
"""Seconds of it after which the writer looks whether there is something to read meanwhile."""
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)
"""What SQLite answers when the disk or another process is at fault, and no statement of ours."""


class SQLiteStore:
    """A database at `path`, a file or `":memory:"`; a new file is made with mode 0600.

    `durable`: a power cut loses nothing that was answered. Off, each commit is much cheaper, and
    the last ones before a power cut may be lost; a killed process loses nothing either way.
    `patience` is how many seconds a request waits while another program holds the write lock.

    Raises sqlite3.Error or OSError for a file that cannot be used, InvalidInputError for one of a
    newer version.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, durable: bool = True, patience: float = PATIENCE
    ) -> None:
        self._path = os.fspath(path)
        self._in_memory = self._path == ":memory:"
        self._patience = patience
        self._home = Home()
        _make_private(self._path)
        self._db = _opened(self._path, durable=durable)
        self._line = Line(self._db, None if self._in_memory else f"{self._path}-wal")
        self._writer: Writer | None = None
        self._reader: Reader | None = None

    def follow(self, news: Work[N | None], tell: Callable[[N], None]) -> None:
        """Reads `news` after each commit and before each read in order, and tells them."""
        self._line.news, self._line.tell_news = news, tell

    def write_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that writes, and waits for its commit."""
        return self._now(work, then, writes=True)

    def read_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that reads, in order, and waits for it."""
        return self._now(work, then, writes=False)

    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that writes; returns once it is committed."""
        return await self._later(work, then, writes=True)

    async def read_in_order(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that reads, between what was told before it and what is told after it."""
        return await self._later(work, then, writes=False)

    async def read(self, work: Work[T]) -> T:
        """Runs work that reads, beside whatever is being written."""
        self._home.check()
        if self._in_memory:
            return self.read_now(work, as_it_is)
        if self._reader is None:
            self._reader = Reader(self._path, self._patience)
        try:
            return await self._reader.read(work)
        except MustWriteError:
            return await self.write(work, as_it_is)

    def trouble(self, error: Exception, asked: Ability) -> Ability | None:
        """What was asked for, if SQLite says that the disk or another process is at fault."""
        code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        passes = isinstance(error, sqlite3.Error) and code & 0xFF in _PASSING
        return asked if passes else None

    @property
    def looks(self) -> float:
        """Nobody tells of what other processes write: it is looked for often."""
        return 0.1

    @property
    def is_deaf(self) -> bool:
        """No other gateway serves a file."""
        return False

    def realtime_tokens(self, lifetime: float) -> MemoryTokens:
        """Tokens in memory: one process serves a file."""
        return MemoryTokens(lifetime, time.monotonic)

    def buckets(self, name: str, per_minute: float) -> MemoryBuckets:
        """Buckets in memory: one process serves a file."""
        return MemoryBuckets(per_minute, time.monotonic)

    def close(self) -> None:
        """Ends what is under way, then closes; a second call does nothing."""
        if self._home.is_closed:
            return
        self._home.is_closed = True
        for thread in (self._reader, self._writer):
            if thread is not None:
                thread.end()
        self._db.close()

    def _now(self, work: Work[T], then: Callable[[T], U], *, writes: bool) -> U:
        self._home.check()
        until = time.monotonic() + self._patience
        if self._writer is None:
            piece = Piece(work, then, writes, until, None, None)
            waiting = [piece]
            while waiting:
                told, waiting = self._line.run(waiting)
                for tell in told:
                    tell()
        else:
            piece = Piece(work, then, writes, until, None, threading.Event())
            self._writer.put(piece)
            assert piece.done is not None
            piece.done.wait()
            self._writer.told.tell_all()
        if piece.error is not None:
            raise piece.error
        answer: U = piece.answer
        return answer

    async def _later(self, work: Work[T], then: Callable[[T], U], *, writes: bool) -> U:
        self._home.check()
        if self._in_memory:
            return self._now(work, then, writes=writes)
        if self._writer is None:
            self._writer = Writer(self._line, os.path.basename(self._path))
        future: asyncio.Future[U] = asyncio.get_running_loop().create_future()
        until = time.monotonic() + self._patience
        self._writer.put(Piece(work, then, writes, until, future, None))
        return await future


def _opened(path: str, *, durable: bool) -> SQLiteConnection:
    db = sqlite3.connect(
        path,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
        factory=SQLiteConnection,
    )
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")  # what was forgotten is not left in free pages
        bring_up_to_date(db)  # first: another program's file is left as it is
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute(f"PRAGMA busy_timeout = {int(_SLICE * 1000)}")
    except BaseException:
        db.close()
        raise
    return db


def _make_private(path: str) -> None:
    """Makes a new database the owner's alone, whatever the umask; SQLite gives the files beside it
    the same mode.
    """
    if path == ":memory:":
        return
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
