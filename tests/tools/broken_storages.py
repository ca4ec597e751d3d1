"""For each clause of the storage suite a storage with that fault, and one without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import attrs

from broken import breaker
from support_chat.errors import StorageError
from support_chat.testing import StoragePlace

T = TypeVar("T")


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
    """A storage without a fault of its own."""

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

    async def delete(self, *keys: str) -> Mapping[str, str]:
        entries = self.entries()
        return {key: entries.pop(self.at(key)) for key in keys if self.at(key) in entries}

    async def keys(self) -> Sequence[str]:
        return list(self.entries())

    async def aclose(self) -> None:
        self.closed = True


Kind: TypeAlias = Callable[[Shelf], Healthy]
BROKEN: dict[str, Kind] = {}
breaks = breaker(BROKEN)


@breaks("storage.absent", Healthy, "get")
async def answers_an_empty_text_for_nothing(storage: Healthy, key: str) -> str | None:
    return storage.entries().get(key, "")


@breaks("storage.create-stores", Healthy, "create")
async def stores_nothing(storage: Healthy, key: str, value: str) -> str:
    return value


@breaks("storage.create-keeps", Healthy, "create")
async def overwrites(storage: Healthy, key: str, value: str) -> str:
    storage.entries()[key] = value
    return value


@breaks("storage.empty-value", Healthy, "create")
async def takes_an_empty_text_for_nothing(storage: Healthy, key: str, value: str) -> str:
    storage.entries()[key] = storage.entries().get(key) or value
    return storage.entries()[key]


@breaks("storage.delete-removes", Healthy, "delete")
async def deletes_by_prefix(storage: Healthy, *keys: str) -> Mapping[str, str]:
    found = [key for key in storage.entries() if key.startswith(keys)]
    return await Healthy.delete(storage, *found)


@breaks("storage.delete-answers", Healthy, "delete")
async def answers_what_it_was_asked(storage: Healthy, *keys: str) -> Mapping[str, str]:
    return {**dict.fromkeys(keys, ""), **await Healthy.delete(storage, *keys)}


@breaks("storage.delete-absent", Healthy, "delete")
async def insists_on_what_it_deletes(storage: Healthy, *keys: str) -> Mapping[str, str]:
    if not storage.entries().keys() >= set(keys):
        raise StorageError("There is no such key.")
    return await Healthy.delete(storage, *keys)


@breaks("storage.delete-none", Healthy, "delete")
async def deletes_everything_if_nothing_is_named(storage: Healthy, *keys: str) -> Mapping[str, str]:
    return await Healthy.delete(storage, *(keys or storage.entries()))


@breaks("storage.delete-many", Healthy, "delete")
async def has_too_few_variables(storage: Healthy, *keys: str) -> Mapping[str, str]:
    if len(keys) > 999:
        raise StorageError("too many SQL variables")
    return await Healthy.delete(storage, *keys)


@breaks("storage.deleted-is-absent")
class LeavesATombstone(Healthy):
    async def get(self, key: str) -> str | None:
        return self.entries().get(key) or None

    async def delete(self, *keys: str) -> Mapping[str, str]:
        stored = {key: self.entries()[key] for key in keys if key in self.entries()}
        self.entries().update(dict.fromkeys(stored, ""))
        return stored


@breaks("storage.keys", Healthy, "keys")
async def lists_one_scope(storage: Healthy) -> Sequence[str]:
    return [key for key in storage.entries() if "two/" not in key]


@breaks("storage.scopes-apart", Healthy, "at")
def forgets_the_scope(storage: Healthy, key: str) -> str:
    return key.rpartition("/")[2]


@breaks("storage.any-value", Healthy, "kept")
def keeps_ascii(storage: Healthy, value: str) -> str:
    return value.encode("ascii", "replace").decode()


@breaks("storage.nul-in-values", Healthy, "kept")
def ends_values_at_a_nul(storage: Healthy, value: str) -> str:
    return value.partition("\0")[0]


@breaks("storage.exact-keys", Healthy, "at")
def folds_keys(storage: Healthy, key: str) -> str:
    return key.casefold()


@breaks("storage.nul-in-keys", Healthy, "at")
def ends_keys_at_a_nul(storage: Healthy, key: str) -> str:
    return key.partition("\0")[0]


@breaks("storage.one-creator-wins", Healthy, "create")
async def creates_in_two_steps(storage: Healthy, key: str, value: str) -> str:
    stored = await storage.get(key)
    await asyncio.sleep(0)
    if stored is not None:
        return stored
    storage.entries()[key] = value
    return value


@breaks("storage.one-remover-wins", Healthy, "delete")
async def looks_and_then_removes(storage: Healthy, *keys: str) -> Mapping[str, str]:
    stored = {key: storage.entries()[key] for key in keys if key in storage.entries()}
    await asyncio.sleep(0)
    await Healthy.delete(storage, *keys)
    return stored


async def shielded(work: Callable[[], T]) -> T:
    """What the work comes to, which goes on when whoever awaits it is cancelled."""

    async def late() -> T:
        await asyncio.sleep(0.02)
        return work()

    return await asyncio.shield(late())


@breaks("storage.ended-get", Healthy, "get")
async def writes_back_what_it_read(storage: Healthy, key: str) -> str | None:
    stored = await Healthy.get(storage, key)
    if stored is not None:
        await shielded(lambda: storage.entries().update({key: stored}))
    return stored


@breaks("storage.ended-create", Healthy, "create")
async def creates_behind_a_shield(storage: Healthy, key: str, value: str) -> str:
    return await shielded(lambda: storage.entries().setdefault(key, value))


@breaks("storage.ended-delete", Healthy, "delete")
async def deletes_behind_a_shield(storage: Healthy, *keys: str) -> Mapping[str, str]:
    entries = storage.entries()
    return await shielded(lambda: {key: entries.pop(key) for key in keys if key in entries})


@breaks("storage.ended-keys", Healthy, "keys")
async def repairs_what_it_lists(storage: Healthy) -> Sequence[str]:
    found = dict(storage.entries())
    await shielded(lambda: storage.entries().update(found))
    return list(found)


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


@breaks("storage.closed", Healthy, "aclose")
async def works_on_when_it_is_closed(storage: Healthy) -> None:
    pass


@breaks("storage.closed-twice", Healthy, "aclose")
async def closes_once(storage: Healthy) -> None:
    storage.entries()
    storage.closed = True


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


@breaks("storage.only-storage-errors", Healthy, "entries")
def lets_errors_through(storage: Healthy) -> dict[str, str]:
    if storage.shelf.spoilt:
        raise OSError("No space left on device")
    return Healthy.entries(storage)


@breaks("storage.errors-hide-values", Healthy, "create")
async def tells_what_it_could_not_store(storage: Healthy, key: str, value: str) -> str:
    try:
        return await Healthy.create(storage, key, value)
    except StorageError as error:
        raise StorageError(f"{value} could not be stored: {error}") from None


@breaks("storage.no-residue", Healthy, "create")
async def keeps_a_journal(storage: Healthy, key: str, value: str) -> str:
    storage.shelf.residue.append(value)
    return await Healthy.create(storage, key, value)


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
            await asyncio.sleep(0.005)
            self.entries()[key] = value if stored is None else stored
            return self.entries()[key]


@breaks("storage.one-winner-of-two")
class HasALockOfItsOwn(Locked):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.own = asyncio.Lock()

    def lock(self) -> asyncio.Lock:
        return self.own


@breaks("storage.one-remover-of-two")
class TakesTurnsWithItselfOnly(Healthy):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.turn = asyncio.Lock()

    async def delete(self, *keys: str) -> Mapping[str, str]:
        async with self.turn:
            removed: Mapping[str, str] = await looks_and_then_removes(self, *keys)
            return removed


@breaks("storage.closing-one", Healthy, "aclose")
async def closes_the_place(storage: Healthy) -> None:
    storage.shelf.entries.clear()
    await Healthy.aclose(storage)


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
    """A place with storages of this kind."""

    def made() -> StoragePlace:
        shelf = Shelf()
        return StoragePlace(lambda: kind(shelf), shelf.raw_bytes, shelf.spoil, many_loops=True)

    return made
