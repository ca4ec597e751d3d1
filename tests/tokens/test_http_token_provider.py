"""The provider that asks a server: what is a token, what refuses, what fails, what is never shown,
and that nothing stays open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from async_tests import in_real_time
from support_chat import Phase, SupportChat, User
from support_chat.errors import (
    InvalidInputError,
    SupportChatError,
    TokenProviderError,
    TokenRefusedError,
)
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.tokens import HTTPTokenProvider
from support_chat_adapters.transport import LoopbackTransport

KIB = 1024
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
JSON = "application/json"
TEXT = "text/plain"


def answer(
    body: bytes | str = b"",
    content_type: str | None = TEXT,
    *,
    status: str = "200 OK",
    **headers: str,
) -> bytes:
    """An answer as it goes over the wire."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def to(location: str, status: str = "307 Temporary Redirect") -> bytes:
    return answer(status=status, Location=location)


def chunked(
    *pieces: bytes, pause: float = 0.0, again: bool = False
) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """An answer in chunks, `pause` seconds apart; with `again` its last chunk is repeated without
    end.
    """

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n"
        )
        for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(pause)
        while again:
            writer.write(b"%x\r\n%s\r\n" % (len(pieces[-1]), pieces[-1]))
            await writer.drain()
            await asyncio.sleep(pause)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return write


async def silent(writer: asyncio.StreamWriter) -> None:
    """An answer that never begins."""
    await asyncio.get_running_loop().create_future()


async def failed(
    provider: HTTPTokenProvider, kind: type[SupportChatError] = TokenProviderError
) -> SupportChatError:
    error = await failed_somehow(provider)
    assert type(error) is kind, error
    return error


async def failed_somehow(provider: HTTPTokenProvider) -> SupportChatError:
    with pytest.raises(SupportChatError) as caught:
        await asyncio.wait_for(provider(), 30)
    return caught.value


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (JWT, TEXT),
        (JWT, "text/plain; charset=utf-8"),
        (JWT, "text/plain; charset=no-such-charset"),
        (JWT, "text/html; charset=utf-8"),  # what Flask and Django say of a string
        (JWT, "application/jwt"),
        (JWT, "application/octet-stream"),
        (JWT, None),
        (f"  {JWT}\r\n", TEXT),
        (b"\xef\xbb\xbf" + JWT.encode(), TEXT),
        (json.dumps(JWT), JSON),  # what FastAPI makes of a string
        (json.dumps({"token": JWT}), JSON),
        (json.dumps({"token": JWT}), "application/json; charset=utf-8"),
        (json.dumps({"token": JWT}), "application/vnd.acme+json"),
        (json.dumps({"token": JWT}), TEXT),
        (
            json.dumps({"expires_in": 900, "token": JWT, "user": {"token": "other"}}, indent=2)
            + "\n",
            JSON,
        ),
        (json.dumps({"token": f" {JWT}\n"}), JSON),
    ],
)
@in_real_time
async def test_text_and_json_are_read_whatever_their_content_type_is_called(
    serving: Any, body: Any, content_type: str | None
) -> None:
    async with serving(answer(body, content_type)) as server:
        assert await HTTPTokenProvider(server.url)() == JWT


