"""Conversations: idempotent sends, who sees what, what a reconnect is told, what is unread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support_chat.errors import BackendRejectedError, InvalidInputError
from support_chat.ports import Credentials, IdentifyRequest, Outgoing
from support_chat.values import SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, Opened, sign_identity_token
from support_chat_adapters.backend.stream import number_in

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def backend() -> Backend:
    return Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW)


def token(user: str) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=NOW)


def opened(
    b: Backend,
    secret: str = "secret-1",
    *,
    user: str | None = None,
    session: str | None = None,
    cursor: str | None = None,
) -> Opened:
    signed = None if user is None else token(user)
    return b.open(
        Credentials(
            **WIDGET, visitor=secret, session=session, user_id=user, token=signed, cursor=cursor
        )
    )


def session(b: Backend, secret: str = "secret-1", *, user: str | None = None) -> str:
    return opened(b, secret, user=user).welcome.session


def texts(back: Opened) -> list[str]:
    return [event.message.text for event in back.replay]


def test_a_message_without_a_conversation_starts_one_and_the_next_may_join_it() -> None:
    with backend() as b:
        s = session(b)
        first = b.send(s, Outgoing("m1", "hello"))
        second = b.send(s, Outgoing("m2", "anybody?", first.conversation_id))
        assert (first.author, first.text, first.created_at, first.client_message_id) == (
            "visitor",
            "hello",
            NOW,
            "m1",
        )
        assert second.conversation_id == first.conversation_id
        assert [c.messages for c in b.conversations(s)] == [2]
        assert b.agent.messages(first.conversation_id) == (first, second)


def test_conversations_are_listed_newest_first() -> None:
    with backend() as b:
        s = session(b)
        started = [b.send(s, Outgoing(f"m{n}", "hello")).conversation_id for n in range(3)]
        assert [c.id for c in b.conversations(s)] == started[::-1]


def test_the_same_client_id_never_makes_a_second_message() -> None:
    with backend() as b:
        s = session(b)
        first = b.send(s, Outgoing("m1", "hello"))
        assert b.send(s, Outgoing("m1", "hello")) == first
        assert b.send(s, Outgoing("m1", "another text", first.conversation_id)) == first
        assert b.send(session(b), Outgoing("m1", "hello")) == first, (
            "also from another session of theirs"
        )
        assert b.agent.messages(first.conversation_id) == (first,)
        assert b.agent.duplicates() == 0


def test_a_retry_after_the_merge_finds_what_the_visitor_sent() -> None:
    with backend() as b:
        s = session(b)
        first = b.send(s, Outgoing("m1", "hello"))
        b.identify(s, IdentifyRequest("i", "ann", "secret-1", token("ann")))
        assert b.send(s, Outgoing("m1", "hello")) == first


def test_two_people_may_use_the_same_client_id() -> None:
    with backend() as b:
        one, other = (
            b.send(session(b), Outgoing("m1", "one")),
            b.send(session(b, "secret-2"), Outgoing("m1", "other")),
        )
        assert (one.text, other.text) == ("one", "other")
        assert b.agent.duplicates() == 0


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_message_is_rejected(text: str) -> None:
    with backend() as b:
        with pytest.raises(BackendRejectedError) as caught:
            b.send(session(b), Outgoing("m", text))
        assert caught.value.code == "message_invalid"
        assert b.agent.conversations() == ()


def test_nobody_sees_or_touches_the_conversations_of_somebody_else() -> None:
    with backend() as b:
        people = [
            session(b),
            session(b, "secret-2"),
            session(b, user="ann"),
            session(b, user="bob"),
        ]
        own = [
            b.send(s, Outgoing(f"m{n}", f"private {n}")).conversation_id
            for n, s in enumerate(people)
        ]
        for n, s in enumerate(people):
            assert [c.id for c in b.conversations(s)] == [own[n]]
            for other in own[:n] + own[n + 1 :] + ["conversation-x"]:
                requests: list[Callable[[], object]] = [
                    lambda s=s, other=other: b.send(s, Outgoing("x", "let me in", other)),  # type: ignore[misc]
                    lambda s=s, other=other: b.mark_read(s, other),  # type: ignore[misc]
                ]
                for request in requests:
                    with pytest.raises(BackendRejectedError) as caught:
                        request()
                    assert caught.value.code == "conversation_not_found"
        assert [c.messages for c in b.agent.conversations()] == [1] * 4


def test_a_user_named_like_a_visitor_sees_nothing_of_that_visitor() -> None:
    with backend() as b:
        back = opened(b)
        b.send(back.welcome.session, Outgoing("m", "private"))
        for name in (back.welcome.visitor_id, f"visitor:{back.welcome.visitor_id}"):
            assert b.conversations(session(b, "secret-2", user=name)) == ()


def test_the_answers_of_agents_are_unread_until_they_are_marked_read() -> None:
    with backend() as b:
        s = session(b)
        conversation = b.send(s, Outgoing("m", "help")).conversation_id
        for _ in range(2):
            b.agent.reply(conversation, "coming")
        assert [c.unread for c in b.conversations(s)] == [2]
        assert opened(b).welcome.unread == 2
        b.mark_read(s, conversation)
        assert opened(b).welcome.unread == 0
        b.agent.reply(conversation, "still there?")
        assert [c.unread for c in b.conversations(s)] == [1]


def test_an_agent_writes_to_a_conversation_or_to_a_person() -> None:
    with backend() as b:
        ann = session(b, user="ann")
        first = b.agent.reply(SignedIn("ann"), "welcome")
        assert (first.author, first.client_message_id) == ("agent", None)
        assert b.agent.reply(SignedIn("ann"), "more").conversation_id == first.conversation_id
        assert (
            b.agent.reply(first.conversation_id, "and more").conversation_id
            == first.conversation_id
        )
        assert [c.messages for c in b.conversations(ann)] == [3]


def test_an_agent_cannot_write_to_nobody() -> None:
    with backend() as b:
        old = opened(b)
        b.identify(old.welcome.session, IdentifyRequest("i", "ann", "secret-1", token("ann")))
        for nobody in (
            "conversation-x",
            SignedIn("bob"),
            Visitor("visitor-x"),
            Visitor(old.welcome.visitor_id or ""),
        ):
            with pytest.raises(InvalidInputError):
                b.agent.reply(nobody, "hello?")


def test_a_reconnect_is_told_what_it_missed_once_and_in_order() -> None:
    with backend() as b:
        first = opened(b)
        s = first.welcome.session
        conversation = b.send(s, Outgoing("m", "help")).conversation_id
        for text in ("one", "two", "three"):
            b.agent.reply(conversation, text)
        back = opened(b, session=s, cursor=first.welcome.cursor)
        assert texts(back) == ["help", "one", "two", "three"]
        assert [event.own for event in back.replay] == [True, False, False, False]
        assert (back.welcome.gap, back.welcome.unread) == (False, 3)
        assert [number_in(event.cursor) for event in back.replay] == sorted(
            number_in(event.cursor) for event in back.replay
        )
        for seen in range(4):
            assert (
                texts(opened(b, session=s, cursor=back.replay[seen].cursor))
                == ["help", "one", "two", "three"][seen + 1 :]
            )
        assert texts(opened(b, session=s, cursor=back.welcome.cursor)) == []


def test_without_a_cursor_nothing_is_replayed() -> None:
    with backend() as b:
        s = session(b)
        b.agent.reply(b.send(s, Outgoing("m", "help")).conversation_id, "coming")
        back = opened(b, session=s)
        assert back.replay == ()
        assert texts(opened(b, session=s, cursor=back.welcome.cursor)) == []


def test_every_session_is_told_all_messages_in_one_order_and_which_are_its_own() -> None:
    with backend() as b:
        first, second = opened(b), opened(b)
        b.send(first.welcome.session, Outgoing("m1", "from the first"))
        b.send(second.welcome.session, Outgoing("m2", "from the second"))
        for tab, own in ((first, [True, False]), (second, [False, True])):
            back = opened(b, session=tab.welcome.session, cursor=tab.welcome.cursor)
            assert texts(back) == ["from the first", "from the second"]
            assert [event.own for event in back.replay] == own
            assert [event.message.client_message_id for event in back.replay] == ["m1", "m2"]
            assert back.welcome.unread == 0, "what they have written themselves"


def test_nothing_of_anybody_else_is_replayed() -> None:
    with backend() as b:
        mine = opened(b)
        b.send(session(b, "secret-2"), Outgoing("m", "of another visitor"))
        session(b, user="ann")
        b.agent.reply(SignedIn("ann"), "for ann")
        assert texts(opened(b, session=mine.welcome.session, cursor=mine.welcome.cursor)) == []
        assert texts(opened(b, cursor="0")) == []


def test_after_the_merge_the_user_is_told_and_the_retired_visitors_secret_is_not() -> None:
    with backend() as b:
        first = opened(b)
        s, cursor = first.welcome.session, first.welcome.cursor
        conversation = b.send(s, Outgoing("m", "help")).conversation_id
        b.identify(s, IdentifyRequest("i", "ann", "secret-1", token("ann")))
        b.agent.reply(conversation, "for ann only")
        assert texts(opened(b, user="ann", session=s, cursor=cursor)) == [
            "help",
            "for ann only",
        ]
        assert texts(opened(b, cursor=cursor)) == []


def test_what_can_no_longer_be_replayed_is_a_gap() -> None:
    with backend() as b:
        first = opened(b)
        s = first.welcome.session
        conversation = b.send(s, Outgoing("m", "help")).conversation_id
        b.agent.reply(conversation, "lost")
        b.faults.drop_history()
        kept = opened(b, session=s).welcome.cursor
        b.agent.reply(conversation, "kept")
        old = opened(b, session=s, cursor=first.welcome.cursor)
        assert (old.welcome.gap, texts(old)) == (True, ["kept"])
        new = opened(b, session=s, cursor=kept)
        assert (new.welcome.gap, texts(new)) == (False, ["kept"])
        assert [c.messages for c in b.conversations(s)] == [3], (
            "the conversation itself forgets nothing"
        )


@pytest.mark.parametrize("cursor", ["99", "-1", "x", "", "9" * 40, "١"])
def test_a_cursor_this_backend_never_gave_out_is_a_gap_and_no_error(cursor: str) -> None:
    with backend() as b:
        s = session(b)
        b.agent.reply(b.send(s, Outgoing("m", "help")).conversation_id, "coming")
        back = opened(b, session=s, cursor=cursor)
        assert (back.welcome.gap, back.replay) == (True, ())
