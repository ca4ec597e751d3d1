"""Connections to the server: how they are opened, what work runs on, and how one is cut that does
not answer.

The server ends a transaction whose gateway falls silent in the middle of it, so that what it has
drawn and locked holds nobody up for longer; and a statement that waits for somebody else's lock
ends after the store's patience.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Collection, Generator, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, LiteralString

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from support_chat.errors import InvalidInputError

from ..pieces import MustWriteError
from ..store import Rows
from .schema import OWNERS, the_row

_IN_THE_MIDDLE: Final = 5.0
"""Seconds for which a gateway may fall silent in the middle of a transaction."""
_BEYOND_PATIENCE: Final = 5.0
"""Seconds after which, if nothing has come by then, a connection is cut."""
_FROM_THE_START: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What libpq is told unless the address says otherwise, so that a peer who is gone is missed."""


class MustLockError(Exception):
    """Work wants locks that its transaction did not begin with."""

    def __init__(self, owners: Collection[str]) -> None:
        super().__init__(owners)
        self.owners = frozenset(owners)


class Transaction:
    """The `Transaction` of work that runs on a connection: with these locks, None if it only
    reads; up to this number all is settled.
    """

    def __init__(
        self, db: psycopg.Connection[Any], owners: frozenset[str] | None, settled: int
    ) -> None:
        self._db = db
        self._owners = owners
        self._settled = settled
        self._begun: set[str] = set()

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        """Runs one statement."""
        rows: Rows = self._db.execute(_translated(sql), [_stored(value) for value in values])
        return rows

    def lock(self, *owners: str) -> None:
        """Ends the work unless the transaction began with all these locks."""
        if self._owners is None:
            raise MustWriteError(owners)
        missing = {*owners} - self._owners - self._begun
        if missing:
            raise MustLockError(missing)

    def begins(self, owner: str) -> None:
        """Takes note of an owner who needs no lock."""
        self._begun.add(owner)

    def settled(self, number: int) -> int:
        """As much of it as was settled when the transaction began."""
        return min(number, self._settled)

    def following(self, number: int) -> int:
        """Draws a number."""
        return int(the_row(self._db.execute("SELECT draw() AS number"))["number"])


class Link:
    """One connection, which one thread uses, and any may cut."""

    def __init__(self, db: psycopg.Connection[Any], limit: float) -> None:
        self.db = db
        self._limit = limit
        self._until: float | None = None

    @contextlib.contextmanager
    def limited(self, seconds: float = 0.0) -> Generator[None, None, None]:
        """What is done within the block has so many seconds, or as many as any work has."""
        self._until = time.monotonic() + (seconds or self._limit)
        try:
            yield
        finally:
            self._until = None

    @property
    def is_late(self) -> bool:
        """What is being done should have ended."""
        until = self._until
        return until is not None and time.monotonic() > until

    @property
    def is_open(self) -> bool:
        """The server has not gone, as far as is known."""
        return not self.db.closed

    def begin(self, owners: Collection[str], patience: float) -> int:
        """Begins a transaction that writes, with the locks of these owners, and waits for so many
        seconds for each lock; returns up to which number all is settled.
        """
        locks = "".join(f"SELECT pg_advisory_xact_lock({OWNERS}, {key});" for key in _keys(owners))
        waits = f"SET LOCAL lock_timeout = {max(1, int(patience * 1000))}"
        return self._settled(f"BEGIN; {waits}; {locks} SELECT settled()")

    def begin_reading(self) -> int:
        """Begins a transaction that sees one moment; returns up to which number all is settled."""
        settled = self._settled("SELECT settled()")
        self.db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return settled

    @property
    def is_in_transaction(self) -> bool:
        """A transaction has begun and not ended, as far as the connection knows."""
        return self.db.info.transaction_status not in (
            psycopg.pq.TransactionStatus.IDLE,
            psycopg.pq.TransactionStatus.UNKNOWN,
        )

    def end(self, how: LiteralString) -> None:
        """Ends the transaction: `COMMIT` or `ROLLBACK`. Raises psycopg.Error if it ended
        otherwise.
        """
        done = self.db.execute(how, prepare=False).statusmessage
        if done != how:
            raise psycopg.InternalError(f"{how} was answered with {done}")

    def close(self) -> None:
        """Closes the connection, whatever it was doing."""
        with contextlib.suppress(psycopg.Error):
            self.db.close()

    def cut(self) -> None:
        """From another thread: who waits on this connection is told that it is over."""
        with contextlib.suppress(psycopg.Error, OSError):
            other = socket.socket(fileno=os.dup(self.db.fileno()))
            with other:
                other.shutdown(socket.SHUT_RDWR)

    def _settled(self, statements: str) -> int:
        answers = self.db.execute(statements.encode(), prepare=False)
        while answers.nextset():
            pass
        return int(the_row(answers)["settled"])


@attrs.frozen
class Server:
    """A database at a server, whose address is as libpq reads it: what it does not say is in the
    environment (`PGPASSWORD`, `PGSERVICE`...). Made by `named`.
    """

    address: str = attrs.field(repr=False)
    patience: float

    @classmethod
    def named(cls, address: str, patience: float) -> Server:
        """The database of an address; raises InvalidInputError for what is none."""
        try:
            said = conninfo_to_dict(address)
        except psycopg.ProgrammingError:  # whose message may have a password in it
            raise InvalidInputError(
                "This is no address of a PostgreSQL database; write it as "
                "postgresql://user@host:5432/name."
            ) from None
        return cls(make_conninfo("", **{**_FROM_THE_START, **said}), patience)

    def connect(self, *, durable: bool = True) -> Link:
        """A new connection; raises psycopg.OperationalError. What is not `durable` waits for no
        disk.
        """
        db = psycopg.connect(
            self.address,
            autocommit=True,
            row_factory=_rows,
            application_name="support-chat",
        )
        limit = self.patience + _BEYOND_PATIENCE
        settings = {
            "statement_timeout": f"{limit * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{_IN_THE_MIDDLE * 1000:.0f}",
            **({} if durable else {"synchronous_commit": "off"}),
        }
        try:
            for name, value in settings.items():
                db.execute("SELECT set_config(%s, %s, false)", (name, value))
        except BaseException:
            db.close()
            raise
        return Link(db, limit)


def _keys(owners: Iterable[str]) -> list[int]:
    """What owners are locked by, in an order that all gateways share. Two owners may share a key
    and wait for each other.
    """
    digests = (hashlib.sha256(owner.encode(errors="surrogatepass")).digest() for owner in owners)
    return sorted({int.from_bytes(digest[:4], "big", signed=True) for digest in digests})


@lru_cache(maxsize=500)
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _stored(value: Any) -> Any:
    """PostgreSQL has no text with a NUL; it is written with the control character that follows."""
    if isinstance(value, str) and ("\0" in value or "\1" in value):
        return value.replace("\1", "\1\2").replace("\0", "\1\1")
    return value


def _read(value: Any) -> Any:
    if isinstance(value, str) and "\1" in value:
        return value.replace("\1\1", "\0").replace("\1\2", "\1")
    return value


def _rows(cursor: psycopg.Cursor[Any]) -> Any:
    """Makes each row a dictionary."""
    names = [column.name for column in cursor.description or ()]

    def made(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(names, map(_read, values), strict=True))

    return made
