"""The application: the table of endpoints becomes routes, and every error leaves as an envelope.

Each request gets an id, which its answer, its error and its line in the log carry. One that it
brings along is taken over from a named proxy only: anybody else could write what they like into the
log, or the id of somebody else's request. A line in the log names method, path, status and id; no
query, no header and no body is ever logged, nor an address, for they hold credentials and personal
data.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    RateLimitedError,
    SupportChatError,
)

from ...transport.wire.endpoints import (
    BASE,
    END_VISITOR,
    ENDPOINTS,
    OPEN,
    OWNER_HEADER,
    POLL,
    REALTIME_TOKEN,
    Endpoint,
)
from ...transport.wire.problems import response_to
from .. import Backend
from ..store import Ability, hashed
from .addresses import Proxies
from .condition import Condition
from .counts import Counts, Durations
from .gateway import gateway
from .handlers import HANDLERS, LIFETIME, Site
from .limits import ConnectionLimits, RateLimits, Shares
from .logs import log_request
from .origins import AllowedOrigins
from .reading import discard_body, session_of

LOG: Final = logging.getLogger("support_chat.server")

_BEGIN_SOMETHING: Final = frozenset({OPEN, REALTIME_TOKEN, POLL})
"""What is no use at a server that is stopping."""

Answering: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Answers a request that the router has let through."""


def create_app(
    backend: Backend,
    *,
    origins: AllowedOrigins | None = None,
    limits: RateLimits | None = None,
    connections: ConnectionLimits | None = None,
    proxies: Proxies | None = None,
    counts: Counts | None = None,
    condition: Condition | None = None,
) -> Starlette:
    """The Widget API of `backend` as an ASGI application, which does not close it.

    `origins` are the pages that may use the widget: without it none may, only programs that are no
    browser. `proxies` are believed about whom they were asked by. Of `connections` only the limits
    of links and frames are kept here; the others need `lines`. Serve it with one worker: the live
    links are in this process. Call `backend.look_around()` several times a second beside it.
    """
    allowed, rates = origins or AllowedOrigins(), limits or RateLimits()
    held = connections or ConnectionLimits()
    site = Site(
        backend,
        allowed,
        backend.store.realtime_tokens(LIFETIME),
        opens=backend.store.buckets("opens", rates.opens_per_minute),
        requests=backend.store.buckets("requests", rates.requests_per_minute),
        failures=backend.store.buckets("failures", rates.failures_per_minute),
        proxies=proxies or Proxies(),
        connections=held,
        links_of_address=Shares(held.links_per_address, "links from this address"),
        links_of_session=Shares(held.links_per_session, "links of this session"),
        counts=counts or Counts(time.monotonic),
        condition=condition or Condition(),
    )

    async def realtime(socket: WebSocket) -> None:
        await gateway(site, socket)

    methods: dict[str, dict[str, Answering]] = {}
    for one in ENDPOINTS:
        methods.setdefault(BASE + one.path, {})[one.method] = _answering(site, one)
    routes: list[BaseRoute] = [
        Route(path, _by_method(ways), methods=list(ways)) for path, ways in methods.items()
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origin_regex=allowed.expression,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", OWNER_HEADER],
        expose_headers=["retry-after", "x-request-id"],
        max_age=600,
    )
    app = Starlette(
        routes=[*routes, WebSocketRoute(f"{BASE}/realtime", realtime)],
        middleware=[cors],
        exception_handlers={HTTPException: partial(_no_such_thing, site)},
    )
    # a redirect is no answer of ours, and repeats the query, credentials included
    app.router.redirect_slashes = False
    return app


def _by_method(ways: Mapping[str, Answering]) -> Answering:
    """One route for all methods of a path, so that a refusal of others names every one that there
    is.
    """

    async def answer(request: Request) -> Response:
        return await ways["GET" if request.method == "HEAD" else request.method](request)

    return answer


