"""Pictures of a chart, made from the chart alone: SVG, a page to explore, Mermaid, Graphviz dot,
Markdown and JSON.

`svg`, `html` and `mermaid` draw a chart, yours or the shipped one. Behind them a *view* (`views`)
turns a chart into one `Drawing` (`drawing`), a *writer* (`as_mermaid`, `as_svg`, `inline`, `dot`)
turns that into text. The page (`as_html`), the tables (`table`, `calls`) and the JSON (`exported`)
are written from the chart itself. `gallery` is everything that a directory of diagrams holds, and
says whether it is still fresh.
"""

from __future__ import annotations

from collections.abc import Sequence

from support_chat import Chart

# what the functions stand on is imported when they are used: the JSON alone is wanted more often


def svg(chart: Chart, group: str | None = None, *, path: Sequence[str] = ()) -> str:
    """The overview of a chart as the text of an SVG file, or one `group` of its transitions.

    Args:
        chart: The chart.
        group: What the user is doing, as rows say it; every row of it stands in a table.
        path: Phases to light, and the arrows from each to the next; one phase is a path.

    Raises:
        InvalidInputError: The chart has no such group or phase, or nothing leads on there.
    """
    from .as_svg import svg as written
    from .views import group_on_the_map, lit, overview

    view = overview(chart) if group is None else group_on_the_map(chart, group)
    return written(lit(chart, view, path))


def mermaid(chart: Chart, group: str | None = None, *, path: Sequence[str] = ()) -> str:
    """The same as Mermaid text, which is drawn by GitHub, GitLab and notebooks.

    Args:
        chart: The chart.
        group: What the user is doing, as rows say it; its guards and effects stand in the boxes.
        path: Phases to light.

    Raises:
        InvalidInputError: The chart has no such group or phase, or nothing leads on there.
    """
    from .as_mermaid import mermaid as written
    from .views import group as grouped, lit, overview

    view = overview(chart) if group is None else grouped(chart, group)
    return written(lit(chart, view, path))


def html(chart: Chart, *, path: Sequence[str] = ()) -> str:
    """A page to explore a chart, as the text of an HTML file that needs nothing else: its picture,
    an article on everything in it, and a walk through it, step by step.

    Args:
        chart: The chart.
        path: Phases to light in the picture.

    Raises:
        InvalidInputError: The chart has no such phase, or nothing leads on there.
    """
    from .as_html import html as written

    return written(chart, path)


def picture(chart: Chart) -> str:
    """The overview as an SVG element for a page that may hold others, as notebooks show it."""
    from .inline import inlined
    from .views import overview

    return inlined(overview(chart))
