"""Any story: whatever is called, in whatever weather, the real session keeps its promises.

Hypothesis makes up stories of two sessions that share a storage and a backend: calls with their
options, awaiters that are cancelled, hints, handlers that call back, time that passes, adapters
that are slow, hang, fail, lie or come late, a backend that drops, refuses, forgets and answers as
somebody else. After each step every promise that a session can show is looked at; each is a small
function named by its number in the catalogue of properties. In the end both sessions are destroyed,
whatever the weather, and nothing may be left: no task, no link, no call that has not settled, no
message lost or doubled.

The adapters here are watchers: they pass everything on, misbehave as told, and write down what the
promises are about. What they see may not raise (a session takes that for a fault of the adapter),
so it goes to `World.broken`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import attrs
import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

from support_chat import Phase, SupportChat
from support_chat.chart.machine import State
from support_chat.chart.model import Ask
from support_chat.errors import (
    AuthRefusedError,
    IdentityConflictError,
    NetworkError,
    NotBootedError,
    SessionDestroyedError,
    StorageError,
    SupportChatError,
    TokenRefusedError,
)
from support_chat.lifecycle.chart import CHART, CONNECTING, ENDED, LIVE, ONLINE
from support_chat.lifecycle.context import Book
from support_chat.lifecycle.events import AuthChanged, ErrorOccurred, MessageReceived, PhaseChanged
from support_chat.lifecycle.names import Fact, Lane, Timer, Trigger
from support_chat.lifecycle.occasion import Occasion
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Link,
    LinkEvent,
    Outgoing,
    ReadAnswer,
    Transport,
    UpdateAnswer,
    Welcome,
)
from support_chat.runtime.calls import Call
from support_chat.runtime.runner import Runner, shipped
from support_chat.testing import VirtualLoop
from support_chat.values import Changes, Conversation, Message, SignedIn
from support_chat.verify import Model
from support_chat.verify.following import follow
from support_chat.verify.trace import Trace, watch
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

EPOCH = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
FORGED = "fedcba9876543210fedcba9876543210"
MODEL = Model(CHART)
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
NO_VALUES: Changes = {}
PATIENCE = 45.0
"""No call may stay open longer, in seconds: the longest limits of the calls are 30 s, and a
shutdown's add up to less.
"""


# --- the watchers ---------------------------------------------------------------------------------


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def linger(seconds: float) -> None:
    """Takes its time, whoever cancels it."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(until - loop.time())


@attrs.define(eq=False)
class World:
    """What both sessions share, how the adapters misbehave now, and which promises they saw
    broken.
    """

    loop: VirtualLoop
    backend: Backend
    storage: MemoryStorage
    weather: dict[str, str] = attrs.field(
        factory=lambda: {"storage": "fine", "tokens": "fine", "transport": "fine"}
    )
    broken: list[str] = attrs.field(factory=list[str])
    count: int = 0
    seats: list[Seat] = attrs.field(factory=list[Any])
    made: list[Made] = attrs.field(factory=list[Any])

    def running(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.runner is not None]

    def insist(self, holds: bool, promise: str) -> None:
        if not holds:
            self.broken.append(promise)


@attrs.define(eq=False)
class Seat:
    """One session, and what its watchers have seen of it."""

    world: World
    scope: str
    chat: SupportChat = attrs.field(init=False)
    epoch: int = 0
    """How many times it was shut down by a call."""
    wanted: bool = False
    """Whether a boot() was called since."""
    trace: Trace = attrs.field(init=False)
    """What the session did, to be laid over the model that the checker explores."""
    live_links: list[WatchedLink] = attrs.field(factory=list[Any])
    opening: int = 0
    dials: int = 0
    fetching: int = 0
    writing: int = 0
    clearing: int = 0
    cleared: bool = False
    """Whether a full clear has succeeded since the last boot()."""
    refused: set[str] = attrs.field(factory=set[str])
    sessions: set[str] = attrs.field(factory=set[str])
    reactions: list[Callable[[], object]] = attrs.field(factory=list[Callable[[], object]])
    identities: list[object] = attrs.field(factory=list[object])
    received: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])
    on_wire: set[str] = attrs.field(factory=set[str])
    recorded: dict[str, str] = attrs.field(factory=dict[str, str])
    """The newest value that was recorded for each path."""
    dropped: set[str] = attrs.field(factory=set[str])
    """The paths that were dropped aloud since something was recorded for them."""

    @property
    def runner(self) -> Runner | None:
        return self.chat._runner  # pyright: ignore[reportPrivateUsage]

    @property
    def state(self) -> State:
        return self.runner.state if self.runner else shipped().initial

    @property
    def book(self) -> Book:
        return self.runner.book if self.runner else Book()

    def holds(self, fact: Fact) -> bool:
        return bool(self.state.facts & shipped().bits[fact])

    @property
    def prefix(self) -> str:
        return f"support-chat/acme/help/{self.scope.replace('%', '%25').replace('/', '%2F')}/"

    @property
    def timers(self) -> frozenset[str]:
        return self.runner.timers.running if self.runner else frozenset()

    def scheduled(self) -> list[str]:
        """The timers of this session that the loop will run."""
        handles = [handle for handle in self.world.loop._scheduled if not handle.cancelled()]  # pyright: ignore[reportPrivateUsage]
        callbacks: list[tuple[Any, tuple[Any, ...]]] = [
            (getattr(h, "_callback", None), getattr(h, "_args", ())) for h in handles
        ]
        # behind the one that watches
        mine = getattr(self.runner.timers, "_timers", None) if self.runner else None
        return [
            args[0]
            for callback, args in callbacks
            if mine is not None and getattr(callback, "__self__", None) is mine
        ]

    @property
    def parting(self) -> bool:
        """Whether the goodbye of an earlier shutdown is under way."""
        return self.runner is not None and any(
            under.spec.lane == Lane.PART
            for under in self.runner.asks._under  # pyright: ignore[reportPrivateUsage]
        )

    @property
    def link(self) -> Link | None:
        return self.runner.links.open if self.runner else None

    @property
    def telling(self) -> bool:
        """Whether events wait to be told."""
        return bool(self.chat._listeners._events)  # pyright: ignore[reportPrivateUsage]

    def listen(self) -> None:
        self.chat.on(PhaseChanged, self._react)
        self.chat.on(ErrorOccurred, lambda event: self.dropped.update(event.dropped))
        self.chat.on(AuthChanged, lambda event: self.identities.append(event.identity))
        self.chat.on(
            MessageReceived, lambda event: self.received.append((self.epoch, event.message.id))
        )

    def _react(self, event: PhaseChanged) -> None:
        if self.reactions:
            try:
                self.reactions.pop(0)()
            except AssertionError as error:
                self.world.broken.append(str(error))


