"""Writes the whole chart as Markdown tables: one row for each transition, then what the facts and
the effects mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from support_chat import Chart, Transition
from support_chat.chart.composites import as_written
from support_chat.chart.model import Composite, Present, Same

from .wording import all_but, calls, guard, spoken

_STAYS = "(stays)"


def table(chart: Chart) -> str:
    """Every transition of the chart by group, every fact and every effect, as Markdown."""
    lines = [
        f"# {chart.name}: every transition",
        "",
        f"{len(chart.phases)} phases, {len(chart.triggers)} triggers, {len(chart.facts)} facts, "
        f"{len(chart.transitions)} transitions. "
        "A transition fires on its trigger, in one of the phases named, if its guard holds (`!` "
        "negates a fact). "
        "A row that begins or ends a composite does what that says, too. "
        f"Calls are written `{(*calls(chart), 'call')[0]}()`.",
    ]
    sections: list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]] = [
        *(
            (
                group,
                ("transition", "trigger", "in", "guard", "goes to", "remembers", "effects"),
                [_cells(chart, row) for row in chart.transitions if row.group == group],
            )
            for group in chart.groups
        ),
        (
            "Composites",
            ("composite", "meaning", "spans", "entry", "exit", "at its end"),
            [_composite(part) for part in chart.composites],
        ),
        (
            "Ignored on purpose",
            ("trigger", "in", "because"),
            [
                (_code(spoken(chart, e.triggers)), all_but(chart, e.phases), e.because)
                for e in chart.ignored
            ],
        ),
        (
            "Facts",
            ("fact", "kind", "meaning"),
            [(f"`{fact}`", _kind(kind), kind.doc) for fact, kind in chart.facts.items()],
        ),
        (
            "Effects",
            ("effect", "kind", "meaning"),
            [
                (f"`{effect}`", type(spec).__name__.lower(), spec.doc)
                for effect, spec in chart.effects.items()
            ],
        ),
    ]
    for title, heads, rows in sections:
        if rows:
            lines += ["", f"## {title}", "", *_grid(heads, rows)]
    return "\n".join(lines) + "\n"


def _cells(chart: Chart, row: Transition) -> tuple[str, ...]:
    written = as_written(row, chart.composites)
    error = f" raises {row.error.error.__name__}" if row.error else ""
    return (
        f"`{row.name}`",
        _code(spoken(chart, row.trigger)),
        all_but(chart, row.sources),
        f"`{guard(row)}`" if guard(row) else "",
        str(row.target) if row.target else _STAYS,
        _code(_remembered(row.sets, written.clears, written.assigns)),
        _code(written.effects) + error,
    )


def _remembered(
    sets: Iterable[str], clears: Iterable[str], assigns: Mapping[str, str | None]
) -> tuple[str, ...]:
    return (
        *(f"+{fact}" for fact in sets),
        *(f"-{fact}" for fact in clears),
        *(f"{register} := {value or 'nobody'}" for register, value in assigns.items()),
    )


def _composite(part: Composite) -> tuple[str, ...]:
    span = f"while {part.fact}" if part.fact is not None else ", ".join(part.phases)
    return (
        f"`{part.name}`",
        part.doc,
        f"{span}, within {part.within}" if part.within else span,
        _code(part.entry),
        _code(part.exit),
        _code(_remembered((), part.clears, part.assigns)),
    )


def _kind(kind: object) -> str:
    word = type(kind).__name__.lower()
    if isinstance(kind, Same):
        return f"{word}: {kind.left} = {kind.right}"
    return f"{word}: {kind.register}" if isinstance(kind, Present) else word


def _code(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return f"`{text}`" if text else ""


def _grid(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
