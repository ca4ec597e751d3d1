"""The transport to a backend on the network: the Widget API over HTTP, its realtime gateway over
WebSocket, or long polls without one.

Dialling is two round trips: the session is opened over HTTP, which says who we are, then the
channel is opened that brings news. A dial that is cancelled leaves no connection behind. What is
asked goes over HTTP, each request on its own, so an answer cannot be taken for another's. Nothing
is retried here, and nothing is decided: the session has its chart for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from weakref import WeakKeyDictionary

import attrs
import httpx2

from support_chat.errors import AuthRefusedError, InvalidInputError, NetworkError
from support_chat.ports import Credentials
from support_chat.values import UNSET, Unset

from .channels import Channel, ChannelBlocked
from .http_exchange import HTTPExchange, environment_proxy, new_client
from .poll_channel import PollChannel
from .socket_channel import Connect, ConnectDirectly, open_socket
from .widget_link import Bearer, WidgetLink, identity_of
from .wire import codec, endpoints, payloads, translation
from .wire.frames import Polled

PING_EVERY: Final = 10.0
"""Seconds between two pings: three of them fit into the session's `silence_timeout` of 35 s."""
POLL_WAIT: Final = 20.0
"""Seconds that one long poll waits for news; it has to be below the session's `silence_timeout`,
too.
"""
SOCKET_PATIENCE: Final = 4.0
"""Seconds that a WebSocket has to open before polls are used instead: below the session's
`connect_timeout` of 10 s.
"""
BLOCKED_FOR: Final = 300.0
"""Seconds for which a network that blocked a WebSocket is not tried with another one."""


