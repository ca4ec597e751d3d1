"""The public API as a type checker sees it. Nothing here runs: `test_typing.py` has mypy read it,
and so does the lint.

`assert_type` lines say what a caller gets. Lines with `type: ignore[code]` are mistakes that a type
checker must find: if one is found no longer, strict mypy reports that the comment is unused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, assert_type

from support_chat import (
    CHART,
    UNSET,
    AnyEvent,
    AuthChanged,
    Call,
    Chart,
    Company,
    Compiled,
    Conversation,
    EventStream,
    Gap,
    IdentifyResult,
    Identity,
    Input,
    Message,
    MessageReceived,
    NetworkError,
    OpenConversation,
    Phase,
    PhaseChanged,
    SessionPool,
    Settings,
    SignedIn,
    State,
    Storage,
    Subscription,
    SupportChat,
    TokenReason,
    Transition,
    Transport,
    Trigger,
    User,
    Visitor,
)
from support_chat.lifecycle.events import Event
from support_chat.ports import Credentials, Link, Outgoing


async def what_a_caller_gets(chat: SupportChat) -> None:
    assert_type(chat.load(), Call[None])
    assert_type(chat.boot(), Call[Identity])
    assert_type(await chat.load(), None)
    assert_type(await chat.boot(), Visitor | SignedIn)
    assert_type(
        await chat.boot(user=User("user_1"), company=Company("acme"), timeout=5), Visitor | SignedIn
    )
    assert_type(await chat.identify(user={"id": "user_1", "email": None}), IdentifyResult)
    assert_type(
        await chat.update(user={"traits": {"role": "admin"}}, context={"page": "billing"}), float
    )
    assert_type(await chat.shutdown(clear_storage=True), None)
    assert_type(await chat.destroy(), None)
    assert_type(await chat.send_message("hello"), Message)
    assert_type(await chat.conversations(), Sequence[Conversation])
    assert_type(chat.state, Phase)
    assert_type(chat.identity, Visitor | SignedIn | None)
    assert_type(chat.is_in(Phase.ANONYMOUS, Phase.AUTHENTICATED), bool)
    assert_type(await chat.wait_for(Phase.SHUTDOWN), Phase)
    chat.set_online(False)


async def what_a_conversation_tells(chat: SupportChat) -> None:
    conversation = chat.conversation()
    assert_type(conversation, OpenConversation)
    assert_type(conversation.id, str | None)
    assert_type(await conversation.send("hello"), Message)
    assert_type(await conversation.messages(limit=20), Sequence[Message])
    assert_type(await conversation.mark_read(), None)
    async for item in conversation.timeline():
        assert_type(item, Message | Gap)
    async for item in conversation.timeline(mark_read=True, until=AuthChanged):
        assert_type(item, Message | Gap)
    assert_type(await chat.newest_conversation(), OpenConversation)
    assert_type(chat.outbox, Sequence[Outgoing])
    conversation.timeline(until=Message)  # type: ignore[arg-type]
    chat.conversation(1)  # type: ignore[arg-type]


async def what_a_pool_gives(transport: Transport, storage: Storage) -> None:
    async with SessionPool(
        workspace_id="acme", widget_id="web", transport=transport, storage=lambda scope: storage
    ) as pool:
        assert_type(pool, SessionPool)
        async with pool.ended_by(15) as same:
            assert_type(same, SessionPool)
        async with pool.session("browser 1") as chat:
            assert_type(chat, SupportChat)
            assert_type(chat.busy, bool)
        pool.session(1)  # type: ignore[arg-type]
        SessionPool(
            workspace_id="a",
            widget_id="b",
            transport=transport,
            storage=storage,
            token_provider=for_anybody,
        )
        SessionPool(workspace_id="a", widget_id="b", transport=transport, storage="file")  # type: ignore[arg-type]


async def a_call_is_a_coroutine(chat: SupportChat) -> None:
    coroutine: Coroutine[Any, Any, Identity] = chat.boot()
    assert_type(await asyncio.create_task(chat.boot()), Visitor | SignedIn)
    async with asyncio.TaskGroup() as group:
        group.create_task(chat.update(context={"page": "home"}))
    results = await asyncio.gather(chat.boot(), chat.load())
    assert_type(results[0], Visitor | SignedIn)
    await coroutine


async def who_is_live(chat: SupportChat) -> str:
    match await chat.boot():
        case Visitor(id=visitor):
            return visitor
        case SignedIn(user_id=user):
            return user


async def events(chat: SupportChat) -> None:
    def changed(event: PhaseChanged) -> None:
        assert_type(event.previous, Phase)

    async def received(event: MessageReceived) -> None:
        assert_type(event.message, Message)

    assert_type(chat.on(PhaseChanged, changed), Subscription)
    with chat.on(MessageReceived, received):
        pass
    chat.on(PhaseChanged, lambda event: print(event.reason))
    chat.on(object, print)
    chat.on(object, _takes_an_event)
    chat.on(object, _takes_each_event)
    chat.on(PhaseChanged, _takes_an_event)
    chat.on(PhaseChanged | MessageReceived, _takes_an_event)
    async with chat.events(MessageReceived) as stream:
        assert_type(stream, EventStream[MessageReceived])
        async for event in stream:
            assert_type(event, MessageReceived)


async def the_session(transport: Transport, storage: Storage) -> None:
    async with SupportChat(
        workspace_id="w",
        widget_id="i",
        transport=transport,
        storage=storage,
        settings=Settings(boot_timeout=5),
    ) as chat:
        assert_type(chat, SupportChat)


def the_chart() -> None:
    compiled = Compiled(CHART)
    assert_type(CHART, Chart)
    assert_type(compiled.initial, State)
    assert_type(compiled.step(compiled.initial, Input(Trigger.BOOT)), tuple[State, tuple[str, ...]])
    assert_type(compiled.fire(compiled.initial, Input(Trigger.BOOT)), tuple[State, Transition])
    assert_type(CHART.transitions, tuple[Transition, ...])


class InMemory:
    """A storage of a user's own: a Protocol asks for no base class."""

    async def get(self, key: str) -> str | None:
        return None

    async def create(self, key: str, value: str) -> str:
        return value

    async def delete(self, *keys: str) -> Mapping[str, str]:
        return {}

    async def keys(self) -> Sequence[str]:
        return []

    async def aclose(self) -> None:
        return None


