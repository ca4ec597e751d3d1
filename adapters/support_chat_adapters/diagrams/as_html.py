"""Writes a chart as one page to explore it: its picture, an article on everything in it, and a walk
through it, step by step.

The page asks no network for anything, and says so to the browser. The files that it is made of lie
in `explorer/`: a template, a style, and modules of JavaScript, of which `chart.mjs` runs the chart.
What they show of it is written here, so that a page whose script does not run can be read.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html import escape
from pkgutil import get_data
from string import Template
from typing import Final

from support_chat import Chart

from .articles import address, articles, way_name
from .drawing import Drawing, Edge, Node
from .exported import to_json
from .inline import inlined
from .views import lit, overview

MODULES: Final = ("chart.mjs", "walk.mjs", "logs.mjs", "panels.mjs", "page.mjs")
"""In the order in which they follow each other in the page."""


def html(chart: Chart, path: Sequence[str] = ()) -> str:
    """The chart as the text of an HTML file; in its picture the phases of `path` are lit, and the
    arrows between them. Raises InvalidInputError for a path that is none.
    """
    drawing = lit(chart, overview(chart), path)
    picture = _picture(chart, drawing)
    script = "\n".join(_module(name) for name in MODULES)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(source("page.html")).substitute(
        title=escape(chart.name),
        home=address("chart", chart.name),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        style=source("page.css").replace("$least", _least(picture)),
        picture=picture,
        articles="\n".join(article.html for article in articles(chart, drawing)),
        # no text of the chart ends the element that it stands in
        document=to_json(chart).replace("<", "\\u003c"),
        script=script,
    )


def interpreter() -> str:
    """The text of the module that runs an exported chart, in Node or a browser."""
    return source(MODULES[0])


def _picture(chart: Chart, drawing: Drawing) -> str:
    """The picture, or why there is none: the articles are there all the same."""

    def link(thing: Node | Edge) -> str:
        match thing:
            case Node(pseudo=True):
                return ""
            case Node():
                return f"#{address('phase', thing.name)}"
            case Edge():
                return f"#{address('way', way_name(thing))}"

    try:
        return inlined(drawing, link)
    except Exception as error:
        return (
            '<p class="fault" role="alert">The picture could not be drawn: '
            f"{escape(f'{type(error).__name__}: {error}')}. Everything else is here.</p>"
        )


def _least(picture: str) -> str:
    """How narrow a picture may get, to be read: a wide one is moved instead."""
    width = re.search(r'<svg [^>]* width="(\d+)"', picture)
    return f"{min(int(width[1]) if width else 0, 760)}px"


def _module(name: str) -> str:
    """The text of a module, as a part of one."""
    text = re.sub(r'^import [^;]*? from "[^"]+";\n', "", source(name), flags=re.MULTILINE)
    return re.sub(r"^export ", "", text, flags=re.MULTILINE)


def source(name: str) -> str:
    """The text of one of the files that a page is made of."""
    return (get_data(__name__, f"explorer/{name}") or b"").decode()
