"""Adapters that misbehave by seed: each fault does what it says, is written down, and comes again
for the same seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat import Phase, Settings, SupportChat
from support_chat.errors import InvalidInputError, NetworkError, StorageError, TokenProviderError
from support_chat.ports import (
    Credentials,
    IdentifyRequest,
    Link,
    LinkEvent,
    ListConversations,
    ListMessages,
    MarkRead,
    MessageArrived,
    Outgoing,
    Storage,
    TokenProvider,
    TokenReason,
    Transport,
)
from support_chat.runtime.providers import called
from support_chat.testing import (
    Fault,
    FaultLog,
    Faults,
    FaultyLink,
    FaultyStorage,
    FaultyTokens,
    FaultyTransport,
    Injected,
    RecordingStorage,
    RecordingTransport,
    ScriptedTokens,
    run,
)
from support_chat.values import Message, User

VISITOR = Credentials("acme", "help", "the visitor's secret")
EACH = [fault.value for fault in Fault]


def script(operation: str, *faults: str | None) -> Faults:
    return Faults(script={operation: faults})


@in_virtual_time
async def test_the_wrappers_are_the_ports_they_stand_for() -> None:
    transport = FaultyTransport(RecordingTransport(), Faults())
    a_storage: Storage = FaultyStorage(RecordingStorage(), Faults())
    a_transport: Transport = transport
    a_provider: TokenProvider = FaultyTokens(ScriptedTokens(), Faults())
    a_link: Link = await transport.open(VISITOR)
    # that they fit is the type checker's finding
    assert all((a_storage, a_transport, a_provider, a_link))


# --- the plan -------------------------------------------------------------------------------------


def test_the_same_seed_decides_the_same_and_another_one_otherwise() -> None:
    def decided(seed: int) -> list[Fault | None]:
        faults = Faults(
            seed=seed,
            delay=0.1,
            fail=0.2,
            hang=0.1,
            duplicate=0.2,
            drop=0.1,
            reorder=0.1,
            stubborn=0.1,
        )
        return [faults.of("storage", "get", number)[0] for number in range(1, 200)]

    assert decided(1) == decided(1)
    assert decided(1) != decided(2)
    assert set(decided(1)) == {None, *Fault}


def test_chances_are_about_as_often_as_they_say() -> None:
    faults = Faults(seed=3, drop=0.3)
    met = [faults.of("link", "send", number)[0] for number in range(1000)]
    assert 250 < met.count(Fault.DROP) < 350
    assert set(met) == {None, Fault.DROP}


def test_what_one_operation_meets_does_not_depend_on_the_others() -> None:
    faults = Faults(seed=5, fail=0.5)

    async def met(*operations: str) -> list[Injected]:
        storage = FaultyStorage(RecordingStorage(), faults)
        for operation in operations:
            call = storage.get("k") if operation == "get" else storage.create("k", "v")
            await asyncio.gather(call, return_exceptions=True)
        return [one for one in storage.log if one.operation == "get"]

    assert run(met("get", "create", "get", "create", "get")) == run(met("get", "get", "get"))


def test_faults_happen_to_the_operations_that_are_named_only() -> None:
    faults = Faults(fail=1.0, only="create")
    assert faults.of("storage", "create", 1)[0] is Fault.FAIL
    assert faults.of("storage", "get", 1)[0] is None


def test_a_script_says_what_each_call_meets_and_after_it_nothing_happens() -> None:
    faults = Faults(fail=1.0, script={"get": [None, "drop", Fault.HANG]})
    assert [faults.of("storage", "get", number)[0] for number in range(1, 6)] == [
        None,
        Fault.DROP,
        Fault.HANG,
        None,
        None,
    ]
    assert faults.of("storage", "create", 1)[0] is Fault.FAIL


@pytest.mark.parametrize(
    "chances", [{"drop": 1.5}, {"fail": -0.1}, {"delay": 0.6, "hang": 0.6}, {"reorder": True}]
)
def test_chances_that_are_none_are_refused(chances: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        Faults(**chances)  # type: ignore[arg-type]  # they are chances


@pytest.mark.parametrize("named", [{"only": "creat"}, {"script": {"aclose": ["fail"]}}])
def test_an_operation_that_no_port_has_is_refused(named: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="there are: close, conversations, create"):
        Faults(**named)


def test_a_script_of_no_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="explode"):
        script("get", "explode")


# --- storages -------------------------------------------------------------------------------------


def test_each_fault_of_a_storage_does_what_it_says_and_is_written_down() -> None:
    async def create(fault: str) -> tuple[object, str | None, list[str], float]:
        inner = RecordingStorage()
        storage = FaultyStorage(inner, Faults(script={"create": [fault]}, longest=2.0))
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(100.0):
                answer: object = await storage.create("k", "v")
        except (StorageError, TimeoutError) as error:
            answer = type(error)
        assert list(storage.log) == [Injected("storage", "create", 1, Fault(fault))]
        assert [one.fault for one in storage.log.of(fault)] == [fault]
        return (
            answer,
            inner.contents.get("k"),
            inner.log.names(),
            asyncio.get_running_loop().time() - began,
        )

    seen = {fault: run(create(fault)) for fault in EACH}
    assert seen["fail"][:3] == (StorageError, None, [])
    assert seen["drop"][:3] == (StorageError, "v", ["storage.create"])
    assert seen["duplicate"][:3] == ("v", "v", ["storage.create", "storage.create"])
    assert seen["hang"][:3] == (TimeoutError, None, [])
    assert seen["delay"][:3] == ("v", "v", ["storage.create"])
    assert 0.0 < seen["delay"][3] <= 2.0
    assert seen["reorder"] == ("v", "v", ["storage.create"], 2.0), "nothing came to overtake it"
    assert seen["stubborn"] == (StorageError, None, [], 102.0), "cancelled after 100 s"


@in_virtual_time
async def test_a_stubborn_call_is_deaf_to_every_cancellation_for_a_while() -> None:
    storage = FaultyStorage(RecordingStorage(), script("get", "stubborn"))
    call = asyncio.ensure_future(storage.get("k"))
    for _ in range(3):
        await asyncio.sleep(0.4)
        call.cancel()
    await asyncio.sleep(0.4)
    assert not call.done()
    with pytest.raises(StorageError):
        await call
    assert asyncio.get_running_loop().time() == pytest.approx(1.2 + Faults().longest)


@in_virtual_time
async def test_a_reordered_call_is_done_after_the_next_one() -> None:
    storage = FaultyStorage(RecordingStorage(), script("create", "reorder"))
    first = asyncio.ensure_future(storage.create("k", "first"))
    await asyncio.sleep(0)
    assert await storage.create("k", "second") == "second"
    assert await first == "second"
    assert asyncio.get_running_loop().time() == 0.0


@in_virtual_time
async def test_a_storage_with_faults_can_always_be_closed() -> None:
    inner = RecordingStorage()
    await FaultyStorage(inner, Faults(fail=1.0)).aclose()
    assert inner.log.names() == ["storage.aclose"]


# --- token providers ------------------------------------------------------------------------------


def test_each_fault_of_a_token_provider_does_what_it_says() -> None:
    async def fetch(fault: str) -> tuple[object, object, int]:
        inner = ScriptedTokens()
        tokens = FaultyTokens(inner, script("fetch", None, fault))
        answers: list[object] = []
        for _ in range(2):
            try:
                async with asyncio.timeout(100.0):
                    answers.append(await called(tokens, "ann"))
            except (TokenProviderError, TimeoutError) as error:
                answers.append(type(error))
        return answers[0], answers[1], len(inner.log)

    assert {fault: run(fetch(fault)) for fault in EACH} == {
        "delay": ("token 1", "token 2", 2),
        "fail": ("token 1", TokenProviderError, 1),
        "hang": ("token 1", TimeoutError, 1),
        "duplicate": ("token 1", "token 3", 3),
        "drop": ("token 1", TokenProviderError, 2),
        "reorder": ("token 1", "token 1", 2),
        "stubborn": ("token 1", TokenProviderError, 1),
    }


def test_a_plain_function_may_provide_the_tokens() -> None:
    for runs in (run, asyncio.run):
        assert runs(called(FaultyTokens(lambda: "token", Faults()), "ann")) == "token"


def test_what_a_provider_is_told_of_user_and_reason_passes() -> None:
    def provide(user_id: str, reason: TokenReason) -> str:
        return f"{user_id} {reason}"

    assert run(called(FaultyTokens(provide, Faults()), "ann", "expiry")) == "ann expiry"


# --- transports and links -------------------------------------------------------------------------


async def link_with(faults: Faults) -> tuple[RecordingTransport, FaultLog, FaultyLink]:
    """A link, opened without a fault."""
    inner = RecordingTransport()
    transport = FaultyTransport(inner, faults)
    return inner, transport.log, await transport.open(VISITOR)


def test_each_fault_of_a_dial_does_what_it_says() -> None:
    async def dial(fault: str) -> tuple[object, int, int]:
        inner = RecordingTransport()
        transport = FaultyTransport(inner, script("open", fault))
        try:
            async with asyncio.timeout(100.0):
                answer: object = (await transport.open(VISITOR)).welcome.session
        except (NetworkError, TimeoutError) as error:
            answer = type(error)
        return answer, len(inner.links), len(inner.open_links)

    assert {fault: run(dial(fault)) for fault in EACH} == {
        "delay": ("session 1", 1, 1),
        "fail": (NetworkError, 0, 0),
        "hang": (TimeoutError, 0, 0),
        "duplicate": ("session 2", 2, 1),
        "drop": (NetworkError, 1, 0),
        "reorder": ("session 1", 1, 1),
        "stubborn": (NetworkError, 0, 0),
    }


@in_virtual_time
async def test_a_delayed_dial_that_is_cancelled_leaves_nothing_open() -> None:
    inner = RecordingTransport()
    transport = FaultyTransport(inner, Faults(delay=1.0, longest=10.0))
    # half before it dials, half after
    seconds = Faults(delay=1.0, longest=10.0).of("transport", "open", 1)[1] * 0.75
    dialling = asyncio.ensure_future(transport.open(VISITOR))
    await asyncio.sleep(seconds)
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)
    assert (len(inner.links), inner.open_links) == (1, [])


@pytest.mark.parametrize(
    ("fault", "answer", "sent"),
    [
        ("delay", "message 1.1", 1),
        ("fail", NetworkError, 0),
        ("hang", NetworkError, 0),
        ("duplicate", "message 1.2", 2),
        ("drop", NetworkError, 1),
        ("reorder", "message 1.1", 1),
        ("stubborn", NetworkError, 0),
    ],
)
@in_virtual_time
async def test_each_fault_of_a_send_does_what_it_says(
    fault: str, answer: object, sent: int
) -> None:
    inner, log, link = await link_with(script("send", fault))
    asyncio.get_running_loop().call_later(50.0, link.abort)  # which ends what hangs
    try:
        seen: object = (await link.send(Outgoing("m", "hello"))).id
    except NetworkError as error:
        seen = type(error)
    assert (seen, len(inner.log.of("link.send"))) == (answer, sent)
    assert [one.fault for one in log] == [fault]


@in_virtual_time
async def test_every_call_of_a_link_and_what_needs_none_can_meet_a_fault() -> None:
    inner = RecordingTransport()
    transport = FaultyTransport(inner, Faults(fail=1.0, script={"open": []}))
    link = await transport.open(VISITOR)
    calls: Sequence[Coroutine[Any, Any, object]] = (
        link.identify(IdentifyRequest("i", "ann", "the visitor's secret")),
        link.renew("token"),
        link.update({"user.name": "V"}),
        link.send(Outgoing("m", "hello")),
        link.conversations(ListConversations()),
        link.messages(ListMessages("c")),
        link.mark_read(MarkRead("c")),
        link.aclose(),
        transport.revoke("session 1"),
        transport.end_visitor("acme", "help", "the visitor's secret"),
    )
    for call in calls:
        with pytest.raises(NetworkError):
            await call
    seen = [one.operation for one in transport.log]
    assert seen == [
        "identify",
        "renew",
        "update",
        "send",
        "conversations",
        "messages",
        "mark_read",
        "close",
        "revoke",
        "end_visitor",
    ]
    assert inner.open_links, "a goodbye that failed leaves the link to whoever aborts it"
    link.abort()
    assert not inner.open_links
    await transport.aclose()


def arrived(number: int) -> MessageArrived:
    return MessageArrived(Message(f"m-{number}", "c", "agent", f"{number}", 0.0), f"{number}")


async def read(link: FaultyLink, seen: list[str]) -> None:
    """The texts that arrive, and how it ends."""
    try:
        async for event in link.events():
            assert isinstance(event, MessageArrived)
            seen.append(event.message.text)
    except NetworkError:
        seen.append("lost")


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ("delay", ["1", "2", "3"]),
        ("fail", ["1", "lost"]),
        ("hang", ["1", "aborted", "lost"]),
        ("stubborn", ["1", "aborted", "lost"]),
        ("duplicate", ["1", "2", "2", "3"]),
        ("drop", ["1", "3"]),
        ("reorder", ["1", "3", "2"]),
    ],
)
@in_virtual_time
async def test_each_fault_of_an_event_does_what_it_says(fault: str, wanted: list[str]) -> None:
    seen: list[str] = []
    inner, _, link = await link_with(script("events", None, fault))
    inner.link.emit(arrived(1), arrived(2), arrived(3))
    reading = asyncio.ensure_future(read(link, seen))
    await asyncio.sleep(50.0)
    if not reading.done():
        seen.append("aborted")
        link.abort()
        await reading
    assert [*wanted, "aborted", "lost"][: len(seen)] == seen
    assert len(seen) >= len(wanted)


@in_virtual_time
async def test_an_event_that_nothing_follows_comes_although_it_was_to_be_reordered() -> None:
    inner, _, link = await link_with(Faults(reorder=1.0, script={"open": []}))
    for number in (1, 2):
        inner.link.emit(arrived(number))
        assert await anext(link.events()) == arrived(number)


@in_virtual_time
async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    inner, _, link = await link_with(Faults(delay=1.0, longest=5.0, script={"open": []}))
    for patience in (0.01, 10.0):
        inner.link.emit(arrived(1))
        seen: list[LinkEvent] = []
        while not seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    seen.append(await anext(link.events()))
        assert seen == [arrived(1)]


@in_virtual_time
async def test_after_abort_nothing_is_delivered_and_nothing_waits() -> None:
    inner, _, link = await link_with(Faults(delay=1.0, longest=1.0, script={"open": []}))
    inner.link.emit(arrived(1), arrived(2))
    reading = asyncio.ensure_future(anext(link.events()))
    calling = asyncio.ensure_future(link.send(Outgoing("m", "hello")))
    await asyncio.sleep(0.001)
    link.abort()
    for waiting in (reading, calling):
        with pytest.raises(NetworkError):
            await waiting
    with pytest.raises(NetworkError):
        await anext(link.events())
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- a session on them ----------------------------------------------------------------------------


def test_a_session_lives_through_any_weather_and_the_same_seed_brings_the_same_weather() -> None:
    async def life(seed: int) -> list[Injected]:
        random.seed(seed)  # of which the session's own delays are made
        log = FaultLog()
        faults = Faults(
            seed=seed,
            delay=0.1,
            fail=0.1,
            hang=0.05,
            duplicate=0.1,
            drop=0.1,
            reorder=0.1,
            stubborn=0.05,
        )
        inner, storage = RecordingTransport(), FaultyStorage(RecordingStorage(), faults, log=log)
        transport, tokens = (
            FaultyTransport(inner, faults, log=log),
            FaultyTokens(ScriptedTokens(), faults, log=log),
        )
        chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            transport=transport,
            storage=storage,
            settings=Settings(),
        )
        try:
            while not chat.is_in(Phase.AUTHENTICATED):
                await asyncio.gather(
                    chat.boot(user=User("ann"), token_provider=tokens, timeout=300.0),
                    return_exceptions=True,
                )
            for number in range(20):
                await asyncio.gather(chat.send_message(f"{number}"), return_exceptions=True)
                inner.links[-1].emit(arrived(number))
                await asyncio.sleep(10.0)
            await chat.wait_for(Phase.AUTHENTICATED)
        finally:
            await chat.destroy()
        assert inner.open_links == []
        return list(log)

    weather = run(life(1))
    assert weather
    assert weather == run(life(1))
    assert weather != run(life(2))
