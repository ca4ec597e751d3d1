"""The views of a chart: the whole in about thirty arrows, and one group at a time with guards and
effects.

The overview answers "where can it go from here, and why": parallel arrows are one, a composite is
left and ended as a whole, what leads somewhere from everywhere is drawn once, and what changes no
phase (refusals, joins, late results) is left out. A group shows every row of its own: its arrows
are short; guards and effects stand in its boxes, or in a table below.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from textwrap import wrap

import attrs

from support_chat import Chart, Effect, InvalidInputError, Transition
from support_chat.chart.composites import as_written
from support_chat.chart.model import Raise

from .drawing import Drawing, Edge, Frame, Node
from .wording import ANY, all_but, composites, guard, spoken, taken_together

LISTED = 3
"""At most so many lines on an arrow of the overview; a longer list ends with how many more there
are.
"""
INSIDE = 46
"""The widest line of text in a box of a group's picture, in characters."""
SEVERAL = "in several phases"
"""The box of a group's picture for the rows of more than one phase."""
COLUMNS = (("transition", 28), ("trigger", 22), ("phase", 30), ("guard", 30), ("effects", 40))
"""The table of a group: the heads, and the widest line of each column in characters."""


def overview(chart: Chart) -> Drawing:
    """The whole chart, short enough for a README: every phase, every way from one to another, the
    triggers listed shortly.
    """
    ways: dict[tuple[str, str], set[str]] = {}
    for row in chart.transitions:
        for source in _left(row):
            ways.setdefault((str(source), str(row.target)), set()).update(row.trigger)
    usual = Counter(
        (trigger, target) for (_, target), triggers in ways.items() for trigger in triggers
    )
    _leave_as_a_whole(chart, ways)
    _from_everywhere(chart, ways)
    left = {source for row in chart.transitions for source in _left(row)}
    internal = {spec.trigger for spec in chart.effects.values() if isinstance(spec, Raise)}
    nodes = [Node(str(phase), str(phase)) for phase in chart.phases]
    if any(source == ANY for source, _ in ways):
        nodes.append(Node(ANY, ANY, pseudo=True))
    return Drawing(
        title=f"{chart.name}: overview",
        nodes=tuple(nodes),
        frames=_frames(chart),
        edges=tuple(
            Edge(
                source,
                target,
                _shortly(
                    spoken(chart, triggers - internal or triggers, _telling(chart, usual, target))
                ),
            )
            for (source, target), triggers in ways.items()
        ),
        initial=str(chart.initial),
        final=tuple(str(phase) for phase in chart.phases if phase not in left),
    )


def group(chart: Chart, name: str) -> Drawing:
    """What the user is doing in one group, row by row; it may be named as its file is. Raises
    InvalidInputError for a group that the chart does not have.
    """
    rows = _rows(chart, name)
    inside: dict[str, list[Transition]] = {}
    edges: dict[tuple[str, str], list[Transition]] = {}
    for row in rows:
        inside.setdefault(all_but(chart, row.sources), []).append(row)
        for source in taken_together(chart, _left(row)):
            edges.setdefault((source, str(row.target)), []).append(row)
    ends = {end for edge in edges for end in edge}
    frames = tuple(frame for frame in _frames(chart) if frame.name in ends)
    shown = {*ends, *inside, *(member for frame in frames for member in frame.members)}
    nodes = [
        Node(phase, phase, tuple(_lines(chart, inside.pop(phase, ()))))
        for phase in map(str, chart.phases)
        if phase in shown
    ]
    if inside:  # first, so that it stands aside: what is put in last stands amid the arrows
        several = [
            line
            for place, here in inside.items()
            for line in (f"in {place} –", *_lines(chart, here))
        ]
        nodes.insert(0, Node(SEVERAL, SEVERAL, tuple(several), pseudo=True))
    if ANY in ends:
        nodes.append(Node(ANY, ANY, pseudo=True))
    return Drawing(
        title=f"{chart.name}: {name}",
        nodes=tuple(nodes),
        frames=frames,
        edges=tuple(_arrow(chart, ends, along) for ends, along in edges.items()),
        initial=str(chart.initial) if str(chart.initial) in shown else None,
    )


