"""Drawings in layers: what the grid cannot hold is legible all the same."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from support_chat import CHART
from support_chat_adapters.diagrams.as_svg import svg
from support_chat_adapters.diagrams.drawing import Drawing, Edge, Frame, Node
from support_chat_adapters.diagrams.inline import inlined
from support_chat_adapters.diagrams.layers import in_layers, without_frames
from support_chat_adapters.diagrams.layout import Layout, flaws, lay_out
from support_chat_adapters.diagrams.placement import LINE, Box, text_width
from support_chat_adapters.diagrams.routes import Route
from support_chat_adapters.diagrams.views import group_on_the_map, overview


def joined(ways: str, *, pseudo: str = "") -> Drawing:
    """A drawing of ways like `ab`: from a to b."""
    names = dict.fromkeys("".join(ways.split()))
    return Drawing(
        title="any",
        nodes=tuple(Node(name, f"phase {name}", pseudo=name in pseudo) for name in names),
        edges=tuple(
            Edge(way[0], way[1], (f"from_{way[0]}_to_{way[1]}", "go()")) for way in ways.split()
        ),
        initial=ways[0],
    )


MESHED = joined("ab bc cd de ef fa ac ce ea bd df fb ad be cf da eb fc")


def layered(drawing: Drawing) -> Layout:
    return Layout(drawing, *in_layers(drawing))


def covered(route: Route) -> Box:
    """What a label covers."""
    (x, y), lines = route.label_at, route.edge.label
    return Box(x, y - 11, x + text_width(lines), y - 11 + LINE * len(lines))


def meet(one: Box, other: Box) -> bool:
    return (
        one.left < other.right - 1
        and other.left < one.right - 1
        and one.top < other.bottom - 1
        and other.top < one.bottom - 1
    )


def legible(layout: Layout) -> None:
    """Nothing stands on anything else, and every arrow joins what it says."""
    boxes = layout.placement.boxes
    things = [*boxes.items(), *((str(r.edge), covered(r)) for r in layout.routes if r.edge.label)]
    assert [(a, b) for (a, one), (b, other) in combinations(things, 2) if meet(one, other)] == []
    assert [route.edge for route in layout.routes] == list(layout.drawing.edges)
    for route in layout.routes:
        ends = ((route.edge.source, route.points[0]), (route.edge.target, route.points[-1]))
        for name, (x, y) in ends:
            assert boxes[name].left < x < boxes[name].right
            assert y in (boxes[name].top, boxes[name].bottom)
        for name, box in boxes.items():  # it passes boxes, and never runs through one
            for (x, y), (other_x, other_y) in pairwise(route.points):
                if x == other_x and name not in (route.edge.source, route.edge.target):
                    low, high = sorted((y, other_y))
                    assert not (box.left < x < box.right and low < box.bottom and high > box.top)


def test_what_the_grid_cannot_hold_is_laid_out_in_layers() -> None:
    layout = lay_out(MESHED)
    assert layout == layered(MESHED)
    legible(layout)
    assert len({box.top for box in layout.placement.boxes.values()}) > 2


def test_what_the_grid_holds_stays_in_it() -> None:
    for drawing in (overview(CHART), *(group_on_the_map(CHART, g) for g in CHART.groups)):
        if drawing.nodes:
            assert flaws(lay_out(drawing)) == 0
            assert lay_out(drawing).placement.frames


def test_what_leads_on_leads_down_and_what_leads_back_up() -> None:
    layout = layered(joined("ab bc ca"))
    tops = {name: box.top for name, box in layout.placement.boxes.items()}
    assert tops["a"] < tops["b"] < tops["c"]
    down, _, back = layout.routes
    assert down.points[0][1] < down.points[-1][1]
    assert back.points[0][1] > back.points[-1][1]


def test_any_phase_stands_right_above_what_it_leads_to() -> None:
    layout = layered(joined("ab bc cd xd", pseudo="x"))
    boxes = layout.placement.boxes
    assert boxes["x"].top == boxes["c"].top


def test_crossings_are_ordered_away() -> None:
    assert flaws(layered(joined("ab ac ad bg cf de"))) == 0


def test_a_frame_that_an_arrow_leaves_is_a_box() -> None:
    drawing = Drawing(
        title="t",
        nodes=(Node("a", "a"), Node("b", "b"), Node("c", "c")),
        frames=(Frame("whole", ("a", "b")), Frame("idle", ("c",))),
        edges=(Edge("whole", "c", ("go()",)),),
    )
    flat = without_frames(drawing)
    assert [node.label for node in flat.nodes] == ["a", "b", "c", "any whole"]
    legible(layered(flat))


def test_what_has_a_frame_and_no_place_in_the_grid_is_drawn_whole() -> None:
    framed = attrs.evolve(
        MESHED,
        nodes=(*MESHED.nodes, Node("x", "x")),
        frames=(Frame("whole", ("b", "d", "f")),),
        edges=(*MESHED.edges, Edge("whole", "x", ("leave()",))),
    )
    assert not lay_out(framed).placement.frames
    for text in (svg(framed), inlined(framed)):
        words = {"".join(each.itertext()) for each in ElementTree.fromstring(text).iter()}
        assert {"any whole", "leave()", *(node.label for node in framed.nodes)} <= words
        assert text.count('class="line') == len(framed.edges) + 3


@pytest.mark.parametrize("drawing", [joined("ab"), MESHED], ids=["two", "meshed"])
def test_it_is_the_same_each_time(drawing: Drawing) -> None:
    assert in_layers(drawing) == in_layers(drawing)


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    """Any drawing without frames."""
    names = [f"p{i}" for i in range(draw(st.integers(1, 9)))]
    nodes = [Node(name, name * draw(st.integers(1, 4))) for name in names]
    ends = st.sampled_from(names)
    ways = draw(
        st.lists(
            st.tuples(ends, ends).filter(lambda way: way[0] != way[1]), unique=True, max_size=24
        )
    )
    label = st.lists(st.sampled_from(["go()", "or_not", "what_is_long_()"]), max_size=3)
    edges = tuple(Edge(*way, tuple(draw(label))) for way in ways)
    initial = draw(st.none() | ends)
    return Drawing(title="any", nodes=tuple(nodes), edges=edges, initial=initial)


@given(drawings())
@settings(deadline=None)
def test_whatever_the_drawing_it_is_legible(drawing: Drawing) -> None:
    legible(layered(drawing))
