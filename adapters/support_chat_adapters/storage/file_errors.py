"""What the operating system says of a file, as a StorageError with the way out; the file is named
without its folder.
"""

from __future__ import annotations

import errno

from support_chat.errors import StorageError


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
