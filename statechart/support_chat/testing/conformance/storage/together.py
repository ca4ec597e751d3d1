"""What the `Storage` port promises of several objects on one place, and of one object on several
loops, as clauses.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Final

from ....ports import Storage
from ....runtime.threads import DaemonThreads
from ..expecting import PATIENCE, NotApplicable, expect
from ..suites import clause, clauses_of
from .place import StorageTrial

_THREADS: Final = 4
_ROUNDS: Final = 15


@clause("storage.one-place")
async def one_place(trial: StorageTrial) -> None:
    """Two objects on one place see what the other has stored and deleted."""
    first, second, key = trial.storage, await trial.another(), trial.key()
    await first.create(key, "one")
    expect(await second.get(key), "one", "get() by the object that did not store it")
    expect(await second.create(key, "two"), "one", "create() of what the other object has stored")
    expect(key in await first.keys(), True, "whether keys() lists it")
    await second.delete(key)
    expect(await first.get(key), None, "get() after the other object has deleted it")


@clause("storage.one-winner-of-two")
async def one_winner_of_two(trial: StorageTrial) -> None:
    """Of create() by two objects on one place at once one wins, and all learn which."""
    first, second = trial.storage, await trial.another()
    callers = [
        (storage, f"{who} {n}")
        for n in range(4)
        for who, storage in (("first", first), ("second", second))
    ]
    for n in range(_ROUNDS):
        key = trial.key(f"{n}")
        created = await asyncio.gather(*(storage.create(key, value) for storage, value in callers))
        expect(
            set(created), {await first.get(key)}, "what create() by two objects at once answered"
        )


@clause("storage.one-remover-of-two")
async def one_remover_of_two(trial: StorageTrial) -> None:
    """Of delete() by two objects on one place at once one answers what was stored, and no other."""
    first, second = trial.storage, await trial.another()
    for n in range(_ROUNDS):
        await first.create(trial.key(f"{n}"), "one")
        answers = await asyncio.gather(
            *(trial.removed(storage, f"{n}") for storage in (first, second) * 4)
        )
        expect(
            [answer for answer in answers if answer],
            [{f"{n}": "one"}],
            "what was not empty of what 8 delete() by two objects at once answered",
        )


@clause("storage.closing-one")
async def closing_one(trial: StorageTrial) -> None:
    """aclose() of one object leaves the others on its place at work."""
    second = await trial.another()
    await trial.storage.create(trial.key(), "one")
    await trial.storage.aclose()
    expect(
        await second.get(trial.key()), "one", "get() after another object on the place was closed"
    )
    expect(await second.create(trial.key(), "two"), "one", "create() after it")


@clause("storage.one-winner-of-threads")
async def one_winner_of_threads(trial: StorageTrial) -> None:
    """Of objects on one place, each on the loop of its own thread, one wins, and all learn
    which.
    """
    await trial.another()
    await _compete(trial, lambda: aclosing(trial.open()))


@clause("storage.many-loops")
async def many_loops(trial: StorageTrial) -> None:
    """One object serves the loops of several threads at once; one wins, and all learn which."""
    if trial.place is None or not trial.place.many_loops:
        raise NotApplicable(
            "the factory's StoragePlace does not say that one object serves many_loops"
        )
    await _compete(trial, lambda: nullcontext(trial.storage))


async def _compete(
    trial: StorageTrial, using: Callable[[], AbstractAsyncContextManager[Storage]]
) -> None:
    for n in range(_ROUNDS):
        await trial.storage.create(trial.key(f"given {n}"), "old")

    together = threading.Barrier(_THREADS)

    async def compete(name: str) -> Sequence[tuple[str, int]]:
        answers = list[tuple[str, int]]()
        async with using() as storage:
            for n in range(_ROUNDS):
                together.wait(PATIENCE)  # or one might be done before the next has begun
                created = await storage.create(trial.key(f"new {n}"), name)
                removed = await storage.delete(trial.key(f"given {n}"))
                answers.append((created, len(removed)))
        return answers

    def on_a_loop(name: str) -> Sequence[tuple[str, int]]:
        return asyncio.run(compete(name))

    loop, threads = asyncio.get_running_loop(), DaemonThreads()
    answers = await asyncio.gather(
        *(loop.run_in_executor(threads, on_a_loop, f"thread {n}") for n in range(_THREADS))
    )
    for n in range(_ROUNDS):
        expect(
            {answer[n][0] for answer in answers},
            {await trial.storage.get(trial.key(f"new {n}"))},
            f"what create() by {_THREADS} threads at once answered",
        )
        expect(
            sum(answer[n][1] for answer in answers),
            1,
            f"how many of {_THREADS} threads that deleted a key at once were answered its value",
        )


TOGETHER = clauses_of(vars(), StorageTrial)
