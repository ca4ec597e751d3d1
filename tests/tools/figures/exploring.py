"""What it takes to explore a chart and decide its properties, beside Rumur."""

from __future__ import annotations

import gc
import re
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from support_chat import CHART, Chart
from support_chat.verify import Property, check, explore
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.composition.explore import check_whole
from support_chat.verify.delivery import READING
from support_chat.verify.identity import IDENTITY
from support_chat_adapters.murphi import rumur
from support_chat_adapters.murphi.model import to_murphi

from .lines import AGAIN, Found, Goal, Line, Part, in_turns
from .phone import CHART as PHONE

EXPLORED: Final = "explore()"
DECIDED: Final = "check()"
STATES: Final = "Rumur, no properties"
VERDICTS: Final = "Rumur, its properties"


@attrs.frozen
class Model:
    """A model of which Rumur and a C compiler made a program, and the seconds that took."""

    program: Path
    seconds: float

    def run(self) -> tuple[int, int, int]:
        """How many states and steps it finds, and how many bytes it keeps of a state."""
        done = subprocess.run(
            [self.program], check=True, capture_output=True, text=True, timeout=600
        )
        found = re.search(
            r'state_size_bytes="(\d+)".*states="(\d+)" rules_fired="(\d+)"', done.stdout, re.DOTALL
        )
        assert found is not None, done.stdout[-500:]
        return int(found[2]), int(found[3]), int(found[1])


def compiled(chart: Chart, properties: Iterable[Property], folder: Path) -> Model:
    """A program of a chart, for one thread, as `support-chat check --engine rumur` makes it."""
    folder.mkdir()
    began = time.process_time()
    text = to_murphi(chart, properties).text
    writing = time.process_time() - began
    (folder / "model.m").write_text(text, encoding="ascii", errors="replace")
    began = _of_children()
    for command in (
        ("rumur", "--deadlock-detection", "off", "--output-format", "machine-readable",
         "--threads", "1", "--output", "model.c", "model.m"),
        ("cc", "-O1", "-std=c11", "-mcx16", "-o", "model", "model.c", "-lpthread"),
    ):  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    return Model(folder / "model", writing + _of_children() - began)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _by_rumur(model: Model, states: int, steps: int, sizes: list[float]) -> Callable[[], float]:
    """Seconds for a space that has as many states and steps as ours; notes the bytes of a state."""

    def run() -> float:
        began = _of_children()
        *found, size = model.run()
        took = _of_children() - began
        assert found == [states, steps], (found, states, steps)
        sizes.append(float(size))
        return took

    return run


def _by_us(work: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        gc.collect()
        began = time.process_time()
        work()
        return time.process_time() - began

    return run


def _command(*more: str) -> float:
    began = _of_children()
    program = "from support_chat_adapters.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "check", "-q", *more]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return _of_children() - began


def _bytes_of_a_state(chart: Chart) -> float:
    """What a state and its steps take in a space, by `tracemalloc`."""
    gc.collect()
    tracemalloc.start()
    space = explore(chart)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(space.states)


def measure(quick: bool) -> Found:
    """The shipped chart and its catalogue; a small one where only the running counts."""
    chart, properties, rounds = (PHONE, (), 1) if quick else (CHART, CATALOGUE, 2)
    space = explore(chart)
    states, steps = len(space.states), len(space.ways)
    del space
    turns = {
        EXPLORED: _by_us(lambda: explore(chart)),
        EXPLORED + AGAIN: _by_us(lambda: explore(chart)),
        DECIDED: _by_us(lambda: check(chart, properties)),
    }
    found = {"a state of explore()": [_bytes_of_a_state(chart)]}
    gone = rumur.missing()
    with tempfile.TemporaryDirectory() as name:
        making, sizes = 0.0, list[float]()
        if gone is None:
            plain = judged = compiled(chart, (), Path(name) / "plain")
            if properties:
                judged = compiled(chart, properties, Path(name) / "judged")
            making = judged.seconds
            turns[STATES] = _by_rumur(plain, states, steps, sizes)
            turns[VERDICTS] = _by_rumur(judged, states, steps, sizes)
        took = in_turns(turns, rounds, before=0)
    if VERDICTS in took:
        found["a state of Rumur"] = sizes[:1]
        found["Rumur, with making it"] = [making + run for run in took[VERDICTS]]
    counted = {EXPLORED: steps, EXPLORED + AGAIN: steps, STATES: steps}
    for subject, seconds in took.items():
        found[subject] = [counted.get(subject, states) / one for one in seconds]
    found["exploring"] = took[EXPLORED]
    found["deciding"] = [
        whole - part for whole, part in zip(took[DECIDED], took[EXPLORED], strict=True)
    ]
    found["support-chat check"] = (
        [_command("--property", "S20")] if quick else [_command() for _ in range(3)]
    )
    return Found(found, {} if gone is None else {"Rumur": rumur.INSTALL})


EXPLORING: Final = Part(
    "exploring",
    "The checker",
    "The shipped chart with its ledger, explored and decided on one core. Rumur runs the model "
    "that `support-chat export --format murphi` writes, finds the same states and steps, and "
    "decides what it can of the same properties, those that hold for ever in each state or step; "
    "the rest, what is reached and what comes to pass, is ours alone. Processor time; a program of"
    " the model is made anew for each chart, which is a line of its own.",
    (
        Line("steps explored: the noise", "a second", EXPLORED, EXPLORED + AGAIN),
        Line(
            "steps explored", "a second", EXPLORED, STATES,
            goal=Goal(
                least=1_000_000,
                figure=True,
                why="a step that leads to a known state still costs one look-up of an integer, and "
                "Python makes no more of them in a second on this processor",
            ),
        ),
        Line("states explored and decided", "a second", DECIDED, VERDICTS),
        Line(
            "deciding beside exploring", "s", "deciding", "exploring",
            goal=Goal(
                most=1.0,
                why="exploring takes integers only; each property is a Python function that is "
                "asked of every view of a state or step that differs in what it reads",
            ),
        ),
        Line("from the chart to the verdicts", "s", "support-chat check", "Rumur, with making it"),
        Line(
            "the shipped chart, as a command", "s", "support-chat check",
            goal=Goal(
                most=1.0,
                figure=True,
                why="exploring and deciding are lines of their own; the rest is the start of "
                "Python, its imports and the report",
            ),
        ),
        Line("memory of a state", "bytes", "a state of explore()", "a state of Rumur"),
    ),
    measure,
)  # fmt: skip


# --- a composition --------------------------------------------------------------------------------

WHOLES: Final = {"IDENTITY": IDENTITY, "READING": READING}


def measure_compositions(quick: bool) -> Found:
    """Each once: it takes long enough."""
    most = 100 if quick else None
    return Found(
        {
            name: [_by_us(partial(check_whole, whole, max_states=most))()]
            for name, whole in WHOLES.items()
        }
    )


COMPOSITION: Final = Part(
    "composition",
    "A composition",
    "Two tabs of one visitor, with one storage and one backend: who they are (`IDENTITY`), and "
    "what becomes of messages (`READING`), each explored and decided as CI does it with "
    "`support-chat check --composition support_chat.verify.identity:IDENTITY` and "
    "`support_chat.verify.delivery:READING`. Processor time.",
    tuple(
        Line(
            "a composition", "s", name,
            goal=Goal(
                most=45.0,
                figure=True,
                why="each world is a tuple of its parts, whose steps are put together anew for "
                "each of them",
            ),
        )
        for name in WHOLES
    ),
    measure_compositions,
)  # fmt: skip