@attrs.define(eq=False)
class WatchedStorage:
    """The shared storage as one session sees it."""

    seat: Seat

    async def _do(self, keys: tuple[str, ...], work: Callable[[], Awaitable[Any]]) -> Any:
        world, weather = self.seat.world, self.seat.world.weather["storage"]
        world.insist(
            all(key.startswith(self.seat.prefix) for key in keys), f"S23 {keys} is of another scope"
        )
        if weather in ("slow", "fails after a while"):
            await asyncio.sleep(1.0)
        if weather in ("fails", "fails after a while"):
            raise StorageError("the disk is full")
        if weather == "raises":
            raise OSError("the disk is gone")
        if weather == "hangs":
            await never()
        result = await work()
        if weather == "slow":
            await asyncio.sleep(1.0)
        if weather == "deaf":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(20.0)
        if weather == "lingers":
            await linger(20.0)
        return 42 if weather == "lies" else result

    async def _write(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        seat = self.seat
        seat.world.insist(
            not seat.clearing and seat.holds(Fact.WRITING), "S19 a write starts beside a clear"
        )
        if seat.world.weather["storage"] == "lingers":
            return await self._do((key,), work)
        seat.writing += 1
        try:
            return await self._do((key,), work)
        finally:
            seat.writing -= 1

    async def _clear(self, keys: tuple[str, ...], work: Callable[[], Awaitable[Any]]) -> Any:
        seat = self.seat
        seat.world.insist(seat.holds(Fact.CLEARING), "S2 a superseded clear goes on")
        if seat.world.weather["storage"] == "lingers":
            return await self._do(keys, work)
        seat.world.insist(not seat.writing, "S19 a clear starts while a write runs")
        seat.clearing += 1
        try:
            return await self._do(keys, work)
        finally:
            seat.clearing -= 1

    async def get(self, key: str) -> str | None:
        return await self._do((key,), lambda: self.seat.world.storage.get(key))  # type: ignore[no-any-return]

    async def create(self, key: str, value: str) -> str:
        return await self._write(key, lambda: self.seat.world.storage.create(key, value))  # type: ignore[no-any-return]

    async def replace(self, key: str, old: str, new: str) -> str:
        return await self._write(key, lambda: self.seat.world.storage.replace(key, old, new))  # type: ignore[no-any-return]

    async def delete(self, *keys: str) -> None:
        await self._clear(keys, lambda: self.seat.world.storage.delete(*keys))

    async def keys(self) -> Sequence[str]:
        return await self._clear((), self.seat.world.storage.keys)  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        self.seat.world.insist(False, "a session closed a storage that it does not own")


@attrs.define(eq=False)
class Tokens:
    """The token provider of one user in one session."""

    seat: Seat
    user: str

    async def __call__(self) -> str:
        seat, weather = self.seat, self.seat.world.weather["tokens"]
        seat.world.insist(
            seat.chat.is_in(Phase.BOOTING, *LIVE), f"S16 a token call in {seat.chat.state}"
        )
        seat.world.insist(not seat.fetching, "S9 two token calls at once")
        seat.fetching += 1
        try:
            if weather == "slow":
                await asyncio.sleep(1.0)
            if weather == "hangs":
                await never()
        finally:
            seat.fetching -= 1
        if weather == "deaf":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(20.0)
        if weather == "raises":
            raise OSError("the customer's backend is down")
        if weather == "refuses":
            raise TokenRefusedError("not this user")
        if weather == "lies":
            return 42  # type: ignore[return-value]
        return self.signed(weather)

    def signed(self, weather: str) -> str:
        user = "eve" if weather == "another's" else self.user
        issued = 0.0 if weather == "the same bytes" else self.seat.world.loop.time()
        return sign_identity_token(
            user,
            FORGED if weather == "forged" else SECRET,
            **WIDGET,
            lifetime=20.0 if weather == "short-lived" else 900.0,
            now=EPOCH + issued,
        )


class WatchedLink:
    """One link of one session; its identity is what the backend has said on it."""

    def __init__(self, seat: Seat, inner: Link) -> None:
        self.seat, self.inner = seat, inner
        self.user = inner.welcome.user_id

    def taken(self) -> WatchedLink:
        """The session has it from now on."""
        self.seat.live_links.append(self)
        return self

    def over(self) -> None:
        if self in self.seat.live_links:
            self.seat.live_links.remove(self)

    @property
    def welcome(self) -> Welcome:
        return self.inner.welcome

    @property
    def heard_at(self) -> float:
        return self.inner.heard_at

    def events(self) -> AsyncIterator[LinkEvent]:
        return WatchedEvents(self)

    def _sends(self, values: Changes, user: str | None, what: str) -> None:
        for value in map(str, values.values()):
            epoch, who, _ = value.split("|")
            expected = user or "visitor"
            self.seat.world.insist(
                epoch == str(self.seat.epoch), f"S4 {what} carries a value of an earlier session"
            )
            self.seat.world.insist(
                who == expected, f"S7 {what} carries {who}'s value as {expected}'s"
            )
            self.seat.on_wire.add(value)

    def _presents(self, token: str | None, what: str) -> None:
        self.seat.world.insist(
            token not in self.seat.refused, f"S15 {what} presents a refused token"
        )

    async def _lies(self) -> bool:
        if self.seat.world.weather["transport"] == "raises":
            raise OSError("the socket is gone")
        return self.seat.world.weather["transport"] == "lies"

    async def identify(self, request: IdentifyRequest) -> IdentifyAnswer:
        self._sends(request.visitor_changes, None, "identify")
        self._sends(request.user_changes, request.user_id, "identify")
        self._presents(request.token, "identify")
        if await self._lies():
            return "yes"  # type: ignore[return-value]
        try:
            answer = await self.inner.identify(request)
        except AuthRefusedError:
            self.seat.refused.add(request.token or "")
            raise
        self.user = answer.user_id
        return answer

    async def renew(self, token: str) -> None:
        self._presents(token, "renew")
        if await self._lies():
            return "yes"  # type: ignore[return-value]
        try:
            await self.inner.renew(token)
        except AuthRefusedError:
            self.seat.refused.add(token)
            raise

    async def update(self, changes: Changes) -> UpdateAnswer:
        self.seat.world.insist(
            self.seat.chat.is_in(*ONLINE), f"S18 an update leaves in {self.seat.chat.state}"
        )
        self._sends(changes, self.user, "update")
        if await self._lies():
            return "yes"  # type: ignore[return-value]
        return await self.inner.update(changes)

    async def send(self, message: Outgoing) -> Message:
        if await self._lies():
            return 42  # type: ignore[return-value]
        return await self.inner.send(message)

    async def conversations(self) -> Sequence[Conversation]:
        if await self._lies():
            return 42  # type: ignore[return-value]
        return await self.inner.conversations()

    async def messages(self, conversation_id: str) -> Sequence[Message]:
        if await self._lies():
            return 42  # type: ignore[return-value]
        return await self.inner.messages(conversation_id)

    async def mark_read(self, conversation_id: str) -> ReadAnswer:
        if await self._lies():
            return 42  # type: ignore[return-value]
        return await self.inner.mark_read(conversation_id)

    async def aclose(self) -> None:
        await self.inner.aclose()
        self.over()

    def abort(self) -> None:
        self.over()
        self.inner.abort()
        if self.seat.world.weather["transport"] == "raises":
            raise OSError("the socket is gone")


class WatchedEvents:
    """The events of a link; when they end, so has the link."""

    def __init__(self, link: WatchedLink) -> None:
        self.link, self.events = link, link.inner.events()

    def __aiter__(self) -> WatchedEvents:
        return self

    async def __anext__(self) -> LinkEvent:
        try:
            return await anext(self.events)
        except NetworkError:
            self.link.over()
            raise


@attrs.define(eq=False)
class WatchedTransport:
    """The loopback as one session sees it."""

    seat: Seat
    inner: Transport

    async def open(self, credentials: Credentials) -> Link:
        seat, weather = self.seat, self.seat.world.weather["transport"]
        seat.world.insist(seat.chat.is_in(*CONNECTING), f"S16 a dial in {seat.chat.state}")
        seat.world.insist(not seat.opening and seat.link is None, "S8 a dial beside a link")
        seat.world.insist(
            credentials.token not in seat.refused, "S15 a dial presents a refused token"
        )
        if weather == "raises":
            raise OSError("no route")
        if weather == "lies":
            return 42  # type: ignore[return-value]
        dialling = asyncio.ensure_future(self._dial(credentials))
        seat.opening += 1
        seat.dials += 1
        try:
            return (await asyncio.shield(dialling)).taken()
        except asyncio.CancelledError:
            if weather != "deaf":
                if not dialling.cancel() and dialling.exception() is None:
                    dialling.result().abort()  # a transport that is cancelled leaves nothing open
                raise
        finally:
            seat.opening -= 1
        return (await dialling).taken()

    async def _dial(self, credentials: Credentials) -> WatchedLink:
        try:
            link = await self.inner.open(credentials)
        except AuthRefusedError:
            self.seat.refused.add(credentials.token or "")
            raise
        self.seat.sessions.add(link.welcome.session)
        return WatchedLink(self.seat, link)

    async def revoke(self, session: str) -> None:
        seat = self.seat
        seat.world.insist(
            session in seat.sessions, "S24 a session revokes one that it did not begin"
        )
        seat.world.insist(session != seat.book.session, "S24 a session revokes the one it lives in")
        await self.inner.revoke(session)

    async def aclose(self) -> None:
        self.seat.world.insist(False, "a session closed a transport that it does not own")


# --- what calls promise at once: the table of the calls, read from outside ------------------------


def refusal(seat: Seat, name: str, user: str | None) -> type[SupportChatError] | None:
    """The error with which this call must be refused now, None if it must be accepted."""
    phase, booted = seat.chat.state, seat.holds(Fact.BOOTED)
    signed_in, target = seat.state.registers
    if phase is Phase.DESTROYED:
        return None if name == "destroy" else SessionDestroyedError
    if name in ("load", "shutdown", "destroy"):
        return None
    if name == "boot":
        return IdentityConflictError if booted and user != signed_in else None
    if not booted:
        return NotBootedError
    if name == "identify":
        known = signed_in or target
        return IdentityConflictError if known is not None and user != known else None
    if name == "update":
        return (
            IdentityConflictError if user is not None and user not in (signed_in, target) else None
        )
    return None if phase in ONLINE else NetworkError


@attrs.define(eq=False)
class Made:
    """A call that was made, by whom and when; of a message its id."""

    seat: Seat
    name: str
    call: Call[Any]
    at: float
    message: str = ""

    async def wait(self) -> None:
        with contextlib.suppress(SupportChatError):
            await self.call


def outcome(call: Call[Any]) -> Exception | None:
    """The error of a call that has settled, None if it has succeeded."""
    try:
        next(call.__await__())
    except StopIteration:
        return None
    except Exception as error:
        return error
    raise AssertionError(f"{call!r} has not settled")


def current(seat: Seat) -> set[str]:
    """The lanes on which something is under way that nothing has superseded."""
    if seat.runner is None:
        return set()
    under = seat.runner.asks._under  # pyright: ignore[reportPrivateUsage]
    detached = seat.runner.slots._detached  # pyright: ignore[reportPrivateUsage]
    return {u.spec.lane for u in under if not (u.task.cancelling() or u.task.done())} - (
        {Lane.PART} if detached else set()
    )


# --- what must hold after every step --------------------------------------------------------------


def no_watcher_saw_a_broken_promise(world: World) -> None:
    """S4, S7, S8, S9, S15, S16, S18, S19, S20, S23, S24 where the watchers see them, and nothing
    unexpected in the loop.
    """
    assert not world.broken


def s01_nothing_opens_once_ended(world: World) -> None:
    """S1 In `shutdown` and `destroyed` no link is open or opening, and no timer that leads to one
    is armed.
    """
    for seat in world.running():
        if seat.state.phase in ENDED:
            assert not seat.live_links or seat.parting
            assert not {Lane.DIAL, Lane.TOKEN, Lane.LINK} & current(seat)
            assert Timer.RETRY not in seat.timers


def s03_only_a_boot_makes_live(world: World) -> None:
    """S3 After shutdown, only a boot() made later makes the session live."""
    for seat in world.running():
        assert seat.wanted or seat.state.phase not in (Phase.BOOTING, *LIVE)


def s04_the_former_user_is_forgotten(world: World) -> None:
    """S4 After shutdown no recorded value of the former user is reachable."""
    for seat in world.running():
        if seat.state.phase in ENDED and not seat.holds(Fact.BOOTED):
            book = seat.book
            kept = Book(
                serial=book.serial,
                tags=book.tags,
                failures=book.failures,
                dialled_at=book.dialled_at,
                not_before=book.not_before,
                updated_at=book.updated_at,
                update_failures=book.update_failures,
                boot_until=book.boot_until,
                identify_until=book.identify_until,
            )
            assert book == kept


def s05_a_full_clear_leaves_no_key(world: World) -> None:
    """S5 After a successful clear_storage no key of the scope is left."""
    for seat in world.running():
        if seat.cleared and not any(
            other.scope == seat.scope for other in world.seats if other is not seat
        ):
            left = [key for key in world.storage._entries if key.startswith(seat.prefix)]  # pyright: ignore[reportPrivateUsage]
            assert not left


def s08_one_link(world: World) -> None:
    """S8 At most one unsuperseded link is open or opening."""
    for seat in world.seats:
        assert (seat.link is not None) + (Lane.DIAL in current(seat)) <= 1
        assert len(seat.live_links) <= 1 or seat.parting


def s10_one_timer_of_each_kind(world: World) -> None:
    """S10 At most one timer of each kind runs; what the loop has scheduled is what the session
    knows of.
    """
    for seat in world.running():
        assert sorted(seat.scheduled()) == sorted(seat.timers)


def s11_who_is_authenticated_was_accepted(world: World) -> None:
    """S11 `authenticated` as u implies that the backend accepted u on this link."""
    for seat in world.running():
        if seat.state.phase == Phase.AUTHENTICATED:
            assert seat.chat.identity == SignedIn(seat.state.registers[0] or "")
            assert [link.user for link in seat.live_links] in ([seat.state.registers[0]], [])


def s12_users_never_turn_into_others(world: World) -> None:
    """S12 The identity never goes from a user to anybody else without passing nobody."""
    for seat in world.seats:
        for former, latter in zip(seat.identities, seat.identities[1:], strict=False):
            assert latter is None or not isinstance(former, SignedIn)


def s21_destroyed_is_absorbing(world: World) -> None:
    """S21 `destroyed` is absorbing, and the ledger empties."""
    for seat in world.running():
        ended = [made for made in world.made if made.seat is seat and made.name == "destroy"]
        assert not ended or seat.state.phase == Phase.DESTROYED
        if any(made.call.done for made in ended):
            assert not seat.timers
            assert not current(seat)
            assert not any(seat.book.tags)


def s26_facts_equal_the_ledger(world: World) -> None:
    """S26 Each "in flight" fact equals its ledger entry: what the chart believes is under way is,
    and nothing else.
    """
    flights = {
        Fact.FETCHING: Lane.TOKEN,
        Fact.SENDING: Lane.UPDATE,
        Fact.RENEWING: Lane.RENEW,
        Fact.WRITING: Lane.VISITOR,
        Fact.CLEARING: Lane.CLEAR,
        Fact.PARTING: Lane.PART,
        Fact.RELEASING: Lane.RELEASE,
    }
    for seat in world.running():
        tagged = {lane for lane in Lane if seat.book.tag(lane)}
        assert tagged - {Lane.LINK} == current(seat) - {Lane.LINK}
        assert (Lane.LINK in tagged) == (seat.state.phase in ONLINE) == (seat.link is not None)
        for fact, lane in flights.items():
            assert seat.holds(fact) == (lane in tagged), f"{fact} and the {lane} lane"
        assert seat.holds(Fact.RETRYING) == (Timer.RETRY in seat.timers)


def s27_a_renewal_is_scheduled(world: World) -> None:
    """S27 In `authenticated` with a provider and a known expiry a renewal or its retry is scheduled
    or under way.
    """
    for seat in world.running():
        token = seat.book.token
        if (
            seat.state.phase == Phase.AUTHENTICATED
            and seat.book.provider
            and token
            and token.life is not None
        ):
            assert Timer.RENEW in seat.timers or {Lane.TOKEN, Lane.RENEW} & current(seat)


def l3_whoever_connects_tries(world: World) -> None:
    """L3 While connecting exactly one thing goes on: the wait for the next attempt, the token call
    or the dial.
    """
    for seat in world.running():
        if seat.state.phase in CONNECTING and not (
            seat.state.phase == Phase.BOOTING and seat.holds(Fact.WRITING)
        ):
            assert (Timer.RETRY in seat.timers) + len({Lane.TOKEN, Lane.DIAL} & current(seat)) == 1


def l1_every_call_settles_in_time(world: World) -> None:
    """L1 Every accepted call settles, and with an error of the library if it fails."""
    for made in world.made:
        if made.call.done:
            error = outcome(made.call)
            assert error is None or isinstance(error, SupportChatError)
        else:
            assert world.loop.time() - made.at < PATIENCE, (
                f"{made.call!r} of {made.at:g} is open at {world.loop.time():g}"
            )


def s07_no_update_is_lost_silently(world: World) -> None:
    """S7 Everything recorded waits, was sent, or was dropped aloud."""
    for seat in world.running():
        updates = seat.book.updates
        kept = (updates.recorded, updates.sent, updates.held, updates.carried, updates.carried_held)
        waiting = {str(value) for values in kept for value in values.values()}
        for path, value in seat.recorded.items():
            assert value in waiting or value in seat.on_wire or path in seat.dropped or seat.telling


PROMISES: tuple[Callable[[World], None], ...] = (
    no_watcher_saw_a_broken_promise,
    s01_nothing_opens_once_ended,
    s03_only_a_boot_makes_live,
    s04_the_former_user_is_forgotten,
    s05_a_full_clear_leaves_no_key,
    s08_one_link,
    s10_one_timer_of_each_kind,
    s11_who_is_authenticated_was_accepted,
    s12_users_never_turn_into_others,
    s21_destroyed_is_absorbing,
    s26_facts_equal_the_ledger,
    s27_a_renewal_is_scheduled,
    l3_whoever_connects_tries,
    l1_every_call_settles_in_time,
    s07_no_update_is_lost_silently,
)


# --- the stories ----------------------------------------------------------------------------------

SEATS = st.integers(0, 1)
WHO = st.sampled_from([None, "ann", "bob"])
USERS = st.sampled_from(["ann", "bob"])
SOMETIMES, MOSTLY = (
    st.sampled_from([False, False, False, True]),
    st.sampled_from([True, True, True, False]),
)
TIMEOUTS = st.sampled_from([None, None, 0.001, 3.0])
WEATHER = {
    "storage": (
        "slow",
        "fails",
        "fails after a while",
        "raises",
        "hangs",
        "deaf",
        "lingers",
        "lies",
    ),
    "tokens": (
        "slow",
        "hangs",
        "deaf",
        "raises",
        "refuses",
        "lies",
        "another's",
        "the same bytes",
        "forged",
        "short-lived",
    ),
    "transport": ("raises", "lies", "deaf"),
}
FAULTS: dict[str, Callable[[Backend], object]] = {
    "the links drop": lambda b: b.faults.drop_links(),
    "the links fall silent": lambda b: b.faults.silence_links(),
    "a black hole": lambda b: b.faults.black_hole(),
    "tokens expire": lambda b: b.faults.expire_tokens(),
    "the history is gone": lambda b: b.faults.drop_history(),
    "two dials fail": lambda b: b.faults.refuse_dials(2),
    "no dial gets through": lambda b: b.faults.refuse_dials(),
    "come back in 5 s": lambda b: b.faults.rate_limit(5.0),
    "come back tomorrow": lambda b: b.faults.rate_limit(86_400.0),
    "a dial is refused": lambda b: b.faults.refuse("dial"),
    "a dial is rejected": lambda b: b.faults.reject("dial"),
    "the answer to a dial is lost": lambda b: b.faults.swallow("dial"),
    "the answer to an identify is lost": lambda b: b.faults.swallow("identify"),
    "the answer to an identify never comes": lambda b: b.faults.swallow("identify", silently=True),
    "an identify is refused": lambda b: b.faults.refuse("identify"),
    "an identify is rejected": lambda b: b.faults.reject("identify"),
    "identify again in 2 s": lambda b: b.faults.rate_limit(2.0, "identify"),
    "identify again tomorrow": lambda b: b.faults.rate_limit(86_400.0, "identify"),
    "the answer to an update is lost": lambda b: b.faults.swallow("update"),
    "an update fails": lambda b: b.faults.fail("update", NetworkError("try again")),
    "an update is rejected": lambda b: b.faults.reject("update", "validation_error"),
    "a path is rejected": lambda b: b.faults.reject_paths({"user.traits.a": "no"}),
    "the answer to a send is lost": lambda b: b.faults.swallow("send"),
    "a renewal is refused": lambda b: b.faults.refuse("renew"),
    "the answer to a renewal is lost": lambda b: b.faults.swallow("renew"),
    "half a second each way": lambda b: b.faults.delay(0.5, answer=0.5),
    "answers take 12 s": lambda b: b.faults.delay(0.0, answer=12.0),
    "identifies take 40 s": lambda b: b.faults.delay(0.0, answer=40.0, operation="identify"),
    "answers are bob's": lambda b: b.faults.answer_as("bob"),
}
LATE = [
    (Lane(lane), trigger)
    for lane, trigger in dict.fromkeys(
        (s.lane, t) for s in CHART.effects.values() if isinstance(s, Ask) for t in s.outcomes
    )
]


class Stories(RuleBasedStateMachine):
    """Two sessions, one world."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(self.unexpected)
        backend = Backend(
            **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: EPOCH + self.loop.time()
        )
        self.world = World(self.loop, backend, MemoryStorage())
        self.seats, self.made = self.world.seats, self.world.made

    def unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.world.broken.append(
            f"unexpected: {context.get('message')} {context.get('exception')!r}"
        )

    def within(self, act: Callable[[], object]) -> None:
        """Does something on the running loop; what it sets off begins, and goes on when time
        passes.
        """

        async def do() -> None:
            act()

        self.loop.run_until_complete(do())

    @initialize(scopes=st.sampled_from([("default", "default"), ("a", "a/b"), ("a%2Fb", "a/b")]))
    def two_sessions(self, scopes: tuple[str, str]) -> None:
        for scope in scopes:
            seat = Seat(self.world, scope)
            transport = WatchedTransport(seat, LoopbackTransport(self.world.backend))
            seat.chat = SupportChat(
                **WIDGET, transport=transport, storage=WatchedStorage(seat), scope=scope
            )
            self.within(partial(self.watched, seat))
            seat.listen()
            self.seats.append(seat)

    def watched(self, seat: Seat) -> None:
        seat.trace = watch(seat.chat)

    # --- calls ------------------------------------------------------------------------------------

    def make(
        self,
        seat: Seat,
        name: str,
        user: str | None,
        call: Callable[[], Call[Any]],
        values: Changes = NO_VALUES,
        message: str = "",
    ) -> None:
        """Makes the call and checks what the table of the calls says about it."""
        error = refusal(seat, name, user)
        if error is None and name in ("shutdown", "destroy"):
            seat.epoch += 1
        seat.wanted = name == "boot" or (seat.wanted and name not in ("shutdown", "destroy"))
        if name in ("boot", "identify"):
            seat.refused.clear()  # S15 is about what a session does by itself
        state, book, dials = seat.state, seat.book, seat.dials
        made = Made(seat, name, call(), self.loop.time(), message)
        self.made.append(made)
        if error is not None:
            assert made.call.done, f"{name} in {state.phase} must be refused at once"
            assert isinstance(outcome(made.call), error), (
                f"{name} in {state.phase} must raise {error.__name__}"
            )
            assert (seat.state, seat.book) == (state, book), (
                f"S13 a refused {name} changes the session"
            )
            return
        if made.call.done and name != "use":
            assert outcome(made.call) is None, f"{name} in {state.phase} must be accepted"
        if name == "boot" and state.phase in (*ONLINE, Phase.RECONNECTING):
            assert made.call.done, "S14 a boot of the live identity is done at once"
            assert (seat.state, seat.dials) == (state, dials), (
                "S14 a boot of the live identity opens nothing"
            )
        for path, value in values.items():
            seat.recorded[path] = str(value)
            seat.dropped.discard(path)

    def value(self, seat: Seat, who: str | None) -> str:
        self.world.count += 1
        return f"{seat.epoch}|{who or 'visitor'}|{self.world.count}"

    def call_boot(
        self, seat: Seat, user: str | None, provided: bool, described: bool, timeout: float | None
    ) -> None:
        traits = {"a": self.value(seat, user)} if described and user else {}
        options: dict[str, Any] = {}
        if user is not None:
            options = {
                "user": {"id": user, "traits": traits},
                "token_provider": Tokens(seat, user) if provided else None,
            }
        values = {f"user.traits.{key}": value for key, value in traits.items()}
        self.make(seat, "boot", user, lambda: seat.chat.boot(timeout=timeout, **options), values)

    def call_identify(
        self, seat: Seat, user: str, provided: bool, described: bool, timeout: float | None
    ) -> None:
        traits = {"a": self.value(seat, user)} if described else {}
        options: Any = {
            "user": {"id": user, "traits": traits},
            "token_provider": Tokens(seat, user) if provided else None,
        }
        values = {f"user.traits.{key}": value for key, value in traits.items()}
        self.make(
            seat, "identify", user, lambda: seat.chat.identify(timeout=timeout, **options), values
        )

    def call_shutdown(self, seat: Seat, clear: bool) -> None:
        self.make(seat, "shutdown", None, lambda: seat.chat.shutdown(clear_storage=clear))

    def call_destroy(self, seat: Seat) -> None:
        self.make(seat, "destroy", None, seat.chat.destroy)

    @rule(seat=SEATS, user=WHO, provided=MOSTLY, described=SOMETIMES, timeout=TIMEOUTS)
    def boot(
        self, seat: int, user: str | None, provided: bool, described: bool, timeout: float | None
    ) -> None:
        self.within(lambda: self.call_boot(self.seats[seat], user, provided, described, timeout))

    @rule(seat=SEATS, user=USERS, provided=MOSTLY, described=SOMETIMES, timeout=TIMEOUTS)
    def identify(
        self, seat: int, user: str, provided: bool, described: bool, timeout: float | None
    ) -> None:
        self.within(
            lambda: self.call_identify(self.seats[seat], user, provided, described, timeout)
        )

    @rule(seat=SEATS, named=st.sampled_from([None, None, "ann", "bob"]), key=st.sampled_from("ab"))
    def update(self, seat: int, named: str | None, key: str) -> None:
        chat, (signed_in, target) = self.seats[seat].chat, self.seats[seat].state.registers
        value = self.value(self.seats[seat], named or target or signed_in)
        user: Any = {"traits": {key: value}} | ({"id": named} if named else {})
        values = {f"user.traits.{key}": value}
        self.within(
            lambda: self.make(
                self.seats[seat], "update", named, lambda: chat.update(user=user), values
            )
        )

    @rule(seat=SEATS, clear=st.booleans())
    def shutdown(self, seat: int, clear: bool) -> None:
        self.within(lambda: self.call_shutdown(self.seats[seat], clear))

    @rule(seat=SEATS, really=st.sampled_from([False] * 7 + [True]))
    def destroy(self, seat: int, really: bool) -> None:
        if really:
            self.within(lambda: self.call_destroy(self.seats[seat]))

    @rule(seat=SEATS)
    def load(self, seat: int) -> None:
        self.within(lambda: self.make(self.seats[seat], "load", None, self.seats[seat].chat.load))

    @rule(seat=SEATS, again=SOMETIMES)
    def send(self, seat: int, again: bool) -> None:
        self.world.count += not again
        chat, name = self.seats[seat].chat, f"{seat} message {self.world.count}"
        self.within(
            lambda: self.make(
                self.seats[seat],
                "use",
                None,
                lambda: chat.send_message("hi", client_message_id=name),
                message=name,
            )
        )

    @rule(seat=SEATS)
    def list_conversations(self, seat: int) -> None:
        self.within(
            lambda: self.make(self.seats[seat], "use", None, self.seats[seat].chat.conversations)
        )

    # --- what else may happen ---------------------------------------------------------------------

    @rule(seat=SEATS, online=st.booleans())
    def hint(self, seat: int, online: bool) -> None:
        self.within(lambda: self.seats[seat].chat.set_online(online))

    @rule(back=st.integers(0, 3), heard=st.booleans())
    def await_and_cancel(self, back: int, heard: bool) -> None:
        """Awaits one of the latest calls, and cancels the awaiter, before or after it has run."""
        if back < len(self.made):
            made = self.made[-1 - back]

            async def do() -> None:
                awaiter = asyncio.ensure_future(made.wait())
                if heard:
                    await asyncio.sleep(0)
                awaiter.cancel()
                await asyncio.wait([awaiter])

            self.loop.run_until_complete(do())

    @rule(seat=SEATS, what=st.sampled_from(["shutdown", "boot", "boot ann", "identify", "destroy"]))
    def call_back(self, seat: int, what: str) -> None:
        """The next change of phase finds a handler that calls into the session."""
        who = self.seats[seat]
        calls: dict[str, Callable[[], None]] = {
            "shutdown": lambda: self.call_shutdown(who, False),
            "boot": lambda: self.call_boot(who, None, False, False, None),
            "boot ann": lambda: self.call_boot(who, "ann", True, True, None),
            "identify": lambda: self.call_identify(who, "bob", True, True, None),
            "destroy": lambda: self.call_destroy(who),
        }
        who.reactions.append(calls[what])

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0, 6.0, 31.0, 130.0, 900.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule()
    def all_comes_to_rest(self) -> None:
        for _ in range(20):
            self.loop.run_until_complete(asyncio.sleep(0))

    @rule(of=st.sampled_from([(part, kind) for part, kinds in WEATHER.items() for kind in kinds]))
    def weather_turns(self, of: tuple[str, str]) -> None:
        part, kind = of
        self.world.weather[part] = kind

    @rule()
    def weather_clears(self) -> None:
        self.world.weather.update(dict.fromkeys(WEATHER, "fine"))
        self.within(self.world.backend.faults.heal)

    @rule(fault=st.sampled_from(sorted(FAULTS)))
    def backend_misbehaves(self, fault: str) -> None:
        self.within(lambda: FAULTS[fault](self.world.backend))

    @rule(seat=SEATS)
    def backend_revokes(self, seat: int) -> None:
        session = self.seats[seat].book.session
        if session is not None:
            self.within(lambda: self.world.backend.faults.revoke(session))

    @rule(seat=SEATS)
    def agent_writes(self, seat: int) -> None:
        for conversation in self.world.backend.agent.conversations():
            self.within(partial(self.world.backend.agent.reply, conversation.id, "hello"))

    @rule(seat=SEATS)
    def leftover_is_found(self, seat: int) -> None:
        key = self.seats[seat].prefix + "leftover"
        self.within(lambda: self.world.storage._entries.update({key: "x"}))  # pyright: ignore[reportPrivateUsage]

    @rule(seat=SEATS, late=st.sampled_from(LATE))
    def superseded_outcome_arrives(self, seat: int, late: tuple[Lane, str]) -> None:
        """S2 A superseded outcome triggers its effect's `dispose` and nothing else."""
        who, (lane, trigger) = self.seats[seat], late

        def deliver() -> None:
            if who.runner is not None:
                seen, error = self.seen(who), NetworkError("late")
                who.trace.cause(str(lane), False, error)
                who.runner.happen(
                    Occasion(Trigger(trigger), self.loop.time(), error=error, lane=lane, tag=10**9)
                )
                assert self.seen(who) == seen, f"S2 a late {trigger} changes something"

        self.within(deliver)

    def seen(self, seat: Seat) -> tuple[object, ...]:
        stored = dict(self.world.storage._entries)  # pyright: ignore[reportPrivateUsage]
        return (
            seat.state,
            seat.book,
            seat.timers,
            current(seat),
            stored,
            [made.call.done for made in self.made],
        )

    @invariant()
    def every_promise_holds(self) -> None:
        for promise in PROMISES:
            promise(self.world)

    # --- the end ----------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.the_end()
        finally:
            self.world.backend.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

    def the_end(self) -> None:
        """L7 destroy completes in bounded time, whatever the weather, and nothing is left."""
        for seat in self.seats:
            self.within(partial(self.call_destroy, seat))
        began = self.loop.time()
        self.loop.run_until_complete(asyncio.sleep(4 * 5.0 + 1))
        for made in self.made:
            assert made.call.done, (
                f"{made.call!r} of {made.at:g} never settles; destroyed at {began:g}"
            )
        self.weather_clears()
        self.loop.run_until_complete(asyncio.sleep(60.0))
        no_watcher_saw_a_broken_promise(self.world)
        left = [task.get_name() for task in asyncio.all_tasks(self.loop)]
        assert not left, f"S25 tasks are left: {left}"
        assert self.world.backend.log.open_links == 0, "S25 a link is left open"
        self.messages_arrived_once()
        self.values_are_their_owners()
        for seat in self.seats:
            assert follow(seat.trace, MODEL) == "", (
                "the session did what the checker has not explored"
            )

    def messages_arrived_once(self) -> None:
        """A message that was acknowledged is stored once; what the agent wrote was told once."""
        agent = self.world.backend.agent
        assert agent.duplicates() == 0
        stored = [m.client_message_id for c in agent.conversations() for m in agent.messages(c.id)]
        for made in self.made:
            if made.message and outcome(made.call) is None:
                assert stored.count(made.message) == 1
        for seat in self.seats:
            assert len(seat.received) == len(set(seat.received)), "a message was told twice"

    def values_are_their_owners(self) -> None:
        """S7, S17 What the backend knows of somebody was recorded for them; no user exists
        twice.
        """
        agent = self.world.backend.agent
        users = [user.user_id for user in agent.users()]
        assert len(users) == len(set(users))
        owners = [(user, user.user_id) for user in agent.users()] + [
            (visitor, "visitor") for visitor in agent.visitors()
        ]
        for identity, name in owners:
            for value in agent.traits(identity).values():
                assert str(value).split("|")[1] == name


def test_any_story() -> None:
    run_state_machine_as_test(Stories)
