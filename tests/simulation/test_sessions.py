"""Real sessions in random schedules, judged from outside; and that they can be judged as wrong.

`.ci/run` plays 1,000 schedules in a step of their own: `python tests/tools/simulated.py sessions`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from shell_mutants import MUTANTS, Mutant
from simulated import BEGIN, END, plan_of, sessions, shows
from support_chat.testing.simulate import Counts, Plan, shrunk, too_few

ROOT = Path(__file__).parents[2]
SHARE = 20
"""How many schedules are played here."""
PAGE = (ROOT / "docs" / "simulation.md").read_text("utf-8")
ROWS = re.findall(r"^\| (.+) \| (\d) \| (\d+) \| (.+) \|$", PAGE.partition(BEGIN)[2], re.M)
KNOWN = {does: (int(seeds) - 1, promise) for does, _, seeds, promise in ROWS}
"""The seed that shows each mutant, and the promise that it breaks, by the page's table."""


@pytest.mark.parametrize("seed", range(SHARE))
def test_whatever_sessions_do_each_promise_is_kept(seed: int) -> None:
    verdict = sessions(Plan.of(seed))
    assert not verdict.violations, verdict


@pytest.mark.filterwarnings("ignore")  # a mutant may leave behind what nobody awaits
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.does)
def test_each_mutant_of_the_shell_is_found_by_the_seed_that_the_table_names(mutant: Mutant) -> None:
    """`python tests/tools/simulated.py mutants --write docs/simulation.md` makes the table."""
    seed, promise = KNOWN[mutant.does]
    assert promise in shows(mutant, seed)


def test_the_table_names_every_mutant_and_no_other() -> None:
    assert list(KNOWN) == [mutant.does for mutant in MUTANTS]
    assert [int(steps) for _, steps, _, _ in ROWS] == [mutant.steps for mutant in MUTANTS]
    assert PAGE.count(BEGIN) == PAGE.count(END) == 1


def test_forty_mutants_at_least_and_some_need_two_three_and_four_steps() -> None:
    steps = Counter(mutant.steps for mutant in MUTANTS)
    assert steps.total() >= 40
    assert min(steps[2], steps[3], steps[4]) >= 2


@pytest.mark.parametrize("seed", sorted({seed for seed, _ in KNOWN.values()} - set(range(SHARE))))
def test_the_shell_as_it_is_passes_the_schedules_that_show_mutants(seed: int) -> None:
    verdict = sessions(Plan.of(seed))
    assert not verdict.violations, verdict


def test_a_failing_schedule_shrinks_to_a_story_that_its_line_replays() -> None:
    (mutant,) = (m for m in MUTANTS if m.does == "a shutdown does not revoke the session")
    with mutant.at_work():
        failing = sessions(plan_of("sessions", KNOWN[mutant.does][0]))
        short = shrunk(failing, sessions)
        assert len(short.plan.moves) < len(failing.plan.moves)
        assert len(short.story) < len(failing.story)
        assert sessions(short.plan) == short
    assert str(short).startswith(f"{short.plan}\n")


@pytest.mark.parametrize("level", ["sessions", "engines"])
def test_a_seed_tells_the_same_in_two_processes_whatever_they_hash(level: str) -> None:
    tool = ROOT / "tests" / "tools" / "simulated.py"

    def told(hash_seed: str) -> str:
        command = [sys.executable, str(tool), level, "--seed", "7"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=240, check=True
        )
        return done.stdout

    one = told("1")
    assert one == told("2")
    assert re.fullmatch(r"[0-9a-f]{64}", one.splitlines()[-1])


def test_a_run_in_which_too_little_succeeded_while_something_was_wrong_does_not_count() -> None:
    counts = Counts(disturbed=Counter(boot=5), faults=Counter({"links break": 1}))
    assert list(too_few(counts, {"boot": 5, "links break": 1})) == []
    assert list(too_few(counts, {"boot": 6})) == ["boot: 5 times, and 6 are the least"]
    assert list(too_few(counts, {"identify": 1})) == ["identify: 0 times, and 1 are the least"]
