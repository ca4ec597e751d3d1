"""The shipped chart in each library: some of a user's session, an update, a message, a lost link
and its return, which ends where it began.

All rows are in each machine, a condition a fact and a callback that does what the row declares. The
facts that hold from outside, and whom an event names, are put into the model before each event.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from itertools import count
from typing import Any, Final

import attrs

from stock_machine import CYCLE, Model, moments, stock
from support_chat import CHART, Compiled, Input, Settings, State
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
    Reaction,
    Request,
)
from support_chat.lifecycle.calls import Arguments
from support_chat.lifecycle.requests import Keys
from support_chat.ports import MessageArrived, UpdateAnswer, Welcome
from support_chat.values import Message

FIRST: Final = next(i for i, (name, *_) in enumerate(CYCLE) if name == "update.record")
LAST: Final = next(i for i, (name, *_) in enumerate(CYCLE) if name == "link.back_as_user")
REGISTERS: Final = (*CHART.registers, str(CHART.named))


@attrs.frozen
class Session:
    """A session on a machine: what brings it to the beginning of the word, what each event of the
    word does, and where it stands.
    """

    events: Sequence[Callable[[], object]]
    state: Callable[[], str]

    def lap(self) -> Callable[[], None]:
        """All that the word does once."""
        events = self.events

        def lap() -> None:
            for event in events:
                event()

        return lap


def word() -> tuple[list[tuple[State, Input]], list[str]]:
    """The word, with the state in which each event comes, and the phase after each."""
    compiled = Compiled(CHART)
    life = moments(compiled)
    here = life[FIRST : LAST + 1]
    after = [str(compiled.fire(*one)[0].phase) for one in here]
    assert compiled.fire(*here[-1])[0] == here[0][0], "the word ends where it began"
    return here, after


def by_step() -> Session:
    """`Compiled.step`."""
    compiled = Compiled(CHART)
    here, _ = word()
    state = here[0][0]

    def event(happening: Input) -> Callable[[], None]:
        def do() -> None:
            nonlocal state
            state, _ = compiled.step(state, happening)

        return do

    return Session([event(happening) for _, happening in here], lambda: str(state.phase))


def by_engine() -> tuple[Session, list[str]]:
    """Steps of the whole engine in the same part of a life, each from the snapshot that it came
    to, and the rows that fire, two of them in one step.
    """
    engine = Engine(CHART, Settings(), Keys("acme", "help", "default"))
    snapshot, asked, calls = engine.initial, list[Request](), count(1)
    steps: list[Callable[[], Reaction]] = []
    rows: list[str] = []

    def do(happened: EngineInput) -> None:
        nonlocal snapshot
        now = Now(float(len(steps)), float(len(steps)), 0.0, b"sixteen random b")
        steps.append(partial(engine.step, snapshot, happened, now))
        snapshot, commands, fired = steps[-1]()
        rows.extend(one.row.name for one in fired)
        asked.extend(c.request for c in commands if isinstance(c, Perform))

    def call(trigger: str, arguments: Arguments) -> None:
        do(CallMade(next(calls), trigger, arguments))

    def answer(result: object = None) -> None:
        do(Outcome(asked[-1], result))

    call("boot", Arguments(user_id="ada", provider=lambda: ""))
    answer("")
    answer("s" * 32)
    do(Expired("retry"))
    answer("opaque token")
    answer(Welcome("session-1", "visitor-1", "ada"))
    link = asked[-1].number
    before = len(steps), len(rows)
    call("update", Arguments(changes={"user.traits.plan": "gold"}))
    do(Expired("update"))
    answer(UpdateAnswer())
    do(Heard(link, MessageArrived(Message("m", "c", "agent", "hello", 0.0), "1", 1)))
    do(Heard(link))
    do(Expired("retry"))
    answer("s" * 32)
    answer(Welcome("session-1", "visitor-1", "ada"))
    return Session(steps[before[0] :], lambda: str(snapshot.state.phase)), rows[before[1] :]


def model() -> Model:
    """The model at the beginning of the word."""
    here, _ = word()
    made, state = Model(), here[0][0]
    made.state = str(state.phase)
    made.facts = set(Compiled(CHART).names(state.facts))
    made.value = dict(zip(REGISTERS, (*state.registers, None), strict=True))
    return made


def _driven(made: Model, send: Callable[[str], object], state: Callable[[], str]) -> Session:
    """Each event brings its facts and its name, and takes those of the one before away."""
    compiled = Compiled(CHART)
    here, _ = word()
    outside = {fact for _, happening in here for fact in compiled.names(happening.facts)}
    named = str(CHART.named)

    def event(happening: Input) -> Callable[[], None]:
        trigger, facts = str(happening.trigger), set(compiled.names(happening.facts))

        def do() -> None:
            made.facts -= outside
            made.facts |= facts
            made.value[named] = happening.named
            send(trigger)

        return do

    return Session([event(happening) for _, happening in here], state)


def by_transitions() -> Session:
    """A stock `transitions.Machine`."""
    made = model()
    start = made.state
    stock(CHART, made, registered=True)
    made.state = start
    return _driven(made, made.trigger, lambda: made.state)


def by_statemachine() -> Session:
    """A `statemachine.StateMachine`, its states and events put together from the rows."""
    library: Any = import_module("statemachine")
    made = model()
    for fact in CHART.facts:
        setattr(made, f"is_{fact}", _holds(made, fact))
    for number, row in enumerate(CHART.transitions):
        setattr(made, f"do_{number}", _does(made, row))

    start = made.state

    def body(namespace: dict[str, Any]) -> None:
        states = {
            str(phase): library.State(initial=phase == start, value=str(phase))
            for phase in CHART.phases
        }
        # a trigger may be called as a phase is, or as what every machine has, such as `send`
        namespace.update({f"in_{phase}": state for phase, state in states.items()})
        # the beginning cannot be reached from the middle, and no row leaves the end
        namespace.update(validate_disconnected_states=False, validate_trap_states=False)
        events: dict[str, Any] = {}
        for row in CHART.transitions:
            for trigger in row.trigger:
                for source in row.sources:
                    leads = leads_of(states, row, str(source))
                    name = f"on_the_{trigger}"
                    events[name] = events[name] | leads if name in events else leads
        namespace.update(events)

    def leads_of(states: dict[str, Any], row: Transition, source: str) -> Any:
        when, unless = _guard(row)
        more = {
            "cond": [f"is_{fact}" for fact in when],
            "unless": [f"is_{fact}" for fact in unless],
            "on": f"do_{CHART.transitions.index(row)}",
        }
        if row.target is None or row.target == source:
            return states[source].to.itself(internal=True, **more)
        return states[source].to(states[str(row.target)], **more)

    del made.state  # the machine puts it there when it begins
    running: Any = types.new_class("Machine", (library.StateMachine,), None, body)(made)
    return _driven(made, lambda trigger: running.send(f"on_the_{trigger}"), lambda: made.state)


def by_sismic() -> Session:
    """A `sismic` interpreter, its chart put together from the rows."""
    parts: Any = import_module("sismic.model")
    made = model()
    start = made.state
    chart = parts.Statechart("session")
    chart.add_state(parts.CompoundState("root", initial=start), None)
    for phase in CHART.phases:
        chart.add_state(parts.BasicState(str(phase)), "root")
    does = {row.name: _does(made, row) for row in CHART.transitions}
    for row in CHART.transitions:
        when, unless = _guard(row)
        asked = [*(f"holds({f!r})" for f in when), *(f"not holds({f!r})" for f in unless)]
        for trigger in row.trigger:
            for source in row.sources:
                chart.add_transition(
                    parts.Transition(
                        str(source),
                        str(row.target) if row.target and row.target != source else None,
                        event=str(trigger),
                        guard=" and ".join(asked) or None,
                        action=f"does[{row.name!r}]()",
                    )
                )
    interpreter: Any = import_module("sismic.interpreter").Interpreter(
        chart, initial_context={"holds": made.holds, "does": does}
    )
    interpreter.execute()

    def send(trigger: str) -> None:
        interpreter.queue(trigger).execute()

    return _driven(made, send, lambda: str(interpreter.configuration[-1]))


def _guard(row: Transition) -> tuple[list[str], list[str]]:
    """What must hold and what must not, as plain strings; what the chart says once for all rows, a
    machine must ask in each.
    """
    late = str(CHART.late)
    may_be_late = late not in row.when and not CHART.superseding.isdisjoint(row.trigger)
    return [str(f) for f in row.when], [*map(str, row.unless), *([late] if may_be_late else [])]


def _holds(made: Model, fact: str) -> Callable[[], bool]:
    return lambda: made.holds(fact)


def _does(made: Model, row: Transition) -> Callable[[], None]:
    sets, clears, assigns = set(row.sets), set(row.clears), dict(row.assigns)

    def do() -> None:
        made.facts -= clears
        made.facts |= sets
        if assigns:
            made.value.update(
                {name: made.value[of] if of else None for name, of in assigns.items()}
            )

    return do


def as_data() -> dict[str, Any]:
    """The rows and the word, for a library of another language."""
    compiled = Compiled(CHART)
    here, after = word()
    derived = {
        str(fact): [kind.left, kind.right] if isinstance(kind, Same) else [kind.register]
        for fact, kind in CHART.facts.items()
        if isinstance(kind, Same | Present)
    }
    rows: list[dict[str, Any]] = []
    for row in CHART.transitions:
        when, unless = _guard(row)
        for source in row.sources:
            target = str(row.target) if row.target and row.target != source else None
            rows += [
                {
                    "trigger": str(trigger), "source": str(source), "target": target,
                    "when": when, "unless": unless, "sets": [str(f) for f in row.sets],
                    "clears": [str(f) for f in row.clears], "assigns": dict(row.assigns),
                }
                for trigger in row.trigger
            ]  # fmt: skip
    state = here[0][0]
    return {
        "phases": [str(phase) for phase in CHART.phases],
        "start": str(state.phase),
        "facts": [str(f) for f in compiled.names(state.facts)],
        "values": dict(zip(REGISTERS, (*state.registers, None), strict=True)),
        "named": str(CHART.named),
        "derived": derived,
        "rows": rows,
        "word": [
            {
                "type": str(happening.trigger),
                "facts": [str(f) for f in compiled.names(happening.facts)],
                "named": happening.named,
            }
            for _, happening in here
        ],
        "after": after,
    }
