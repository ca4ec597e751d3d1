"""A phone that gives up after three attempts: the small chart that is driven by the same word in
each library, written as each library's users would write it.

Four states' worth of nothing special: a guard that looks at data, from both sides, and actions that
change it. What runs it says after each event where it stands, so that nothing is timed that does
something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

import attrs
from automat import TypeMachineBuilder
from transitions import Machine

from support_chat import Chart, Compiled, Input, State, Transition
from support_chat.chart.model import Derived, Ignored, Note, Semantics
from support_chat.engine import Engine, Hinted, Now

WORD: Final = (
    "dial", "failed", "dial", "failed", "dial", "failed", "dial",  # the fourth is one too many
    "reset", "dial", "answered", "hang_up",
)  # fmt: skip
STATES: Final = (
    "dialling", "idle", "dialling", "idle", "dialling", "idle", "idle",
    "idle", "dialling", "talking", "idle",
)  # fmt: skip
"""Where it stands after each event of the word, whatever runs it."""
MOST: Final = 3


@attrs.frozen
class Phone:
    """One phone: what each event of the word does, and where it stands."""

    events: Mapping[str, Callable[[], object]]
    state: Callable[[], str]

    def lap(self) -> Callable[[], None]:
        """All that the word does once."""
        word = tuple(self.events[event] for event in WORD)

        def lap() -> None:
            for event in word:
                event()

        return lap


# --- this library ---------------------------------------------------------------------------------

TRIGGERS: Final = tuple(dict.fromkeys(WORD))
PHASES: Final = ("idle", "dialling", "talking")

CHART: Final = Chart(
    name="phone",
    initial="idle",
    phases=PHASES,
    triggers=TRIGGERS,
    external=TRIGGERS,
    facts={
        "spent": Derived(
            "it was tried three times in vain",
            raises=("count",),
            clears=("forget",),
            reads=lambda attempts, _: attempts >= MOST,
        )
    },
    effects={
        "count": Note(doc="one more attempt", reduce=lambda attempts, _: attempts + 1),
        "forget": Note(doc="no attempts", reduce=lambda attempts, _: 0),
    },
    transitions=(
        Transition(
            name="dial", group="phone", trigger="dial", sources="idle", target="dialling",
            unless="spent", effects="count",
        ),
        Transition(name="give_up", group="phone", trigger="dial", sources="idle", when="spent"),
        Transition(
            name="failed", group="phone", trigger="failed", sources="dialling", target="idle",
        ),
        Transition(
            name="answered", group="phone", trigger="answered", sources="dialling",
            target="talking", effects="forget",
        ),
        Transition(
            name="hang_up", group="phone", trigger="hang_up", sources="talking", target="idle",
        ),
        Transition(
            name="reset", group="phone", trigger="reset", sources="idle", effects="forget",
        ),
    ),
    ignored=(
        Ignored(triggers="dial", phases=("dialling", "talking"), because="it has dialled"),
        Ignored(triggers=("failed", "answered"), phases=("idle", "talking"), because="it is late"),
        Ignored(triggers="hang_up", phases=("idle", "dialling"), because="nobody is there"),
        Ignored(triggers="reset", phases=("dialling", "talking"), because="it is in use"),
    ),
    semantics=Semantics(
        context=0,
        delays={},
        names=lambda _: None,
        hears=lambda _: None,
        results={},
        calls=lambda trigger, _: trigger,
        moves=lambda before, after, reason: (before, after, reason),
        changes=lambda before, after: (),
    ),
)  # fmt: skip
NOW: Final = Now(1.0, 1.0, 0.0, b"sixteen random b")


def by_step() -> Phone:
    """`Compiled.step` alone: the guard's fact comes with the input, and who runs it would carry out
    the effects that it names.
    """
    compiled = Compiled(CHART)
    state, attempts = compiled.initial, 0

    def event(trigger: str) -> Callable[[], None]:
        fresh, spent = Input(trigger), Input(trigger, compiled.mask(("spent",)))

        def do() -> None:
            nonlocal state, attempts
            state, effects = compiled.step(state, spent if attempts >= MOST else fresh)
            for effect in effects:
                attempts = attempts + 1 if effect == "count" else 0

        return do

    return Phone({trigger: event(trigger) for trigger in TRIGGERS}, lambda: state.phase)


def by_engine() -> Phone:
    """A step of the whole engine: it reads the guard, runs the reducers and gives the commands."""
    engine = Engine(CHART, None, None)
    snapshot = engine.initial

    def event(trigger: str) -> Callable[[], None]:
        happened = Hinted(trigger)

        def do() -> None:
            nonlocal snapshot
            snapshot = engine.step(snapshot, happened, NOW).snapshot

        return do

    return Phone({trigger: event(trigger) for trigger in TRIGGERS}, lambda: snapshot.state.phase)


def snapshots() -> Callable[[], State]:
    """Makes what a phone is between two steps: a value, beside which there is no machine."""
    compiled = Compiled(CHART)
    start, dial = compiled.initial, Input("dial")
    return lambda: compiled.step(start, dial)[0]


# --- transitions ----------------------------------------------------------------------------------


class Counting:
    """The model of the machines that call back: counts its attempts."""

    state: str
    trigger: Callable[[str], bool]

    def __init__(self) -> None:
        self.attempts = 0

    def is_fresh(self) -> bool:
        """Whether it may be tried once more."""
        return self.attempts < MOST

    def count(self) -> None:
        """One more attempt."""
        self.attempts += 1

    def forget(self) -> None:
        """No attempts."""
        self.attempts = 0


def by_transitions() -> Phone:
    """`transitions.Machine` with a condition and callbacks of its model."""
    model = Counting()
    machine = Machine(model, states=list(PHASES), initial="idle", auto_transitions=False)
    add = machine.add_transition
    add("dial", "idle", "dialling", conditions="is_fresh", after="count")
    add("dial", "idle", None, unless="is_fresh")
    add("failed", "dialling", "idle")
    add("answered", "dialling", "talking", after="forget")
    add("hang_up", "talking", "idle")
    add("reset", "idle", None, after="forget")
    return Phone({name: getattr(model, name) for name in TRIGGERS}, lambda: model.state)


# --- automat --------------------------------------------------------------------------------------


class Line(Protocol):
    """The inputs of the machine; automat has no guards, so a dial that may not be is another
    input.
    """

    def dial(self) -> None:
        """Tries."""

    def give_up(self) -> None:
        """Tries no more."""

    def failed(self) -> None:
        """In vain."""

    def answered(self) -> None:
        """Somebody is there."""

    def hang_up(self) -> None:
        """It is over."""

    def reset(self) -> None:
        """It may be tried again."""

    def where(self) -> str:
        """Where it stands."""
        ...


def by_automat() -> Phone:
    """`automat.TypeMachineBuilder` with outputs that change its core."""
    builder = TypeMachineBuilder(Line, Counting)
    idle, dialling, talking = (builder.state(phase) for phase in PHASES)

    @idle.upon(Line.dial).to(dialling)
    def dialled(line: Line, core: Counting) -> None:
        core.count()

    @dialling.upon(Line.answered).to(talking)
    def connected(line: Line, core: Counting) -> None:
        core.forget()

    @idle.upon(Line.reset).loop()
    def forgotten(line: Line, core: Counting) -> None:
        core.forget()

    idle.upon(Line.give_up).loop().returns(None)
    dialling.upon(Line.failed).to(idle).returns(None)
    talking.upon(Line.hang_up).to(idle).returns(None)
    for phase, state in zip(PHASES, (idle, dialling, talking), strict=True):
        state.upon(Line.where).loop().returns(phase)

    core = Counting()
    line = builder.build()(core)
    events = {name: getattr(line, name) for name in TRIGGERS}

    def dial() -> None:
        if core.is_fresh():
            line.dial()
        else:
            line.give_up()

    return Phone({**events, "dial": dial}, line.where)


# --- python-statemachine --------------------------------------------------------------------------


def by_statemachine() -> Phone:
    """A `statemachine.StateMachine` with a condition and actions."""
    library: Any = import_module("statemachine")
    state = library.State

    class Machine(library.StateMachine):  # type: ignore[misc]  # no dependency, so of no known type
        """The machine."""

        idle, dialling, talking = state(initial=True), state(), state()
        dial = idle.to(dialling, cond="is_fresh", on="count") | idle.to.itself(
            internal=True, unless="is_fresh"
        )
        failed = dialling.to(idle)
        answered = dialling.to(talking, on="forget")
        hang_up = talking.to(idle)
        reset = idle.to.itself(internal=True, on="forget")

    core = Counting()
    phone: Any = Machine(core)
    return Phone({name: getattr(phone, name) for name in TRIGGERS}, lambda: core.state)


# --- sismic ---------------------------------------------------------------------------------------

SISMIC: Final = """
statechart:
  name: phone
  preamble: attempts = 0
  root state:
    name: phone
    initial: idle
    states:
      - name: idle
        transitions:
          - {event: dial, target: dialling, guard: attempts < 3, action: attempts += 1}
          - {event: dial, guard: attempts >= 3}
          - {event: reset, action: attempts = 0}
      - name: dialling
        transitions:
          - {event: failed, target: idle}
          - {event: answered, target: talking, action: attempts = 0}
      - name: talking
        transitions:
          - {event: hang_up, target: idle}
"""


def by_sismic() -> Phone:
    """A `sismic` interpreter of a chart in YAML."""
    interpreter: Any = import_module("sismic.interpreter").Interpreter(
        import_module("sismic.io").import_from_yaml(SISMIC)
    )
    interpreter.execute()

    def event(name: str) -> Callable[[], None]:
        def do() -> None:
            interpreter.queue(name).execute()

        return do

    return Phone(
        {trigger: event(trigger) for trigger in TRIGGERS},
        lambda: str(interpreter.configuration[-1]),
    )
