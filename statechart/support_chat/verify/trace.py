"""What an engine does, step by step, with an account of what is under way that is kept beside it.

`support_chat.testing.trace.watch(chat)` traces a real session; `Trace.step` drives an engine
without one. The account is kept
by what goes in (inputs) and what comes out (commands) alone: which request is the last one on its
lane and not cancelled, which link is kept, which timers run, who waits. It does not look into the
snapshot, so that it can be compared with what the engine makes of it (`following`), and with what
the session really holds.

The words of the account are those of `support_chat.verify.View.ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ..chart.model import Ask, Chart, Detach, Hold, Join, Transition
from ..engine import (
    Arm,
    AwaiterLeft,
    CallMade,
    Cancel,
    Close,
    Command,
    Disarm,
    Engine,
    Expired,
    Heard,
    Input,
    Keep,
    Now,
    Outcome,
    OutOfTime,
    Perform,
    Reaction,
    Request,
    Settle,
    Snapshot,
)
from ..engine.engine import Fired


@attrs.define(eq=False)
class Account:
    """What is under way, by inputs and commands alone."""

    chart: Chart
    asked: dict[int, Request] = attrs.field(factory=dict[int, Request])
    """The requests that are current and have not ended, by number."""
    apart: dict[int, Request] = attrs.field(factory=dict[int, Request])
    """The requests that calls wait for alone: superseded and not cancelled."""
    timers: set[str] = attrs.field(factory=set[str])
    slots: dict[str, set[int]] = attrs.field(factory=dict[str, "set[int]"])
    detached: set[int] = attrs.field(factory=set[int])
    held: set[int] = attrs.field(factory=set[int])
    """The calls that wait for what the context keeps."""
    link: int | None = None
    """The link on which events may come in."""
    open: set[int] = attrs.field(factory=set[int])
    """Every link that was opened and not closed."""

    def cause(self, happened: Input) -> tuple[str, bool]:
        """What an input is the outcome, the event or the expiry of, and whether that is current."""
        match happened:
            case Outcome(request):
                return request.effect, request.number in self.asked
            case Heard(link):
                return next(iter(self.chart.events.values())), link == self.link
            case Expired(timer):
                return timer, timer in self.timers
            case AwaiterLeft(call) | OutOfTime(call):
                return next((s for s, calls in self.slots.items() if call in calls), ""), True
            case _:
                return "", True

    def take(self, happened: Input, reaction: Reaction) -> Iterator[str]:
        """Enters a step; yields what must never be."""
        match happened:
            case Outcome(request, result, error) if request.lane:
                known = [
                    requests.pop(request.number, None) for requests in (self.asked, self.apart)
                ]
                # a shell may run on any loop, each of which has a class of its own for this
                if type(error).__name__ == "CancelledError" and not any(known):
                    yield "a request that was cancelled is reported as failed"
                opens = self.spec(request.effect).dispose is not None
                if opens and error is None and result is not None:
                    self.open.add(request.number)
            case Expired(timer):
                self.timers.discard(timer)
            case _:
                pass
        effects = [self.chart.effects[e] for fired in reaction.fired for e in fired.row.effects]
        for spec in effects:
            if isinstance(spec, Join) and isinstance(happened, CallMade):
                self.slots.setdefault(spec.slot, set()).add(happened.call)
            elif isinstance(spec, Hold) and isinstance(happened, CallMade):
                self.held.add(happened.call)
            elif isinstance(spec, Detach):
                self.apart |= {n: r for n, r in self.asked.items() if r.lane == spec.lane}
                self.asked = _without(self.asked, (spec.lane,))
                self.detached |= {call for slot in spec.slots for call in self.slots.pop(slot, ())}
        for command in reaction.commands:
            self._obey(command)
        if self.open - {self.link, *reaction.snapshot.leaving}:
            yield "a link came up, is not the session's, and was not let go"

    def spec(self, effect: str) -> Ask:
        """The spec of an effect that was asked."""
        spec = self.chart.effects[effect]
        assert isinstance(spec, Ask)
        return spec

    def _obey(self, command: Command) -> None:
        match command:
            case Perform(request) if request.lane:
                if not self.spec(request.effect).several:
                    self.asked = _without(self.asked, (request.lane,))
                self.asked[request.number] = request
            case Cancel(lanes):
                self.asked, self.apart = _without(self.asked, lanes), _without(self.apart, lanes)
                if not set(self.chart.events.values()).isdisjoint(lanes):
                    self.link = None
            case Keep(link):
                self.link = link
            case Close(link):
                self.open.discard(link)
            case Arm(timer):
                self.timers.add(timer)
            case Disarm(timers):
                self.timers.difference_update(timers)
            case Settle(call):
                for calls in (*self.slots.values(), self.detached, self.held):
                    calls.discard(call)
            case _:
                pass

    def ledger(self) -> tuple[str, ...]:
        """What is under way, in words."""
        lanes = self.chart.events.values() if self.link is not None else ()
        return tuple(
            sorted(
                {f"asked {request.effect}" for request in self.asked.values()}
                | {f"open {lane}" for lane in lanes}
                | {f"timer {timer}" for timer in self.timers}
                | {f"waits for {slot}" for slot, calls in self.slots.items() if calls}
            )
        )


def _without(requests: dict[int, Request], lanes: Sequence[str]) -> dict[int, Request]:
    return {n: request for n, request in requests.items() if request.lane not in lanes}


@attrs.define
class Seen:
    """One step: what happened and when, whether it was current by the account, what it came to.

    `of` is what it is the outcome, the expiry or an event of (an effect, a lane, a timer; empty for
    a call or a hint). `phase`, `facts` (stored and derived), `registers` and `ledger` are as they
    were when the step was over; `faults` is what must never be.
    """

    happened: Input
    now: Now
    of: str
    current: bool
    fired: tuple[Fired, ...]
    commands: tuple[Command, ...]
    phase: str
    facts: frozenset[str]
    registers: tuple[str | None, ...]
    ledger: tuple[str, ...]
    faults: list[str] = attrs.field(factory=list[str])

    @property
    def trigger(self) -> str:
        """What happened, as the chart calls it."""
        return self.fired[0].trigger

    @property
    def rows(self) -> list[Transition]:
        """The rows that fired."""
        return [fired.row for fired in self.fired]


class Trace:
    """The steps of one engine, oldest first. It stands in for the engine in a session's shell."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.steps: list[Seen] = []
        self.account = Account(engine.chart)
        self.snapshot = engine.initial

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def step(self, snapshot: Snapshot, happened: Input, now: Now) -> Reaction:
        """Steps the engine, and notes what it did; what asks nothing of the chart is no step."""
        reaction = self._engine.step(snapshot, happened, now)
        self.snapshot = after = reaction.snapshot
        of, current = self.account.cause(happened)
        faults = list(self.account.take(happened, reaction))
        if reaction.fired:
            facts, ledger = self._engine.facts(after, now), self.account.ledger()
            fired, commands, state = reaction.fired, reaction.commands, after.state
            seen = Seen(happened, now, of, current, fired, commands, state.phase, facts,
                        state.registers, ledger, faults)  # fmt: skip
            self.steps.append(seen)
        return reaction
