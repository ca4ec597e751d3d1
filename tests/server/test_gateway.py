"""The realtime gateway: it says hello, replays what was missed, passes on what comes, and closes
with the code that says why.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from async_tests import in_virtual_time
from served import Served
from support_chat.values import SignedIn
from support_chat_adapters.backend.connections import MAX_BEHIND
from support_chat_adapters.backend.in_memory import MemoryTokens
from support_chat_adapters.backend.server.handlers import LIFETIME
from support_chat_adapters.transport.wire.frames import MAX_CLIENT_FRAME_BYTES
from widget_client import PATIENCE, WidgetClient, closed_with, frame, frame_or_close, problem, texts

Clients = Callable[[Served], WidgetClient]


def test_it_says_hello_replays_what_was_missed_and_then_passes_on_what_comes(
    shared: Served, client: WidgetClient
) -> None:
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    with shared.backend() as backend:
        for text in ("one", "two"):
            backend.agent.reply(conversation, text)
        with client.gateway(cursor=cursor) as socket:
            hello, first, second = frame(socket), frame(socket), frame(socket)
            backend.agent.reply(conversation, "three")
            third = frame(socket)

    assert hello["type"] == "hello"
    assert hello["unread"] == 2
    assert hello["cursor"] == second["cursor"]
    assert [each["message"]["text"] for each in (first, second, third)] == ["one", "two", "three"]
    assert [each["type"] for each in (first, second, third)] == ["message.created"] * 3
    assert int(first["cursor"]) < int(second["cursor"]) < int(third["cursor"])
    assert third["unread"] == 3
    assert first["message"]["author"] == "agent"


def test_without_a_cursor_nothing_was_missed_and_with_one_only_what_came_after_it(
    shared: Served, client: WidgetClient
) -> None:
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    with shared.backend() as backend:
        backend.agent.reply(conversation, "one")
        with client.gateway(cursor=cursor) as socket:
            frame(socket)
            seen = frame(socket)["cursor"]
        backend.agent.reply(conversation, "two")
        for after, expected in ((None, ["three"]), (seen, ["two", "three"])):
            with client.gateway(cursor=after) as socket:
                frame(socket)
                if after is None:
                    backend.agent.reply(conversation, "three")
                assert texts(socket, len(expected)) == expected


def test_a_cursor_that_was_never_given_out_or_whose_history_is_gone_is_a_gap(
    own: Served, client_of: Clients
) -> None:
    client = client_of(own)
    cursor = client.begin()["cursor"]
    client.say("help")
    for unknown in ("x", "-1", "999999", "1e3"):
        with client.gateway(cursor=unknown) as socket:
            assert frame(socket)["gap"] is True, unknown
    with client.gateway(cursor=cursor) as socket:
        assert "gap" not in frame(socket)
    with own.backend() as backend:
        backend.faults.drop_history()
    with client.gateway(cursor=cursor) as socket:
        assert frame(socket)["gap"] is True


def test_a_message_of_one_tab_reaches_the_others_and_not_the_one_that_sent_it(
    shared: Served, client: WidgetClient
) -> None:
    client.begin()
    with client.gateway() as sender:
        frame(sender)
        conversation = client.say("first")["conversationId"]
        client.begin()
        with client.gateway() as other:
            frame(other)
            client.begin()
            client.say("second", conversation)
            assert texts(other, 1) == ["second"]
            assert texts(sender, 1) == ["second"]


def test_a_realtime_token_opens_one_connection(client: WidgetClient) -> None:
    client.begin()
    with client.gateway(token=client.realtime_token) as socket:
        assert frame(socket)["type"] == "hello"
    for token in (client.realtime_token, "never given out", "", client.session):
        with client.gateway(token=token) as socket:
            assert closed_with(socket) == (4401, "realtime_token_unknown"), token


@in_virtual_time
async def test_a_realtime_token_waits_a_minute_to_be_used_and_no_longer() -> None:
    now = 1000.0
    tokens = MemoryTokens(LIFETIME, lambda: now)
    early, late = await tokens.mint("session-1.a"), await tokens.mint("session-2.b")
    now += LIFETIME - 0.001
    assert await tokens.redeem(early) == "session-1.a"
    assert await tokens.redeem(early) is None
    now += 0.001
    assert await tokens.redeem(late) is None


@in_virtual_time
async def test_realtime_tokens_that_nobody_used_are_forgotten() -> None:
    now = 1000.0
    tokens = MemoryTokens(LIFETIME, lambda: now)
    for _ in range(1000):
        await tokens.mint("session-1.a")
    now += LIFETIME
    await tokens.mint("session-2.b")
    # what it remembers is the point
    assert len(tokens._sessions) == 1  # pyright: ignore[reportPrivateUsage]


def test_a_realtime_token_of_before_a_restart_is_unknown(own: Served, client_of: Clients) -> None:
    client = client_of(own)
    client.begin()
    own.restart()
    with client.gateway(token=client.realtime_token) as socket:
        assert closed_with(socket) == (4401, "realtime_token_unknown")
    with client.gateway() as socket:
        assert frame(socket)["type"] == "hello"


def test_an_expired_token_is_told_without_anybody_asking_and_once_until_it_is_renewed(
    shared: Served, client: WidgetClient
) -> None:
    client.begin(identity={"userId": "grace", "token": shared.token("grace", lifetime=1.0)})
    with client.gateway(token=client.realtime_token) as socket:
        assert frame(socket)["type"] == "hello"
        assert frame(socket) == {"type": "token.expired"}
        fresh = {"token": shared.token("grace", lifetime=1.0)}
        assert client.post("/sessions/refresh", fresh).status_code == 204
        assert frame(socket) == {"type": "token.expired"}
        assert client.post("/sessions/refresh", {"token": shared.token("grace")}).status_code == 204
        client.say("nothing but this comes")
        shared.reply(SignedIn("grace"), "an answer")
        assert frame(socket)["message"]["text"] == "an answer"


def test_a_session_that_ends_is_told_so_and_its_connections_close_for_good(
    client: WidgetClient,
) -> None:
    client.begin()
    with client.gateway() as one, client.gateway() as another:
        token = client.fresh_realtime_token()
        frame(one)
        frame(another)
        client.post("/sessions/shutdown").raise_for_status()
        for socket in (one, another):
            assert frame(socket)["type"] == "session.revoked"
            assert closed_with(socket) == (4403, "revoked")
    with client.gateway(token=token) as socket:
        assert closed_with(socket) == (4403, "session_revoked")


def test_at_ctrl_c_clients_are_told_that_it_restarts(own: Served, client_of: Clients) -> None:
    clients = [client_of(own) for _ in range(3)]
    for client in clients:
        client.begin()
    stopping = threading.Thread(target=own.stop)
    with ExitStack() as stack:
        sockets = [stack.enter_context(client.gateway()) for client in clients]
        for socket in sockets:
            frame(socket)
        stopping.start()
        stack.callback(stopping.join, PATIENCE)
        assert [closed_with(socket)[0] for socket in sockets] == [1012] * 3
    assert not stopping.is_alive()


def test_what_a_client_says_is_not_read_and_too_long_a_frame_ends_its_connection(
    shared: Served, client: WidgetClient
) -> None:
    client.begin()
    conversation = client.say("help")["conversationId"]
    with client.gateway() as socket:
        frame(socket)
        for said in (
            "{}",
            '{"type":"session.revoked"}',
            "\x00",
            "x" * MAX_CLIENT_FRAME_BYTES,
            b"\xff\xfe",
        ):
            socket.send(said)
        shared.reply(conversation, "still there")
        assert texts(socket, 1) == ["still there"]
        socket.send("x" * (MAX_CLIENT_FRAME_BYTES + 1))
        assert closed_with(socket)[0] == 1009


def messages_until_closed(
    socket: ClientConnection, expected: tuple[int, str]
) -> list[dict[str, Any]]:
    """The messages that come until the gateway closes with this code and reason."""
    came: list[dict[str, Any]] = []
    while (last := frame_or_close(socket)) != expected:
        assert isinstance(last, dict), last
        came += [last] if last["type"] == "message.created" else []
    return came


def test_a_reader_that_does_not_keep_up_is_cut_and_finds_the_rest_in_the_replay(
    own: Served, client_of: Clients
) -> None:
    """A second reader of the same messages, which keeps up, loses nothing meanwhile."""
    client = client_of(own)
    cursor = client.begin()["cursor"]
    conversation = client.say("help")["conversationId"]
    count, size, batch = MAX_BEHIND + 800, 16_000, 200
    with client.gateway(cursor=cursor, reads=False) as slow, client.gateway(cursor=cursor) as quick:
        assert frame(quick)["type"] == "hello"
        for begin in range(0, count, batch):
            with closing(sqlite3.connect(own.db)) as connection, connection as db:
                db.executemany(
                    "INSERT INTO messages (conversation_id, owner, author, text, created_at)"
                    " SELECT id, owner, 'agent', ?, 0 FROM conversations WHERE id = ?",
                    [
                        (f"{number:05}{'x' * size}", conversation)
                        for number in range(begin, begin + batch)
                    ],
                )
            assert [text[:5] for text in texts(quick, batch)] == [
                f"{number:05}" for number in range(begin, begin + batch)
            ]
        seen = [
            came["message"]["text"][:5]
            for came in messages_until_closed(slow, (4408, "slow_reader"))
        ]
    assert 0 < len(seen) < count
    with client.gateway(cursor=str(int(cursor) + 1 + len(seen))) as socket:
        assert "gap" not in frame(socket)
        seen += [text[:5] for text in texts(socket, count - len(seen))]
    assert seen == [f"{number:05}" for number in range(count)]


def test_a_gateway_that_cannot_be_opened_answers_with_the_envelope(client: WidgetClient) -> None:
    client.begin()
    refusals = (
        ("https://evil.example", None, (403, "invalid_origin")),
        (None, "x" * 65, (422, "validation_error")),
    )
    for origin, cursor, expected in refusals:
        with (
            pytest.raises(InvalidStatus) as refused,
            client.gateway(token=client.realtime_token, origin=origin, cursor=cursor),
        ):
            pass
        assert refused.value.response.status_code == expected[0]
        assert f'"code":"{expected[1]}"'.encode() in refused.value.response.body
    with client.gateway(token=client.realtime_token) as socket:
        assert frame(socket)["type"] == "hello", "a refused handshake uses no token up"
    assert problem(client.get("/realtime", cursor="x" * 65))[:2] == (422, "validation_error")
