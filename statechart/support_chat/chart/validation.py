"""What is wrong with a chart, found when it is built: an unknown name is found here, not in the
field.

Every check is structural and local, so it is fast and needs no exploration: names that are not in
an alphabet, rows of one (phase, trigger) that do not exclude each other by their guards, rows that
can never fire, facts that are never read or never come true, triggers that nothing produces, pairs
that nobody thought of, phases that nothing leads to, late outcomes that no row takes (property
S22).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, product
from typing import TYPE_CHECKING, TypeAlias

from ..errors import ChartError
from .model import (
    Arm,
    Ask,
    Carried,
    Fail,
    Join,
    Present,
    Raise,
    Refuse,
    Same,
    Stored,
    Transition,
)

if TYPE_CHECKING:
    from .model import Chart

Named: TypeAlias = "tuple[str, str, Iterable[str | None]]"
"""Where names stand, of which kind they must be, and the names."""


def check(chart: Chart) -> None:
    """Raises one ChartError that names every problem of `chart`; returns when there is none."""
    problems = tuple(dict.fromkeys([*_unknown_names(chart), *_misused_names(chart)]))
    if not problems:  # the other checks would only repeat what a misspelt name causes
        found = (
            _overlaps,
            _dead_rows,
            _idle_facts,
            _empty_handed,
            _unanswered_errors,
            _loose_ends,
            _late_rows,
        )
        problems = tuple(dict.fromkeys(problem for look in found for problem in look(chart)))
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ChartError(
            f"The chart {chart.name!r} has {len(problems)} problem(s); mend these rows:\n{listed}",
            faults=problems,
        )


def exclude_each_other(one: Transition, other: Transition, late: str | None = None) -> bool:
    """Whether never both can fire: a fact that one row wants is unwanted by the other, or one of
    them is for late outcomes alone.
    """
    if late is not None and (late in one.when) != (late in other.when):
        return True
    return not (set(one.when).isdisjoint(other.unless) and set(other.when).isdisjoint(one.unless))


# --- names ----------------------------------------------------------------------------------------


def _names(chart: Chart) -> Iterator[Named]:
    yield "the initial phase", "phase", [chart.initial]
    yield "the external triggers", "trigger", chart.external
    yield "the events", "trigger", chart.events
    yield "the naming triggers", "trigger", chart.naming
    yield "what triggers carry", "trigger", chart.carries or ()
    yield "the late fact", "fact", [chart.late]
    for row in chart.transitions:
        yield row.name, "phase", (*row.sources, row.target)
        yield row.name, "trigger", row.trigger
        yield row.name, "fact", (*row.when, *row.unless, *row.sets, *row.clears)
        yield row.name, "effect", row.effects
        yield row.name, "register", (*row.assigns, *row.assigns.values())
    for fact, kind in chart.facts.items():
        if isinstance(kind, Same):
            yield f"fact {fact!r}", "register", (kind.left, kind.right)
        elif isinstance(kind, Present):
            yield f"fact {fact!r}", "register", [kind.register]
    for effect, spec in chart.effects.items():
        yield f"the outcome of effect {effect!r}", "trigger", _produced(spec)
    for part in chart.composites:
        where = f"composite {part.name!r}"
        yield where, "phase", part.phases
        yield where, "fact", (part.fact, *part.clears)
        yield where, "effect", (*part.entry, *part.exit)
        yield where, "register", (*part.assigns, *part.assigns.values())
        yield where, "composite", [part.within]
    for entry in chart.ignored:
        yield f"ignored ({entry.because})", "trigger", entry.triggers
        yield f"ignored ({entry.because})", "phase", entry.phases


def _unknown_names(chart: Chart) -> Iterator[str]:
    known: dict[str, set[str]] = {
        "phase": set(chart.phases),
        "trigger": set(chart.triggers),
        "fact": set(chart.facts),
        "effect": set(chart.effects),
        "register": {*chart.registers, *([chart.named] if chart.named else [])},
        "composite": {part.name for part in chart.composites},
    }
    if not chart.transitions:
        yield "there are no transitions"
    for where, kind, names in _names(chart):
        for name in names:
            if name is not None and name not in known[kind]:
                yield f"{where}: unknown {kind} {name!r}"


def _misused_names(chart: Chart) -> Iterator[str]:
    seen: set[str] = set()
    for row in chart.transitions:
        if row.name in seen:
            yield f"two transitions are named {row.name!r}"
        seen.add(row.name)
        if chart.named in row.assigns:
            yield f"{row.name}: assigns {chart.named!r}, which only a trigger brings along"
        for fact in (*row.sets, *row.clears):
            if not isinstance(chart.facts.get(fact, Stored("")), Stored):
                yield f"{row.name}: sets or clears {fact!r}, which is not a stored fact"
        for fact in row.sets:
            if fact in row.clears:
                yield f"{row.name}: both sets and clears {fact!r}"
    for trigger, brought in (chart.carries or {}).items():
        for name in brought:
            if name != chart.named and not isinstance(chart.facts.get(name), Carried):
                whom = f", nor the register {chart.named!r}" if chart.named else ""
                yield f"{trigger} carries {name!r}, which is no carried fact{whom}"
    for part in chart.composites:
        if bool(part.phases) == (part.fact is not None):
            yield f"composite {part.name!r}: it spans either phases or a fact"


def _produced(spec: object) -> tuple[str, ...]:
    """The triggers that an effect may lead to."""
    if isinstance(spec, Ask):
        return spec.outcomes
    if isinstance(spec, Arm):
        return (spec.expiry,)
    if isinstance(spec, Join):
        return (spec.abandoned,) if spec.abandoned else ()
    return (spec.trigger,) if isinstance(spec, Raise) else ()


# --- rows -----------------------------------------------------------------------------------------


def _overlaps(chart: Chart) -> Iterator[str]:
    for phase, trigger in product(chart.phases, chart.triggers):
        for one, other in combinations(chart.rows(phase, trigger), 2):
            if not exclude_each_other(one, other, chart.late):
                yield (
                    f"{one.name} and {other.name} can both fire on {trigger} in {phase}: "
                    "no fact tells them apart"
                )


def _dead_rows(chart: Chart) -> Iterator[str]:
    reached = _reachable(chart)
    for phase in chart.phases:
        if phase not in reached:
            yield f"no transitions lead to the phase {phase!r}"
    for row in chart.transitions:
        if both := set(row.when) & set(row.unless):
            wanted = ", ".join(sorted(both))
            yield f"{row.name}: can never fire, it wants {wanted} to be both true and false"
        if not row.sources or not row.trigger:
            yield f"{row.name}: can never fire, it has no source or no trigger"
        elif reached.isdisjoint(row.sources):
            yield f"{row.name}: can never fire, none of its sources is ever reached"


def _reachable(chart: Chart) -> set[str]:
    reached = fresh = {chart.initial}
    while fresh:
        led = (row.target for row in chart.transitions if not reached.isdisjoint(row.sources))
        fresh = {phase for phase in led if phase is not None} - reached
        reached = reached | fresh
    return reached


def _idle_facts(chart: Chart) -> Iterator[str]:
    read = {fact for row in chart.transitions for fact in (*row.when, *row.unless)}
    written = {fact for row in chart.transitions for fact in row.sets}
    for fact, kind in chart.facts.items():
        if fact not in read:
            yield f"fact {fact!r} is never read by a guard"
        if isinstance(kind, Stored) and fact not in written:
            yield f"fact {fact!r} is never set"


def _empty_handed(chart: Chart) -> Iterator[str]:
    """No row reads what its trigger never carries, and no trigger always names somebody that never
    does.
    """
    kinds = chart.facts.items()
    carried = {fact for fact, kind in kinds if isinstance(kind, Carried) and fact != chart.late}
    known = (
        carried if chart.carries is None else {*carried, *([chart.named] if chart.named else [])}
    )
    brings = _brought(chart, known)
    for trigger in internal_triggers(chart):
        for name in (chart.carries or {}).get(trigger, ()):
            yield f"{trigger} carries {name!r}, and is internal: it carries nothing"
    for trigger in chart.naming:
        if chart.carries is not None and chart.named not in brings[trigger]:
            yield f"{trigger} always names somebody, and does not carry {chart.named!r}"
    for row in chart.transitions:
        read = {fact: of for fact in (*row.when, *row.unless) for of in _told_by(chart, fact)}
        taken = {of: of for of in row.assigns.values() if of is not None}
        for name, of in {**taken, **read}.items():
            for trigger in row.trigger:
                if of in known and of not in brings[trigger]:
                    which = "internal trigger" if trigger in internal_triggers(chart) else "trigger"
                    yield f"{row.name}: reads {name!r}, which the {which} {trigger!r} never carries"


def internal_triggers(chart: Chart) -> frozenset[str]:
    """The triggers that only rows raise, and that bring nothing along."""
    raises = [spec for spec in chart.effects.values() if isinstance(spec, Raise)]
    carrying = {spec.trigger for spec in raises if spec.carries}
    return frozenset({spec.trigger for spec in raises} - carrying - set(chart.external))


def _told_by(chart: Chart, fact: str) -> tuple[str | None, ...]:
    """What a trigger brings along by which this fact is known: the fact, or whom it names."""
    match chart.facts[fact]:
        case Carried():
            return (fact,)
        case Present(register=register):
            return (register,)
        case Same(left=left, right=right):
            return tuple(of for of in (left, right) if of == chart.named)
        case _:
            return ()


def _brought(chart: Chart, known: set[str]) -> Mapping[str, set[str]]:
    """What each trigger may bring along, from outside or from the call that it carries on."""
    outside = chart.carries
    found = {
        trigger: set(known if outside is None else outside.get(trigger, ()))
        for trigger in chart.triggers
    }
    for trigger in internal_triggers(chart):
        found[trigger] = set()
    raises = [
        (trigger, spec.trigger)
        for row in chart.transitions
        for effect in row.effects
        if isinstance(spec := chart.effects[effect], Raise) and spec.carries
        for trigger in row.trigger
    ]
    more = True
    while more:
        more = False
        for by, trigger in raises:
            if not found[by] <= found[trigger]:
                found[trigger] |= found[by]
                more = True
    return found


def _unanswered_errors(chart: Chart) -> Iterator[str]:
    """A call that fails must be told why: by the row, or by the error that the trigger brings."""
    asks = [spec for spec in chart.effects.values() if isinstance(spec, Ask)]
    failing = {trigger for ask in asks for trigger in ask.failures}
    for row in chart.transitions:
        if row.error is not None:
            continue
        for effect in row.effects:
            spec = chart.effects[effect]
            brought = isinstance(spec, Fail) and {*failing, *chart.events}.issuperset(row.trigger)
            if isinstance(spec, Refuse) or (isinstance(spec, Fail) and not brought):
                yield f"{row.name}: {effect!r} fails calls, and there is no error to tell them"


def _loose_ends(chart: Chart) -> Iterator[str]:
    used = {effect for row in chart.transitions for effect in row.effects}
    made = {*chart.external, *(t for spec in chart.effects.values() for t in _produced(spec))}
    for effect in chart.effects:
        if effect not in used:
            yield f"effect {effect!r} is used by no transition"
    for trigger in chart.triggers:
        if trigger not in made:
            yield f"trigger {trigger!r} is neither external nor the outcome of an effect"
    ignored = {
        (phase, trigger)
        for entry in chart.ignored
        for phase in entry.phases
        for trigger in entry.triggers
    }
    for phase, trigger in product(chart.phases, chart.triggers):
        handled = bool(chart.rows(phase, trigger))
        if handled and (phase, trigger) in ignored:
            yield f"{trigger} in {phase} is both handled and ignored"
        if not handled and (phase, trigger) not in ignored:
            yield f"{trigger} in {phase} is neither handled, refused nor ignored on purpose"


def _late_rows(chart: Chart) -> Iterator[str]:
    """Whatever comes too late has one row, in each phase, with no other condition."""
    if chart.late is None:
        return
    for row in chart.transitions:
        if chart.late in row.when and (row.when, row.unless) != ((chart.late,), ()):
            yield f"{row.name}: a late outcome is late whatever else holds; drop the other facts"
        if chart.late in row.unless:
            yield f"{row.name}: what is late never gets here; drop {chart.late!r}"
    superseding = chart.superseding  # made anew each time, and this is asked of hundreds of pairs
    for phase, trigger in product(chart.phases, chart.triggers):
        rows = [row for row in chart.rows(phase, trigger) if chart.late in row.when]
        if trigger in superseding and len(rows) != 1:
            yield (
                f"{trigger} in {phase} has {len(rows)} rows for an outcome that comes too "
                "late; it needs exactly one"
            )
        if rows and trigger not in superseding:
            yield f"{rows[0].name}: {trigger} is never late, only outcomes and lane events are"