def group_on_the_map(chart: Chart, name: str) -> Drawing:
    """The overview with the triggers of one group at its arrows, and a table of the group's rows;
    the table alone for a group without arrows. Raises InvalidInputError likewise.
    """
    rows = _rows(chart, name)
    whole = overview(chart)
    edges = [
        attrs.evolve(edge, label=_triggers(chart, [r for r in along(chart, edge) if r in rows]))
        for edge in whole.edges
    ]
    title = f"{chart.name}: {name}"
    table = (tuple(head for head, _ in COLUMNS), *(_cells(chart, row) for row in rows))
    if not any(edge.label for edge in edges):
        return Drawing(title=title, nodes=(), table=table)
    return attrs.evolve(whole, title=title, edges=tuple(edges), table=table)


def along(chart: Chart, edge: Edge) -> list[Transition]:
    """The rows that an arrow of the overview stands for."""
    sources = {*covered(chart, edge.source)}
    return [
        row
        for row in chart.transitions
        if row.target == edge.target and not sources.isdisjoint(_left(row))
    ]


def covered(chart: Chart, end: str) -> tuple[str, ...]:
    """The phases that an end of an arrow stands for."""
    return {ANY: chart.phases, **composites(chart)}.get(end, (end,))


def lit(chart: Chart, drawing: Drawing, path: Sequence[str]) -> Drawing:
    """The drawing with the phases of a path lit, and the arrows from each to the next one. Raises
    InvalidInputError for what is no phase, and where nothing leads on.
    """
    for phase in path:
        if phase not in chart.phases:
            raise InvalidInputError(
                f"The chart {chart.name!r} has no phase {phase!r}; it has: "
                f"{', '.join(chart.phases)}."
            )
    ways = [
        edge
        for source, target in pairwise(path)
        for edge in drawing.edges
        if edge.target == target and source in covered(chart, edge.source)
    ]
    for source, target in pairwise(path):
        if not any(w.target == target and source in covered(chart, w.source) for w in ways):
            raise InvalidInputError(f"Nothing here leads from {source!r} to {target!r}.")
    return attrs.evolve(
        drawing,
        nodes=tuple(attrs.evolve(node, lit=node.name in path) for node in drawing.nodes),
        edges=tuple(attrs.evolve(edge, lit=edge in ways) for edge in drawing.edges),
    )


def slugs(chart: Chart) -> Mapping[str, str]:
    """The name of each group as that of a file, none twice and none that another file has."""
    found: dict[str, str] = {}
    taken = {"overview", "table", "calls", "chart", "readme"}
    for name in chart.groups:
        slug = re.sub(r"\W+", "-", name).strip("-") or "group"
        while slug.lower() in taken:
            slug += "-2"
        found[name] = slug
        taken.add(slug.lower())
    return found


def _rows(chart: Chart, name: str) -> list[Transition]:
    named = {slug: name for name, slug in slugs(chart).items()} | {g: g for g in chart.groups}
    rows = [row for row in chart.transitions if row.group == named.get(name)]
    if not rows:
        raise InvalidInputError(
            f"The chart {chart.name!r} has no group {name!r}; it has: {', '.join(chart.groups)}."
        )
    return rows


def _left(row: Transition) -> list[str]:
    return [source for source in row.sources if row.target not in (None, source)]


def _triggers(chart: Chart, rows: Iterable[Transition]) -> tuple[str, ...]:
    return spoken(chart, {trigger for row in rows for trigger in row.trigger})


def _frames(chart: Chart) -> tuple[Frame, ...]:
    return tuple(Frame(name, phases) for name, phases in composites(chart).items())


def _leave_as_a_whole(chart: Chart, ways: dict[tuple[str, str], set[str]]) -> None:
    """Where every member of a composite leads to a phase outside, the composite does, by any of
    their triggers.
    """
    for name, members in composites(chart).items():
        for target in [str(phase) for phase in chart.phases if phase not in members]:
            if all((member, target) in ways for member in members):
                _merge(ways, [(member, target) for member in members], (name, target))


