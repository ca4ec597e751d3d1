"""What is unread, and read marks: one number for all who look, whatever order marks come in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from async_tests import in_virtual_time
from support_chat.ports import (
    Credentials,
    IdentifyRequest,
    LinkEvent,
    MessageArrived,
    Outgoing,
    ReadAnswer,
    ReadUpTo,
)
from support_chat.values import Agent, Message
from support_chat_adapters.backend import Backend, Connection, IdentityKey, sign_identity_token

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def backend() -> Backend:
    return Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW)


def presents(secret: str = "secret-1", **more: Any) -> Credentials:
    return Credentials(**WIDGET, visitor=secret, **more)


def opened(b: Backend, secret: str = "secret-1") -> str:
    return b.open(presents(secret)).welcome.session


def answered(b: Backend, session: str, replies: int) -> tuple[str, list[Message]]:
    """A conversation of this session with so many replies."""
    conversation = b.send(session, Outgoing(f"m-{session}", "help")).conversation_id
    return conversation, [b.agent.reply(conversation, f"{n}") for n in range(replies)]


def unread_of(b: Backend, session: str) -> int:
    """What everybody who looks sees, which is one number."""
    listed = sum(one.unread or 0 for one in b.conversations(session))
    assert b.open(presents(session=session)).welcome.unread == listed
    return listed


async def marks(connection: Connection) -> list[LinkEvent]:
    return [event for event in await connection.ready() if isinstance(event, ReadUpTo)]


def test_a_mark_counts_what_is_before_it_and_what_comes_afterwards_stays_unread() -> None:
    with backend() as b:
        s = opened(b)
        conversation, (first, second, third) = answered(b, s, 3)
        assert b.mark_read(s, conversation, second.id) == ReadAnswer(1)
        b.agent.reply(conversation, "meanwhile")
        assert unread_of(b, s) == 2
        assert b.mark_read(s, conversation, third.id) == ReadAnswer(1)
        assert b.mark_read(s, conversation) == ReadAnswer(0)
        assert b.mark_read(s, conversation, first.id) == ReadAnswer(0)


def test_every_mark_may_come_twice() -> None:
    with backend() as b:
        s = opened(b)
        conversation, replies = answered(b, s, 3)
        for left, reply in zip((2, 1, 0), replies, strict=True):
            assert [b.mark_read(s, conversation, reply.id).unread for _ in range(2)] == [left] * 2
            assert unread_of(b, s) == left


def test_a_mark_that_says_nothing_of_the_conversation_changes_nothing() -> None:
    with backend() as b:
        s = opened(b)
        conversation, replies = answered(b, s, 2)
        _, elsewhere = answered(b, opened(b, "secret-2"), 1)
        other, _ = answered(b, opened(b), 1)
        own = b.send(s, Outgoing("m-own", "mine", other))
        for id in (elsewhere[0].id, own.id, "message-99", "message-", "x", "message-9" * 20, ""):
            assert b.mark_read(s, conversation, id).unread == 3, id
        assert b.mark_read(s, conversation, replies[-1].id).unread == 1


def test_at_a_message_that_was_deleted_a_mark_is_a_position_all_the_same() -> None:
    with backend() as b:
        s = opened(b)
        conversation, replies = answered(b, s, 2)
        forgotten, _ = answered(b, opened(b, "secret-2"), 1)
        (visitor,) = [
            one for one in b.agent.visitors() if b.agent.conversations(one)[0].id == forgotten
        ]
        b.records.forget(visitor)
        assert b.mark_read(s, conversation, "message-5").unread == 0, "it was after these"
        assert [one.id for one in replies] == ["message-2", "message-3"]


def test_own_messages_are_never_unread_and_clear_nothing() -> None:
    with backend() as b:
        first, second = opened(b), opened(b)
        conversation, _ = answered(b, first, 1)
        b.send(first, Outgoing("m-1", "I", conversation))
        b.send(second, Outgoing("m-2", "I, elsewhere", conversation))
        assert unread_of(b, first) == unread_of(b, second) == 1


def test_an_identify_tells_what_is_unread_for_the_user_the_visitors_included() -> None:
    with backend() as b:
        token = sign_identity_token("ann", SECRET, **WIDGET, now=NOW)
        users = b.open(presents("secret-2", user_id="ann", token=token)).welcome.session
        answered(b, users, 2)
        s = opened(b)
        conversation, _ = answered(b, s, 3)
        answer = b.identify(s, IdentifyRequest("i", "ann", "secret-1", token))
        assert answer.unread == 5
        b.mark_read(s, conversation)
        assert b.identify(s, IdentifyRequest("i", "ann", "secret-1", token)).unread == 2


@in_virtual_time
async def test_a_mark_is_told_to_every_link_of_the_identity_the_marking_one_included() -> None:
    with backend() as b:
        marking, tab, stranger = (
            b.connect(presents(secret)) for secret in ("secret-1", "secret-1", "secret-2")
        )
        s = marking.welcome.session
        conversation, replies = answered(b, s, 3)
        b.mark_read(s, conversation, replies[1].id)
        told = ReadUpTo(conversation, replies[1].id, 1)
        for link in (marking, tab):
            came = await link.ready()
            assert came[-1] == told
            assert all(isinstance(event, MessageArrived) for event in came[:-1])
        assert await stranger.ready() == []
        b.mark_read(s, conversation, replies[0].id)
        assert await marks(marking) == [told], "who marked less is told how far it is"


@in_virtual_time
async def test_what_a_visitor_brings_along_is_told_to_the_links_that_the_user_has_already() -> None:
    with backend() as b:
        token = sign_identity_token("ann", SECRET, **WIDGET, now=NOW)
        elsewhere = b.connect(presents("secret-2", user_id="ann", token=token))
        quiet, s = opened(b, "secret-3"), opened(b)
        conversation, _ = answered(b, s, 2)
        answered(b, s, 0)
        for session, secret in ((quiet, "secret-3"), (s, "secret-1")):
            b.identify(session, IdentifyRequest(f"i-{secret}", "ann", secret, token))
        told = await marks(elsewhere)
        assert told == [ReadUpTo(conversation, "message-0", 2)]
        assert sum(one.unread or 0 for one in b.conversations(elsewhere.welcome.session)) == 2


@in_virtual_time
async def test_the_number_in_each_event_is_the_one_at_its_place_in_the_stream() -> None:
    with backend() as b:
        link = b.connect(presents())
        s = link.welcome.session
        conversation, replies = answered(b, s, 2)
        b.mark_read(s, conversation, replies[0].id)
        b.agent.reply(conversation, "more")
        b.mark_read(s, conversation)
        numbers = [
            event.unread
            for event in await link.ready()
            if isinstance(event, MessageArrived | ReadUpTo)
        ]
        assert numbers == [0, 1, 2, 1, 2, 0]


@in_virtual_time
async def test_a_link_that_begins_after_a_mark_is_told_of_those_it_has_not_heard_of() -> None:
    with backend() as b:
        s = opened(b)
        conversation, _ = answered(b, s, 1)
        first = await b.listen(s)
        before = first.marked(())
        b.mark_read(s, conversation)
        assert len(await marks(first)) == 1
        after = first.marked(())
        assert len(await marks(await b.listen(s, marked=before))) == 1
        assert await marks(await b.listen(s, marked=after)) == []
        assert await marks(await b.listen(s, marked=99)) == []
        assert await marks(await b.listen(s)) == [], "its welcome has told the number"


@pytest.mark.parametrize("replies", [1, 300])
@in_virtual_time
async def test_a_mark_comes_after_the_messages_that_it_counts_however_many_were_missed(
    replies: int,
) -> None:
    with backend() as b:
        s = opened(b)
        conversation, sent = answered(b, s, replies)
        link = b.connect(presents(session=s, cursor="0"))
        b.mark_read(s, conversation, sent[-1].id)
        late = b.agent.reply(conversation, "late")
        came: list[LinkEvent] = []
        while page := await link.ready():
            came += page
        texts = [event.message for event in came if isinstance(event, MessageArrived)]
        assert texts[1:] == [*sent, late]
        at = came.index(ReadUpTo(conversation, sent[-1].id, 1 if replies > 1 else 0))
        assert came[at - 1 if replies == 1 else at - 2].message == sent[-1]  # type: ignore[union-attr]
        assert came[-1].unread == 1  # type: ignore[union-attr]


ASKED = st.lists(
    st.tuples(st.sampled_from(["say", "send", "mark"]), st.integers(-2, 12)), max_size=25
)


@given(ASKED)
def test_unread_never_rises_by_a_mark_and_is_zero_after_the_newest(
    asked: list[tuple[str, int]],
) -> None:
    with backend() as b:
        s, tab = opened(b), opened(b)
        conversation, known = answered(b, s, 1)
        for number, (what, at) in enumerate(asked):
            before = unread_of(b, s)
            if what == "say":
                known.append(b.agent.reply(conversation, "hello"))
            elif what == "send":
                b.send(tab, Outgoing(f"m-{number}", "hello", conversation))
            else:
                marked = known[at % len(known)].id if at >= 0 else f"message-{at + 1000}"
                left = b.mark_read(s, conversation, marked).unread
                assert left is not None
                assert left <= before
            expected = before + (what == "say")
            assert unread_of(b, s) <= expected
        assert b.mark_read(s, conversation, known[-1].id).unread == 0
        assert unread_of(b, s) == 0


def test_a_hundred_unread_messages_are_counted_by_pages_of_25_and_after_a_reconnect() -> None:
    with backend() as b:
        s = opened(b)
        conversation, replies = answered(b, s, 100)
        seen: list[Message] = []
        before = None
        while page := b.messages(s, conversation, before=before, limit=25):
            seen[:0] = page
            before = page[0].id
        assert seen[1:] == replies
        assert unread_of(b, s) == 100
        assert b.mark_read(s, conversation, seen[-26].id).unread == 25


def test_pages_before_a_message_are_the_last_ones_oldest_first() -> None:
    with backend() as b:
        s = opened(b)
        conversation, replies = answered(b, s, 4)
        assert b.messages(s, conversation, limit=2) == tuple(replies[2:])
        assert b.messages(s, conversation, before=replies[2].id, limit=1) == (replies[1],)
        assert b.messages(s, conversation, before=replies[0].id)[0].text == "help"
        assert len(b.messages(s, conversation, before="message-1")) == 0
        assert b.messages(s, conversation, before="x") == ()


@in_virtual_time
async def test_who_has_answered_is_told_with_the_message() -> None:
    with backend() as b:
        link = b.connect(presents())
        s = link.welcome.session
        conversation, _ = answered(b, s, 1)
        grace = Agent("agent-7", "Grace Hopper")
        b.agent.reply(conversation, "I'll look", agent=grace)
        b.agent.reply(conversation, "nameless", agent=Agent("agent-8"))
        expected = [None, None, grace, Agent("agent-8")]
        assert [message.agent for message in b.messages(s, conversation)] == expected
        came = [e.message.agent for e in await link.ready() if isinstance(e, MessageArrived)]
        assert came == expected
