"""The machine against an oracle: the same rows in a stock `transitions.Machine`, compared in every
case that guards can tell apart.

What is enumerated for each (phase, trigger): every combination of the facts that its rows read, and
every way in which the registers can be equal or empty. A fact that no row of the pair reads need
not vary by itself: a guard is a conjunction of the facts it names, so the others cannot change
which row fires. They must only come through unchanged, unless the row sets or clears them; so each
case runs twice, with all of them false and with all of them true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import attrs
import pytest
from transitions import Machine

from support_chat import CHART, InvalidInputError, Phase
from support_chat.chart.machine import UNHANDLED, Compiled, Input, State
from support_chat.chart.model import Carried, Chart, Derived, Present, Same, Stored, Transition
from support_chat_adapters.diagrams.exported import to_json

COMPILED = Compiled(CHART)
STORED = frozenset(fact for fact, kind in CHART.facts.items() if isinstance(kind, Stored))
WITH_THE_TRIGGER = frozenset(
    fact for fact, kind in CHART.facts.items() if isinstance(kind, Carried | Derived)
)
REGISTERS = (*CHART.registers, str(CHART.named))


def who_is_who(count: int) -> Iterator[tuple[str | None, ...]]:
    """Every way in which `count` registers can be empty, equal or different: the names themselves
    do not matter.
    """

    def go_on(taken: tuple[str | None, ...], names: int) -> Iterator[tuple[str | None, ...]]:
        if len(taken) == count:
            yield taken
            return
        for value in (None, *(f"user_{i}" for i in range(names + 1))):
            yield from go_on((*taken, value), names + (value == f"user_{names}"))

    return go_on((), 0)


@attrs.define(eq=False, slots=False)  # `transitions` adds its methods to the model
class Somebody:
    """The stock machine's model: a phase, the facts that hold, and the row that fired last."""

    facts: set[str] = attrs.field(factory=set[str])
    fired: str | None = None
    state: str = ""


class Oracle:
    """The exported rows of a chart as `transitions` alone would run them: one callable a fact, in
    `conditions` and `unless`. What is late is no business of theirs but for their guards.
    """

    def __init__(self, chart: Chart) -> None:
        self.model = Somebody()
        self.machine = Machine(
            model=self.model,
            # a StrEnum's member would be taken by its name, not its value
            states=[str(phase) for phase in chart.phases],
            initial=str(chart.initial),
            auto_transitions=False,
            ignore_invalid_triggers=True,
        )
        reads = {str(fact): self._reader(fact) for fact in chart.facts}
        for row in json.loads(to_json(chart))["transitions"]:
            for trigger in row["trigger"]:
                self.machine.add_transition(
                    trigger,
                    row["sources"],
                    row["target"],
                    conditions=[reads[fact] for fact in row.get("when", ())],
                    unless=[reads[fact] for fact in row.get("unless", ())],
                    before=self._recorder(row["name"]),
                )

    def _reader(self, fact: str) -> Callable[[], bool]:
        return lambda: fact in self.model.facts

    def _recorder(self, row: str) -> Callable[[], None]:
        def record() -> None:
            self.model.fired = row

        return record

    def fire(self, phase: str, trigger: str, facts: set[str]) -> tuple[str, str]:
        """The phase afterwards and the name of the row that fired."""
        self.machine.set_state(str(phase), self.model)
        self.model.facts, self.model.fired = facts, None
        if str(trigger) in self.machine.events:
            # `transitions` gives the model this method
            self.model.trigger(str(trigger))  # type: ignore[attr-defined]
        return self.model.state, self.model.fired or UNHANDLED.name


@attrs.frozen
class Case:
    """One thing that can happen to one state, in the chart's words."""

    phase: str
    trigger: str
    facts: frozenset[str]
    values: tuple[str | None, ...]

    @property
    def state(self) -> State:
        return State(str(self.phase), COMPILED.mask(self.facts & STORED), self.values[:-1])

    @property
    def happening(self) -> Input:
        return Input(
            str(self.trigger), COMPILED.mask(self.facts & WITH_THE_TRIGGER), self.values[-1]
        )

    @property
    def true(self) -> set[str]:
        """Every fact that holds, those of the registers included, worked out from their
        declaration.
        """
        value = dict(zip(REGISTERS, self.values, strict=True))
        true = set(self.facts)
        for fact, kind in CHART.facts.items():
            same = isinstance(kind, Same) and value[kind.left] == value[kind.right]
            present = isinstance(kind, Present) and value[kind.register] is not None
            if same or present:
                true.add(fact)
        return true


def cases(phase: str, trigger: str) -> Iterator[Case]:
    rows = CHART.rows(phase, trigger)
    read = {fact for row in rows for fact in (*row.when, *row.unless)}
    free = sorted(read & (STORED | WITH_THE_TRIGGER))
    derived = read - STORED - WITH_THE_TRIGGER
    assigned = any(row.assigns for row in rows)
    people = (
        tuple(who_is_who(len(REGISTERS))) if derived or assigned else (("user_0", None, "user_1"),)
    )
    for rest in (frozenset[str](), STORED - read):
        for chosen in product((False, True), repeat=len(free)):
            facts = rest | {fact for fact, holds in zip(free, chosen, strict=True) if holds}
            for values in people:
                yield Case(phase, trigger, facts, values)


