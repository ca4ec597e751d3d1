"""What a real session does, as its seams see it: every step with what caused it, what was done, and
what is under way afterwards.

`watch(chat)` puts a thin watcher (`support_chat.verify.watchers`) between a session and each of its
seams: the compiled chart it steps, the adapters it asks, its timers, the slots in which its calls
wait, its links. Nothing is changed. The watchers keep an account of their own, by what passes
through them: which ask is the last one on its lane and not abandoned, which link is open, which
timers run, who waits. It does not look at the session's tags, so that it can be compared with what
the session makes of them (`support_chat.verify.following`).

The words of the account are those of `support_chat.verify.View.ledger`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from ..chart.machine import Compiled, Input
from ..chart.model import Derived, Chart, Raise, Transition
from ..lifecycle.context import facts
from ..lifecycle.names import Trigger
from ..lifecycle.occasion import Occasion
from ..runtime.runner import Runner, shipped
from ..session import SupportChat
from .watchers import (
    WatchedAsks,
    WatchedFires,
    WatchedLink,
    WatchedLinks,
    WatchedSlots,
    WatchedTimers,
)

if TYPE_CHECKING:
    from ..runtime.calls import Call


@attrs.define
class Seen:
    """One step: what happened, whether it was current by the account, the rows that fired, and
    everything that followed.

    `of` is what it is the outcome, the expiry or an event of (an effect, a timer, a lane; empty for
    a call or a hint). `told` are the facts that the session computed for each row, `done` what was
    asked of the seams, in order. `phase`, `facts` (stored and booked), `registers` and `ledger` are
    as they were when the step was over.
    """

    trigger: str
    named: str | None
    of: str
    current: bool
    rows: list[Transition] = attrs.field(factory=list[Transition])
    told: list[tuple[str, ...]] = attrs.field(factory=list[tuple[str, ...]])
    done: list[str] = attrs.field(factory=list[str])
    brought: object = None
    """The result or the error of an outcome, the event of a link."""
    at: float = 0.0
    """When it was, in seconds of the loop."""
    heard_at: float | None = None
    """When the open link had last given a sign of life."""
    until: dict[str, float] = attrs.field(factory=dict[str, float])
    """When each timer was to expire as it was last armed, in seconds of the loop."""
    faults: list[str] = attrs.field(factory=list[str])
    """What a watcher saw that must never be: a call left waiting, a link that is not let go."""
    phase: str = ""
    facts: frozenset[str] = frozenset()
    registers: tuple[str | None, ...] = ()
    ledger: tuple[str, ...] = ()


class Trace:
    """The steps of one session, oldest first. Made by `watch()`."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.chart: Chart = runner.compiled.chart
        self.steps: list[Seen] = []
        self.asks = WatchedAsks(runner.asks, self)
        self.timers = WatchedTimers(runner.timers, self)
        self.slots = WatchedSlots(runner.slots, self)
        self.link: object = None
        """The link on which events may come in."""
        self._open = False
        self._cause: tuple[str, bool, object] = ("", True, None)
        self._internal = {
            spec.trigger for spec in self.chart.effects.values() if isinstance(spec, Raise)
        }
        self._taken: list[Call[Any]] = []
        # watchers stand in for what they watch
        runner.compiled = WatchedFires(runner.compiled, self)  # type: ignore[assignment]
        runner.asks, runner.timers, runner.slots = self.asks, self.timers, self.slots  # type: ignore[assignment]
        runner.links = WatchedLinks(runner.links, self)  # type: ignore[assignment]

    # --- what the watchers report -----------------------------------------------------------------

    def cause(self, of: str, current: bool, brought: object = None) -> None:
        """The step that comes next is the outcome, the expiry or an event of this; the one before
        it is over.
        """
        self.close()
        self._cause = (of, current, brought)

    def fired(self, happening: Input, row: Transition) -> None:
        """The chart was stepped."""
        told = self.runner.compiled.names(happening.facts)
        if happening.trigger not in self._internal:
            self.close()
            of, current, brought = self._cause
            now, heard_at = self.runner.loop.time(), getattr(self.link, "heard_at", None)
            seen = Seen(
                happening.trigger,
                happening.named,
                of,
                current,
                brought=brought,
                at=now,
                heard_at=heard_at,
            )
            seen.until.update(self.timers.until)
            self.steps.append(seen)
            self._cause, self._open = ("", True, None), True
        self.steps[-1].rows.append(row)
        self.steps[-1].told.append(told)

    def did(self, what: str) -> None:
        """Something was asked of a seam."""
        if self.steps:
            self.steps[-1].done.append(what)

    def took(self, calls: Iterable[Call[Any]]) -> None:
        """These calls wait no more: they are to be settled in this step."""
        self._taken.extend(calls)

    def superseded(self, lanes: Iterable[str]) -> None:
        """What is under way on these lanes is not current any more."""
        self.asks.superseded(lanes)

    def close(self) -> None:
        """The last step is over: notes how the session stands after it. Does nothing the second
        time.
        """
        if not self._open:
            return
        self._open, last, runner = False, self.steps[-1], self.runner
        came = last.brought
        if isinstance(came, WatchedLink) and self.link is not came and not came.aborted:
            last.faults.append("a link came up, is not the session's, and was not let go")
        if any(not call.done for call in self._taken):
            last.faults.append("a call was taken from its slot and not settled")
        self._taken.clear()
        now = Occasion(Trigger(last.trigger), runner.clock())
        booked = {
            fact
            for fact, kind in self.chart.facts.items()
            if isinstance(kind, Derived) and fact != self.chart.late
        }
        last.phase, last.registers = runner.state.phase, runner.state.registers
        last.facts = frozenset(runner.compiled.names(runner.state.facts)) | (
            booked & set(facts(runner.book, now, runner.settings))
        )
        last.ledger = self.ledger()

    # --- the account ------------------------------------------------------------------------------

    def ledger(self) -> tuple[str, ...]:
        """What is under way by the account, in words."""
        lanes = self.chart.events.values() if self.link else ()
        return tuple(
            sorted(
                {f"asked {effect}" for effect in self.asks.outstanding()}
                | {f"open {lane}" for lane in lanes}
                | {f"timer {timer}" for timer in self.timers.running}
                | {f"waits for {slot}" for slot, calls in self.slots.waiting.items() if calls}
            )
        )


def watch(chat: SupportChat, chart: Compiled | None = None, timers: object = None) -> Trace:
    """Watches a session that nothing was asked of yet, from within its loop.

    It runs `chart`, the shipped one by default, and uses `timers` (made like
    `session.timers.Timers`) instead of its own if given.
    """
    parts = (chat._storage, chat._transport, chat._place, chat._settings, chat._listeners)  # pyright: ignore[reportPrivateUsage]
    runner = Runner(*parts, asyncio.get_running_loop(), chart or shipped())
    if timers is not None:
        runner.timers = timers  # type: ignore[assignment]  # a double
    chat._runner = runner  # pyright: ignore[reportPrivateUsage]
    return Trace(runner)
