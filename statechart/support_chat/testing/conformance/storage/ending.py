"""What the `Storage` port promises of calls that have ended, as clauses: they land no more.

A call is cancelled at its n-th await, for every n, at once and a little later, so that work on a
thread or at a server is met while it goes on. When it has ended, the opposite is done, by another
object on the place if there is one; what was undone so must stay undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from itertools import count
from typing import Any, Final, Generic, TypeVar

from ....ports import Storage
from ..expecting import MOMENT, NotApplicable, expect, in_time
from ..suites import clause, clauses_of
from .place import StorageTrial

_T = TypeVar("_T")

_LATER: Final = (0.0, 0.0005, 0.002, 0.01)
"""How long after it has begun to wait a call is cancelled, in seconds."""


class _CancelledAtAnAwait(Generic[_T]):
    """A call, to be awaited by a task of its own, which is cancelled `later` than at the await of
    this number; `reached` says whether there was one.
    """

    def __init__(self, call: Coroutine[Any, Any, _T], number: int, later: float) -> None:
        self._call, self._number, self._later = call, number, later
        self.reached = False

    def __await__(self) -> Generator[Any, None, _T]:
        call, thrown = self._call.__await__(), list[BaseException]()
        for number in count(1):
            try:
                waiting = call.throw(thrown.pop()) if thrown else call.send(None)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if number == self._number:
                self.reached = True
                task = asyncio.current_task()
                assert task is not None
                asyncio.get_running_loop().call_later(self._later, task.cancel)
            try:
                yield waiting
            except BaseException as error:
                thrown.append(error)
        raise AssertionError


async def _stay_undone(
    trial: StorageTrial,
    what: str,
    call: Callable[[Storage, str], Coroutine[Any, Any, object]],
    undo: Callable[[Storage, str], Awaitable[str | None]],
    *,
    stored: bool,
) -> None:
    """Of keys that are `stored`, or absent: `call` is cancelled, `undo` answers what is stored
    after it, and that must stay.
    """
    try:
        another = await trial.another()
    except NotApplicable:
        another = trial.storage

    async def task(asked: Awaitable[object]) -> None:
        await asked

    left = dict[str, str | None]()
    for later in _LATER:
        for number in count(1):
            key = trial.key(f"{later} {number}")
            if stored:
                await another.create(key, "one")
            asked = _CancelledAtAnAwait(call(trial.storage, key), number, later)
            ending = asyncio.ensure_future(task(asked))
            await in_time(asyncio.wait({ending}), f"a cancelled {what} does not end")
            if not ending.cancelled():
                ending.result()
            left[key] = await undo(another, key)
            if not asked.reached:
                break
    await asyncio.sleep(MOMENT)
    for key, value in left.items():
        seen = await another.get(key)
        expect(seen, value, f"what is stored a moment after a {what} was cancelled and undone")


async def _deleted(storage: Storage, key: str) -> None:
    await storage.delete(key)


@clause("storage.ended-get")
async def ended_get(trial: StorageTrial) -> None:
    """A get() that was cancelled, at whichever await, and has ended, lands nothing any more."""
    await _stay_undone(trial, "get()", lambda storage, key: storage.get(key), _deleted, stored=True)


@clause("storage.ended-create")
async def ended_create(trial: StorageTrial) -> None:
    """A create() that was cancelled, at whichever await, and has ended, stores nothing any more."""
    await _stay_undone(
        trial, "create()", lambda storage, key: storage.create(key, "late"), _deleted, stored=False
    )


@clause("storage.ended-delete")
async def ended_delete(trial: StorageTrial) -> None:
    """A delete() that was cancelled, at whichever await, and has ended, removes nothing any
    more.
    """
    await _stay_undone(
        trial,
        "delete()",
        lambda storage, key: storage.delete(key),
        lambda storage, key: storage.create(key, "two"),
        stored=True,
    )


@clause("storage.ended-keys")
async def ended_keys(trial: StorageTrial) -> None:
    """A keys() that was cancelled, at whichever await, and has ended, lands nothing any more."""
    await _stay_undone(trial, "keys()", lambda storage, _: storage.keys(), _deleted, stored=True)


ENDED = clauses_of(vars(), StorageTrial)
