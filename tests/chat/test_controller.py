"""The controller: what is typed becomes calls on a session, and what comes of them is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar, cast

import attrs

from chat_client import VISITOR, runs_in
from loopback_arrangement import SECRET, WIDGET
from support_chat import (
    AttemptFailed,
    BackendRejectedError,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    NetworkError,
    NotBootedError,
    Phase,
    SignedIn,
    SupportChat,
    Transport,
    User,
    Visitor,
)
from support_chat.testing import run
from support_chat_adapters.backend import Backend, IdentityKey
from support_chat_adapters.chat.controller import LEAVING, SILENT_FOR, Controller, Person
from support_chat_adapters.chat.events import Done, Event, Failed, Sending, Warned
from support_chat_adapters.chat.run import Observed
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

Kind = TypeVar("Kind")
KNOWN = attrs.evolve(VISITOR, known={"name": "Ada"})


@attrs.define(eq=False)
class Room:
    """A controller before a session with a backend in this process, and everything it showed."""

    backend: Backend
    storage: MemoryStorage
    chat: SupportChat
    controller: Controller
    shown: list[Event]

    async def types(self, *lines: str) -> None:
        """Types line after line; none of them asks to leave."""
        for line in lines:
            assert await self.controller.do(line), line

    def of(self, kind: type[Kind]) -> list[Kind]:
        """What was shown of this kind."""
        return [event for event in self.shown if isinstance(event, kind)]

    @property
    def done(self) -> Done:
        """What the last command has done."""
        return self.of(Done)[-1]

    @property
    def traits(self) -> object:
        """What the backend knows of whoever is here."""
        return self.backend.agent.traits(self.chat.identity or Visitor("nobody"))

    def texts(self) -> list[list[str]]:
        """The texts of each conversation, the oldest first."""
        ids = [conversation.id for conversation in reversed(self.backend.agent.conversations())]
        return [[message.text for message in self.backend.agent.messages(each)] for each in ids]

    async def loses_its_link(self) -> None:
        """No dial gets through until the backend's faults are healed."""
        self.backend.faults.refuse_dials()
        self.backend.faults.drop_links()
        await self.chat.wait_for(Phase.RECONNECTING)


@asynccontextmanager
async def room(person: Person = VISITOR, *, begin: bool = True) -> AsyncGenerator[Room, None]:
    shown: list[Event] = []
    storage, answered = MemoryStorage(), asyncio.Event()
    answered.set()
    with Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)]) as backend:
        transport = cast("Transport", Observed(LoopbackTransport(backend), answered))
        async with SupportChat(**WIDGET, transport=transport, storage=storage) as chat:
            controller = Controller(
                chat,
                person,
                "http://here",
                lambda event, lines: shown.append(event),
                answered,
            )
            if begin:
                await controller.begin()
            yield Room(backend, storage, chat, controller, shown)


async def until(holds: Callable[[], object]) -> None:
    """Lets the session go on until this is so; in virtual time a moment costs nothing."""
    async with asyncio.timeout(100):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


story = runs_in(room, run)
before_the_first_boot = runs_in(partial(room, begin=False), run)


@story
async def test_messages_go_on_in_the_newest_conversation(r: Room) -> None:
    await r.types("one", "two", "three")
    assert r.texts() == [["one", "two", "three"]]
    assert [sent.text for sent in r.of(Sending)] == ["one", "two", "three"]


@before_the_first_boot
async def test_two_messages_typed_at_once_stay_in_order_and_in_one_conversation(r: Room) -> None:
    await asyncio.gather(r.types("one"), r.types("two"), r.controller.begin())
    assert r.texts() == [["one", "two"]]


@story
async def test_a_visitor_who_comes_back_goes_on_where_they_were(r: Room) -> None:
    await r.types("one", "/shutdown", "/boot", "two")
    assert r.texts() == [["one", "two"]]


