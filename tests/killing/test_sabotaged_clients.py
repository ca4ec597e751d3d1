"""The rounds can fail: with a client or a storage that is broken in one place, they do, and they
say what is wrong.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from killing_clients import judge
from killing_clients.rounds import World, play
from killing_clients.sabotage import SABOTAGES, Sabotage
from served import Served
from storages import RedisPlace

QUIET_WITHIN = 1.0
"""Seconds: what a broken client owes is not waited for as long as what a sound one owes."""


@pytest.mark.parametrize(
    "sabotage", SABOTAGES, ids=[sabotage.what.replace(" ", "-") for sabotage in SABOTAGES]
)
def test_rounds_with_a_broken_client_are_judged_as_violations(
    sabotage: Sabotage, backend: Served, redis_place: RedisPlace, tmp_path: Path
) -> None:
    world = World(backend, tmp_path, redis_place, sabotage.breaks, QUIET_WITHIN)
    seen: list[str] = []
    for plan in sabotage.plans:
        seen += judge.judge(asyncio.run(play(plan, world)))
        if any(sabotage.seen_as in violation for violation in seen):
            return
    pytest.fail(f"{sabotage.what}, and all that was seen of it is {seen}")
