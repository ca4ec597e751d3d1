"""Sessions over HTTP: begun, resumed, refused, signed in, refreshed and ended; each refusal says
what may help.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable

import pytest

from served import Served
from support_chat_adapters.backend import sign_identity_token
from widget_client import WidgetClient, frame, problem

Clients = Callable[[Served], WidgetClient]

GUARDED = (
    ("POST", "/sessions/identify"),
    ("POST", "/sessions/refresh"),
    ("POST", "/sessions/shutdown"),
    ("POST", "/sessions/realtime-token"),
    ("GET", "/conversations"),
    ("POST", "/conversations"),
    ("GET", "/conversations/conversation-1"),
    ("POST", "/conversations/conversation-1/read"),
    ("GET", "/conversations/conversation-1/messages"),
    ("POST", "/conversations/conversation-1/messages"),
    ("POST", "/events"),
    ("GET", "/realtime"),
)
"""Everything but what begins a session and what everybody may know."""


def expired_token(user_id: str, backend: Served) -> str:
    """An identity token that was good a while ago."""
    return sign_identity_token(
        user_id, backend.secret, workspace_id="demo", widget_id="web", now=time.time() - 3600
    )


def unsigned(token: str) -> str:
    """The same token with `alg: none` and without a signature."""
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def identify(
    client: WidgetClient, user_id: str, token: str | None, **more: object
) -> dict[str, object]:
    """The body of an identify."""
    return {
        "identifyId": secrets.token_hex(8),
        "userId": user_id,
        "visitor": client.visitor,
        "token": token,
        **more,
    }


def test_a_session_is_begun_and_resumed_by_its_visitor_and_by_nobody_else(
    client: WidgetClient, shared: Served, client_of: Clients
) -> None:
    begun = client.begin()
    assert set(begun) == {"session", "visitorId", "realtimeToken", "cursor", "can"}
    resumed = client.begin(session=begun["session"])
    assert (resumed["session"], resumed["visitorId"]) == (begun["session"], begun["visitorId"])
    assert resumed["realtimeToken"] != begun["realtimeToken"]

    stranger = client_of(shared)
    refused = stranger.post("/sessions/anonymous", stranger.opening(session=begun["session"]))
    assert problem(refused) == (401, "auth_required", "other_identity")
    assert refused.headers["www-authenticate"] == "Bearer"


def test_what_cannot_begin_a_session_is_refused(client: WidgetClient, shared: Served) -> None:
    token = shared.token("ada")
    elsewhere = sign_identity_token("ada", shared.secret, workspace_id="demo", widget_id="another")
    refusals: list[tuple[dict[str, object], tuple[int, str, str | None]]] = [
        ({"workspaceId": "another"}, (403, "widget_disabled", "unknown_widget")),
        ({"widgetId": "another"}, (403, "widget_disabled", "unknown_widget")),
        ({"visitor": "short"}, (422, "validation_error", None)),
        ({"visitor": None}, (422, "validation_error", None)),
        ({"session": f"session-1.{'x' * 32}"}, (403, "auth_required", "session_unknown")),
        ({"identity": {"userId": "ada"}}, (401, "auth_required", "token_missing")),
        ({"identity": {"userId": "grace", "token": token}}, (401, "invalid_token", "wrong_sub")),
        (
            {"identity": {"userId": "ada", "token": f"{token[:-4]}AAAA"}},
            (401, "invalid_token", "wrong_signature"),
        ),
        (
            {"identity": {"userId": "ada", "token": elsewhere}},
            (401, "invalid_token", "wrong_widget_id"),
        ),
        (
            {"identity": {"userId": "ada", "token": unsigned(token)}},
            (401, "invalid_token", "wrong_alg"),
        ),
        (
            {"identity": {"userId": "ada", "token": expired_token("ada", shared)}},
            (401, "auth_expired", None),
        ),
    ]
    for fault, expected in refusals:
        assert problem(client.post("/sessions/anonymous", client.opening(**fault))) == expected, (
            fault
        )


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_every_other_request_wants_a_session_that_is_in_force(
    method: str, path: str, client: WidgetClient
) -> None:
    unknown = f"session-999999.{'x' * 32}"
    refusals = [
        (None, (401, "auth_required", "session_missing")),
        ("", (401, "auth_required", "session_missing")),
        ("Bearer", (401, "auth_required", "session_missing")),
        (f"Basic {unknown}", (401, "auth_required", "session_missing")),
        ("Bearer nonsense", (401, "invalid_token", None)),
        ("Bearer session-1.' OR 1=1 --", (401, "invalid_token", None)),
        (f"Bearer {unknown}", (403, "auth_required", "session_unknown")),
    ]
    for header, expected in refusals:
        headers = {} if header is None else {"authorization": header}
        answer = client.http.request(
            method,
            f"/widget/v1{path}",
            headers=headers,
            json=None if method == "GET" else _body(path),
        )
        if path == "/sessions/shutdown" and header == f"Bearer {unknown}":
            assert answer.status_code == 204, "to end a session that is no more is no error"
        else:
            assert problem(answer) == expected, header


def _body(path: str) -> dict[str, object]:
    bodies: dict[str, dict[str, object]] = {
        "/sessions/identify": {"identifyId": "i", "userId": "ada", "visitor": "v" * 22},
        "/sessions/refresh": {"token": "t"},
        "/conversations": {"message": "m", "clientMessageId": "c"},
        "/conversations/conversation-1/messages": {"text": "m", "clientMessageId": "c"},
        "/events": {"changes": {}},
    }
    return bodies.get(path, {})


def test_identify_signs_the_visitor_in_once_for_each_id_and_moves_what_they_wrote(
    client: WidgetClient, shared: Served
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    visitor = client.begin()
    client.say("before")
    asked = identify(
        client,
        user,
        shared.token(user),
        userChanges={"user.name": "Ada", "user.id": "somebody else"},
    )

    first = client.post("/sessions/identify", asked).raise_for_status().json()
    again = client.post("/sessions/identify", asked).raise_for_status().json()

    assert first == again
    assert (first["userId"], first["merged"], first["conversationsMoved"]) == (user, True, 1)
    assert first["rejected"] == [{"path": "user.id", "reason": "other_user"}]
    resumed = client.begin(
        session=client.session, identity={"userId": user, "token": shared.token(user)}
    )
    assert resumed["userId"] == user
    assert len(client.get("/conversations").json()["conversations"]) == 1
    assert visitor["visitorId"] != client.begin()["visitorId"], (
        "the secret alone shows nothing of what was merged"
    )
    assert client.get("/conversations").json()["conversations"] == []


def test_a_refused_identify_leaves_the_visitor_and_their_history_as_they_were(
    client: WidgetClient, shared: Served
) -> None:
    client.begin()
    client.say("mine")
    before = client.get("/conversations").json()
    for token in (None, "no.jwt.atall", shared.token("grace"), expired_token("ada", shared)):
        assert client.post("/sessions/identify", identify(client, "ada", token)).status_code == 401
    stolen = identify(client, "ada", shared.token("ada"), visitor=secrets.token_urlsafe(24))
    assert problem(client.post("/sessions/identify", stolen))[0] == 401

    assert client.get("/conversations").json() == before


def test_refresh_takes_a_token_of_the_sessions_user_and_of_nobody_else(
    client: WidgetClient, shared: Served
) -> None:
    client.begin()
    assert problem(client.post("/sessions/refresh", {"token": shared.token("ada")})) == (
        401,
        "auth_required",
        "not_signed_in",
    )
    client.begin(identity={"userId": "ada", "token": shared.token("ada")})
    assert client.post("/sessions/refresh", {"token": shared.token("ada")}).status_code == 204
    assert problem(client.post("/sessions/refresh", {"token": shared.token("grace")}))[:2] == (
        401,
        "invalid_token",
    )
    assert client.get("/conversations").status_code == 200


def test_a_session_whose_token_has_expired_is_let_in_again_by_a_fresh_one(
    client: WidgetClient, shared: Served
) -> None:
    client.begin(identity={"userId": "ada", "token": shared.token("ada", lifetime=1.0)})
    with client.gateway(token=client.realtime_token) as socket:
        while frame(socket)["type"] != "token.expired":
            pass
        refused = client.get("/conversations")
        assert problem(refused) == (401, "auth_expired", None)
        assert refused.json()["error"]["recoverable"] is True
        assert client.post("/sessions/refresh", {"token": shared.token("ada")}).status_code == 204
        assert client.get("/conversations").status_code == 200


def test_shutdown_ends_this_session_for_good_and_no_other(client: WidgetClient) -> None:
    other = client.begin()["session"]
    ended = client.begin()["session"]
    assert client.post("/sessions/shutdown").status_code == 204
    assert client.post("/sessions/shutdown").status_code == 204

    assert problem(client.get("/conversations")) == (403, "auth_required", "session_revoked")
    assert problem(client.post("/sessions/anonymous", client.opening(session=ended))) == (
        403,
        "auth_required",
        "session_revoked",
    )
    client.session = other
    assert client.get("/conversations").status_code == 200


def test_everybody_may_know_the_configuration_of_the_widget(client: WidgetClient) -> None:
    answer = client.get("/config", workspace_id="demo", widget_id="web")
    assert answer.json() == {
        "workspaceId": "demo",
        "widgetId": "web",
        "identity": {
            "anonymousAllowed": True,
            "jwtRequiredForIdentifiedUsers": True,
            "allowAnonymousToIdentifiedMerge": True,
        },
    }
    assert problem(client.get("/config", workspace_id="demo", widget_id="another")) == (
        403,
        "widget_disabled",
        "unknown_widget",
    )
    assert problem(client.get("/config", workspace_id="demo"))[:2] == (422, "validation_error")