@pytest.mark.parametrize(
    ("sent", "reason", "told"),
    [
        (answer(b""), "no_token", "is empty"),
        (answer(status="204 No Content"), "no_token", "is empty"),
        (answer(" \r\n\t"), "no_token", "is empty"),
        (answer(b"\xff\xfe\x00a"), "no_token", "is not UTF-8"),
        (answer("a.b.c".encode("utf-16")), "no_token", "is not UTF-8"),
        (answer("grün"), "no_token", "one word of visible ASCII"),
        (
            answer("<!doctype html><title>Sign in</title>", "text/html"),
            "no_token",
            "a page for people",
        ),
        (answer("<html></html>"), "no_token", "a page for people"),
        (answer("Please sign in"), "no_token", "a page for people"),
        (answer("a\r\nX-Injected: 1"), "no_token", "one word"),
        (answer("a\x00b"), "no_token", "one word"),
        (answer('{"token": "a b"}', JSON), "no_token", "one word"),
        (answer('{"token": "gr\\u00fcn"}', JSON), "no_token", "one word"),
        (answer('{"token": ""}', JSON), "no_token", "holds an empty token"),
        (answer('{"token": null}', JSON), "no_token", 'without a string at "token"'),
        (answer('{"token": 7}', JSON), "no_token", 'without a string at "token"'),
        (answer('{"token": ["a.b.c"]}', JSON), "no_token", 'without a string at "token"'),
        (answer('{"data": {"token": "a.b.c"}}', JSON), "no_token", 'without a string at "token"'),
        (answer('["a.b.c"]', JSON), "no_token", 'without a string at "token"'),
        (answer('{"token": "a.b.c"', JSON), "no_token", "is not valid JSON"),
        (answer("[" * 15 * KIB, JSON), "no_token", "is not valid JSON"),
        (answer("t" * (16 * KIB + 1)), "no_token", "holds 16385 bytes"),
        (answer("t" * (20 * KIB + 1)), "too_large", "sends more than 20480 bytes"),
        (answer(JWT, Content_Encoding="gzip"), "no_token", "compressed form"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
            "unreachable",
            "RemoteProtocolError",
        ),
        (b"220 smtp.example.com\r\n", "unreachable", "RemoteProtocolError"),
        (b"", "unreachable", "RemoteProtocolError"),
        (answer(JWT, status="304 Not Modified"), "http_304", "answered 304"),
        (answer(JWT, status="400 Bad Request"), "http_400", "answered 400"),
        (answer(JWT, status="402 Payment Required"), "http_402", "answered 402"),
        (answer(JWT, status="404 Not Found"), "http_404", "answered 404"),
        (answer(JWT, status="405 Method Not Allowed"), "http_405", "answered 405"),
        (answer(JWT, status="407 Proxy Authentication Required"), "http_407", "answered 407"),
        (answer(JWT, status="429 Too Many Requests", Retry_After="5"), "http_429", "answered 429"),
        (answer(JWT, status="500 Internal Server Error"), "http_500", "answered 500"),
        (answer(JWT, status="503 Service Unavailable"), "http_503", "answered 503"),
    ],
)
@in_real_time
async def test_what_is_no_token_is_a_failure_that_says_why(
    serving: Any, sent: bytes, reason: str, told: str
) -> None:
    async with serving(sent) as server:
        error = await failed(HTTPTokenProvider(server.url))
        assert error.reason == reason, error.message
        assert told in error.message
        assert (error.code, error.recoverable) == ("token_provider_error", True)


@in_real_time
async def test_a_token_of_exactly_16_kib_is_taken_as_text_and_as_json(serving: Any) -> None:
    token = "t" * 16 * KIB
    async with serving(answer(token), answer(json.dumps({"token": token}), JSON)) as server:
        provider = HTTPTokenProvider(server.url)
        assert [await provider(), await provider()] == [token, token]


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@in_real_time
async def test_401_and_403_refuse_the_user_whatever_they_bring(serving: Any, status: str) -> None:
    async with serving(answer(JWT, status=status)) as server:
        error = await failed(HTTPTokenProvider(server.url), TokenRefusedError)
        assert (error.reason, error.recoverable) == (f"http_{status[:3]}", False)
    async with serving(to("/login", "302 Found"), answer(JWT, status=status)) as server:
        await failed(HTTPTokenProvider(server.url), TokenRefusedError)


@in_real_time
async def test_no_server_at_all_is_a_failure(serving: Any) -> None:
    async with serving(b"") as server:
        url = server.url
    assert (await failed(HTTPTokenProvider(url))).reason == "unreachable"


