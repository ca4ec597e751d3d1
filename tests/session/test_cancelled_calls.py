"""Cancelling an awaiter, and running out of time: what it abandons, and what it leaves alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import (
    AuthChanged,
    Call,
    CallTimeoutError,
    ErrorOccurred,
    IdentityConflictError,
    Phase,
    Ready,
    SessionEndedError,
    SignedIn,
    SupportChat,
    Visitor,
)

if TYPE_CHECKING:
    from tests.session.conftest import Stage

ANN = {"id": "ann"}


def identify(stage: Stage, chat: SupportChat, **options: Any) -> Call[Any]:
    return chat.identify(user=ANN, token_provider=stage.tokens("ann"), **options)


async def cancelled(stage: Stage, *tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks once they wait, and lets the consequences happen."""
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    await asyncio.sleep(0)


async def waiter(call: Call[Any]) -> Any:
    return await call


async def live_visitor(stage: Stage) -> SupportChat:
    chat = stage.chat()
    await chat.boot()
    stage.log.clear()
    return chat


# --- boot -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", ["get", "create", "token", "dial"])
def test_cancelling_the_last_awaiter_of_a_boot_abandons_it(stage: Stage, held: str) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold(held)
        task = asyncio.create_task(chat.boot(user=ANN, token_provider=stage.tokens("ann")))
        await stage.quiet(1)
        await cancelled(stage, task)
        stage.release()
        await stage.quiet()
        assert chat.is_in(Phase.READY)
        assert chat.identity is None
        assert stage.links == []
        assert stage.of(ErrorOccurred) == []
        assert await chat.boot() == chat.identity, "and it may be tried again"

    stage.run(scenario)


def test_cancelling_one_of_two_awaiters_does_not_abandon_the_boot(stage: Stage) -> None:
    async def scenario() -> None:
        for of_the_same_call in (True, False):
            chat = stage.chat()
            stage.hold("dial")
            call = chat.boot()
            tasks = [
                asyncio.create_task(waiter(c))
                for c in (call, call if of_the_same_call else chat.boot())
            ]
            await stage.quiet(1)
            await cancelled(stage, tasks[0])
            stage.release()
            assert await tasks[1] == chat.identity
            assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)


def test_a_boot_that_somebody_made_without_awaiting_it_outlives_a_cancelled_joiner(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        chat.boot()  # a GUI slot
        await cancelled(stage, asyncio.create_task(chat.boot()))
        stage.release()
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)


