"""A client of redis-py belongs to the event loop that opened its connections; a URL does not."""

from __future__ import annotations

import asyncio
import gc
import uuid

import pytest
import redis.asyncio

from storages import RedisPlace
from support_chat.errors import StorageError
from support_chat_adapters.storage import RedisStorage


async def read(storage: RedisStorage) -> str | None:
    async with asyncio.timeout(60):
        return await storage.get("key")


def test_a_url_serves_one_loop_after_the_other(redis_place: RedisPlace) -> None:
    storage = RedisStorage(redis_place.url, prefix=uuid.uuid4().hex)
    assert [asyncio.run(read(storage)) for _ in range(2)] == [None, None]


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_client_of_another_loop_is_told(redis_place: RedisPlace) -> None:
    client = redis.asyncio.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        redis_place.url
    )
    storages = [RedisStorage(client, prefix=uuid.uuid4().hex)]
    assert asyncio.run(read(storages[0])) is None
    with pytest.raises(StorageError, match="belongs to another event loop; pass a URL") as caught:
        asyncio.run(read(storages.pop()))
    assert caught.value.reason == "wrong_loop"
    del client, caught
    gc.collect()
