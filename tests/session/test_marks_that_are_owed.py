"""Read marks of a session: `mark_read()` returns when the stream has told its mark, one without an
answer is owed, and what is unread the backend says.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import (
    AuthRefusedError,
    BackendRejectedError,
    Call,
    ErrorOccurred,
    NetworkError,
    NotABackendError,
    NotBootedError,
    OutboxFullError,
    RateLimitedError,
    ReadAnswer,
    SessionEndedError,
    Settings,
    SignedIn,
    SupportChat,
    Visitor,
)
from support_chat.ports import OwnerChanged, ReadUpTo

if TYPE_CHECKING:
    from tests.session.conftest import Rig

OWED = ReadAnswer(None)


async def live(rig: Rig, *, echoes: bool = True, **options: Any) -> SupportChat:
    """A visitor's session with something unread."""
    rig.says["dial"] = {"unread": 3, "echoes": echoes}
    chat = rig.chat(**options)
    await chat.boot()
    return chat


def returned(call: Call[ReadAnswer]) -> bool:
    return call.done


def test_the_call_returns_when_the_stream_has_told_the_mark(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        call = chat.mark_read("c1", "m1")
        await rig.quiet(1)
        assert not returned(call), "the answer came, and the stream has told nothing yet"
        rig.links[-1].push(ReadUpTo("c1", "m1", 1))
        assert (await call).unread == 1, "what it says is true now"
        assert (chat.unread, rig.log.count("mark_read")) == (1, 1)

    rig.run(scenario)


def test_the_stream_may_come_first_and_say_that_more_is_read(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("mark_read")
        call = chat.mark_read("c1", "m1")
        rig.links[-1].push(ReadUpTo("c1", "m7", 0))
        await rig.quiet(1)
        assert not returned(call), "the mark of another tab says nothing of this one"
        rig.release()
        await call
        assert chat.unread == 0

    rig.run(scenario)


def test_an_older_mark_is_answered_by_where_it_is_read_to_now(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        call = chat.mark_read("c1", "m1")
        await rig.quiet(1)
        rig.links[-1].push(ReadUpTo("c1", "m7", 0))
        await call

    rig.run(scenario)


def test_where_the_stream_tells_no_marks_the_answer_is_all(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig, echoes=False)
        assert await chat.mark_read("c1", "m1") == ReadAnswer(0)
        assert chat.unread == 0

    rig.run(scenario)


def test_a_stream_that_never_tells_is_waited_for_no_longer_than_an_answer(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig, settings=Settings(call_timeout=5.0))
        call = chat.mark_read("c1", "m1")
        await rig.quiet(4)
        assert not returned(call)
        assert await call == ReadAnswer(0)
        assert chat.unread == 3, "which only the stream says"

    rig.run(scenario)


NO_ANSWER: dict[str, Exception] = {
    "lost": NetworkError("Gone."),
    "not a backend's": NotABackendError("A proxy's page."),
    "limited": RateLimitedError("Later.", retry_after=2.0),
}


@pytest.mark.parametrize("how", NO_ANSWER)
def test_a_mark_without_an_answer_is_owed_and_sent_again(rig: Rig, how: str) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.fail("mark_read", NO_ANSWER[how])
        assert await chat.mark_read("c1", "m1") == OWED
        await rig.quiet(60)
        assert rig.log.count("mark_read") == 2
        assert rig.of(ErrorOccurred) == []

    rig.run(scenario)


@pytest.mark.parametrize("name", ["m1", None])
def test_the_link_is_lost_and_the_call_returns(rig: Rig, name: str | None) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("mark_read")
        call = chat.mark_read("c1", name)
        await rig.quiet(1)
        rig.says["dial"] = {"unread": 0, "echoes": True}
        rig.links[-1].lose()
        if name is None:
            with pytest.raises(NetworkError):
                await call
        else:
            assert await call == OWED
        rig.release()
        await rig.quiet(60)
        assert rig.log.count("mark_read") == (1 if name is None else 2)
        assert chat.unread == 0, "the welcome says it"

    rig.run(scenario)


def test_without_a_link_a_mark_is_owed_at_once_and_twice_is_once(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("dial")
        rig.links[-1].lose()
        await rig.quiet(10)
        for _ in range(2):
            assert await chat.mark_read("c1", "m1") == OWED
        with pytest.raises(NetworkError, match=r"mark_read\(\) needs an open link"):
            await chat.mark_read("c1")
        rig.release()
        await rig.quiet(60)
        assert rig.log.count("mark_read") == 1

    rig.run(scenario)


def test_what_is_marked_while_it_boots_is_for_whoever_it_is_for_then(rig: Rig) -> None:
    async def scenario() -> None:
        rig.says["dial"] = {"echoes": True}
        chat = rig.chat()
        with pytest.raises(NotBootedError):
            await chat.mark_read("c1", "m1")
        boot = chat.boot()
        assert await chat.mark_read("c1", "m1") == OWED
        who = await boot
        await rig.quiet(1)
        assert rig.owners == [("mark_read", who)]

    rig.run(scenario)


def test_a_refusal_is_raised_and_of_a_mark_that_was_owed_it_is_an_event(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        refused = BackendRejectedError("None.", code="conversation_not_found")
        rig.fail("mark_read", refused)
        with pytest.raises(BackendRejectedError):
            await chat.mark_read("c9", "m1")
        assert rig.of(ErrorOccurred) == []
        rig.fail("mark_read", NetworkError("Gone."), refused)
        assert await chat.mark_read("c9", "m1") == OWED
        await rig.quiet(60)
        assert [event.error for event in rig.of(ErrorOccurred)] == [refused]
        assert rig.log.count("mark_read") == 3, "it is owed no more"

    rig.run(scenario)


def test_a_token_that_has_expired_is_renewed_and_the_mark_sent_again(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        rig.fail("mark_read", AuthRefusedError("The token has expired."))
        assert await chat.mark_read("c1", "m1") == OWED
        await rig.quiet(60)
        assert (rig.log.count("mark_read"), rig.log.count("renew")) == (2, 1)

    rig.run(scenario)


def test_the_end_of_the_session_ends_the_call_and_owes_nothing(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("mark_read")
        call = chat.mark_read("c1", "m1")
        await rig.quiet(1)
        ended = chat.shutdown()
        with pytest.raises(SessionEndedError):
            await call
        rig.release()
        await ended
        await chat.boot()
        await rig.quiet(60)
        assert rig.log.count("mark_read") == 1

    rig.run(scenario)


def test_as_many_are_owed_as_the_outbox_holds(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig, settings=Settings(outbox_size=2))
        rig.hold("dial")
        rig.links[-1].lose()
        await rig.quiet(10)
        for number in range(2):
            await chat.mark_read("c1", f"m{number}")
        with pytest.raises(OutboxFullError):
            await chat.mark_read("c1", "m9")

    rig.run(scenario)


# --- whose they are -------------------------------------------------------------------------------


def test_after_this_session_s_own_merge_what_the_visitor_has_read_the_user_has(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("mark_read")
        call = chat.mark_read("c1", "m1")
        await rig.quiet(1)
        await chat.identify(user={"id": "ann"}, token_provider=rig.tokens("ann"))
        rig.fail("mark_read", BackendRejectedError("No.", code="owner_changed"))
        rig.release("mark_read")
        await rig.quiet(1)
        assert not returned(call)
        rig.links[-1].push(ReadUpTo("c1", "m1", 0))
        await call
        first, again = [owner for what, owner in rig.owners if what == "mark_read"]
        assert (type(first), again) == (Visitor, SignedIn("ann"))

    rig.run(scenario)


def test_what_was_owed_for_somebody_else_is_not_sent(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("dial")
        rig.links[-1].push(OwnerChanged())
        await rig.quiet(1)
        assert await chat.mark_read("c1", "m1") == OWED
        rig.says["dial"] = {"visitor_id": "the successor"}
        rig.release()
        await rig.quiet(60)
        assert rig.log.count("mark_read") == 0
        assert chat.identity == Visitor("the successor")

    rig.run(scenario)


def test_a_call_that_nobody_awaits_does_not_take_its_mark_back(rig: Rig) -> None:
    async def scenario() -> None:
        chat = await live(rig)
        rig.hold("mark_read")

        async def marks() -> None:
            await chat.mark_read("c1", "m1")

        task = asyncio.ensure_future(marks())
        await rig.quiet(1)
        task.cancel()
        await rig.quiet(1)
        rig.links[-1].lose()
        rig.release()
        await rig.quiet(60)
        assert rig.log.count("mark_read") == 2

    rig.run(scenario)
