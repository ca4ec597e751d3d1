"""The cases of a chart as stable JSON: what a test suite in any language replays.

The document (`"schema": "support-chat/cases"`, `"version": 1`) is one object: `chart` is the name;
`cases`, one a line, are lists of steps that begin in the chart's initial state, each by itself;
`unseen` are the sides of guards that no path shows, as `[row, fact, whether it holds]`.

A step says what happens: the `trigger`, what it is the outcome, event or expiry `of`, the `user`
that it names, whether it is `late`; in `words` it is told for people. `asks` is what the chart is
asked then: the trigger, and each internal one that follows, in order, each with the `facts` that
hold, of those that a row reads here, and the `row` that fires, if one does. A client computes the
facts that are stored and those of registers itself, and is given those that come along and those of
its own records. Then it says what the step must come to: the `effects` that are asked for, in
order, the `phase`, the `registers`, and the stored `facts` that hold.

Users are A, B and so on. What is null, false or empty is left out, but for registers.
"""

from __future__ import annotations

import json
from typing import Any, Final

from support_chat.verify.cases import Asking, Cases, CaseStep

SCHEMA: Final = "support-chat/cases"
VERSION: Final = 1


def cases_to_json(found: Cases) -> str:
    """The cases as JSON text; the same chart always gives the same text."""
    head = {"schema": SCHEMA, "version": VERSION, "chart": str(found.chart.name)}
    unseen = ",\n".join(f"  {json.dumps(side)}" for side in found.unseen)
    cases = ",\n".join(f"  {json.dumps([_step(step) for step in case])}" for case in found.cases)
    return f'{json.dumps(head)[:-1]},\n"unseen": [\n{unseen}\n],\n"cases": [\n{cases}\n]}}\n'


def _step(step: CaseStep) -> dict[str, Any]:
    one = step.occurrence
    told = {
        "trigger": one.trigger,
        "of": one.of,
        "user": one.user,
        "late": step.late,
        "words": one.words,
        "asks": [_asking(asking) for asking in step.asks],
        "effects": list(one.effects),
        "phase": one.phase,
        "registers": dict(one.registers),
        "facts": list(step.facts),
    }
    return {key: value for key, value in told.items() if value or key == "registers"}


def _asking(asking: Asking) -> dict[str, Any]:
    told = {"trigger": asking.trigger, "facts": list(asking.facts), "row": asking.row}
    return {key: value for key, value in told.items() if value}
