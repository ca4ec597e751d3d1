"""`support-chat diff`: what differs between two charts, in what they say and in what can happen by
them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Final

import attrs

from support_chat import Chart, ChartError
from support_chat.verify import Property, Report, check, generic

from ..diagrams.difference import Difference, Side, Turn, difference, markdown, turns
from .charts import (
    APP_DIR_OPTION,
    DEFAULT,
    PROPERTIES_OPTION,
    chart_named,
    has_catalogue,
    properties_of,
)
from .options import number, option
from .terminal import Misuse, as_json, emit

_MOST_STATES: Final = 20_000
ABOUT: Final = (
    "Compares two charts by the names of their transitions, explores both, and says which verdicts "
    "change."
)
MORE: Final = f"""\
examples:
  git show main:diagrams/chart.json | support-chat diff - {DEFAULT}
  support-chat diff before.json after.json --exit-zero > changes.md
  support-chat diff {DEFAULT} shop.chat:CHART --json

OLD and NEW are each `package.module:NAME`, a file that `support-chat export`
wrote, or `-` for such a text on standard input.

exit status:
  0  the charts do not differ, or --exit-zero
  1  they differ
  2  misuse
"""
OPTIONS: Final = (
    option("old", metavar="OLD", help="the chart as it was"),
    option("new", metavar="NEW", help="the chart as it is"),
    option("--json", action="store_true", help="as JSON instead of Markdown"),
    option(
        "--max-states",
        metavar="N",
        type=number(int, 1, "a whole number, 1 or more"),
        default=_MOST_STATES,
        help="explore no more than N states of each; a fault may open very many (default: "
        f"{_MOST_STATES:,})",
    ),
    option("--exit-zero", action="store_true", help="exit status 0 also if the charts differ"),
    PROPERTIES_OPTION,
    APP_DIR_OPTION,
)


def run(arguments: argparse.Namespace) -> int:
    """Compares; 1 if the charts differ."""
    old, new = _load(arguments.old, arguments), _load(arguments.new, arguments)
    found = difference(old, new)
    most: int = arguments.max_states
    # the same properties of both, but for what each declares
    both = arguments.properties or (has_catalogue(old) and has_catalogue(new))
    properties = [
        properties_of(chart, arguments)[0] if both else generic(chart) for chart in (old, new)
    ]
    before = _explored(old, properties[0], most)
    after = _explored(new, properties[1], most) if found else before
    turned = () if isinstance(before, str) or isinstance(after, str) else turns(before, after)
    if arguments.json:
        emit(_to_json(arguments, before, after, found, turned))
    else:
        old_side = Side(arguments.old, old, *_counts(before))
        new_side = Side(arguments.new, new, *_counts(after))
        emit(markdown(found, old_side, new_side, turned))
    return 1 if found and not arguments.exit_zero else 0


def _load(named: str, arguments: argparse.Namespace) -> Chart:
    """The chart of that name, or in that file; Misuse if there is none, or none that may run."""
    try:
        return chart_named(named, "", arguments.app_dir)
    except ChartError as error:
        raise Misuse(f"{named}: {error.message}") from error


def _explored(chart: Chart, properties: Sequence[Property], most: int) -> Report | str:
    """The report on a chart, or why it cannot be explored: what it says can be compared all the
    same.
    """
    try:
        return check(chart, properties, max_states=most)
    except ChartError as error:
        return error.message


def _counts(explored: Report | str) -> tuple[str, str]:
    if isinstance(explored, str):
        return f"not explored: {explored}", "–"
    space = explored.space
    more = "" if space.complete else " and more (--max-states)"
    return f"{len(space.states):,}{more}", f"{len(space.ways):,}{more}"


def _to_json(
    arguments: argparse.Namespace,
    before: Report | str,
    after: Report | str,
    found: Difference,
    turned: Sequence[Turn],
) -> str:
    def side(name: str, explored: Report | str) -> dict[str, Any]:
        space = None if isinstance(explored, str) else explored.space
        return {
            "chart": name,
            "states": None if space is None else len(space.states),
            "steps": None if space is None else len(space.ways),
            "complete": space is not None and space.complete,
            "trouble": explored if space is None else None,
        }

    whole = {
        "differ": bool(found),
        "old": side(arguments.old, before),
        "new": side(arguments.new, after),
        **attrs.asdict(found),
        "verdicts": [attrs.asdict(turn) for turn in turned],
    }
    return as_json("difference", whole, indent=2)
