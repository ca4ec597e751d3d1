"""What the `Storage` port promises of several objects on one place, and of one object on several
loops, as clauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

from ....ports import Storage
from ....runtime.threads import DaemonThreads
from ..expecting import NotApplicable, expect, expect_that
from ..suites import Clause, clause
from .place import StorageTrial

_THREADS: Final = 4
_ROUNDS: Final = 15

_Answers: TypeAlias = "list[tuple[str, str]]"
"""For each round what a create() and a replace() answered."""


@clause("storage.one-place")
async def one_place(tried: StorageTrial) -> None:
    """Two objects on one place see what the other has stored, replaced and deleted."""
    first, second, key = tried.storage, await tried.another(), tried.key()
    await first.create(key, "one")
    expect(await second.get(key), "one", "get() by the object that did not store it")
    expect(await second.create(key, "two"), "one", "create() of what the other object has stored")
    expect(
        await second.replace(key, "one", "two"),
        "two",
        "replace() of what the other object has stored",
    )
    expect(await first.get(key), "two", "get() by the object that did not replace it")
    expect(key in await first.keys(), True, "whether keys() lists it")
    await second.delete(key)
    expect(await first.get(key), None, "get() after the other object has deleted it")


@clause("storage.one-winner-of-two")
async def one_winner_of_two(tried: StorageTrial) -> None:
    """Of create() and replace() by two objects on one place at once one wins, and all learn
    which.
    """
    first, second = tried.storage, await tried.another()
    callers = [
        (storage, f"{who} {n}")
        for n in range(4)
        for who, storage in (("first", first), ("second", second))
    ]
    for n in range(_ROUNDS):
        key = tried.key(f"{n}")
        created = await asyncio.gather(*(storage.create(key, value) for storage, value in callers))
        expect(
            set(created), {await first.get(key)}, "what create() by two objects at once answered"
        )
        replaced = await asyncio.gather(
            *(storage.replace(key, created[0], f"{value}!") for storage, value in callers)
        )
        expect(
            set(replaced), {await second.get(key)}, "what replace() by two objects at once answered"
        )
        expect_that(
            replaced[0] != created[0], "replace() by two objects at once left the old value stored"
        )


@clause("storage.closing-one")
async def closing_one(tried: StorageTrial) -> None:
    """aclose() of one object leaves the others on its place at work."""
    second = await tried.another()
    await tried.storage.create(tried.key(), "one")
    await tried.storage.aclose()
    expect(
        await second.get(tried.key()), "one", "get() after another object on the place was closed"
    )
    expect(await second.replace(tried.key(), "one", "two"), "two", "replace() after it")


@clause("storage.one-winner-of-threads")
async def one_winner_of_threads(tried: StorageTrial) -> None:
    """Of objects on one place, each on the loop of its own thread, one wins, and all learn
    which.
    """
    await tried.another()

    async def use(work: Callable[[Storage], Coroutine[Any, Any, _Answers]]) -> _Answers:
        storage = tried.open()
        try:
            return await work(storage)
        finally:
            await storage.aclose()

    await _compete(tried, use)


@clause("storage.many-loops")
async def many_loops(tried: StorageTrial) -> None:
    """One object serves the loops of several threads at once; one wins, and all learn which."""
    if tried.place is None or not tried.place.many_loops:
        raise NotApplicable(
            "the factory's StoragePlace does not say that one object serves many_loops"
        )

    async def use(work: Callable[[Storage], Coroutine[Any, Any, _Answers]]) -> _Answers:
        return await work(tried.storage)

    await _compete(tried, use)


async def _compete(
    tried: StorageTrial,
    use: Callable[
        [Callable[[Storage], Coroutine[Any, Any, _Answers]]], Coroutine[Any, Any, _Answers]
    ],
) -> None:
    for n in range(_ROUNDS):
        await tried.storage.create(tried.key(f"given {n}"), "old")

    def compete(name: str) -> _Answers:
        async def work(storage: Storage) -> _Answers:
            answers: _Answers = []
            for n in range(_ROUNDS):
                created = await storage.create(tried.key(f"new {n}"), name)
                answers.append(
                    (created, await storage.replace(tried.key(f"given {n}"), "old", name))
                )
            return answers

        return asyncio.run(use(work))

    loop, threads = asyncio.get_running_loop(), DaemonThreads()
    answers = await asyncio.gather(
        *(loop.run_in_executor(threads, compete, f"thread {n}") for n in range(_THREADS))
    )
    for n in range(_ROUNDS):
        stored = (
            await tried.storage.get(tried.key(f"new {n}")),
            await tried.storage.get(tried.key(f"given {n}")),
        )
        for answer in answers:
            expect(
                answer[n],
                stored,
                f"what create() and replace() by {_THREADS} threads at once answered one of them",
            )
        expect_that(stored[1] != "old", "replace() by several threads left the old value stored")


TOGETHER: Final[Sequence[Clause[StorageTrial]]] = (
    one_place,
    one_winner_of_two,
    closing_one,
    one_winner_of_threads,
    many_loops,
)
