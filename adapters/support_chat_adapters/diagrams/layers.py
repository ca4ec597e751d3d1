"""Lays out drawings that the grid (`placement`) cannot hold without lines across each other: in
layers, as Sugiyama has it.

- What leads on in the order of the chart leads down, everything else up: that makes layers.
- Arrows pass each layer between its boxes; in the layers between those stand their labels.
- In each layer things are ordered by where they are joined to, back and forth, until fewest arrows
  cross.
- Each layer is then drawn to where it is joined to, as far as its neighbours leave room.

A frame is a box of its own here, "any" of its name: its members stand wherever they are joined to.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import attrs

from .drawing import Drawing, Edge, Node
from .placement import BOX_HEIGHT, BOX_PAD, LINE, Box, Cell, Placement, name_width, text_width
from .routes import Point, Route

SWEEPS: Final = 40
"""How often the layers are gone through to order them, and to move them."""
APART: Final = 26.0
"""Between two things of a layer, in pixels."""
LEAST_GAP, MOST_GAP = 26.0, 64.0
"""Between two layers."""
LABEL_AT: Final = 9.0
"""From an arrow to its label."""
_BEND: Final = 8.0  # how much more a bend in an arrow weighs than one at a box

Place: TypeAlias = "tuple[str, int] | tuple[Edge, int]"
"""A node, or an arrow, in a layer."""


@attrs.frozen
class _Graph:
    """What stands in each layer, and what is joined to what, from each layer to the next."""

    layers: tuple[tuple[Place, ...], ...]
    joined: tuple[tuple[Place, Place], ...]


def without_frames(drawing: Drawing) -> Drawing:
    """The drawing with a box instead of each frame at which an arrow begins or ends."""
    ends = {end for edge in drawing.edges for end in (edge.source, edge.target)}
    whole = [
        Node(frame.name, f"any {frame.name}", pseudo=True)
        for frame in drawing.frames
        if frame.name in ends
    ]
    return attrs.evolve(drawing, nodes=(*drawing.nodes, *whole))


def in_layers(drawing: Drawing) -> tuple[Placement, tuple[Route, ...]]:
    """Where everything stands and runs, of a drawing without frames; pure and deterministic."""
    levels = _levels(drawing)
    graph = _ordered(_graph(drawing, levels))
    xs = _moved(drawing, graph)
    tops, bottoms = _rows(graph, xs)
    boxes = {
        node.name: _box(node, xs[node.name, levels[node.name]], tops[levels[node.name]])
        for node in drawing.nodes
    }
    cells = {name: Cell(0, level) for name, level in levels.items()}
    ports = _ports(drawing, levels, xs, boxes)
    routes = tuple(_route(edge, levels, xs, tops, bottoms, ports[edge]) for edge in drawing.edges)
    return Placement(cells, boxes, {}), routes


# --- layers ---------------------------------------------------------------------------------------


def _levels(drawing: Drawing) -> dict[str, int]:
    """The layer of each node: every second one, those between them are for labels."""
    order = [node.name for node in drawing.nodes if node.pseudo]
    order += [node.name for node in drawing.nodes if not node.pseudo]
    place = {name: number for number, name in enumerate(order)}
    down = [
        tuple(sorted((edge.source, edge.target), key=place.__getitem__)) for edge in drawing.edges
    ]
    levels = dict.fromkeys(order, 0)
    for name in order:
        above = [levels[one] + 2 for one, other in down if other == name]
        levels[name] = max(above, default=0)
    for name in reversed(order):  # what nothing leads to stands right above what it leads to
        if name != drawing.initial and not any(other == name for _, other in down):
            below = [levels[other] - 2 for one, other in down if one == name]
            levels[name] = min(below, default=levels[name])
    least = min(levels.values(), default=0)
    return {name: level - least for name, level in levels.items()}


def _span(edge: Edge, levels: Mapping[str, int]) -> tuple[str, str]:
    """The ends of an arrow, the upper one first."""
    up, down = sorted((edge.source, edge.target), key=levels.__getitem__)
    return up, down


def _label_level(edge: Edge, levels: Mapping[str, int]) -> int:
    """The layer in which the label stands: next to where the arrow begins."""
    return levels[edge.source] + (1 if levels[edge.target] > levels[edge.source] else -1)


def _graph(drawing: Drawing, levels: Mapping[str, int]) -> _Graph:
    layers: list[list[Place]] = [[] for _ in range(max(levels.values(), default=0) + 1)]
    for node in drawing.nodes:
        layers[levels[node.name]].append((node.name, levels[node.name]))
    joined: list[tuple[Place, Place]] = []
    for edge in drawing.edges:
        way = _way(edge, levels)
        for place in way[1:-1]:
            layers[place[1]].append(place)
        joined += pairwise(way)
    return _Graph(tuple(map(tuple, layers)), tuple(joined))


def _way(edge: Edge, levels: Mapping[str, int]) -> list[Place]:
    """Where an arrow passes, from above."""
    up, down = _span(edge, levels)
    between: list[Place] = [(edge, level) for level in range(levels[up] + 1, levels[down])]
    return [(up, levels[up]), *between, (down, levels[down])]


# --- their order ----------------------------------------------------------------------------------


def _ordered(graph: _Graph) -> _Graph:
    """The graph with the order of each layer in which fewest arrows cross."""
    above, below = _neighbours(graph)
    layers = [list(layer) for layer in graph.layers]
    best, fewest = [*map(tuple, layers)], _crossings(layers, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        numbers = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for number in numbers:
            beside = layers[number - 1 if down else number + 1]
            at = {place: position for position, place in enumerate(beside)}
            joined = above if down else below
            here = {place: position for position, place in enumerate(layers[number])}

            def middle(
                place: Place,
                joined: Mapping[Place, list[Place]] = joined,
                at: Mapping[Place, int] = at,
                here: Mapping[Place, int] = here,
            ) -> float:
                those = [at[each] for each in joined.get(place, ())]
                return sum(those) / len(those) if those else float(here[place])

            layers[number].sort(key=middle)
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = [*map(tuple, layers)], crossings
    return attrs.evolve(graph, layers=tuple(best))


def _neighbours(graph: _Graph) -> tuple[dict[Place, list[Place]], dict[Place, list[Place]]]:
    above: dict[Place, list[Place]] = {}
    below: dict[Place, list[Place]] = {}
    for one, other in graph.joined:
        above.setdefault(other, []).append(one)
        below.setdefault(one, []).append(other)
    return above, below


def _crossings(layers: Sequence[Sequence[Place]], below: Mapping[Place, list[Place]]) -> int:
    """How many lines cross between neighbouring layers."""
    found = 0
    for upper, lower in pairwise(layers):
        at = {place: position for position, place in enumerate(lower)}
        ends: list[int] = []
        for place in upper:
            here = sorted(at[each] for each in below.get(place, ()))
            found += sum(len(ends) - bisect_right(ends, each) for each in here)
            for each in here:
                insort(ends, each)
    return found


# --- places ---------------------------------------------------------------------------------------


def _extent(drawing: Drawing, place: Place, levels: Mapping[str, int]) -> tuple[float, float]:
    """How far it reaches to the left and to the right of its middle."""
    what, level = place
    if isinstance(what, str):
        width = next(_width(node) for node in drawing.nodes if node.name == what)
        return width / 2, width / 2
    if level == _label_level(what, levels):
        return 4.0, text_width(what.label) + LABEL_AT
    return 4.0, 4.0


def _width(node: Node) -> float:
    return name_width(node.label) + 2 * BOX_PAD


def _moved(drawing: Drawing, graph: _Graph) -> dict[Place, float]:
    """Where each thing stands, from the left."""
    levels = _levels(drawing)
    above, below = _neighbours(graph)
    extents = {p: _extent(drawing, p, levels) for layer in graph.layers for p in layer}
    apart = [
        [extents[one][1] + APART + extents[other][0] for one, other in pairwise(layer)]
        for layer in graph.layers
    ]
    xs: dict[Place, float] = {}
    for layer, distances in zip(graph.layers, apart, strict=True):
        x = -sum(distances) / 2
        for place, distance in zip(layer, [*distances, 0.0], strict=True):
            xs[place] = x
            x += distance
    for sweep in range(SWEEPS):
        for number in range(len(graph.layers))[:: 1 if sweep % 2 == 0 else -1]:
            layer = graph.layers[number]
            wanted: list[float] = []
            weights: list[float] = []
            for place in layer:
                beside = [*above.get(place, ()), *below.get(place, ())]
                # a bend stands out in the middle of an arrow, and not at a box
                weighed = [(xs[p], 1.0 if isinstance(p[0], str) else _BEND) for p in beside]
                whole = sum(weight for _, weight in weighed)
                mean = sum(x * weight for x, weight in weighed) / whole if whole else xs[place]
                wanted.append(mean)
                weights.append(whole or 0.1)
            for place, x in zip(layer, _spread(wanted, weights, apart[number]), strict=True):
                xs[place] = x
    return xs


def _spread(
    wanted: Sequence[float], weights: Sequence[float], apart: Sequence[float]
) -> Iterable[float]:
    """The places nearest to those that are wanted, at least so far apart, in this order."""
    shifts = [0.0]
    for distance in apart:
        shifts.append(shifts[-1] + distance)
    blocks: list[tuple[float, float, int]] = []  # the mean of several, their weight and number
    for want, weight, shift in zip(wanted, weights, shifts, strict=False):
        mean, whole, count = want - shift, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, more, others = blocks.pop()
            mean = (mean * whole + other * more) / (whole + more)
            whole, count = whole + more, count + others
        blocks.append((mean, whole, count))
    flat = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + shift for mean, shift in zip(flat, shifts, strict=False)]


def _rows(graph: _Graph, xs: Mapping[Place, float]) -> tuple[list[float], list[float]]:
    """The top and the bottom of each layer: the farther lines go aside between two, the more room
    they have.
    """
    aside = [0.0] * len(graph.layers)
    for one, other in graph.joined:
        aside[other[1]] = max(aside[other[1]], abs(xs[one] - xs[other]))
    tops: list[float] = []
    bottoms: list[float] = []
    y = 0.0
    for number, layer in enumerate(graph.layers):
        if number:
            y += min(max(LEAST_GAP, aside[number] / 6), MOST_GAP)
        tops.append(y)
        lines = [len(what.label) for what, _ in layer if isinstance(what, Edge)]
        y += BOX_HEIGHT if number % 2 == 0 else max(lines, default=0) * LINE
        bottoms.append(y)
    return tops, bottoms


def _box(node: Node, x: float, top: float) -> Box:
    half = _width(node) / 2
    return Box(x - half, top, x + half, top + BOX_HEIGHT)


# --- arrows ---------------------------------------------------------------------------------------


def _ports(
    drawing: Drawing,
    levels: Mapping[str, int],
    xs: Mapping[Place, float],
    boxes: Mapping[str, Box],
) -> dict[Edge, tuple[float, float]]:
    """Where each arrow meets its upper and its lower box: side by side, in the order in which they
    come.
    """
    sides: dict[tuple[str, bool], list[tuple[float, int, Edge]]] = {}
    for number, edge in enumerate(drawing.edges):
        up, down = _span(edge, levels)
        way = _way(edge, levels)
        sides.setdefault((up, False), []).append((xs[way[1]], number, edge))
        sides.setdefault((down, True), []).append((xs[way[-2]], number, edge))
    found: dict[tuple[Edge, bool], float] = {}
    for (name, arrives), ends in sides.items():
        box = boxes[name]
        pitch = min(18.0, (box.right - box.left - 24) / max(1, len(ends) - 1))
        for place, (_, _, edge) in enumerate(sorted(ends, key=lambda end: end[:2])):
            found[edge, arrives] = box.x + (place - (len(ends) - 1) / 2) * pitch
    return {edge: (found[edge, False], found[edge, True]) for edge in drawing.edges}


def _route(
    edge: Edge,
    levels: Mapping[str, int],
    xs: Mapping[Place, float],
    tops: Sequence[float],
    bottoms: Sequence[float],
    ports: tuple[float, float],
) -> Route:
    up, down = _span(edge, levels)
    points: list[Point] = [(ports[0], bottoms[levels[up]])]
    for place in _way(edge, levels)[1:-1]:
        for y in (tops[place[1]], bottoms[place[1]]):
            if (xs[place], y) != points[-1]:
                points.append((xs[place], y))
    points.append((ports[1], tops[levels[down]]))
    if edge.source != up:
        points.reverse()
    level = _label_level(edge, levels)
    return Route(edge, tuple(points), (xs[edge, level] + LABEL_AT, tops[level] + 11), "start")
