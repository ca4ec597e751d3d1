"""A loop whose time is virtual: hours of timers run in milliseconds, and always in the same order.

When nothing is ready, `VirtualLoop` does not sleep: its `time()` jumps to the next timer.
Everything else is the ordinary selector loop of asyncio, so tasks, `TaskGroup`, `asyncio.timeout`,
`call_later` and `asyncio.Runner` work unchanged.

**Order.** `time()` begins at 0.0 and is exactly what the timers say; timers due at one instant run
in the order in which they were set. (What asyncio itself keeps in sets, the order in which a
TaskGroup cancels its children, stays its own.)

**Threads.** Virtual time must not run away while a thread works on something that a task waits for,
so the loop counts *outside work*: every unfinished `run_in_executor` future (hence
`asyncio.to_thread`, the default executor's shutdown, and adapters that run their threads as
executors, as `SQLiteStorage` does), and every open `outside_work()` block. While there is any, time
stands still and the loop really waits for a thread's `call_soon_threadsafe`, for at most `patience`
real seconds at a time. Work whose future was cancelled no longer counts: nobody waits for it.

**Deadlocks.** If nothing is ready, no timer is set (one at infinity is none) and there is no
outside work, then nothing can ever happen again: the loop raises `DeadlockError`, which names every
pending task and the place where it is suspended.

**Interleavings.** Given a `choose`, the loop lets independent sources of callbacks take turns by it
(`support_chat.testing.turns`), so that a test sees orders which asyncio leaves open.

Out of scope: real sockets, pipes and subprocesses. Their bytes take real time, which this loop does
not spend.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import selectors
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

import attrs

from .here import need_threads_and_sockets
from .turns import SOURCE, Turns

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Ready = list[tuple[selectors.SelectorKey, int]]


@attrs.frozen
class Waiter:
    """A task that waits: its name, and where each of its coroutines is suspended, outermost
    first.
    """

    task: str
    where: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.task}: {' -> '.join(self.where) or 'not started'}"


class DeadlockError(RuntimeError):
    """Nothing can happen on the `VirtualLoop` any more, or no thread has reported in time;
    `waiting` says who waits.

    It is raised by the loop itself, out of `run()`, so that no task can swallow it; and it is not a
    `SupportChatError`, so that a test which expects one of those does not take a deadlock for it.
    """

    def __init__(self, message: str, waiting: tuple[Waiter, ...]) -> None:
        super().__init__(
            "\n  ".join([message, *(map(str, waiting) if waiting else ("no task is pending",))])
        )
        self.waiting = waiting


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that jumps over waiting times, for tests:
    `asyncio.Runner(loop_factory=VirtualLoop)`, or `run()`.

    `patience`: how many real seconds it waits for outside work before it raises DeadlockError.
    `choose`: draws which source goes on, where several may; without it callbacks run in the order
    in which they became ready.

    Raises NotImplementedError in Pyodide.
    """

    # Three attributes of the base class: its heap of timers (whose cancelled heads it drops before
    # it selects), how far beyond `time()` a timer is still due, and what is ready.
    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: float
    _ready: Any

    def __new__(cls, *, patience: float = 30.0, choose: random.Random | None = None) -> VirtualLoop:
        need_threads_and_sockets("VirtualLoop")
        return super().__new__(cls)

    def __init__(self, *, patience: float = 30.0, choose: random.Random | None = None) -> None:
        self._patience = patience
        self._outside = 0
        self._order = itertools.count()
        super().__init__(_Selector(self._idle))
        if choose is not None:
            self._ready = Turns(choose, self._ready)
        self._jump(0.0)  # Windows' own resolution is 16 ms, and timers would run early

    def time(self) -> float:
        """The virtual time in seconds; 0.0 when the loop is made."""
        return self._now

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As the base class, but timers of one instant run in the order of these calls."""
        at = _Instant(when, next(self._order), SOURCE.get())
        return super().call_at(at, callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """As the base class; until the future is done it counts as outside work."""
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1
        future.add_done_callback(self._one_less_outside)
        return future

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """As the base class, which waits for a thread of its own."""
        with self.outside_work():
            await super().shutdown_default_executor(*timeout)

    @contextmanager
    def outside_work(self) -> Generator[None, None, None]:
        """Time stands still in this block: use it, on the loop's thread, around an await for a
        thread of your own.
        """
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def _one_less_outside(self, _: object) -> None:
        self._outside -= 1

    def _idle(self, select: Callable[[float], _Ready]) -> _Ready:
        """What the loop does instead of sleeping: nothing is ready now."""
        if self._outside:
            ready = select(self._patience)
            if not ready:
                raise DeadlockError(
                    f"No outside work has finished within {self._patience:g} real seconds, and "
                    "virtual time stands still "
                    "meanwhile: does a thread hang, or wait for a timer of this loop? Let it end, "
                    "or raise `patience`.",
                    _waiting(self),
                )
            return ready
        when = self._scheduled[0].when() if self._scheduled else math.inf
        if math.isinf(when):
            raise DeadlockError(
                f"Deadlock at {self._now:g} s: nothing is ready, no timer is set and no outside "
                "work is pending. Release what "
                "these tasks wait for; if a thread of yours would, await it within "
                "`loop.outside_work()`.",
                _waiting(self),
            )
        self._jump(max(self._now, float(when)))
        return []

    def _jump(self, now: float) -> None:
        self._now = now
        # from 2**24 s on, after 194 days, a float is coarser than the usual 1e-9: the loop would
        # find a timer that is due not due yet, and spin
        self._clock_resolution = max(1e-9, math.ulp(now))


def run(
    main: Coroutine[Any, Any, _T], *, patience: float = 30.0, choose: random.Random | None = None
) -> _T:
    """Runs `main` on a fresh `VirtualLoop` and returns its result: what `asyncio.run` is to an
    ordinary loop.

    Afterwards every task is cancelled and the loop is closed. Raises what `main` raises, or
    DeadlockError; `patience` (real seconds) and `choose` are those of `VirtualLoop`.
    """

    def made() -> VirtualLoop:
        return VirtualLoop(patience=patience, choose=choose)

    try:
        with asyncio.Runner(loop_factory=made) as runner:
            return runner.run(main)
    finally:
        main.close()  # it may not have begun


class _Selector(selectors.DefaultSelector):
    """The platform's selector, which asks the loop what to do where it would otherwise sleep."""

    def __init__(self, idle: Callable[[Callable[[float], _Ready]], _Ready]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> _Ready:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        return self._idle(super().select)


class _Instant(float):
    """A timer's time that knows its place among its equals, since the heap of asyncio does not keep
    their order; and the source of the timer.
    """

    __slots__ = ("_order", "source")

    def __new__(cls, when: float, order: int, source: str) -> _Instant:
        self = super().__new__(cls, when)
        self._order, self.source = order, source
        return self

    _order: int
    source: str

    def __lt__(self, other: float) -> bool:
        if isinstance(other, _Instant) and self == other:
            return self._order < other._order
        return super().__lt__(other)


def _waiting(loop: asyncio.AbstractEventLoop) -> tuple[Waiter, ...]:
    waiters = [
        Waiter(task.get_name(), tuple(_suspended(task.get_coro())))
        for task in asyncio.all_tasks(loop)
    ]
    # Task-9 before Task-10
    return tuple(sorted(waiters, key=lambda waiter: (len(waiter.task), waiter.task)))


def _suspended(awaited: object) -> Iterator[str]:
    """Follows what a coroutine awaits, down to the future that ends the chain."""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            file = frame.f_code.co_filename.replace("\\", "/").rsplit("/", 1)[-1]
            yield f"{frame.f_code.co_qualname} ({file}:{frame.f_lineno})"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
