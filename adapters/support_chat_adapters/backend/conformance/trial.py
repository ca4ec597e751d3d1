"""The place where a store is tried, and what a clause gets of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Generic, TypeAlias, TypeVar

import attrs

from support_chat.testing.conformance.expecting import NotApplicable
from support_chat.testing.conformance.suites import LIMIT

from .. import conversations, stream
from ..store import Buckets, Store, Transaction, Work, as_it_is

T = TypeVar("T")


@attrs.frozen
class StorePlace:
    """A place and the stores on it. `open()` makes a store there; several of them see the same
    rows, as two processes do.

    `locked()` is a block in which another program holds the lock that writing needs, and
    `patience` how many seconds a store waits for it; without them, and for a place that has one
    store at the most (`alone`), their clauses are not applicable.
    """

    open: Callable[[], Store]
    locked: Callable[[], AbstractContextManager[object]] | None = None
    patience: float = 0.0
    alone: bool = False


StoreFactory: TypeAlias = Callable[[], StorePlace | AbstractAsyncContextManager[StorePlace]]
"""Called for each clause, on its thread."""


@attrs.define(eq=False)
class Follower:
    """A store and what it has told."""

    store: Store
    owner: str
    """Whose news it tells: this owner's, and those of owners whose name begins with it."""
    told: list[str] = attrs.field(factory=list[str])
    """The texts of the news, and whatever else a clause notes, in order."""
    _position: int | None = None

    def begin(self) -> None:
        """Follows the store from now on."""
        self.store.follow(self._news, self.told.extend)
        self.store.read_now(nothing, as_it_is)

    def _news(self, db: Transaction) -> list[str] | None:
        if self._position is None:
            self._position = conversations.latest(db)
            return None
        news = stream.since(db, self._position)
        if not news:
            return None
        self._position = news[-1].number
        return [stored.event.message.text for stored in news if stored.owner.startswith(self.owner)]


@attrs.define(eq=False)
class Held(Generic[T]):
    """Work that says when it is done and waits with its commit until it may go on."""

    work: Work[T]
    done: threading.Event = attrs.field(factory=threading.Event)
    go_on: threading.Event = attrs.field(factory=threading.Event)

    def __call__(self, db: Transaction) -> T:
        answer = self.work(db)
        self.done.set()
        self.go_on.wait(LIMIT)
        return answer


@attrs.define(eq=False)
class StoreTrial:
    """A store as a clause gets it: followed, with a conversation of an owner of its own."""

    place: StorePlace
    first: Follower
    conversation: str = ""
    elsewhere: str = ""
    """A conversation of somebody else."""
    opened: list[Store] = attrs.field(factory=list[Store])

    @property
    def store(self) -> Store:
        """The store to try."""
        return self.first.store

    @property
    def told(self) -> list[str]:
        """What it has told."""
        return self.first.told

    @property
    def somebody_else(self) -> str:
        """Another owner, whose news the followers tell, too."""
        return f"{self.first.owner}/else"

    def say(self, text: str) -> Work[str]:
        """Work that writes a message, and answers with its text."""
        return _say(text, self.first.owner, lambda: self.conversation)

    def say_elsewhere(self, text: str) -> Work[str]:
        """As `say`, in the conversation of somebody else."""
        return _say(text, self.somebody_else, lambda: self.elsewhere)

    def texts(self, db: Transaction) -> list[str]:
        """Work that reads all messages."""
        return [message.text for message in conversations.history(db, self.conversation)]

    def note(self, text: str) -> str:
        """A `then` that is seen among what is told."""
        self.told.append(f"then {text}")
        return text

    async def stored(self) -> list[str]:
        """All messages, as the store reads them."""
        return await self.store.read(self.texts)

    async def stored_elsewhere(self) -> list[str]:
        """All messages of somebody else."""
        stored = await self.store.read(lambda db: conversations.history(db, self.elsewhere))
        return [message.text for message in stored]

    def buckets(self, name: str, per_minute: float) -> Buckets:
        """Buckets that nobody else takes from."""
        return self.store.buckets(f"{self.first.owner} {name}", per_minute)

    def another(self) -> Follower:
        """Another store on the place, followed."""
        if self.place.alone:
            raise NotApplicable("the place has one store")
        other = Follower(self.place.open(), self.first.owner)
        self.opened.append(other.store)
        other.begin()
        return other

    def locked(self) -> AbstractContextManager[object]:
        """Another program holds the lock within the block."""
        if self.place.locked is None:
            raise NotApplicable("the factory's StorePlace has no locked()")
        return self.place.locked()


def _say(text: str, owner: str, where: Callable[[], str]) -> Work[str]:
    def work(db: Transaction) -> str:
        db.lock(owner)
        return conversations.append(db, owner, where(), "agent", text, 0.0).text

    return work


def nothing(db: Transaction) -> None:
    """Reads nothing."""
