"""The rows of a chart as clauses of one `if`, in the chart's order: each once, with its guard and
all that it does.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from support_chat.chart.model import Raise, Transition

from .effects import Effects
from .names import Names
from .readings import FIRED

WIDTH = 96


def current(names: Names) -> tuple[Transition, ...]:
    """The rows of what is not late: what comes too late changes nothing, and is left out."""
    late = names.chart.late
    return tuple(row for row in names.chart.transitions if late is None or late not in row.when)


def any_of(left: str, values: Iterable[str], of: int) -> str:
    """The condition that `left` is one of the values, of which there are so many in all."""
    values = tuple(values)
    if len(values) == of:
        return "true"
    found = " | ".join(f"{left} = {value}" for value in values)
    return f"({found})"


def guard(names: Names, row: Transition) -> str:
    """Where a row fires."""
    sources = [names.phase[source] for source in dict.fromkeys(row.sources)]
    terms = [any_of("phase", sources, len(names.phase))]
    terms += [names.holds(fact) for fact in row.when]
    terms += [f"!{names.holds(fact)}" for fact in row.unless if fact != names.chart.late]
    return " & ".join(term for term in terms if term != "true") or "true"


def clause(
    effects: Effects, row: Transition, noted: frozenset[str], before: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """A row: facts, registers and phase first, then its effects in their order, then what they have
    left open; of what is `noted` it is remembered that it was asked, and `before` an effect it is
    judged.
    """
    names = effects.names
    yield from indented(f"{guard(names, row)} then", "")
    yield from indented(" ".join(_own(names, row, FIRED in noted)), "  ")
    for effect in row.effects:
        spec = names.chart.effects[effect]
        done = [*before.get(effect, ()), *effects.statements(effect)]
        if names.effect[effect] in noted:
            done.append(f"{names.effect[effect]} := true;")
        if isinstance(spec, Raise):
            carried = "true" if spec.carries else "false"
            done.append(
                f"raised := raised + 1; queue[raised] := {names.trigger[spec.trigger]}; "
                f"carried[raised] := {carried};"
            )
        yield f"  -- {effect}"
        yield from indented(" ".join(done), "  ")
    for name in effects.left_open(row):
        yield f"  if {name}_is_open then"
        yield f"    {name}_is_open := false; {name} := rest % 2 = 1;"
        yield "    rest := rest / 2; room := room / 2;"
        yield "  end;"


def _own(names: Names, row: Transition, by_name: bool) -> Iterator[str]:
    yield "rows := rows + 1;"
    if by_name:
        yield f"fired[rows] := {names.row[row.name]};"
    yield from (f"{names.kept[fact]} := false;" for fact in row.clears)
    yield from (f"{names.kept[fact]} := true;" for fact in row.sets)
    # all registers are read before any is written
    again = [source for source in row.assigns.values() if source in row.assigns]
    yield from (f"before_{names.register[r]} := {names.register[r]};" for r in again if r)
    for register, source in row.assigns.items():
        value = "NOBODY" if source is None else names.who(source)
        if source in again and source is not None:
            value = f"before_{names.register[source]}"
        yield f"{names.register[register]} := {value};"
    if row.target is not None:
        yield f"phase := {names.phase[row.target]};"


def indented(text: str, by: str) -> Iterator[str]:
    """The text on lines that are not too long, and no assignment or comparison torn apart."""
    lines = textwrap.wrap(
        _TOGETHER.sub(lambda found: found[0].replace(" ", _HARD), text),
        WIDTH,
        initial_indent=by,
        subsequent_indent=by or "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (line.replace(_HARD, " ") for line in lines)


_HARD: Final = "\xa0"
_TOGETHER: Final = re.compile(r"\S+ (:=|=|!=|<|<=) \S+")
