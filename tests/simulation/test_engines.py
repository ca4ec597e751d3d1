"""Engines stepped without a loop, in random schedules, before the same judge as real sessions; and
that charts with faults are judged as wrong.

`.ci/run` plays 20,000 schedules in a step of their own: `python tests/tools/simulated.py engines`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import attrs
import pytest

from simulated import plan_of
from support_chat import CHART
from support_chat.chart.model import Chart, Transition
from support_chat.lifecycle import outbox
from support_chat.lifecycle.names import Effect as E
from support_chat.testing.simulate import Plan, Verdict, shrunk, simulate_engines
from support_chat.testing.simulate.paths import no_path

SHARE = 60
"""How many schedules are played here."""
ENOUGH = 300
"""Within how many schedules a fault shows."""


def edited(row: str, **changes: Any) -> Chart:
    """The shipped chart, with one row that is otherwise."""

    def other(each: Transition) -> Transition:
        return attrs.evolve(each, **changes) if each.name == row else each

    assert row in {each.name for each in CHART.transitions}
    return attrs.evolve(CHART, transitions=tuple(map(other, CHART.transitions)))


def without(row: str, effect: str) -> Chart:
    """The shipped chart, with one row that does not ask for this."""
    (found,) = (each for each in CHART.transitions if each.name == row)
    assert effect in found.effects
    return edited(row, effects=tuple(each for each in found.effects if each != effect))


def promises(verdict: Verdict) -> set[str]:
    return {violation.promise for violation in verdict.violations}


def first_to_break(promise: str, chart: Chart) -> Verdict:
    for seed in range(ENOUGH):
        verdict = simulate_engines(plan_of("engines", seed), chart=chart)
        if promise in promises(verdict):
            return verdict
    pytest.fail(f"{ENOUGH} schedules show nothing of it")


@pytest.mark.parametrize("first", range(0, SHARE, 20))
def test_whatever_engines_do_each_promise_is_kept(first: int) -> None:
    for seed in range(first, first + 20):
        verdict = simulate_engines(plan_of("engines", seed))
        assert not verdict.violations, verdict


def test_a_schedule_replays_by_its_seed() -> None:
    assert simulate_engines(Plan.of(7)) == simulate_engines(Plan.of(7))


FAULTS: dict[str, tuple[Chart, str]] = {
    "a boot that is live is not told": (
        without("boot.live_as_visitor", E.SETTLE_BOOT),
        "whoever boots comes online",
    ),
    "a shutdown does not part": (
        without("shutdown.live", E.PART),
        "shutdown() ends the session at the backend",
    ),
    "a full clear clears the user alone": (
        edited("clear.all", effects=(E.CLEAR_USER,)),
        "what is cleared is gone",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_charts_with_a_fault_are_judged_as_wrong(fault: str) -> None:
    chart, promise = FAULTS[fault]
    assert first_to_break(promise, chart).story


def test_messages_that_do_not_wait_for_each_other_are_judged_as_wrong() -> None:
    def each(box: outbox.Outbox) -> Iterator[outbox.Entry]:
        return iter(box.entries)

    with mock.patch.object(outbox, "first", each):
        promise = "messages are stored once, whole, in order, for whom they are"
        assert first_to_break(promise, CHART).story


def test_a_failing_schedule_shrinks() -> None:
    chart = without("shutdown.live", E.PART)
    failing = first_to_break("shutdown() ends the session at the backend", chart)
    short = shrunk(failing, lambda plan: simulate_engines(plan, chart=chart))
    assert len(short.plan.moves) < len(failing.plan.moves)
    assert promises(short) & promises(failing)


def test_a_log_from_which_a_step_is_missing_is_no_path() -> None:
    steps: list[dict[str, Any]] = [
        {"trigger": "load", "facts": {}, "rows": ["load.begin"], "phase": "loading"},
        {"trigger": "loaded", "of": "check_adapters", "facts": {}, "rows": ["load.done"],
         "phase": "ready"},
    ]  # fmt: skip
    assert list(no_path(CHART, steps)) == []
    assert list(no_path(CHART, steps[1:])) == [
        "takes loaded to ready in step 1: nothing under way ends in loaded"
    ]
