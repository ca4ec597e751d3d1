"""`support-chat check`: explores every reachable state of a chart and says of each property whether
it holds, and if not, why.

The verdicts go to standard output, for a person or as `--json`, the failures last; `--junit`,
`--sarif` and `--counterexamples` write files beside that. Under GitHub Actions each failure is
shown at its transition, and the step's summary gets the verdicts and the picture.

What only some option needs is imported where it is used: a check of a second waits for no more.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from support_chat.verify import (
    Elsewhere,
    Property,
    Report,
    check,
)
from support_chat.verify.generic import unanswered
from support_chat.verify.known import UnknownNameError
from support_chat.verify.reports import (
    WORDS,
    annotation,
    summary,
    to_json,
    to_junit,
    to_markdown,
    word_of,
)

from ..ui.terminal import columns, hanging
from .charts import (
    CHART_OPTIONS,
    PROPERTIES_OPTION,
    has_catalogue,
    load_chart,
    properties_of,
)
from .failures import decided, place, print_failures
from .options import number, option
from .terminal import Misuse, coloured
from .verdicts import (
    STATUS,
    is_meant,
    print_counts,
    print_cut_short,
    print_line,
    print_list,
    progress,
)

_MOST_STATES: Final = 1_000_000
ABOUT: Final = (
    "Explores every reachable state of the chart and decides properties on it; a failure comes "
    "with its story."
)
MORE: Final = """\
examples:
  support-chat check                     every property of the shipped chart
  support-chat check --list              what they are
  support-chat check --property S3 --property L1
                                         two of them (L1: one for each thing to wait for)
  support-chat check --chart panel:CHART
                                         a chart of your own, by what it declares
  support-chat check --chart panel:CHART --properties panel:PROPERTIES
  support-chat check --chart before.json -q
  support-chat check --composition chairs:TWO_AT_THE_DESK
                                         several charts and what they share
  support-chat check --bounds            how long each call can wait, by which limits
  support-chat check --bounds shop:SETTINGS
                                         with these Settings
  support-chat check --engine rumur      the same by a checker that others wrote; on
                                         Debian: apt-get install -y rumur gcc
  support-chat check --junit check.xml --counterexamples out/
  support-chat check --sarif check.sarif

exit status:
  0  every property holds
  1  one fails, or the chart has problems
  2  misuse
  3  inconclusive: a limit was hit
"""
OPTIONS: Final = (
    *CHART_OPTIONS,
    PROPERTIES_OPTION,
    option(
        "--composition",
        metavar="MODULE:NAME",
        help="check this support_chat.verify.Composition, and the properties that it has",
    ),
    option(
        "--property",
        metavar="ID",
        action="append",
        default=[],
        help="only this one; may be given several times",
    ),
    option(
        "--bounds",
        metavar="MODULE:NAME",
        nargs="?",
        const="",
        help="decide nothing: compute from the limits how long each call can wait, whatever "
        "adapters do, with these Settings (default: the defaults)",
    ),
    option("--list", action="store_true", help="list the properties and decide none"),
    option(
        "-q", "--quiet", action="store_true", help="only what fails, and how many properties do"
    ),
    option(
        "--engine",
        choices=("python", "rumur"),
        default="python",
        help="who explores the chart: this package, or Rumur, which others wrote, compiled and on "
        "all cores, for what is too large for Python, or to be believed twice (default: python)",
    ),
    option(
        "--users",
        metavar="N",
        type=number(int, 0, "a whole number, 0 or more"),
        help="how many users may call (default: all that can be told apart)",
    ),
    option("--json", action="store_true", help="what is found as JSON on standard output"),
    option(
        "--junit",
        metavar="FILE",
        type=Path,
        help="also write JUnit XML, a test case for each property",
    ),
    option(
        "--sarif",
        metavar="FILE",
        type=Path,
        help="also write SARIF, each failure at its transition, for code hosts and editors",
    ),
    option(
        "--max-states",
        metavar="N",
        type=number(int, 1, "a whole number, 1 or more"),
        default=_MOST_STATES,
        help=f"stop after N states (default: {_MOST_STATES:,})",
    ),
    option(
        "--time-limit",
        metavar="S",
        type=number(float, 0, "a number of seconds, 0 or more"),
        help="stop exploring after S seconds (default: no limit)",
    ),
    option(
        "--counterexamples",
        metavar="DIR",
        type=Path,
        help="write each counterexample into DIR: its story, a Mermaid diagram, and a pytest file "
        "that replays it on the real session",
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Checks; 0 if every property holds, 1 if one fails, 3 if a limit left one open."""
    if arguments.composition is not None:
        from . import compositions

        return compositions.run(arguments)
    by_rumur = arguments.engine == "rumur"
    if by_rumur:
        from .by_rumur import refuse_what_rumur_has_not

        refuse_what_rumur_has_not(arguments, _MOST_STATES)
    chart = load_chart(arguments)
    if arguments.bounds is not None:
        from .bounds_of_calls import print_bounds

        return print_bounds(chart, arguments)
    properties, elsewhere = properties_of(chart, arguments)
    if arguments.property:
        properties, elsewhere = _chosen(properties, elsewhere, arguments.property)
    if arguments.list:
        listed = [(each.id, each.sentence) for each in properties]
        return print_list([*listed, *((one.id, decided(one)) for one in elsewhere)], arguments)
    if by_rumur:
        from .by_rumur import run_by_rumur

        return run_by_rumur(arguments, chart, properties, elsewhere)
    try:
        report = check(
            chart,
            properties,
            users=arguments.users,
            max_states=arguments.max_states,
            time_limit=arguments.time_limit,
            progress=progress(),
        )
    except UnknownNameError as slip:
        raise Misuse(f"--properties {arguments.properties}: {slip}") from None
    if arguments.json:
        sys.stdout.write(to_json(report, elsewhere))
    else:
        _print(report, elsewhere, arguments)
    if arguments.junit is not None:
        arguments.junit.write_text(to_junit(report, elsewhere), encoding="utf-8", newline="\n")
    if arguments.sarif is not None:
        from .findings import write_sarif

        word = partial(word_of, report.space)
        write_sarif(arguments, report.space.model, report.verdicts, elsewhere, word)
    if arguments.counterexamples is not None:
        from .counterexamples import write_counterexamples

        for line in write_counterexamples(report, arguments.counterexamples, arguments.chart):
            print(line, file=sys.stderr if arguments.json else sys.stdout)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(report, elsewhere, arguments)
    return STATUS[report.held]


