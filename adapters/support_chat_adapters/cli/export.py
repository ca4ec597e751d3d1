"""`support-chat export`: the whole chart as JSON on standard output, for other checkers and for comparing two versions."""

from __future__ import annotations

import argparse
from typing import Any, Final

from .charts import add_chart_option, load_chart
from .terminal import emit

_MORE: Final = """\
examples:
  support-chat export > chart.json
  support-chat export | jq '.transitions[] | select(.target == "shutdown") | .name'
  support-chat export --chart shop.chat:CHART > before.json
"""


def register(commands: Any) -> None:
    """Adds the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "export",
        help="the whole chart as stable JSON",
        description="Writes the whole chart as JSON to standard output: the same chart always gives the same text.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_chart_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the JSON; always 0."""
    from support_chat_adapters.drawing.exported import to_json

    emit(to_json(load_chart(arguments.chart)))
    return 0
