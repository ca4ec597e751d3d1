"""The clauses of works that run side by side: a commit that is slow is overtaken by another, and a
request that is late finds what it has read changed.

In each of them a work of the store to try is held before its commit, while others are asked for. A
store whose works wait for each other keeps these waiting, or answers that it is busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import attrs

from support_chat.testing.conformance.expecting import MOMENT, expect, expect_that, in_time, until
from support_chat.testing.conformance.suites import clause, clauses_of

from .. import conversations, stream
from ..store import Rows, StoreBusyError, Transaction, Work, as_it_is
from .trial import Follower, Held, StoreTrial, nothing

T = TypeVar("T")
U = TypeVar("U")


@clause("store.overtaken-told")
async def overtaken_told(trial: StoreTrial) -> None:
    """What is slow to be committed is told all the same, once, though what others wrote after it
    was there before.
    """
    other = trial.another()
    held = Held(trial.say("slow"))
    async with _while_slow(trial, held, held, as_it_is) as beside:
        await beside.asked(other.store.write(trial.say_elsewhere("fast"), as_it_is))
        await beside.asked(_looked(trial.first, other))
    await _looked(trial.first, other)
    stored = [*await trial.stored(), *await trial.stored_elsewhere()]
    for follower in (trial.first, other):
        expect(sorted(follower.told), sorted(stored), "what was told")


@clause("store.overtaken-replayed")
async def overtaken_replayed(trial: StoreTrial) -> None:
    """A position that is given out while something is slow to be committed is before it: a replay
    from there brings it.
    """
    other = trial.another()

    def position(db: Transaction) -> str:
        return stream.missed(db, trial.first.owner, 0, None).cursor

    held = Held(trial.say("slow"))
    async with _while_slow(trial, held, held, as_it_is) as beside:
        await beside.asked(other.store.write(trial.say_elsewhere("fast"), as_it_is))
        given = await in_time(other.store.read(position), "a read waits")

    def replayed(db: Transaction) -> list[str]:
        missed = stream.missed(db, trial.first.owner, 0, given)
        return ["a gap"] if missed.gap else [each.message.text for each in missed.replay.messages]

    await _looked(other)
    expect(await other.store.read(replayed), ["slow"], "what a replay brought")


@clause("store.order-of-an-owner")
async def order_of_an_owner(trial: StoreTrial) -> None:
    """What belongs to one owner is committed, and told, in the order of its numbers, also where the
    first to draw one takes long over the rest.
    """
    other = trial.another()
    held = Held(nothing)

    def first(db: Transaction) -> str:
        return trial.say("first")(_Halting(db, held))

    async with _while_slow(trial, held, first, as_it_is) as beside:
        await beside.asked(other.store.write(trial.say("second"), as_it_is))
        await beside.asked(_looked(other))
        expect(await in_time(other.store.read(trial.texts), "a read waits"), [], "what is stored")
    await _looked(trial.first, other)
    for follower in (trial.first, other):
        expect(follower.told, await trial.stored(), "what was told")


@clause("store.late-request")
async def late_request(trial: StoreTrial) -> None:
    """Work that reads whose something is, and then asks for their lock, does not go by what it has
    read if it became somebody else's before it had the lock.
    """
    other = trial.another().store
    held = Held(nothing)

    def late(db: Transaction) -> str:
        owner = conversations.owner_of(db, trial.conversation) or ""
        held(db)
        db.lock(owner)
        return conversations.append(db, owner, trial.conversation, "agent", "late", 0.0).text

    def move(db: Transaction) -> int:
        return conversations.move(db, trial.first.owner, trial.somebody_else)

    def strays(db: Transaction) -> list[str]:
        owner = conversations.owner_of(db, trial.conversation)
        whose = "SELECT owner FROM messages WHERE conversation_id = ?"
        rows = db.execute(whose, (trial.conversation,)).fetchall()
        return [row["owner"] for row in rows if row["owner"] != owner]

    async with _while_slow(trial, held, late, as_it_is) as beside:
        await beside.asked(other.write(move, as_it_is))
    expect(await trial.stored(), ["late"], "what is stored")
    expect(await trial.store.read(strays), [], "whose messages are in a conversation of others")


@clause("store.write-in-order")
async def write_in_order(trial: StoreTrial) -> None:
    """At the `then` of a write nothing has been told that is after the position it has read."""
    other = trial.another()
    held = Held(conversations.latest)
    told_before: list[str] = []
    async with _while_slow(trial, held, held, lambda _: told_before.extend(trial.told)) as beside:
        await beside.asked(other.store.write(trial.say("later"), as_it_is))
        await beside.asked(_looked(trial.first))
    await _looked(trial.first)
    expect(told_before, [], "what was told before it")
    expect_that(trial.told == await trial.stored(), f"told after it: {trial.told}")


class _Halting:
    """A transaction that is held before it changes a row that is there."""

    def __init__(self, db: Transaction, held: Held[None]) -> None:
        self._db = db
        self._held = held
        self.lock, self.begins = db.lock, db.begins
        self.settled, self.following = db.settled, db.following

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        if sql.startswith("UPDATE"):
            self._held(self._db)
        return self._db.execute(sql, values)


@attrs.frozen
class _Beside:
    """What is asked for while a work is held, and how many seconds each has."""

    seconds: float
    futures: list[asyncio.Future[Any]] = attrs.field(factory=list[asyncio.Future[Any]])

    async def asked(self, asked: Awaitable[object]) -> None:
        """Goes on when it is done, or may be waiting for what is held."""
        future = asyncio.ensure_future(asked)
        self.futures.append(future)
        await asyncio.wait((future,), timeout=self.seconds)

    async def done(self) -> None:
        """All of it has come to an end; that the store was busy is one."""
        for answer in await asyncio.gather(*self.futures, return_exceptions=True):
            if isinstance(answer, BaseException) and not isinstance(answer, StoreBusyError):
                raise answer


@asynccontextmanager
async def _while_slow(
    trial: StoreTrial, held: Held[Any], work: Work[T], then: Callable[[T], U]
) -> AsyncGenerator[_Beside, None]:
    """Within the block, work of the store to try is held."""
    beside = _Beside(max(MOMENT, trial.place.patience / 4))
    slow = asyncio.ensure_future(trial.store.write(work, then))
    try:
        await until(held.done.is_set, "the work does not begin")
        yield beside
    finally:
        held.go_on.set()
        await in_time(slow, "the slow write does not end")
        await in_time(beside.done(), "what was asked for beside it does not end")


async def _looked(*followers: Follower) -> None:
    for follower in followers:
        await follower.store.read_in_order(nothing, as_it_is)


OVERTAKING: Final = clauses_of(vars(), StoreTrial)
