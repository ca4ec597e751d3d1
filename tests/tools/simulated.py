"""Random schedules of sessions, by seed, against the reference backend: a share of them runs in CI.
"""
from __future__ import annotations

import random
from unittest import mock

from support_chat.testing import run
from support_chat.testing.simulate import Plan, Verdict, simulate, turns
from two_tabs import TwoTabs


def sessions(plan: Plan) -> Verdict:
    """Plays this schedule with real sessions; it replays whatever ran before it."""

    async def play() -> Verdict:
        world = TwoTabs(plan)
        with world.backend:
            return await simulate(world, plan)

    # delays are rolled from the one, `secrets` draws from another, everybody else from the third
    random.seed(f"{plan.seed} rolls")
    drawn = random.Random(f"{plan.seed} bytes").randbytes
    with mock.patch("random._urandom", drawn), mock.patch("os.urandom", drawn):
        return run(play(), choose=turns(plan))


def found(mutant, most: int) -> int | None:
    for seed in range(most):
        with mutant.at_work():
            verdict = sessions(Plan.of(seed))
        if verdict.violations:
            return seed, verdict.violations[0]
    return None
