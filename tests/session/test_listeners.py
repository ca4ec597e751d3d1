"""Listeners: each hears what it asked for, in the context in which it asked, until it leaves; and
none holds up the loop, the session or anybody else.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import warnings
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat import (
    AttemptFailed,
    ErrorOccurred,
    EventsLostError,
    InvalidInputError,
    PhaseChanged,
    Subscription,
    SupportChat,
    UnreadChanged,
)
from support_chat.testing import RecordingStorage, RecordingTransport, VirtualLoop

WHO = contextvars.ContextVar("WHO", default="nobody")


def session() -> SupportChat:
    return SupportChat(
        workspace_id="acme",
        widget_id="help",
        transport=RecordingTransport(),
        storage=RecordingStorage(),
    )


@in_virtual_time
async def test_handlers_that_cause_each_others_events_do_not_hold_the_loop() -> None:
    """Each phase makes a call that leads to the next at once; everybody else has turns between."""
    chat, turns, phases = session(), 0, list[str]()
    await chat.boot()

    def again(event: PhaseChanged) -> None:
        phases.append(event.current)
        if len(phases) < 100:
            chat.set_online(event.current != "reconnecting")

    with chat.on(PhaseChanged, again):
        chat.set_online(False)
        while len(phases) < 100 and turns < 1_000:
            await asyncio.sleep(0)
            turns += 1
    assert len(phases) == 100
    assert turns >= 50
    await chat.destroy()


@in_virtual_time
async def test_whoever_leaves_while_others_are_told_hears_nothing_more() -> None:
    chat, heard = session(), list[str]()
    others: list[Subscription] = []
    chat.on(PhaseChanged, lambda event: others[0]())
    others.append(chat.on(PhaseChanged, lambda event: heard.append(event.current)))
    await chat.boot()
    await asyncio.sleep(0.01)
    assert heard == []
    await chat.destroy()


@in_virtual_time
async def test_what_an_async_handler_was_still_to_do_ends_with_its_subscription() -> None:
    """And nothing complains of a coroutine that was never awaited."""
    chat, begun = session(), list[str]()

    async def slow(event: PhaseChanged) -> None:
        begun.append(event.current)
        await asyncio.sleep(1.0)

    with chat.on(PhaseChanged, slow):
        await chat.boot()
        await asyncio.sleep(0.01)
    await asyncio.sleep(10.0)
    assert begun == ["loading"], "which is left to finish"
    await chat.destroy()


@in_virtual_time
async def test_a_handler_runs_in_the_context_of_whoever_subscribed() -> None:
    chat, seen = session(), list[str]()

    def note(event: PhaseChanged) -> None:
        seen.append(WHO.get())

    async def note_later(event: PhaseChanged) -> None:
        await asyncio.sleep(0.0)
        seen.append(WHO.get())

    WHO.set("subscriber")
    chat.on(PhaseChanged, note)
    chat.on(PhaseChanged, note_later)
    WHO.set("caller")
    await chat.boot()
    await asyncio.sleep(0.01)
    assert set(seen) == {"subscriber"}
    await chat.destroy()


@in_virtual_time
async def test_a_slow_reader_is_told_that_it_has_lost_events() -> None:
    chat = session()
    async with chat.events(PhaseChanged, buffer=2) as stream:
        await chat.boot()
        await asyncio.sleep(0.01)
        assert [(await anext(stream)).current for _ in range(2)] == ["loading", "ready"]
        with pytest.raises(EventsLostError, match="More than 2 events"):
            await anext(stream)
    await chat.destroy()


@in_virtual_time
async def test_a_stream_ends_after_the_last_event() -> None:
    chat = session()
    async with chat.events(PhaseChanged) as stream, chat.events(AttemptFailed) as idle:
        await chat.boot()
        await chat.destroy()
        assert [event.current async for event in stream][-1] == "destroyed"
        assert [event async for event in idle] == []


def test_an_async_handler_ends_with_its_loop(caplog: pytest.LogCaptureFixture) -> None:
    """Closing a loop cancels every task; one that caught that would begin with the next event. And
    nothing complains of what it has not come to.
    """
    begun: list[str] = []

    async def slow(event: PhaseChanged) -> None:
        begun.append(event.current)
        await asyncio.sleep(1_000.0)

    async def life() -> None:
        chat = session()
        chat.on(PhaseChanged, slow)
        await chat.boot()
        await asyncio.sleep(0.01)
        await chat.destroy()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(life())
        gc.collect()
    assert begun == ["loading"]
    assert [str(one.message) for one in told if "slow" in str(one.message)] == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@in_virtual_time
async def test_the_end_waits_for_no_events_that_go_on_for_ever() -> None:
    """A handler whose call fails, which is told, and so on: three such chains, so that somebody is
    to be told something in every turn.
    """
    chat, told = session(), list[ErrorOccurred]()

    def again(event: ErrorOccurred) -> None:
        told.append(event)
        if len(told) < 1_000:
            chat.boot(user={"id": "ada"})  # a visitor is live, and then nobody

    chat.on(ErrorOccurred, again)
    async with chat.events(PhaseChanged) as stream:
        await chat.boot()
        for _ in range(3):
            chat.boot(user={"id": "ada"})
            await asyncio.sleep(0)
        await chat.destroy()
        assert 3 < len(told) < 500
        assert [event.current async for event in stream][-1] == "destroyed"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_async_handler_that_an_interrupt_ends_hears_what_waits(
    interrupt: type[BaseException],
) -> None:
    """Although nothing happens afterwards."""
    heard: list[str] = []

    async def handle(event: PhaseChanged) -> None:
        await asyncio.sleep(1.0)
        heard.append(event.current)
        if event.current == "loading":
            raise interrupt

    async def life() -> None:
        chat = session()
        chat.on(PhaseChanged, handle)
        await chat.load()
        await asyncio.sleep(10.0)
        assert heard == ["loading", "ready"]
        await chat.destroy()

    loop = VirtualLoop()
    task = loop.create_task(life())
    with pytest.raises(interrupt):
        loop.run_until_complete(task)
    loop.run_until_complete(asyncio.wait_for(task, 60.0))
    loop.close()


@in_virtual_time
async def test_an_async_handler_that_lets_a_cancellation_out_hears_what_waits() -> None:
    chat, heard = session(), list[str]()

    async def handle(event: PhaseChanged) -> None:
        await asyncio.sleep(1.0)
        heard.append(event.current)
        if event.current == "loading":
            raise asyncio.CancelledError

    chat.on(PhaseChanged, handle)
    await chat.load()
    await asyncio.sleep(10.0)
    assert heard == ["loading", "ready"]
    await chat.destroy()


@pytest.mark.parametrize("kind", [int, "PhaseChanged", None, PhaseChanged | int, asyncio.Event])
def test_what_is_no_class_of_events_is_refused_on_the_line(kind: Any) -> None:
    with pytest.raises(InvalidInputError, match="is no event: name the class"):
        session().on(kind, print)
    with pytest.raises(InvalidInputError, match="is no event: name the class"):
        session().events(kind)


@pytest.mark.parametrize("handler", [None, 42, "print"])
def test_what_cannot_be_called_is_refused_on_the_line(handler: Any) -> None:
    with pytest.raises(InvalidInputError, match="the handler must be callable"):
        session().on(PhaseChanged, handler)


@pytest.mark.parametrize("buffer", [0, -1, True, 1.5, None])
def test_what_is_no_buffer_is_refused_on_the_line(buffer: Any) -> None:
    with pytest.raises(InvalidInputError, match="buffer must be an int of at least 1"):
        session().events(buffer=buffer)


def test_unions_of_events_are_welcome() -> None:
    union: Any = PhaseChanged | UnreadChanged
    session().on(union, print)
    session().events(union)
