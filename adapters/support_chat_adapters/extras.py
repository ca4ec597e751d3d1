"""Third-party libraries are extras: imported when their adapter is used, and asked for by the line
that installs them.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Imports `module`, or raises ModuleNotFoundError with the line that installs it.

    `extra` is the extra of `support-chat` that brings it, `purpose` the sentence that says what it
    is for (`RedisStorage speaks to its server with redis-py`). Call it where the adapter is made,
    so that what is missing is known before anything begins.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or module).partition(".")[0] != module.partition(".")[0]:
            # the library is there, and something that it needs is not: its own message says more
            raise
        raise ModuleNotFoundError(
            f'{purpose}: pip install "support-chat[{extra}]".', name=module
        ) from None
