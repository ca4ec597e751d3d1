"""Writes a drawing as a standalone SVG: no script, no font, no tool needed; legible on light and on
dark pages.

Calls are blue and written `boot()`; everything else that moves a session is grey.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .layout import CHARACTER, LINE, Box, lay_out, text_width
from .model import Drawing, Node
from .routes import Point, Route, route

MARGIN = 22.0
RADIUS = 9.0
LEGEND = 28.0
"""What the legend adds to the height, in pixels."""

_STYLE = """
    .name, .frame-name {
      font-family: ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif
    }
    .text {
      font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace
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
    .text { font-size: 11.5px; fill: #47546a }
    .text { stroke: #ffffff; stroke-width: 3px; paint-order: stroke }
    .text.inside { stroke: #f3f6fa }
    .text .call-text { fill: #1a58b8; font-weight: 700 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0f151d; stroke: #2b3644 }
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
      .text { fill: #b9c5d4; stroke: #0f151d }
      .text.inside { stroke: #161f2a }
      .text .call-text { fill: #8dbbff }
    }
"""


def svg(drawing: Drawing) -> str:
    """The drawing as the text of an SVG file, sized in pixels."""
    layout = lay_out(drawing)
    routes = route(drawing, layout)
    places = [*layout.boxes.values(), *layout.frames.values(), *(_extent(r) for r in routes)]
    left, top = min(p.left for p in places) - MARGIN, min(p.top for p in places) - MARGIN
    if drawing.initial:
        top -= 26
    width, height = (
        max(p.right for p in places) + MARGIN - left,
        max(p.bottom for p in places) + MARGIN + LEGEND - top,
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" role="img" '
        f'aria-label="{escape(drawing.title)}">',
        f"  <title>{escape(drawing.title)}</title>",
        f"  <style>{_STYLE}  </style>",
        "  <defs>",
        *(f"    {_tip(name, kind)}" for name, kind in (("tip", "tip"), ("call-tip", "call-tip"))),
        "  </defs>",
        f'  <rect class="page" x="{left + 1:.1f}" y="{top + 1:.1f}" width="{width - 2:.1f}" '
        f'height="{height - 2:.1f}" rx="12"/>',
    ]
    for name, frame in layout.frames.items():
        lines.append(f'  <rect class="frame" {_rectangle(frame)} rx="16"/>')
        lines.append(
            f'  <text class="frame-name" x="{frame.left + 18:.1f}" '
            f'y="{frame.top + 22:.1f}">{escape(name.upper())}</text>'
        )
    if drawing.initial:
        lines += _beginning(layout.boxes[drawing.initial])
    lines += [f"  {_line(r)}" for r in sorted(routes, key=_is_call)]
    framed = {member for composite in drawing.composites for member in composite.members}
    for node in drawing.nodes:
        lines += _box(
            node,
            layout.boxes[node.name],
            "framed" if node.name in framed else "end" if node.name in drawing.final else "",
        )
    lines += [f"  {_label(r, list(layout.frames.values()))}" for r in routes]
    lines += _legend(left + MARGIN, top + height - MARGIN)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _tip(name: str, kind: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="8" '
        'markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{kind}" d="M0 0.4 L8 4 L0 7.6 '
        'Z"/></marker>'
    )


def _rectangle(box: Box) -> str:
    return (
        f'x="{box.left:.1f}" y="{box.top:.1f}" width="{box.right - box.left:.1f}" '
        f'height="{box.bottom - box.top:.1f}"'
    )


def _beginning(box: Box) -> Iterator[str]:
    yield f'  <circle class="tip" cx="{box.x:.1f}" cy="{box.top - 26:.1f}" r="5"/>'
    yield (
        f'  <path class="line" d="M{box.x:.1f} {box.top - 26:.1f} L{box.x:.1f} {box.top:.1f}" '
        'marker-end="url(#tip)"/>'
    )


def _legend(x: float, y: float) -> Iterator[str]:
    for kind, tip, words in (
        (" call", "call-tip", "a call"),
        ("", "tip", "an outcome, an event or a timer"),
    ):
        yield (
            f'  <path class="line{kind}" d="M{x:.1f} {y:.1f} L{x + 30:.1f} {y:.1f}" '
            f'marker-end="url(#{tip})"/>'
        )
        yield f'  <text class="text" x="{x + 38:.1f}" y="{y + 4:.1f}">{words}</text>'
        x += 38 + text_width([words]) + 30


def _box(node: Node, box: Box, kind: str) -> Iterator[str]:
    yield (
        f'  <rect class="{"pseudo" if node.pseudo else f"box {kind}".strip()}" '
        f'{_rectangle(box)} rx="{20 if node.pseudo else 9}"/>'
    )
    yield f'  <text class="name" x="{box.x:.1f}" y="{box.y + 5:.1f}">{escape(node.label)}</text>'


def _is_call(route: Route) -> bool:
    return route.edge.label[0].endswith("()")


def _line(route: Route) -> str:
    points = route.points
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _toward(corner, before), _toward(corner, after)
        path.append(
            f"L{start[0]:.1f} {start[1]:.1f} Q{corner[0]:.1f} {corner[1]:.1f} {end[0]:.1f} "
            f"{end[1]:.1f}"
        )
    path.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
    call = _is_call(route)
    return (
        f'<path class="line{" call" if call else ""}" d="{" ".join(path)}" '
        f'marker-end="url(#{"call-tip" if call else "tip"})"/>'
    )


def _toward(corner: Point, other: Point) -> Point:
    length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    step = min(RADIUS, length / 2) / length if length else 0.0
    return corner[0] + (other[0] - corner[0]) * step, corner[1] + (other[1] - corner[1]) * step


def _label(route: Route, frames: list[Box]) -> str:
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
    """What the arrow and its label cover."""
    width, (x, y) = text_width(route.edge.label), route.label_at
    left = x - (width if route.anchor == "end" else 0.0)
    xs, ys = [p[0] for p in route.points], [p[1] for p in route.points]
    return Box(
        min(left, *xs),
        min(y - CHARACTER * 2, *ys),
        max(left + width, *xs),
        max(y + LINE * (len(route.edge.label) - 1), *ys),
    )
