"""What every storage owes: the clauses of the port, in real and in virtual time, on one loop after
the other and on several at once; and what those in files and keyrings have in common beyond it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from async_tests import in_real_time, in_virtual_time
from storages import (
    Place,
    in_a_folder_that_is_a_file,
    in_a_missing_folder,
    locked_by_sqlite,
    using,
    where_a_folder_is,
)
from support_chat.errors import InvalidInputError, StorageError
from support_chat.testing import STORAGE_CLAUSES, Clause, StoragePlace, check_storage, run
from support_chat.testing.conformance.storage.place import StorageTrial
from support_chat_adapters.storage import (
    FileLock,
    FileStorage,
    KeyringStorage,
    RedisStorage,
    SQLiteStorage,
)

KINDS = ["memory", "file", "sqlite", "redis", "keyring", "mapping", "shelf"]
SOCKETS = {"redis"}
"""What waits for bytes on a socket, which a loop with virtual time does not."""
NEED_MORE = {
    "storage.only-storage-errors",
    "storage.errors-hide-values",
    "storage.no-residue",
    "storage.one-place",
    "storage.one-winner-of-two",
    "storage.one-remover-of-two",
    "storage.closing-one",
    "storage.one-winner-of-threads",
}
"""Clauses that are tried where a place can be spoilt or shared, in `tests/conformance`."""
MANY_LOOPS = "storage.many-loops"
ALONE = [one for one in STORAGE_CLAUSES if one.id not in NEED_MORE | {MANY_LOOPS}]

every_storage = pytest.mark.parametrize("place", KINDS, indirect=True)
in_a_place = pytest.mark.parametrize("place", ["file", "sqlite", "keyring"], indirect=True)
in_a_file = pytest.mark.parametrize("kind", [FileStorage, SQLiteStorage])


@every_storage
def test_a_storage_keeps_its_port_and_serves_loops_on_many_threads_at_once(place: Place) -> None:
    only = [*(clause.id for clause in ALONE), MANY_LOOPS]
    report = check_storage(lambda: StoragePlace(place.open, many_loops=True), only=only, limit=60.0)
    assert sorted(report.passed) == sorted(only)


@pytest.mark.parametrize("place", [kind for kind in KINDS if kind not in SOCKETS], indirect=True)
@pytest.mark.parametrize("clause", ALONE, ids=lambda clause: clause.id)
@in_virtual_time
async def test_a_storage_keeps_its_port_in_virtual_time(
    place: Place, clause: Clause[StorageTrial]
) -> None:
    async with contextlib.aclosing(place.open()) as storage:
        await clause.body(StorageTrial(storage, None, one_place=True))


@every_storage
@in_real_time
async def test_a_closed_storage_says_what_to_do(place: Place) -> None:
    storage = place.open()
    await storage.aclose()
    calls: Sequence[Callable[[], Awaitable[object]]] = (
        lambda: storage.get("key"),
        lambda: storage.create("key", "two"),
        lambda: storage.delete("key"),
        lambda: storage.keys(),
    )
    for call in calls:
        with pytest.raises(StorageError, match=r"closed; make a new") as caught:
            await call()
        assert not caught.value.recoverable


@every_storage
def test_one_storage_serves_one_loop_after_the_other(place: Place) -> None:
    storage = place.open()

    async def first() -> None:
        await storage.create("key", "one")

    async def second() -> str | None:
        async with contextlib.aclosing(storage):
            return await storage.get("key")

    asyncio.run(first())
    assert (asyncio.run if place.kind in SOCKETS else run)(second()) == "one"


# --- in files and keyrings ------------------------------------------------------------------------


@in_a_file
def test_what_one_object_stored_the_next_one_finds(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "chat"
    assert using(kind(path), lambda storage: storage.create("key", "one")) == "one"
    assert using(kind(str(path)), lambda storage: storage.get("key")) == "one"


@in_a_file
def test_a_later_change_of_the_working_directory_does_not_lead_to_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    storage = kind("chat")
    monkeypatch.chdir(tmp_path / "elsewhere")
    using(storage, lambda storage: storage.create("key", "one"))
    assert (tmp_path / "chat").exists()


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


UNUSABLE: list[tuple[Any, Callable[[Path], Path], str, str]] = [
    (
        SQLiteStorage,
        a_damaged_database_of_others,
        "damaged, and holds tables of another program. It was not moved; repair it",
        "SQLITE_CORRUPT",
    ),
    (
        SQLiteStorage,
        another_programs_table,
        "another program's data. Give the storage a file of its own",
        "SQLITE_ERROR",
    ),
    (
        SQLiteStorage,
        a_read_only_file,
        "cannot be written. Give this process write permission",
        "SQLITE_READONLY",
    ),
    (
        SQLiteStorage,
        in_a_missing_folder,
        "cannot be locked: No such file or directory. Create its folder",
        "FileNotFoundError",
    ),
    (
        SQLiteStorage,
        in_a_folder_that_is_a_file,
        "cannot be locked: Not a directory. Create its folder",
        "NotADirectoryError",
    ),
    (
        SQLiteStorage,
        where_a_folder_is,
        "cannot be opened. The folder must exist",
        "SQLITE_CANTOPEN",
    ),
    (
        FileStorage,
        in_a_missing_folder,
        "No such file or directory. Create its folder",
        "FileNotFoundError",
    ),
    (
        FileStorage,
        in_a_folder_that_is_a_file,
        "Not a directory. Create its folder",
        "NotADirectoryError",
    ),
    (FileStorage, where_a_folder_is, "Is a directory. Check the file", "IsADirectoryError"),
]


@pytest.mark.parametrize(
    ("kind", "spoilt", "words", "reason"), UNUSABLE, ids=lambda one: getattr(one, "__name__", "")
)
def test_an_unusable_file_is_named_with_the_way_out_and_left_as_it_is(
    tmp_path: Path, kind: Any, spoilt: Callable[[Path], Path], words: str, reason: str
) -> None:
    path = spoilt(tmp_path / "chat")
    before = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            using(kind(path), lambda storage: storage.create("new key", "a secret"))
        assert words in caught.value.message
        assert caught.value.reason == reason
        assert not caught.value.recoverable
        assert "'chat" in caught.value.message
        assert str(tmp_path) not in repr(caught.value)  # a folder's name may be a person's
        assert "a secret" not in repr(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


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


LOCKS: list[tuple[Any, Callable[[Path], Any], str, str]] = [
    (
        FileStorage,
        lambda path: FileLock(f"{path}.lock").held(),
        r"kept by another process for 0\.01 s\. Try again",
        "locked",
    ),
    (
        SQLiteStorage,
        locked_by_sqlite,
        r"locked for 0\.01 s\. Try again, or allow more",
        "SQLITE_BUSY",
    ),
]
by_its_lock = pytest.mark.parametrize(
    ("kind", "lock", "words", "reason"), LOCKS, ids=["file", "sqlite"]
)


@by_its_lock
@in_real_time
async def test_a_lock_held_too_long_is_an_error_and_the_next_operation_works(
    tmp_path: Path, kind: Any, lock: Callable[[Path], Any], words: str, reason: str
) -> None:
    path = tmp_path / "chat"
    async with contextlib.aclosing(kind(path, timeout=0.01)) as storage:
        await storage.create("key", "one")
        with lock(path):
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: storage.get("key"),
                lambda: storage.create("key", "two"),
                lambda: storage.delete("key"),
            ]
            for call in calls:
                with pytest.raises(StorageError, match=words) as caught:
                    await call()
                assert caught.value.recoverable
                assert caught.value.reason == reason
        assert await storage.get("key") == "one"


@by_its_lock
@in_real_time
async def test_a_cancelled_call_that_waits_for_a_lock_ends_at_once_and_lands_no_more(
    tmp_path: Path, kind: Any, lock: Callable[[Path], Any], words: str, reason: str
) -> None:
    path = tmp_path / "chat"
    storage = kind(path, timeout=60.0)
    await storage.create("key", "one")
    with lock(path):
        tasks = [
            asyncio.create_task(storage.create("another key", "two")),
            asyncio.create_task(storage.delete("key")),
        ]
        await asyncio.sleep(0.05)  # so that the first is at the lock
        for task in tasks:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert await storage.get("key") == "one"
    assert await storage.create("another key", "three") == "three"
    await storage.aclose()


@pytest.mark.parametrize("place", ["file", "sqlite", "keyring", "redis"], indirect=True)
@pytest.mark.parametrize(("key", "value"), [("another key", "\ud800"), ("key \ud800", "one")])
@in_real_time
async def test_text_that_utf8_cannot_carry_is_a_storage_error_and_changes_nothing(
    place: Place, key: str, value: str
) -> None:
    async with contextlib.aclosing(place.open()) as storage:
        await storage.create("key", "one")
        words = None if place.kind == "sqlite" else r"(?i)pass clean text"
        with pytest.raises(StorageError, match=words):
            await storage.create(key, value)
        assert list(await storage.keys()) == ["key"]


@in_a_place
def test_dropping_an_open_storage_warns_and_ends_its_thread(place: Place) -> None:
    before = set(threading.enumerate())
    storage = place.open()
    asyncio.run(asyncio.wait_for(storage.keys(), 60.0))
    (thread,) = set(threading.enumerate()) - before
    name = type(storage).__name__
    assert thread.daemon
    assert thread.name.startswith(f"{name} ")
    with pytest.warns(ResourceWarning, match=rf"unclosed <{name} '.*'>; call its aclose\(\)"):
        del storage
    thread.join(60.0)
    assert not thread.is_alive()


@in_a_place
def test_dropping_an_unused_or_closed_storage_is_silent(place: Place) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        place.open()
        using(place.open(), lambda storage: storage.keys())
        gc.collect()
    assert caught == []


# --- what cannot be made --------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[], object], str]] = [
    (partial(FileStorage, ""), "needs the path of a file"),
    (partial(SQLiteStorage, ""), "use MemoryStorage"),
    (partial(SQLiteStorage, ":memory:"), "use MemoryStorage"),
    (partial(KeyringStorage, ""), "name of a service"),
    (partial(RedisStorage, "redis://localhost", ttl=0), r"ttl=\.\.\."),
    (partial(RedisStorage, "redis://localhost", ttl=-1.0), r"ttl=\.\.\."),
    (partial(RedisStorage, "redis://localhost", ttl=float("nan")), r"ttl=\.\.\."),
    (partial(RedisStorage, "redis://localhost", ttl=float("inf")), r"ttl=\.\.\."),
    (partial(RedisStorage, "redis://localhost", timeout=0), r"timeout=\.\.\."),
    (partial(cast("Any", RedisStorage), redis.Redis()), r"a redis\.asyncio\.Redis, not Redis"),
    (
        partial(FileStorage, "chat.json", timeout=-1.0),
        r"FileStorage\(timeout=\.\.\.\) must be zero or more seconds",
    ),
    (
        partial(SQLiteStorage, "chat.db", timeout=-1.0),
        r"SQLiteStorage\(timeout=\.\.\.\) must be zero or more seconds",
    ),
    (
        partial(KeyringStorage, timeout=-1.0),
        r"KeyringStorage\(timeout=\.\.\.\) must be zero or more seconds",
    ),
    (
        partial(FileLock, "lock", timeout=-1.0),
        r"FileLock\(timeout=\.\.\.\) must be zero or more seconds",
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_arguments_that_cannot_be_are_refused_at_once(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        make()


@pytest.mark.parametrize(
    ("made", "library", "extra"),
    [
        ("FileStorage()", "platformdirs", "file"),
        ("FileStorage('chat.json')", "platformdirs", None),
        ("KeyringStorage()", "keyring", "keyring"),
        ("RedisStorage('redis://x')", "redis", "redis"),
    ],
)
def test_without_its_extra_a_storage_says_the_line_that_installs_it(
    tmp_path: Path, made: str, library: str, extra: str | None
) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None; from support_chat_adapters.storage import "
        f"*; {made}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (extra is None)
    assert extra is None or f'pip install "support-chat[{extra}]"' in done.stderr


MODULES = {
    "FileStorage": "file",
    "SQLiteStorage": "sqlite",
    "RedisStorage": "redis",
    "KeyringStorage": "keyring",
    "MappingStorage": "mapping",
    "FileLock": "file_lock",
}


KINDS_OF_MODULES = sorted(set(MODULES.values()) - {"file_lock"})


@pytest.mark.parametrize("name", ["MemoryStorage", *MODULES])
def test_each_is_imported_only_when_it_is_asked_for_and_no_library_before_it_is_made(
    name: str,
) -> None:
    code = f"""
import sys
import support_chat_adapters.storage as storage
storage.{name}
package = storage.__name__ + "."
print(sorted(module for module in {KINDS_OF_MODULES} if package + module in sys.modules))
print([library for library in ("redis", "keyring", "platformdirs") if library in sys.modules])
print("sqlite3" in sys.modules, sorted(set(storage.__all__)) == storage.__all__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    module = MODULES.get(name, "memory")
    imported = [module] if module not in ("memory", "file_lock") else []
    assert done.stdout == f"{imported}\n[]\n{name == 'SQLiteStorage'} True\n"
