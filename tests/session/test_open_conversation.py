"""A conversation that is held on to: what is sent into it goes there in order, and its timeline
tells each message once, whatever becomes of links, answers, pages and other tabs.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat import (
    AnyEvent,
    AuthChanged,
    BackendRejectedError,
    Gap,
    InvalidInputError,
    Item,
    Message,
    NetworkError,
    OpenConversation,
    Phase,
    Settings,
    SupportChat,
)
from support_chat.ports import MessageArrived, Welcome
from support_chat.testing import RecordingStorage, RecordingTransport, run
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
SECRET = "a secret of the widget, long enough"


def token(user_id: str) -> str:
    return sign_identity_token(user_id, SECRET, **WIDGET)


class Reader:
    """Reads a timeline, and says what it was told."""

    def __init__(
        self,
        conversation: OpenConversation,
        *,
        mark_read: bool = False,
        until: type[AnyEvent] | None = None,
    ) -> None:
        self.told: list[Item] = []
        timeline = conversation.timeline(mark_read=mark_read, until=until)
        self.task = asyncio.create_task(self._read(timeline))

    async def _read(self, timeline: AsyncGenerator[Item, None]) -> None:
        async for item in timeline:
            self.told.append(item)

    @property
    def texts(self) -> list[str]:
        return [item.text if isinstance(item, Message) else "(gap)" for item in self.told]


@asynccontextmanager
async def tabs(number: int = 1) -> AsyncGenerator[tuple[Backend, list[SupportChat]]]:
    """So many booted sessions of one visitor, on the reference backend."""
    storage = MemoryStorage()
    with Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)]) as backend:
        transport = LoopbackTransport(backend)
        chats = [SupportChat(**WIDGET, transport=transport, storage=storage) for _ in range(number)]
        for chat in chats:
            await chat.boot()
        yield backend, chats
        for chat in chats:
            await chat.destroy()


# --- sending --------------------------------------------------------------------------------------


@in_virtual_time
async def test_its_first_message_begins_it_and_those_that_do_not_wait_follow_in_order() -> None:
    async with tabs() as (backend, [chat]):
        conversation, other = chat.conversation(), chat.conversation()
        assert conversation.id is None
        reader = Reader(conversation)
        calls = [conversation.send(str(number)) for number in range(12)]
        other.send("elsewhere")
        sent = [await call for call in calls]
        assert {message.conversation_id for message in sent} == {conversation.id}
        await other.send("again")
        assert other.id != conversation.id
        await conversation.send("12")
        await asyncio.sleep(1)
        assert reader.texts == [str(number) for number in range(13)]
        assert len(backend.agent.conversations()) == 2


@in_virtual_time
async def test_those_behind_a_first_message_that_is_refused_fail_with_it() -> None:
    transport = RecordingTransport()
    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot()
        transport.fail_next("send", BackendRejectedError("No.", code="message_invalid"))
        conversation = chat.conversation()
        calls = [conversation.send(text) for text in ("first", "second")]
        for call in calls:
            with pytest.raises(BackendRejectedError):
                await call
        assert conversation.id is None
        assert len(transport.log.of("link.send")) == 1


@in_virtual_time
async def test_what_has_not_begun_has_no_messages_and_what_has_has_pages_of_them() -> None:
    async with tabs() as (_, [chat]):
        conversation = chat.conversation()
        await conversation.mark_read()
        assert await conversation.messages() == ()
        with pytest.raises(InvalidInputError, match="conversation_id"):
            chat.conversation("")
        await conversation.send("one")
        await conversation.send("two")
        [last] = await conversation.messages(limit=1)
        assert last.text == "two"
        assert [each.text for each in await conversation.messages(before=last.id)] == ["one"]


# --- the newest one -------------------------------------------------------------------------------


@in_virtual_time
async def test_the_newest_conversation_is_the_one_that_has_begun_last() -> None:
    async with tabs() as (_, [chat]):
        for text in ("old", "new"):
            await chat.send_message(text)
            await asyncio.sleep(1)
        conversation = await chat.newest_conversation()
        await conversation.send("newer")
        assert [each.text for each in await conversation.messages()] == ["new", "newer"]


@in_virtual_time
async def test_where_there_is_none_all_who_ask_begin_one_together() -> None:
    async with tabs() as (backend, [chat]):
        asked = [await chat.newest_conversation() for _ in range(3)]
        reader = Reader(await chat.newest_conversation())
        calls = [each.send(str(number)) for number, each in enumerate(asked)]
        for call in calls:
            await call
        await asyncio.sleep(1)
        assert len(backend.agent.conversations()) == 1
        assert reader.texts == ["0", "1", "2"]
        assert (await chat.newest_conversation()).id == asked[0].id


@in_virtual_time
async def test_one_that_has_not_begun_is_whichever_begins_elsewhere() -> None:
    async with tabs(2) as (backend, [chat, other_tab]):
        conversation, not_it = await chat.newest_conversation(), chat.conversation()
        reader = Reader(conversation)
        begun = await other_tab.send_message("hello")
        await asyncio.sleep(1)
        backend.agent.reply(begun.conversation_id, "yes?")
        await conversation.send("it is me")
        await asyncio.sleep(1)
        assert (conversation.id, not_it.id) == (begun.conversation_id, None)
        assert reader.texts == ["hello", "yes?", "it is me"]


@in_virtual_time
async def test_while_its_first_message_is_on_its_way_it_is_no_other() -> None:
    transport = RecordingTransport()

    def arrived(conversation_id: str) -> MessageArrived:
        message = Message(f"of {conversation_id}", conversation_id, "agent", "Hello", 0.0)
        return MessageArrived(message, conversation_id)

    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot()
        conversation = await chat.newest_conversation()
        transport.hold("send")
        call = conversation.send("first")
        await asyncio.sleep(1)
        transport.link.emit(arrived("c1"))
        await asyncio.sleep(1)
        assert conversation.id is None
        transport.waiting("send")[0].fail(BackendRejectedError("No.", code="message_invalid"))
        with pytest.raises(BackendRejectedError):
            await call
        transport.link.emit(arrived("c2"))
        await asyncio.sleep(1)
        assert conversation.id == "c2", "nothing of its own is on its way any more"


@in_virtual_time
async def test_somebody_else_begins_another_one() -> None:
    async with tabs() as (_, [chat]):
        of_the_visitor = await chat.newest_conversation()
        await chat.become({"id": "ann"}, token_provider=token)
        of_ann = await chat.newest_conversation()
        assert of_ann is not of_the_visitor
        assert of_ann is await chat.newest_conversation()


# --- reading --------------------------------------------------------------------------------------


@in_virtual_time
async def test_the_past_comes_in_pages_and_then_whatever_anybody_says() -> None:
    async with tabs(2) as (backend, [chat, other_tab]):
        first = await chat.send_message("0")
        for number in range(1, 250):
            backend.agent.reply(first.conversation_id, str(number))
        conversation = chat.conversation(first.conversation_id)
        reader = Reader(conversation)
        await conversation.send("250")
        await other_tab.send_message("251", first.conversation_id)
        await chat.send_message("of another conversation")
        backend.agent.reply(first.conversation_id, "252")
        await asyncio.sleep(5)
        assert reader.texts == [str(number) for number in range(253)]


@in_virtual_time
async def test_mark_read_reads_what_was_told_and_not_what_has_come_since() -> None:
    async with tabs() as (backend, [chat]):
        first = await chat.send_message("hello")
        backend.agent.reply(first.conversation_id, "one")
        conversation = chat.conversation(first.conversation_id)
        timeline = conversation.timeline()
        assert [(await anext(timeline)), (await anext(timeline))]
        backend.agent.reply(first.conversation_id, "two")
        await asyncio.sleep(1)
        assert chat.unread == 2
        for _ in range(2):
            await conversation.mark_read()
            await asyncio.sleep(1)
            assert chat.unread == 1
        await anext(timeline)
        await conversation.mark_read()
        await asyncio.sleep(1)
        assert chat.unread == 0
        await timeline.aclose()


@in_virtual_time
async def test_a_timeline_that_marks_read_does_so_once_for_a_page_and_for_each_that_comes() -> None:
    async with tabs() as (backend, [chat]):
        first = await chat.send_message("hello")
        for number in range(30):
            backend.agent.reply(first.conversation_id, str(number))
        await asyncio.sleep(1)
        assert chat.unread == 30
        requests = backend.log.count("mark_read")
        reader = Reader(chat.conversation(first.conversation_id), mark_read=True)
        await asyncio.sleep(1)
        assert (len(reader.told), chat.unread) == (31, 0)
        assert backend.log.count("mark_read") == requests + 1
        backend.agent.reply(first.conversation_id, "one more")
        await chat.send_message("an own one", first.conversation_id)
        await asyncio.sleep(1)
        assert chat.unread == 0
        assert backend.log.count("mark_read") == requests + 2


@in_virtual_time
async def test_a_mark_that_no_link_carried_is_made_up_for_by_the_next() -> None:
    transport = RecordingTransport()
    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot()
        transport.answer_next("messages", [Message("m1", "c", "agent", "one", 1.0)])
        transport.hold("mark_read")
        reader = Reader(chat.conversation("c"), mark_read=True)
        await asyncio.sleep(1)
        assert not transport.log.of("link.mark_read"), "nothing is unread as far as it is told"
        transport.link.emit(MessageArrived(Message("m1", "c", "agent", "one", 1.0), "1", unread=1))
        await asyncio.sleep(1)
        transport.answer_next("open", Welcome("session", "visitor 1", unread=1, cursor="1"))
        transport.hold("open")
        transport.link.lose()
        await asyncio.sleep(30)
        transport.release("mark_read", "open")
        await asyncio.sleep(30)
        marked = [call.request.up_to for call in transport.log.of("link.mark_read")]
        assert marked == ["m1", "m1"]
        assert reader.texts == ["one"]


@in_virtual_time
async def test_a_timeline_goes_on_where_there_is_no_room_for_another_mark() -> None:
    transport = RecordingTransport()
    async with SupportChat(
        **WIDGET, transport=transport, storage=RecordingStorage(), settings=Settings(outbox_size=1)
    ) as chat:
        await chat.boot()
        transport.hold("mark_read")
        await chat.mark_read("another", "m")
        reader = Reader(chat.conversation("c"), mark_read=True)
        await asyncio.sleep(1)
        for number in (1, 2):
            said = Message(f"m{number}", "c", "agent", f"{number}", float(number))
            transport.link.emit(MessageArrived(said, f"{number}", unread=number))
        await asyncio.sleep(1)
        assert reader.texts == ["1", "2"]
        transport.release("mark_read")
        await asyncio.sleep(30)
        said = Message("m3", "c", "agent", "3", 3.0)
        transport.link.emit(MessageArrived(said, "3", unread=3))
        await asyncio.sleep(1)
        marked = [call.request.up_to for call in transport.log.of("link.mark_read")]
        assert marked[-1] == "m3"


@in_virtual_time
async def test_a_timeline_ends_with_what_it_is_told_to_end_with() -> None:
    async with tabs() as (backend, [chat]):
        sent = await chat.send_message("one")
        conversation = chat.conversation(sent.conversation_id)
        on, ended = Reader(conversation), Reader(conversation, until=AuthChanged)
        await asyncio.sleep(1)
        await chat.identify(user={"id": "ann"}, token_provider=token)
        async with asyncio.timeout(10):
            await ended.task
        backend.agent.reply(sent.conversation_id, "two")
        await asyncio.sleep(1)
        assert (on.texts, ended.texts) == (["one", "two"], ["one"])


@in_virtual_time
async def test_what_a_gap_left_out_is_loaded_and_what_nobody_has_is_told_as_a_gap() -> None:
    def stored(number: int) -> Message:
        return Message(f"m{number}", "c", "agent", str(number), 0.0)

    transport = RecordingTransport()
    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot()
        transport.answer_next("messages", [stored(1), stored(2)])
        reader = Reader(chat.conversation("c"))
        await asyncio.sleep(1)
        for page, replay in (([stored(2), stored(3), stored(4)], 4), ([stored(7)], 8)):
            transport.answer_next("open", Welcome("session", "visitor 1", gap=True, cursor="9"))
            transport.answer_next("messages", page)
            transport.link.lose()
            await asyncio.sleep(60)
            transport.link.emit(MessageArrived(stored(replay), str(replay)))
            await asyncio.sleep(1)
        assert reader.texts == ["1", "2", "3", "4", "(gap)", "7", "8"]
        assert reader.told[4] == Gap()


@in_virtual_time
async def test_it_waits_for_a_session_and_ends_with_it() -> None:
    async with tabs() as (_, [chat]):
        sent = await chat.send_message("one")
        conversation = chat.conversation(sent.conversation_id)
        await chat.shutdown()
        reader = Reader(conversation)
        await asyncio.sleep(5)
        assert not reader.task.done()
        await chat.boot()
        await asyncio.sleep(5)
        assert reader.texts == ["one"]
        await chat.shutdown()
        await reader.task


@in_virtual_time
async def test_a_conversation_that_is_not_theirs_is_told_and_a_page_that_fails_comes_later() -> (
    None
):
    async with tabs() as (_, [chat]):
        reader = Reader(chat.conversation("c-404"))
        with pytest.raises(BackendRejectedError):
            await reader.task
    transport = RecordingTransport()
    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot()
        transport.fail_next("messages", NetworkError("Cut."))
        transport.answer_next("messages", [Message("m1", "c", "agent", "one", 0.0)])
        reader = Reader(chat.conversation("c"))
        await asyncio.sleep(30)
        assert reader.texts == ["one"]


@in_virtual_time
async def test_a_reader_that_falls_behind_loads_what_it_missed() -> None:
    async with tabs() as (backend, [chat]):
        first = await chat.send_message("0")
        timeline = chat.conversation(first.conversation_id).timeline()
        texts = [_text(await anext(timeline))]
        for number in range(1, 1500):
            backend.agent.reply(first.conversation_id, str(number))
            if number % 100 == 0:
                await asyncio.sleep(1)
        await asyncio.sleep(5)
        while len(texts) < 1500:
            texts.append(_text(await anext(timeline)))
        assert texts == [str(number) for number in range(1500)]
        await timeline.aclose()


def _text(item: Item) -> str:
    return item.text if isinstance(item, Message) else "(gap)"


@pytest.mark.parametrize("seed", range(25))
def test_two_tabs_are_told_the_backends_order_whatever_breaks(seed: int) -> None:
    dice = random.Random(seed)

    async def scenario() -> None:
        async with tabs(2) as (backend, chats):
            first = await chats[0].send_message("begin")
            name = first.conversation_id
            conversations = [chat.conversation(name) for chat in chats]
            marks = seed % 2 == 0
            readers = [Reader(conversation, mark_read=marks) for conversation in conversations]
            for number in range(40):
                match dice.randrange(5):
                    case 0:
                        backend.agent.reply(name, f"agent {number}")
                    case 1 | 2:
                        dice.choice(conversations).send(f"visitor {number}")
                    case 3:
                        backend.faults.drop_links()
                    case _:
                        if dice.random() < 0.3:
                            backend.faults.drop_history()
                        await asyncio.sleep(dice.random())
            for chat in chats:
                await chat.wait_for(Phase.ANONYMOUS)
            await asyncio.sleep(120)
            for conversation in () if marks else conversations:
                await conversation.mark_read()
            await asyncio.sleep(1)
            stored = [each.text for each in await conversations[0].messages()]
            assert [reader.texts for reader in readers] == [stored, stored]
            assert [chat.unread for chat in chats] == [0, 0]

    run(scenario())
