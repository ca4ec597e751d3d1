"""Where everything of a drawing stands and runs: boxes, frames, arrows and their labels.

A drawing stands in the grid of `placement`, which keeps its shape when the chart changes; where
lines would run across each other, or across labels and boxes, in `layers` if that is better.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import attrs

from .drawing import Drawing
from .layers import in_layers, without_frames
from .placement import CHARACTER, LINE, Box, Placement, place, text_width
from .routes import Point, Route, route


@attrs.frozen
class Layout:
    """A drawing as it is laid out: its places, and a route for every edge, in its order."""

    drawing: Drawing
    placement: Placement
    routes: tuple[Route, ...]


def lay_out(drawing: Drawing) -> Layout:
    """Lays the drawing out; pure and deterministic."""
    placement = place(drawing)
    grid = Layout(drawing, placement, route(drawing, placement))
    if not (faults := flaws(grid)):
        return grid
    flat = without_frames(drawing)
    layered = Layout(flat, *in_layers(flat))
    return layered if flaws(layered) < faults else grid


def flaws(layout: Layout) -> int:
    """How often lines run across each other, and things stand or run where something else does."""
    boxes = [*layout.placement.boxes.values()]
    labels = [label_box(each) for each in layout.routes if each.edge.label]
    lines = [pairwise(each.points) for each in layout.routes]
    stretches = [(number, *ends) for number, line in enumerate(lines) for ends in line]
    things = [*boxes, *labels]
    return (
        sum(_meet(one, other) for one, other in combinations(things, 2))
        + sum(_through(one, other, thing) for _, one, other in stretches for thing in things)
        + sum(
            _cross(one[1:], other[1:])
            for one, other in combinations(stretches, 2)
            if one[0] != other[0]
        )
    )


def label_box(route: Route) -> Box:
    """What the label of an arrow covers, a pixel less on each side: neighbours may touch."""
    x, y = route.label_at
    left = x - text_width(route.edge.label) if route.anchor == "end" else x
    right = left + text_width(route.edge.label)
    return Box(left + 1, y - 11, right - 1, y - 13 + LINE * len(route.edge.label))


def _meet(one: Box, other: Box) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def _through(one: Point, other: Point, box: Box) -> bool:
    """Whether the line from one point to another runs through the inside of a box."""
    least, most = 0.0, 1.0
    for a, b, low, high in (
        (one[0], other[0], box.left + 0.5, box.right - 0.5),
        (one[1], other[1], box.top + 0.5, box.bottom - 0.5),
    ):
        if a == b:
            if not low < a < high:
                return False
            continue
        enters, leaves = sorted(((low - a) / (b - a), (high - a) / (b - a)))
        least, most = max(least, enters), min(most, leaves)
    return least < most


def _cross(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two lines cross, and do not only touch."""

    def side(a: Point, b: Point, c: Point) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    (a, b), (c, d) = one, other
    return side(a, b, c) * side(a, b, d) < -CHARACTER and side(c, d, a) * side(c, d, b) < -CHARACTER
