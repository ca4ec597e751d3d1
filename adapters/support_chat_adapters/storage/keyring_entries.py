"""The entries of a keyring, with blocking methods: their names, their index, and how they are
changed in one step.

A keyring answers for one name at a time and lists nothing, so the names are kept in an entry of
their own, the *index*. It never misses a name: a name is added before its value is stored, and
removed after it. After a crash in between it may hold one too many, which `keys` leaves out.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Generator, Sequence
from typing import Final, Protocol, cast

from support_chat.errors import StorageError

from .damage import DamagedError, report
from .file_lock import FileLock

_INDEX: Final = "%index"  # no key is quoted to this: a percent sign is followed by two digits
_PROBE: Final = "%probe"


class Keyring(Protocol):
    """What is asked of a backend of the keyring library, which leaves its own methods without
    types.
    """

    def get_password(self, service: str, username: str) -> str | None:
        """The secret of this name, or None."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Stores a secret in place of the former one."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Removes a secret; raises `keyring.errors.PasswordDeleteError` if there is none."""
        ...


class KeyringEntries:
    """Entries of `service` in the keyring `backend` (None: the system's), changed one process at a
    time under `lock`.

    All methods block, and raise StorageError. The first one that is called finds out whether the
    keyring can be used: it stores, reads and removes an entry. If it fails, the next one tries
    again.
    """

    def __init__(self, service: str, backend: Keyring | None, lock: FileLock) -> None:
        self._service = service
        self._given = backend
        self._lock = lock
        self._found: Keyring | None = None

    def get(self, key: str) -> str | None:
        """The value under `key`, or None."""
        with self._opened() as backend:
            return self._value(backend, key)

    def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored."""
        with self._opened() as backend:
            stored = self._value(backend, key)
            if stored is not None:
                return stored
            self._store(backend, key, value)
            return value

    def replace(self, key: str, old: str, new: str) -> str:
        """Stores `new` if `old` is stored; returns what is stored, or `old` for an absent key."""
        with self._opened() as backend:
            stored = self._value(backend, key)
            if stored != old:
                return old if stored is None else stored
            self._store(backend, key, new)
            return new

    def delete(self, keys: Sequence[str]) -> None:
        """Removes the keys."""
        with self._opened() as backend:
            index = self._index(backend)
            gone = [key for key in index if key in set(keys)]
            for key in gone:
                _remove(backend, self._service, quoted(key))
            if gone:
                self._write_index(backend, [key for key in index if key not in gone])

    def keys(self) -> tuple[str, ...]:
        """Every key, sorted."""
        with self._opened() as backend:
            return tuple(
                sorted(key for key in self._index(backend) if self._is_there(backend, key))
            )

    def close(self) -> None:
        """Nothing is kept open between two operations."""

    @contextlib.contextmanager
    def _opened(self) -> Generator[Keyring, None, None]:
        with self._lock.held():
            try:
                if self._found is None:
                    self._found = self._proven()
                yield self._found
            except StorageError:
                raise
            except Exception as error:
                # Backends raise whatever their system does, and may quote what they were given.
                raise _storage_error(error) from None

    def _proven(self) -> Keyring:
        from keyring import get_keyring
        from keyring.backends import fail, null
        from keyring.errors import NoKeyringError

        backend = cast("Keyring", get_keyring()) if self._given is None else self._given
        if isinstance(backend, fail.Keyring | null.Keyring):
            raise NoKeyringError
        word = secrets.token_urlsafe(16)
        backend.set_password(self._service, _PROBE, word)
        kept = backend.get_password(self._service, _PROBE)
        _remove(backend, self._service, _PROBE)
        if kept != word or backend.get_password(self._service, _PROBE) is not None:
            raise StorageError(
                f"The keyring ({type(backend).__module__}) did not keep what it was given; choose "
                "another keyring or storage.",
                reason="forgetful",
                recoverable=False,
            )
        return backend

    def _value(self, backend: Keyring, key: str) -> str | None:
        """The value, which is entered in the index if it is not there: the index may have been
        lost.
        """
        try:
            value = _text(backend, self._service, quoted(key))
        except DamagedError as damage:
            _remove(backend, self._service, quoted(key))
            report(
                f"The value {key!r} in the keyring",
                str(damage),
                "it could not be read, so it was removed",
            )
            return None
        if value is not None and key not in (index := self._index(backend)):
            self._write_index(backend, [*index, key])
        return value

    def _is_there(self, backend: Keyring, key: str) -> bool:
        try:
            return _text(backend, self._service, quoted(key)) is not None
        except DamagedError:
            return True

    def _store(self, backend: Keyring, key: str, value: str) -> None:
        if key not in (index := self._index(backend)):
            self._write_index(backend, [*index, key])
        backend.set_password(self._service, quoted(key), value)

    def _index(self, backend: Keyring) -> list[str]:
        content: str | None = None
        try:
            content = _text(backend, self._service, _INDEX)
            return [] if content is None else parsed_index(content)
        except DamagedError as damage:
            where = "it could not be read, so it was removed"
            if content is not None:
                aside = self._free_name(backend)
                backend.set_password(self._service, aside, content)
                where = f"it was set aside as {aside!r}"
            _remove(backend, self._service, _INDEX)
            report("The list of keys in the keyring", str(damage), where)
            return []

    def _free_name(self, backend: Keyring) -> str:
        n = 1
        while backend.get_password(self._service, f"{_INDEX}:corrupt-{n}") is not None:
            n += 1
        return f"{_INDEX}:corrupt-{n}"

    def _write_index(self, backend: Keyring, keys: Sequence[str]) -> None:
        if keys:
            backend.set_password(self._service, _INDEX, json.dumps(keys))
        else:
            _remove(backend, self._service, _INDEX)


def quoted(key: str) -> str:
    """The key as the name of an entry: some keyrings take upper for lower case, and few take a NUL
    or an empty name.
    """
    return (
        re.sub(rb"[^a-z0-9/_.-]", lambda byte: b"%%%02x" % byte[0][0], key.encode()).decode() or "%"
    )


def parsed_index(content: str) -> list[str]:
    """The keys in the index; raises DamagedError unless it is a JSON list of texts."""
    try:
        keys = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedError("it is not JSON") from None
    if not isinstance(keys, list) or not all(
        isinstance(key, str) for key in cast("list[object]", keys)
    ):
        raise DamagedError("it is not a JSON list of texts")
    return cast("list[str]", keys)


def _text(backend: Keyring, service: str, name: str) -> str | None:
    try:
        value: object = backend.get_password(service, name)
    except UnicodeDecodeError:
        raise DamagedError("it is not text") from None
    if value is not None and not isinstance(value, str):
        raise DamagedError("it is not text")
    return value


def _remove(backend: Keyring, service: str, name: str) -> None:
    from keyring.errors import PasswordDeleteError

    try:
        backend.delete_password(service, name)
    except PasswordDeleteError:
        with contextlib.suppress(UnicodeDecodeError):
            if backend.get_password(service, name) is None:
                return  # it was absent
        raise


def _storage_error(error: Exception) -> StorageError:
    from keyring import errors

    passing = True
    if isinstance(error, errors.NoKeyringError):
        fault, passing = (
            "this system has none. Install one (on Linux: GNOME Keyring or KWallet), or choose "
            "another storage",
            False,
        )
    elif isinstance(error, errors.KeyringLocked):
        fault = "it is locked. Unlock it, then try again"
    elif isinstance(error, errors.InitError):
        fault = "it could not be opened. Sign in to the desktop, or choose another storage"
    elif isinstance(error, UnicodeEncodeError):
        fault, passing = "it was given a text that UTF-8 cannot carry. Pass clean text", False
    else:
        fault = "it failed. Try again, or choose another storage"
    return StorageError(
        f"The keyring cannot be used: {fault} ({type(error).__name__}).",
        reason=type(error).__name__,
        recoverable=passing,
    )
