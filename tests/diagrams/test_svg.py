"""The SVG: valid, the same every time, and laid out so that it can be read."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, strategies as st

from support_chat import CHART, Chart
from support_chat_adapters.diagrams.as_svg import svg
from support_chat_adapters.diagrams.drawing import Drawing, Edge, Frame, Node
from support_chat_adapters.diagrams.placement import LINE, Box, Placement, place, text_width
from support_chat_adapters.diagrams.routes import Point, Route, route
from support_chat_adapters.diagrams.views import group_on_the_map, overview
from support_chat_adapters.diagrams.wording import composites

GROUPS = {
    name: drawing for name in CHART.groups if (drawing := group_on_the_map(CHART, name)).edges
}
Laid = tuple[Drawing, Placement, tuple[Route, ...]]


@pytest.fixture(params=["overview", "player", *GROUPS])
def laid(request: pytest.FixtureRequest, player: Chart) -> Laid:
    drawings = {"overview": overview(CHART), "player": overview(player), **GROUPS}
    drawing = drawings[request.param]
    placement = place(drawing)
    return drawing, placement, route(drawing, placement)


def label_box(route: Route) -> Box:
    """What the label covers, a pixel less on each side: neighbours may touch."""
    x, y = route.label_at
    width, height = text_width(route.edge.label), LINE * len(route.edge.label)
    left = x - width if route.anchor == "end" else x
    return Box(left + 1, y - 11, left + width - 1, y - 13 + height)


def meet(one: Box, other: Box) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def line_box(one: Point, other: Point) -> Box:
    return Box(
        min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1])
    )


def test_no_label_stands_on_another_label_or_on_a_box(laid: Laid) -> None:
    _, placement, routes = laid
    boxes = [*((f"label {r.edge}", label_box(r)) for r in routes), *placement.boxes.items()]

    assert [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if meet(a, b)] == []


def test_no_line_runs_through_a_label_or_a_box(laid: Laid) -> None:
    _, placement, routes = laid
    things = [*((f"label {r.edge}", label_box(r)) for r in routes), *placement.boxes.items()]
    lines = [(r.edge, line_box(*ends)) for r in routes for ends in pairwise(r.points)]

    assert [(edge, name) for edge, line in lines for name, box in things if meet(line, box)] == []


def stretches(routes: tuple[Route, ...]) -> list[tuple[Route, Box]]:
    return [(each, line_box(*ends)) for each in routes for ends in pairwise(each.points)]


def test_no_two_arrows_cross(laid: Laid) -> None:
    """Arrows that end as one, or branch from one, touch; a crossing goes through on both sides."""

    def cross(level: Box, upright: Box) -> bool:
        return (
            level.left + 1 < upright.left < level.right - 1
            and upright.top + 1 < level.top < upright.bottom - 1
        )

    lines = stretches(laid[2])
    assert [(a.edge, b.edge) for a, one in lines for b, other in lines if cross(one, other)] == []


def test_arrows_side_by_side_are_told_apart_or_are_one(laid: Laid) -> None:
    def too_near(one: Box, other: Box) -> bool:
        apart = (
            max(abs(one.left - other.left), abs(one.right - other.right))
            if upright(one)
            else abs(one.top - other.top)
        )
        grown = Box(one.left - 9, one.top - 9, one.right + 9, one.bottom + 9)
        return upright(one) == upright(other) and 0 < apart < 9 and meet(grown, other)

    def upright(line: Box) -> bool:
        return line.left == line.right

    assert [
        (a.edge, b.edge)
        for (a, one), (b, other) in combinations(stretches(laid[2]), 2)
        if too_near(one, other)
    ] == []


def test_arrows_that_arrive_alike_end_as_one() -> None:
    drawing = overview(CHART)
    ends = {
        each.points[-1]
        for each in route(drawing, place(drawing))
        if each.edge.source in ("not_initialized", "loading", "ready")
        and each.edge.target == "shutdown"
    }

    assert len(ends) == 1


def test_every_arrow_begins_and_ends_on_the_border_of_what_it_joins(laid: Laid) -> None:
    drawing, placement, routes = laid
    places = {**placement.boxes, **placement.frames}
    assert [r.edge for r in routes] == list(drawing.edges)
    for each in routes:
        for name, (x, y) in (
            (each.edge.source, each.points[0]),
            (each.edge.target, each.points[-1]),
        ):
            box = places[name]
            on_border = (x in (box.left, box.right) and box.top < y < box.bottom) or (
                y in (box.top, box.bottom) and box.left < x < box.right
            )
            assert on_border, (each.edge, name)


def test_arrows_run_level_or_upright(laid: Laid) -> None:
    for each in laid[2]:
        assert all(
            one[0] == other[0] or one[1] == other[1] for one, other in pairwise(each.points)
        ), each.edge


def test_a_composite_is_a_frame_round_its_members(laid: Laid) -> None:
    drawing, placement, _ = laid
    for frame in drawing.frames:
        border = placement.frames[frame.name]
        for name, box in placement.boxes.items():
            inside = (
                border.left < box.left
                and box.right < border.right
                and border.top < box.top
                and box.bottom < border.bottom
            )
            assert inside == (name in frame.members), name


def test_it_is_xml_that_shows_every_phase_and_needs_nothing_else(player: Chart) -> None:
    for chart in (CHART, player):
        text = svg(overview(chart))
        shown = {
            "".join(element.itertext())
            for element in ElementTree.fromstring(text).iter()
            if element.tag.endswith("}text")
        }

        assert set(map(str, chart.phases)) <= shown
        assert {name.upper() for name in composites(chart)} <= shown
        assert "href" not in text
        assert "<script" not in text
        assert "prefers-color-scheme: dark" in text


def extent(text: str) -> tuple[float, float, float, float]:
    """The left, top, right and bottom edge of a picture."""
    box = ElementTree.fromstring(text).get("viewBox", "").split()
    left, top, width, height = map(float, box)
    return left, top, left + width, top + height


def test_every_text_is_inside_the_picture_however_narrow_the_chart_is(player: Chart) -> None:
    narrow = Drawing(title="t", nodes=(Node("a", "a"),), initial="a")
    for drawing in (narrow, overview(CHART), *(group_on_the_map(CHART, g) for g in CHART.groups)):
        text = svg(drawing)
        left, top, right, bottom = extent(text)
        for element in ElementTree.fromstring(text).iter():
            for span in element.iter() if element.get("class", "").startswith("text") else ():
                if span.get("x") is None or span.get("text-anchor") == "end":
                    continue
                x, y = float(span.get("x", 0)), float(span.get("y", 0))
                width = text_width([span.text or ""]) if element.get("text-anchor") != "end" else 0
                assert left <= x <= x + width <= right, span.text
                assert top <= y <= bottom, span.text


def test_the_same_chart_gives_the_same_picture() -> None:
    assert svg(overview(CHART)) == svg(overview(CHART))


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    """Any drawing: phases, perhaps a frame round some, perhaps 'any phase', arrows between any two
    of them.
    """
    names = [f"p{i}" for i in range(draw(st.integers(1, 8)))]
    framed = names[draw(st.integers(0, len(names) - 1)) :] if draw(st.booleans()) else []
    frames = (Frame("whole", tuple(framed)),) if framed else ()
    nodes = [
        *(Node(name, name) for name in names),
        *([Node("any", "any", pseudo=True)] if draw(st.booleans()) else []),
    ]
    ends = st.sampled_from([*(node.name for node in nodes), *(frame.name for frame in frames)])
    ways = draw(
        st.lists(
            st.tuples(ends, ends).filter(lambda way: way[0] != way[1]), unique=True, max_size=20
        )
    )
    edges = tuple(
        Edge(source, target, ("go()", "or not")[: draw(st.integers(1, 2))])
        for source, target in ways
    )
    return Drawing(title="any", nodes=tuple(nodes), frames=frames, edges=edges, initial=names[0])


@given(drawings())
def test_whatever_the_drawing_there_is_a_picture_of_it(drawing: Drawing) -> None:
    paths = [
        element
        for element in ElementTree.fromstring(svg(drawing)).iter()
        if element.get("marker-end")
    ]

    assert len(paths) == len(drawing.edges) + 3  # the beginning, and two lines of the legend