@story
async def test_it_goes_on_in_the_conversation_in_which_something_was_said_last(r: Room) -> None:
    await r.types("one")
    transport = LoopbackTransport(r.backend)
    async with SupportChat(**WIDGET, transport=transport, storage=r.storage) as other_window:
        await other_window.boot()
        await other_window.send_message("I begin anew")
        await until(lambda: r.of(MessageReceived))
        await r.types("and go on")
        r.backend.agent.reply(r.backend.agent.conversations()[-1].id, "About the first")
        await until(lambda: len(r.of(MessageReceived)) == 2)
        await r.types("yes?")
    assert r.texts() == [["one", "About the first", "yes?"], ["I begin anew", "and go on"]]


@story
async def test_what_is_typed_without_a_connection_is_sent_once_and_in_order_when_it_is_back(
    r: Room,
) -> None:
    await r.types("one")
    await r.loses_its_link()
    typing = asyncio.gather(r.types("two"), r.types("three"))
    await until(lambda: len(r.of(MessageQueued)) == 2)
    assert r.controller.status.sending == 2
    r.backend.faults.heal()
    await typing
    assert r.texts() == [["one", "two", "three"]]
    assert r.of(MessageFailed) == []
    assert not r.controller.status.sending


@story
async def test_what_is_refused_for_good_is_told_once_and_the_next_goes_on(r: Room) -> None:
    await r.types("one")
    r.backend.faults.reject("send", "message_invalid")
    await r.types("two", "three")
    assert r.texts() == [["one", "three"]]
    assert [each.text for each in r.of(MessageFailed)] == ["two"]
    assert r.of(Failed) == []


@story
async def test_what_is_typed_without_a_session_is_told_and_not_sent(r: Room) -> None:
    await r.types("/shutdown", "one", "/boot", "two")
    assert [(each.command, type(each.error)) for each in r.of(Failed)] == [("send", NotBootedError)]
    assert r.texts() == [["two"]]


@story
async def test_a_message_whose_answer_was_lost_is_not_stored_twice(r: Room) -> None:
    await r.types("one")
    r.backend.faults.swallow("send")
    await r.types("two")
    assert r.texts() == [["one", "two"]]
    assert r.of(MessageFailed) == []
    assert r.backend.agent.duplicates() == 0


@story
async def test_a_visitor_becomes_a_user_and_their_conversation_comes_along(r: Room) -> None:
    await r.types("one", "/identify ada")
    data = {"merged": True, "conversations_moved": 1, "not_merged_because": None}
    assert r.done == Done("identify", ("1 conversation came along",), data)
    assert r.controller.status.identity == SignedIn("ada")
    await r.types("two", "/identify ada")
    assert r.texts() == [["one", "two"]]
    assert r.done.shows == ("nothing came along: already signed in",)


@story
async def test_boot_begins_again_as_whoever_was_here_before(r: Room) -> None:
    visitor = r.chat.identity
    await r.types("/identify ada", "/shutdown", "/boot")
    assert r.chat.identity == SignedIn("ada")
    await r.loses_its_link()
    await r.chat.wait_for(Phase.DISCONNECTED)
    await r.types("/boot")  # tries at once
    assert r.chat.is_in(Phase.RECONNECTING)
    r.backend.faults.heal()
    await r.chat.wait_for(Phase.AUTHENTICATED)
    await r.types("/shutdown --clear", "/boot")
    assert r.chat.identity not in (visitor, SignedIn("ada"), None)
    assert r.of(Failed) == []


@story
async def test_another_user_does_not_go_on_in_the_conversation_of_the_one_before(r: Room) -> None:
    await r.types("one", "/shutdown", "/boot ada", "two")
    assert r.texts() == [["one"], ["two"]]


@story
async def test_updates_reach_the_backend(r: Room) -> None:
    await r.types("/update role=admin context.page=billing")
    assert r.done.shows == ("update noted: on its way",)
    await until(lambda: r.traits)
    assert r.traits == {"user.traits.role": "admin", "context.page": "billing"}


async def a_name_is_known_from_the_beginning(r: Room) -> None:
    await r.controller.leave()
    assert r.traits == {"user.name": "Ada"}


test_a_visitor_is_known_by_name = runs_in(partial(room, KNOWN), run)(
    a_name_is_known_from_the_beginning
)
test_a_user_is_known_by_name = runs_in(
    partial(room, attrs.evolve(VISITOR, user=User("ada", name="Ada"))), run
)(a_name_is_known_from_the_beginning)


