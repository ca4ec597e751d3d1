"""What gateways share: realtime tokens and buckets, each changed by one statement, on the clock of
the database, since the gateways' differ.

A token's session is not in the table as it is, nor is the token: its hash finds the row, and the
token itself is the key that opens it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable
from typing import Any, Final, Protocol, TypeVar

import attrs

from support_chat.errors import RateLimitedError

from ..store import Transaction, Work, hashed

T = TypeVar("T")

_NOW: Final = "extract(epoch FROM clock_timestamp())::float8"
_PRUNES: Final = 500
"""After so many new rows those that are over are deleted."""


class Run(Protocol):
    """Does one statement, which is a transaction by itself."""

    def __call__(self, work: Work[T], /) -> Awaitable[T]:
        """What the work has answered."""
        ...


@attrs.define
class SharedTokens:
    """`RealtimeTokens` of all gateways, good for `lifetime` seconds."""

    _run: Run
    lifetime: float
    _minted: int = 0

    async def mint(self, session: str) -> str:
        """A new token for this session."""
        token = secrets.token_urlsafe(24)
        row = (hashed(token), _sealed(token, session.encode()), self.lifetime)
        await self._run(
            lambda db: (
                db.execute(f"INSERT INTO realtime_tokens VALUES (?, ?, {_NOW} + ?)", row).rowcount
            )
        )
        self._minted += 1
        if self._minted % _PRUNES == 0:
            over = f"DELETE FROM realtime_tokens WHERE until < {_NOW}"
            await self._run(lambda db: db.execute(over).rowcount)
        return token

    async def redeem(self, token: str) -> str | None:
        """The session of a token, which is used up by this."""
        taken = (
            "DELETE FROM realtime_tokens WHERE token_hash = ?"
            f" RETURNING session, until > {_NOW} AS good"
        )
        row = await self._run(lambda db: db.execute(taken, (hashed(token),)).fetchone())
        return _sealed(token, row["session"]).decode() if row is not None and row["good"] else None


@attrs.define
class SharedBuckets:
    """`Buckets` of this name, of all gateways, each refilled `per_minute` tokens a minute."""

    _run: Run
    name: str
    per_minute: float
    _taken: int = 0

    async def take(self, caller: str) -> None:
        """Takes one token."""
        if not self.per_minute:
            return
        most, rate = self._most, self.per_minute / 60
        take = (
            f"INSERT INTO buckets AS b VALUES (?, ?, ?, {_NOW}) ON CONFLICT (name, caller)"
            f" DO UPDATE SET level = least(?, b.level + ({_NOW} - b.at) * ?) - 1, at = {_NOW}"
            f" WHERE least(?, b.level + ({_NOW} - b.at) * ?) >= 1 RETURNING level"
        )
        values = (self.name, caller, most - 1, most, rate, most, rate)
        if await self._run(lambda db: db.execute(take, values).fetchone()) is None:
            await self.check(caller)  # which says how long it takes
        self._taken += 1
        if self._taken % _PRUNES == 0:
            full = f"DELETE FROM buckets WHERE name = ? AND at < {_NOW} - ?"
            refilled = 60 / min(1.0, self.per_minute)
            await self._run(lambda db: db.execute(full, (self.name, refilled)).rowcount)

    async def check(self, caller: str) -> None:
        """Raises as `take`, and takes nothing."""
        if not self.per_minute:
            return
        rate = self.per_minute / 60
        row = await self._row(f"least(?, level + ({_NOW} - at) * ?)", caller, self._most, rate)
        if row is not None and row["seen"] < 1:
            wait = (1 - row["seen"]) / rate
            raise RateLimitedError(
                f"Too many requests; come back after {wait:.1f} s.", retry_after=wait
            )

    async def knows(self, caller: str) -> bool:
        """Whether this caller has asked lately."""
        return await self._row("1", caller) is not None

    async def forget(self, caller: str) -> None:
        """Takes no account of a caller any more."""
        gone = "DELETE FROM buckets WHERE name = ? AND caller = ?"
        await self._run(lambda db: db.execute(gone, (self.name, caller)).rowcount)

    @property
    def _most(self) -> float:
        return max(1.0, self.per_minute)  # of less nobody would ever get a whole token

    async def _row(self, what: str, caller: str, *values: float) -> Any:
        asked = f"SELECT {what} AS seen FROM buckets WHERE name = ? AND caller = ?"

        def read(db: Transaction) -> Any:
            return db.execute(asked, (*values, self.name, caller)).fetchone()

        return await self._run(read)


def _sealed(token: str, session: bytes) -> bytes:
    """A session as it is stored, and back: a token is random and used once."""
    stream = hashlib.shake_256(b"session of " + token.encode()).digest(len(session))
    return bytes(a ^ b for a, b in zip(session, stream, strict=True))
