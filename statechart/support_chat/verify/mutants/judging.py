"""Judges mutants, cheapest first: by validation, by the chart itself, by the steps that the edit
has a say in, by the whole space, by what goes on for ever, by who runs it, by a judge of yours.

The chart is explored and judged once. What an edit has no say in is neither composed nor judged
again for its mutant, so that most take milliseconds. Nothing is lost by that: a property that fails
by the steps looked at first fails of the whole, since they begin in states that the mutant reaches
as the chart does; and only a mutant that all of the space lets pass survives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

import attrs

from ...chart.model import Chart
from ...errors import ChartError
from ..deciding import StepJudge, decide_all, holds_in, judge_runs, seen_by
from ..explore import Space, explore, explore_model
from ..layout import State
from ..model import Model
from ..properties import Always, EachEffect, EachStep, OfRuns, Property, Structure
from ..views import View
from ..ways import Way
from .edits import Edit
from .mutant import Mutant

MORE_STATES: Final = 3
"""How many times as many states as the chart has a mutant may have, before it is left open."""

OwnJudge: TypeAlias = "Callable[[Chart], str | None]"
"""Says what is wrong with a chart, or None: a test suite of yours."""
Differs: TypeAlias = "Callable[[Chart], str | None]"
"""Says what of a chart is different for whoever runs it, or None."""


class Fate(StrEnum):
    """What became of a mutant."""

    INVALID = "invalid"
    """The chart's own validation refuses it."""
    KILLED = "killed"
    """A property fails."""
    CAUGHT = "caught"
    """A judge of yours says what is wrong."""
    EQUIVALENT = "equivalent"
    """Nothing that anybody could notice is different."""
    OPEN = "open"
    """It has too many states to say."""
    SURVIVES = "survives"
    """Something is different, and nobody has noticed."""


@attrs.frozen
class Ruling:
    """What became of a mutant, `by` whom (a property's id), and `why` in words."""

    fate: Fate
    by: str = ""
    why: str = ""


class Judge:
    """Judges mutants of one chart by properties, and at last by `own`; `differs` says what is
    different of one that all let pass, or None.

    Raises ChartError if the chart itself does not hold the properties.
    """

    def __init__(
        self,
        chart: Chart,
        properties: Sequence[Property],
        own: OwnJudge | None = None,
        differs: Differs | None = None,
    ) -> None:
        self.chart, self._properties = chart, tuple(properties)
        self._own, self._differs = own, differs
        self.space = space = explore(chart)
        for verdict in decide_all(space, self._properties):
            if not verdict.held:
                raise ChartError(
                    f"The chart fails {verdict.property.id} as it is: mend it first (`support-chat "
                    "check` tells how), then try its mutants."
                )
        self._of_chart = [p for p in self._properties if isinstance(p, Structure)]
        self._of_states = [p for p in self._properties if isinstance(p, Always)]
        self._of_steps = {
            i: p for i, p in enumerate(self._properties) if isinstance(p, EachStep | EachEffect)
        }
        self._of_space = [
            (p, [_holding(space.model, space.states, seen) for seen in seen_by(p)])
            for p in self._properties
            if isinstance(p, OfRuns)
        ]
        self._states = set(space.states)
        self._held = StepJudge(self._of_steps)
        for number, edge in space.entries():
            way, after = space.ways[edge], space.states[space.afters[edge]]
            any(self._held.faults(space.model, space.states[number], way, after))

    def judge(self, edit: Edit) -> Ruling:
        """What becomes of the chart with this edit."""
        try:
            chart = edit.make(self.chart)
            same = chart.effects is self.chart.effects
            mutant = Mutant(self.space, Model(chart, former=self.space.model)) if same else None
            return next(self._judged(chart, mutant))
        except ChartError as refused:
            return Ruling(Fate.INVALID, why=(refused.faults or (refused.message,))[0])

    def _judged(self, chart: Chart, mutant: Mutant | None) -> Iterator[Ruling]:
        model = Model(chart) if mutant is None else mutant.model
        judge = StepJudge(self._of_steps, self._held)
        yield from self._by_chart(Space(model, [], [], [], [], [], 0, 0.0, complete=False))
        space = self.space
        if mutant is not None:
            for state, way, after in mutant.steps():
                yield from self._by_step(model, judge, state, way, after)
            if not mutant.is_different:
                yield Ruling(
                    Fate.EQUIVALENT, why="it goes as the chart in every state that is reached"
                )
        if mutant is None or mutant.leads_elsewhere:
            space = explore_model(model, MORE_STATES * len(self.space.states))
            yield from self._by_space(space, judge, mutant)
        elif mutant.is_different:  # it reaches what the chart reaches, and says something else
            for state in space.states:
                for way, after in mutant.other(state):
                    yield from self._by_step(model, judge, state, way, after)
        if not space.complete:
            yield Ruling(Fate.OPEN, why=f"it has more than {len(space.states) - 1:,} states")
        different = None if mutant is None else mutant.where
        if self._differs is not None and (different := self._differs(chart)) is None:
            yield Ruling(Fate.EQUIVALENT, why="whoever runs it is told the same")
        if self._own is not None and (wrong := self._own(chart)) is not None:
            yield Ruling(Fate.CAUGHT, why=wrong)
        yield Ruling(Fate.SURVIVES, why=different or "")

    def _by_chart(self, space: Space) -> Iterator[Ruling]:
        for each in self._of_chart:
            if faults := each.faults(space.model.chart, space):
                yield Ruling(Fate.KILLED, each.id, faults[0])

    def _by_step(
        self, model: Model, judge: StepJudge, state: State, way: Way, after: State
    ) -> Iterator[Ruling]:
        for i, _, fault in judge.faults(model, state, way, after):
            yield Ruling(Fate.KILLED, self._properties[i].id, fault)
        if after not in self._states:
            yield from self._by_state(model, after)

    def _by_state(self, model: Model, state: State) -> Iterator[Ruling]:
        for each in self._of_states:
            if (fault := holds_in(model, state, each)) is not None:
                yield Ruling(Fate.KILLED, each.id, fault)

    def _by_space(self, space: Space, judge: StepJudge, mutant: Mutant | None) -> Iterator[Ruling]:
        """The rest: what only the edit leads to, what all of the space shows, and what lasts."""
        model = space.model
        for number, state in enumerate(space.states):
            if mutant is not None and state in self._states:
                for way, after in mutant.other(state):
                    yield from self._by_step(model, judge, state, way, after)
            else:
                yield from self._by_state(model, state)
                for edge in space.edges(number):
                    way, after = space.ways[edge], space.states[space.afters[edge]]
                    yield from self._by_step(model, judge, state, way, after)
        if not space.complete:
            return
        yield from self._by_chart(space)
        new = [state for state in space.states if state not in self._states]
        for each, known in self._of_space:
            holding = [
                held | _holding(model, new, seen)
                for held, seen in zip(known, seen_by(each), strict=True)
            ]
            numbers = [{n for n, s in enumerate(space.states) if s in held} for held in holding]
            if judge_runs(space, each, numbers) is not None:
                yield Ruling(Fate.KILLED, each.id)


def _holding(model: Model, states: Iterable[State], seen: Callable[[View], bool]) -> set[State]:
    return {state for state in states if seen(View(model, state))}
