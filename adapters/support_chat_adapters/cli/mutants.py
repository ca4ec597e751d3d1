"""`support-chat mutants`: makes every single edit of a chart, and says who notices which, and which
nobody does.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import support_chat
from support_chat import Chart
from support_chat.verify.mutants.edits import Edit, edits
from support_chat.verify.mutants.equivalence import engine_differs
from support_chat.verify.mutants.judging import Fate, Judge, OwnJudge
from support_chat.verify.mutants.results import COLUMNS, Book, Result, key_of, killers, matrix
from support_chat.verify.source_lines import place_of

from ..diagrams.exported import to_json
from .charts import CHART_OPTIONS, PROPERTIES_OPTION, is_file, load, load_chart, properties_of
from .forked import judged
from .options import number, option
from .terminal import Misuse, as_json, coloured, emit, say

_TOLD_EVERY: Final = 60.0
"""Seconds between two lines of progress where there is no terminal."""
_COLOURS: Final = {Fate.SURVIVES: "red", Fate.OPEN: "yellow"}
ABOUT: Final = (
    "Makes every single edit of the chart and says of each who notices: its validation, a "
    "property, or nobody. What nobody notices is a property that is missing, or changes nothing."
)
MORE: Final = """\
examples:
  support-chat mutants --sample 500      some edits of the shipped chart, the same ones for
                                         the same --seed
  support-chat mutants --chart panel:CHART --properties panel:PROPERTIES
  support-chat mutants --results sweep.jsonl --jobs 4
                                         all of them; stopped by Ctrl-C, the same command goes on
  support-chat mutants --shard 1/8 --results one.jsonl
                                         an eighth, on one of eight machines
  support-chat mutants --judge shop.tests:wrong
                                         asked at last: wrong(chart) says what is, or None

the ends of an edit:
  invalid     the chart's own validation refuses it
  killed      a property fails
  caught      your judge says what is wrong
  equivalent  in no state that is reached does it go otherwise; or, for the shipped chart and its
              variants, whoever runs the engine is told the same, but for commands that commute
  open        it has too many states to say
  survives    something goes otherwise, and nobody has noticed: a property is missing

exit status:
  0    no edit survives
  1    some do, or the chart has problems
  2    misuse
  3    inconclusive: some are open
  130  stopped by Ctrl-C; what is known is in the --results
