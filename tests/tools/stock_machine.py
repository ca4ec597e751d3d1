"""The rows of the shipped chart in a stock `transitions.Machine`, and where each of them fires in a
life: what steps are measured beside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from automat import TypeMachineBuilder
from transitions import Machine

from support_chat import CHART, Chart, Compiled, Fact, Input, Settings, State, Trigger
from support_chat.chart.model import Present, Same, Transition
from support_chat.engine import (
    CallMade,
    Engine,
    Expired,
    Heard,
    Input as EngineInput,
    Now,
    Outcome,
    Perform,
    Snapshot,
)
from support_chat.lifecycle.calls import Arguments
from support_chat.lifecycle.requests import Keys
from support_chat.ports import MessageArrived, Welcome
from support_chat.values import Message

Value = str | None
Moment = tuple[str, Trigger, tuple[Fact, ...], Value]

CYCLE: tuple[Moment, ...] = (
    ("boot.load_first", Trigger.BOOT, (Fact.PROVIDER,), "user_1"),
    ("load.done", Trigger.LOADED, (Fact.PROVIDER,), None),
    ("boot.go_on", Trigger.PROCEED, (Fact.PROVIDER,), None),
    ("boot.visitor_known_token_wanted", Trigger.VISITOR_READ, (Fact.PROVIDER,), None),
    ("connect.boot_fetches_token", Trigger.RETRY_DUE, (Fact.PROVIDER,), None),
    ("connect.dial_with_token", Trigger.TOKEN_ARRIVED, (Fact.PROVIDER,), None),
    ("boot.live_as_user", Trigger.LINK_UP, (Fact.PROVIDER,), "user_1"),
    ("update.record", Trigger.UPDATE, (Fact.PROVIDER,), None),
    ("update.schedule", Trigger.PROCEED, (Fact.PROVIDER, Fact.PENDING), None),
    ("update.send", Trigger.UPDATE_DUE, (Fact.PROVIDER, Fact.PENDING), None),
    ("update.sent", Trigger.UPDATED, (Fact.PROVIDER,), None),
    ("use.message", Trigger.MESSAGE_ARRIVED, (Fact.PROVIDER,), None),
    ("link.lost", Trigger.LINK_LOST, (Fact.PROVIDER,), None),
    ("connect.look", Trigger.RETRY_DUE, (Fact.PROVIDER,), None),
    ("connect.dial", Trigger.VISITOR_CHECKED, (Fact.PROVIDER,), None),
    ("link.back_as_user", Trigger.LINK_UP, (Fact.PROVIDER,), "user_1"),
    ("shutdown.live", Trigger.SHUTDOWN, (Fact.PROVIDER,), None),
    ("clear.user", Trigger.CLEAN, (), None),
    ("clear.user_done", Trigger.CLEARED, (), None),
    ("part.done", Trigger.PARTED, (), None),
    ("shutdown.done", Trigger.PROCEED, (), None),
)
"""A whole life of a session: the row that fires, its trigger, the facts that hold from outside, and
whom the trigger names.
"""


def moments(compiled: Compiled) -> list[tuple[State, Input]]:
    """The states and inputs of the cycle; checks that it fires the rows that it says, since it
    would measure nothing otherwise.
    """
    state = compiled.initial
    cycle: list[tuple[State, Input]] = []
    for name, trigger, facts, named in CYCLE:
        happening = Input(trigger, compiled.mask(facts), named)
        cycle.append((state, happening))
        state, row = compiled.fire(state, happening)
        if row.name != name:
            raise SystemExit(
                f"the cycle expected {name} and {row.name} fired; mend CYCLE in this file"
            )
    return cycle


def engine_steps() -> tuple[Engine, dict[str, tuple[Snapshot, EngineInput, Now]]]:
    """The engine, and the first step of each row in a life: as a visitor, then as a user."""
    engine = Engine(CHART, Settings(), Keys("acme", "help", "default"))
    snapshot, asked, found = engine.initial, list[Any](), dict[str, Any]()

    def do(happened: EngineInput) -> None:
        nonlocal snapshot
        now = Now(len(found), len(found), 0.0, b"sixteen random b")
        reaction = engine.step(snapshot, happened, now)
        found.setdefault(reaction.rows[0].name, (snapshot, happened, now))
        snapshot = reaction.snapshot
        asked.extend(c.request for c in reaction.commands if isinstance(c, Perform))

    def answer(result: Any = None) -> None:
        do(Outcome(asked[-1], result))

    do(CallMade(1, "load", Arguments()))
    answer("")
    do(CallMade(2, "boot", Arguments()))
    answer("s" * 32)
    do(Expired("retry"))
    answer(Welcome("session-1", "visitor-1"))
    message = MessageArrived(Message("m", "c", "agent", "hello", 0.0), "1", 1)
    do(Heard(asked[-1].number, message))
    do(CallMade(3, "shutdown", Arguments()))
    for request in asked[-2:]:
        do(Outcome(request))
    do(CallMade(4, "boot", Arguments(user_id="ada", provider=lambda: "")))
    answer("s" * 32)
    do(Expired("retry"))
    answer("opaque token")
    answer(Welcome("session-2", "visitor-1", "ada"))
    do(Heard(asked[-1].number))
    do(Expired("renew"))
    return engine, found


def beside_stock(
    engine: Engine, model: Model, snapshot: Snapshot, happened: EngineInput, now: Now
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The step, and the trigger of the same row on a stock machine in the same state."""
    fired, state = engine.step(snapshot, happened, now).fired[0], snapshot.state
    phase, facts = str(state.phase), set(engine.program.machine.names(state.facts | fired.facts))
    value = dict(zip(model.value, (*state.registers, fired.named), strict=True))

    def by_stock() -> bool:
        model.state, model.facts, model.value = phase, facts.copy(), value.copy()
        return model.trigger(str(fired.trigger))

    return lambda: engine.step(snapshot, happened, now), by_stock


