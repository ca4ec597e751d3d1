"""`support-chat check`: explores every reachable state of a chart and says of each property whether
it holds, and if not, why.

The verdicts go to standard output, for a person or as `--json`, the failures last; `--junit` and
`--counterexamples` write files beside that. Under GitHub Actions each failure is shown at its
transition, and the step's summary gets the verdicts and the picture.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final

from support_chat import CHART, Chart, InvalidInputError, Settings
from support_chat.verify import (
    Elsewhere,
    Property,
    Report,
    Space,
    Verdict,
    check,
    occurrences,
    sequence,
    story,
)
from support_chat.verify.generic import unanswered
from support_chat.verify.known import UnknownNameError
from support_chat.verify.properties import counterexamples, never_asked
from support_chat.verify.replay import as_test, replay
from support_chat.verify.reports import (
    WORDS,
    annotation,
    summary,
    to_json,
    to_junit,
    to_markdown,
)

from ..diagrams.as_mermaid import mermaid
from ..diagrams.bounds import bounds_tables
from ..diagrams.views import overview
from ..ui.terminal import columns, hanging
from . import compositions
from .by_rumur import refuse_what_rumur_has_not, run_by_rumur
from .charts import (
    CHART_OPTIONS,
    PROPERTIES_OPTION,
    has_catalogue,
    is_file,
    load,
    load_chart,
    properties_of,
)
from .failures import decided, place, print_failures
from .options import number, option
from .terminal import Misuse, coloured, emit, say
from .verdicts import (
    STATUS,
    is_meant,
    print_counts,
    print_cut_short,
    print_line,
    progress,
)

_MOST_STATES: Final = 1_000_000
# how many ways to a failure are tried on a session before none is found to go
_MOST_STORIES: Final = 50
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
    option("--json", action="store_true", help="the whole report as JSON on standard output"),
    option(
        "--junit",
        metavar="FILE",
        type=Path,
        help="also write JUnit XML, a test case for each property",
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
        return compositions.run(arguments)
    if arguments.engine == "rumur":
        refuse_what_rumur_has_not(arguments, _MOST_STATES)
    chart = load_chart(arguments)
    if arguments.bounds is not None:
        return _print_bounds(chart, arguments)
    properties, elsewhere = properties_of(chart, arguments)
    if arguments.property:
        properties, elsewhere = _chosen(properties, elsewhere, arguments.property)
    if arguments.list:
        for id, sentence in (
            *((each.id, each.sentence) for each in properties),
            *((one.id, decided(one)) for one in elsewhere),
        ):
            say(sentence, f"{id:11} ")
        return 0
    if arguments.engine == "rumur":
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
    if arguments.counterexamples is not None:
        for line in _write_counterexamples(report, arguments.counterexamples, arguments.chart):
            print(line, file=sys.stderr if arguments.json else sys.stdout)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(report, elsewhere, arguments)
    return STATUS[report.held]


def _print_bounds(chart: Chart, arguments: argparse.Namespace) -> int:
    settings = Settings()
    if arguments.bounds:
        found = load(arguments.bounds, "--bounds ", arguments.app_dir, "settings", _are_settings)
        if not isinstance(found, Settings):
            raise Misuse(f"--bounds {arguments.bounds}: this is no support_chat.Settings")
        settings = found
    try:
        emit(bounds_tables(chart, settings))
    except InvalidInputError as error:
        raise Misuse(f"--bounds: {error}") from error
    return 0


def _are_settings(value: object) -> bool:
    return isinstance(value, Settings)


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
    words = [
        "never asked"
        if verdict.held and never_asked(space, verdict.property)
        else WORDS[verdict.held]
        for verdict in report.verdicts
    ]
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


def _write_counterexamples(report: Report, directory: Path, named: str) -> Iterator[str]:
    """Writes the files; says of each failure that gets no pytest file why not."""
    directory.mkdir(parents=True, exist_ok=True)
    model = report.space.model
    for verdict in report.verdicts:
        if verdict.held is False:
            id, sentence = re.sub(r"\W+", "_", verdict.property.id), verdict.property.sentence
            texts = {f"{id}.txt": f"{verdict.property.id}: {sentence}\n{story(model, verdict)}"}
            if verdict.story:
                texts[f"{id}.mmd"] = sequence(model, verdict)
            replayed = _replayable(report.space, verdict, named)
            if isinstance(replayed, str):
                yield f"{verdict.property.id} gets no pytest file: {replayed}"
            else:
                texts[f"test_{id.lower()}.py"] = as_test(
                    occurrences(model, replayed)[: len(replayed.story)], named, sentence, id.lower()
                )
            for name, text in texts.items():
                (directory / name).write_text(text, encoding="utf-8", newline="\n")


def _replayable(space: Space, verdict: Verdict, named: str) -> Verdict | str:
    """The first way to the failure that a session goes as well, or why there is none."""
    chart = space.model.chart
    if not verdict.story:
        return "there is no story to replay"
    # what the shipped chart has not, no session can do
    if not (
        set(chart.triggers) <= set(CHART.triggers) and set(chart.effects) <= set(CHART.effects)
    ):
        return "a session runs nothing but variants of the shipped chart"
    if is_file(named):
        return "it imports the chart, so name it as package.module:NAME"
    differs = ""
    for one in islice(chain([verdict], counterexamples(space, verdict.property)), _MOST_STORIES):
        found = replay(chart, occurrences(space.model, one)[: len(one.story)])
        if not found.differs:
            return one
        differs = differs or found.differs
    return f"no session goes this way, nor the next ones ({differs})"


def _tell_github(
    report: Report, elsewhere: Sequence[Elsewhere], arguments: argparse.Namespace
) -> None:
    """Annotations on standard output (or error, where the output is JSON), and the step's
    summary.
    """
    for verdict in report.verdicts:
        if verdict.held is False:
            print(
                annotation(verdict, place(report.space.model.chart, verdict, arguments)),
                file=sys.stderr if arguments.json else sys.stdout,
            )
    if step_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(step_summary, "a", encoding="utf-8") as page:
            page.write(to_markdown(report, elsewhere, mermaid(overview(report.space.model.chart))))
