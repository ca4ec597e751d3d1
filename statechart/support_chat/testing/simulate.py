"""Several tabs on shared storages and one backend, in a schedule that a seed chooses, judged from
outside: by what callers were told, what listeners heard, and what backend and storages have.

    verdict = run(simulate(world, seed=7))
    assert not verdict.violations, verdict

Use it to try a backend, a transport or a storage of yours with whole sessions; a seed replays. Run
it in virtual time (`support_chat.testing.run`). A schedule calls, loses links, makes adapters fail,
and kills tabs: a killed tab's adapters do nothing more, as those of a process that has died. In the
end everything heals, and after a while of quiet it is judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import attrs

from ..errors import NetworkError, StorageError, SupportChatError
from ..lifecycle.chart import LIVE, ONLINE
from ..lifecycle.events import (
    AnyEvent,
    ConnectionChanged,
    MessageFailed,
    MessageReceived,
    MessageSent,
)
from ..lifecycle.names import Phase
from ..ports import Storage, Transport
from ..runtime.calls import Call
from ..session import SupportChat
from ..values import Identity, Message, SignedIn, Visitor

QUIET: Final = 900.0
"""Seconds until everything that waits has ended, once everything is well."""
_PAUSES: Final = (0.0, 0.0, 0.001, 0.002, 0.05, 0.4, 0.4, 2.0, 5.0, 40.0)
_DISTURBED: Final = 0.2
"""How often something goes wrong, of all that happens."""


@attrs.frozen
class Stored:
    """A message that the backend has, and whose it is by now."""

    owner: Identity
    message: Message


class World(Protocol):
    """What tabs share, and what can go wrong with it; made by whoever tries an adapter."""

    @property
    def users(self) -> Sequence[str]:
        """The ids of the users that there are."""
        ...

    def transport(self) -> Transport:
        """A tab's way to the backend; it may fail until `heal()`."""
        ...

    def storage(self, scope: str) -> Storage:
        """A tab's way to what the tabs of a scope share; it may fail until `heal()`."""
        ...

    def token(self, user_id: str) -> str:
        """A fresh token of this user."""
        ...

    def disturb(self, choose: random.Random) -> str:
        """Something goes wrong now; returns what, in words."""
        ...

    def heal(self) -> None:
        """Everything is well from now on, and each link that is open ends once more."""
        ...

    def answer(self, identity: Identity, text: str) -> None:
        """An agent writes to somebody, if there is such a one."""
        ...

    def stored(self) -> Sequence[Stored]:
        """Every message, in the backend's order."""
        ...

    def now(self, identity: Identity) -> Identity:
        """Who this is by now: the user a visitor has become, or the same."""
        ...

    async def contents(self, scope: str) -> Mapping[str, str]:
        """What is stored for a scope."""
        ...


@attrs.define(eq=False)
class Sent:
    """A message that a tab was given, and whom it showed then."""

    id: str
    conversation: str | None
    shown: Identity | None
    call: Call[Message]


@attrs.define(eq=False)
class Tab:
    """A session, everything it was given, and everything it has told."""

    number: int
    scope: str
    chat: SupportChat
    alive: _Alive
    calls: list[Call[Any]] = attrs.field(factory=list[Call[Any]])
    waiting: list[asyncio.Future[None]] = attrs.field(factory=list["asyncio.Future[None]"])
    sent: list[Sent] = attrs.field(factory=list[Sent])
    events: list[AnyEvent] = attrs.field(factory=list[AnyEvent])
    merged: list[tuple[Identity | None, str]] = attrs.field(
        factory=list["tuple[Identity | None, str]"]
    )
    """Whom it has shown when it asked for an identify, and the user."""

    @property
    def name(self) -> str:
        """What it is called in stories."""
        return f"tab {self.number}"


@attrs.frozen
class Verdict:
    """What a schedule has come to: its seed, what happened, in words, and what is wrong."""

    seed: int
    story: tuple[str, ...]
    violations: tuple[str, ...]

    def __str__(self) -> str:
        told = "\n".join(f"  {i}. {line}" for i, line in enumerate(self.story, 1))
        wrong = "\n".join(f"  - {line}" for line in self.violations) or "  nothing is wrong"
        return f"seed {self.seed}\n{told}\n{wrong}"


