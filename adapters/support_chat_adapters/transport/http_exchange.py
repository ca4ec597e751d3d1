"""Requests and answers over httpx2: bytes out, bytes in, and every failure of the way as a NetworkError.

Nothing is retried and no redirect is followed: a Widget API does not redirect, and whatever does is not one. Answers are read up to a
limit. Errors name the kind of failure only, since addresses may hold credentials of a proxy.
"""

from __future__ import annotations

import ssl
from typing import Final

import attrs
import httpx2

from support_chat.errors import NetworkError

from ..wire.codec import MAX_ANSWER_BYTES, Request
from ..wire.problems import Response

CONNECT_TIMEOUT: Final = 10.0
"""Seconds until a connection must be open, and again until the answer must go on."""


def new_client(*, tls: ssl.SSLContext | None, proxy: str | None) -> httpx2.AsyncClient:
    """A client as `WidgetAPITransport` makes one for itself: it keeps connections; proxies as the environment says."""
    return httpx2.AsyncClient(
        verify=True if tls is None else tls,
        proxy=proxy,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30.0),
    )


@attrs.frozen
class HTTPExchange:
    """Sends requests to the backend at `base_url` with this client, which stays its maker's."""

    base_url: str
    client: httpx2.AsyncClient = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """Sent with every request."""

    async def send(self, request: Request, *, patience: float = 0.0) -> Response:
        """The answer, whatever its status. `patience` is how many seconds longer than usual it may take, as a poll may.

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
                return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            way_out = "its certificate is not trusted; pass tls=" if _distrusted(error) else "check the network and base_url"
            raise NetworkError(
                f"The backend could not be asked ({type(error).__name__}): {way_out}.", reason=type(error).__name__
            ) from None


async def _limited(answer: httpx2.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.aiter_bytes():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise NetworkError(f"The answer is larger than {MAX_ANSWER_BYTES} bytes, so it was not read.", reason="answer_too_large")
        chunks.append(chunk)
    return b"".join(chunks)


def _distrusted(error: BaseException | None) -> bool:
    """Whether a TLS certificate that was not accepted is at the bottom of this."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
