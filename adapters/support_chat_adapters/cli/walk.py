"""`support-chat walk`: goes through a chart and its ledger step by step, as somebody chooses or at
random.

Choices come from standard input, typed or piped, one a line. At a terminal a slip is told and asked
again; a script with a slip has failed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import attrs

from support_chat import InvalidInputError
from support_chat.verify.story import Occurrence
from support_chat.verify.walk import Standing, Walk

from ..ui.terminal import columns, hanging
from .charts import CHART_OPTIONS, load_chart
from .options import number, option
from .terminal import Misuse, as_json, coloured, complain, emit, say

_STEPS: Final = 20
_HELP: Final = """\
3              let the third of these happen
TRIGGER        let this happen; if it can in several ways, they are shown
back           take the last step back
why not TRIGGER
               which guard of which row rules it out here
facts          which facts hold here, and which do not
help           this
quit           leave; so does the end of the input\
"""
ABOUT: Final = (
    "Steps through the chart: shows where it stands and what can happen now, and lets you choose."
)
MORE: Final = f"""\
examples:
  support-chat walk
  support-chat walk --chart panel:CHART
  support-chat walk --steps 50 --seed 7  at random; the same number, the same way
  printf '%s\\n' boot loaded | support-chat walk
                                         a script: one choice a line
  support-chat walk --steps 9 --json | jq -r .taken.words

what can be chosen:
{"".join(f"  {line}{chr(10)}" for line in _HELP.splitlines())}
With --json each answer is one JSON object a line: where it stands, what was
taken, and the choices.

exit status:
  0    it has come to its end
  2    misuse, or a script chooses what cannot be
  130  stopped by Ctrl-C
"""
OPTIONS: Final = (
    *CHART_OPTIONS,
    option(
        "--steps",
        metavar="N",
        type=number(int, 1, "a whole number, 1 or more"),
        help=f"take N steps at random, and leave (default, with --seed: {_STEPS})",
    ),
    option(
        "--seed",
        metavar="S",
        type=number(int, 0, "a whole number, 0 or more"),
        help="of the random steps: the same way for the same number (default, with --steps: 0)",
    ),
    option("--json", action="store_true", help="one JSON object a line"),
)


def run(arguments: argparse.Namespace) -> int:
    """Walks; 0 at the end of the way or of the input."""
    by_chance = arguments.steps is not None or arguments.seed is not None
    if not by_chance and arguments.chart == "-":
        raise Misuse("the choices and --chart cannot both be standard input")
    walk = Walk(load_chart(arguments))
    if by_chance:
        return _at_random(walk, arguments)
    tell: Callable[[Walk], None] = _tell_json if arguments.json else _tell
    tell(walk)
    for line_number, line in enumerate(_lines(arguments.json), 1):
        try:
            if _answer(walk, line, tell, as_data=arguments.json):
                break
        except InvalidInputError as slip:
            if not sys.stdin.isatty():
                raise Misuse(f"line {line_number}: {slip.message}") from None
            complain(slip.message)
    return 0


def _at_random(walk: Walk, arguments: argparse.Namespace) -> int:
    rng = random.Random(arguments.seed or 0)
    if arguments.json:
        _tell_json(walk)
    else:
        _tell_standing(walk.here)
    for _ in range(arguments.steps or _STEPS):
        told = walk.at_random(rng)
        if told is None:
            if not arguments.json:
                print("Nothing can happen any more.")
            break
        if arguments.json:
            _tell_json(walk)
        else:
            say(told.words, f"{len(walk.taken):3}. ")
            _tell_standing(walk.here, told.rows)
    return 0


def _lines(as_data: bool) -> Iterator[str]:
    """What is chosen: typed at a prompt, or read, and then shown as if it had been."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            if words := line.strip():
                if not as_data:
                    print(f"> {words}")
                yield words
        return
    with contextlib.suppress(ImportError):
        import_module("readline")  # lines can be edited, and come back
    while True:
        try:
            line = input("" if as_data else "> ")
        except EOFError:
            print()
            return
        if words := line.strip():
            yield words


def _answer(walk: Walk, line: str, tell: Callable[[Walk], None], *, as_data: bool) -> bool:
    """Does what a line asks for; whether it was to leave. Raises InvalidInputError."""
    words = line.split()
    match words:
        case ["quit" | "exit" | "q"]:
            return True
        case ["help" | "?"]:
            emit(as_json("walk-help", {"help": _HELP}) if as_data else f"{_HELP}\n")
        case ["facts"]:
            _tell_facts(walk, as_data=as_data)
        case ["back"]:
            walk.back()
            tell(walk)
        case ["why", "not", trigger]:
            _tell_why_not(walk, trigger, as_data=as_data)
        case [digits] if digits.isdecimal():
            walk.take(int(digits))
            tell(walk)
        case [trigger] if trigger.removesuffix("()") in walk.model.chart.triggers:
            _take(walk, trigger.removesuffix("()"), tell, as_data=as_data)
        case _:
            raise InvalidInputError(f"There is no {line!r} to choose; `help` says what there is.")
    return False


