"""The long poll: the gateway's frames for networks without WebSocket, at once if there are any,
else as soon as there are.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest

from served import Served
from support_chat.values import SignedIn
from support_chat_adapters.transport.wire.codec import MAX_ANSWER_BYTES
from widget_client import BASE, PATIENCE, WidgetClient, problem

Clients = Callable[[Served], WidgetClient]


class Waiting:
    """A poll on a connection of its own: the backend has it when `begin` returns, its answer is
    read when the test asks for it.
    """

    def __init__(self, client: WidgetClient, port: int) -> None:
        self._client = client
        self._line = HTTPConnection("127.0.0.1", port, timeout=PATIENCE / 2)

    def begin(self, **query: str) -> None:
        """Asks; what the client asks afterwards on another line is answered later, as the backend
        has one loop.
        """
        self._ask(wait="0")
        self.answer()
        self._ask(wait="25", **query)
        self._client.get("/config", workspace_id="demo", widget_id="web").raise_for_status()

    def answer(self) -> dict[str, Any]:
        """What it was answered."""
        return dict(json.load(self._line.getresponse()))

    def close(self) -> None:
        """Hangs up."""
        self._line.close()

    def _ask(self, **query: str) -> None:
        self._line.request(
            "GET",
            f"{BASE}/realtime?{urlencode(query)}",
            headers={"authorization": f"Bearer {self._client.session}"},
        )


@pytest.fixture
def waiting(shared: Served, client: WidgetClient) -> Generator[Waiting, None, None]:
    """A poll of the client."""
    with closing(Waiting(client, shared.port)) as poll:
        yield poll


def polled(client: WidgetClient, **query: str | int | float) -> dict[str, Any]:
    """The answer of a poll."""
    return dict(client.get("/realtime", **query).raise_for_status().json())


def messages(answer: dict[str, Any]) -> list[str]:
    """The texts of the messages in an answer."""
    return [
        each["message"]["text"]
        for each in answer.get("frames", [])
        if each["type"] == "message.created"
    ]


def test_what_was_missed_comes_at_once_and_the_next_poll_goes_on_after_it(
    shared: Served, client: WidgetClient
) -> None:
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    shared.reply(conversation, "one", "two")
    answer = polled(client, cursor=cursor, wait=30)
    assert messages(answer) == ["one", "two"]
    assert answer["unread"] == 2
    after = polled(client, cursor=answer["cursor"])
    assert (after["cursor"], after["unread"]) == (answer["cursor"], 2)
    assert "frames" not in after


def test_what_was_missed_comes_in_answers_that_a_client_reads_however_much_it_is(
    shared: Served, client: WidgetClient
) -> None:
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    shared.reply(conversation, *(f"{number}" + "ж" * (16 * 1024 - 3) for number in range(150)))
    found: list[str] = []
    while len(found) < 150:
        response = client.get("/realtime", cursor=cursor).raise_for_status()
        assert len(response.content) <= MAX_ANSWER_BYTES
        answer = response.json()
        assert messages(answer), "each answer goes on"
        found += messages(answer)
        cursor = answer["cursor"]
    assert [text.rstrip("ж") for text in found] == [str(number) for number in range(150)]


def test_a_poll_without_news_waits_as_long_as_it_was_told_and_no_longer(
    client: WidgetClient,
) -> None:
    cursor = client.begin()["cursor"]
    for wait in (0, 0.3):
        began = time.monotonic()
        assert "frames" not in polled(client, cursor=cursor, wait=wait)
        assert wait <= time.monotonic() - began < wait + PATIENCE / 2


def test_a_waiting_poll_is_woken_by_a_message(
    shared: Served, client: WidgetClient, waiting: Waiting
) -> None:
    client.begin()
    conversation = client.say("help")["conversationId"]
    cursor = polled(client)["cursor"]
    waiting.begin(cursor=cursor)
    shared.reply(conversation, "here I am")
    assert messages(waiting.answer()) == ["here I am"]


def test_a_waiting_poll_is_woken_by_the_end_of_its_session_and_the_next_one_is_refused(
    client: WidgetClient, waiting: Waiting
) -> None:
    client.begin()
    waiting.begin(cursor=polled(client)["cursor"])
    client.post("/sessions/shutdown").raise_for_status()
    assert waiting.answer()["frames"] == [{"type": "session.revoked"}]
    assert problem(client.get("/realtime")) == (403, "auth_required", "session_revoked")


def test_an_expired_token_is_told_until_the_client_says_that_it_knows_and_nothing_else_is(
    shared: Served, client: WidgetClient, waiting: Waiting
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    begun = client.begin(identity={"userId": user, "token": shared.token(user, lifetime=1.0)})
    cursor = begun["cursor"]
    assert polled(client, cursor=cursor, wait=20)["tokenExpired"] is True
    shared.reply(SignedIn(user), "one", "two")
    for known in ("false", "true"):
        nothing = polled(client, cursor=cursor, token_expired=known)
        assert nothing.pop("marked") >= 0
        assert nothing == {"cursor": cursor, "tokenExpired": True, "owner": f"user:{user}"}
    waiting.begin(token_expired="true", cursor=cursor)
    assert client.post("/sessions/refresh", {"token": shared.token(user)}).status_code == 204
    came = waiting.answer()
    assert messages(came) == ["one", "two"]
    assert "tokenExpired" not in came
    assert came["unread"] == 2
    after = polled(client, cursor=came["cursor"])
    assert (after["cursor"], after["unread"], messages(after)) == (came["cursor"], 2, [])


@pytest.mark.parametrize(
    ("query", "good"),
    [
        ({"wait": "0.0"}, True),
        ({"wait": "1e-3"}, True),
        ({"wait": "30.1"}, False),
        ({"wait": "-1"}, False),
        ({"wait": "nan"}, False),
        ({"wait": "inf"}, False),
        ({"wait": "1_0"}, False),
        ({"wait": " 1"}, False),
        ({"wait": "9" * 400}, False),
        ({"wait": ""}, False),
        ({"token_expired": "false"}, True),
        ({"token_expired": "1"}, False),
        ({"token_expired": "True"}, False),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    query: dict[str, str], good: bool, client: WidgetClient
) -> None:
    client.begin()
    answer = client.get("/realtime", **query)
    assert answer.status_code == 200 if good else problem(answer)[:2] == (422, "validation_error")


def test_a_client_that_hangs_up_leaves_no_poll_behind(own: Served, client_of: Clients) -> None:
    """What it would have been told goes to its next poll; and the backend, told to end, has nobody
    to wait for.
    """
    client = client_of(own)
    client.begin()
    conversation = client.say("help")["conversationId"]
    cursor = polled(client)["cursor"]
    poll = Waiting(client, own.port)
    poll.begin(cursor=cursor)
    poll.close()
    deadline = time.monotonic() + PATIENCE / 2
    while own.log.read_text("utf-8").count("GET /realtime") < 3:
        assert time.monotonic() < deadline, "the poll of a client that has gone still waits"
    own.reply(conversation, "for whoever asks next")
    assert messages(polled(client, cursor=cursor, wait=20)) == ["for whoever asks next"]


def test_at_ctrl_c_waiting_polls_are_answered(own: Served, client_of: Clients) -> None:
    client = client_of(own)
    client.begin()
    with closing(Waiting(client, own.port)) as poll:
        poll.begin()
        own.stop()
        assert "frames" not in poll.answer()
