"""Whether the log of a session's steps is a path of the chart and its ledger.

`support_chat.verify.possible` follows the states in which a session may be. Schedules come by the
same sets of states again and again, so what has been found of them is kept: each step of a set is
worked out once a process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import attrs

from ...chart.model import Chart
from ...verify.logs import Logged
from ...verify.model import Model, State
from ...verify.possible import Judge
from .identical import Identical

_Key: TypeAlias = "tuple[Any, ...]"


@attrs.define(eq=False)
class _Possible:
    """The states in which a session may be, and where steps lead from there: to others, or to why
    they lead nowhere.
    """

    states: dict[State, int]
    steps: dict[_Key, _Possible | str] = attrs.field(factory=dict["_Key", "_Possible | str"])


class _Paths:
    """What has been found of a chart."""

    def __init__(self, chart: Chart) -> None:
        self._judge = Judge(Model(chart))
        self._known: dict[frozenset[tuple[State, int]], _Possible] = {}
        self.initial = self._kept(self._judge.states)

    def _kept(self, states: dict[State, int]) -> _Possible:
        return self._known.setdefault(frozenset(states.items()), _Possible(states))

    def step(self, possible: _Possible, told: Mapping[str, Any]) -> _Possible | str:
        """Where a step leads; why not, if it leads nowhere."""
        trigger, phase, of = told["trigger"], told["phase"], told.get("of")
        late, facts, rows = "late" in told, told.get("facts", {}), tuple(told["rows"])
        key = (trigger, phase, of, late, rows, *facts.items())
        leads = possible.steps.get(key)
        if leads is None:
            self._judge.states = possible.states
            logged = Logged(
                line=1, trigger=trigger, phase=phase, late=late, of=of, facts=facts, rows=rows
            )
            if ruled_out := self._judge.take(logged):
                leads = ruled_out[0].because or "the guards of its rows say no"
            else:
                leads = self._kept(self._judge.states)
            possible.steps[key] = leads
        return leads


@cache
def _paths(key: Identical[Chart]) -> _Paths:
    return _Paths(key.value)


def no_path(chart: Chart, steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The first step that cannot be, and why not, if there is one; a log may be cut anywhere."""
    paths = _paths(Identical(chart))
    at = paths.initial
    for number, told in enumerate(steps, 1):
        leads = paths.step(at, told)
        if isinstance(leads, str):
            yield f"takes {told['trigger']} to {told['phase']} in step {number}: {leads}"
            return
        at = leads
