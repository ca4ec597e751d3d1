"""The doubles for the ports: what they answer by default, what they remember, and how a test takes
control of them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Awaitable, Callable

import pytest

from async_tests import in_virtual_time
from support_chat.errors import (
    InvalidInputError,
    NetworkError,
    RateLimitedError,
    StorageError,
    TokenRefusedError,
)
from support_chat.ports import (
    Claim,
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Link,
    LinkEvent,
    ListConversations,
    ListMessages,
    MarkRead,
    MessageArrived,
    Outgoing,
    ReadAnswer,
    RenewAnswer,
    SessionRevoked,
    Storage,
    TokenExpired,
    TokenProvider,
    Transport,
    UpdateAnswer,
    Welcome,
)
from support_chat.testing import (
    CallLog,
    Pending,
    PortCall,
    RecordingStorage,
    RecordingTransport,
    ScriptedLink,
    ScriptedTokens,
    run,
    unsigned_token,
)
from support_chat.values import Message, SignedIn

VISITOR = Credentials("acme", "help", "the visitor's secret")
ADA = Credentials("acme", "help", "the visitor's secret", user_id="ada", token="ada's token")
REQUEST = IdentifyRequest(
    "i-1",
    "ada",
    "the visitor's secret",
    "ada's token",
    {"context.page": "/secret"},
    {"user.email": "a@b.c"},
)
MESSAGE = Message("m-1", "c-1", "agent", "Hello", 0.0)


async def settled() -> None:
    """Lets everything happen that needs no more than a moment."""
    await asyncio.sleep(0.001)


@in_virtual_time
async def test_the_doubles_are_the_ports_they_stand_for() -> None:
    transport = RecordingTransport()
    a_storage: Storage = RecordingStorage()
    a_transport: Transport = transport
    a_provider: TokenProvider = ScriptedTokens()
    a_link: Link = await transport.open(VISITOR)
    # that they fit is the type checker's finding
    assert all((a_storage, a_transport, a_provider, a_link))


# --- what they answer by default ------------------------------------------------------------------


@in_virtual_time
async def test_a_dial_is_welcomed_as_whom_it_asks_to_be() -> None:
    transport = RecordingTransport()
    first = (await transport.open(VISITOR)).welcome
    assert first == Welcome("session 1", "visitor 1")
    assert (await transport.open(ADA)).welcome == Welcome("session 2", "visitor 1", "ada")
    resumed = Credentials(
        "acme", "help", "another visitor's secret", session=first.session, cursor="m-7"
    )
    assert (await transport.open(resumed)).welcome == Welcome(
        "session 1", "visitor 2", cursor="m-7"
    )
    assert [link.number for link in transport.links] == [1, 2, 3]
    assert transport.link is transport.links[2]


@in_virtual_time
async def test_a_link_accepts_everything() -> None:
    link = await RecordingTransport().open(VISITOR)
    first = await link.send(Outgoing("c-1", "Hello"))
    assert first == Message("message 1.1", "conversation 1", "visitor", "Hello", 0.0, "c-1")
    assert await link.identify(REQUEST) == IdentifyAnswer("ada", merged=True)
    second = await link.send(Outgoing("c-2", "Me again", conversation_id="conversation 9"))
    assert (second.id, second.conversation_id, second.author) == (
        "message 1.2",
        "conversation 9",
        "user",
    )
    assert await link.update({"user.name": "Ada"}) == UpdateAnswer()
    assert list(await link.conversations(ListConversations())) == []
    assert list(await link.messages(ListMessages("conversation 1"))) == []
    assert await link.mark_read(MarkRead("conversation 1")) == ReadAnswer(0)
    assert await link.renew("a new token") == RenewAnswer()
    await link.aclose()


@in_virtual_time
async def test_tokens_are_new_at_each_call_or_minted_by_the_test() -> None:
    tokens = ScriptedTokens()
    assert [await tokens(), await tokens()] == ["token 1", "token 2"]
    tokens = ScriptedTokens(lambda n: unsigned_token(sub="ada", iat=0, exp=300, jti=str(n)))
    first, second = await tokens(), await tokens()
    assert first != second
    header, claims, _ = second.split(".")
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {
        "sub": "ada",
        "iat": 0,
        "exp": 300,
        "jti": "2",
    }
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "none"


@in_virtual_time
async def test_a_storage_stores() -> None:
    storage = RecordingStorage({"a": "1"})
    assert await storage.get("a") == "1"
    assert await storage.create("a", "2") == "1"
    assert await storage.create("b", "2") == "2"
    storage.contents["d"] = "by another process"
    assert sorted(await storage.keys()) == ["a", "b", "d"]
    assert await storage.delete("a", "d", "e") == {"a": "1", "d": "by another process"}
    assert storage.contents == {"b": "2"}
    await storage.aclose()
    with pytest.raises(StorageError, match="closed; make a new one"):
        await storage.get("b")
    assert storage.contents == {"b": "2"}


# --- what they remember ---------------------------------------------------------------------------


def test_doubles_that_share_a_log_record_all_calls_in_one_order() -> None:
    async def main() -> CallLog:
        log = CallLog()
        storage, transport, tokens = (
            RecordingStorage(log=log),
            RecordingTransport(log=log),
            ScriptedTokens(log=log),
        )
        await storage.create("visitor", "the visitor's secret")
        await tokens()
        await asyncio.sleep(2.5)
        link = await transport.open(ADA)
        link.events()
        await link.identify(REQUEST)
        await link.update({"user.email": "a@b.c"}, SignedIn("ada"))
        await link.send(Outgoing("c-1", "a text"))
        await link.renew("ada's token")
        await link.aclose()
        link.abort()
        await transport.revoke(link.welcome.session)
        await storage.delete("visitor", "draft")
        await transport.end_visitor("acme", "help", "the visitor's secret")
        return log

    log = run(main())
    assert log.names() == [
        "storage.create",
        "tokens.fetch",
        "transport.open",
        "link.events",
        "link.identify",
        "link.update",
        "link.send",
        "link.renew",
        "link.close",
        "link.abort",
        "transport.revoke",
        "storage.delete",
        "transport.end_visitor",
    ]
    assert log.names("storage", "tokens") == ["storage.create", "tokens.fetch", "storage.delete"]
    assert len(log) == 13
    assert [call.at for call in log] == [0.0, 0.0, *[2.5] * 11]
    opened = {"user_id": "ada", "resumes": False, "claim": None, "cursor": None}
    identified = {
        "link": 1,
        "identify_id": "i-1",
        "user_id": "ada",
        "visitor_changes": ("context.page",),
        "user_changes": ("user.email",),
    }
    assert log.of("transport.open") == [PortCall("transport", "open", opened)]
    assert log.of("link.identify") == [PortCall("link", "identify", identified)]
    assert log.of("link.update") == [
        PortCall(
            "link",
            "update",
            {"link": 1, "paths": ("user.email",), "owner": SignedIn("ada")},
        )
    ]
    assert log.of("storage.delete") == [
        PortCall("storage", "delete", {"keys": ("visitor", "draft")})
    ]


@in_virtual_time
async def test_the_log_shows_no_secret_but_a_test_can_look_at_what_was_passed() -> None:
    log = CallLog()
    storage, transport = RecordingStorage(log=log), RecordingTransport(log=log)
    await storage.create("visitor", "s3cret")
    await storage.delete("visitor")
    link = await transport.open(
        Credentials("acme", "help", "s3cret", session="s3cret", user_id="ada", token="s3cret")
    )
    await link.identify(IdentifyRequest("i-1", "ada", "s3cret", "s3cret", {"user.name": "s3cret"}))
    await link.update({"user.name": "s3cret"})
    await link.renew("s3cret")
    await link.send(Outgoing("c-1", "s3cret"))
    await transport.revoke("s3cret")
    await transport.end_visitor("acme", "help", "s3cret")
    assert "s3cret" not in repr(list(log)) + repr(log) + repr(storage) + repr(transport) + repr(
        link
    )
    assert log.of("transport.open")[0].request.token == "s3cret"
    secrets = ("link.renew", "transport.revoke", "transport.end_visitor", "storage.create")
    assert [log.of(name)[0].request for name in secrets] == ["s3cret"] * 4


def test_records_cannot_be_changed() -> None:
    arguments: dict[str, object] = {"key": "a"}
    call = PortCall("storage", "get", arguments)
    arguments["key"] = "b"
    assert call.arguments == {"key": "a"}
    with pytest.raises(AttributeError):
        call.port = "link"  # type: ignore[misc]
    with pytest.raises(TypeError):
        call.arguments["key"] = "b"  # type: ignore[index]


@in_virtual_time
async def test_a_dial_records_the_claim_it_presents() -> None:
    transport, claim = RecordingTransport(), Claim("i-1", "ada")
    await transport.open(Credentials("acme", "help", "v", session="s", claim=claim, cursor="m-1"))
    (call,) = transport.log
    assert call.arguments == {"user_id": None, "resumes": True, "claim": claim, "cursor": "m-1"}


# --- taking control -------------------------------------------------------------------------------


async def held_open() -> tuple[RecordingTransport, asyncio.Task[ScriptedLink], Pending]:
    transport = RecordingTransport()
    transport.hold("open")
    task = asyncio.create_task(transport.open(ADA))
    await asyncio.sleep(3600.0)
    (pending,) = transport.waiting("open")
    assert pending.call == transport.log.of("transport.open")[0]
    assert not pending.settled
    assert not task.done()
    return transport, task, pending


@in_virtual_time
async def test_a_held_call_succeeds_when_the_test_says_so() -> None:
    transport, task, pending = await held_open()
    assert transport.links == []
    assert pending.succeed()
    assert pending.settled
    assert not pending.succeed()
    assert not pending.fail(NetworkError("Too late."))
    assert transport.waiting() == []
    assert (await task).welcome.user_id == "ada"
    assert transport.waiting() == []
    assert transport.open_links == transport.links == [await task]


@in_virtual_time
async def test_a_held_call_can_be_given_another_answer() -> None:
    _, task, pending = await held_open()
    welcome = Welcome("another session", "another visitor", "bob", gap=True)
    assert pending.succeed(welcome)
    assert (await task).welcome is welcome


@in_virtual_time
async def test_a_held_call_fails_as_the_test_says() -> None:
    transport, task, pending = await held_open()
    assert pending.fail(RateLimitedError("Slow down.", retry_after=7.0))
    with pytest.raises(RateLimitedError, match="Slow down"):
        await task
    assert transport.links == []


@in_virtual_time
async def test_a_held_call_that_is_cancelled_cannot_be_settled_any_more() -> None:
    transport, task, pending = await held_open()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert transport.waiting("open") == []
    assert pending.settled
    assert not pending.succeed()
    assert transport.links == []


def test_a_call_cancelled_right_after_it_was_settled_does_nothing_and_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        for error in (None, NetworkError("No.")):
            transport, task, pending = await held_open()
            assert pending.succeed() if error is None else pending.fail(error)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert transport.links == []

    run(main())
    assert caplog.records == []


@in_virtual_time
async def test_a_stubborn_call_ignores_its_cancellation_and_succeeds_too_late() -> None:
    transport = RecordingTransport()
    transport.hold("open", stubborn=True)
    task = asyncio.create_task(transport.open(ADA))
    for _ in range(3):
        await settled()
        task.cancel()
    await settled()
    assert not task.done()
    (pending,) = transport.waiting("open")
    assert pending.succeed()
    assert (await task).is_open


@in_virtual_time
async def test_a_stubborn_reader_hangs_until_it_is_released_even_if_its_link_ends() -> None:
    transport = RecordingTransport()
    transport.hold("events", stubborn=True)
    link = await transport.open(ADA)
    link.emit(TokenExpired())
    reading = asyncio.create_task(read(link))
    for end in (reading.cancel, link.abort, reading.cancel):
        await settled()
        end()
    await settled()
    assert not reading.done()
    transport.release("events")
    assert await reading == [], "an aborted link delivers nothing"


@in_virtual_time
async def test_a_reader_that_is_held_gets_the_events_later_or_what_the_test_raises() -> None:
    transport = RecordingTransport()
    transport.hold("events")
    link = await transport.open(ADA)
    link.emit(TokenExpired())
    for raised in (OSError(), asyncio.CancelledError()):
        reading = asyncio.create_task(read(link))
        await settled()
        assert transport.waiting("events")[0].fail(raised)
        with pytest.raises(type(raised)):
            await reading
    reading = asyncio.create_task(read(link))
    await settled()
    transport.release("events")
    link.lose(quietly=True)
    assert await reading == [TokenExpired()]
    assert transport.log.names("link") == ["link.events"] * 3


async def read(link: Link) -> list[LinkEvent]:
    return [event async for event in link.events()]


@in_virtual_time
async def test_releasing_lets_those_that_wait_and_those_that_come_succeed() -> None:
    storage = RecordingStorage()
    storage.hold("create", "get")
    tasks = [asyncio.create_task(storage.create("key", f"{i}")) for i in range(3)]
    looking = asyncio.create_task(storage.get("key"))
    await settled()
    assert [pending.call.operation for pending in storage.waiting()] == [
        "create",
        "create",
        "create",
        "get",
    ]
    assert storage.contents == {}
    storage.release("create")
    assert await asyncio.gather(*tasks) == ["0"] * 3
    assert await storage.create("key", "3") == "0"
    assert not looking.done()
    storage.waiting("get")[0].succeed(None)
    assert await looking is None


@in_virtual_time
async def test_a_held_call_does_its_work_when_it_succeeds_not_before() -> None:
    storage = RecordingStorage()
    storage.hold("create", "delete")
    creating = asyncio.create_task(storage.create("key", "mine"))
    await settled()
    storage.contents["key"] = "another process's"
    storage.release("create")
    assert await creating == "another process's"
    deleting = asyncio.create_task(storage.delete("key"))
    await settled()
    storage.waiting("delete")[0].fail(StorageError("The disk is gone."))
    with pytest.raises(StorageError, match="disk is gone"):
        await deleting
    assert storage.contents == {"key": "another process's"}


@in_virtual_time
async def test_a_held_call_of_a_storage_closed_meanwhile_fails_as_any_other() -> None:
    storage = RecordingStorage()
    storage.hold("get")
    task = asyncio.create_task(storage.get("key"))
    await settled()
    await storage.aclose()
    storage.release("get")
    with pytest.raises(StorageError, match="closed"):
        await task


@in_virtual_time
async def test_the_outcome_of_the_next_calls_can_be_prepared_in_order() -> None:
    tokens = ScriptedTokens()
    tokens.fail_next("fetch", TokenRefusedError("No token for her."))
    tokens.answer_next("fetch", 42)
    tokens.hold("fetch")  # what is prepared comes first
    with pytest.raises(TokenRefusedError):
        await tokens()
    wrong: object = await tokens()
    assert wrong == 42
    tokens.release("fetch")
    assert await tokens() == "token 3"


@in_virtual_time
async def test_a_dial_can_be_answered_as_another_user_or_with_no_link_at_all() -> None:
    transport = RecordingTransport()
    transport.answer_next("open", Welcome("session", "visitor 1", "bob"))
    transport.answer_next("open", "no link")
    assert (await transport.open(ADA)).welcome.user_id == "bob"
    wrong: object = await transport.open(ADA)
    assert wrong == "no link"
    assert len(transport.links) == 1


@pytest.mark.parametrize("use", ["hold", "release", "waiting", "answer_next", "fail_next"])
def test_an_operation_that_does_not_exist_is_refused_by_name(use: str) -> None:
    for double in (RecordingStorage(), RecordingTransport(), ScriptedTokens()):
        extra = ("answer",) if use.endswith("_next") else ()
        with pytest.raises(InvalidInputError, match="no operation 'opne' here; there are: "):
            getattr(double, use)("opne", *extra)


def test_the_link_opened_last_is_asked_for_in_vain_before_there_is_one() -> None:
    with pytest.raises(NetworkError, match="no link yet"):
        _ = RecordingTransport().link


# --- the test as the backend ----------------------------------------------------------------------


async def heard(
    link: ScriptedLink,
) -> tuple[list[LinkEvent], list[NetworkError | None], asyncio.Task[None]]:
    """Starts to read a link: what was read so far, the error that ended it (None for a plain end),
    and who reads.
    """
    events: list[LinkEvent] = []
    ends: list[NetworkError | None] = []

    async def read() -> None:
        try:
            async for event in link.events():
                events.append(event)
            ends.append(None)
        except NetworkError as error:
            ends.append(error)

    reader = asyncio.create_task(read())
    await settled()
    return events, ends, reader


@in_virtual_time
async def test_what_the_test_emits_arrives_in_order_once() -> None:
    link = await RecordingTransport().open(VISITOR)
    sent: list[LinkEvent] = [MessageArrived(MESSAGE, "m-1"), TokenExpired(), SessionRevoked()]
    link.emit(sent[0])
    events, ends, _reader = await heard(link)
    assert events == sent[:1]
    link.emit(*sent[1:])
    await settled()
    assert events == sent
    assert ends == []


LAST = TokenExpired()
ENDINGS: list[
    tuple[str, Callable[[ScriptedLink], Awaitable[None] | None], list[LinkEvent], type | None]
] = [
    ("lost", lambda link: link.lose(), [LAST], NetworkError),
    ("lost quietly", lambda link: link.lose(quietly=True), [LAST], type(None)),
    ("aborted", lambda link: link.abort(), [], type(None)),
    ("closed", lambda link: link.aclose(), [], type(None)),
]


@pytest.mark.parametrize(
    ("end", "arrives", "how"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS]
)
@in_virtual_time
async def test_a_link_that_has_ended_delivers_what_it_may_and_answers_nothing(
    end: Callable[[ScriptedLink], Awaitable[None] | None], arrives: list[LinkEvent], how: type
) -> None:
    transport = RecordingTransport()
    other, link = await transport.open(VISITOR), await transport.open(VISITOR)
    events, ends, _reader = await heard(link)
    transport.hold("identify", "update")
    calls = [asyncio.create_task(one.identify(REQUEST)) for one in (link, link, other)]
    await settled()

    link.emit(LAST)
    ending = end(link)
    if ending is not None:
        await ending
    link.emit(SessionRevoked(), TokenExpired())
    await settled()

    assert events == arrives
    assert [type(error) for error in ends] == [how]
    assert not link.is_open
    for call in calls[:2]:
        with pytest.raises(NetworkError, match="Link 2 was closed or lost while"):
            await call
    for late in (
        link.identify(REQUEST),
        link.update({}),
        link.renew("t"),
        link.conversations(ListConversations()),
        link.messages(ListMessages("c-1")),
        link.mark_read(MarkRead("c-1")),
    ):
        with pytest.raises(NetworkError, match="Link 2 is closed or lost"):
            await late
    again, ends_again, _reader = await heard(link)
    assert (again, ends_again) == ([], [None])

    assert not calls[2].done()  # the other link goes on
    assert transport.open_links == [other]
    transport.release("identify")
    assert (await calls[2]).merged


@in_virtual_time
async def test_a_lost_link_is_released_only_when_it_is_closed_or_aborted_too() -> None:
    for release in (ScriptedLink.abort, ScriptedLink.aclose):
        link = await RecordingTransport().open(VISITOR)
        link.lose()
        assert not link.is_released
        if (releasing := release(link)) is not None:
            await releasing
        assert link.is_released


@in_virtual_time
async def test_aborting_twice_or_after_closing_does_nothing_more() -> None:
    link = await RecordingTransport().open(VISITOR)
    await link.aclose()
    link.abort()
    link.abort()
    await link.aclose()
    assert link.is_released


@in_virtual_time
async def test_a_goodbye_that_hangs_is_ended_by_the_abort() -> None:
    transport = RecordingTransport()
    transport.hold("close")
    link = await transport.open(VISITOR)
    closing = asyncio.create_task(link.aclose())
    await settled()
    assert link.is_open
    link.abort()
    with pytest.raises(NetworkError):
        await closing


@in_virtual_time
async def test_a_held_goodbye_that_succeeds_closes_the_link() -> None:
    transport = RecordingTransport()
    transport.hold("close", "identify")
    link = await transport.open(VISITOR)
    identifying = asyncio.create_task(link.identify(REQUEST))
    closing = asyncio.create_task(link.aclose())
    await settled()
    assert transport.waiting("close")[0].succeed()
    await closing
    with pytest.raises(NetworkError):
        await identifying
    assert link.is_released


@in_virtual_time
async def test_a_link_is_heard_from_until_it_falls_silent_or_ends() -> None:
    loop = asyncio.get_running_loop()
    for silence in (ScriptedLink.fall_silent, ScriptedLink.lose, ScriptedLink.abort):
        link = await RecordingTransport().open(VISITOR)
        await asyncio.sleep(100.0)
        assert link.heard_at == loop.time()
        silence(link)
        since = loop.time()
        await asyncio.sleep(100.0)
        with contextlib.suppress(NetworkError):
            await link.update({"user.name": "Ada"})
        link.abort()
        assert link.heard_at == since
