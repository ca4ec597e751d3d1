"""For each clause of the store suite a store with that fault; the one without is `SQLiteStore`."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from broken import breaker
from support_chat.errors import WrongThreadError
from support_chat_adapters.backend import SQLiteStore, StoreBusyError, Transaction
from support_chat_adapters.backend.conformance import StoreFactory, StorePlace
from support_chat_adapters.backend.in_memory import MemoryBuckets, MemoryTokens
from support_chat_adapters.backend.store import N, T, U, Work, as_it_is

PATIENCE: Final = 0.5

BROKEN: dict[str, Any] = {}
breaks = breaker(BROKEN)


def place(kind: Callable[..., SQLiteStore]) -> StoreFactory:
    """Makes places in a new file, whose stores are of a kind."""

    @asynccontextmanager
    async def made() -> AsyncGenerator[StorePlace, None]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store.db"

            @contextmanager
            def locked() -> Generator[None, None, None]:
                db = sqlite3.connect(path, isolation_level=None)
                try:
                    db.execute("BEGIN IMMEDIATE")
                    yield
                finally:
                    db.close()

            yield StorePlace(lambda: kind(path, patience=PATIENCE), locked, PATIENCE)

    return made


@breaks("store.answers")
class ForgetsThen(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        answer: Any = await super().write(work, as_it_is)
        return cast("U", answer)


@breaks("store.all-or-nothing")
class KeepsHalves(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        failures: list[Exception] = []

        def careless(db: Transaction) -> Any:
            try:
                return work(db)
            except Exception as error:
                failures.append(error)

        answer = await super().write(careless, then)
        if failures:
            raise failures[0]
        return answer


@breaks("store.as-if-alone")
class ReadsBeforeItsTurn(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        seen: dict[str, Any] = {}

        class Recorded:
            def __init__(self, db: Transaction, *, replay: bool) -> None:
                self.db, self.replay = db, replay
                self.settled, self.following, self.begins = db.settled, db.following, db.begins

            def lock(self, *owners: str) -> None: ...

            def execute(self, sql: str, values: Any = (), /) -> Any:
                if not sql.startswith("SELECT"):
                    return self.db.execute(sql, values) if self.replay else _Nothing()
                if not self.replay:
                    seen[sql] = self.db.execute(sql, values).fetchall()
                return iter(seen[sql])

        await self.read(lambda db: work(Recorded(db, replay=False)))
        return await super().write(lambda db: work(Recorded(db, replay=True)), then)


class _Nothing:
    def fetchone(self) -> dict[str, int]:
        return {"number": 0}


@breaks("store.committed-when-told")
class TellsBeforeItCommits(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[U] = loop.create_future()
        has_told = threading.Event()

        def tell(answer: T) -> None:
            told.set_result(then(answer))
            has_told.set()

        def early(db: Transaction) -> T:
            answer = work(db)
            loop.call_soon_threadsafe(tell, answer)
            has_told.wait(5.0)
            return answer

        await super().write(early, as_it_is)
        return await told


@breaks("store.then-in-order")
class TellsTheLastFirst(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        answer = await super().write(work, as_it_is)
        await asyncio.sleep(0.01)
        return then(answer)


@breaks("store.news-follow-their-commit")
class TellsNewsNowAndThen(SQLiteStore):
    def follow(self, news: Work[N | None], tell: Callable[[N], None]) -> None:
        turns = iter(range(10_000))
        super().follow(lambda db: news(db) if next(turns) % 6 == 0 else None, tell)


@breaks("store.news-of-others")
class HearsOnlyItself(SQLiteStore):
    async def read_in_order(self, work: Work[T], then: Callable[[T], U]) -> U:
        return then(await self.read(work))


@breaks("store.news-once")
class TellsTwice(SQLiteStore):
    def follow(self, news: Work[N | None], tell: Callable[[N], None]) -> None:
        def twice(these: N) -> None:
            tell(these)
            tell(these)

        super().follow(news, twice)


@breaks("store.read-in-order")
class ReadsWhenItLikes(SQLiteStore):
    """What was read before there was anything is told when there is something."""

    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        await _in_time(self._event("read"))
        answer = await super().write(work, then)
        self._event("written").set()
        return answer

    async def read_in_order(self, work: Work[T], then: Callable[[T], U]) -> U:
        answer = await self.read(work)
        self._event("read").set()
        await _in_time(self._event("written"))
        return then(answer)

    def _event(self, name: str) -> asyncio.Event:
        event: asyncio.Event = self.__dict__.setdefault(name, asyncio.Event())
        return event


async def _in_time(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5.0):
            await event.wait()


@breaks("store.lock-ends-a-read")
class WritesWhileItReads(SQLiteStore):
    async def read(self, work: Work[T]) -> T:
        def halfway(db: Transaction) -> T:
            work(db)
            return work(db)

        return await super().read(halfway)


@breaks("store.cancelled")
class TellsNobodyWhoHasLeft(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        return then(await super().write(work, as_it_is))


@breaks("store.work-that-waits")
class WorksOnTheLoop(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        return self.write_now(work, then)


@breaks("store.foreign-lock")
class ReadsUnderTheLock(SQLiteStore):
    async def read(self, work: Work[T]) -> T:
        return await self.write(work, as_it_is)


@breaks("store.busy")
class TriesOnAfterItHasGivenUp(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        try:
            return await super().write(work, then)
        except StoreBusyError:
            self.again = asyncio.ensure_future(super().write(work, then))
            raise


@breaks("store.cancelled-while-locked")
class GoesOnForWhoHasLeft(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        return await asyncio.shield(asyncio.ensure_future(super().write(work, then)))


@breaks("store.values")
class EndsTextsAtANul(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        class Cut:
            def __init__(self, db: Transaction) -> None:
                self.db, self.lock = db, db.lock
                self.settled, self.following, self.begins = db.settled, db.following, db.begins

            def execute(self, sql: str, values: Any = (), /) -> Any:
                cut = [v.partition("\0")[0] if isinstance(v, str) else v for v in values]
                return self.db.execute(sql, cut)

        return await super().write(lambda db: work(Cut(db)), then)


@breaks("store.other-thread")
class TakesAnyThread(SQLiteStore):
    def write_now(self, work: Work[T], then: Callable[[T], U]) -> U:
        try:
            return super().write_now(work, then)
        except WrongThreadError:
            return cast("U", "an answer")


@breaks("store.closed")
class ClosesOnce(SQLiteStore):
    over = False

    def close(self) -> None:
        if self.over:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        self.over = True
        super().close()


class HasNoLock(SQLiteStore):
    """Numbers are drawn, and whatever is asked is read, long before there is a lock: a write runs
    beside others on rows of before, and what it says is done again when it is committed.
    """

    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        ahead = _Ahead()
        await asyncio.to_thread(ahead.run, self._path, work)
        return await super().write(ahead.commit, then)


class _Ahead:
    """Work that runs on a copy of the rows, and is committed by repeating what it said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.answer: Any = None

    def run(self, path: str, work: Work[Any]) -> None:
        with contextlib.closing(sqlite3.connect(path)) as source:
            self.db = sqlite3.connect(":memory:", isolation_level=None)
            source.backup(self.db)
        self.db.row_factory = sqlite3.Row
        with contextlib.closing(self.db):
            self.answer = work(self)

    def lock(self, *owners: str) -> None: ...

    def begins(self, owner: str) -> None: ...

    def settled(self, number: int) -> int:
        return number

    def following(self, number: int) -> int:
        return number + 1

    def execute(self, sql: str, values: Any = (), /) -> Any:
        if not sql.startswith("SELECT"):
            self.said.append((sql, values))
        return self.db.execute(sql, values)

    def commit(self, db: Transaction) -> Any:
        for sql, values in self.said:
            db.execute(sql, values)
        return self.answer