def _from_everywhere(chart: Chart, ways: dict[tuple[str, str], set[str]]) -> None:
    """Where whatever is left leads to a phase by the same triggers, `any phase` does."""
    wholes = composites(chart)
    for target in map(str, chart.phases):
        arriving = {source: triggers for (source, end), triggers in ways.items() if end == target}
        covered = {member for source in arriving for member in wholes.get(source, (source,))}
        same = len({frozenset(triggers) for triggers in arriving.values()}) == 1
        if same and len(arriving) > 2 and covered >= set(chart.phases) - {target}:
            _merge(ways, [(source, target) for source in arriving], (ANY, target))


def _merge(
    ways: dict[tuple[str, str], set[str]], old: list[tuple[str, str]], new: tuple[str, str]
) -> None:
    ways[new] = set[str]().union(*[ways.pop(way) for way in old])


def _telling(
    chart: Chart, usual: Mapping[tuple[str, str], int], target: str
) -> Callable[[str], tuple[int, ...]]:
    """What leads to `target` from many phases, seldom means anything else, and is more than a hint,
    tells most.
    """

    def rank(trigger: str) -> tuple[int, ...]:
        current = (
            row
            for row in chart.transitions
            if trigger in row.trigger and chart.late not in row.when
        )
        otherwise = sum(row.target != target for row in current)
        return -usual[trigger, target], otherwise, trigger in chart.external

    return rank


def _shortly(labels: tuple[str, ...]) -> tuple[str, ...]:
    return (
        labels
        if len(labels) <= LISTED
        else (*labels[: LISTED - 1], f"+ {len(labels) - LISTED + 1} more")
    )


def _arrow(chart: Chart, ends: tuple[str, str], rows: Iterable[Transition]) -> Edge:
    """An arrow with its triggers, and a hint that effects stand in the boxes: Mermaid lets long
    labels hide each other.
    """
    *triggers, last = _triggers(chart, rows)
    effects = any(row.effects for row in rows)
    return Edge(*ends, (*triggers, f"{last} / …" if effects else last))


def _lines(chart: Chart, rows: Iterable[Transition]) -> Iterator[str]:
    """Names with triggers and guards, then what they lead to; rows that ask for the same say so
    once.
    """
    alike: dict[str, list[str]] = {}
    for row in rows:
        words = [", ".join(_triggers(chart, [row])), guard(row), _aim(row)]
        head = f"{row.name}: {' '.join(word for word in words if word)}"
        alike.setdefault(_effects(chart, row), []).append(head)
    for effects, heads in alike.items():
        for text in (*heads, f"/ {effects}" if effects else ""):
            yield from _wrapped(text, INSIDE)
    said = {word for effects in alike for word in effects.split(", ")}
    for part in chart.composites:  # what their words stand for is told once in a box
        for word, does in ((f"begin {part.name}", part.entry), (f"end {part.name}", part.exit)):
            if word in said:
                yield from _wrapped(f"{word} / {', '.join(does)}", INSIDE)


def _cells(chart: Chart, row: Transition) -> tuple[str, ...]:
    texts = (
        row.name,
        ", ".join(_triggers(chart, [row])),
        f"{all_but(chart, row.sources)} {_aim(row)}",
        guard(row),
        _effects(chart, row),
    )
    return tuple(
        "\n".join(_wrapped(text, width)) for text, (_, width) in zip(texts, COLUMNS, strict=True)
    )


def _aim(row: Transition) -> str:
    return f"→ {row.target}" if _left(row) else ""


def _effects(chart: Chart, row: Transition) -> str:
    return ", ".join(
        f"{e} {row.error.error.__name__}" if e == Effect.REFUSE and row.error else e
        for e in as_written(row, chart.composites).effects
    )


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, subsequent_indent="  ", break_long_words=False)
