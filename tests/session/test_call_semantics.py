"""What a call is: made at once, awaited or not, once or twice, by any of asyncio's means, on its
own loop only.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import (
    AuthChanged,
    Call,
    ErrorOccurred,
    IdentityConflictError,
    NotBootedError,
    Phase,
    Ready,
    SessionDestroyedError,
    SessionEndedError,
    StorageError,
    SupportChat,
    Visitor,
    WrongThreadError,
)

if TYPE_CHECKING:
    from tests.session.conftest import Rig

ANN = {"id": "ann"}


# --- made at once, awaited or not -----------------------------------------------------------------


def test_boot_shutdown_boot_without_awaiting_ends_live_with_one_link(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        chat.boot()
        chat.shutdown()
        chat.boot()
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert (len(rig.open_links), rig.most_open, rig.log.count("dial")) == (1, 1, 1)
        assert len(rig.of(Ready)) == 1

    rig.run(scenario)


def test_the_last_call_wins_however_often_they_alternate(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        for _ in range(5):
            chat.shutdown()
            chat.boot(user=ANN, token_provider=rig.tokens("ann"))
            chat.shutdown(clear_storage=True)
            chat.boot()
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert (len(rig.open_links), rig.most_open) == (1, 1)

    rig.run(scenario)


def test_a_call_can_be_awaited_twice_and_by_two(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        call = chat.boot()

        async def waiter() -> object:
            return await call

        first, second = await asyncio.gather(waiter(), waiter())
        assert first == second == await call == await call == chat.identity
        refused = chat.boot(user=ANN)
        for _ in range(2):
            with pytest.raises(IdentityConflictError):
                await refused

    rig.run(scenario)


def test_a_call_is_a_coroutine_for_everything_that_takes_one(rig: Rig) -> None:
    async def by_create_task(call: Call[Any]) -> Any:
        return await asyncio.create_task(call)

    async def by_task_group(call: Call[Any]) -> Any:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(call)
        return task.result()

    async def by_gather(call: Call[Any]) -> Any:
        return (await asyncio.gather(call))[0]

    async def by_ensure_future(call: Call[Any]) -> Any:
        return await asyncio.ensure_future(call)

    async def by_wait_for(call: Call[Any]) -> Any:
        return await asyncio.wait_for(call, 5)

    async def by_shield(call: Call[Any]) -> Any:
        return await asyncio.shield(call)

    async def by_timeout(call: Call[Any]) -> Any:
        async with asyncio.timeout(5):
            return await call

    async def by_wait(call: Call[Any]) -> Any:
        (done,), _ = await asyncio.wait([asyncio.ensure_future(call)])
        return done.result()

    async def scenario() -> None:
        for means in (
            by_create_task, by_task_group, by_gather, by_ensure_future,
            by_wait_for, by_shield, by_timeout, by_wait,
        ):  # fmt: skip
            chat = rig.chat()
            call = chat.boot()
            assert isinstance(call, Coroutine)
            assert asyncio.iscoroutine(call)
            assert isinstance(await means(call), Visitor), means.__name__
            refused = chat.boot(user=ANN)
            with pytest.raises((IdentityConflictError, ExceptionGroup)):
                await means(refused)

    rig.run(scenario)


def test_the_same_call_can_be_awaited_by_any_means_again(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.hold("revoke")
        call = chat.shutdown()
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.5)
        tasks = [asyncio.create_task(call), asyncio.create_task(call)]
        await rig.quiet(0.5)
        rig.release()
        assert await asyncio.gather(*tasks) == [None, None]
        await asyncio.create_task(call)
        await asyncio.wait_for(call, 0.5)

    rig.run(scenario)


def test_a_gui_slot_can_call_without_awaiting(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        loop = asyncio.get_running_loop()
        loop.call_soon(chat.boot)
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        loop.call_later(1, chat.shutdown)
        await rig.quiet()
        assert chat.is_in(Phase.SHUTDOWN)

    rig.run(scenario)


def test_a_failed_call_that_nobody_awaits_is_reported_and_logged(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.fail("get", StorageError("broken"))
        rig.fail("create", StorageError("broken"))
        chat.boot()
        await rig.collected()
        assert [type(event.error) for event in rig.of(ErrorOccurred)] == [StorageError]

    with caplog.at_level(logging.WARNING, "support_chat"):
        rig.run(scenario)
    assert [record.name for record in caplog.records] == ["support_chat"]


def test_a_refused_call_that_nobody_awaits_is_reported_and_logged(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        chat.identify(user=ANN)
        await rig.collected()
        assert [type(event.error) for event in rig.of(ErrorOccurred)] == [NotBootedError]
        assert chat.is_in(Phase.NOT_INITIALIZED)

    with caplog.at_level(logging.WARNING, "support_chat"):
        rig.run(scenario)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["identify", "update", "send_message"])
def test_the_log_line_names_the_call_as_its_caller_knows_it(
    rig: Rig, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        EVERY_CALL[name](rig.chat())

    with caplog.at_level(logging.WARNING, "support_chat"):
        rig.run(scenario)
    assert f"{name}() failed" in caplog.text
    assert f"{name}() needs a booted session" in caplog.text


def test_a_failed_call_that_somebody_awaits_is_nobody_elses_business(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        with pytest.raises(NotBootedError):
            await chat.identify(user=ANN)
        kept = chat.identify(user=ANN)
        await rig.collected()
        assert rig.of(ErrorOccurred) == []  # it is still there to be awaited
        with pytest.raises(NotBootedError):
            await kept
        await rig.collected()
        assert rig.of(ErrorOccurred) == []

    with caplog.at_level(logging.WARNING, "support_chat"):
        rig.run(scenario)
    assert caplog.records == []


def test_each_of_several_failed_calls_is_reported_once(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        chat.boot()
        chat.boot()
        chat.identify(user=ANN)
        awaited = chat.boot()
        chat.shutdown()
        with pytest.raises(SessionEndedError):
            await awaited
        await rig.collected()
        assert [type(event.error) for event in rig.of(ErrorOccurred)] == [SessionEndedError] * 3

    rig.run(scenario)


def test_a_failed_call_that_another_thread_drops_is_reported_on_the_sessions_own(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().set_debug(True)  # then it objects to calls from other threads
        chat = rig.chat()
        kept = [chat.identify(user=ANN)]
        assert raised_on_a_thread(kept.clear) is None
        await rig.quiet(1)
        assert [type(event.error) for event in rig.of(ErrorOccurred)] == [NotBootedError]

    rig.run(scenario)


def test_who_waits_together_gets_errors_of_their_own(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        calls = [chat.boot(), chat.boot()]
        chat.shutdown()
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert type(first) is type(second) is SessionEndedError
        assert first is not second

    rig.run(scenario)


def test_a_call_works_while_events_are_told(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        chat.on(Ready, lambda event: chat.identify(user=ANN, token_provider=rig.tokens("ann")))
        await chat.boot()
        await rig.quiet()
        assert chat.is_in(Phase.AUTHENTICATED)
        assert [event.identity for event in rig.of(AuthChanged)][-1] == chat.identity

    rig.run(scenario)


@pytest.mark.parametrize(
    ("call", "option"),
    [("boot", ANN), ("identify", ANN), ("update", ANN), ("shutdown", True), ("destroy", True)],
)
def test_options_are_keyword_only(rig: Rig, call: str, option: object) -> None:
    async def scenario() -> None:
        with pytest.raises(TypeError):
            getattr(rig.chat(), call)(option)

    rig.run(scenario)


# --- on its own loop only -------------------------------------------------------------------------

EVERY_CALL: dict[str, Callable[[SupportChat], object]] = {
    "load": lambda chat: chat.load(),
    "boot": lambda chat: chat.boot(),
    "identify": lambda chat: chat.identify(user=ANN),
    "update": lambda chat: chat.update(context={"page": "x"}),
    "shutdown": lambda chat: chat.shutdown(),
    "destroy": lambda chat: chat.destroy(),
    "set_online": lambda chat: chat.set_online(False),
    "send_message": lambda chat: chat.send_message("hello"),
    "conversations": lambda chat: chat.conversations(),
}


def raised_on_a_thread(work: Callable[[], object]) -> BaseException | None:
    """What `work` raises on a thread of its own."""
    raised: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def names_the_fix(error: BaseException | None) -> bool:
    return isinstance(error, WrongThreadError) and "call_soon_threadsafe" in str(error)


@pytest.mark.parametrize("name", EVERY_CALL)
def test_without_a_loop_every_call_raises_and_names_the_fix(rig: Rig, name: str) -> None:
    chat = SupportChat(
        workspace_id="acme", widget_id="help", transport=rig.transport, storage=rig.storage
    )
    with pytest.raises(WrongThreadError) as caught:
        EVERY_CALL[name](chat)
    assert names_the_fix(caught.value)
    assert chat.is_in(Phase.NOT_INITIALIZED)


@pytest.mark.parametrize("name", EVERY_CALL)
def test_from_another_thread_or_loop_every_call_raises_before_any_step(rig: Rig, name: str) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        before = (chat.state, chat.identity, list(rig.log))
        call = EVERY_CALL[name]

        async def on_another_loop() -> None:
            call(chat)

        assert names_the_fix(raised_on_a_thread(lambda: call(chat)))
        assert names_the_fix(raised_on_a_thread(lambda: asyncio.run(on_another_loop())))
        await rig.quiet()
        assert (chat.state, chat.identity, rig.log) == before
        await chat.shutdown()  # and it goes on working where it belongs

    rig.run(scenario)


def test_the_loop_that_comes_after_the_first_is_another_loop(rig: Rig) -> None:
    chats: list[SupportChat] = []

    async def first() -> None:
        chats.append(rig.chat())
        await chats[0].boot()

    async def second() -> None:
        with pytest.raises(WrongThreadError, match=r"has ended.* make a new SupportChat in each"):
            chats[0].boot()

    rig.run(first)
    asyncio.run(second())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_session_that_is_used_after_a_fork_says_so(rig: Rig) -> None:
    """Although the loop of the parent seems to run on in the child."""

    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            try:
                chat.boot()
            except Exception as error:
                os.write(writing, str(error).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as said:
            assert "used before a fork" in said.read()
        await asyncio.to_thread(os.waitpid, child, 0)

    rig.run(scenario)


def test_another_thread_can_use_the_bridge_that_the_error_names(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        loop = asyncio.get_running_loop()
        assert raised_on_a_thread(lambda: loop.call_soon_threadsafe(chat.boot)) is None
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


# --- from the first call to destroy() -------------------------------------------------------------


def test_a_session_that_was_never_destroyed_warns(rig: Rig) -> None:
    async def scenario() -> None:
        chats = [
            SupportChat(
                workspace_id="acme",
                widget_id="help",
                transport=rig.transport,
                storage=rig.storage,
            )
        ]
        await chats[0].load()
        with pytest.warns(ResourceWarning, match="destroy"):
            chats.clear()

    rig.run(scenario)


def test_a_session_that_was_destroyed_or_never_used_does_not_warn(rig: Rig) -> None:
    def made() -> SupportChat:
        return SupportChat(
            workspace_id="acme", widget_id="help", transport=rig.transport, storage=rig.storage
        )

    async def scenario() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made()
            chat = made()
            await chat.boot()
            await chat.destroy()
            del chat
            async with made() as chat:
                await chat.boot()
            del chat
            gc.collect()

    rig.run(scenario)


def test_async_with_loads_on_entry_and_destroys_on_exit(rig: Rig) -> None:
    async def scenario() -> None:
        async with rig.chat() as chat:
            assert chat.is_in(Phase.READY)
            await chat.boot()
        assert chat.is_in(Phase.DESTROYED)
        assert chat.destroy().done
        assert rig.open_links == []
        assert rig.closed_adapters == [], "whoever made an adapter closes it"

    rig.run(scenario)


def test_async_with_destroys_and_lets_the_error_of_its_body_pass(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()

        async def use() -> None:
            async with chat:
                await chat.boot()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await use()
        assert chat.is_in(Phase.DESTROYED)

    rig.run(scenario)


def test_a_block_may_destroy_its_session_and_none_is_entered_twice(rig: Rig) -> None:
    async def scenario() -> None:
        async with rig.chat() as chat:
            await chat.destroy()
        with pytest.raises(SessionDestroyedError):
            await chat.__aenter__()

    rig.run(scenario)


def test_a_failed_entry_releases_what_it_opened(rig: Rig) -> None:
    async def scenario() -> None:
        for operation in ("get", "create", "keys"):
            rig.fail(operation, StorageError("broken"))
        chat = rig.chat()
        with pytest.raises(StorageError):
            async with chat:
                pytest.fail("the block is not entered")
        assert chat.is_in(Phase.DESTROYED)
        assert chat.destroy().done
        assert asyncio.all_tasks() == {asyncio.current_task()}

    rig.run(scenario)


def test_a_cancelled_entry_releases_what_it_opened(rig: Rig) -> None:
    async def scenario() -> None:
        rig.hold("get", "create", "keys")
        chat = rig.chat()

        async def enter() -> None:
            async with chat:
                pytest.fail("the block is not entered")

        task = asyncio.create_task(enter())
        await rig.quiet(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert chat.is_in(Phase.DESTROYED)
        assert chat.destroy().done

    rig.run(scenario)


@pytest.mark.parametrize("cancellations", [1, 2])
def test_a_cancelled_exit_still_finishes_destroying(rig: Rig, cancellations: int) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.leave_something()

        async def use() -> None:
            async with chat:
                await chat.boot()
                rig.hold("delete")
                chat.shutdown()

        task = asyncio.create_task(use())
        await rig.quiet(1)
        assert chat.is_in(Phase.DESTROYED)
        for _ in range(cancellations):
            task.cancel()
            await rig.quiet(0.5)
            assert not task.done(), "the clear under way may take its time"
        rig.release()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert chat.destroy().done
        assert rig.kept() == {"visitor"}

    rig.run(scenario)
