"""Blocking work of a storage, done on one daemon thread of its own: in order, away from the loop.

The executors of the standard library join their threads when the interpreter exits, so a call that
hangs (a file on a dead network drive) would keep the program from ending; and they have no single
thread that is certain to run every call, which is what a sqlite3 connection asks for.

A storage *has* an `OwnThread`, and writes its methods as blocking code under `@on_own_thread`. A
call that was cancelled must land no more once it has ended, and yet must not hang while it waits
for a lock: so that code says with `land()` when it begins to change something. Until then it can be
given up, and ends at once; from then on it ends when its work is done.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from types import CoroutineType
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeAlias, TypeVar

from support_chat.errors import InvalidInputError, StorageError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Work: TypeAlias = "tuple[Future[Any], Callable[[], Any]]"

_A_LITTLE: Final = 5.0


class OwnThread:
    """The thread of a storage of class `kind` on `name`, which starts with the first call; `close`
    is called on it last, to release what the calls opened.

    A call takes at most `timeout` seconds and a little, or it hangs: then those that come are told
    so, rather than left to wait behind it.

    Dropped without `aclose()`, it warns and ends all the same; so nothing given to it may lead back
    to the storage.

    Raises InvalidInputError for a negative timeout.
    """

    def __init__(
        self, kind: str, name: str, timeout: float, close: Callable[[], None] = lambda: None
    ) -> None:
        self._storage = f"{kind} {name!r}"
        self._name = f"{kind} {name}"
        self._patience = timeout + _A_LITTLE
        self._close = close
        self._calls = _Calls()
        self._starting = threading.Lock()
        self._process: int | None = None  # in which the thread is, once it has started
        self._closed = False
        if timeout < 0:
            raise InvalidInputError(f"{kind}(timeout=...) must be zero or more seconds.")

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Calls it on the thread, after those before it, and ends when it has; cancelled before the
        call has landed anything, it ends at once, and the call lands nothing.

        Raises StorageError once `aclose()` was called, in a process forked since, while a call
        hangs, and where no thread can be started.
        """
        if self._closed:
            raise StorageError(
                f"The {self._storage} is closed; make a new one.",
                reason="closed",
                recoverable=False,
            )
        if self._process not in (None, os.getpid()):
            raise StorageError(
                f"The {self._storage} was used before a fork, and its thread is in the other "
                "process; make a new one in this process.",
                reason="forked",
                recoverable=False,
            )
        hanging = self._calls.under_way_for()
        if hanging > self._patience:
            raise StorageError(
                f"The {self._storage} hangs: what it asked of its system {hanging:.0f} s ago has "
                "not come back. Look at its disk, its network drive, or a question to its user.",
                reason="hangs",
            )
        with self._starting:
            if self._process is None:
                self._start()
                self._process = os.getpid()
        landing, cancelled = _Landing(), list[asyncio.CancelledError]()
        working = self._awaited(
            functools.partial(
                self._calls.perform, landing, functools.partial(call, *args, **kwargs)
            )
        )
        try:
            while not working.done():
                try:
                    await asyncio.wait({working})
                except asyncio.CancelledError as error:
                    if landing.give_up():
                        working.cancel()
                        raise
                    cancelled.append(error)
            if cancelled:
                working.exception()  # looked at: nobody else will
                raise cancelled[0]
            return working.result()
        finally:
            del working, cancelled  # an error leads to this frame, which must not lead back to it

    def land(self) -> None:
        """On the thread, before a call changes something for the first time, and as often as it
        likes: it is not given up any more. Raises GivenUpError if it was.
        """
        self._calls.landing.begin()

    def _start(self) -> None:
        # The thread holds the calls, not this object, which may then be dropped.
        thread = threading.Thread(target=_work, args=(self._calls,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # at a limit of the system, or in Pyodide, which has none
            raise StorageError(
                f"The {self._storage} needs a thread of its own, and none can be started here "
                f"({error}). MemoryStorage and MappingStorage need none.",
                reason="no_threads",
            ) from error

    async def aclose(self) -> None:
        """Ends the thread after the calls under way. Cancelling it cancels the waiting only; a
        second call does nothing.
        """
        used, self._closed = self._is_used(), True
        if used:
            closing = self._awaited(self._close)
            self._calls.queue.put(None)
            await asyncio.shield(closing)

    def _awaited(self, call: Callable[[], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._calls, call)

    def _is_used(self) -> bool:
        return not self._closed and self._process == os.getpid()

    def __del__(self) -> None:
        if self._is_used():
            warnings.warn(
                f"unclosed {self!r}; call its aclose()", ResourceWarning, source=self, stacklevel=2
            )
            self._calls.submit(self._close)
            self._calls.queue.put(None)

    def __repr__(self) -> str:
        return f"<{self._storage}{' closed' if self._closed else ''}>"


class GivenUpError(Exception):
    """Whoever made the call that is under way has given it up: it must change nothing. Seen by
    nobody else.
    """


class _Landing:
    """Whether a call has begun to change something, or was given up before: whichever came
    first.
    """

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._begun = self._given_up = False

    def begin(self) -> None:
        """On the thread; raises GivenUpError."""
        with self._deciding:
            if self._given_up:
                raise GivenUpError
            self._begun = True

    def give_up(self) -> bool:
        """On the loop: whether it was in time, so that nothing will land."""
        with self._deciding:
            self._given_up = not self._begun
            return self._given_up


class _Calls(Executor):
    """The calls to be made, for `run_in_executor` of every event loop, which brings results back
    and drops those of calls that were cancelled.
    """

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Work | None] = SimpleQueue()
        self.began: float | None = None
        self.landing = _Landing()  # of the call under way

    def perform(self, landing: _Landing, call: Callable[[], _T]) -> _T:
        """On the thread."""
        self.landing = landing
        return call()

    def under_way_for(self) -> float:
        began = self.began
        return 0.0 if began is None else time.monotonic() - began

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        future: Future[_T] = Future()
        self.queue.put((future, functools.partial(fn, *args, **kwargs)))
        return future


class _OnOwnThread(Protocol):
    _thread: OwnThread


_S = TypeVar("_S", bound=_OnOwnThread)


def on_own_thread(
    method: Callable[Concatenate[_S, _P], _T],
) -> Callable[Concatenate[_S, _P], CoroutineType[Any, Any, _T]]:
    """Makes a blocking method of a storage one to be awaited, which runs on its `_thread`."""

    @functools.wraps(method)
    async def run(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        thread = self._thread  # pyright: ignore[reportPrivateUsage]
        return await thread.run(method, self, *args, **kwargs)

    # mypy takes what `async def` returns for any coroutine, pyright for Python's own
    return run  # type: ignore[return-value]


def _work(calls: _Calls) -> None:
    while (work := calls.queue.get()) is not None:
        future, call = work
        del work
        calls.began = time.monotonic()
        if future.set_running_or_notify_cancel():
            try:
                result = call()
            except BaseException as error:
                del call  # whoever is told may drop the storage, which must then end with that
                calls.began = None
                future.set_exception(error)
            else:
                del call
                calls.began = None
                future.set_result(result)
                del result
            del future  # an idle thread must not keep the last call's values alive
        else:
            calls.began = None
            del future, call