def test_every_case_fires_the_row_of_a_stock_machine_and_changes_what_it_declares() -> None:
    oracle = Oracle(CHART)
    by_name = {row.name: row for row in CHART.transitions}
    compared, fired = 0, set[str]()
    for phase, trigger in product(CHART.phases, CHART.triggers):
        for case in cases(phase, trigger):
            after, row = COMPILED.fire(case.state, case.happening)
            assert (after.phase, row.name) == oracle.fire(phase, trigger, case.true), case
            if row is UNHANDLED:
                assert after == case.state, case
                assert row.effects == ()
            else:
                declared = by_name[row.name]
                facts = (set(case.facts & STORED) - set(declared.clears)) | set(declared.sets)
                value = dict(zip(REGISTERS, case.values, strict=True))
                registers = tuple(
                    (value[source] if (source := declared.assigns[name]) is not None else None)
                    if name in declared.assigns
                    else value[name]
                    for name in CHART.registers
                )
                assert after == State(
                    str(declared.target or phase), COMPILED.mask(facts), registers
                ), case
                assert row.effects == declared.effects
            compared += 1
            fired.add(row.name)
    assert fired >= set(by_name), f"never fired: {sorted(set(by_name) - fired)}"
    assert compared > 10_000  # else the enumeration above has gone wrong and proves nothing


def test_registers_are_equal_or_empty_in_fifteen_ways() -> None:
    ways = list(who_is_who(3))
    # the partitions of three registers and "nobody": Bell(4)
    assert len(ways) == len(set(ways)) == 15


def test_a_step_is_pure_the_same_input_gives_the_same_output_and_the_state_is_not_touched() -> None:
    # and it does not depend on which compiled copy is asked, or on what was asked before
    again = Compiled(CHART)
    for phase, trigger in product(CHART.phases, CHART.triggers):
        for case in list(cases(phase, trigger))[::7]:
            state, happening = case.state, case.happening
            first = COMPILED.step(state, happening)
            assert (
                first == COMPILED.step(state, happening) == again.step(case.state, case.happening)
            )
            assert (state, happening) == (case.state, case.happening)


def test_states_and_inputs_cannot_be_written_to() -> None:
    with pytest.raises(AttributeError):
        COMPILED.initial.phase = "live"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Input("boot").facts = 1  # type: ignore[misc]


def test_a_step_is_total_every_trigger_in_every_phase_leads_to_a_phase_of_the_chart() -> None:
    for phase, trigger in product(CHART.phases, CHART.triggers):
        after, effects = COMPILED.step(State(str(phase), 0, (None, None)), Input(str(trigger)))
        assert after.phase in CHART.phases
        assert set(effects) <= set(CHART.effects)


def test_what_no_row_wants_leaves_the_very_same_state() -> None:
    ignored = [
        (phase, trigger)
        for entry in CHART.ignored
        for phase in entry.phases
        for trigger in entry.triggers
    ]
    assert ignored
    for phase, trigger in ignored:
        state = State(str(phase), COMPILED.mask(STORED), ("user_0", None))
        assert COMPILED.fire(state, Input(str(trigger))) == (state, UNHANDLED)


def test_all_registers_are_read_before_any_is_written() -> None:
    swap = Transition(
        name="swap", group="g", trigger="swap", sources="here", assigns={"one": "two", "two": "one"}
    )
    chart = Chart(
        name="swap",
        initial="here",
        phases="here",
        triggers="swap",
        external="swap",
        registers=("one", "two"),
        transitions=[swap],
    )
    after, _ = Compiled(chart).step(State("here", 0, ("a", "b")), Input("swap"))
    assert after.registers == ("b", "a")


def test_the_order_of_the_rows_means_nothing() -> None:
    backwards = Compiled(attrs.evolve(CHART, transitions=CHART.transitions[::-1]))
    for phase, trigger in product(CHART.phases, CHART.triggers):
        for case in list(cases(phase, trigger))[::5]:
            assert backwards.fire(case.state, case.happening) == COMPILED.fire(
                case.state, case.happening
            ), case


def test_an_unknown_trigger_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(InvalidInputError, match="has no trigger 'no such'; it has load, "):
        COMPILED.step(COMPILED.initial, Input("no such"))


@pytest.mark.parametrize(
    ("happening", "said"),
    [("boot", r"takes an Input, not str: Input\('boot'\)"), (None, "takes an Input, not NoneType")],
)
def test_what_is_no_input_is_told(happening: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        COMPILED.step(COMPILED.initial, happening)


def test_a_phase_of_a_state_is_plain_text_whatever_comes_in() -> None:
    member = COMPILED.initial._replace(phase=Phase(COMPILED.initial.phase))
    for state in (COMPILED.initial, member):
        for trigger in CHART.triggers:
            assert type(COMPILED.step(state, Input(trigger))[0].phase) is str
    assert type(COMPILED.initial.phase) is str


def test_masks_and_names_are_each_other_s_inverse() -> None:
    facts = tuple(CHART.facts)
    assert COMPILED.names(COMPILED.mask(facts)) == facts
    for fact in facts:
        assert COMPILED.names(COMPILED.mask([fact, fact])) == (fact,)
    assert COMPILED.mask(()) == 0
