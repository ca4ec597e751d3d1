"""Deals the rounds out to tests: a backend's by kind, each test with every moment of it, on one
database; a client's by turns of all that there are.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from killing.plans import KINDS, MOMENTS, kind_of
from killing_clients.plans import TURN
from served import Served, served

NO_LIMITS = ("--opens-per-minute=0", "--requests-per-minute=0")
AT_MOST = 2 * len(MOMENTS) - 1
"""How many rounds a test has: each moment at least once, in tests of about equal length for 200
rounds.
"""


_ROUNDS = 200
"""How many rounds of a backend there are if nobody says otherwise."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `numbers` runs once for each share of a backend's rounds, one that takes
    `turn` once for each share of a client's.
    """
    if "turn" in metafunc.fixturenames:
        every = _every(metafunc.config, TURN)
        turns = [every[at : at + TURN] for at in range(0, len(every), TURN)]
        metafunc.parametrize("turn", turns, ids=[f"{turn[0]}-to-{turn[-1]}" for turn in turns])
    if "numbers" not in metafunc.fixturenames:
        return
    every = _every(metafunc.config, _ROUNDS)
    of_kind = [[number for number in every if kind_of(number) == kind] for kind in KINDS]
    shares = [
        numbers[at : at + AT_MOST] for numbers in of_kind for at in range(0, len(numbers), AT_MOST)
    ]
    shares.sort()  # so that a run that is ended early has had every kind
    metafunc.parametrize(
        "numbers",
        shares,
        ids=[f"{kind_of(share[0])}-{share[0]}-to-{share[-1]}" for share in shares],
    )


def _every(config: pytest.Config, usual: int) -> range:
    first, count = int(config.getoption("kill_seed") or 0), config.getoption("kill_rounds")
    return range(first, first + (usual if count is None else int(count)))


@pytest.fixture
def backend(tmp_path: Path) -> Generator[Served, None, None]:
    """A served backend without rate limits."""
    with served(tmp_path, *NO_LIMITS) as one:
        yield one
