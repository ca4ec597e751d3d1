"""Logs of what a client did, in any language: how they are written, and how they are read.

A log (`support-chat/trace`, version 1) is one JSON object a line:

- the first says what it is: `schema` and `version`; if the client likes, the name of the `chart`
  and of the `session`; and `from`, the phase in which the log begins, if the session had begun
  before;
- each other line is a step: the `trigger` and the `phase` after it, and as much more as the client
  knows. `late` is true of an outcome or an event of what something later has superseded. `of` is
  the effect that it is the outcome of. `facts` says of facts whether they held when the trigger
  came, those of users among them (`same_user`). `rows` and `effects` are the names of the rows that
  fired and of the effects that they asked for, internal triggers' included, in order. `session` is
  the name again. `note` is the client's own, and never judged;
- the last is `end`, the number of steps. A log without it is cut.

What is not said is left open; what is said must be known to this reader, so that a slip does not
make a log say less than its writer meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

import attrs

from ..chart.model import Chart
from ..runtime.step_log import SCHEMA, VERSION

_HEAD: Final = {"schema": str, "version": int, "chart": str, "session": str, "from": str}
_STEP: Final = {
    "trigger": str, "phase": str, "late": bool, "of": str, "facts": dict, "rows": list,
    "effects": list, "session": str, "note": object,
}  # fmt: skip
_END: Final = {"end": int}
_KINDS: Final = {
    str: "a string", int: "a whole number", bool: "true or false",
    dict: "an object of names to true or false", list: "a list of names",
}  # fmt: skip


class LogFault(Exception):
    """What makes a log none, at this `line`."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


@attrs.frozen(kw_only=True)
class Logged:
    """A step as a log says it, at this `line`; None, and a fact that is not in `facts`, is left
    open.
    """

    line: int
    trigger: str
    phase: str
    late: bool = False
    of: str | None = None
    facts: Mapping[str, bool] = attrs.field(factory=dict[str, bool])
    rows: tuple[str, ...] | None = None
    effects: tuple[str, ...] | None = None


@attrs.define
class Log:
    """A log that is read line by line: `begins` is the phase in which it begins, None for the
    initial state; iterate over it once for the steps.

    Raises LogFault for a first line that is none, and while iterating for whatever else is wrong.
    """

    chart: Chart
    _lines: Iterator[tuple[int, str]]
    begins: str | None = attrs.field(init=False, default=None)
    _session: str | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        number, text = next(self._lines, (1, None))
        if text is None:
            raise LogFault(1, "The log is empty.")
        head = _object(number, text, "schema")
        if head.get("schema") != SCHEMA:
            raise LogFault(number, f'The first line is not {{"schema": "{SCHEMA}", ...}}.')
        if head.get("version") != VERSION:
            raise LogFault(
                number,
                f"The log is of version {head.get('version')}, and this program reads version "
                f"{VERSION}: use the program that belongs to it.",
            )
        _check(number, head, _HEAD)
        if head.get("chart", self.chart.name) != self.chart.name:
            raise LogFault(
                number,
                f"The log is of the chart {head['chart']!r}, and this is {self.chart.name!r}: name "
                "its own with --chart.",
            )
        self.begins, self._session = head.get("from"), head.get("session")
        self._known(number, "phase", () if self.begins is None else (self.begins,))

    def __iter__(self) -> Iterator[Logged]:
        steps, number, ended = 0, 1, False
        for number, text in self._lines:
            values = _object(number, text, "step")
            if ended:
                raise LogFault(number, "The log goes on after its end.")
            if "end" in values:
                _check(number, values, _END)
                if values["end"] != steps:
                    raise LogFault(
                        number,
                        f"The log is of {values['end']} steps, and {steps} are here: lines are "
                        "missing, or were added.",
                    )
                ended = True
                continue
            steps += 1
            yield self._step(number, values)
        if not ended:
            raise LogFault(
                number,
                f'The log is cut after this line: its last is not {{"end": {steps}}}. What is here '
                "is a path so far.",
            )
        if not steps:
            raise LogFault(number, "The log has no step.")

    def _step(self, number: int, values: Mapping[str, Any]) -> Logged:
        if "schema" in values:
            raise LogFault(number, "Another log begins here: judge each by itself.")
        _check(number, values, _STEP)
        for key in ("trigger", "phase"):
            if key not in values:
                raise LogFault(number, f"A step says its {key}.")
        session = values.get("session", self._session)
        self._session = session if self._session is None else self._session
        if session != self._session:
            raise LogFault(
                number,
                f"The step is of the session {session!r}, and those before of {self._session!r}: "
                "judge each by itself.",
            )
        facts, rows, effects = values.get("facts", {}), values.get("rows"), values.get("effects")
        trigger, of = values["trigger"], values.get("of")
        self._known(number, "trigger", (trigger,))
        self._known(number, "phase", (values["phase"],))
        self._known(number, "fact", facts)
        if self.chart.late in facts:
            raise LogFault(number, 'Whether a step is late is said beside its facts: "late": true.')
        self._known(number, "row", rows or ())
        self._known(number, "effect", effects or ())
        self._known(number, "effect", () if of is None else (of,))
        return Logged(
            line=number,
            trigger=trigger,
            phase=values["phase"],
            late=values.get("late", False),
            of=of,
            facts=facts,
            rows=None if rows is None else tuple(rows),
            effects=None if effects is None else tuple(effects),
        )

    def _known(self, number: int, what: str, names: Iterable[str]) -> None:
        chart = self.chart
        known: Mapping[str, Iterable[str]] = {
            "trigger": chart.triggers,
            "phase": chart.phases,
            "fact": chart.facts,
            "effect": chart.effects,
            "row": [row.name for row in chart.transitions],
        }
        for name in names:
            if name not in known[what]:
                raise LogFault(number, f"The chart has no {what} {name!r}.")


def read(chart: Chart, lines: Iterable[str]) -> Log:
    """The log in these lines, of a client that runs this chart. Raises LogFault."""
    return Log(chart, ((n, text) for n, text in enumerate(lines, 1) if text.strip()))


def _object(number: int, text: str, what: str) -> dict[str, Any]:
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        cut = "" if text.endswith("\n") else ": the log is cut"
        raise LogFault(number, f"This is no line of JSON{cut} ({error}).") from None
    if not isinstance(values, dict):
        raise LogFault(number, f"A line is a JSON object: {{{what!r}: ...}}.")
    return cast("dict[str, Any]", values)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice")
    return values


def _check(number: int, values: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    for key, value in values.items():
        if key not in kinds:
            raise LogFault(number, f"There is no key {key!r}; there are {', '.join(kinds)}.")
        kind = kinds[key]
        fits = isinstance(value, kind) and (kind is not int or not isinstance(value, bool))
        if isinstance(value, dict):
            members = cast("dict[str, object]", value).values()
            fits = fits and (key == "note" or all(isinstance(each, bool) for each in members))
        elif isinstance(value, list):
            names = cast("list[object]", value)
            fits = fits and (key == "note" or all(isinstance(each, str) for each in names))
        if not fits:
            raise LogFault(number, f"{key!r} is {_KINDS[kind]}.")
