"""A storage that lives and dies with the process: for tests, for demos, and for servers that keep
nothing of a visitor.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from support_chat.errors import StorageError


class MemoryStorage:
    """Keeps everything in a dict; a new visitor begins with each new object. Threads and loops may
    share one.

    It implements the `Storage` port, whose methods raise StorageError after `aclose()`.
    """

    def __init__(self) -> None:
        self._entries: dict[str, str] = {}
        self._closed = False
        self._lock = threading.Lock()  # two sessions on two threads may share this object

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        with self._lock:
            return self._open().get(key)

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored afterwards."""
        with self._lock:
            return self._open().setdefault(key, value)

    async def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value."""
        with self._lock:
            entries = self._open()
            return {key: entries.pop(key) for key in keys if key in entries}

    async def keys(self) -> Sequence[str]:
        """Every key stored, oldest first."""
        with self._lock:
            return tuple(self._open())

    async def aclose(self) -> None:
        """Forgets everything; later calls raise StorageError. A second call does nothing."""
        with self._lock:
            self._closed = True
            self._entries.clear()

    def _open(self) -> dict[str, str]:
        if self._closed:
            raise StorageError(
                "This MemoryStorage is closed; make a new one.", reason="closed", recoverable=False
            )
        return self._entries
