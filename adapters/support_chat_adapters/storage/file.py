"""A storage in a JSON file: for programs of one user, where a file that people can read is wanted
and nothing else installed.

The file is used on a daemon thread of the storage's own (`own_thread.py`); what is done there is in
`json_file.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from support_chat.errors import InvalidInputError
from support_chat_adapters.extras import require

from .json_file import JSONFile
from .own_thread import OwnThread


class FileStorage:
    """Keeps everything in one JSON object in the file at `path`; its folder must exist.

    Use it when a visitor should be recognised at the next start, or by several processes of one
    user. Without a path it is the user's own file for this library (`support-chat/storage.json` in
    the data folder of the platform, made with mode 0700); that needs the extra `file`. The file has
    mode 0600 after every change. Beside it lie `<name>.lock`, which is empty and stays, and during
    a change `<name>.new`. Each change writes the whole file: keep a few values in it, not
    thousands.

    `timeout` is how many seconds an operation waits for another process; it should be below
    `Settings.storage_timeout`.

    A file that is not a JSON object of texts is renamed to `<name>.corrupt-<n>`, with a warning in
    the log `support_chat`, and the storage begins anew; it is never deleted, so delete it yourself:
    it may hold a visitor's secret. An empty file is an empty storage.

    It implements the `Storage` port. Every method raises StorageError, which names the file (not
    its folder) and the way out; a cancelled call may or may not have been done, and harms no later
    one. One object serves any number of sessions and event loops, but only the process that made
    it: after a fork, make another. Call `aclose()` when you are done.

    Raises InvalidInputError for an empty path or a negative timeout, ModuleNotFoundError without a
    path and without the extra.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, timeout: float = 3.0) -> None:
        if timeout < 0:
            raise InvalidInputError("FileStorage(timeout=...) must be zero or more seconds.")
        place = _default_path() if path is None else os.fspath(path)
        if not place:
            raise InvalidInputError(
                "FileStorage needs the path of a file; leave it out for the user's own data folder."
            )
        # a later chdir() must not lead elsewhere, nor a rename replace a link by a file
        place = os.path.realpath(place)
        self._file = JSONFile(place, timeout, make_folder=path is None)
        self._thread = OwnThread("FileStorage", os.path.basename(place), self._file.close)

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

        (The blocks of the disk that the former file used are freed, not overwritten.)
        """
        await self._thread.run(self._file.delete, keys)

    async def keys(self) -> Sequence[str]:
        """Every key stored, of whatever scope, sorted."""
        return await self._thread.run(self._file.keys)

    async def aclose(self) -> None:
        """Ends the thread after the operations under way; later calls raise StorageError.

        Cancelling it cancels the waiting only. A second call does nothing.
        """
        await self._thread.aclose()

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self._thread.drop(self)

    def __repr__(self) -> str:
        return repr(self._thread)


def _default_path() -> str:
    platformdirs = require(
        "platformdirs",
        extra="file",
        purpose="FileStorage without a path asks platformdirs for the user's folder",
    )
    return os.path.join(
        str(platformdirs.user_data_dir("support-chat", appauthor=False)), "storage.json"
    )
