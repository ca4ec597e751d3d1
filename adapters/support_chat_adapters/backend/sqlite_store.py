"""The `Store` in SQLite: in memory, or in a file that several processes may share.

In memory, and as long as nobody asks for anything asynchronously, work runs where it is asked for.
From then on a file has two threads: the *writer*, which keeps the order, and a *reader* for reads
that need none. The event loop never waits for the disk.

The writer takes whatever is queued and commits it at once, so that many requests share one fsync;
each is in a savepoint of its own, and one that fails undoes itself alone. Reads in order are done
between two commits, without the write lock. While another program holds that lock, reads go on, and
what waits to be written is refused, one by one, when it has waited long enough.

What a request was answered is on disk when it is answered: a killed process loses nothing. A power
cut loses nothing either, unless the store was made with `durable=False`: then the fsync is left out
(`synchronous = NORMAL`), and the commits of the last moments may be gone after it; the database
stays sound.

The write-ahead log grows while somebody reads an old state, and is written from its beginning again
only when nobody reads it. So that it cannot grow for ever, it is emptied in a gap between two
commits once it is long; if that fails for long, the log says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from support_chat.errors import StorageError, WrongThreadError

from .schema import bring_up_to_date
from .store import N, StoreBusyError, T, U, Work, as_it_is

_Tell: TypeAlias = Callable[[], None]

PATIENCE: Final = 15.0
"""How many seconds work waits while another program holds the write lock."""
_SLICE: Final = 0.1
"""Seconds of it after which the writer looks whether there is something to read meanwhile."""
_AT_ONCE: Final = 500
"""How many requests one commit may hold."""
_LONG_LOG: Final = 8 * 2**20
"""Bytes of the write-ahead log above which it is emptied in the next gap."""
_TOO_LONG_LOG: Final = 64 * 2**20
"""Bytes of it above which something is wrong, and said."""
_LOG: Final = logging.getLogger("support_chat.server")


class _MustWriteError(Exception):
    """Work that was taken for a read wants a lock."""


class _Connection(sqlite3.Connection):
    """An open database, and the `Transaction` of the work that runs on it."""

    writing = False

    def lock(self, *owners: str) -> None:
        """Whoever writes to a SQLite database has the whole of it."""
        if not self.writing:
            raise _MustWriteError(owners)


@attrs.define(eq=False)
class _Piece:
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

    def run(self, db: _Connection) -> None:
        """Does the work; raises what it raises."""
        self.answer = self.work(db)

    def tell(self) -> None:
        """Says on the owner's thread what came of it."""
        if self.error is None:
            try:
                self.answer = self.then(self.answer)
            except Exception as error:
                self.error = error
        if self.future is not None and not self.future.done():
            if self.error is None:
                self.future.set_result(self.answer)
            else:
                self.future.set_exception(self.error)


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
        self._home = _here()
        _make_private(self._path)
        self._db = _opened(self._path, durable=durable)
        self._line = _Line(self._db, None if self._in_memory else f"{self._path}-wal")
        self._writer: _Writer | None = None
        self._reader: _Reader | None = None
        self._closed = False

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
        self._check()
        if self._in_memory:
            return self.read_now(work, as_it_is)
        if self._reader is None:
            self._reader = _Reader(self._path, self._patience)
        try:
            return await self._reader.read(work)
        except _MustWriteError:
            return await self.write(work, as_it_is)

    def close(self) -> None:
        """Ends what is under way, then closes; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for thread in (self._reader, self._writer):
            if thread is not None:
                thread.end()
        self._db.close()

    def _now(self, work: Work[T], then: Callable[[T], U], *, writes: bool) -> U:
        self._check()
        until = time.monotonic() + self._patience
        if self._writer is None:
            piece = _Piece(work, then, writes, until, None, None)
            waiting = [piece]
            while waiting:
                told, waiting = self._line.run(waiting)
                for tell in told:
                    tell()
        else:
            piece = _Piece(work, then, writes, until, None, threading.Event())
            self._writer.put(piece)
            assert piece.done is not None
            piece.done.wait()
            self._writer.tell_all()
        if piece.error is not None:
            raise piece.error
        answer: U = piece.answer
        return answer

    async def _later(self, work: Work[T], then: Callable[[T], U], *, writes: bool) -> U:
        self._check()
        if self._in_memory:
            return self._now(work, then, writes=writes)
        if self._writer is None:
            self._writer = _Writer(self._line, os.path.basename(self._path))
        future: asyncio.Future[U] = asyncio.get_running_loop().create_future()
        until = time.monotonic() + self._patience
        self._writer.put(_Piece(work, then, writes, until, future, None))
        return await future

    def _check(self) -> None:
        if self._closed:
            raise StorageError(
                "This Backend is closed; make a new one.", reason="closed", recoverable=False
            )
        if _here() != self._home:
            raise WrongThreadError(
                "This Backend belongs to the thread and the process that made it. Make one of your "
                "own here, on the same file, or run the session on that thread's event loop."
            )


class _Line:
    """The one connection that writes, and the order of all that passes through it."""

    def __init__(self, db: _Connection, log: str | None) -> None:
        self._db = db
        self._log = log
        self._emptied_at = _LONG_LOG
        self.news: Work[Any] = lambda db: None
        self.tell_news: Callable[[Any], None] = lambda news: None

    def run(self, pieces: Iterable[_Piece]) -> tuple[list[_Tell], list[_Piece]]:
        """Does what can be done now: what is to be told of it, in order, and what has to wait."""
        told: list[_Tell] = []
        wanted = [piece for piece in pieces if piece.is_wanted]
        reads = [piece for piece in wanted if not piece.writes]
        waiting = self._read(reads, told) if reads else []
        writes = [piece for piece in wanted if piece.writes and piece not in waiting]
        waiting += self._write(writes, told) if writes else []
        return told, _still_patient(waiting, told)

    def _read(self, pieces: Sequence[_Piece], told: list[_Tell]) -> list[_Piece]:
        try:
            self._db.execute("BEGIN")
            self._read_news(told)
            for piece in pieces:
                self._try(piece)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            return _failed(pieces, error, told)
        told += [piece.tell for piece in pieces if not piece.writes]
        return []

    def _try(self, piece: _Piece) -> None:
        try:
            piece.run(self._db)
        except _MustWriteError:
            piece.writes = True
        except sqlite3.OperationalError:
            raise
        except BaseException as error:
            piece.error = error

    def _read_news(self, told: list[_Tell]) -> None:
        while (news := self.news(self._db)) is not None:
            told.append(partial(self.tell_news, news))

    def _write(self, pieces: Sequence[_Piece], told: list[_Tell]) -> list[_Piece]:
        self._db.writing = True
        try:
            self._db.execute("BEGIN IMMEDIATE")
            pieces = [piece for piece in pieces if piece.is_wanted]  # that may have taken a while
            for piece in pieces:
                self._run_alone(piece)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            return _failed(pieces, error, told)
        finally:
            self._db.writing = False
        told += [piece.tell for piece in pieces]
        with contextlib.suppress(sqlite3.Error):  # they are read again before the next
            self._read_news(told)
        self._keep_log_short()
        return []

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _run_alone(self, piece: _Piece) -> None:
        """Runs it in a savepoint; raises sqlite3.Error if that has ended everybody's
        transaction.
        """
        self._db.execute("SAVEPOINT piece")
        try:
            piece.run(self._db)
        except BaseException as error:
            if not self._db.in_transaction:
                raise
            self._db.execute("ROLLBACK TO piece")
            piece.error = error
        self._db.execute("RELEASE piece")

    def _keep_log_short(self) -> None:
        if self._log is None:
            return
        size = _size(self._log)
        if size < self._emptied_at:
            self._emptied_at = max(_LONG_LOG, min(self._emptied_at, 2 * size))
            return
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        left = _size(self._log)
        if left > _TOO_LONG_LOG:
            _LOG.warning(
                "The database's write-ahead log has %d MiB and cannot be emptied: some program has "
                "been reading the database for long; end it.",
                left // 2**20,
            )
        self._emptied_at = max(_LONG_LOG, 2 * left)


class _Writer:
    """The thread that owns the line. What it has to tell waits in `_told` until the owner's thread
    comes for it.
    """

    def __init__(self, line: _Line, name: str) -> None:
        self._line = line
        self._queue: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._told: deque[_Tell] = deque()
        self._thread = threading.Thread(target=self._work, name=f"writer {name}", daemon=True)
        self._thread.start()

    def put(self, piece: _Piece) -> None:
        """Lines a piece up."""
        self._queue.put(piece)

    def tell_all(self) -> None:
        """On the owner's thread: tells what was done, in order."""
        while self._told:
            self._told.popleft()()

    def end(self) -> None:
        """Does what is lined up, and ends the thread."""
        self._queue.put(None)
        self._thread.join()
        self.tell_all()

    def _work(self) -> None:
        waiting: list[_Piece] = []
        ending = False
        while waiting or not ending:
            pieces = self._taken(block=not waiting)
            ending = ending or None in pieces
            lined_up = [*waiting, *(piece for piece in pieces if piece is not None)]
            told, waiting = self._line.run(lined_up)
            self._told += told
            still = set(map(id, waiting))
            self._wake([piece for piece in lined_up if id(piece) not in still])

    def _taken(self, *, block: bool) -> list[_Piece | None]:
        pieces: list[_Piece | None] = []
        with contextlib.suppress(queue.Empty):
            pieces.append(self._queue.get(block))
            while len(pieces) < _AT_ONCE:
                pieces.append(self._queue.get_nowait())
        return pieces

    def _wake(self, pieces: Sequence[_Piece]) -> None:
        for loop in {piece.future.get_loop() for piece in pieces if piece.future is not None}:
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(self.tell_all)
        for piece in pieces:
            if piece.done is not None:
                piece.done.set()


