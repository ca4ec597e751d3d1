"""The clauses of work and its order: all of it or nothing, told when it is committed, in turn."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

from support_chat.errors import SupportChatError, WrongThreadError
from support_chat.testing.conformance.expecting import (
    MOMENT,
    NotApplicable,
    expect,
    expect_that,
    in_time,
    raised,
    until,
)
from support_chat.testing.conformance.suites import LIMIT, clause, clauses_of

from .. import stream
from ..store import StoreBusyError, Transaction, Work, as_it_is
from .trial import Follower, StoreTrial, nothing

T = TypeVar("T")

_AT_ONCE: Final = 20
"""How many works a clause asks for at once."""


@clause("store.answers")
async def answers(trial: StoreTrial) -> None:
    """A write answers with what its `then` makes of what the work has answered, and is read
    afterwards, by `read`, `read_in_order` and `read_now` alike.
    """
    answer = await trial.store.write(trial.say("one"), lambda text: f"{text}!")
    expect(answer, "one!", "what write() answered")
    expect(trial.store.write_now(trial.say("two"), str.upper), "TWO", "what write_now() answered")
    expect(await trial.stored(), ["one", "two"], "read()")
    expect(await trial.store.read_in_order(trial.texts, as_it_is), ["one", "two"], "read in order")
    expect(trial.store.read_now(trial.texts, as_it_is), ["one", "two"], "read_now()")


@clause("store.all-or-nothing")
async def all_or_nothing(trial: StoreTrial) -> None:
    """Work that raises leaves nothing behind, its error reaches whoever asked, and those that were
    asked for beside it are done.
    """

    def half(db: Transaction) -> str:
        trial.say("half")(db)
        raise KeyError("half")

    asked = [trial.say("one"), half, trial.say("two"), half, trial.say("three")]
    seen = await _together(trial.store.write(work, as_it_is) for work in asked)
    expect([type(each) for each in seen], [str, KeyError, str, KeyError, str], "what was answered")
    expect(sorted(await trial.stored()), ["one", "three", "two"], "what is stored")


@clause("store.as-if-alone")
async def as_if_alone(trial: StoreTrial) -> None:
    """Work that reads and then writes loses nothing to others that do so at once."""

    def count(db: Transaction) -> str:
        db.lock(trial.first.owner)
        return trial.say(str(len(trial.texts(db))))(db)

    stores = [trial.store]
    with contextlib.suppress(NotApplicable):
        stores.append(trial.another().store)
    await _together(store.write(count, as_it_is) for _ in range(_AT_ONCE) for store in stores)
    wanted = [str(number) for number in range(_AT_ONCE * len(stores))]
    expect(await trial.stored(), wanted, "what they have counted")


@clause("store.committed-when-told")
async def committed_when_told(trial: StoreTrial) -> None:
    """When `then` is called, and when news are told, another store on the place sees them."""
    other = trial.another().store
    seen: list[list[str]] = []

    def look(_: str) -> None:
        seen.append(other.read_now(trial.texts, as_it_is))

    trial.store.follow(_once(lambda db: "news"), look)
    await trial.store.write(trial.say("one"), look)
    expect(seen, [["one"]] * 2, "what the other store saw at `then` and at the news")


@clause("store.then-in-order")
async def then_in_order(trial: StoreTrial) -> None:
    """`then` is called in the order of the commits, whoever asked for them."""
    asked = [trial.store.write(trial.say(f"{n}"), trial.note) for n in range(_AT_ONCE)]
    pending = asyncio.gather(*asked)
    await asyncio.sleep(0)
    trial.store.write_now(trial.say("now"), trial.note)
    await pending
    noted = [each for each in trial.told if each.startswith("then")]
    expect(noted, [f"then {text}" for text in await trial.stored()], "the order of `then`")


@clause("store.news-follow-their-commit")
async def news_follow_their_commit(trial: StoreTrial) -> None:
    """What was written is told after the `then` of who wrote it, and before the next commit's."""
    for n in range(3):
        await trial.store.write(trial.say(f"{n}"), trial.note)
    trial.store.write_now(trial.say("3"), trial.note)
    wanted = [each for n in range(4) for each in (f"then {n}", f"{n}")]
    expect(trial.told, wanted, "what was told")