@in_real_time
async def test_it_posts_unless_told_to_get_and_asks_for_something_fresh(serving: Any) -> None:
    async with serving(answer(JWT)) as server:
        await HTTPTokenProvider(server.url)()
        await HTTPTokenProvider(server.url, method="GET")()
        posted, got = server.heads
        assert posted.startswith("POST /token HTTP/1.1\r\n")
        assert "\r\ncontent-length: 0\r\n" in posted.lower()
        assert got.startswith("GET /token HTTP/1.1\r\n")
        for head in (posted, got):
            assert "\r\ncache-control: no-cache, no-store\r\n" in head.lower()
            assert "\r\naccept-encoding: identity\r\n" in head.lower()


@pytest.mark.parametrize(
    ("redirect", "followed"),
    [
        (to("/v2/token"), "POST /v2/token"),
        (to("v2", "308 Permanent Redirect"), "POST /v2"),
        (to("/v2/token", "302 Found"), "GET /v2/token"),
        (to("/v2/token", "303 See Other"), "GET /v2/token"),
        (to("?again=1"), "POST /token?again=1"),
    ],
)
@in_real_time
async def test_redirects_within_the_origin_are_followed(
    serving: Any, redirect: bytes, followed: str
) -> None:
    async with serving(redirect, answer(JWT)) as server:
        assert await HTTPTokenProvider(server.url)() == JWT
        assert server.heads[1].startswith(f"{followed} HTTP/1.1\r\n")


@in_real_time
async def test_no_redirect_leads_to_another_origin(serving: Any) -> None:
    async with serving(answer(JWT)) as other:
        port = other.url.split(":")[2].split("/")[0]
        elsewhere = [
            other.url,
            other.url.replace("http:", ""),
            f"http://localhost:{port}/token",
        ]
        for location in elsewhere:
            async with serving(to(location), answer(JWT)) as server:
                error = await failed(HTTPTokenProvider(server.url))
                assert (error.reason, len(server.heads)) == ("redirected", 1)
                same_port_other_scheme = server.url.replace("http:", "https:")
            async with serving(to(same_port_other_scheme)) as server:
                assert (await failed(HTTPTokenProvider(server.url))).reason == "redirected"
        assert other.heads == []


@in_real_time
async def test_a_client_that_follows_redirects_is_kept_from_another_origin_too(
    serving: Any,
) -> None:
    async with (
        serving(answer(JWT)) as other,
        serving(to(other.url)) as server,
        httpx2.AsyncClient(follow_redirects=True) as client,
    ):
        assert (await failed(HTTPTokenProvider(server.url, client))).reason == "redirected"
        assert other.heads == []


@pytest.mark.parametrize("location", ["/token", "http://[", "ftp://127.0.0.1/token"])
@in_real_time
async def test_redirects_end(serving: Any, location: str) -> None:
    async with serving(to(location)) as server:
        error = await failed(HTTPTokenProvider(server.url))
        assert error.reason in ("redirected", "http_307"), error.message
        assert len(server.heads) == (6 if location == "/token" else 1)


@in_real_time
async def test_it_stops_reading_an_answer_without_end_and_hangs_up(serving: Any) -> None:
    async with serving(chunked(b"x" * KIB, again=True)) as server:
        error = await failed(HTTPTokenProvider(server.url))
        assert error.reason == "too_large"
        await asyncio.wait_for(server.closed.wait(), 60)


@in_real_time
async def test_chunks_are_put_together(serving: Any) -> None:
    async with serving(chunked(*(byte.encode() for byte in JWT))) as server:
        assert await HTTPTokenProvider(server.url)() == JWT


@pytest.mark.parametrize(
    "slow", [silent, chunked(b"x", pause=0.01, again=True)], ids=["silent", "drip"]
)
@pytest.mark.parametrize("passed", [False, True])
@in_real_time
async def test_its_time_is_limited_however_busy_the_server_seems(
    serving: Any, slow: Any, passed: bool
) -> None:
    async with serving(slow) as server, httpx2.AsyncClient() as client:
        error = await failed(HTTPTokenProvider(server.url, client if passed else None, timeout=0.1))
        assert (
            error.reason,
            "within 0.1 s" in error.message or "Timeout" in error.message,
        ) == ("timeout", True)
        await asyncio.wait_for(server.closed.wait(), 60)


