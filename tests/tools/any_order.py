"""`--order-seed S` runs the tests in another order, the same for the same S: the files, and the
tests of each. No verdict may depend on what ran before.
"""

from __future__ import annotations

from random import Random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--order-seed", type=int, metavar="S", help="run files, and the tests of each, in any order"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The same order in each of xdist's workers."""
    seed = config.getoption("--order-seed")
    if seed is not None:
        of_file: dict[str, list[pytest.Item]] = {}
        for item in items:
            of_file.setdefault(str(item.path), []).append(item)
        files, roll = list(of_file.values()), Random(seed)
        roll.shuffle(files)
        for file in files:
            roll.shuffle(file)
        items[:] = [item for file in files for item in file]
