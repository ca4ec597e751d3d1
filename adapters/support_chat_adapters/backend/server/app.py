"""The application: the table of endpoints becomes routes, and every error leaves as an envelope.

Each request gets an id, which its answer, its error and its line in the log carry. A line in the
log names method, path, status and id; no query, no header and no body is ever logged, for they hold
credentials and personal data.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
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

from support_chat.errors import BackendRejectedError, SupportChatError

from ...transport.wire.endpoints import BASE, ENDPOINTS, OPEN, Endpoint
from ...transport.wire.problems import response_to
from .. import Backend
from ..store import hashed
from .gateway import gateway
from .handlers import HANDLERS, Site
from .limits import Buckets, RateLimits
from .origins import AllowedOrigins
from .reading import session_of
from .realtime_tokens import RealtimeTokens

LOG: Final = logging.getLogger("support_chat.server")

Answering: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Answers a request that the router has let through."""


def create_app(
    backend: Backend, *, origins: AllowedOrigins | None = None, limits: RateLimits | None = None
) -> Starlette:
    """The Widget API of `backend` as an ASGI application, which does not close it.

    `origins` are the pages that may use the widget: without it none may, only programs that are no
    browser. Serve it with one worker: the live links are in this process. Call
    `backend.look_around()` several times a second beside it.
    """
    allowed, rates = origins or AllowedOrigins(), limits or RateLimits()
    site = Site(
        backend,
        allowed,
        RealtimeTokens(time.monotonic),
        opens=Buckets(rates.opens_per_minute, time.monotonic),
        requests=Buckets(rates.requests_per_minute, time.monotonic),
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
        allow_headers=["authorization", "content-type"],
        expose_headers=["retry-after", "x-request-id"],
        max_age=600,
    )
    app = Starlette(
        routes=[*routes, WebSocketRoute(f"{BASE}/realtime", realtime)],
        middleware=[cors],
        exception_handlers={HTTPException: _no_such_thing},
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
        began, request_id = time.perf_counter(), uuid.uuid4().hex
        try:
            _admit(site, endpoint, request)
            payload = await handler(site, request)
            response = _answer(payload, request_id)
        except SupportChatError as error:
            response = _error(error, request_id)
        except Exception:
            LOG.exception("%s failed (%s)", endpoint.name, request_id)
            response = _error(
                SupportChatError("The backend failed; its log has more under this request id."),
                request_id,
            )
        took = (time.perf_counter() - began) * 1000
        LOG.info(
            "%s %s %d %.1f ms %s",
            request.method,
            endpoint.path,
            response.status_code,
            took,
            request_id,
        )
        return response

    return answer


def _admit(site: Site, endpoint: Endpoint, request: Request) -> None:
    """The checks that every endpoint shares: the page's origin, and how often its caller asks."""
    if endpoint.mutates:
        site.origins.check(request.headers.get("origin"))
    address = request.client.host if request.client else "unknown"
    if endpoint is OPEN:
        site.opens.take(address)
    elif endpoint.open:
        site.requests.take(address)
    else:
        site.requests.take(hashed(session_of(request)))


def _answer(payload: msgspec.Struct | None, request_id: str) -> Response:
    headers = {"x-request-id": request_id, "cache-control": "no-store"}
    if payload is None:
        return Response(status_code=204, headers=headers)
    return Response(msgspec.json.encode(payload), 200, headers, "application/json")


def _error(error: SupportChatError, request_id: str) -> Response:
    answer = response_to(error, request_id)
    return Response(answer.body, answer.status, {**answer.headers, "cache-control": "no-store"})


async def _no_such_thing(request: Request, error: Exception) -> Response:
    """What the router itself refuses: a path that is none, a method that a path does not have."""
    if not isinstance(error, HTTPException):
        raise error
    what = BackendRejectedError(
        f"{error.detail}: see the OpenAPI document for the paths and methods there are.",
        code="validation_error",
        reason=error.detail.lower().replace(" ", "_"),
    )
    request_id = uuid.uuid4().hex
    response = _error(what, request_id)
    response.status_code = error.status_code
    LOG.info("%s (unknown) %d %s", request.method, response.status_code, request_id)
    response.headers.update(error.headers or {})
    return response
