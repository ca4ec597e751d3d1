"""Conversations and messages over HTTP: each found once whatever is added meanwhile, and nobody
else's ever.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from served import Served
from support_chat.values import Visitor
from support_chat_adapters.transport.wire.codec import MAX_ANSWER_BYTES
from widget_client import WidgetClient, problem

Clients = Callable[[Served], WidgetClient]


def test_a_conversation_keeps_what_is_said_of_it_and_begins_once_for_each_client_id(
    client: WidgetClient,
) -> None:
    client.begin()
    begun: dict[str, object] = {
        "message": "My export fails",
        "clientMessageId": "first",
        "subject": "Export",
        "tags": ["bug", "export"],
        "customFields": {"plan": "pro", "seats": 3},
        "metadata": {"page": {"path": ["a", None]}},
    }
    first = client.post("/conversations", begun).raise_for_status().json()
    again = client.post("/conversations", begun).raise_for_status().json()

    assert first == again
    conversation = first["conversation"]
    assert {
        name: conversation[name] for name in ("subject", "tags", "customFields", "metadata")
    } == {name: begun[name] for name in ("subject", "tags", "customFields", "metadata")}
    assert client.get(f"/conversations/{conversation['id']}").json() == conversation
    assert first["message"]["text"] == "My export fails"
    assert first["message"]["author"] == "visitor"


def test_a_message_is_stored_once_for_each_client_id(client: WidgetClient) -> None:
    client.begin()
    conversation = client.say("first")["conversationId"]
    path = f"/conversations/{conversation}/messages"
    answers = [
        client.post(path, {"text": "again", "clientMessageId": "same"}).raise_for_status().json()
        for _ in range(3)
    ]

    assert answers[0] == answers[1] == answers[2]
    assert [message["text"] for message in client.get(path).json()["messages"]] == [
        "first",
        "again",
    ]


def test_messages_come_page_by_page_oldest_first_also_those_added_meanwhile(
    client: WidgetClient,
) -> None:
    client.begin()
    conversation = client.say("0")["conversationId"]
    for number in range(1, 7):
        client.say(str(number), conversation)
    path = f"/conversations/{conversation}/messages"

    seen: list[str] = []
    cursor: dict[str, str] = {}
    added = 7
    while True:
        page = client.get(path, limit=3, **cursor).raise_for_status().json()
        seen += [message["text"] for message in page["messages"]]
        if page["nextCursor"] is None:
            break
        assert len(page["messages"]) == 3
        if added < 9:
            client.say(str(added), conversation)
            added += 1
        cursor = {"cursor": page["nextCursor"]}

    assert seen == [str(number) for number in range(9)]


def test_conversations_come_page_by_page_newest_first_and_one_begun_meanwhile_shifts_nothing(
    client: WidgetClient,
) -> None:
    client.begin()
    ids = [client.say(str(number))["conversationId"] for number in range(7)]

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/conversations", limit=2, **cursor).raise_for_status().json()
        seen += [conversation["id"] for conversation in page["conversations"]]
        if page["nextCursor"] is None:
            break
        client.say("meanwhile")
        cursor = {"cursor": page["nextCursor"]}

    assert seen == ids[::-1]


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "x", "", "١", "1 ", "999999999999"])
def test_a_limit_that_is_none_is_refused(limit: str, client: WidgetClient) -> None:
    client.begin()
    assert problem(client.get("/conversations", limit=limit))[:2] == (422, "validation_error")


def test_a_page_holds_50_unless_it_is_said_and_200_at_the_most(
    shared: Served, client: WidgetClient
) -> None:
    client.begin()
    conversation = client.say("0")["conversationId"]
    with shared.backend() as backend:
        for number in range(1, 205):
            backend.agent.reply(conversation, str(number))
    path = f"/conversations/{conversation}/messages"
    assert len(client.get(path).json()["messages"]) == 50
    assert len(client.get(path, limit=200).json()["messages"]) == 200


def test_reading_counts_a_conversation_as_read(shared: Served, client: WidgetClient) -> None:
    client.begin()
    conversation = client.say("help")["conversationId"]
    with shared.backend() as backend:
        for text in ("one", "two"):
            backend.agent.reply(conversation, text)
    assert client.get(f"/conversations/{conversation}").json()["unread"] == 2
    assert client.post(f"/conversations/{conversation}/read").raise_for_status()
    assert client.get(f"/conversations/{conversation}").json()["unread"] == 0


def test_somebody_elses_conversation_is_one_that_there_is_not(
    shared: Served, client: WidgetClient, client_of: Clients
) -> None:
    client.begin()
    theirs = client.say("private")["conversationId"]
    stranger = client_of(shared)
    stranger.begin()
    for conversation in (theirs, "conversation-0", "x" * 256, "%00", "..%2Fconfig"):
        asked = [
            stranger.get(f"/conversations/{conversation}"),
            stranger.get(f"/conversations/{conversation}/messages"),
            stranger.post(f"/conversations/{conversation}/read"),
            stranger.post(
                f"/conversations/{conversation}/messages", {"text": "hello", "clientMessageId": "m"}
            ),
        ]
        assert {problem(answer)[0] for answer in asked} == {404}, conversation
    assert problem(stranger.get(f"/conversations/{theirs}")) == problem(
        stranger.get("/conversations/conversation-0")
    )
    assert len(client.get(f"/conversations/{theirs}/messages").json()["messages"]) == 1


def test_a_blank_message_is_refused_as_such(client: WidgetClient) -> None:
    client.begin()
    conversation = client.say("x")["conversationId"]
    for text in (" ", "\n\t", " "):
        sent = client.post(
            f"/conversations/{conversation}/messages", {"text": text, "clientMessageId": "m"}
        )
        assert problem(sent)[:2] == (422, "message_invalid")


def test_an_event_stores_what_is_right_and_names_what_is_not(
    client: WidgetClient, shared: Served
) -> None:
    visitor = client.begin()["visitorId"]
    changes = {
        "user.name": "Ada",
        "user.email": 7,
        "nonsense": 1,
        "context.page": {"path": "/billing"},
    }
    answer = (
        client.post("/events", {"type": "profile.updated", "changes": changes})
        .raise_for_status()
        .json()
    )
    assert {(each["path"], each["reason"]) for each in answer["rejected"]} == {
        ("user.email", "not_text"),
        ("nonsense", "unknown_path"),
    }
    with shared.backend() as backend:
        assert backend.agent.traits(Visitor(visitor)) == {
            "user.name": "Ada",
            "context.page": {"path": "/billing"},
        }
    assert problem(client.post("/events", {"type": "unknown", "changes": {}}))[:2] == (
        422,
        "validation_error",
    )


def test_a_page_ends_before_it_is_longer_than_a_client_reads(
    shared: Served, client: WidgetClient
) -> None:
    client.begin()
    conversation = client.say("0")["conversationId"]
    with shared.backend() as backend:
        for number in range(1, 150):
            backend.agent.reply(conversation, f"{number}" + "ж" * (16 * 1024 - 3))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        response = client.get(
            f"/conversations/{conversation}/messages", limit=200, **cursor
        ).raise_for_status()
        assert len(response.content) <= MAX_ANSWER_BYTES
        page = response.json()
        seen += [message["text"].rstrip("ж") for message in page["messages"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert seen == [str(number) for number in range(150)]
