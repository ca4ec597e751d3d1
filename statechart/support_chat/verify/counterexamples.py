"""What lies behind a verdict: further ways to fail, since a session may not go the shortest one,
and whether what held was ever asked of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .explore import Space
from .properties import Always, CanReach, EachEffect, EachStep, Eventually, Property, Verdict
from .views import Move, View


def counterexamples(space: Space, wanted: Property) -> Iterator[Verdict]:
    """Every failure of a property of states, steps or effects, the nearest first; none for a
    property of another kind.
    """
    if isinstance(wanted, Always):
        for number, state in enumerate(space.states):
            if not _holds(wanted.holds, View(space.model, state)):
                yield Verdict(wanted, False, tuple(space.way_to(number)))
    elif isinstance(wanted, EachStep | EachEffect):
        for number in range(len(space.starts)):
            for edge in space.edges(number):
                move = Move(space.model, space.step(number, edge))
                if not _holds_of(wanted, move):
                    yield Verdict(wanted, False, (*space.way_to(number), move.step))


def never_asked(space: Space, wanted: Property) -> bool:
    """Whether there is no state or step that the property says anything of, so that it holds
    whatever the chart does.
    """
    views = (View(space.model, state) for state in space.states)
    match wanted:
        case EachStep(on=on):
            return not any(not on or way.happening.trigger in on for way in space.ways)
        case EachEffect(effects=effects):
            fired = {
                effect for way in set(space.ways) for row in way.rows for effect in row.effects
            }
            return fired.isdisjoint(effects)
        case Eventually(waits=waits):
            return not any(map(waits, views))
        case CanReach(begin=begin):
            return not any(map(begin, views))
        case _:
            return False


def _holds_of(wanted: EachStep | EachEffect, move: Move) -> bool:
    if isinstance(wanted, EachStep):
        return (bool(wanted.on) and move.trigger not in wanted.on) or _holds(wanted.holds, move)
    return all(_holds(wanted.holds, moment, move) for _, moment in move.moments(wanted.effects))


def _holds(holds: Callable[..., bool], *seen: Any) -> bool:
    try:
        return holds(*seen)
    except Exception:  # a property that raises fails, as in `decide`
        return False
