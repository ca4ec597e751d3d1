"""What is wrong with a chart, found when it is built: an unknown name is found here, not in the
field.

Every check is structural and local, so it is fast and needs no exploration: names that are not in
an alphabet, rows of one (phase, trigger) that do not exclude each other by their guards, rows that
can never fire, facts that are never read or never come true, triggers that nothing produces, pairs
that nobody thought of, phases that nothing leads to (property S22).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from ..errors import ChartError
from .model import Arm, Ask, Present, Raise, Same, Stored, Transition

if TYPE_CHECKING:
    from .model import Chart


def check(chart: Chart) -> None:
    """Raises one ChartError that names every fault of `chart`; returns when there is none."""
    faults = tuple(dict.fromkeys([*_unknown_names(chart), *_twice(chart)]))
    if not faults:  # the other checks would only repeat in other words what a misspelt name causes
        faults = tuple(
            dict.fromkeys(
                [*_overlaps(chart), *_dead_rows(chart), *_idle_facts(chart), *_loose_ends(chart)]
            )
        )
    if faults:
        listed = "\n".join(f"  - {fault}" for fault in faults)
        raise ChartError(
            f"The chart {chart.name!r} has {len(faults)} fault(s); mend these rows:\n{listed}",
            faults=faults,
        )


def exclude_each_other(one: Transition, other: Transition) -> bool:
    """Whether a fact that one row wants is unwanted by the other, so that never both can fire."""
    return not (set(one.when).isdisjoint(other.unless) and set(other.when).isdisjoint(one.unless))


def _unknown_names(chart: Chart) -> Iterator[str]:
    phases, triggers, facts, effects = (
        set(chart.phases),
        set(chart.triggers),
        set(chart.facts),
        set(chart.effects),
    )
    registers = {*chart.registers, *([chart.named] if chart.named else [])}
    if not chart.transitions:
        yield "there are no transitions"
    if chart.initial not in phases:
        yield f"the initial phase {chart.initial!r} is not a phase"
    for trigger in chart.external:
        if trigger not in triggers:
            yield f"the external trigger {trigger!r} is not a trigger"
    for row in chart.transitions:
        wanted = [
            ("phase", (*row.sources, *([row.target] if row.target else [])), phases),
            ("trigger", row.trigger, triggers),
            ("fact", (*row.when, *row.unless, *row.sets, *row.clears), facts),
            ("effect", row.effects, effects),
            (
                "register",
                (*row.assigns, *(r for r in row.assigns.values() if r is not None)),
                registers,
            ),
        ]
        for kind, names, known in wanted:
            for name in names:
                if name not in known:
                    yield f"{row.name}: unknown {kind} {name!r}"
        for register in row.assigns:
            if register == chart.named:
                yield f"{row.name}: assigns {register!r}, which only a trigger brings along"
        for fact in (*row.sets, *row.clears):
            if fact in facts and not isinstance(chart.facts[fact], Stored):
                yield f"{row.name}: sets or clears {fact!r}, which is not a stored fact"
        for fact in row.sets:
            if fact in row.clears:
                yield f"{row.name}: both sets and clears {fact!r}"
    for fact, origin in chart.facts.items():
        named: tuple[str, ...] = (origin.left, origin.right) if isinstance(origin, Same) else ()
        named = (origin.register,) if isinstance(origin, Present) else named
        for register in named:
            if register not in registers:
                yield f"fact {fact!r}: unknown register {register!r}"
    for effect, spec in chart.effects.items():
        made = (
            spec.outcomes
            if isinstance(spec, Ask)
            else (spec.expiry,)
            if isinstance(spec, Arm)
            else ()
        )
        for trigger in (*made, *((spec.trigger,) if isinstance(spec, Raise) else ())):
            if trigger not in triggers:
                yield f"effect {effect!r}: its outcome {trigger!r} is not a trigger"
    for whole, members in chart.composites.items():
        for phase in members:
            if phase not in phases:
                yield f"composite {whole!r}: unknown phase {phase!r}"
    for trigger in chart.events:
        if trigger not in triggers:
            yield f"events: unknown trigger {trigger!r}"
    if chart.late is not None and chart.late not in facts:
        yield f"the late fact {chart.late!r} is not a fact"
    for entry in chart.ignored:
        unknown = [t for t in entry.triggers if t not in triggers] + [
            p for p in entry.phases if p not in phases
        ]
        for name in unknown:
            yield f"ignored ({entry.because}): unknown name {name!r}"


def _twice(chart: Chart) -> Iterator[str]:
    seen: set[str] = set()
    for row in chart.transitions:
        if row.name in seen:
            yield f"two transitions are named {row.name!r}"
        seen.add(row.name)


def _overlaps(chart: Chart) -> Iterator[str]:
    for phase in chart.phases:
        for trigger in chart.triggers:
            for one, other in combinations(chart.rows(phase, trigger), 2):
                if not exclude_each_other(one, other):
                    yield (
                        f"{one.name} and {other.name} can both fire on {trigger} in {phase}: no "
                        "fact tells them apart"
                    )


def _dead_rows(chart: Chart) -> Iterator[str]:
    reached = _reachable(chart)
    for phase in chart.phases:
        if phase not in reached:
            yield f"no transitions lead to the phase {phase!r}"
    for row in chart.transitions:
        if both := set(row.when) & set(row.unless):
            yield (
                f"{row.name}: can never fire, it wants {', '.join(sorted(both))} to be both "
                "true and false"
            )
        if not row.sources or not row.trigger:
            yield f"{row.name}: can never fire, it has no source or no trigger"
        elif reached.isdisjoint(row.sources):
            yield f"{row.name}: can never fire, none of its sources is ever reached"


def _reachable(chart: Chart) -> set[str]:
    reached, fresh = {chart.initial}, True
    while fresh:
        fresh = False
        for row in chart.transitions:
            if row.target and row.target not in reached and not reached.isdisjoint(row.sources):
                reached.add(row.target)
                fresh = True
    return reached


def _idle_facts(chart: Chart) -> Iterator[str]:
    read = {fact for row in chart.transitions for fact in (*row.when, *row.unless)}
    written = {fact for row in chart.transitions for fact in row.sets}
    for fact, kind in chart.facts.items():
        if fact not in read:
            yield f"fact {fact!r} is never read by a guard"
        if isinstance(kind, Stored) and fact not in written:
            yield f"fact {fact!r} is never set"


def _loose_ends(chart: Chart) -> Iterator[str]:
    used = {effect for row in chart.transitions for effect in row.effects}
    made = set(chart.external)
    for effect, spec in chart.effects.items():
        if effect not in used:
            yield f"effect {effect!r} is used by no transition"
        if isinstance(spec, Ask):
            made.update(spec.outcomes)
        elif isinstance(spec, Arm):
            made.add(spec.expiry)
        elif isinstance(spec, Raise):
            made.add(spec.trigger)
    for trigger in chart.triggers:
        if trigger not in made:
            yield f"trigger {trigger!r} is neither external nor the outcome of an effect"
    ignored = {
        (phase, trigger)
        for entry in chart.ignored
        for phase in entry.phases
        for trigger in entry.triggers
    }
    for phase in chart.phases:
        for trigger in chart.triggers:
            handled = bool(chart.rows(phase, trigger))
            if handled and (phase, trigger) in ignored:
                yield f"{trigger} in {phase} is both handled and ignored"
            if not handled and (phase, trigger) not in ignored:
                yield f"{trigger} in {phase} is neither handled, refused nor ignored on purpose"
