"""The rounds can fail: against a backend that is broken in one place, they do, and they say what is
wrong.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from killing import judge, stored
from killing.plans import plan_of
from killing.rounds import play
from killing.sabotage import SABOTAGES, Sabotage
from served import served

ROUNDS = 5
"""How many rounds that aim at the broken place are enough to come upon it; each of them nearly
always does.
"""

QUIET_WITHIN = 2.0
"""Seconds, in the first round: what a broken backend has lost is not waited for as long as what a
sound one owes. Each later round has twice the time of the one before: on a machine that is slow,
clients come to what is broken later.
"""


@pytest.mark.parametrize(
    "sabotage", SABOTAGES, ids=[sabotage.what.replace(" ", "-") for sabotage in SABOTAGES]
)
def test_rounds_against_a_broken_backend_are_judged_as_violations(
    sabotage: Sabotage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("served._PROGRAM", sabotage.program)
    seen: list[str] = []
    with served(tmp_path, "--opens-per-minute=0", "--requests-per-minute=0") as backend:
        for nth, number in enumerate(sabotage.rounds(ROUNDS)):
            quiet_within = QUIET_WITHIN * 2**nth
            evidence = asyncio.run(play(plan_of(number), backend, tmp_path, quiet_within))
            seen += judge.judge(evidence, stored.read(backend.db, look_for_damage=True))
            if any(sabotage.seen_as in violation for violation in seen):
                return
    pytest.fail(f"{sabotage.what}, and all that was seen of it is {seen}")