@clause("store.news-of-others")
async def news_of_others(trial: StoreTrial) -> None:
    """What another store has written is told before the next read in order, and before the `then`
    of it.
    """
    other = trial.another().store
    await other.write(trial.say("one"), as_it_is)
    await trial.store.read_in_order(lambda db: "read", trial.note)
    await other.write(trial.say("two"), as_it_is)
    trial.store.read_now(lambda db: "read", trial.note)
    expect(trial.told, ["one", "then read", "two", "then read"], "what was told")


@clause("store.news-once")
async def news_once(trial: StoreTrial) -> None:
    """However many stores write at once, each tells each message once, all in one order."""
    other = trial.another()

    async def write(follower: Follower, name: str) -> None:
        for n in range(_AT_ONCE):
            await follower.store.write(trial.say(f"{name} {n}"), as_it_is)

    writers = (write(each, name) for each in (trial.first, other) for name in f"{id(each)}ab")
    await asyncio.gather(*writers)
    stored = await trial.stored()
    for follower in (trial.first, other):
        await follower.store.read_in_order(nothing, as_it_is)
        expect(follower.told, stored, "what was told")


@clause("store.read-in-order")
async def read_in_order(trial: StoreTrial) -> None:
    """At the `then` of a read in order all that a replay in it brings has been told, and nothing
    else.
    """
    missing: list[object] = []

    def compare(seen: list[str]) -> None:
        if seen != trial.told:
            missing.append((seen, list(trial.told)))

    async def write(n: int) -> None:
        for turn in range(5):
            await trial.store.write(trial.say(f"{n} {turn}"), as_it_is)

    def replayed(db: Transaction) -> list[str]:
        page = stream.replay(db, trial.first.owner, 0, 0)
        return [each.message.text for each in page.messages]

    async def read() -> None:
        for _ in range(20):
            await trial.store.read_in_order(replayed, compare)

    await asyncio.gather(*(write(n) for n in range(4)), read(), read())
    expect(missing, [], "what was read, where it is not what was told")


@clause("store.lock-ends-a-read")
async def lock_ends_a_read(trial: StoreTrial) -> None:
    """Work that was taken for a read and asks for a lock is run again as one that writes."""
    store = trial.store
    expect(await store.read(trial.say("0")), "0", "what read() answered")
    expect(
        await store.read_in_order(trial.say("1"), as_it_is), "1", "what read_in_order() answered"
    )
    expect(store.read_now(trial.say("2"), as_it_is), "2", "what read_now() answered")
    expect(await trial.stored(), ["0", "1", "2"], "what is stored")


