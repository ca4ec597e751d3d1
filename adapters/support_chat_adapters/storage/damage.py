"""Content that is no storage's: it is reported, set aside under a name of its own, and the storage
goes on without it.

Nothing is deleted and nothing overwritten: what is damaged may still be of use to somebody who can
read it. It also may still hold a visitor's secret, so whoever has looked at a file that was set
aside should delete it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from typing import Final

_LOG: Final = logging.getLogger("support_chat")


class DamagedError(Exception):
    """What was read is not what a storage writes; the message says why, without showing it. Never
    leaves the storage.
    """


def set_aside(path: str, companions: Sequence[str] = ()) -> str:
    """Renames the file at `path` to `<path>.corrupt-<n>`, with the first n that is free; returns
    its new name, without folder.

    `companions` are the suffixes of files that belong to it (`-journal`) and go with it where they
    exist. The caller holds the lock that keeps other processes from doing the same. Raises OSError.
    """
    n = 0
    while True:
        n += 1
        target = f"{path}.corrupt-{n}"
        try:
            # takes the name: a rename would overwrite
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        try:
            os.replace(path, target)
        except OSError:
            os.unlink(target)
            raise
        for suffix in companions:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path + suffix, target + suffix)
        return os.path.basename(target)


def report(what: str, why: str, where: str) -> None:
    """Warns that `what` was found damaged and what became of it (`where`: "it was set aside as
    'x.corrupt-1'").
    """
    _LOG.warning("%s is damaged: %s; %s, and the storage goes on without it.", what, why, where)
