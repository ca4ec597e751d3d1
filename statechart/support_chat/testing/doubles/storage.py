"""A storage whose calls a test sees, holds and fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import StorageError
from .script import CallLog, PortCall, Script


class RecordingStorage:
    """A `Storage` in memory that records every call (`storage.get`...) and does what its script
    says: by default, its work.

    `contents` is what it holds at first; a test may read and change `storage.contents` at any time,
    as another process might. The log records keys, no values. `hold`, `release`, `waiting`,
    `answer_next` and `fail_next` are those of `Script`; a held call does its work when it is let
    succeed.
    """

    def __init__(
        self, contents: Mapping[str, str] | None = None, *, log: CallLog | None = None
    ) -> None:
        self.contents: dict[str, str] = dict(contents or {})
        self.log: CallLog = CallLog() if log is None else log
        self._closed = False
        self._script = Script(self.log, ("get", "create", "delete", "keys", "aclose"))
        self.hold = self._script.hold
        self.release = self._script.release
        self.waiting = self._script.waiting
        self.answer_next = self._script.answer_next
        self.fail_next = self._script.fail_next

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        return await self._script.perform(_call("get", key=key), lambda: self._open().get(key))

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored afterwards."""
        return await self._script.perform(
            _call("create", value, key=key), lambda: self._open().setdefault(key, value)
        )

    async def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value."""

        def work() -> Mapping[str, str]:
            entries = self._open()
            return {key: entries.pop(key) for key in keys if key in entries}

        return await self._script.perform(_call("delete", keys=keys), work)

    async def keys(self) -> Sequence[str]:
        """Every key stored."""
        return await self._script.perform(_call("keys"), lambda: tuple(self._open()))

    async def aclose(self) -> None:
        """Later calls raise StorageError, but `contents` stays to be looked at."""

        def work() -> None:
            self._closed = True

        await self._script.perform(_call("aclose"), work)

    def _open(self) -> dict[str, str]:
        if self._closed:
            raise StorageError(
                "This RecordingStorage is closed; make a new one.",
                reason="closed",
                recoverable=False,
            )
        return self.contents


def _call(operation: str, request: object = None, **arguments: object) -> PortCall:
    return PortCall("storage", operation, arguments, request=request)
