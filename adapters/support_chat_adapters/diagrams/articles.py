"""A chart as a book: an article on each phase, transition, trigger, effect and fact, on each arrow
of the picture, and one that tells every transition in a sentence.

Articles are HTML, and lead to each other by fragments like `#phase=ready`, so that a page of them
needs no script to be read, searched and printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, cast
from urllib.parse import quote

import attrs

from support_chat import Chart, Transition
from support_chat.chart.model import (
    Abandon,
    Arm,
    Ask,
    Detach,
    Hold,
    Join,
    Present,
    Raise,
    Same,
)

from .drawing import Drawing, Edge
from .exported import specified
from .views import along
from .wording import calls


@attrs.frozen
class Article:
    """What is told of one thing: its `kind`, its `name`, and lines of HTML."""

    kind: str
    name: str
    lines: tuple[str, ...]

    @property
    def html(self) -> str:
        """The article as an element; its id is what a link to it says."""
        heading = f'<h2><span class="kind">{self.kind}</span> {escape(self.name)}</h2>'
        head = f'<article id="{address(self.kind, self.name)}" data-kind="{self.kind}"'
        return "\n".join([f'{head} data-name="{escape(self.name)}">', heading, *self.lines]) + (
            "\n</article>"
        )


def address(kind: str, name: str) -> str:
    """The fragment of a link to an article, without its `#`."""
    return f"{kind}={quote(name, safe='')}"


def way_name(edge: Edge) -> str:
    """The name of the article on an arrow."""
    return f"{edge.source} → {edge.target}"


def articles(chart: Chart, drawing: Drawing) -> Iterator[Article]:
    """Every article of a chart, and of the arrows of this picture of it."""
    yield Article("chart", chart.name, tuple(_whole(chart)))
    for phase in map(str, chart.phases):
        yield Article("phase", phase, tuple(_phase(chart, phase)))
    for edge in drawing.edges:
        rows = along(chart, edge)
        yield Article("way", way_name(edge), ("<ul>", *_items(chart, rows), "</ul>"))
    for row in chart.transitions:
        yield Article("row", row.name, tuple(_row(chart, row)))
    for trigger in map(str, chart.triggers):
        yield Article("trigger", trigger, tuple(_trigger(chart, trigger)))
    for effect in map(str, chart.effects):
        yield Article("effect", effect, tuple(_effect(chart, effect)))
    for fact in map(str, chart.facts):
        yield Article("fact", fact, tuple(_fact(chart, fact)))


def sentence(chart: Chart, row: Transition) -> str:
    """A transition in one sentence of HTML, its name first."""
    called = calls(chart)
    on = _or(_link("trigger", t, f"{t}()" if t in called else t) for t in row.trigger)
    leaves = row.target is not None and {row.target} != set(row.sources)
    goes = f"goes to {_link('phase', str(row.target))}" if leaves else "stays"
    does = _commas(_link("effect", effect) for effect in row.effects)
    parts = [f"in {_phases(chart, row.sources)}, on {on}{_guard(row)}: {goes}"]
    parts += [f"does {does}"] if does else []
    parts += [f"raises {escape(row.error.error.__name__)}"] if row.error else []
    return f"{_link('row', row.name)}: {'; '.join(parts)}."


# --- the articles ---------------------------------------------------------------------------------


def _whole(chart: Chart) -> Iterator[str]:
    yield (
        f"<p>{len(chart.phases)} phases, {len(chart.transitions)} transitions, "
        f"{len(chart.triggers)} triggers, {len(chart.effects)} effects, {len(chart.facts)} facts. "
        f"It begins in {_link('phase', chart.initial)}.</p>"
    )
    yield f"<p>Phases: {_commas(_link('phase', phase) for phase in chart.phases)}.</p>"
    if told := calls(chart):
        yield f"<p>Calls: {_commas(_link('trigger', t, f'{t}()') for t in told)}.</p>"
    for group in chart.groups:
        rows = [row for row in chart.transitions if row.group == group]
        yield f"<details open><summary>{escape(group)} ({len(rows)})</summary><ul>"
        yield from _items(chart, rows)
        yield "</ul></details>"
    if chart.ignored:
        yield f"<details open><summary>ignored on purpose ({len(chart.ignored)})</summary><ul>"
        for entry in chart.ignored:
            on = _or(_link("trigger", trigger) for trigger in entry.triggers)
            where = _phases(chart, entry.phases)
            yield f"<li>{on} in {where}: {escape(entry.because)}</li>"
        yield "</ul></details>"


def _phase(chart: Chart, phase: str) -> Iterator[str]:
    parts = [part for part in chart.composites if phase in part.phases]
    for part in parts:
        yield f"<p>In <b>{escape(part.name)}</b>{f': {escape(part.doc)}' if part.doc else ''}.</p>"
    into = [r for r in chart.transitions if r.target == phase and {*r.sources} != {phase}]
    here = [row for row in chart.transitions if phase in row.sources]
    out = [row for row in here if row.target not in (None, phase)]
    before = [
        each
        for each in map(str, chart.phases)
        if each != phase and any(each in row.sources for row in into)
    ]
    after = dict.fromkeys(str(row.target) for row in out)
    reasons = dict.fromkeys(row.reason for row in into if row.reason)
    if phase == chart.initial:
        yield "<p>Everything begins here.</p>"
    if reasons:
        yield f"<p>Entered with the reason {_or(f'<q>{escape(each)}</q>' for each in reasons)}.</p>"
    if before:
        yield f"<p>Reached from {_or(_link('phase', each) for each in before)}.</p>"
    yield (
        f"<p>Leads to {_or(_link('phase', each) for each in after)}.</p>"
        if after
        else "<p>Nothing leads out of it.</p>"
    )
    called = calls(chart)
    yield "<h3>Calls</h3>" if called else ""
    for trigger in called:
        yield from _on(chart, phase, trigger, f"{trigger}()")
    yield "<h3>What else happens</h3>"
    for trigger in map(str, chart.triggers):
        if trigger not in called:
            yield from _on(chart, phase, trigger, trigger)
    yield f"<h3>Ways in ({len(into)})</h3><ul>"
    yield from _briefly(chart, into)
    yield f"</ul><h3>Ways out ({len(out)})</h3>"
    yield f"<p>{_commas(_link('row', row.name) for row in out)}</p>"


def _on(chart: Chart, phase: str, trigger: str, shown: str) -> Iterator[str]:
    """What a trigger does in a phase: its rows, or why it is ignored."""
    rows = chart.rows(phase, trigger)
    ignored = [e for e in chart.ignored if phase in e.phases and trigger in e.triggers]
    if rows:
        yield f"<p>{_link('trigger', trigger, shown)}</p><ul>"
        for row in rows:
            leaves = row.target not in (None, phase)
            aim = f"→ {_link('phase', str(row.target))}" if leaves else "stays"
            error = f"; raises {escape(row.error.error.__name__)}" if row.error else ""
            effects = _commas(_link("effect", effect) for effect in row.effects)
            does = f"; {effects}" if effects else ""
            yield f"<li>{_link('row', row.name)}{_guard(row)}: {aim}{does}{error}</li>"
        yield "</ul>"
    for entry in ignored:
        yield (
            f'<p class="ignored">{_link("trigger", trigger, shown)}: nothing, since '
            f"{escape(entry.because)}</p>"
        )


def _row(chart: Chart, row: Transition) -> Iterator[str]:
    yield f"<p>{sentence(chart, row)}</p><dl>"
    yield f"<dt>group</dt><dd>{escape(row.group)}</dd>"
    if row.when or row.unless:
        yield "<dt>guard</dt><dd><ul>"
        for facts, word in ((row.when, "holds"), (row.unless, "does not hold")):
            for fact in facts:
                doc = escape(chart.facts[fact].doc)
                yield f"<li>{_link('fact', fact)} {word}{f': <i>{doc}</i>' if doc else ''}</li>"
        yield "</ul></dd>"
    changes = [
        *(f"sets {_link('fact', fact)}" for fact in row.sets),
        *(f"clears {_link('fact', fact)}" for fact in row.clears),
        *(f"{escape(to)} becomes {escape(who or 'nobody')}" for to, who in row.assigns.items()),
    ]
    if changes:
        yield f"<dt>changes</dt><dd>{_commas(changes)}</dd>"
    if row.effects:
        yield "<dt>effects, in order</dt><dd><ol>"
        for effect in row.effects:
            doc = escape(chart.effects[effect].doc)
            yield f"<li>{_link('effect', effect)}{f': {doc}' if doc else ''}</li>"
        yield "</ol></dd>"
    if row.error:
        yield (
            f"<dt>error</dt><dd><b>{escape(row.error.error.__name__)}</b>: "
            f"{escape(row.error.message)}</dd>"
        )
    if row.reason:
        yield f"<dt>reason</dt><dd>{escape(row.reason)}</dd>"
    yield "</dl>"


def _trigger(chart: Chart, trigger: str) -> Iterator[str]:
    yield f"<p>It is {_or(_origins(chart, trigger))}.</p>"
    rows = [row for row in chart.transitions if trigger in row.trigger]
    yield f"<h3>What it does ({len(rows)})</h3><ul>"
    yield from _briefly(chart, rows)
    yield "</ul>"
    ignored = [entry for entry in chart.ignored if trigger in entry.triggers]
    if ignored:
        yield "<h3>Where it does nothing</h3><ul>"
        for entry in ignored:
            where = _phases(chart, entry.phases)
            yield f"<li>in {where}: {escape(entry.because)}</li>"
        yield "</ul>"


def _origins(chart: Chart, trigger: str) -> Iterator[str]:
    """Where a trigger comes from."""
    if trigger in calls(chart):
        yield "a call, or a hint from outside"
    if trigger in chart.events:
        yield f"an event of the {escape(chart.events[trigger])}"
    for name, spec in chart.effects.items():
        effect = _link("effect", name)
        match spec:
            case Ask() if trigger in spec.outcomes:
                yield f"an outcome of {effect}"
            case Arm(expiry=expiry) if expiry == trigger:
                yield f"the expiry of {effect}"
            case Raise(trigger=raised) if raised == trigger:
                yield f"an internal trigger, raised by {effect}"
            case Join(abandoned=abandoned) | Hold(abandoned=abandoned) if abandoned == trigger:
                yield f"told when nobody awaits what {effect} waits for"
            case _:
                pass


def _effect(chart: Chart, effect: str) -> Iterator[str]:
    spec = chart.effects[effect]
    if spec.doc:
        yield f"<p>{escape(spec.doc)}</p>"
    told = {name: value for name, value in specified(spec).items() if name != "doc" and value}
    yield f"<dl><dt>kind</dt><dd>{escape(told.pop('kind'))}</dd>"
    for name, value in told.items():
        yield f"<dt>{escape(name)}</dt><dd>{_value(chart, value)}</dd>"
    if isinstance(spec, Abandon | Detach):
        lanes = spec.lanes if isinstance(spec, Abandon) else (spec.lane,)
        asks = [
            _link("effect", name)
            for name, ask in chart.effects.items()
            if isinstance(ask, Ask) and ask.lane in lanes
        ]
        if asks:
            yield f"<dt>asked there</dt><dd>{_commas(asks)}</dd>"
    yield "</dl>"
    yield from _used(chart, "Asked for by", [r for r in chart.transitions if effect in r.effects])


def _fact(chart: Chart, fact: str) -> Iterator[str]:
    kind = chart.facts[fact]
    if kind.doc:
        yield f"<p>{escape(kind.doc)}</p>"
    told = specified(kind)
    yield f"<dl><dt>kind</dt><dd>{escape(told['kind'])}</dd>"
    if isinstance(kind, Same):
        yield f"<dt>compares</dt><dd>{escape(kind.left)}, {escape(kind.right)}</dd>"
    if isinstance(kind, Present):
        yield f"<dt>asks of</dt><dd>{escape(kind.register)}</dd>"
    for name in ("sets", "clears", "raises", "lowers", "frees"):
        if effects := told.get(name):
            links = _commas(_link("effect", effect) for effect in effects)
            yield f"<dt>{name}</dt><dd>{links}</dd>"
    yield "</dl>"
    rows = chart.transitions
    yield from _used(chart, "Set by", [row for row in rows if fact in row.sets])
    yield from _used(chart, "Cleared by", [row for row in rows if fact in row.clears])
    yield from _used(chart, "Must hold for", [row for row in rows if fact in row.when])
    yield from _used(chart, "Must not hold for", [row for row in rows if fact in row.unless])


# --- words ----------------------------------------------------------------------------------------


def _used(chart: Chart, heading: str, rows: list[Transition]) -> Iterator[str]:
    if rows:
        yield f"<h3>{heading} ({len(rows)})</h3>"
        yield f"<p>{_commas(_link('row', row.name) for row in rows)}</p>"


def _items(chart: Chart, rows: Iterable[Transition]) -> Iterator[str]:
    return (f"<li>{sentence(chart, row)}</li>" for row in rows)


def _briefly(chart: Chart, rows: Iterable[Transition]) -> Iterator[str]:
    """The rows, without what they do."""
    for row in rows:
        aim = f" → {_link('phase', str(row.target))}" if row.target else ""
        where = _phases(chart, row.sources)
        yield f"<li>{_link('row', row.name)}: in {where}{_guard(row)}{aim}</li>"


def _link(kind: str, name: str, shown: str | None = None) -> str:
    return f'<a href="#{address(kind, str(name))}">{escape(str(shown or name))}</a>'


def _guard(row: Transition) -> str:
    parts = [
        *(_link("fact", fact) for fact in row.when),
        *(f"not {_link('fact', fact)}" for fact in row.unless),
    ]
    return f", if {_and(parts)}" if parts else ""


def _phases(chart: Chart, phases: Iterable[str]) -> str:
    wanted = {*phases}
    missing = [phase for phase in chart.phases if phase not in wanted]
    if not missing:
        return "any phase"
    if len(missing) <= 2 < len(wanted):
        return f"any phase but {_or(_link('phase', phase) for phase in missing)}"
    return _or(_link("phase", phase) for phase in chart.phases if phase in wanted)


def _value(chart: Chart, value: Any) -> str:
    """What an effect declares, with links where it names a trigger."""
    if isinstance(value, str):
        return _link("trigger", value) if value in chart.triggers else escape(value)
    if isinstance(value, list | tuple):
        return _commas(escape(str(each)) for each in cast("Iterable[object]", value))
    return "yes"


def _commas(words: Iterable[str]) -> str:
    return ", ".join(words)


def _and(words: Iterable[str]) -> str:
    return _listed([*words], "and")


def _or(words: Iterable[str]) -> str:
    return _listed([*words], "or")


def _listed(words: list[str], last: str) -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)
