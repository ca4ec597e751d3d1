"""A storage in the system's keyring, which encrypts it and opens it when its user signs in: for
desktop applications.

A keyring answers for one name at a time and lists nothing, so the names are kept in an entry of
their own, the *index*. It never misses a name: a name is added before its value is stored, and
removed after it. After a crash in between it may hold one too many, which `keys` leaves out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol, cast

from support_chat.errors import InvalidInputError, StorageError
from support_chat_adapters.extras import require

from .damage import DamagedError, report
from .files import FileLock
from .thread import GivenUpError, OwnThread, on_own_thread

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_INDEX: Final = "%index"  # no key is quoted to this: a percent sign is followed by two digits
_FEW: Final = 100
"""How many keys are asked for although the index does not name them."""
_PROBE: Final = "%probe"


class _Keyring(Protocol):
    """What is asked of a backend of the keyring library, which leaves its methods without types."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


class _LandingKeyring:
    """A keyring that a call changes only once it cannot be given up any more."""

    def __init__(self, inner: _Keyring, land: Callable[[], None]) -> None:
        self._inner, self._land = inner, land

    def get_password(self, service: str, username: str) -> str | None:
        return self._inner.get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._land()
        self._inner.set_password(service, username, password)

    def delete_password(self, service: str, username: str) -> None:
        self._land()
        self._inner.delete_password(service, username)


class KeyringStorage:
    """Keeps each value as an entry of `service` in the system's keyring, or in `keyring`, a backend
    of the keyring library.

    Use it when a visitor's secret must not lie readable on the disk. The first operation, which a
    session does when it is loaded, stores, reads and removes an entry, so that a keyring which is
    missing, locked or forgetful is found then, and not in the middle of a boot. Give each
    application a `service` of its own, unless they share their visitors.

    **What is atomic.** `create` and `delete` are one step between the processes of one user on one
    machine that use this class with the same service and see the same folder for temporary files
    (`tempfile.gettempdir()`): a file there, empty, is their lock. Nothing keeps out another program
    that changes the entries, nor another machine where a keyring is synchronised. A crash leaves
    the old or the new value where the keyring replaces an entry in one step, as those of the
    systems do.

    `timeout` is how many seconds an operation waits for another process; it should be below
    `Settings.storage_timeout`.

    The list of keys is an entry too. If it is damaged it is set aside as an entry of its own and
    begun anew, and takes up each key again when it is read; a value that cannot be read as text is
    removed, since a keyring cannot move what it cannot read. Both are warned of in the log
    `support_chat`. Some keyrings limit a value (Windows: 1,280 characters).

    It implements the `Storage` port. Every method raises StorageError with the way out. A cancelled
    call that still waits, for those before it, another process or the user, ends at once and is
    never done; one that has begun to change entries ends when that is done. One object serves any
    number of sessions and event loops. Call `aclose()` when you are done.

    Raises InvalidInputError for an empty service or a negative timeout, and ModuleNotFoundError
    without the extra `keyring`.
    """

    def __init__(
        self,
        service: str = "support-chat",
        *,
        keyring: KeyringBackend | None = None,
        timeout: float = 3.0,
    ) -> None:
        require(
            "keyring",
            extra="keyring",
            purpose="KeyringStorage reaches the system's keyring with the keyring library",
        )
        if not service:
            raise InvalidInputError(
                "KeyringStorage needs the name of a service, under which the keyring shows its "
                "entries."
            )
        self._service = service
        self._given = cast("_Keyring | None", keyring)
        self._found: _Keyring | None = None
        self._thread = OwnThread("KeyringStorage", service, timeout)
        self._lock = FileLock(_lock_path(service), timeout=timeout)

    @on_own_thread
    def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        with self._opened() as backend:
            return self._value(backend, key)

    @on_own_thread
    def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between processes; returns what is
        stored afterwards.
        """
        with self._opened() as backend:
            stored = self._value(backend, key)
            if stored is None:
                self._store(backend, key, value)
            return value if stored is None else stored

    @on_own_thread
    def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value; what the
        keyring leaves on its disk is its own affair, and encrypted.
        """
        with self._opened() as backend:
            index, named = self._index(backend), dict.fromkeys(keys)
            # the index may have lost a few: to ask for each of many would take the system minutes
            sought = named if len(named) <= _FEW else [key for key in index if key in named]
            removed = {key: self._removed(backend, key) for key in sought}
            left = [key for key in index if key not in removed]
            if left != index:
                self._write_index(backend, left)
            return {key: value for key, value in removed.items() if value is not None}

    @on_own_thread
    def keys(self) -> Sequence[str]:
        """Every key of the service, of whatever scope, sorted."""
        with self._opened() as backend:
            return tuple(
                sorted(key for key in self._index(backend) if self._is_there(backend, key))
            )

    async def aclose(self) -> None:
        """Ends the thread after the operations under way; later calls raise StorageError.

        Cancelling it cancels the waiting only. A second call does nothing.
        """
        await self._thread.aclose()

    def __repr__(self) -> str:
        return repr(self._thread)

    @contextlib.contextmanager
    def _opened(self) -> Generator[_Keyring, None, None]:
        with self._lock.held():
            try:
                if self._found is None:
                    self._found = self._proven()
                yield _LandingKeyring(self._found, self._thread.land)
            except (StorageError, GivenUpError):
                raise
            except Exception as error:
                # backends raise what their system does, and may quote what they were given
                raise _storage_error(error) from None

    def _proven(self) -> _Keyring:
        from keyring import get_keyring
        from keyring.backends import fail, null
        from keyring.errors import NoKeyringError

        backend = cast("_Keyring", get_keyring()) if self._given is None else self._given
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

    def _value(self, backend: _Keyring, key: str) -> str | None:
        """The value, which is entered in the index if it is not there: the index may have been
        lost.
        """
        try:
            value = _text(backend, self._service, _quoted(key))
        except DamagedError as damage:
            _remove(backend, self._service, _quoted(key))
            report(
                f"The value {key!r} in the keyring",
                str(damage),
                "it could not be read, so it was removed",
            )
            return None
        if value is not None and key not in (index := self._index(backend)):
            self._write_index(backend, [*index, key])
        return value

    def _is_there(self, backend: _Keyring, key: str) -> bool:
        try:
            return _text(backend, self._service, _quoted(key)) is not None
        except DamagedError:
            return True

    def _removed(self, backend: _Keyring, key: str) -> str | None:
        """The text that was removed, None if there was none; whether the index names it or not: the
        index may have been lost.
        """
        value = None
        with contextlib.suppress(DamagedError):
            value = _text(backend, self._service, _quoted(key))
            if value is None:
                return None
        _remove(backend, self._service, _quoted(key))
        return value

    def _store(self, backend: _Keyring, key: str, value: str) -> None:
        if key not in (index := self._index(backend)):
            self._write_index(backend, [*index, key])
        backend.set_password(self._service, _quoted(key), value)

    def _index(self, backend: _Keyring) -> list[str]:
        content: str | None = None
        try:
            content = _text(backend, self._service, _INDEX)
            return [] if content is None else _parsed_index(content)
        except DamagedError as damage:
            where = "it could not be read, so it was removed"
            if content is not None:
                names = (f"{_INDEX}:corrupt-{n}" for n in count(1))
                aside = next(n for n in names if backend.get_password(self._service, n) is None)
                backend.set_password(self._service, aside, content)
                where = f"it was set aside as {aside!r}"
            _remove(backend, self._service, _INDEX)
            report("The list of keys in the keyring", str(damage), where)
            return []

    def _write_index(self, backend: _Keyring, keys: Sequence[str]) -> None:
        if keys:
            backend.set_password(self._service, _INDEX, json.dumps(keys))
        else:
            _remove(backend, self._service, _INDEX)


