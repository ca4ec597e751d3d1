"""Races seen in released SDKs of this field, each as a test that ours does not have it.

Two stages. Where the wire matters, the reference backend counts what arrived (`Wire`). Where one
side must be held for just the wrong moment, the doubles of `support_chat.testing` are held and let
go (`RecordingTransport`, `ScriptedTokens`). All run on virtual time. Each test says in its
docstring how to break the library so that it fails, and was seen to fail that way; or why that is
hard.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
import pytest

from support_chat import Phase, SupportChat
from support_chat.errors import (
    IdentityConflictError,
    NetworkError,
    NotBootedError,
    SessionDestroyedError,
    SessionEndedError,
    SupportChatError,
)
from support_chat.ports import Credentials, Link, TokenExpired
from support_chat.runtime.calls import Call
from support_chat.testing import (
    CallLog,
    RecordingStorage,
    RecordingTransport,
    ScriptedTokens,
    run,
    unsigned_token,
)
from support_chat.values import SignedIn
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

EPOCH = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def now() -> float:
    return asyncio.get_running_loop().time()


@attrs.define(eq=False)
class Tokens:
    """A provider of signed tokens that live `life` seconds; it remembers when it was called, and
    fails while `down`.
    """

    user: str
    life: float = 900.0
    down: bool = False
    called_at: list[float] = attrs.field(factory=list[float])

    async def __call__(self) -> str:
        self.called_at.append(now())
        if self.down:
            raise OSError("the customer's backend is down")
        return sign_identity_token(
            self.user, SECRET, **WIDGET, lifetime=self.life, now=EPOCH + now()
        )


@attrs.define(eq=False)
class Wire:
    """A session on the loopback to a backend that counts."""

    chat: SupportChat
    backend: Backend

    def dials(self) -> list[float]:
        """When each dial began, in the loop's seconds."""
        return [entry.at - EPOCH for entry in self.backend.log.of("dial")]


def on_the_wire(
    story: Callable[[Wire], Coroutine[Any, Any, None]],
    through: Callable[[Backend], Any] = LoopbackTransport,
) -> None:
    """Runs a story of a session with the reference backend behind `through`."""

    async def main() -> None:
        with Backend(
            **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: EPOCH + now()
        ) as backend:
            async with SupportChat(
                **WIDGET, transport=through(backend), storage=MemoryStorage()
            ) as chat:
                await story(Wire(chat, backend))
            assert backend.log.open_links == 0

    run(main())


@attrs.define(eq=False)
class Rig:
    """A session between doubles that the test holds and lets go."""

    log: CallLog = attrs.field(factory=CallLog)
    storage: RecordingStorage = attrs.field(init=False)
    transport: RecordingTransport = attrs.field(init=False)
    chat: SupportChat = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.storage, self.transport = (
            RecordingStorage(log=self.log),
            RecordingTransport(log=self.log),
        )
        self.chat = SupportChat(**WIDGET, transport=self.transport, storage=self.storage)

    def presented(self) -> list[str | None]:
        """The tokens that left, in dials and in renewals and identifies."""
        credentials = [
            call.request
            for call in self.log
            if call.name in ("transport.open", "link.identify", "link.renew")
        ]
        return [getattr(request, "token", request) for request in credentials]