class _Reader:
    """The thread that reads beside the writer, on a connection that cannot write."""

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._queue: queue.SimpleQueue[tuple[Work[Any], asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(
            target=self._work, name=f"reader {os.path.basename(path)}", daemon=True
        )
        self._thread.start()

    async def read(self, work: Work[T]) -> T:
        """Runs the work; raises _MustWriteError for work that writes."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def end(self) -> None:
        """Does what is lined up, and ends the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        db: _Connection | None = None
        while (item := self._queue.get()) is not None:
            work, future = item
            if future.cancelled():
                continue
            answer: Any = None
            failure: BaseException | None = None
            try:
                db = db or _opened_for_reading(self._path, self._patience)
                answer = _read(db, work)
            except sqlite3.Error as error:
                failure = _translated(error)
            except BaseException as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is over
                future.get_loop().call_soon_threadsafe(_settle, future, answer, failure)
        if db is not None:
            db.close()


def _read(db: _Connection, work: Work[T]) -> T:
    db.execute("BEGIN")
    try:
        return work(db)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _settle(future: asyncio.Future[Any], answer: Any, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(answer)
    else:
        future.set_exception(failure)


def _failed(pieces: Sequence[_Piece], error: BaseException, told: list[_Tell]) -> list[_Piece]:
    """What becomes of pieces whose transaction came to nothing: those that may wait."""
    if _is_busy(error):
        for piece in pieces:
            piece.error = None
        return list(pieces)
    for piece in pieces:
        piece.error = error
    told += [piece.tell for piece in pieces]
    return []


def _still_patient(waiting: Iterable[_Piece], told: list[_Tell]) -> list[_Piece]:
    patient: list[_Piece] = []
    for piece in waiting:
        if time.monotonic() < piece.until:
            patient.append(piece)
        else:
            piece.error = _busy()
            told.append(piece.tell)
    return patient


def _translated(error: sqlite3.Error) -> Exception:
    return _busy() if _is_busy(error) else error


def _busy() -> StoreBusyError:
    return StoreBusyError(
        "Another program keeps the database locked; nothing was done. Come back in a second.",
        retry_after=1.0,
        reason="busy",
    )


def _is_busy(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, sqlite3.Error) and code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _opened(path: str, *, durable: bool) -> _Connection:
    db = sqlite3.connect(
        path,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
        factory=_Connection,
    )
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")  # what was forgotten is not left in free pages
        bring_up_to_date(db)  # first: another program's file is left as it is
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute(f"PRAGMA journal_size_limit = {_LONG_LOG}")
        db.execute(f"PRAGMA busy_timeout = {int(_SLICE * 1000)}")
    except BaseException:
        db.close()
        raise
    return db


def _opened_for_reading(path: str, patience: float) -> _Connection:
    db = sqlite3.connect(path, timeout=patience, isolation_level=None, factory=_Connection)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA query_only = ON")
    return db


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _here() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _make_private(path: str) -> None:
    """Makes a new database the owner's alone, whatever the umask; SQLite gives the files beside it
    the same mode.
    """
    if path == ":memory:":
        return
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
