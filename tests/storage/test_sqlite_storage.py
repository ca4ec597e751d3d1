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
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import TypeVar

import pytest

import support_chat_adapters.storage
from async_tests import in_real_time
from storages import (
    in_a_folder_that_is_a_file,
    in_a_missing_folder,
    names,
    using,
    where_a_folder_is,
)
from support_chat.errors import InvalidInputError, StorageError
from support_chat.testing import run
from support_chat_adapters.storage import SQLiteStorage
from support_chat_adapters.storage.sqlite import storage_error

T = TypeVar("T")
SECRET = "a visitor's secret, 3f9c1d8e7b5a"


@contextlib.contextmanager
def locked(path: Path) -> Generator[None, None, None]:
    """Another user of the file, who keeps it to themselves."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


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


async def delete_it(storage: SQLiteStorage) -> None:
    await storage.delete("secret")


async def replace_it(storage: SQLiteStorage) -> None:
    await storage.replace("secret", f"{SECRET * 7} 3", "another")


async def delete_all(storage: SQLiteStorage) -> None:
    await storage.delete(*await storage.keys())


@pytest.mark.parametrize("remove", [delete_it, replace_it, delete_all])
@in_real_time
async def test_what_is_removed_leaves_no_byte_in_the_folder(
    tmp_path: Path, remove: Callable[[SQLiteStorage], Awaitable[None]]
) -> None:
    async with contextlib.aclosing(SQLiteStorage(tmp_path / "chat.db")) as storage:
        for i in range(200):
            await storage.create(f"before {i}", "x" * (i * 37 % 500))
        await storage.create("secret", f"{SECRET * 7} 0")
        # the value moves between pages, and pages are split and joined around it
        for i in range(3):
            await storage.delete(*(f"before {n}" for n in range(i, 200, 5)))
            await storage.replace("secret", f"{SECRET * 7} {i}", f"{SECRET * 7} {i + 1}")
            for n in range(100):
                await storage.create(f"after {i} {n}", "y" * (n * 53 % 700))
        assert leftovers(tmp_path) == ["chat.db"]
        await remove(storage)
        assert leftovers(tmp_path) == []
        assert names(tmp_path) == ["chat.db", "chat.db.lock"]
    assert leftovers(tmp_path) == []


# --- several processes ----------------------------------------------------------------------------


@in_real_time
async def test_create_and_replace_look_only_after_others_have_finished_writing(
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
                storage.replace("key", "not one", "three"),
            ):
                # although what they would see now asks for no write
                with pytest.raises(StorageError):
                    await look
            other.execute("COMMIT")
        assert await storage.create("key", "three") == "two"


# --- what goes wrong ------------------------------------------------------------------------------


def a_damaged_database_of_others(path: Path) -> Path:
    """One that holds another program's table, and whose second page is gone."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (something_else)")
    using(SQLiteStorage(path), lambda storage: storage.create("key", "one"))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 8192)
    return path


