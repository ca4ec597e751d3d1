"""What differs between two charts: rows, declarations, which trigger is answered how in which
phase, states and verdicts; as a value, and as Markdown for the comment on a change.

Rows are compared by name and entry by entry as they are exported, so nothing of a chart can change
unnoticed; only what means nothing is left out, the order of rows and of names. The order of a row's
effects means something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from support_chat import Chart, Transition
from support_chat.chart.model import Note, Refuse
from support_chat.verify import Report
from support_chat.verify.reports import WORDS
from support_chat.verify.story import story

from .exported import to_json
from .wording import all_but, guard

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
IGNORED: Final = "ignored"

_Entry: TypeAlias = "dict[str, tuple[str, ...]]"
_ORDERED: Final = "effects"
_ONE_OF: Final[Mapping[str, str]] = {
    "phases": "phase", "triggers": "trigger", "external": "external trigger",
    "registers": "register", "facts": "fact",
    "effects": "effect", "events": "event", "composites": "composite", "ignored": "ignored",
}  # fmt: skip
_NOTHING: Final = "nothing"
_OPEN: Final = WORDS[None]


@attrs.frozen
class Change:
    """One attribute of an entry that both charts have: what it says in the old one and in the new
    one.
    """

    what: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@attrs.frozen
class Changed:
    """An entry that both charts have and that is not the same in both."""

    name: str
    changes: tuple[Change, ...]


@attrs.frozen
class Entries:
    """The entries of one kind (transitions, facts, phases...) that only one of the charts has, or
    that changed; by name.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@attrs.frozen
class Pair:
    """A trigger in a phase."""

    phase: str
    trigger: str


_Answers: TypeAlias = Mapping[Pair, frozenset[str]]


@attrs.frozen(kw_only=True)
class Difference:
    """What differs between two charts as they are written; false if nothing does.

    A pair is *accepted* if a row of it does something, *refused* if a row of it only raises an
    error, *ignored* if the chart says so; it may be the first two at once, distinguished by guards.
    `dropped` are those that were accepted and are not any more.
    """

    transitions: Entries
    declared: Mapping[str, Entries]
    accepted: tuple[Pair, ...]
    refused: tuple[Pair, ...]
    ignored: tuple[Pair, ...]
    dropped: tuple[Pair, ...]

    def __bool__(self) -> bool:
        return bool(self.transitions) or any(self.declared.values())


@attrs.frozen
class Turn:
    """A property whose verdict is not the same for both charts; a verdict is None where only the
    other chart has the property.
    """

    id: str
    sentence: str
    before: str | None
    after: str | None
    story: str = ""
    """How the new chart fails it; empty if it does not."""


def difference(old: Chart, new: Chart) -> Difference:
    """What differs between `old` and `new`."""
    before, after = _entries(old), _entries(new)
    # those of one chart only count as pairs
    both = before["ignored"].keys() & after["ignored"].keys()
    for entries in (before, after):
        entries["ignored"] = {
            pair: entry for pair, entry in entries["ignored"].items() if pair in both
        }
    compared = {kind: _compared(before[kind], after[kind]) for kind in before}
    was, is_now = answers(old), answers(new)
    return Difference(
        transitions=compared.pop("transitions"),
        declared=compared,
        accepted=_only(ACCEPTED, is_now, was),
        refused=_only(REFUSED, is_now, was),
        ignored=_only(IGNORED, is_now, was),
        dropped=_only(ACCEPTED, was, is_now),
    )


def _only(answer: str, here: _Answers, there: _Answers) -> tuple[Pair, ...]:
    return tuple(
        pair
        for pair, found in here.items()
        if answer in found and answer not in there.get(pair, ())
    )


def answers(chart: Chart) -> dict[Pair, frozenset[str]]:
    """How each trigger is answered in each phase, in the chart's order; empty where only superseded
    outcomes are disposed of.
    """
    ignored = {
        Pair(str(phase), str(trigger))
        for entry in chart.ignored
        for phase in entry.phases
        for trigger in entry.triggers
    }
    found: dict[Pair, frozenset[str]] = {}
    for phase in chart.phases:
        for trigger in chart.triggers:
            pair = Pair(str(phase), str(trigger))
            by_rows = {
                _answer(chart, row)
                for row in chart.rows(phase, trigger)
                if chart.late is None or chart.late not in row.when
            }
            found[pair] = frozenset({*by_rows, *((IGNORED,) if pair in ignored else ())})
    return found


