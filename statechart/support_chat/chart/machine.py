"""Runs a chart: `transitions.Machine` holds the compiled rows, `step` asks it for the next state.
The one user of `transitions`.

The rows are compiled once: facts become bits, a guard becomes two masks, so that a step costs a
dictionary look-up, one comparison a row and one new state. That is done at the library's own
extension points: `event_cls` decides which row fires, `transition_cls` makes the next state. There
is no model (a state is a value, passed in and returned), no callback and no queue; `transitions`
keeps the phases, the events and the rows, and refuses what it does not know.

`step` is pure and total: no clock, no randomness, no input or output; what no row wants changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

import attrs
from transitions import Event, Machine, Transition as StockTransition

from ..errors import InvalidInputError
from .model import Chart, Present, Same, Transition

Value: TypeAlias = "str | None"
"""What a register holds: the id of somebody, or None for nobody."""

_new: Final = cast(
    "Callable[[type[State], tuple[str, int, tuple[Value, ...]]], State]", vars(tuple)["__new__"]
)
"""Makes a State without the constructor of a named tuple, which is written in Python and takes as
long as a guard.
"""

UNHANDLED: Final = Transition(name="(unhandled)", group="", trigger=(), sources=())
"""What fires when no row does: it stays and has no effects."""


class State(NamedTuple):
    """Where a lifecycle stands: its phase, its stored facts as bits, its registers in the chart's
    order.

    A tuple, since every step makes one, and whoever explores a chart compares and hashes millions.
    """

    phase: str
    facts: int = 0
    registers: tuple[Value, ...] = ()


@attrs.frozen(slots=False)  # made in half the time
class Input:
    """One thing that happens: the trigger, the facts that come with it as bits, and whom it
    names.
    """

    trigger: str
    facts: int = 0
    named: Value = None


Derivation: TypeAlias = "tuple[int, int, int | None]"
"""A fact's bit, the place of a register, and of the one that it is compared with (None: is it
present?); whom the input names comes after the registers.
"""


_Plan: TypeAlias = "tuple[int, int, int, int, str, tuple[int | None, ...] | None, Transition]"
"""A row's mask, wanted bits, kept and set bits, target and assignments, as plain data."""


class _Row(StockTransition):
    """A row at `transition_cls`: the stock one keeps source and dest, this one adds the plan."""

    def __init__(self, source: str, dest: str, *_: Any, plan: _Plan, **__: Any) -> None:
        super().__init__(source, dest)
        self.plan = plan


class _Event(Event):
    """An event at `event_cls`: picks the row whose guard holds. What it needs per phase is laid out
    beforehand, as plain tuples.
    """

    def __init__(self, name: str, machine: Machine) -> None:
        super().__init__(name, machine)
        self.late = 0
        self.plans: dict[str, tuple[tuple[Derivation, ...], tuple[_Plan, ...]]] = {}
        self.late_plans: dict[str, tuple[_Plan, ...]] = {}

    def plan(self, phase: str, derivations: Iterable[Derivation], late: int) -> None:
        """Lays out the rows of this event in `phase`; `late` is the bit of what comes too late."""
        rows = [row for row in self.transitions.get(phase, ()) if isinstance(row, _Row)]
        current = tuple(row.plan for row in rows if not row.plan[1] & late)
        # The derived facts are few and dear: only those that some row here reads are computed.
        read = 0
        for plan in current:
            read |= plan[0]
        self.late = late
        self.plans[phase] = tuple(d for d in derivations if d[0] & read), current
        self.late_plans[phase] = tuple(row.plan for row in rows if row.plan[1] & late)

    def trigger(  # type: ignore[override]  # what a stock event calls a model is a value here
        self, model: State, *args: Any, **_: Any
    ) -> tuple[State, Transition]:
        """Fires the row whose guard holds in state `model` with the input `args[0]`; returns the
        next state and the row.
        """
        return self.fire(model, args[0])

    def fire(self, state: State, happening: Input) -> tuple[State, Transition]:
        """As `trigger`, without the stock signature: packing its arguments takes as long as a
        guard.
        """
        phase, stored, registers = state
        bits = stored | happening.facts
        if bits & self.late:
            rows = self.late_plans[phase]
        else:
            derivations, rows = self.plans[phase]
            if derivations:
                values = (*registers, happening.named)
                for bit, index, other in derivations:
                    # without another register, the question is whether this one names somebody
                    if (
                        (values[index] is not None)
                        if other is None
                        else (values[index] == values[other])
                    ):
                        bits |= bit
        for mask, wanted, keep, sets, target, assigns, row in rows:
            if bits & mask == wanted:
                after = stored & keep | sets
                if assigns is not None:
                    values = (*registers, happening.named)
                    registers = tuple([None if i is None else values[i] for i in assigns])
                elif after == stored and target == phase:
                    return (
                        state,
                        row,
                    )  # nothing has changed: no new value, whoever compares is quick
                return _new(State, (target, after, registers)), row
        return state, UNHANDLED


