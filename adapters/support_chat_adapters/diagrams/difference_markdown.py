"""Writes a difference between two charts as Markdown, for a person and for the comment on a
change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from support_chat import Chart, Transition
from support_chat.verify.reports import WORDS

from .difference import Change, Difference, Entries, Pair, Turn
from .wording import all_but, guard

_ONE_OF: Final[Mapping[str, str]] = {
    "phases": "phase", "triggers": "trigger", "external": "external trigger",
    "registers": "register", "facts": "fact", "effects": "effect", "events": "event",
    "composites": "composite", "ignored": "ignored",
}  # fmt: skip
_NOTHING: Final = "nothing"
_OPEN: Final = WORDS[None]


@attrs.frozen
class Side:
    """One of the two charts: what it was asked for as, and how many states and steps exploring it
    found, in words.
    """

    name: str
    chart: Chart
    states: str
    steps: str


def markdown(found: Difference, old: Side, new: Side, turned: Sequence[Turn]) -> str:
    """The difference between the charts of `old` and `new`, and the verdicts that `turned`, as
    Markdown.
    """
    lines = [f"# {_plain(old.name)} → {_plain(new.name)}", ""]
    if not found:
        lines += ["The charts do not differ.", ""]
    lines += [
        "| | old | new |",
        "|---|---|---|",
        f"| transitions | {len(old.chart.transitions):,} | {len(new.chart.transitions):,} |",
        f"| states | {_plain(old.states)} | {_plain(new.states)} |",
        f"| steps | {_plain(old.steps)} | {_plain(new.steps)} |",
    ]
    lines += _transitions(found.transitions, old.chart, new.chart)
    for title, pairs, chart in (
        ("Newly accepted", found.accepted, new.chart),
        ("Newly refused", found.refused, new.chart),
        ("Newly ignored", found.ignored, new.chart),
        ("No longer accepted", found.dropped, old.chart),
    ):
        lines += _listed(f"## {title}", _by_trigger(chart, pairs))
    lines += _listed(
        "## Declarations",
        (line for kind, entries in found.declared.items() for line in _declared(kind, entries)),
    )
    return "\n".join([*lines, *_verdicts(turned)]) + "\n"


def _transitions(found: Entries, old: Chart, new: Chart) -> Iterator[str]:
    rows = {
        **{row.name: row for row in old.transitions},
        **{row.name: row for row in new.transitions},
    }
    yield from _listed("## Transitions added", (_row(new, rows[name]) for name in found.added))
    yield from _listed("## Transitions removed", (_row(old, rows[name]) for name in found.removed))
    if found.changed:
        yield from ("", "## Transitions changed", "")
        for one in found.changed:
            yield f"- `{one.name}`"
            yield from (f"  - {_change(change)}" for change in one.changes)


def _row(chart: Chart, row: Transition) -> str:
    on = f"`{', '.join(row.trigger)}` in {all_but(chart, row.sources)}"
    asked = [
        f"`{guard(row)}`" if guard(row) else "",
        f"→ {row.target}" if row.target else "",
        f"`{', '.join(row.effects)}`",
    ]
    return f"`{row.name}`: {' '.join(part for part in (on, *asked) if part and part != '``')}"


def _change(change: Change) -> str:
    gone = [word for word in change.before if word not in change.after]
    come = [word for word in change.after if word not in change.before]
    if len(change.before) <= 1 and len(change.after) <= 1:
        return f"{change.what}: {_code(change.before)} → {_code(change.after)}"
    if gone or come:
        return f"{change.what}: " + ", ".join(
            [*(f"− `{word}`" for word in gone), *(f"+ `{word}`" for word in come)]
        )
    return f"{change.what}: {_code(change.before)} → {_code(change.after)}, in another order"


def _declared(kind: str, entries: Entries) -> Iterator[str]:
    word = _ONE_OF.get(kind, kind)
    yield from (f"+ {word} `{name}`" for name in entries.added)
    yield from (f"− {word} `{name}`" for name in entries.removed)
    for one in entries.changed:
        named = "the chart" if kind == "chart" else f"{word} `{one.name}`"
        yield from (f"{named}: {_change(change)}" for change in one.changes)


def _by_trigger(chart: Chart, pairs: Sequence[Pair]) -> Iterator[str]:
    for trigger in dict.fromkeys(pair.trigger for pair in pairs):
        yield (
            f"`{trigger}` in "
            f"{all_but(chart, [pair.phase for pair in pairs if pair.trigger == trigger])}"
        )


def _verdicts(turned: Sequence[Turn]) -> Iterator[str]:
    settled = [one for one in turned if one.after != _OPEN]
    left_open = [one.id for one in turned if one.after == _OPEN]
    if turned:
        yield from ("", "## Verdicts that change")
    if settled:
        yield from ("", "| property | | old | new |", "|---|---|---|---|")
        yield from (
            f"| {one.id} | {_plain(one.sentence)} | {one.before or '–'} | {one.after or '–'} |"
            for one in settled
        )
    if left_open:
        yield from (
            "",
            f"A limit was hit before the new chart was explored: open are {', '.join(left_open)}.",
        )
    told = [one for one in turned if one.story]
    if told:  # one fault often breaks many properties: the shortest story is the one that shows it
        shortest = min(told, key=lambda one: one.story.count("\n"))
        yield from (
            "",
            f"How {shortest.id} comes to fail:",
            "",
            "```text",
            *shortest.story.splitlines(),
            "```",
        )


def _listed(title: str, entries: Iterable[str]) -> Iterator[str]:
    lines = [f"- {entry}" for entry in entries]
    if lines:
        yield from ("", title, "", *lines)


def _code(words: Iterable[str]) -> str:
    text = ", ".join(words)
    return f"`{text}`" if text else _NOTHING


def _plain(text: str) -> str:
    return re.sub(r"([|<>*`])", r"\\\1", text.replace("\n", " "))
