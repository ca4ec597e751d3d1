"""Properties of any chart, made from what the chart itself declares: what is checked of yours
before you have written any.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..chart.model import Arm, Chart, Join, Note
from .explore import Space
from .model import superseded_only_dispose
from .properties import EachStep, Eventually, Property, Structure
from .views import Move, View


def generic(chart: Chart) -> tuple[Property, ...]:
    """The properties that follow from the declarations of `chart`; use them beside your own, or
    until you have some.
    """
    slots = dict.fromkeys(spec.slot for spec in chart.effects.values() if isinstance(spec, Join))
    return (
        Structure(
            "G1",
            "A superseded outcome changes nothing: its rows do no more than note and dispose.",
            _late_ones_change_nothing,
        ),
        Structure("G2", "Every row can fire, and every phase can be reached.", no_dead_row),
        Structure("G3", "A timer means one thing.", one_expiry_each),
        EachStep(
            "G4",
            "Every outcome, event and expiry is answered by a row, or ignored on purpose.",
            _answered,
        ),
        *(
            Eventually(
                f"G5 {slot}", f"Every call that waits for {slot} settles.", partial(_waits, slot)
            )
            for slot in slots
        ),
    )


def one_expiry_each(chart: Chart, space: Space) -> Sequence[str]:
    """The timers that may expire as different triggers, one sentence each."""
    expiries: dict[str, set[str]] = {}
    for spec in chart.effects.values():
        if isinstance(spec, Arm):
            expiries.setdefault(spec.timer, set()).add(spec.expiry)
    return [
        f"the timer {timer} has several expiries"
        for timer, triggers in expiries.items()
        if len(triggers) > 1
    ]


def no_dead_row(chart: Chart, space: Space) -> Sequence[str]:
    """The rows that never fire and the phases that are never reached, one sentence each; none while
    the space is not complete.
    """
    if not space.complete:
        return []
    fired = {row.name for way in set(space.ways) for row in way.rows}
    reached = {space.model.phase_of(state) for state in space.states}
    return [
        *(
            f"{row.name} never fires"
            for row in chart.transitions
            if row.name not in fired and chart.late not in row.when
        ),
        *(f"the phase {phase} is never reached" for phase in chart.phases if phase not in reached),
    ]


def _late_ones_change_nothing(chart: Chart, space: Space) -> Sequence[str]:
    harmless = [
        effect
        for effect, spec in chart.effects.items()
        if isinstance(spec, Note) and spec.opens is None
    ]
    return [
        f"{row} would act on a superseded outcome"
        for row in superseded_only_dispose(chart, harmless)
    ]


def _answered(move: Move) -> bool:
    if move.step.rows or not move.step.happening.of:
        return True
    phase, trigger = move.before.phase, move.trigger
    return any(
        trigger in entry.triggers and phase in entry.phases for entry in move.model.chart.ignored
    )


def _waits(slot: str, view: View) -> bool:
    return view.waiting(slot)