def on_stage(story: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    """Runs a story of a session between doubles."""

    async def main() -> None:
        rig = Rig()
        async with rig.chat:
            await story(rig)

    run(main())


def tokens_of(user: str, log: CallLog) -> ScriptedTokens:
    return ScriptedTokens(lambda n: unsigned_token(sub=user, iat=0, exp=900, jti=str(n)), log=log)


# --- a token of user A that arrives after logout is installed again (stream-chat 9.53, LiveChat cus


async def during_the_boot(rig: Rig, tokens: ScriptedTokens) -> None:
    tokens.hold("fetch", stubborn=True)
    rig.chat.boot(user={"id": "ann"}, token_provider=tokens)


async def during_the_identify(rig: Rig, tokens: ScriptedTokens) -> None:
    await rig.chat.boot()
    tokens.hold("fetch", stubborn=True)
    rig.chat.identify(user={"id": "ann"}, token_provider=tokens)


async def during_the_renewal(rig: Rig, tokens: ScriptedTokens) -> None:
    await rig.chat.boot(user={"id": "ann"}, token_provider=tokens)
    tokens.hold("fetch", stubborn=True)
    rig.transport.link.emit(TokenExpired())


async def during_the_reconnect(rig: Rig, tokens: ScriptedTokens) -> None:
    await during_the_renewal(rig, tokens)
    await asyncio.sleep(0.1)
    rig.transport.link.lose()


MOMENTS = [during_the_boot, during_the_identify, during_the_renewal, during_the_reconnect]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_token_that_arrives_after_logout_is_not_installed(
    moment: Callable[[Rig, ScriptedTokens], Coroutine[Any, Any, None]],
) -> None:
    """Break it: drop `Lane.TOKEN` from the lanes that `CUT` abandons."""

    async def story(rig: Rig) -> None:
        tokens = tokens_of("ann", rig.log)
        await moment(rig, tokens)
        await asyncio.sleep(6)
        [late] = tokens.waiting("fetch")
        rig.chat.shutdown()
        before = len(rig.log)
        assert late.succeed()
        await asyncio.sleep(3600)
        assert rig.chat.state is Phase.SHUTDOWN
        assert set(rig.log.names()[before:]) <= {
            "storage.keys",
            "transport.revoke",
            "link.close",
            "link.abort",
        }

    on_stage(story)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_token_of_the_former_user_is_not_presented_for_the_next_one(
    moment: Callable[[Rig, ScriptedTokens], Coroutine[Any, Any, None]],
) -> None:
    """Break it: as above, or let `Engine._ended` never say that a moment is late."""

    async def story(rig: Rig) -> None:
        anns, bobs = tokens_of("ann", rig.log), tokens_of("bob", rig.log)
        await moment(rig, anns)
        await asyncio.sleep(6)
        [late] = anns.waiting("fetch")
        rig.chat.shutdown()
        before = len(rig.presented())
        bobs.hold("fetch")
        boot = rig.chat.boot(user={"id": "bob"}, token_provider=bobs)
        await asyncio.sleep(1)
        assert late.succeed()
        await asyncio.sleep(1)
        assert rig.presented()[before:] == []
        bobs.release("fetch")
        assert await boot == SignedIn("bob")
        assert rig.presented()[before:] == [unsigned_token(sub="bob", iat=0, exp=900, jti="1")]

    on_stage(story)


# --- logout during the backoff sleep, login as B: two sockets for B, one outlives the final logout


def test_logout_during_the_backoff_and_login_as_another_leaves_one_socket() -> None:
    """Break it: drop `Lane.DIAL` from the lanes that `CUT` abandons."""

    async def story(wire: Wire) -> None:
        chat, backend = wire.chat, wire.backend
        await chat.boot(user={"id": "ann"}, token_provider=Tokens("ann"))
        backend.faults.refuse_dials(3)
        backend.faults.drop_links()
        await asyncio.sleep(0.9)
        assert chat.state is Phase.RECONNECTING
        chat.shutdown()
        await chat.boot(user={"id": "bob"}, token_provider=Tokens("bob"))
        await asyncio.sleep(60)
        assert backend.log.open_links == 1
        assert backend.log.max_open_links == 1
        assert [entry.identity for entry in backend.log.of("opened")] == [
            SignedIn("ann"),
            SignedIn("bob"),
        ]
        await chat.shutdown()
        assert backend.log.open_links == 0
        dials = backend.log.count("dial")
        await asyncio.sleep(3600)
        assert (backend.log.open_links, backend.log.count("dial")) == (0, dials)

    on_the_wire(story)


def test_logout_during_the_dial_and_login_as_another_leaves_one_socket() -> None:
    """Break it: take `DISPOSE` out of `late.dispose`."""

    async def story(rig: Rig) -> None:
        rig.transport.hold("open", stubborn=True)
        rig.chat.boot(user={"id": "ann"})
        await asyncio.sleep(1)
        assert len(rig.transport.waiting("open")) == 1
        rig.chat.shutdown()
        boot = rig.chat.boot(user={"id": "bob"})
        rig.transport.release("open")  # ann's dial succeeds now, although it was cancelled
        await boot
        await asyncio.sleep(60)
        assert [link.welcome.user_id for link in rig.transport.open_links] == ["bob"]
        revoked = [call.request for call in rig.log.of("transport.revoke")]
        assert revoked == [
            link.welcome.session for link in rig.transport.links if link.welcome.user_id == "ann"
        ]
        await rig.chat.shutdown()
        assert rig.transport.open_links == []

    on_stage(story)


# --- the token provider is called after disconnect, and 421 times in one second for a token of 20 s
# (Amazon IVS chat 1.1.1) ---


@pytest.mark.parametrize("ending", ["shutdown", "destroy"])
def test_the_token_provider_is_not_called_after_the_end(ending: str) -> None:
    """Break it: hard, since three things stand in the way (`DISARM`, `FORGET`, and no row for
    `RENEW_DUE` once ended).
    """

    async def story(wire: Wire) -> None:
        tokens = Tokens("ann", life=20.0)
        await wire.chat.boot(user={"id": "ann"}, token_provider=tokens)
        tokens.down = True
        await asyncio.sleep(16)
        assert len(tokens.called_at) >= 3, "the renewal is being retried"
        await (wire.chat.shutdown() if ending == "shutdown" else wire.chat.destroy())
        calls = len(tokens.called_at)
        await asyncio.sleep(3600)
        assert len(tokens.called_at) == calls

    on_the_wire(story)


@pytest.mark.parametrize("life", [20.0, 1.0, 0.001])
def test_a_short_lived_token_is_renewed_at_the_distance_of_renewals(life: float) -> None:
    """Break it: let `renew_in` answer without `fetch_in`."""

    async def story(wire: Wire) -> None:
        tokens = Tokens("ann", life=life)
        await wire.chat.boot(user={"id": "ann"}, token_provider=tokens)
        await asyncio.sleep(120)
        distances = [
            later - earlier
            for earlier, later in zip(tokens.called_at, tokens.called_at[1:], strict=False)
        ]
        assert min(distances) >= 5.0
        assert 12 <= len(tokens.called_at) <= 25

    on_the_wire(story)


def test_a_provider_that_fails_or_a_backend_that_expires_everything_is_not_hammered() -> None:
    """Break it: let `fetch_in` answer 0.0."""

    async def story(wire: Wire) -> None:
        tokens = Tokens("ann")
        await wire.chat.boot(user={"id": "ann"}, token_provider=tokens)
        for second in range(60):
            tokens.down = second % 2 == 0
            wire.backend.faults.expire_tokens()
            if second % 7 == 0:
                wire.backend.faults.drop_links()
            await asyncio.sleep(1)
        assert len(tokens.called_at) <= 1 + 60 / 5 + 60 / 7
        per_second = [
            len([at for at in tokens.called_at if second <= at < second + 1])
            for second in range(60)
        ]
        assert max(per_second) <= 2

    on_the_wire(story)


# --- updateToken() after disconnect dials again (Twilio twilsock 1.0.2) ---------------------------


@pytest.mark.parametrize("ending", ["shutdown", "destroy"])
def test_nothing_but_a_boot_dials_after_the_end(ending: str) -> None:
    """Break it: hard, since no row leads out of `shutdown` but for a boot, which the catalogue
    proves (S3).
    """

    async def story(wire: Wire) -> None:
        chat, tokens = wire.chat, Tokens("ann")
        await chat.boot(user={"id": "ann"}, token_provider=tokens)
        await (chat.shutdown() if ending == "shutdown" else chat.destroy())
        dials, calls = len(wire.dials()), len(tokens.called_at)
        expected = NotBootedError if ending == "shutdown" else SessionDestroyedError
        for call in (
            lambda: chat.identify(user={"id": "ann"}, token_provider=tokens),
            lambda: chat.update(user={"id": "ann", "name": "Ann"}),
            lambda: chat.send_message("hello"),
            lambda: chat.conversations(),
        ):
            with pytest.raises(expected):
                await call()
        chat.set_online(False)
        chat.set_online(True)
        await asyncio.sleep(3600)
        assert (len(wire.dials()), len(tokens.called_at)) == (dials, calls)

    on_the_wire(story)


# --- switching users sends an update with B's id over A's session (Intercom npm wrapper 0.0.20) ---


def test_switching_users_sends_no_update_of_one_over_the_session_of_the_other() -> None:
    """Break it: let `DROP_UPDATES` and `FORGET` both keep what is recorded."""

    async def story(wire: Wire) -> None:
        chat, backend = wire.chat, wire.backend
        await chat.boot(user={"id": "ann"}, token_provider=Tokens("ann"))
        await chat.update(user={"id": "ann", "traits": {"of": "ann"}})
        await asyncio.sleep(0.2)
        with pytest.raises(IdentityConflictError):
            await chat.update(user={"id": "bob", "traits": {"of": "bob"}})
        for call in (chat.boot, chat.identify):
            with pytest.raises(IdentityConflictError):
                await call(
                    user={"id": "bob", "traits": {"of": "bob"}}, token_provider=Tokens("bob")
                )
        await chat.update(user={"traits": {"last": "ann's"}})  # waits for the end of the interval
        chat.shutdown()
        boot = chat.boot(user={"id": "bob", "traits": {"of": "bob"}}, token_provider=Tokens("bob"))
        await chat.update(user={"id": "bob", "traits": {"more": "bob's"}})
        await boot
        await asyncio.sleep(60)
        assert backend.agent.traits(SignedIn("ann")) == {"user.traits.of": "ann"}
        assert backend.agent.traits(SignedIn("bob")) == {
            "user.traits.of": "bob",
            "user.traits.more": "bob's",
        }

    on_the_wire(story)


def test_a_user_booted_while_the_former_ones_update_is_out_gets_none_of_it() -> None:
    """Break it: let `CUT` spare the update lane, so that its failure restores what was sent."""

    async def story(rig: Rig) -> None:
        await rig.chat.boot(user={"id": "ann"})
        rig.transport.hold("update", stubborn=True)
        await rig.chat.update(user={"id": "ann", "traits": {"of": "ann"}})
        await asyncio.sleep(2)
        [out] = rig.transport.waiting("update")
        await rig.chat.update(user={"traits": {"more": "ann's"}})
        rig.chat.shutdown()
        boot = rig.chat.boot(user={"id": "bob"})
        out.fail(NetworkError("no answer"))
        rig.transport.release("update")
        await boot
        await asyncio.sleep(60)
        assert [call.request for call in rig.log.of("link.update")] == [{"user.traits.of": "ann"}]

    on_stage(story)


# --- calls queued before a reset never settle (ahize) ---------------------------------------------


@pytest.mark.parametrize(
    "hung",
    [
        ("storage", "get"),
        ("storage", "create"),
        ("tokens", "fetch"),
        ("transport", "open"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("reset", ["shutdown", "shutdown and clear", "destroy"])
def test_calls_queued_before_a_reset_settle(hung: tuple[str, str], reset: str) -> None:
    """Break it: take `FAIL_IDENTIFY` out of `SESSION_IS_OVER`."""

    async def main() -> None:
        rig = Rig()
        chat, tokens = rig.chat, tokens_of("ann", rig.log)
        where, operation = hung
        doubles: dict[str, RecordingStorage | RecordingTransport | ScriptedTokens] = {
            "storage": rig.storage,
            "tokens": tokens,
            "transport": rig.transport,
        }
        if where:
            doubles[where].hold(operation)
        as_user = where == "tokens"
        calls: list[Call[Any]] = [
            chat.load(),
            chat.boot(user={"id": "ann"}, token_provider=tokens) if as_user else chat.boot(),
            chat.boot(user={"id": "ann"}) if as_user else chat.boot(),
            chat.identify(user={"id": "ann"}, token_provider=tokens),
            chat.update(context={"page": "/"}),
            chat.send_message("hello"),
        ]
        await asyncio.sleep(1)
        pending = [call for call in calls if not call.done]
        began = now()
        end = (
            chat.destroy()
            if reset == "destroy"
            else chat.shutdown(clear_storage=reset == "shutdown and clear")
        )
        assert all(call.done for call in calls), "what waited ends with the reset, not after it"
        for call in pending:
            with pytest.raises(SessionDestroyedError if reset == "destroy" else SessionEndedError):
                await call
        for call in calls:
            if call not in pending:
                await settled(call)
        await settled(end)
        assert now() - began <= 15.0
        await chat.destroy()

    run(main())


async def settled(call: Call[Any]) -> None:
    with contextlib.suppress(SupportChatError):
        await call


# --- 1,503 reconnects in 2 s against a server that accepts and closes (websockets 17.4, `async for`


class AcceptsAndCloses:
    """The loopback to a backend that closes each connection as soon as it has accepted it."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.inner = backend, LoopbackTransport(backend)

    async def open(self, credentials: Credentials) -> Link:
        link = await self.inner.open(credentials)
        asyncio.get_running_loop().call_soon(self.backend.faults.drop_links)
        return link

    async def revoke(self, session: str) -> None:
        await self.inner.revoke(session)

    async def aclose(self) -> None:
        await self.inner.aclose()


def test_a_server_that_accepts_and_closes_is_dialled_with_growing_distance() -> None:
    """Break it: let `reducers.cut` reset `failures` whenever a link was up, however shortly."""

    async def story(wire: Wire) -> None:
        await wire.chat.boot()
        await asyncio.sleep(2)
        assert len(wire.dials()) <= 5
        await asyncio.sleep(118)
        assert len(wire.dials()) <= 16
        assert wire.dials()[-1] - wire.dials()[-2] >= 10.0

    on_the_wire(story, AcceptsAndCloses)


def test_hints_and_boots_do_not_hurry_dials_beyond_their_distance() -> None:
    """Break it: let `dial_in` forget `dialled_at`."""

    async def story(wire: Wire) -> None:
        await wire.chat.boot()
        for _ in range(400):
            wire.chat.set_online(False)
            wire.chat.set_online(True)
            await wire.chat.boot()
            await asyncio.sleep(0.005)
        distances = [
            later - earlier for earlier, later in zip(wire.dials(), wire.dials()[1:], strict=False)
        ]
        assert min(distances) >= 0.1 - 1e-6
        assert len(wire.dials()) <= 1 + 2 / 0.1

    on_the_wire(story, AcceptsAndCloses)
