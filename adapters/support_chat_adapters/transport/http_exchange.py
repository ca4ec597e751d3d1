"""Requests and answers over httpx2: bytes out, bytes in, and every failure of the way as a
NetworkError.

Nothing is retried and no redirect is followed: a Widget API does not redirect, and whatever does is
not one. Answers are read up to a limit, as they come: none was asked for that is compressed. No
cookie is kept: many sessions share a client, one person after the other. Errors name host, port and
the system's reason, and nothing more of an address, which may hold credentials of a proxy.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Coroutine
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import attrs
import httpx2

from support_chat.errors import InvalidInputError, NetworkError, NotABackendError

from ..system_errors import reason_of, system_error
from .wire.codec import MAX_ANSWER_BYTES, Request
from .wire.problems import Response

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a connection must be open; an answer may pause three times as long."""
KEPT_FOR: Final = 4.0
"""Seconds for which an idle connection is kept: below the 5 s after which uvicorn, and with it
`support-chat serve`, closes it.

A request that is sent while the other end closes its connection is lost, and nobody knows whether
it was done. So we close first.
"""

_PORTS: Final = {"ws": 80, "wss": 443, "http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_CHECK_PROXY: Final = "check proxy=, or HTTPS_PROXY and NO_PROXY"


def new_client(*, tls: ssl.SSLContext | None, proxy: str | None) -> httpx2.AsyncClient:
    """A client as `WidgetAPITransport` makes one for itself: it keeps connections for a while;
    proxies as the environment says.

    Raises InvalidInputError for a proxy that cannot be used.
    """
    try:
        return httpx2.AsyncClient(
            verify=True if tls is None else tls,
            proxy=proxy,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEPT_FOR
            ),
        )
    except (ImportError, ValueError, httpx2.InvalidURL):
        # ImportError: SOCKS, which is another library's.
        raise InvalidInputError(
            "The proxy given as proxy=, or by the environment (HTTPS_PROXY, ALL_PROXY...), cannot "
            "be used: name an http(s) proxy, or install httpx2[socks] and python-socks for a SOCKS "
            "proxy."
        ) from None


def environment_proxy(base_url: str) -> str | None:
    """The proxy through which such a client asks `base_url` if none was given, so that a WebSocket
    takes the same way.

    Left to itself, `connect()` chooses otherwise: it leaves ALL_PROXY out, and takes HTTPS_PROXY
    for plain http.
    """
    address = httpx2.URL(base_url)
    named = getproxies()
    proxy = named.get(address.scheme) or named.get("all")
    if not proxy or proxy_bypass(address.netloc.decode("ascii")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def address_of(url: str) -> str:
    """Host and port of a URL, as errors show them."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or _PORTS.get(parts.scheme, 0)}"


@attrs.frozen
class HTTPExchange:
    """Sends requests to the backend at `base_url` with this client, which stays its maker's."""

    base_url: str
    client: httpx2.AsyncClient = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """Sent with every request."""
    cookies: httpx2.Cookies = attrs.field(factory=httpx2.Cookies, repr=False)
    """Sent with every request, and no others: what the client has gathered is somebody else's."""
    proxy: str | None = attrs.field(default=None, repr=False)
    """The proxy that the client goes through, if it is known."""

    async def send(self, request: Request, *, patience: float = 0.0) -> Response:
        """The answer, whatever its status. `patience` is how many seconds longer than usual it may
        take, as a poll may.

        Raises NetworkError if there is none, or if it is larger than an answer may be.
        """
        try:
            sent = self.client.build_request(
                request.method,
                self.base_url + request.path,
                headers={**self.headers, **request.headers},
                content=request.body,
                timeout=httpx2.Timeout(
                    CONNECT_TIMEOUT, read=CONNECT_TIMEOUT * 3 + patience, pool=None
                ),
            )
            sent.headers.pop("cookie", None)
            if "cookie" in self.client.headers:
                sent.headers["cookie"] = self.client.headers["cookie"]
            self.cookies.set_cookie_header(sent)
            answer, body = await _cleanly(self._answered(sent))
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status_code, headers, body, address_of(self.base_url))
        except NetworkError:
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise self._failure(error) from system_error(error)
        except RuntimeError as error:
            if self.client.is_closed:
                raise _unusable("is closed", "closed") from None
            if "loop" in str(error):  # closed, or a different one
                raise _unusable("belongs to another event loop", "wrong_loop") from None
            raise

    async def _answered(self, sent: httpx2.Request) -> tuple[httpx2.Response, bytes]:
        answer = await self.client.send(sent, stream=True, follow_redirects=False)
        try:
            return answer, await _limited(answer)
        finally:
            await answer.aclose()

    def _failure(self, error: Exception) -> NetworkError:
        """What went wrong, by name: who is to blame, what the system says, and the way out."""
        address, cause = address_of(self.base_url), system_error(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotABackendError(
                f"{address} shows a certificate that is not trusted: {reason_of(cause)}. Pass "
                "tls= for an authority of your own, or check base_url.",
                reason="certificate_not_trusted",
            )
        proxy = None if self.proxy is None else address_of(self.proxy)
        peer = address if proxy is None else f"The proxy {proxy}"
        way_out = "check the network and base_url" if proxy is None else _CHECK_PROXY
        reason = reason_of(cause)
        match error, cause:
            case httpx2.ProxyError(), _:
                what, way_out = f"The proxy {proxy or 'on the way'} refused", _CHECK_PROXY
            case _, socket.gaierror():
                what = f"The host {(proxy or address).rpartition(':')[0]} is unknown ({reason})"
            case _, ssl.SSLError():
                what = f"{address} does not speak TLS as expected ({reason})"
            case httpx2.ConnectTimeout(), _:
                what = f"{peer} takes no connection within {CONNECT_TIMEOUT:g} s"
            case httpx2.ConnectError(), _:
                what = f"{peer} cannot be reached: {reason}"
            case httpx2.TimeoutException(), _:
                what = f"{address} does not answer in time"
            case _:
                what = f"{address} did not answer: {reason}"
        return NetworkError(f"{what}; {way_out}.", reason=type(error).__name__)


async def _cleanly(asking: Coroutine[Any, Any, T]) -> T:
    """The answer. A cancellation ends the asking where nothing is left open by that; a second one
    is not waited for.

    httpcore2 shields the closing of connections that have died, and its shields hold for anyio's
    scopes, not for `Task.cancel()`: of several, all but the first would stay open.
    """
    scope = anyio.CancelScope()

    async def ask() -> T:
        with scope:
            return await asking
        raise asyncio.CancelledError

    asked = asyncio.ensure_future(ask())
    asked.add_done_callback(seen)
    try:
        await asyncio.wait((asked,))
    except asyncio.CancelledError:
        scope.cancel()
        await asyncio.wait((asked,))
        raise
    return asked.result()


def seen(asked: asyncio.Task[Any]) -> None:
    """Its failure, if there is one, has been seen, though nobody may wait for it any more."""
    if not asked.cancelled():
        asked.exception()


async def _limited(answer: httpx2.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.aiter_raw():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise NetworkError(
                f"The answer is larger than {MAX_ANSWER_BYTES} bytes, so it was not read.",
                reason="answer_too_large",
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _unusable(what: str, reason: str) -> NetworkError:
    return NetworkError(
        f"The HTTP client of this transport {what}; make a new WidgetAPITransport, and its http= "
        "if you pass one, in the asyncio.run() that uses it.",
        reason=reason,
        recoverable=False,
    )