class Model:
    """What a stock machine changes: a phase, facts by name, registers by name."""

    state: str
    facts: set[str]
    value: dict[str, Value]
    trigger: Callable[[str], bool]

    def holds(self, fact: str) -> bool:
        """Whether a fact is true, derived from the registers where the chart says so."""
        kind = CHART.facts[fact]
        if isinstance(kind, Same):
            return self.value[kind.left] == self.value[kind.right]
        if isinstance(kind, Present):
            return self.value[kind.register] is not None
        return fact in self.facts


def stock(chart: Chart, model: Model, *, registered: bool) -> Machine:
    """The rows of the chart in a `transitions.Machine`, with a condition a fact and a callback that
    does what the row declares.
    """
    machine = Machine(
        model=model if registered else None,
        states=[str(phase) for phase in chart.phases],
        initial=str(chart.initial),
        auto_transitions=False,
        ignore_invalid_triggers=True,
    )
    conditions = {fact: (lambda fact=fact: model.holds(fact)) for fact in chart.facts}

    def does(row: Transition) -> Callable[[], None]:
        sets, clears, assigns = set(row.sets), set(row.clears), dict(row.assigns)

        def apply() -> None:
            model.facts -= clears
            model.facts |= sets
            model.value.update(
                {
                    name: None if source is None else model.value[source]
                    for name, source in assigns.items()
                }
            )

        return apply

    for row in chart.transitions:
        # what the chart says once for all of them, a stock machine must ask in each row
        guards = chart.late is not None and chart.late not in row.when
        may_be_late = guards and not chart.superseding.isdisjoint(row.trigger)
        unless = (*row.unless, str(chart.late)) if may_be_late else row.unless
        for trigger in row.trigger:
            machine.add_transition(
                str(trigger),
                [str(phase) for phase in row.sources],
                str(row.target) if row.target else None,
                conditions=[conditions[fact] for fact in row.when],
                unless=[conditions[fact] for fact in unless],
                before=does(row),
            )
    return machine


class Door(Protocol):
    """The inputs of the small machine: a plain dispatch is the same whatever the machine."""

    def push(self) -> None:
        """Opens it."""

    def pull(self) -> None:
        """Closes it."""


def automat_door() -> Door:
    """Two states and two inputs in automat: no guard, no fact, no data, no effect."""
    builder = TypeMachineBuilder(Door, object)
    closed, opened = builder.state("closed"), builder.state("opened")
    closed.upon(Door.push).to(opened).returns(None)
    opened.upon(Door.pull).to(closed).returns(None)
    return builder.build()(object())