@breaks("store.overtaken-told")
class TellsNothingOfWhatIsSlow(SQLiteStore):
    slow = False

    def follow(self, news: Work[N | None], tell: Callable[[N], None]) -> None:
        super().follow(news, lambda these: None if self.slow else tell(these))

    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        def timed(db: Transaction) -> T:
            began = time.monotonic()
            answer = work(db)
            self.slow = time.monotonic() - began > 0.05
            return answer

        return await super().write(timed, then)


@breaks("store.overtaken-replayed")
class SettlesWhatIsToCome(SQLiteStore):
    async def read(self, work: Work[T]) -> T:
        class Ahead:
            def __init__(self, db: Transaction) -> None:
                self.execute, self.lock = db.execute, db.lock
                self.following, self.begins = db.following, db.begins

            def settled(self, number: int) -> int:
                return number + 1

        return await super().read(lambda db: work(Ahead(db)))


@breaks("store.write-in-order")
class TellsWhatCameLaterFirst(SQLiteStore):
    async def write(self, work: Work[T], then: Callable[[T], U]) -> U:
        answer = await super().write(work, as_it_is)
        await asyncio.sleep(0.5)
        await self.read_in_order(lambda db: None, as_it_is)
        return then(answer)


breaks("store.late-request")(HasNoLock)
breaks("store.order-of-an-owner")(HasNoLock)


