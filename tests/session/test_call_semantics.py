"""What a call is: made at once, awaited or not, once or twice, by any of asyncio's means, on its
own loop only.
"""

from __future__ import annotations

import asyncio
import gc
import logging
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
    from tests.session.conftest import Stage

ANN = {"id": "ann"}


# --- made at once, awaited or not -----------------------------------------------------------------


def test_boot_shutdown_boot_without_awaiting_ends_live_with_one_link(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        chat.boot()
        chat.shutdown()
        chat.boot()
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert (len(stage.open_links), stage.most_open, stage.log.count("dial")) == (1, 1, 1)
        assert len(stage.of(Ready)) == 1

    stage.run(scenario)


def test_the_last_call_wins_however_often_they_alternate(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.boot()
        for _ in range(5):
            chat.shutdown()
            chat.boot(user=ANN, token_provider=stage.tokens("ann"))
            chat.shutdown(clear_storage=True)
            chat.boot()
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert (len(stage.open_links), stage.most_open) == (1, 1)

    stage.run(scenario)


def test_a_call_can_be_awaited_twice_and_by_two(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        call = chat.boot()

        async def waiter() -> object:
            return await call

        first, second = await asyncio.gather(waiter(), waiter())
        assert first == second == await call == await call == chat.identity
        refused = chat.boot(user=ANN)
        for _ in range(2):
            with pytest.raises(IdentityConflictError):
                await refused

    stage.run(scenario)


def test_a_call_is_a_coroutine_for_everything_that_takes_one(stage: Stage) -> None:
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
            chat = stage.chat()
            call = chat.boot()
            assert isinstance(call, Coroutine)
            assert asyncio.iscoroutine(call)
            assert isinstance(await means(call), Visitor), means.__name__
            refused = chat.boot(user=ANN)
            with pytest.raises((IdentityConflictError, ExceptionGroup)):
                await means(refused)

    stage.run(scenario)


def test_the_same_call_can_be_awaited_by_any_means_again(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.boot()
        stage.hold("revoke")
        call = chat.shutdown()
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.5)
        tasks = [asyncio.create_task(call), asyncio.create_task(call)]
        await stage.quiet(0.5)
        stage.release()
        assert await asyncio.gather(*tasks) == [None, None]
        await asyncio.create_task(call)
        await asyncio.wait_for(call, 0.5)

    stage.run(scenario)


def test_a_gui_slot_can_call_without_awaiting(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        loop = asyncio.get_running_loop()
        loop.call_soon(chat.boot)
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        loop.call_later(1, chat.shutdown)
        await stage.quiet()
        assert chat.is_in(Phase.SHUTDOWN)

    stage.run(scenario)


def test_a_failed_call_that_nobody_awaits_is_reported_and_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.fail("get", StorageError("broken"))
        stage.fail("create", StorageError("broken"))
        chat.boot()
        await stage.collected()
        assert [type(event.error) for event in stage.of(ErrorOccurred)] == [StorageError]

    with caplog.at_level(logging.WARNING, "support_chat"):
        stage.run(scenario)
    assert [record.name for record in caplog.records] == ["support_chat"]


def test_a_refused_call_that_nobody_awaits_is_reported_and_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        chat.identify(user=ANN)
        await stage.collected()
        assert [type(event.error) for event in stage.of(ErrorOccurred)] == [NotBootedError]
        assert chat.is_in(Phase.NOT_INITIALIZED)

    with caplog.at_level(logging.WARNING, "support_chat"):
        stage.run(scenario)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["identify", "update", "send_message"])
def test_the_log_line_names_the_call_as_its_caller_knows_it(
    stage: Stage, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        EVERY_CALL[name](stage.chat())

    with caplog.at_level(logging.WARNING, "support_chat"):
        stage.run(scenario)
    assert f"{name}() failed" in caplog.text
    assert f"{name}() needs a booted session" in caplog.text


def test_a_failed_call_that_somebody_awaits_is_nobody_elses_business(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        with pytest.raises(NotBootedError):
            await chat.identify(user=ANN)
        kept = chat.identify(user=ANN)
        await stage.collected()
        assert stage.of(ErrorOccurred) == []  # it is still there to be awaited
        with pytest.raises(NotBootedError):
            await kept
        await stage.collected()
        assert stage.of(ErrorOccurred) == []

    with caplog.at_level(logging.WARNING, "support_chat"):
        stage.run(scenario)
    assert caplog.records == []


def test_each_of_several_failed_calls_is_reported_once(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        chat.boot()
        chat.boot()
        chat.identify(user=ANN)
        awaited = chat.boot()
        chat.shutdown()
        with pytest.raises(SessionEndedError):
            await awaited
        await stage.collected()
        assert [type(event.error) for event in stage.of(ErrorOccurred)] == [SessionEndedError] * 3

    stage.run(scenario)


def test_a_failed_call_that_another_thread_drops_is_reported_on_the_sessions_own(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().set_debug(True)  # then it objects to calls from other threads
        chat = stage.chat()
        kept = [chat.identify(user=ANN)]
        assert raised_on_a_thread(kept.clear) is None
        await stage.quiet(1)
        assert [type(event.error) for event in stage.of(ErrorOccurred)] == [NotBootedError]

    stage.run(scenario)


def test_who_waits_together_gets_errors_of_their_own(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        calls = [chat.boot(), chat.boot()]
        chat.shutdown()
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert type(first) is type(second) is SessionEndedError
        assert first is not second

    stage.run(scenario)


def test_a_call_works_while_events_are_told(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        chat.on(Ready, lambda event: chat.identify(user=ANN, token_provider=stage.tokens("ann")))
        await chat.boot()
        await stage.quiet()
        assert chat.is_in(Phase.AUTHENTICATED)
        assert [event.identity for event in stage.of(AuthChanged)][-1] == chat.identity

    stage.run(scenario)


@pytest.mark.parametrize(
    ("call", "option"),
    [("boot", ANN), ("identify", ANN), ("update", ANN), ("shutdown", True), ("destroy", True)],
)
def test_options_are_keyword_only(stage: Stage, call: str, option: object) -> None:
    async def scenario() -> None:
        with pytest.raises(TypeError):
            getattr(stage.chat(), call)(option)

    stage.run(scenario)


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
def test_without_a_loop_every_call_raises_and_names_the_fix(stage: Stage, name: str) -> None:
    chat = SupportChat(
        workspace_id="acme", widget_id="help", transport=stage.transport, storage=stage.storage
    )
    with pytest.raises(WrongThreadError) as caught:
        EVERY_CALL[name](chat)
    assert names_the_fix(caught.value)
    assert chat.is_in(Phase.NOT_INITIALIZED)


@pytest.mark.parametrize("name", EVERY_CALL)
def test_from_another_thread_or_loop_every_call_raises_before_any_step(
    stage: Stage, name: str
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.boot()
        before = (chat.state, chat.identity, list(stage.log))
        call = EVERY_CALL[name]

        async def on_another_loop() -> None:
            call(chat)

        assert names_the_fix(raised_on_a_thread(lambda: call(chat)))
        assert names_the_fix(raised_on_a_thread(lambda: asyncio.run(on_another_loop())))
        await stage.quiet()
        assert (chat.state, chat.identity, stage.log) == before
        await chat.shutdown()  # and it goes on working where it belongs

    stage.run(scenario)


def test_the_loop_that_comes_after_the_first_is_another_loop(stage: Stage) -> None:
    chats: list[SupportChat] = []

    async def first() -> None:
        chats.append(stage.chat())
        await chats[0].boot()

    async def second() -> None:
        with pytest.raises(WrongThreadError):
            chats[0].boot()

    stage.run(first)
    asyncio.run(second())


def test_another_thread_can_use_the_bridge_that_the_error_names(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        loop = asyncio.get_running_loop()
        assert raised_on_a_thread(lambda: loop.call_soon_threadsafe(chat.boot)) is None
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)


# --- from the first call to destroy() -------------------------------------------------------------


def test_a_session_that_was_never_destroyed_warns(stage: Stage) -> None:
    async def scenario() -> None:
        chats = [
            SupportChat(
                workspace_id="acme",
                widget_id="help",
                transport=stage.transport,
                storage=stage.storage,
            )
        ]
        await chats[0].load()
        with pytest.warns(ResourceWarning, match="destroy"):
            chats.clear()

    stage.run(scenario)


def test_a_session_that_was_destroyed_or_never_used_does_not_warn(stage: Stage) -> None:
    def made() -> SupportChat:
        return SupportChat(
            workspace_id="acme", widget_id="help", transport=stage.transport, storage=stage.storage
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

    stage.run(scenario)


def test_async_with_loads_on_entry_and_destroys_on_exit(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.chat() as chat:
            assert chat.is_in(Phase.READY)
            await chat.boot()
        assert chat.is_in(Phase.DESTROYED)
        assert chat.destroy().done
        assert stage.open_links == []
        assert stage.closed_adapters == [], "whoever made an adapter closes it"

    stage.run(scenario)


def test_async_with_destroys_and_lets_the_error_of_its_body_pass(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()

        async def use() -> None:
            async with chat:
                await chat.boot()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await use()
        assert chat.is_in(Phase.DESTROYED)

    stage.run(scenario)


def test_a_block_may_destroy_its_session_and_none_is_entered_twice(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.chat() as chat:
            await chat.destroy()
        with pytest.raises(SessionDestroyedError):
            await chat.__aenter__()

    stage.run(scenario)


def test_a_failed_entry_releases_what_it_opened(stage: Stage) -> None:
    async def scenario() -> None:
        for operation in ("get", "create", "keys"):
            stage.fail(operation, StorageError("broken"))
        chat = stage.chat()
        with pytest.raises(StorageError):
            async with chat:
                pytest.fail("the block is not entered")
        assert chat.is_in(Phase.DESTROYED)
        assert chat.destroy().done
        assert asyncio.all_tasks() == {asyncio.current_task()}

    stage.run(scenario)


def test_a_cancelled_entry_releases_what_it_opened(stage: Stage) -> None:
    async def scenario() -> None:
        stage.hold("get", "create", "keys")
        chat = stage.chat()

        async def enter() -> None:
            async with chat:
                pytest.fail("the block is not entered")

        task = asyncio.create_task(enter())
        await stage.quiet(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert chat.is_in(Phase.DESTROYED)
        assert chat.destroy().done

    stage.run(scenario)


@pytest.mark.parametrize("cancellations", [1, 2])
def test_a_cancelled_exit_still_finishes_destroying(stage: Stage, cancellations: int) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.leave_something()

        async def use() -> None:
            async with chat:
                await chat.boot()
                stage.hold("delete")
                chat.shutdown()

        task = asyncio.create_task(use())
        await stage.quiet(1)
        assert chat.is_in(Phase.DESTROYED)
        for _ in range(cancellations):
            task.cancel()
            await stage.quiet(0.5)
            assert not task.done(), "the clear under way may take its time"
        stage.release()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert chat.destroy().done
        assert stage.kept() == {"visitor"}

    stage.run(scenario)
