"""A storage in a JSON file: for programs of one user, where a file that people can read is wanted
and nothing else installed.

- A lock file beside it (`<name>.lock`, empty, stays) makes each operation one atomic step between
  processes.
- A change is written to `<name>.new`, forced to the disk, and renamed over the file: a crash at any
  point leaves the old or the new content. What a killed process left in `<name>.new` is removed by
  the next operation, of whatever kind: it holds values, and a clear must leave none.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Generator, Mapping, Sequence
from typing import cast

from support_chat.errors import InvalidInputError, StorageError
from support_chat_adapters.extras import require

from .damage import DamagedError, report, set_aside
from .files import FileLock, file_error
from .thread import OwnThread, on_own_thread


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
    its folder) and the way out. A cancelled call that still waits, for those before it or for
    another process, ends at once and is never done; one at work ends when that is done. One object
    serves any number of sessions and event loops, but only the process that made it: after a fork,
    make another. Call `aclose()` when you are done.

    Raises InvalidInputError for an empty path or a negative timeout, ModuleNotFoundError without a
    path and without the extra.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, timeout: float = 3.0) -> None:
        place = _default_path() if path is None else os.fspath(path)
        if not place:
            raise InvalidInputError(
                "FileStorage needs the path of a file; leave it out for the user's own data folder."
            )
        # a later chdir() must not lead elsewhere, nor a rename replace a link by a file
        self._path = os.path.realpath(place)
        self._name = os.path.basename(self._path)
        self._new = f"{self._path}.new"
        self._make_folder = path is None
        self._thread = OwnThread("FileStorage", self._name, timeout)
        self._lock = FileLock(f"{self._path}.lock", timeout=timeout)

    @on_own_thread
    def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        with self._entries() as entries:
            return entries.get(key)

    @on_own_thread
    def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between processes; returns what is
        stored afterwards.
        """
        with self._entries() as entries:
            return entries.setdefault(key, value)

    @on_own_thread
    def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value, in one atomic
        step between processes; afterwards no byte of their values is left in the file or beside it.

        (The blocks of the disk that the former file used are freed, not overwritten.)
        """
        with self._entries() as entries:
            return {key: entries.pop(key) for key in keys if key in entries}

    @on_own_thread
    def keys(self) -> Sequence[str]:
        """Every key stored, of whatever scope, sorted."""
        with self._entries() as entries:
            return tuple(sorted(entries))

    async def aclose(self) -> None:
        """Ends the thread after the operations under way; later calls raise StorageError.

        Cancelling it cancels the waiting only. A second call does nothing.
        """
        await self._thread.aclose()

    def __repr__(self) -> str:
        return repr(self._thread)

    @contextlib.contextmanager
    def _entries(self) -> Generator[dict[str, str], None, None]:
        """What is stored; what of it is changed within the block is written at its end."""
        try:
            if self._make_folder:
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with self._lock.held():
                self._thread.land()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._new)
                before = self._read()
                entries = dict(before)
                yield entries
                if entries != before:
                    self._write(entries)
        except OSError as error:
            raise file_error(error, self._name) from error
        except UnicodeEncodeError:
            raise StorageError(
                f"The storage file {self._name!r} cannot hold a text that UTF-8 cannot carry; "
                "pass clean text.",
                reason="UnicodeEncodeError",
                recoverable=False,
            ) from None

    def _read(self) -> Mapping[str, str]:
        try:
            with open(self._path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return {}
        try:
            return _parsed(content)
        except DamagedError as damage:
            aside = set_aside(self._path)
            report(
                f"The storage file {self._name!r}", str(damage), f"it was set aside as {aside!r}"
            )
            _sync_folder(self._path)
            return {}

    def _write(self, entries: Mapping[str, str]) -> None:
        content = json.dumps(entries, ensure_ascii=False, indent=1).encode()
        try:
            # Never through a link or into a file that somebody else put there and could read.
            descriptor = os.open(
                self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600
            )
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._new, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self._new)
            raise
        _sync_folder(self._path)


def _default_path() -> str:
    platformdirs = require(
        "platformdirs",
        extra="file",
        purpose="FileStorage without a path asks platformdirs for the user's folder",
    )
    return os.path.join(
        str(platformdirs.user_data_dir("support-chat", appauthor=False)), "storage.json"
    )


def _parsed(content: bytes) -> Mapping[str, str]:
    """The entries in a file's content, none in an empty one; raises DamagedError unless it is a
    JSON object of texts.
    """
    if not content:
        return {}  # a file that was made beforehand, by `touch` or to give it an owner
    try:
        entries: object = json.loads(content.decode())
        # a lone surrogate, escaped in JSON, is no text
        json.dumps(entries, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise DamagedError("it is not JSON") from None  # the error would show the content
    if not isinstance(entries, dict) or not all(
        isinstance(value, str) for value in cast("dict[str, object]", entries).values()
    ):
        raise DamagedError("it is not a JSON object of texts")
    return cast("dict[str, str]", entries)


def _sync_folder(path: str) -> None:
    """Forces the renaming to the disk, where folders can be opened and synced at all."""
    if os.name != "posix":
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        # some network drives have no such thing
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(folder)
