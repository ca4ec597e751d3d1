"""Conversations: what a session asks of its link beside the lifecycle, and what it refuses to
ask.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support_chat import (
    About,
    BackendRejectedError,
    InvalidInputError,
    MessageFailed,
    NetworkError,
    NotBootedError,
    PhaseChanged,
    ReadAnswer,
    SupportChat,
    UnreadChanged,
)
from support_chat.ports import MessageArrived, Outgoing
from support_chat.testing import RecordingStorage, RecordingTransport, run
from support_chat.values import Message

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
CALLS: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("start_conversation", "send_message", ("Hello",), {"queue": False}),
    ("messages", "messages", ("c1",), {}),
    ("mark_read", "mark_read", ("c1",), {}),
    ("conversations", "conversations", (), {}),
]


def arrived(number: int, unread: int) -> MessageArrived:
    return MessageArrived(Message(f"m{number}", "c1", "agent", "Hi", 0.0), str(number), unread)


def test_reading_lowers_what_is_unread_and_says_so_once() -> None:
    async def scenario() -> None:
        transport = RecordingTransport()
        async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
            told: list[int | None] = []
            chat.on(UnreadChanged, lambda event: told.append(event.unread))
            await chat.boot()
            transport.link.emit(arrived(1, 1), arrived(2, 2))
            transport.answer_next("mark_read", ReadAnswer(1))
            transport.answer_next("mark_read", ReadAnswer(1))
            async with chat.events(UnreadChanged) as changes:
                assert (await anext(aiter(changes))).unread == 1
                assert (await anext(aiter(changes))).unread == 2
                assert await chat.mark_read("c1") == ReadAnswer(1)
                assert (await anext(aiter(changes))).unread == 1
                await chat.mark_read("c1")
            assert told == [0, 1, 2, 1], "what has not changed is not told"
            assert [
                call.arguments["conversation_id"] for call in transport.log.of("link.mark_read")
            ] == ["c1", "c1"]

    run(scenario())


def test_the_details_of_a_conversation_travel_with_its_first_message() -> None:
    async def scenario() -> None:
        transport = RecordingTransport()
        async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
            who = await chat.boot()
            fields: dict[str, Any] = {"model": {"name": "X1"}}
            call = chat.start_conversation(
                "Hello",
                subject="Printer",
                tags=["urgent"],
                custom_fields=fields,
                client_message_id="one",
            )
            fields["model"]["name"] = "changed by the caller afterwards"
            await call
            [sent] = transport.log.of("link.send")
            about = About(
                subject="Printer", tags=("urgent",), custom_fields={"model": {"name": "X1"}}
            )
            assert sent.request == Outgoing("one", "Hello", None, about, who)
            assert "Printer" not in repr(sent.request)
            assert "X1" not in repr(sent.request)

    run(scenario())


@pytest.mark.parametrize(("call", "named", "arguments", "options"), CALLS)
def test_without_a_session_or_a_link_the_error_names_the_call(
    call: str, named: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    async def scenario() -> None:
        transport = RecordingTransport()
        async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
            with pytest.raises(NotBootedError, match=named):
                await getattr(chat, call)(*arguments, **options)
            await chat.boot()
            transport.hold("open")
            transport.link.lose()
            async with chat.events(PhaseChanged) as events:
                await anext(aiter(events))
            with pytest.raises(NetworkError, match=named):
                await getattr(chat, call)(*arguments, **options)

    run(scenario())


@pytest.mark.parametrize("answer", [7, None, ReadAnswer, {"unread": 0}])
def test_a_transport_that_answers_something_else_is_at_fault(answer: object) -> None:
    async def scenario() -> None:
        transport = RecordingTransport()
        async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
            await chat.boot()
            transport.answer_next("mark_read", answer)
            with pytest.raises(NetworkError, match="The transport returned"):
                await chat.mark_read("c1")

    run(scenario())


def test_a_conversation_of_somebody_else_is_the_callers_error_and_the_session_lives_on() -> None:
    async def scenario() -> None:
        transport = RecordingTransport()
        async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
            await chat.boot()
            transport.fail_next(
                "messages", BackendRejectedError("There is none.", code="conversation_not_found")
            )
            with pytest.raises(BackendRejectedError):
                await chat.messages("c9")
            assert await chat.messages("c1") == ()

    run(scenario())


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("messages", ("",), {}),
    ("messages", (7,), {}),
    ("mark_read", ("x" * 256,), {}),
    ("start_conversation", (" ",), {}),
    ("start_conversation", ("Hello",), {"subject": "x" * 256}),
    ("start_conversation", ("Hello",), {"subject": 7}),
    ("start_conversation", ("Hello",), {"tags": "urgent"}),
    ("start_conversation", ("Hello",), {"tags": [""]}),
    ("start_conversation", ("Hello",), {"tags": None}),
    ("start_conversation", ("Hello",), {"tags": 5}),
    ("start_conversation", ("Hello",), {"tags": ["t"] * 65}),
    ("start_conversation", ("Hello",), {"custom_fields": {"x": object()}}),
    ("start_conversation", ("Hello",), {"metadata": {"x": "y" * 17_000}}),
]


@pytest.mark.parametrize(("call", "arguments", "options"), WRONG)
def test_what_cannot_be_is_refused_on_the_line_of_the_call(
    call: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with SupportChat(
            **WIDGET, transport=RecordingTransport(), storage=RecordingStorage()
        ) as chat:
            with pytest.raises(InvalidInputError):
                getattr(chat, call)(*arguments, **options)

    run(scenario())


@pytest.mark.parametrize(
    ("how", "unknown"),
    [("the link breaks", True), ("the backend refuses it", False), ("it is lost", True)],
)
def test_a_message_that_was_not_sent_or_is_not_known_to_be_is_an_event_too(
    how: str, unknown: bool
) -> None:
    async def scenario() -> None:
        transport = RecordingTransport()
        async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
            failed: list[MessageFailed] = []
            chat.on(MessageFailed, failed.append)
            await chat.boot()
            transport.hold("send")
            call = chat.send_message("Hello", client_message_id="mine", queue=False)
            await asyncio.sleep(0.1)
            match how:
                case "the link breaks":
                    transport.link.lose()
                case "the backend refuses it":
                    transport.waiting("send")[0].fail(BackendRejectedError("No."))
                case _:
                    transport.waiting("send")[0].fail(NetworkError("Gone."))
            with pytest.raises((NetworkError, BackendRejectedError)) as raised:
                await call
            await asyncio.sleep(0.1)
            assert [(one.client_message_id, one.outcome_unknown) for one in failed] == [
                ("mine", unknown)
            ]
            assert type(failed[0].error) is type(raised.value)

    run(scenario())
