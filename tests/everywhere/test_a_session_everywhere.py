"""One suite of session tests, unchanged over every storage and every way to a backend that ships.

Each scenario is a story of a session and its backend, told in what a frontend sees and in what the
backend has stored. It names no adapter: what differs between two worlds is a fault of one of them.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from support_chat import (
    About,
    AuthChanged,
    BackendRejectedError,
    ConnectionChanged,
    IdentityConflictError,
    MessageReceived,
    Phase,
    ReadAnswer,
    SessionEndedError,
    SignedIn,
    SupportChat,
    TokenRefusedError,
    UnreadChanged,
    User,
    Visitor,
)
from support_chat.errors import AuthRefusedError, NetworkError

Scenario = Callable[[Any], Coroutine[Any, Any, None]]
STORAGES = ("memory", "file", "sqlite", "redis", "keyring", "mapping", "shelf")
TRANSPORTS = ("loopback", "websocket", "polls")


async def a_visitor_writes_and_is_answered(world: Any) -> None:
    chat = world.chat()
    visitor = await chat.boot()
    sent = await chat.send_message("Is anybody there?")
    reply = world.backend.agent.reply(sent.conversation_id, "Yes.")
    await world.until(lambda: world.of(MessageReceived))
    assert [event.message.id for event in world.of(MessageReceived)] == [reply.id]
    assert [(m.author, m.text) for m in world.backend.agent.messages(sent.conversation_id)] == [
        ("visitor", "Is anybody there?"),
        ("agent", "Yes."),
    ]
    assert world.backend.agent.conversations(visitor)[0].id == sent.conversation_id


async def a_conversation_is_begun_read_and_counted(world: Any) -> None:
    chat = world.chat()
    await chat.boot()
    begun = await chat.start_conversation(
        "It does not print.",
        subject="Printer",
        tags=["urgent", "hardware"],
        custom_fields={"model": "X1"},
        metadata={"page": 7},
    )
    await chat.send_message("At all.", begun.conversation_id)
    world.backend.agent.reply(begun.conversation_id, "Is it on?")
    await world.until(lambda: [event.unread for event in world.of(UnreadChanged)] == [0, 1])
    [conversation] = await chat.conversations()
    assert (conversation.id, conversation.messages, conversation.unread) == (
        begun.conversation_id,
        3,
        1,
    )
    assert conversation.about == About(
        subject="Printer",
        tags=("urgent", "hardware"),
        custom_fields={"model": "X1"},
        metadata={"page": 7},
    )
    assert [message.text for message in await chat.messages(begun.conversation_id)] == [
        "It does not print.",
        "At all.",
        "Is it on?",
    ]
    assert await chat.mark_read(begun.conversation_id) == ReadAnswer(0)
    await world.until(lambda: [event.unread for event in world.of(UnreadChanged)] == [0, 1, 0])
    assert (await chat.conversations())[0].unread == 0


async def nobody_reads_what_is_not_theirs(world: Any) -> None:
    theirs, mine = world.chat(scope="theirs-" + world.scope), world.chat()
    await theirs.boot()
    sent = await theirs.send_message("Between us.")
    await mine.boot()
    for call, arguments in (("messages", ()), ("mark_read", ()), ("send_message", ("Let me in.",))):
        with pytest.raises(BackendRejectedError) as refused:
            await getattr(mine, call)(*arguments, sent.conversation_id)
        assert refused.value.code == "conversation_not_found"


async def a_visitor_is_known_again_after_a_shutdown(world: Any) -> None:
    chat = world.chat()
    visitor = await chat.boot()
    await chat.shutdown()
    assert await chat.boot() == visitor


async def a_visitor_is_known_again_to_the_next_session_object(world: Any) -> None:
    first = world.chat()
    visitor = await first.boot()
    await first.destroy()
    assert await world.chat().boot() == visitor


async def two_sessions_on_one_storage_are_one_visitor(world: Any) -> None:
    one, other = world.chat(), world.chat()
    assert await one.boot() == await other.boot()


async def two_scopes_are_two_visitors_and_a_clear_touches_one(world: Any) -> None:
    one, other = (
        world.chat(scope="one-of-" + world.scope),
        world.chat(scope="other-of-" + world.scope),
    )
    first, second = await one.boot(), await other.boot()
    assert first != second
    await one.shutdown(clear_storage=True)
    await other.shutdown()
    assert await other.boot() == second
    assert await one.boot() != first


async def a_full_clear_leaves_no_key_of_the_scope(world: Any) -> None:
    chat = world.chat()
    await chat.boot(user=User(world.user), token_provider=world.tokens(world.user))
    await chat.shutdown(clear_storage=True)
    assert [key for key in await world.storage.keys() if world.scope in key] == []


async def a_visitor_becomes_a_user_with_what_they_wrote(world: Any) -> None:
    chat = world.chat()
    visitor = await chat.boot()
    sent = await chat.send_message("I have no account yet.")
    result = await chat.identify(
        user=User(world.user, name="Rachel"),
        company={"id": "org_1", "plan": "pro"},
        token_provider=world.tokens(world.user),
    )
    assert (result.merged, result.conversations_moved) == (True, 1)
    assert chat.identity == SignedIn(world.user)
    assert world.backend.agent.merged_into(visitor) == SignedIn(world.user)
    assert [c.id for c in world.backend.agent.conversations(SignedIn(world.user))] == [
        sent.conversation_id
    ]
    await world.until(
        lambda: world.backend.agent.traits(SignedIn(world.user)).get("company.plan") == "pro"
    )
    assert world.backend.agent.traits(SignedIn(world.user))["user.name"] == "Rachel"


async def a_retired_visitor_is_nobody_any_more(world: Any) -> None:
    chat = world.chat()
    visitor = await chat.boot()
    await chat.identify(user=User(world.user), token_provider=world.tokens(world.user))
    await chat.shutdown()
    assert await chat.boot() not in (visitor, SignedIn(world.user))


async def a_user_boots_and_their_traits_arrive(world: Any) -> None:
    chat = world.chat()
    user = User(world.user, traits={"role": "admin"})
    identity = await chat.boot(user=user, token_provider=world.tokens(world.user))
    assert identity == SignedIn(world.user)
    await chat.update(
        user={"id": world.user, "email": "r@example.com"}, context={"page": "billing"}
    )
    wanted = {"user.traits.role": "admin", "user.email": "r@example.com", "context.page": "billing"}
    await world.until(lambda: world.backend.agent.traits(SignedIn(world.user)) == wanted)


async def a_user_whose_token_is_refused_is_not_let_in_and_may_try_again(world: Any) -> None:
    async def forged() -> str:
        good = str(await world.tokens(world.user)())
        return good[:-6] + ("AAAAAA" if good[-6:] != "AAAAAA" else "BBBBBB")

    chat = world.chat()
    with pytest.raises(AuthRefusedError) as refused:
        await chat.boot(user=User(world.user), token_provider=forged)
    assert refused.value.code == "invalid_token"
    assert chat.state is Phase.READY
    identity = await chat.boot(user=User(world.user), token_provider=world.tokens(world.user))
    assert identity == SignedIn(world.user)


async def a_provider_that_refuses_leaves_the_visitor_as_they_were(world: Any) -> None:
    async def refuse() -> str:
        raise TokenRefusedError("Not this user.")

    chat = world.chat()
    visitor = await chat.boot()
    await chat.send_message("Still me.")
    with pytest.raises(TokenRefusedError):
        await chat.identify(user=User(world.user), token_provider=refuse)
    assert chat.is_in(Phase.ANONYMOUS)
    assert chat.identity == visitor
    assert len(await chat.conversations()) == 1


async def two_users_are_never_one_session(world: Any) -> None:
    chat = world.chat()
    await chat.boot(user=User(world.user), token_provider=world.tokens(world.user))
    with pytest.raises(IdentityConflictError):
        await chat.boot(user=User("somebody-else"))
    with pytest.raises(IdentityConflictError):
        await chat.identify(user=User("somebody-else"))
    assert chat.identity == SignedIn(world.user)


async def calls_that_nobody_awaits_end_live_with_one_identity(world: Any) -> None:
    chat = world.chat()
    first, _, last = chat.boot(), chat.shutdown(), chat.boot()
    assert isinstance(await last, Visitor)
    with pytest.raises(SessionEndedError):
        await first
    assert chat.is_in(Phase.ANONYMOUS)


async def a_backend_that_goes_and_comes_is_come_back_to_with_what_was_missed(world: Any) -> None:
    chat = world.chat()
    await chat.boot()
    sent = await chat.send_message("Do not go away.")
    await world.take_down()
    await world.until(lambda: chat.is_in(Phase.RECONNECTING, Phase.DISCONNECTED))
    missed = [
        world.backend.agent.reply(sent.conversation_id, text).id
        for text in ("Back", "in a", "minute.")
    ]
    assert (await chat.update(context={"page": "waiting"})) > 0
    await world.bring_back()
    await world.until(lambda: chat.is_in(Phase.ANONYMOUS) and len(world.of(MessageReceived)) >= 3)
    assert [event.message.id for event in world.of(MessageReceived)] == missed, (
        "each once, in order"
    )
    assert not any(event.gap for event in world.of(ConnectionChanged))
    await world.until(
        lambda: world.backend.agent.traits(chat.identity).get("context.page") == "waiting"
    )


async def a_message_is_stored_once_however_often_it_is_sent(world: Any) -> None:
    chat = world.chat()
    await chat.boot()
    client_id = uuid.uuid4().hex
    first = await chat.send_message("Once.", client_message_id=client_id)
    assert (await chat.send_message("Once.", client_message_id=client_id)).id == first.id
    await world.take_down()
    await world.until(lambda: not chat.is_in(Phase.ANONYMOUS))
    await world.bring_back()
    await world.until(lambda: chat.is_in(Phase.ANONYMOUS))
    assert (await chat.send_message("Once.", first.conversation_id, client_id)).id == first.id
    assert len(world.backend.agent.messages(first.conversation_id)) == 1
    assert world.backend.agent.duplicates() == 0


async def a_token_is_renewed_before_it_expires(world: Any) -> None:
    calls: list[float] = []
    fetch = world.tokens(world.user, lifetime=1.2)

    async def counted() -> str:
        calls.append(asyncio.get_running_loop().time())
        return str(await fetch())

    chat: SupportChat = world.chat()
    await chat.boot(user=User(world.user), token_provider=counted)
    await world.until(lambda: len(calls) >= 4)
    # the backend accepts the session, well after the first token's life; on a machine so slow that
    # a token is renewed after its end it does once the next one is there
    async with asyncio.timeout(120):
        while True:
            with suppress(AuthRefusedError, NetworkError):
                assert len(await chat.conversations()) == 0
                break
            await asyncio.sleep(0.05)
    assert len(world.of(AuthChanged)) == 1


async def a_widget_that_is_not_served_is_told_so(world: Any) -> None:
    chat = SupportChat(
        workspace_id="another", widget_id="widget", transport=world.transport, storage=world.storage
    )
    try:
        with pytest.raises(BackendRejectedError):
            await chat.boot()
        assert chat.state is Phase.READY
    finally:
        await chat.destroy()


async def a_shutdown_ends_the_session_at_the_backend(world: Any) -> None:
    chat = world.chat()
    await chat.boot()
    opened = world.of(AuthChanged)
    await chat.shutdown()
    assert chat.identity is None
    assert [event.identity for event in world.of(AuthChanged)] == [opened[0].identity, None]
    await chat.boot()
    await chat.send_message("A session of its own.")


async def a_session_is_destroyed_whatever_is_under_way(world: Any) -> None:
    chat = world.chat()
    await chat.boot()
    await world.take_down()
    pending = [
        chat.send_message("lost?"),
        chat.identify(user=User(world.user), token_provider=world.tokens(world.user)),
    ]
    await chat.destroy()
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert all(isinstance(outcome, Exception) for outcome in outcomes)
    assert chat.state is Phase.DESTROYED


SCENARIOS: tuple[Scenario, ...] = tuple(
    value
    for name, value in list(globals().items())
    # Python 3.12.1 takes the module `inspect` itself for a coroutine function
    if inspect.isfunction(value) and inspect.iscoroutinefunction(value) and not name.startswith("_")
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("storage", STORAGES)
def test_everywhere(
    storage: str, transport: str, scenario: Scenario, play: Callable[[str, str, Scenario], None]
) -> None:
    play(storage, transport, scenario)
