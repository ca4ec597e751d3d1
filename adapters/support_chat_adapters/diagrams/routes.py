"""How the arrows of a drawing run between its boxes: straight, round one corner, by a fork, or
along the left margin.

Every arrow has a port at each end, ordered so that arrows to one side of a box nest instead of
crossing; neighbours that arrive with the same label share a port and end as one. A label stands
beside the stretch of line that is its arrow's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import attrs

from .drawing import Drawing, Edge
from .placement import LINE, Box, Placement, text_width

PITCH = 16.0
"""The distance between two ports of one side, in pixels."""

Side: TypeAlias = Literal["top", "bottom", "left", "right"]
Point: TypeAlias = tuple[float, float]


@attrs.frozen
class Route:
    """One arrow on the page: its points, and where its label stands (`anchor` as in SVG; y is the
    first line's baseline).
    """

    edge: Edge
    points: tuple[Point, ...]
    label_at: Point
    anchor: Literal["start", "end"]


@attrs.frozen
class _Plan:
    """Which way an arrow takes: the sides it leaves and reaches, and its rank beside the arrow back
    (inside 0, outside 1).

    `rank` is None where there is no arrow back beside it.
    """

    edge: Edge
    shape: Literal["straight", "corner", "fork", "margin"]
    leave: Side
    arrive: Side
    rank: int | None = None

    @property
    def upright_first(self) -> bool:
        """Whether the stretch at the source is the vertical one."""
        return self.leave in ("top", "bottom")


@attrs.frozen
class _Port:
    """One end of an arrow on a side of a box, with its place in the order: turn (-1 left or up, 0
    straight, 1), reach, rank.
    """

    order: tuple[float, float, float]
    plan: _Plan
    arrives: bool

    def joins(self, other: _Port) -> bool:
        """Whether both may be drawn as one: they arrive alike, or they are branches of a fork."""
        if self.plan.shape == other.plan.shape == "fork" and not self.arrives and not other.arrives:
            return True
        return (
            self.arrives
            and other.arrives
            and self.order[0] == other.order[0]
            and self.plan.edge.label == other.plan.edge.label
        )


def route(drawing: Drawing, placement: Placement) -> tuple[Route, ...]:
    """A route for every edge of the drawing, in its order."""
    places = {**placement.boxes, **placement.frames}
    plans = [_plan(drawing, placement, places, edge) for edge in drawing.edges]
    ports = _ports(plans, placement, places)
    margin = min(box.left for box in places.values())
    routes: dict[_Plan, Route] = {}
    for plan in sorted(plans, key=lambda plan: abs(ports[plan, False][1] - ports[plan, True][1])):
        start, end = ports[plan, False], ports[plan, True]
        if plan.shape == "margin":  # the shorter ways inside, the longer ones round them
            margin -= text_width(plan.edge.label) + 24
            routes[plan] = _along_the_margin(plan, start, end, margin)
        else:
            routes[plan] = {"straight": _straight, "fork": _forked, "corner": _cornered}[
                plan.shape
            ](plan, start, end)
    return tuple(routes[plan] for plan in plans)


# --- which way ------------------------------------------------------------------------------------


def _plan(drawing: Drawing, placement: Placement, places: Mapping[str, Box], edge: Edge) -> _Plan:
    a, b = places[edge.source], places[edge.target]
    here, there = placement.cells[edge.source], placement.cells[edge.target]
    others = [
        box for name, box in placement.boxes.items() if name not in (edge.source, edge.target)
    ]
    framed = {member for frame in drawing.frames for member in frame.members}
    down: Side = "bottom" if there.row > here.row else "top"
    up: Side = "top" if there.row > here.row else "bottom"
    right: Side = "right" if there.column > here.column else "left"
    left: Side = "left" if there.column > here.column else "right"
    if edge.source in placement.frames and there.column > 1:
        return _Plan(edge, "corner", "right", "bottom" if b.y < a.top else "top")
    if (
        here.column == there.column
        and here.row != there.row
        and _free(others, (a.x, a.y), (b.x, b.y))
    ):
        return _Plan(edge, "straight", down, up)
    if (
        here.row == there.row
        and here.column != there.column
        and _free(others, (a.x, a.y), (b.x, b.y))
    ):
        return _Plan(edge, "straight", right, left)
    if edge.target in framed and edge.source not in framed and down == "bottom":
        return _Plan(edge, "fork", "bottom", "top")
    # of two boxes the one farther from the middle column has the upright stretch
    upright_first = abs(here.column - 1) > abs(there.column - 1)
    corner = (a.x, b.y) if upright_first else (b.x, a.y)
    if (
        here.column != there.column
        and _free(others, (a.x, a.y), corner)
        and _free(others, corner, (b.x, b.y))
    ):
        leave, arrive = (down, left) if upright_first else (right, up)
        return _Plan(edge, "corner", leave, arrive, _rank(drawing, edge, upright_first))
    return _Plan(edge, "margin", "left", "left")


def _rank(drawing: Drawing, edge: Edge, upright_first: bool) -> int | None:
    back = next(
        (e for e in drawing.edges if (e.source, e.target) == (edge.target, edge.source)), None
    )
    if back is None:
        return None
    if len(edge.label) != len(back.label):  # the longer label stands free, on the inside
        return int(len(edge.label) < len(back.label))
    return int(upright_first)


def _free(others: Iterable[Box], one: Point, other: Point) -> bool:
    (left, right), (top, bottom) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return not any(
        b.left < right + 4 and b.right > left - 4 and b.top < bottom + 4 and b.bottom > top - 4
        for b in others
    )


# --- ports ----------------------------------------------------------------------------------------


def _ports(
    plans: list[_Plan], placement: Placement, places: Mapping[str, Box]
) -> dict[tuple[_Plan, bool], Point]:
    sides: dict[tuple[str, Side], list[_Port]] = {}
    for plan in plans:
        a, b = places[plan.edge.source], places[plan.edge.target]
        sides.setdefault((plan.edge.source, plan.leave), []).append(
            _Port(_order(plan, plan.leave, a, b), plan, False)
        )
        sides.setdefault((plan.edge.target, plan.arrive), []).append(
            _Port(_order(plan, plan.arrive, b, a), plan, True)
        )
    found: dict[tuple[_Plan, bool], Point] = {}
    for (name, side), ports in sides.items():
        lanes: list[list[_Port]] = []
        for port in sorted(ports, key=lambda port: port.order):
            if lanes and lanes[-1][-1].joins(port):
                lanes[-1].append(port)
            else:
                lanes.append([port])
        straight = [i for i, lane in enumerate(lanes) if lane[0].order[0] == 0] or [
            0,
            len(lanes) - 1,
        ]
        box = places[name]
        # a frame is left near its top, where the way is short and nothing else runs
        y = box.y if name in placement.boxes else box.top + 54
        for i, lane in enumerate(lanes):
            shift = (i - (straight[0] + straight[-1]) / 2) * PITCH
            for port in lane:
                found[port.plan, port.arrives] = {
                    "top": (box.x + shift, box.top), "bottom": (box.x + shift, box.bottom),
                    "left": (box.left, y + shift), "right": (box.right, y + shift),
                }[side]  # fmt: skip
    return found


def _order(plan: _Plan, side: Side, here: Box, there: Box) -> tuple[float, float, float]:
    """Where the port belongs on its side, from the left or from the top, such that arrows nest."""
    across = side in ("top", "bottom")
    if plan.shape == "fork":
        return (0, 0, 0)
    # down runs right of up, right runs above left: each has its label on its own side
    if plan.shape == "straight":
        return (0, float(plan.leave in ("bottom", "left")), 0)
    ahead = there.x - here.x if across else there.y - here.y
    reach = abs(there.y - here.y) if across or plan.shape == "margin" else abs(there.x - here.x)
    rank = plan.rank or 0
    return (1, -reach, -rank) if ahead > 0 else (-1, reach, rank)


# --- lines and labels -----------------------------------------------------------------------------


def _height(edge: Edge) -> float:
    return len(edge.label) * LINE


def _straight(plan: _Plan, start: Point, end: Point) -> Route:
    if plan.upright_first:
        y = (start[1] + end[1]) / 2 - _height(plan.edge) / 2 + 11
        goes_down = plan.leave == "bottom"
        return Route(
            plan.edge,
            (start, end),
            (start[0] + (9 if goes_down else -9), y),
            "start" if goes_down else "end",
        )
    if plan.leave == "right":
        return Route(
            plan.edge,
            (start, end),
            (start[0] + 12, start[1] - 7 - _height(plan.edge) + LINE),
            "start",
        )
    return Route(plan.edge, (start, end), (start[0] - 12, start[1] + 17), "end")


def _forked(plan: _Plan, start: Point, end: Point) -> Route:
    bend = start[1] + 22
    if start[0] == end[0]:
        return Route(plan.edge, (start, end), (end[0] + 9, bend), "start")
    y = bend - 7 - _height(plan.edge) + LINE
    to_the_right = end[0] > start[0]
    at = (end[0] + (-10 if to_the_right else 10), y)
    return Route(
        plan.edge,
        (start, (start[0], bend), (end[0], bend), end),
        at,
        "end" if to_the_right else "start",
    )


def _cornered(plan: _Plan, start: Point, end: Point) -> Route:
    corner = (start[0], end[1]) if plan.upright_first else (end[0], start[1])
    points = (start, corner, end)
    level = end if plan.upright_first else start
    upright = start if plan.upright_first else end
    # up into an end: beside the upright stretch there is room
    too_wide = text_width(plan.edge.label) + 12 > abs(corner[0] - level[0])
    if plan.arrive == "bottom" and (len(plan.edge.label) > 1 or too_wide):
        return Route(
            plan.edge,
            points,
            (corner[0] + 9, (corner[1] + end[1]) / 2 - _height(plan.edge) / 2 + 11),
            "start",
        )
    to_the_left = corner[0] < level[0]
    above = plan.rank is None or (upright[1] < level[1]) == (plan.rank == 0)
    y = level[1] - 7 - _height(plan.edge) + LINE if above else level[1] + 17
    return Route(
        plan.edge,
        points,
        (level[0] + (-12 if to_the_left else 12), y),
        "end" if to_the_left else "start",
    )


def _along_the_margin(plan: _Plan, start: Point, end: Point, x: float) -> Route:
    y = (start[1] + end[1]) / 2 - _height(plan.edge) / 2 + 11
    return Route(plan.edge, (start, (x, start[1]), (x, end[1]), end), (x + 8, y), "start")