def test_a_boot_whose_two_awaiters_are_both_cancelled_is_abandoned(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        tasks = [asyncio.create_task(chat.boot()), asyncio.create_task(chat.boot())]
        await stage.quiet(1)
        await cancelled(stage, *tasks)
        assert chat.is_in(Phase.READY)

    stage.run(scenario)


def test_an_abandoned_boot_ends_the_identify_that_waits_for_it(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        boot = asyncio.create_task(chat.boot())
        await stage.quiet(1)
        waiting = identify(stage, chat)
        await cancelled(stage, boot)
        assert chat.is_in(Phase.READY)
        with pytest.raises(SessionEndedError):
            await waiting

    stage.run(scenario)


def test_an_awaiter_that_came_back_is_an_awaiter(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        call, joined = chat.boot(), asyncio.create_task(chat.boot())
        await cancelled(stage, asyncio.create_task(waiter(call)))
        back = asyncio.create_task(waiter(call))
        await cancelled(stage, joined)
        assert chat.is_in(Phase.BOOTING), "somebody still awaits the boot"
        await cancelled(stage, back)
        assert chat.is_in(Phase.READY), "now nobody does"

    stage.run(scenario)


def test_a_boot_abandoned_while_it_waits_for_a_clear_leaves_the_shutdown_alone(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        stage.leave_something()
        stage.hold("delete")
        ended = chat.shutdown()
        boot = asyncio.create_task(chat.boot())
        await stage.quiet(1)
        await cancelled(stage, boot)
        stage.release()
        await ended
        await stage.quiet()
        assert chat.is_in(Phase.SHUTDOWN)
        assert "dial" not in stage.log

    stage.run(scenario)


def test_a_dial_that_succeeds_although_it_was_abandoned_is_closed_and_its_session_revoked(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial", deaf=True)
        boot = asyncio.create_task(chat.boot())
        await stage.quiet(1)
        await cancelled(stage, boot)
        stage.release()
        await stage.quiet()
        assert chat.is_in(Phase.READY)
        assert stage.open_links == []
        assert stage.revoked == ["session-1"]

    stage.run(scenario)


# --- identify -------------------------------------------------------------------------------------


def test_an_identify_cancelled_before_it_was_sent_leaves_the_visitor_as_they_were(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        before, link = chat.identity, stage.open_links
        stage.hold("token")
        task = asyncio.create_task(identify(stage, chat))
        await stage.quiet(1)
        await cancelled(stage, task)
        stage.release()
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert (chat.identity, stage.open_links) == (before, link)
        assert stage.log == ["token"]
        assert (await identify(stage, chat)).merged, "and it may be tried again"

    stage.run(scenario)


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("by", ["cancellation", "timeout"])
def test_an_identify_given_up_after_it_was_sent_is_learnt_by_a_reopened_link(
    stage: Stage, committed: bool, by: str
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        visitor, secret = chat.identity, stage.dials[0].visitor
        stage.hold("identify reply" if committed else "identify")
        if by == "cancellation":
            task = asyncio.create_task(identify(stage, chat))
            await stage.quiet(1)
            await cancelled(stage, task)
        else:
            with pytest.raises(CallTimeoutError) as caught:
                await identify(stage, chat, timeout=2)
            assert isinstance(caught.value, TimeoutError)
            assert "unknown" in str(caught.value)
        stage.events.clear()
        await stage.quiet()
        claim = stage.dials[-1].claim
        assert len(stage.dials) == 2
        assert claim is not None
        assert (claim.identify_id, claim.user_id) == (stage.identifies[0].identify_id, "ann")
        assert (stage.dials[-1].visitor, stage.dials[-1].token) == (
            secret,
            stage.identifies[0].token,
        )
        assert (len(stage.open_links), stage.most_open) == (1, 1)
        stage.release()
        await stage.quiet()
        if committed:
            assert chat.is_in(Phase.AUTHENTICATED)
            assert chat.identity == SignedIn("ann")
            assert [event.identity for event in stage.of(AuthChanged)] == [SignedIn("ann")]
        else:
            assert chat.is_in(Phase.ANONYMOUS)
            assert chat.identity == visitor
            assert stage.of(AuthChanged) == []
            assert len(stage.identifies) == 1, "what was given up is not sent again"

    stage.run(scenario)


def test_a_lost_reply_is_learnt_while_its_caller_goes_on_waiting(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        stage.hold("identify reply")
        call = identify(stage, chat)
        await stage.quiet(1)
        stage.links[-1].lose()
        result = await call
        assert (result.merged, result.conversations_moved) == (True, 2)
        assert len(stage.identifies) == 1

    stage.run(scenario)


def test_an_identify_not_committed_when_the_link_broke_is_sent_again(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        stage.hold("identify")
        call = identify(stage, chat)
        await stage.quiet(1)
        stage.links[-1].lose()
        await stage.quiet()
        stage.release()
        assert (await call).merged
        assert chat.identity == SignedIn("ann")
        assert len(stage.committed) == 1

    stage.run(scenario)


def test_an_identify_cancelled_while_it_waits_for_the_boot_or_the_link_is_forgotten(
    stage: Stage,
) -> None:
    async def booting() -> SupportChat:
        chat = stage.chat()
        stage.hold("dial")
        chat.boot()
        return chat

    async def reconnecting() -> SupportChat:
        chat = await live_visitor(stage)
        stage.hold("dial")
        stage.links[-1].lose()
        return chat

    async def scenario() -> None:
        for situation in (booting, reconnecting):
            chat = await situation()
            await stage.quiet(1)
            await cancelled(stage, asyncio.create_task(identify(stage, chat)))
            stage.release()
            await stage.quiet()
            assert chat.is_in(Phase.ANONYMOUS)
            assert isinstance(chat.identity, Visitor)
            assert stage.identifies == []

    stage.run(scenario)


def test_cancelling_one_of_two_identifies_does_not_abandon_it(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        stage.hold("identify")
        first, second = (
            asyncio.create_task(identify(stage, chat)),
            asyncio.create_task(identify(stage, chat)),
        )
        await stage.quiet(1)
        await cancelled(stage, first)
        stage.release()
        assert (await second).merged
        assert len(stage.dials) == 1

    stage.run(scenario)


def test_cancelling_an_identify_that_joined_a_boot_does_not_abandon_the_boot(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        boot = chat.boot(user=ANN, token_provider=stage.tokens("ann"))
        await cancelled(stage, asyncio.create_task(identify(stage, chat)))
        stage.release()
        assert await boot == SignedIn("ann")

    stage.run(scenario)


# --- shutdown, destroy and the rest: only the waiting ---------------------------------------------


def test_cancelling_a_shutdown_cancels_only_the_waiting(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        stage.leave_something()
        stage.hold("delete", "revoke")
        await cancelled(stage, asyncio.create_task(chat.shutdown(clear_storage=True)))
        assert chat.is_in(Phase.SHUTDOWN)
        stage.release()
        await stage.quiet()
        assert stage.kept() == set()
        assert stage.revoked == ["session-1"]

    stage.run(scenario)


def test_cancelling_a_destroy_cancels_only_the_waiting(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        stage.leave_something()
        stage.hold("delete")
        chat.shutdown()
        await cancelled(stage, asyncio.create_task(chat.destroy()))
        assert chat.is_in(Phase.DESTROYED)
        stage.release()
        await stage.quiet()
        assert stage.kept() == {"visitor"}
        assert chat.destroy().done

    stage.run(scenario)


def test_cancelling_a_load_or_a_message_cancels_only_the_waiting(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("get", "send")
        load = asyncio.create_task(chat.load())
        await stage.quiet(1)
        await cancelled(stage, load)
        stage.release("get")
        await stage.quiet()
        assert chat.is_in(Phase.READY)
        await chat.boot()
        await cancelled(stage, asyncio.create_task(chat.send_message("hello")))
        stage.release()
        await stage.quiet()
        assert stage.log.count("send") == 1
        assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)


def test_a_task_cancelled_before_it_started_counts_as_an_awaiter_that_left(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        boot = asyncio.create_task(chat.boot())
        boot.cancel()
        await asyncio.wait([boot])
        await stage.quiet()
        assert boot.cancelled()
        assert stage.links == []
        assert chat.state in (Phase.NOT_INITIALIZED, Phase.READY)

        await chat.boot()
        task = asyncio.create_task(identify(stage, chat))
        task.cancel()
        await asyncio.wait([task])
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert stage.committed == {}

        ending = asyncio.create_task(chat.shutdown())
        ending.cancel()
        await asyncio.wait([ending])
        await stage.quiet()
        assert chat.is_in(Phase.SHUTDOWN)
        assert stage.revoked == ["session-1"]

    stage.run(scenario)


def test_a_cancellation_after_the_call_has_settled_changes_nothing(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        task = asyncio.create_task(chat.boot())
        chat.on(Ready, lambda event: task.cancel())
        await asyncio.wait([task])
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)


# --- time -----------------------------------------------------------------------------------------


def test_wait_for_abandons_a_boot_as_any_cancellation_does(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(chat.boot(), 2)
        assert chat.is_in(Phase.READY)

    stage.run(scenario)


def test_a_boot_takes_no_longer_than_its_timeout_whatever_hangs(stage: Stage) -> None:
    async def scenario() -> None:
        for held in ("token", "dial"):
            chat = stage.chat()
            stage.hold(held)
            began = asyncio.get_running_loop().time()
            with pytest.raises(CallTimeoutError):
                await chat.boot(user=ANN, token_provider=stage.tokens("ann"), timeout=7)
            assert round(asyncio.get_running_loop().time() - began, 3) == 7
            assert chat.is_in(Phase.READY)
            stage.release()

    stage.run(scenario)


def test_a_waiting_identify_takes_no_longer_than_its_timeout(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        chat.set_online(False)
        began = asyncio.get_running_loop().time()
        with pytest.raises(CallTimeoutError):
            await identify(stage, chat, timeout=4)
        assert round(asyncio.get_running_loop().time() - began, 3) == 4
        chat.set_online(True)
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert stage.identifies == []

    stage.run(scenario)


def test_the_timeout_of_an_identify_that_waits_for_a_boot_is_not_the_boots(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("dial")
        boot = chat.boot()
        with pytest.raises(CallTimeoutError):
            await identify(stage, chat, timeout=2)
        assert chat.is_in(Phase.BOOTING)
        stage.release()
        await boot
        await stage.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)


def test_a_boot_that_times_out_while_it_waits_for_the_load_or_a_clear_leaves_those_alone(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold("get", "create", "keys")
        load = chat.load()
        with pytest.raises(CallTimeoutError):
            await chat.boot(timeout=2)
        assert chat.is_in(Phase.LOADING)
        stage.release()
        await load
        assert chat.is_in(Phase.READY)

        await chat.boot()
        stage.hold("keys")
        ended = chat.shutdown()
        with pytest.raises(CallTimeoutError):
            await chat.boot(timeout=2)
        stage.release()
        await ended
        await stage.quiet()
        assert chat.is_in(Phase.SHUTDOWN)
        assert stage.log.count("dial") == 1

    stage.run(scenario)


def test_cancelling_a_boot_leaves_a_load_alone_and_the_other_way_round(stage: Stage) -> None:
    async def scenario() -> None:
        for left, kept in (("boot", "load"), ("load", "boot")):
            chat = stage.chat()
            stage.hold("get", "create", "keys")
            keeper, leaver = getattr(chat, kept)(), asyncio.create_task(getattr(chat, left)())
            await stage.quiet(1)
            await cancelled(stage, leaver)
            stage.release()
            await keeper
            assert chat.is_in(Phase.READY if kept == "load" else Phase.ANONYMOUS)

    stage.run(scenario)


def test_who_identifies_the_same_user_again_waits_for_what_became_of_the_first(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(stage)
        stage.hold("identify reply")
        with pytest.raises(CallTimeoutError):
            await identify(stage, chat, timeout=2)
        again, other = identify(stage, chat), chat.identify(user={"id": "bob"})
        with pytest.raises(IdentityConflictError):
            await other
        assert (await again).conversations_moved == 2
        assert len(stage.identifies) == 1

    stage.run(scenario)
