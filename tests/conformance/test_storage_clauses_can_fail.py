"""Each clause of the storage suite can fail: for each there is a storage with that fault, and the
error names the clause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs
import pytest

from broken import assert_found, assert_healthy, breaker
from support_chat.errors import StorageError
from support_chat.testing import STORAGE_CLAUSES, Clause, StoragePlace, check_storage

LIMIT = 1.5


@attrs.define(eq=False)
class Shelf:
    """Where the storages of one place keep things."""

    entries: dict[str, str] = attrs.field(factory=dict[str, str])
    residue: list[str] = attrs.field(factory=list[str])
    spoilt: bool = False
    locks: dict[object, asyncio.Lock] = attrs.field(factory=dict[object, asyncio.Lock])

    def raw_bytes(self) -> bytes:
        return repr([*self.entries.items(), *self.residue]).encode()

    def spoil(self) -> None:
        self.spoilt = True


class Healthy:
    """A storage without a fault; the ones below inherit it, and each has one."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.closed = False

    def at(self, key: str) -> str:
        """Where a key is kept."""
        return key

    def kept(self, value: str) -> str:
        """What is kept of a value."""
        return value

    def entries(self) -> dict[str, str]:
        if self.closed:
            raise StorageError("It is closed; make a new one.")
        if self.shelf.spoilt:
            raise StorageError("It is spoilt; make a new place.")
        return self.shelf.entries

    async def get(self, key: str) -> str | None:
        return self.entries().get(self.at(key))

    async def create(self, key: str, value: str) -> str:
        return self.entries().setdefault(self.at(key), self.kept(value))

    async def replace(self, key: str, old: str, new: str) -> str:
        if self.entries().get(self.at(key)) == old:
            self.entries()[self.at(key)] = self.kept(new)
        return self.entries().get(self.at(key), old)

    async def delete(self, *keys: str) -> None:
        entries = self.entries()
        for key in keys:
            entries.pop(self.at(key), None)

    async def keys(self) -> Sequence[str]:
        return list(self.entries())

    async def aclose(self) -> None:
        self.closed = True


Kind: TypeAlias = Callable[[Shelf], Healthy]
BROKEN: dict[str, Kind] = {}
breaks = breaker(BROKEN)


@breaks("storage.absent")
class AnswersAnEmptyTextForNothing(Healthy):
    async def get(self, key: str) -> str | None:
        return self.entries().get(key, "")


@breaks("storage.create-stores")
class StoresNothing(Healthy):
    async def create(self, key: str, value: str) -> str:
        return value


@breaks("storage.create-keeps")
class Overwrites(Healthy):
    async def create(self, key: str, value: str) -> str:
        self.entries()[key] = value
        return value


@breaks("storage.empty-value")
class TakesAnEmptyTextForNothing(Healthy):
    async def create(self, key: str, value: str) -> str:
        self.entries()[key] = self.entries().get(key) or value
        return self.entries()[key]


@breaks("storage.replace-stores")
class ReplacesNothing(Healthy):
    async def replace(self, key: str, old: str, new: str) -> str:
        return self.entries().get(key, old)


@breaks("storage.replace-keeps")
class ReplacesAnything(Healthy):
    async def replace(self, key: str, old: str, new: str) -> str:
        if key in self.entries():
            self.entries()[key] = new
        return self.entries().get(key, old)


@breaks("storage.replace-absent")
class ReplacesNothingBySomething(Healthy):
    async def replace(self, key: str, old: str, new: str) -> str:
        if self.entries().get(key, old) == old:
            self.entries()[key] = new
        return self.entries()[key]


@breaks("storage.delete-removes")
class DeletesByPrefix(Healthy):
    async def delete(self, *keys: str) -> None:
        for key in [key for key in self.entries() if key.startswith(keys)]:
            del self.entries()[key]


@breaks("storage.delete-absent")
class InsistsOnWhatItDeletes(Healthy):
    async def delete(self, *keys: str) -> None:
        for key in keys:
            if self.entries().pop(key, None) is None:
                raise StorageError("There is no such key.")


@breaks("storage.delete-none")
class DeletesEverythingIfNothingIsNamed(Healthy):
    async def delete(self, *keys: str) -> None:
        for key in keys or list(self.entries()):
            self.entries().pop(key, None)


@breaks("storage.delete-many")
class HasTooFewVariables(Healthy):
    async def delete(self, *keys: str) -> None:
        if len(keys) > 999:
            raise StorageError("too many SQL variables")
        await super().delete(*keys)


@breaks("storage.deleted-is-absent")
class LeavesATombstone(Healthy):
    async def get(self, key: str) -> str | None:
        return self.entries().get(key) or None

    async def delete(self, *keys: str) -> None:
        for key in keys:
            if key in self.entries():
                self.entries()[key] = ""


@breaks("storage.keys")
class ListsOneScope(Healthy):
    async def keys(self) -> Sequence[str]:
        return [key for key in self.entries() if "two/" not in key]


@breaks("storage.scopes-apart")
class ForgetsTheScope(Healthy):
    def at(self, key: str) -> str:
        return key.rpartition("/")[2]


@breaks("storage.any-value")
class KeepsAscii(Healthy):
    def kept(self, value: str) -> str:
        return value.encode("ascii", "replace").decode()


