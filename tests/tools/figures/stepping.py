"""What a step costs, beside other libraries of state machines, and what a machine takes."""

from __future__ import annotations

import gc
import importlib.util
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from stock_machine import Model, automat_door, beside_stock, engine_steps, stock
from support_chat import CHART

from . import phone, shipped, xstate
from .lines import AGAIN, Found, Goal, Line, Part, in_turns

SPELL: Final = 0.02
"""Seconds that a subject runs in a round."""
ROWS: Final = {"renew.due_offline": 0.75, "use.message": 1.3, "boot.begin": 1.7}
"""Steps of the whole engine that have goals: one reducer, a message with its events, a boot() in
`ready`.
"""
LIBRARIES: Final = {"python-statemachine": "statemachine", "sismic": "sismic"}
WHY: Final = (
    "a step leaves the snapshot as it was, and makes the next, a moment and a reaction with what "
    "fired, where the stock machine changes its model; with little to do that is most of it"
)
DOOR: Final = "automat, plain dispatch"

Lap = Callable[[], object]


def beside(what: str, ours: str, *theirs: str, goals: dict[str, Goal] | None = None) -> list[Line]:
    """A line for each of those that ours is held against."""
    return [Line(what, "µs", ours, one, goal=(goals or {}).get(one)) for one in theirs]


def lines() -> tuple[Line, ...]:
    """The lines of the table."""
    of_phone = [f"{name}, phone" for name in (*OTHERS, "XState actor", "XState transition()")]
    of_session = [
        f"{name}, session"
        for name in ("transitions", *LIBRARIES, "XState actor", "XState transition()")
    ]
    step, engine = "Compiled.step, phone", "Engine.step, phone"
    return (
        *beside("an event of the phone: the noise", step, step + AGAIN),
        *beside("an event of the phone, chart only", step, "automat, phone"),
        *beside("an event of the phone", engine, *of_phone),
        *beside(
            "a row of the shipped chart",
            "Compiled.step, session",
            DOOR,
            *of_session,
            goals={DOOR: Goal(most=1.0), "transitions, session": Goal(most=0.25)},
        ),
        *beside("a row of the shipped chart, whole engine", "Engine.step, session", *of_session),
        *(
            Line(
                f"a step of the whole engine: {row}", "µs", f"Engine.step, {row}", f"stock, {row}",
                goal=Goal(most=most, why=WHY), least=True,
            )
            for row, most in ROWS.items()
        ),
    )  # fmt: skip


OTHERS: Final[dict[str, Callable[[], phone.Phone]]] = {
    "transitions": phone.by_transitions,
    "automat": phone.by_automat,
    "python-statemachine": phone.by_statemachine,
    "sismic": phone.by_sismic,
}


def missing() -> dict[str, str]:
    """The libraries that are not here, and what brings them."""
    gone = {
        name: f"pip install {name}"
        for name, module in LIBRARIES.items()
        if importlib.util.find_spec(module) is None
    }
    return gone if xstate.is_there() else {**gone, "XState": xstate.INSTALL}


def subjects() -> dict[str, tuple[int, Lap]]:
    """Of each subject how many events its lap has, and the lap."""
    gone, word = missing(), len(phone.WORD)
    found: dict[str, tuple[int, Lap]] = {}
    step = "Compiled.step, phone"
    for name, make in (
        (step, phone.by_step),
        (step + AGAIN, phone.by_step),
        ("Engine.step, phone", phone.by_engine),
        *((f"{name}, phone", make) for name, make in OTHERS.items() if name not in gone),
    ):
        found[name] = word, _checked(make(), name)

    rows = len(shipped.word()[0])
    in_session: dict[str, Callable[[], shipped.Session]] = {
        "Compiled.step": shipped.by_step,
        "Engine.step": lambda: shipped.by_engine()[0],
        "transitions": shipped.by_transitions,
        "python-statemachine": shipped.by_statemachine,
        "sismic": shipped.by_sismic,
    }
    for name, made in in_session.items():
        if name not in gone:
            found[f"{name}, session"] = rows, made().lap()

    door = automat_door()

    def through() -> None:
        door.push()
        door.pull()

    found[DOOR] = 2, through
    engine, first = engine_steps()
    model = Model()
    model.state, model.facts = str(CHART.initial), set()
    model.value = dict.fromkeys((*CHART.registers, str(CHART.named)))
    stock(CHART, model, registered=True)
    for row in ROWS:
        ours, theirs = beside_stock(engine, model, *first[row])
        found[f"Engine.step, {row}"] = 1, ours
        found[f"stock, {row}"] = 1, theirs
    return found


