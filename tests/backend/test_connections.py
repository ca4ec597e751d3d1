"""One link: how it passes from what was missed to what is live, and what it withholds; every order
of pages, news and readers that a store can bring about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import attrs
import pytest
from hypothesis import example, given, strategies as st

from support_chat.errors import NetworkError
from support_chat.ports import LinkEvent, MessageArrived, SessionRevoked, TokenExpired, Welcome
from support_chat.testing import run
from support_chat.values import Message
from support_chat_adapters.backend import Connection, Opened
from support_chat_adapters.backend.connections import MAX_BEHIND, ROOM
from support_chat_adapters.backend.sessions import Session
from support_chat_adapters.backend.stream import Replay, Stored, number_in
from support_chat_adapters.transport.channels import Events

SESSION = Session(1, "visitor-1", "ann", 100.0)


def arrived(number: int, text: str = "") -> MessageArrived:
    message = Message(f"message-{number}", "conversation-1", "agent", text, 0.0)
    return MessageArrived(message, f"epoch.{number}", 0)


def news(number: int, text: str = "") -> Stored:
    return Stored(number, "user:ann", None, arrived(number, text))


def numbers(events: list[LinkEvent]) -> list[int]:
    return [number_in(event.cursor) for event in events if isinstance(event, MessageArrived)]


@attrs.define
class Storeroom:
    """Messages up to a number, of which a page holds two; a page is read when `turn` is called."""

    stored: int = 0
    long: str = ""
    waiting: list[Callable[[], None]] = attrs.field(factory=list[Callable[[], None]])

    def page(self, after: int) -> Replay:
        found = range(after + 1, self.stored + 1)[:2]
        up_to = found[-1] if found else after
        return Replay(tuple(map(self.message, found)), up_to, more=len(found) == 2)

    def message(self, number: int) -> MessageArrived:
        return arrived(number, self.long)

    async def read_on(self, _: Session, after: int) -> Replay:
        answer: asyncio.Future[Replay] = asyncio.get_running_loop().create_future()
        page: list[Replay] = []

        def go() -> None:
            if page:
                answer.set_result(page[0])
            else:
                page.append(self.page(after))
                self.waiting.append(go)

        self.waiting.append(go)
        return await answer


def link(room: Storeroom, now: Callable[[], float] = lambda: 0.0) -> Connection:
    first = room.page(0)
    opened = Opened(Welcome("session-1.x", "visitor-1", "ann", cursor="epoch.0"), first, SESSION, 0)
    return Connection(opened, room.read_on, lambda connection, why: None, now)


@given(st.lists(st.sampled_from(["stored", "turn", "taken"]), max_size=40), st.integers(0, 7))
@example(["taken", "taken", "turn", "stored", "turn"], 3)
def test_each_message_comes_once_and_in_order_however_pages_and_news_meet(
    steps: list[str], missed: int
) -> None:
    async def main() -> None:
        room = Storeroom(missed)
        connection = link(room)
        came: list[LinkEvent] = []

        async def take() -> None:
            async for event in Events(connection.next):
                came.append(event)
                await allowed.acquire()

        allowed = asyncio.Semaphore(0)
        reader = asyncio.ensure_future(take())
        for step in steps:
            if step == "stored":
                room.stored += 1
                connection.push_message(news(room.stored))
            elif step == "taken":
                allowed.release()
            elif room.waiting:
                room.waiting.pop(0)()
            for _ in range(4):
                await asyncio.sleep(0)
        for _ in range(4 * room.stored + 8):
            allowed.release()
            if room.waiting:
                room.waiting.pop(0)()
            for _ in range(4):
                await asyncio.sleep(0)
        assert numbers(came) == list(range(1, room.stored + 1))
        connection.close("goodbye")
        with pytest.raises(NetworkError):
            await reader

    run(main())


def test_a_client_that_takes_nothing_while_many_messages_come_is_cut() -> None:
    async def main() -> None:
        slow, slower, behind = link(Storeroom()), link(Storeroom()), link(Storeroom(10))
        for number in range(11, 11 + 2 * MAX_BEHIND):
            for connection in (slow, slower, behind):
                connection.push_message(news(number))
            if number % 500 == 0:
                await slow.ready()
        assert not slow.is_closed
        assert {slower.closed_because, behind.closed_because} == {"slow_reader"}

    run(main())


def test_what_waits_in_memory_is_bounded_and_the_rest_is_read_when_its_turn_comes() -> None:
    """Long messages fill an outbox, and its link is behind again until it is read."""

    async def main() -> None:
        room = Storeroom(long="x" * (ROOM // 4))
        connection = link(room)
        for number in range(1, 21):
            room.stored = number
            connection.push_message(news(number, room.long))
        assert numbers(await connection.ready()) == [1, 2, 3, 4]
        came: list[LinkEvent] = []
        while len(came) < 16:
            reading = asyncio.ensure_future(connection.ready())
            await asyncio.sleep(0)
            for turn in room.waiting * 2:
                turn()
            room.waiting.clear()
            came += await reading
        assert numbers(came) == list(range(5, 21))

    run(main())


def test_after_the_token_has_expired_no_message_is_handed_out_until_it_is_renewed() -> None:
    async def main() -> None:
        now = 0.0
        room = Storeroom(3)
        connection = link(room, lambda: now)
        assert numbers([await connection.next()]) == [1]
        now = 100.0
        assert connection.withholds
        connection.tell_expired()
        connection.tell_expired()
        assert await connection.ready() == [TokenExpired()]
        assert await connection.ready() == []
        assert connection.cursor == "epoch.1", "a replay has to begin after what was handed out"
        waiting = asyncio.ensure_future(connection.next())
        await asyncio.sleep(1)
        assert (waiting.done(), room.waiting) == (False, []), "nothing is read, either"
        connection.change(attrs.evolve(SESSION, token_expires=200.0))
        assert numbers([await waiting]) == [2]
        assert not connection.expiry_sent

    run(main())


def test_the_end_goes_past_what_is_withheld_and_past_what_was_not_read_yet() -> None:
    async def main() -> None:
        for now in (0.0, 100.0):
            connection = link(Storeroom(9), lambda now=now: now)  # type: ignore[misc]
            connection.finish(SessionRevoked())
            came = await connection.ready()
            assert came[-1] == SessionRevoked()
            assert numbers(came) == ([] if now else [1, 2])
            with pytest.raises(NetworkError):
                await connection.next()

    run(main())
