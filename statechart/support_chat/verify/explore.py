"""Explores every reachable state of a model, breadth first, so that the way to each state is a shortest one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import attrs

from ..chart.model import Chart, Transition
from .model import Happening, Model, State


@attrs.frozen(slots=True)
class Step:
    """One edge: what happened in `before`, the rows that fired (none if nothing wanted it), and the state it led to."""

    before: State
    happening: Happening
    rows: tuple[Transition, ...]
    after: State
    raw: State
    """`after` before its users were renamed."""


@attrs.define
class Space:
    """What was explored: every state with the step that first reached it, and every step. `complete` unless a limit was hit."""

    model: Model
    first: dict[State, Step | None]
    steps: list[Step]
    depth: int
    seconds: float
    complete: bool

    def way_to(self, state: State) -> list[Step]:
        """A shortest way from the initial state to this one."""
        way: list[Step] = []
        while (step := self.first[state]) is not None:
            way.append(step)
            state = step.before
        return way[::-1]


def explore(
    chart: Chart,
    *,
    users: int = 2,
    max_states: int | None = None,
    time_limit: float | None = None,
    backwards: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Space:
    """Every reachable state of `chart` and its ledger, with `users` different users.

    `max_states` and `time_limit` (seconds) stop it early, `backwards` tries what can happen in the opposite order (the result is
    the same: a test shows it), `progress` is told the states found and the steps taken now and then.
    """
    model = Model(chart, users)
    begun = time.perf_counter()
    first: dict[State, Step | None] = {model.initial: None}
    steps: list[Step] = []
    frontier, depth, complete = deque([model.initial]), 0, True
    while frontier and complete:
        depth += 1
        for _ in range(len(frontier)):
            state = frontier.popleft()
            for step in _steps(model, state, backwards):
                steps.append(step)
                if step.after not in first:
                    first[step.after] = step
                    frontier.append(step.after)
            if max_states is not None and len(first) >= max_states and frontier:
                complete = False
                break
            if time_limit is not None and time.perf_counter() - begun > time_limit:
                complete = False
                break
        if progress is not None:
            progress(len(first), len(steps))
    return Space(model, first, steps, depth - 1, time.perf_counter() - begun, complete)


def _steps(model: Model, state: State, backwards: bool) -> Iterator[Step]:
    happenings = model.happenings(state)
    for happening in reversed(list(happenings)) if backwards else happenings:
        for taken in model.take(state, happening):
            yield Step(state, happening, taken.rows, taken.after, taken.raw)
