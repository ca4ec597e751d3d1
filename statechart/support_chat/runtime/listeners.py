"""Tells listeners what happened: in order, on the session's loop, after the step, in the context in
which they subscribed.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType, UnionType
from typing import Any, Generic, TypeVar

import attrs

from ..errors import EventsLostError
from ..lifecycle.events import AnyEvent
from .log import SessionLog

E = TypeVar("E")


class Subscription:
    """A handler's registration; call it, or leave its `with` block, to end it."""

    def __init__(
        self, kind: type[Any] | UnionType, handler: Callable[[Any], object], listeners: Listeners
    ) -> None:
        self._kind = kind
        self._handler = handler
        self._listeners = listeners
        self._context = contextvars.copy_context()
        self._waiting: deque[Awaitable[object]] = deque()
        self._worker: asyncio.Task[None] | None = None

    def tell(self, event: AnyEvent, loop: asyncio.AbstractEventLoop) -> None:
        """Runs the handler; what it returns to be awaited is awaited later, one at a time."""
        if not isinstance(event, self._kind):
            return
        try:
            result = self._context.run(self._handler, event)
        except (Exception, asyncio.CancelledError):
            self._listeners.log.exception("a handler of %s raised; the session goes on", event.type)
            return
        if inspect.isawaitable(result):
            self._waiting.append(result)
            if self._worker is None:
                self._begin(loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._worker = loop.create_task(self._work(), context=self._context)
        self._worker.add_done_callback(self._ended)

    async def _work(self) -> None:
        while self._waiting:
            awaitable = self._waiting.popleft()
            try:
                await awaitable
            except (Exception, asyncio.CancelledError):
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise  # the loop is being closed, or somebody has cancelled us
                self._listeners.log.exception("a handler raised; the session goes on")

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._worker = None
        if worker.cancelled():
            self._forget()  # the loop is being closed
            return
        worker.exception()  # an interrupt: the program has got it, and nobody need report it
        if self._waiting:  # of that, or since a task that ran eagerly had ended before this
            self._begin(worker.get_loop())

    def __call__(self) -> None:
        """Ends the subscription; ending it twice is fine. An async handler that already runs is
        left to finish.
        """
        self._listeners.remove(self)
        self._forget()

    def _forget(self) -> None:
        """Nobody will await what waits, and Python need not warn of it."""
        for awaitable in self._waiting:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
        self._waiting.clear()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self()


class EventStream(Generic[E]):
    """Events to iterate over: `async with chat.events(MessageReceived) as stream: async for event
    in stream: ...`.

    Events from the entry of the block on are kept until read; more than `buffer` unread ones raise
    EventsLostError. The iteration ends when the session is destroyed or the block is left.
    """

    def __init__(self, kinds: tuple[type[Any], ...], buffer: int, listeners: Listeners) -> None:
        self._kinds = kinds
        self._buffer = buffer
        self._listeners = listeners
        self._events: deque[AnyEvent] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._lost = False

    def tell(self, event: AnyEvent, loop: asyncio.AbstractEventLoop) -> None:
        """Keeps the event for the reader."""
        if isinstance(event, self._kinds):
            if len(self._events) >= self._buffer:
                self._lost = True
            else:
                self._events.append(event)
            self._news.set()

    def end(self) -> None:
        """No event will follow."""
        self._ended = True
        self._news.set()

    async def __aenter__(self) -> EventStream[E]:
        if not self._ended:
            self._listeners.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listeners.remove(self)
        self.end()

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        while not self._events:
            if self._lost:
                raise EventsLostError(
                    f"More than {self._buffer} events waited to be read and some were lost; read "
                    "faster, or pass a larger buffer."
                )
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        # tell() kept only events of the kinds asked for
        return self._events.popleft()  # type: ignore[return-value]


class Listeners:
    """Everybody who listens to one session."""

    def __init__(self, log: SessionLog) -> None:
        self.log = log
        self._all: list[Subscription | EventStream[Any]] = []
        # lists, as the shell's: nearly always empty
        self._events: list[AnyEvent] = []
        self._untold: list[tuple[AnyEvent, Subscription | EventStream[Any]]] = []
        self._scheduled = False
        self._closed = False

    def add(self, listener: Subscription | EventStream[Any]) -> None:
        """Tells it every event from now on; after the session is destroyed there will be none."""
        if self._closed and isinstance(listener, EventStream):
            listener.end()
        elif not self._closed:
            self._all.append(listener)

    def remove(self, listener: Subscription | EventStream[Any]) -> None:
        """Tells it nothing any more."""
        if listener in self._all:
            self._all.remove(listener)

    def emit(self, event: AnyEvent, loop: asyncio.AbstractEventLoop) -> None:
        """Stamps the event, and has it told once the step that caused it is over."""
        self._events.append(attrs.evolve(event, id=uuid.uuid4().hex, created_at=time.time()))
        self._schedule(loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._deliver, loop, context=contextvars.Context())

    def _deliver(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells what has happened so far; what handlers cause meanwhile waits for the next turn of
        the loop, so that two of them that cause each other's events do not hold it.
        """
        self._scheduled, left = False, len(self._events)
        try:
            while self._untold or left:
                if not self._untold:
                    event, left = self._events.pop(0), left - 1
                    self._untold.extend((event, listener) for listener in self._all)
                    continue
                event, listener = self._untold.pop(0)
                if listener in self._all:
                    listener.tell(event, loop)
        finally:  # an interrupt that a handler let out is the program's; the others hear the rest
            if self._untold or self._events:
                self._schedule(loop)

    @property
    def streaming(self) -> bool:
        """Whether somebody reads a stream of events."""
        return any(isinstance(listener, EventStream) for listener in self._all)

    @property
    def untold(self) -> int:
        """How many times somebody is still to be told something."""
        return len(self._untold) + len(self._events) * len(self._all)

    def close(self) -> None:
        """The session is destroyed: everybody has been told, streams end."""
        self._closed = True
        for listener in tuple(self._all):
            if isinstance(listener, EventStream):
                listener.end()
        self._all.clear()
