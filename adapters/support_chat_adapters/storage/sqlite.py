"""A storage in a SQLite file, which survives the process and is shared by several: a desktop
application, a few workers.

The file is used on a daemon thread of the storage's own (`own_thread.py`), in the order of the
calls; what is done there is in `sqlite_file.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from support_chat.errors import InvalidInputError

from .own_thread import OwnThread
from .sqlite_file import SQLiteFile


class SQLiteStorage:
    """Keeps everything in the SQLite file at `path`, created with mode 0600 at the first operation;
    its folder must exist. Beside it lies `<name>.lock`, which is empty and stays, and during a
    change `<name>-journal`.

    Use it when a visitor should be recognised at the next start, or by several processes: all of
    them may use one file at once. `timeout` is how many seconds an operation waits while another
    process keeps the file locked; it should be below `Settings.storage_timeout`, which would
    otherwise end the waiting with a less telling error.

    A damaged file, or one that is no database, is renamed to `<name>.corrupt-<n>`, with a warning
    in the log `support_chat`, and the storage begins anew. It is never deleted, so delete it
    yourself: it may hold a visitor's secret. A file with another program's tables in it is never
    moved.

    It implements the `Storage` port. Every method raises StorageError, which names the file (not
    its folder) and the way out; a cancelled call may or may not have been done, and harms no later
    one. One object serves any number of sessions and event loops, but only the process that made
    it: after a fork, make another. Call `aclose()` when you are done.

    Raises InvalidInputError for `":memory:"` or an empty path; use `MemoryStorage` for that.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 3.0) -> None:
        name = os.fspath(path)
        if name in ("", ":memory:"):
            raise InvalidInputError(
                "SQLiteStorage needs the path of a file; use MemoryStorage to keep nothing on disk."
            )
        if timeout < 0:
            raise InvalidInputError("SQLiteStorage(timeout=...) must be zero or more seconds.")
        # a later chdir() must not lead elsewhere, nor a rename move a link
        name = os.path.realpath(name)
        self._file = SQLiteFile(name, timeout)
        self._thread = OwnThread("SQLiteStorage", os.path.basename(name), self._file.close)

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        return await self._thread.run(self._file.get, key)

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between processes; returns what is
        stored afterwards.
        """
        return await self._thread.run(self._file.create, key, value)

    async def replace(self, key: str, old: str, new: str) -> str:
        """Stores `new` if `old` is stored, in one atomic step between processes; returns what is
        stored afterwards.

        An absent key is left absent and answers `old`.
        """
        return await self._thread.run(self._file.replace, key, old, new)

    async def delete(self, *keys: str) -> None:
        """Removes the keys, absent ones too; afterwards no byte of their values is left in the file
        or beside it.
        """
        await self._thread.run(self._file.delete, keys)

    async def keys(self) -> Sequence[str]:
        """Every key stored, of whatever scope, sorted."""
        return await self._thread.run(self._file.keys)

    async def aclose(self) -> None:
        """Closes the file and ends the thread after the operations under way; later calls raise
        StorageError.

        Cancelling it cancels the waiting only. A second call does nothing.
        """
        await self._thread.aclose()

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self._thread.drop(self)

    def __repr__(self) -> str:
        return repr(self._thread)
