"""What every storage owes: the clauses of the port, in real and in virtual time, on one loop after
the other and on several at once; and what those in files and keyrings have in common beyond it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from async_tests import in_real_time, in_virtual_time
from storages import using
from support_chat.errors import StorageError
from support_chat.testing import STORAGE_CLAUSES, Clause, StoragePlace, check_storage, run
from support_chat.testing.conformance.storage.place import StorageTrial
from support_chat_adapters.storage import FileStorage, SQLiteStorage

if TYPE_CHECKING:
    from tests.storage.conftest import Place

KINDS = ["memory", "file", "sqlite", "redis", "keyring", "mapping", "shelf"]
SOCKETS = {"redis"}
"""What waits for bytes on a socket, which a loop with virtual time does not."""
NEED_MORE = {
    "storage.only-storage-errors",
    "storage.errors-hide-values",
    "storage.no-residue",
    "storage.one-place",
    "storage.one-winner-of-two",
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
        lambda: storage.replace("key", "one", "two"),
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