@clause("store.cancelled")
async def cancelled(trial: StoreTrial) -> None:
    """A write that is cancelled, at whichever await, is done as a whole or not at all: its `then`
    is called if and only if it is committed, and the store goes on.
    """
    for steps in range(12):
        asked = asyncio.ensure_future(trial.store.write(trial.say(f"{steps}"), trial.note))
        for _ in range(steps):
            await asyncio.sleep(0.0005 if steps % 2 else 0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    if not trial.place.alone:
        slow, begun, go_on = _slow(trial)
        asked = asyncio.ensure_future(trial.store.write(slow, trial.note))
        await until(begun.is_set, "the work does not begin")
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        go_on.set()
    await in_time(trial.store.write(trial.say("last"), trial.note), "the next write does not end")
    noted = [each for each in trial.told if each.startswith("then")]
    expect(noted, [f"then {text}" for text in await trial.stored()], "whose `then` was called")
    with contextlib.suppress(NotApplicable):
        other = trial.another().store
        await in_time(other.write(trial.say("other"), as_it_is), "another store finds it locked")


@clause("store.work-that-waits")
async def work_that_waits(trial: StoreTrial) -> None:
    """While work that writes takes its time, the event loop goes on, and so does whoever reads."""
    if trial.place.alone:
        raise NotApplicable("work runs where it is asked for")
    slow, begun, go_on = _slow(trial)
    asked = asyncio.ensure_future(trial.store.write(slow, as_it_is))
    try:
        await until(begun.is_set, "the work does not begin")
        expect(await in_time(trial.stored(), "a read waits for it"), [], "what is read meanwhile")
    finally:
        go_on.set()
    expect(await asked, "slow", "what it answered")


@clause("store.foreign-lock")
async def foreign_lock(trial: StoreTrial) -> None:
    """While another program holds the lock, reads of both kinds are answered; what is written waits
    and is done, and told, once the lock is free.
    """
    with trial.locked():
        asked = asyncio.ensure_future(trial.store.write(trial.say("one"), trial.note))
        await asyncio.sleep(MOMENT)
        expect(await in_time(trial.stored(), "a read waits"), [], "read() meanwhile")
        order = trial.store.read_in_order(trial.texts, as_it_is)
        expect(await in_time(order, "a read in order waits"), [], "read_in_order() meanwhile")
        expect_that(not asked.done(), "the write was done, or failed, at once")
    expect(await in_time(asked, "the write does not end"), "one", "what the write answered")
    expect(trial.told, ["then one", "one"], "what was told")


@clause("store.busy")
async def busy(trial: StoreTrial) -> None:
    """A write that has waited long enough raises StoreBusyError, which says when to come back;
    nothing of it is done, then or later, and the next ones are.
    """
    with trial.locked():
        asked = trial.store.write(trial.say("one"), trial.note)
        patience = trial.place.patience + 5.0
        error = await in_time(
            raised(StoreBusyError, asked, "write() while it is locked"), "no end", patience
        )
        expect_that(error.retry_after > 0, "the error does not say when to come back")
    trial.told.clear()
    await trial.store.write(trial.say("two"), trial.note)
    await asyncio.sleep(MOMENT)
    expect(await trial.stored(), ["two"], "what is stored")
    expect(trial.told, ["then two", "two"], "what was told afterwards")


@clause("store.cancelled-while-locked")
async def cancelled_while_locked(trial: StoreTrial) -> None:
    """A write that is cancelled while it waits for another program's lock is never done."""
    with trial.locked():
        asked = asyncio.ensure_future(trial.store.write(trial.say("one"), trial.note))
        await asyncio.sleep(MOMENT)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    await trial.store.write(trial.say("two"), trial.note)
    expect(await trial.stored(), ["two"], "what is stored")


@clause("store.values")
async def values(trial: StoreTrial) -> None:
    """Every text that UTF-8 can carry comes back as it was written, and None stays None."""
    for text in ("", "\0", "'; --", "🙂", "ü" * 10_000, "line\r\nline"):
        await trial.store.write(trial.say(text), as_it_is)
        expect((await trial.stored())[-1], text, "a text")
    asked = "SELECT client_message_id FROM messages WHERE conversation_id = ?"
    rows = await trial.store.read(lambda db: db.execute(asked, (trial.conversation,)).fetchall())
    expect({row["client_message_id"] for row in rows}, {None}, "what was None")


@clause("store.other-thread")
async def other_thread(trial: StoreTrial) -> None:
    """In another thread it raises WrongThreadError, and goes on in its own."""

    def elsewhere() -> str:
        try:
            trial.store.write_now(trial.say("one"), trial.note)
        except WrongThreadError:
            return "WrongThreadError"
        return "an answer"

    expect(await asyncio.to_thread(elsewhere), "WrongThreadError", "a write in another thread")
    await trial.store.write(trial.say("two"), as_it_is)
    expect(await trial.stored(), ["two"], "what is stored")


@clause("store.closed")
async def closed(trial: StoreTrial) -> None:
    """close() ends what was asked for before it; every call after it raises an error of the
    library, and a second close() does nothing.
    """
    asked = asyncio.ensure_future(trial.store.write(trial.say("one"), as_it_is))
    await asyncio.sleep(0)
    trial.store.close()
    expect(await in_time(asked, "the write before it does not end"), "one", "the write before it")
    trial.store.close()
    for again in (trial.store.write(nothing, as_it_is), trial.store.read(nothing)):
        await in_time(raised(SupportChatError, again, "a call after close()"), "no end")


def _slow(trial: StoreTrial) -> tuple[Work[str], threading.Event, threading.Event]:
    """Work that says when it has begun, and waits until it may go on."""
    begun, go_on = threading.Event(), threading.Event()

    def work(db: Transaction) -> str:
        begun.set()
        go_on.wait(LIMIT)
        return trial.say("slow")(db)

    return work, begun, go_on


def _once(news: Work[T]) -> Work[T | None]:
    """News that are there once."""
    left = [news]
    return lambda db: left.pop()(db) if left else None


async def _together(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T | BaseException]:
    return await asyncio.gather(*asked, return_exceptions=True)


ORDER: Final = clauses_of(vars(), StoreTrial)
