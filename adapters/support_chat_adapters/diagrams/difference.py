"""What differs between two charts: rows, declarations, which trigger is answered how in which
phase, states and verdicts.

Rows are compared by name and entry by entry as they are exported, so nothing of a chart can change
unnoticed; only what means nothing is left out, the order of rows and of names. The order of a row's
effects means something.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

import attrs

from support_chat import CHART, Chart, Transition
from support_chat.chart.model import Note
from support_chat.verify import Report
from support_chat.verify.reports import WORDS
from support_chat.verify.story import story

from .exported import to_json

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
IGNORED: Final = "ignored"

_Entry: TypeAlias = "dict[str, tuple[str, ...]]"
_ORDERED: Final = "effects"


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


@attrs.frozen(kw_only=True)
class Difference:
    """What differs between two charts as they are written; false if nothing does.

    A pair is *accepted* if a row of it does something, *refused* if a row of it only raises an
    error, *ignored* if the chart says so; it may be the first two at once, told apart by guards.
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
    # those of one chart only are told as pairs
    both = before["ignored"].keys() & after["ignored"].keys()
    for entries in (before, after):
        entries["ignored"] = {
            pair: entry for pair, entry in entries["ignored"].items() if pair in both
        }
    compared = {kind: _compared(before[kind], after[kind]) for kind in before}
    was, is_now = answers(old), answers(new)

    def newly(answer: str) -> tuple[Pair, ...]:
        return tuple(
            pair
            for pair, found in is_now.items()
            if answer in found and answer not in was.get(pair, ())
        )

    return Difference(
        transitions=compared.pop("transitions"),
        declared=compared,
        accepted=newly(ACCEPTED),
        refused=newly(REFUSED),
        ignored=newly(IGNORED),
        dropped=tuple(
            pair
            for pair, found in was.items()
            if ACCEPTED in found and ACCEPTED not in is_now.get(pair, ())
        ),
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
        or any(not isinstance(spec, Note) or spec.opens for spec in specs)
    ):
        return ACCEPTED
    if row.error is not None:
        return REFUSED
    return ACCEPTED if specs else IGNORED


def has_catalogue(chart: Chart) -> bool:
    """Whether the chart has every name of the shipped one, so that the shipped chart's properties
    can be asked of it.
    """
    return all(
        set(wanted) <= set(had)
        for wanted, had in (
            (CHART.phases, chart.phases),
            (CHART.triggers, chart.triggers),
            (CHART.facts, chart.facts),
            (CHART.effects, chart.effects),
            (CHART.registers, chart.registers),
        )
    )


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
            told = story(new.space.model, verdict) if verdict.held is False else ""
            found.append(Turn(verdict.property.id, verdict.property.sentence, before, after, told))
    return (
        *found,
        *(Turn(id, gone.property.sentence, WORDS[gone.held], None) for id, gone in was.items()),
    )


# --- a chart as entries of words ------------------------------------------------------------------


def _entries(chart: Chart) -> dict[str, dict[str, _Entry]]:
    """Everything that the chart says: by kind, by name, by attribute."""
    document: dict[str, Any] = json.loads(to_json(chart))
    found: dict[str, dict[str, _Entry]] = {"transitions": {}}
    whole: _Entry = {}
    for key, value in document.items():
        if key == "transitions":
            found[key] = {row["name"]: _attributes(row) for row in value}
        elif key in ("facts", "effects"):
            found[key] = {name: _attributes(spec) for name, spec in value.items()}
        elif key in ("events", "composites"):
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