async def simulate(
    world: World, *, seed: int, tabs: int = 2, scopes: int = 1, moves: int = 30
) -> Verdict:
    """Plays the schedule of this seed with so many tabs, on so many scopes in turn, and judges it.

    Raises nothing that a session tells; what no session may tell is a violation.
    """
    return await _Schedule(world, random.Random(seed), seed, tabs, scopes).play(moves)


class _Schedule:
    def __init__(
        self, world: World, choose: random.Random, seed: int, tabs: int, scopes: int
    ) -> None:
        self.world, self.choose, self.seed = world, choose, seed
        self.story: list[str] = []
        self.faults: list[str] = []
        self.made = 0
        self.gone: list[Tab] = []
        self.tabs = [self._open(f"scope {number % scopes}") for number in range(tabs)]

    async def play(self, moves: int) -> Verdict:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.faults.append(f"loop: {context}"))
        for _ in range(moves):
            at = loop.time()
            self.story.append(f"{at:9.3f} {self._move()}")
            await asyncio.sleep(self.choose.choice(_PAUSES))
        await self._heal()
        violations = [*self.faults, *[v async for v in self._judged()]]
        for tab in (*self.tabs, *self.gone):
            await tab.chat.destroy()
        return Verdict(self.seed, tuple(self.story), tuple(dict.fromkeys(violations)))

    async def _heal(self) -> None:
        """Everything is well from now on, every session dials anew, and it becomes quiet."""
        self.world.heal()
        for tab in self.tabs:
            tab.chat.set_online(True)
        await asyncio.sleep(QUIET)

    # --- what happens -----------------------------------------------------------------------------

    def _open(self, scope: str) -> Tab:
        alive = _Alive()
        self.made += 1
        chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            scope=scope,
            storage=cast("Storage", _MortalStorage(self.world.storage(scope), alive)),
            transport=cast("Transport", _MortalTransport(self.world.transport(), alive)),
        )
        tab = Tab(self.made, scope, chat, alive)
        chat.on(object, tab.events.append)
        return tab

    def _move(self) -> str:
        choose = self.choose
        if choose.random() < _DISTURBED:
            return self.world.disturb(choose)
        tab = choose.choice(self.tabs)
        booted = tab.chat.state in (Phase.BOOTING, *LIVE)
        moves = (
            (1 if booted else 9, self._boot), (1, self._boot_user), (2, self._identify),
            (2, self._become), (9 if booted else 1, self._send), (3, self._send_some),
            (2, self._mark_read), (1, self._shutdown), (1, self._clear), (1, self._hint),
            (3, self._answer), (1, self._kill),
        )  # fmt: skip
        (move,) = choose.choices([m for _, m in moves], [weight for weight, _ in moves])
        return f"{tab.name}: {move(tab)}"

    def _call(self, tab: Tab, call: Call[Any]) -> None:
        tab.calls.append(call)
        tab.waiting.append(asyncio.ensure_future(_awaited(call)))

    def _boot(self, tab: Tab) -> str:
        self._call(tab, tab.chat.boot())
        return "boot()"

    def _boot_user(self, tab: Tab) -> str:
        user = self.choose.choice(self.world.users)
        self._call(tab, tab.chat.boot(user={"id": user}, token_provider=self._tokens(user)))
        return f"boot({user})"

    def _identify(self, tab: Tab) -> str:
        user = self.choose.choice(self.world.users)
        tab.merged.append((tab.chat.identity, user))
        timeout = None if len(tab.merged) % 2 else 1.0  # some are given up, and may be done
        provider = self._tokens(user)
        call = tab.chat.identify(user={"id": user}, token_provider=provider, timeout=timeout)
        self._call(tab, call)
        return f"identify({user}, timeout={timeout})"

    def _become(self, tab: Tab) -> str:
        user = self.choose.choice((None, *self.world.users))
        clear = self.choose.random() < 0.3
        if user is not None:
            tab.merged.append((tab.chat.identity, user))
        provider = self._tokens(user) if user else None
        named = {"id": user} if user else None
        self._call(tab, tab.chat.become(named, token_provider=provider, clear_storage=clear))
        return f"become({user}, clear_storage={clear})"

    def _tokens(self, user: str) -> Any:
        async def token() -> str:
            return self.world.token(user)

        return token

    def _send(self, tab: Tab) -> str:
        self.made += 1
        name, choose = f"m{self.made}", self.choose
        known = [e.message.conversation_id for e in tab.events if isinstance(e, MessageSent)]
        conversation = known[-1] if known and choose.random() < 0.8 else None
        shown = tab.chat.identity
        call = tab.chat.send_message(name, conversation, name, queue=choose.random() < 0.8)
        tab.sent.append(Sent(name, conversation, shown, call))
        self._call(tab, call)
        return f"send {name} to {conversation} as {shown}"

    def _send_some(self, tab: Tab) -> str:
        return ", ".join(self._send(tab) for _ in range(3))

    def _mark_read(self, tab: Tab) -> str:
        told = [e.message for e in tab.events if isinstance(e, MessageReceived)]
        if not told:
            return "has nothing to read"
        message = self.choose.choice(told)
        self._call(tab, tab.chat.mark_read(message.conversation_id, message.id))
        return f"mark_read up to {message.id}"

    def _shutdown(self, tab: Tab) -> str:
        self._call(tab, tab.chat.shutdown())
        return "shutdown()"

    def _clear(self, tab: Tab) -> str:
        self._call(tab, tab.chat.shutdown(clear_storage=True))
        return "shutdown(clear_storage=True)"

    def _hint(self, tab: Tab) -> str:
        online = self.choose.random() < 0.5
        tab.chat.set_online(online)
        return f"set_online({online})"

    def _answer(self, tab: Tab) -> str:
        if tab.chat.identity is None:
            return "nobody to answer"
        self.made += 1
        self.world.answer(tab.chat.identity, f"a{self.made}")
        return f"is answered: a{self.made}"

    def _kill(self, tab: Tab) -> str:
        tab.alive.die()
        self.gone.append(tab)
        self.tabs[self.tabs.index(tab)] = self._open(tab.scope)
        return f"is killed; {self.tabs[-1].name if self.tabs else ''} and others go on"

    # --- what is wrong ----------------------------------------------------------------------------

    async def _judged(self) -> AsyncIterator[str]:
        stored = self.world.stored()
        for tab in self.tabs:
            for wrong in (*_unsettled(tab), *_told_in_order(tab, stored)):
                yield f"{tab.name}: {wrong}"
        for tab in (*self.tabs, *self.gone):
            for wrong in _kept(tab, stored, self.world):
                yield f"{tab.name}: {wrong}"
        for tab in self.tabs:
            if tab.chat.state in (Phase.RECONNECTING, Phase.DISCONNECTED, Phase.BOOTING):
                yield f"{tab.name}: is {tab.chat.state} although everything is well"
        for tab in self._live:
            async for wrong in self._shows_its_owner(tab):
                yield f"{tab.name}: {wrong}"
        # that its visitor was cleared elsewhere a session learns by its next dial at the latest
        await self._heal()
        for scope in {tab.scope for tab in self.tabs}:
            here = [t.chat.identity for t in self._live if t.scope == scope]
            visitors = {identity for identity in here if isinstance(identity, Visitor)}
            if len(visitors) > 1:
                yield f"{scope} has several live visitors: {visitors}"
            fresh = self._open(scope)
            now = await fresh.chat.boot()
            if visitors and now not in visitors:
                yield f"{scope} shows {visitors}, and whoever boots now is {now}"
            for tab in (*[t for t in self.tabs if t.scope == scope], fresh):
                await tab.chat.shutdown(clear_storage=True)
            if left := await self.world.contents(scope):
                yield f"{scope} has kept {sorted(left)} after every tab has cleared it"
            await fresh.chat.destroy()

    @property
    def _live(self) -> list[Tab]:
        return [tab for tab in self.tabs if tab.chat.state in ONLINE]

    async def _shows_its_owner(self, tab: Tab) -> AsyncIterator[str]:
        shown, unread = tab.chat.identity, tab.chat.unread
        listed = sum(one.unread or 0 for one in await tab.chat.conversations())
        if unread != listed:
            yield f"shows {unread} unread, and the backend counts {listed}"
        self.made += 1
        probe = f"probe{self.made}"
        await tab.chat.send_message(probe, client_message_id=probe)
        owners = [s.owner for s in self.world.stored() if s.message.client_message_id == probe]
        if owners != [shown]:
            yield f"shows {shown}, and what it sends is stored for {owners}"


