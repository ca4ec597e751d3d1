"""A chart and its ledger as the text of a Murphi model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import attrs

from support_chat.chart.model import Chart

from . import happenings
from .effects import Effects, effects_of
from .happenings import Happening
from .names import Names, names_of
from .rows import clause, current, indented

LONGEST_RUN = 64
"""How many rows one step may fire before it counts as one that never comes to rest."""


@attrs.frozen
class Murphi:
    """The text of a model, and what can happen in it."""

    text: str
    happenings: tuple[Happening, ...]
    names: Names
    users: int


def to_murphi(chart: Chart, users: int | None = None) -> Murphi:
    """The model of a chart and its ledger, with `users` users (None: as many as it can tell
    apart).
    """
    names = names_of(chart)
    effects = effects_of(names)
    count = 0 if chart.named is None else len(chart.registers) + 1 if users is None else users
    found = happenings.happenings_of(effects, count)
    lines = [
        *_head(chart),
        *_declared(names, count, found),
        "",
        *_newest(names),
        "",
        *_may_happen(names, found),
        "",
        'startstate "the beginning"',
        "begin",
        *indented(" ".join(_initial(names)), "  "),
        "end;",
        "",
        *_rule(effects, found),
    ]
    return Murphi("\n".join(lines) + "\n", found, names, count)


def _head(chart: Chart) -> Iterator[str]:
    yield f"-- The chart {chart.name} and its ledger."


def _declared(names: Names, users: int, found: Sequence[Happening]) -> Iterator[str]:
    yield "const"
    yield "  NOBODY: 0;"
    yield f"  USERS: {users};"
    yield f"  LONGEST_RUN: {LONGEST_RUN};"
    yield f"  MOST_CHOICES: {max(each.choices for each in found)};"
    yield from (f"  {each.name}: {each.first};" for each in found)
    yield f"  ENDS: {found[-1].first + found[-1].ways};"
    yield ""
    yield "type"
    yield "  Who: 0..USERS;"
    yield "  Number: 0..ENDS;"
    yield "  Choices: 0..MOST_CHOICES;"
    for name, table in (
        ("Phase", names.phase),
        ("Trigger", names.trigger),
        ("Row", names.row),
    ):
        yield from indented(f"{name}: enum {{ {', '.join(table.values())} }};", "  ")
    yield ""
    yield "var"
    yield "  phase: Phase;"
    yield from (f"  {name}: Who;" for name in names.register.values())
    yield from (f"  {name}: boolean;" for name in names.variables)


def _initial(names: Names) -> Iterator[str]:
    yield f"phase := {names.phase[names.chart.initial]};"
    yield from (f"{name} := NOBODY;" for name in names.register.values())
    yield from (f"{name} := false;" for name in names.variables)


def _newest(names: Names) -> Iterator[str]:
    yield "function newest(): Who;"
    yield "var found: Who;"
    yield "begin"
    yield "  found := NOBODY;"
    for name in names.register.values():
        yield f"  if {name} > found then found := {name}; end;"
    yield "  return found;"
    yield "end;"


def _locals(names: Names) -> Iterator[str]:
    yield "  way: Number; named: Who; choices: Choices; room: Choices;"
    yield from (f"  {name}: boolean;" for name in names.brought.values())


def _none(names: Names) -> str:
    none = "".join(f" {name} := false;" for name in names.brought.values())
    return f"named := NOBODY; choices := 0; room := 1;{none}"


def _may_happen(names: Names, found: Sequence[Happening]) -> Iterator[str]:
    yield "function may_happen(number: Number): boolean;"
    yield "var"
    yield from _locals(names)
    yield "begin"
    for each, after in zip_longest(found, found[1:]):
        yield f"  if number < {after.name if after else 'ENDS'} then"
        yield from indented(" ".join(happenings.read(names, each)), "    ")
        yield from indented(f"return {happenings.condition(names, each)};", "    ")
        yield "  end;"
    yield "  return false;"
    yield "end;"


def _rule(effects: Effects, found: Sequence[Happening]) -> Iterator[str]:
    names = effects.names
    yield "ruleset number: 0..ENDS - 1 do"
    yield 'rule "something happens"'
    yield "  may_happen(number)"
    yield "==>"
    yield "var"
    yield from _locals(names)
    yield "  on: Trigger; brings: boolean; who: Who; wanted: boolean;"
    yield "  rest: Choices; rows: 0..LONGEST_RUN;"
    yield "  taken: 0..LONGEST_RUN; raised: 0..LONGEST_RUN;"
    yield "  queue: array [1..LONGEST_RUN] of Trigger; carried: array [1..LONGEST_RUN] of boolean;"
    yield "  known: array [Who] of Who; count: Who;"
    yield from (f"  {name}_is_open: boolean;" for name in effects.openable)
    yield from (f"  was_in_{name}: Who;" for name in names.register.values())
    yield "begin"
    yield from indented(_none(names), "  ")
    yield from indented(" ".join(f"{name}_is_open := false;" for name in effects.openable), "  ")
    yield "  rows := 0; wanted := false; taken := 0; raised := 1; carried[1] := true;"
    for number, (each, after) in enumerate(zip_longest(found, found[1:])):
        yield f"  {'elsif' if number else 'if'} number < {after.name if after else 'ENDS'} then"
        told = [*happenings.read(names, each), *happenings.beginning(names, each)]
        yield from indented(" ".join(told), "    ")
    yield "  end;"
    yield "  rest := choices;"
    yield "  while taken < raised do"
    yield "    taken := taken + 1;"
    yield "    on := queue[taken]; brings := carried[taken];"
    yield "    if brings then who := named; else who := NOBODY; end;"
    yield "    switch on"
    for trigger, constant in names.trigger.items():
        rows = [row for row in current(names) if trigger in row.trigger]
        if rows:
            yield f"    case {constant}:"
        for number, row in enumerate(rows):
            yield f"    -- {row.name} ({row.group})"
            for line, text in enumerate(clause(effects, row, frozenset())):
                first = ("    elsif " if number else "    if ") if line == 0 else "    "
                yield f"{first}{text}"
        if rows:
            yield "    end;"
            yield ""
    yield "    end;"
    yield "  end;"
    yield "  assume rest = 0;"
    yield '  if room = 0 then error "a row fires three times in a step"; end;'
    yield "  assume !wanted | rows > 0;"
    yield ""
    yield "  clear known; count := NOBODY;"
    for r in names.register.values():
        yield f"  if {r} != NOBODY then"
        yield f"    if known[{r}] = NOBODY then count := count + 1; known[{r}] := count; end;"
        yield f"    {r} := known[{r}];"
        yield "  end;"
    yield "end;"
    yield "end;"
