"""The views of a chart: the whole in about thirty arrows, and one group at a time with guards and
effects.

The overview answers "where can it go from here, and why": parallel arrows are one, a composite is
left and ended as a whole, what leads somewhere from everywhere is drawn once, and what changes no
phase (refusals, joins, late results) is left out. A group shows every row of its own: what leaves a
phase as an arrow, what stays as lines inside a box.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import wrap

import attrs

from support_chat import Chart, Effect, InvalidInputError, Transition
from support_chat.chart.model import Raise

from .drawing import Drawing, Edge, Frame, Node
from .wording import ANY, all_but, composites, guard, spoken, taken_together

LISTED = 3
"""At most so many lines on an arrow of the overview; a longer list ends with how many more there
are.
"""
INSIDE, BESIDE = 46, 24
"""The widest line of text in a box and at an arrow of a group's picture, in characters; Mermaid
breaks what is wider anyhow.
"""
TALLEST = 14
"""The most lines at an arrow of a group's picture; one that would need more leaves its effects to
the table.
"""
SEVERAL = "in several phases"
"""The box of a group's picture for what happens in more than one phase and leaves none."""


def overview(chart: Chart) -> Drawing:
    """The whole chart, short enough for a README: every phase, every way from one to another, the
    triggers listed shortly.
    """
    ways: dict[tuple[str, str], set[str]] = {}
    for row in chart.transitions:
        for source in row.sources:
            if row.target is not None and source != row.target:
                ways.setdefault((str(source), str(row.target)), set()).update(row.trigger)
    usual = Counter(
        (trigger, target) for (_, target), triggers in ways.items() for trigger in triggers
    )
    _leave_as_a_whole(chart, ways)
    _from_everywhere(chart, ways)
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
        final=_final(chart),
    )


def group(chart: Chart, name: str) -> Drawing:
    """What the user is doing in one group, row by row. Raises InvalidInputError for a group that
    the chart does not have.
    """
    rows = [row for row in chart.transitions if row.group == name]
    if not rows:
        raise InvalidInputError(
            f"The chart {chart.name!r} has no group {name!r}; it has: {', '.join(chart.groups)}."
        )
    inside: dict[str, list[Transition]] = {}
    edges: dict[tuple[str, str], list[Transition]] = {}
    for row in rows:
        moving = [source for source in row.sources if row.target not in (None, source)]
        for source in taken_together(chart, moving):
            edges.setdefault((source, str(row.target)), []).append(row)
        if staying := [source for source in row.sources if source not in moving]:
            inside.setdefault(all_but(chart, staying), []).append(row)
    ends = {end for edge in edges for end in edge}
    frames = tuple(frame for frame in _frames(chart) if frame.name in ends)
    shown = {*ends, *inside, *(member for frame in frames for member in frame.members)}
    nodes = [
        Node(p, p, tuple(_told(chart, inside.pop(p, ()), INSIDE)))
        for p in map(str, chart.phases)
        if p in shown
    ]
    if inside:  # first, so that it stands aside: what is put in last stands amid the arrows
        several = [
            line
            for place, here in inside.items()
            for line in (f"in {place} –", *_told(chart, here, INSIDE))
        ]
        nodes.insert(0, Node(SEVERAL, SEVERAL, tuple(several), pseudo=True))
    if ANY in ends:
        nodes.append(Node(ANY, ANY, pseudo=True))
    return Drawing(
        title=f"{chart.name}: {name}",
        nodes=tuple(nodes),
        frames=frames,
        edges=tuple(_labelled(chart, edges)),
        initial=str(chart.initial) if str(chart.initial) in shown else None,
    )


def _frames(chart: Chart) -> tuple[Frame, ...]:
    return tuple(Frame(name, phases) for name, phases in composites(chart).items())


def _final(chart: Chart) -> tuple[str, ...]:
    left = {
        source
        for row in chart.transitions
        for source in row.sources
        if row.target not in (None, source)
    }
    return tuple(str(phase) for phase in chart.phases if phase not in left)


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


def _labelled(chart: Chart, edges: Mapping[tuple[str, str], list[Transition]]) -> Iterator[Edge]:
    """The arrows with their labels; an arrow that says the same as another one to its target names
    that one instead.
    """
    said: dict[tuple[str, tuple[Transition, ...]], str] = {}
    for (source, target), rows in edges.items():
        first = said.setdefault((target, tuple(rows)), source)
        label = tuple(_told(chart, rows, BESIDE))
        if len(label) > TALLEST:
            label = tuple(_told(chart, [attrs.evolve(row, effects=()) for row in rows], BESIDE))
        yield Edge(source, target, label if first == source else (f"as from {first}",))


def _told(chart: Chart, rows: Iterable[Transition], width: int) -> Iterator[str]:
    """Triggers with guards, then what they lead to; rows that ask for the same say so once."""
    alike: dict[str, list[str]] = {}
    for row in rows:
        effects = ", ".join(
            f"{e} {row.error.error.__name__}" if e == Effect.REFUSE and row.error else e
            for e in row.effects
        )
        alike.setdefault(effects, []).append(
            f"{', '.join(spoken(chart, row.trigger))} {guard(row)}".strip()
        )
    for effects, heads in alike.items():
        for text in (*heads, f"/ {effects}" if effects else ""):
            yield from wrap(text, width, subsequent_indent="  ", break_long_words=False)
