"""Several processes on one place: of those who create one wins and all learn which, of those
who delete one is answered what was stored, and nobody's change is lost.
"""

from __future__ import annotations

import pytest

from storages import PEOPLE, Place, racers, using
from support_chat.ports import Storage

SHARED = ["file", "sqlite", "redis", "keyring", "shelf"]
"""The storages that several processes can use at once; the shelf by the lock that it is given."""
ROUNDS = 40

on_every_shared_place = pytest.mark.parametrize("place", SHARED, indirect=True)

RACER = """
import asyncio

async def race(name):
    for i, _ in enumerate(sys.stdin):
        removed = await storage.delete(f"given {i}")
        print(len(removed), await storage.create(f"new {i}", name), flush=True)
    await storage.aclose()

asyncio.run(race(*sys.argv[1:]))
"""
FIRST = """
import asyncio

async def race(name):
    for i, _ in enumerate(sys.stdin):
        fresh = type(storage)(f"FOLDER/{i}", timeout=60.0)
        print(await fresh.create("key", name), flush=True)
        await fresh.aclose()

asyncio.run(race(*sys.argv[1:]))
"""


@on_every_shared_place
def test_of_racing_processes_one_wins_each_key_and_all_adopt_it(place: Place) -> None:
    async def prepare(storage: Storage) -> None:
        for i in range(ROUNDS):
            await storage.create(f"given {i}", "old")

    async def stored(storage: Storage) -> list[str | None]:
        assert not [key for key in await storage.keys() if key.startswith("given")]
        return [await storage.get(f"new {i}") for i in range(ROUNDS)]

    using(place.open(), prepare)
    with racers(place, RACER) as go:  # one key at a time, so that all four are after it at once
        answers = [[line.split() for line in go()] for _ in range(ROUNDS)]
    winners = using(place.open(), stored)
    assert [{name for _, name in answer} for answer in answers] == [{name} for name in winners]
    assert [sum(int(removed) for removed, _ in answer) for answer in answers] == [1] * ROUNDS
    assert set(winners) <= set(PEOPLE)


@pytest.mark.parametrize("place", ["file", "sqlite"], indirect=True)
def test_of_processes_that_make_the_file_one_wins_and_all_adopt_it(place: Place) -> None:
    with racers(place, FIRST.replace("FOLDER", str(place.folder))) as go:
        answers = [set(go()) for _ in range(ROUNDS)]
    assert {len(answer) for answer in answers} == {1}
    assert {word for answer in answers for line in answer for word in line.split()} <= set(PEOPLE)


WRITER = """
import asyncio

async def write(name):
    sys.stdin.readline()
    for i in range(25):
        await storage.create(f"{name} {i}", name)
        if i % 5 == 4:
            await storage.delete(f"{name} {i - 1}")
    await storage.aclose()
    print("done", flush=True)

asyncio.run(write(*sys.argv[1:]))
"""


@on_every_shared_place
def test_what_one_process_writes_is_not_lost_when_others_write_elsewhere(place: Place) -> None:
    with racers(place, WRITER) as go:
        assert go() == ["done"] * len(PEOPLE)
    assert sorted(using(place.open(), lambda storage: storage.keys())) == sorted(
        f"{name} {i}" for name in PEOPLE for i in range(25) if i % 5 != 3
    )
