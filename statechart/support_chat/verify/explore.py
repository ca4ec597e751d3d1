"""Explores every reachable state of a model, breadth first, so that the way to each state is a
shortest one.

A space of many states must stay small: states are numbered as they are found, and a step is two
numbers, the `Way` it went and the state it led to. `Space.step` puts together on demand what a
person wants to know of one.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, cached_property, partial

import attrs

from ..chart.model import Chart
from .layout import State
from .model import Model, Step
from .ways import Decision, Way

PROGRESS_EVERY = 1000
"""After how many states `progress` is told again."""


@attrs.define
class Space:
    """What was explored, every state and every step. `complete` unless a limit was hit.

    `states` are in the order in which they were found. The steps out of state `n` are the entries
    `edges(n)` of `ways` (how each went) and `afters` (the number of the state it led to); `born[n]`
    is the entry by which it was found. `depth` is how many steps the farthest state is away from
    the initial one, `seconds` how long it took.
    """

    model: Model
    states: list[State]
    ways: list[Way]
    afters: list[int]
    starts: list[int]
    born: list[int]
    depth: int
    seconds: float
    complete: bool

    @property
    def steps(self) -> list[Step]:
        """Every step, made anew each time: keep them if you go through them twice."""
        return [self.step(number, edge) for number, edge in self.entries()]

    @cached_property
    def distinct(self) -> tuple[Way, ...]:
        """The ways, each once, in the order in which they were found."""
        return tuple(dict.fromkeys(self.ways))

    def entries(self) -> Iterator[tuple[int, int]]:
        """Every step as numbers: of the state that it goes out of, and of its entry."""
        for number in range(len(self.starts)):
            for edge in self.edges(number):
                yield number, edge

    def edges(self, number: int) -> range:
        """The entries of the steps out of this state: empty if a limit was hit before it was its
        turn.
        """
        starts = self.starts
        if number >= len(starts):
            return range(0)
        return range(
            starts[number], starts[number + 1] if number + 1 < len(starts) else len(self.ways)
        )

    def owner(self, edge: int) -> int:
        """The number of the state that this entry is a step out of."""
        # of states that start at the same entry, all but the last have no steps
        return bisect_right(self.starts, edge) - 1

    def step(self, number: int, edge: int) -> Step:
        """The step out of this state that is this entry."""
        way, after = self.ways[edge], self.states[self.afters[edge]]
        return Step(self.states[number], way.happening, way.rows, after, self.model.raw(after, way))

    def way_to(self, number: int) -> list[Step]:
        """A shortest way from the initial state to this one."""
        way: list[Step] = []
        while number:
            edge = self.born[number]
            number = self.owner(edge)
            way.append(self.step(number, edge))
        return way[::-1]


def explore(
    chart: Chart,
    *,
    users: int | None = None,
    apart: bool = False,
    max_states: int | None = None,
    time_limit: float | None = None,
    backwards: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Space:
    """Every reachable state of `chart` and its ledger.

    `users` says how many different users there are (None: as many as the chart can tell apart);
    with `apart` they keep their numbers. More than `max_states` states, or `time_limit` seconds,
    stop it early. `backwards` tries what can happen in the opposite order (the result is the same:
    a test shows it). `progress` is told the states found and the steps taken now and then. Raises
    ChartError for internal triggers that never rest.
    """
    begun = time.perf_counter()
    model = Model(chart, users, apart=apart)
    until = None if time_limit is None else begun + time_limit
    space = explore_model(model, max_states, until, backwards, progress)
    space.seconds = time.perf_counter() - begun
    return space


def explore_model(
    model: Model,
    max_states: int | None = None,
    until: float | None = None,
    backwards: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Space:
    """Every reachable state of a model; as `explore`, but for a limit `until` some moment of
    `time.perf_counter`.
    """
    begun = time.perf_counter()
    shift, plan = model.shift, cache(partial(_plan, model, backwards))
    states, numbers, born = [model.initial], {model.initial: 0}, [-1]
    ways: list[Way] = []
    afters: list[int] = []
    starts: list[int] = []
    depth, level_ends, complete = 0, 1, True
    for state in states:  # grows while it is read: breadth first
        if len(starts) == level_ends:
            depth, level_ends = depth + 1, len(states)
        if progress is not None and not len(starts) % PROGRESS_EVERY:
            progress(len(states), len(ways))
        complete = (max_states is None or len(states) <= max_states) and (
            until is None or time.perf_counter() <= until
        )
        if not complete:
            break
        starts.append(len(ways))
        for bit, decisions in plan(state >> shift):
            if bit and not state & bit:
                continue
            for decision in decisions:
                for mask, wanted, keep, sets, way in decision:
                    if state & mask == wanted:
                        if way is not None:
                            after = state & keep | sets
                            number = numbers.get(after)
                            if number is None:
                                number = numbers[after] = len(states)
                                states.append(after)
                                born.append(len(ways))
                            ways.append(way)
                            afters.append(number)
                        break
    return Space(
        model, states, ways, afters, starts, born, depth, time.perf_counter() - begun, complete
    )


def _plan(model: Model, backwards: bool, high: int) -> list[tuple[int, list[Decision]]]:
    plan = model.plan(high)
    return [(bit, decisions[::-1]) for bit, decisions in reversed(plan)] if backwards else plan
