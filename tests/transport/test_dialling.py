"""Dialling a real backend: who is welcomed, what is missed, what a dial that is given up leaves
behind, and the end of it all.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

import attrs
import httpx2
import pytest

from dialling import (
    link_of,
    on_loop,
    say,
    sockets,
    soon,
    suspended,
    texts_of,
    transport_to,
    until,
    upcoming,
    user,
    visitor,
)
from served import Served
from support_chat.errors import NetworkError
from support_chat.ports import (
    IdentifyRequest,
    ListConversations,
    Outgoing,
    SessionRevoked,
    TokenExpired,
)
from support_chat.values import Visitor
from support_chat_adapters.transport import WidgetAPITransport
from support_chat_adapters.wire_faults import FaultProxy, Stall

WAYS: dict[str, dict[str, Any]] = {"websocket": {}, "polls": {"websocket": None}}
both_ways = pytest.mark.parametrize("options", WAYS.values(), ids=WAYS.keys())


@both_ways
@on_loop
async def test_a_whole_life_of_a_link(backend: Served, options: dict[str, Any]) -> None:
    transport = WidgetAPITransport(backend.url, **options)
    who = visitor()
    link = await transport.open(who)
    assert (link.welcome.user_id, link.welcome.gap, link.welcome.unread) == (None, False, 0)
    message = await link.send(Outgoing("m-1", "hello"))
    say(backend, link, "coming")
    assert texts_of(await upcoming(link)) == ["coming"]
    user_id = f"ann-{who.visitor[-8:]}"
    answer = await link.identify(
        IdentifyRequest("i-1", user_id, who.visitor, backend.token(user_id))
    )
    assert (answer.merged, answer.conversations_moved) == (True, 1)
    assert [one.id for one in await link.conversations(ListConversations())] == [
        message.conversation_id
    ]
    assert (await link.update({"user.name": "Ann", "nonsense": 1})).rejected == (
        ("nonsense", "unknown_path"),
    )
    await link.renew(backend.token(user_id))
    await link.aclose()
    await transport.revoke(link.welcome.session)
    await transport.aclose()
    await transport.aclose()


@both_ways
@on_loop
async def test_what_was_missed_arrives_once_and_in_order_when_a_session_is_resumed(
    backend: Served, options: dict[str, Any]
) -> None:
    async with transport_to(backend.url, **options) as transport:
        who = user(backend)
        first = await transport.open(who)
        say(backend, first, "one")
        seen = await upcoming(first)
        first.abort()
        for text in ("two", "three"):
            say(backend, first, text)
        await asyncio.to_thread(backend.restart)
        async with link_of(
            transport,
            attrs.evolve(who, session=first.welcome.session, cursor=getattr(seen, "cursor", None)),
        ) as again:
            say(backend, again, "four")
            assert texts_of(*[await upcoming(again) for _ in range(3)]) == ["two", "three", "four"]
            assert (again.welcome.session, again.welcome.gap, again.welcome.unread) == (
                first.welcome.session,
                False,
                3,
            )


@both_ways
@pytest.mark.parametrize("seed", range(4))
@on_loop
async def test_a_dial_that_is_cancelled_at_any_moment_leaves_nothing_open(
    backend: Served, options: dict[str, Any], seed: int
) -> None:
    async with transport_to(backend.url, **options) as transport:
        (await transport.open(visitor())).abort()  # now it takes as long as it always does
        began = asyncio.get_running_loop().time()
        (await transport.open(visitor())).abort()
        whole = asyncio.get_running_loop().time() - began
        outcomes: set[str] = set()
        for step in range(12):
            dialling = asyncio.ensure_future(transport.open(visitor()))
            await asyncio.sleep(whole * (step + seed / 4) / 10)
            dialling.cancel()
            try:
                link = await dialling
            except asyncio.CancelledError:
                outcomes.add("cancelled")
            else:
                outcomes.add("open")
                link.abort()
        assert "cancelled" in outcomes


@both_ways
@on_loop
async def test_abort_is_done_when_it_returns_and_pending_calls_raise(
    backend: Served, options: dict[str, Any]
) -> None:
    async with transport_to(backend.url, **options) as transport:
        link = await transport.open(visitor())
        pending = [
            asyncio.ensure_future(call)
            for call in (
                link.conversations(ListConversations()),
                link.send(Outgoing("m-1", "x")),
                link.update({"user.name": "V"}),
                anext(link.events()),
            )
        ]
        await asyncio.sleep(0)
        link.abort()
        link.abort()
        for call in pending:
            with pytest.raises(NetworkError):
                await soon(call)
        for later in (
            link.conversations(ListConversations()),
            link.renew("token"),
            anext(link.events()),
        ):
            with pytest.raises(NetworkError):
                await soon(later)
        await link.aclose()


@both_ways
@on_loop
async def test_heard_at_moves_while_the_backend_lives_and_stands_while_it_is_silent(
    backend: Served, options: dict[str, Any]
) -> None:
    async with (
        transport_to(backend.url, ping_every=0.05, poll_wait=0.05, **options) as transport,
        link_of(transport) as link,
    ):
        opened = link.heard_at
        await until(lambda: link.heard_at > opened, "a sign of life")
        with suspended(backend):
            await asyncio.sleep(0.3)  # what was on its way has come
            silent = link.heard_at
            await asyncio.sleep(0.5)
            assert link.heard_at == silent
        await until(lambda: link.heard_at > silent, "a sign of life after the silence")


@both_ways
@on_loop
async def test_a_backend_that_is_killed_ends_the_link_and_everything_asked_over_it(
    backend: Served, options: dict[str, Any]
) -> None:
    async with transport_to(backend.url, **options) as transport:
        link = await transport.open(visitor())
        waiting = asyncio.ensure_future(anext(link.events()))
        await asyncio.to_thread(backend.kill)
        with pytest.raises(NetworkError):
            await soon(waiting)
        with pytest.raises(NetworkError):
            await link.conversations(ListConversations())
        with pytest.raises(NetworkError):
            await transport.open(visitor())
        await asyncio.to_thread(backend.start)
        with pytest.raises(NetworkError):  # a new dial works, a link that is over stays over
            await link.conversations(ListConversations())
        (await transport.open(visitor())).abort()


@both_ways
@on_loop
async def test_what_an_operator_ends_in_another_process_ends_here(
    backend: Served, options: dict[str, Any]
) -> None:
    async with transport_to(backend.url, **options) as transport:
        revoked, other, expiring = (
            await transport.open(visitor()),
            await transport.open(visitor()),
            await transport.open(user(backend)),
        )
        with backend.backend() as operator:
            operator.agent.reply(Visitor(revoked.welcome.visitor_id or ""), "goodbye")
            operator.revoke(revoked.welcome.session)
            operator.faults.expire_tokens(expiring.welcome.user_id)
        assert texts_of(await upcoming(revoked)) == ["goodbye"]
        assert isinstance(await upcoming(revoked), SessionRevoked)
        with pytest.raises(NetworkError):
            await upcoming(revoked)
        assert await upcoming(expiring) == TokenExpired()
        await expiring.renew(backend.token(str(expiring.welcome.user_id)))
        with backend.backend() as operator:
            operator.faults.expire_tokens(expiring.welcome.user_id)
        assert await upcoming(expiring) == TokenExpired()
        assert list(await other.conversations(ListConversations())) == []
        for link in (revoked, other, expiring):
            link.abort()


@on_loop
async def test_many_sessions_share_one_transport_and_its_connections(backend: Served) -> None:
    async with transport_to(backend.url) as transport:
        links = await asyncio.gather(*(transport.open(visitor()) for _ in range(10)))
        for number, link in enumerate(links):
            say(backend, link, f"for {number}")
        for number, link in enumerate(links):
            assert texts_of(await upcoming(link)) == [f"for {number}"]
        links[0].abort()
        assert (await links[1].send(Outgoing("m-1", "still here"))).text == "still here"
        for link in links:
            link.abort()


@on_loop
async def test_requests_one_after_the_other_share_one_connection(backend: Served) -> None:
    before = len(sockets())
    async with transport_to(backend.url) as transport, link_of(transport) as link:
        for number in range(20):
            await link.send(Outgoing(f"m-{number}", "hello"))
        assert len(sockets()) - before == 2  # the WebSocket, and the one that the requests share


@on_loop
async def test_a_closed_transport_asks_nothing_any_more_and_says_so(backend: Served) -> None:
    async with transport_to(backend.url) as transport:
        link = await transport.open(visitor())
    for asked in (
        transport.open(visitor()),
        transport.revoke("session-1.x"),
        link.conversations(ListConversations()),
        link.send(Outgoing("m", "x")),
    ):
        with pytest.raises(NetworkError, match="make a new") as caught:
            await asked
        assert (caught.value.reason, caught.value.recoverable) == ("closed", False)
    link.abort()


@on_loop
async def test_what_is_under_way_when_the_transport_is_closed_ends(backend: Served) -> None:
    async with FaultProxy(backend.url) as proxy:
        asking, polling = (
            WidgetAPITransport(proxy.url),
            WidgetAPITransport(proxy.url, websocket=None),
        )
        link, polled = await asking.open(visitor()), await polling.open(visitor())
        proxy.plan(
            Stall("GET", "/conversations", of="server"),
            Stall("POST", "/sessions/anonymous", of="server"),
        )
        pending = [
            asyncio.ensure_future(link.conversations(ListConversations())),
            asyncio.ensure_future(asking.open(visitor())),
            asyncio.ensure_future(anext(polled.events())),
        ]
        await proxy.until_applied(Stall, times=2)
        await asking.aclose()
        await polling.aclose()
        for call in pending:
            with pytest.raises(NetworkError):
                await soon(call)
        link.abort()
        polled.abort()


@on_loop
async def test_a_client_of_the_users_is_used_and_stays_open(backend: Served) -> None:
    seen: list[str] = []

    async def note(request: httpx2.Request) -> None:
        seen.append(request.url.path)

    async with httpx2.AsyncClient(event_hooks={"request": [note]}, follow_redirects=True) as client:
        async with transport_to(backend.url, http=client) as transport:
            link = await transport.open(visitor())
        assert not client.is_closed
        assert seen == ["/widget/v1/sessions/anonymous"]
        link.abort()
    other = WidgetAPITransport(backend.url, http=client)
    with pytest.raises(NetworkError, match="closed"):
        await other.open(visitor())


@on_loop
async def test_what_a_client_of_the_users_raises_ends_the_link(backend: Served) -> None:
    polls: list[str] = []

    async def fail(request: httpx2.Request) -> None:
        if request.url.path.endswith("/realtime"):
            polls.append(str(request.url))
            if len(polls) > 1:
                raise ZeroDivisionError

    async with httpx2.AsyncClient(event_hooks={"request": [fail]}) as client:
        transport = WidgetAPITransport(backend.url, http=client, websocket=None)
        async with link_of(transport) as link:
            with pytest.raises(ZeroDivisionError):
                await upcoming(link)


@on_loop
async def test_what_opens_websockets_may_be_the_users(backend: Served) -> None:
    from websockets.asyncio.client import connect

    asked: list[tuple[str, dict[str, Any]]] = []

    def opening(url: str, **options: Any) -> connect:
        asked.append((url, options))
        return connect(url, **options)

    async with transport_to(backend.url, websocket=opening) as transport:
        (await transport.open(visitor())).abort()
        [(url, options)] = asked
        assert url.startswith(f"ws{backend.url[4:]}/widget/v1/realtime?session_token=")
        assert options["max_size"] == 256 * 1024


@on_loop
async def test_nothing_secret_is_logged_at_any_level(
    backend: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with transport_to(backend.url) as transport:
        who = user(backend)
        link = await transport.open(who)
        text = f"what people write {secrets.token_hex(8)}"
        say(backend, link, text)
        await upcoming(link)
        fresh = backend.token(str(who.user_id))
        await link.renew(fresh)
        await link.send(Outgoing("m-1", text))
        session = link.welcome.session
        given = [who.visitor, str(who.token), fresh, session, session.partition(".")[2], text]
        hidden = [*given, "session_token="]
        await link.aclose()
        await transport.revoke(session)
    assert not any(
        secret in repr(value) for secret in hidden for value in (who, link, link.welcome, transport)
    )
    logged = (
        caplog.text
        + "".join(repr(record.__dict__) for record in caplog.records)
        + backend.log.read_text()
    )
    assert "HTTP Request" in logged  # the log is looked at, and it is not empty
    assert [secret for secret in hidden if secret in logged] == []