def _answering(site: Site, endpoint: Endpoint) -> Answering:
    handler = HANDLERS[endpoint]

    async def answer(request: Request) -> Response:
        began, request_id = time.perf_counter(), site.proxies.request_id(request)
        try:
            site.condition.admit(new=endpoint in _BEGIN_SOMETHING)
            await _admit(site, endpoint, request)
            payload = await handler(site, request)
            if endpoint is POLL:
                site.condition.admit(new=True)  # it was waiting when the server was told to end
            if endpoint.mutates:
                site.condition.database_works("storing")
            response = _answer(payload, request_id)
        except SupportChatError as error:
            if endpoint.mutates:
                await discard_body(request)
            response = _error(await _counted(site, request, error), request_id)
        except Exception as error:
            response = _error(_failure(site, endpoint, error, request_id), request_id)
        took = time.perf_counter() - began
        site.counts.answered[endpoint.name, response.status_code] += 1
        if endpoint is not POLL:
            site.counts.took.setdefault(endpoint.name, Durations()).add(took)
        log_request(request.method, endpoint.path, response.status_code, request_id, took)
        return response

    return answer


def _failure(site: Site, endpoint: Endpoint, error: Exception, request_id: str) -> SupportChatError:
    asked: Ability = "storing" if endpoint.mutates else "reading"
    if (trouble := site.backend.store.trouble(error, asked)) is not None:
        return site.condition.database_failed(trouble, error)
    LOG.error(
        "%s failed (%s)",
        endpoint.name,
        request_id,
        exc_info=error,
        extra={"fields": {"event": "failed", "endpoint": endpoint.name, "request_id": request_id}},
    )
    return SupportChatError("The backend failed; its log has more under this request id.")


async def _admit(site: Site, endpoint: Endpoint, request: Request) -> None:
    """The checks that every endpoint shares: the page's origin, and how often its caller asks."""
    if endpoint.mutates:
        site.origins.check(request.headers.get("origin"))
    address = site.proxies.caller(request)
    if endpoint in (OPEN, END_VISITOR):  # which store something in anybody's name
        await site.opens.take(address)
    elif endpoint.open:
        await site.requests.take(address)
    else:
        session = hashed(await _session_of(site, request, address))
        if not await site.requests.knows(session):
            await _try(site, address, site.failures.check)
        await site.requests.take(session)


async def _session_of(site: Site, request: Request, address: str) -> str:
    try:
        return session_of(request)
    except AuthRefusedError:
        await _try(site, address, site.failures.take)
        raise


async def _counted(site: Site, request: Request, error: SupportChatError) -> SupportChatError:
    """The error, once it is counted: a credential that no session has gets no share of its own, and
    leaves its address less to try.
    """
    if error.reason == "session_unknown" and "authorization" in request.headers:
        await site.requests.forget(hashed(session_of(request)))
        try:
            await _try(site, site.proxies.caller(request), site.failures.take)
        except RateLimitedError as too_many:
            return too_many
    return error


async def _try(site: Site, address: str, bucket: Callable[[str], Awaitable[None]]) -> None:
    try:
        await bucket(address)
    except RateLimitedError:
        site.counts.turn_away("invented_credentials")
        raise


def _answer(payload: msgspec.Struct | None, request_id: str) -> Response:
    headers = {"x-request-id": request_id, "cache-control": "no-store"}
    if payload is None:
        return Response(status_code=204, headers=headers)
    return Response(msgspec.json.encode(payload), 200, headers, "application/json")


def _error(error: SupportChatError, request_id: str) -> Response:
    answer = response_to(error, request_id)
    return Response(answer.body, answer.status, {**answer.headers, "cache-control": "no-store"})


async def _no_such_thing(site: Site, request: Request, error: Exception) -> Response:
    """What the router itself refuses: a path that is none, a method that a path does not have."""
    if not isinstance(error, HTTPException):
        raise error
    what = BackendRejectedError(
        f"{error.detail}: see the OpenAPI document for the paths and methods there are.",
        code="validation_error",
        reason=error.detail.lower().replace(" ", "_"),
    )
    request_id = site.proxies.request_id(request)
    response = _error(what, request_id)
    response.status_code = error.status_code
    log_request(request.method, "(unknown)", response.status_code, request_id)
    response.headers.update(error.headers or {})
    return response
