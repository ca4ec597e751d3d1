"""Gates: each request of a session, each event of its link, and each of its timers is held until
somebody lets it go.

A request that is held can *arrive*, which does what it asks, and then its answer can be let
through; or whoever waits is told that it is lost, before it arrives or after. It may arrive when
nobody waits for it any more: a late copy. Once a gate is *open*, everything passes at once.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import attrs

from support_chat.errors import NetworkError, SupportChatError
from support_chat.ports import LinkEvent, Storage, Welcome
from support_chat.runtime.shell import Timers
from support_chat_adapters.backend import Connection

NOT_WAITED_FOR: Final = ("end_visitor",)
"""What a session asks and does not wait for."""
_A_MOMENT: Final = 1e-6


async def settled() -> None:
    """Everything that can go on has gone on: virtual time passes only then."""
    await asyncio.sleep(_A_MOMENT)


Noted: TypeAlias = "Callable[[Crossing], AbstractAsyncContextManager[None]]"
"""Looks at what there is before and after a request arrives."""


# --- requests -------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Crossing:
    """A request on its way."""

    operation: str
    _work: Callable[[], Any]
    _told: asyncio.Future[Any]
    _undo: Callable[[Any], None] | None
    _noted: Noted
    arrived: bool = False
    over: bool = False
    """It has not arrived, and never will."""
    result: Any = None
    """What it has come to at the other end."""
    error: Exception | None = None
    """Why it was not done."""

    @property
    def awaited(self) -> bool:
        """Whether somebody still waits for its outcome."""
        return not self._told.done()

    @property
    def pending(self) -> bool:
        """Whether it is still to arrive."""
        return not (self.arrived or self.over)

    async def arrive(self) -> None:
        """What is asked is done, or refused."""
        self.arrived = True
        async with self._noted(self):
            try:
                result = self._work()
                self.result = await result if inspect.isawaitable(result) else result
            except SupportChatError as error:
                self.error = error
        if not self.awaited:
            self._undone()

    def answer(self) -> None:
        """Whoever waits is told what it has come to."""
        assert self.arrived
        if self.error is not None:
            self._told.set_exception(self.error)
        else:
            self._told.set_result(self.result)

    def lose(self, error: Exception) -> None:
        """Whoever waits is told that there is no answer; it may still arrive, or has arrived."""
        self._told.set_exception(error)
        if self.arrived:
            self._undone()

    def drop(self) -> None:
        """It never arrives."""
        self.over = True

    def _undone(self) -> None:
        """What the other end does about an answer that nobody receives."""
        if self._undo is not None and self.error is None:
            self._undo(self.result)


@attrs.define(eq=False)
class Gate:
    """What one session has on its way, oldest first; `noted` looks at each arrival."""

    noted: Noted
    crossings: list[Crossing] = attrs.field(factory=list[Crossing])
    is_open: bool = False

    async def cross(
        self,
        operation: str,
        work: Callable[[], Any],
        *,
        undo: Callable[[Any], None] | None = None,
        may_land_late: bool = True,
    ) -> Any:
        """Carries a request; one that may not land late never arrives once it is cancelled."""
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        crossing = Crossing(operation, work, told, undo, self.noted)
        self.crossings.append(crossing)
        if self.is_open:
            await asyncio.sleep(0)
            await crossing.arrive()
            crossing.answer()
        try:
            return await told
        except asyncio.CancelledError:
            if not may_land_late:
                crossing.drop()
            raise

    def awaited(self, operations: Iterable[str]) -> list[Crossing]:
        """Requests of these operations that somebody waits for."""
        return [c for c in self.crossings if c.awaited and c.operation in operations]

    def of(self, *operations: str) -> list[Crossing]:
        """All requests of these operations."""
        return [c for c in self.crossings if c.operation in operations]

    async def open(self, *, lost: bool) -> None:
        """From now on nothing is held: what is on its way arrives; where nobody waits for it, it is
        `lost`, or arrives as well.
        """
        self.is_open = True
        for crossing in list(self.crossings):
            if lost and crossing.pending and not self._matters(crossing):
                crossing.drop()
            if crossing.pending:
                await crossing.arrive()
            if crossing.awaited and crossing.arrived:
                crossing.answer()

    def _matters(self, crossing: Crossing) -> bool:
        return crossing.awaited and crossing.operation not in NOT_WAITED_FOR


# --- the storage ----------------------------------------------------------------------------------


@attrs.define(eq=False)
class HeldStorage:
    """A tab's way to a storage that others share."""

    _gate: Gate
    _place: Storage
    _lands_late: bool
    """A fault: a call that was given up may land all the same."""
    _looks_mint: bool
    """A fault: to look at what this tab has read stores something, if there is nothing."""
    secret: str | None = None
    """What the tab has read."""
    told_other: bool = False
    """It has looked since, and something else was there, or nothing."""

    async def get(self, key: str) -> str | None:
        async def look() -> str | None:
            if self._looks_mint and self.secret is not None:
                return await self._place.create(key, secrets.token_urlsafe(32))
            return await self._place.get(key)

        found: str | None = await self._held("get", look)
        self.told_other = self.secret is not None and found != self.secret
        return found

    async def create(self, key: str, value: str) -> str:
        stored: str = await self._held("create", lambda: self._place.create(key, value))
        self.secret, self.told_other = stored, False
        return stored

    async def delete(self, *keys: str) -> Mapping[str, str]:
        removed: Mapping[str, str] = await self._held("delete", lambda: self._place.delete(*keys))
        return removed

    async def keys(self) -> Sequence[str]:
        found: Sequence[str] = await self._held("keys", self._place.keys)
        return found

    async def aclose(self) -> None:
        """The tabs share it."""

    async def _held(self, operation: str, work: Callable[[], Any]) -> Any:
        return await self._gate.cross(operation, work, may_land_late=self._lands_late)


