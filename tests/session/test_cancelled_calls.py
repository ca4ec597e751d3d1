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
    from tests.session.conftest import Rig

ANN = {"id": "ann"}


def identify(rig: Rig, chat: SupportChat, **options: Any) -> Call[Any]:
    return chat.identify(user=ANN, token_provider=rig.tokens("ann"), **options)


async def cancelled(rig: Rig, *tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks once they wait, and lets the consequences happen."""
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    await asyncio.sleep(0)


async def waiter(call: Call[Any]) -> Any:
    return await call


async def live_visitor(rig: Rig) -> SupportChat:
    chat = rig.chat()
    await chat.boot()
    rig.log.clear()
    return chat


# --- boot -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", ["get", "create", "token", "dial"])
def test_cancelling_the_last_awaiter_of_a_boot_abandons_it(rig: Rig, held: str) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold(held)
        task = asyncio.create_task(chat.boot(user=ANN, token_provider=rig.tokens("ann")))
        await rig.quiet(1)
        await cancelled(rig, task)
        rig.release()
        await rig.quiet()
        assert chat.is_in(Phase.READY)
        assert chat.identity is None
        assert rig.links == []
        assert rig.of(ErrorOccurred) == []
        assert await chat.boot() == chat.identity, "and it may be tried again"

    rig.run(scenario)


def test_cancelling_one_of_two_awaiters_does_not_abandon_the_boot(rig: Rig) -> None:
    async def scenario() -> None:
        for of_the_same_call in (True, False):
            chat = rig.chat()
            rig.hold("dial")
            call = chat.boot()
            tasks = [
                asyncio.create_task(waiter(c))
                for c in (call, call if of_the_same_call else chat.boot())
            ]
            await rig.quiet(1)
            await cancelled(rig, tasks[0])
            rig.release()
            assert await tasks[1] == chat.identity
            assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


def test_a_boot_that_somebody_made_without_awaiting_it_outlives_a_cancelled_joiner(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        chat.boot()  # a GUI slot
        await cancelled(rig, asyncio.create_task(chat.boot()))
        rig.release()
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


def test_a_boot_whose_two_awaiters_are_both_cancelled_is_abandoned(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        tasks = [asyncio.create_task(chat.boot()), asyncio.create_task(chat.boot())]
        await rig.quiet(1)
        await cancelled(rig, *tasks)
        assert chat.is_in(Phase.READY)

    rig.run(scenario)


def test_an_abandoned_boot_ends_the_identify_that_waits_for_it(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        boot = asyncio.create_task(chat.boot())
        await rig.quiet(1)
        waiting = identify(rig, chat)
        await cancelled(rig, boot)
        assert chat.is_in(Phase.READY)
        with pytest.raises(SessionEndedError):
            await waiting

    rig.run(scenario)


def test_an_awaiter_that_came_back_is_an_awaiter(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        call, joined = chat.boot(), asyncio.create_task(chat.boot())
        await cancelled(rig, asyncio.create_task(waiter(call)))
        back = asyncio.create_task(waiter(call))
        await cancelled(rig, joined)
        assert chat.is_in(Phase.BOOTING), "somebody still awaits the boot"
        await cancelled(rig, back)
        assert chat.is_in(Phase.READY), "now nobody does"

    rig.run(scenario)


def test_a_boot_abandoned_while_it_waits_for_a_clear_leaves_the_shutdown_alone(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        rig.leave_something()
        rig.hold("delete")
        ended = chat.shutdown()
        boot = asyncio.create_task(chat.boot())
        await rig.quiet(1)
        await cancelled(rig, boot)
        rig.release()
        await ended
        await rig.quiet()
        assert chat.is_in(Phase.SHUTDOWN)
        assert "dial" not in rig.log

    rig.run(scenario)


def test_a_dial_that_succeeds_although_it_was_abandoned_is_closed_and_its_session_revoked(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial", deaf=True)
        boot = asyncio.create_task(chat.boot())
        await rig.quiet(1)
        await cancelled(rig, boot)
        rig.release()
        await rig.quiet()
        assert chat.is_in(Phase.READY)
        assert rig.open_links == []
        assert rig.revoked == ["session-1"]

    rig.run(scenario)


# --- identify -------------------------------------------------------------------------------------


def test_an_identify_cancelled_before_it_was_sent_leaves_the_visitor_as_they_were(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        before, link = chat.identity, rig.open_links
        rig.hold("token")
        task = asyncio.create_task(identify(rig, chat))
        await rig.quiet(1)
        await cancelled(rig, task)
        rig.release()
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert (chat.identity, rig.open_links) == (before, link)
        assert rig.log == ["token"]
        assert (await identify(rig, chat)).merged, "and it may be tried again"

    rig.run(scenario)


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("by", ["cancellation", "timeout"])
def test_an_identify_given_up_after_it_was_sent_is_learnt_by_a_reopened_link(
    rig: Rig, committed: bool, by: str
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        visitor, secret = chat.identity, rig.dials[0].visitor
        rig.hold("identify reply" if committed else "identify")
        if by == "cancellation":
            task = asyncio.create_task(identify(rig, chat))
            await rig.quiet(1)
            await cancelled(rig, task)
        else:
            with pytest.raises(CallTimeoutError) as caught:
                await identify(rig, chat, timeout=2)
            assert isinstance(caught.value, TimeoutError)
            assert "unknown" in str(caught.value)
        rig.events.clear()
        await rig.quiet()
        claim = rig.dials[-1].claim
        assert len(rig.dials) == 2
        assert claim is not None
        assert (claim.identify_id, claim.user_id) == (rig.identifies[0].identify_id, "ann")
        assert (rig.dials[-1].visitor, rig.dials[-1].token) == (
            secret,
            rig.identifies[0].token,
        )
        assert (len(rig.open_links), rig.most_open) == (1, 1)
        rig.release()
        await rig.quiet()
        if committed:
            assert chat.is_in(Phase.AUTHENTICATED)
            assert chat.identity == SignedIn("ann")
            assert [event.identity for event in rig.of(AuthChanged)] == [SignedIn("ann")]
        else:
            assert chat.is_in(Phase.ANONYMOUS)
            assert chat.identity == visitor
            assert rig.of(AuthChanged) == []
            assert len(rig.identifies) == 1, "what was given up is not sent again"

    rig.run(scenario)


def test_a_lost_reply_is_learnt_while_its_caller_goes_on_waiting(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        rig.hold("identify reply")
        call = identify(rig, chat)
        await rig.quiet(1)
        rig.links[-1].lose()
        result = await call
        assert (result.merged, result.conversations_moved) == (True, 2)
        assert len(rig.identifies) == 1

    rig.run(scenario)


def test_an_identify_not_committed_when_the_link_broke_is_sent_again(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        rig.hold("identify")
        call = identify(rig, chat)
        await rig.quiet(1)
        rig.links[-1].lose()
        await rig.quiet()
        rig.release()
        assert (await call).merged
        assert chat.identity == SignedIn("ann")
        assert len(rig.committed) == 1

    rig.run(scenario)


def test_an_identify_cancelled_while_it_waits_for_the_boot_or_the_link_is_forgotten(
    rig: Rig,
) -> None:
    async def booting() -> SupportChat:
        chat = rig.chat()
        rig.hold("dial")
        chat.boot()
        return chat

    async def reconnecting() -> SupportChat:
        chat = await live_visitor(rig)
        rig.hold("dial")
        rig.links[-1].lose()
        return chat

    async def scenario() -> None:
        for situation in (booting, reconnecting):
            chat = await situation()
            await rig.quiet(1)
            await cancelled(rig, asyncio.create_task(identify(rig, chat)))
            rig.release()
            await rig.quiet()
            assert chat.is_in(Phase.ANONYMOUS)
            assert isinstance(chat.identity, Visitor)
            assert rig.identifies == []

    rig.run(scenario)


def test_cancelling_one_of_two_identifies_does_not_abandon_it(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        rig.hold("identify")
        first, second = (
            asyncio.create_task(identify(rig, chat)),
            asyncio.create_task(identify(rig, chat)),
        )
        await rig.quiet(1)
        await cancelled(rig, first)
        rig.release()
        assert (await second).merged
        assert len(rig.dials) == 1

    rig.run(scenario)


def test_cancelling_an_identify_that_joined_a_boot_does_not_abandon_the_boot(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        boot = chat.boot(user=ANN, token_provider=rig.tokens("ann"))
        await cancelled(rig, asyncio.create_task(identify(rig, chat)))
        rig.release()
        assert await boot == SignedIn("ann")

    rig.run(scenario)


# --- shutdown, destroy and the rest: only the waiting ---------------------------------------------


def test_cancelling_a_shutdown_cancels_only_the_waiting(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        rig.leave_something()
        rig.hold("delete", "revoke")
        await cancelled(rig, asyncio.create_task(chat.shutdown(clear_storage=True)))
        assert chat.is_in(Phase.SHUTDOWN)
        rig.release()
        await rig.quiet()
        assert rig.kept() == set()
        assert rig.revoked == ["session-1"]

    rig.run(scenario)


def test_cancelling_a_destroy_cancels_only_the_waiting(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        rig.leave_something()
        rig.hold("delete")
        chat.shutdown()
        await cancelled(rig, asyncio.create_task(chat.destroy()))
        assert chat.is_in(Phase.DESTROYED)
        rig.release()
        await rig.quiet()
        assert rig.kept() == {"visitor"}
        assert chat.destroy().done

    rig.run(scenario)


def test_cancelling_a_load_or_a_message_cancels_only_the_waiting(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("get", "send")
        load = asyncio.create_task(chat.load())
        await rig.quiet(1)
        await cancelled(rig, load)
        rig.release("get")
        await rig.quiet()
        assert chat.is_in(Phase.READY)
        await chat.boot()
        await cancelled(rig, asyncio.create_task(chat.send_message("hello")))
        rig.release()
        await rig.quiet()
        assert rig.log.count("send") == 1
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


def test_a_task_cancelled_before_it_started_counts_as_an_awaiter_that_left(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        boot = asyncio.create_task(chat.boot())
        boot.cancel()
        await asyncio.wait([boot])
        await rig.quiet()
        assert boot.cancelled()
        assert rig.links == []
        assert chat.state in (Phase.NOT_INITIALIZED, Phase.READY)

        await chat.boot()
        task = asyncio.create_task(identify(rig, chat))
        task.cancel()
        await asyncio.wait([task])
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert rig.committed == {}

        ending = asyncio.create_task(chat.shutdown())
        ending.cancel()
        await asyncio.wait([ending])
        await rig.quiet()
        assert chat.is_in(Phase.SHUTDOWN)
        assert rig.revoked == ["session-1"]

    rig.run(scenario)


def test_a_cancellation_after_the_call_has_settled_changes_nothing(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        task = asyncio.create_task(chat.boot())
        chat.on(Ready, lambda event: task.cancel())
        await asyncio.wait([task])
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


# --- time -----------------------------------------------------------------------------------------


def test_wait_for_abandons_a_boot_as_any_cancellation_does(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(chat.boot(), 2)
        assert chat.is_in(Phase.READY)

    rig.run(scenario)


def test_a_boot_takes_no_longer_than_its_timeout_whatever_hangs(rig: Rig) -> None:
    async def scenario() -> None:
        for held in ("token", "dial"):
            chat = rig.chat()
            rig.hold(held)
            began = asyncio.get_running_loop().time()
            with pytest.raises(CallTimeoutError):
                await chat.boot(user=ANN, token_provider=rig.tokens("ann"), timeout=7)
            assert round(asyncio.get_running_loop().time() - began, 3) == 7
            assert chat.is_in(Phase.READY)
            rig.release()

    rig.run(scenario)


def test_a_waiting_identify_takes_no_longer_than_its_timeout(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        chat.set_online(False)
        began = asyncio.get_running_loop().time()
        with pytest.raises(CallTimeoutError):
            await identify(rig, chat, timeout=4)
        assert round(asyncio.get_running_loop().time() - began, 3) == 4
        chat.set_online(True)
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)
        assert rig.identifies == []

    rig.run(scenario)


def test_the_timeout_of_an_identify_that_waits_for_a_boot_is_not_the_boots(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        boot = chat.boot()
        with pytest.raises(CallTimeoutError):
            await identify(rig, chat, timeout=2)
        assert chat.is_in(Phase.BOOTING)
        rig.release()
        await boot
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


def test_a_boot_that_times_out_while_it_waits_for_the_load_or_a_clear_leaves_those_alone(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("get", "create", "keys")
        load = chat.load()
        with pytest.raises(CallTimeoutError):
            await chat.boot(timeout=2)
        assert chat.is_in(Phase.LOADING)
        rig.release()
        await load
        assert chat.is_in(Phase.READY)

        await chat.boot()
        rig.hold("keys")
        ended = chat.shutdown()
        with pytest.raises(CallTimeoutError):
            await chat.boot(timeout=2)
        rig.release()
        await ended
        await rig.quiet()
        assert chat.is_in(Phase.SHUTDOWN)
        assert rig.log.count("dial") == 1

    rig.run(scenario)


def test_cancelling_a_boot_leaves_a_load_alone_and_the_other_way_round(rig: Rig) -> None:
    async def scenario() -> None:
        for left, kept in (("boot", "load"), ("load", "boot")):
            chat = rig.chat()
            rig.hold("get", "create", "keys")
            keeper, leaver = getattr(chat, kept)(), asyncio.create_task(getattr(chat, left)())
            await rig.quiet(1)
            await cancelled(rig, leaver)
            rig.release()
            await keeper
            assert chat.is_in(Phase.READY if kept == "load" else Phase.ANONYMOUS)

    rig.run(scenario)


def test_who_identifies_the_same_user_again_waits_for_what_became_of_the_first(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        rig.hold("identify reply")
        with pytest.raises(CallTimeoutError):
            await identify(rig, chat, timeout=2)
        again, other = identify(rig, chat), chat.identify(user={"id": "bob"})
        with pytest.raises(IdentityConflictError):
            await other
        assert (await again).conversations_moved == 2
        assert len(rig.identifies) == 1

    rig.run(scenario)
