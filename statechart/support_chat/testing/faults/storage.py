"""A storage that misbehaves as planned, around any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import StorageError
from ...ports import Storage
from .plans import FaultLog, Faults, Injector


class FaultyStorage:
    """Passes every call on to `inner`, with faults; what happened is in `log`.

    The operations are `get`, `create`, `delete` and `keys`; `aclose()` always works. A
    call that *fails* or is *dropped* raises StorageError, and a dropped one is done all the same: a
    create() that was dropped has stored its value. A *duplicate* is done twice and answers the
    second time: a delete() has then removed nothing. A *reordered* call is done after the next
    one.
    """

    def __init__(self, inner: Storage, faults: Faults, *, log: FaultLog | None = None) -> None:
        self.inner = inner
        self.log: FaultLog = FaultLog() if log is None else log
        self._injector = Injector("storage", faults, self.log, _failure)

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        return await self._injector.call("get", lambda: self.inner.get(key))

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored afterwards."""
        return await self._injector.call("create", lambda: self.inner.create(key, value))

    async def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value."""
        return await self._injector.call("delete", lambda: self.inner.delete(*keys))

    async def keys(self) -> Sequence[str]:
        """Every key stored."""
        return await self._injector.call("keys", self.inner.keys)

    async def aclose(self) -> None:
        """Closes the inner storage."""
        await self.inner.aclose()


def _failure(operation: str) -> StorageError:
    return StorageError(
        f"FaultyStorage lets this {operation}() fail, as its faults say; try again.",
        reason="injected",
    )
