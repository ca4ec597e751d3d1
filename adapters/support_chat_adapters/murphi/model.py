"""A chart and its ledger as the text of a Murphi model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from support_chat.chart.model import Chart
from support_chat.verify.properties import Property

from . import step
from .effects import effects_of
from .happenings import Happening, happenings_of
from .judged import Judged, judged
from .names import Names, names_of
from .rows import indented

LONGEST_RUN = 64
"""How many rows one step may fire before it counts as one that never comes to rest."""


@attrs.frozen
class Murphi:
    """The text of a model, what can happen in it, which properties it judges, and which are left
    out and why, by their ids.
    """

    text: str
    happenings: tuple[Happening, ...]
    names: Names
    users: int
    judged: Judged


def to_murphi(
    chart: Chart,
    properties: Iterable[Property] = (),
    *,
    users: int | None = None,
    counted: bool = False,
) -> Murphi:
    """The model of a chart and its ledger, with `users` users (None: as many as it can tell
    apart), that asserts these properties; `counted` ones are not asserted, but it is counted how
    often each is broken.

    Raises UnknownNameError for a property that asks for a name which the chart has not.
    """
    names = names_of(chart)
    effects = effects_of(names)
    count = 0 if chart.named is None else len(chart.registers) + 1 if users is None else users
    found = happenings_of(effects, count)
    triggers = dict.fromkeys(str(each.rule.trigger) for each in found)
    properties = tuple(properties)
    judging = judged(effects, properties, triggers)
    lines = [
        *_head(chart, properties, judging),
        "",
        *_declared(names, count, found),
        "",
        *_newest(names),
        "",
        *step.may_happen(names, found),
        "",
        'startstate "the beginning"',
        "begin",
        *indented(" ".join(_initial(names)), "  "),
        "end;",
        "",
        *step.rule(effects, found, judging, counted),
        *step.of_states(judging, counted),
    ]
    return Murphi("\n".join(lines) + "\n", found, names, count, judging)


def _head(chart: Chart, properties: Sequence[Property], judging: Judged) -> Iterator[str]:
    yield f"-- The chart {chart.name} and its ledger, as `support-chat export --format murphi`"
    yield "-- writes them. What a state and a step are, and how a row is read, says"
    yield "-- docs/chart-semantics.md of support-chat. Rumur explores it (Debian: apt-get install"
    yield "-- rumur gcc):"
    yield "--"
    yield "--   rumur --deadlock-detection off --output chart.c chart.m"
    yield "--   cc -O1 -std=c11 -mcx16 -o chart chart.c -lpthread && ./chart"
    yield "--"
    yield "-- (A session that is over stays as it is; Rumur would take that for a deadlock.)"
    if properties:
        yield "--"
        yield f"-- {len(judging.judgements)} properties are asserted. Left out:"
        reasons = dict.fromkeys(judging.left_out.values())
        for why in reasons:
            ids = ", ".join(id for id, reason in judging.left_out.items() if reason == why)
            yield from indented(f"{ids}: {why}", "--   ")
        if not reasons:
            yield "--   none"


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
        ("Row", {"": "no_row", **names.row}),
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
