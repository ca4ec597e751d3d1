"""What RedisStorage owes beyond the port: lifetimes, a server that restarts, values that are none,
and no password in any word.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
import redis
import redis.asyncio

from async_tests import in_real_time
from redis_server import free_port, is_installed, redis_server
from storages import RedisPlace, Warned
from support_chat.errors import InvalidInputError, StorageError
from support_chat_adapters.storage import RedisStorage

needs_redis = pytest.mark.skipif(
    not is_installed(), reason="needs redis-server: apt-get install redis-server"
)


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """One that is the test's own."""
    return f"{request.node.name}:"


def a_client(url: str, **options: Any) -> Any:
    """A client of the test's own (Any: redis-py leaves much of it without types)."""
    return cast("Any", redis.asyncio.Redis).from_url(url, **options)


# --- lifetimes ------------------------------------------------------------------------------------


@in_real_time
async def test_a_value_expires_so_long_after_it_was_last_used(
    redis_place: RedisPlace, prefix: str
) -> None:
    async with aclosing(RedisStorage(redis_place.url, prefix=prefix, ttl=60.5)) as storage:
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: storage.create("key", "one"),
            lambda: storage.create("key", "two"),
            lambda: storage.get("key"),
        ]
        for operation in operations:
            with redis_place.client() as client:
                client.pexpire(f"{prefix}key", 20_000)
            await operation()
            with redis_place.client() as client:
                assert 50_000 < client.pttl(f"{prefix}key") <= 60_500
        assert await storage.keys() == ["key"]
        with redis_place.client() as client:
            client.pexpire(f"{prefix}key", 0)
        assert await storage.get("key") is None
        assert await storage.keys() == []


@in_real_time
async def test_without_a_ttl_nothing_expires(redis_place: RedisPlace, prefix: str) -> None:
    async with aclosing(RedisStorage(redis_place.url, prefix=prefix)) as storage:
        await storage.create("key", "one")
        await storage.create("key", "two")
        await storage.get("key")
    with redis_place.client() as client:
        assert client.pttl(f"{prefix}key") == -1


# --- keys -----------------------------------------------------------------------------------------


@in_real_time
async def test_it_sees_and_removes_nothing_outside_its_prefix(redis_place: RedisPlace) -> None:
    with redis_place.client() as client:
        client.set("own*x:theirs", "theirs")
        client.set("own*[?]", "theirs")
        client.set("OWN*[?]:theirs", "theirs")
        client.set(b"own*[?]:\xff", "no text, so no key of ours")
        async with aclosing(RedisStorage(redis_place.url, prefix="own*[?]:")) as storage:
            await storage.create("key", "one")
            assert await storage.keys() == ["key"]
            await storage.delete(*await storage.keys())
        assert client.exists("own*x:theirs", "own*[?]", "OWN*[?]:theirs", b"own*[?]:\xff") == 4


# --- a server that comes and goes -----------------------------------------------------------------


@needs_redis
@pytest.mark.parametrize("own_client", [False, True], ids=["by URL", "with a client"])
@in_real_time
async def test_a_server_that_restarts_between_two_calls_is_found_again(
    tmp_path: Path, own_client: bool
) -> None:
    port = free_port()
    with redis_server(tmp_path, port=port) as url:
        client = a_client(url)
        storage = RedisStorage(client if own_client else url)
        assert await storage.create("key", "one") == "one"
        await client.save()
    with redis_server(tmp_path, port=port):
        assert await storage.create("key", "two") == "one"
        assert await storage.delete("key") == {"key": "one"}
    await client.aclose()
    await storage.aclose()


@needs_redis
@in_real_time
async def test_while_the_server_is_away_calls_fail_and_may_succeed_later(tmp_path: Path) -> None:
    port = free_port()
    async with aclosing(RedisStorage(f"redis://127.0.0.1:{port}/0")) as storage:
        for call in (
            lambda: storage.get("key"),
            lambda: storage.keys(),
            lambda: storage.delete("key"),
        ):
            with pytest.raises(
                StorageError,
                match=rf"Redis at 127.0.0.1:{port}/0 .* cannot be reached \(Connection refused\)",
            ) as caught:
                await call()
            assert caught.value.recoverable
        with redis_server(tmp_path, port=port):
            assert await storage.create("key", "one") == "one"


@in_real_time
async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        storage = RedisStorage(
            f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", timeout=0.05
        )
        with pytest.raises(StorageError, match="did not answer in time") as caught:
            await storage.get("key")
        gone.set()
    assert caught.value.recoverable


# --- whose client ---------------------------------------------------------------------------------


@in_real_time
async def test_a_client_that_was_passed_in_is_left_open(
    redis_place: RedisPlace, prefix: str
) -> None:
    client = a_client(redis_place.url, single_connection_client=True)
    storage = RedisStorage(client, prefix=prefix)
    await storage.create("key", "one")
    connection = client.connection
    assert connection is not None
    await storage.aclose()
    assert client.connection is connection
    assert connection.is_connected
    assert await RedisStorage(client, prefix=prefix).get("key") == "one"
    await client.aclose()


@in_real_time
async def test_by_url_nothing_stays_open_between_two_calls(
    redis_place: RedisPlace, prefix: str
) -> None:
    async with aclosing(RedisStorage(redis_place.url, prefix=prefix)) as storage:
        with redis_place.client() as client:
            before = client.info("clients")["connected_clients"]
            await asyncio.gather(*(storage.create(f"key {i}", "one") for i in range(10)))
            cancelled = [asyncio.ensure_future(storage.get("key 1")) for _ in range(10)]
            await asyncio.sleep(0)
            for call in cancelled:
                call.cancel()
            await asyncio.gather(*cancelled, return_exceptions=True)
            for _ in range(1000):  # the server notices a moment later
                if client.info("clients")["connected_clients"] <= before:
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.fail("connections stay open")


