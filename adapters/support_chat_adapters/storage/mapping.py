"""A storage in a mapping of yours: the session of a web framework (NiceGUI, Flask), a shelf, a
cache.

A mapping cannot compare and set, so what is atomic depends on whoever else has the mapping: see
`MappingStorage`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from collections.abc import Callable, Generator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Any, Final

from support_chat.errors import StorageError

from .damage import report

if sys.platform == "darwin":
    import fcntl

# Held while any mapping is used: two objects may have the same one, or two views of it. (A mapping
# may lead to another.)
_TURN: Final = threading.RLock()

# what a shelf raises for a value whose bytes are damaged, unlike the errors of a shelf that cannot
# be used
_UNREADABLE: Final = (pickle.UnpicklingError, EOFError, UnicodeDecodeError)


class MappingStorage:
    """Keeps everything as entries of `mapping`, in the caller's thread and context, where a
    framework's sessions are found.

    Use it for one visitor per signed-in browser: give it the mapping in which your framework keeps
    that browser's data.

    **What is atomic.** Within this process, every operation of every MappingStorage is one step.
    Between processes that is the mapping's affair: none can compare and set. If several processes
    change the same mapping, pass as `lock` a factory of context managers that keeps the others out;
    it is entered for each operation. `FileLock("visitors.lock").held` is one, for processes of one
    machine, but it helps only where the mapping reads what others wrote (open a shelf within the
    lock; one that is kept open remembers). A cookie that holds the session, as Flask's does, cannot
    be locked at all: of two requests at once, the later answer wins.

    After a change the mapping's `sync()` is called, if it has one, as a shelf does; a shelf on
    `dbm.ndbm`, which writes nothing before it is closed, is closed and opened again below the same
    `Shelf` (where the system says which file it was: Linux, macOS). A removed value is first
    overwritten by one of the same length, so that a shelf on `dbm.dumb` keeps no byte of it; what
    else a mapping leaves on a disk, and what a crash leaves of it, is its own affair.

    A value that is not text is moved to `<key>:corrupt-<n>`, with a warning in the log
    `support_chat`, and counts as absent from then on; one that a shelf cannot read stays until it
    is overwritten or removed. Keys that are not text are left alone.

    It implements the `Storage` port. Every method raises StorageError when the mapping or the lock
    fails. Closing it does not close the mapping: whoever made that closes it.
    """

    def __init__(
        self,
        mapping: MutableMapping[str, str],
        *,
        lock: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        # any: what is in it may be somebody else's
        self._mapping: MutableMapping[str, Any] = mapping
        self._lock = lock
        self._closed = False

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        with self._opened():
            return self._value(key)

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored afterwards."""
        with self._opened():
            stored = self._value(key)
            if stored is None:
                self._store(key, value)
            return value if stored is None else stored

    async def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value."""
        with self._opened():
            erased = {key: self._erased(key) for key in dict.fromkeys(keys)}
            self._sync()
            return {key: value for key, value in erased.items() if value is not None}

    async def keys(self) -> Sequence[str]:
        """Every key of the mapping that is text, also those of others, in the mapping's order."""
        with self._opened():
            return tuple(key for key in list[object](self._mapping) if isinstance(key, str))

    async def aclose(self) -> None:
        """Later calls raise StorageError; the mapping stays as it is. A second call does
        nothing.
        """
        self._closed = True

    @contextlib.contextmanager
    def _opened(self) -> Generator[None, None, None]:
        if self._closed:
            raise StorageError(
                "This MappingStorage is closed; make a new one.", reason="closed", recoverable=False
            )
        try:
            with self._lock(), _TURN:
                yield
        except StorageError:
            raise
        except Exception as error:
            # A mapping raises what it likes, and may quote what it was given.
            raise StorageError(
                f"The {type(self._mapping).__name__} behind MappingStorage failed "
                f"({type(error).__name__}). See that it is open.",
                reason=type(error).__name__,
            ) from None

    def _value(self, key: str) -> str | None:
        try:
            value = self._mapping[key]
        except KeyError:
            return None
        except _UNREADABLE:
            report(
                f"The value {key!r} of the mapping",
                "it cannot be read",
                "it stays until it is overwritten",
            )
            return None
        if isinstance(value, str):
            return value
        aside = next(name for n in count(1) if (name := f"{key}:corrupt-{n}") not in self._mapping)
        self._mapping[aside] = value
        del self._mapping[key]
        self._sync()
        report(
            f"The value {key!r} of the mapping",
            f"it is of type {type(value).__name__}",
            f"it was set aside as {aside!r}",
        )
        return None

    def _store(self, key: str, value: str) -> None:
        self._mapping[key] = value
        self._sync()

    def _erased(self, key: str) -> str | None:
        """The text that was removed, None if there was none."""
        value = None
        with contextlib.suppress(KeyError, *_UNREADABLE):
            if isinstance(value := self._mapping[key], str) and hasattr(self._mapping, "sync"):
                self._mapping[key] = "0" * len(value.encode())
        # not asked for before: a dbm.ndbm that holds an empty value denies it, and removes it
        with contextlib.suppress(KeyError):
            del self._mapping[key]
        return value if isinstance(value, str) else None

    def _sync(self) -> None:
        sync = getattr(self._mapping, "sync", None)
        if callable(sync):
            sync()
        database = getattr(self._mapping, "dict", None)
        if type(database).__module__ == "_dbm":  # a shelf on dbm.ndbm, which has no sync()
            self._mapping.__dict__["dict"] = _written(database)

    def __repr__(self) -> str:
        return (
            "<MappingStorage in a "
            f"{type(self._mapping).__name__}{' closed' if self._closed else ''}>"
        )


def _written(database: Any) -> Any:
    """The ndbm database with everything on disk: closed, and opened again, since nothing else makes
    it write. It does not say which file it is, so that is told by the file that closing it closes.
    """
    from dbm import ndbm

    before = _open_files()
    database.close()
    closed = {path for descriptor, path in before.items() if _open_file(descriptor) != path}
    for path in sorted(closed):
        name, ending = os.path.splitext(path)
        if ending in (".db", ".pag"):
            return ndbm.open(name, "w")
    raise StorageError(
        "The ndbm file behind MappingStorage was written, and closed, and cannot be found again; "
        "open the shelf on dbm.dumb or dbm.gnu.",
        reason="ndbm",
        recoverable=False,
    )


def _open_files() -> dict[int, str]:
    found = {int(name): _open_file(int(name)) for name in os.listdir("/dev/fd")}
    return {descriptor: path for descriptor, path in found.items() if path is not None}


def _open_file(descriptor: int) -> str | None:
    with contextlib.suppress(OSError):
        if sys.platform == "darwin":
            return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
        return os.readlink(f"/dev/fd/{descriptor}")
    return None
