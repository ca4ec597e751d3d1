"""A client's process is killed with SIGKILL with a call under way, by seed; what it leaves must fit
what it told, and whoever takes its storage over must get on.

`pytest tests/killing --kill-rounds 2000 -k client` looks longer; `--kill-seed 61 --kill-rounds 1`
plays round 61 again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from killing_clients import judge
from killing_clients.evidence import Evidence
from killing_clients.plans import CALLS, STORAGES, TURN, plan_of
from killing_clients.rounds import World, play
from killing_clients.summary import ENDS, tally_of
from served import Served
from storages import RedisPlace


def test_nothing_is_lost_doubled_or_left_when_a_client_is_killed(
    turn: Sequence[int],
    backend: Served,
    redis_place: RedisPlace,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    ends: set[str] = set()
    for number in turn:
        evidence = asyncio.run(play(plan_of(number), World(backend, tmp_path, redis_place)))
        violations = judge.judge(evidence)
        assert not violations, _report(evidence, violations)
        record_property("client killed", tally_of(evidence))
        ends.add(tally_of(evidence)[1])
    if len(turn) >= TURN:
        assert ENDS[0] in ends, "killed only when everything was done"
        assert ends & {*ENDS[1:]}, "killed only when nothing was done"


def test_a_turn_of_rounds_has_every_call_on_every_storage() -> None:
    plans = [plan_of(number) for number in range(TURN)]
    assert {(plan.call, plan.storage) for plan in plans} == {
        (call, storage) for call in CALLS for storage in STORAGES
    }
    assert {(plan.call, plan.held) for plan in plans} >= {("boot", True), ("clear", True)}


def test_a_seed_is_the_same_plan_each_time_and_another_one_another() -> None:
    plans = [plan_of(number) for number in range(200)]
    assert plans == [plan_of(number) for number in range(200)]
    assert len({str(plan) for plan in plans}) == len(plans)


def _report(evidence: Evidence, violations: list[str]) -> str:
    """The story of a round that went wrong, and how to play it again."""
    plan = evidence.plan
    return "\n".join(
        [
            str(plan),
            *(f"dead: {line}" for line in evidence.dead.lines),
            *(f"{n}: {line}" for n, told in enumerate(evidence.successors) for line in told.lines),
            *(f"VIOLATION {one}" for one in violations),
            "again: pytest tests/killing/test_clients_killed_by_seed.py --kill-rounds 1 "
            f"--kill-seed {plan.seed}",
        ]
    )
