"""`support-chat export`: what programs read of us, as JSON: the whole chart, test cases of it, its
states and steps as a graph, and the documents of the Widget API; and what runs an exported chart in
JavaScript.

The chart goes to standard output, for other checkers and for comparing two versions; so does one of
the documents, for whoever makes a client from it, and `--write` and `--check` keep the documents
that travel with the package.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from support_chat import Chart
from support_chat.verify import explore
from support_chat.verify.cases import cases

from ..diagrams.as_html import interpreter
from ..diagrams.exported import to_json
from ..diagrams.exported_cases import cases_to_json
from ..diagrams.exported_graph import graph_to_json
from ..extras import require
from ..murphi.model import to_murphi
from ..xstate.machine import to_xstate
from .charts import CHART_OPTIONS, DEFAULT, PROPERTIES_OPTION, load_chart, properties_of
from .keeping import keep, keeping_options, refuse_json
from .options import option
from .terminal import Misuse, emit

_MOST_STATES: Final = 1_000_000
_INTERPRETER: Final = "javascript"
_DOCUMENTS: Final = {"openapi": "openapi.json", "asyncapi": "asyncapi.json"}
_WITH_PROPERTIES: Final = ("murphi", "xstate")
_FORMATS: Final = ("chart", "cases", "graph", *_WITH_PROPERTIES, _INTERPRETER, *_DOCUMENTS)
ABOUT: Final = (
    "Writes the whole chart, test cases of it, its graph of states, or a document of the Widget "
    "API, as JSON: the same code always gives the same text."
)
MORE: Final = """\
examples:
  support-chat export > chart.json
  support-chat export | jq '.transitions[].name'
  support-chat export --chart shop.chat:CHART > before.json
  support-chat export --format cases > cases.json        paths that show each row and
                                                         both sides of each guard
  support-chat export --format graph > graph.json        every state and every step
  support-chat export --format murphi > chart.m          the chart, its ledger and its
                                                         properties, for Rumur
  support-chat export --format xstate > machine.json     the same, for XState
  support-chat export --format javascript > chart.mjs    what runs an exported chart, in
                                                         Node or a browser
  support-chat export --format openapi > openapi.json    the Widget API over HTTP
  support-chat export --format asyncapi                  its realtime gateway
  support-chat export --check wire/                      in CI: exit status 1 if a
                                                         document there is stale or missing
"""
OPTIONS: Final = (
    *CHART_OPTIONS,
    PROPERTIES_OPTION,
    option(
        "--format",
        metavar="FORMAT",
        choices=_FORMATS,
        help=f"what to export: {', '.join(_FORMATS)} (default: chart)",
    ),
    keeping_options(
        "write both documents of the Widget API into DIR",
        "check that DIR holds just what --write would write",
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Writes the JSON; 1 if `--check` found a difference."""
    if arguments.write or arguments.check:
        if arguments.format or arguments.chart != DEFAULT:
            raise Misuse(
                "--write and --check are about both documents of the Widget API: leave out "
                "--format and --chart"
            )
        return keep(arguments, _documents, "documents", "support-chat export", marks=())
    refuse_json(arguments)
    if arguments.format in (_INTERPRETER, *_DOCUMENTS):
        if arguments.chart != DEFAULT:
            raise Misuse(f"--format {arguments.format} is of no chart: leave out --chart")
        text = interpreter() if arguments.format == _INTERPRETER else _document(arguments.format)
        emit(text)
        return 0
    chart = load_chart(arguments)
    if arguments.format in _WITH_PROPERTIES:
        properties, _ = properties_of(chart, arguments)
        emit(
            to_murphi(chart, properties).text
            if arguments.format == "murphi"
            else to_xstate(chart, properties)
        )
        return 0
    if arguments.properties is not None:
        raise Misuse(
            "--properties goes with --format murphi or xstate: no other format has properties"
        )
    emit(_WRITERS[arguments.format or "chart"](chart))
    return 0


def _document(form: str) -> str:
    return _documents()[_DOCUMENTS[form]]


def _graph(chart: Chart) -> str:
    space = explore(chart, max_states=_MOST_STATES)
    if not space.complete:
        raise Misuse(f"--format graph: {chart.name} has more than {_MOST_STATES:,} states")
    return graph_to_json(space)


_WRITERS: Final[Mapping[str, Callable[[Chart], str]]] = {
    "chart": to_json,
    "cases": lambda chart: cases_to_json(cases(chart)),
    "graph": _graph,
}


def _documents() -> dict[str, str]:
    try:
        require(
            "msgspec",
            extra="serve",
            purpose="The documents of the Widget API are written with msgspec",
        )
    except ModuleNotFoundError as error:
        raise Misuse(str(error)) from None
    from ..transport.wire.documents import documents

    return documents()