def _unsettled(tab: Tab) -> Iterator[str]:
    for call in tab.calls:
        if not call.done:
            yield f"{call!r} has not ended"


def _kept(tab: Tab, stored: Sequence[Stored], world: World) -> Iterator[str]:
    """Each message once, for whom it was sent, in the order of the calls; none that has failed."""
    places = {s.message.text: place for place, s in enumerate(stored)}
    times = defaultdict[str, int](int)
    for each in stored:
        times[each.message.text] += 1
    failed = {
        e.client_message_id
        for e in tab.events
        if isinstance(e, MessageFailed) and not e.outcome_unknown
    }
    last: dict[str, tuple[int, str]] = {}
    for sent in tab.sent:
        count = times[sent.id]
        if count > 1:
            yield f"{sent.id} is stored {count} times"
        if tab.alive and sent.call.done and _succeeded(sent.call) and count != 1:
            yield f"{sent.id} was acknowledged and is stored {count} times"
        if sent.id in failed and count:
            yield f"{sent.id} was told as failed and is stored"
        if not count:
            continue
        place = places[sent.id]
        owner = stored[place].owner
        mine = {SignedIn(user) for shown, user in tab.merged if shown in (sent.shown, None)}
        allowed = {world.now(sent.shown), *mine} if sent.shown else {owner}
        if owner not in allowed:
            yield f"{sent.id} was sent as {sent.shown} and is stored for {owner}"
        if sent.conversation is not None:
            before = last.get(sent.conversation)
            if before is not None and before[0] > place:
                yield f"{sent.id} is stored before {before[1]}, which was sent first"
            last[sent.conversation] = (place, sent.id)


