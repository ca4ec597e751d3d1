"""Kills the backend with SIGKILL at a moment of one request, and knows by which trace in the
database that request can be seen to be committed.
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
from collections.abc import Callable
from contextlib import closing
from typing import Final, TypeAlias

from served import Served

from .evidence import Exchange, Kill, Wire
from .plans import Moment, Plan
from .stored import hashed

_LOCKED: Final = 60.0
"""Seconds that a database may be locked, as while what a process has left is mended."""
Trace: TypeAlias = Callable[[sqlite3.Connection], bool]
"""Whether the database holds what a request leaves in it once it is committed."""


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
            return _trace(f"SELECT ({count}) > ?", visitor, before)
        case "identify":
            sql = "SELECT count(*) FROM identifies WHERE identify_id = ? AND answer IS NOT NULL"
            return _trace(sql, body["identifyId"])
        case "update":
            path, value = next(iter(body["changes"].items()))
            sql = "SELECT count(*) FROM traits WHERE path = ? AND value = ?"
            return _trace(sql, path, json.dumps(value))
        case "send":
            sql = "SELECT count(*) FROM messages WHERE client_message_id = ?"
            return _trace(sql, body["clientMessageId"])
        case "shutdown":
            return _trace("SELECT revoked FROM sessions WHERE secret_hash = ?", session)
        case _:
            raise AssertionError(f"nobody is killed at {exchange.asks}")


def _trace(sql: str, *parameters: object) -> Trace:
    return lambda db: bool((db.execute(sql, parameters).fetchone() or (0,))[0])


class Killer:
    """Kills the process of `served` once, at the moment and the request that the plan says.

    A commit is looked for `patience` seconds: a request that commits nothing for so long is not
    going to. `aimed` is set when that request is about to leave, `killed` when the process has been
    killed.
    """

    def __init__(self, served: Served, plan: Plan, kill: Kill, patience: float) -> None:
        self.aimed = asyncio.Event()
        self.killed = asyncio.Event()
        self._trace: Trace | None = None
        self._served = served
        self._plan = plan
        self._kill = kill
        self._patience = patience
        self._waits_for = plan.nth
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None

    @property
    def loses_the_answer(self) -> bool:
        """The answer does not reach the client, even if it was faster than the kill."""
        return self._plan.moment is Moment.AT_COMMIT

    def aims_at(self, exchange: Exchange) -> bool:
        """Whether this request, about to be sent, is the one; asked once for each."""
        asks: Wire = "identify" if self._plan.kind == "merge" else self._plan.kind
        if exchange.asks != asks or self._waits_for == 0:
            return False
        self._waits_for -= 1
        return self._waits_for == 0

    def leaving(self, exchange: Exchange) -> None:
        """The request leaves now."""
        self.aimed.set()
        watch = sqlite3.connect(self._served.db, timeout=_LOCKED, check_same_thread=False)
        self._trace = trace = trace_of(exchange, watch)
        before, later = _version(watch), time.monotonic() + self._plan.lag
        due: dict[Moment, Callable[[], bool]] = {
            Moment.BEFORE: lambda: True,
            Moment.DURING: lambda: time.monotonic() >= later,
            Moment.AT_WRITE: lambda: _version(watch) != before,
            Moment.AT_COMMIT: lambda: trace(watch),
        }

        def wait_and_kill() -> None:
            until = time.monotonic() + self._patience
            with closing(watch):
                while not due[self._plan.moment]() and time.monotonic() < until:
                    pass
            self._die()

        if self._plan.moment is Moment.AFTER:
            watch.close()
        elif self._plan.moment is Moment.BEFORE:
            wait_and_kill()
        else:
            self._thread = threading.Thread(target=wait_and_kill, daemon=True)
            self._thread.start()

    def answered(self) -> None:
        """The answer has come."""
        if self._plan.moment is Moment.AFTER:
            self._die()

    async def done(self) -> None:
        """Waits until the process is dead; whether the request was committed is known then."""
        await self.killed.wait()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._served.kill)
        with closing(sqlite3.connect(self._served.db, timeout=_LOCKED)) as db:
            self._kill.committed = self._trace is not None and self._trace(db)

    def _die(self) -> None:
        os.kill(self._served.pid, signal.SIGKILL)
        self._kill.done = True
        # the round has failed meanwhile, and its loop is closed
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.killed.set)


def _version(db: sqlite3.Connection) -> int:
    """A number that changes with every commit of another connection."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])