def another_programs_table(path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE support_chat (something_else)")
    return path


def a_read_only_file(path: Path) -> Path:
    """One whose header says that this version of SQLite may not write it: permissions would not
    bind root.
    """
    using(SQLiteStorage(path), lambda storage: storage.create("key", "one"))
    with path.open("r+b") as file:
        file.seek(18)
        file.write(b"\x09")
    return path


UNUSABLE: list[tuple[Callable[[Path], Path], str, str]] = [
    (
        a_damaged_database_of_others,
        "damaged, and holds tables of another program. It was not moved; repair it",
        "SQLITE_CORRUPT",
    ),
    (
        another_programs_table,
        "another program's data. Give the storage a file of its own",
        "SQLITE_ERROR",
    ),
    (a_read_only_file, "cannot be written. Give this process write permission", "SQLITE_READONLY"),
    (
        in_a_missing_folder,
        "cannot be locked: No such file or directory. Create its folder",
        "FileNotFoundError",
    ),
    (
        in_a_folder_that_is_a_file,
        "cannot be locked: Not a directory. Create its folder",
        "NotADirectoryError",
    ),
    (where_a_folder_is, "cannot be opened. The folder must exist", "SQLITE_CANTOPEN"),
]


@pytest.mark.parametrize(
    ("spoilt", "words", "reason"), UNUSABLE, ids=[spoilt.__name__ for spoilt, _, _ in UNUSABLE]
)
def test_an_unusable_file_is_named_with_the_way_out_and_left_as_it_is(
    tmp_path: Path, spoilt: Callable[[Path], Path], words: str, reason: str
) -> None:
    path = spoilt(tmp_path / "chat.db")
    before = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            using(SQLiteStorage(path), lambda storage: storage.create("new key", SECRET))
        assert words in caught.value.message
        assert caught.value.reason == reason
        assert not caught.value.recoverable
        assert "'chat.db" in caught.value.message
        assert str(tmp_path) not in repr(caught.value)  # a folder's name may be a person's
        assert SECRET not in repr(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


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


def test_text_that_utf8_cannot_carry_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        using(SQLiteStorage(tmp_path / "chat.db"), lambda storage: storage.create("key", "\ud800"))


@in_real_time
async def test_a_lock_held_too_long_is_an_error_and_the_next_operation_works(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat.db"
    async with contextlib.aclosing(SQLiteStorage(path, timeout=0.01)) as storage:
        await storage.create("key", "one")
        with locked(path):
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: storage.get("key"),
                lambda: storage.create("key", "two"),
                lambda: storage.delete("key"),
            ]
            for call in calls:
                with pytest.raises(
                    StorageError, match=r"locked for 0\.01 s\. Try again, or allow more"
                ) as caught:
                    await call()
                assert caught.value.recoverable
                assert caught.value.reason == "SQLITE_BUSY"
        assert await storage.get("key") == "one"


@pytest.mark.parametrize(
    "spoilt", [a_damaged_database_of_others, where_a_folder_is], ids=lambda spoilt: spoilt.__name__
)
@in_real_time
async def test_moving_a_bad_file_away_helps_without_a_restart(
    tmp_path: Path, spoilt: Callable[[Path], Path]
) -> None:
    path = await asyncio.to_thread(spoilt, tmp_path / "chat.db")
    async with contextlib.aclosing(SQLiteStorage(path)) as storage:
        with pytest.raises(StorageError):
            await storage.create("new key", "one")
        path.rename(tmp_path / "moved away")
        assert await storage.create("new key", "two") == "two"


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_a_path_that_is_no_file_is_refused_at_once(path: str) -> None:
    with pytest.raises(InvalidInputError, match="use MemoryStorage"):
        SQLiteStorage(path)
    with pytest.raises(InvalidInputError, match="zero or more seconds"):
        SQLiteStorage("chat.db", timeout=-1.0)


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


@in_real_time
async def test_a_cancelled_call_that_waits_for_a_lock_does_not_hold_up_its_caller(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat.db"
    storage = SQLiteStorage(path, timeout=60.0)
    await storage.create("key", "one")
    with locked(path):
        tasks = [asyncio.create_task(storage.replace("key", "one", "two")) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    # whether a cancelled call was done is not known
    assert await storage.get("key") in {"one", "two"}
    assert await storage.create("another key", "three") == "three"
    await storage.aclose()


def test_a_loop_that_is_closed_under_a_call_harms_neither_the_file_nor_later_loops(
    tmp_path: Path,
) -> None:
    async def prepare() -> None:
        await storage.create("key", "one")

    async def look() -> str | None:
        try:
            return await storage.get("key")
        finally:
            await storage.aclose()

    path = tmp_path / "chat.db"
    storage = SQLiteStorage(path, timeout=60.0)
    asyncio.run(prepare())
    with locked(path):
        loop = asyncio.new_event_loop()
        task = loop.create_task(storage.replace("key", "one", "two"))
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
    assert asyncio.run(look()) == "two"
    assert not task.done()


@in_real_time
async def test_a_cancelled_close_closes_all_the_same_after_the_calls_under_way(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cancelled close.db"
    storage = SQLiteStorage(path, timeout=60.0)
    await storage.create("key", "one")
    with locked(path):
        replacing = asyncio.create_task(storage.replace("key", "one", "two"))
        closing = asyncio.create_task(storage.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    assert await replacing == "two"
    for thread in threads_of(path):
        await asyncio.to_thread(thread.join)
    assert open_files(path) == []
    await storage.aclose()


def test_it_has_one_thread_from_the_first_operation_until_it_is_closed(tmp_path: Path) -> None:
    async def main() -> None:
        storage = SQLiteStorage(path)
        assert threads_of(path) == []
        await asyncio.gather(*(storage.create(f"key {i}", "one") for i in range(10)))
        (thread,) = threads_of(path)
        assert thread.daemon
        await storage.aclose()
        await asyncio.to_thread(thread.join)

    path = tmp_path / "one thread.db"
    asyncio.run(main())
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
    with locked(path):
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


def test_sqlite_is_imported_only_by_those_who_use_it() -> None:
    code = (
        "import sys, support_chat_adapters.storage as s; s.MemoryStorage(); assert 'sqlite3' "
        "not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    with pytest.raises(AttributeError, match="no attribute 'SQLightStorage'"):
        _ = support_chat_adapters.storage.SQLightStorage  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
