"""The outbox of a session at work: messages that wait, leave, are sent again, and end.

In virtual time, with scripted adapters where one answer matters, and with the reference backend
where it matters what is stored in the end. The record itself: `tests/lifecycle/test_outbox.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable
from typing import Any

import attrs
import pytest

from async_tests import in_virtual_time
from support_chat import (
    AuthRefusedError,
    BackendRejectedError,
    CallTimeoutError,
    ErrorOccurred,
    Message,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    MessageSent,
    MessageWithdrawnError,
    NetworkError,
    NotBootedError,
    Phase,
    RateLimitedError,
    SessionEndedError,
    Settings,
    SignedIn,
    SupportChat,
    Visitor,
)
from support_chat.errors import OutboxFullError, SupportChatError
from support_chat.ports import (
    IdentifyAnswer,
    MessageArrived,
    OwnerChanged,
    Storage,
    TokenExpired,
    Welcome,
)
from support_chat.testing import RecordingStorage, RecordingTransport, ScriptedTokens
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
SECRET = "0123456789abcdef0123456789abcdef"
OWNER_CHANGED = BackendRejectedError("Somebody else's.", code="owner_changed")
REFUSED = BackendRejectedError("No.", code="message_invalid")


# --- the two worlds -------------------------------------------------------------------------------


@attrs.define
class Scripted:
    """A session on scripted adapters, and what it has told."""

    chat: SupportChat
    transport: RecordingTransport
    told: list[Any]

    @property
    def sent(self) -> list[str]:
        """The ids of what has left, each time that it has."""
        calls = self.transport.log.of("link.send")
        return [str(call.arguments["client_message_id"]) for call in calls]

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of this kind."""
        return [event for event in self.told if isinstance(event, kind)]

    def waiting(self) -> Any:
        """The one request that is under way."""
        (pending,) = self.transport.waiting("send")
        return pending

    async def offline(self) -> None:
        """The link is lost, and no dial gets through."""
        self.transport.hold("open")
        self.transport.link.lose()
        await self.chat.wait_for(Phase.RECONNECTING)

    async def online(self) -> None:
        """Dials get through again; the platform says so."""
        self.transport.release("open")
        self.chat.set_online(True)
        await self.chat.wait_for(Phase.ANONYMOUS, Phase.AUTHENTICATED)


@contextlib.asynccontextmanager
async def scripted(*, boot: bool = True, **settings: Any) -> AsyncGenerator[Scripted, None]:
    transport = RecordingTransport()
    async with SupportChat(
        **WIDGET, transport=transport, storage=RecordingStorage(), settings=Settings(**settings)
    ) as chat:
        told: list[Any] = []
        chat.on(object, told.append)
        if boot:
            await chat.boot()
        yield Scripted(chat, transport, told)


def answer(number: int, name: str, conversation: str = "c") -> Message:
    return Message(f"m{number}", conversation, "visitor", "text", 0.0, name)


