"""A stage for `support_chat.verify.identity`: tabs on one storage at one backend, of which a rule
may be taken away, and what became of who is who, judged from outside.
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
from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    SupportChatError,
    VisitorEndedError,
)
from support_chat.lifecycle.chart import ONLINE
from support_chat.lifecycle.names import Fact as F, Trigger as T
from support_chat.lifecycle.requests import Keys
from support_chat.ports import (
    Credentials,
    LinkEvent,
    Outgoing,
    OwnerChanged,
    SessionRevoked,
    Welcome,
)
from support_chat.runtime.calls import Call
from support_chat.values import Identity, Message, Visitor
from support_chat.verify import Occurrence, Places
from support_chat.verify.identity import ACCEPTED, LATE, LEARNT, NOBODY, USER, Rules
from support_chat.verify.replay import Impossible
from support_chat_adapters.backend import Backend, Connection, WidgetRules, sessions
from support_chat_adapters.backend.log import Entry
from support_chat_adapters.backend.store import as_it_is, hashed
from support_chat_adapters.storage import MemoryStorage

EPOCH: Final = 1_800_000_000.0
KEY: Final = Keys(**IDS, scope="default").visitor
_LONG_ENOUGH: Final = 3600.0
_NEWS: Final[Mapping[type, str]] = {OwnerChanged: "changed", SessionRevoked: "ended"}


@attrs.frozen
class Opened:
    """A session at the backend: of which tab, its credential, and the secret that it was opened
    with.
    """

    tab: int
    credential: str
    secret: str


class Served:
    """The backend as one tab has it, under the rules of the stage."""

    def __init__(self, stage: IdentityStage, number: int) -> None:
        self._stage, self._number = stage, number
        self._backend, self._rules = stage.backend, stage.rules

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def connect(self, credentials: Credentials) -> Connection:
        secret = credentials.visitor
        if not self._rules.one_visitor:
            another = f"{secret}-{len(self._stage.opened)}"
            credentials = attrs.evolve(credentials, visitor=another, session=None)
        connection = self._dialled(credentials)
        self._stage.opened.append(Opened(self._number, connection.welcome.session, secret))
        return connection

    def _dialled(self, credentials: Credentials) -> Connection:
        claim = credentials.claim
        if claim is None or self._rules.remembers:
            return self._backend.connect(credentials)
        bare = attrs.evolve(credentials, claim=None)
        try:
            return self._backend.connect(bare)
        except AuthRefusedError:  # the session may be the user's by now
            return self._backend.connect(attrs.evolve(bare, user_id=claim.user_id))

    def welcome(self, connection: Connection) -> Welcome:
        welcome = connection.welcome
        return welcome if self._rules.remembers else attrs.evolve(welcome, identify="repeatable")

    def telling(self, event: LinkEvent) -> LinkEvent | None:
        return event if self._rules.told or not isinstance(event, OwnerChanged) else None

    def send(self, session: str, message: Outgoing) -> Message:
        whose = message.owner if self._rules.refused else None
        stored = self._backend.send(session, attrs.evolve(message, owner=whose))
        self._stage.accepted(self._number, stored, self._backend.log.of("sent")[-1])
        return stored

    def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        alive = self._stage.alive()
        if self._rules.ends:
            self._backend.end_visitor(workspace_id, widget_id, visitor)
        else:  # it is refused from then on, and no session ends
            over = "INSERT INTO ended_visitors (secret_hash, ended_at) VALUES (?, ?)"
            self._backend.store.write_now(
                lambda db: db.execute(over, (hashed(visitor), EPOCH)), as_it_is
            )
        if not self._rules.its_own:
            for each in self._stage.opened:
                self._backend.faults.revoke(each.credential, sessions.VISITOR_ENDED)
        self._stage.ended(visitor, alive - self._stage.alive())


class IdentityStage:
    """Tabs with this chart, which share a storage and a backend that keep these rules."""

    def __init__(self, chart: Chart, rules: Rules, tabs: int) -> None:
        loop = asyncio.get_running_loop()
        self.backend = Backend(
            **IDS,
            rules=WidgetRules(jwt_required_for_identified_users=False),
            clock=lambda: EPOCH + loop.time(),
        )
        self.rules = rules
        self.storage = MemoryStorage()
        self.opened: list[Opened] = []
        self._stored: str | None = None
        self._wrong: dict[str, str] = {}
        self._shown: dict[str, Identity | None] = {}
        """Whom a tab has shown when a message was given to it, by the id of the message."""
        self._clean = False
        """A full clear has landed, and no boot has read since."""
        self._names: dict[int, str] = {}
        """What a secret or a visitor is really called that a story knows by a number."""
        self.tabs: Sequence[Tab] = [
            Tab.begin(
                number,
                chart,
                Served(self, number),
                self.storage,
                self._noted,
                lands_late=not rules.ended,
                looks_mint=not rules.looks,
            )
            for number in range(tabs)
        ]

    # --- what a story says ------------------------------------------------------------------------

    def send(self, tab: Tab, before: Places, after: Places) -> Call[Message]:
        """A message of the tab."""
        name = f"m{len(self._shown)}"
        self._shown[name] = tab.chat.identity
        return tab.chat.send_message("hello", client_message_id=name)

    def crossing(self, tab: Tab, one: Occurrence, before: Places, after: Places) -> Crossing | None:
        """Whichever the tab waits for."""
        return None

    def loss(self, tab: Tab, one: Occurrence, before: Places, after: Places) -> Loss:
        """What the storage, or a claim, has become tells whether the request has arrived."""
        me = tab.number
        if after.late[me] != before.late[me]:
            return Loss.GIVEN_UP
        if one.trigger == T.IDENTIFY_FAILED:
            return Loss.NEVER_ARRIVES if F.BEYOND in one.carried else Loss.LATE
        closed = after.identify[me] == "closed" != before.identify[me]
        return Loss.ANSWER if closed or after.stored != before.stored else Loss.NEVER_ARRIVES

    async def moves(self, move: str, tab: Tab, before: Places, after: Places) -> str:
        """Lets a request arrive, or not, or gives the tab a message."""
        if move == "send_message()":
            tab.awaits(self.send(tab, before, after))
            return ""
        done = {
            "the identify arrives": ("identify", True),
            "an identify of a session that is over arrives, or never does": (
                "identify",
                before.stands_for != after.stands_for,
            ),
            LATE: ("create delete", before.stored != after.stored),
            LEARNT: ("end_visitor", before.stands_for != after.stands_for),
            ACCEPTED: ("send", True),
            "the message is refused or withdrawn": ("send", False),
        }
        operations, arrives = done[move]
        pending = [c for c in tab.gate.of(*operations.split()) if c.pending]
        if not pending:
            raise Impossible(f"no {operations.replace(' ', ' or ')} of the tab is on its way")
        if not arrives:
            pending[-1].drop()
            return ""
        await pending[-1].arrive()
        if move == ACCEPTED and pending[-1].awaited:
            pending[-1].answer()
        refused = pending[-1].error
        return "" if refused is None else f"the backend refuses it: {refused}"

    async def differs(self, places: Places) -> str:
        """Secrets and visitors have names of their own; otherwise what is real is what is told."""
        pairs: list[tuple[str, Any, Any]] = [
            ("what is stored", places.stored, await self.storage.get(KEY)),
            ("whether it is clean", places.clean, places.clean and self._clean),
        ]
        for me, tab in enumerate(self.tabs):
            context, connection = tab.trace.snapshot.context, tab.way.connection
            owner = None if context.session is None else self._owner(context.session)
            shown = context.identity if isinstance(context.identity, Visitor) else None
            pairs += [
                (f"what tab {me + 1} knows", places.known[me], context.visitor),
                (f"whom tab {me + 1} shows", places.shown[me], shown and shown.id),
                (f"whose the session of tab {me + 1} is", places.owner[me], owner),
            ]
            if connection is not None and tab.trace.account.link is not None:
                news = [_NEWS[type(event)] for event in connection.said if type(event) in _NEWS]
                pairs.append(
                    (f"what tab {me + 1} will hear", places.news[me], news[0] if news else "")
                )
        found = (self._differs(what, told, real) for what, told, real in pairs)
        differs = next(filter(None, found), "")
        # a story gives the number of what nobody has any more to something else
        self._names = {n: name for n, name in self._names.items() if n in _numbers(places)}
        return differs

    def _differs(self, what: str, told: Any, real: Any) -> str:
        same = self._is(told, real)
        numbers: dict[Any, Any] = {name: number for number, name in self._names.items()}
        really = numbers.get(real, "another" if isinstance(told, int) and real else real)
        return "" if same else f"{what}: {told} in the story, {really} really"

    def _is(self, told: Any, real: Any) -> bool:
        """Whether what is real may be what a story calls so."""
        if isinstance(told, bool | str) or told == USER:
            return bool(told == real)
        if told == NOBODY:
            return real is None
        if told not in self._names and isinstance(real, str) and real not in self._names.values():
            self._names[told] = real
        return real is not None and bool(self._names.get(told) == real)

    # --- what is real -----------------------------------------------------------------------------

    def _owner(self, credential: str) -> Any:
        """Whose the session is as it is stored: a visitor's id, USER, or None if it is over."""
        try:
            found = self.backend.store.read_now(lambda db: sessions.find(db, credential), as_it_is)
        except BackendRejectedError:
            return None
        return found.visitor_id if found.user_id is None else USER

    def alive(self) -> set[Opened]:
        """The sessions that are in force."""
        return {each for each in self.opened if self._owner(each.credential) is not None}

    def accepted(self, number: int, message: Message, entry: Entry) -> None:
        """The backend has taken a message of a tab: it is for whom the tab showed, or, after the
        tab's own merge, for the user.
        """
        shown = (self._shown[str(message.client_message_id)], self.tabs[number].chat.identity)
        if entry.detail[1] == "new" and entry.identity not in shown:
            self._wrong.setdefault("I6", f"a message for {shown[0]} is {entry.identity}'s")

    def ended(self, secret: str, ended: set[Opened]) -> None:
        """The backend has learnt that a secret is over, and ended these sessions."""
        for each in ended:
            if each.secret != secret or secret == self._stored:
                self._wrong.setdefault("I8", f"tab {each.tab + 1} has lost its session")

    @asynccontextmanager
    async def _noted(self, crossing: Crossing) -> AsyncGenerator[None]:
        before, boots = self._stored, crossing.operation == "create" and crossing.awaited
        yield
        self._stored = after = await self.storage.get(KEY)
        if crossing.operation == "delete":
            self._clean = True
        elif boots:
            self._clean = False
        if after not in (None, before) and not (boots and before is None):
            self._wrong.setdefault("I7", f"{crossing.operation} has stored a secret")

    # --- what is judged ---------------------------------------------------------------------------

    async def judged(self) -> Mapping[str, str]:
        """As `verify.identity` says it, of what frontends see and what is stored."""
        wrong, stored = {**self._wrong}, self._stored
        if self._clean and stored is not None:
            wrong["I5"] = "after a full clear a secret is stored that no boot has read"
        live = [tab for tab in self.tabs if tab.chat.state in ONLINE]
        for tab in live:
            (*_, its) = (each for each in self.opened if each.tab == tab.number)
            try:
                self.backend.conversations(its.credential, tab.chat.identity)
            except SupportChatError as error:
                wrong["I1"] = f"tab {tab.number + 1} shows {tab.chat.identity}: {error}"
        asked = [tab for tab in live if self._counts(tab)]
        visitors = [tab for tab in asked if isinstance(tab.chat.identity, Visitor)]
        if len({tab.chat.identity for tab in visitors}) > 1:
            wrong["I2"] = f"live are {[tab.chat.identity for tab in visitors]}"
        for tabs, broken in ((visitors, "I3"), (asked, "I4")):
            for tab in tabs:
                if tab.storage.secret != stored:
                    wrong[broken] = f"tab {tab.number + 1} is live on a secret that is not stored"
        if not live:
            try:
                await asyncio.wait_for(self.tabs[0].chat.boot(), _LONG_ENOUGH)
            except (SupportChatError, TimeoutError) as error:
                wrong["I9"] = f"a boot comes to {error!r}"
        return wrong

    def _counts(self, tab: Tab) -> bool:
        secret = tab.storage.secret or ""
        if secret == self._stored or tab.storage.told_other:
            return True
        try:
            self.backend.store.read_now(
                lambda db: sessions.require_not_over(db, hashed(secret)), as_it_is
            )
        except VisitorEndedError:
            return True
        return False

    def close(self) -> None:
        """Closes the backend."""
        self.backend.close()


def _numbers(places: Places) -> set[int]:
    """The secrets and visitors that somebody has."""
    pairs = [number for pair in places.stands_for for number in pair]
    each = (places.known, places.over, places.shown, places.owner, places.stray, places.message)
    return {places.stored, *pairs, *(number for values in each for number in values)}
