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
    from tests.session.conftest import Rig

HANGING = (
    *(
        "get",
        "create",
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


def boot(rig: Rig, chat: SupportChat, user: str = "ann") -> Call[Any]:
    return chat.boot(
        user={"id": user, "traits": {"role": "the-trait-value"}}, token_provider=rig.tokens(user)
    )


async def live(rig: Rig, **options: Any) -> SupportChat:
    """A session live for ann, with something of hers in the storage; the log begins now."""
    chat = rig.chat(**options)
    await boot(rig, chat)
    await rig.quiet()
    rig.leave_something()
    rig.log.clear()
    return chat


def now() -> float:
    return asyncio.get_running_loop().time()


# --- shutdown: at once ----------------------------------------------------------------------------


def test_shutdown_changes_the_phase_and_who_is_live_at_once(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        chat.shutdown()
        assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
        assert rig.log == []

    rig.run(scenario)


def reachable(root: object, rig: Rig) -> Iterator[str]:
    """Every text that can be reached from `root` without passing through the rig, a module, a
    class or a function's globals.
    """
    walls: list[object] = [
        rig,
        rig.log,
        rig.storage,
        rig.transport,
        rig.events,
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
def test_shutdown_clears_memory_at_once(rig: Rig, held: str) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        secrets = {rig.dials[-1].token, "the-trait-value", "another-value"}
        chat.update(context={"page": "another-value"})
        assert secrets <= set(reachable(chat, rig)), "the test finds what is there"
        rig.hold(held)
        ended = chat.shutdown()
        assert secrets & set(reachable(chat, rig)) == set()
        await rig.quiet(0.1)
        assert secrets & set(reachable(chat, rig)) == set()
        rig.release()
        await ended

    rig.run(scenario)


@pytest.mark.parametrize("under_way", ["token", "dial", "identify", "update"])
def test_what_was_under_way_is_forgotten_as_well(rig: Rig, under_way: str) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold(under_way, "revoke")
        if under_way == "identify":
            await chat.boot()
            chat.identify(
                user={"id": "ann", "traits": {"role": "the-trait-value"}},
                token_provider=rig.tokens("ann"),
            )
        else:
            boot(rig, chat)
        await rig.quiet(2)
        assert "the-trait-value" in set(reachable(chat, rig))
        chat.shutdown()
        await rig.collected()
        assert "the-trait-value" not in set(reachable(chat, rig))
        assert not any("opaque-token" in text for text in reachable(chat, rig))

    rig.run(scenario)


def test_what_was_not_sent_is_dropped_aloud(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        chat.set_online(False)
        chat.update(user={"name": "Ann"}, context={"page": "billing"})
        await chat.shutdown()
        assert [event.dropped for event in rig.of(ErrorOccurred)] == [("context.page", "user.name")]
        await boot(rig, chat)
        await rig.quiet()
        assert all("context.page" not in changes for _, changes in rig.updates)

    rig.run(scenario)


def test_a_message_and_an_identify_under_way_end_with_the_session(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.hold("send", "identify")
        identify = chat.identify(user={"id": "ann"})
        message = chat.send_message("hello")
        await rig.quiet(1)
        chat.shutdown()
        with pytest.raises(SessionEndedError):
            await identify
        with pytest.raises(SupportChatError):
            await message

    rig.run(scenario)


@pytest.mark.parametrize("held", ["token", "dial", "identify", "update"])
def test_what_comes_after_the_end_changes_nothing(rig: Rig, held: str) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold(held, deaf=True)
        if held == "identify":
            await chat.boot()
            chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        else:
            boot(rig, chat)
        await rig.quiet(2)
        await chat.shutdown()
        rig.log.clear()
        rig.release()
        await rig.quiet(100)
        assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
        assert rig.open_links == []
        assert set(rig.log) <= {"revoke"}
        assert set(rig.revoked) == set(rig.users), "a session that began all the same is ended"

    rig.run(scenario)


# --- shutdown: what is awaited --------------------------------------------------------------------


@pytest.mark.parametrize("clear_storage", [False, True])
def test_shutdown_keeps_the_visitor_unless_asked_and_touches_no_other_scope(
    rig: Rig, clear_storage: bool
) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        before = rig.dials[-1].visitor
        await chat.shutdown(clear_storage=clear_storage)
        assert rig.kept() == (set() if clear_storage else {"visitor"})
        assert len(rig.stored) == (1 if clear_storage else 2), (
            "the other scope's key is still there"
        )
        await chat.boot()
        assert (rig.dials[-1].visitor == before) == (not clear_storage)
        assert rig.dials[-1].session is None, "each boot is a new backend session"
        assert rig.revoked == ["session-1"]

    rig.run(scenario)


@pytest.mark.parametrize("clear_storage", [False, True])
def test_clearing_waits_for_no_network(rig: Rig, clear_storage: bool) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("revoke", "goodbye", "update", deaf=True)
        chat.update(context={"page": "billing"})
        await rig.quiet(1)
        began = now()
        ended = chat.shutdown(clear_storage=clear_storage)
        await rig.quiet(0)
        await rig.quiet(0.01)
        assert rig.kept() == (set() if clear_storage else {"visitor"})
        assert not ended.done
        await ended
        assert now() - began <= 5.1, "the parting has its budget"

    rig.run(scenario)


def test_a_network_that_fails_does_not_fail_a_shutdown(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.fail("revoke", NetworkError("down"))
        rig.fail("goodbye", OSError("down"))
        await chat.shutdown()
        assert rig.kept() == {"visitor"}
        assert rig.open_links == []
        assert rig.of(ErrorOccurred) == []

    rig.run(scenario)


def test_the_link_is_closed_although_it_does_not_say_goodbye(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("goodbye", deaf=True)
        await chat.shutdown()
        assert rig.open_links == []

    rig.run(scenario)


def test_a_link_whose_goodbye_fails_does_not_stay_open_as_long_as_the_revocation_hangs(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("revoke")
        rig.fail("goodbye", NetworkError("down"))
        chat.shutdown()
        await boot(rig, chat)
        assert rig.most_open == 1

    rig.run(scenario)


def test_a_full_clear_is_queued_behind_the_clear_under_way(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("delete")
        plain, joined, full = chat.shutdown(), chat.shutdown(), chat.shutdown(clear_storage=True)
        after = chat.shutdown()
        await rig.quiet(1)
        assert not any(call.done for call in (plain, joined, full, after))
        assert rig.storage_log.count("delete") == 1, "one clear at a time"
        rig.release()
        await asyncio.gather(plain, joined, full, after)
        assert rig.log.count("clear") == rig.log.count("clear-visitor") == 1
        assert rig.kept() == set()

    rig.run(scenario)


def test_s24_a_revocation_names_its_session_and_a_late_one_never_ends_the_next(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("revoke")
        ended = chat.shutdown()
        await boot(rig, chat, "bob")
        assert chat.identity == SignedIn("bob")
        assert not ended.done, "it waits for its own parting while another session is live"
        assert rig.revoked == []
        rig.release()
        await ended
        await rig.quiet(100)
        assert rig.revoked == ["session-1"]
        assert chat.identity == SignedIn("bob")
        await chat.shutdown()
        assert rig.revoked == ["session-1", "session-2"]

    rig.run(scenario)


def test_shutdowns_of_two_sessions_each_wait_for_their_own_parting(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("revoke")
        first = chat.shutdown()
        await boot(rig, chat)
        await rig.quiet(2)
        second = chat.shutdown()
        await rig.quiet(2)
        assert not first.done
        assert not second.done
        await first
        assert now() < 3 + 5.1 + 1
        assert not second.done, "its budget began two seconds later"
        rig.release()
        await second
        assert rig.revoked == ["session-2"]

    rig.run(scenario)


def test_a_shutdown_whose_parting_hangs_ends_within_its_budget_while_another_session_is_live(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("revoke", deaf=True)
        began, ended = now(), chat.shutdown()
        await boot(rig, chat)
        await ended
        assert now() - began <= 5.1
        assert chat.is_in(Phase.AUTHENTICATED)

    rig.run(scenario)


# --- a failed clear -------------------------------------------------------------------------------


@pytest.mark.parametrize("clear_storage", [False, True])
@pytest.mark.parametrize("operation", ["keys", "delete"])
@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_failed_clear_raises_and_stays_owed(
    rig: Rig, operation: str, clear_storage: bool, how: str
) -> None:
    async def scenario() -> None:
        chat = await live(rig)

        def break_it() -> None:
            rig.fail(operation, OSError("disk")) if how == "fails" else rig.hold(operation)

        def mend_it() -> None:
            rig.gates.failures.clear()
            rig.release()

        for attempt in (
            lambda: chat.shutdown(clear_storage=clear_storage),
            chat.shutdown,
            chat.boot,
        ):
            break_it()
            rig.storage_log.clear()
            began = now()
            with pytest.raises(StorageError):
                await attempt()
            assert now() - began <= 5.1
            assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
            assert set(rig.storage_log) <= {"keys", "delete"}, (
                "the clear comes before anything else"
            )
            assert "dial" not in rig.log
            mend_it()
        assert rig.kept() == {"visitor", "user"}
        before = rig.dials[-1].visitor
        rig.storage_log.clear()
        rig.log.clear()
        await chat.boot()
        cleared = ["clear", "clear-visitor", "over", "write"] if clear_storage else ["clear"]
        assert [*sorted(rig.log[:-1]), rig.log[-1]] == [*cleared, "dial"], (
            "at the strongest level asked for"
        )
        assert (rig.dials[-1].visitor == before) == (not clear_storage)
        await chat.shutdown()
        assert rig.kept() == {"visitor"}, "and then nothing is owed any more"

    rig.run(scenario)


def test_what_a_plain_shutdown_owes_a_full_one_makes_stronger(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.fail("delete", OSError("disk"), OSError("disk"))
        with pytest.raises(StorageError):
            await chat.shutdown()
        with pytest.raises(StorageError):
            await chat.shutdown(clear_storage=True)
        await chat.shutdown()
        assert rig.kept() == set()

    rig.run(scenario)


def test_a_failed_clear_fails_whoever_waits_for_it_and_the_boot_behind_it(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("delete")
        rig.fail("delete", OSError("disk"))
        calls = [
            chat.shutdown(),
            chat.shutdown(clear_storage=True),
            chat.boot(),
            chat.identify(user={"id": "bob"}),
        ]
        await rig.quiet(1)
        rig.release()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StorageError] * 4
        assert chat.is_in(Phase.SHUTDOWN)
        await chat.shutdown()
        assert rig.kept() == set()

    rig.run(scenario)


def test_a_write_under_way_ends_before_the_clear_begins(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.load()
        rig.hold("create")
        chat.boot()
        await rig.quiet(1)
        ended = chat.shutdown(clear_storage=True)
        await rig.quiet(1)
        assert "delete" not in rig.storage_log
        rig.release()
        await ended
        await rig.quiet()
        assert rig.kept() == set(), "no write comes after the clear"
        assert isinstance(await chat.boot(), Visitor)

    rig.run(scenario)


# --- ended by the backend -------------------------------------------------------------------------


def test_a_session_that_the_backend_ends_is_cleared_and_says_why(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.links[-1].push(SessionRevoked("by_admin"))
        await rig.quiet()
        assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
        assert rig.of(PhaseChanged)[-1].reason == "revoked"
        (told,) = rig.of(ErrorOccurred)
        assert told.error.reason == "by_admin"
        assert rig.kept() == {"visitor"}
        assert "dial" not in rig.log
        await chat.boot()
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


# --- destroy --------------------------------------------------------------------------------------


def situations() -> dict[str, Any]:
    async def nothing(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        return []

    async def loading(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        return [chat.load(), chat.boot()]

    async def at_the_visitor(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        rig.release("get")
        return [boot(rig, chat), chat.identify(user={"id": "ann"})]

    async def at_the_token(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        rig.release("get", "create")
        return [boot(rig, chat)]

    async def at_the_dial(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        rig.release("get", "create", "token")
        return [boot(rig, chat)]

    async def live_and_busy(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        rig.release("get", "create", "dial", "token")
        await chat.boot()
        return [chat.send_message("hello"), chat.conversations(), chat.identify(user={"id": "ann"})]

    async def reconnecting(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        await live_and_busy(rig, chat)
        rig.hold("dial", deaf=True)
        rig.links[-1].lose()
        return [chat.identify(user={"id": "ann"})]

    async def parting(rig: Rig, chat: SupportChat) -> list[Call[Any]]:
        await live_and_busy(rig, chat)
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
    rig: Rig, situation: str, deaf: bool
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold(*HANGING, deaf=deaf)
        calls = await situations()[situation](rig, chat)
        await rig.quiet(1)
        stored, began = dict(rig.stored), now()
        ended = chat.destroy()
        assert (chat.state, chat.identity) == (Phase.DESTROYED, None)
        assert rig.open_links == [] or situation == "parting"
        await ended
        assert now() - began <= 10.1, "its budget, and again for the release"
        assert rig.open_links == []
        assert all(call.done for call in calls)
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, SupportChatError)
        assert rig.stored == stored
        rig.release()
        await rig.quiet(1000)
        assert rig.open_links == []
        assert rig.stored == stored or deaf, (
            "only an adapter that ignores its cancellation writes later"
        )
        assert asyncio.all_tasks() == {asyncio.current_task()}

    rig.run(scenario)


def test_destroy_leaves_the_storage_as_it_is_and_the_adapters_open(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        stored = dict(rig.stored)
        await chat.destroy()
        assert rig.stored == stored
        assert rig.log == []
        assert rig.closed_adapters == []

    rig.run(scenario)


def test_destroy_lets_a_clear_and_a_revocation_finish_within_its_budget(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("delete", "revoke")
        ended, destroyed = chat.shutdown(clear_storage=True), chat.destroy()
        await rig.quiet(3)
        assert not ended.done
        assert not destroyed.done
        rig.release()
        await asyncio.gather(ended, destroyed)
        assert rig.kept() == set()
        assert rig.revoked == ["session-1"]
        assert now() < 10

    rig.run(scenario)


def test_destroy_lets_the_revocation_of_an_earlier_shutdown_finish(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("revoke")
        ended = chat.shutdown()
        await boot(rig, chat)
        destroyed = chat.destroy()
        await rig.quiet(1)
        rig.release()
        await asyncio.gather(ended, destroyed)
        assert rig.revoked == ["session-1"]

    rig.run(scenario)


def test_a_second_destroy_joins_and_a_later_one_is_done(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("delete")
        chat.shutdown()
        first, second = chat.destroy(), chat.destroy()
        await rig.quiet(1)
        assert not first.done
        assert not second.done
        rig.release()
        await asyncio.gather(first, second)
        assert chat.destroy().done

    rig.run(scenario)


def test_after_destroy_nothing_runs_and_nobody_is_told_anything(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        told: list[object] = []
        chat.on(PhaseChanged, told.append)
        async with chat.events(PhaseChanged) as stream:
            await boot(rig, chat)
            await rig.quiet()
            await chat.destroy()
            assert [event.current async for event in stream][-1] is Phase.DESTROYED
        assert len(told) == len(rig.of(PhaseChanged)) > 0
        told.clear()
        rig.log.clear()
        for call in (chat.boot, chat.shutdown, chat.load):
            with pytest.raises(SessionDestroyedError):
                await call()
        chat.set_online(False)
        await rig.quiet(10_000)
        assert told == []
        assert rig.log == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    rig.run(scenario)


def test_destroying_one_session_leaves_another_on_the_same_adapters_alone(rig: Rig) -> None:
    async def scenario() -> None:
        one, other = rig.chat(), rig.chat(scope="other-browser")
        await asyncio.gather(one.boot(), other.boot())
        await one.destroy()
        await other.send_message("hello")
        assert other.is_in(Phase.ANONYMOUS)

    rig.run(scenario)
