"""The Redis server of a run, as a plugin: started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from redis_server import INSTALL, is_installed, redis_server
from storages import RedisPlace


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisPlace, None, None]:
    if not is_installed():
        pytest.skip(f"needs redis-server: {INSTALL}")
    folder = tmp_path_factory.mktemp("redis")
    with redis_server(folder) as url:
        yield RedisPlace(url, folder)


@pytest.fixture
def redis_place(_server: RedisPlace) -> RedisPlace:
    """A real redis-server, the same for all tests of a run and empty for each: some look at all
    that lies there.
    """
    with _server.client() as client:
        client.flushall()
    return _server
