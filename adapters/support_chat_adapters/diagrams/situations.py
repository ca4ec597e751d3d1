"""Which situations a chart can be in when a call comes: per phase, who is who, and which facts may
hold.

An over-approximation that is cheap and needs nothing but the chart: what adapters answer is free,
most facts are followed one by one instead of together, and two sample users stand for all. So a
table made of it names every row that can answer a call, and leaves out those that never can (`not
booted` while live). It proves nothing: that is a checker's work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import attrs

from support_chat import Chart, Transition, Trigger
from support_chat.chart.model import Present, Raise, Same, Stored

Who: TypeAlias = "str | None"
Facts: TypeAlias = Mapping[str, frozenset[bool]]
"""For each stored fact which of True and False it may be."""

USERS: Final[tuple[Who, ...]] = (None, "one", "another")
"""Nobody, and two users: enough to tell 'the same' from 'another'."""
ALWAYS_NAMED: Final = frozenset({Trigger.IDENTIFY, Trigger.IDENTIFIED})
"""The triggers of the shipped chart that name a user in every case; any other may name nobody."""

_IS: Final = {value: frozenset({value}) for value in (True, False)}


@attrs.frozen
class Situation:
    """A phase with the value of each register by its name, and what the stored facts may be."""

    phase: str
    registers: Mapping[str, Who]
    facts: Facts


def situations(chart: Chart) -> tuple[Situation, ...]:
    """Every situation in which a call may find the chart; those that differ in loosely followed
    facts alone are put together.
    """
    facts = {fact: _IS[False] for fact, kind in chart.facts.items() if isinstance(kind, Stored)}
    exact = [fact for fact in facts if fact in _decisive(chart)]
    first = Situation(chart.initial, dict.fromkeys(chart.registers), facts)
    known = {_key(first, exact): first}
    waiting = [first]
    rows = {
        phase: [row for row in chart.transitions if phase in row.sources] for phase in chart.phases
    }
    while waiting:
        here = waiting.pop()
        for row in rows[here.phase]:
            for named in {who for trigger in row.trigger for who in may_be_named(trigger)}:
                if (narrow := narrowed(chart, here, row, named)) is None:
                    continue
                after = _settled(chart, _fired(chart, here, row, named, narrow), row)
                before = known.get(key := _key(after, exact))
                merged = (
                    {fact: may | before.facts[fact] for fact, may in after.facts.items()}
                    if before
                    else after.facts
                )
                if before is None or merged != before.facts:
                    known[key] = attrs.evolve(after, facts=merged)
                    waiting.append(known[key])
    return tuple(known.values())


def narrowed(chart: Chart, situation: Situation, row: Transition, named: Who) -> Facts | None:
    """The stored facts as they may be if `row` fires here; None if its guard cannot hold. Facts of
    other kinds are free.
    """
    who = _who(chart, situation, named)
    narrow = dict(situation.facts)
    for wanted, names in ((True, row.when), (False, row.unless)):
        for fact in names:
            kind = chart.facts[fact]
            if isinstance(kind, Stored):
                if wanted not in narrow[fact]:
                    return None
                narrow[fact] = _IS[wanted]
            elif isinstance(kind, Same):
                if (who[kind.left] == who[kind.right]) is not wanted:
                    return None
            elif isinstance(kind, Present) and (who[kind.register] is not None) is not wanted:
                return None
    return narrow


def may_be_named(trigger: str) -> Iterable[Who]:
    """Whom the trigger may name."""
    return USERS[1:] if trigger in ALWAYS_NAMED else USERS


def _who(chart: Chart, situation: Situation, named: Who) -> dict[str, Who]:
    return {**situation.registers, **({chart.named: named} if chart.named else {})}


def _decisive(chart: Chart) -> set[str]:
    """The facts that decide whether an internal trigger changes the phase: what they are together
    must be known.
    """
    internal = {spec.trigger for spec in chart.effects.values() if isinstance(spec, Raise)}
    moving = [
        row for row in chart.transitions if row.target and not internal.isdisjoint(row.trigger)
    ]
    return {fact for row in moving for fact in (*row.when, *row.unless)}


def _key(situation: Situation, exact: list[str]) -> tuple[object, ...]:
    return (
        situation.phase,
        *situation.registers.values(),
        *(situation.facts[fact] for fact in exact),
    )


def _fired(chart: Chart, here: Situation, row: Transition, named: Who, narrow: Facts) -> Situation:
    facts = {
        **narrow,
        **dict.fromkeys(row.sets, _IS[True]),
        **dict.fromkeys(row.clears, _IS[False]),
    }
    # a register that is not assigned keeps its value; one that is assigned None becomes nobody's
    who, sources = (
        _who(chart, here, named),
        {register: row.assigns.get(register, register) for register in chart.registers},
    )
    registers = {
        register: None if source is None else who[source] for register, source in sources.items()
    }
    return Situation(row.target or here.phase, registers, facts)


def _settled(chart: Chart, after: Situation, row: Transition) -> Situation:
    """Internal triggers run before the next call: where one is sure to move the chart on, no call
    meets what lies between.
    """
    for internal in _raised(chart, row):
        for follower in chart.rows(after.phase, internal):
            narrow = narrowed(chart, after, follower, None)
            sure = narrow == after.facts and all(
                isinstance(chart.facts[f], Stored) for f in (*follower.when, *follower.unless)
            )
            if follower.target and narrow is not None and sure:
                return _fired(chart, after, follower, None, narrow)
    return after


def _raised(chart: Chart, row: Transition) -> Iterator[str]:
    for effect in row.effects:
        spec = chart.effects[effect]
        if isinstance(spec, Raise):
            yield spec.trigger
