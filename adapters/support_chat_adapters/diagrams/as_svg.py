"""Writes a drawing as a standalone SVG: no script, no font, no tool needed; legible on light and on
dark pages.

Calls are blue and written `boot()`; everything else that moves a session is grey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from math import hypot
from typing import Final, TypeAlias

import attrs

from .drawing import Drawing, Node
from .layout import Layout, lay_out
from .placement import CHARACTER, LINE, Box, text_width
from .routes import Point, Route

MARGIN = 22.0
RADIUS = 9.0
GAP = 18.0
"""Between two columns of a table, in pixels."""
# what kind of arrow is painted over which
_PAINTED: Final = ("faint", "", "call", "lit")
Part: TypeAlias = "tuple[list[str], Box]"
"""Lines of SVG, and what they cover."""

STYLE: Final = """
    .name, .frame-name {
      font-family: ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif
    }
    .text {
      font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
      font-size: 11.5px; fill: #47546a; stroke: #ffffff; stroke-width: 3px; paint-order: stroke
    }
    .page { fill: #ffffff; stroke: #d8dee6 }
    .frame { fill: #f3f6fa; stroke: #b9c4d0; stroke-width: 1.2 }
    .frame-name { font-size: 12px; font-weight: 700; letter-spacing: 1.5px; fill: #66758a }
    .box { fill: #ffffff; stroke: #33475b; stroke-width: 1.5 }
    .framed { fill: #e3f4ea; stroke: #23744a }
    .end { fill: #eceff3; stroke: #55647a }
    .pseudo { fill: none; stroke: #8593a5; stroke-width: 1.2; stroke-dasharray: 4 3 }
    .name { font-size: 14px; font-weight: 600; fill: #17212e; text-anchor: middle }
    .line { fill: none; stroke: #7b8899; stroke-width: 1.4 }
    .tip { fill: #7b8899 }
    .call { stroke: #1f66d1; stroke-width: 1.7 }
    .call-tip { fill: #1f66d1 }
    .faint { stroke: #dde3ea }
    .faint-tip { fill: #dde3ea }
    .text.inside { stroke: #f3f6fa }
    .text.head { font-weight: 700 }
    .rule { fill: none; stroke: #d8dee6 }
    .text .call-text { fill: #1a58b8; font-weight: 700 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0f151d; stroke: #2b3644 }
      .rule { stroke: #2b3644 }
      .frame { fill: #161f2a; stroke: #3a4859 }
      .frame-name { fill: #91a1b5 }
      .box { fill: #1b2633; stroke: #a9b8ca }
      .framed { fill: #143325; stroke: #56c08a }
      .end { fill: #262f3a; stroke: #93a1b3 }
      .pseudo { fill: none; stroke: #77869a }
      .name { fill: #eef3f8 }
      .line { stroke: #8796a8 }
      .tip { fill: #8796a8 }
      .call { stroke: #6ea8ff }
      .call-tip { fill: #6ea8ff }
      .faint { stroke: #2b3644 }
      .faint-tip { fill: #2b3644 }
      .text { fill: #b9c5d4; stroke: #0f151d }
      .text.inside { stroke: #161f2a }
      .text .call-text { fill: #8dbbff }
    }
"""
LIT: Final = """
    .box.lit, .pseudo.lit { fill: #ffedc2; stroke: #a85f00; stroke-width: 3 }
    .line.lit { stroke: #c26e00; stroke-width: 3.2 }
    .lit-tip { fill: #c26e00 }
    @media (prefers-color-scheme: dark) {
      .box.lit, .pseudo.lit { fill: #4d3604; stroke: #ffb938 }
      .line.lit { stroke: #ffb938 }
      .lit-tip { fill: #ffb938 }
    }
"""
"""What stands out, and the style of a picture in which nothing does goes without."""


def svg(drawing: Drawing) -> str:
    """The drawing as the text of an SVG file, sized in pixels."""
    lines, box = _graph(drawing) if drawing.nodes else ([], Box(0, 0, 0, 0))
    if drawing.table:
        grid, below = _grid(drawing.table, box.left, box.bottom + (MARGIN if lines else 0))
        lines, box = lines + grid, around([box, below])
    if drawing.nodes:
        legend, below = legend_of(box.left, box.bottom + MARGIN, _arrow)
        lines, box = lines + legend, around([box, below])
    lit = any(node.lit for node in drawing.nodes) or any(edge.lit for edge in drawing.edges)
    left, top = box.left - MARGIN, box.top - MARGIN
    width, height = box.right + MARGIN - left, box.bottom + MARGIN - top
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" role="img" '
        f'aria-label="{escape(drawing.title)}">',
        f"  <title>{escape(drawing.title)}</title>",
        f"  <style>{STYLE}{LIT if lit else ''}  </style>",
        "  <defs>",
        *(
            f"    {_tip(kind)}"
            for kind in ("tip", "call-tip", "faint-tip", *(["lit-tip"] if lit else []))
        ),
        "  </defs>",
        f'  <rect class="page" x="{left + 1:.1f}" y="{top + 1:.1f}" width="{width - 2:.1f}" '
        f'height="{height - 2:.1f}" rx="12"/>',
    ]
    return "\n".join([*head, *lines, "</svg>"]) + "\n"


def _graph(drawing: Drawing) -> Part:
    layout = lay_out(drawing)
    drawing = layout.drawing
    frames = layout.placement.frames
    lines = [f"  {line}" for name, box in frames.items() for line in frame_of(name, box)]
    if drawing.initial:
        start, end, dot = beginning_of(layout.placement.boxes[drawing.initial])
        lines += [f"  {dot}", f"  {_arrow((start, end), '')}"]
    lines += [
        f"  {_arrow(each.points, kind_of(each))}" for each in sorted(layout.routes, key=painted)
    ]
    lines += [
        f"  {line}"
        for node in drawing.nodes
        for line in box_of(drawing, node, layout.placement.boxes[node.name])
    ]
    lines += [f"  {label_of(r, frames.values())}" for r in layout.routes if r.edge.label]
    return lines, extent_of(layout)


def extent_of(layout: Layout) -> Box:
    """What everything in the graph covers."""
    placement = layout.placement
    box = around(
        [*placement.boxes.values(), *placement.frames.values(), *map(_extent, layout.routes)]
    )
    return attrs.evolve(box, top=box.top - 26) if layout.drawing.initial else box


def _grid(table: tuple[tuple[str, ...], ...], left: float, top: float) -> Part:
    """The table with its upper left corner there; a rule above each row but the first."""
    widths = [text_width("\n".join(column).splitlines()) for column in zip(*table, strict=True)]
    right = left + sum(widths) + GAP * (len(widths) - 1)
    lines: list[str] = []
    for number, row in enumerate(table):
        if number:
            lines.append(f'  <path class="rule" d="M{left:.1f} {top:.1f} L{right:.1f} {top:.1f}"/>')
        x = left
        for cell, width in zip(row, widths, strict=True):
            spans = "".join(
                f'<tspan x="{x:.1f}" y="{top + 16 + i * LINE:.1f}">{escape(line)}</tspan>'
                for i, line in enumerate(cell.splitlines())
            )
            lines.append(f'  <text class="text{"" if number else " head"}">{spans}</text>')
            x += width + GAP
        top += LINE * max(len(cell.splitlines()) for cell in row) + 8
    return lines, Box(left, top, right, top)


def around(boxes: Sequence[Box]) -> Box:
    """The box round all of these."""
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def _tip(kind: str) -> str:
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="8" '
        'markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{kind}" d="M0 0.4 L8 4 L0 7.6 '
        'Z"/></marker>'
    )


def _rectangle(box: Box) -> str:
    return (
        f'x="{box.left:.1f}" y="{box.top:.1f}" width="{box.right - box.left:.1f}" '
        f'height="{box.bottom - box.top:.1f}"'
    )


def frame_of(name: str, box: Box) -> Iterator[str]:
    """A frame and its name, a line each."""
    yield f'<rect class="frame" {_rectangle(box)} rx="16"/>'
    yield (
        f'<text class="frame-name" x="{box.left + 18:.1f}" '
        f'y="{box.top + 22:.1f}">{escape(name.upper())}</text>'
    )


def beginning_of(box: Box) -> tuple[Point, Point, str]:
    """Where the arrow to the initial phase begins and ends, and the dot that it begins with."""
    start = (box.x, box.top - 26)
    return (
        start,
        (box.x, box.top),
        f'<circle class="tip" cx="{box.x:.1f}" cy="{start[1]:.1f}" r="5"/>',
    )


def legend_of(x: float, y: float, arrow: Callable[[Sequence[Point], str], str]) -> Part:
    """Which kind of `arrow` is what."""
    lines: list[str] = []
    left = x
    for kind, words in (("call", "a call"), ("", "an outcome, an event or a timer")):
        lines.append(f"  {arrow(((x, y), (x + 30, y)), kind)}")
        lines.append(f'  <text class="text" x="{x + 38:.1f}" y="{y + 4:.1f}">{words}</text>')
        x += 38 + text_width([words]) + 30
    return lines, Box(left, y - 6, x - 30, y + 6)


def box_of(drawing: Drawing, node: Node, box: Box) -> Iterator[str]:
    """The box of a node and its name, a line each."""
    framed = any(node.name in frame.members for frame in drawing.frames)
    kind = "framed" if framed else "end" if node.name in drawing.final else ""
    name = "pseudo" if node.pseudo else f"box {kind}".strip()
    yield (
        f'<rect class="{name}{" lit" if node.lit else ""}" '
        f'{_rectangle(box)} rx="{20 if node.pseudo else 9}"/>'
    )
    yield f'<text class="name" x="{box.x:.1f}" y="{box.y + 5:.1f}">{escape(node.label)}</text>'


def kind_of(route: Route) -> str:
    """What an arrow is: a `call`, `""` for something else, or `faint` without a label; `lit` where
    it stands out.
    """
    if route.edge.lit:
        return "lit"
    if not route.edge.label:
        return "faint"
    return "call" if route.edge.label[0].endswith("()") else ""


def tip_of(kind: str) -> str:
    """The class of the tip of such an arrow."""
    return f"{kind}-tip".removeprefix("-")


def painted(route: Route) -> int:
    """What is painted over what: a larger number over a smaller one."""
    return _PAINTED.index(kind_of(route))


def _arrow(points: Sequence[Point], kind: str) -> str:
    return (
        f'<path class="{f"line {kind}".strip()}" d="{path_of(points)}" '
        f'marker-end="url(#{tip_of(kind)})"/>'
    )


def path_of(points: Sequence[Point]) -> str:
    """A line through these points with round corners, as SVG writes it."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _toward(corner, before), _toward(corner, after)
        path.append(
            f"L{start[0]:.1f} {start[1]:.1f} Q{corner[0]:.1f} {corner[1]:.1f} {end[0]:.1f} "
            f"{end[1]:.1f}"
        )
    path.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
    return " ".join(path)


def _toward(corner: Point, other: Point) -> Point:
    length = hypot(other[0] - corner[0], other[1] - corner[1])
    step = min(RADIUS, length / 2) / length if length else 0.0
    return corner[0] + (other[0] - corner[0]) * step, corner[1] + (other[1] - corner[1]) * step


def label_of(route: Route, frames: Iterable[Box]) -> str:
    """The label of an arrow, which may stand in one of these frames."""
    x, y = route.label_at
    inside = any(f.left < x < f.right and f.top < y < f.bottom for f in frames)
    spans = "".join(
        f"<tspan{' class=' + chr(34) + 'call-text' + chr(34) if line.endswith('()') else ''} "
        f'x="{x:.1f}" y="{y + i * LINE:.1f}">{escape(line)}</tspan>'
        for i, line in enumerate(route.edge.label)
    )
    return (
        f'<text class="text{" inside" if inside else ""}" '
        f'text-anchor="{route.anchor}">{spans}</text>'
    )


def _extent(route: Route) -> Box:
    width, (x, y) = text_width(route.edge.label), route.label_at
    left = x - (width if route.anchor == "end" else 0.0)
    xs, ys = [p[0] for p in route.points], [p[1] for p in route.points]
    return Box(
        min(left, *xs),
        min(y - CHARACTER * 2, *ys),
        max(left + width, *xs),
        max(y + LINE * (len(route.edge.label) - 1), *ys),
    )
