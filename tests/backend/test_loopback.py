"""The loopback as a Transport: a link that delivers in order, and is over when it is over."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat.errors import AuthRefusedError, BackendRejectedError, NetworkError
from support_chat.ports import (
    Credentials,
    IdentifyRequest,
    Link,
    LinkEvent,
    ListConversations,
    MessageArrived,
    Outgoing,
    SessionRevoked,
    TokenExpired,
    Transport,
)
from support_chat.values import JSON, SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
VISITOR = Credentials(**WIDGET, visitor="secret-1")


def token(user: str) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=NOW)


def as_user(user: str = "ann", **more: Any) -> Credentials:
    return Credentials(**WIDGET, visitor="secret-1", user_id=user, token=token(user), **more)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW) as one:
        yield one


@pytest.fixture
def transport(backend: Backend) -> Transport:
    return LoopbackTransport(backend)


async def is_lost(waiting: Awaitable[object]) -> None:
    with pytest.raises(NetworkError) as caught:
        await waiting
    assert type(caught.value) is NetworkError


REQUESTS: dict[str, Callable[[Link], Coroutine[Any, Any, object]]] = {
    "identify": lambda link: link.identify(
        IdentifyRequest("identify-1", "ann", "secret-1", token("ann"))
    ),
    "update": lambda link: link.update({"user.name": "Ann"}),
    "send": lambda link: link.send(Outgoing("m1", "hello")),
    "conversations": lambda link: link.conversations(ListConversations()),
    "renew": lambda link: link.renew(token("ann")),
}
"""One request of each kind. All but the last work for a visitor."""

requests = pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS.keys())


def cursor_of(link: Link, number: int) -> str:
    """The cursor of the message of this number at the backend of this link."""
    return f"{(link.welcome.cursor or '').partition('.')[0]}.{number}"


@in_virtual_time
async def test_a_whole_life_of_a_link(backend: Backend, transport: Transport) -> None:
    link: Link = await transport.open(VISITOR)
    assert link.welcome.user_id is None
    message = await link.send(Outgoing("m1", "hello"))
    assert (await link.update({"user.name": "V", "nonsense": 1})).rejected == (
        ("nonsense", "unknown_path"),
    )
    answer = await link.identify(IdentifyRequest("i", "ann", "secret-1", token("ann")))
    assert (answer.user_id, answer.conversations_moved) == ("ann", 1)
    await link.renew(token("ann"))
    assert [c.id for c in await link.conversations(ListConversations())] == [
        message.conversation_id
    ]
    reply = backend.agent.reply(message.conversation_id, "coming")
    assert await anext(link.events()) == MessageArrived(message, cursor_of(link, 1), own=True)
    assert await anext(link.events()) == MessageArrived(reply, cursor_of(link, 2), unread=1)
    await link.aclose()
    assert (backend.log.open_links, backend.log.of("closed")[0].detail) == (0, ("goodbye",))
    await link.aclose()
    assert backend.log.count("close") == 1
    await transport.revoke(link.welcome.session)
    await transport.aclose()
    with pytest.raises(BackendRejectedError):
        await transport.open(as_user(session=link.welcome.session))


@in_virtual_time
async def test_events_come_in_order_and_each_once_whoever_asks(
    backend: Backend, transport: Transport
) -> None:
    link = await transport.open(as_user())
    for n in range(3):
        backend.agent.reply(SignedIn("ann"), f"{n}")
    seen: list[LinkEvent] = [await anext(link.events())]
    seen.append(await anext(link.events()))
    waiting = link.events()
    seen.append(await anext(waiting))
    later = asyncio.ensure_future(anext(waiting))
    await asyncio.sleep(1)
    backend.agent.reply(SignedIn("ann"), "3")
    seen.append(await later)
    assert [event.message.text for event in seen if isinstance(event, MessageArrived)] == [
        "0",
        "1",
        "2",
        "3",
    ]


@in_virtual_time
async def test_what_was_missed_comes_before_what_is_new(
    backend: Backend, transport: Transport
) -> None:
    first = await transport.open(as_user())
    first.abort()
    backend.agent.reply(SignedIn("ann"), "missed")
    back = await transport.open(as_user(session=first.welcome.session, cursor=first.welcome.cursor))
    backend.agent.reply(SignedIn("ann"), "new")
    events = back.events()
    seen = [await anext(events), await anext(events)]
    assert [event.message.text for event in seen if isinstance(event, MessageArrived)] == [
        "missed",
        "new",
    ]


@in_virtual_time
async def test_a_message_reaches_every_link_of_its_owner_and_nobody_else(
    backend: Backend, transport: Transport
) -> None:
    mine, tab, bob = [
        await transport.open(credentials) for credentials in (as_user(), as_user(), as_user("bob"))
    ]
    visitor = await transport.open(VISITOR)
    await mine.send(Outgoing("m1", "hello"))
    for link, own in ((mine, True), (tab, False)):
        event = await anext(link.events())
        assert isinstance(event, MessageArrived)
        assert (event.message.text, event.own) == ("hello", own)
    await mine.send(Outgoing("m1", "hello"))
    backend.agent.reply(
        Visitor(visitor.welcome.visitor_id or ""),
        "to the visitor ann was, before she signed in here",
    )
    assert isinstance(await anext(visitor.events()), MessageArrived)
    for link in (mine, tab, bob, visitor):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(link.events()), 1)


@in_virtual_time
async def test_after_identify_the_link_brings_the_users_messages_and_no_longer_the_visitors(
    backend: Backend, transport: Transport
) -> None:
    link = await transport.open(VISITOR)
    await link.identify(IdentifyRequest("i", "ann", "secret-1", token("ann")))
    successor = await transport.open(VISITOR)
    backend.agent.reply(Visitor(successor.welcome.visitor_id or ""), "to the successor")
    backend.agent.reply(SignedIn("ann"), "to ann")
    event = await anext(link.events())
    assert isinstance(event, MessageArrived)
    assert event.message.text == "to ann"


@in_virtual_time
async def test_a_session_resumed_after_another_tab_merged_its_visitor_is_the_successors(
    backend: Backend, transport: Transport
) -> None:
    first, second = await transport.open(VISITOR), await transport.open(VISITOR)
    await first.identify(IdentifyRequest("i", "ann", "secret-1", token("ann")))
    second.abort()
    back = await transport.open(
        Credentials(**WIDGET, visitor="secret-1", session=second.welcome.session)
    )
    backend.agent.reply(Visitor(back.welcome.visitor_id or ""), "to the successor")
    assert isinstance(await anext(back.events()), MessageArrived)


@in_virtual_time
async def test_a_refusal_crosses_as_it_is(backend: Backend, transport: Transport) -> None:
    with pytest.raises(AuthRefusedError) as caught:
        await transport.open(Credentials(**WIDGET, visitor="s", user_id="ann", token=token("bob")))
    assert caught.value.reason == "wrong_sub"
    link = await transport.open(VISITOR)
    with pytest.raises(AuthRefusedError):
        await link.identify(IdentifyRequest("i", "ann", "a-guess", token("ann")))
    assert (await link.send(Outgoing("m", "still here"))).author == "visitor"
    assert backend.log.open_links == 1


@in_virtual_time
async def test_a_request_crosses_by_value_as_it_was_when_it_was_made(
    backend: Backend, transport: Transport
) -> None:
    link = await transport.open(VISITOR)
    backend.faults.delay(1)
    colours: list[JSON] = ["red"]
    changes: dict[str, JSON] = {"user.traits.colours": colours}
    updating = asyncio.ensure_future(link.update(changes))
    await asyncio.sleep(0.5)
    colours.append("blue")
    changes["user.name"] = "too late"
    await updating
    assert backend.agent.traits(Visitor(link.welcome.visitor_id or "")) == {
        "user.traits.colours": ["red"]
    }
    later: dict[str, JSON] = {"user.traits.c": colours}
    request = IdentifyRequest("i", "ann", "secret-1", token("ann"), user_changes=later)
    identifying = asyncio.ensure_future(link.identify(request))
    await asyncio.sleep(0.5)
    colours.clear()
    later.clear()
    await identifying
    assert backend.agent.traits(SignedIn("ann")) == {"user.traits.c": ["red", "blue"]}


@requests
@in_virtual_time
async def test_nothing_is_done_in_the_step_that_asks_for_it(
    backend: Backend,
    transport: Transport,
    request_of: Callable[[Link], Coroutine[Any, Any, object]],
) -> None:
    link = await transport.open(as_user())
    before = len(backend.log)
    asking = asyncio.ensure_future(request_of(link))
    assert len(backend.log) == before
    await asking
    assert len(backend.log) > before


@requests
@in_virtual_time
async def test_an_aborted_link_fails_pending_and_later_calls_and_delivers_nothing(
    backend: Backend,
    transport: Transport,
    request_of: Callable[[Link], Coroutine[Any, Any, object]],
) -> None:
    link = await transport.open(as_user())
    backend.faults.delay(5)
    reading = asyncio.ensure_future(anext(link.events()))
    calling = asyncio.ensure_future(request_of(link))
    await asyncio.sleep(1)
    backend.agent.reply(SignedIn("ann"), "arrives as the link is aborted")
    link.abort()
    backend.agent.reply(SignedIn("ann"), "arrives after it")
    assert backend.log.open_links == 0, "at once"
    await is_lost(calling)
    await is_lost(reading)
    await is_lost(request_of(link))
    await is_lost(anext(link.events()))
    link.abort()
    assert backend.log.count("closed") == 1
    await asyncio.sleep(60)
    backend.faults.heal()
    await is_lost(request_of(link))
    await asyncio.sleep(60)
    done = [
        entry for entry in backend.log if entry.kind in ("identified", "updated", "sent", "renewed")
    ]
    assert done == [], "what had not arrived is not carried out"


@pytest.mark.parametrize("turns", range(8))
@in_virtual_time
async def test_an_abort_at_any_moment_of_a_call_makes_it_a_loss(
    backend: Backend, transport: Transport, turns: int
) -> None:
    link = await transport.open(as_user())
    calling = asyncio.ensure_future(link.send(Outgoing("m1", "hello")))
    for _ in range(turns):
        await asyncio.sleep(0)
    answered = calling.done()
    link.abort()
    if answered:
        assert (await calling).text == "hello"
    else:
        await is_lost(calling)
    await asyncio.sleep(1)


@pytest.mark.parametrize("turns", range(10))
@pytest.mark.parametrize("delay", [0.0, 2.0])
@in_virtual_time
async def test_a_cancelled_dial_leaves_no_link_open(
    backend: Backend, transport: Transport, turns: int, delay: float
) -> None:
    backend.faults.delay(delay, answer=delay, operation="dial")
    dialling = asyncio.ensure_future(transport.open(VISITOR))
    for _ in range(turns):
        await asyncio.sleep(delay / 2)
    dialling.cancel()
    done = await asyncio.gather(dialling, return_exceptions=True)
    if not isinstance(done[0], BaseException):
        done[0].abort()
    assert backend.log.open_links == 0
    await asyncio.sleep(60)
    assert backend.log.open_links == 0


@in_virtual_time
async def test_a_dial_whose_link_breaks_before_its_answer_arrives_fails(
    backend: Backend, transport: Transport
) -> None:
    backend.faults.delay(answer=5)
    dialling = asyncio.ensure_future(transport.open(VISITOR))
    await asyncio.sleep(1)
    assert backend.log.open_links == 1
    backend.faults.drop_links()
    await is_lost(dialling)
    assert backend.log.open_links == 0


@in_virtual_time
async def test_a_failure_that_nobody_waits_for_any_more_is_not_reported_by_asyncio(
    backend: Backend, transport: Transport
) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    link = await transport.open(VISITOR)
    backend.faults.swallow("send")
    await is_lost(link.send(Outgoing("m", "hello")))
    await asyncio.sleep(1)
    gc.collect()
    assert reported == []


@requests
@in_virtual_time
async def test_a_cancelled_call_that_has_not_arrived_does_nothing(
    backend: Backend,
    transport: Transport,
    request_of: Callable[[Link], Coroutine[Any, Any, object]],
) -> None:
    link = await transport.open(as_user())
    backend.faults.delay(5)
    calling = asyncio.ensure_future(request_of(link))
    await asyncio.sleep(1)
    before = len(backend.log)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await asyncio.sleep(60)
    assert len(backend.log) == before
    backend.faults.heal()
    assert await link.conversations(ListConversations()) == (), "the link itself is as it was"


@in_virtual_time
async def test_a_call_cancelled_on_the_way_back_was_carried_out(
    backend: Backend, transport: Transport
) -> None:
    link = await transport.open(VISITOR)
    backend.faults.delay(1, answer=5)
    calling = asyncio.ensure_future(REQUESTS["identify"](link))
    await asyncio.sleep(3)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert backend.log.count("identified") == 1


@requests
@in_virtual_time
async def test_a_dropped_link_fails_pending_calls_and_its_reader(
    backend: Backend,
    transport: Transport,
    request_of: Callable[[Link], Coroutine[Any, Any, object]],
) -> None:
    link = await transport.open(as_user())
    backend.faults.delay(5)
    reading, calling = (
        asyncio.ensure_future(anext(link.events())),
        asyncio.ensure_future(request_of(link)),
    )
    await asyncio.sleep(1)
    backend.faults.drop_links()
    await is_lost(reading)
    await is_lost(calling)
    await is_lost(request_of(link))
    link.abort()
    assert [entry.detail for entry in backend.log.of("closed")] == [("dropped",)]


@in_virtual_time
async def test_what_a_dropped_link_had_not_delivered_is_replayed(
    backend: Backend, transport: Transport
) -> None:
    link = await transport.open(as_user())
    backend.agent.reply(SignedIn("ann"), "on its way")
    backend.faults.drop_links()
    await is_lost(anext(link.events()))
    back = await transport.open(as_user(session=link.welcome.session, cursor=link.welcome.cursor))
    event = await anext(back.events())
    assert isinstance(event, MessageArrived)
    assert event.message.text == "on its way"


@in_virtual_time
async def test_a_healthy_link_is_heard_now_and_a_lost_one_when_it_was_lost(
    backend: Backend, transport: Transport
) -> None:
    loop = asyncio.get_running_loop()
    link = await transport.open(VISITOR)
    for _ in range(3):
        await asyncio.sleep(100)
        assert link.heard_at == loop.time()
    backend.faults.drop_links()
    lost_at = loop.time()
    await asyncio.sleep(100)
    link.abort()
    assert link.heard_at == lost_at


@in_virtual_time
async def test_a_revoked_session_hears_of_it_last_and_other_sessions_do_not(
    backend: Backend, transport: Transport
) -> None:
    first, second = await transport.open(as_user()), await transport.open(as_user())
    backend.agent.reply(SignedIn("ann"), "before")
    await transport.revoke(first.welcome.session)
    events = first.events()
    assert isinstance(await anext(events), MessageArrived)
    assert await anext(events) == SessionRevoked("revoked")
    await is_lost(anext(events))
    await is_lost(first.conversations(ListConversations()))
    assert len(await second.conversations(ListConversations())) == 1
    assert backend.log.count("revoked", session=first.welcome.session) == 1
    assert backend.log.count("revoked", session=second.welcome.session) == 0


@in_virtual_time
async def test_a_link_opened_with_an_expired_session_is_told_once_for_each_token(
    backend: Backend, transport: Transport
) -> None:
    link = await transport.open(as_user())
    events = link.events()
    for _ in range(2):
        backend.faults.expire_tokens("ann")
        for _ in range(2):
            with pytest.raises(AuthRefusedError) as caught:
                await link.conversations(ListConversations())
            assert caught.value.code == "auth_expired"
        assert await anext(events) == TokenExpired()
        await link.renew(token("ann"))
        assert await link.conversations(ListConversations()) == ()
    backend.agent.reply(SignedIn("ann"), "and nothing else")
    assert isinstance(await anext(events), MessageArrived)


@in_virtual_time
async def test_many_sessions_share_one_transport(backend: Backend, transport: Transport) -> None:
    people = [Credentials(**WIDGET, visitor=f"secret-{n}") for n in range(50)]
    links = await asyncio.gather(*(transport.open(credentials) for credentials in people))
    await asyncio.gather(*(link.send(Outgoing("m", f"{n}")) for n, link in enumerate(links)))
    assert backend.log.open_links == backend.log.max_open_links == 50
    for link in links:
        backend.agent.reply((await link.conversations(ListConversations()))[0].id, "hello")
    assert [isinstance(await anext(link.events()), MessageArrived) for link in links] == [True] * 50
    for link in links:
        link.abort()
    assert (backend.log.open_links, backend.log.max_open_links) == (0, 50)


@in_virtual_time
async def test_concurrent_identifies_of_two_tabs_make_one_user_and_one_merge(
    backend: Backend, transport: Transport
) -> None:
    tabs = [await transport.open(VISITOR) for _ in range(2)]
    await tabs[0].send(Outgoing("m", "hello"))
    answers = await asyncio.gather(
        *(
            tab.identify(IdentifyRequest(f"i-{n}", "ann", "secret-1", token("ann")))
            for n, tab in enumerate(tabs)
        )
    )
    assert sorted(answer.conversations_moved for answer in answers) == [0, 1]
    assert backend.agent.users() == (SignedIn("ann"),)


@in_virtual_time
async def test_closing_the_backend_ends_its_links(backend: Backend, transport: Transport) -> None:
    link = await transport.open(VISITOR)
    backend.close()
    await is_lost(anext(link.events()))
    await is_lost(link.conversations(ListConversations()))
