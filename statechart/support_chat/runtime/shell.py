"""The shell: a loop over the engine. Whatever happens becomes an input, every command is obeyed.

It holds what cannot be a value: adapters, tasks, timers, the calls that somebody awaits, listeners.
Everything runs on the loop that made the first call. A step runs to its end, all of its commands
obeyed, before the next input is taken: what comes in meanwhile waits its turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from ..chart.model import Chart
from ..engine import (
    Arm,
    AwaiterCame,
    AwaiterLeft,
    Bound,
    CallMade,
    Cancel,
    Close,
    Command,
    Disarm,
    Emit,
    Engine,
    Expired,
    Heard,
    Hinted,
    Input,
    Keep,
    LimitReachedError,
    Now,
    Outcome,
    OutOfTime,
    Perform,
    Request,
    Settle,
    Snapshot,
)
from ..engine.told import told
from ..errors import SupportChatError
from ..lifecycle.calls import called
from ..lifecycle.chart import CHART
from ..lifecycle.events import ErrorOccurred
from ..lifecycle.names import Fact
from ..lifecycle.requests import Keys
from ..ports import Link, Storage, Transport
from ..settings import Settings
from .adapters import Adapters, perform
from .calls import Call
from .listeners import Listeners
from .log import SessionLog
from .step_log import StepLog, Text

_CLOSING: Final = 1.0
"""Seconds in which a loop that is being closed has closed."""


# --- the clock ------------------------------------------------------------------------------------

_LOOK_AGAIN: Final = 30.0
"""Longest uninterrupted wait, in seconds: the loop's own timers do not count the time of a
suspension.
"""
_READ_APART: Final = 1.0
"""Seconds by which two clocks may seem to differ because they are read one after the other."""


def _suspended() -> float:
    """Seconds for which this machine has been suspended; only differences of it mean anything."""
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    # macOS and Windows: their monotonic clocks already count it, or nothing does
    if boottime is None:
        return 0.0
    try:
        return time.clock_gettime(boottime) - time.monotonic()
    except OSError:  # Pyodide names the clock and has none
        return 0.0


class Clock:
    """Seconds since some moment, never going back, suspensions included."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before = _suspended()
        self._slept = 0.0

    def __call__(self) -> float:
        slept = _suspended() - self._before
        if slept > self._slept + _READ_APART:
            self._slept = slept
        return self._loop.time() + self._slept


