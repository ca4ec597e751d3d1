"""The store in a file: many requests share a commit, nobody holds a lock that is not needed, the
write-ahead log stays short, and a backend on it delivers each message once whatever happens at
once. What every store promises is in tests/conformance.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from long_history import WatchedStore
from support_chat.errors import StorageError
from support_chat.ports import Credentials, MessageArrived, Outgoing
from support_chat_adapters.backend import Backend, SQLiteStore, operations, sqlite_line
from support_chat_adapters.backend.store import Transaction, as_it_is

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
LIMIT = 60.0


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs it in real time, with a limit."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await main()

    asyncio.run(limited())


class Gate:
    """Work that keeps the writer until it is let go."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, db: Transaction) -> None:
        self.begun.set()
        self.open.wait(LIMIT)


async def kept_busy(store: SQLiteStore) -> tuple[Gate, asyncio.Future[None]]:
    """The writer is at work, until the gate is opened; the future is done when it has committed."""
    gate = Gate()
    working = asyncio.ensure_future(store.write(gate, as_it_is))
    assert await asyncio.to_thread(gate.begun.wait, LIMIT)
    return gate, working


def test_requests_that_come_while_one_is_committed_share_the_next_commit(tmp_path: Path) -> None:
    store = WatchedStore(tmp_path / "chat.db")

    async def main() -> None:
        with Backend(store, **WIDGET) as backend:
            gate, first = await kept_busy(store)
            with store.watched():
                asked = [
                    asyncio.ensure_future(
                        backend.ask(operations.dial(Credentials(**WIDGET, visitor=f"v-{n}")))
                    )
                    for n in range(50)
                ]
                await asyncio.sleep(0)
                gate.open.set()
                await asyncio.gather(first, *asked)
            said = [each for each in store.statements if each.startswith(("BEGIN", "COMMIT"))]
            assert said.count("BEGIN IMMEDIATE") == 1
            assert len(backend.agent.visitors()) == 50

    run(main)


def test_what_writes_begins_immediate_and_what_reads_takes_no_write_lock(tmp_path: Path) -> None:
    """Else one that reads first would be refused at once where another program writes, whatever
    its patience.
    """
    store = WatchedStore(tmp_path / "chat.db")

    async def main() -> None:
        with Backend(store, **WIDGET) as backend, store.watched():
            dial = operations.dial(Credentials(**WIDGET, visitor="v"))
            session = (await backend.ask(dial)).welcome.session
            await backend.ask(operations.send(session, Outgoing("m", "hello")))
            (await backend.listen(session, "0")).close("goodbye")
            await backend.keep_up()
            await backend.ask(operations.revoke(session))

    run(main)
    writing = False
    for statement in store.statements:
        word = statement.split()[0]
        if word in ("BEGIN", "COMMIT"):
            writing = statement == "BEGIN IMMEDIATE"
        assert word not in ("INSERT", "UPDATE", "DELETE") or writing, statement
    assert "BEGIN" in store.statements, "or nothing was read"


def test_each_request_of_a_shared_commit_fails_alone(tmp_path: Path) -> None:
    store = WatchedStore(tmp_path / "chat.db")

    async def main() -> None:
        with Backend(store, **WIDGET) as backend:
            gate, first = await kept_busy(store)
            dial = operations.dial
            asked = [
                asyncio.ensure_future(backend.ask(dial(Credentials(**WIDGET, visitor=visitor))))
                for visitor in ("a", "", "b", "")
            ]
            await asyncio.sleep(0)
            gate.open.set()
            done = await asyncio.gather(*asked, return_exceptions=True)
            await first
            assert [getattr(each, "code", "done") for each in done] == [
                "done",
                "validation_error",
                "done",
                "validation_error",
            ]
            assert len(backend.agent.visitors()) == 2

    run(main)


def fill_log(backend: Backend, session: str, times: int) -> None:
    for n in range(times):
        backend.send(session, Outgoing(f"m-{n}-{times}", "x" * 30_000))


