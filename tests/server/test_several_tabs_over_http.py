"""Several tabs of one person over HTTP: for whom a request is, what comes to a client that takes
echoes and to one that does not, the end of a visitor, and the heartbeat.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from websockets.sync.client import ClientConnection

from served import Served
from support_chat.values import Visitor
from widget_client import WidgetClient, closed_with, frame, problem

Clients = Callable[[Served], WidgetClient]


def tab_of(client: WidgetClient, other: WidgetClient) -> WidgetClient:
    """Another tab of the same visitor, with a session of its own."""
    other.visitor = client.visitor
    other.begin()
    return other


def for_whom(kind: str, id: str) -> dict[str, str]:
    return {"chat-owner": f"{kind}:{quote(id, safe='')}"}


def identify(client: WidgetClient, shared: Served, user: str) -> dict[str, Any]:
    asked = {
        "identifyId": secrets.token_hex(8),
        "userId": user,
        "visitor": client.visitor,
        "token": shared.token(user),
    }
    return dict(client.post("/sessions/identify", asked).raise_for_status().json())


def polled(client: WidgetClient, **query: str | int) -> dict[str, Any]:
    return dict(client.get("/realtime", **query).raise_for_status().json())


@pytest.mark.parametrize("user", ["Ann@Example.COM", "a|b", "größe é", "visitor:x", "%41", "a/b?c"])
def test_a_request_is_done_for_its_owner_and_refused_for_anybody_else(
    client: WidgetClient, shared: Served, user: str
) -> None:
    user = f"{user}-{secrets.token_hex(4)}"
    shown = client.begin()["visitorId"]
    own, sent = for_whom("visitor", shown), {"message": "hello", "clientMessageId": "m-1"}
    assert client.post("/conversations", sent, headers=own).status_code == 200
    assert identify(client, shared, user)["unread"] == 0
    more = {"message": "for whom?", "clientMessageId": "m-2"}
    for owner in (own, for_whom("user", f"x{user}"), for_whom("user", user + " ")):
        refused = client.post("/conversations", more, headers=owner)
        assert problem(refused)[:2] == (409, "owner_changed")
    assert client.post("/conversations", more, headers=for_whom("user", user)).status_code == 200
    listed = client.get("/conversations").json()["conversations"]
    assert [one["messages"] for one in listed] == [1, 1]


@pytest.mark.parametrize("owner", ["", "ann", "user:", "agent:ann", "user:a b", "user:a,visitor:b"])
def test_what_is_no_owner_is_an_error(client: WidgetClient, owner: str) -> None:
    client.begin()
    changes = {"changes": {"user.name": "V"}}
    refused = client.post("/events", changes, headers={"chat-owner": owner})
    assert problem(refused)[:2] == (422, "validation_error")


def test_who_takes_echoes_is_told_of_everything_and_who_does_not_of_what_was_told_before(
    client: WidgetClient, shared: Served, client_of: Clients
) -> None:
    client.begin()
    tab = tab_of(client, client_of(shared))
    with (
        client.gateway(echoes=True) as new,
        client.gateway() as old,
        tab.gateway(echoes=True) as there,
    ):
        shown = [frame(socket).get("owner") for socket in (new, old, there)]
        assert len(set(shown)) == 1
        conversation = client.say("hello")["conversationId"]
        shared.reply(conversation, "coming")
        own, reply = frame(new), frame(new)
        assert (own["message"]["text"], own["own"]) == ("hello", True)
        assert (reply["message"]["text"], reply["unread"]) == ("coming", 1)
        client.post(f"/conversations/{conversation}/read?up_to={reply['message']['id']}")
        marked = {
            "type": "conversation.read",
            "conversationId": conversation,
            "upTo": reply["message"]["id"],
            "unread": 0,
        }
        assert frame(new) == marked
        assert "own" not in frame(there)
        assert frame(there)["message"]["text"] == "coming"
        assert frame(there) == marked
        identify(tab, shared, f"ann-{secrets.token_hex(4)}")
        assert frame(new) == {"type": "owner.changed"}
        assert frame(old)["message"]["text"] == "coming"
        shared.reply(Visitor(client.begin(session=client.session)["visitorId"]), "to the successor")
        assert frame(old)["message"]["text"] == "to the successor"


def test_polls_bring_marks_that_came_between_them_once_and_say_whose_the_session_is(
    client: WidgetClient, shared: Served, client_of: Clients
) -> None:
    begun = client.begin()
    tab = tab_of(client, client_of(shared))
    conversation = client.say("hello")["conversationId"]
    first = polled(client, cursor=begun["cursor"], echoes="true")
    assert [each["own"] for each in first["frames"]] == [True]
    tab.post(f"/conversations/{conversation}/read").raise_for_status()
    on = {"cursor": first["cursor"], "echoes": "true"}
    second = polled(client, **on, marked=first["marked"])
    assert [each["type"] for each in second["frames"]] == ["conversation.read"]
    assert "frames" not in polled(client, **on, marked=second["marked"])
    assert "frames" not in polled(client, cursor=first["cursor"], marked=first["marked"])
    identify(tab, shared, f"ann-{secrets.token_hex(4)}")
    third = polled(client, **on, marked=second["marked"])
    assert third["owner"] != first["owner"] == f"visitor:{begun['visitorId']}"
    for marked in ("-1", "x", "9" * 17, ""):
        refused = client.get("/realtime", marked=marked)
        assert problem(refused)[:2] == (422, "validation_error")


def test_a_visitor_is_over_by_the_secret_alone_and_every_session_of_it_is_told(
    client: WidgetClient, shared: Served, client_of: Clients
) -> None:
    client.begin()
    tab, stranger = tab_of(client, client_of(shared)), client_of(shared)
    stranger.begin()
    identify(tab, shared, f"ann-{secrets.token_hex(4)}")
    over = {"workspaceId": "demo", "widgetId": "web", "visitor": client.visitor}
    with client.gateway() as first, tab.gateway() as second:
        for _ in range(2):
            assert client_of(shared).post("/visitors/end", over).status_code == 204
        for socket in (first, second):
            assert closed_with(socket)[0] == 4403
    for one in (client, tab):
        assert problem(one.get("/conversations"))[:2] == (403, "auth_required")
        refused = one.post("/sessions/anonymous", one.opening())
        assert problem(refused)[:2] == (401, "visitor_ended")
        assert client.visitor not in refused.text
    assert stranger.get("/conversations").status_code == 200
    wrong = client_of(shared).post("/visitors/end", {**over, "widgetId": "other"})
    assert problem(wrong)[:2] == (403, "widget_disabled")


def test_pages_go_backwards_from_a_message(client: WidgetClient) -> None:
    client.begin()
    conversation = client.say("0")["conversationId"]
    for number in range(1, 5):
        client.say(str(number), conversation)
    path, before, seen = f"/conversations/{conversation}/messages", "", list[str]()
    while True:
        page = client.get(path, before=before, limit=2).raise_for_status().json()
        seen[:0] = [message["text"] for message in page["messages"]]
        if page["nextCursor"] is None:
            break
        before = page["nextCursor"]
    assert seen == ["0", "1", "2", "3", "4"]


def asked(socket: ClientConnection, text: str) -> dict[str, Any]:
    socket.send(text)
    return frame(socket)


def test_a_ping_is_answered_and_what_else_a_client_sends_is_not_read(client: WidgetClient) -> None:
    client.begin()
    with client.gateway() as socket:
        assert frame(socket)["type"] == "hello"
        for _ in range(2):
            assert asked(socket, json.dumps({"type": "ping"})) == {"type": "pong"}
        for ignored in ("", "{", "[]", '{"type": "pong"}', '{"type": "hello", "cursor": "1"}'):
            socket.send(ignored)
        assert asked(socket, json.dumps({"type": "ping", "more": 1})) == {"type": "pong"}
