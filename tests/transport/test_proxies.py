"""Proxies: given or found in the environment, left out where NO_PROXY says so, refusing, and never
named with their password.
"""

from __future__ import annotations

import logging

import pytest
import trustme

from dialling import hears, link_of, on_loop, soon, transport_to, visitor
from http_proxy import http_proxy
from served import Served
from support_chat.errors import InvalidInputError, NetworkError
from support_chat_adapters.transport import WidgetAPITransport
from tls_relay import tls_relay, trust

PASSWORD = "correct-horse-battery-staple"
OPEN = "/widget/v1/sessions/anonymous"


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "WS_PROXY",
        "WSS_PROXY",
        "SOCKS_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@on_loop
async def test_requests_and_websockets_go_through_the_proxy_that_is_given(backend: Served) -> None:
    async with (
        http_proxy() as proxy,
        transport_to(backend.url, proxy=proxy.url) as transport,
        link_of(transport) as link,
    ):
        await hears(backend, link)
        assert proxy.targets("POST") == [f"{backend.url}{OPEN}"]
        assert proxy.targets("CONNECT") == [f"127.0.0.1:{backend.port}"]  # the WebSocket


@on_loop
async def test_with_tls_everything_goes_through_tunnels(backend: Served) -> None:
    import ssl

    authority = trustme.CA()
    context = ssl.create_default_context()
    trust(context, authority)
    async with (
        http_proxy() as proxy,
        tls_relay(backend.url, authority) as url,
        transport_to(url, proxy=proxy.url, tls=context) as transport,
        link_of(transport) as link,
    ):
        await hears(backend, link)
        assert proxy.log == [("CONNECT", url.removeprefix("https://"))] * 2


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@on_loop
async def test_the_environment_may_name_the_proxy(
    backend: Served, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with http_proxy() as proxy:
        monkeypatch.setenv(name, proxy.url)
        async with transport_to(backend.url) as transport, link_of(transport) as link:
            await hears(backend, link)
            assert proxy.targets("POST") == [f"{backend.url}{OPEN}"]
            assert proxy.targets("CONNECT") == [f"127.0.0.1:{backend.port}"]


@pytest.mark.parametrize("hosts", ["127.0.0.1", "*", "example.com,127.0.0.1"])
@on_loop
async def test_no_proxy_is_respected(
    backend: Served, monkeypatch: pytest.MonkeyPatch, hosts: str
) -> None:
    async with http_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", hosts)
        async with transport_to(backend.url) as transport, link_of(transport) as link:
            await hears(backend, link)
            assert proxy.log == []


@on_loop
async def test_a_proxy_may_want_a_password(
    backend: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        http_proxy(password=PASSWORD) as proxy,
        transport_to(backend.url, proxy=proxy.url.replace("//", f"//user:{PASSWORD}@")) as known,
        link_of(known) as link,
    ):
        await hears(backend, link)
        assert (len(proxy.log), proxy.refused) == (2, 0)
        assert PASSWORD not in repr(known)
    assert caplog.records
    assert PASSWORD not in caplog.text + repr([record.__dict__ for record in caplog.records])


@pytest.mark.parametrize("password", ["wrong-pass-phrase", None])
@pytest.mark.parametrize("tls", [False, True])
@on_loop
async def test_a_proxy_that_refuses_is_a_network_error_without_its_password(
    backend: Served, password: str | None, tls: bool
) -> None:
    async with http_proxy(password=PASSWORD) as proxy:
        url = proxy.url if password is None else proxy.url.replace("//", f"//user:{password}@")
        async with transport_to(
            backend.url.replace("http:", "https:") if tls else backend.url, proxy=url
        ) as transport:
            with pytest.raises(NetworkError, match="proxy") as caught:
                await soon(transport.open(visitor()))
            assert proxy.refused == 1
            shown = (
                f"{caught.value} {caught.value!r} {caught.value.reason} {caught.value.__cause__}"
            )
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
            assert "wrong-pass-phrase" not in shown


@on_loop
async def test_a_proxy_that_opens_no_tunnel_leaves_the_polls(backend: Served) -> None:
    async with http_proxy() as proxy:
        proxy.tunnels = False
        async with (
            transport_to(backend.url, proxy=proxy.url) as transport,
            link_of(transport) as link,
        ):
            await hears(backend, link)
            assert f"{backend.url}/widget/v1/realtime" in proxy.targets("GET")


@on_loop
async def test_a_proxy_that_is_gone_is_a_network_error(backend: Served) -> None:
    async with http_proxy() as proxy:
        gone = proxy.url
    async with transport_to(backend.url, proxy=gone) as transport:
        with pytest.raises(NetworkError):
            await soon(transport.open(visitor()))


@pytest.mark.parametrize(
    "proxy",
    ["ftp://127.0.0.1:1", "not a proxy", f"socks5://user:{PASSWORD}@127.0.0.1:1", "http://[::1"],
)
def test_a_proxy_that_cannot_be_used_is_the_callers_fault(proxy: str) -> None:
    with pytest.raises(InvalidInputError, match="proxy=") as caught:
        WidgetAPITransport("http://127.0.0.1:1", proxy=proxy)
    assert PASSWORD not in str(caught.value)
