"""A storage in the system's keyring, which encrypts it and opens it when its user signs in: for
desktop applications.

The keyring is used on a daemon thread of the storage's own (`own_thread.py`), since it may ask its
user for a password; what is done there is in `keyring_entries.py`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from support_chat.errors import InvalidInputError
from support_chat_adapters.extras import require

from .file_lock import FileLock
from .keyring_entries import Keyring, KeyringEntries
from .own_thread import OwnThread

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend


class KeyringStorage:
    """Keeps each value as an entry of `service` in the system's keyring, or in `keyring`, a backend
    of the keyring library.

    Use it when a visitor's secret must not lie readable on the disk. The first operation, which a
    session does when it is loaded, stores, reads and removes an entry, so that a keyring which is
    missing, locked or forgetful is found then, and not in the middle of a boot. Give each
    application a `service` of its own, unless they share their visitors.

    **What is atomic.** `create` and `replace` are one step between the processes of one user on one
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

    It implements the `Storage` port. Every method raises StorageError with the way out; a cancelled
    call may or may not have been done, and harms no later one. One object serves any number of
    sessions and event loops. Call `aclose()` when you are done.

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
        if timeout < 0:
            raise InvalidInputError("KeyringStorage(timeout=...) must be zero or more seconds.")
        self._entries = KeyringEntries(
            service, cast("Keyring | None", keyring), FileLock(_lock_path(service), timeout=timeout)
        )
        self._thread = OwnThread("KeyringStorage", service, self._entries.close)

    async def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        return await self._thread.run(self._entries.get, key)

    async def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between processes; returns what is
        stored afterwards.
        """
        return await self._thread.run(self._entries.create, key, value)

    async def replace(self, key: str, old: str, new: str) -> str:
        """Stores `new` if `old` is stored, in one atomic step between processes; returns what is
        stored afterwards.

        An absent key is left absent and answers `old`.
        """
        return await self._thread.run(self._entries.replace, key, old, new)

    async def delete(self, *keys: str) -> None:
        """Removes the keys, absent ones too; what the keyring leaves on its disk is its own affair,
        and encrypted.
        """
        await self._thread.run(self._entries.delete, keys)

    async def keys(self) -> Sequence[str]:
        """Every key of the service, of whatever scope, sorted."""
        return await self._thread.run(self._entries.keys)

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


def _lock_path(service: str) -> str:
    """One file for each user and service; others' files of that name cannot be opened, which is
    told as what it is.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    name = hashlib.sha256(f"{user}\0{service}".encode()).hexdigest()[:16]
    return os.path.join(tempfile.gettempdir(), f"support-chat-keyring-{name}.lock")