class Timers:
    """At most one timer of each name (property S10)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._running: dict[str, asyncio.TimerHandle] = {}

    def arm(self, timer: str, delay: float, expired: Callable[[], None]) -> None:
        """Starts the timer, or starts it anew; `expired` is called after `delay` seconds of the
        clock.
        """
        self.disarm((timer,))
        self._wait(timer, self._clock() + delay, expired)

    def _wait(self, timer: str, until: float, expired: Callable[[], None]) -> None:
        left = until - self._clock()
        self._running[timer] = self._loop.call_later(
            max(0.0, min(left, _LOOK_AGAIN)), self._look, timer, until, expired
        )

    def _look(self, timer: str, until: float, expired: Callable[[], None]) -> None:
        del self._running[timer]
        if until - self._clock() > 1e-9:
            self._wait(timer, until, expired)
        else:
            expired()

    def disarm(self, timers: Iterable[str]) -> None:
        """Stops these timers; one that does not run is fine."""
        for timer in timers:
            handle = self._running.pop(timer, None)
            if handle is not None:
                handle.cancel()

    @property
    def running(self) -> frozenset[str]:
        """The timers that run."""
        return frozenset(self._running)


# --- the session ----------------------------------------------------------------------------------


def _raise(interrupt: BaseException) -> None:
    raise interrupt


@attrs.define(eq=False)
class _Performing:
    """A request under way."""

    request: Request
    task: asyncio.Task[object]
    limit: asyncio.TimerHandle | None = None
    cancelled: bool = False
    """Whether we have cancelled it. What the task counts says less: an adapter's own timeouts
    cancel it, too, and one that swallows our cancellation may take it back.
    """

    def cancel(self) -> None:
        """It is superseded, or over its limit: how it ends matters only if it succeeds."""
        self.cancelled = True
        if self.limit is not None:
            self.limit.cancel()
        self.task.cancel()


class Shell:
    """One session at work: `snapshot` is what it is, everything else is machinery."""

    def __init__(
        self,
        storage: Storage,
        transport: Transport,
        keys: Keys,
        settings: Settings,
        listeners: Listeners,
        log: SessionLog,
        loop: asyncio.AbstractEventLoop,
        chart: Chart = CHART,
    ) -> None:
        self.loop, self.listeners, self.log = loop, listeners, log
        self.engine = Engine(chart, settings, keys)
        self.snapshot: Snapshot = self.engine.initial
        self.links: dict[int, Link] = {}
        self.clock = Clock(loop)
        self.timers = Timers(loop, self.clock)
        self.bounds = Timers(loop, self.clock)  # of calls, by their numbers
        self.adapters = Adapters(storage, transport, self.links, self._release, self._failed)
        self.step_logs: Sequence[StepLog] = ()
        self._calls: dict[int, Call[Any]] = {}
        self._made = 0
        self._performing: set[_Performing] = set()
        self._listening: dict[int, asyncio.Task[None]] = {}
        self._hearing: set[asyncio.Task[None]] = set()  # and those of links that were closed
        # short queues, and nearly always empty: a deque takes 760 bytes, of each of many sessions
        self._inputs: list[Input] = []
        self._commands: list[Command] = []
        self._working = False

    @property
    def performing(self) -> frozenset[int]:
        """The numbers of the requests that are under way and not cancelled."""
        mine = (performing for performing in self._performing if not performing.cancelled)
        return frozenset(p.request.number for p in mine if p.request.lane)

    @property
    def listening(self) -> frozenset[int]:
        """The numbers of the links that are listened to."""
        return frozenset(self._listening)

    @property
    def waiting(self) -> frozenset[int]:
        """The numbers of the calls that have not been settled."""
        return frozenset(self._calls)

    @property
    def busy(self) -> bool:
        """Whether destroy() would cut something off."""
        owed = self.snapshot.state.facts & self.engine.program.machine.bits[Fact.OWED]
        messages = self.snapshot.context.outbox.entries
        return bool(self._calls or messages or owed or self.listeners.streaming)

    # --- what happens -----------------------------------------------------------------------------

    def call(self, call: Call[Any]) -> None:
        """A call of the user."""
        self._made += 1
        call.number = self._made
        self._calls[call.number] = call
        self.take(CallMade(call.number, call.trigger, call.arguments))

    def hint(self, trigger: str, call: int | None = None) -> None:
        """A hint of the platform, or of the user about a call of theirs."""
        self.take(Hinted(trigger, call))

    def awaiter_left(self, call: Call[Any]) -> None:
        """The last awaiter of a call was cancelled."""
        self.take(AwaiterLeft(call.number))

    def awaiter_came(self, call: Call[Any]) -> None:
        """Somebody awaits a call that everybody had left."""
        self.take(AwaiterCame(call.number))

    def log_steps(self, file: Text) -> StepLog:
        """Writes every step from now on into `file`, until the log is closed."""
        chart, phase = self.engine.chart, self.snapshot.state.phase
        begun = None if self.snapshot == self.engine.initial else phase
        step_log = StepLog(file, chart, self.log.digits, begun)
        self.step_logs = [*self.step_logs, step_log]
        return step_log

    def nobody_heard(self, call: Call[Any], error: Exception) -> None:
        """A call failed that nobody can await any more; it may be dropped on any thread."""
        self.log.warning(
            "%s() failed and nobody awaited it: %s", called(call.trigger, call.arguments), error
        )
        if not self.loop.is_closed():  # else nobody listens either
            event = ErrorOccurred(error)
            self.loop.call_soon_threadsafe(self.listeners.emit, event, self.loop)

    def take(self, happened: Input) -> None:
        """Takes an input and obeys the commands that follow; one that comes in the middle of it,
        as from a task that runs eagerly, waits until they are obeyed.
        """
        self._inputs.append(happened)
        if not self._working:
            self._work()

    def _work(self) -> None:
        self._working = True
        try:
            while self._commands or self._inputs:
                if not self._commands:
                    self._step(self._inputs.pop(0))
                else:
                    command = self._commands.pop(0)
                    self._OBEY[type(command)](self, command)
        finally:
            self._working = False
            if self._commands or self._inputs:  # an interrupt came; the rest is done all the same
                self.loop.call_soon(self._work)

    def _step(self, happened: Input) -> None:
        before, now = self.snapshot, self._now()
        try:
            reaction = self.engine.step(before, happened, now)
        except BaseException as fault:
            happened = self._instead(happened, fault)
            reaction = self.engine.step(before, happened, now)
        self.snapshot = reaction.snapshot
        self._commands.extend(reaction.commands)
        if self.log.isEnabledFor(logging.DEBUG):
            came = happened.error if isinstance(happened, Outcome | Heard) else None
            self.log.step(reaction, came)
        if self.step_logs:
            self._tell_step(told(self.engine.program, before, happened, reaction))

    def _tell_step(self, step: Mapping[str, Any]) -> None:
        """Writes a step into every log of steps; one that cannot be written to is given up."""
        for step_log in self.step_logs:
            try:
                step_log.step(step)
            except Exception as fault:
                step_log.give_up()
                self.log.fault("The log of steps cannot be written", fault)
        self.step_logs = [each for each in self.step_logs if each.open]

    def _instead(self, happened: Input, fault: BaseException) -> Input:
        """What an adapter brought has the right type and wrong insides: it has failed. (What a link
        delivered ends its events, which is its loss.) An interrupt in there reaches the program.
        """
        if not isinstance(happened, Outcome):
            raise fault
        if not isinstance(fault, Exception):
            self.loop.call_soon(_raise, fault)
        self.log.fault(f"What {happened.request.effect} brought cannot be used", fault)
        return Outcome(happened.request, error=fault)

    def _now(self) -> Now:
        at, link = self.clock(), self.links.get(self.snapshot.link or 0)
        heard_at = at if link is None else at - (self.loop.time() - self._heard_at(link))
        # delays are rolled from the last bytes, so that whoever seeds `random` can repeat them
        return Now(at, heard_at, time.time(), os.urandom(16) + random.randbytes(8))

    def _heard_at(self, link: Link) -> float:
        """When the link last gave a sign of life; one that cannot say so gave none."""
        with self._harmless("A link does not say when it was heard, and counts as silent"):
            heard_at = link.heard_at
            if isinstance(heard_at, int | float) and math.isfinite(heard_at):
                return heard_at
        return -math.inf

    @contextlib.contextmanager
    def _harmless(self, what: str) -> Generator[None, None, None]:
        """Whatever an adapter raises in a synchronous member is logged, and does no harm here; an
        interrupt is the program's, and is raised by the loop.
        """
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            self.log.fault(what, error)
        except BaseException as interrupt:
            self.loop.call_soon(_raise, interrupt)

    # --- commands: adapters -----------------------------------------------------------------------

    def _perform(self, command: Perform) -> None:
        request, limit = command.request, command.limit
        name = f"support-chat {request.effect or 'revoke'}"
        work = perform(self.adapters, request)
        try:
            task = self.loop.create_task(work, name=name)
        except (KeyboardInterrupt, SystemExit) as interrupt:  # an eager task lets it out here
            self._interrupted(Outcome(request, error=interrupt), interrupt)
            return
        performing = _Performing(request, task)
        performing.limit = self.loop.call_later(limit, self._expire, performing, limit)
        self._performing.add(performing)
        performing.task.add_done_callback(lambda task: self._ended(performing, task))

    def _interrupted(self, happened: Input, interrupt: BaseException) -> None:
        self.take(happened)
        self.loop.call_soon(_raise, interrupt)

    def _expire(self, performing: _Performing, limit: float) -> None:
        performing.cancel()
        self.take(Outcome(performing.request, error=LimitReachedError(limit)))

    def _ended(self, performing: _Performing, task: asyncio.Task[object]) -> None:
        self._performing.discard(performing)
        if task.cancelled() and task.cancelling():
            return  # by us; or by somebody else, as when the loop is closed: the limit reports it
        if performing.limit is not None:
            performing.limit.cancel()
        if task.cancelled():  # the adapter has cancelled itself
            cancelled = asyncio.CancelledError()
            self._failed(performing.request, cancelled)
            self.take(Outcome(performing.request, error=cancelled))
        elif (error := task.exception()) is not None:
            self._failed(performing.request, error)
            self.take(Outcome(performing.request, error=error))
        else:
            self.take(Outcome(performing.request, task.result()))

    def _failed(self, request: Request, error: BaseException) -> None:
        self.log.failed(self.engine.chart.effects.get(request.effect), error)

    def _cancel(self, command: Cancel) -> None:
        for performing in tuple(self._performing):
            if performing.request.lane in command.lanes:
                performing.cancel()

    async def _release(self) -> None:
        # Whoever listens hears of the end: each turn of the loop tells somebody something, until
        # what is there now is told. What handlers cause meanwhile might never end.
        for _ in range(self.listeners.untold):
            await asyncio.sleep(0)
        self.listeners.close()
        current = asyncio.current_task()
        others = [p.task for p in self._performing if p.task is not current]
        others += [task for task in self._hearing if task is not current]
        if others:
            await asyncio.wait(others)

    # --- commands: links --------------------------------------------------------------------------

    def _keep(self, command: Keep) -> None:
        number = command.link
        listen = self._listen(number, self.links[number])
        try:
            task = self.loop.create_task(listen, name="support-chat link")
        except (KeyboardInterrupt, SystemExit) as interrupt:
            self._interrupted(Heard(number), interrupt)
            return
        self._listening[number] = task
        self._hearing.add(task)
        task.add_done_callback(lambda task: self._lost(number, task))

    async def _listen(self, number: int, link: Link) -> None:
        async for event in link.events():
            self.take(Heard(number, event))

    def _lost(self, number: int, task: asyncio.Task[None]) -> None:
        closed = self._listening.pop(number, None) is None
        self._hearing.discard(task)
        error = None if task.cancelled() else task.exception()
        if not closed:  # one that was closed is not lost
            if error is not None and not isinstance(error, SupportChatError):
                what = f"The events of a link ended with {type(error).__name__}, and it is lost"
                self.log.fault(what, error)
            lost = Heard(number, None, error if isinstance(error, Exception) else None)
            if task.cancelled() and task.cancelling():  # by others, as when the loop is closed:
                self.loop.call_later(_CLOSING, self.take, lost)  # then nobody is told any more
            else:
                self.take(lost)

    def _close(self, command: Close) -> None:
        listening = self._listening.pop(command.link, None)
        link = self.links.pop(command.link, None)
        if link is not None:
            with self._harmless("A link could not be aborted; the session goes on without it"):
                link.abort()
        if listening is not None:
            listening.cancel()  # what an aborted link delivers all the same is superseded

    # --- commands: timers, calls, events ----------------------------------------------------------

    def _arm(self, command: Arm) -> None:
        timer = command.timer
        self.timers.arm(timer, command.seconds, lambda: self.take(Expired(timer)))

    def _disarm(self, command: Disarm) -> None:
        self.timers.disarm(command.timers)

    def _bound(self, command: Bound) -> None:
        call = command.call
        self.bounds.arm(str(call), command.seconds, lambda: self.take(OutOfTime(call)))

    def _settle(self, command: Settle) -> None:
        self.bounds.disarm((str(command.call),))
        self._calls.pop(command.call).settle(command.result, command.error)

    def _emit(self, command: Emit) -> None:
        self.listeners.emit(command.event, self.loop)

    _OBEY: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        Perform: _perform,
        Cancel: _cancel,
        Keep: _keep,
        Close: _close,
        Arm: _arm,
        Disarm: _disarm,
        Bound: _bound,
        Settle: _settle,
        Emit: _emit,
    }