class Compiled:
    """A chart made ready to run: the bit of each fact, the first state, and the machine that steps
    it.

    Make one per chart and keep it (compiling takes milliseconds); any number of lifecycles share
    it, since a state is a value.
    """

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.bits: dict[str, int] = {fact: 1 << i for i, fact in enumerate(chart.facts)}
        self.late = 0 if chart.late is None else self.bits[chart.late]
        self.initial = State(str(chart.initial), 0, (None,) * len(chart.registers))
        places: dict[str | None, int] = {
            register: i for i, register in enumerate((*chart.registers, chart.named))
        }
        machine = _LeanMachine(
            model=None,
            states=[str(p) for p in chart.phases],
            initial=str(chart.initial),
            auto_transitions=False,
            send_event=False,
        )
        for row in chart.transitions:
            mask, wanted = self.mask((*row.when, *row.unless)), self.mask(row.when)
            keep, sets = ~self.mask(row.clears), self.mask(row.sets)
            assigns = tuple(_source(row, register, places) for register in chart.registers)
            for trigger in row.trigger:
                for source in row.sources:
                    # plain strings: `transitions` takes the name of an enum's member for the name
                    # of the phase
                    target = str(row.target or source)
                    plan = mask, wanted, keep, sets, target, assigns if row.assigns else None, row
                    machine.add_transition(str(trigger), str(source), target, plan=plan)
        self.derived: tuple[Derivation, ...] = tuple(
            (self.bits[fact], places[kind.left], places[kind.right])
            if isinstance(kind, Same)
            else (self.bits[fact], places[kind.register], None)
            for fact, kind in chart.facts.items()
            if isinstance(kind, Same | Present)
        )
        """How each fact of registers is derived."""
        self._fire: dict[str, Callable[[State, Input], tuple[State, Transition]]] = {}
        for trigger in chart.triggers:
            known = machine.events.get(trigger)
            event = known if isinstance(known, _Event) else _Event(trigger, machine)
            for phase in chart.phases:
                event.plan(phase, self.derived, self.late)
            self._fire[trigger] = event.fire

    def mask(self, facts: Iterable[str]) -> int:
        """The bits of these facts, to put into an `Input` or to read a `State`."""
        return sum(self.bits[fact] for fact in set(facts))

    def names(self, bits: int) -> tuple[str, ...]:
        """The facts whose bits are set, in the chart's order: for reports and logs."""
        return tuple(fact for fact, bit in self.bits.items() if bits & bit)

    def derive(self, registers: Sequence[object], nobody: object = None) -> int:
        """The facts of registers as bits; `registers` end with whom the input names."""
        return sum(
            bit
            for bit, one, other in self.derived
            if (registers[one] != nobody if other is None else registers[one] == registers[other])
        )

    def fire(self, state: State, happening: Input) -> tuple[State, Transition]:
        """The next state and the row that led there (`UNHANDLED` if none did). Raises KeyError for
        an unknown trigger.
        """
        return self._fire[happening.trigger](state, happening)

    def step(self, state: State, happening: Input) -> tuple[State, tuple[str, ...]]:
        """The next state and the effects to carry out, in order.

        Raises InvalidInputError for what is no `Input`, or a trigger that the chart has not.
        """
        if not isinstance(happening, Input):
            raise InvalidInputError(
                f"step() takes an Input, not {type(happening).__name__}: Input({happening!r}) has "
                "room for the facts and the name that come with it."
                if isinstance(happening, str)
                else f"step() takes an Input, not {type(happening).__name__}."
            )
        if happening.trigger not in self._fire:
            raise InvalidInputError(
                f"The chart {self.chart.name!r} has no trigger {str(happening.trigger)!r}; it has "
                f"{', '.join(self._fire)}."
            )
        after, row = self.fire(state, happening)
        if type(after.phase) is not str:  # whoever writes a state may put an enum's member into it
            after = after._replace(phase=str(after.phase))
        return after, row.effects


def _source(row: Transition, register: str, places: dict[str | None, int]) -> int | None:
    if register not in row.assigns:
        return places[register]
    source = row.assigns[register]
    return None if source is None else places[source]


class _LeanMachine(Machine):
    event_cls = _Event
    transition_cls = _Row