class WidgetAPITransport:
    """Opens links to the backend at `base_url` (`https://chat.example.com`, or with a path in front
    of `/widget/v1`).

    Use it wherever the backend is not in this process. Many sessions may share one; call `aclose()`
    when the last has ended.

    - `tls`: an `ssl.SSLContext` for a private certificate authority or client certificates; the
      system's trust otherwise.
    - `proxy`: the address of a proxy; without it the environment decides (`HTTPS_PROXY`,
      `NO_PROXY`...).
    - `origin`: sent as Origin, for a backend that asks for one of this client.
    - `ping_every`, `poll_wait`: seconds; both must be below the session's `silence_timeout`, which
      judges by their answers.
    - `socket_patience`: seconds that a WebSocket has to open before polls are used instead; well
      below the session's `connect_timeout`, else a network that swallows WebSockets leaves no time
      for the polls.
    - `http`: an `httpx2.AsyncClient` of yours instead of our own; you close it, and `tls` and
      `proxy` are then its business.
    - `websocket`: what opens a WebSocket instead of `websockets.asyncio.client.connect`, called
      with the same arguments; None for a network that is known to block them, so that polls are
      used from the beginning.

    It keeps no cookies: none that a backend sets is sent again, of `http` only those that it held
    when it was passed.

    Raises InvalidInputError for a `base_url` that is no http(s) address, one with a user and
    password in it or one that ends with `/widget/v1`, for a proxy that cannot be used, and for a
    `ping_every`, `poll_wait` or `socket_patience` that cannot be.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        origin: str | None = None,
        ping_every: float = PING_EVERY,
        poll_wait: float = POLL_WAIT,
        socket_patience: float = SOCKET_PATIENCE,
        http: httpx2.AsyncClient | None = None,
        websocket: Connect | Unset | None = UNSET,
    ) -> None:
        self._base_url = _checked(base_url)
        if not (ping_every > 0 and socket_patience > 0 and 0 < poll_wait <= endpoints.LONGEST_POLL):
            raise InvalidInputError(
                "ping_every, socket_patience and poll_wait must be above 0 s, and poll_wait at "
                f"most {endpoints.LONGEST_POLL:g} s."
            )
        self._tls = tls
        self._proxy = proxy
        self._origin = origin
        self._ping_every = ping_every
        self._poll_wait = poll_wait
        self._socket_patience = socket_patience
        self._given = http
        # a copy: what a backend sets later is not for the next person
        self._cookies = httpx2.Cookies(None if http is None else http.cookies)
        # made here, so that a proxy that cannot be used is refused here
        self._spare = new_client(tls=tls, proxy=proxy) if http is None else None
        self._own: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = (
            WeakKeyDictionary()
        )
        """A client for each event loop: connections belong to the loop that opened them."""
        self._connect: Connect | None = (
            ConnectDirectly if isinstance(websocket, Unset) else websocket
        )
        self._blocked_until = 0.0
        self._closed = False

    def __repr__(self) -> str:
        return f"<WidgetAPITransport {urlsplit(self._base_url).hostname}>"

    async def open(self, credentials: Credentials) -> WidgetLink:
        """Dials: opens or resumes the session, then its channel."""
        exchange = self._exchange()
        request = codec.request_to(endpoints.OPEN, translation.opening_of(credentials))
        opened = codec.opened_of(await exchange.send(request))
        bearer = Bearer(opened.session)
        channel = await self._channel(exchange, opened, bearer, credentials.cursor or opened.cursor)
        attached, welcome = channel.attached, translation.welcome_of(opened)
        if attached.owner not in (None, translation.owner_text(identity_of(welcome))):
            channel.abort()
            raise NetworkError(
                "The session became somebody else's while its link was opened; the session dials "
                "again.",
                reason="owner_changed",
            )
        welcome = attrs.evolve(
            welcome,
            cursor=attached.cursor,
            gap=opened.gap or attached.gap,
            unread=attached.unread,
        )
        pages = translation.PAGES in opened.can
        return WidgetLink(exchange, welcome, channel, bearer, pages_before=pages)

    async def revoke(self, session: str) -> None:
        """Ends the named backend session and no other; needs no open link, and an unknown session
        is no error.
        """
        response = await self._exchange().send(
            codec.request_to(endpoints.SHUTDOWN, session=session)
        )
        with contextlib.suppress(AuthRefusedError):  # the backend knows of no such session
            codec.done_of(endpoints.SHUTDOWN, response)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Ends what was opened with this secret, and has it refused from then on. A backend of
        before there was this rejects it.
        """
        over = payloads.EndVisitor(workspace_id=workspace_id, widget_id=widget_id, visitor=visitor)
        response = await self._exchange().send(codec.request_to(endpoints.END_VISITOR, over))
        codec.done_of(endpoints.END_VISITOR, response)

    async def aclose(self) -> None:
        """Closes the connections that are kept for later requests; links stay, but ask nothing any
        more. A second call does nothing.
        """
        self._closed = True
        client = self._own.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _exchange(self) -> HTTPExchange:
        if self._closed:
            raise NetworkError(
                "This WidgetAPITransport is closed; make a new one.",
                reason="closed",
                recoverable=False,
            )
        loop = asyncio.get_running_loop()
        client = self._given or self._own.get(loop) or self._spare
        if client is None:
            client = new_client(tls=self._tls, proxy=self._proxy)
        if self._given is None:
            self._own[loop], self._spare = client, None
        return HTTPExchange(
            self._base_url,
            client,
            {} if self._origin is None else {"origin": self._origin},
            self._cookies,
            self._proxy_on_the_way() if self._given is None else None,
        )

    def _proxy_on_the_way(self) -> str | None:
        return environment_proxy(self._base_url) if self._proxy is None else self._proxy

    async def _channel(
        self,
        exchange: HTTPExchange,
        opened: payloads.SessionOpened,
        bearer: Bearer,
        cursor: str | None,
    ) -> Channel:
        loop = asyncio.get_running_loop()
        echoes = {"echoes": "true"} if translation.ECHOES in opened.can else {}
        blocked = False
        if self._connect is not None and loop.time() >= self._blocked_until:
            query = {"session_token": opened.realtime_token, **echoes}
            if cursor is not None:
                query["cursor"] = cursor
            way = f"ws{self._base_url.removeprefix('http')}{endpoints.BASE}/realtime"
            options: dict[str, Any] = {"proxy": self._proxy_on_the_way(), "origin": self._origin}
            if self._tls is not None and self._base_url.startswith("https:"):
                options["ssl"] = self._tls
            try:
                return await open_socket(
                    self._connect,
                    f"{way}?{urlencode(query)}",
                    options,
                    ping_every=self._ping_every,
                    patience=self._socket_patience,
                )
            except ChannelBlocked:
                blocked = True
        polls = await self._polls(exchange, bearer, echoes, cursor)
        if blocked:  # and not merely the backend gone, which no poll would have reached either
            self._blocked_until = loop.time() + BLOCKED_FOR
        return polls

    async def _polls(
        self,
        exchange: HTTPExchange,
        bearer: Bearer,
        echoes: Mapping[str, str],
        cursor: str | None,
    ) -> Channel:
        async def poll(
            cursor: str | None, marked: int | None, wait: float, token_expired: bool
        ) -> Polled:
            known = "true" if token_expired else "false"
            query = {"wait": f"{wait:g}", "token_expired": known, **echoes}
            if cursor is not None:
                query["cursor"] = cursor
            if marked is not None:
                query["marked"] = str(marked)
            request = codec.request_to(endpoints.POLL, session=bearer.session, query=query)
            return codec.polled_of(await exchange.send(request, patience=wait))

        first = await poll(cursor, None, 0.0, False)
        if first.token_expired:  # it tells nothing then, also of what is unread
            raise NetworkError(
                "The token expired while the link was being opened; the session dials again.",
                reason="token_expired",
            )
        return PollChannel(poll, first, self._poll_wait)


def _checked(base_url: str) -> str:
    """The address without a slash at its end."""
    try:
        parts = urlsplit(base_url if isinstance(base_url, str) else "")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or parts.query
        or parts.fragment
    ):
        raise InvalidInputError(
            "base_url must be the http(s) address of a backend, such as https://chat.example.com."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidInputError(
            "base_url must hold no user or password: requests carry the session's credential in "
            "their place."
        )
    path = parts.path.rstrip("/")
    if path.endswith(endpoints.BASE):
        raise InvalidInputError(
            f"base_url ends with {endpoints.BASE}, which every request adds itself; leave it out."
        )
    return f"{parts.scheme}://{parts.netloc}{path}"
