"""A damaged file is reported, set aside under a name of its own, and survived: `FileStorage` and
`SQLiteStorage`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from async_tests import in_real_time
from storages import Place, Warned, names, racers, using
from support_chat.errors import StorageError
from support_chat.ports import Storage
from support_chat_adapters.storage import FileStorage, SQLiteStorage
from support_chat_adapters.storage.damage import set_aside
from support_chat_adapters.storage.sqlite import COMPANIONS

NAMES = {"file": "chat.json", "sqlite": "chat.db"}

on_both = pytest.mark.parametrize("place", list(NAMES), indirect=True)


def file_of(place: Place) -> Path:
    return place.folder / NAMES[place.kind]


def aside(place: Place) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(place.folder.iterdir())
        if ".corrupt-" in path.name
    }


def filled(place: Place) -> bytes:
    """What the file holds when it holds a few values."""

    async def fill(storage: Storage) -> None:
        for i in range(60):
            await storage.create(f"key {i}", f"value {i} " + "é" * 100)

    using(place.open(), fill)
    return file_of(place).read_bytes()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "the first half": lambda content: content[: len(content) // 2],
    "garbage": lambda content: random.Random(len(content)).randbytes(len(content)),
    "a diary": lambda content: b"Dear diary",
    "zeros": lambda content: b"\0" * len(content),
}
OF_ONE_KIND: dict[str, Callable[[bytes], bytes]] = {
    "all but the last byte": lambda content: content[:-1],
    "another second page": lambda content: content[:4096] + b"\xa5" * 4096 + content[8192:],
}
NO_JSON_OF_OURS = [
    "null", "7", '"text"', "[]", '[["key", "value"]]', '{"key": 7}', '{"key": null}',
    '{"key": {"key": "value"}}', '{"key": "\\ud800"}',
    '{"key": "value"', '{"key": "value"}}', "\ufeff{}", '{"key": "\ud800"}', "[" * 100_000, "NaN",
    "{'key': 'value'}", " ",
]  # fmt: skip
DAMAGED = [
    *((kind, name) for kind in NAMES for name in DAMAGES),
    ("file", "all but the last byte"),
    *(("file", text) for text in NO_JSON_OF_OURS),
    ("sqlite", "another second page"),
]


def damaged(content: bytes, damage: str) -> bytes:
    """The content after the damage of this name, or the text that it is in place of it."""
    change = {**DAMAGES, **OF_ONE_KIND}.get(damage)
    return damage.encode("utf-8", "surrogatepass") if change is None else change(content)


@pytest.mark.parametrize(
    ("place", "damage"), DAMAGED, indirect=["place"], ids=lambda value: ascii(value[:24])
)
def test_a_damaged_file_is_reported_set_aside_and_survived(
    place: Place, damage: str, warned: Warned
) -> None:
    async def use(storage: Storage) -> None:
        assert await storage.get("key 1") is None
        (warning,) = warned()
        assert f"file '{name}' is damaged" in warning
        assert f"set aside as '{name}.corrupt-1'" in warning
        assert str(place.folder) not in warning
        assert list(await storage.keys()) == []
        assert await storage.create("key 1", "new") == "new"
        await storage.delete("key 2")

    name = NAMES[place.kind]
    content = damaged(filled(place), damage)
    file_of(place).write_bytes(content)
    using(place.open(), use)
    assert using(place.open(), lambda storage: storage.get("key 1")) == "new"
    assert aside(place) == {f"{name}.corrupt-1": content}
    assert warned() == []


OPERATIONS: dict[str, Callable[[Storage], Awaitable[object]]] = {
    "get": lambda storage: storage.get("key 1"),
    "create": lambda storage: storage.create("key 1", "new"),
    "delete": lambda storage: storage.delete("key 1"),
    "keys": lambda storage: storage.keys(),
}


@on_both
@pytest.mark.parametrize("operation", OPERATIONS)
@in_real_time
async def test_whichever_operation_meets_the_damage_survives_it(
    place: Place, operation: str, warned: Warned
) -> None:
    await asyncio.to_thread(filled, place)
    async with contextlib.aclosing(place.open()) as storage:
        if place.kind == "sqlite":
            await storage.keys()  # a file that is damaged while it is open, too
        file_of(place).write_bytes(damaged(file_of(place).read_bytes(), "garbage"))
        await OPERATIONS[operation](storage)
        assert len(warned()) == 1


@on_both
def test_what_was_set_aside_before_is_never_overwritten(place: Place, warned: Warned) -> None:
    name = NAMES[place.kind]
    (place.folder / f"{name}.corrupt-2").write_text("of long ago")
    for i in range(3):
        file_of(place).write_text(f"damaged {i}")
        using(place.open(), lambda storage: storage.keys())
    assert aside(place) == {
        f"{name}.corrupt-1": b"damaged 0",
        f"{name}.corrupt-2": b"of long ago",
        f"{name}.corrupt-3": b"damaged 1",
        f"{name}.corrupt-4": b"damaged 2",
    }
    assert len(warned()) == 3


@on_both
def test_an_empty_file_is_an_empty_storage(place: Place, warned: Warned) -> None:
    file_of(place).touch()
    assert using(place.open(), lambda storage: storage.create("key", "one")) == "one"
    assert aside(place) == {}
    assert warned() == []


READ_ONLY = 18
"""The byte of a SQLite file that says who may write it; a higher one than this SQLite's is refused,
not damaged.
"""


@on_both
def test_whatever_bit_flips_the_storage_answers_and_nothing_is_lost(
    place: Place, warned: Warned
) -> None:
    async def use(storage: Storage) -> None:
        found = await storage.get("key 7")
        assert found is None or isinstance(found, str)
        assert await storage.create("key 7", "new") in (found, "new")
        await storage.create("another", "new")
        assert "another" in await storage.keys()

    content = filled(place)
    chance = random.Random(7)
    flips = [*range(100 if place.kind == "sqlite" else 0), *chance.sample(range(len(content)), 150)]
    noticed = 0
    for at in flips:
        for path in place.folder.iterdir():
            path.unlink()
        flipped = bytearray(content)
        flipped[at] ^= 1 << chance.randrange(8)
        file_of(place).write_bytes(flipped)
        try:
            using(place.open(), use)
        except StorageError as error:
            if (place.kind, at, error.reason) != ("sqlite", READ_ONLY, "SQLITE_READONLY"):
                raise
            continue
        warnings = warned()
        assert list(aside(place).values()) == [bytes(flipped)] * len(warnings)
        noticed += len(warnings)
    assert noticed > 10


FINDER = """
import asyncio

