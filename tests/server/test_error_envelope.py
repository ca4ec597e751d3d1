"""Every error of the server is one envelope with one request id, and what went wrong inside stays
in the log.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from served import Served
from serving import serving
from support_chat_adapters.backend import Backend
from support_chat_adapters.backend.server.limits import RateLimits
from support_chat_adapters.transport.wire.endpoints import MAX_BODY_BYTES
from widget_client import BASE, WidgetClient, problem

Clients = Callable[[Served], WidgetClient]
_INSIDE = "no such table: secrets_of_ada in /srv/private/chat.db"


def line_of(backend: Served, response: httpx2.Response) -> str:
    """The line of the server's log that has the request id of an answer."""
    lines = [
        line
        for line in backend.log.read_text().splitlines()
        if response.headers["x-request-id"] in line
    ]
    assert len(lines) == 1, lines
    return lines[0]


def test_what_the_router_refuses_is_an_envelope_too(shared: Served, client: WidgetClient) -> None:
    for path in (
        "/",
        "/widget/v1",
        f"{BASE}/nothing",
        f"{BASE}/config/",
        f"{BASE}/conversations/a/b/c",
        "/openapi.json",
    ):
        answer = client.http.get(path, params={"workspace_id": "demo"}, follow_redirects=False)
        assert problem(answer) == (404, "validation_error", "not_found"), path
        assert answer.headers["cache-control"] == "no-store"
        assert " 404 " in line_of(shared, answer)
    for method, path, allowed in (
        ("DELETE", "/conversations", {"GET", "HEAD", "POST"}),
        ("PUT", "/sessions/anonymous", {"POST"}),
        ("GET", "/events", {"POST"}),
        ("OPTIONS", "/conversations/a/read", {"POST"}),
        ("PATCH", "/config", {"GET", "HEAD"}),
        ("BREW", "/realtime", {"GET", "HEAD"}),
    ):
        answer = client.http.request(method, BASE + path)
        assert problem(answer) == (405, "validation_error", "method_not_allowed"), (method, path)
        assert set(answer.headers["allow"].split(", ")) == allowed
        assert f"{method} (unknown) 405 " in line_of(shared, answer)


def test_head_answers_as_get_does_without_the_body(shared: Served, client: WidgetClient) -> None:
    for path, query, status in (
        ("/config", {"workspace_id": "demo", "widget_id": "web"}, 200),
        ("/config", {"workspace_id": "demo", "widget_id": "other"}, 403),
        ("/conversations", {}, 401),
        ("/nothing", {}, 404),
        ("/events", {}, 405),
    ):
        answer, whole = (
            client.http.request(method, BASE + path, params=query) for method in ("HEAD", "GET")
        )
        assert (answer.status_code, answer.content) == (status, b""), path
        assert answer.headers["content-length"] == whole.headers["content-length"]
        assert answer.headers["content-type"] == "application/json"
        assert re.search(f"HEAD .* {status} ", line_of(shared, answer))


def test_each_refusal_names_itself_and_its_line_in_the_log(
    shared: Served, client: WidgetClient
) -> None:
    client.begin()
    nobody = {"authorization": ""}
    unknown = {"authorization": f"Bearer session-99.{'x' * 32}"}
    session = {"authorization": f"Bearer {client.session}"}
    nobody, malformed, unknown = (
        {"authorization": value} for value in ("", "Bearer x", f"Bearer session-99.{'x' * 32}")
    )
    elsewhere = {**session, "origin": "https://evil.org"}
    too_long = b"x" * (MAX_BODY_BYTES + 1)
    listing, events = "/conversations", "/events"
    for method, path, headers, body, expected in (
        ("GET", listing, nobody, None, (401, "auth_required", "session_missing")),
        ("GET", listing, malformed, None, (401, "invalid_token", None)),
        ("GET", listing, unknown, None, (403, "auth_required", "session_unknown")),
        ("POST", events, elsewhere, None, (403, "invalid_origin", None)),
        ("GET", "/conversations/none", session, None, (404, "conversation_not_found", None)),
        ("POST", events, session, too_long, (413, "validation_error", "body_too_large")),
        ("POST", events, session, b"{", (422, "validation_error", None)),
        ("GET", "/conversations?limit=0", session, None, (422, "validation_error", None)),
    ):
        answer = client.http.request(method, BASE + path, headers=headers, content=body)
        assert problem(answer) == expected, (method, path)
        assert (answer.headers.get("www-authenticate") == "Bearer") is (expected[0] == 401)
        template = path.partition("?")[0].replace("/none", "/{conversation_id}")
        assert f" {method} {template} {expected[0]} " in line_of(shared, answer)


def test_a_failure_of_the_backend_tells_the_caller_nothing_and_the_log_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError(_INSIDE)

    caplog.set_level(logging.INFO, "support_chat.server")
    with Backend(tmp_path / "chat.db", workspace_id="demo", widget_id="web") as backend:
        monkeypatch.setattr(backend, "ask", fail)
        body = {"workspaceId": "demo", "widgetId": "web", "visitor": "v" * 32}

        async def ask() -> httpx2.Response:
            async with (
                serving(backend) as url,
                httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60.0) as http,
            ):
                return await http.post(f"{BASE}/sessions/anonymous", json=body)

        answer = asyncio.run(ask())
    assert problem(answer) == (500, "internal_error", None)
    everything = answer.text + str(answer.headers)
    for inside in (
        "table",
        "secrets_of_ada",
        "/srv",
        "Operational",
        "sqlite",
        "Traceback",
        ".py",
        "openSession",
    ):
        assert inside not in everything, inside
    request_id = answer.headers["x-request-id"]
    failed, line = [record for record in caplog.records if request_id in record.getMessage()]
    assert failed.levelno == logging.ERROR
    assert failed.exc_info is not None
    assert str(failed.exc_info[1]) == _INSIDE
    assert re.fullmatch(rf"POST /sessions/anonymous 500 [\d.]+ ms {request_id}", line.getMessage())


def test_a_caller_who_asks_too_often_is_told_when_to_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "support_chat.server")
    query = {"workspace_id": "demo", "widget_id": "web"}
    with Backend(workspace_id="demo", widget_id="web") as backend:

        async def ask() -> list[httpx2.Response]:
            limits = RateLimits(requests_per_minute=1)
            async with (
                serving(backend, limits=limits) as url,
                httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60.0) as http,
            ):
                return [await http.get(f"{BASE}/config", params=query) for _ in range(2)]

        first, second = asyncio.run(ask())
    assert first.status_code == 200
    assert problem(second) == (429, "rate_limited", None)
    assert 1 <= int(second.headers["retry-after"]) <= 60
    assert [record.getMessage().split()[2] for record in caplog.records] == ["200", "429"]
    assert second.headers["x-request-id"] in caplog.records[1].getMessage()
