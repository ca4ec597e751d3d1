"""What a request costs does not grow with what is stored: the same work is done for one who has
written a hundred messages and for one who has written a hundred thousand.

Work is counted in steps of SQLite's machine, and in how it goes about each statement; never timed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

import pytest

from long_history import SECRET, WIDGET, LongHistory, long_history
from support_chat.ports import Credentials, IdentifyRequest, MessageArrived, Outgoing
from support_chat_adapters.backend import Backend, WidgetRules, conversations, operations, stream

FEW, MANY = (100, 10), (100_000, 10_000)
MOST = 1.5
"""How many times as much a request may cost with a thousand times the history."""

Request = Callable[[LongHistory], object]


def asked(history: LongHistory, what: operations.Asked[Any]) -> object:
    return asyncio.run(history.backend.ask(what))


def conversation_page(history: LongHistory) -> object:
    return asked(
        history,
        operations.reading(
            "conversations",
            history.session,
            lambda db, owner: conversations.conversation_page(db, owner, None, 10),
        ),
    )


def message_page(history: LongHistory) -> object:
    return asked(
        history,
        operations.reading(
            "messages",
            history.session,
            lambda db, owner: conversations.message_page(db, owner, "c-3", None, 50),
        ),
    )


def replayed(history: LongHistory) -> object:
    async def read_some() -> list[object]:
        connection = history.backend.attach(history.session, "10")
        try:
            return [await connection.next() for _ in range(80)]
        finally:
            connection.close("goodbye")

    return asyncio.run(read_some())


NUMBERS = count()
REQUESTS: dict[str, Request] = {
    "a boot": lambda h: h.backend.open(Credentials(**WIDGET, visitor=SECRET)),
    "coming back": lambda h: h.backend.open(
        Credentials(**WIDGET, visitor=SECRET, session=h.session, cursor="10")
    ),
    "80 messages of a replay": replayed,
    "a message": lambda h: h.backend.send(
        h.session, Outgoing(f"id-{next(NUMBERS)}", "hello", h.conversation)
    ),
    "a message sent again": lambda h: h.backend.send(h.session, Outgoing("first", "hello")),
    "a new conversation": lambda h: h.backend.send(
        h.session, Outgoing(f"id-{next(NUMBERS)}", "hello")
    ),
    "an agent's answer": lambda h: h.backend.agent.reply(h.conversation, "hello"),
    "an agent's answer to a person": lambda h: h.backend.agent.reply(
        h.backend.agent.visitors()[0], "hello"
    ),
    "an agent's answer given again": lambda h: h.backend.agent.answer(
        h.conversation, "hello", answer_id="once"
    ),
    "the newest conversation of all": lambda h: h.backend.agent.newest(),
    "a page of the inbox": lambda h: h.backend.agent.inbox(limit=10),
    "a page of those who wait": lambda h: h.backend.agent.inbox(waiting=True, limit=10),
    "a conversation of the inbox": lambda h: h.backend.agent.listed(h.conversation),
    "its last messages": lambda h: h.backend.agent.history("c-3", limit=10),
    "what has arrived": lambda h: h.backend.agent.arrivals("message-2"),
    "a page of conversations": conversation_page,
    "a page of messages": message_page,
    "one conversation": lambda h: asked(
        h,
        operations.reading(
            "conversations",
            h.session,
            lambda db, owner: conversations.conversation(db, owner, "c-3"),
        ),
    ),
    "marking read": lambda h: h.backend.mark_read(h.session, "c-5"),
    "marking read again": lambda h: h.backend.mark_read(h.session, "c-5"),
    "an update": lambda h: h.backend.update(h.session, {"context.page": "/pricing"}),
    "a look around": lambda h: h.backend.look_around(),
    "an end": lambda h: h.backend.revoke(
        h.backend.open(Credentials(**WIDGET, visitor=SECRET)).welcome.session
    ),
}


@pytest.fixture(scope="module")
def histories() -> Generator[dict[tuple[int, int], LongHistory], None, None]:
    with long_history(*FEW) as few, long_history(*MANY) as many:
        yield {FEW: few, MANY: many}


def steps(history: LongHistory, request: Request) -> int:
    with history.store.watched():
        request(history)
    return history.store.steps


@pytest.mark.parametrize("name", REQUESTS)
def test_a_thousand_times_the_history_costs_no_more_steps(
    name: str, histories: dict[tuple[int, int], LongHistory]
) -> None:
    few, many = (steps(histories[size], REQUESTS[name]) for size in (FEW, MANY))
    assert 0 < many <= MOST * few, (name, few, many)


@pytest.mark.parametrize("name", REQUESTS)
def test_no_table_is_read_from_end_to_end(
    name: str, histories: dict[tuple[int, int], LongHistory]
) -> None:
    history = histories[MANY]
    with history.store.watched():
        REQUESTS[name](history)
    plans = history.store.plans()
    assert plans
    harmless = ("SCAN replay", "SCAN visitors") if "to a person" in name else ("SCAN replay",)
    scans = [plan for plan in plans if "SCAN" in plan[1] and not plan[1].startswith(harmless)]
    sorts = [plan for plan in plans if "TEMP B-TREE" in plan[1] and "visitors" not in plan[0]]
    assert (scans, sorts) == ([], [])


def test_the_whole_replay_costs_as_many_steps_a_message_for_a_long_one_as_for_a_short_one() -> None:
    """Some pages and all of it: what is read for a page does not depend on what is left."""

    async def read(history: LongHistory, messages: int) -> int:
        with history.store.watched():
            connection = history.backend.attach(history.session, "1")
            came = [await connection.next() for _ in range(messages)]
        connection.close("goodbye")
        assert [
            stream.number_in(event.cursor) for event in came if isinstance(event, MessageArrived)
        ] == list(range(2, messages + 2))
        return history.store.steps

    with long_history(1_000, 100) as few, long_history(20_000, 2_000) as many:
        short, long = asyncio.run(read(few, 1_000)), asyncio.run(read(many, 20_000))
    assert long / 20 <= MOST * short


def test_a_link_reads_no_further_than_its_client() -> None:
    """However much was missed, what waits in memory for a client who takes nothing is a page."""

    async def attach(history: LongHistory) -> int:
        with history.store.watched():
            connection = history.backend.attach(history.session, "1")
            await asyncio.sleep(0)
        assert len(await connection.ready()) <= stream.AT_ONCE
        connection.close("goodbye")
        return history.store.steps

    with long_history(*MANY) as history:
        once, *others = [asyncio.run(attach(history)) for _ in range(3)]
        assert max(others) <= MOST * once


def test_what_others_have_stored_costs_nothing() -> None:
    with long_history(100, 10) as history:
        alone = {name: steps(history, request) for name, request in REQUESTS.items()}
        for number in range(200):
            other = history.backend.open(Credentials(**WIDGET, visitor=f"other-{number}")).welcome
            for turn in range(5):
                history.backend.send(other.session, Outgoing(f"o-{turn}", "hello"))
        with long_history(100, 10) as fresh:
            for name, request in REQUESTS.items():
                if "to a person" not in name:  # it lists everybody first
                    among = steps(history, request)
                    assert among <= MOST * max(alone[name], steps(fresh, request)), name


def test_a_merge_costs_what_the_visitor_has_and_not_what_the_user_has() -> None:
    def merged(messages: int) -> int:
        with long_history(messages, messages // 10) as history:
            rules = WidgetRules(jwt_required_for_identified_users=False)
            with Backend(history.store, **WIDGET, rules=rules) as backend:
                for secret in ("first", "second"):
                    welcome = backend.open(Credentials(**WIDGET, visitor=secret)).welcome
                    backend.send(welcome.session, Outgoing("m", "hello"))
                    request = IdentifyRequest(secret, "ann", secret, None)
                    with history.store.watched():
                        assert backend.identify(welcome.session, request).conversations_moved == 1
                    if secret == "first":
                        history.store.fill("user:ann", messages, messages // 10, "ann")
                return history.store.steps

    assert merged(10_000) <= MOST * merged(100)
