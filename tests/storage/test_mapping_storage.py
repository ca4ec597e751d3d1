"""What MappingStorage owes beyond the port: it leaves the mapping its owner's, and takes the lock
that it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dbm
import pickle
import shelve
import sys
import threading
import types
from collections.abc import Generator, Iterator, MutableMapping
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from async_tests import in_real_time
from storages import Warned, using
from support_chat.errors import StorageError
from support_chat_adapters.storage import FileLock, MappingStorage


def test_the_values_are_the_mappings_own_entries_and_stay_when_the_storage_is_closed() -> None:
    mapping = {"theirs": "x"}
    using(MappingStorage(mapping), lambda storage: storage.create("key", "one"))
    assert mapping == {"theirs": "x", "key": "one"}
    assert using(MappingStorage(mapping), lambda storage: storage.get("key")) == "one"


@in_real_time
async def test_it_reads_and_writes_in_the_callers_thread_and_context() -> None:
    """Where a web framework's session is found: Flask's is a proxy that looks into the context."""

    @attrs.define
    class Session(MutableMapping[str, str]):
        def __getitem__(self, key: str) -> str:
            return current.get()[key]

        def __setitem__(self, key: str, value: str) -> None:
            current.get()[key] = value

        def __delitem__(self, key: str) -> None:
            del current.get()[key]

        def __iter__(self) -> Iterator[str]:
            return iter(current.get())

        def __len__(self) -> int:
            return len(current.get())

    current = contextvars.ContextVar[dict[str, str]]("current")

    async def of(request: dict[str, str]) -> None:
        current.set(request)
        await storage.create("key", f"of {threading.get_ident()}")

    first, second = dict[str, str](), dict[str, str]()
    storage = MappingStorage(Session())
    await asyncio.gather(of(first), of(second))
    assert first == second == {"key": f"of {threading.get_ident()}"}


def test_two_storages_on_one_mapping_are_atomic_against_each_other() -> None:
    class Interrupted(dict[str, str]):
        """While the first value is stored, another thread wants to store its own."""

        def __setitem__(self, key: str, value: str) -> None:
            if value == "first":
                other.start()
                second_is_done.wait(0.1)  # in vain
            super().__setitem__(key, value)

    def create_second() -> None:
        answers.append(
            using(MappingStorage(mapping), lambda storage: storage.create("key", "second"))
        )
        second_is_done.set()

    mapping, answers = Interrupted(), list[str]()
    second_is_done, other = threading.Event(), threading.Thread(target=create_second)
    answers.append(using(MappingStorage(mapping), lambda storage: storage.create("key", "first")))
    other.join()
    assert answers == ["first", "first"]
    assert mapping == {"key": "first"}


@pytest.mark.parametrize("in_the_way", [7, None, b"one"])
def test_what_is_no_text_is_deleted_and_not_answered(in_the_way: object) -> None:
    mapping = cast("Any", {"key": in_the_way, "another": "two", "theirs": 7})
    removed = using(
        MappingStorage(mapping), lambda storage: storage.delete("key", "another", "absent")
    )
    assert removed == {"another": "two"}
    assert mapping == {"theirs": 7}


# --- its lock -------------------------------------------------------------------------------------


@in_real_time
async def test_each_operation_holds_the_lock_once_around_all_that_it_does() -> None:
    class Watched(dict[str, str]):
        def __getitem__(self, key: str) -> str:
            assert log[-1] == "in"
            return super().__getitem__(key)

        def __setitem__(self, key: str, value: str) -> None:
            assert log[-1] == "in"
            super().__setitem__(key, value)

    @contextlib.contextmanager
    def lock() -> Generator[None, None, None]:
        log.append("in")
        yield
        log.append("out")

    log = ["out"]
    async with contextlib.aclosing(MappingStorage(Watched(), lock=lock)) as storage:
        await storage.create("key", "one")
        await storage.create("key", "two")
        await storage.get("key")
        await storage.keys()
        await storage.delete("key")
    assert log == ["out", *["in", "out"] * 5]


@in_real_time
async def test_a_lock_that_cannot_be_had_is_a_storage_error_and_nothing_is_done(
    tmp_path: Path,
) -> None:
    def no_lock() -> contextlib.AbstractContextManager[None]:
        raise RuntimeError("a secret")

    mapping = dict[str, str]()
    async with contextlib.aclosing(
        MappingStorage(mapping, lock=FileLock(tmp_path / "lock", timeout=0.01).held)
    ) as storage:
        with (
            FileLock(tmp_path / "lock").held(),
            pytest.raises(StorageError, match="kept by another process"),
        ):
            await storage.create("key", "one")
        with pytest.raises(StorageError, match="RuntimeError") as caught:
            await MappingStorage(mapping, lock=no_lock).create("key", "one")
        assert "a secret" not in repr(caught.value)
    assert mapping == {}


# --- shelves --------------------------------------------------------------------------------------


@attrs.define(slots=False)
class Syncing(dict[str, str]):
    """A mapping that notes when it is told to write what it holds."""

    synced: list[dict[str, str]] = attrs.field(factory=list[dict[str, str]])

    def sync(self) -> None:
        self.synced.append(dict(self))


@in_real_time
async def test_after_each_change_the_mapping_is_told_to_write() -> None:
    mapping = Syncing()
    async with contextlib.aclosing(MappingStorage(mapping)) as storage:
        await storage.get("key")
        await storage.keys()
        assert mapping.synced == []
        await storage.create("key", "one")
        await storage.create("another", "two")
        await storage.delete("key")
        assert mapping.synced == [
            {"key": "one"},
            {"key": "one", "another": "two"},
            {"another": "two"},
        ]


def test_a_shelf_keeps_it_for_the_next_process_even_if_nobody_closes_it(tmp_path: Path) -> None:
    shelf = shelve.open(str(tmp_path / "shelf"))  # noqa: SIM115  # which is the point
    using(MappingStorage(shelf), lambda storage: storage.create("key", "one"))
    with shelve.open(str(tmp_path / "shelf")) as reopened:
        assert reopened["key"] == "one"
    shelf.close()


class Ndbm:
    """What `dbm.ndbm` opens: a file that stays open, and is written when it is closed."""

    def __init__(self, path: str, flag: str) -> None:
        self._file = open(f"{path}.db", "rb+" if flag == "w" else "wb+")  # noqa: SIM115
        self._entries: dict[bytes, bytes] = pickle.loads(self._file.read() or pickle.dumps({}))

    def __getitem__(self, key: bytes) -> bytes:
        if not self._entries[key]:
            raise KeyError(key)  # as Berkeley's does, though it lists the key and removes it
        return self._entries[key]

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._entries[key] = value

    def __delitem__(self, key: bytes) -> None:
        del self._entries[key]

    def __contains__(self, key: bytes) -> bool:
        return bool(self._entries.get(key))

    def keys(self) -> list[bytes]:
        return list(self._entries)

    def close(self) -> None:
        if not self._file.closed:
            self._file.seek(0)
            self._file.write(pickle.dumps(self._entries))
            self._file.close()


Ndbm.__module__ = "_dbm"


@pytest.fixture
def ndbm(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """`dbm.ndbm`, which not every build of Python has."""
    module = types.ModuleType("dbm.ndbm")
    vars(module)["open"] = Ndbm
    monkeypatch.setitem(sys.modules, "dbm.ndbm", module)
    monkeypatch.setattr(dbm, "ndbm", module, raising=False)
    return module


def found(path: Path) -> dict[str, str]:
    """What is on disk now, for a second opener."""
    entries = pickle.loads(path.with_suffix(".db").read_bytes() or pickle.dumps({}))
    return {key.decode(): pickle.loads(value) for key, value in entries.items()}


@pytest.mark.usefixtures("ndbm")
def test_what_a_shelf_on_ndbm_was_told_is_on_disk_when_it_is_answered(tmp_path: Path) -> None:
    async def use(storage: MappingStorage) -> None:
        await storage.create("key", "one")
        assert found(path) == {"key": "one"}
        await storage.create("another", "two")
        assert found(path) == {"key": "one", "another": "two"}
        await storage.delete("key")
        assert found(path) == {"another": "two"}

    path = tmp_path / "shelf"
    with shelve.Shelf[Any](cast("Any", Ndbm(str(path), "n"))) as shelf:
        using(MappingStorage(shelf), use)
        shelf["theirs"] = "x"
    assert found(path) == {"another": "two", "theirs": "x"}


@pytest.mark.usefixtures("ndbm")
def test_an_empty_value_that_ndbm_denies_is_removed_all_the_same(tmp_path: Path) -> None:
    with shelve.Shelf[Any](cast("Any", Ndbm(str(tmp_path / "shelf"), "n"))) as shelf:
        cast("Any", shelf).dict[b"key"] = b""
        using(MappingStorage(shelf), lambda storage: storage.delete("key"))
        assert list(shelf) == []


@pytest.mark.usefixtures("ndbm")
def test_an_ndbm_file_that_cannot_be_found_again_is_told(tmp_path: Path) -> None:
    path = tmp_path / "shelf"
    with shelve.Shelf[Any](cast("Any", Ndbm(str(path), "n"))) as shelf:
        path.with_suffix(".db").rename(tmp_path / "moved")
        with pytest.raises(StorageError, match=r"cannot be found again; open the shelf on"):
            using(MappingStorage(shelf), lambda storage: storage.create("key", "one"))


def test_a_closed_shelf_is_a_storage_error(tmp_path: Path) -> None:
    with shelve.open(str(tmp_path / "shelf")) as shelf:
        pass
    with pytest.raises(
        StorageError, match=r"behind MappingStorage failed \(ValueError\)\. See that it is open"
    ):
        using(MappingStorage(shelf), lambda storage: storage.get("key"))


@in_real_time
async def test_a_value_that_a_shelf_cannot_read_is_reported_and_survived(
    tmp_path: Path, warned: Warned
) -> None:
    with shelve.open(str(tmp_path / "shelf")) as shelf:
        async with contextlib.aclosing(MappingStorage(shelf)) as storage:
            for _ in range(2):
                cast("Any", shelf).dict[b"key"] = b"no pickle"
                assert await storage.get("key") is None
                assert "'key' of the mapping is damaged: it cannot be read" in warned()[0]
                assert await storage.create("key", "one") == "one"
            warned()
            cast("Any", shelf).dict[b"key"] = b""
            await storage.delete("key")
            assert list(await storage.keys()) == []


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [7, None, b"bytes", ["list"]], ids=repr)
@in_real_time
async def test_a_value_that_is_not_text_is_reported_set_aside_and_survived(
    value: object, warned: Warned
) -> None:
    mapping: dict[Any, Any] = {"key": value, "key:corrupt-1": "of long ago", 7: "theirs"}
    async with contextlib.aclosing(MappingStorage(mapping)) as storage:
        assert await storage.get("key") is None
        (warning,) = warned()
        assert f"of type {type(value).__name__}" in warning
        assert "set aside as 'key:corrupt-2'" in warning
        assert mapping == {"key:corrupt-1": "of long ago", "key:corrupt-2": value, 7: "theirs"}
        assert await storage.create("key", "one") == "one"
        assert sorted(await storage.keys()) == ["key", "key:corrupt-1", "key:corrupt-2"]
        await storage.delete(*await storage.keys())
        assert mapping == {7: "theirs"}


def test_its_repr_names_the_kind_of_mapping_and_shows_nothing_of_it() -> None:
    storage = MappingStorage({"key": "a secret"})
    assert repr(storage) == "<MappingStorage in a dict>"
    using(storage, lambda storage: storage.get("key"))
    assert repr(storage) == "<MappingStorage in a dict closed>"
