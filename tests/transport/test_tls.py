"""TLS: an authority of one's own, a certificate that is not trusted, one of another host, and
certificates of clients.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
import trustme

from dialling import on_loop, soon, texts_of, transport_to, upcoming, visitor
from served import Served
from support_chat.errors import NetworkError, NotABackendError
from support_chat.ports import Outgoing
from support_chat.values import Visitor
from support_chat_adapters.transport.http_exchange import address_of
from tls_relay import certify, tls_relay, trust


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that only these tests know."""
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts this authority."""
    context = ssl.create_default_context()
    trust(context, authority)
    return context


@pytest.mark.parametrize("way", ["websocket", "polls"])
@on_loop
async def test_requests_and_websockets_trust_the_authority_that_is_given(
    backend: Served, authority: trustme.CA, way: str
) -> None:
    async with tls_relay(backend.url, authority) as url:
        given = {} if way == "websocket" else {"websocket": None}
        # None is one of its values
        async with transport_to(url, tls=trusting(authority), **given) as transport:
            link = await soon(transport.open(visitor()))
            assert (await link.send(Outgoing("m-1", "hello"))).text == "hello"
            backend.reply(Visitor(link.welcome.visitor_id or ""), "news")
            assert texts_of(await upcoming(link)) == ["news"]
            await link.aclose()


@on_loop
async def test_a_websocket_goes_through_tls_too(backend: Served, authority: trustme.CA) -> None:
    from websockets.asyncio.client import connect

    opened: list[str] = []

    def watched(url: str, **options: object) -> connect:
        opened.append(url.partition("?")[0])
        # what it was given by the transport
        return connect(url, **options)  # type: ignore[arg-type]

    async with (
        tls_relay(backend.url, authority) as url,
        transport_to(url, tls=trusting(authority), websocket=watched) as transport,
    ):
        (await soon(transport.open(visitor()))).abort()
        (await soon(transport.open(visitor()))).abort()
        # the second time, since the first was not blocked
        assert opened == [f"wss{url[5:]}/widget/v1/realtime"] * 2


NOT_TRUSTED: dict[str, tuple[Callable[[trustme.CA], ssl.SSLContext | None], tuple[str, ...]]] = {
    "an authority that nobody knows": (lambda _: None, ("127.0.0.1",)),
    "another authority than the given one": (lambda _: trusting(trustme.CA()), ("127.0.0.1",)),
    "the certificate of another host": (trusting, ("elsewhere.example",)),
}


@pytest.mark.parametrize(("context", "names"), NOT_TRUSTED.values(), ids=NOT_TRUSTED.keys())
@on_loop
async def test_a_certificate_that_is_not_trusted_is_a_network_error_that_says_what_to_pass(
    backend: Served,
    authority: trustme.CA,
    context: Callable[[trustme.CA], ssl.SSLContext | None],
    names: tuple[str, ...],
) -> None:
    async with (
        tls_relay(backend.url, authority, *names) as url,
        transport_to(url, tls=context(authority)) as transport,
    ):
        for asked in (transport.open(visitor()), transport.revoke("session-1.x")):
            with pytest.raises(NotABackendError, match=r"certificate.*tls=") as caught:
                await soon(asked)
            assert caught.value.reason == "certificate_not_trusted"
            assert address_of(url) in caught.value.message
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@on_loop
async def test_a_server_may_want_a_certificate_of_its_client(
    backend: Served, authority: trustme.CA
) -> None:
    async with tls_relay(backend.url, authority, client_certificates=True) as url:
        async with transport_to(url, tls=trusting(authority)) as stranger:
            with pytest.raises(NetworkError):
                await soon(stranger.open(visitor()))
        context = trusting(authority)
        certify(context, authority, "client@example.com")
        async with transport_to(url, tls=context) as known:
            (await soon(known.open(visitor()))).abort()


@on_loop
async def test_plain_http_needs_no_tls_though_it_is_given(
    backend: Served, authority: trustme.CA
) -> None:
    async with transport_to(backend.url, tls=trusting(authority)) as transport:
        (await soon(transport.open(visitor()))).abort()


@on_loop
async def test_a_server_that_speaks_no_tls_is_a_network_error(backend: Served) -> None:
    async with transport_to(f"https{backend.url[4:]}") as transport:
        with pytest.raises(NetworkError, match="base_url"):
            await soon(transport.open(visitor()))