def _lock_path(service: str) -> str:
    """One file for each user and service; others' files of that name cannot be opened, which is
    told as what it is.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    name = hashlib.sha256(f"{user}\0{service}".encode()).hexdigest()[:16]
    return os.path.join(tempfile.gettempdir(), f"support-chat-keyring-{name}.lock")


def _quoted(key: str) -> str:
    """The key as the name of an entry: some keyrings take upper for lower case, and few take a NUL
    or an empty name.
    """
    return (
        re.sub(rb"[^a-z0-9/_.-]", lambda byte: b"%%%02x" % byte[0][0], key.encode()).decode() or "%"
    )


def _parsed_index(content: str) -> list[str]:
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


def _text(backend: _Keyring, service: str, name: str) -> str | None:
    try:
        value: object = backend.get_password(service, name)
    except UnicodeDecodeError:
        raise DamagedError("it is not text") from None
    if value is not None and not isinstance(value, str):
        raise DamagedError("it is not text")
    return value


def _remove(backend: _Keyring, service: str, name: str) -> None:
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

    causes: tuple[tuple[type[Exception], str, bool], ...] = (
        (
            errors.NoKeyringError,
            "this system has none. Install one (on Linux: GNOME Keyring or KWallet), or choose "
            "another storage",
            False,
        ),
        (errors.KeyringLocked, "it is locked. Unlock it, then try again", True),
        (
            errors.InitError,
            "it could not be opened. Sign in to the desktop, or choose another storage",
            True,
        ),
        (
            UnicodeEncodeError,
            "it was given a text that UTF-8 cannot carry. Pass clean text",
            False,
        ),
        (Exception, "it failed. Try again, or choose another storage", True),
    )
    what, passing = next(
        (what, passing) for kind, what, passing in causes if isinstance(error, kind)
    )
    return StorageError(
        f"The keyring cannot be used: {what} ({type(error).__name__}).",
        reason=type(error).__name__,
        recoverable=passing,
    )
