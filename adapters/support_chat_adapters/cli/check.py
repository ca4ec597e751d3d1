"""`support-chat check`: explores every reachable state of a chart and says of each property whether
it holds, and if not, why.

The verdicts go to standard output, for a person or as `--json`; `--junit` and `--counterexamples`
write files beside that. Under GitHub Actions each failure is shown at its transition, and the
step's summary gets the verdicts and the picture.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar, cast

from .charts import add_chart_option, load, load_chart
from .terminal import Misuse, coloured

if TYPE_CHECKING:
    from support_chat import Chart
    from support_chat.verify import Elsewhere, Property, Report

_Number = TypeVar("_Number", int, float)
_CATALOGUE: Final = "support_chat.verify.catalogue:CATALOGUE"
_MOST_STATES: Final = 1_000_000
_COLOURS: Final[dict[bool | None, str]] = {True: "green", False: "red", None: "yellow"}
_STATUS: Final[dict[bool | None, int]] = {True: 0, False: 1, None: 3}
_MORE: Final = """\
examples:
  support-chat check                         the shipped chart, every property
  support-chat check --list                  what the properties are
  support-chat check --property S3 --property L1    only these two
  support-chat check --chart panel:CHART     your chart, by generic properties
  support-chat check --chart panel:CHART --properties panel:PROPERTIES
  support-chat check --junit check.xml --counterexamples out/

exit status:
  0  every property holds
  1  one fails, or the chart is faulty
  2  misuse
  3  inconclusive: a limit was hit
