"""What is asked of a chart within one step of its model: the trigger that has happened, and each
internal one that follows, with the facts that hold when it is asked.

A model composes whole steps before anything is explored, and keeps no state in between. Here one
step is taken apart again: rows and effects one after the other, with every choice that the context
has, until it ends where the step has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import attrs

from ..chart.model import Chart, Derived, Raise, Transition
from .layout import Impact
from .model import Model, Step


@attrs.frozen
class Asked:
    """A trigger as the chart is asked about it: in which `phase`, with which `facts` as bits, and
    the row that it fires, if any; `changes` says what that sets, clears and assigns that was not
    so before.
    """

    trigger: str
    phase: str
    facts: int
    row: Transition | None
    changes: tuple[str, ...] = ()


@attrs.frozen
class _Run:
    """A step half gone: where it stands, what was asked, and which triggers are to come."""

    phase: str
    registers: tuple[int, ...]
    bits: int
    asked: tuple[Asked, ...]
    todo: tuple[tuple[str, bool], ...]


class Unfolding:
    """Takes steps of one model apart."""

    def __init__(self, model: Model) -> None:
        self._model, self._chart = model, model.chart
        self._low = (1 << model.shift) - 1

    def of(self, step: Step) -> tuple[Asked, ...]:
        """What is asked within this step, in order."""
        model, happening = self._model, step.happening
        begun = _Run(
            str(model.phase_of(step.before)),
            model.registers_of(step.before),
            step.before & self._low & ~happening.spends,
            (),
            ((happening.trigger, True),),
        )
        ends = model.registers_of(step.raw), step.raw & self._low
        for run in self._runs(begun, step):
            rows = tuple(asked.row for asked in run.asked if asked.row is not None)
            if rows == step.rows and (run.registers, run.bits) == ends:
                return run.asked
        raise AssertionError(f"{happening.trigger} does not go as the model says")

    def _runs(self, run: _Run, step: Step) -> Iterator[_Run]:
        if not run.todo:
            yield run
            return
        (trigger, carries), *rest = run.todo
        happening = step.happening
        carried, named = (happening.carried, happening.named) if carries else (0, 0)
        facts = self._model.derived(run.registers, named) | carried
        facts |= run.bits & sum(self._model.fact.values())
        row = self._row(run.phase, trigger, facts)
        changes = () if row is None else tuple(self._changes(run, row, facts, named))
        asked = (*run.asked, Asked(trigger, run.phase, facts, row, changes))
        waiting = attrs.evolve(run, asked=asked, todo=tuple(rest))
        fired = [one.row for one in asked if one.row is not None]
        if fired != list(step.rows[: len(fired)]):
            return
        for after in [waiting] if row is None else self._applied(waiting, row, named):
            yield from self._runs(after, step)

    def _row(self, phase: str, trigger: str, facts: int) -> Transition | None:
        bits, late = self._model.fact, self._chart.late
        for row in self._chart.rows(phase, trigger):
            if (
                late not in row.when
                and all(facts & bits[fact] for fact in row.when)
                and not any(facts & bits[fact] for fact in row.unless)
            ):
                return row
        return None

    def _applied(self, run: _Run, row: Transition, named: int) -> Iterator[_Run]:
        """What a row makes of a run, for each choice that the context has."""
        bits, registers = self._model.fact, self._assigned(run, row, named)
        nobodys = self._nobodys(dict(zip(self._chart.registers, registers, strict=True)))
        cleared = sum(bits[fact] for fact in set(row.clears))
        begun = run.bits & ~cleared | sum(bits[fact] for fact in set(row.sets))
        raised = tuple(
            (spec.trigger, spec.carries)
            for effect in row.effects
            if isinstance(spec := self._chart.effects[effect], Raise)
        )
        impacts = [self._model.impacts[effect] for effect in row.effects]
        for after in dict.fromkeys(_chosen(begun, impacts, nobodys)):
            yield attrs.evolve(
                run,
                phase=str(row.target or run.phase),
                registers=registers,
                bits=after,
                todo=(*run.todo, *raised),
            )

    def _assigned(self, run: _Run, row: Transition, named: int) -> tuple[int, ...]:
        chart = self._chart
        held: dict[str | None, int] = dict(zip(chart.registers, run.registers, strict=True))
        held[chart.named], held[None] = named, 0
        return tuple(held[row.assigns.get(register, register)] for register in chart.registers)

    def _changes(self, run: _Run, row: Transition, facts: int, named: int) -> Iterator[str]:
        bits, registers = self._model.fact, self._assigned(run, row, named)
        yield from (f"sets {fact}" for fact in row.sets if not facts & bits[fact])
        yield from (f"clears {fact}" for fact in row.clears if facts & bits[fact])
        both = zip(self._chart.registers, run.registers, registers, strict=True)
        yield from (f"assigns {register}" for register, old, new in both if old != new)

    def _nobodys(self, held: dict[str, int]) -> int:
        """The facts that cannot come to hold, since nobody is there whom they are of."""
        return sum(
            self._model.fact[fact]
            for fact, kind in self._chart.facts.items()
            if isinstance(kind, Derived) and held.get(kind.of or "") == 0
        )


def _chosen(bits: int, impacts: Sequence[Impact], nobodys: int) -> Iterator[int]:
    """What these effects may make of the bits, one after the other."""
    if not impacts:
        yield bits
        return
    does, *rest = impacts
    begun = bits & ~(does.off | does.free) | does.on
    either = (does.free | does.up & ~begun) & ~nobodys | does.down & begun
    for choice in product((0, 1), repeat=either.bit_count()):
        after = begun
        for bit, yes in zip(_each(either), choice, strict=True):
            after = after | bit if yes else after & ~bit
        yield from _chosen(after, rest, nobodys)


def _each(mask: int) -> list[int]:
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]


def guards(chart: Chart, asked: Asked) -> tuple[Transition, ...]:
    """The rows that are asked, but for those of what is late."""
    rows = chart.rows(asked.phase, asked.trigger)
    return tuple(row for row in rows if chart.late not in row.when)
