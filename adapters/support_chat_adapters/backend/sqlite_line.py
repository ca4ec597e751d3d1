"""The order of what is done in a SQLite file: the line that all writing passes through, the thread
that works it off, and the thread that reads beside it.

The writer takes whatever is queued and commits it at once, so that many requests share one fsync;
each is in a savepoint of its own, and one that fails undoes itself alone. Reads in order are done
between two commits, without the write lock. While another program holds that lock, reads go on, and
what waits to be written is refused, one by one, when it has waited long enough.

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
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from .pieces import MustWriteError, Piece, Tell, Told, settle
from .store import StoreBusyError, T, Work

_AT_ONCE: Final = 500
"""How many requests one commit may hold."""
LONG_LOG: Final = 8 * 2**20
"""Bytes of the write-ahead log above which it is emptied in the next gap."""
TOO_LONG_LOG: Final = 64 * 2**20
"""Bytes of it above which something is wrong, and said."""
_LOG: Final = logging.getLogger("support_chat.server")


class SQLiteConnection(sqlite3.Connection):
    """An open database, and the `Transaction` of the work that runs on it."""

    writing = False

    def lock(self, *owners: str) -> None:
        """Whoever writes to a SQLite database has the whole of it."""
        if not self.writing:
            raise MustWriteError(owners)

    def begins(self, owner: str) -> None:
        """Whoever writes has the whole database."""

    def settled(self, number: int) -> int:
        """All of it: nobody else writes meanwhile."""
        return number

    def following(self, number: int) -> int:
        """The next number."""
        return number + 1


class Line:
    """The one connection that writes, and the order of all that passes through it."""

    def __init__(self, db: SQLiteConnection, log: str | None) -> None:
        self._db = db
        self._log = log
        self._emptied_at = LONG_LOG
        db.execute(f"PRAGMA journal_size_limit = {LONG_LOG}")
        self.news: Work[Any] = lambda db: None
        self.tell_news: Callable[[Any], None] = lambda news: None

    def run(self, pieces: Iterable[Piece]) -> tuple[list[Tell], list[Piece]]:
        """Does what can be done now: what is to be told of it, in order, and what has to wait."""
        told: list[Tell] = []
        wanted = [piece for piece in pieces if piece.is_wanted]
        reads = [piece for piece in wanted if not piece.writes]
        waiting = self._read(reads, told) if reads else []
        writes = [piece for piece in wanted if piece.writes and piece not in waiting]
        waiting += self._write(writes, told) if writes else []
        return told, _still_patient(waiting, told)

    def _read(self, pieces: Sequence[Piece], told: list[Tell]) -> list[Piece]:
        try:
            self._db.execute("BEGIN")
            self._read_news(told)
            for piece in pieces:
                self._try(piece)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            if not isinstance(error, Exception):
                raise  # Ctrl-C, where work is done where it is asked for
            if not isinstance(error, sqlite3.Error):
                _LOG.error("The news of a database could not be read.", exc_info=error)
            return _failed(pieces, error, told)
        told += [piece.tell for piece in pieces if not piece.writes]
        return []

    def _try(self, piece: Piece) -> None:
        try:
            piece.run(self._db)
        except MustWriteError:
            piece.writes = True
        except sqlite3.OperationalError:
            raise
        except BaseException as error:
            piece.error = error

    def _read_news(self, told: list[Tell]) -> None:
        while (news := self.news(self._db)) is not None:
            told.append(partial(self.tell_news, news))

    def _write(self, pieces: Sequence[Piece], told: list[Tell]) -> list[Piece]:
        self._db.writing = True
        try:
            self._db.execute("BEGIN IMMEDIATE")
            pieces = [piece for piece in pieces if piece.is_wanted]  # that may have taken a while
            for piece in pieces:
                self._run_alone(piece)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            if not isinstance(error, Exception):
                raise
            return _failed(pieces, error, told)
        finally:
            self._db.writing = False
        told += [piece.tell for piece in pieces]
        self._read((), told)
        self._keep_log_short()
        return []

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _run_alone(self, piece: Piece) -> None:
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
            self._emptied_at = max(LONG_LOG, min(self._emptied_at, 2 * size))
            return
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        left = _size(self._log)
        if left > TOO_LONG_LOG:
            _LOG.warning(
                "The database's write-ahead log has %d MiB and cannot be emptied: some program has "
                "been reading the database for long; end it.",
                left // 2**20,
            )
        self._emptied_at = max(LONG_LOG, 2 * left)


class Writer:
    """The thread that owns the line."""

    def __init__(self, line: Line, name: str) -> None:
        self._line = line
        self._queue: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self.told = Told()
        self._thread = threading.Thread(target=self._work, name=f"writer {name}", daemon=True)
        self._thread.start()

    def put(self, piece: Piece) -> None:
        """Lines a piece up."""
        self._queue.put(piece)

    def end(self) -> None:
        """Does what is lined up, and ends the thread."""
        self._queue.put(None)
        self._thread.join()
        self.told.tell_all()

    def _work(self) -> None:
        waiting: list[Piece] = []
        ending = False
        while waiting or not ending:
            pieces = self._taken(block=not waiting)
            ending = ending or None in pieces
            lined_up = [*waiting, *(piece for piece in pieces if piece is not None)]
            told, waiting = self._line.run(lined_up)
            still = set(map(id, waiting))
            self.told.put(told, [piece for piece in lined_up if id(piece) not in still])

    def _taken(self, *, block: bool) -> list[Piece | None]:
        pieces: list[Piece | None] = []
        with contextlib.suppress(queue.Empty):
            pieces.append(self._queue.get(block))
            while len(pieces) < _AT_ONCE:
                pieces.append(self._queue.get_nowait())
        return pieces


class Reader:
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
        """Runs the work; raises MustWriteError for work that writes."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def end(self) -> None:
        """Does what is lined up, and ends the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        db: SQLiteConnection | None = None
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
                future.get_loop().call_soon_threadsafe(settle, future, answer, failure)
        if db is not None:
            db.close()


def _read(db: SQLiteConnection, work: Work[T]) -> T:
    db.execute("BEGIN")
    try:
        return work(db)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _failed(pieces: Sequence[Piece], error: BaseException, told: list[Tell]) -> list[Piece]:
    """What becomes of pieces whose transaction came to nothing: those that may wait."""
    if _is_busy(error):
        for piece in pieces:
            piece.error = None
        return list(pieces)
    for piece in pieces:
        piece.error = error
    told += [piece.tell for piece in pieces]
    return []


def _still_patient(waiting: Iterable[Piece], told: list[Tell]) -> list[Piece]:
    patient: list[Piece] = []
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


def _opened_for_reading(path: str, patience: float) -> SQLiteConnection:
    db = sqlite3.connect(path, timeout=patience, isolation_level=None, factory=SQLiteConnection)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA query_only = ON")
    return db


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
