"""What RedisStorage has sent lands in time or not at all, whatever holds it: the network, a server
that stands still, the death of its process. And a call ends only when it can land no more.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import redis.asyncio

from async_tests import in_real_time
from held_network import Network, network, until
from redis_server import is_installed, redis_server
from storages import RedisPlace
from support_chat.errors import StorageError
from support_chat.ports import Storage
from support_chat_adapters.storage import RedisStorage
from support_chat_adapters.storage.deadline import ServerTime

PATIENCE = 60.0
SHORT = 1.0
"""How long a write may take, in seconds, where it is to take longer; whatever is asked before it,
of a client without a limit, may take its time.
"""


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """One that is the test's own."""
    return f"{request.node.name}:"


def a_client(url: str) -> Any:
    """A client of the test's own (Any: redis-py leaves much of it without types)."""
    return cast("Any", redis.asyncio.Redis).from_url(url)


async def refused(between: Network) -> None:
    """Lets go of what it holds, which the server refuses."""
    assert b"late" not in between.answered
    between.holds = False
    await until(lambda: b"late" in between.answered)


# --- whatever holds it ----------------------------------------------------------------------------

WRITES: dict[str, tuple[str | None, Callable[[Storage], Awaitable[object]]]] = {
    "create": (None, lambda storage: storage.create("key", "late")),
    "delete": ("one", lambda storage: storage.delete("key")),
}
each_write = pytest.mark.parametrize(("stored", "write"), WRITES.values(), ids=WRITES)


@each_write
@pytest.mark.parametrize("breaks", [False, True], ids=["slow", "broken"])
@in_real_time
async def test_what_the_network_held_past_its_deadline_is_refused(
    redis_place: RedisPlace,
    prefix: str,
    stored: str | None,
    write: Callable[[Storage], Awaitable[object]],
    breaks: bool,
) -> None:
    near = RedisStorage(redis_place.url, prefix=prefix)
    async with network(redis_place.url) as between, a_client(between.url) as client:
        between.breaks = breaks
        if stored is not None:
            await near.create("key", stored)
        began = time.monotonic()
        with pytest.raises(StorageError):
            await write(RedisStorage(client, prefix=prefix, timeout=SHORT))
        assert time.monotonic() >= began + SHORT, "it ended while it could land"
        await refused(between)
    assert await near.get("key") == stored


@in_real_time
async def test_by_url_it_is_refused_as_well(redis_place: RedisPlace, prefix: str) -> None:
    async with network(redis_place.url) as between:
        with pytest.raises(StorageError, match="did not answer in time"):
            await RedisStorage(between.url, prefix=prefix).create("key", "late")
        await refused(between)
    assert await RedisStorage(redis_place.url, prefix=prefix).get("key") is None


@each_write
@in_real_time
async def test_a_server_that_stood_still_refuses_what_came_meanwhile(
    stored: str | None, write: Callable[[Storage], Awaitable[object]]
) -> None:
    if not is_installed():
        pytest.skip("needs redis-server")
    with redis_server() as url:
        near = RedisStorage(url)
        async with network(url) as between, a_client(between.url) as client:
            process = int((await client.info("server"))["process_id"])
            if stored is not None:
                await near.create("key", stored)
            between.stopping = lambda: os.kill(process, signal.SIGSTOP)
            between.holds = False
            try:
                with pytest.raises(StorageError):
                    await write(RedisStorage(client, timeout=SHORT))
            finally:
                os.kill(process, signal.SIGCONT)
            await refused(between)
            assert await near.get("key") == stored


DYING = """
import asyncio, sys
from redis.asyncio import Redis
from support_chat_adapters.storage import RedisStorage

async def main(url, prefix, timeout):
    storage = RedisStorage(Redis.from_url(url), prefix=prefix, timeout=float(timeout))
    await storage.create("key", "late")

asyncio.run(main(*sys.argv[1:]))
"""


@in_real_time
async def test_what_a_dead_process_has_sent_is_refused_once_it_is_late(
    redis_place: RedisPlace, prefix: str
) -> None:
    async with network(redis_place.url) as between:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DYING, between.url, prefix, str(SHORT), stderr=subprocess.DEVNULL
        )
        await asyncio.wait_for(between.came.wait(), PATIENCE)
        process.kill()
        await process.wait()
        await asyncio.sleep(SHORT)
        await refused(between)
    assert await RedisStorage(redis_place.url, prefix=prefix).get("key") is None


# --- who is cancelled -----------------------------------------------------------------------------


@in_real_time
async def test_a_cancelled_call_ends_when_it_is_answered(
    redis_place: RedisPlace, prefix: str
) -> None:
    async with network(redis_place.url) as between:
        storage = RedisStorage(between.url, prefix=prefix, timeout=PATIENCE)
        call = asyncio.ensure_future(storage.create("key", "in time"))
        await asyncio.wait_for(between.came.wait(), PATIENCE)
        for _ in range(3):
            call.cancel()
            await asyncio.sleep(0.001)
            assert not call.done(), "it could land still"
        between.holds = False
        await asyncio.wait({call}, timeout=PATIENCE)
        assert call.cancelled()
    assert await RedisStorage(redis_place.url, prefix=prefix).get("key") == "in time"


@in_real_time
async def test_a_cancelled_call_ends_past_its_deadline_at_the_latest(
    redis_place: RedisPlace, prefix: str
) -> None:
    async with network(redis_place.url) as between, a_client(between.url) as client:
        storage = RedisStorage(client, prefix=prefix, timeout=SHORT)
        began = time.monotonic()
        call = asyncio.ensure_future(storage.create("key", "late"))
        await asyncio.wait_for(between.came.wait(), PATIENCE)
        call.cancel()
        await asyncio.wait({call}, timeout=PATIENCE)
        assert call.cancelled()
        assert time.monotonic() >= began + SHORT, "it ended while it could land"
        await refused(between)
    assert await RedisStorage(redis_place.url, prefix=prefix).get("key") is None


@in_real_time
async def test_a_call_that_is_cancelled_before_it_has_sent_its_write_ends_at_once() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 20)
        came.set()
        await gone.wait()
        writer.close()

    came, gone = asyncio.Event(), asyncio.Event()
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        call = asyncio.ensure_future(RedisStorage(url, timeout=PATIENCE).create("key", "one"))
        await asyncio.wait_for(came.wait(), PATIENCE)
        call.cancel()
        done, _ = await asyncio.wait({call}, timeout=PATIENCE / 2)
        gone.set()
    assert done


# --- the two clocks -------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [0.0, 0.5, 1000.0])
@pytest.mark.parametrize("limit", [0.1, 3.0, 60.0])
def test_a_deadline_is_for_the_server_as_late_as_for_us_or_a_little_earlier(
    age: float, limit: float
) -> None:
    began = time.monotonic()
    told = ServerTime(1_800_000_000_000_000, began - age)
    deadline = told.deadline(limit)
    assert deadline.at >= began + limit
    ours, servers = deadline.at - told.at, (deadline.micros - told.micros) / 1_000_000
    assert ours * 0.998 < servers < ours * 0.9995
