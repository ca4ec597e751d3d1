"""Several processes on one place: of those who create or replace one wins, all learn which, and
nobody's change is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.storage.conftest import Place

SHARED = ["file", "sqlite", "redis", "keyring", "shelf"]
"""The storages that several processes can use at once; the shelf by the lock that it is given."""
PEOPLE = ["ada", "bob", "cyd", "dan"]
ROUNDS = 40

on_every_shared_place = pytest.mark.parametrize("place", SHARED, indirect=True)

RACER = """
import asyncio

async def race(name):
    for i, _ in enumerate(sys.stdin):
        given = await storage.replace(f"given {i}", "old", name)
        new = await storage.create(f"new {i}", name)
        print(given, new, flush=True)
    await storage.aclose()

asyncio.run(race(*sys.argv[1:]))
"""


def racers(
    place: Place, stack: contextlib.ExitStack, program: str
) -> list[tuple[IO[str], IO[str]]]:
    """One process for each of the people: what it reads, and what it writes."""
    pipes: list[tuple[IO[str], IO[str]]] = []
    for name in PEOPLE:
        racer = stack.enter_context(
            place.child(program, name, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        assert racer.stdin is not None
        assert racer.stdout is not None
        pipes.append((racer.stdin, racer.stdout))
    return pipes


@on_every_shared_place
def test_of_racing_processes_one_wins_each_key_and_all_adopt_it(place: Place) -> None:
    async def prepare() -> None:
        storage = place.open()
        for i in range(ROUNDS):
            await storage.create(f"given {i}", "old")
        await storage.aclose()

    async def stored() -> list[set[str]]:
        storage = place.open()
        found = [
            {f"{await storage.get(f'given {i}')} {await storage.get(f'new {i}')}\n"}
            for i in range(ROUNDS)
        ]
        await storage.aclose()
        return found

    asyncio.run(prepare())
    answers: list[set[str]] = []
    with contextlib.ExitStack() as stack:
        pipes = racers(place, stack, RACER)
        for _ in range(ROUNDS):  # one key at a time, so that all four are after it at once
            for orders, _ in pipes:
                orders.write("go\n")
                orders.flush()
            answers.append({reports.readline() for _, reports in pipes})
    assert answers == asyncio.run(stored())
    winners = {word for answer in answers for line in answer for word in line.split()}
    assert winners <= set(PEOPLE)


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
    async def stored() -> list[str]:
        storage = place.open()
        found = list(await storage.keys())
        await storage.aclose()
        return found

    with contextlib.ExitStack() as stack:
        pipes = racers(place, stack, WRITER)
        for orders, _ in pipes:
            orders.write("go\n")
            orders.flush()
        assert [reports.readline() for _, reports in pipes] == ["done\n"] * len(PEOPLE)
    assert sorted(asyncio.run(stored())) == sorted(
        f"{name} {i}" for name in PEOPLE for i in range(25) if i % 5 != 3
    )
