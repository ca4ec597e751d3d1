"""`support-chat trace`: is this log of calls, outcomes and phases a path of the chart and its
ledger?
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from support_chat.verify.possible import Possibility, Traced, trace_log

from .charts import CHART_OPTIONS, load_chart
from .options import number, option
from .terminal import Misuse, as_json, coloured, emit, say

_MOST_STATES: Final = 1_000_000
_MOST_SHOWN: Final = 5
ABOUT: Final = (
    "Says whether a log of calls, outcomes and phases is a path of the chart and its ledger, "
    "whatever language its client is written in."
)
MORE: Final = """\
examples:
  support-chat trace life.jsonl
  my-client --log /dev/stdout | support-chat trace -
  support-chat trace panel.jsonl --chart panel:CHART
  support-chat trace life.jsonl --json | jq '.possible[].rows'

a log is one JSON object a line. The least that it says:
  {"schema": "support-chat/trace", "version": 1}
  {"trigger": "boot", "phase": "loading"}
  {"trigger": "loaded", "phase": "booting"}
  {"end": 2}

A step says what happened and the phase after it. What it does not say is left
open, so the more it says, the more is judged:
  "late": true                   it is the outcome or event of what was superseded
  "of": "dial"                   the effect that it is the outcome of
  "facts": {"same_user": true}   facts as they were when it happened
  "rows": ["boot.begin"]         the rows that fired, internal triggers' included
  "effects": ["dial"]            what they asked for, in order
  "note": ...                    yours, not judged
The first line may say "session", so that two are never taken for one, "chart",
and "from": the phase in which the log begins, if the session had begun before.
A session in Python writes such a log with `chat.log_steps(file)`.

exit status:
  0  it is a path
  1  it is none, is cut or empty, mixes sessions, or is of another version
  2  misuse
"""
OPTIONS: Final = (
    option("log", metavar="FILE", help="the log, or - for standard input"),
    *CHART_OPTIONS,
    option("--json", action="store_true", help="the verdict as JSON"),
    option(
        "--max-states",
        metavar="N",
        type=number(int, 1, "a whole number, 1 or more"),
        default=_MOST_STATES,
        help="explore no more than N states for a log that begins in mid-life (default: "
        f"{_MOST_STATES:,})",
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Judges the log; 1 if it is no path."""
    named: str = arguments.log
    if named == "-" == arguments.chart:
        raise Misuse("the log and --chart cannot both be standard input")
    found = trace_log(load_chart(arguments), _lines(named), max_states=arguments.max_states)
    if arguments.json:
        emit(as_json("trace-verdict", {"path": not found.fault, **attrs.asdict(found)}, indent=2))
    else:
        _tell("standard input" if named == "-" else named, found)
    return 1 if found.fault else 0


def _lines(named: str) -> Iterator[str]:
    try:
        if named == "-":
            yield from sys.stdin
            return
        with Path(named).open(encoding="utf-8") as file:
            yield from file
    except UnicodeDecodeError:
        raise Misuse(f"{named}: this is no log: it is not UTF-8") from None


def _tell(named: str, found: Traced) -> None:
    if not found.fault:
        head = coloured("path", "green", sys.stdout)
        states = "state is" if found.states == 1 else "states are"
        print(
            f"{head}  {named}: {found.steps:,} steps; {found.states:,} {states} possible at its end"
        )
        return
    print(f"{coloured('no path', 'red', sys.stdout)}  {named}:{found.line}")
    say(found.fault, "  ")
    alike: dict[object, list[Possibility]] = {}
    for each in found.possible:
        alike.setdefault((each.phase, each.because, each.rows), []).append(each)
    for group in [*alike.values()][:_MOST_SHOWN]:
        _tell_states(group)
    if (more := sum(map(len, [*alike.values()][_MOST_SHOWN:]))) > 0:
        say(f"... and {more:,} more states were possible: see --json.", "  ")


def _tell_states(states: Sequence[Possibility]) -> None:
    """One of these states, which the same rules out."""
    one = states[0]
    who = [f"{register} {name}" for register, name in one.registers.items() if name]
    others = f" (and {len(states) - 1:,} like it)" if len(states) > 1 else ""
    say(", ".join([one.phase, *who]) + others, "  possible before it: ")
    say(", ".join(one.facts) or "none", "    facts:  ")
    say(", ".join(one.ledger) or "nothing", "    ledger: ")
    if one.because:
        say(one.because, "    ")
    for row in one.rows:
        say(row.because or ", ".join(row.guards), f"    {row.row}: ")