def _chosen(
    properties: Sequence[Property], elsewhere: Sequence[Elsewhere], ids: Sequence[str]
) -> tuple[Sequence[Property], Sequence[Elsewhere]]:
    """Those with these ids; `L1` also means `L1 boot` and every other `L1 ...`."""

    known = [*(each.id for each in properties), *(each.id for each in elsewhere)]
    for wanted in ids:
        if not any(is_meant(wanted, id) for id in known):
            raise Misuse(
                f"--property {wanted}: there is no such property; there are: {', '.join(known)}"
            )
    chosen = [each for each in properties if any(is_meant(wanted, each.id) for wanted in ids)]
    others = [each for each in elsewhere if any(is_meant(wanted, each.id) for wanted in ids)]
    if not chosen:
        raise Misuse(
            f"--property {', '.join(ids)}: no model decides that; it is decided by "
            f"{others[0].by}: run {others[0].where}"
        )
    return chosen, others


def _print(report: Report, elsewhere: Sequence[Elsewhere], arguments: argparse.Namespace) -> None:
    space = report.space
    words = [word_of(space, verdict) for verdict in report.verdicts]
    if not arguments.quiet:
        print(coloured(hanging("", summary(report), columns(sys.stdout)), "bold", sys.stdout))
        # the catalogue of the shipped chart says itself what may go unanswered
        told = arguments.property or has_catalogue(space.model.chart)
        lines = [
            *(
                (word, verdict.property.id, verdict.property.sentence)
                for word, verdict in zip(words, report.verdicts, strict=True)
                if verdict.held is not False
            ),
            *(("elsewhere", one.id, decided(one)) for one in elsewhere),
            *(
                ("unanswered", trigger, f"no row wants it in some states of {', '.join(phases)}")
                for trigger, phases in (() if told else unanswered(space).items())
            ),
        ]
        for line in lines:
            print_line(*line)
    print_failures(space.model, report.verdicts, arguments)
    print_counts(words, WORDS[report.held])
    if not space.complete:
        print_cut_short()


def _tell_github(
    report: Report, elsewhere: Sequence[Elsewhere], arguments: argparse.Namespace
) -> None:
    """Annotations on standard output (or error, where the output is JSON), and the step's
    summary.
    """
    from ..diagrams.as_mermaid import mermaid
    from ..diagrams.views import overview

    for verdict in report.verdicts:
        if verdict.held is False:
            print(
                annotation(verdict, place(report.space.model.chart, verdict, arguments)),
                file=sys.stderr if arguments.json else sys.stdout,
            )
    if step_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(step_summary, "a", encoding="utf-8") as page:
            page.write(to_markdown(report, elsewhere, mermaid(overview(report.space.model.chart))))
