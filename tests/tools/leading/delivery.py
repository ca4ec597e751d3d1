"""A stage for `support_chat.verify.delivery`: two tabs of one visitor with a conversation at one
backend, of which a rule may be taken away, and what became of messages, judged from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from leading.gates import Crossing
from leading.tab import IDS, Loss, Tab
from support_chat import Chart
from support_chat.lifecycle.context import Context
from support_chat.lifecycle.events import MessageReceived, MessageSent
from support_chat.lifecycle.names import Trigger as T
from support_chat.lifecycle.requests import Keys
from support_chat.ports import (
    Credentials,
    LinkEvent,
    MessageArrived,
    Outgoing,
    ReadAnswer,
    ReadUpTo,
    Welcome,
)
from support_chat.runtime.calls import Call
from support_chat.values import Identity, Message
from support_chat.verify import Occurrence, Places
from support_chat.verify.delivery import AGENT, LATE, MARKED, MARKS_FROM, NONE, STORED, Rules
from support_chat.verify.knows import RECEIVED, SENT
from support_chat.verify.replay import Impossible
from support_chat_adapters.backend import Backend, Connection
from support_chat_adapters.backend.conversations import number_of
from support_chat_adapters.backend.sessions import owner_key
from support_chat_adapters.backend.store import Transaction, as_it_is
from support_chat_adapters.backend.stream import number_in
from support_chat_adapters.storage import MemoryStorage

EPOCH: Final = 1_800_000_000.0
KEY: Final = Keys(**IDS, scope="default").visitor
SECRET: Final = "the-secret-of-the-visitor"
_KINDS: Final = {MessageSent: SENT, MessageReceived: RECEIVED}
_AGAIN: Final = "#"
"""Parts the id of a message from what makes it another one."""


class Served:
    """The backend as one tab has it, under the rules of the stage."""

    def __init__(self, stage: DeliveryStage) -> None:
        self._stage, self._backend, self._rules = stage, stage.backend, stage.rules
        self._copies = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def connect(self, credentials: Credentials) -> Connection:
        cursor = credentials.cursor if self._rules.replays else None
        return self._backend.connect(attrs.evolve(credentials, cursor=cursor))

    def welcome(self, connection: Connection) -> Welcome:
        welcome = connection.welcome
        return welcome if self._rules.agents_alone else self._counted(welcome)

    def telling(self, event: LinkEvent) -> LinkEvent | None:
        if isinstance(event, ReadUpTo) and not self._rules.marks_told:
            return None
        if isinstance(event, MessageArrived | ReadUpTo) and not self._rules.agents_alone:
            event = self._counted(event)
        return event

    def _counted(self, told: Any) -> Any:
        """With the messages of everybody counted that are not read."""
        later = self._stage.record()[self._stage.read :]
        return attrs.evolve(told, unread=len(later))

    def send(self, session: str, message: Outgoing) -> Message:
        name = message.client_message_id
        if not self._rules.once:
            self._copies += 1
            message = attrs.evolve(message, client_message_id=f"{name}{_AGAIN}{self._copies}")
        return attrs.evolve(self._backend.send(session, message), client_message_id=name)

    def mark_read(
        self, session: str, conversation_id: str, up_to: str, owner: Identity | None
    ) -> ReadAnswer:
        before = self._stage.unread()
        if not self._rules.onwards:
            self._stage.forget_what_is_read()
        answer = self._backend.mark_read(session, conversation_id, up_to, owner)
        self._stage.marks(answer, before)
        at = self._stage.position(up_to)
        self._stage.read = max(self._stage.read, at) if self._rules.onwards else at
        return answer


@attrs.define(eq=False)
class DeliveryStage:
    """Two tabs, at a backend that keeps these rules. `visitor` is whose tabs they are, and
    `begins` the message that their conversation began with, before those of a story.
    """

    backend: Backend
    rules: Rules
    visitor: Identity
    begins: Message
    tabs: Sequence[Tab] = ()
    read: int = 0
    """Up to which message the visitor has read."""
    _wrong: dict[str, str] = attrs.field(factory=dict[str, str])
    _calls: dict[tuple[int, int], int] = attrs.field(factory=dict["tuple[int, int]", int])
    """The number of each tab's calls in the story, by that which it has really."""

    @classmethod
    async def begin(cls, chart: Chart, rules: Rules) -> DeliveryStage:
        """Two tabs with this chart that nothing was asked of yet."""
        loop, storage = asyncio.get_running_loop(), MemoryStorage()
        backend = Backend(**IDS, clock=lambda: EPOCH + loop.time())
        opened = backend.open(Credentials(**IDS, visitor=await storage.create(KEY, SECRET)))
        first = backend.send(opened.welcome.session, Outgoing("first", "hello"))
        stage = cls(backend, rules, opened.session.identity, first)
        stage.tabs = [
            Tab.begin(number, chart, Served(stage), storage, _nothing) for number in range(2)
        ]
        return stage

    # --- what is real -----------------------------------------------------------------------------

    def record(self) -> Sequence[Message]:
        """The messages of the story, in the backend's order."""
        return self.backend.agent.messages(self.begins.conversation_id)[1:]

    def unread(self) -> int:
        """How many the backend counts."""
        (conversation,) = self.backend.agent.conversations(self.visitor)
        assert conversation.unread is not None, "the backend counts"
        return conversation.unread

    def position(self, message_id: str) -> int:
        """Where the message stands in the story."""
        return _number(message_id) - _number(self.begins.id)

    def marks(self, answer: ReadAnswer, before: int) -> None:
        """The backend has taken a mark."""
        if answer.unread is None or answer.unread > before:
            self._wrong["D7"] = f"a mark has made {answer.unread} unread messages of {before}"

    def forget_what_is_read(self) -> None:
        """A fault: the next mark is in force, whatever was before it."""
        agents = sum(message.author == "agent" for message in self.record())

        def forget(db: Transaction) -> None:
            theirs = (agents, owner_key(self.visitor))
            db.execute("UPDATE conversations SET read_up_to = 0, unread = ?", (agents,))
            db.execute("UPDATE owners SET unread = ? WHERE owner = ?", theirs)

        self.backend.store.write_now(forget, as_it_is)

    def _requests(self, tab: Tab, operation: str) -> list[tuple[tuple[int, Any], Crossing]]:
        """The requests of a tab as a story has them."""
        found: list[tuple[tuple[int, Any], Crossing]] = []
        for payload, crossing in tab.sends():
            if crossing.operation != operation or crossing.over:
                continue
            answer: Any = NONE if crossing.awaited else LATE
            if crossing.arrived:
                if not crossing.awaited:
                    continue
                result = crossing.result
                told = result.unread if isinstance(result, ReadAnswer) else self.position(result.id)
                answer = told
            found.append(((self._calls[tab.number, payload.number], answer), crossing))
        return found

    def _told(self, tab: Tab) -> tuple[tuple[int, str], ...]:
        """What listeners were told of messages."""
        return tuple(
            (self.position(event.message.id), _KINDS[type(event)])
            for event in tab.events
            if isinstance(event, MessageSent | MessageReceived)
        )

    # --- what a story says ------------------------------------------------------------------------

    def send(self, tab: Tab, before: Places, after: Places) -> Call[Any]:
        """A message, or a mark, as the tab's outbox has it afterwards."""
        me, conversation = tab.number, self.begins.conversation_id
        entries = [p.knows[me].context.outbox.entries for p in (before, after)]
        given: int
        (given,) = (each.number for each in entries[1] if each not in entries[0])
        call: Call[Any]
        if given > MARKS_FROM:
            call = tab.chat.mark_read(conversation, self.record()[given % MARKS_FROM - 1].id)
        else:
            call = tab.chat.send_message("hello", conversation, f"{me}-{given}")
        self._calls[me, call.number] = given
        return call

    def crossing(self, tab: Tab, one: Occurrence, before: Places, after: Places) -> Crossing | None:
        """The message, or the mark, that has an outcome."""
        if one.trigger not in (T.SENT, T.SEND_FAILED):
            return None
        return self._gone(tab, before, after)

    def _gone(self, tab: Tab, before: Places, after: Places) -> Crossing:
        """The request of which a story tells that it is not on its way any more, or is answered."""
        for place, operation in (("sends", "send"), ("marking", "mark_read")):
            was, will_be = (getattr(places, place)[tab.number] for places in (before, after))
            for request, crossing in self._requests(tab, operation):
                if request in was and request not in will_be:
                    return crossing
        raise Impossible("there is no such request on its way")

    def loss(self, tab: Tab, one: Occurrence, before: Places, after: Places) -> Loss:
        """A message may be late; nothing else of it is asked."""
        if one.trigger != T.SEND_FAILED:
            return Loss.NEVER_ARRIVES
        return Loss.ANSWER if self._gone(tab, before, after).arrived else Loss.LATE

    async def moves(self, move: str, tab: Tab, before: Places, after: Places) -> str:
        """An agent writes, or a request arrives, or never does."""
        if move == AGENT:
            self.backend.agent.reply(self.begins.conversation_id, "hello")
            return ""
        crossing = self._gone(tab, before, after)
        if move not in (STORED, MARKED):
            crossing.drop()
            return ""
        await crossing.arrive()
        return "" if crossing.error is None else f"the backend refuses it: {crossing.error}"

    async def differs(self, places: Places) -> str:
        """What is real is what is told."""
        self._look()
        pairs: list[tuple[str, Any, Any]] = [
            ("what is stored", places.record, tuple(m.author for m in self.record())),
            ("what is read", places.read, self.read),
        ]
        for me, tab in enumerate(self.tabs):
            knows, context = places.knows[me], tab.trace.snapshot.context
            told = knows.context
            sends, marking = (
                {request for request, _ in self._requests(tab, operation)}
                for operation in ("send", "mark_read")
            )
            pairs += [
                (f"tab {me + 1}, {what}", said, real)
                for what, said, real in (
                    ("told", knows.told, self._told(tab)),
                    ("cursor", told.cursor, self._at(context.cursor)),
                    ("unread", told.unread, tab.chat.unread),
                    ("outbox", _entries(told), self._waiting(tab, context)),
                    ("link", places.link[me], self._link(tab)),
                    ("sends", set(places.sends[me]), sends),
                    ("marks", set(places.marking[me]), marking),
                )
            ]
        return next(
            (
                f"{what}: {told} in the story, {real} really"
                for what, told, real in pairs
                if told != real
            ),
            "",
        )

    def _at(self, cursor: str | None) -> str | None:
        """Where a cursor stands in the story."""
        return None if cursor is None else str(number_in(cursor) - _number(self.begins.id))

    def _waiting(self, tab: Tab, context: Context) -> list[tuple[int, bool, bool]]:
        """What waits in the outbox of a tab."""
        return [
            (self._calls[tab.number, entry.number], entry.under_way, entry.left)
            for entry in context.outbox.entries
        ]

    def _link(self, tab: Tab) -> tuple[tuple[str, int, Any], ...] | None:
        """What a tab has still to hear."""
        connection = tab.way.connection
        if connection is None or tab.trace.account.link is None:
            return None
        return tuple(
            ("mark", self.position(event.up_to), event.unread)
            if isinstance(event, ReadUpTo)
            else ("message", self.position(event.message.id), event.unread)
            for event in connection.said
            if isinstance(event, ReadUpTo | MessageArrived)
        )

    # --- what is judged ---------------------------------------------------------------------------

    def _look(self) -> None:
        agents = sum(message.author == "agent" for message in self.record())
        for tab in self.tabs:
            if (tab.chat.unread or 0) > agents:
                self._wrong["D6"] = (
                    f"{tab.chat.unread} are unread, and agents have written {agents}"
                )

    async def judged(self) -> Mapping[str, str]:
        """As `verify.delivery` says it, of what frontends see and what is stored."""
        self._look()
        wrong, record = {**self._wrong}, self.record()
        for me, tab in enumerate(self.tabs):
            written = [str(message.client_message_id).partition(_AGAIN)[0] for message in record]
            mine = [int(name[2:]) for name in written if name.startswith(f"{me}-")]
            told, own = self._told(tab), [name.startswith(f"{me}-") for name in written]
            positions = [position for position, _ in told]
            if mine != list(range(1, len(mine) + 1)):
                wrong["D1"] = f"the messages of tab {me + 1} are stored as {mine}"
            if positions != sorted(set(positions)):
                wrong["D2"] = f"tab {me + 1} tells {positions}"
            if any((kind == SENT) != own[position - 1] for position, kind in told):
                wrong["D3"] = f"tab {me + 1} tells {told}, and its own are {own}"
            given = [n for (of, _), n in self._calls.items() if of == me and n < MARKS_FROM]
            if len(mine) != len(given) or {*positions} != {*range(1, len(record) + 1)}:
                wrong["D4"] = f"tab {me + 1} has told {positions} of {len(record)}"
            if tab.chat.unread != self.unread():
                wrong["D5"] = (
                    f"tab {me + 1} shows {tab.chat.unread} unread, and {self.unread()} are"
                )
            if tab.chat.busy:
                wrong["D8"] = f"something of tab {me + 1} is still on its way"
        return wrong

    def close(self) -> None:
        """Closes the backend."""
        self.backend.close()


@asynccontextmanager
async def _nothing(crossing: Crossing) -> AsyncGenerator[None]:
    yield


def _entries(context: Context) -> list[tuple[int, bool, bool]]:
    """What waits in an outbox, as a story has it."""
    return [(entry.number, entry.under_way, entry.left) for entry in context.outbox.entries]


def _number(message_id: str) -> int:
    number = number_of(message_id)
    assert number is not None, message_id
    return number