def _take(walk: Walk, trigger: str, tell: Callable[[Walk], None], *, as_data: bool) -> None:
    """Lets a trigger happen that can in one way; shows the ways if there are several."""
    choices = walk.choices()
    numbers = [n for n, one in enumerate(choices, 1) if one.trigger == trigger]
    if not numbers:
        raise InvalidInputError(
            f"{trigger} changes nothing here: `why not {trigger}` says which guards rule it out."
        )
    if len(numbers) > 1 and not sys.stdin.isatty():
        some = ", ".join(map(str, numbers))
        raise InvalidInputError(f"{trigger} can go in several ways here: choose one of {some}.")
    if len(numbers) == 1:
        walk.take(numbers[0])
        tell(walk)
    else:
        _tell_choices(choices, numbers)


# --- telling a person -----------------------------------------------------------------------------


def _tell(walk: Walk) -> None:
    taken = walk.taken
    if taken:
        say(taken[-1].words, f"{len(taken):3}. ")
    _tell_standing(walk.here, taken[-1].rows if taken else None)
    choices = walk.choices()
    if choices:
        print("what can happen now:")
        _tell_choices(choices, range(1, len(choices) + 1))
    else:
        print("Nothing can happen any more: `back`, or `quit`.")


def _tell_standing(here: Standing, rows: Sequence[str] | None = None) -> None:
    who = [f"{register} {name}" for register, name in here.registers.items() if name]
    by = "" if rows is None else f"    [{', '.join(rows) or 'no transition'}]"
    line = hanging("     -> ", ", ".join([here.phase, *who]) + by, columns(sys.stdout))
    print(line.replace(here.phase, coloured(here.phase, "bold", sys.stdout), 1))
    if here.facts:
        say(", ".join(here.facts), "     facts:  ")
    if here.ledger:
        say(", ".join(here.ledger), "     ledger: ")


def _tell_choices(choices: Sequence[Occurrence], numbers: Sequence[int]) -> None:
    """Each with what it leads to; those that are told alike with what tells them apart."""
    heads = {n: _head(choices[n - 1]) for n in numbers}
    for n in numbers:
        one = choices[n - 1]
        alike = [choices[other - 1] for other in numbers if heads[other] == heads[n]]
        then = _differs(one, alike)
        say(heads[n] + (f", {then}" if then else ""), f"{n:4}  ")


def _head(one: Occurrence) -> str:
    rows = ", ".join(one.rows) or "no transition"
    return f"{one.words} -> {one.phase} [{rows}]"


def _differs(one: Occurrence, alike: Sequence[Occurrence]) -> str:
    """What holds or is under way after this one, and not after all that are told alike; and what
    does not, and is after another.
    """
    entries = [(*other.facts, *other.ledger, *_who(other)) for other in alike]
    mine = (*one.facts, *one.ledger, *_who(one))
    theirs = dict.fromkeys(entry for each in entries for entry in each)
    has = [entry for entry in mine if not all(entry in each for each in entries)]
    lacks = [entry for entry in theirs if entry not in mine]
    return "; ".join(
        f"{word} {', '.join(some)}" for word, some in (("with", has), ("without", lacks)) if some
    )


def _who(one: Occurrence) -> tuple[str, ...]:
    return tuple(f"{register} {name}" for register, name in one.registers.items() if name)


def _tell_facts(walk: Walk, *, as_data: bool) -> None:
    kinds = walk.model.chart.facts
    hold = set(walk.facts())
    if as_data:
        emit(as_json("walk-facts", {"facts": {str(fact): fact in hold for fact in kinds}}))
        return
    width = max(map(len, kinds), default=0)
    for fact, kind in kinds.items():
        say(kind.doc, f"  {'yes' if fact in hold else 'no ':3}  {fact:{width}}  ")


def _tell_why_not(walk: Walk, trigger: str, *, as_data: bool) -> None:
    found = walk.why_not(trigger)
    if as_data:
        emit(as_json("walk-why-not", {"trigger": trigger, **attrs.asdict(found)}))
        return
    if found.because:
        say(f"{found.because}", "  ")
    for row in found.rows:
        say(row.because or ", ".join(row.guards), f"  {row.row}: ")
    if found.ignored:
        say(f"ignored on purpose: {found.ignored}", "  ")


# --- telling a program ----------------------------------------------------------------------------


def _tell_json(walk: Walk) -> None:
    taken = walk.taken
    emit(
        as_json(
            "walk",
            {
                "step": len(taken),
                "taken": _as_data(taken[-1]) if taken else None,
                **attrs.asdict(walk.here),
                "choices": [
                    {"number": n, **_as_data(one)} for n, one in enumerate(walk.choices(), 1)
                ],
            },
        )
    )
    sys.stdout.flush()


def _as_data(one: Occurrence) -> Mapping[str, Any]:
    return attrs.asdict(one)
