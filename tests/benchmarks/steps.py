"""What a step, a session and an import cost: `python tests/benchmarks/steps.py`. A table of ratios,
never a test with a stop-watch.

The same rows of the shipped chart run side by side: by `Compiled.step`, by a stock
`transitions.Machine` (with a registered model, and with an unregistered one through
`machine.events`), and, as the least that a dispatch can cost, by an equally small machine of
`automat` that has no guards, no facts and no data. The rounds are interleaved and the medians
compared, so that a busy machine slows all of them alike; the ratios are what to look at, and they
are those of one run.

Memory is counted by `tracemalloc` over ten thousand states, and by adding up what each object
itself takes. Imports are measured in fresh interpreters with compiled bytecode, as CPU time, over
`attrs`, `transitions` and `asyncio`, which a user has anyway.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Protocol

from automat import TypeMachineBuilder
from transitions import Machine

from support_chat import (
    CHART,
    Chart,
    Compiled,
    Fact,
    Input,
    Phase,
    Settings,
    SignedIn,
    State,
    Trigger,
)
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
from support_chat.lifecycle.context import Context
from support_chat.lifecycle.requests import Keys
from support_chat.lifecycle.tokens import Token
from support_chat.lifecycle.updates import Updates
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


# --- the competitors ------------------------------------------------------------------------------


ENGINE_TARGETS = {"renew.due_offline": 0.75, "use.message": 1.3, "boot.begin": 1.7}
"""Steps of the whole engine and what they may cost, as a share of a stock trigger of the same row:
one reducer; a message with two events; a boot() in `ready`.
"""


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


def engine_ratios(repeat: int, laps: int) -> dict[str, tuple[float, float]]:
    """For each row of ENGINE_TARGETS the least nanoseconds of a whole step of the engine, and of a
    stock trigger of the same row in the same state, over interleaved rounds.
    """
    engine, found = engine_steps()
    model = Model()
    model.state, model.facts = str(CHART.initial), set()
    model.value = dict.fromkeys((*CHART.registers, str(CHART.named)))
    stock(CHART, model, registered=True)
    ratios: dict[str, tuple[float, float]] = {}
    for name in ENGINE_TARGETS:
        ours, theirs = _pair(engine, model, *found[name])
        times: tuple[list[float], list[float]] = [], []
        for _ in range(repeat):
            for taken, run in zip(times, (ours, theirs), strict=True):
                begin = time.perf_counter_ns()
                for _ in range(laps):
                    run()
                taken.append((time.perf_counter_ns() - begin) / laps)
        ratios[name] = min(times[0]), min(times[1])
    return ratios


def _pair(
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


# --- what is measured -----------------------------------------------------------------------------


def runners() -> dict[str, tuple[int, Callable[[int], None]]]:
    """For each competitor how many steps a round has, and what runs so many rounds."""
    compiled = Compiled(CHART)
    cycle = moments(compiled)

    def ours(rounds: int) -> None:
        step = compiled.step
        for _ in range(rounds):
            for state, happening in cycle:
                step(state, happening)

    def prepared(registered: bool) -> Callable[[int], None]:
        model = Model()
        model.state = str(CHART.initial)
        model.facts = set()
        model.value = dict.fromkeys((*CHART.registers, str(CHART.named)))
        machine = stock(CHART, model, registered=registered)
        start = [
            (
                set(compiled.names(s.facts | h.facts)),
                dict(zip((*CHART.registers, CHART.named), (*s.registers, h.named), strict=True)),
            )
            for s, h in cycle
        ]
        by_name = [str(happening.trigger) for _, happening in cycle]
        phases = [str(state.phase) for state, _ in cycle]

        def run(rounds: int) -> None:
            for _ in range(rounds):
                for name, phase, (facts, value) in zip(by_name, phases, start, strict=True):
                    model.state, model.facts, model.value = phase, facts.copy(), value  # type: ignore[assignment]
                    if registered:
                        model.trigger(name)
                    else:
                        machine.events[name].trigger(model)

        return run

    door = automat_door()

    def automat(rounds: int) -> None:
        for _ in range(rounds):
            door.push()
            door.pull()

    return {
        "support_chat step": (len(cycle), ours),
        "transitions, registered model": (len(cycle), prepared(registered=True)),
        "transitions, unregistered model": (len(cycle), prepared(registered=False)),
        "automat, plain dispatch": (2, automat),
    }


def nanoseconds(steps: int, rounds: int, repeat: int) -> dict[str, float]:
    """The median time of a step of each competitor, in nanoseconds, over interleaved rounds."""
    measured = runners()
    times: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(repeat):
        for name, (length, run) in measured.items():
            laps = max(1, rounds * steps // length)
            begin = time.perf_counter_ns()
            run(laps)
            times[name].append((time.perf_counter_ns() - begin) / (laps * length))
    return {name: statistics.median(values) for name, values in times.items()}


def deep_size(value: Any, seen: set[int] | None = None) -> int:
    """What an object and everything that only it holds take, in bytes; enum members, types and
    functions belong to everybody.
    """
    seen = set() if seen is None else seen
    if (
        id(value) in seen
        or value is None
        or isinstance(value, bool | type | Phase)
        or callable(value)
    ):
        return 0
    seen.add(id(value))
    size: int = sys.getsizeof(value)
    fields: list[Any] = list(getattr(value, "__attrs_attrs__", ()))
    parts: list[Any] = [getattr(value, field.name) for field in fields]
    if issubclass(type(value), dict):
        parts = [part for pair in value.items() for part in pair]
    elif issubclass(type(value), tuple | list | set | frozenset):
        parts = list(value)
    return size + sum(deep_size(part, seen) for part in parts)


def full_context() -> Context:
    """The context of a signed-in user in the middle of a session."""
    traits = {
        f"user.traits.{name}": f"value of {name}" for name in ("role", "plan", "team", "locale")
    }
    return Context(
        user_id="user_" + "1" * 8,
        identity=SignedIn("user_" + "1" * 8),
        provider=lambda: "",
        visitor="v" * 43,
        session="s" * 43,
        cursor="c" * 20,
        token=Token("t" * 800, 600.0),
        updates=Updates(known=traits),
        updated_at=tuple(float(i) for i in range(5)),
    )


def bytes_of_a_state(count: int) -> float:
    """What one of many live states takes, by `tracemalloc`."""
    compiled = Compiled(CHART)
    facts = compiled.mask((Fact.BOOTED, Fact.SENDING))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    states = [
        State(Phase.AUTHENTICATED.value, facts, (f"user_{number:08}", None))
        for number in range(count)
    ]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(states)


_TIMED_IMPORT = """
import attrs, transitions, asyncio, sys, time
before = time.process_time()
import support_chat
print(time.process_time() - before)
"""


def import_milliseconds(repeat: int) -> float:
    """The best of `repeat` fresh interpreters: the CPU time of `import support_chat` over that of
    what it stands on.
    """
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        environment["PYTHONPYCACHEPREFIX"] = cache
        command = [sys.executable, "-c", _TIMED_IMPORT]
        times = [
            float(
                subprocess.run(
                    command, env=environment, check=True, capture_output=True, text=True
                ).stdout
            )
            for _ in range(repeat + 1)
        ]
    return 1000 * min(times[1:])  # the first one has compiled


# --- the table ------------------------------------------------------------------------------------


def verdict(value: float, target: float) -> str:
    """Whether a value is within its target."""
    return "ok" if value <= target else "MISSED"


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description="What a step, a session and an import cost.")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round: to see that it runs, not what it costs",
    )
    quick: bool = parser.parse_args(arguments).quick
    rounds, repeat, states, interpreters = (1, 1, 100, 1) if quick else (400, 15, 10_000, 11)

    times = nanoseconds(len(CYCLE), rounds, repeat)
    ours = times["support_chat step"]
    print(f"{'one step':<40}{'ns':>10}{'ours is':>12}{'target':>10}")
    for name, took in times.items():
        ratio = ours / took
        target = {"support_chat step": None, "automat, plain dispatch": 1.0}.get(name, 0.25)
        told = "" if target is None else f"{ratio:>11.2f}x{target:>9.2f}x  {verdict(ratio, target)}"
        print(f"{name:<40}{took:>10.0f}{told}")

    heads = f"{'ns':>10}{'stock':>10}{'ours is':>12}{'target':>10}"
    print(f"\n{'a step of the whole engine, least':<40}{heads}")
    for name, (took, theirs) in engine_ratios(5 * repeat, rounds).items():
        ratio, target = took / theirs, ENGINE_TARGETS[name]
        told = f"{ratio:>11.2f}x{target:>9.2f}x  {verdict(ratio, target)}"
        print(f"{name:<40}{took:>10.0f}{theirs:>10.0f}{told}")

    print(f"\n{'memory of one session':<40}{'bytes':>10}")
    a_state = State(Phase.AUTHENTICATED.value, 1, ("user_1", None))
    for name, size in (
        (f"a state, one of {states} (tracemalloc)", bytes_of_a_state(states)),
        ("a state (deep)", deep_size(a_state)),
        ("an empty context (deep)", deep_size(Context())),
        ("a context in the middle of a session (deep)", deep_size(full_context())),
    ):
        print(f"{name:<40}{size:>10.0f}")

    took = import_milliseconds(interpreters)
    print(f"\n{'import support_chat':<40}{'ms':>10}{'':>12}{'target':>10}")
    print(
        f"{'over attrs + transitions + asyncio':<40}{took:>10.1f}{'':>12}{'20 ms':>10}  "
        f"{verdict(took, 20.0)}"
    )


if __name__ == "__main__":
    main()
