"""Paths of a chart and its ledger on which every row fires and changes all that it can, and every
fact of every guard is seen to hold and not to hold: test cases for whoever runs the chart in
another language.

Each case is a shortest path from the initial state to a step that shows something new; the farthest
are chosen first, since they show much on their way, and what the others show as well is left out.
What is late changes nothing, so it is inserted where something of its kind is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

import attrs

from ..chart.model import Ask, Chart, Stored, Transition
from .explore import Space, explore
from .model import Model, State, Step
from .story import Occurrence, occurred
from .unfolding import Asked, Unfolding, guards
from .ways import Way

Side: TypeAlias = "tuple[str, str, bool]"
"""A row, a fact of its guard, and whether it holds; of a row that fires, its name, "" or what it
changes, and True.
"""


@attrs.frozen(kw_only=True)
class Asking:
    """A trigger that the chart is asked about: the `facts` that hold, of those that a row here
    reads, and the row that fires, if one does.
    """

    trigger: str
    facts: tuple[str, ...]
    row: str | None


@attrs.frozen(kw_only=True)
class CaseStep:
    """A step of a case: what happens, as `Occurrence` says it, what is asked of the chart on the
    way, and which stored `facts` hold afterwards.
    """

    occurrence: Occurrence
    late: bool
    asks: tuple[Asking, ...]
    facts: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Cases:
    """The cases of a chart, each from its initial state, and the sides of guards that are `unseen`,
    since no path shows them: precautions.
    """

    chart: Chart
    cases: tuple[tuple[CaseStep, ...], ...]
    unseen: tuple[Side, ...]


def cases(chart: Chart) -> Cases:
    """The cases of this chart. Raises ChartError for internal triggers that never rest."""
    found = _Finding(explore(chart))
    late, paths = _Late(found), list[list[CaseStep]]()
    for steps in chain(found.cover(), late.ways()):
        paths.append(list(found.told(steps)))
        late.insert(paths[-1], steps)
    wanted = {*_sides(chart), *late.wanted}
    unseen = wanted - found.first.keys() - late.seen
    return Cases(chart=chart, cases=tuple(map(tuple, paths)), unseen=tuple(sorted(unseen)))


def _sides(chart: Chart) -> Iterator[Side]:
    for row in chart.transitions:
        if chart.late not in row.when:
            yield row.name, "", True
            for fact in (*row.when, *row.unless):
                yield from ((row.name, str(fact), holds) for holds in (False, True))


class _Finding:
    """The steps of a space, and what each shows."""

    def __init__(self, space: Space) -> None:
        self.space, self.model = space, space.model
        self.chart = space.model.chart
        self._unfolding = Unfolding(self.model)
        self._known: dict[object, frozenset[Side]] = {}
        self.first: dict[Side, tuple[int, int]] = {}
        """Of all that is ever shown, the first step that shows it."""
        facts, looked_at = sum(self.model.fact.values()), set[tuple[Way, int]]()
        for number, edge in space.entries():
            # of the ledger nothing is asked, so many steps of a way show the same
            alike = space.ways[edge], space.states[number] & facts
            if alike not in looked_at:
                looked_at.add(alike)
                for side in self.shown(space.step(number, edge)):
                    self.first.setdefault(side, (number, edge))

    def shown(self, step: Step) -> frozenset[Side]:
        """The sides of guards that a step shows, and the rows that it fires."""
        model, happening = self.model, step.happening
        before = step.before >> model.shift, model.facts_of(step.before, happening.named)
        came = happening.trigger, happening.carried, happening.named
        key = (before, came, tuple(row.name for row in step.rows), model.facts_of(step.raw))
        if key not in self._known:
            self._known[key] = frozenset(_shown(self.chart, self._unfolding.of(step), model))
        return self._known[key]

    def cover(self) -> list[list[Step]]:
        """Paths that show everything, the farthest first."""
        seen, paths = set[Side](), list[list[Step]]()
        for side, (number, edge) in sorted(
            self.first.items(), key=lambda one: (-one[1][1], one[0])
        ):
            if side not in seen:
                path = [*self.space.way_to(number), self.space.step(number, edge)]
                seen |= {shown for step in path for shown in self.shown(step)}
                paths.append(path)
        return _needed(paths, [{s for step in path for s in self.shown(step)} for path in paths])

    def told(self, steps: Sequence[Step]) -> Iterator[CaseStep]:
        """The steps of a case."""
        for step, occurrence in zip(steps, occurred(self.model, steps), strict=True):
            asks = tuple(self._asking(asked) for asked in self._unfolding.of(step))
            yield CaseStep(
                occurrence=occurrence,
                late=False,
                asks=asks,
                facts=_stored(self.chart, occurrence.facts),
            )

    def _asking(self, asked: Asked) -> Asking:
        rows = guards(self.chart, asked)
        read = {fact for row in rows for fact in (*row.when, *row.unless)}
        return Asking(
            trigger=str(asked.trigger),
            facts=tuple(str(f) for f in self.model.names(asked.facts) if f in read),
            row=None if asked.row is None else asked.row.name,
        )


def _shown(chart: Chart, asks: Iterable[Asked], model: Model) -> Iterator[Side]:
    for asked in asks:
        if asked.row is not None:
            yield asked.row.name, "", True
            yield from ((asked.row.name, change, True) for change in asked.changes)
        for row in guards(chart, asked):
            for fact in (*row.when, *row.unless):
                yield row.name, str(fact), bool(asked.facts & model.fact[fact])


def _needed(paths: list[list[Step]], shows: list[set[Side]]) -> list[list[Step]]:
    """The paths without those of which the others show everything, the shortest first."""
    order = sorted(range(len(paths)), key=lambda n: (len(paths[n]), n))
    kept = set(order)
    for n in reversed(order):
        others = set[Side]().union(*(shows[other] for other in kept if other != n))
        if shows[n] <= others:
            kept.discard(n)
    return [paths[n] for n in order if n in kept]


def _stored(chart: Chart, facts: Iterable[str]) -> tuple[str, ...]:
    return tuple(fact for fact in facts if isinstance(chart.facts[fact], Stored))


class _Late:
    """Inserts what is late: of each row of an outcome or an event, that it is not asked then."""

    def __init__(self, found: _Finding) -> None:
        self._model, self._chart, self._space = found.model, found.chart, found.space
        self.seen = set[Side]()
        self._edges: Sequence[int] = ()
        self.wanted = {
            side
            for trigger in self._chart.superseding
            for phase in self._chart.phases
            for side in self._shown(phase, trigger)
        }

    def insert(self, path: list[CaseStep], steps: Sequence[Step]) -> None:
        """Inserts what is late wherever it may come and shows something new."""
        superseded, told = 0, list[CaseStep]()
        for case, step in zip(path, steps, strict=True):
            told.append(case)
            rows, spends = step.rows, step.happening.spends
            superseded |= self._superseded(step.before, spends, rows, step.after)
            for of, triggers in self._late_of(superseded):
                for trigger in triggers:
                    shown = self._shown(case.occurrence.phase, trigger)
                    if not shown <= self.seen:
                        self.seen |= shown
                        told.append(self._step(case, trigger, of))
        path[:] = told

    def ways(self) -> Iterator[list[Step]]:
        """Shortest ways to where something is late that was not seen so far."""
        self._edges = [self._superseding(*entry) for entry in self._space.entries()]
        for of, triggers in self._late_of(-1):
            bit = self._bit(of)
            for phase, way in self._ways_past(bit):
                shown = {side for trigger in triggers for side in self._shown(phase, trigger)}
                if not shown <= self.seen:
                    yield way

    def _ways_past(self, bit: int) -> Iterator[tuple[str, list[Step]]]:
        """For each phase a shortest way to it on which what has this bit is superseded."""
        space, model = self._space, self._model
        found = set[str]()
        born: dict[tuple[int, bool], tuple[tuple[int, bool], int]] = {}
        places = [(0, False)]
        for place in places:  # grows while it is read
            number, past = place
            phase = model.phase_of(space.states[number])
            if past and phase not in found:
                found.add(phase)
                way = list[Step]()
                at = place
                while at != (0, False):
                    at, edge = born[at]
                    way.append(space.step(at[0], edge))
                yield str(phase), way[::-1]
            for edge in space.edges(number):
                into = space.afters[edge], past or bool(self._edges[edge] & bit)
                if into not in born and into != (0, False):
                    born[into] = place, edge
                    places.append(into)

    def _superseding(self, number: int, edge: int) -> int:
        space = self._space
        way, after = space.ways[edge], space.states[space.afters[edge]]
        return self._superseded(space.states[number], way.happening.spends, way.rows, after)

    def _superseded(
        self, before: State, spends: int, rows: tuple[Transition, ...], after: State
    ) -> int:
        """The bits of the ledger of which such a step supersedes one."""
        begun, asked = before & ~spends, 0
        for row in rows:
            for effect in row.effects:
                asked |= self._model.asked.get(effect, 0)
        return (begun | asked) & ~after | begun & asked

    def _bit(self, of: str) -> int:
        model = self._model
        return model.asked.get(of, 0) | model.open.get(of, 0)

    def _late_of(self, superseded: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The effects and lanes whose bits are among these, with the triggers that may be late."""
        chart, model = self._chart, self._model
        for effect, bit in model.asked.items():
            spec = chart.effects[effect]
            if superseded & bit and isinstance(spec, Ask):
                yield effect, spec.outcomes
        for lane, bit in model.open.items():
            if superseded & bit:
                yield lane, tuple(t for t, of in chart.events.items() if of == lane)

    def _shown(self, phase: str, trigger: str) -> set[Side]:
        late, rows = self._chart.late, self._chart.rows(phase, trigger)
        return {
            (row.name, "", True) if late in row.when else (row.name, str(late), True)
            for row in rows
        }

    def _step(self, before: CaseStep, trigger: str, of: str) -> CaseStep:
        late = str(self._chart.late)
        rows = self._chart.rows(before.occurrence.phase, trigger)
        row = next((row for row in rows if late in row.when), None)
        occurrence = attrs.evolve(
            before.occurrence,
            trigger=str(trigger),
            user=None,
            carried=(),
            of=str(of),
            words=f"{trigger}, too late",
            by="world",
            rows=() if row is None else (row.name,),
            effects=() if row is None else tuple(map(str, row.effects)),
        )
        asks = (Asking(trigger=str(trigger), facts=(late,), row=None if row is None else row.name),)
        return CaseStep(occurrence=occurrence, late=True, asks=asks, facts=before.facts)
