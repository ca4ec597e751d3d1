"""Every single edit of a chart, as values: what somebody could get wrong in one place.

An edit of a composite is one of all rows that begin or end it, since they have its entry and exit
written out. Effects are replaced by those that compete with them (for a lane, a timer, a slot, the
call), facts by none: a guard that asks the opposite is the sharper edit. What an effect means
(limits, delays, functions) is no part of a chart's rows, and left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from itertools import pairwise
from typing import Any

import attrs

from ...chart.composites import as_written, ending, written_out
from ...chart.model import (
    Arm,
    Ask,
    Chart,
    Composite,
    Done,
    EffectSpec,
    Fail,
    Join,
    Refusal,
    Refuse,
    Settle,
    Stored,
    Transition,
)


class Kind(StrEnum):
    """What sort of edit it is."""

    ROW = "row dropped"
    TARGET = "other target"
    TRIGGER = "trigger dropped"
    SOURCE = "source dropped"
    MORE_SOURCES = "source added"
    GUARD = "guard dropped"
    OPPOSITE = "guard turned round"
    MORE_GUARDS = "guard added"
    SET = "set dropped"
    MORE_SETS = "set added"
    CLEAR = "clear dropped"
    MORE_CLEARS = "clear added"
    ASSIGN = "assignment edited"
    EFFECT = "effect dropped"
    ORDER = "effects swapped"
    REPLACED = "effect replaced"
    ERROR = "error edited"
    OUTCOME = "outcome edited"
    COMPOSITE = "composite edited"


@attrs.frozen
class Edit:
    """One edit: of which kind, of which row (or `composite NAME`, or `effect NAME`), in words, and
    what it makes of a chart. `make` raises ChartError where the chart's own validation does.
    """

    kind: Kind
    of: str
    words: str
    make: Callable[[Chart], Chart] = attrs.field(repr=False, eq=False)

    @property
    def id(self) -> str:
        """What tells it from every other edit of the chart."""
        return f"{self.of}: {self.words}"


def edits(chart: Chart) -> Iterator[Edit]:
    """Every single edit of the chart, row by row, then composites and outcomes."""
    errors = list({row.error: None for row in chart.transitions if row.error is not None})
    for row in chart.transitions:
        yield Edit(Kind.ROW, row.name, "is dropped", partial(_with_row, row.name, None))
        found = [
            *_where(row, chart),
            *_guards(row, chart),
            *_facts(row, chart),
            *_assignments(row, chart),
            *_effects(row, chart),
            *_errors(row, errors),
        ]
        for kind, words, values in found:
            make = partial(_with_row, row.name, values)
            yield Edit(kind, row.name, words, make)
    for part in chart.composites:
        for words, edited in _composites(part):
            make = partial(_with_composite, part, edited)
            yield Edit(Kind.COMPOSITE, f"composite {part.name}", words, make)
    for name, spec in chart.effects.items():
        if isinstance(spec, Ask):
            for words, values in _outcomes(spec):
                make = partial(_with_effect, name, values)
                yield Edit(Kind.OUTCOME, f"effect {name}", words, make)


_Found = Iterator[tuple[Kind, str, Mapping[str, Any]]]


def _with_row(name: str, values: Mapping[str, Any] | None, chart: Chart) -> Chart:
    rows = (
        (attrs.evolve(row, **values) if values is not None else None) if row.name == name else row
        for row in chart.transitions
    )
    return attrs.evolve(chart, transitions=tuple(row for row in rows if row is not None))


def _with_effect(name: str, values: Mapping[str, Any], chart: Chart) -> Chart:
    spec = attrs.evolve(chart.effects[name], **values)
    return attrs.evolve(chart, effects={**chart.effects, name: spec})


def _with_composite(part: Composite, edited: Composite, chart: Chart) -> Chart:
    composites = tuple(edited if each is part else each for each in chart.composites)
    rows = tuple(
        written_out([unwritten(row, chart.composites)], composites, chart.effects)[0]
        if part.begins(row) or part in ending(row, chart.composites)
        else row
        for row in chart.transitions
    )
    return attrs.evolve(chart, transitions=rows, composites=composites)


def unwritten(row: Transition, composites: Sequence[Composite]) -> Transition:
    """The row as somebody writes it, without the entries and exits of composites."""
    written = as_written(row, composites)
    marks = {f"{mark} {part.name}" for part in composites for mark in ("begin", "end")}
    effects = tuple(effect for effect in written.effects if effect not in marks)
    facts = {part.fact for part in composites if part.ends(row)} - {None}
    clears = (*written.clears, *(fact for fact in row.clears if fact in facts))
    return attrs.evolve(
        row, clears=tuple(dict.fromkeys(clears)), assigns=written.assigns, effects=effects
    )


def _less(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)


def _at(names: tuple[str, ...], place: int, *instead: str) -> tuple[str, ...]:
    return (*names[:place], *instead, *names[place + 1 :])


# --- rows -----------------------------------------------------------------------------------------


def _where(row: Transition, chart: Chart) -> _Found:
    for phase in chart.phases:
        if phase != row.target and (phase,) != row.sources:
            yield Kind.TARGET, f"leads to {phase}", {"target": phase}
    if row.target is not None:
        yield Kind.TARGET, "stays where it is", {"target": None}
    for trigger in row.trigger[1:] and row.trigger:
        yield Kind.TRIGGER, f"not on {trigger}", {"trigger": _less(row.trigger, trigger)}
    for phase in row.sources[1:] and row.sources:
        yield Kind.SOURCE, f"not in {phase}", {"sources": _less(row.sources, phase)}
    for phase in chart.phases:
        if phase not in row.sources:
            yield Kind.MORE_SOURCES, f"also in {phase}", {"sources": (*row.sources, phase)}


def _guards(row: Transition, chart: Chart) -> _Found:
    for fact in row.when:
        when = _less(row.when, fact)
        yield Kind.GUARD, f"whether or not {fact}", {"when": when}
        yield Kind.OPPOSITE, f"unless {fact}", {"when": when, "unless": (*row.unless, fact)}
    for fact in row.unless:
        unless = _less(row.unless, fact)
        yield Kind.GUARD, f"whether or not {fact}", {"unless": unless}
        yield Kind.OPPOSITE, f"when {fact}", {"unless": unless, "when": (*row.when, fact)}
    for fact in chart.facts:
        if fact not in (*row.when, *row.unless, chart.late):
            yield Kind.MORE_GUARDS, f"only when {fact}", {"when": (*row.when, fact)}
            yield Kind.MORE_GUARDS, f"only unless {fact}", {"unless": (*row.unless, fact)}


def _facts(row: Transition, chart: Chart) -> _Found:
    for fact in row.sets:
        yield Kind.SET, f"does not set {fact}", {"sets": _less(row.sets, fact)}
    for fact in row.clears:
        yield Kind.CLEAR, f"does not clear {fact}", {"clears": _less(row.clears, fact)}
    for fact, kind in chart.facts.items():
        if isinstance(kind, Stored):
            if fact not in row.sets:
                more = {"sets": (*row.sets, fact), "clears": _less(row.clears, fact)}
                yield Kind.MORE_SETS, f"sets {fact}", more
            if fact not in row.clears:
                more = {"clears": (*row.clears, fact), "sets": _less(row.sets, fact)}
                yield Kind.MORE_CLEARS, f"clears {fact}", more


def _assignments(row: Transition, chart: Chart) -> _Found:
    for register in chart.registers:
        others = (None, *chart.registers, *([chart.named] if chart.named else []))
        if register in row.assigns:
            less = {name: of for name, of in row.assigns.items() if name != register}
            yield Kind.ASSIGN, f"leaves {register} as it is", {"assigns": less}
        for of in others:
            if of != row.assigns.get(register, register):
                words = f"{register} becomes {of or 'nobody'}"
                yield Kind.ASSIGN, words, {"assigns": {**row.assigns, register: of}}


def _effects(row: Transition, chart: Chart) -> _Found:
    asked = row.effects
    for place, effect in enumerate(asked):
        which = f"{effect} (the {place + 1}th)" if asked.count(effect) > 1 else effect
        yield Kind.EFFECT, f"without {which}", {"effects": _at(asked, place)}
        for other in _competing(effect, chart):
            words = f"{other} instead of {which}"
            yield Kind.REPLACED, words, {"effects": _at(asked, place, other)}
    for place, (one, other) in enumerate(pairwise(asked)):
        if one != other:
            swapped = (*asked[:place], other, one, *asked[place + 2 :])
            yield Kind.ORDER, f"{other} before {one}", {"effects": swapped}


def _competing(effect: str, chart: Chart) -> Iterator[str]:
    """The effects that do something else with the same lane, timer, slot or call."""
    mine = _claim(chart.effects[effect])
    for other, spec in chart.effects.items():
        if other != effect and mine is not None and _claim(spec) == mine:
            yield other


def _claim(spec: EffectSpec) -> tuple[str, str] | None:
    match spec:
        case Ask(lane=lane):
            return "lane", lane
        case Arm(timer=timer):
            return "timer", timer
        case Settle(slot=slot) | Fail(slot=slot):
            return "slot", slot
        case Join():
            return "call", "waits"
        case Done() | Refuse():
            return "call", "ends"
        case _:
            return None


def _errors(row: Transition, errors: Sequence[Refusal]) -> _Found:
    if row.error is None:
        return
    yield Kind.ERROR, "has no error of its own", {"error": None}
    for other in errors:
        if other != row.error:
            words = f'raises {other.error.__name__}: "{other.message}"'
            yield Kind.ERROR, words, {"error": other}


# --- composites and effects -----------------------------------------------------------------------


def _composites(part: Composite) -> Iterator[tuple[str, Composite]]:
    for words, effects in _shorter_or_swapped(part.entry):
        yield f"its entry {words}", attrs.evolve(part, entry=effects)
    for words, effects in _shorter_or_swapped(part.exit):
        yield f"its exit {words}", attrs.evolve(part, exit=effects)
    for fact in part.clears:
        if fact != part.fact:
            fewer = attrs.evolve(part, clears=_less(part.clears, fact))
            yield f"its end does not clear {fact}", fewer
    for register in part.assigns:
        less = {name: of for name, of in part.assigns.items() if name != register}
        yield f"its end leaves {register} as it is", attrs.evolve(part, assigns=less)
    if part.within is not None:
        yield f"is not within {part.within}", attrs.evolve(part, within=None)


def _shorter_or_swapped(effects: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for place, effect in enumerate(effects):
        yield f"is without {effect}", _at(effects, place)
    for place, (one, other) in enumerate(pairwise(effects)):
        yield f"has {other} before {one}", (*effects[:place], other, one, *effects[place + 2 :])


_ENDS = ("success", "failure", "refusal", "rejection", "stranger", "ended")


def _outcomes(spec: Ask) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each way to end as one of the others; one that is not named is the failure."""
    for end in _ENDS:
        trigger = getattr(spec, end)
        for other in spec.outcomes:
            if trigger is not None and other != trigger:
                yield f"its {end} is {other}", {end: other}