# --- damage ---------------------------------------------------------------------------------------


DAMAGES: dict[str, Callable[[Any, str], object]] = {
    "a list": lambda client, key: client.rpush(key, "one", "two"),
    "bytes that are no text": lambda client, key: client.set(key, b"\xff\xfe"),
}


@pytest.mark.parametrize(
    "decode", [None, True, False], ids=["by URL", "decoding client", "plain client"]
)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@in_real_time
async def test_what_is_no_text_is_reported_set_aside_and_survived(
    redis_place: RedisPlace,
    prefix: str,
    damage: Callable[[Any, str], object],
    decode: bool | None,
    warned: Warned,
) -> None:
    client = a_client(redis_place.url, decode_responses=bool(decode))
    storage = RedisStorage(redis_place.url if decode is None else client, prefix=prefix)
    uses: list[tuple[Callable[[], Awaitable[object]], str | None]] = [
        (lambda: storage.get("key"), None),
        (lambda: storage.create("key", "one"), "one"),
    ]
    for i, (use, answer) in enumerate(uses, 1):
        with redis_place.client() as looking:
            looking.delete(f"{prefix}key")
            damage(looking, f"{prefix}key")
            before = looking.dump(f"{prefix}key")
            assert await use() == answer
            assert looking.dump(f"{prefix}key:corrupt-{i}") == before
        (warning,) = warned()
        assert f"set aside as 'key:corrupt-{i}'" in warning
    with redis_place.client() as looking:
        looking.delete(f"{prefix}key")
    assert await storage.create("key", "one") == "one"
    assert await storage.keys() == ["key", "key:corrupt-1", "key:corrupt-2"]
    await storage.delete(*await storage.keys())
    assert await storage.keys() == []
    await client.aclose()
    await storage.aclose()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@in_real_time
async def test_what_is_no_text_is_deleted_and_not_answered(
    redis_place: RedisPlace, prefix: str, damage: Callable[[Any, str], object]
) -> None:
    storage = RedisStorage(redis_place.url, prefix=prefix)
    await storage.create("another", "two")
    with redis_place.client() as looking:
        damage(looking, f"{prefix}key")
        assert await storage.delete("key", "another") == {"another": "two"}
        assert looking.exists(f"{prefix}key", f"{prefix}another") == 0


# --- words ----------------------------------------------------------------------------------------


@needs_redis
@in_real_time
async def test_no_word_holds_the_password_or_a_value() -> None:
    with redis_server(password="pa55word-right") as url:
        wrong = RedisStorage(url.replace("right", "wrong"))
        with pytest.raises(StorageError, match="does not let this client in") as caught:
            await wrong.create("key", "a secret")
        assert not caught.value.recoverable
        said = [repr(caught.value), repr(wrong), str(caught.value)]
        right = RedisStorage(url)
        assert await right.create("key", "a secret") == "a secret"
        client = a_client(url)
        await client.execute_command("ACL", "SETUSER", "default", "-eval")
        with pytest.raises(
            StorageError, match="Check the user, the password and their rights"
        ) as caught:
            await right.create("key", "a secret")
        await client.aclose()
        said += [repr(caught.value), repr(right), str(caught.value)]
    assert caught.value.__cause__ is None, "the server's own words may quote the command"
    assert not [words for words in said if "pa55word" in words or "a secret" in words]


BAD_URLS = ["", "chat.db", "http://:pa55word@host", "redis://:pa55word@host:port/0"]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_is_none_is_refused_at_once_without_being_shown(url: str) -> None:
    with pytest.raises(InvalidInputError, match="redis://:password@host:6379/0") as caught:
        RedisStorage(url)
    assert "pa55word" not in repr(caught.value)


@in_real_time
async def test_its_repr_names_the_server_and_whether_it_is_closed() -> None:
    storage = RedisStorage("redis://user:pa55word@example.com:7000/3")
    assert repr(storage) == "<RedisStorage: Redis at example.com:7000/3>"
    await storage.aclose()
    assert repr(storage) == "<RedisStorage: Redis at example.com:7000/3, closed>"
    assert (
        repr(RedisStorage("unix:///run/redis.sock")) == "<RedisStorage: Redis at /run/redis.sock/0>"
    )


# --- loops ----------------------------------------------------------------------------------------


async def read(storage: RedisStorage) -> str | None:
    async with asyncio.timeout(60):
        return await storage.get("key")


def test_a_url_serves_one_loop_after_the_other(redis_place: RedisPlace, prefix: str) -> None:
    storage = RedisStorage(redis_place.url, prefix=prefix)
    assert [asyncio.run(read(storage)) for _ in range(2)] == [None, None]


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_client_of_another_loop_is_told(redis_place: RedisPlace, prefix: str) -> None:
    client = a_client(redis_place.url)
    storages = [RedisStorage(client, prefix=prefix)]
    assert asyncio.run(read(storages[0])) is None
    with pytest.raises(StorageError, match="belongs to another event loop; pass a URL") as caught:
        asyncio.run(read(storages.pop()))
    assert caught.value.reason == "wrong_loop"
    del client, caught
    gc.collect()
