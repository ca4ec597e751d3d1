"""Several processes on one place: of those who create or replace one wins, all learn which, and
nobody's change is lost.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import IO, TYPE_CHECKING

import pytest

from storages import using
from support_chat.ports import Storage

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
        replaced = await storage.replace(f"given {i}", "old", name)
        print(replaced, await storage.create(f"new {i}", name), flush=True)
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


def raced(place: Place, program: str) -> list[set[str]]:
    """What the people answered in each round."""
    with contextlib.ExitStack() as stack:
        pipes = racers(place, stack, program)
        answers: list[set[str]] = []
        for _ in range(ROUNDS):  # one key at a time, so that all four are after it at once
            for orders, _ in pipes:
                orders.write("go\n")
                orders.flush()
            answers.append({reports.readline() for _, reports in pipes})
    return answers


@on_every_shared_place
def test_of_racing_processes_one_wins_each_key_and_all_adopt_it(place: Place) -> None:
    async def prepare(storage: Storage) -> None:
        for i in range(ROUNDS):
            await storage.create(f"given {i}", "old")

    async def stored(storage: Storage) -> list[set[str]]:
        return [
            {f"{await storage.get(f'given {i}')} {await storage.get(f'new {i}')}\n"}
            for i in range(ROUNDS)
        ]

    using(place.open(), prepare)
    answers = raced(place, RACER)
    assert answers == using(place.open(), stored)
    winners = {word for answer in answers for line in answer for word in line.split()}
    assert winners <= set(PEOPLE)


@pytest.mark.parametrize("place", ["file", "sqlite"], indirect=True)
def test_of_processes_that_make_the_file_one_wins_and_all_adopt_it(place: Place) -> None:
    answers = raced(place, FIRST.replace("FOLDER", str(place.folder)))
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
    with contextlib.ExitStack() as stack:
        pipes = racers(place, stack, WRITER)
        for orders, _ in pipes:
            orders.write("go\n")
            orders.flush()
        assert [reports.readline() for _, reports in pipes] == ["done\n"] * len(PEOPLE)
    assert sorted(using(place.open(), lambda storage: storage.keys())) == sorted(
        f"{name} {i}" for name in PEOPLE for i in range(25) if i % 5 != 3
    )
