"""What the tests of the transport share: real servers, each in its own process."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from served import Served, served
from served_arrangement import UNLIMITED


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    """One served backend for many tests, each with people of its own; it may be killed and started
    again.
    """
    with served(tmp_path_factory.mktemp("served"), *UNLIMITED) as one:
        yield one


@pytest.fixture
def backend(lasting: Served) -> Served:
    """The lasting backend, running."""
    lasting.start()
    return lasting


@pytest.fixture
def fresh(tmp_path: Path) -> Generator[Served, None, None]:
    """A served backend that is this test's alone."""
    with served(tmp_path, *UNLIMITED) as one:
        yield one