"""


def _share(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found and 1 <= int(found[1]) <= int(found[2]):
        return int(found[1]), int(found[2])
    raise argparse.ArgumentTypeError(f"{text!r} is not I/N, such as 1/4, 2/4, 3/4 and 4/4")


OPTIONS: Final = (
    *CHART_OPTIONS,
    PROPERTIES_OPTION,
    option(
        "--judge",
        metavar="MODULE:NAME",
        help="a function of yours that is asked of what the properties let through: it takes the "
        "chart, and returns what is wrong with it, or None",
    ),
    option(
        "--sample",
        metavar="N",
        type=number(int, 1, "a whole number, 1 or more"),
        help="only so many edits, drawn at random (default: all)",
    ),
    option(
        "--seed",
        metavar="S",
        type=number(int, 0, "a whole number, 0 or more"),
        default=0,
        help="of the sample: the same edits for the same number (default: 0)",
    ),
    option("--shard", metavar="I/N", type=_share, help="only the I-th of N equal shares"),
    option(
        "--jobs",
        metavar="J",
        type=number(int, 1, "a whole number, 1 or more"),
        default=1,
        help="as so many processes (default: 1)",
    ),
    option(
        "--results",
        metavar="FILE",
        type=Path,
        help="keep what is known in FILE, and begin with what it has of this chart, these "
        "properties and this code",
    ),
    option("--json", action="store_true", help="the whole report as JSON on standard output"),
)


def run(arguments: argparse.Namespace) -> int:
    """Judges; 0 if no edit survives, 1 if one does, 3 if some are open."""
    chart = load_chart(arguments)
    properties = properties_of(chart, arguments)[0]
    own = _own(arguments)
    chosen = _chosen(chart, arguments)
    known, new = list[Result](), list[Edit]()
    book = _book(chart, arguments)
    for edit in chosen:
        ruling = None if book is None else book.of(edit)
        if ruling is None:
            new.append(edit)
        else:
            known.append(Result(edit, ruling))
    begun = time.perf_counter()
    judge = Judge(chart, properties, own, engine_differs(chart)) if new else None
    found = list[Result]()
    try:
        with contextlib.nullcontext() if book is None else book.open() as file:
            told = _Progress(len(chosen), known)
            for result in judged(judge, new, arguments.jobs) if judge else ():
                found.append(result)
                if book is not None and file is not None:
                    book.write(file, result)
                told.tell(result)
    except KeyboardInterrupt:
        if book is not None:
            print(
                f"\n{len(found):,} of {len(new):,} edits were judged; the same command goes on "
                f"from there ({arguments.results})",
                file=sys.stderr,
            )
        raise
    seconds = time.perf_counter() - begun
    order = {edit.id: place for place, edit in enumerate(chosen)}
    results = sorted([*known, *found], key=lambda each: order[each.edit.id])
    if arguments.json:
        emit(_to_json(chart, results, arguments))
    else:
        _print(chart, results, len(found), seconds, arguments)
    fates = {each.ruling.fate for each in results}
    return 1 if Fate.SURVIVES in fates else 3 if Fate.OPEN in fates else 0


def _chosen(chart: Chart, arguments: argparse.Namespace) -> Sequence[Edit]:
    all_edits = list(edits(chart))
    places: Sequence[int] = range(len(all_edits))
    if arguments.sample is not None and arguments.sample < len(all_edits):
        places = sorted(random.Random(arguments.seed).sample(places, arguments.sample))
    mine, shares = arguments.shard or (1, 1)
    return [all_edits[place] for place in places[mine - 1 :: shares]]


def _own(arguments: argparse.Namespace) -> OwnJudge | None:
    if arguments.judge is None:
        return None
    found = load(arguments.judge, "--judge ", arguments.app_dir, "functions", callable)
    if not callable(found):
        raise Misuse(
            f"--judge {arguments.judge}: this is no function that takes a chart and says what is "
            "wrong with it"
        )
    return cast("OwnJudge", found)


def _book(chart: Chart, arguments: argparse.Namespace) -> Book | None:
    if arguments.results is None:
        return None
    named = (arguments.chart, arguments.properties, arguments.judge)
    modules = [name.partition(":")[0] for name in named if name and not is_file(name)]
    return Book(arguments.results, key_of(to_json(chart), *sorted(set(_sources(modules)))))


def _sources(modules: Sequence[str]) -> Iterator[Path]:
    """What a verdict depends on: the library, and what these modules are part of."""
    yield Path(support_chat.__file__).parent
    for name in modules:
        package = import_module(name.partition(".")[0])
        folders = getattr(package, "__path__", None)
        yield from map(Path, folders if folders is not None else [str(package.__file__)])


class _Progress:
    """Tells a person at a terminal how far it is, on one line; elsewhere a line a minute."""

    def __init__(self, all_edits: int, known: Sequence[Result]) -> None:
        self._all, self._known, self._done, self._survive = all_edits, len(known), 0, 0
        self._survive = sum(each.ruling.fate is Fate.SURVIVES for each in known)
        self._begun = self._told = time.perf_counter()
        self._live = sys.stderr.isatty()

    def tell(self, result: Result) -> None:
        self._done += 1
        self._survive += result.ruling.fate is Fate.SURVIVES
        now = time.perf_counter()
        if now - self._told >= (0.2 if self._live else _TOLD_EVERY):
            self._told = now
            line = (
                f"{self._known + self._done:,} of {self._all:,} edits, "
                f"{self._done / (now - self._begun):.0f} a second, {self._survive:,} survive"
            )
            print(f"\r{line} \r" if self._live else line, end="" if self._live else "\n",
                  file=sys.stderr, flush=True)  # fmt: skip


def _print(
    chart: Chart,
    results: Sequence[Result],
    judged_now: int,
    seconds: float,
    arguments: argparse.Namespace,
) -> None:
    speed = f", {judged_now / seconds:,.0f} a second" if judged_now else ""
    head = f"{chart.name}: {len(results):,} edits, {judged_now:,} judged in {seconds:,.0f} s{speed}"
    print(coloured(head, "bold", sys.stdout))
    table = matrix(results)
    print("".join([f"{'':20}", *(f"{fate:>11}" for fate in COLUMNS), f"{'all':>8}"]))
    for kind, ends in table.items():
        cells = [f"{ends[fate] or '·':>11}" for fate in COLUMNS]
        print("".join([f"{kind:20}", *cells, f"{ends.total():>8}"]))
    sums = [sum(ends[fate] for ends in table.values()) for fate in COLUMNS]
    print("".join([f"{'all':20}", *(f"{n or '·':>11}" for n in sums), f"{len(results):>8}"]))
    if by := killers(results).most_common():
        say(", ".join(f"{id} {count}" for id, count in by), "killed by: ")
    places = _Places(arguments.chart)
    for each in results:
        fate = each.ruling.fate
        if fate in _COLOURS:
            at = places.of(each.edit)
            print(coloured(f"{fate:9}", _COLOURS[fate], sys.stdout), end=" ")
            why = f" ({each.ruling.why})" if each.ruling.why else ""
            say(f"{f'{at}: ' if at else ''}{each.edit.id}{why}")


class _Places:
    """Where the rows are written, each looked for once."""

    def __init__(self, named: str) -> None:
        self._source = named if is_file(named) else named.partition(":")[0]
        self._known: dict[str, str] = {}

    def of(self, edit: Edit) -> str:
        name = edit.of.split(" ")[-1]
        if name not in self._known:
            place = place_of(name, self._source)
            self._known[name] = f"{place[0]}:{place[1]}" if place else ""
        return self._known[name]


def _to_json(chart: Chart, results: Sequence[Result], arguments: argparse.Namespace) -> str:
    places = _Places(arguments.chart)

    def told(each: Result) -> dict[str, Any]:
        edit, ruling = each.edit, each.ruling
        return {
            "kind": edit.kind, "of": edit.of, "edit": edit.words, "fate": ruling.fate,
            "by": ruling.by, "why": ruling.why, "at": places.of(edit),
        }  # fmt: skip

    whole = {
        "chart": chart.name,
        "edits": len(results),
        "matrix": {kind: dict(ends) for kind, ends in matrix(results).items()},
        "killed by": dict(killers(results).most_common()),
        "equivalent": [each.edit.id for each in results if each.ruling.fate is Fate.EQUIVALENT],
        "unnoticed": [told(each) for each in results if each.ruling.fate in _COLOURS],
    }
    return as_json("mutants", whole, indent=2)
