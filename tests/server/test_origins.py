"""Which pages may use a widget: the allow-list, held against every request that changes something
and against the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from websockets.exceptions import InvalidStatus

from served import Served, served
from support_chat.errors import BackendRejectedError, InvalidInputError
from support_chat_adapters.backend.server.origins import AllowedOrigins
from widget_client import BASE, WidgetClient, frame, problem

Clients = Callable[[Served], WidgetClient]

PATTERNS = (
    "https://app.example.com",
    "https://*.example.org",
    "http://localhost:3000",
    "http://[::1]:8080",
)
ALLOWED = (
    "https://app.example.com",
    "HTTPS://App.Example.COM",
    "https://a.example.org",
    "https://a-b_c1.example.org",
    "http://localhost:3000",
    "http://[::1]:8080",
)
REFUSED = (
    "https://evilexample.com",
    "https://evilapp.example.com",
    "https://app.example.com.evil.org",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "https://app.example.com\nhttps://evil.org",
    "https://app.example.com@evil.org",
    "https://appxexample.com",
    "http://app.example.com",
    "https://example.org",
    "https://.example.org",
    "https://a.b.example.org",
    "https://evilexample.org",
    "https://a.example.org.evil.org",
    "https://evil.org/.example.org",
    "https://evil.org#.example.org",
    "https://*.example.org",
    "https://a.example.org:444",
    "http://localhost",
    "http://localhost:30000",
    "http://127.0.0.1:3000",
    "null",
    "",
    "file://",
)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    """A backend with an allow-list."""
    options = [f"--allow-origin={pattern}" for pattern in PATTERNS]
    with served(
        tmp_path_factory.mktemp("strict"),
        "--opens-per-minute=0",
        "--requests-per-minute=0",
        *options,
    ) as backend:
        yield backend


def test_an_origin_is_on_the_list_as_a_whole_or_not_at_all() -> None:
    allowed = AllowedOrigins(PATTERNS)
    for origin in ALLOWED:
        allowed.check(origin)
    for origin in REFUSED:
        with pytest.raises(BackendRejectedError, match="may not use the widget"):
            allowed.check(origin)
    allowed.check(None)


def test_without_a_list_no_page_may_and_every_program_may() -> None:
    AllowedOrigins().check(None)
    for origin in (*ALLOWED, "", "null"):
        with pytest.raises(BackendRejectedError):
            AllowedOrigins().check(origin)


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "https://*",
        "https://*.*.example.com",
        "https://a.*.com",
        "https://app*.example.com",
        "https://.+",
        "https://",
        "app.example.com",
        "ftp://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com:port",
        "https://app.example.com https://evil.org",
        "https://app.example.com\n",
        "",
    ],
)
def test_a_pattern_that_could_let_anybody_in_is_none(pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="is no origin"):
        AllowedOrigins([pattern])


def test_every_request_that_changes_something_is_held_against_the_list(
    strict: Served, client_of: Clients
) -> None:
    client = client_of(strict)
    client.begin()
    requests: tuple[tuple[str, object], ...] = (
        ("/sessions/anonymous", client.opening()),
        ("/conversations", {"message": "hello", "clientMessageId": "m"}),
        ("/events", {"changes": {}}),
        ("/sessions/realtime-token", None),
        ("/sessions/refresh", {"token": "t"}),
        ("/sessions/identify", {}),
        ("/conversations/conversation-1/read", None),
        ("/sessions/shutdown", None),
    )
    for path, body in requests:
        for origin in ("https://evilexample.org", "https://a.b.example.org", "null"):
            refused = client.post(path, body, headers={"origin": origin})
            assert problem(refused) == (403, "invalid_origin", None), (path, origin)
            assert "access-control-allow-origin" not in refused.headers
    assert client.get("/conversations").json()["conversations"] == [], "nothing was done"
    for path, body in requests:
        answer = client.post(path, body, headers={"origin": "https://a.example.org"})
        assert answer.status_code in (200, 204) or problem(answer)[1] != "invalid_origin", path
        assert answer.headers["access-control-allow-origin"] == "https://a.example.org"


def test_a_program_that_is_no_browser_sends_no_origin_and_passes(
    strict: Served, client_of: Clients
) -> None:
    client = client_of(strict)
    assert client.begin()["session"]
    assert client.say("hello")


def test_the_preflight_of_a_browser_is_answered_for_pages_on_the_list_only(
    strict: Served, client_of: Clients
) -> None:
    client = client_of(strict)
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    for origin, allowed in (
        ("https://app.example.com", True),
        ("https://evilexample.com", False),
        ("null", False),
    ):
        answer = client.http.options(f"{BASE}/conversations", headers={"origin": origin, **asked})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        assert (answer.status_code == 200) is allowed
        assert "access-control-allow-credentials" not in answer.headers, (
            "the session travels in a header, never in a cookie"
        )
        if allowed:
            assert {"authorization", "content-type", "chat-owner"} <= set(
                answer.headers["access-control-allow-headers"].lower().split(", ")
            )
            assert "origin" in answer.headers["vary"].lower()


def test_the_gateway_is_open_to_pages_on_the_list_only(strict: Served, client_of: Clients) -> None:
    client = client_of(strict)
    client.begin()
    for origin in (
        "https://evilexample.org",
        "https://a.b.example.org",
        "https://app.example.com.evil.org",
        "null",
    ):
        with pytest.raises(InvalidStatus) as refused, client.gateway(origin=origin):
            pass
        assert refused.value.response.status_code == 403
    for allowed in ("https://app.example.com", "https://a.example.org", None):
        with client.gateway(origin=allowed) as socket:
            assert frame(socket)["type"] == "hello"
