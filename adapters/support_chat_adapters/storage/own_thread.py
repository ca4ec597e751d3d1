"""What the storages with blocking work share: one daemon thread for each, its end, and what is said
of one that is closed.

A storage *has* one of these: it hands its blocking calls to `run`, its `aclose` to `aclose` and its
`__del__` to `drop`.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from support_chat.errors import StorageError

from .daemon import DaemonExecutor

_T = TypeVar("_T")


class OwnThread:
    """The thread of a storage of class `kind` on `name`; `close` is called on it last, to release
    what the calls opened.
    """

    def __init__(self, kind: str, name: str, close: Callable[[], None]) -> None:
        self._storage = f"{kind} {name!r}"
        self._close = close
        self._executor = DaemonExecutor(f"{kind} {name}")
        self._used = False
        self._closed = False

    def run(self, call: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:
        """Calls it on the thread, after those before it; raises StorageError once `aclose()` was
        called.
        """
        if self._closed:
            raise StorageError(
                f"The {self._storage} is closed; make a new one.",
                reason="closed",
                recoverable=False,
            )
        self._used = True
        return asyncio.get_running_loop().run_in_executor(self._executor, call, *args)

    async def aclose(self) -> None:
        """Ends the thread after the calls under way. Cancelling it cancels the waiting only; a
        second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._used:
            await asyncio.shield(self._end())

    def drop(self, storage: object) -> None:
        """For `__del__`: warns if `storage` was used and not closed, and ends the thread all the
        same.
        """
        if self._used and not self._closed:
            warnings.warn(
                f"unclosed {storage!r}; call its aclose()",
                ResourceWarning,
                source=storage,
                stacklevel=3,
            )
            self._executor.submit(self._close)
            self._executor.shutdown(wait=False)

    def __repr__(self) -> str:
        return f"<{self._storage}{' closed' if self._closed else ''}>"

    def _end(self) -> asyncio.Future[None]:
        closing = asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown(wait=False)
        return closing
