"""The table of calls in `tests/session` as a judge of charts: sessions that run a chart are led
through its lines, and must do what they say.

    support-chat mutants --judge tests.tools.table_of_calls:wrong

Of a chart that differs from the shipped one in some rows only those lines are run in which one of
these rows, or of those that it competes with, has a say.
"""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Final
from unittest.mock import patch

import pytest
from tests.session import test_calls_in_each_phase as table
from tests.session.conftest import Rig

from support_chat import CHART, Chart, session
from support_chat.engine import Engine
from support_chat.runtime import shell
from support_chat.verify.model import edited_pairs
from support_chat.verify.trace import Trace

LIMIT: Final = 30.0
"""Seconds that a line may take: with a faulty chart a session may spin for ever."""


def wrong(chart: Chart) -> str | None:
    """The first line of the table that sessions with this chart do not do as it says, or None."""
    with _quiet():
        return _first_fault(chart)


def _first_fault(chart: Chart) -> str | None:
    concerned = edited_pairs(CHART, chart)
    ends = chart.effects is not CHART.effects  # an effect ends otherwise
    for row, pairs in _asked_of_the_shipped_chart().items():
        runs = ends or not pairs.isdisjoint(concerned)
        if runs and (fault := _fault(row, Engine, chart)) is not None:
            return f"{row}: {fault}"
    return None


@cache
def _asked_of_the_shipped_chart() -> Mapping[table.Row, frozenset[tuple[str, str]]]:
    """In which phases what happens while each line is run."""
    found: dict[table.Row, frozenset[tuple[str, str]]] = {}
    for row in table.ROWS:
        traces: list[Trace] = []

        def traced(*made: Any, traces: list[Trace] = traces) -> Trace:
            traces.append(Trace(Engine(*made)))
            return traces[-1]

        fault = _fault(row, traced, CHART)
        assert fault is None, f"the shipped chart does not do what the table says: {row}: {fault}"
        steps = [seen for trace in traces for seen in trace.steps]
        found[row] = frozenset((f.phase, f.trigger) for seen in steps for f in seen.fired)
    return found


def _fault(row: table.Row, engine: Callable[..., Any], chart: Chart) -> str | None:
    """What is not as the line says, if sessions run this chart."""
    tests = (
        (table.test_an_accepted_call_does_what_the_table_says,)
        if row.at_once
        else (
            table.test_a_refused_call_raises_and_changes_nothing,
            table.test_what_is_under_way_ends_as_if_the_refused_call_had_not_been_made,
        )
    )
    running = partial(shell.Shell, chart=chart)
    try:
        with patch.object(session, "Shell", running), patch.object(shell, "Engine", engine):
            for test in tests:
                with _limited():
                    test(Rig(), row)
    except (Exception, pytest.fail.Exception) as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """What sessions log is not told, also what they log of calls that are collected later."""
    logging.disable()
    try:
        yield
        gc.collect()
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _limited() -> Generator[None, None, None]:
    def over(*_: object) -> None:
        raise TimeoutError(f"it goes on for more than {LIMIT:g} s")

    former = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
