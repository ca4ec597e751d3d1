"""`support-chat export`: what programs read of us, as JSON: the whole chart, test cases of it, and
the documents of the Widget API.

The chart goes to standard output, for other checkers and for comparing two versions; so does one of
the documents, for whoever makes a client from it, and `--write` and `--check` keep the documents
that travel with the package.
"""

from __future__ import annotations

import argparse
from typing import Final

from support_chat.verify.cases import cases

from ..diagrams.exported import to_json
from ..diagrams.exported_cases import cases_to_json
from ..extras import require
from ..murphi.model import to_murphi
from .charts import CHART_OPTIONS, DEFAULT, PROPERTIES_OPTION, load_chart, properties_of
from .keeping import keep, keeping_options
from .options import option
from .terminal import Misuse, emit

_DOCUMENTS: Final = {"openapi": "openapi.json", "asyncapi": "asyncapi.json"}
ABOUT: Final = (
    "Writes the whole chart, test cases of it, or a document of the Widget API, as JSON: the same "
    "code always gives the same text."
)
MORE: Final = """\
examples:
  support-chat export > chart.json
  support-chat export | jq '.transitions[].name'
  support-chat export --chart shop.chat:CHART > before.json
  support-chat export --format cases > cases.json        paths that show each row and
                                                         both sides of each guard
  support-chat export --format murphi > chart.m          the chart, its ledger and its
                                                         properties, for Rumur
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
        choices=("chart", "cases", "murphi", *_DOCUMENTS),
        help="what to export (default: chart)",
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
    if arguments.format in _DOCUMENTS:
        if arguments.chart != DEFAULT:
            raise Misuse(
                f"--format {arguments.format} tells of the Widget API, not of a chart: leave out "
                "--chart"
            )
        emit(_documents()[_DOCUMENTS[arguments.format]])
        return 0
    chart = load_chart(arguments)
    if arguments.format == "murphi":
        properties, _ = properties_of(chart, arguments)
        emit(to_murphi(chart, properties).text)
        return 0
    if arguments.properties is not None:
        raise Misuse("--properties goes with --format murphi: no other format has properties")
    emit(cases_to_json(cases(chart)) if arguments.format == "cases" else to_json(chart))
    return 0


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
