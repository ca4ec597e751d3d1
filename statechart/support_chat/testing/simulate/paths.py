"""Whether the log of a session's steps is a path of the chart and its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ...chart.model import Chart
from ...verify.logs import Logged
from ...verify.model import Model
from ...verify.possible import Judge


@cache
def _judge(chart: Chart) -> Judge:
    """One for all logs of a process: what it has found out of the chart, it keeps."""
    return Judge(Model(chart))


def no_path(chart: Chart, steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The first step that cannot be, and why not, if there is one; a log may be cut anywhere."""
    judge = _judge(chart)
    judge.states = {judge.model.initial: 0}
    for number, told in enumerate(steps, 1):
        step = {**told, "rows": tuple(told.get("rows", ()))}
        if possible := judge.take(Logged(line=number, **step)):
            because = possible[0].because or "the guards of its rows say no"
            yield f"takes {told['trigger']} to {told['phase']} in step {number}: {because}"
            return
