"""A real PostgreSQL server for all tests of this folder, and a database of its own for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator

import pytest

from postgres_server import INSTALL, PostgresServer, is_installed, postgres_server
from served import Served, served
from served_arrangement import UNLIMITED

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer, None, None]:
    """A server that waits for no disk; nobody takes it down."""
    if not is_installed():
        pytest.skip(f"needs PostgreSQL: {INSTALL}")
    with postgres_server("-c fsync=off") as server:
        yield server


@pytest.fixture
def new_database(postgres: PostgresServer) -> Callable[[], str]:
    """Makes empty databases; returns their addresses."""
    return lambda: postgres.create(f"chat_{next(_NUMBERS)}")


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The address of an empty database."""
    return new_database()


@pytest.fixture(scope="session")
def lasting(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Served, None, None]:
    """A gateway on a database for many tests, each with people of its own; it may be killed and
    started again.
    """
    database = postgres.create("lasting")
    with served(tmp_path_factory.mktemp("served"), *UNLIMITED, address=database) as one:
        yield one
