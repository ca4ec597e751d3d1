"""Deals the rounds out to tests: each test has rounds of one kind, and every moment of it, on one
database.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from killing.plans import KINDS, MOMENTS, kind_of
from served import Served, served

NO_LIMITS = ("--opens-per-minute=0", "--requests-per-minute=0")
AT_MOST = 2 * len(MOMENTS) - 1
"""How many rounds a test has: each moment at least once, in tests of about equal length for 200
rounds.
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `numbers` runs once for each share of the rounds."""
    if "numbers" not in metafunc.fixturenames:
        return
    first, count = (
        int(metafunc.config.getoption(name) or 0) for name in ("kill_seed", "kill_rounds")
    )
    every = range(first, first + count)
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


@pytest.fixture
def backend(tmp_path: Path) -> Generator[Served, None, None]:
    """A served backend without rate limits."""
    with served(tmp_path, *NO_LIMITS) as one:
        yield one
