"""Runs a blocking function on a daemon thread of its own, so that one that hangs keeps neither the
loop nor the process.

It is an `Executor`, for `loop.run_in_executor`: so an event loop knows that somebody works for it
elsewhere, which a loop with virtual time must. The standard pool will not do: its threads are
joined when the program ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(Executor):
    """One daemon thread for each call submitted."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Starts `fn` on a new daemon thread and returns the future of its result."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(
            target=_work,
            args=(future, fn, args, kwargs),
            name="support-chat blocking call",
            daemon=True,
        ).start()
        return future


def _work(
    future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    try:
        result = fn(*args, **kwargs)
    except StopIteration as error:  # asyncio's futures cannot carry it
        future.set_exception(RuntimeError(f"it raised StopIteration: {error}"))
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