@breaks("storage.nul-in-values")
class EndsValuesAtANul(Healthy):
    def kept(self, value: str) -> str:
        return value.partition("\0")[0]


@breaks("storage.exact-keys")
class FoldsKeys(Healthy):
    def at(self, key: str) -> str:
        return key.casefold()


@breaks("storage.nul-in-keys")
class EndsKeysAtANul(Healthy):
    def at(self, key: str) -> str:
        return key.partition("\0")[0]


@breaks("storage.one-creator-wins")
class CreatesInTwoSteps(Healthy):
    async def create(self, key: str, value: str) -> str:
        stored = await self.get(key)
        await asyncio.sleep(0)
        if stored is not None:
            return stored
        self.entries()[key] = value
        return value


@breaks("storage.one-replacer-wins")
class ReplacesInTwoSteps(Healthy):
    async def replace(self, key: str, old: str, new: str) -> str:
        stored = await self.get(key)
        await asyncio.sleep(0)
        if stored != old:
            return old if stored is None else stored
        self.entries()[key] = new
        return new


@breaks("storage.cancelled")
class KeepsItsLockWhenItIsCancelled(Healthy):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.lock = asyncio.Lock()

    async def create(self, key: str, value: str) -> str:
        await self.lock.acquire()
        await asyncio.sleep(0.001)
        created = await super().create(key, value)
        self.lock.release()
        return created


@breaks("storage.closed")
class WorksOnWhenItIsClosed(Healthy):
    async def aclose(self) -> None:
        pass


@breaks("storage.closed-twice")
class ClosesOnce(Healthy):
    async def aclose(self) -> None:
        self.entries()
        self.closed = True


@breaks("storage.closed-unused")
class ClosesOnlyWhatItOpened(Healthy):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.used = False

    def entries(self) -> dict[str, str]:
        self.used = True
        return super().entries()

    async def aclose(self) -> None:
        self.closed = self.used


@breaks("storage.closed-leaves-no-task")
class LeavesItsHeartbeat(Healthy):
    beat: asyncio.Task[None] | None = None

    async def get(self, key: str) -> str | None:
        self.beat = self.beat or asyncio.ensure_future(asyncio.sleep(60))
        return await super().get(key)


@breaks("storage.only-storage-errors")
class LetsErrorsThrough(Healthy):
    def entries(self) -> dict[str, str]:
        if self.shelf.spoilt:
            raise OSError("No space left on device")
        return super().entries()


@breaks("storage.errors-hide-values")
class TellsWhatItCouldNotStore(Healthy):
    async def create(self, key: str, value: str) -> str:
        try:
            return await super().create(key, value)
        except StorageError as error:
            raise StorageError(f"{value} could not be stored: {error}") from None


@breaks("storage.no-residue")
class KeepsAJournal(Healthy):
    async def replace(self, key: str, old: str, new: str) -> str:
        self.shelf.residue.append(new)
        return await super().replace(key, old, new)


@breaks("storage.one-place")
class KeepsACache(Healthy):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.cache: dict[str, str] = {}

    async def create(self, key: str, value: str) -> str:
        return self.cache.setdefault(key, await super().create(key, value))

    async def get(self, key: str) -> str | None:
        return self.cache.get(key) or await super().get(key)


class Locked(Healthy):
    """Works in two steps, under a lock."""

    def lock(self) -> asyncio.Lock:
        raise NotImplementedError

    async def create(self, key: str, value: str) -> str:
        async with self.lock():
            stored = await self.get(key)
            await asyncio.sleep(0.002)
            self.entries()[key] = value if stored is None else stored
            return self.entries()[key]


@breaks("storage.one-winner-of-two")
class HasALockOfItsOwn(Locked):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.own = asyncio.Lock()

    def lock(self) -> asyncio.Lock:
        return self.own


@breaks("storage.closing-one")
class ClosesThePlace(Healthy):
    async def aclose(self) -> None:
        self.shelf.entries.clear()
        await super().aclose()


@breaks("storage.one-winner-of-threads")
class HasALockForEachLoop(Locked):
    def lock(self) -> asyncio.Lock:
        return self.shelf.locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


@breaks("storage.many-loops")
class BelongsToOneLoop(Healthy):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.loop = asyncio.get_running_loop()

    async def create(self, key: str, value: str) -> str:
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError("attached to a different loop")
        return await super().create(key, value)


def place(kind: Kind) -> Callable[[], StoragePlace]:
    def made() -> StoragePlace:
        shelf = Shelf()
        return StoragePlace(lambda: kind(shelf), shelf.raw_bytes, shelf.spoil, many_loops=True)

    return made


def test_the_storage_without_a_fault_passes_every_clause() -> None:
    assert_healthy(check_storage(place(Healthy), limit=LIMIT), STORAGE_CLAUSES)


def test_every_clause_has_its_broken_storage() -> None:
    assert set(BROKEN) == {clause.id for clause in STORAGE_CLAUSES}


@pytest.mark.parametrize("clause", STORAGE_CLAUSES, ids=lambda clause: clause.id)
def test_a_broken_storage_is_found_by_the_clause_that_it_breaks(clause: Clause[Any]) -> None:
    assert_found(
        clause, lambda: check_storage(place(BROKEN[clause.id]), only=[clause.id], limit=LIMIT)
    )