def _told_in_order(tab: Tab, stored: Sequence[Stored]) -> Iterator[str]:
    """Each message once, in the backend's order, from where the tab was last without a past."""
    places = {s.message.id: place for place, s in enumerate(stored)}
    told: list[Message] = []
    for event in tab.events:
        if isinstance(event, MessageSent | MessageReceived):
            told.append(event.message)
        elif isinstance(event, ConnectionChanged) and event.gap:
            told.clear()
    ids = [message.id for message in told]
    if again := {one for one in ids if ids.count(one) > 1}:
        yield f"was told {sorted(again)} twice"
    since = _since_it_is_who_it_is(tab)
    mine = [message for message in since if message.id in places]
    order = [places[message.id] for message in mine]
    if order != sorted(order):
        yield f"was told {[m.text for m in mine]}, and the backend's order is another"
    if tab.chat.state in ONLINE:
        # what another tab's visitor has brought along is learnt by listing it, not told
        first: dict[str, int] = {}
        for message in reversed(mine):
            first[message.conversation_id] = places[message.id]
        known = {message.id for message in mine}
        missing = [
            s.message.text
            for place, s in enumerate(stored)
            if place >= first.get(s.message.conversation_id, len(stored))
            and s.message.id not in known
        ]
        if missing:
            yield f"was not told {missing}"


def _since_it_is_who_it_is(tab: Tab) -> list[Message]:
    """What it was told since it shows whom it shows."""
    told: list[Message] = []
    for event in tab.events:
        gap = isinstance(event, ConnectionChanged) and event.gap
        if gap or event.type in ("auth_changed", "ready"):
            told.clear()
        elif isinstance(event, MessageSent | MessageReceived):
            told.append(event.message)
    return told


def _succeeded(call: Call[Any]) -> bool:
    try:
        next(call.__await__())
    except StopIteration:
        return True
    except Exception:
        return False
    return False


async def _awaited(call: Call[Any]) -> None:
    with contextlib.suppress(SupportChatError):
        await call


# --- a process that can die -----------------------------------------------------------------------


class _Alive:
    """Whether a tab's process lives. What its adapters were asked may still happen."""

    def __init__(self) -> None:
        self._dead = False
        self.links: list[Any] = []

    def __bool__(self) -> bool:
        return not self._dead

    def die(self) -> None:
        self._dead = True
        for link in self.links:
            link.abort()


class _MortalStorage:
    def __init__(self, inner: Storage, alive: _Alive) -> None:
        self._inner, self._alive = inner, alive

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            if not self._alive and name != "aclose":
                raise StorageError("This process is dead.")
            return await getattr(self._inner, name)(*arguments)

        return call


class _MortalTransport:
    def __init__(self, inner: Transport, alive: _Alive) -> None:
        self._inner, self._alive = inner, alive

    async def open(self, credentials: Any) -> Any:
        if not self._alive:
            raise NetworkError("This process is dead.")
        link = await self._inner.open(credentials)
        self._alive.links.append(link)
        if not self._alive:
            link.abort()
        return link

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            if not self._alive and name != "aclose":
                raise NetworkError("This process is dead.")
            return await getattr(self._inner, name)(*arguments)

        return call
