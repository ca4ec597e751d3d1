"""Each switch of `backend.faults`, as a client behind the loopback feels it, and the log in which a
test counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from async_tests import in_virtual_time
from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    SupportChatError,
)
from support_chat.ports import (
    Claim,
    Credentials,
    IdentifyRequest,
    ListConversations,
    Outgoing,
    SessionRevoked,
    TokenExpired,
    Transport,
)
from support_chat.testing import run
from support_chat.values import SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, WidgetRules, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
VISITOR = Credentials(**WIDGET, visitor="secret-1")


def token(user: str) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=NOW)


def as_user(user: str = "ann", **more: Any) -> Credentials:
    return Credentials(**WIDGET, visitor="secret-1", user_id=user, token=token(user), **more)


IDENTIFY = IdentifyRequest("identify-1", "ann", "secret-1", token("ann"))


def on_loop(scenario: Callable[[Backend, Transport], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: NOW) as b:
            await scenario(b, LoopbackTransport(b))

    run(main())


async def fails(waiting: Awaitable[object], kind: type[SupportChatError]) -> SupportChatError:
    with pytest.raises(kind) as caught:
        await waiting
    assert type(caught.value) is kind
    return caught.value


async def hangs(waiting: Awaitable[object], seconds: float = 3600) -> None:
    with pytest.raises(TimeoutError) as caught:
        await asyncio.wait_for(waiting, seconds)
    assert not isinstance(caught.value, SupportChatError)


def test_dials_are_refused_for_a_number_of_times_or_until_healed() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        b.faults.refuse_dials(2)
        for _ in range(2):
            await fails(transport.open(VISITOR), NetworkError)
        (await transport.open(VISITOR)).abort()
        b.faults.refuse_dials()
        for _ in range(20):
            await fails(transport.open(VISITOR), NetworkError)
        b.faults.heal()
        await transport.open(VISITOR)
        assert (b.log.count("dial"), b.log.count("opened"), b.log.max_open_links) == (24, 2, 1)

    on_loop(scenario)


def test_plans_are_met_in_the_order_they_were_made() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        b.faults.refuse_dials(1)
        b.faults.refuse("dial", "auth_expired")
        b.faults.reject()
        b.faults.rate_limit(7.5)
        await fails(transport.open(VISITOR), NetworkError)
        assert (await fails(transport.open(VISITOR), AuthRefusedError)).code == "auth_expired"
        rejected = await fails(transport.open(VISITOR), BackendRejectedError)
        assert rejected.code == "widget_disabled"
        limited = await fails(transport.open(VISITOR), RateLimitedError)
        assert isinstance(limited, RateLimitedError)
        assert limited.retry_after == 7.5
        await transport.open(VISITOR)

    on_loop(scenario)


def test_any_operation_can_be_made_to_fail_and_then_does_nothing() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        link = await transport.open(VISITOR)
        b.faults.refuse("identify")
        b.faults.fail("update", NetworkError("a passing cloud"))
        b.faults.reject("send", "message_send_failed")
        b.faults.fail("revoke", NetworkError("a passing cloud"))
        await fails(link.identify(IDENTIFY), AuthRefusedError)
        await fails(link.update({"user.name": "V"}), NetworkError)
        await fails(link.send(Outgoing("m", "hello")), BackendRejectedError)
        await fails(transport.revoke(link.welcome.session), NetworkError)
        assert b.agent.users() == ()
        assert b.agent.traits(Visitor(link.welcome.visitor_id or "")) == {}
        assert await link.conversations(ListConversations()) == ()
        assert (await link.identify(IDENTIFY)).merged

    on_loop(scenario)


def test_every_failure_is_an_error_of_its_own() -> None:
    """An exception object that is raised twice would drag the traceback of the first time along."""

    async def scenario(b: Backend, transport: Transport) -> None:
        b.faults.refuse_dials()
        first, second = [await fails(transport.open(VISITOR), NetworkError) for _ in range(2)]
        assert first is not second
        assert str(first) == str(second)

    on_loop(scenario)


def test_requests_and_answers_are_delayed_of_one_operation_or_of_all() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        loop = asyncio.get_running_loop()
        b.faults.delay(2, answer=3)
        b.faults.delay(10, operation="send")
        link = await transport.open(VISITOR)
        assert loop.time() == 5
        await link.send(Outgoing("m", "hello"))
        assert loop.time() == 15
        b.faults.heal()
        await link.conversations(ListConversations())
        assert loop.time() == 15

    on_loop(scenario)


def test_a_swallowed_reply_was_carried_out_and_is_learnt_by_the_claim() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        link = await transport.open(VISITOR)
        await link.send(Outgoing("m", "hello"))
        b.faults.swallow()
        await fails(link.identify(IDENTIFY), NetworkError)
        await fails(anext(link.events()), NetworkError)
        assert b.log.count("identified") == 1
        claim = Claim("identify-1", "ann")
        back = await transport.open(
            Credentials(
                **WIDGET,
                visitor="secret-1",
                session=link.welcome.session,
                token=token("ann"),
                claim=claim,
            )
        )
        assert back.welcome.claim is not None
        assert (back.welcome.user_id, back.welcome.claim.conversations_moved) == ("ann", 1)
        assert b.log.of("opened")[-1].detail == ("resumed", "committed")

    on_loop(scenario)


def test_a_reply_swallowed_in_silence_never_comes() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        link = await transport.open(VISITOR)
        b.faults.swallow("send", silently=True)
        await hangs(link.send(Outgoing("m", "hello")))
        assert (b.log.count("sent"), b.log.open_links) == (1, 1)
        await hangs(link.conversations(ListConversations()))

    on_loop(scenario)


def test_a_swallowed_dial_leaves_no_link_open() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        b.faults.swallow("dial")
        await fails(transport.open(VISITOR), NetworkError)
        b.faults.swallow("dial", silently=True)
        await hangs(transport.open(VISITOR))
        assert (b.log.count("opened"), b.log.open_links) == (2, 0)

    on_loop(scenario)


@pytest.mark.parametrize("whole_network", [False, True])
def test_a_silent_link_stays_open_delivers_nothing_and_is_not_heard(whole_network: bool) -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        loop = asyncio.get_running_loop()
        link = await transport.open(as_user())
        b.faults.delay(5, operation="send")
        sending = asyncio.ensure_future(link.send(Outgoing("m", "on its way")))
        await asyncio.sleep(1)
        switch = b.faults.black_hole if whole_network else b.faults.silence_links
        switch()
        silent_since = loop.time()
        b.agent.reply(SignedIn("ann"), "hello?")
        for waiting in (
            anext(link.events()),
            link.conversations(ListConversations()),
            sending,
            link.aclose(),
        ):
            await hangs(waiting)
        assert (link.heard_at, b.log.open_links, b.log.count("sent")) == (silent_since, 1, 0)
        b.faults.heal()
        await hangs(link.conversations(ListConversations()))
        link.abort()
        assert (link.heard_at, b.log.open_links) == (silent_since, 0)
        await fails(anext(link.events()), NetworkError)

    on_loop(scenario)


def test_an_answer_on_its_way_back_over_a_link_that_falls_silent_never_comes() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        link = await transport.open(VISITOR)
        b.faults.delay(answer=5)
        sending = asyncio.ensure_future(link.send(Outgoing("m", "hello")))
        await asyncio.sleep(1)
        b.faults.silence_links()
        await hangs(sending)
        assert b.log.count("sent") == 1

    on_loop(scenario)


def test_with_silent_links_a_new_dial_works_and_in_a_black_hole_it_hangs_until_healed() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        b.faults.silence_links()
        link = await transport.open(VISITOR)
        assert await link.conversations(ListConversations()) == ()
        b.faults.black_hole()
        await hangs(transport.open(VISITOR))
        await hangs(transport.revoke(link.welcome.session))
        dialling = asyncio.ensure_future(transport.open(VISITOR))
        await asyncio.sleep(3600)
        assert not dialling.done()
        b.faults.heal()
        assert await (await dialling).conversations(ListConversations()) == ()
        assert b.log.count("revoked") == 0

    on_loop(scenario)


def test_the_backend_ends_a_session_by_credential_or_public_name_with_a_reason() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        for public in (False, True):
            link, other = await transport.open(VISITOR), await transport.open(VISITOR)
            name = b.log.of("opened")[-2].session if public else link.welcome.session
            assert name is not None
            b.faults.revoke(name, "banned")
            assert await anext(link.events()) == SessionRevoked("banned")
            assert await other.conversations(ListConversations()) == ()
            again = Credentials(**WIDGET, visitor="secret-1", session=link.welcome.session)
            rejected = await fails(transport.open(again), BackendRejectedError)
            assert rejected.reason == "session_revoked"
        b.faults.revoke("session-99")

    on_loop(scenario)


def test_tokens_expire_for_one_user_or_for_all_and_never_for_visitors() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        ann, bob, visitor = [await transport.open(c) for c in (as_user(), as_user("bob"), VISITOR)]
        b.faults.expire_tokens("ann")
        assert await anext(ann.events()) == TokenExpired()
        await hangs(anext(bob.events()))
        await bob.conversations(ListConversations())
        b.faults.expire_tokens()
        assert await anext(bob.events()) == TokenExpired()
        await hangs(anext(visitor.events()))
        await hangs(anext(ann.events()))
        await visitor.conversations(ListConversations())
        await ann.renew(token("ann"))
        await ann.conversations(ListConversations())

    on_loop(scenario)


@in_virtual_time
async def test_what_was_believed_without_a_token_has_none_that_expires() -> None:
    with Backend(**WIDGET, rules=WidgetRules(jwt_required_for_identified_users=False)) as b:
        link = await LoopbackTransport(b).open(
            Credentials(**WIDGET, visitor="secret-1", user_id="ann")
        )
        b.faults.expire_tokens()
        assert await link.conversations(ListConversations()) == ()
        await hangs(anext(link.events()))


def test_the_backend_may_answer_in_the_name_of_another_user() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        visitor = await transport.open(VISITOR)
        b.faults.answer_as("mallory")
        assert (await transport.open(as_user())).welcome.user_id == "mallory"
        assert (await visitor.identify(IDENTIFY)).user_id == "mallory"
        b.faults.answer_as(None)
        assert (await transport.open(as_user())).welcome.user_id == "ann"
        assert b.agent.users() == (SignedIn("ann"),)

    on_loop(scenario)


def test_the_log_tells_what_was_asked_what_was_done_and_for_whom() -> None:
    async def scenario(b: Backend, transport: Transport) -> None:
        link = await transport.open(VISITOR)
        await link.update({"context.page": "/", "user.name": "V"})
        await link.update({"context.page": "/x"})
        message = await link.send(Outgoing("m", "hello"))
        await link.send(Outgoing("m", "hello"))
        await fails(
            link.identify(IdentifyRequest("i", "ann", "secret-1", "rubbish")), AuthRefusedError
        )
        await link.identify(IDENTIFY)
        b.agent.reply(SignedIn("ann"), "coming")
        await transport.revoke(link.welcome.session)
        visitor, ref = (
            Visitor(link.welcome.visitor_id or ""),
            link.welcome.session.partition(".")[0],
        )
        assert [(e.kind, e.session, e.identity, e.detail) for e in b.log] == [
            ("dial", None, None, ()),
            ("opened", ref, visitor, ("new",)),
            ("update", ref, None, ()),
            ("updated", ref, visitor, ("context.page", "user.name")),
            ("update", ref, None, ()),
            ("updated", ref, visitor, ("context.page",)),
            ("send", ref, None, ()),
            ("sent", ref, visitor, (message.id, "new")),
            ("send", ref, None, ()),
            ("sent", ref, visitor, (message.id, "again")),
            ("identify", ref, None, ()),
            ("refused", ref, None, ("identify", "invalid_token", "malformed")),
            ("identify", ref, None, ()),
            ("identified", ref, SignedIn("ann"), ("identify-1", "merged")),
            ("replied", None, None, ("message-2",)),
            ("revoke", None, None, ()),
            ("revoked", ref, SignedIn("ann"), ("revoked",)),
            ("closed", ref, None, ("revoked",)),
        ]
        assert b.log.count("updated") == b.log.count("updated", session=link.welcome.session) == 2
        assert b.log.count("updated", session="session-99") == 0

    on_loop(scenario)