def test_ctrl_c_around_any_statement_of_work_done_at_once_goes_up_and_the_store_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(db: sqlite3.Connection, *statement: Any) -> sqlite3.Cursor:
        interrupted()
        cursor = sqlite3.Connection.execute(db, *statement)
        interrupted()
        return cursor

    def interrupted() -> None:
        if next(left, None) == 0:
            signal.raise_signal(signal.SIGINT)

    def asked(db: Transaction) -> int:
        ran.append(len(db.execute("SELECT * FROM sqlite_master").fetchall()))
        return ran[-1]

    def asked_to_write(db: Transaction) -> int:
        db.lock("everybody")
        return asked(db)

    ran: list[int] = []
    left: Iterator[int] = iter(())
    monkeypatch.setattr(sqlite_line.SQLiteConnection, "execute", execute)
    for path in (":memory:", tmp_path / "chat.db"):
        with closing(WatchedStore(path)) as store:
            store.follow(lambda db: asked(db) and None, print)
            for now, work in ((store.write_now, asked_to_write), (store.read_now, asked)):
                with store.watched():
                    tables = now(work, as_it_is)
                assert len(store.statements) >= 4
                for place in range(2 * len(store.statements)):
                    left = iter(range(place, -1, -1))
                    with pytest.raises(KeyboardInterrupt):
                        now(work, as_it_is)
                    assert now(work, as_it_is) == tables
    assert caplog.messages == []


def test_the_write_ahead_log_stays_short_beside_readers_and_is_told_of_where_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_line, "LONG_LOG", 512 * 1024)
    monkeypatch.setattr(sqlite_line, "TOO_LONG_LOG", 2 * 2**20)
    path, log = tmp_path / "chat.db", tmp_path / "chat.db-wal"
    with Backend(path, **WIDGET) as backend, closing(sqlite3.connect(path)) as reader:
        session = backend.open(Credentials(**WIDGET, visitor="v")).welcome.session
        for turn in range(20):
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM messages").fetchall()
            fill_log(backend, session, 5 + turn % 2)
            reader.execute("COMMIT")
            assert log.stat().st_size < 2 * 2**20, turn
        assert not caplog.records

        reader.execute("BEGIN")  # and forgotten
        reader.execute("SELECT count(*) FROM messages").fetchall()
        caplog.set_level(logging.WARNING)
        fill_log(backend, session, 120)
        assert log.stat().st_size > 2 * 2**20
        warned = [record.getMessage() for record in caplog.records]
        assert len(warned) in range(1, 4), "once for each doubling"
        assert "write-ahead log" in warned[0]

        reader.execute("COMMIT")
        fill_log(backend, session, 300)
        assert log.stat().st_size < 2 * 2**20


@pytest.mark.parametrize(("options", "level"), [({}, 2), ({"durable": False}, 1)])
def test_what_a_power_cut_may_lose_is_chosen(
    options: dict[str, Any], level: int, tmp_path: Path
) -> None:
    store = SQLiteStore(tmp_path / "chat.db", **options)
    with closing(store):
        asked = "PRAGMA synchronous"
        (row,) = store.read_now(lambda db: db.execute(asked).fetchall(), as_it_is)
        assert tuple(row) == (level,)


def test_a_store_has_no_thread_until_one_is_needed_and_none_when_it_is_closed(
    tmp_path: Path,
) -> None:
    def threads() -> set[str]:
        return {each.name for each in threading.enumerate() if "chat.db" in each.name}

    with Backend(tmp_path / "chat.db", **WIDGET) as backend:
        session = backend.open(Credentials(**WIDGET, visitor="v")).welcome.session
        backend.agent.visitors()
        assert threads() == set()
        for _ in range(2):  # as a program that runs one loop after the other
            asyncio.run(backend.keep_up())
            asyncio.run(backend.ask(operations.reading("listen", session, lambda db, owner: None)))
        assert threads() == {"writer chat.db", "reader chat.db"}
        backend.send(session, Outgoing("m", "from the same thread, beside them"))
    assert threads() == set()
    with pytest.raises(StorageError, match="closed"):
        backend.agent.visitors()


