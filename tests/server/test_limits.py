"""How much one caller gets: sessions by address, requests by session, bytes by request; what is
beyond says when to come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from async_tests import in_virtual_time
from served import Served, served
from support_chat.errors import InvalidInputError, RateLimitedError
from support_chat_adapters.backend.in_memory import MemoryBuckets
from support_chat_adapters.backend.server.limits import RateLimits
from support_chat_adapters.transport.wire.endpoints import MAX_BODY_BYTES
from widget_client import BASE, WidgetClient, problem

Clients = Callable[[Served], WidgetClient]


@in_virtual_time
async def test_a_bucket_lets_a_burst_pass_and_refills_evenly() -> None:
    now = 100.0
    buckets = MemoryBuckets(6, lambda: now)
    for _ in range(6):
        await buckets.take("a")
    with pytest.raises(RateLimitedError) as refused:
        await buckets.take("a")
    assert refused.value.retry_after == pytest.approx(10.0)
    await buckets.take("b")
    now += 9.99
    with pytest.raises(RateLimitedError):
        await buckets.take("a")
    now += 0.02
    await buckets.take("a")
    now += 3600
    for _ in range(6):
        await buckets.take("a")
    with pytest.raises(RateLimitedError):
        await buckets.take("a")


@in_virtual_time
async def test_asking_too_early_again_and_again_costs_nothing() -> None:
    now = 0.0
    buckets = MemoryBuckets(1, lambda: now)
    await buckets.take("a")
    for _ in range(59):
        now += 1
        with pytest.raises(RateLimitedError):
            await buckets.take("a")
    now += 1
    await buckets.take("a")


@in_virtual_time
async def test_callers_who_have_gone_are_forgotten_and_nobody_elses_bucket_is_refilled_by_it() -> (
    None
):
    now = 0.0
    buckets = MemoryBuckets(1, lambda: now)
    for caller in range(10_000):
        await buckets.take(str(caller))
    now = 30.0
    await buckets.take("late")
    now = 60.0
    await buckets.take("one more")
    with pytest.raises(RateLimitedError):
        await buckets.take("late")
    # what it remembers is the point
    assert len(buckets._levels) == 2  # pyright: ignore[reportPrivateUsage]


@in_virtual_time
async def test_no_limit_is_zero_and_less_is_none() -> None:
    free = MemoryBuckets(0, lambda: 0.0)
    for _ in range(1000):
        await free.take("a")
    for wrong in ({"opens_per_minute": -1.0}, {"requests_per_minute": -0.5}):
        with pytest.raises(InvalidInputError, match="zero"):
            RateLimits(**wrong)


def test_sessions_begun_are_counted_by_address_and_everything_else_by_session(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, "--opens-per-minute=2", "--requests-per-minute=3") as backend:
        one, another = client_of(backend), client_of(backend)
        one.begin()
        another.begin()
        refused = another.post("/sessions/anonymous", another.opening())
        assert problem(refused) == (429, "rate_limited", None)
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert refused.json()["error"]["recoverable"] is True

        for _ in range(3):
            assert one.get("/conversations").status_code == 200
        for answer in (
            one.get("/conversations"),
            one.post("/conversations", {"message": "x", "clientMessageId": "x"}),
        ):
            assert problem(answer) == (429, "rate_limited", None)
            assert 1 <= int(answer.headers["retry-after"]) <= 20
        found = another.get("/conversations")
        assert found.json()["conversations"] == [], (
            "others behind the same address have their own share"
        )


def chunks(body: bytes) -> Iterator[bytes]:
    """A body without a length."""
    for begin in range(0, len(body), 4096):
        yield body[begin : begin + 4096]


def test_a_body_that_is_too_long_is_refused_however_it_is_sent(client: WidgetClient) -> None:
    client.begin()
    headers = {"authorization": f"Bearer {client.session}"}

    def body(length: int) -> bytes:
        frame = b'{"changes":{"context.x":"%s"}}'
        return frame % (b"x" * (length - len(frame) + 2))

    def drip(length: int) -> Iterator[bytes]:
        return chunks(body(length))

    ways: tuple[Callable[[int], bytes | Iterator[bytes]], ...] = (body, drip)
    for content in ways:
        fits = client.http.post(f"{BASE}/events", content=content(MAX_BODY_BYTES), headers=headers)
        assert fits.status_code == 200
        for length in (MAX_BODY_BYTES + 1, 20 * MAX_BODY_BYTES):
            refused = client.http.post(f"{BASE}/events", content=content(length), headers=headers)
            assert problem(refused) == (413, "validation_error", "body_too_large")
    assert client.get("/conversations").status_code == 200


def test_a_session_has_one_share_however_its_header_is_written(
    tmp_path: Path, client_of: Clients
) -> None:
    with served(tmp_path, "--requests-per-minute=2") as server:
        client = client_of(server)
        client.begin()
        ways = (
            f"Bearer {client.session}",
            f"bearer {client.session}",
            f"BEARER {client.session}",
            f"Bearer  {client.session}",
        )
        answers = [
            client.http.get(f"{BASE}/conversations", headers={"authorization": way}).status_code
            for way in ways
        ]
        assert answers == [200, 200, 429, 429]
