"""The blow: SIGKILL at a moment of one request, and the trace by which the database shows whether
that request was committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs

from served import Served

from .evidence import Blow, Exchange, Kind, Wire
from .plans import Moment
from .stored import hashed

_PATIENCE: Final = 8.0
"""Seconds to look for a commit; a request that commits nothing for so long is not going to."""


@attrs.frozen
class Trace:
    """What a request leaves in the database once it is committed: a query whose one value is true
    then.
    """

    sql: str
    parameters: tuple[Any, ...]

    def shows(self, db: sqlite3.Connection) -> bool:
        """Whether it is there."""
        row = db.execute(self.sql, self.parameters).fetchone()
        return row is not None and bool(row[0])


def trace_of(exchange: Exchange, db: sqlite3.Connection) -> Trace:
    """The trace of this request, which has not been sent yet."""
    body, session = exchange.body, hashed(exchange.session or "")
    match exchange.asks:
        case "boot":
            count = (
                "SELECT count(*) FROM sessions JOIN visitors ON visitor_id = visitors.id "
                "WHERE visitors.secret_hash = ?"
            )
            visitor = hashed(body["visitor"])
            (before,) = db.execute(count, (visitor,)).fetchone()
            return Trace(f"SELECT ({count}) > ?", (visitor, before))
        case "identify":
            sql = "SELECT count(*) FROM identifies WHERE identify_id = ? AND answer IS NOT NULL"
            return Trace(sql, (body["identifyId"],))
        case "update":
            path, value = next(iter(body["changes"].items()))
            return Trace(
                "SELECT count(*) FROM traits WHERE path = ? AND value = ?",
                (path, json.dumps(value)),
            )
        case "send":
            return Trace(
                "SELECT count(*) FROM messages WHERE client_message_id = ?",
                (body["clientMessageId"],),
            )
        case "shutdown":
            return Trace("SELECT revoked FROM sessions WHERE secret_hash = ?", (session,))
        case _:
            raise AssertionError(f"no blow is aimed at {exchange.asks}")


class Hammer:
    """Kills the process of `served` once, at the `moment` of the `nth` request of this kind.

    `aimed` is set when that request is about to leave, `fallen` when the process has been killed.
    """

    def __init__(
        self, served: Served, kind: Kind, moment: Moment, nth: int, lag: float, blow: Blow
    ) -> None:
        self.aimed = asyncio.Event()
        self.fallen = asyncio.Event()
        self.trace: Trace | None = None
        self._served = served
        self._asks: Wire = "identify" if kind == "merge" else kind
        self._moment = moment
        self._waits_for = nth
        self._lag = lag
        self._blow = blow
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._dead = threading.Event()

    @property
    def loses_the_answer(self) -> bool:
        """The answer does not reach the client, even if it was faster than the blow."""
        return self._moment is Moment.AT_COMMIT

    def aims_at(self, exchange: Exchange) -> bool:
        """Whether this request, about to be sent, is the one; asked once for each."""
        if exchange.asks != self._asks or self._waits_for == 0:
            return False
        self._waits_for -= 1
        return self._waits_for == 0

    def leaving(self, exchange: Exchange) -> None:
        """The request leaves now."""
        self.aimed.set()
        with closing(sqlite3.connect(self._served.db)) as db:
            self.trace = trace_of(exchange, db)
        match self._moment:
            case Moment.BEFORE:
                self._fall()
            case Moment.DURING:
                self._in_thread(self._fall_late)
            case Moment.AT_WRITE:
                watch = sqlite3.connect(self._served.db, check_same_thread=False)
                self._in_thread(self._fall_at_write, watch, _version(watch))
            case Moment.AT_COMMIT:
                self._in_thread(self._fall_at_commit, self._served.db, self.trace)
            case Moment.AFTER:
                pass

    def answered(self) -> None:
        """The answer has come."""
        self._blow.outran = self._dead.is_set()
        if self._moment is Moment.AFTER:
            self._fall()

    async def landed(self) -> None:
        """Waits until the process is dead."""
        await self.fallen.wait()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._served.kill)

    def committed(self) -> bool:
        """Whether the request that was struck is in the database."""
        with closing(sqlite3.connect(self._served.db)) as db:
            return self.trace is not None and self.trace.shows(db)

    def _in_thread(self, target: Any, *arguments: Any) -> None:
        self._thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._thread.start()

    def _fall_late(self) -> None:
        time.sleep(self._lag)
        self._fall()

    def _fall_at_commit(self, path: Path, trace: Trace) -> None:
        until = time.monotonic() + _PATIENCE
        with closing(sqlite3.connect(path)) as db:
            while not trace.shows(db) and time.monotonic() < until:
                pass
        self._fall()

    def _fall_at_write(self, db: sqlite3.Connection, before: int) -> None:
        until = time.monotonic() + _PATIENCE
        with closing(db):
            while _version(db) == before and time.monotonic() < until:
                pass
        self._fall()

    def _fall(self) -> None:
        os.kill(self._served.pid, signal.SIGKILL)
        self._dead.set()
        self._blow.fell = True
        # the round has failed meanwhile, and its loop is closed
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.fallen.set)


def _version(db: sqlite3.Connection) -> int:
    """A number that changes with every commit of another connection."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])
