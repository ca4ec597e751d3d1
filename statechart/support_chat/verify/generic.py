"""Properties of any chart, made from what the chart itself declares: what is checked of yours
before you have written any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from operator import methodcaller

from ..chart.composites import left_open
from ..chart.model import (
    Abandon,
    Arm,
    Ask,
    Chart,
    Disarm,
    Dispose,
    Done,
    Fail,
    Join,
    Note,
    Refuse,
    SettleDetached,
    Transition,
)
from .explore import Space
from .properties import EachStep, Eventually, Property, Structure
from .views import Move


def generic(chart: Chart) -> tuple[Property, ...]:
    """The properties that follow from the declarations of `chart`; use them beside your own, or
    until you have some.
    """
    parts = Structure(
        "G7", "A row that begins or ends a composite has its entry or exit.", parts_whole
    )
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
            "Every call and every outcome is answered by a row, or ignored on purpose.",
            partial(_answered, _awaited(chart)),
        ),
        *(
            Eventually(
                f"G5 {slot}",
                f"Every call that waits for {slot} settles.",
                methodcaller("waiting", slot),
            )
            for slot in slots
        ),
        Structure("G6", "What a row starts it does not stop again.", stops_what_it_starts),
        *([parts] if any(part.entry or part.exit for part in chart.composites) else []),
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
    fired = {row.name for way in space.distinct for row in way.rows}
    reached = {space.model.phase_of(state) for state in space.states}
    return [
        *(
            f"{row.name} never fires"
            for row in chart.transitions
            if row.name not in fired and chart.late not in row.when
        ),
        *(f"the phase {phase} is never reached" for phase in chart.phases if phase not in reached),
    ]


def parts_whole(chart: Chart, space: Space) -> Sequence[str]:
    """What rows leave out of the entries and exits of composites, one sentence each."""
    return [left for row in chart.transitions for left in left_open(row, chart.composites)]


def stops_what_it_starts(chart: Chart, space: Space) -> Sequence[str]:
    """The rows that stop a timer, or give up a request, that they have started themselves."""
    found: list[str] = []
    for row in chart.transitions:
        started: dict[str, str] = {}
        for effect in row.effects:
            match chart.effects[effect]:
                case Arm(timer=timer):
                    started[timer] = effect
                case Ask(lane=lane):
                    started[lane] = effect
                case Disarm(timers=stopped) | Abandon(lanes=stopped):
                    gone = [started.pop(name) for name in stopped if name in started]
                    found += [
                        f"{row.name} asks for {one}, and stops it by {effect}" for one in gone
                    ]
                case _:
                    pass
    return found


def _late_ones_change_nothing(chart: Chart, space: Space) -> Sequence[str]:
    harmless = [
        effect
        for effect, spec in chart.effects.items()
        if isinstance(spec, Dispose | SettleDetached)
        or (isinstance(spec, Note) and spec.opens is None)
    ]
    return late_ones_do_more(chart, harmless)


def late_ones_do_more(chart: Chart, harmless: Sequence[str]) -> Sequence[str]:
    """The late rows that do more than ask for `harmless` effects, one sentence each: if there are
    none, late outcomes need no exploring.
    """
    return [
        f"{row.name} would act on a superseded outcome"
        for row in chart.transitions
        if chart.late in row.when
        and (
            row.target
            or row.sets
            or row.clears
            or row.assigns
            or not set(harmless).issuperset(row.effects)
        )
    ]


def _answered(awaited: frozenset[str], move: Move) -> bool:
    return bool(move.rows) or move.trigger not in awaited


def _awaited(chart: Chart) -> frozenset[str]:
    """The triggers by which somebody waits for an answer: calls that a row makes wait or refuses,
    and the outcomes of effects, but for those that share a lane.
    """
    outcomes = [
        spec.outcomes
        for spec in chart.effects.values()
        if isinstance(spec, Ask) and not spec.several
    ]
    calls = [row.trigger for row in chart.transitions if _answers_a_call(chart, row)]
    return frozenset(chain(*outcomes, *calls))


def _answers_a_call(chart: Chart, row: Transition) -> bool:
    specs = [chart.effects[effect] for effect in row.effects]
    refuses = row.error is not None and not any(isinstance(spec, Fail) for spec in specs)
    return refuses or any(isinstance(spec, Join | Done | Refuse) for spec in specs)


def unanswered(space: Space) -> Mapping[str, tuple[str, ...]]:
    """The triggers that no row wants in some state of a phase, with these phases: they change
    nothing there, which may be meant or forgotten.
    """
    ignored = {
        (trigger, phase)
        for entry in space.model.chart.ignored
        for trigger in entry.triggers
        for phase in entry.phases
    }
    found: dict[str, dict[str, None]] = {}
    for number, edge in space.entries():
        phase, way = space.model.phase_of(space.states[number]), space.ways[edge]
        trigger = way.happening.trigger
        if not way.rows and (trigger, phase) not in ignored:
            found.setdefault(str(trigger), {})[str(phase)] = None
    return {trigger: tuple(phases) for trigger, phases in found.items()}
