"""A served backend is killed with SIGKILL under live clients, by seed; what is left must fit what
the clients were told.

`pytest tests/killing --kill-rounds 2000` looks longer; `--kill-seed 61 --kill-rounds 1` plays round
61 again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from killing import judge, stored
from killing.evidence import Evidence
from killing.plans import KINDS, MOMENTS, Moment, kind_of, plan_of
from killing.rounds import play
from killing.summary import tally_of
from served import Served


def test_nothing_is_lost_doubled_or_left_alive_when_the_backend_is_killed(
    numbers: list[int],
    backend: Served,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    sides: set[bool] = set()
    for number in numbers:
        evidence = asyncio.run(play(plan_of(number), backend, tmp_path))
        violations = judge.judge(evidence, stored.read(backend.db, look_for_damage=True))
        assert not violations, _report(evidence, violations)
        record_property("killed", tally_of(evidence))
        sides.add(evidence.kill.committed)
    if len(numbers) >= len(MOMENTS):
        assert sides == {False, True}, f"killed on one side of the commit only: {sides}"


def test_a_turn_of_rounds_has_every_moment_of_every_kind() -> None:
    turn = range(len(KINDS) * len(MOMENTS))
    assert {(kind_of(number), plan_of(number).moment) for number in turn} == {
        (kind, moment) for kind in KINDS for moment in Moment
    }


def test_a_seed_is_the_same_plan_each_time_and_another_one_another() -> None:
    plans = [plan_of(number) for number in range(200)]
    assert plans == [plan_of(number) for number in range(200)]
    assert len({str(plan) for plan in plans}) == len(plans)


def _report(evidence: Evidence, violations: list[str]) -> str:
    """The story of a round that went wrong, and how to play it again."""
    head = (
        f"round {evidence.seed}: killed during {evidence.kind}, {evidence.moment}; {evidence.kill}"
    )
    again = f"again: pytest tests/killing --kill-rounds 1 --kill-seed {evidence.seed}"
    return "\n".join([head, *evidence.story, *(f"VIOLATION {one}" for one in violations), again])