@attrs.define
class Real:
    """A session of the reference backend, and what it has told."""

    chat: SupportChat
    backend: Backend
    told: list[Any]

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of this kind."""
        return [event for event in self.told if isinstance(event, kind)]

    def kept(self) -> list[list[str]]:
        """The texts of each conversation, as the backend has stored them, the oldest first."""
        listed = self.backend.agent.conversations()
        conversations = sorted(listed, key=lambda each: (each.created_at, each.id))
        return [
            [message.text for message in self.backend.agent.messages(each.id)]
            for each in conversations
        ]


@contextlib.contextmanager
def backend() -> Any:
    loop = asyncio.get_running_loop()
    keys = [IdentityKey("HS256", SECRET)]
    with Backend(**WIDGET, keys=keys, clock=lambda: 1.8e9 + loop.time()) as one:
        yield one


@contextlib.asynccontextmanager
async def real(
    one: Backend, storage: Storage | None = None, **settings: Any
) -> AsyncGenerator[Real, None]:
    async with SupportChat(
        **WIDGET,
        transport=LoopbackTransport(one),
        storage=storage or MemoryStorage(),
        settings=Settings(**settings),
    ) as chat:
        told: list[Any] = []
        chat.on(object, told.append)
        await chat.boot()
        yield Real(chat, one, told)


def token(user: str) -> Callable[[], str]:
    loop = asyncio.get_running_loop()
    return lambda: sign_identity_token(user, SECRET, **WIDGET, now=1.8e9 + loop.time())


async def failed(call: Any, kind: type[SupportChatError]) -> SupportChatError:
    with pytest.raises(kind) as caught:
        await call
    assert type(caught.value) is kind
    return caught.value


# --- one order ------------------------------------------------------------------------------------


@in_virtual_time
async def test_messages_of_a_conversation_are_stored_in_the_order_of_the_calls() -> None:
    with backend() as one:
        one.faults.delay(0.05, answer=0.05, operation="send")
        async with real(one) as it:
            begun = await it.chat.send_message("0")
            calls = [it.chat.send_message(str(n), begun.conversation_id) for n in range(1, 12)]
            other = it.chat.send_message("elsewhere")
            for call in reversed(calls):
                await call
            await other
            assert it.kept() == [[str(n) for n in range(12)], ["elsewhere"]]
            sent = [event.message.text for event in it.of(MessageSent)]
            assert [text for text in sent if text != "elsewhere"] == [str(n) for n in range(12)]


@in_virtual_time
async def test_a_slow_conversation_delays_no_other() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        it.chat.send_message("a1", "a", "a1")
        it.chat.send_message("a2", "a", "a2")
        it.chat.send_message("b1", "b", "b1")
        await asyncio.sleep(1)
        assert it.sent == ["a1", "b1"]
        it.transport.waiting("send")[1].succeed()
        b2 = it.chat.send_message("b2", "b", "b2")
        await asyncio.sleep(1)
        assert it.sent == ["a1", "b1", "b2"]
        it.transport.release("send")
        await b2
        assert it.sent == ["a1", "b1", "b2", "a2"]


@in_virtual_time
async def test_two_tabs_see_one_order_and_whose_message_it_is() -> None:
    with backend() as one:
        storage = MemoryStorage()
        async with real(one, storage) as mine, real(one, storage) as other:
            begun = await mine.chat.send_message("0")
            await asyncio.sleep(1)
            for number in range(1, 7):
                tab = mine if number % 2 else other
                tab.chat.send_message(str(number), begun.conversation_id)
            await asyncio.sleep(1)
            (kept,) = mine.kept()
            assert sorted(kept) == [str(n) for n in range(7)]
            for tab, odd in ((mine, True), (other, False)):
                heard = [e for e in tab.told if isinstance(e, MessageSent | MessageReceived)]
                assert [event.message.text for event in heard] == kept
                own = {e.message.text for e in tab.of(MessageSent)} - {"0"}
                assert all(int(text) % 2 == odd for text in own)
            assert {e.message.author for e in other.of(MessageReceived)} == {"visitor"}


# --- the answer and the stream --------------------------------------------------------------------


@pytest.mark.parametrize("first", ["answer", "stream", "stream alone"])
@in_virtual_time
async def test_whichever_comes_first_the_call_settles_and_it_is_told_once(first: str) -> None:
    async with scripted(boot=False) as it:
        it.transport.answer_next("open", Welcome("s", "v", echoes=True))
        await it.chat.boot()
        it.transport.hold("send")
        one = it.chat.send_message("one", "c", "one")
        two = it.chat.send_message("two", "c", "two")
        await asyncio.sleep(1)
        echo = MessageArrived(answer(1, "one"), "1", own=True)
        if first == "answer":
            it.waiting().succeed(answer(1, "one"))
            assert await one == answer(1, "one")
            it.transport.link.emit(echo)
        else:
            it.transport.link.emit(echo)
            assert await one == answer(1, "one")
            assert it.sent == ["one", "two"], "the next goes on"
            if first == "stream":
                it.transport.waiting("send")[0].succeed(answer(1, "one"))
        await asyncio.sleep(1)
        assert [event.message for event in it.of(MessageSent)] == [answer(1, "one")]
        it.transport.waiting("send")[-1].succeed(answer(2, "two"))
        await two


@in_virtual_time
async def test_an_answer_lost_with_its_link_comes_with_the_replay_and_nothing_is_stored_twice() -> (
    None
):
    with backend() as one:
        async with real(one) as it:
            begun = await it.chat.send_message("0")
            one.faults.swallow("send")
            calls = [it.chat.send_message(str(n), begun.conversation_id) for n in (1, 2)]
            assert [(await call).text for call in calls] == ["1", "2"]
            await asyncio.sleep(5)
            assert it.kept() == [["0", "1", "2"]]
            assert [event.message.text for event in it.of(MessageSent)] == ["0", "1", "2"]


# --- without a link -------------------------------------------------------------------------------


@in_virtual_time
async def test_what_is_sent_without_a_link_waits_and_leaves_in_order_when_it_is_back() -> None:
    async with scripted() as it:
        await it.offline()
        calls = [it.chat.send_message(str(n), "c", str(n)) for n in range(3)]
        await asyncio.sleep(1)
        assert [event.client_message_id for event in it.of(MessageQueued)] == ["0", "1", "2"]
        assert it.sent == []
        await it.online()
        for call in calls:
            await call
        assert it.sent == ["0", "1", "2"]
        assert [e.message.client_message_id for e in it.of(MessageSent)] == ["0", "1", "2"]


@in_virtual_time
async def test_what_may_leave_at_once_is_not_told_as_waiting() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        it.chat.send_message("one", "c", "one")
        it.chat.send_message("two", "c", "two")
        it.chat.send_message("other", "d", "other")
        assert it.of(MessageQueued) == []
        await asyncio.sleep(0)
        assert [event.client_message_id for event in it.of(MessageQueued)] == ["two"]


@in_virtual_time
async def test_nobody_booted_or_being_booted_is_an_error_at_once() -> None:
    async with scripted(boot=False) as it:
        await failed(it.chat.send_message("Hello"), NotBootedError)
        call = it.chat.boot()
        sent = it.chat.send_message("Hello")
        await call
        await sent
        await it.chat.shutdown()
        await failed(it.chat.send_message("Hello"), NotBootedError)


@in_virtual_time
async def test_a_boot_that_fails_fails_what_waited_for_it() -> None:
    async with scripted(boot=False) as it:
        it.transport.fail_next("open", BackendRejectedError("No.", code="widget_disabled"))
        boot, sent = it.chat.boot(), it.chat.send_message("Hello", None, "one")
        error = await failed(boot, BackendRejectedError)
        assert str(await failed(sent, BackendRejectedError)) == str(error)
        (told,) = it.of(MessageFailed)
        assert (told.client_message_id, told.text, told.outcome_unknown) == ("one", "Hello", False)
        await it.chat.boot()
        await asyncio.sleep(60)
        assert it.sent == [], "it is for nobody any more"


@in_virtual_time
async def test_the_outbox_holds_so_many_and_what_has_left_makes_room() -> None:
    async with scripted(outbox_size=3) as it:
        it.transport.hold("send")
        for number in range(3):
            it.chat.send_message("text", "c", str(number))
        error = await failed(it.chat.send_message("text", "c"), OutboxFullError)
        assert error.recoverable
        await asyncio.sleep(0)
        it.waiting().succeed()
        await asyncio.sleep(0.1)
        it.chat.send_message("text", "c", "3")
        it.transport.release("send")
        await asyncio.sleep(0.1)
        assert it.sent == ["0", "1", "2", "3"]


@in_virtual_time
async def test_with_queue_false_it_is_sent_at_once_or_not_at_all() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        call = it.chat.send_message("one", "c", "one", queue=False)
        behind = it.chat.send_message("two", "c", "two", queue=False)
        await asyncio.sleep(0)
        await it.offline()
        assert "not known" in str(await failed(call, NetworkError))
        assert "before the message could leave" in str(await failed(behind, NetworkError))
        told = [(e.client_message_id, e.outcome_unknown) for e in it.of(MessageFailed)]
        assert told == [("one", True), ("two", False)]
        await failed(it.chat.send_message("three", "c", queue=False), NetworkError)
        await it.online()
        await asyncio.sleep(60)
        assert it.sent == ["one"]


# --- a call that ends before its message ----------------------------------------------------------


@in_virtual_time
async def test_a_message_that_never_left_is_withdrawn_at_its_time_and_the_error_says_so() -> None:
    async with scripted() as it:
        await it.offline()
        short = it.chat.send_message("one", "c", "one", timeout=3.0)
        default = it.chat.send_message("two", "c", "two")
        assert "will not be" in str(await failed(short, CallTimeoutError))
        assert asyncio.get_running_loop().time() == pytest.approx(3.0, abs=0.1)
        (told,) = it.of(MessageFailed)
        assert (told.client_message_id, told.outcome_unknown) == ("one", False)
        await failed(default, CallTimeoutError)
        assert asyncio.get_running_loop().time() == pytest.approx(300.0, abs=0.1)
        await it.online()
        await asyncio.sleep(60)
        assert it.sent == []


@in_virtual_time
async def test_one_that_has_left_is_sent_on_without_its_call_and_an_event_tells_its_end() -> None:
    async with scripted(call_timeout=2.0) as it:
        it.transport.hold("send")
        call = it.chat.send_message("one", "c", "one", timeout=3.0)
        behind = it.chat.send_message("two", "c", "two")
        assert "may have arrived" in str(await failed(call, CallTimeoutError))
        await asyncio.sleep(20)
        assert it.sent.count("one") > 2
        assert "two" not in it.sent, "it waits"
        assert it.of(MessageFailed) == []
        it.transport.release("send")
        await behind
        assert [e.message.client_message_id for e in it.of(MessageSent)] == ["one", "two"]


@in_virtual_time
async def test_cancelling_withdraws_what_never_left_and_ends_the_resends_of_what_has() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        tasks = [
            asyncio.ensure_future(waiting(it.chat.send_message(name, "c", name)))
            for name in ("left", "never left", "next")
        ]
        await asyncio.sleep(1)
        await it.offline()
        for task in tasks[:2]:
            task.cancel()
        await asyncio.sleep(1)
        told = [(e.client_message_id, e.outcome_unknown) for e in it.of(MessageFailed)]
        assert told == [("left", True), ("never left", False)]
        assert it.of(ErrorOccurred) == [], "whoever cancels needs no error"
        it.transport.release("send")
        await it.online()
        await tasks[2]
        assert it.sent == ["left", "next"]


@in_virtual_time
async def test_what_is_taken_back_is_not_sent_again_whether_or_not_its_call_still_waits() -> None:
    async with scripted(call_timeout=2.0) as it:
        it.transport.hold("send")
        unknown = it.chat.send_message("one", "c", "unknown", timeout=3.0)
        queued, behind = (it.chat.send_message("x", "c", name) for name in ("queued", "behind"))
        await failed(unknown, CallTimeoutError)
        assert it.chat.outbox[0].client_message_id == "unknown"
        assert not it.chat.withdraw("nothing")
        assert it.chat.withdraw("queued")
        assert "withdraw()" in str(await failed(queued, MessageWithdrawnError))
        assert it.chat.withdraw("unknown")
        await asyncio.sleep(5)
        it.transport.release("send")
        await behind
        told = [(e.client_message_id, e.outcome_unknown) for e in it.of(MessageFailed)]
        assert sorted(told) == [("queued", False), ("unknown", True)]
        assert it.sent[-1] == "behind"
        assert "queued" not in it.sent
        assert not it.chat.withdraw("unknown")


@in_virtual_time
async def test_what_is_taken_back_under_way_ends_with_its_answer() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        call = it.chat.send_message("one", "c", "one")
        await asyncio.sleep(0)
        assert it.chat.withdraw("one")
        it.transport.release("send")
        assert (await call).text == "one"
        assert it.of(MessageFailed) == []


async def waiting(call: Any) -> Any:
    return await call


# --- resends --------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_pause_that_the_backend_asks_for_is_kept_and_holds_up_no_other_conversation() -> (
    None
):
    async with scripted() as it:
        it.transport.fail_next("send", RateLimitedError("Later.", retry_after=50.0))
        late = it.chat.send_message("late", "a", "late")
        other = it.chat.send_message("other", "b", "other")
        await other
        await asyncio.sleep(49)
        assert it.sent == ["late", "other"]
        await late
        assert asyncio.get_running_loop().time() == pytest.approx(50.0, abs=0.1)


@in_virtual_time
async def test_resends_come_further_and_further_apart() -> None:
    async with scripted() as it:
        for _ in range(12):
            it.transport.fail_next("send", NetworkError("No answer."))
        await it.chat.send_message("one", "c", "one")
        at = [call.at for call in it.transport.log.of("link.send")]
        pauses = [later - earlier for earlier, later in itertools.pairwise(at)]
        assert len(pauses) == 12
        assert 0.5 <= pauses[0] <= 1.0
        assert all(10.0 <= pause <= 20.0 for pause in pauses[-5:])


@in_virtual_time
async def test_only_a_refusal_of_the_backend_is_final_and_the_next_goes_on() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        calls = [it.chat.send_message(name, "c", name) for name in ("one", "two", "three")]
        await asyncio.sleep(0)
        it.waiting().fail(REFUSED)
        await failed(calls[0], BackendRejectedError)
        (told,) = it.of(MessageFailed)
        assert (told.client_message_id, told.text, told.outcome_unknown) == ("one", "one", False)
        it.transport.release("send")
        await calls[1]
        await calls[2]
        assert it.sent == ["one", "two", "three"]


@in_virtual_time
async def test_a_token_that_is_not_accepted_any_more_is_renewed_and_the_message_sent_again() -> (
    None
):
    tokens = ScriptedTokens()
    transport = RecordingTransport()
    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot(user={"id": "ann"}, token_provider=tokens)
        await asyncio.sleep(10)
        transport.fail_next("send", AuthRefusedError("Expired.", code="auth_expired"))
        await chat.send_message("one", "c", "one")
        assert len(transport.log.of("link.renew")) == 1
        assert len(transport.log.of("link.send")) == 2
        assert chat.is_in(Phase.AUTHENTICATED)


@pytest.mark.parametrize("operation", ["send", "update"])
@in_virtual_time
async def test_a_late_refusal_spends_only_the_token_that_it_names(operation: str) -> None:
    tokens = ScriptedTokens()
    transport = RecordingTransport()
    async with SupportChat(**WIDGET, transport=transport, storage=RecordingStorage()) as chat:
        await chat.boot(user={"id": "ann"}, token_provider=tokens)
        transport.hold(operation)
        calls: Any = [chat.send_message("one", "c", "one"), chat.update(context={"page": "a"})]
        await asyncio.sleep(5)
        transport.link.emit(TokenExpired())
        await asyncio.sleep(5)
        assert len(transport.log.of("link.renew")) == 1
        (pending,) = transport.waiting(operation)
        pending.fail(AuthRefusedError("Expired.", code="auth_expired"))
        transport.release(operation)
        await calls[0]
        await asyncio.sleep(60)
        assert len(transport.log.of(f"link.{operation}")) == 2, "it is sent again"
        assert len(transport.log.of("link.renew")) == 1, "under the token that was accepted since"
        assert chat.is_in(Phase.AUTHENTICATED)


@in_virtual_time
async def test_a_visitor_who_is_not_accepted_any_more_dials_again_and_sends_it() -> None:
    async with scripted() as it:
        it.transport.fail_next("send", AuthRefusedError("Expired.", code="auth_expired"))
        await it.chat.send_message("one", "c", "one")
        assert len(it.transport.links) == 2
        assert it.sent == ["one", "one"]


# --- for whom it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["the refusal", "the answer to the identify"])
@in_virtual_time
async def test_after_an_own_merge_a_message_of_the_visitor_is_sent_as_the_users(first: str) -> None:
    async with scripted() as it:
        it.transport.hold("send", "identify")
        call = it.chat.send_message("one", "c", "one")
        identify = it.chat.identify(user={"id": "ann"})
        await asyncio.sleep(1)
        (merging,), sending = it.transport.waiting("identify"), it.waiting()
        if first == "the refusal":
            sending.fail(OWNER_CHANGED)
            await asyncio.sleep(0.1)
            assert it.of(MessageFailed) == []
        merging.succeed(IdentifyAnswer("ann", merged=True))
        await identify
        if first != "the refusal":
            sending.fail(OWNER_CHANGED)
        it.transport.release("send")
        await call
        requests = [each.request for each in it.transport.log.of("link.send")]
        assert [each.owner for each in requests] == [Visitor("visitor 1"), SignedIn("ann")]
        assert it.sent == ["one", "one"]


@in_virtual_time
async def test_without_a_merge_a_message_of_the_visitor_is_not_sent_as_the_users() -> None:
    async with scripted() as it:
        it.transport.hold("send", "identify")
        under_way = it.chat.send_message("under way", "c", "under way")
        waits = it.chat.send_message("waits", "c", "waits")
        identify = it.chat.identify(user={"id": "ann"})
        await asyncio.sleep(1)
        it.transport.waiting("identify")[0].succeed(
            IdentifyAnswer("ann", merged=False, not_merged_because="merge_forbidden")
        )
        await identify
        assert (await failed(waits, BackendRejectedError)).code == "owner_changed"
        it.waiting().fail(OWNER_CHANGED)
        assert (await failed(under_way, BackendRejectedError)).code == "owner_changed"
        told = [(event.text, event.outcome_unknown) for event in it.of(MessageFailed)]
        assert told == [("waits", False), ("under way", False)]
        it.transport.release("send")
        await it.chat.send_message("the user's", "c", "mine")
        assert it.sent == ["under way", "mine"]


@in_virtual_time
async def test_after_another_tabs_merge_what_waits_fails_with_its_text() -> None:
    with backend() as one:
        storage = MemoryStorage()
        async with real(one, storage) as mine, real(one, storage) as other:
            begun = await mine.chat.send_message("0")
            one.faults.delay(0.2, operation="send")
            calls = [mine.chat.send_message(str(n), begun.conversation_id) for n in (1, 2)]
            await other.chat.identify(user={"id": "ann"}, token_provider=token("ann"))
            for call in calls:
                error = await failed(call, BackendRejectedError)
                assert error.code == "owner_changed"
            told = [event.text for event in mine.of(MessageFailed)]
            assert told == ["1", "2"]
            await asyncio.sleep(5)
            assert mine.kept() == [["0"]], "the user is sent nothing of the sort"


@in_virtual_time
async def test_an_own_merge_takes_what_waits_and_what_is_unknown_along_and_stores_it_once() -> None:
    with backend() as one:
        async with real(one) as it:
            begun = await it.chat.send_message("0")
            one.faults.swallow("send")  # stored, and the link breaks before the answer
            unknown = it.chat.send_message("1", begun.conversation_id)
            waits = it.chat.send_message("2", begun.conversation_id)
            identify = it.chat.identify(user={"id": "ann"}, token_provider=token("ann"))
            assert (await identify).merged
            assert [(await unknown).text, (await waits).text] == ["1", "2"]
            assert it.kept() == [["0", "1", "2"]]
            assert it.of(MessageFailed) == []


@in_virtual_time
async def test_nothing_of_one_person_leaves_in_the_session_of_the_next() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        calls = [it.chat.send_message(str(n), "c", str(n)) for n in range(3)]
        await asyncio.sleep(1)
        await it.offline()
        await it.chat.shutdown()
        for call in calls:
            await failed(call, SessionEndedError)
        told = [(e.client_message_id, e.text, e.outcome_unknown) for e in it.of(MessageFailed)]
        assert told == [("0", "0", True), ("1", "1", False), ("2", "2", False)]
        it.transport.release("open", "send")
        await it.chat.boot(user={"id": "ben"})
        await asyncio.sleep(600)
        assert it.sent == ["0"], "what had left before"


# --- at every point -------------------------------------------------------------------------------

TURNS = range(0, 26)
"""Turns of the loop, within which everything below has happened."""


@pytest.mark.parametrize("turns", TURNS)
@in_virtual_time
async def test_a_call_at_any_point_of_the_flush_keeps_its_place(turns: int) -> None:
    with backend() as one:
        async with real(one) as it:
            begun = (await it.chat.send_message("0")).conversation_id
            one.faults.refuse_dials()
            one.faults.drop_links()
            await it.chat.wait_for(Phase.RECONNECTING)
            calls = [it.chat.send_message(str(n), begun) for n in (1, 2, 3)]
            one.faults.heal()
            it.chat.set_online(True)
            await it.chat.wait_for(Phase.ANONYMOUS)
            for _ in range(turns):
                await asyncio.sleep(0)
            calls += [it.chat.send_message(str(n), begun) for n in (4, 5)]
            for call in calls:
                await call
            await asyncio.sleep(1)
            assert it.kept() == [["0", "1", "2", "3", "4", "5"]]
            assert [e.message.text for e in it.of(MessageSent)] == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("turns", TURNS)
@in_virtual_time
async def test_a_link_that_breaks_at_any_point_loses_nothing_and_doubles_nothing(
    turns: int,
) -> None:
    with backend() as one:
        async with real(one) as it:
            begun = (await it.chat.send_message("0")).conversation_id
            calls = [it.chat.send_message(str(n), begun) for n in (1, 2, 3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            one.faults.drop_links()
            for call in calls:
                await call
            await asyncio.sleep(10)
            assert it.kept() == [["0", "1", "2", "3"]]
            assert [e.message.text for e in it.of(MessageSent)] == ["0", "1", "2", "3"]
            assert it.of(MessageFailed) == []


@in_virtual_time
async def test_a_listener_that_raises_at_every_event_stops_nothing() -> None:
    with backend() as one:
        async with real(one) as it:

            def raises(_: object) -> None:
                raise RuntimeError("A listener's own mistake.")

            it.chat.on(object, raises)
            begun = (await it.chat.send_message("0")).conversation_id
            one.faults.drop_links()
            one.faults.reject("send", "message_invalid")
            await failed(it.chat.send_message("refused", begun), BackendRejectedError)
            calls = [it.chat.send_message(str(n), begun) for n in (1, 2, 3)]
            for call in calls:
                await call
            assert it.kept() == [["0", "1", "2", "3"]]


@in_virtual_time
async def test_a_listener_may_send_within_any_event() -> None:
    with backend() as one:
        async with real(one) as it:
            begun = (await it.chat.send_message("0")).conversation_id

            def again(event: MessageSent) -> None:
                if len(event.message.text) < 4:
                    it.chat.send_message(event.message.text + "!", begun)

            it.chat.on(MessageSent, again)
            await it.chat.send_message("1", begun)
            await asyncio.sleep(5)
            assert it.kept() == [["0", "1", "1!", "1!!", "1!!!"]]


@in_virtual_time
async def test_that_the_owner_is_another_is_learnt_before_anything_leaves() -> None:
    async with scripted() as it:
        it.transport.hold("send")
        call = it.chat.send_message("one", "c", "one")
        await asyncio.sleep(1)
        it.transport.answer_next("open", Welcome("s2", "somebody else"))
        it.transport.link.emit(OwnerChanged())
        error = await failed(call, BackendRejectedError)
        assert error.code == "owner_changed"
        (told,) = it.of(MessageFailed)
        assert told.outcome_unknown, "it had left"
        await asyncio.sleep(60)
        assert it.sent == ["one"]


@in_virtual_time
async def test_the_outbox_shows_what_has_no_answer_yet_in_the_order_of_the_calls() -> None:
    async with scripted(boot=False) as rig:
        assert rig.chat.outbox == []
        await rig.chat.boot()
        await rig.offline()
        for text in ("one", "two"):
            rig.chat.send_message(text, "c")
        rig.chat.send_message("three", queue=False)
        assert [message.text for message in rig.chat.outbox] == ["one", "two"]
        await rig.online()
        await asyncio.sleep(60)
        assert rig.chat.outbox == []
