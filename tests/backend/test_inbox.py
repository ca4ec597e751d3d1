"""What agents see and write: who waits and since when, pages that neither repeat nor skip, answers
that are stored once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from support_chat.errors import InvalidInputError
from support_chat.ports import Credentials, IdentifyRequest, Outgoing
from support_chat.values import SignedIn, Visitor
from support_chat_adapters.backend import Backend, Listed, WidgetRules

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


class Desk:
    """A backend whose clock moves on by a second with each look, and people who write to it."""

    def __init__(self) -> None:
        self.seconds = count(1)
        self.backend = Backend(
            **WIDGET,
            rules=WidgetRules(jwt_required_for_identified_users=False),
            clock=lambda: float(next(self.seconds)),
        )
        self.agent = self.backend.agent
        self.ids = count()

    def comes(self, secret: str) -> str:
        """The session of a visitor."""
        return self.backend.open(Credentials(**WIDGET, visitor=secret)).welcome.session

    def writes(self, session: str, text: str = "help", conversation: str | None = None) -> str:
        """The conversation in which it is now."""
        outgoing = Outgoing(f"id-{next(self.ids)}", text, conversation)
        return self.backend.send(session, outgoing).conversation_id

    def listed(self, conversation: str) -> Listed:
        one = self.agent.listed(conversation)
        assert one is not None
        return one

    def order(self, **how: Any) -> list[str]:
        """All conversations of the inbox, by pages."""
        found: list[str] = []
        page = self.agent.inbox(**how)
        while page.next_cursor is not None:
            found += [one.conversation.id for one in page.items]
            page = self.agent.inbox(**how, after=page.next_cursor)
        return [*found, *(one.conversation.id for one in page.items)]


@pytest.fixture
def desk() -> Generator[Desk, None, None]:
    one = Desk()
    with one.backend:
        yield one


def test_a_conversation_waits_from_the_first_message_that_no_answer_came_after(desk: Desk) -> None:
    ann = desk.comes("a")
    conversation = desk.writes(ann, "one")

    def said() -> list[tuple[str, float]]:
        history = desk.agent.messages(conversation)
        return [(message.text, message.created_at) for message in history]

    for story, unanswered, waits_for in (
        ("", 1, "one"),
        ("c two", 2, "one"),
        ("a answer", 0, None),
        ("a another", 0, None),
        ("c three", 1, "three"),
        ("c four", 2, "three"),
        ("a last", 0, None),
    ):
        who, _, text = story.partition(" ")
        if who == "c":
            desk.writes(ann, text, conversation)
        elif who == "a":
            desk.agent.reply(conversation, text)
        one = desk.listed(conversation)
        since = None if waits_for is None else dict(said())[waits_for]
        assert (one.unanswered, one.waiting_since) == (unanswered, since), story
        assert one.last.text == said()[-1][0]
        assert isinstance(one.owner, Visitor)
    assert desk.order(waiting=True) == []


def test_the_latest_come_first_or_those_who_have_waited_longest(desk: Desk) -> None:
    ann, ben = desk.comes("a"), desk.comes("b")
    first, second, third = desk.writes(ann), desk.writes(ben), desk.writes(ann)
    assert desk.order(limit=2) == [third, second, first]
    assert desk.order(limit=2, waiting=True) == [first, second, third]
    desk.writes(ann, "still here", first)
    assert desk.order(limit=1) == [first, third, second]
    assert desk.order(limit=1, waiting=True) == [first, second, third]
    desk.agent.reply(second, "yes")
    assert desk.order(limit=1) == [second, first, third]
    assert desk.order(limit=1, waiting=True) == [first, third]
    desk.writes(ben, "and more", second)
    assert desk.order(limit=5, waiting=True) == [first, third, second]


def test_a_page_goes_on_where_the_one_before_ended_whatever_is_written_meanwhile(
    desk: Desk,
) -> None:
    conversations = [desk.writes(desk.comes(f"v-{number}")) for number in range(9)]
    latest_first = conversations[::-1]
    page = desk.agent.inbox(limit=4)
    assert [one.conversation.id for one in page.items] == latest_first[:4]
    desk.agent.reply(latest_first[8], "now it is the latest")
    later = [
        one.conversation.id for one in desk.agent.inbox(after=page.next_cursor, limit=50).items
    ]
    assert later == latest_first[4:8], "nothing is repeated, and what moved up was told of before"

    page = desk.agent.inbox(waiting=True, limit=4)
    assert [one.conversation.id for one in page.items] == conversations[1:5]
    desk.agent.reply(conversations[1], "answered")
    desk.agent.reply(conversations[5], "answered")
    page = desk.agent.inbox(waiting=True, after=page.next_cursor, limit=50)
    assert [one.conversation.id for one in page.items] == conversations[6:]
    assert page.next_cursor is None


def test_the_last_messages_are_shown_and_those_before_them_page_by_page(desk: Desk) -> None:
    ann = desk.comes("a")
    conversation = desk.writes(ann, "0")
    desk.writes(desk.comes("b"), "of somebody else")
    for number in range(1, 8):
        desk.writes(ann, str(number), conversation)
    page = desk.agent.history(conversation, limit=3)
    pages = [[message.text for message in page.items]]
    while page.next_cursor is not None:
        page = desk.agent.history(conversation, before=page.next_cursor, limit=3)
        pages.append([message.text for message in page.items])
    assert pages == [["5", "6", "7"], ["2", "3", "4"], ["0", "1"]]


def test_an_answer_is_stored_once_for_its_id(desk: Desk) -> None:
    ann = desk.comes("a")
    conversation, other = desk.writes(ann), desk.writes(ann)
    first = desk.agent.answer(conversation, "yes", answer_id="t-1")
    again = desk.agent.answer(conversation, "yes", answer_id="t-1")
    assert (first.again, again.again) == (False, True)
    assert first.message == again.message
    assert desk.agent.answer(conversation, "yes", answer_id="t-2").again is False
    assert desk.agent.answer(conversation, "yes").again is False
    assert len(desk.agent.messages(conversation)) == 4
    assert desk.backend.log.count("replied") == 3
    for to, text in ((conversation, "no"), (other, "yes")):
        with pytest.raises(InvalidInputError, match=r"t-1.*another answer; choose another id"):
            desk.agent.answer(to, text, answer_id="t-1")
    with pytest.raises(InvalidInputError, match="answer_id"):
        desk.agent.answer(conversation, "yes", answer_id=" ")
    assert len(desk.agent.messages(conversation)) == 4
    assert len(desk.agent.messages(other)) == 1


def test_an_answer_keeps_its_id_when_the_visitor_becomes_a_user(desk: Desk) -> None:
    session = desk.comes("a")
    conversation = desk.writes(session)
    (visitor,) = desk.agent.visitors()
    first = desk.agent.answer(visitor, "yes", answer_id="t-1")
    desk.backend.identify(session, IdentifyRequest("i", "ann", "a", None))
    for to in (visitor, conversation, SignedIn("ann")):
        again = desk.agent.answer(to, "yes", answer_id="t-1")
        assert (again.again, again.message) == (True, first.message), to
    assert desk.listed(conversation).owner == SignedIn("ann")


def test_nobodys_own_message_is_taken_for_an_answer_of_the_same_id(desk: Desk) -> None:
    session = desk.comes("a")
    conversation = desk.writes(session)
    desk.agent.answer(conversation, "yes", answer_id="same")
    sent = desk.backend.send(session, Outgoing("same", "mine", conversation))
    assert (sent.text, sent.author) == ("mine", "visitor")
    assert desk.agent.duplicates() == 0


def test_of_agents_who_give_one_answer_at_once_one_stores_it(tmp_path: Path) -> None:
    path, agents = tmp_path / "chat.db", 4
    with Backend(path, **WIDGET) as backend:
        session = backend.open(Credentials(**WIDGET, visitor="a")).welcome.session
        conversation = backend.send(session, Outgoing("m", "help")).conversation_id
    together = Barrier(agents, timeout=60)

    def work(_: int) -> tuple[bool, str]:
        with Backend(path, **WIDGET) as mine:
            together.wait()
            answered = mine.agent.answer(conversation, "yes", answer_id="t-1")
            return answered.again, answered.message.id

    with ThreadPoolExecutor(agents) as pool:
        told = list(pool.map(work, range(agents)))
    assert sorted(again for again, _ in told) == [False, True, True, True]
    assert len({id for _, id in told}) == 1


def test_what_arrives_is_what_visitors_and_users_write_each_once_and_in_order(desk: Desk) -> None:
    ann = desk.comes("a")
    conversation = desk.writes(ann, "before")
    page = desk.agent.arrivals()
    assert page.items == ()
    written = [f"{number}" for number in range(250)]
    for text in written:
        desk.writes(ann, text, conversation)
        desk.agent.reply(conversation, "yes")
    came: list[str] = []
    for _ in range(20):
        page = desk.agent.arrivals(page.next_cursor)
        came += [message.text for message in page.items]
    assert came == written
    again = desk.agent.arrivals(page.next_cursor)
    assert (again.items, again.next_cursor) == ([], page.next_cursor)


def test_what_is_no_messages_id_is_refused(desk: Desk) -> None:
    conversation = desk.writes(desk.comes("a"))
    asked: tuple[Callable[[str], object], ...] = (
        lambda id: desk.agent.inbox(after=id),
        lambda id: desk.agent.inbox(waiting=True, after=id),
        lambda id: desk.agent.history(conversation, before=id),
        desk.agent.arrivals,
    )
    for wrong in ("", "12", "message-", "message-x", "message-١", "message-" + "9" * 30):
        for ask in asked:
            with pytest.raises(InvalidInputError, match="no message's id"):
                ask(wrong)
    for nobodys in ("", "conversation-0", "\0", "\ud800"):
        assert desk.agent.listed(nobodys) is None
