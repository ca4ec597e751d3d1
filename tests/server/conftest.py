"""A backend in a process of its own, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from served import Served, served
from widget_client import WidgetClient, widget_client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    """One backend for the tests of a module that leave it as it is; without rate limits."""
    with served(
        tmp_path_factory.mktemp("served"), "--opens-per-minute=0", "--requests-per-minute=0"
    ) as backend:
        yield backend


@pytest.fixture
def own(tmp_path: Path) -> Generator[Served, None, None]:
    """A backend of the test's own, to be stopped and killed; without rate limits."""
    with served(tmp_path, "--opens-per-minute=0", "--requests-per-minute=0") as backend:
        yield backend


@pytest.fixture
def client_of() -> Generator[Callable[[Served], WidgetClient], None, None]:
    """Makes clients that nobody knows yet, and closes them."""
    with ExitStack() as stack:
        yield lambda backend: stack.enter_context(widget_client(backend.url))


@pytest.fixture
def client(shared: Served, client_of: Callable[[Served], WidgetClient]) -> WidgetClient:
    """A client of the shared backend."""
    return client_of(shared)
