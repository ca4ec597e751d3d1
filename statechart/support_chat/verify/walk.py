"""A walk through a chart and its ledger, step by step: where it stands, what can happen now, and
what rules out the rest.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import attrs

from ..chart.model import Chart
from ..errors import InvalidInputError
from .model import Model, State, Step
from .possible import Judge, RuledOut
from .story import NOBODY, Names, Occurrence, occurrence
from .views import View


@attrs.frozen(kw_only=True)
class Standing:
    """Where a walk stands: the phase, who is in which register, the facts that hold, and what is
    under way.
    """

    phase: str
    registers: Mapping[str, str | None]
    facts: tuple[str, ...]
    ledger: tuple[str, ...]


@attrs.frozen(kw_only=True)
class WhyNot:
    """What a trigger comes to where a walk stands: `because` in general, `rows` row by row; and
    why the chart ignores it there, if it says so.
    """

    because: str
    rows: tuple[RuledOut, ...]
    ignored: str


@attrs.frozen
class _At:
    """A place on the way: a state, the names of its users, and how it is told."""

    state: State
    names: Names
    standing: Standing


class Walk:
    """A walk through `chart`, from its initial state on. Nothing is explored beforehand, so that a
    chart may be of any size.

    Raises ChartError for internal triggers that never come to rest.
    """

    def __init__(self, chart: Chart) -> None:
        self.model = Model(chart)
        view = View(self.model, self.model.initial)
        nobody = dict.fromkeys(map(str, chart.registers))
        standing = Standing(phase=str(view.phase), registers=nobody, facts=(), ledger=())
        self._been = [_At(self.model.initial, NOBODY, standing)]
        self._taken: list[Occurrence] = []

    @property
    def here(self) -> Standing:
        """Where it stands."""
        return self._been[-1].standing

    @property
    def taken(self) -> tuple[Occurrence, ...]:
        """The steps that have led here."""
        return tuple(self._taken)

    def facts(self) -> tuple[str, ...]:
        """Every fact that holds here before anything comes along: those of registers, too."""
        model, state = self.model, self._been[-1].state
        return model.names(model.facts_of(state))

    def choices(self) -> tuple[Occurrence, ...]:
        """What can happen now, in the chart's order; what would change nothing, and no row wants,
        is left out.
        """
        return tuple(told for told, _ in self._ways())

    def take(self, number: int) -> Occurrence:
        """Makes one of the choices happen. Raises InvalidInputError for a number that none has;
        they count from 1.
        """
        ways = self._ways()
        if not 1 <= number <= len(ways):
            raise InvalidInputError(
                f"There is no choice {number}; they go from 1 to {len(ways)}."
                if ways
                else "Nothing can happen here any more."
            )
        told, at = ways[number - 1]
        self._been.append(at)
        self._taken.append(told)
        return told

    def back(self) -> None:
        """Takes the last step back. Raises InvalidInputError where there is none."""
        if not self._taken:
            raise InvalidInputError("This is where it begins: there is no step to take back.")
        self._been.pop()
        self._taken.pop()

    def at_random(self, rng: random.Random) -> Occurrence | None:
        """Makes any of the choices happen; None if nothing can happen any more."""
        choices = len(self._ways())
        return self.take(rng.randint(1, choices)) if choices else None

    def why_not(self, trigger: str) -> WhyNot:
        """What of each row for this trigger does not hold here, or where the row leads.

        Raises InvalidInputError for a trigger that the chart has not.
        """
        chart = self.model.chart
        if trigger not in chart.triggers:
            raise InvalidInputError(
                f"The chart {chart.name!r} has no trigger {trigger!r}; it has "
                f"{', '.join(chart.triggers)}."
            )
        (found,) = Judge(self.model, self._been[-1].state).why_not(trigger)
        ignored = (
            entry.because
            for entry in chart.ignored
            if trigger in entry.triggers and self.here.phase in entry.phases
        )
        return WhyNot(because=found.because, rows=found.rows, ignored=next(ignored, ""))

    def _ways(self) -> list[tuple[Occurrence, _At]]:
        at = self._been[-1]
        return [self._told(step, at.names) for step in steps_of(self.model, at.state)]

    def _told(self, step: Step, names: Names) -> tuple[Occurrence, _At]:
        told, after = occurrence(self.model, step, names)
        standing = Standing(
            phase=told.phase, registers=told.registers, facts=told.facts, ledger=told.ledger
        )
        return told, _At(step.after, after, standing)


def steps_of(model: Model, state: State) -> tuple[Step, ...]:
    """The steps out of a state, each once; without those that no row wants and that change
    nothing.
    """
    return tuple(
        dict.fromkeys(
            step
            for happening in model.happenings(state)
            for step in model.take(state, happening)
            if step.rows or step.after != state
        )
    )
