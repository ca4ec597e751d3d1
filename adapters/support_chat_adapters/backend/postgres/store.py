"""The `Store` in PostgreSQL: several gateways, each with a few connections, serve one database.

A pool of threads (`pool`) does works beside each other, with the locks of the owners whom they
concern; one thread (`order`) says what was done, reads the news and reads in order; one (`ear`)
hears that another gateway has written; one (`links`) cuts connections that do not answer. The event
loop never waits for the database.

What a request was answered is on the server's disk when it is answered, as far as the server is set
up to wait for it. A request whose commit was under way when the connection was lost may have been
done: it fails with the database's error, and may be sent again under its id, as every request may.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from support_chat.errors import InvalidInputError

from ..pieces import Home, Piece, Told
from ..store import Ability, N, T, U, Work
from .connection import Server
from .ear import Ear
from .links import Links
from .order import Order
from .pool import Job, Pool
from .schema import bring_up_to_date, the_row
from .sharing import SharedBuckets, SharedTokens

PATIENCE: Final = 15.0
"""How many seconds work waits while others hold the locks that it needs."""
CONNECTIONS: Final = 4
"""How many works are done beside each other; the store has two connections more."""
_LOOKS: Final = 1.0
"""Seconds after which news are looked for though nobody has given a hint."""
_DEAF: Final = 10.0
"""Seconds without news having been read after which another gateway is better."""
_ENDS_WITHIN: Final = 5.0
"""Seconds that what is under way has to end."""
_LOST: Final = "08000"
"""What a connection's error without a code of the server's is."""
_GONE: Final = frozenset({"08", "28", "3D", "57"})
"""Classes of errors of a server that lets nobody do anything: it is lost, or ends."""
_REFUSING: Final = frozenset({"53", "55", "58", "XX"})
"""Classes of errors in which no statement of ours is at fault either."""
_READ_ONLY: Final = "25006"
"""What a server says that has become a replica."""


class PostgresStore:
    """A database at a PostgreSQL server from version 13 on; `address` is as libpq reads it
    (`postgresql://user@host/name`, `service=...`), and what it does not say is in the environment.
    A database without tables gets them.

    `patience` is how many seconds a request waits for locks of others, `connections` how many
    requests are done beside each other. What is not `durable` is answered before the server's disk
    has it: if that server crashes, the last moments may be lost.

    Raises psycopg.Error for a database that cannot be used, InvalidInputError for an address that
    is none, a database of another version, a replica, and a server behind a pooler that passes no
    notifications on.
    """

    def __init__(
        self,
        address: str,
        *,
        durable: bool = True,
        patience: float = PATIENCE,
        connections: int = CONNECTIONS,
    ) -> None:
        self._home = Home()
        self._patience = patience
        self._told = Told()
        self._links = Links(Server.named(address, patience))
        name = secrets.token_hex(8)
        try:
            self._prepare()
            self._pool = Pool(self._links, connections, durable=durable)
            self._order = self._pool.order = Order(self._links, self._told, name, self._write)
            self._ear = Ear(self._links, name, self._order.look)
        except BaseException:
            self._links.cut_all()
            raise

    def follow(self, news: Work[N | None], tell: Callable[[N], None]) -> None:
        """Reads `news` after each commit, before each read in order, and after each hint."""
        self._order.news, self._order.tell_news = news, tell

    def write_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that writes, and waits for its commit."""
        return self._now(work, then, writes=True)

    def read_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that reads, in order, and waits for it."""
        return self._now(work, then, writes=False)

    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that writes; returns once it is committed."""
        piece = self._piece(work, then, writes=True)
        self._write(piece)
        answer: U = await _answer_of(piece)
        return answer

    async def read_in_order(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that reads, between what was told before it and what is told after it."""
        piece = self._piece(work, then, writes=False)
        self._order.read(piece)
        answer: U = await _answer_of(piece)
        return answer

    async def read(self, work: Work[T]) -> T:
        """Runs work that reads, beside whatever is being written."""
        return await self._beside(work, writes=False)

    def trouble(self, error: Exception, asked: Ability) -> Ability | None:
        """Reading, if the server is not to be reached or ends; what was asked for, if it says that
        it cannot do that.
        """
        if not isinstance(error, psycopg.Error):
            return None
        is_lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        state = error.sqlstate or (_LOST if is_lost else "")
        if state[:2] in _GONE:
            return "reading"
        return asked if state[:2] in _REFUSING or state == _READ_ONLY else None

    @property
    def looks(self) -> float:
        """Hints come by themselves; now and then one is lost."""
        return _LOOKS

    @property
    def is_deaf(self) -> bool:
        """For long no news could be read."""
        return time.monotonic() - self._order.read_at > _DEAF

    def realtime_tokens(self, lifetime: float) -> SharedTokens:
        """Tokens in a table."""
        return SharedTokens(self._alone, lifetime)

    def buckets(self, name: str, per_minute: float) -> SharedBuckets:
        """Buckets in a table."""
        return SharedBuckets(self._alone, name, per_minute)

    def close(self) -> None:
        """Ends what is under way, if the server lets it, then closes; a second call does
        nothing.
        """
        if self._home.is_closed:
            return
        self._home.is_closed = True
        until = time.monotonic() + _ENDS_WITHIN
        self._ear.end()
        self._pool.end()
        _wait_for(self._pool.threads, until)
        self._order.end()
        _wait_for([self._order.thread, self._ear.thread], until)
        self._links.cut_all()
        _wait_for([*self._pool.threads, self._order.thread, self._ear.thread], until + 1.0)
        self._told.tell_all()

    def _prepare(self) -> None:
        link = self._links.open()
        try:
            with link.limited():
                asked = link.db.execute("SELECT pg_is_in_recovery() AS is_replica")
                if the_row(asked)["is_replica"]:
                    raise InvalidInputError(
                        "This is a replica, to which nothing can be written; name the primary "
                        "server, or add target_session_attrs=read-write to the address."
                    )
                bring_up_to_date(link.db)
        finally:
            self._links.close(link)

    def _now(self, work: Work[T], then: Callable[[T], U], *, writes: bool) -> U:
        self._home.check()
        done = threading.Event()
        piece = Piece(work, then, writes, self._until, None, done)
        (self._write if writes else self._order.read)(piece)
        done.wait()
        self._told.tell_all()
        if piece.error is not None:
            raise piece.error
        answer: U = piece.answer
        return answer

    def _piece(self, work: Work[T], then: Callable[[T], U], *, writes: bool) -> Piece:
        self._home.check()
        loop = self._told.loop = asyncio.get_running_loop()
        return Piece(work, then, writes, self._until, loop.create_future(), None)

    @property
    def _until(self) -> float:
        return time.monotonic() + self._patience

    def _write(self, piece: Piece) -> None:
        self._pool.put(Job(piece, in_order=True))

    async def _beside(self, work: Work[T], *, writes: bool) -> T:
        piece = self._piece(work, lambda answer: answer, writes=writes)
        self._pool.put(Job(piece, in_order=False))
        answer: T = await _answer_of(piece)
        return answer

    async def _alone(self, work: Work[T], /) -> T:
        """One statement, which is a transaction by itself."""
        return await self._beside(work, writes=True)


async def _answer_of(piece: Piece) -> Any:
    assert piece.future is not None
    return await piece.future


def _wait_for(threads: list[threading.Thread], until: float) -> None:
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
