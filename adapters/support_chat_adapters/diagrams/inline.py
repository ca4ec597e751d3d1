"""Writes a drawing as an SVG for a page that may hold others, and in which things are links.

It has no ids, so that no two pictures of a page share one: tips are drawn where a file has markers,
and a picture that is hidden takes none from another. Its style is for itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import hypot
from typing import Final, TypeAlias

from .as_svg import (
    LIT,
    MARGIN,
    STYLE,
    around,
    beginning_of,
    box_of,
    extent_of,
    frame_of,
    kind_of,
    label_of,
    legend_of,
    painted,
    path_of,
    tip_of,
)
from .drawing import Drawing, Edge, Node
from .layout import lay_out
from .placement import Box
from .routes import Point, Route

Link: TypeAlias = "Callable[[Node | Edge], str]"
"""Where a box or an arrow leads to; "" for nowhere."""
_HIT: Final = "    .hit { stroke: transparent; pointer-events: stroke }\n"
_TIP: Final = 8.0
_HALF: Final = 3.6


def inlined(drawing: Drawing, link: Link = lambda _: "") -> str:
    """The drawing as an element of HTML, sized in pixels.

    What is a link has the class `node` or `way`, and says its name, or where it leads from and to,
    in `data-name`, `data-source` and `data-target`.
    """
    layout = lay_out(drawing)
    drawing = layout.drawing
    places, frames = layout.placement.boxes, layout.placement.frames
    box = extent_of(layout)
    lines = [line for name, place in frames.items() for line in frame_of(name, place)]
    if drawing.initial:
        start, end, dot = beginning_of(places[drawing.initial])
        lines += [dot, _arrow((start, end), "")]
    for route in sorted(layout.routes, key=painted):
        label = [_apart(label_of(route, frames.values()))] if route.edge.label else []
        words = f"{route.edge.source} to {route.edge.target}: {' '.join(route.edge.label)}"
        names = {"source": route.edge.source, "target": route.edge.target}
        lines += _linked(link(route.edge), "way", words, names, [*_way(route), *label])
    for node in drawing.nodes:
        drawn = list(box_of(drawing, node, places[node.name]))
        lines += _linked(link(node), "node", node.label, {"name": node.name}, drawn)
    legend, below = legend_of(box.left, box.bottom + MARGIN, _arrow)
    box = around([box, below])
    width, height = box.right - box.left + 2 * MARGIN, box.bottom - box.top + 2 * MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="support-chat" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="{box.left - MARGIN:.1f} {box.top - MARGIN:.1f} '
        f'{width:.1f} {height:.1f}" role="group" aria-label="{escape(drawing.title)}">'
    )
    page = Box(
        box.left - MARGIN + 1, box.top - MARGIN + 1, box.right + MARGIN - 1, box.bottom + MARGIN - 1
    )
    sheet = (
        f'<rect class="page" x="{page.left:.1f}" y="{page.top:.1f}" '
        f'width="{page.right - page.left:.1f}" height="{page.bottom - page.top:.1f}" rx="12"/>'
    )
    style = f"<style>svg.support-chat {{{STYLE}{LIT}{_HIT}}}</style>"
    return "\n".join([head, style, sheet, *lines, *legend, "</svg>"]) + "\n"


def _linked(
    href: str, kind: str, words: str, names: dict[str, str], lines: Sequence[str]
) -> Iterator[str]:
    data = " ".join(f'data-{key}="{escape(value)}"' for key, value in names.items())
    if href:
        yield f'<a class="{kind}" href="{escape(href)}" aria-label="{escape(words)}" {data}>'
    else:
        yield f'<g class="{kind}" {data}>'
    yield from lines
    yield "</a>" if href else "</g>"


def _apart(label: str) -> str:
    """A label whose lines are texts of their own: those of one text are read as one word."""
    head = label[: label.index("<tspan")]
    return label.replace("</tspan><tspan", f"</tspan></text> {head}<tspan")


def _way(route: Route) -> Iterator[str]:
    # a line of two pixels is hard to hit
    yield f'<path class="hit" fill="none" stroke-width="14" d="{path_of(route.points)}"/>'
    yield _arrow(route.points, kind_of(route))


def _arrow(points: Sequence[Point], kind: str) -> str:
    (x, y), (toward_x, toward_y) = points[-2], points[-1]
    length = hypot(toward_x - x, toward_y - y) or 1.0
    ahead = (toward_x - x) / length, (toward_y - y) / length
    back = toward_x - ahead[0] * _TIP, toward_y - ahead[1] * _TIP
    across = -ahead[1] * _HALF, ahead[0] * _HALF
    corners = (
        (toward_x, toward_y),
        (back[0] + across[0], back[1] + across[1]),
        (back[0] - across[0], back[1] - across[1]),
    )
    tip = " L".join(f"{a:.1f} {b:.1f}" for a, b in corners)
    stopped = (*points[:-1], (toward_x - ahead[0] * 4, toward_y - ahead[1] * 4))
    return (
        f'<path class="{f"line {kind}".strip()}" d="{path_of(stopped)}"/>'
        f'<path class="{tip_of(kind)}" d="M{tip} Z"/>'
    )
