"""The desk: what is typed becomes calls on a real session, and what comes of them is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import attrs

from loopback_arrangement import SECRET, WIDGET
from support_chat import Phase, SupportChat
from support_chat.errors import BackendRejectedError, NetworkError
from support_chat.lifecycle.events import MessageFailed, MessageReceived
from support_chat.testing import run
from support_chat.values import SignedIn, User, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.chat.desk import SILENT_FOR, Desk, Person
from support_chat_adapters.chat.lines import Line
from support_chat_adapters.chat.told import Done, Failed, Said, Sending, Told, Warned
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

Kind = TypeVar("Kind")
VISITOR = Person(None, {}, lambda user_id: lambda: sign_identity_token(user_id, SECRET, **WIDGET))


@attrs.define(eq=False)
class Room:
    """A desk before a session with a backend in this process, and everything it told."""

    backend: Backend
    storage: MemoryStorage
    chat: SupportChat
    desk: Desk
    told: list[Told]

    def of(self, kind: type[Kind]) -> list[Kind]:
        """What was told of this kind."""
        return [told for told in self.told if isinstance(told, kind)]

    def another_window(self) -> SupportChat:
        """A second session of the same visitor."""
        return SupportChat(
            **WIDGET, transport=LoopbackTransport(self.backend), storage=self.storage
        )

    def texts(self) -> list[list[str]]:
        """The texts of each conversation, the oldest first."""
        ids = [conversation.id for conversation in reversed(self.backend.agent.conversations())]
        return [[message.text for message in self.backend.agent.messages(each)] for each in ids]


@asynccontextmanager
async def room(person: Person = VISITOR, *, begin: bool = True) -> AsyncGenerator[Room, None]:
    told: list[Told] = []

    def show(one: Told, lines: Sequence[Line]) -> None:
        told.append(one)

    with Backend(**WIDGET, keys=[IdentityKey("HS256", SECRET)]) as backend:
        storage = MemoryStorage()
        async with SupportChat(
            **WIDGET, transport=LoopbackTransport(backend), storage=storage
        ) as chat:
            desk = Desk(chat, person, "http://here", show)
            if begin:
                await desk.begin()
            yield Room(backend, storage, chat, desk, told)


async def until(holds: Callable[[], object]) -> None:
    """Lets the session go on until this is so; in virtual time a moment costs nothing."""
    import asyncio

    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("never so")


def test_messages_go_on_in_the_newest_conversation() -> None:
    async def story() -> None:
        async with room() as r:
            for text in ("one", "two", "three"):
                assert await r.desk.do(text)
            assert r.texts() == [["one", "two", "three"]]
            assert [told.text for told in r.of(Sending)] == ["one", "two", "three"]

    run(story())


def test_two_messages_typed_at_once_stay_in_order_and_in_one_conversation() -> None:
    import asyncio

    async def story() -> None:
        async with room(begin=False) as r:
            typed = [asyncio.create_task(r.desk.do(text)) for text in ("one", "two")]
            await r.desk.begin()
            await asyncio.gather(*typed)
            assert r.texts() == [["one", "two"]]

    run(story())


def test_a_visitor_who_comes_back_goes_on_where_they_were() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("one")
            await r.desk.do("/shutdown")
            await r.desk.do("/boot")
            await r.desk.do("two")
            assert r.texts() == [["one", "two"]]

    run(story())


def test_it_goes_on_in_the_conversation_in_which_something_was_said_last() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("one")
            async with r.another_window() as other:
                await other.boot()
                await other.send_message("I begin anew")
                await until(lambda: r.of(MessageReceived))
                await r.desk.do("and go on")
                r.backend.agent.reply(r.backend.agent.conversations()[-1].id, "About the first")
                await until(lambda: len(r.of(MessageReceived)) == 2)
                await r.desk.do("yes?")
            assert r.texts() == [["one", "About the first", "yes?"], ["I begin anew", "and go on"]]

    run(story())


def test_a_message_that_meets_no_connection_is_kept_and_sent_again_once() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("one")
            r.backend.faults.refuse_dials()
            r.backend.faults.drop_links()
            await r.chat.wait_for(Phase.RECONNECTING)
            await r.desk.do("two")
            (failed,) = r.of(MessageFailed)
            assert r.desk.status.unsent == {failed.client_message_id}
            r.backend.faults.heal()
            await r.chat.wait_for(Phase.ANONYMOUS)
            await r.desk.do("/retry")
            assert r.of(Done)[-1].data == {"sent": 1, "of": 1}
            assert r.texts() == [["one", "two"]]
            assert r.desk.status.unsent == frozenset()
            assert r.of(Sending)[-1].client_message_id == failed.client_message_id
            await r.desk.do("/retry")
            assert r.of(Done)[-1].says == ("there is nothing to send again",)

    run(story())


def test_a_message_whose_answer_was_lost_is_not_stored_twice_by_a_retry() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("one")
            r.backend.faults.swallow("send")
            await r.desk.do("two")
            (failed,) = r.of(MessageFailed)
            assert failed.outcome_unknown
            await r.chat.wait_for(Phase.ANONYMOUS)
            await r.desk.do("/retry")
            assert r.texts() == [["one", "two"]]
            assert r.backend.agent.duplicates() == 0

    run(story())


def test_a_visitor_becomes_a_user_and_their_conversation_comes_along() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("one")
            await r.desk.do("/identify ada")
            assert r.of(Done)[-1] == Done(
                "identify",
                ("1 conversation came along",),
                {"merged": True, "conversations_moved": 1, "not_merged_because": None},
            )
            assert r.desk.status.identity == SignedIn("ada")
            await r.desk.do("two")
            assert r.texts() == [["one", "two"]]
            await r.desk.do("/identify ada")
            assert r.of(Done)[-1].says == ("nothing came along: already signed in",)

    run(story())


def test_another_user_does_not_go_on_in_the_conversation_of_the_one_before() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("one")
            await r.desk.do("/shutdown")
            await r.desk.do("/boot ada")
            await r.desk.do("two")
            assert r.texts() == [["one"], ["two"]]

    run(story())


def test_updates_reach_the_backend() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("/update role=admin context.page=billing")
            assert r.of(Done)[-1].says == ("update noted: on its way",)
            assert r.chat.identity is not None
            await until(lambda: r.backend.agent.traits(r.chat.identity or Visitor("-")))
            assert r.backend.agent.traits(r.chat.identity) == {
                "user.traits.role": "admin",
                "context.page": "billing",
            }

    run(story())


def test_a_person_is_known_by_name_from_the_beginning() -> None:
    async def story() -> None:
        visitor = attrs.evolve(VISITOR, known={"name": "Ada"})
        user = attrs.evolve(VISITOR, user=User("ada", name="Ada"))
        for person in (visitor, user):
            async with room(person) as r:
                assert r.chat.identity is not None
                identity = r.chat.identity
                await until(lambda r=r, identity=identity: r.backend.agent.traits(identity))  # type: ignore[misc]
                assert r.backend.agent.traits(identity) == {"user.name": "Ada"}

    run(story())


def test_the_conversations_are_listed() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("/list")
            assert r.of(Done)[-1].says == ("no conversation yet",)
            await r.desk.do("one")
            await r.desk.do("/list")
            (says,) = r.of(Done)[-1].says
            assert ": 1 message, 0 unread, since " in says
            assert [each["messages"] for each in r.of(Done)[-1].data["conversations"]] == [1]

    run(story())


def test_the_history_is_shown_and_counts_as_read() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("/history")
            assert r.of(Said)[-1].messages == ()
            await r.desk.do("one")
            r.backend.agent.reply(r.backend.agent.conversations()[0].id, "two")
            await until(lambda: r.desk.status.unread == 1)
            await r.desk.do("/history")
            assert [(each.author, each.text) for each in r.of(Said)[-1].messages] == [
                ("visitor", "one"),
                ("agent", "two"),
            ]
            await until(lambda: r.desk.status.unread == 0)

    run(story())


def test_a_clear_forgets_the_visitor() -> None:
    async def story() -> None:
        async with room() as r:
            before = r.chat.identity
            await r.desk.do("/shutdown --clear")
            assert "forgotten" in r.of(Done)[-1].says[0]
            await r.desk.do("/boot")
            assert r.chat.identity not in (before, None)

    run(story())


def test_what_is_refused_is_told_with_its_way_out_and_ends_nothing() -> None:
    async def story() -> None:
        async with room() as r:
            await r.desk.do("/shutdown")
            for line, command in (
                ("/identify ada", "identify"),
                ("/update a=1", "update"),
                ("/list", "list"),
                ("/huh", "line"),
            ):
                assert await r.desk.do(line)
                assert r.of(Failed)[-1].command == command
            await r.desk.do("Hello")
            assert r.of(MessageFailed)
            assert not r.desk.done.is_set()

    run(story())


def test_quit_leaves_and_nothing_else_does() -> None:
    async def story() -> None:
        async with room() as r:
            assert not await r.desk.do("/quit")
            for line in ("", "Hello", "/help", "/list", "/shutdown", "/boot ada", "/quit now"):
                assert await r.desk.do(line), line
            assert not r.desk.done.is_set()

    run(story())


def test_a_first_boot_that_fails_ends_the_client_and_a_later_one_does_not() -> None:
    async def story() -> None:
        async with room(begin=False) as r:
            r.backend.faults.refuse_dials()
            await r.desk.begin()
            assert r.desk.done.is_set()
            assert r.desk.failure is not None
        async with room() as r:
            await r.desk.do("/shutdown")
            r.backend.faults.refuse_dials()
            await r.desk.do("/boot")
            assert r.of(Failed)[-1].command == "boot"
            assert not r.desk.done.is_set()

    run(story())


def test_a_session_that_the_backend_ends_ends_the_client() -> None:
    async def story() -> None:
        async with room() as r:
            r.backend.faults.fail("dial", BackendRejectedError("Revoked."))
            r.backend.faults.drop_links()
            await r.desk.done.wait()
            assert "rejected" in (r.desk.failure or "")
            assert r.chat.is_in(Phase.SHUTDOWN)

    run(story())


def test_no_error_of_a_call_is_lost() -> None:
    async def story() -> None:
        async with room() as r:
            r.backend.faults.fail("conversations", NetworkError("Not now."))
            await r.desk.do("Hello")
            (failed,) = r.of(MessageFailed)
            assert str(failed.error) == "Not now."
            assert not failed.outcome_unknown

    run(story())


def test_a_backend_that_does_not_answer_is_spoken_of_before_the_boot_gives_up() -> None:
    async def scenario() -> None:
        async with room(begin=False) as r:
            r.backend.faults.refuse_dials()
            beginning = asyncio.create_task(r.desk.begin())
            await asyncio.sleep(SILENT_FOR + 0.1)
            assert [warned.text.partition(" yet")[0] for warned in r.of(Warned)] == [
                f"no answer from {r.desk.status.url}"
            ]
            await beginning
            assert r.desk.done.is_set()
            assert len(r.of(Warned)) == 1

    run(scenario())


def test_a_backend_that_answers_is_not() -> None:
    async def scenario() -> None:
        async with room() as r:
            await asyncio.sleep(SILENT_FOR + 0.1)
            assert r.of(Warned) == []

    run(scenario())