class Forgetful:
    """No storage: half of the methods are missing."""

    async def get(self, key: str) -> str | None:
        return None


class Tunnel:
    """A transport of a user's own."""

    async def open(self, credentials: Credentials) -> Link:
        raise NetworkError("nobody answers")

    async def revoke(self, session: str) -> None:
        return None

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        return None

    async def aclose(self) -> None:
        return None


def fetch() -> str:
    return "token"


async def afetch() -> str:
    return "token"


def cached(reason: TokenReason) -> str:
    return reason


def for_anybody(user_id: str) -> str:
    return user_id


def cached_for_anybody(user_id: str, reason: TokenReason) -> str:
    return user_id + reason


async def what_may_be_passed(chat: SupportChat) -> None:
    SupportChat(
        workspace_id="w",
        widget_id="i",
        transport=Tunnel(),
        storage=InMemory(),
        scope="s",
        token_provider=fetch,
    )
    chat.boot(
        user=User("user_1", email=UNSET, name=None, traits={"deep": [1, {"a": None}]}),
        token_provider=afetch,
    )
    chat.boot(user=User("user_1"), token_provider=cached)
    chat.boot(user=User("user_1"), token_provider=for_anybody)
    chat.boot(user=User("user_1"), token_provider=cached_for_anybody)
    chat.become(None, token_provider=lambda user_id: f"token of {user_id}")
    chat.identify(
        user={"id": "user_1"}, company={"id": "acme", "plan": None}, token_provider=lambda: "token"
    )


async def what_may_not(chat: SupportChat, transport: Transport) -> None:
    chat.boot(user=3)  # type: ignore[arg-type]
    chat.boot(user="user_1")  # type: ignore[arg-type]
    chat.boot(User("user_1"))  # type: ignore[call-arg]
    chat.boot(timeout="5")  # type: ignore[arg-type]
    chat.boot(token_provider="token")  # type: ignore[arg-type]
    chat.boot(token_provider=lambda user, key: "token")  # type: ignore[arg-type]
    chat.boot(token_provider=lambda: b"token")  # type: ignore[arg-type]
    chat.identify()  # type: ignore[call-arg]
    chat.identify(user=None)  # type: ignore[arg-type]
    chat.update({"page": "home"})  # type: ignore[call-arg]
    chat.update(context=["page"])  # type: ignore[arg-type]
    chat.shutdown(clear=True)  # type: ignore[call-arg]
    chat.set_online("yes")  # type: ignore[arg-type]
    chat.is_in("anonymous")  # type: ignore[arg-type]
    await chat.wait_for("anonymous")  # type: ignore[arg-type]
    chat.send_message(3)  # type: ignore[arg-type]
    chat.state = Phase.READY  # type: ignore[misc]
    chat.on(PhaseChanged, print, 3)  # type: ignore[call-overload]
    chat.on(PhaseChanged, _takes_a_message)  # type: ignore[arg-type]
    chat.on(object, _takes_a_message)  # type: ignore[arg-type]
    SupportChat(workspace_id="w", widget_id="i", transport=transport)  # type: ignore[call-arg]
    SupportChat(workspace_id="w", widget_id="i", transport=transport, storage=Forgetful())  # type: ignore[arg-type]
    SupportChat(workspace_id="w", widget_id="i", transport=InMemory(), storage=InMemory())  # type: ignore[arg-type]
    Settings(5.0)  # type: ignore[call-arg]
    Settings(boot_timeout="5")  # type: ignore[arg-type]
    User(3)  # type: ignore[arg-type]
    User("user_1").id = "user_2"  # type: ignore[misc]
    Compiled(CHART).initial.phase = "ready"  # type: ignore[misc]


def _takes_an_event(event: Event) -> None:
    return None


async def _takes_each_event(event: AnyEvent) -> None:
    return None


def _takes_a_message(event: MessageReceived) -> None:
    return None
