"""Watchers for the seams of a session: each passes everything on, tells a witness what it saw, and
keeps account of what is under way.

They stand between a `Runner` and its compiled chart, its adapters, its timers, its slots and its
links; `support_chat.verify.trace` is their witness.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ..chart.machine import Compiled, Input, State
from ..chart.model import Ask, Chart, Detach, Transition
from ..runtime.adapters import Work
from ..runtime.asks import Deliver

if TYPE_CHECKING:
    from ..runtime.calls import Call


class Witness(Protocol):
    """Who is told what the watchers see."""

    link: object
    """The link on which events may come in."""

    @property
    def chart(self) -> Chart:
        """The chart that is run."""
        ...

    def cause(self, of: str, current: bool, brought: object = None) -> None:
        """The step that comes next is the outcome, the expiry or an event of this; the one before
        it is over.
        """
        ...

    def fired(self, happening: Input, row: Transition) -> None:
        """The chart was stepped."""
        ...

    def did(self, what: str) -> None:
        """Something was asked of a seam."""
        ...

    def took(self, calls: Iterable[Call[Any]]) -> None:
        """These calls wait no more: they are to be settled in this step."""
        ...

    def superseded(self, lanes: Iterable[str]) -> None:
        """What is under way on these lanes is not current any more."""
        ...


class WatchedFires:
    """Watches the compiled chart."""

    def __init__(self, compiled: Compiled, witness: Witness) -> None:
        self._compiled, self._witness = compiled, witness

    def fire(self, state: State, happening: Input) -> tuple[State, Transition]:
        """Steps the chart."""
        after, row = self._compiled.fire(state, happening)
        self._witness.fired(happening, row)
        return after, row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)


class WatchedAsks:
    """Watches what adapters are asked, and keeps account of what is current on each lane."""

    def __init__(self, asks: Any, witness: Witness) -> None:
        self._asks, self._witness = asks, witness
        self._serial = 0
        self._current: dict[str, tuple[int, str]] = {}
        self._several: dict[int, tuple[str, str]] = {}

    def start(self, effect: str, spec: Ask, work: Work, limit: float, deliver: Deliver) -> None:
        """Asks the adapter; what it has asked is current on its lane from now on."""
        self._serial += 1
        serial = self._serial
        self._witness.did(f"ask {effect}")
        if spec.several:
            self._several[serial] = (spec.lane, effect)
        else:
            self._current[spec.lane] = (serial, effect)

        def delivered(trigger: str, result: object, error: Exception | None) -> None:
            current = serial in self._several or self._current.get(spec.lane) == (serial, effect)
            if hasattr(result, "events"):
                result = WatchedLink(result, self._witness)
            self._witness.cause(effect, current, result if error is None else error)
            if current and not spec.several:
                del self._current[spec.lane]
            self._several.pop(serial, None)
            deliver(trigger, result, error)

        self._asks.start(effect, spec, work, limit, delivered)

    def abandon(self, lanes: Iterable[str]) -> None:
        """What is under way on these lanes is superseded, and no event comes in on them any
        more.
        """
        lanes = tuple(lanes)
        self._witness.did(f"abandon {' '.join(lanes)}")
        self.superseded(lanes)
        if not set(self._witness.chart.events.values()).isdisjoint(lanes):
            self._witness.link = None
        self._asks.abandon(lanes)

    def superseded(self, lanes: Iterable[str]) -> None:
        """What is under way on these lanes is not current any more."""
        for lane in lanes:
            self._current.pop(lane, None)
            self._several = {serial: at for serial, at in self._several.items() if at[0] != lane}

    def outstanding(self) -> set[str]:
        """The effects that are asked, current, and not answered."""
        return {effect for _, effect in (*self._current.values(), *self._several.values())}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._asks, name)


class WatchedTimers:
    """Watches the timers."""

    def __init__(self, timers: Any, witness: Witness) -> None:
        self._timers, self._witness = timers, witness
        self.running: set[str] = set()
        self.until: dict[str, float] = {}
        """When each timer is to expire as it was last armed, in seconds of the loop."""

    def arm(self, timer: str, delay: float, expired: Callable[[], None]) -> None:
        """Starts the timer, or starts it anew."""

        def over() -> None:
            self._witness.cause(timer, timer in self.running)
            self.running.discard(timer)
            expired()

        self._witness.did(f"arm {timer}")
        self.running.add(timer)
        self.until[timer] = asyncio.get_running_loop().time() + delay
        self._timers.arm(timer, delay, over)

    def disarm(self, timers: Iterable[str]) -> None:
        """Stops these timers."""
        timers = tuple(timers)
        self._witness.did(f"disarm {' '.join(timers)}")
        self.running.difference_update(timers)
        self._timers.disarm(timers)


class WatchedSlots:
    """Watches who waits for what."""

    def __init__(self, slots: Any, witness: Witness) -> None:
        self._slots, self._witness = slots, witness
        self.waiting: dict[str, list[Call[Any]]] = {}

    def join(self, slot: str, call: Call[Any]) -> None:
        """The call waits in the slot."""
        self._witness.did(f"join {slot}")
        self.waiting.setdefault(slot, []).append(call)
        self._slots.join(slot, call)

    def take(self, slot: str) -> list[Call[Any]]:
        """Nobody waits in the slot any more."""
        self._witness.did(f"take {slot}")
        self.waiting.pop(slot, None)
        calls: list[Call[Any]] = self._slots.take(slot)
        self._witness.took(calls)
        return calls

    def detach(self, slots: tuple[str, ...], tag: int) -> None:
        """Nobody waits in these slots any more, and what is under way on the lane is nobody
        else's.
        """
        self._witness.did(f"detach {' '.join(slots)}")
        for slot in slots:
            self.waiting.pop(slot, None)
        self._witness.superseded(
            spec.lane
            for spec in self._witness.chart.effects.values()
            if isinstance(spec, Detach) and spec.slots == tuple(slots)
        )
        self._slots.detach(slots, tag)

    def take_detached(self, tag: int | None) -> list[Call[Any]]:
        """Who waited for an earlier parting waits no more."""
        self._witness.did("take detached")
        calls: list[Call[Any]] = self._slots.take_detached(tag)
        self._witness.took(calls)
        return calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._slots, name)


class WatchedLinks:
    """Watches which link is the session's."""

    def __init__(self, links: Any, witness: Witness) -> None:
        self._links, self._witness = links, witness

    def keep(self, link: object, tag: int) -> None:
        """Events may come in on this link from now on."""
        self._witness.did("keep link")
        self._witness.link = link
        self._links.keep(link, tag)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._links, name)


class WatchedLink:
    """Watches a link: what comes in on it, and whether it was let go."""

    def __init__(self, link: Any, witness: Witness) -> None:
        self._link, self._witness = link, witness
        self.aborted = False

    async def events(self) -> AsyncIterator[Any]:
        """What comes in; that it ends is something that happens, too."""
        lane = next(iter(self._witness.chart.events.values()))
        try:
            async for event in self._link.events():
                self._witness.cause(lane, self._witness.link is self, event)
                yield event
        except Exception as error:
            self._witness.cause(lane, self._witness.link is self, error)
            raise
        self._witness.cause(lane, self._witness.link is self)

    def abort(self) -> None:
        """Lets the link go."""
        self.aborted = True
        self._link.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)
