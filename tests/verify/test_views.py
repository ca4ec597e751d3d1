"""What a property reads of a step is noted, so that steps which are alike to it are judged once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice, pairwise
from typing import Any, Final

import pytest

from support_chat import CHART, Chart, Transition
from support_chat.chart.model import Ask, Stored
from support_chat.verify import (
    EachEffect,
    EachStep,
    Property,
    Space,
    Step,
    Verdict,
    decide,
    explore,
)
from support_chat.verify.deciding import counterexamples
from support_chat.verify.views import Move, Reads, View, decisive, goes, told

OF_A_VIEW: Final[Mapping[str, Callable[[View], Iterator[Any]]]] = {
    "asked": lambda view: map(view.asked, view.model.asked),
    "facts": lambda view: iter(view.facts()),
    "has": lambda view: map(view.has, view.model.fact),
    "idle": lambda view: iter([view.idle]),
    "ledger": lambda view: iter(view.ledger()),
    "open": lambda view: map(view.open, view.model.open),
    "phase": lambda view: iter([view.phase]),
    "running": lambda view: map(view.running, view.model.running),
    "state": lambda view: iter([view.state & view.model.fact["booted"]]),
    "stored": lambda view: map(view.stored, view.model.stored),
    "waiting": lambda view: map(view.waiting, view.model.waiting),
    "who": lambda view: map(view.who, view.model.chart.registers),
}
OF_A_MOVE: Final[Mapping[str, Callable[[Move], Iterator[Any]]]] = {
    "asks": lambda move: iter(sorted(move.asks)),
    "carries": lambda move: map(move.carries, move.model.fact),
    "effects": lambda move: iter(move.effects),
    "moments": lambda move: (
        value
        for _, moment in move.moments(move.model.chart.effects)
        for value in map(moment.asked, move.model.asked)
    ),
    "named": lambda move: iter([move.named]),
    "rows": lambda move: iter(move.rows),
    "step": lambda move: iter([move.step.before, move.step.after]),
    "trigger": lambda move: iter([move.trigger]),
}


def readers() -> Mapping[str, Callable[[Move], Iterator[Any]]]:
    """Every way to read a step, by name."""
    before = {f"before.{name}": partial(_of, read, "before") for name, read in OF_A_VIEW.items()}
    after = {f"after.{name}": partial(_of, read, "after") for name, read in OF_A_VIEW.items()}
    return {**OF_A_MOVE, **before, **after}


def _of(read: Callable[[View], Iterator[Any]], side: str, move: Move) -> Iterator[Any]:
    return read(getattr(move, side))


def alike(space: Space) -> Iterator[tuple[Step, Step, Callable[[Reads], bool]]]:
    """Pairs of steps that go alike, some of one way and some of two, and whether they agree in
    what was read. A reader that notes too little is found many times over: some pairs will do.
    """
    shift = space.model.shift
    by_way: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for entry in space.entries():
        if len(entries := by_way[space.ways[entry[1]]]) < 4:
            entries.append(entry)
    kinds: dict[Any, list[Step]] = defaultdict(list)
    for n, entries in enumerate(by_way.values()):
        steps = [space.step(*entry) for entry in entries]
        kinds[goes(steps[0], shift)].append(steps[0])
        for one, other in pairwise(steps if not n % 20 else ()):
            differ = one.before ^ other.before
            yield one, other, lambda reads, d=differ: not d & decisive(reads.bits, shift)  # type: ignore[misc]
    for steps in kinds.values():
        for one, other in islice(pairwise(steps), 0, None, 4):
            differ = told(one, shift) ^ told(other, shift)
            yield one, other, lambda reads, d=differ: not d & reads.bits  # type: ignore[misc]


def test_every_reader_is_in_the_tables() -> None:
    for table, kind in ((OF_A_VIEW, View), (OF_A_MOVE, Move)):
        public = {name for name in dir(kind) if not name.startswith("_")}
        assert table.keys() == public - {"model", "before", "after"}, kind


def test_what_is_not_noted_as_read_makes_no_difference_to_what_is_read() -> None:
    space = explore(CHART)
    compared: dict[str, int] = defaultdict(int)
    for one, other, agree in alike(space):
        for name, read in readers().items():
            reads = Reads()
            here, there = read(Move(space.model, one, reads)), read(Move(space.model, other))
            for value in here:  # each may be the last that a property reads
                if not agree(reads):
                    break
                assert value == next(there), name
                compared[name] += 1
    assert set(readers()) - compared.keys() <= {"before.state", "after.state", "step"}


def lamps() -> Chart:
    """Three lamps and their switches, and a bell that may ring while the first is on."""

    names = ("a", "b", "c")
    return Chart(
        name="lamps",
        initial="room",
        phases="room",
        triggers=(*names, "rung", "failed"),
        external=names,
        facts={name: Stored("it shines") for name in names},
        effects={
            "ring": Ask(
                doc="", lane="bell", success="rung", failure="failed", limit="", dispose="no"
            )
        },
        transitions=(
            *(
                Transition(
                    name=f"{name}.on",
                    group="lamps",
                    trigger=name,
                    sources="room",
                    unless=name,
                    sets=name,
                    effects="ring" if name == "a" else (),
                )
                for name in names
            ),
            *(
                Transition(
                    name=f"{name}.off",
                    group="lamps",
                    trigger=name,
                    sources="room",
                    when=name,
                    clears=name,
                )
                for name in names
            ),
            Transition(
                name="bell", group="bell", trigger=("rung", "failed"), sources="room", when="b"
            ),
        ),
    )


@pytest.mark.parametrize("first", ["a", "b", "c"])
@pytest.mark.parametrize("second", ["a", "b", "c"])
def test_a_verdict_is_that_of_judging_every_step(first: str, second: str) -> None:
    """The property reads the second lamp only where the first one shines."""

    def holds(move: Move) -> bool:
        return not move.before.has(first) or move.after.has(second)

    properties: list[Property] = [
        EachStep("E", "", holds),
        EachStep("E on", "", holds, second),
        EachEffect("F", "", "ring", lambda moment, move: not moment.has(second) or holds(move)),
    ]
    space = explore(lamps())
    for wanted in properties:
        expected = next(counterexamples(space, wanted), Verdict(wanted, True))
        assert decide(space, wanted) == expected