"""


def register(commands: Any) -> None:
    """Adds the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="model-check the chart: every reachable state, every property",
        description="Explores every reachable state of the chart and decides properties on it;\n"
        "a failure comes with its story.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_chart_option(parser)
    parser.add_argument(
        "--properties",
        metavar="MODULE:NAME",
        help="your properties, a sequence of them (default: the catalogue of the shipped chart)",
    )
    parser.add_argument(
        "--property",
        metavar="ID",
        action="append",
        default=[],
        help="only this one; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="list the properties and decide none")
    parser.add_argument(
        "--users",
        metavar="N",
        type=_whole,
        help="how many users may call (default: all that can be told apart)",
    )
    parser.add_argument(
        "--json", action="store_true", help="the whole report as JSON on standard output"
    )
    parser.add_argument(
        "--junit",
        metavar="FILE",
        type=Path,
        help="also write JUnit XML, a test case for each property",
    )
    parser.add_argument(
        "--max-states",
        metavar="N",
        type=_positive,
        default=_MOST_STATES,
        help=f"stop after N states (default: {_MOST_STATES:,})",
    )
    parser.add_argument(
        "--time-limit",
        metavar="S",
        type=_seconds,
        help="stop exploring after S seconds (default: no limit)",
    )
    parser.add_argument(
        "--counterexamples",
        metavar="DIR",
        type=Path,
        help="write each counterexample into DIR: its story, a Mermaid diagram, and a pytest file "
        "that replays it on the real session",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Checks; 0 if every property holds, 1 if one fails, 3 if a limit left one open."""
    from support_chat.verify import check
    from support_chat.verify.reports import to_json, to_junit

    chart = load_chart(arguments.chart)
    properties, elsewhere = _properties(chart, arguments.properties)
    if arguments.property:
        properties, elsewhere = _chosen(properties, elsewhere, arguments.property)
    if arguments.list:
        _list(properties, elsewhere)
        return 0
    report = check(
        chart,
        properties,
        users=arguments.users,
        max_states=arguments.max_states,
        time_limit=arguments.time_limit,
        progress=_progress(),
    )
    if arguments.json:
        sys.stdout.write(to_json(report, elsewhere))
    else:
        _print(report, elsewhere)
    if arguments.junit is not None:
        arguments.junit.write_text(to_junit(report, elsewhere), encoding="utf-8", newline="\n")
    if arguments.counterexamples is not None:
        _write_counterexamples(report, arguments.counterexamples, arguments.chart)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(report, elsewhere, arguments)
    return _STATUS[report.held]


def _properties(chart: Chart, named: str | None) -> tuple[Sequence[Property], Sequence[Elsewhere]]:
    """The properties to decide, and those that are decided elsewhere."""
    from support_chat import CHART
    from support_chat.verify import generic
    from support_chat.verify.catalogue import CATALOGUE, ELSEWHERE

    if named is None:
        return (CATALOGUE, ELSEWHERE) if chart is CHART else (generic(chart), ())
    found = load(named, "--properties", _CATALOGUE, "properties", _are_properties)
    if not _are_properties(found):
        raise Misuse(
            f"--properties {named}: this is no sequence of properties of support_chat.verify "
            "(Always, EachStep, ...)"
        )
    twice = sorted({each.id for each in found if sum(other.id == each.id for other in found) > 1})
    if twice:
        raise Misuse(
            f"--properties {named}: two properties have the id {', '.join(twice)}; give each its "
            "own"
        )
    return found, (ELSEWHERE if found is CATALOGUE else ())


def _are_properties(value: object) -> TypeGuard[Sequence[Property]]:
    from support_chat.verify.properties import KINDS

    if not isinstance(value, list | tuple):
        return False
    members = cast("Sequence[object]", value)
    return bool(members) and all(isinstance(member, KINDS) for member in members)


def _chosen(
    properties: Sequence[Property], elsewhere: Sequence[Elsewhere], ids: Sequence[str]
) -> tuple[Sequence[Property], Sequence[Elsewhere]]:
    """Those with these ids; `L1` also means `L1 boot` and every other `L1 ...`."""

    def are(wanted: str, id: str) -> bool:
        return id == wanted or id.startswith(f"{wanted} ")

    known = [each.id for each in (*properties, *elsewhere)]
    for wanted in ids:
        if not any(are(wanted, id) for id in known):
            raise Misuse(
                f"--property {wanted}: there is no such property; there are: {', '.join(known)}"
            )
    chosen = [each for each in properties if any(are(wanted, each.id) for wanted in ids)]
    others = [each for each in elsewhere if any(are(wanted, each.id) for wanted in ids)]
    if not chosen:
        raise Misuse(
            f"--property {', '.join(ids)}: no model decides that; it is decided by "
            f"{others[0].by}: run {others[0].where}"
        )
    return chosen, others


def _print(report: Report, elsewhere: Sequence[Elsewhere]) -> None:
    from support_chat.verify.reports import WORDS, summary
    from support_chat.verify.story import story

    out = sys.stdout
    print(coloured(summary(report), "bold", out))
    for verdict in report.verdicts:
        print(
            f"{coloured(f'{WORDS[verdict.held]:12}', _COLOURS[verdict.held], out)} "
            f"{verdict.property.id:11} {verdict.property.sentence}"
        )
        if verdict.held is False:
            print(
                "".join(
                    f"    {line}\n" for line in story(report.space.model, verdict).splitlines()
                ),
                end="",
            )
    for one in elsewhere:
        print(f"{'elsewhere':12} {one.id:11} {one.sentence} Decided by {one.by}: {one.where}")
    counts = {held: sum(verdict.held is held for verdict in report.verdicts) for held in WORDS}
    told = ", ".join(f"{count} {WORDS[held]}" for held, count in counts.items() if count)
    print(coloured(f"{len(report.verdicts)} properties: {told}", _COLOURS[report.held], out))
    if not report.space.complete:
        print(
            "A limit was hit before every state was seen: what failed has failed, the rest is "
            "open. See --max-states, --time-limit."
        )


def _list(properties: Sequence[Property], elsewhere: Sequence[Elsewhere]) -> None:
    for each in properties:
        print(f"{each.id:11} {each.sentence}")
    for one in elsewhere:
        print(f"{one.id:11} {one.sentence} Decided by {one.by}: {one.where}")


def _progress() -> Callable[[int, int], None] | None:
    """Tells a person at a terminal how far it is, on one line that wipes itself; nobody else."""
    if not sys.stderr.isatty():
        return None

    def tell(states: int, steps: int) -> None:
        print(f"\r{states:,} states, {steps:,} steps \r", end="", file=sys.stderr, flush=True)

    return tell


def _write_counterexamples(report: Report, directory: Path, named: str) -> None:
    from support_chat.verify import occurrences, sequence, story
    from support_chat.verify.replay import as_test

    directory.mkdir(parents=True, exist_ok=True)
    model = report.space.model
    for verdict in report.verdicts:
        if verdict.held is False:
            id, sentence = re.sub(r"\W+", "_", verdict.property.id), verdict.property.sentence
            texts = {f"{id}.txt": f"{verdict.property.id}: {sentence}\n{story(model, verdict)}"}
            if verdict.story:
                texts[f"{id}.mmd"] = sequence(model, verdict)
            if verdict.story and _runs_in_a_session(model.chart):
                texts[f"test_{id.lower()}.py"] = as_test(
                    occurrences(model, verdict)[: len(verdict.story)], named, sentence, id.lower()
                )
            for name, text in texts.items():
                (directory / name).write_text(text, encoding="utf-8", newline="\n")


def _runs_in_a_session(chart: Chart) -> bool:
    """Whether this is a variant of the shipped chart: a session knows what to do with all that it
    asks.
    """
    from support_chat import CHART

    return set(chart.triggers) <= set(CHART.triggers) and set(chart.effects) <= set(CHART.effects)


def _tell_github(
    report: Report, elsewhere: Sequence[Elsewhere], arguments: argparse.Namespace
) -> None:
    """Annotations on standard output (or error, where the output is JSON), and the step's
    summary.
    """
    from support_chat.verify.places import place_of
    from support_chat.verify.reports import annotation, concerned, to_markdown
    from support_chat_adapters.diagrams.mermaid import mermaid
    from support_chat_adapters.diagrams.views import overview

    chart, module = report.space.model.chart, arguments.chart.partition(":")[0]
    for verdict in report.verdicts:
        if verdict.held is False:
            row = concerned(verdict, [row.name for row in chart.transitions])
            print(
                annotation(verdict, place_of(row, module) if row else None),
                file=sys.stderr if arguments.json else sys.stdout,
            )
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(summary, "a", encoding="utf-8") as page:
            page.write(to_markdown(report, elsewhere, mermaid(overview(chart))))


def _whole(text: str) -> int:
    return _number(text, int, 0, "a whole number, 0 or more")


def _positive(text: str) -> int:
    return _number(text, int, 1, "a whole number, 1 or more")


def _seconds(text: str) -> float:
    return _number(text, float, 0, "a number of seconds, 0 or more")


def _number(text: str, kind: Callable[[str], _Number], least: float, wanted: str) -> _Number:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not value >= least:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value
