"""An identify whose reply was lost, at a backend that does not remember what became of it: the same
is asked again, and never told as forgotten.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import (
    AuthChanged,
    AuthRefusedError,
    Call,
    CallTimeoutError,
    ErrorOccurred,
    IdentifyResult,
    IdentityConflictError,
    NetworkError,
    Phase,
    PhaseChanged,
    RateLimitedError,
    SignedIn,
    SupportChat,
    Visitor,
)
from support_chat.ports import OwnerChanged

if TYPE_CHECKING:
    from tests.session.conftest import Rig

ANN = {"id": "ann"}
MERGED = IdentifyResult(merged=True, conversations_moved=2)


def identify(rig: Rig, chat: SupportChat, **options: Any) -> Call[IdentifyResult]:
    return chat.identify(user=ANN, token_provider=rig.tokens("ann"), **options)


async def live_visitor(rig: Rig) -> SupportChat:
    """A visitor's session at a backend that remembers no identify."""
    rig.remembers = False
    chat = rig.chat()
    await chat.boot()
    rig.log.clear()
    return chat


async def lost(rig: Rig, chat: SupportChat, **options: Any) -> Call[IdentifyResult]:
    """An identify whose link is lost before it arrives; it is asked again, and held."""
    rig.hold("identify")
    call = identify(rig, chat, **options)
    await rig.quiet(1)
    rig.links[-1].lose()
    await rig.quiet()
    assert chat.is_in(Phase.ANONYMOUS)
    return call


async def given_up(rig: Rig, chat: SupportChat) -> None:
    """An identify whose time is over before it arrives; it is asked again, and held."""
    rig.hold("identify")
    with pytest.raises(CallTimeoutError):
        await identify(rig, chat, timeout=1)
    await rig.quiet()
    assert chat.is_in(Phase.ANONYMOUS)


def agree(rig: Rig, chat: SupportChat) -> bool:
    """Whether the session shows whom it is for at the backend, by its own dial and by the next."""
    user = rig.users[rig.links[-1].welcome.session]
    shown = SignedIn(user) if user else Visitor(rig.links[-1].welcome.visitor_id or "")
    return chat.identity == shown


def test_the_same_is_asked_again_and_whoever_waits_gets_its_answer(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        chat.update(context={"page": "pricing"})
        call = await lost(rig, chat)
        rig.release("identify")
        assert await call == MERGED
        first, second = rig.identifies
        assert second == first, "under its id, with what it carried, and with its token"
        assert (rig.log.count("token"), len(rig.committed)) == (1, 1)
        assert agree(rig, chat)

    rig.run(scenario)


def test_one_that_was_given_up_is_asked_again_and_told(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        await given_up(rig, chat)
        chat.update(user={"name": "Ann"})
        rig.events.clear()
        rig.release("identify")
        await rig.quiet()
        assert [event.identity for event in rig.of(AuthChanged)] == [SignedIn("ann")]
        assert [event.reason for event in rig.of(PhaseChanged)] == ["identified"]
        assert rig.updates == [("ann", {"user.name": "Ann"})], "it had waited for the outcome"
        assert rig.of(ErrorOccurred) == []
        assert agree(rig, chat)

    rig.run(scenario)


def test_whoever_asks_meanwhile_waits_for_the_same_and_nobody_else_may(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        await given_up(rig, chat)
        again, other = identify(rig, chat), chat.identify(user={"id": "bob"})
        with pytest.raises(IdentityConflictError):
            await other
        with pytest.raises(CallTimeoutError):
            await identify(rig, chat, timeout=1)  # whose end is nobody else's
        rig.release("identify")
        assert await again == MERGED
        assert len(rig.committed) == 1

    rig.run(scenario)


@pytest.mark.parametrize("when", ["before the dial", "before it is asked again", "afterwards"])
@pytest.mark.parametrize("waits", [True, False])
def test_whenever_the_first_one_arrives_both_sides_agree(rig: Rig, when: str, waits: bool) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        session = rig.links[-1].welcome.session
        rig.hold("dial")
        call = identify(rig, chat, timeout=None if waits else 1)
        rig.hold("identify")
        await asyncio.wait([asyncio.ensure_future(_awaited(call))], timeout=2)
        rig.links[-1].lose()
        await rig.quiet()
        (first,) = rig.identifies
        if when == "before the dial":
            rig.commit(session, first)
        rig.release("dial")
        await rig.quiet()
        if when == "before it is asked again":
            rig.commit(session, first)
        rig.release("identify")
        await rig.quiet()
        if when == "afterwards":
            rig.commit(session, first)
        rig.links[-1].lose()
        await rig.quiet()
        assert chat.identity == SignedIn("ann")
        assert agree(rig, chat)
        assert len(rig.committed) == 1
        if waits:
            # what became of the visitor is not known to a session that learns it by a dial
            learnt = IdentifyResult(False, 0, "already_signed_in")
            assert await call == (learnt if when == "before the dial" else MERGED)

    rig.run(scenario)


def test_it_is_asked_until_there_is_an_answer(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        await given_up(rig, chat)
        rig.fail("identify", *[NetworkError("No answer.")] * 5)
        rig.release("identify")
        await rig.quiet(120.0)
        assert len({request.identify_id for request in rig.identifies}) == 1
        assert len(rig.identifies) == 7
        assert agree(rig, chat)
        assert chat.identity == SignedIn("ann")

    rig.run(scenario)


def test_a_backend_that_wants_to_be_asked_later_says_nothing_of_the_first_one(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        later = RateLimitedError("Later.", retry_after=100.0)
        rig.fail("identify", later)
        with pytest.raises(RateLimitedError):
            await identify(rig, chat)
        assert chat.is_in(Phase.ANONYMOUS), "one that was asked once was not done"
        call = await lost(rig, chat)
        rig.fail("identify", later)
        rig.release("identify")
        with pytest.raises(CallTimeoutError):
            await call
        asked = len(rig.identifies)
        await rig.quiet(50.0)
        assert len(rig.identifies) == asked, "it keeps away"
        await rig.quiet(100.0)
        assert chat.identity == SignedIn("ann")
        assert agree(rig, chat)

    rig.run(scenario)


def test_a_refusal_is_told_and_if_the_first_one_arrives_after_all_the_session_ends(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        before = chat.identity
        call = await lost(rig, chat)
        rig.fail("identify", AuthRefusedError("No."))
        rig.release("identify")
        with pytest.raises(AuthRefusedError):
            await call
        assert (chat.state, chat.identity) == (Phase.ANONYMOUS, before)
        assert agree(rig, chat)
        rig.commit(rig.links[-1].welcome.session, rig.identifies[0])
        rig.says["dial"] = {"user_id": "ann"}
        rig.links[-1].push(OwnerChanged())
        await rig.quiet()
        assert chat.is_in(Phase.SHUTDOWN)
        assert [event.reason for event in rig.of(PhaseChanged)][-1] == "wrong_user"

    rig.run(scenario)


def test_a_session_that_ends_asks_no_more(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live_visitor(rig)
        await given_up(rig, chat)
        await chat.become(None)
        rig.release("identify")
        await rig.quiet(60.0)
        assert isinstance(chat.identity, Visitor)
        assert rig.committed == {}

    rig.run(scenario)


async def _awaited(call: Call[IdentifyResult]) -> None:
    await asyncio.gather(call, return_exceptions=True)
