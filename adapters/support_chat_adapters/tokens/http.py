"""A token provider that asks the customer's own server, over HTTP.

One request a call, and nothing kept between two: a token is asked for every few minutes, so a
connection kept open would mostly be found dead, while one that is made and closed within the call
leaks nothing, whenever the call is cancelled, and serves any loop.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Final, Literal

from support_chat.errors import InvalidInputError, TokenProviderError, TokenRefusedError

from ..extras import require
from ..system_errors import reason_of, system_error
from .answer import MAX_ANSWER_BYTES, NoTokenError, token_in

if TYPE_CHECKING:
    import httpx2

MAX_REDIRECTS: Final = 5
"""Redirects that are followed, all within the origin of the URL."""

_HEADERS: Final = {
    "Accept": "application/json, text/plain;q=0.9, */*;q=0.1",
    "Accept-Encoding": "identity",  # what is compressed has no size until it is unpacked
    # a token served twice looks like a refused one that was not renewed
    "Cache-Control": "no-cache, no-store",
}


class HTTPTokenProvider:
    """A `TokenProvider` that fetches a fresh identity token from `url`, a server of yours that
    knows who the user is.

    The answer is the token as text, as a JSON string, or as `{"token": ...}`, in UTF-8. 401 and 403
    say that this user gets none: TokenRefusedError, and the session ends. Anything else is a
    failure, TokenProviderError, which a live session survives: no connection, another status, no
    answer within `timeout` seconds, more than 20 KiB, something that is no token. Redirects are
    followed within the origin only: elsewhere your user's cookies and headers have no business. Use
    https; plain http shows the token to whoever is in between.

    `method` is POST unless you choose GET: no cache ever answers a POST, and nothing prefetches it.

    `client` is your own `httpx2.AsyncClient`, and how you say who the user is: its headers,
    cookies, authentication, proxies, certificates and timeouts apply, and `url` may be relative to
    its `base_url`. It stays yours: you close it, and cookies are kept from call to call only in it.
    Without one, each call makes a client and closes it. The default `timeout` is shorter than the
    session's `token_timeout`, so that the error says what was slow; raise both together.

    Neither the token nor the query or the userinfo of the URL is shown in errors, in `repr`, or in
    what httpx2 logs.

    Raises InvalidInputError for arguments that cannot be meant, and ModuleNotFoundError with the
    line that installs httpx2.
    """

    def __init__(
        self,
        url: str,
        client: httpx2.AsyncClient | None = None,
        *,
        method: Literal["POST", "GET"] = "POST",
        timeout: float = 8.0,
    ) -> None:
        require("httpx2", extra="http", purpose="HTTPTokenProvider asks your server with httpx2")
        import httpx2

        from .unlogged import shown

        if client is not None and not isinstance(client, httpx2.AsyncClient):
            raise InvalidInputError(
                f"client is {type(client).__name__}; pass an httpx2.AsyncClient, or none."
            )
        if method not in ("POST", "GET"):
            raise InvalidInputError("method is neither POST nor GET; leave it out for POST.")
        if (
            isinstance(timeout, bool)
            or not isinstance(timeout, int | float)
            or not 0 < timeout < float("inf")
        ):
            raise InvalidInputError("timeout is no positive number; pass seconds.")
        try:
            full = client.build_request(method, url).url if client is not None else httpx2.URL(url)
        except (httpx2.InvalidURL, TypeError):
            raise InvalidInputError(
                "url is no URL; pass one like https://example.com/support-chat-token."
            ) from None
        if full.scheme not in ("https", "http") or not full.host:
            raise InvalidInputError(
                "url names no server; pass one like https://example.com/support-chat-token."
            )
        self._url = url
        self._client = client
        self._method = method
        self._timeout = float(timeout)
        self._shown = shown(full)
        # read once: for every call anew it would hold up the loop
        self._certificates = httpx2.create_ssl_context()

    def __repr__(self) -> str:
        return f"HTTPTokenProvider({self._shown!r}, method={self._method!r})"

    async def __call__(self) -> str:
        """Asks the server; returns the token, or raises TokenRefusedError or TokenProviderError.
        May be cancelled at any time.
        """
        import httpx2

        if self._client is not None and self._client.is_closed:
            raise self._failed(
                "was not asked: the client passed is closed",
                "client_closed",
                "Close it after the session.",
            )
        try:
            lent = (  # what is made here is closed here; the one passed is left open
                httpx2.AsyncClient(verify=self._certificates, timeout=self._timeout)
                if self._client is None
                else nullcontext(self._client)
            )
            async with asyncio.timeout(self._timeout), lent as client:
                return await self._ask(client)
        except TimeoutError:
            raise self._failed(
                f"did not answer within {self._timeout:g} s", "timeout", "Make it answer sooner."
            ) from None
        except httpx2.TimeoutException as error:
            raise self._failed(
                f"did not answer ({type(error).__name__})", "timeout", "Make it answer sooner."
            ) from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            # Their texts may show the URL; the system's does not.
            cause = system_error(error)
            raise self._failed(
                f"could not be asked ({type(error).__name__}: {reason_of(cause)})",
                "unreachable",
                "Check the server.",
            ) from cause
        except RuntimeError as error:
            if "loop" not in str(error):  # closed, or a different one
                raise
            raise self._failed(
                "was not asked: the client passed belongs to another event loop",
                "wrong_loop",
                "Make it in the asyncio.run() that uses it.",
            ) from None

    async def _ask(self, client: httpx2.AsyncClient) -> str:
        """Sends the request, and again where a redirect within the origin leads."""
        from .unlogged import UnloggedURL

        request = client.build_request(self._method, self._url, headers=_HEADERS)
        for _ in range(1 + MAX_REDIRECTS):
            request.url = UnloggedURL(request.url)
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                following = response.next_request
                if following is None:
                    return await self._read(response)
                if following.url.origin != request.url.origin:
                    raise self._failed(
                        "redirects to another origin",
                        "redirected",
                        "Pass the URL that answers by itself.",
                    )
                request = following
            finally:
                await response.aclose()
        raise self._failed(
            f"redirects more than {MAX_REDIRECTS} times",
            "redirected",
            "Pass the URL that answers by itself.",
        )

    async def _read(self, response: httpx2.Response) -> str:
        """The token of an answer that is no redirect; stops reading where the answer is too
        large.
        """
        status = response.status_code
        if status in (401, 403):
            raise TokenRefusedError(
                f"{self._shown} answered {status}: this user gets no token. Sign the user in at "
                "that server, then boot again.",
                reason=f"http_{status}",
            )
        if not 200 <= status < 300:
            raise self._failed(
                f"answered {status}",
                f"http_{status}",
                "Make it answer 200 with a token, or 403 to refuse.",
            )
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in (
            "",
            "identity",
        ):
            raise self._failed(
                "answered in a compressed form", "no_token", "Let it send the token as it is."
            )
        body = b""
        async with aclosing(response.aiter_raw()) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) > MAX_ANSWER_BYTES:
                    raise self._failed(
                        f"sends more than {MAX_ANSWER_BYTES} bytes",
                        "too_large",
                        "Let it send the token alone.",
                    )
        try:
            return token_in(body)
        except NoTokenError as error:
            raise self._failed(
                f"sent an answer that {error}",
                "no_token",
                'Let it send the token, or {"token": ...}.',
            ) from None

    def _failed(self, what: str, reason: str, way_out: str) -> TokenProviderError:
        return TokenProviderError(
            f"The token server {self._shown} {what}. {way_out}", reason=reason
        )
