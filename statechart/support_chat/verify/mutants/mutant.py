"""A mutant beside its chart: which of the chart's steps it takes otherwise, and whether any of them
leads elsewhere.

Only what an edited row has a say in is compared, in every state of the chart. If nothing there goes
otherwise, the mutant is the chart: it reaches the same states by the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from ..explore import Space
from ..layout import State
from ..model import Model, edited_rows
from ..ways import Decision, Way, taken


class Mutant:
    """A mutant that differs from its chart in rows alone, beside the space of the chart."""

    def __init__(self, space: Space, model: Model) -> None:
        self._space, self.model = space, model
        late, rows = model.chart.late, edited_rows(space.model.chart, model.chart)
        # what comes too late is not explored: it disposes, and changes nothing
        self.is_different = any(late in row.when for row in rows)
        """Whether something goes otherwise in some state of the chart, once `steps` are through."""
        self.where = ""
        """The first place where it goes otherwise, in words."""
        self.leads_elsewhere = False
        """Whether it then leads elsewhere, or asks for something else."""
        self._said: dict[Way, tuple[Any, Any]] = {}
        self._edited = cache(self._edited_at)

    def steps(self) -> Iterator[tuple[State, Way, State]]:
        """The steps that go otherwise than in the chart, out of states that are reached as before.

        When they are through, all states of the chart have been compared.
        """
        states, ways, model = self._space.states, self._space.ways, self.model
        as_before = [True]
        for number, state in enumerate(states):
            if number:
                edge = self._space.born[number]
                came = self._space.owner(edge)
                as_before.append(as_before[came] and not model.is_edited(states[came], ways[edge]))
            for way, after in self.other(state):
                if as_before[number]:
                    yield state, way, after

    def other(self, state: State) -> list[tuple[Way, State]]:
        """The steps out of this state that the chart has not."""
        found: list[tuple[Way, State]] = []
        for bit, before, now in self._edited(state >> self.model.shift):
            if not bit or state & bit:
                had = [(*self._says(way), after) for way, after in taken(before, state)]
                has = list(taken(now, state))
                says = [(*self._says(way), after) for way, after in has]
                if had != says:
                    self.is_different = True
                    self.where = self.where or self._place(state, now)
                    had_led, leads = ([(one[0], one[2]) for one in all] for all in (had, says))
                    self.leads_elsewhere = self.leads_elsewhere or had_led != leads
                    found += [step for step, said in zip(has, says, strict=True) if said not in had]
        return found

    def _place(self, state: State, decisions: list[Decision]) -> str:
        ways = (way for decision in decisions for *_, way in decision if way is not None)
        triggers = dict.fromkeys(way.happening.trigger for way in ways)
        return f"it goes otherwise in {self.model.phase_of(state)}, on {', '.join(triggers)}"

    def _edited_at(self, high: int) -> list[tuple[int, list[Decision], list[Decision]]]:
        return [each for each in self.model.edited(high) if not self._is_same(each[1], each[2])]

    def _is_same(self, before: list[Decision], now: list[Decision]) -> bool:
        """Whether both decide alike, whatever the state."""
        return before is now or self._meaning(before) == self._meaning(now)

    def _meaning(self, decisions: list[Decision]) -> list[list[Any]]:
        return [
            [(*bits, None if way is None else self._says(way)) for *bits, way in decision]
            for decision in decisions
        ]

    def _says(self, way: Way) -> tuple[Any, Any]:
        """What is said by a way: to what may last, and to everybody else."""
        said = self._said.get(way)
        if said is None:
            happening, rows = way.happening, way.rows
            effects = tuple(row.effects for row in rows)
            told = tuple((row.error, row.reason, row.target) for row in rows)
            said = self._said[way] = (
                (happening.of, happening.trigger, effects),
                (happening, way.high, told),
            )
        return said