def _checked(one: phone.Phone, name: str) -> Lap:
    """The lap, after one on which it has been everywhere where the word leads."""
    seen = list[str]()
    for event in phone.WORD:
        one.events[event]()
        seen.append(one.state())
    if tuple(seen) != phone.STATES:
        raise AssertionError(f"{name} goes {seen}, not {list(phone.STATES)}")
    return one.lap()


def _timed(lap: Lap, laps: int) -> float:
    began = time.process_time_ns()
    for _ in range(laps):
        lap()
    return float(time.process_time_ns() - began)


def _microseconds(timed: Callable[[int], float], events: int, spell: float) -> Callable[[], float]:
    """Measures one event, in as many laps as fit into the spell."""
    laps = 1
    while spell and timed(laps) < spell * 1e9 and laps < 1_000_000:
        laps *= 2
    return lambda: timed(laps) / laps / events / 1000


def measure(quick: bool) -> Found:
    """Every subject in turn."""
    spell, rounds = (0.0, 1) if quick else (SPELL, 31)
    with ExitStack() as stack:
        turns = {
            name: _microseconds(partial(_timed, lap), events, spell)
            for name, (events, lap) in subjects().items()
        }
        if xstate.is_there():
            node = stack.enter_context(xstate.node())
            for of, events in (("phone", len(phone.WORD)), ("session", len(shipped.word()[0]))):
                for name, how in (("XState actor", "send"), ("XState transition()", "pure")):
                    timed = partial(node.nanoseconds, f"{of}.{how}")
                    if not quick:
                        timed(2000)  # compiled by then
                    turns[f"{name}, {of}"] = _microseconds(timed, events, spell)
        gc.collect()
        return Found(in_turns(turns, rounds), missing())


STEPS: Final = Part(
    "steps",
    "A step",
    "The *phone* is a chart of three states with a guard on data and actions that change it, "
    "driven by one word of eleven events in each library, written as its users write it: a "
    "condition and callbacks of a model (`transitions`, python-statemachine), outputs of the core "
    "(automat, which has no guards, so that another input stands for the other side), Python in "
    "YAML (sismic), `setup` with `assign` (XState, with `actor.send()` and with the pure "
    "`transition()`, in Node). `Engine.step` is what does the same: it reads the guard, runs the "
    "actions and gives the commands. `Compiled.step` is its chart alone, as automat is: whoever "
    "calls it looks at the data. The *session* is nine rows of the shipped chart, an update, a "
    "message, a lost link and its return, in the same libraries with all rows of the chart; the "
    "engine does in them, beyond what the machines do, what their callbacks would have to: it "
    "makes the requests, events and delays. Processor time, in Node of all its threads; the goals "
    "of single steps of the engine are of the least figures.",
    lines(),
    measure,
)


# --- memory ---------------------------------------------------------------------------------------


def bytes_of_one(make: Callable[[], object], count: int) -> float:
    """What one of so many takes, by `tracemalloc`."""
    make()
    kept: list[Any] = [None] * count
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        kept[number] = make()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count


SNAPSHOT: Final = "a state between two steps"
MACHINES: Final = (*OTHERS, "XState")


def measure_machines(quick: bool) -> Found:
    """Each once: memory has no noise."""
    gone, count = missing(), 10 if quick else 300
    found = {SNAPSHOT: [bytes_of_one(phone.snapshots(), count)]}
    found |= {
        name: [bytes_of_one(make, count)] for name, make in OTHERS.items() if name not in gone
    }
    if "XState" not in gone:
        with xstate.node() as node:
            found["XState"] = [node.bytes_of_one(count)]
    return Found(found, gone)


MEMORY: Final = Part(
    "machines",
    "A machine",
    "What each session has of its own, of the phone: with us a value, elsewhere a machine. Counted "
    "by `tracemalloc`, in Node by the heap.",
    tuple(Line("memory of a phone", "bytes", SNAPSHOT, name) for name in MACHINES),
    measure_machines,
)
