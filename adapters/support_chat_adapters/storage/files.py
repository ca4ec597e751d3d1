"""What storages in files share: the lock between processes, which the operating system releases
when its holder dies, and what the system says of a file, as a StorageError with the way out.

The locked file is empty and stays: whoever removed it would leave another process with a lock on a
file nobody else finds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Generator
from typing import Final

from support_chat.errors import InvalidInputError, StorageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# seconds between attempts: short while a holder may be about to finish, the last one for good
_PAUSES: Final = (0.001, 0.002, 0.005, 0.01)


class FileLock:
    """A lock on the file at `path`, which is made with mode 0600 when it is absent; its folder must
    exist.

    `held()` waits for it at most `timeout` seconds. It keeps out other processes and other threads,
    those with an object of their own on the same path too; whoever holds it must not ask for it
    again. Pass `FileLock(path).held` wherever a factory of context managers is asked for, as
    `MappingStorage(lock=...)` does. It holds on one machine; on a network drive only if the drive
    carries locks.

    Raises InvalidInputError for a negative timeout.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 3.0) -> None:
        if timeout < 0:
            raise InvalidInputError("FileLock(timeout=...) must be zero or more seconds.")
        self._path: str = os.path.abspath(os.fspath(path))
        self._timeout = timeout

    @contextlib.contextmanager
    def held(self, *, shared: bool = False) -> Generator[None, None, None]:
        """Holds the lock in this block; blocks until then. Raises StorageError when others keep it,
        or it cannot be made.

        `shared`: beside others who hold it shared, where the system has such locks (not on
        Windows).
        """
        name = os.path.basename(self._path)
        try:
            descriptor = self._acquire(time.monotonic() + self._timeout, shared)
        except OSError as error:
            raise file_error(error, name, "locked") from error
        if descriptor is None:
            raise StorageError(
                f"The lock {name!r} was kept by another process for {self._timeout:g} s. Try "
                "again, or allow a longer timeout.",
                reason="locked",
            )
        try:
            yield
        finally:
            _unlock(descriptor)
            os.close(descriptor)

    def _acquire(self, until: float, shared: bool) -> int | None:
        attempt = 0
        while True:
            descriptor = os.open(
                self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600
            )
            try:
                while not _locks(descriptor, shared):
                    if time.monotonic() >= until:
                        os.close(descriptor)
                        return None
                    time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
                    attempt += 1
                if is_in_place(os.fstat(descriptor), self._path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            # somebody removed the file meanwhile, so that others lock another one
            os.close(descriptor)


def is_in_place(opened: os.stat_result | None, path: str) -> bool:
    """Whether the file that was opened, if one was, is the one that is found at `path` now."""
    with contextlib.suppress(FileNotFoundError):
        return opened is not None and os.path.samestat(opened, os.stat(path))
    return False


def file_error(error: OSError, name: str, verb: str = "used") -> StorageError:
    """The error for the file called `name`, which cannot be `verb` (a participle: used,
    created...).
    """
    # str(error) would show the folder, which may be a person's name
    words = error.strerror or type(error).__name__
    return StorageError(
        f"The storage file {name!r} cannot be {verb}: {words}. {_remedy(error)}, or choose "
        "another path.",
        reason=type(error).__name__,
        recoverable=error.errno
        in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE),
    )


def _remedy(error: OSError) -> str:
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return "Make its folder writable"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "Create its folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space, then try again"
    return "Check the file and its disk"


if sys.platform == "win32":

    def _locks(descriptor: int, shared: bool) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def _locks(descriptor: int, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        # a child forked meanwhile shares the descriptor: closing would not release
        fcntl.flock(descriptor, fcntl.LOCK_UN)
