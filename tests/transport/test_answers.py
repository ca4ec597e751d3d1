"""What comes instead of an answer: errors of the backend, pages of whoever is on the way, too much,
too late, or nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from dialling import link_of, on_loop, soon, transport_to, user, visitor
from served import Served, served
from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    InvalidInputError,
    NetworkError,
    RateLimitedError,
)
from support_chat.ports import (
    ListConversations,
    Outgoing,
)
from support_chat_adapters.transport import http_exchange
from support_chat_adapters.transport.wire.codec import MAX_ANSWER_BYTES
from support_chat_adapters.wire_faults import (
    Cut,
    Fault,
    FaultProxy,
    Garbage,
    Refuse,
    Slow,
    Stall,
    Status,
    Swallow,
)

PAGE = b"<html><body>Sign in to the network</body></html>"
OPEN = ("POST", "/sessions/anonymous")
SEND = ("POST", "/conversations")
TOO_MUCH = b'{"x": "' + b"x" * MAX_ANSWER_BYTES + b'"}'


def status(code: int, body: bytes = b"", **headers: str) -> Status:
    """An answer to the opening request."""
    return Status(
        *OPEN, code, body, tuple((name.replace("_", "-"), value) for name, value in headers.items())
    )


NO_ANSWERS: dict[str, Fault] = {
    "refused": Refuse(),
    "a page with 200": status(200, PAGE, content_type="text/html"),
    "a redirect": status(302, location="http://127.0.0.1:1/elsewhere"),
    "a redirect that keeps the method": status(307, location="/widget/v1/config"),
    "a proxy that wants a password": status(407, PAGE),
    "a timeout at a proxy": status(408),
    "a bad gateway": status(502, PAGE),
    "a failure": status(
        500, b'{"error": {"code": "internal_error", "message": "It failed.", "recoverable": true}}'
    ),
    "nothing with 200": status(200),
    "nothing with 204": status(204),
    "another API": status(200, b'{"ok": true}'),
    "too much": status(200, TOO_MUCH),
    "what was not asked for": status(
        200, gzip.compress(b'{"session": "s"}'), content_encoding="gzip"
    ),
    "a bomb": status(200, gzip.compress(b"x" * 100_000_000), content_encoding="gzip"),
    "a head cut in the middle": Cut(*OPEN, after=20),
    "a body cut in the middle": Cut(*OPEN, after=20, part="body"),
    "a request cut in the middle": Cut(*OPEN, after=50, of="client"),
    "a head that is none": Garbage(*OPEN),
    "a body that is none": Garbage(*OPEN, part="body"),
    "a swallowed answer": Swallow(*OPEN),
    "a reset instead of an answer": Swallow(*OPEN, "reset"),
}


@pytest.mark.parametrize("fault", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
@on_loop
async def test_what_is_no_answer_is_a_network_error_and_the_next_dial_is_free(
    backend: Served, fault: Fault
) -> None:
    async with FaultProxy(backend.url) as proxy:
        proxy.plan(fault)
        async with transport_to(proxy.url) as transport:
            who = visitor()
            with pytest.raises(NetworkError) as caught:
                await soon(transport.open(who))
            assert caught.value.recoverable
            assert not isinstance(caught.value, RateLimitedError)
            assert who.visitor not in f"{caught.value} {caught.value!r}"
            assert len(proxy.applied()) == 1
            (await soon(transport.open(who))).abort()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), ("soon", 0.0), ("inf", 0.0), (None, 0.0)],
)
@on_loop
async def test_a_limit_says_for_how_long(
    backend: Served, header: str | None, seconds: float
) -> None:
    async with FaultProxy(backend.url) as proxy:
        proxy.plan(status(429, PAGE, **({} if header is None else {"retry_after": header})))
        async with transport_to(proxy.url) as transport:
            with pytest.raises(RateLimitedError) as caught:
                await transport.open(visitor())
            assert caught.value.retry_after == seconds


@on_loop
async def test_the_backends_own_limit_is_told_with_its_seconds(tmp_path: Path) -> None:
    with served(tmp_path, "--opens-per-minute=2", "--requests-per-minute=3") as one:
        async with transport_to(one.url) as transport:
            links = [await transport.open(visitor()) for _ in range(2)]
            with pytest.raises(RateLimitedError) as dialling:
                await transport.open(visitor())
            assert 0 < dialling.value.retry_after <= 30
            for _ in range(3):
                await links[0].conversations(ListConversations())
            with pytest.raises(RateLimitedError) as asking:
                await links[0].conversations(ListConversations())
            assert 0 < asking.value.retry_after <= 20
            await links[1].conversations(ListConversations())  # whose share is its own
            for link in links:
                link.abort()


@on_loop
async def test_refusals_and_rejections_are_told_apart(backend: Served) -> None:
    async with transport_to(backend.url) as transport:
        with pytest.raises(AuthRefusedError) as refused:
            await transport.open(visitor(user_id="ann", token="no-token"))
        assert refused.value.request_id
        with pytest.raises(BackendRejectedError) as rejected:
            await transport.open(visitor(session="session-1.unknown"))
        assert (rejected.value.code, rejected.value.reason) == ("auth_required", "session_unknown")
        async with link_of(transport) as link:
            for nowhere in ("no-such-conversation", "..", "a/b", "?", ""):
                with pytest.raises(BackendRejectedError):
                    await link.send(Outgoing("m-1", "hello", nowhere))
            with pytest.raises(BackendRejectedError) as invalid:
                await link.send(Outgoing("m-1", " "))
            assert invalid.value.code == "message_invalid"
            for unsendable in ("\ud800", "x" * 20_000):
                with pytest.raises((InvalidInputError, BackendRejectedError)):
                    await link.send(Outgoing("m-1", unsendable))
            assert (await link.send(Outgoing("m-1", "hello"))).text == "hello"


@on_loop
async def test_a_backend_of_a_browser_asks_for_the_origin_that_is_given(tmp_path: Path) -> None:
    with served(tmp_path, "--allow-origin=https://app.example.com") as one:
        for origin, admitted in (
            ("https://app.example.com", True),
            ("https://evil.example.com", False),
            (None, True),
        ):
            async with transport_to(one.url, origin=origin) as transport:
                if admitted:
                    (await transport.open(visitor())).abort()
                else:
                    with pytest.raises(BackendRejectedError) as caught:
                        await transport.open(visitor())
                    assert caught.value.code == "invalid_origin"


@on_loop
async def test_an_answer_that_is_too_long_is_not_read(backend: Served) -> None:
    async with (
        FaultProxy(backend.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport) as link,
    ):
        proxy.plan(Status("GET", "/conversations", 200, TOO_MUCH * 8))
        with pytest.raises(NetworkError) as caught:
            await soon(link.conversations(ListConversations()))
        assert caught.value.reason == "answer_too_large"
        assert list(await link.conversations(ListConversations())) == []


@on_loop
async def test_an_answer_that_is_compressed_unasked_is_not_unpacked(backend: Served) -> None:
    async with (
        FaultProxy(backend.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport) as link,
    ):
        packed = gzip.compress(b'{"conversations": [], "nextCursor": null}')
        proxy.plan(Status("GET", "/conversations", 200, packed, (("content-encoding", "gzip"),)))
        with pytest.raises(NetworkError) as caught:
            await link.conversations(ListConversations())
        assert caught.value.reason == "unreadable_answer"


@pytest.mark.parametrize(
    "fault",
    [
        Stall(*SEND, of="server", seconds=0.5),
        Slow(*SEND, rate=600.0),
        Stall(*SEND, after=30, seconds=0.5),
    ],
)
@on_loop
async def test_an_answer_that_takes_its_time_is_waited_for(backend: Served, fault: Fault) -> None:
    async with (
        FaultProxy(backend.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport) as link,
    ):
        proxy.plan(fault)
        assert (await soon(link.send(Outgoing("m-1", "hello")))).text == "hello"


@on_loop
async def test_an_answer_that_never_goes_on_is_given_up(
    backend: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_exchange, "CONNECT_TIMEOUT", 0.1)
    async with (
        FaultProxy(backend.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport) as link,
    ):
        proxy.plan(Stall("GET", "/conversations", of="server"))
        with pytest.raises(NetworkError) as caught:
            await soon(link.conversations(ListConversations()))
        assert caught.value.reason == "ReadTimeout"
        proxy.release()


@on_loop
async def test_a_call_that_fails_leaves_the_link_as_it_was(backend: Served) -> None:
    async with (
        FaultProxy(backend.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport, user(backend)) as link,
    ):
        for fault in (
            Swallow(*SEND),
            Cut(*SEND, after=10),
            Status(*SEND, 502, PAGE),
            Garbage(*SEND),
        ):
            proxy.plan(fault)
            with pytest.raises(NetworkError):
                await soon(link.send(Outgoing("m-1", "hello")))
        stored = await link.send(Outgoing("m-1", "hello"))
        assert [one.messages for one in await link.conversations(ListConversations())] == [1]
        assert (await link.send(Outgoing("m-1", "hello"))).id == stored.id


@on_loop
async def test_a_revocation_that_a_sign_in_page_answers_is_not_taken_for_one(
    backend: Served,
) -> None:
    async with (
        FaultProxy(backend.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport) as link,
    ):
        proxy.plan(Status("POST", "/sessions/shutdown", 200, PAGE))
        with pytest.raises(NetworkError):
            await transport.revoke(link.welcome.session)
        assert list(await link.conversations(ListConversations())) == []
        await transport.revoke(link.welcome.session)


@on_loop
async def test_a_session_that_no_header_can_carry_is_an_error_of_this_library(
    backend: Served,
) -> None:
    async with transport_to(backend.url) as transport:
        for session in ("two words", "sëssion", "line\r\nx: y", ""):
            with pytest.raises(InvalidInputError):
                await transport.revoke(session)
        opened = {"session": "a\nb", "visitorId": "v", "realtimeToken": "t"}
        async with FaultProxy(backend.url) as proxy:
            proxy.plan(status(200, json.dumps(opened).encode()))
            async with transport_to(proxy.url, websocket=None) as other:
                with pytest.raises(NetworkError):
                    await other.open(visitor())
    await asyncio.sleep(0)
