"""How much of a chart some runs exercised: which of its transitions fired, and which values the
facts of their guards were seen with.

`Watch` sees every step of every session of this process while it lasts, from the outside: it stands
in for `Compiled.fire` and `Compiled.step`, so that a step costs nothing more when nobody watches.
What it saw is plain data, which processes can send each other; `coverage` says what it amounts to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from ..chart.machine import UNHANDLED, Compiled
from ..chart.model import Chart

Sighting: TypeAlias = "tuple[str, str, int, str]"
"""A step: the phase, the trigger, the facts that were true as bits (of those that its rows look
at), the row that fired.
"""


@attrs.frozen(order=True)
class GuardValue:
    """A fact of a row's guard with one of its two values; seen when a trigger of the row came in
    one of its sources.
    """

    row: str
    fact: str
    value: bool


@attrs.frozen
class Coverage:
    """The transitions and guard values that a chart has, and those of them that were exercised."""

    transitions: tuple[str, ...]
    fired: frozenset[str]
    values: tuple[GuardValue, ...]
    seen: frozenset[GuardValue]

    @property
    def unfired(self) -> tuple[str, ...]:
        """The transitions that never fired, in the chart's order."""
        return tuple(row for row in self.transitions if row not in self.fired)

    @property
    def untried(self) -> tuple[str, ...]:
        """Those of them that have a guard and none of whose triggers ever came in one of their
        sources.
        """
        tried = {value.row for value in self.seen}
        guarded = {value.row for value in self.values}
        return tuple(row for row in self.unfired if row in guarded and row not in tried)

    @property
    def unseen(self) -> tuple[GuardValue, ...]:
        """The guard values that were never seen, in the chart's order."""
        return tuple(value for value in self.values if value not in self.seen)

    @property
    def percent(self) -> float:
        """How much was exercised, transitions and guard values taken together: 0 to 100."""
        return (
            100.0 * (len(self.fired) + len(self.seen)) / (len(self.transitions) + len(self.values))
        )


def coverage(chart: Chart, sightings: Iterable[Sighting]) -> Coverage:
    """What these sightings exercised of `chart`; sightings of rows that it does not have count for
    nothing.
    """
    bits = {fact: 1 << i for i, fact in enumerate(chart.facts)}
    values = tuple(
        GuardValue(row.name, str(fact), value)
        for row in chart.transitions
        for fact in (*row.when, *row.unless)
        for value in (True, False)
    )
    fired: set[str] = set()
    seen: set[GuardValue] = set()
    for phase, trigger, true, fires in set(sightings):
        for row in chart.rows(phase, trigger):
            if row.name == fires:
                fired.add(row.name)
            seen.update(
                GuardValue(row.name, str(fact), bool(true & bits[fact]))
                for fact in (*row.when, *row.unless)
            )
    return Coverage(
        tuple(row.name for row in chart.transitions), frozenset(fired), values, frozenset(seen)
    )


class Watch:
    """Sees every step by one chart, of whatever session, between `begin` and `end`. Watches may be
    nested.
    """

    def __init__(self, chart: Chart) -> None:
        self.sightings: set[Sighting] = set()
        """What was seen, each once."""
        self._chart = chart
        self._compiled = Compiled(chart)
        self._methods = {"fire": Compiled.fire, "step": Compiled.step}

    def begin(self) -> None:
        """Watches from now on."""
        fire = Compiled.fire
        self._methods = {"fire": fire, "step": Compiled.step}

        def watched_fire(compiled: Compiled, state: Any, happening: Any) -> Any:
            after, row = fire(compiled, state, happening)
            if compiled.chart is self._chart:
                self._saw(state, happening, row.name)
            return after, row

        def watched_step(compiled: Compiled, state: Any, happening: Any) -> Any:
            after, row = watched_fire(compiled, state, happening)
            return after, row.effects

        _stand_in({"fire": watched_fire, "step": watched_step})

    def end(self) -> None:
        """Watches no longer."""
        _stand_in(self._methods)

    def _saw(self, state: Any, happening: Any, row: str) -> None:
        rows = self._chart.rows(state.phase, happening.trigger)
        read = self._compiled.mask(fact for one in rows for fact in (*one.when, *one.unless))
        if row == UNHANDLED.name and not read:
            return
        derived = self._compiled.derive((*state.registers, happening.named))
        true = state.facts | happening.facts | derived
        self.sightings.add((str(state.phase), str(happening.trigger), true & read, row))


def _stand_in(methods: Mapping[str, Callable[..., Any]]) -> None:
    for name, method in methods.items():
        setattr(Compiled, name, method)
