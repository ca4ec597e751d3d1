"""What `check_storage` tries: a place where storages keep things, opened afresh for each clause,
and a scope of its own in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Final, TypeAlias, cast

import attrs

from ....ports import Storage
from ..expecting import NotApplicable, Unmet, entered, resolved, shown

_TIDYING: Final = 5.0
"""How long removing what a clause stored may take, in seconds."""


@attrs.frozen
class StoragePlace:
    """A place and the storages on it: return one from your factory when there is more to try than
    one object.

    `open()` makes a storage object on this place; several of them see the same keys, as two
    processes on one file do. `raw_bytes()` returns (or is awaited for) every byte that the place
    holds now, so that residue of a clear is found. `spoil()` makes the place unusable, so that
    every further call has to fail. `many_loops`: one object may be used from the event loops of
    several threads at once. What is left out makes its clauses not applicable.
    """

    open: Callable[[], Storage]
    raw_bytes: Callable[[], bytes | Awaitable[bytes]] | None = None
    spoil: Callable[[], object] | None = None
    many_loops: bool = False


StorageFactory: TypeAlias = Callable[
    [], Storage | StoragePlace | AbstractAsyncContextManager[Storage | StoragePlace]
]
"""Called for each clause, on its thread: gives a storage, a `StoragePlace`, or an async context
manager that gives one of them.
"""


@attrs.define(eq=False)
class StorageTrial:
    """A storage as a clause gets it. `storage` is the object to try; what a clause stores goes
    under `key(...)`.
    """

    storage: Storage
    place: StoragePlace | None
    """None if the factory gave a mere storage, without a way to another on the same place."""
    one_place: bool
    """Whether the factory says that what `place.open()` makes is all on one place; else it is found
    out.
    """
    scope: str = attrs.field(factory=lambda: f"support-chat/check/{secrets.token_hex(8)}/")
    opened: list[Storage] = attrs.field(factory=list[Storage])

    def key(self, name: str = "visitor") -> str:
        """A key in the scope of this trial, which no other trial has, whatever is stored in the
        place already.
        """
        return self.scope + name

    async def own_keys(self) -> list[str]:
        """The keys of this trial's scope that `keys()` lists, without the scope, sorted."""
        listed = await self.storage.keys()
        return sorted(key.removeprefix(self.scope) for key in listed if key.startswith(self.scope))

    async def removed(self, storage: Storage, *names: str) -> Mapping[str, str]:
        """What delete() of the keys of these names answers, without the scope."""
        answer: object = await storage.delete(*map(self.key, names))
        if not isinstance(answer, Mapping):
            raise Unmet(f"delete() answered {shown(answer)}, which is no mapping")
        return {key.removeprefix(self.scope): value for key, value in answer.items()}

    def open(self) -> Storage:
        """Another storage object on the place; raises NotApplicable if the factory has none.
        Whoever opens it so, closes it.
        """
        if self.place is None:
            raise NotApplicable(
                "the factory gives one storage object; give a StoragePlace to try several on one "
                "place"
            )
        return self.place.open()

    async def another(self) -> Storage:
        """As `open`, closed by the trial; raises NotApplicable if it does not see what the first
        one has stored.
        """
        other = self.open()
        self.opened.append(other)
        if not self.one_place:
            probe = self.key("probe")
            await self.storage.create(probe, "seen")
            if await other.get(probe) is None:
                raise NotApplicable("each storage that the factory makes is a place of its own")
            await self.storage.delete(probe)
        return other

    async def bytes_of_the_place(self) -> bytes:
        """Every byte that the place holds; raises NotApplicable if the factory does not show
        them.
        """
        if self.place is None or self.place.raw_bytes is None:
            raise NotApplicable("the factory's StoragePlace has no raw_bytes()")
        held = self.place.raw_bytes()
        return held if isinstance(held, bytes) else await held

    async def spoil(self) -> None:
        """Makes the place unusable; raises NotApplicable if the factory cannot."""
        if self.place is None or self.place.spoil is None:
            raise NotApplicable("the factory's StoragePlace has no spoil()")
        await resolved(self.place.spoil())

    async def clear(self, storage: Storage) -> None:
        """Removes what this trial has stored."""
        await storage.delete(*(key for key in await storage.keys() if key.startswith(self.scope)))


@asynccontextmanager
async def storage_trial(factory: StorageFactory) -> AsyncGenerator[StorageTrial, None]:
    """A trial of what the factory makes; afterwards its keys are removed and its storages closed,
    as far as they let it.
    """
    made: Any = factory()
    # a storage may be a context manager too, and is not to be entered
    async with nullcontext(made) if isinstance(made, Storage) else entered(made) as given:
        if isinstance(given, StoragePlace):
            trial = StorageTrial(given.open(), given, one_place=True)
        else:
            # Calling the factory again may give another object on the same place (a file's path),
            # or a place of its own (memory).
            again = StoragePlace(cast("Callable[[], Storage]", factory)) if given is made else None
            trial = StorageTrial(given, again, one_place=again is None)
        try:
            yield trial
        finally:
            storages = (trial.storage, *trial.opened)
            ends: list[Callable[[], Awaitable[object]]] = [
                *(partial(trial.clear, one) for one in storages),
                *(one.aclose for one in storages),
            ]
            for end in ends:
                # the clause has reported a faulty storage already
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(_TIDYING):
                        await end()
