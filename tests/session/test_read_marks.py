"""What becomes of mark_read(): it is owed until the backend has it, and what is unread is true when
the call returns.

In virtual time, with the reference backend, and with scripted adapters where one answer matters.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat import (
    BackendRejectedError,
    Message,
    MessageFailed,
    MessageQueued,
    NetworkError,
    SessionEndedError,
    SupportChat,
)
from support_chat.ports import ReadAnswer
from support_chat.testing import RecordingStorage, RecordingTransport
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
SECRET = "0123456789abcdef0123456789abcdef"


def backend() -> Backend:
    loop = asyncio.get_running_loop()
    return Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: 1.8e9 + loop.time())


def session(b: Backend, **options: Any) -> SupportChat:
    given: dict[str, Any] = {"storage": MemoryStorage(), **options}
    return SupportChat(**WIDGET, transport=LoopbackTransport(b), **given)


@in_virtual_time
async def test_when_the_call_returns_what_is_unread_is_true_here_and_at_the_backend() -> None:
    with backend() as b:
        b.faults.delay(0.1, answer=0.3, operation="mark_read")
        async with session(b) as chat, session(b) as stranger:
            visitor = await chat.boot()
            await stranger.boot()
            replies = [b.agent.reply(visitor, f"{n}") for n in range(3)]
            await asyncio.sleep(1.0)
            for left, reply in zip((2, 1, 0), replies, strict=True):
                answer = await chat.mark_read(reply.conversation_id, reply.id)
                assert answer == ReadAnswer(left)
                assert chat.unread == left == unread_at(b)


@in_virtual_time
async def test_a_mark_that_met_no_link_is_owed_and_what_came_meanwhile_stays_unread() -> None:
    with backend() as b:
        async with session(b) as chat:
            visitor = await chat.boot()
            first = b.agent.reply(visitor, "one")
            await asyncio.sleep(1.0)
            chat.set_online(False)
            assert await chat.mark_read(first.conversation_id, first.id) == ReadAnswer(None)
            with pytest.raises(NetworkError):
                await chat.mark_read(first.conversation_id)
            b.agent.reply(first.conversation_id, "meanwhile")
            chat.set_online(True)
            await asyncio.sleep(20.0)
            assert chat.unread == 1 == unread_at(b)


@in_virtual_time
async def test_a_mark_is_sent_again_until_it_is_answered_also_by_another_link() -> None:
    with backend() as b:
        async with session(b) as chat:
            told: list[Any] = []
            chat.on(object, told.append)
            reply = b.agent.reply(await chat.boot(), "one")
            await asyncio.sleep(1.0)
            b.faults.fail("mark_read", NetworkError("No route."))
            assert await chat.mark_read(reply.conversation_id, reply.id) == ReadAnswer(None)
            assert (chat.unread, unread_at(b)) == (1, 1)
            await asyncio.sleep(20.0)
            assert (chat.unread, unread_at(b)) == (0, 0)
            second = b.agent.reply(reply.conversation_id, "two")
            b.faults.delay(1.0, operation="mark_read")
            mark = chat.mark_read(second.conversation_id, second.id)
            await asyncio.sleep(0.5)
            b.faults.drop_links()
            assert await mark == ReadAnswer(None)
            await asyncio.sleep(20.0)
            assert (chat.unread, unread_at(b)) == (0, 0)
            assert not [e for e in told if isinstance(e, MessageQueued | MessageFailed)]


@in_virtual_time
async def test_an_owed_mark_is_the_users_after_a_merge_and_ends_with_the_session() -> None:
    with backend() as b:
        async with session(b) as chat:
            reply = b.agent.reply(await chat.boot(), "one")
            await asyncio.sleep(1.0)
            b.faults.fail("mark_read", NetworkError("No route."))
            await chat.mark_read(reply.conversation_id, reply.id)
            await chat.identify(user={"id": "ann"}, token_provider=token)
            await asyncio.sleep(20.0)
            assert (chat.unread, unread_at(b)) == (0, 0)
            b.faults.delay(5.0, operation="mark_read")
            under_way = chat.mark_read(reply.conversation_id, reply.id)
            await asyncio.sleep(1.0)
            await chat.shutdown()
            with pytest.raises(SessionEndedError):
                await under_way


@in_virtual_time
async def test_a_mark_for_what_is_not_theirs_is_refused_and_not_sent_again() -> None:
    with backend() as b:
        async with session(b) as chat, session(b) as other:
            await chat.boot()
            reply = b.agent.reply(await other.boot(), "one")
            with pytest.raises(BackendRejectedError) as caught:
                await chat.mark_read(reply.conversation_id, reply.id)
            assert caught.value.code == "conversation_not_found"
            await asyncio.sleep(60.0)
            assert (chat.unread, other.unread, unread_at(b)) == (0, 1, 1)


@in_virtual_time
async def test_a_hundred_unread_are_read_by_pages_across_restarts() -> None:
    with backend() as b:
        storage = MemoryStorage()
        async with session(b, storage=storage) as chat:
            visitor = await chat.boot()
            begun = b.agent.reply(visitor, "0")
            for number in range(1, 100):
                b.agent.reply(begun.conversation_id, f"{number}")
        before: str | None = None
        for seen in (25, 50, 75, 100):
            async with session(b, storage=storage) as chat:
                await chat.boot()
                assert chat.unread == (100 if before is None else 0)
                page = await chat.messages(begun.conversation_id, before=before, limit=25)
                before = page[0].id
                await chat.mark_read(begun.conversation_id, page[-1].id)
                assert chat.unread == 0, seen


@in_virtual_time
async def test_the_transport_that_answers_a_mark_with_a_message_has_failed() -> None:
    transport = RecordingTransport()
    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot()
        said = Message("m", "c", "agent", "hello", 0.0)
        transport.answer_next("mark_read", said)
        assert await chat.mark_read("c", "m") == ReadAnswer(None), "it is owed"
        transport.answer_next("send", ReadAnswer(0))
        with pytest.raises(NetworkError, match="answered a message with ReadAnswer"):
            await chat.send_message("hello", queue=False)


def unread_at(b: Backend) -> int:
    """What the backend counts, of everybody."""
    return sum(one.unread or 0 for one in b.agent.conversations())


async def token() -> str:
    now = 1.8e9 + asyncio.get_running_loop().time()
    return sign_identity_token("ann", SECRET, **WIDGET, now=now)