@breaks("store.token-once")
class LooksBeforeItTakes(SQLiteStore):
    def realtime_tokens(self, lifetime: float) -> MemoryTokens:
        looked_up: dict[str, asyncio.Future[str | None]] = {}

        class Hesitating(MemoryTokens):
            async def redeem(self, token: str) -> str | None:
                if token not in looked_up:
                    looked_up[token] = asyncio.ensure_future(super().redeem(token))
                session = await looked_up[token]
                looked_up.pop(token, None)
                return session

        return Hesitating(lifetime, time.monotonic)


@breaks("store.token-lifetime")
class KeepsTokensForEver(SQLiteStore):
    def realtime_tokens(self, lifetime: float) -> MemoryTokens:
        return super().realtime_tokens(3600.0)


def buckets(clause: str, clock: Callable[[], float] = time.monotonic) -> Callable[[Any], Any]:
    """The store with these buckets breaks the clause."""

    def add(kind: Callable[..., object]) -> object:
        def made(self: SQLiteStore, name: str, per_minute: float) -> object:
            return kind(per_minute, clock)

        breaks(clause, SQLiteStore, "buckets")(made)
        return kind

    return add


buckets("store.bucket-refills", lambda: 0.0)(MemoryBuckets)


@buckets("store.bucket-check")
def takes_to_look(per_minute: float, clock: Callable[[], float]) -> object:
    made = MemoryBuckets(per_minute, clock)
    return SimpleNamespace(take=made.take, check=made.take, knows=made.knows, forget=made.forget)


@breaks("store.bucket-without-limit")
class TakesNoLimitForNothing(SQLiteStore):
    def buckets(self, name: str, per_minute: float) -> MemoryBuckets:
        return super().buckets(name, per_minute or 1.0)


@buckets("store.bucket-of-ones-own")
class HasOneForAll(MemoryBuckets):
    async def take(self, caller: str) -> None:
        await super().take("all")


@buckets("store.bucket-among-many")
class ForgetsTooSoon(MemoryBuckets):
    lately: tuple[str, ...] = ()

    async def take(self, caller: str) -> None:
        await super().take(caller)
        self.lately = (caller, *self.lately)
        for other in self.lately[100:]:
            await self.forget(other)
        self.lately = self.lately[:100]


@buckets("store.bucket-forgotten")
class ForgetsNobody(MemoryBuckets):
    async def forget(self, caller: str) -> None: ...
