"""What a backend keeps its data in: the `Store` port, between the backend's requests and SQL.

A request is *work*: a plain function of a transaction, which reads and changes rows and does
nothing else. A store runs work as if it were alone, all of it or nothing, and keeps one order: of
two works, one is first. The order is what live links go by:

- nothing is told before it is committed;
- `then`, what becomes of an answer on the owner's thread, is called in the order of the commits,
  also if nobody waits for the answer any more;
- after a commit, and before a read in order, the *news* are read (`follow`), whoever has written
  them, and told in their turn. So what is delivered is delivered in the store's order, local
  messages included.

A store has two things more, which are no rows to a request, for the gateways that serve it to
share: the realtime tokens and the buckets that callers take from.

Work is written in the SQL that SQLite and PostgreSQL share, with `?` for values. What only one of
them has (how tables are made, who waits for whom) is inside the store. Before work changes what
belongs to somebody it asks for their lock.

Messages, changes of sessions and read marks have numbers, which are positions in the order. Where
several write at once a number is drawn before it is committed, so a smaller one may become visible
later. A position is therefore *settled* before it is given out or read up to: no smaller number is
still to come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from support_chat.errors import RateLimitedError

T = TypeVar("T")
U = TypeVar("U")
N = TypeVar("N")


class Row(Protocol):
    """One row: its values by the names of their columns."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""
        ...


class Rows(Protocol):
    """What a statement has answered."""

    @property
    def rowcount(self) -> int:
        """How many rows a change has changed."""
        ...

    def fetchone(self) -> Any:
        """The next `Row`, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Every `Row` that is left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The rows one by one."""
        ...


class Transaction(Protocol):
    """What work is done with. It is over when the work returns."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        """Runs one statement; `?` stands for a value."""
        ...

    def lock(self, *owners: str) -> None:
        """Nobody else changes what belongs to these owners until the transaction ends, and nothing
        that was read of it is older than the lock.

        Work calls it before it changes anything, with everybody it concerns (nobody, where the
        rows are no one's yet). It may end the work, which the store then runs again from its
        beginning: as one that writes, and with these locks.
        """
        ...

    def begins(self, owner: str) -> None:
        """This owner begins in this transaction, so nobody else knows of them: they need no
        lock.
        """
        ...

    def settled(self, number: int) -> int:
        """As much of a position as is settled."""
        ...

    def following(self, number: int) -> int:
        """A number for a change that is being written: after this one, the last that is known, and
        nobody else's.
        """
        ...


Ability: TypeAlias = Literal["reading", "storing"]
"""What may be asked of a database."""

Work: TypeAlias = Callable[[Transaction], T]
"""A function of a transaction. It may be run again from its beginning, so it changes nothing but
rows.
"""


class StoreBusyError(RateLimitedError):
    """Another program kept the database locked for longer than a request waits; nothing was done.
    It may succeed after `retry_after` seconds.
    """


class RealtimeTokens(Protocol):
    """Tokens that open the realtime gateway: short-lived, good for one connection, and the only
    credential that ever stands in a URL. One that was minted at one gateway is good at any.

    A browser cannot give a WebSocket a header, so the gateway's credential is a query parameter,
    and those end up in logs; hence not the session's own. Tokens may be lost with the process: a
    client dials anew then, as it has to anyway.
    """

    async def mint(self, session: str) -> str:
        """A new token for this session (its credential)."""
        ...

    async def redeem(self, token: str) -> str | None:
        """The session of a token, which is used up by this; None for one that is unknown, used or
        too old. Of several that redeem a token at once, one gets the session.
        """
        ...


class Buckets(Protocol):
    """One bucket a caller, each refilled evenly, however many gateways the caller asks at. What is
    in them may be lost with the process.
    """

    async def take(self, caller: str) -> None:
        """Takes one token; raises RateLimitedError, with the seconds until there is one, if the
        caller has none left.
        """
        ...

    async def check(self, caller: str) -> None:
        """Raises as `take`, and takes nothing."""
        ...

    async def knows(self, caller: str) -> bool:
        """Whether this caller has asked lately."""
        ...

    async def forget(self, caller: str) -> None:
        """Takes no account of a caller any more: their bucket is full."""
        ...


@runtime_checkable
class Store(Protocol):
    """Where a backend keeps what it knows. It belongs to the thread that made it, on whose event
    loop answers come back.

    What runs work raises what the work raises, `StoreBusyError`, and WrongThreadError in another
    thread or after a fork. A call that is cancelled before its work has begun is never done; later
    it is done as a whole, and `then` is called all the same. Either way nothing stays locked.
    """

    def write_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that writes, and waits for its commit: for a program that does nothing else
        meanwhile.
        """
        ...

    def read_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        """As `read_in_order`, at once."""
        ...

    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that writes; returns once it is committed."""
        ...

    async def read(self, work: Work[T]) -> T:
        """Runs work that reads; it waits for nobody who writes."""
        ...

    async def read_in_order(self, work: Work[T], then: Callable[[T], U]) -> U:
        """Runs work that reads, at one place in the order: the news before it have been told when
        `then` is called, those after it have not.
        """
        ...

    def follow(self, news: Work[N | None], tell: Callable[[N], None]) -> None:
        """After each commit and before each read in order `news` is run until it answers None, and
        `tell` is called with each answer, in order. One backend follows a store.
        """
        ...

    def trouble(self, error: Exception, asked: Ability) -> Ability | None:
        """What the database cannot do now, by an error that came up when it was asked for
        something; None if a statement of ours is at fault. One that cannot read cannot store.
        """
        ...

    @property
    def looks(self) -> float:
        """Seconds between two reads in order of a follower who asks for nothing else, so that it is
        told of what other processes have written.
        """
        ...

    @property
    def is_deaf(self) -> bool:
        """For long no news could be read, while other gateways may well go on: links are better
        off at one of these.
        """
        ...

    def realtime_tokens(self, lifetime: float) -> RealtimeTokens:
        """The realtime tokens, each good for `lifetime` seconds. A gateway asks for them once."""
        ...

    def buckets(self, name: str, per_minute: float) -> Buckets:
        """The buckets of this name, into each of which `per_minute` tokens come a minute, and no
        more than that many fit, but one at the least; 0 means no limit. A gateway asks for them
        once.
        """
        ...

    def close(self) -> None:
        """Ends what is under way, then closes; a second call does nothing."""
        ...


def as_it_is(answer: T) -> T:
    """The `then` of who wants nothing done with an answer."""
    return answer


EVERY: Final = 2**62
"""More than any number."""
MAX_PARAMETERS: Final = 500
"""How many values one statement may have; SQLite's least limit is 999."""


def whose_secret(secret_hash: str) -> str:
    """The name under which is locked what belongs to whoever knows a secret."""
    return f"secret:{secret_hash}"


def hashed(secret: str) -> str:
    """The form in which a secret of a visitor or session is stored. The secrets are random, so one
    plain hash is enough.
    """
    # what UTF-8 cannot carry is nobody's secret, and has a hash all the same
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
