"""One daemon thread as an executor, for blocking calls that must keep their order and their thread.

The executors of the standard library join their threads when the interpreter exits, so a call that
hangs (a file on a dead network drive) would keep the program from ending; and they have no single
thread that is certain to run every call, which is what a sqlite3 connection asks for. As an
`Executor` it works with `loop.run_in_executor` of every event loop, which delivers results with
`call_soon_threadsafe` and drops those of calls that were cancelled.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeAlias, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Work: TypeAlias = "tuple[Future[Any], Callable[[], Any]] | None"


class DaemonExecutor(Executor):
    """Runs calls one after the other on a daemon thread named `name`, which starts with the first
    call.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._down = False
        self._lock = threading.Lock()

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Queues the call; raises RuntimeError after `shutdown()`. A call that is cancelled before
        it begins never runs.
        """
        future: Future[_T] = Future()
        with self._lock:
            if self._down:
                raise RuntimeError(f"{self._name} is shut down")
            if self._thread is None:
                # The thread holds the queue, not this object: dropping an executor must not depend
                # on its thread.
                self._thread = threading.Thread(
                    target=_work, args=(self._queue,), name=self._name, daemon=True
                )
                self._thread.start()
            self._queue.put((future, functools.partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the thread after the calls already queued, which `cancel_futures` drops; `wait`
        waits for its end.
        """
        with self._lock:
            self._down = True
            if cancel_futures:
                with contextlib.suppress(Empty):
                    while (work := self._queue.get_nowait()) is not None:
                        work[0].cancel()
            self._queue.put(None)
        if wait and self._thread is not None:
            self._thread.join()


def _work(queue: SimpleQueue[_Work]) -> None:
    while (work := queue.get()) is not None:
        future, call = work
        if future.set_running_or_notify_cancel():
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        del work, future, call  # an idle thread must not keep the last call's values alive
