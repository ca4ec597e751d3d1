"""A session that is not alone on its scope: what another tab, or another process, does to the
visitor.

The other tab is played by the test: it merges the visitor at the backend, clears the storage, or
tells that the visitor is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from support_chat import (
    AuthChanged,
    BackendRejectedError,
    ErrorOccurred,
    MessageFailed,
    NetworkError,
    Phase,
    PhaseChanged,
    SessionEndedError,
    Settings,
    SignedIn,
    StorageError,
    SupportChat,
    Visitor,
    VisitorEndedError,
)
from support_chat.ports import OwnerChanged, TokenExpired

if TYPE_CHECKING:
    from tests.session.conftest import Rig

VISITOR = "support-chat/acme/help/default/visitor"
OTHER = "the-secret-that-another-tab-has-stored"
SETTINGS = Settings()


async def as_a_visitor(rig: Rig, chat: SupportChat) -> None:
    await chat.boot()


async def as_a_user(rig: Rig, chat: SupportChat) -> None:
    await chat.boot(user={"id": "ann"}, token_provider=rig.tokens("ann"))


async def as_one_who_has_identified(rig: Rig, chat: SupportChat) -> None:
    await chat.boot()
    await chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))


WHO = [as_a_visitor, as_a_user, as_one_who_has_identified]
Live = Callable[["Rig", SupportChat], Awaitable[None]]


def reasons(rig: Rig) -> list[str]:
    return [event.reason for event in rig.of(PhaseChanged)]


# --- a merge in another tab -----------------------------------------------------------------------


def test_told_of_a_merge_it_dials_again_at_once_and_shows_whom_it_is_for(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        before = await chat.boot()
        await rig.quiet()
        rig.events.clear()
        rig.says["dial"] = {"visitor_id": "the successor"}
        rig.links[0].push(OwnerChanged())
        await rig.quiet(SETTINGS.backoff_min)
        assert chat.is_in(Phase.ANONYMOUS)
        assert chat.identity == Visitor("the successor") != before
        assert reasons(rig) == ["owner_changed", "connected"]
        assert [event.identity for event in rig.of(AuthChanged)] == [Visitor("the successor")]
        first, second = rig.dials
        assert (second.visitor, second.session) == (
            first.visitor,
            rig.links[0].welcome.session,
        ), "it is the same session, and the storage keeps the secret"
        assert (rig.links[0].is_open, rig.most_open, rig.log.count("write")) == (False, 1, 1)
        assert rig.of(ErrorOccurred) == []

    rig.run(scenario)


def test_dials_keep_their_distance_however_often_it_is_told(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 1.0:
            rig.links[-1].push(OwnerChanged())
            await rig.quiet(0.01)
        assert len(rig.dials) - 1 <= 1.0 / SETTINGS.backoff_min + 1

    rig.run(scenario)


# --- a look before each dial ----------------------------------------------------------------------


def nothing(rig: Rig) -> None: ...


def another(rig: Rig) -> None:
    rig.stored[VISITOR] = OTHER


def none(rig: Rig) -> None:
    del rig.stored[VISITOR]


def fails(rig: Rig) -> None:
    rig.fail("get", StorageError("The disk is gone."))


def raises(rig: Rig) -> None:
    rig.fail("get", OSError("disk"))


def hangs(rig: Rig) -> None:
    rig.hold("get")


def lost(rig: Rig, chat: SupportChat) -> None:
    rig.links[-1].lose()


def told_of_a_merge(rig: Rig, chat: SupportChat) -> None:
    rig.links[-1].push(OwnerChanged())


def offline_and_back(rig: Rig, chat: SupportChat) -> None:
    chat.set_online(False)
    chat.set_online(True)


def offline(rig: Rig, chat: SupportChat) -> None:
    chat.set_online(False)  # it probes


GONE = [lost, told_of_a_merge, offline_and_back, offline]
Gone = Callable[["Rig", SupportChat], None]
Found = Callable[["Rig"], None]


@pytest.mark.parametrize("live", WHO)
@pytest.mark.parametrize("gone", GONE)
@pytest.mark.parametrize("found", [nothing, fails, raises, hangs])
def test_a_look_that_finds_the_same_or_says_nothing_changes_nothing(
    rig: Rig, live: Live, gone: Gone, found: Found
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await live(rig, chat)
        await rig.quiet()
        phase, identity, stored = chat.state, chat.identity, dict(rig.stored)
        rig.storage_log.clear()
        rig.log.clear()
        found(rig)
        gone(rig, chat)
        await rig.quiet(60.0)
        assert (chat.state, chat.identity, rig.stored) == (phase, identity, stored)
        assert (rig.storage_log, rig.log.count("dial")) == (["get"], 1)
        assert rig.of(ErrorOccurred) == []

    rig.run(scenario)


@pytest.mark.parametrize("live", WHO)
@pytest.mark.parametrize("gone", GONE)
@pytest.mark.parametrize("found", [another, none])
def test_a_look_that_finds_another_visitor_or_none_ends_the_session_and_mints_nothing(
    rig: Rig, live: Live, gone: Gone, found: Found
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await live(rig, chat)
        await rig.quiet()
        rig.leave_something()
        found(rig)
        visitor = rig.stored.get(VISITOR)
        rig.log.clear()
        gone(rig, chat)
        await rig.quiet(60.0)
        assert (chat.state, chat.identity) == (Phase.SHUTDOWN, None)
        assert reasons(rig)[-1] == "signed_out"
        assert rig.log == ["clear"], "what is bound to the user goes, and nothing is dialled"
        assert rig.stored.get(VISITOR) == visitor
        (told,) = rig.of(ErrorOccurred)
        assert type(told.error) is SessionEndedError
        await chat.boot()
        assert rig.dials[-1].visitor == rig.stored[VISITOR]
        assert visitor in (None, rig.stored[VISITOR])

    rig.run(scenario)


def test_what_waits_for_a_session_that_is_signed_out_is_told_so(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.links[-1].lose()
        await asyncio.sleep(0)
        identify = chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        message = chat.send_message("hello")
        none(rig)
        for call in (identify, message):
            with pytest.raises(SessionEndedError):
                await call
        assert "token" not in rig.log

    rig.run(scenario)


def test_a_shutdown_does_not_wait_for_a_look(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.hold("get")
        rig.links[-1].lose()
        await rig.quiet(1)
        assert rig.storage_log[-1] == "get"
        began = asyncio.get_running_loop().time()
        await chat.shutdown()
        assert asyncio.get_running_loop().time() == began
        none(rig)
        rig.release()
        await rig.quiet()
        assert reasons(rig)[-1] == "shutdown", "what it finds is too late"

    rig.run(scenario)


def test_a_hint_while_it_looks_dials_once(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.log.clear()
        rig.hold("get")
        rig.links[-1].lose()
        await rig.quiet(1)
        chat.set_online(True)
        await rig.quiet(1)
        rig.release()
        await rig.quiet()
        assert (chat.state, rig.log, rig.most_open) == (Phase.ANONYMOUS, ["dial"], 1)

    rig.run(scenario)


# --- the backend says that the visitor is over ----------------------------------------------------


@pytest.mark.parametrize("live", WHO)
def test_a_live_session_that_is_told_so_ends_and_is_not_dialled_for_again(
    rig: Rig, live: Live
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await live(rig, chat)
        stored = dict(rig.stored)
        rig.log.clear()
        rig.over.append(rig.stored[VISITOR])  # the other tab's clear has not landed here yet
        rig.links[-1].lose()
        await rig.quiet(60.0)
        assert (chat.state, reasons(rig)[-1]) == (Phase.SHUTDOWN, "signed_out")
        assert (rig.log, rig.stored) == (["dial"], stored)
        (told,) = rig.of(ErrorOccurred)
        assert type(told.error) is SessionEndedError
        assert type(told.error.__cause__) is VisitorEndedError

    rig.run(scenario)


@pytest.mark.parametrize("found", [another, none])
def test_a_boot_that_is_told_so_reads_the_storage_again_and_goes_on(rig: Rig, found: Found) -> None:
    async def scenario() -> None:
        earlier = rig.chat()
        await earlier.boot()
        await earlier.destroy()
        old = rig.stored[VISITOR]
        rig.hold("dial")
        chat = rig.chat()
        booting = chat.boot()
        await rig.quiet(1)
        found(rig)
        rig.over.append(old)
        rig.release()
        assert isinstance(await booting, Visitor)
        assert [credentials.visitor for credentials in rig.dials[1:]] == [old, rig.stored[VISITOR]]
        assert rig.stored[VISITOR] != old
        assert (rig.stored[VISITOR] == OTHER) == (found is another)
        assert rig.of(ErrorOccurred) == []

    rig.run(scenario)


def test_a_boot_whose_visitor_is_over_and_still_stored_mends_it(rig: Rig) -> None:
    """As when the storage was restored from a backup."""

    async def scenario() -> None:
        rig.stored[VISITOR] = OTHER
        rig.over.append(OTHER)
        chat = rig.chat()
        await chat.boot()
        assert [credentials.visitor for credentials in rig.dials] == [OTHER, rig.stored[VISITOR]]
        assert rig.stored[VISITOR] != OTHER
        assert rig.log == ["dial", "clear-visitor", "write", "dial"]
        (told,) = rig.of(ErrorOccurred)
        assert type(told.error) is StorageError
        assert OTHER not in str(told.error)

    rig.run(scenario)


def test_a_backend_to_which_every_visitor_is_over_ends_the_boot_in_its_time(rig: Rig) -> None:
    async def scenario() -> None:
        every = VisitorEndedError("over")
        rig.fail("dial", *[every] * 10_000)
        chat = rig.chat()
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await chat.boot()
        assert asyncio.get_running_loop().time() - began == pytest.approx(SETTINGS.boot_timeout)
        assert chat.is_in(Phase.READY)
        assert len(rig.dials) <= SETTINGS.boot_timeout / SETTINGS.backoff_min + 1

    rig.run(scenario)


# --- telling the backend that a visitor is over ---------------------------------------------------


@pytest.mark.parametrize("live", WHO)
def test_a_full_clear_tells_which_secret_it_has_removed_once_and_afterwards(
    rig: Rig, live: Live
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await live(rig, chat)
        secret = rig.stored[VISITOR]
        rig.log.clear()
        rig.hold("delete")
        ending = chat.shutdown(clear_storage=True)
        await rig.quiet(2)
        assert "over" not in rig.log, "sent before the delete, another tab could store it again"
        rig.release()
        await ending
        await rig.quiet()
        assert rig.over == [secret]
        assert rig.log.index("over") > rig.log.index("clear-visitor")
        await chat.boot()
        assert rig.dials[-1].visitor == rig.stored[VISITOR] != secret
        await rig.quiet(60)
        assert chat.is_in(Phase.ANONYMOUS), "what is over is the former visitor"
        await chat.shutdown(clear_storage=True)
        await rig.quiet()
        assert rig.over == [secret, rig.dials[-1].visitor]

    rig.run(scenario)


GOES_WRONG: list[Callable[[Rig], None]] = [
    lambda rig: rig.hold("over"),
    lambda rig: rig.fail("over", NetworkError("down")),
    lambda rig: rig.fail("over", OSError("no route")),
]


@pytest.mark.parametrize(
    "goes_wrong",
    GOES_WRONG,
    ids=["hangs", "fails", "raises"],
)
def test_nobody_waits_for_it_and_that_it_fails_does_no_harm(
    rig: Rig, goes_wrong: Callable[[Rig], None]
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        goes_wrong(rig)
        began = asyncio.get_running_loop().time()
        await chat.shutdown(clear_storage=True)
        assert asyncio.get_running_loop().time() == began
        await chat.boot()
        await rig.quiet(60)
        assert (chat.state, rig.log.count("over")) == (Phase.ANONYMOUS, 1)
        assert rig.of(ErrorOccurred) == []
        assert rig.kept() == {"visitor"}

    rig.run(scenario)


def test_destroy_gives_it_its_time_and_no_more(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.hold("over", deaf=True)
        await chat.shutdown(clear_storage=True)
        began = asyncio.get_running_loop().time()
        await chat.destroy()
        waited = asyncio.get_running_loop().time() - began
        assert waited <= SETTINGS.destroy_timeout + SETTINGS.revoke_timeout

    rig.run(scenario)


async def plainly(rig: Rig, chat: SupportChat) -> None:
    await chat.shutdown()


async def by_destroy(rig: Rig, chat: SupportChat) -> None:
    await chat.destroy()


async def and_the_clear_fails(rig: Rig, chat: SupportChat) -> None:
    rig.fail("delete", OSError("disk"))
    with pytest.raises(StorageError):
        await chat.shutdown(clear_storage=True)


async def and_the_clear_hangs(rig: Rig, chat: SupportChat) -> None:
    rig.hold("delete")
    with pytest.raises(StorageError):
        await chat.shutdown(clear_storage=True)


async def and_another_tab_has_cleared(rig: Rig, chat: SupportChat) -> None:
    none(rig)
    await chat.shutdown(clear_storage=True)


async def and_the_storage_holds_no_secret(rig: Rig, chat: SupportChat) -> None:
    rig.stored[VISITOR] = "damage"
    await chat.shutdown(clear_storage=True)


@pytest.mark.parametrize(
    "ends",
    [
        plainly,
        by_destroy,
        and_the_clear_fails,
        and_the_clear_hangs,
        and_another_tab_has_cleared,
        and_the_storage_holds_no_secret,
    ],
)
def test_where_no_visitor_was_removed_nobody_is_told(
    rig: Rig, ends: Callable[[Rig, SupportChat], Awaitable[None]]
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        await ends(rig, chat)
        await rig.quiet(60)
        assert "over" not in rig.log

    rig.run(scenario)


def test_a_clear_that_succeeds_at_last_is_told(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        secret = rig.stored[VISITOR]
        await and_the_clear_fails(rig, chat)
        await chat.boot()
        await rig.quiet()
        assert rig.over == [secret]

    rig.run(scenario)


def test_of_two_tabs_that_clear_one_is_told_what_was_removed(rig: Rig) -> None:
    async def scenario() -> None:
        one, other = rig.chat(), rig.chat()
        await asyncio.gather(one.boot(), other.boot())
        secret = rig.stored[VISITOR]
        await asyncio.gather(one.shutdown(clear_storage=True), other.shutdown(clear_storage=True))
        await rig.quiet()
        assert rig.over == [secret]
        assert rig.kept() == set()

    rig.run(scenario)


# --- the session's credential, and for whom a request is ------------------------------------------


def test_a_credential_that_an_identify_brings_is_resumed_and_revoked(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.says["identify"] = {"session": "the identified session"}
        await chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        rig.users["the identified session"] = "ann"
        rig.links[-1].lose()
        await rig.quiet(10)
        assert rig.dials[-1].session == "the identified session"
        await chat.shutdown()
        assert rig.revoked == ["the identified session"]

    rig.run(scenario)


def test_a_credential_that_a_renewal_brings_is_resumed_and_revoked(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await as_a_user(rig, chat)
        rig.says["renew"] = {"session": "the renewed session"}
        rig.links[-1].push(TokenExpired())
        await rig.quiet(60)
        assert "renew" in rig.log
        rig.links[-1].lose()
        await rig.quiet(10)
        assert rig.dials[-1].session == "the renewed session"
        await chat.shutdown()
        assert rig.revoked == ["the renewed session"]

    rig.run(scenario)


def test_each_request_says_for_whom_it_is(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        visitor = await chat.boot()

        async def ask_everything() -> None:
            await chat.send_message("hello")
            await chat.conversations()
            await chat.messages("c1")
            await chat.mark_read("c1")
            await chat.update(context={"page": f"{chat.identity!r}"})
            await rig.quiet(5)

        asked = ["send", "conversations", "messages", "mark_read", "update"]
        await ask_everything()
        assert rig.owners == [(operation, visitor) for operation in asked]
        rig.owners.clear()
        await chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        await ask_everything()
        assert rig.owners == [(operation, SignedIn("ann")) for operation in asked]

    rig.run(scenario)


def test_a_message_that_was_meant_for_another_is_never_sent(rig: Rig) -> None:
    """Another tab merges the visitor between the call and the link that it leaves by."""

    async def scenario() -> None:
        chat = rig.chat()
        visitor = await chat.boot()
        rig.hold("dial")
        rig.says["dial"] = {"visitor_id": "the successor"}
        rig.links[-1].push(OwnerChanged())
        await rig.quiet(1)
        message = chat.send_message("hello")
        rig.release()
        with pytest.raises(BackendRejectedError) as caught:
            await message
        assert caught.value.code == "owner_changed"
        assert visitor != chat.identity == Visitor("the successor")
        (failed,) = rig.of(MessageFailed)
        assert (failed.text, failed.outcome_unknown, rig.owners) == ("hello", False, [])

    rig.run(scenario)
