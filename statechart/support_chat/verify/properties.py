"""What can be asked of a chart: the kinds of properties, and how each is decided on an explored space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import attrs

from ..chart.model import Chart
from .explore import Space, Step, explore
from .liveness import can_reach, lasting
from .views import Move, View


@attrs.frozen
class Always:
    """Holds in every reachable state."""

    id: str
    sentence: str
    holds: Callable[[View], bool]


@attrs.frozen
class EachStep:
    """Holds of every step; with `on`, of every step of one of these triggers."""

    id: str
    sentence: str
    holds: Callable[[Move], bool]
    on: tuple[str, ...] = ()


@attrs.frozen
class EachEffect:
    """Holds whenever one of `effects` is asked: of the ledger at that moment, and of the step it belongs to."""

    id: str
    sentence: str
    effects: tuple[str, ...]
    holds: Callable[[View, Move], bool]


@attrs.frozen
class Structure:
    """Holds of the chart itself; `faults` names what is wrong, one sentence each. `space` is what was explored."""

    id: str
    sentence: str
    faults: Callable[[Chart, Space], Sequence[str]]


@attrs.frozen
class Eventually:
    """What `waits` describes does not last: without another call it ends, whatever the outcomes, if timers are fair.

    Every adapter effect has a limit, so whatever is outstanding ends. A timer that keeps running fires at last.
    """

    id: str
    sentence: str
    waits: Callable[[View], bool]


@attrs.frozen
class CanReach:
    """From every state in which `begin` holds, one in which `end` holds can be reached (by calls too, if `calls`)."""

    id: str
    sentence: str
    begin: Callable[[View], bool]
    end: Callable[[View], bool]
    calls: bool = False


Property: TypeAlias = "Always | EachStep | EachEffect | Structure | Eventually | CanReach"
"""One thing that is to hold, with a stable id and a sentence for people."""


@attrs.frozen
class Verdict:
    """What became of a property: `held` is None when a limit cut the exploration short before a failure was found.

    `story` is a shortest way to the failure, `detail` says in words what is wrong where there is no way to show.
    """

    property: Property
    held: bool | None
    story: tuple[Step, ...] = ()
    detail: str = ""


@attrs.frozen
class Report:
    """A space and the verdicts on it."""

    space: Space
    verdicts: tuple[Verdict, ...]

    @property
    def held(self) -> bool | None:
        """True if everything held, False if something failed, None if a limit left something open."""
        if any(v.held is False for v in self.verdicts):
            return False
        return None if any(v.held is None for v in self.verdicts) else True


def check(
    chart: Chart,
    properties: Iterable[Property],
    *,
    users: int = 2,
    max_states: int | None = None,
    time_limit: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Explores `chart` and decides each property; options as `explore`. A property that raises fails, with the error as detail."""
    space = explore(chart, users=users, max_states=max_states, time_limit=time_limit, progress=progress)
    return Report(space, tuple(decide(space, p) for p in properties))


def decide(space: Space, wanted: Property) -> Verdict:
    """The verdict on one property."""
    try:
        found = _DECIDERS[type(wanted)](space, wanted)
    except Exception as error:  # a user's property may do anything; the report must name it all the same
        return Verdict(wanted, False, detail=f"the property raised {type(error).__name__}: {error}")
    return found if found is not None else Verdict(wanted, True if space.complete else None)


def _always(space: Space, wanted: Always) -> Verdict | None:
    for state in space.first:
        if not wanted.holds(View(space.model, state)):
            return Verdict(wanted, False, tuple(space.way_to(state)))
    return None


def _each_step(space: Space, wanted: EachStep) -> Verdict | None:
    for step in space.steps:
        if wanted.on and step.happening.trigger not in wanted.on:
            continue
        if not wanted.holds(Move(space.model, step)):
            return Verdict(wanted, False, (*space.way_to(step.before), step))
    return None


def _each_effect(space: Space, wanted: EachEffect) -> Verdict | None:
    effects = set(wanted.effects)
    concerned = {row.name for row in space.model.chart.transitions if not effects.isdisjoint(row.effects)}
    for step in space.steps:
        if any(row.name in concerned for row in step.rows):
            move = Move(space.model, step)
            for _, moment in move.moments(effects):
                if not wanted.holds(moment, move):
                    return Verdict(wanted, False, (*space.way_to(step.before), step))
    return None


def _structure(space: Space, wanted: Structure) -> Verdict | None:
    faults = wanted.faults(space.model.chart, space)
    return Verdict(wanted, False, detail="; ".join(faults)) if faults else None


def _eventually(space: Space, wanted: Eventually) -> Verdict | None:
    stuck = lasting(space, {s for s in space.first if wanted.waits(View(space.model, s))})
    return None if stuck is None else Verdict(wanted, False, tuple(space.way_to(stuck)), "from here on it can last for ever")


def _can_reach(space: Space, wanted: CanReach) -> Verdict | None:
    if not space.complete:
        return None  # what was not explored might be the way
    begins = {s for s in space.first if wanted.begin(View(space.model, s))}
    ends = {s for s in space.first if wanted.end(View(space.model, s))}
    stuck = can_reach(space, begins, ends, wanted.calls)
    return None if stuck is None else Verdict(wanted, False, tuple(space.way_to(stuck)), "from here on there is no way")


_DECIDERS: dict[type, Callable[[Space, object], Verdict | None]] = {
    Always: _always,  # type: ignore[dict-item]  # each decider takes its own kind, which its key says
    EachStep: _each_step,  # type: ignore[dict-item]
    EachEffect: _each_effect,  # type: ignore[dict-item]
    Structure: _structure,  # type: ignore[dict-item]
    Eventually: _eventually,  # type: ignore[dict-item]
    CanReach: _can_reach,  # type: ignore[dict-item]
}