def test_a_disk_that_is_full_fails_who_asks_and_nobody_else_once_there_is_room(
    tmp_path: Path,
) -> None:
    store = WatchedStore(tmp_path / "chat.db")

    async def main() -> None:
        with Backend(store, **WIDGET) as backend:
            session = backend.open(Credentials(**WIDGET, visitor="v")).welcome.session
            (pages,) = store.rows("PRAGMA page_count")[0]
            store.rows(f"PRAGMA max_page_count = {pages + 4}")
            answered: list[str] = []

            async def fill() -> None:
                for n in range(100):
                    message = Outgoing(f"m-{n}", "x" * 16_000)
                    answered.append((await backend.ask(operations.send(session, message))).id)

            with pytest.raises(sqlite3.OperationalError, match="full"):
                await fill()
            stored = [
                message.id
                for conversation in backend.conversations(session)
                for message in backend.messages(session, conversation.id)
            ]
            assert sorted(stored) == sorted(answered)
            store.rows("PRAGMA max_page_count = 100000")
            await backend.ask(operations.send(session, Outgoing("last", "y")))
            assert backend.agent.duplicates() == 0

    run(main)


@pytest.mark.parametrize("page", [3, 100])
def test_links_that_come_while_others_write_get_each_message_once_and_in_order(
    page: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever moment a link passes from its replay to what is live."""
    monkeypatch.setattr("support_chat_adapters.backend.stream.AT_ONCE", page)
    count, path = 150, tmp_path / "chat.db"

    async def main() -> None:
        with Backend(path, **WIDGET) as backend, Backend(path, **WIDGET) as operator:
            dial = operations.dial(Credentials(**WIDGET, visitor="v"))
            session = (await backend.ask(dial)).welcome.session
            writer = (await backend.ask(dial)).welcome.session
            first = await backend.ask(operations.send(writer, Outgoing("m", "0")))
            ended = asyncio.Event()

            async def write() -> None:
                for n in range(1, count):
                    text = Outgoing(f"m-{n}", f"{n}", first.conversation_id)
                    if n % 10 == 0:
                        operator.agent.reply(first.conversation_id, f"{n}")
                    elif n % 7 == 0:
                        backend.agent.reply(first.conversation_id, f"{n}")
                    else:
                        await backend.ask(operations.send(writer, text))

            async def look() -> None:
                while not ended.is_set():
                    await backend.keep_up()
                    await asyncio.sleep(0.002)

            async def read(after: int) -> list[str]:
                connection = await backend.listen(session, str(after))
                came: list[str] = []
                while len(came) < count - after:
                    event = await connection.next()
                    assert isinstance(event, MessageArrived)
                    came.append(event.message.text)
                connection.close("goodbye")
                return came

            async def come_and_go() -> list[str]:
                came: list[str] = []
                while len(came) < count:
                    connection = await backend.listen(session, str(len(came)))
                    for _ in range(min(4, count - len(came))):
                        event = await connection.next()
                        assert isinstance(event, MessageArrived)
                        came.append(event.message.text)
                    connection.close("goodbye")
                return came

            looking = asyncio.ensure_future(look())
            writing = asyncio.ensure_future(write())
            links: list[asyncio.Future[list[str]]] = []
            for n in range(12):
                links.append(asyncio.ensure_future(read(0 if n % 2 else n // 4)))
                await asyncio.sleep(0.003)
            links.append(asyncio.ensure_future(come_and_go()))
            await writing
            for n, came in enumerate(await asyncio.gather(*links)):
                wanted = [f"{number}" for number in range(count)]
                assert came == wanted[count - len(came) :], n
            ended.set()
            await looking

    run(main)
