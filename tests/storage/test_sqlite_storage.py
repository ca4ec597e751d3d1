"""What SQLiteStorage owes beyond the port: a private file that two processes share, and that tells
what is wrong with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import support_chat_adapters.storage
from async_tests import in_real_time
from storages import locked_by_sqlite, names, using
from support_chat.errors import StorageError
from support_chat.testing import run
from support_chat_adapters.storage import SQLiteStorage
from support_chat_adapters.storage.sqlite import storage_error

SECRET = "a visitor's secret, 3f9c1d8e7b5a"


# --- the file -------------------------------------------------------------------------------------


def test_the_file_appears_with_the_first_operation_not_before(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "chat.db")
    assert list(tmp_path.iterdir()) == []
    using(storage, lambda storage: storage.get("key"))
    assert names(tmp_path) == ["chat.db", "chat.db.lock"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_only_the_owner_can_read_a_file_it_creates_and_its_journal(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        using(SQLiteStorage(tmp_path / "chat.db"), lambda storage: storage.create("key", "one"))
        with contextlib.closing(
            sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM support_chat")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"chat.db": 0o600, "chat.db-journal": 0o600, "chat.db.lock": 0o600}


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_mode_of_a_file_that_was_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    path.touch()
    path.chmod(0o640)
    using(SQLiteStorage(path), lambda storage: storage.create("key", "one"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def leftovers(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if SECRET.encode() in file.read_bytes()]


async def delete_all(storage: SQLiteStorage) -> None:
    await storage.delete(*await storage.keys())


REMOVALS: dict[str, Callable[[SQLiteStorage], Awaitable[object]]] = {
    "delete it": lambda storage: storage.delete("secret"),
    "delete all": delete_all,
}


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
@in_real_time
async def test_what_is_removed_leaves_no_byte_in_the_folder(
    tmp_path: Path, remove: Callable[[SQLiteStorage], Awaitable[object]]
) -> None:
    async with contextlib.aclosing(SQLiteStorage(tmp_path / "chat.db")) as storage:
        for i in range(200):
            await storage.create(f"before {i}", "x" * (i * 37 % 500))
        await storage.create("secret", f"{SECRET * 7} 0")
        # the value moves between pages, and pages are split and joined around it
        for i in range(3):
            await storage.delete(*(f"before {n}" for n in range(i, 200, 5)))
            await storage.delete("secret")
            await storage.create("secret", f"{SECRET * 7} {i + 1}")
            for n in range(100):
                await storage.create(f"after {i} {n}", "y" * (n * 53 % 700))
        assert leftovers(tmp_path) == ["chat.db"]
        await remove(storage)
        assert leftovers(tmp_path) == []
        assert names(tmp_path) == ["chat.db", "chat.db.lock"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("content", ["x'ff00'", "CAST(x'ff00' AS TEXT)"])
def test_what_is_no_text_is_deleted_and_not_answered(tmp_path: Path, content: str) -> None:
    path = tmp_path / "chat.db"
    using(SQLiteStorage(path), lambda storage: storage.create("key", "one"))
    using(SQLiteStorage(path), lambda storage: storage.create("another", "one"))
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE support_chat SET value = {content} WHERE key = 'key'")
    assert using(SQLiteStorage(path), lambda storage: storage.delete("key", "another")) == {
        "another": "one"
    }
    assert using(SQLiteStorage(path), lambda storage: storage.keys()) == ()
    assert names(tmp_path) == ["chat.db", "chat.db.lock"], "nothing was set aside"


# --- several processes ----------------------------------------------------------------------------


@in_real_time
async def test_create_and_delete_look_only_after_others_have_finished_writing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat.db"
    async with contextlib.aclosing(SQLiteStorage(path, timeout=0.0)) as storage:
        await storage.create("key", "one")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE support_chat SET value = 'two'")
            assert await storage.get("key") == "one"
            for look in (
                storage.create("key", "three"),
                storage.delete("no key"),
            ):
                # although what they would see now asks for no write
                with pytest.raises(StorageError):
                    await look
            other.execute("COMMIT")
        assert await storage.create("key", "three") == "two"


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_may_pass() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as full:
            connection.execute("CREATE TABLE more (than_one_page)")
    error = storage_error(full.value, "chat.db", 3.0)
    assert "disk is full. Free some space" in error.message
    assert error.recoverable


def test_an_error_of_sqlite_without_a_name_is_told_in_its_words() -> None:
    error = storage_error(sqlite3.ProgrammingError("odd"), "chat.db", 3.0)
    assert (
        error.message
        == "The storage file 'chat.db' could not be used: SQLite failed (odd). Try again, or "
        "choose another path."
    )


def threads_of(path: Path) -> list[threading.Thread]:
    return [
        thread for thread in threading.enumerate() if thread.name == f"SQLiteStorage {path.name}"
    ]


def open_files(path: Path) -> list[str]:
    """Which descriptors of this process are open on `path`; none where the system does not list
    them.
    """
    with contextlib.suppress(FileNotFoundError):
        return [
            fd
            for fd in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{fd}")
            and os.path.samefile(f"/proc/self/fd/{fd}", path)
        ]
    return []


# --- threads, loops, cancellation -----------------------------------------------------------------


def test_a_loop_that_is_closed_under_a_call_harms_neither_the_file_nor_later_loops(
    tmp_path: Path,
) -> None:
    async def look() -> str | None:
        try:
            return await storage.get("key")
        finally:
            await storage.aclose()

    path = tmp_path / "chat.db"
    storage = SQLiteStorage(path, timeout=60.0)
    using(SQLiteStorage(path), lambda storage: storage.create("key", "one"))
    with locked_by_sqlite(path):
        loop = asyncio.new_event_loop()
        task = loop.create_task(storage.delete("key"))
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
    assert asyncio.run(look()) is None
    assert not task.done()


@in_real_time
async def test_a_cancelled_close_closes_all_the_same_after_the_calls_under_way(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cancelled close.db"
    storage = SQLiteStorage(path, timeout=60.0)
    await storage.create("key", "one")
    with locked_by_sqlite(path):
        deleting = asyncio.create_task(storage.delete("key"))
        closing = asyncio.create_task(storage.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    assert await deleting == {"key": "one"}
    for thread in threads_of(path):
        await asyncio.to_thread(thread.join)
    assert open_files(path) == []
    await storage.aclose()


@in_real_time
async def test_it_has_one_thread_from_the_first_operation_until_it_is_closed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "one thread.db"
    storage = SQLiteStorage(path)
    assert threads_of(path) == []
    await asyncio.gather(*(storage.create(f"key {i}", "one") for i in range(10)))
    (thread,) = threads_of(path)
    assert thread.daemon
    await storage.aclose()
    await asyncio.to_thread(thread.join)
    assert threads_of(path) == []


HANGS = """
import asyncio, sys
from support_chat_adapters.storage import SQLiteStorage

async def main():
    task = asyncio.create_task(SQLiteStorage(sys.argv[1], timeout=1000.0).get("key"))
    await asyncio.sleep(0)
    task.cancel()

asyncio.run(main())
"""


def test_an_operation_that_hangs_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    using(SQLiteStorage(path), lambda storage: storage.keys())
    with locked_by_sqlite(path):
        subprocess.run([sys.executable, "-c", HANGS, str(path)], check=True, timeout=120)


def test_virtual_time_stands_still_while_the_file_is_used(tmp_path: Path) -> None:
    async def main() -> float:
        storage = SQLiteStorage(tmp_path / "chat.db")
        for i in range(20):
            async with asyncio.timeout(0.001):  # virtual: real SQLite takes longer than this
                await storage.create(f"key {i}", "one")
        await storage.aclose()
        return asyncio.get_running_loop().time()

    assert run(main()) == 0.0


def test_a_misspelt_storage_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'SQLightStorage'"):
        _ = support_chat_adapters.storage.SQLightStorage  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
