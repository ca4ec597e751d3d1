"""The JSON file behind `FileStorage`, with blocking methods: its lock, its atomic replacement, and
what it does when damaged.

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

from support_chat.errors import StorageError

from .damage import DamagedError, report, set_aside
from .file_errors import file_error
from .file_lock import FileLock


class JSONFile:
    """Entries in the JSON object at `path`; waits for its lock at most `timeout` seconds.

    `make_folder` makes an absent folder, with mode 0700. All methods block and raise StorageError.
    """

    def __init__(self, path: str, timeout: float, *, make_folder: bool) -> None:
        self._path = path
        self._name = os.path.basename(path)
        self._new = f"{path}.new"
        self._make_folder = make_folder
        self._lock = FileLock(f"{path}.lock", timeout=timeout)

    def get(self, key: str) -> str | None:
        """The value under `key`, or None."""
        with self._locked():
            return self._entries().get(key)

    def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored."""
        with self._locked():
            entries = self._entries()
            if key not in entries:
                self._write({**entries, key: value})
            return entries.get(key, value)

    def replace(self, key: str, old: str, new: str) -> str:
        """Stores `new` if `old` is stored; returns what is stored, or `old` for an absent key."""
        with self._locked():
            entries = self._entries()
            if entries.get(key) != old:
                return entries.get(key, old)
            self._write({**entries, key: new})
            return new

    def delete(self, keys: Sequence[str]) -> None:
        """Removes the keys; the file is written anew without them."""
        with self._locked():
            entries = self._entries()
            gone = entries.keys() & set(keys)
            if gone:
                self._write({key: value for key, value in entries.items() if key not in gone})

    def keys(self) -> tuple[str, ...]:
        """Every key, sorted."""
        with self._locked():
            return tuple(sorted(self._entries()))

    def close(self) -> None:
        """Nothing is kept open between two operations."""

    @contextlib.contextmanager
    def _locked(self) -> Generator[None, None, None]:
        try:
            if self._make_folder:
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with self._lock.held():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._new)
                yield
        except OSError as error:
            raise file_error(error, self._name) from error
        except UnicodeEncodeError:
            raise StorageError(
                f"The storage file {self._name!r} cannot hold a text that UTF-8 cannot carry; "
                "pass clean text.",
                reason="UnicodeEncodeError",
                recoverable=False,
            ) from None

    def _entries(self) -> Mapping[str, str]:
        try:
            with open(self._path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return {}
        try:
            return parsed(content)
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


def parsed(content: bytes) -> Mapping[str, str]:
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
