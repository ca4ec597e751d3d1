"""Own messages in the link's stream, each told once whichever comes first; and how many messages
are unread, by whoever says so last.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import (
    Call,
    Message,
    MessageFailed,
    MessageReceived,
    MessageSent,
    MessagesRead,
    SupportChat,
    UnreadChanged,
)
from support_chat.ports import MessageArrived, ReadUpTo

if TYPE_CHECKING:
    from tests.session.conftest import Rig

MINE = Message("m1", "c1", "visitor", "hello", 0.0, "mine")


def echo(own: bool = True) -> MessageArrived:
    """The message, as the stream brings it."""
    return MessageArrived(MINE, "cursor-1", 0, own=own)


async def sending(rig: Rig, **says: Any) -> tuple[SupportChat, Call[Message]]:
    """A visitor whose message is under way; the backend says what it can in its welcome."""
    rig.says["dial"] = says
    chat = rig.chat()
    await chat.boot()
    rig.hold("send")
    call = chat.send_message("hello", client_message_id="mine")
    await rig.quiet(1)
    return chat, call


def told(rig: Rig) -> list[str]:
    """The client's ids of the messages that listeners were told are sent."""
    assert rig.of(MessageReceived) == rig.of(MessageFailed) == []
    return [event.message.client_message_id for event in rig.of(MessageSent)]


def test_the_stream_comes_first_and_the_answer_tells_nothing_more(rig: Rig) -> None:
    async def scenario() -> None:
        _, call = await sending(rig, echoes=True)
        rig.links[-1].push(echo())
        await rig.quiet(1)
        assert told(rig) == ["mine"]
        assert (await call).id == "m1"
        rig.release()
        await rig.quiet(600)
        assert (told(rig), rig.log.count("send")) == (["mine"], 1)

    rig.run(scenario)


def test_the_answer_comes_first_and_settles_the_call_and_the_stream_tells(rig: Rig) -> None:
    async def scenario() -> None:
        _, call = await sending(rig, echoes=True)
        rig.release()
        assert (await call).client_message_id == "mine"
        await rig.quiet(1)
        assert told(rig) == [], "every tab hears of it in the order of the stream"
        rig.links[-1].push(echo())
        await rig.quiet(600)
        assert (told(rig), rig.log.count("send")) == (["mine"], 1)

    rig.run(scenario)


@pytest.mark.parametrize("how", ["the answer never comes", "the link breaks"])
def test_the_answer_is_lost_and_the_stream_settles_the_call(rig: Rig, how: str) -> None:
    async def scenario() -> None:
        _, call = await sending(rig, echoes=True)
        if how == "the link breaks":
            rig.links[-1].lose()
            await rig.quiet(10)
        rig.links[-1].push(echo())
        assert (await call).id == "m1"
        await rig.quiet(600)
        assert told(rig) == ["mine"]

    rig.run(scenario)


def test_without_a_stream_of_own_messages_the_answer_tells(rig: Rig) -> None:
    async def scenario() -> None:
        _, call = await sending(rig)
        rig.release()
        await call
        assert told(rig) == ["mine"]

    rig.run(scenario)


def test_a_message_of_another_tab_is_received(rig: Rig) -> None:
    async def scenario() -> None:
        rig.says["dial"] = {"echoes": True}
        chat = rig.chat()
        await chat.boot()
        rig.links[-1].push(echo(own=False))
        await rig.quiet(1)
        assert [event.message.author for event in rig.of(MessageReceived)] == ["visitor"]
        assert rig.of(MessageSent) == []

    rig.run(scenario)


# --- unread ---------------------------------------------------------------------------------------


def counts(rig: Rig) -> list[int | None]:
    """What listeners were told is unread, one after the other."""
    return [event.unread for event in rig.of(UnreadChanged)]


def test_the_welcome_the_stream_and_read_marks_say_what_is_unread(rig: Rig) -> None:
    async def scenario() -> None:
        rig.says["dial"] = {"unread": 3, "echoes": True}
        chat = rig.chat()
        await chat.boot()
        assert chat.unread == 3
        said = Message("m2", "c1", "agent", "hello", 0.0)
        rig.links[-1].push(MessageArrived(said, "cursor-2", 4))
        rig.links[-1].push(ReadUpTo("c1", "m2", 1))
        await rig.quiet(1)
        (read,) = rig.of(MessagesRead)
        assert (read.conversation_id, read.up_to) == ("c1", "m2")
        assert (chat.unread, counts(rig)) == (1, [3, 4, 1])
        rig.links[-1].push(ReadUpTo("c1", "m2", None))
        await rig.quiet(1)
        assert chat.unread is None
        assert counts(rig) == [3, 4, 1, None]
        await chat.shutdown()
        assert counts(rig) == [3, 4, 1, None]

    rig.run(scenario)


@pytest.mark.parametrize(("echoes", "unread"), [(True, 3), (False, 0)])
def test_the_answer_to_a_mark_counts_only_where_the_stream_says_nothing(
    rig: Rig, echoes: bool, unread: int
) -> None:
    async def scenario() -> None:
        rig.says["dial"] = {"unread": 3, "echoes": echoes}
        chat = rig.chat()
        await chat.boot()
        answer = await chat.mark_read("c1")
        assert (answer.unread, chat.unread) == (0, unread), "an answer may have been overtaken"

    rig.run(scenario)


@pytest.mark.parametrize(("says", "unread"), [({"unread": 7}, 7), ({}, 3)])
def test_an_identify_says_what_is_unread_for_the_user(
    rig: Rig, says: dict[str, int], unread: int
) -> None:
    async def scenario() -> None:
        rig.says["dial"] = {"unread": 3}
        rig.says["identify"] = says
        chat = rig.chat()
        await chat.boot()
        await chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        assert chat.unread == unread
        await asyncio.sleep(0)
        assert counts(rig) == sorted({3, unread})

    rig.run(scenario)


def test_a_reconnect_says_what_is_unread_by_then(rig: Rig) -> None:
    async def scenario() -> None:
        rig.says["dial"] = {"unread": 3}
        chat = rig.chat()
        await chat.boot()
        rig.says["dial"] = {"unread": 0}
        rig.links[-1].lose()
        await rig.quiet(10)
        assert (chat.unread, counts(rig)) == (0, [3, 0])

    rig.run(scenario)