# --- links ----------------------------------------------------------------------------------------


class HeldConnection:
    """A tab's end of a connection to the backend: `said` has what the backend has said and the tab
    has not heard.

    `telling` is what becomes of an event on its way, None if it is lost.
    """

    def __init__(
        self,
        inner: Connection,
        welcome: Welcome,
        telling: Callable[[LinkEvent], LinkEvent | None],
        gate: Gate,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.welcome = welcome
        self.closed: asyncio.Future[None] = loop.create_future()
        self.said: deque[LinkEvent] = deque()
        self._inner, self._telling, self._gate = inner, telling, gate
        self._heard: asyncio.Queue[LinkEvent | None] = asyncio.Queue()
        self._listening = loop.create_task(self._listen())

    @property
    def is_closed(self) -> bool:
        """Whether the tab knows that it is over."""
        return self.closed.done()

    @property
    def heard_at(self) -> float:
        """When the tab last had a sign of life."""
        return self._inner.heard_at

    async def _listen(self) -> None:
        try:
            while True:
                event = self._telling(await self._inner.next())
                if event is not None:
                    self.said.append(event)
                self._pass_on()
        except NetworkError:
            if self._gate.is_open:
                self._heard.put_nowait(None)

    def hear(self) -> bool:
        """Lets the tab hear what was said first; False if nothing was."""
        if self.said:
            self._heard.put_nowait(self.said.popleft())
            return True
        return False

    def _pass_on(self) -> None:
        while self._gate.is_open and self.hear():
            pass

    def open(self) -> None:
        """From now on the tab hears everything at once."""
        self._pass_on()
        if self._inner.is_closed:
            self._heard.put_nowait(None)

    def lose(self) -> None:
        """The link breaks, and with it what the tab has not heard."""
        self._end("dropped")
        self._heard.put_nowait(None)

    async def next(self) -> LinkEvent:
        """The next event that the tab hears; raises NetworkError when there will be none."""
        event = await self._heard.get()
        if event is None:
            raise NetworkError("The link broke.")
        return event

    def close(self, why: str) -> None:
        """The tab ends it."""
        self._end(why)
        if not self.closed.done():
            self.closed.set_result(None)

    def _end(self, why: str) -> None:
        self.said.clear()
        self._inner.close(why)
        self._listening.cancel()


# --- timers ---------------------------------------------------------------------------------------


class HeldTimers:
    """The timers of a session, each of which expires when it is let, and never before its time: it
    may be late, as in a tab that sleeps.
    """

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._loop = asyncio.get_running_loop()
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}
        self._is_open = False

    @property
    def running(self) -> frozenset[str]:
        """The timers that run."""
        return self._timers.running | frozenset(self._due)

    def arm(self, timer: str, delay: float, expired: Callable[[], None]) -> None:
        """Starts the timer, or starts it anew."""
        if self._is_open:
            self._timers.arm(timer, delay, expired)
        else:
            self._due[timer] = self._loop.time() + delay, expired

    def disarm(self, timers: Iterable[str]) -> None:
        """Stops these timers."""
        names = tuple(timers)
        self._timers.disarm(names)
        for name in names:
            self._due.pop(name, None)

    async def expire(self, timer: str) -> None:
        """Time passes until the timer may expire, and it does."""
        due, expired = self._due.pop(timer)
        await asyncio.sleep(due - self._loop.time())
        expired()

    def open(self) -> None:
        """From now on each expires at its time."""
        self._is_open = True
        for timer, (due, expired) in self._due.items():
            self._timers.arm(timer, due - self._loop.time(), expired)
        self._due.clear()
