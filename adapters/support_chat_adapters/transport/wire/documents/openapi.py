"""The HTTP half of the Widget API as an OpenAPI 3.1 document, from the table of endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..endpoints import (
    BASE,
    CONFIG,
    END_VISITOR,
    ENDPOINTS,
    MAX_BODY_BYTES,
    OPEN,
    OWNER_HEADER,
    START,
    Endpoint,
)
from ..payloads import OWNER_PATTERN, ErrorEnvelope
from ..problems import codes_of
from .schemas import API_VERSION, EXAMPLE_HOST, LICENSE, reference, schemas_of

_ABOUT: Final = f"""\
The HTTP half of the Widget API; the realtime gateway has an AsyncAPI document of its own.

- **Sessions.** `{OPEN.method} {BASE}{OPEN.path}` begins or resumes a session; every other endpoint
  but `{CONFIG.method} {BASE}{CONFIG.path}` wants its credential as
  `Authorization: Bearer <session>`.
- **Origins.** A request that changes something and has an `Origin` is answered only if that origin
  is on the widget's allow-list: exact ones, and wildcards for exactly one label
  (`https://*.example.com`). A program that is no browser sends none.
- **For whom.** `Chat-Owner` says whom a request is for, as the page shows it: the identity that the
  session was opened for or has identified as. If the session is somebody else's by now, since its
  visitor was merged in another one, the request is answered with 409 (`owner_changed`) and nothing
  is done. Without it, a request is for whoever the session is for.
- **Limits.** Sessions begun and visitors ended are counted by address, everything else by session.
  Too many are answered with 429 and `Retry-After` in seconds. A body has at most {MAX_BODY_BYTES}
  bytes; a longer one is answered with 413.
- **Errors.** Every answer that is an error, those to unknown paths (404) and methods (405)
  included, is an `ErrorEnvelope`: a stable code, a sentence with the way out, and whether the same
  request may succeed later. `requestId` stands also in `X-Request-Id` and in the server's log.
- **Compatibility.** Readers ignore keys that they do not know; new ones may come at any time.
"""
_REFUSALS: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        401: (
            "Unauthorized",
            "No session, or a token or identity that is not accepted; another one may be.",
        ),
        403: (
            "Forbidden",
            "The session has ended for good, the page's origin is not allowed, or the widget is "
            "not served like this.",
        ),
        404: ("NotFound", "The session's identity has no such conversation."),
        409: ("OwnerChanged", "The session is somebody else's by now; nothing was done."),
        413: ("TooLarge", f"The body is longer than {MAX_BODY_BYTES} bytes."),
        422: ("Invalid", "The request does not keep to its form; the message names the place."),
        429: ("TooManyRequests", "Come back after `Retry-After` seconds; nothing was done."),
        500: (
            "Failed",
            "The backend failed; its log has more under the request id. The request may or may "
            "not have been done.",
        ),
        503: (
            "Unavailable",
            "The backend is busy or restarts; come back after `Retry-After` seconds. Nothing was "
            "done.",
        ),
    }
)
_CONVERSATION_ID: Final[dict[str, Any]] = {
    "name": "conversation_id",
    "in": "path",
    "required": True,
    "description": "The id of a conversation of the session's identity.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_OWNER: Final[dict[str, Any]] = {
    "name": "-".join(word.capitalize() for word in OWNER_HEADER.split("-")),
    "in": "header",
    "required": False,
    "description": "For whom the request is: `visitor:` or `user:` and the percent-encoded id.",
    "schema": {"type": "string", "pattern": OWNER_PATTERN},
}
_HEADERS: Final[dict[str, Any]] = {
    "RequestId": {
        "description": "What support asks for; the server's log has it too.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "RetryAfter": {
        "description": "How many seconds to stay away.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Challenge": {
        "description": "How to authenticate.",
        "required": True,
        "schema": {"const": "Bearer"},
    },
}
_REQUEST_ID: Final[dict[str, Any]] = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
_MORE_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"$ref": "#/components/headers/Challenge"}},
    429: {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}},
    503: {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}},
}


def openapi() -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(BASE + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    payloads = [kind for one in ENDPOINTS for kind in (one.takes, one.answers) if kind is not None]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Support chat: Widget API",
            "version": API_VERSION,
            "description": _ABOUT,
            "license": LICENSE,
        },
        "servers": [
            {"url": f"http://{EXAMPLE_HOST}", "description": "`support-chat serve` on this machine"}
        ],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(one) for one in ENDPOINTS)],
        "security": [{"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas_of([*payloads, ErrorEnvelope]),
            "responses": {name: _refusal(status, doc) for status, (name, doc) in _REFUSALS.items()},
            "headers": _HEADERS,
            "securitySchemes": {
                "session": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"The `session` that {OPEN.name} answered with.",
                }
            },
        },
    }


def statuses_of(endpoint: Endpoint) -> tuple[int, ...]:
    """Every status that an endpoint may answer with."""
    refusals = {
        401: endpoint not in (CONFIG, END_VISITOR),
        403: True,
        404: "{conversation_id}" in endpoint.path,
        409: endpoint.owned,
        413: endpoint.takes is not None,
        422: endpoint.takes is not None or bool(endpoint.query) or endpoint.owned,
        429: True,
        500: True,
        503: True,
    }
    done = (200,) if endpoint.answers is not None else ()
    empty = (204,) if endpoint.answers is None or endpoint.may_be_empty else ()
    return (*done, *empty, *(status for status, may_come in refusals.items() if may_come))


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": one.required,
            "description": one.doc,
            "schema": dict(one.schema),
        }
        for name, one in endpoint.query.items()
    ]
    if "{conversation_id}" in endpoint.path:
        parameters.insert(0, _CONVERSATION_ID)
    if endpoint.owned:
        parameters.append(_OWNER)
    body = endpoint.takes and {
        "required": True,
        "content": {"application/json": {"schema": reference(endpoint.takes)}},
    }
    operation = {
        "operationId": endpoint.name,
        "tags": [_tag(endpoint)],
        "description": f"{endpoint.doc}{' Checks `Origin`.' if endpoint.mutates else ''}",
        "security": [] if endpoint.open else None,
        "parameters": parameters or None,
        "requestBody": body,
        "responses": {str(status): _response(endpoint, status) for status in statuses_of(endpoint)},
    }
    return {key: value for key, value in operation.items() if value is not None}


def _response(endpoint: Endpoint, status: int) -> dict[str, Any]:
    if status in _REFUSALS:
        return {"$ref": f"#/components/responses/{_REFUSALS[status][0]}"}
    response: dict[str, Any] = {"description": "Done.", "headers": _REQUEST_ID}
    if status == 200 and endpoint.answers is not None:
        response["content"] = {"application/json": {"schema": reference(endpoint.answers)}}
    if endpoint is START:
        response["links"] = {
            operation: {
                "operationId": operation,
                "parameters": {"conversation_id": "$response.body#/conversation/id"},
            }
            for operation in (one.name for one in ENDPOINTS if "{conversation_id}" in one.path)
        }
    return response


def _refusal(status: int, doc: str) -> dict[str, Any]:
    codes = {"properties": {"error": {"properties": {"code": {"enum": list(codes_of(status))}}}}}
    headers = _REQUEST_ID | _MORE_HEADERS.get(status, {})
    schema = {"allOf": [reference(ErrorEnvelope), codes]}
    return {
        "description": doc,
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    }


def _tag(endpoint: Endpoint) -> str:
    return endpoint.path.split("/")[1]
