"""A storage in a SQLite file, which survives the process and is shared by several: a desktop application, a few workers.

The file is used on a daemon thread of the storage's own (`daemon.py`), in the order of the calls; what is done there is
in `sqlite_file.py`.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from support_chat.errors import InvalidInputError, StorageError

from .daemon import DaemonExecutor
from .sqlite_file import SQLiteFile

_T = TypeVar("_T")


class SQLiteStorage:
    """Keeps everything in the SQLite file at `path`, created with mode 0600 at the first operation; its folder must exist.

    Use it when a visitor should be recognised at the next start, or by several processes: all of them may use one file at
    once. `timeout` is how many seconds an operation waits while another process keeps the file locked; it should be below
    `Settings.storage_timeout`, which would otherwise end the waiting with a less telling error.

    It implements the `Storage` port. Every method raises StorageError, which names the file (not its folder) and the way
    out; a cancelled call may or may not have been done, and harms no later one. One object serves any number of sessions
    and event loops, but only the process that made it: after a fork, make another. Call `aclose()` when you are done.

    Raises InvalidInputError for `":memory:"` or an empty path; use `MemoryStorage` for that.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 3.0) -> None:
        name = os.fspath(path)
        if name in ("", ":memory:"):
            raise InvalidInputError("SQLiteStorage needs the path of a file; use MemoryStorage to keep nothing on disk.")
        if timeout < 0:
            raise InvalidInputError("SQLiteStorage(timeout=...) must be zero or more seconds.")
        self._name = os.path.basename(name)
        self._file = SQLiteFile(os.path.abspath(name), timeout)  # a later chdir() must not lead to another file
        self._thread = DaemonExecutor(f"SQLiteStorage {self._name}")
        self._used = False
        self._closed = False

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        return await self._on_thread(self._file.get, key)

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between processes; returns what is stored afterwards."""
        return await self._on_thread(self._file.create, key, value)

    async def replace(self, key: str, old: str, new: str) -> str:
        """Stores `new` if `old` is stored, in one atomic step between processes; returns what is stored afterwards.

        An absent key is left absent and answers `old`.
        """
        return await self._on_thread(self._file.replace, key, old, new)

    async def delete(self, *keys: str) -> None:
        """Removes the keys, absent ones too; afterwards no byte of their values is left in the file or beside it."""
        await self._on_thread(self._file.delete, keys)

    async def keys(self) -> Sequence[str]:
        """Every key stored, of whatever scope, sorted."""
        return await self._on_thread(self._file.keys)

    async def aclose(self) -> None:
        """Closes the file and ends the thread after the operations under way; later calls raise StorageError.

        Cancelling it cancels the waiting only. A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._used:
            await asyncio.shield(self._end())

    def _on_thread(self, call: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:
        if self._closed:
            raise StorageError(
                f"The storage on file {self._name!r} is closed; make a new SQLiteStorage.", reason="closed", recoverable=False
            )
        self._used = True
        return asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    def _end(self) -> asyncio.Future[None]:
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown(wait=False)
        return closing

    def __del__(self) -> None:
        if getattr(self, "_used", False) and not self._closed:
            warnings.warn(f"unclosed {self!r}; call its aclose()", ResourceWarning, source=self, stacklevel=2)
            self._thread.submit(self._file.close)
            self._thread.shutdown(wait=False)

    def __repr__(self) -> str:
        return f"<SQLiteStorage {self._name!r}{' closed' if self._closed else ''}>"