def _answer(chart: Chart, row: Transition) -> str:
    specs = [chart.effects[effect] for effect in row.effects]
    if (
        row.target
        or row.sets
        or row.clears
        or row.assigns
        or any(not isinstance(spec, Refuse | Note) for spec in specs)
        or any(isinstance(spec, Note) and spec.opens for spec in specs)
    ):
        return ACCEPTED
    if row.error is not None:
        return REFUSED
    return ACCEPTED if specs else IGNORED


def turns(old: Report, new: Report) -> tuple[Turn, ...]:
    """The properties whose verdict changes from one report to the other, those of the new one
    first.
    """
    was = {verdict.property.id: verdict for verdict in old.verdicts}
    found: list[Turn] = []
    for verdict in new.verdicts:
        earlier = was.pop(verdict.property.id, None)
        before, after = WORDS[earlier.held] if earlier else None, WORDS[verdict.held]
        if before != after:
            how = story(new.space.model, verdict) if verdict.held is False else ""
            found.append(Turn(verdict.property.id, verdict.property.sentence, before, after, how))
    return (
        *found,
        *(Turn(id, gone.property.sentence, WORDS[gone.held], None) for id, gone in was.items()),
    )


# --- a chart as entries of words ------------------------------------------------------------------


def _entries(chart: Chart) -> dict[str, dict[str, _Entry]]:  # by kind, by name, by attribute
    document: dict[str, Any] = json.loads(to_json(chart))
    found: dict[str, dict[str, _Entry]] = {"transitions": {}}
    whole: _Entry = {}
    for key, value in document.items():
        if key in ("transitions", "composites"):
            found[key] = {row["name"]: _attributes(row) for row in value}
        elif key in ("facts", "effects"):
            found[key] = {name: _attributes(spec) for name, spec in value.items()}
        elif key == "events":
            found[key] = {name: {"of": tuple(_words(said))} for name, said in value.items()}
        elif key == "ignored":
            found[key] = {
                f"{trigger} in {phase}": {"because": (entry["because"],)}
                for entry in value
                for phase in entry["phases"]
                for trigger in entry["triggers"]
            }
        elif isinstance(value, list):
            found[key] = {name: {} for name in _words(value)}
        else:
            whole[key] = tuple(_words(value))
    found["chart"] = {"chart": whole}
    return found


def _attributes(entry: Mapping[str, Any]) -> _Entry:
    return {key: tuple(_words(value)) for key, value in entry.items() if key != "name"}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        said = cast("Mapping[str, Any]", value)
        if said.keys() == {"error", "message"}:
            yield f"{said['error']}: {said['message']}"
        else:
            yield from (
                f"{register} := {'nobody' if source is None else source}"
                for register, source in said.items()
            )
    elif isinstance(value, list):
        yield from map(str, cast("Iterable[Any]", value))
    elif value is not None:
        yield "yes" if value is True else str(value)


def _compared(before: Mapping[str, _Entry], after: Mapping[str, _Entry]) -> Entries:
    changed = (
        Changed(name, tuple(_changes(entry, after[name])))
        for name, entry in before.items()
        if name in after
    )
    return Entries(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(one for one in changed if one.changes),
    )


def _changes(before: _Entry, after: _Entry) -> Iterator[Change]:
    for what in dict.fromkeys((*before, *after)):
        was, is_now = before.get(what, ()), after.get(what, ())
        alike = was == is_now if what == _ORDERED else sorted(was) == sorted(is_now)
        if not alike:
            yield Change(what, was, is_now)


# --- as Markdown ----------------------------------------------------------------------------------


@attrs.frozen
class Side:
    """One of the two charts: its name on the command line, and how many states and steps exploring
    it found, in words.
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
    parts = [
        f"`{guard(row)}`" if guard(row) else "",
        f"→ {row.target}" if row.target else "",
        f"`{', '.join(row.effects)}`",
    ]
    return f"`{row.name}`: {' '.join(part for part in (on, *parts) if part and part != '``')}"


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
    stories = [one for one in turned if one.story]
    if stories:  # one mistake often breaks many properties: the shortest story shows it best
        shortest = min(stories, key=lambda one: one.story.count("\n"))
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