@pytest.mark.parametrize(
    "slow", [silent, chunked(b"x", pause=0.01, again=True)], ids=["silent", "drip"]
)
@in_real_time
async def test_a_cancelled_call_leaves_nothing_open(serving: Any, slow: Any) -> None:
    async with serving(slow) as server:
        asking = asyncio.ensure_future(HTTPTokenProvider(server.url)())
        await asyncio.wait_for(server.asked.wait(), 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.closed.wait(), 60)


@in_real_time
async def test_a_client_of_your_own_brings_its_headers_and_stays_open(serving: Any) -> None:
    async with serving(answer(JWT)) as server:
        async with httpx2.AsyncClient(
            headers={"X-Session": "s-1"}, base_url=server.url.removesuffix("/token")
        ) as client:
            for url in (server.url, "/token"):
                assert await HTTPTokenProvider(url, client)() == JWT
            assert not client.is_closed
        assert all("\r\nx-session: s-1\r\n" in head.lower() for head in server.heads)
        assert [head.split(" ")[1] for head in server.heads] == ["/token", "/token"]
        assert (await failed(HTTPTokenProvider(server.url, client))).reason == "client_closed"


@pytest.mark.parametrize(
    ("unread", "calls"),
    [
        (answer("no", status="401 Unauthorized"), 2),
        (chunked(b"x" * 21 * KIB), 2),
        (to("/v2"), 1),
        (to("http://localhost/"), 2),
    ],
)
@in_real_time
async def test_an_answer_that_is_not_read_to_its_end_gives_its_connection_back(
    serving: Any, unread: Any, calls: int
) -> None:
    one = httpx2.Limits(max_connections=1)
    async with (
        serving(unread, answer(JWT)) as server,
        httpx2.AsyncClient(limits=one, timeout=2) as client,
    ):
        provider = HTTPTokenProvider(server.url, client)
        for _ in range(calls - 1):
            assert (await failed_somehow(provider)).reason != "timeout"
        assert await provider() == JWT


@in_real_time
async def test_cookies_are_kept_from_call_to_call_only_by_a_client_of_your_own(
    serving: Any,
) -> None:
    async with (
        serving(answer(JWT, Set_Cookie="tracked=1")) as server,
        httpx2.AsyncClient() as client,
    ):
        alone, with_client = (
            HTTPTokenProvider(server.url),
            HTTPTokenProvider(server.url, client),
        )
        for provider in (alone, alone, with_client, with_client):
            await provider()
        assert ["cookie: tracked=1" in head.lower() for head in server.heads] == [
            False,
            False,
            False,
            True,
        ]


SECRETS = ("hunter2", "s3cr3t-key", "key=", "ann:")


def shown_of(provider: HTTPTokenProvider, error: BaseException | None) -> list[str]:
    """Everything that a user sees of a failure."""
    import traceback

    return [
        repr(provider),
        repr(error),
        str(error),
        *(traceback.format_exception(error) if error else []),
    ]


