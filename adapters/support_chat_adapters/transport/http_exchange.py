"""Requests and answers over httpx2: bytes out, bytes in, and every failure of the way as a
NetworkError.

Nothing is retried and no redirect is followed: a Widget API does not redirect, and whatever does is
not one. Answers are read up to a limit, as they come: none was asked for that is compressed. Errors
name the kind of failure only, since addresses may hold credentials of a proxy.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.request import getproxies, proxy_bypass

import attrs
import httpx2

from support_chat.errors import InvalidInputError, NetworkError

from .wire.codec import MAX_ANSWER_BYTES, Request
from .wire.problems import Response

CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a connection must be open; an answer may pause three times as long."""
KEPT_FOR: Final = 4.0
"""Seconds for which an idle connection is kept: below the 5 s after which uvicorn, and with it
`support-chat serve`, closes it.

A request that is sent while the other end closes its connection is lost, and nobody knows whether
it was done. So we close first.
"""


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


@attrs.frozen
class HTTPExchange:
    """Sends requests to the backend at `base_url` with this client, which stays its maker's."""

    base_url: str
    client: httpx2.AsyncClient = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """Sent with every request."""

    async def send(self, request: Request, *, patience: float = 0.0) -> Response:
        """The answer, whatever its status. `patience` is how many seconds longer than usual it may
        take, as a poll may.

        Raises NetworkError if there is none, or if it is larger than an answer may be.
        """
        timeout = httpx2.Timeout(CONNECT_TIMEOUT, read=CONNECT_TIMEOUT * 3 + patience, pool=None)
        try:
            async with self.client.stream(
                request.method,
                self.base_url + request.path,
                headers={**self.headers, **request.headers},
                content=request.body,
                timeout=timeout,
                follow_redirects=False,
            ) as answer:
                body = await _limited(answer)
                return Response(
                    answer.status_code,
                    {name.lower(): value for name, value in answer.headers.items()},
                    body,
                )
        except NetworkError:
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise NetworkError(
                f"The backend could not be asked ({type(error).__name__}): {_way_out(error)}.",
                reason=type(error).__name__,
            ) from None
        except RuntimeError:
            if not self.client.is_closed:
                raise
            raise NetworkError(
                "The HTTP client of this transport is closed; make a new WidgetAPITransport.",
                reason="closed",
                recoverable=False,
            ) from None


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


def _way_out(error: BaseException) -> str:
    if _distrusted(error):
        return (
            "its certificate is not trusted, or is another host's; pass tls= for an authority "
            "of your own"
        )
    if isinstance(error, httpx2.ProxyError):
        return "the proxy refused; check proxy=, or HTTPS_PROXY and NO_PROXY"
    return "check the network and base_url"


def _distrusted(error: BaseException | None) -> bool:
    """Whether a TLS certificate that was not accepted is at the bottom of this."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