async def find(name):
    for i, _ in enumerate(sys.stdin):
        print(await storage.create("key", f"{name} {i}"), flush=True)
    await storage.aclose()

asyncio.run(find(*sys.argv[1:]))
"""


@on_both
def test_of_processes_that_find_the_damage_at_once_one_sets_it_aside_and_all_go_on_with_one_file(
    place: Place,
) -> None:
    rounds = 25
    with racers(place, FINDER) as go:
        for i in range(rounds):
            file_of(place).unlink(missing_ok=True)
            file_of(place).write_bytes(b"damaged %d" % i)
            assert set(go()) == {using(place.open(), lambda storage: storage.get("key"))}
            assert len(aside(place)) == i + 1, "only what was damaged is set aside, once"
    assert sorted(aside(place).values()) == sorted(b"damaged %d" % i for i in range(rounds))


def test_damage_anywhere_in_the_table_is_found_when_the_file_is_opened_not_when_it_is_met(
    place_of: Callable[[str], Place], warned: Warned
) -> None:
    place = place_of("sqlite")
    content = filled(place)
    assert len(content) > 5 * 4096
    for page in range(1, len(content) // 4096):
        file_of(place).write_bytes(
            content[: page * 4096] + b"\xa5" * 4096 + content[(page + 1) * 4096 :]
        )
        assert using(place.open(), lambda storage: storage.get("key 0")) is None
        assert len(warned()) == 1


@in_real_time
async def test_a_process_that_has_the_file_open_follows_when_another_sets_it_aside(
    tmp_path: Path, warned: Warned
) -> None:
    path = tmp_path / "chat.db"
    unaware, finder = SQLiteStorage(path), SQLiteStorage(path)
    for i in range(60):
        await unaware.create(f"key {i}", "x" * 200)
    content = bytearray(path.read_bytes())
    content[-4096:] = b"\xa5" * 4096
    path.write_bytes(content)
    await finder.keys()
    assert len(warned()) == 1
    assert await finder.create("key 0", "the finder's") == "the finder's"
    assert await unaware.create("key 0", "the unaware's") == "the finder's"
    assert await unaware.delete("key 0") == {"key 0": "the finder's"}
    assert await finder.get("key 0") is None
    await unaware.aclose()
    await finder.aclose()


def test_the_journals_of_a_database_are_set_aside_with_it(tmp_path: Path) -> None:
    """SQLite mostly has removed them by then; one that is left would be taken for the next
    database's.
    """
    for suffix in ("", "-journal", "-wal"):
        (tmp_path / f"chat.db{suffix}").write_text(f"damaged{suffix}")
    assert set_aside(str(tmp_path / "chat.db"), COMPANIONS) == "chat.db.corrupt-1"
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        "chat.db.corrupt-1": b"damaged",
        "chat.db.corrupt-1-journal": b"damaged-journal",
        "chat.db.corrupt-1-wal": b"damaged-wal",
    }


WRONG = {
    "a value that is no text": "UPDATE support_chat SET value = x'ff00'",
    "a value that is no UTF-8": "UPDATE support_chat SET value = CAST(x'fffe41' AS TEXT)",
    "a key that is no UTF-8": "INSERT INTO support_chat VALUES (CAST(x'fffe41' AS TEXT), 'value')",
    "no table": "DROP TABLE support_chat",
    "a column of another name": "ALTER TABLE support_chat RENAME COLUMN value TO walue",
}


@pytest.mark.parametrize("damage", WRONG.values(), ids=WRONG)
@in_real_time
async def test_a_database_that_is_sound_but_not_as_it_was_made_is_set_aside(
    tmp_path: Path, damage: str, warned: Warned
) -> None:
    path = tmp_path / "chat.db"
    storage = SQLiteStorage(path)
    await storage.create("key", "one")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    await storage.aclose()
    storage = SQLiteStorage(path)
    await storage.keys()
    assert await storage.get("key") is None
    assert len(warned()) == 1
    assert await storage.create("key", "two") == "two"
    await storage.aclose()


@in_real_time
async def test_a_folder_where_nothing_can_be_set_aside_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "chat").write_text("damaged")
    monkeypatch.setattr("os.replace", refuse)
    for storage in (FileStorage(tmp_path / "chat"), SQLiteStorage(tmp_path / "chat")):
        with pytest.raises(
            StorageError, match=r"'chat' cannot be .*: Permission denied\. Make its folder writable"
        ):
            await storage.get("key")
        await storage.aclose()
    assert (tmp_path / "chat").read_text() == "damaged"
    assert names(tmp_path) == ["chat", "chat.lock"]