@pytest.mark.parametrize("passed", [False, True])
@in_real_time
async def test_neither_token_nor_query_nor_userinfo_is_shown_in_errors_repr_and_logs(
    serving: Any, caplog: pytest.LogCaptureFixture, passed: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        answer(JWT),
        answer(JWT, status="500 Internal Server Error"),
        answer(JWT, status="401 Unauthorized"),
        answer(f"{JWT} and more"),
        answer(f'{{"token": "{JWT}"'),
        answer(JWT * 1000),
        to("//elsewhere.example/"),
        to("http://["),
        b"nonsense",
        silent,
    ]
    url = ""
    async with httpx2.AsyncClient() as client:
        for sent in answers:
            async with serving(sent) as server:
                url = server.url.replace("//", "//ann:hunter2@") + "?key=s3cr3t-key#s3cr3t-key"
                patience = 0.2 if sent is silent else 60.0
                provider = HTTPTokenProvider(url, client if passed else None, timeout=patience)
                error: BaseException | None = None
                try:
                    assert await provider() == JWT
                except SupportChatError as raised:
                    error = raised
                assert (error is None) is (sent is answers[0])
                for secret in (*SECRETS, JWT):
                    assert not [text for text in shown_of(provider, error) if secret in text]
                for head in server.heads[:1]:
                    assert "POST /token?key=s3cr3t-key HTTP/1.1" in head
                    assert "Authorization: Basic YW5uOmh1bnRlcjI=" in head
                assert server.heads or sent is silent
        gone = HTTPTokenProvider(url, client if passed else None)
        assert not [
            text
            for text in shown_of(gone, await failed(gone))
            if any(secret in text for secret in SECRETS)
        ]
    assert [
        record
        for record in caplog.records
        if record.name == "httpx2" and "/token" in record.getMessage()
    ]
    assert not [
        record.getMessage()
        for record in caplog.records
        for secret in (*SECRETS, JWT)
        if secret in record.getMessage()
    ]


@in_real_time
async def test_userinfo_goes_along_with_a_redirect_within_the_origin(serving: Any) -> None:
    async with serving(to("/v2"), answer(JWT)) as server:
        assert await HTTPTokenProvider(server.url.replace("//", "//ann:hunter2@"))() == JWT
        assert ["Authorization: Basic YW5uOmh1bnRlcjI=" in head for head in server.heads] == [
            True,
            True,
        ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"url": "/token"}, "url names no server"),
        ({"url": "ftp://example.com/token"}, "url names no server"),
        ({"url": "https://"}, "url names no server"),
        ({"url": "https://example.com:port"}, "url is no URL"),
        ({"url": 7}, "url is no URL"),
        ({"method": "DELETE"}, "method is neither"),
        ({"timeout": 0}, "timeout is no positive number"),
        ({"timeout": float("nan")}, "timeout is no positive number"),
        ({"timeout": float("inf")}, "timeout is no positive number"),
        ({"timeout": "8"}, "timeout is no positive number"),
        ({"client": object()}, "client is object; pass an httpx2.AsyncClient"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_when_it_is_made(
    arguments: dict[str, Any], told: str
) -> None:
    made: dict[str, Any] = {"url": "https://example.com/token", **arguments}
    with pytest.raises(InvalidInputError, match=re.escape(told)):
        HTTPTokenProvider(**made)


def test_without_httpx2_the_line_that_installs_it_is_told_when_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ModuleNotFoundError, match=re.escape('pip install "support-chat[http]"')):
        HTTPTokenProvider("https://example.com/token")


@in_real_time
async def test_https_is_verified_by_the_certificates_of_this_machine(
    serving: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server.pem")
    )
    tls.load_cert_chain(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving(answer(JWT), tls=tls) as server:
        # the server's end of the handshake that fails
        asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
        assert (await failed(HTTPTokenProvider(server.url))).reason == "unreachable"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert await HTTPTokenProvider(server.url)() == JWT


@in_real_time
async def test_a_session_signs_in_with_it_and_ends_when_it_refuses(serving: Any) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    widget: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
    token = sign_identity_token("ann", secret, **widget)
    async with serving(
        answer(json.dumps({"token": token}), JSON), answer(status="403 Forbidden")
    ) as server:
        provider = HTTPTokenProvider(server.url)
        with Backend(**widget, keys=[IdentityKey("HS256", secret)]) as backend:
            async with SupportChat(
                **widget, transport=LoopbackTransport(backend), storage=MemoryStorage()
            ) as chat:
                await chat.boot(user=User("ann"), token_provider=provider)
                assert chat.is_in(Phase.AUTHENTICATED)
                await chat.shutdown()
                with pytest.raises(TokenRefusedError, match="answered 403"):
                    await chat.boot(user=User("ann"), token_provider=provider)
