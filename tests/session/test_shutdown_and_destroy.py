"""How a session ends: at once for whoever looks at it, in bounded time for whoever awaits it, and
for ever after destroy().
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Iterator
from gc import get_referents
from typing import TYPE_CHECKING, Any, cast

import pytest

from support_chat import (
    Call,
    ErrorOccurred,
    NetworkError,
    Phase,
    PhaseChanged,
    SessionDestroyedError,
    SessionEndedError,
    SignedIn,
    StorageError,
    SupportChat,
    SupportChatError,
    Visitor,
)
from support_chat.ports import SessionRevoked

if TYPE_CHECKING:
    from tests.session.conftest import Stage

HANGING = (
    *(
        "get",
        "create",
        "replace",
        "delete",
        "keys",
        "token",
        "dial",
        "identify",
        "update",
        "renew",
        "send",
        "conversations",
    ),
    *("revoke", "goodbye"),
)


def boot(stage: Stage, chat: SupportChat, user: str = "ann") -> Call[Any]:
    return chat.boot(
        user={"id": user, "traits": {"role": "the-trait-value"}}, token_provider=stage.tokens(user)
    )


async def live(stage: Stage, **options: Any) -> SupportChat:
    """A session live for ann, with something of hers in the storage; the log begins now."""
    chat = stage.chat(**options)
    await boot(stage, chat)
    await stage.quiet()
    stage.leave_something()
    stage.log.clear()
    return chat


def now() -> float:
    return asyncio.get_running_loop().time()


# --- shutdown: at once ----------------------------------------------------------------------------


def test_shutdown_changes_the_phase_and_who_is_live_at_once(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        chat.shutdown()
        assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
        assert stage.log == []

    stage.run(scenario)


def reachable(root: object, stage: Stage) -> Iterator[str]:
    """Every text that can be reached from `root` without passing through the stage, a module, a
    class or a function's globals.
    """
    walls: list[object] = [
        stage,
        stage.log,
        stage.storage,
        stage.transport,
        stage.events,
        asyncio.get_running_loop(),
    ]
    seen, left = {id(wall) for wall in walls}, [root]
    while left:
        thing = left.pop()
        if id(thing) in seen or isinstance(thing, types.ModuleType | type):
            continue
        seen.add(id(thing))
        if isinstance(thing, str):
            yield thing
        elif isinstance(thing, types.FunctionType):
            left += thing.__closure__ or ()
        elif isinstance(thing, types.CoroutineType):
            left += [*(thing.cr_frame.f_locals.values() if thing.cr_frame else ()), thing.cr_await]
        else:
            left += get_referents(thing)
            if isinstance(thing, asyncio.Task):
                left.append(cast("asyncio.Task[object]", thing).get_coro())


@pytest.mark.parametrize("held", ["nothing", "revoke", "delete", "goodbye"])
def test_shutdown_clears_memory_at_once(stage: Stage, held: str) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        secrets = {stage.dials[-1].token, "the-trait-value", "another-value"}
        chat.update(context={"page": "another-value"})
        assert secrets <= set(reachable(chat, stage)), "the test finds what is there"
        stage.hold(held)
        ended = chat.shutdown()
        assert secrets & set(reachable(chat, stage)) == set()
        await stage.quiet(0.1)
        assert secrets & set(reachable(chat, stage)) == set()
        stage.release()
        await ended

    stage.run(scenario)


@pytest.mark.parametrize("under_way", ["token", "dial", "identify", "update"])
def test_what_was_under_way_is_forgotten_as_well(stage: Stage, under_way: str) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold(under_way, "revoke")
        if under_way == "identify":
            await chat.boot()
            chat.identify(
                user={"id": "ann", "traits": {"role": "the-trait-value"}},
                token_provider=stage.tokens("ann"),
            )
        else:
            boot(stage, chat)
        await stage.quiet(2)
        assert "the-trait-value" in set(reachable(chat, stage))
        chat.shutdown()
        await stage.collected()
        assert "the-trait-value" not in set(reachable(chat, stage))
        assert not any("opaque-token" in text for text in reachable(chat, stage))

    stage.run(scenario)


def test_what_was_not_sent_is_dropped_aloud(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        chat.set_online(False)
        chat.update(user={"name": "Ann"}, context={"page": "billing"})
        await chat.shutdown()
        assert [event.dropped for event in stage.of(ErrorOccurred)] == [
            ("context.page", "user.name")
        ]
        await boot(stage, chat)
        await stage.quiet()
        assert all("context.page" not in changes for _, changes in stage.updates)

    stage.run(scenario)


def test_a_message_and_an_identify_under_way_end_with_the_session(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.boot()
        stage.hold("send", "identify")
        identify = chat.identify(user={"id": "ann"})
        message = chat.send_message("hello")
        await stage.quiet(1)
        chat.shutdown()
        with pytest.raises(SessionEndedError):
            await identify
        with pytest.raises(SupportChatError):
            await message

    stage.run(scenario)


@pytest.mark.parametrize("held", ["token", "dial", "identify", "update"])
def test_what_comes_after_the_end_changes_nothing(stage: Stage, held: str) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold(held, deaf=True)
        if held == "identify":
            await chat.boot()
            chat.identify(user={"id": "ann"}, token_provider=stage.tokens("ann"))
        else:
            boot(stage, chat)
        await stage.quiet(2)
        await chat.shutdown()
        stage.log.clear()
        stage.release()
        await stage.quiet(100)
        assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
        assert stage.open_links == []
        assert set(stage.log) <= {"revoke"}
        assert set(stage.revoked) == set(stage.users), "a session that began all the same is ended"

    stage.run(scenario)


# --- shutdown: what is awaited --------------------------------------------------------------------


@pytest.mark.parametrize("clear_storage", [False, True])
def test_shutdown_keeps_the_visitor_unless_asked_and_touches_no_other_scope(
    stage: Stage, clear_storage: bool
) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        before = stage.dials[-1].visitor
        await chat.shutdown(clear_storage=clear_storage)
        assert stage.kept() == (set() if clear_storage else {"visitor"})
        assert len(stage.stored) == (1 if clear_storage else 2), (
            "the other scope's key is still there"
        )
        await chat.boot()
        assert (stage.dials[-1].visitor == before) == (not clear_storage)
        assert stage.dials[-1].session is None, "each boot is a new backend session"
        assert stage.revoked == ["session-1"]

    stage.run(scenario)


@pytest.mark.parametrize("clear_storage", [False, True])
def test_clearing_waits_for_no_network(stage: Stage, clear_storage: bool) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("revoke", "goodbye", "update", deaf=True)
        chat.update(context={"page": "billing"})
        await stage.quiet(1)
        began = now()
        ended = chat.shutdown(clear_storage=clear_storage)
        await stage.quiet(0)
        await stage.quiet(0.01)
        assert stage.kept() == (set() if clear_storage else {"visitor"})
        assert not ended.done
        await ended
        assert now() - began <= 5.1, "the parting has its budget"

    stage.run(scenario)


def test_a_network_that_fails_does_not_fail_a_shutdown(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.fail("revoke", NetworkError("down"))
        stage.fail("goodbye", OSError("down"))
        await chat.shutdown()
        assert stage.kept() == {"visitor"}
        assert stage.open_links == []
        assert stage.of(ErrorOccurred) == []

    stage.run(scenario)


def test_the_link_is_closed_although_it_does_not_say_goodbye(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("goodbye", deaf=True)
        await chat.shutdown()
        assert stage.open_links == []

    stage.run(scenario)


def test_a_link_whose_goodbye_fails_does_not_stay_open_as_long_as_the_revocation_hangs(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("revoke")
        stage.fail("goodbye", NetworkError("down"))
        chat.shutdown()
        await boot(stage, chat)
        assert stage.most_open == 1

    stage.run(scenario)


def test_a_full_clear_is_queued_behind_the_clear_under_way(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("delete")
        plain, joined, full = chat.shutdown(), chat.shutdown(), chat.shutdown(clear_storage=True)
        after = chat.shutdown()
        await stage.quiet(1)
        assert not any(call.done for call in (plain, joined, full, after))
        assert stage.storage_log.count("delete") == 1, "one clear at a time"
        stage.release()
        await asyncio.gather(plain, joined, full, after)
        assert stage.log.count("clear") == stage.log.count("clear-visitor") == 1
        assert stage.kept() == set()

    stage.run(scenario)


def test_s24_a_revocation_names_its_session_and_a_late_one_never_ends_the_next(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("revoke")
        ended = chat.shutdown()
        await boot(stage, chat, "bob")
        assert chat.identity == SignedIn("bob")
        assert not ended.done, "it waits for its own parting while another session is live"
        assert stage.revoked == []
        stage.release()
        await ended
        await stage.quiet(100)
        assert stage.revoked == ["session-1"]
        assert chat.identity == SignedIn("bob")
        await chat.shutdown()
        assert stage.revoked == ["session-1", "session-2"]

    stage.run(scenario)


def test_shutdowns_of_two_sessions_each_wait_for_their_own_parting(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("revoke")
        first = chat.shutdown()
        await boot(stage, chat)
        await stage.quiet(2)
        second = chat.shutdown()
        await stage.quiet(2)
        assert not first.done
        assert not second.done
        await first
        assert now() < 3 + 5.1 + 1
        assert not second.done, "its budget began two seconds later"
        stage.release()
        await second
        assert stage.revoked == ["session-2"]

    stage.run(scenario)


def test_a_shutdown_whose_parting_hangs_ends_within_its_budget_while_another_session_is_live(
    stage: Stage,
) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("revoke", deaf=True)
        began, ended = now(), chat.shutdown()
        await boot(stage, chat)
        await ended
        assert now() - began <= 5.1
        assert chat.is_in(Phase.AUTHENTICATED)

    stage.run(scenario)


# --- a failed clear -------------------------------------------------------------------------------


@pytest.mark.parametrize("clear_storage", [False, True])
@pytest.mark.parametrize("operation", ["keys", "delete"])
@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_failed_clear_raises_and_stays_owed(
    stage: Stage, operation: str, clear_storage: bool, how: str
) -> None:
    async def scenario() -> None:
        chat = await live(stage)

        def break_it() -> None:
            stage.fail(operation, OSError("disk")) if how == "fails" else stage.hold(operation)

        def mend_it() -> None:
            stage.gates.failures.clear()
            stage.release()

        for attempt in (
            lambda: chat.shutdown(clear_storage=clear_storage),
            chat.shutdown,
            chat.boot,
        ):
            break_it()
            stage.storage_log.clear()
            began = now()
            with pytest.raises(StorageError):
                await attempt()
            assert now() - began <= 5.1
            assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
            assert set(stage.storage_log) <= {"keys", "delete"}, (
                "the clear comes before anything else"
            )
            assert "dial" not in stage.log
            mend_it()
        assert stage.kept() == {"visitor", "user"}
        before = stage.dials[-1].visitor
        stage.storage_log.clear()
        stage.log.clear()
        await chat.boot()
        cleared = ["clear", "clear-visitor", "write"] if clear_storage else ["clear"]
        assert [*sorted(stage.log[:-1]), stage.log[-1]] == [*cleared, "dial"], (
            "at the strongest level asked for"
        )
        assert (stage.dials[-1].visitor == before) == (not clear_storage)
        await chat.shutdown()
        assert stage.kept() == {"visitor"}, "and then nothing is owed any more"

    stage.run(scenario)


def test_what_a_plain_shutdown_owes_a_full_one_makes_stronger(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.fail("delete", OSError("disk"), OSError("disk"))
        with pytest.raises(StorageError):
            await chat.shutdown()
        with pytest.raises(StorageError):
            await chat.shutdown(clear_storage=True)
        await chat.shutdown()
        assert stage.kept() == set()

    stage.run(scenario)


def test_a_failed_clear_fails_whoever_waits_for_it_and_the_boot_behind_it(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("delete")
        stage.fail("delete", OSError("disk"))
        calls = [
            chat.shutdown(),
            chat.shutdown(clear_storage=True),
            chat.boot(),
            chat.identify(user={"id": "bob"}),
        ]
        await stage.quiet(1)
        stage.release()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StorageError] * 4
        assert chat.is_in(Phase.SHUTDOWN)
        await chat.shutdown()
        assert stage.kept() == set()

    stage.run(scenario)


def test_a_write_under_way_ends_before_the_clear_begins(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        await chat.load()
        stage.hold("create")
        chat.boot()
        await stage.quiet(1)
        ended = chat.shutdown(clear_storage=True)
        await stage.quiet(1)
        assert "delete" not in stage.storage_log
        stage.release()
        await ended
        await stage.quiet()
        assert stage.kept() == set(), "no write comes after the clear"
        assert isinstance(await chat.boot(), Visitor)

    stage.run(scenario)


# --- ended by the backend -------------------------------------------------------------------------


def test_a_session_that_the_backend_ends_is_cleared_and_says_why(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.links[-1].push(SessionRevoked("by_admin"))
        await stage.quiet()
        assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
        assert stage.of(PhaseChanged)[-1].reason == "revoked"
        (told,) = stage.of(ErrorOccurred)
        assert told.error.reason == "by_admin"
        assert stage.kept() == {"visitor"}
        assert "dial" not in stage.log
        await chat.boot()
        assert chat.is_in(Phase.ANONYMOUS)

    stage.run(scenario)


# --- destroy --------------------------------------------------------------------------------------


def situations() -> dict[str, Any]:
    async def nothing(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        return []

    async def loading(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        return [chat.load(), chat.boot()]

    async def at_the_visitor(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        stage.release("get")
        return [boot(stage, chat), chat.identify(user={"id": "ann"})]

    async def at_the_token(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        stage.release("get", "create")
        return [boot(stage, chat)]

    async def at_the_dial(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        stage.release("get", "create", "token")
        return [boot(stage, chat)]

    async def live_and_busy(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        stage.release("get", "create", "dial", "token")
        await chat.boot()
        return [chat.send_message("hello"), chat.conversations(), chat.identify(user={"id": "ann"})]

    async def reconnecting(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        await live_and_busy(stage, chat)
        stage.hold("dial", deaf=True)
        stage.links[-1].lose()
        return [chat.identify(user={"id": "ann"})]

    async def parting(stage: Stage, chat: SupportChat) -> list[Call[Any]]:
        await live_and_busy(stage, chat)
        return [chat.shutdown(clear_storage=True), chat.shutdown(), chat.boot()]

    return {
        f.__name__: f
        for f in (
            nothing,
            loading,
            at_the_visitor,
            at_the_token,
            at_the_dial,
            live_and_busy,
            reconnecting,
            parting,
        )
    }


@pytest.mark.parametrize("deaf", [False, True], ids=["hanging", "deaf"])
@pytest.mark.parametrize("situation", situations())
def test_destroy_completes_although_every_adapter_hangs(
    stage: Stage, situation: str, deaf: bool
) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        stage.hold(*HANGING, deaf=deaf)
        calls = await situations()[situation](stage, chat)
        await stage.quiet(1)
        stored, began = dict(stage.stored), now()
        ended = chat.destroy()
        assert (chat.state, chat.identity) == (Phase.DESTROYED, None)
        assert stage.open_links == [] or situation == "parting"
        await ended
        assert now() - began <= 10.1, "its budget, and again for the release"
        assert stage.open_links == []
        assert all(call.done for call in calls)
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, SupportChatError)
        assert stage.stored == stored
        stage.release()
        await stage.quiet(1000)
        assert stage.open_links == []
        assert stage.stored == stored or deaf, (
            "only an adapter that ignores its cancellation writes later"
        )
        assert asyncio.all_tasks() == {asyncio.current_task()}

    stage.run(scenario)


def test_destroy_leaves_the_storage_as_it_is_and_the_adapters_open(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stored = dict(stage.stored)
        await chat.destroy()
        assert stage.stored == stored
        assert stage.log == []
        assert stage.closed_adapters == []

    stage.run(scenario)


def test_destroy_lets_a_clear_and_a_revocation_finish_within_its_budget(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("delete", "revoke")
        ended, destroyed = chat.shutdown(clear_storage=True), chat.destroy()
        await stage.quiet(3)
        assert not ended.done
        assert not destroyed.done
        stage.release()
        await asyncio.gather(ended, destroyed)
        assert stage.kept() == set()
        assert stage.revoked == ["session-1"]
        assert now() < 10

    stage.run(scenario)


def test_destroy_lets_the_revocation_of_an_earlier_shutdown_finish(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("revoke")
        ended = chat.shutdown()
        await boot(stage, chat)
        destroyed = chat.destroy()
        await stage.quiet(1)
        stage.release()
        await asyncio.gather(ended, destroyed)
        assert stage.revoked == ["session-1"]

    stage.run(scenario)


def test_a_second_destroy_joins_and_a_later_one_is_done(stage: Stage) -> None:
    async def scenario() -> None:
        chat = await live(stage)
        stage.hold("delete")
        chat.shutdown()
        first, second = chat.destroy(), chat.destroy()
        await stage.quiet(1)
        assert not first.done
        assert not second.done
        stage.release()
        await asyncio.gather(first, second)
        assert chat.destroy().done

    stage.run(scenario)


def test_after_destroy_nothing_runs_and_nobody_is_told_anything(stage: Stage) -> None:
    async def scenario() -> None:
        chat = stage.chat()
        told: list[object] = []
        chat.on(PhaseChanged, told.append)
        async with chat.events(PhaseChanged) as stream:
            await boot(stage, chat)
            await stage.quiet()
            await chat.destroy()
            assert [event.current async for event in stream][-1] is Phase.DESTROYED
        assert len(told) == len(stage.of(PhaseChanged)) > 0
        told.clear()
        stage.log.clear()
        for call in (chat.boot, chat.shutdown, chat.load):
            with pytest.raises(SessionDestroyedError):
                await call()
        chat.set_online(False)
        await stage.quiet(10_000)
        assert told == []
        assert stage.log == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    stage.run(scenario)


def test_destroying_one_session_leaves_another_on_the_same_adapters_alone(stage: Stage) -> None:
    async def scenario() -> None:
        one, other = stage.chat(), stage.chat(scope="other-browser")
        await asyncio.gather(one.boot(), other.boot())
        await one.destroy()
        await other.send_message("hello")
        assert other.is_in(Phase.ANONYMOUS)

    stage.run(scenario)
