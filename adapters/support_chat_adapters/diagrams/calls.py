"""Writes what each call does in each phase as one Markdown table: the table that every other SDK
leaves to the reader.

It is enumerated from the chart: for every situation a call can meet (`situations`), every row that
may answer it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import attrs

from support_chat import Chart, Effect, Fact, InvalidInputError, Register, Transition, Trigger
from support_chat.chart.model import Arm, Ask, Carried, Join

from .situations import Situation, Who, may_be_named, narrowed, situations

_Registers: TypeAlias = Mapping[str, Who]

_LEGEND: Final = """\
*now*: settles in the same step, without the network. *join*: shares the outcome of what is under
way. *wait*: done when it is possible, and settled with its outcome, within its timeout. *→ phase*:
begins it; the phase changes at once. *✗*: raises the error of that name on the spot, changing
nothing. *–*: nobody yet whom another user could differ from. Where a cell has several answers, what
is under way decides. The table is for a plain `shutdown()`; with `clear_storage=True` it always
waits for the clear.
"""


@attrs.frozen
class _Column:
    title: str
    trigger: Trigger
    asks_for: Callable[[_Registers, Who], bool]


def _same(who: _Registers, named: Who) -> bool:
    return named == who.get(Register.USER)


def _fits(who: _Registers, named: Who) -> bool:
    """The call names nobody whom the session, or the identify under way, is not already for."""
    return all(
        named is None or who.get(register) in (None, named)
        for register in (Register.USER, Register.TARGET)
    )


def _anyhow(who: _Registers, named: Who) -> bool:
    return named is None


_COLUMNS: Final = (
    _Column("`boot()` same identity", Trigger.BOOT, _same),
    _Column("`boot()` another", Trigger.BOOT, lambda who, named: not _same(who, named)),
    _Column("`identify()` a user", Trigger.IDENTIFY, _fits),
    _Column("`identify()` another", Trigger.IDENTIFY, lambda who, named: not _fits(who, named)),
    _Column("`update()`", Trigger.UPDATE, _anyhow),
    _Column("`shutdown()`", Trigger.SHUTDOWN, _anyhow),
    _Column("`destroy()`", Trigger.DESTROY, _anyhow),
)


def has_calls(chart: Chart) -> bool:
    """Whether the chart has any of the calls that the table is about."""
    return any(column.trigger in chart.triggers for column in _COLUMNS)


def calls_table(chart: Chart) -> str:
    """The table of calls by phases. Raises InvalidInputError for a chart that has none of the calls
    of the shipped one.
    """
    columns = [column for column in _COLUMNS if column.trigger in chart.triggers]
    if not has_calls(chart):
        raise InvalidInputError(
            f"The chart {chart.name!r} has none of the calls of a session: use `--format table` "
            "for it."
        )
    reached = situations(chart)
    rows: dict[tuple[str, ...], list[str]] = {}
    for phase in chart.phases:
        here = [situation for situation in reached if situation.phase == phase]
        for note, alike in _told_apart(here):
            cells = tuple(_cell(chart, alike, column) for column in columns)
            rows.setdefault((note, *cells), []).append(f"`{phase}`")
    lines = [
        "# What each call does in each phase",
        "",
        _LEGEND,
        f"| phase | {' | '.join(column.title for column in columns)} |",
        "|" + "---|" * (len(columns) + 1),
    ]
    lines += [
        f"| {', '.join(phases)}{note} | {' | '.join(cells)} |"
        for (note, *cells), phases in rows.items()
    ]
    return "\n".join(lines) + "\n"


def _told_apart(here: list[Situation]) -> list[tuple[str, list[Situation]]]:
    """A phase in which a boot may or may not wait is two rows: whether one waits decides what every
    call does.
    """
    both = {
        value: [s for s in here if value in s.facts.get(Fact.BOOTED, ())] for value in (False, True)
    }
    if not (both[False] and both[True]):
        return [("", here)]
    return [("", both[False]), (", a boot waits", both[True])]


def _cell(chart: Chart, here: list[Situation], column: _Column) -> str:
    words: dict[str, None] = {}
    for row in chart.transitions:
        if column.trigger not in row.trigger or any(
            isinstance(chart.facts[fact], Carried) for fact in row.when
        ):
            continue  # what a plain call does not carry
        for situation in here:
            for named in may_be_named(column.trigger):
                asked = situation.phase in row.sources and column.asks_for(
                    situation.registers, named
                )
                if asked and narrowed(chart, situation, row, named) is not None:
                    words[_word(chart, row, situation.phase)] = None
    return ", ".join(words) or "–"


def _word(chart: Chart, row: Transition, phase: str) -> str:
    if Effect.REFUSE in row.effects and row.error:
        words = re.sub(
            r"(?<!^)(?=[A-Z])", " ", row.error.error.__name__.removesuffix("Error")
        ).lower()
        return f"✗ {words}"
    moves = f"→ {row.target}" if row.target not in (None, phase) else ""
    if Effect.DONE in row.effects:
        return f"now {moves}".strip()
    specs = [chart.effects[effect] for effect in row.effects]
    begins = any(isinstance(spec, Ask | Arm) for spec in specs)
    joins = any(isinstance(spec, Join) for spec in specs)
    return moves or ("join" if joins and not begins else "wait")