@story
async def test_leaving_waits_a_moment_for_an_update_that_is_on_its_way(r: Room) -> None:
    r.backend.faults.delay(1.0, answer=1.0, operation="update")
    await r.types("/update role=admin")
    await r.controller.leave()
    assert r.traits == {"user.traits.role": "admin"}


@story
async def test_leaving_waits_for_nothing_that_cannot_arrive_soon(r: Room) -> None:
    began = asyncio.get_running_loop().time()
    await r.controller.leave()
    await r.loses_its_link()
    await r.types("/update role=admin")
    assert r.done.shows == ("update noted: leaves when the link is back",)
    await r.controller.leave()
    assert asyncio.get_running_loop().time() - began < LEAVING


@story
async def test_the_conversations_are_listed(r: Room) -> None:
    await r.types("/list")
    assert r.done.shows == ("no conversation yet",)
    await r.types("one", "/list")
    assert ": 1 message, 0 unread, since " in str(r.done.shows)
    assert [each["messages"] for each in r.done.data["conversations"]] == [1]


@story
async def test_the_history_is_shown_and_counts_as_read(r: Room) -> None:
    await r.types("/history")
    assert r.done.shows == ("nothing was said yet",)
    await r.types("one")
    r.backend.agent.reply(r.backend.agent.conversations()[0].id, "two")
    await until(lambda: r.controller.status.unread == 1)
    await r.types("/history")
    said = [(each["author"], each["text"]) for each in r.done.data["messages"]]
    assert said == [("visitor", "one"), ("agent", "two")]
    assert len(r.done.shows) == 3
    await until(lambda: r.controller.status.unread == 0)


@story
async def test_what_is_refused_is_shown_and_ends_nothing(r: Room) -> None:
    wrong = {
        "/identify ada": "identify",
        "/update a=1": "update",
        "/list": "list",
        "/huh": "line",
        "/boot ada bob": "boot",
        "Hello": "send",
    }
    await r.types("/shutdown", *wrong)
    assert [failed.command for failed in r.of(Failed)] == [*wrong.values()]
    assert not r.controller.over.done()


@story
async def test_quit_leaves_and_nothing_else_does(r: Room) -> None:
    await r.types("", "Hello", "/help", "/list", "/shutdown", "/boot ada", "/quit now")
    assert not await r.controller.do("/quit")


@before_the_first_boot
async def test_a_first_boot_that_fails_ends_the_client_and_says_why(r: Room) -> None:
    r.backend.faults.refuse_dials()
    await r.controller.begin()
    (why,) = {str(each.error) for each in r.of(AttemptFailed)}
    assert r.controller.over.result() == f"given up: {why}"
    assert r.of(Warned) == [], "as the attempts have told it"


@before_the_first_boot
async def test_a_first_boot_that_hears_nothing_says_where_it_looks(r: Room) -> None:
    r.backend.faults.black_hole()
    beginning = asyncio.create_task(r.controller.begin())
    await asyncio.sleep(SILENT_FOR + 0.1)
    warned = ["no answer from http://here yet"]
    assert [each.message.partition(",")[0] for each in r.of(Warned)] == warned
    await beginning
    assert len(r.of(Warned)) == 1


@story
async def test_a_later_boot_that_fails_ends_nothing(r: Room) -> None:
    await asyncio.sleep(SILENT_FOR + 0.1)
    r.backend.faults.refuse_dials()
    await r.types("/shutdown", "/boot")
    assert [failed.command for failed in r.of(Failed)] == ["boot"]
    assert not r.controller.over.done()
    assert r.of(Warned) == []


@story
async def test_a_session_that_the_backend_ends_ends_the_client(r: Room) -> None:
    r.backend.faults.fail("dial", BackendRejectedError("Revoked."))
    r.backend.faults.drop_links()
    assert "rejected" in await r.controller.over
    assert r.chat.is_in(Phase.SHUTDOWN)


@story
async def test_no_error_of_a_call_is_lost(r: Room) -> None:
    r.backend.faults.fail("conversations", NetworkError("Not now."))
    await r.types("Hello")
    assert [(each.command, str(each.error)) for each in r.of(Failed)] == [("send", "Not now.")]
