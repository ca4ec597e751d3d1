"""A real session that does its part of a story: whatever it asks, hears or waits for is held until
the story says what becomes of it.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import attrs

from leading.gates import (
    Crossing,
    Gate,
    HeldConnection,
    HeldStorage,
    HeldTimers,
    Noted,
    settled,
)
from support_chat import Chart, Settings, SupportChat
from support_chat.chart.model import Ask
from support_chat.engine import Perform
from support_chat.errors import RateLimitedError, StorageError
from support_chat.lifecycle.events import AnyEvent
from support_chat.lifecycle.names import Effect as E, Fact as F, Slot, Trigger as T
from support_chat.lifecycle.requests import SendMessage
from support_chat.ports import Credentials, LinkEvent, Storage, Welcome
from support_chat.runtime.calls import Call
from support_chat.runtime.shell import Timers
from support_chat.testing.trace import watch
from support_chat.verify import Occurrence, Places
from support_chat.verify.replay import Impossible, differs
from support_chat.verify.trace import Trace
from support_chat_adapters.backend import Backend, Connection
from support_chat_adapters.transport import LoopbackTransport

IDS: Final[dict[str, Any]] = {"workspace_id": "acme", "widget_id": "help"}
_LONG: Final = 3000.0
_SHORT: Final = 1e-9
SETTINGS: Final = Settings(
    connect_timeout=_LONG,
    boot_timeout=_LONG,
    call_timeout=_LONG,
    storage_timeout=100.0,
    outbox_timeout=_LONG,
    revoke_timeout=_LONG,
    backoff_base=2 * _SHORT,
    backoff_min=_SHORT,
    backoff_max=2 * _SHORT,
    probe_interval=_SHORT,
)
"""Limits beyond every story, but for what it gives up, and for how long a backend may ask a boot to
stay away; pauses that end before anything else happens,
since a story knows of none.
"""

OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    E.CHECK_ADAPTERS: ("get",),
    E.CHECK_VISITOR: ("get",),
    E.READ_VISITOR: ("delete", "create"),
    E.CLEAR_USER: ("keys", "delete"),
    E.CLEAR_ALL: ("keys", "delete"),
    E.DIAL: ("dial",),
    E.SEND_IDENTIFY: ("identify",),
    E.SEND_UPDATE: ("update",),
    E.SEND_MESSAGES: ("send", "mark_read"),
    E.USE_LINK: ("conversations", "messages"),
    E.PART: ("revoke", "close"),
}
"""By which requests each effect is done, the one that does it last."""
_ABANDONED: Final = {T.ABANDON_BOOT: Slot.BOOT, T.ABANDON_IDENTIFY: Slot.IDENTIFY}


class Loss(enum.Enum):
    """What becomes of a request whose outcome is told as a failure."""

    NEVER_ARRIVES = enum.auto()
    ANSWER = enum.auto()
    """It has arrived, and its answer is lost."""
    LATE = enum.auto()
    """It may still arrive."""
    GIVEN_UP = enum.auto()
    """It takes longer than the session's limit."""


class Director(Protocol):
    """Who knows what the places of a composition say of a step, from `before` to `after` it."""

    def send(self, tab: Tab, before: Places, after: Places) -> Call[Any]:
        """Makes the call that the story calls `send_message()`."""
        ...

    def crossing(self, tab: Tab, one: Occurrence, before: Places, after: Places) -> Crossing | None:
        """The request whose outcome is told; None: whichever the session waits for."""
        ...

    def loss(self, tab: Tab, one: Occurrence, before: Places, after: Places) -> Loss:
        """What becomes of the request that is told as failed."""
        ...


class Served(Protocol):
    """The backend as one tab has it."""

    def connect(self, credentials: Credentials) -> Connection:
        """A link of the tab."""
        ...

    def welcome(self, connection: Connection) -> Welcome:
        """What the tab is answered."""
        ...

    def telling(self, event: LinkEvent) -> LinkEvent | None:
        """What the tab hears of an event; None if it does not."""
        ...


class Way:
    """What a loopback takes for the backend: `served`, behind a gate."""

    def __init__(self, served: Served, gate: Gate) -> None:
        self.served, self.faults = served, self
        self.connection: HeldConnection | None = None
        """The last one."""
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self.served, name)

    def connect(self, credentials: Credentials) -> HeldConnection:
        inner = self.served.connect(credentials)
        welcome = self.served.welcome(inner)
        self.connection = HeldConnection(inner, welcome, self.served.telling, self._gate)
        return self.connection

    async def cross(
        self,
        operation: str,
        work: Callable[[], Any],
        *,
        connection: object = None,
        undo: Callable[[Any], None] | None = None,
    ) -> Any:
        return await self._gate.cross(operation, work, undo=undo)


@attrs.define(eq=False)
class Tab:
    """One session, and whatever it has to do with the world."""

    number: int
    chart: Chart
    chat: SupportChat
    gate: Gate
    storage: HeldStorage
    way: Way
    trace: Trace
    timers: HeldTimers
    events: list[AnyEvent] = attrs.field(factory=list[AnyEvent])
    awaiting: dict[int, asyncio.Task[Any]] = attrs.field(factory=dict[int, "asyncio.Task[Any]"])
    """Who awaits each call, by its number."""

    @classmethod
    def begin(
        cls,
        number: int,
        chart: Chart,
        served: Served,
        place: Storage,
        noted: Noted,
        *,
        lands_late: bool = False,
        looks_mint: bool = False,
    ) -> Tab:
        """A tab that nothing was asked of yet."""
        gate = Gate(noted)
        storage, way = HeldStorage(gate, place, lands_late, looks_mint), Way(served, gate)
        transport = LoopbackTransport(cast("Backend", way))
        chat = SupportChat(**IDS, transport=transport, storage=storage, settings=SETTINGS)
        trace = watch(chat, chart)
        shell = chat._shell  # pyright: ignore[reportPrivateUsage]
        assert shell is not None, "watch() has made it"
        timers = HeldTimers(shell.timers)
        shell.timers = cast("Timers", timers)
        tab = cls(number, chart, chat, gate, storage, way, trace, timers)
        chat.on(object, tab.events.append)
        return tab

    def awaits(self, call: Call[Any]) -> None:
        """Somebody awaits this call."""

        async def awaited() -> Any:
            return await call

        self.awaiting[call.number] = asyncio.create_task(awaited())

    async def does(
        self,
        one: Occurrence,
        director: Director,
        before: Places,
        after: Places,
    ) -> str:
        """Does one step of a story; returns how what it does differs, "" if it does not. Raises
        Impossible.
        """
        taken = len(self.trace.steps)
        await self._bring(one, director, before, after)
        await settled()
        return differs(self.chart, one, self.trace.steps[taken:])

    async def _bring(
        self, one: Occurrence, director: Director, before: Places, after: Places
    ) -> None:
        trigger, spec = T(one.trigger), self.chart.effects.get(one.of)
        if trigger in _ABANDONED:
            for call in self.trace.account.slots.get(_ABANDONED[trigger], ()):
                self.awaiting[call].cancel()
        elif trigger in (T.GO_ONLINE, T.GO_OFFLINE):
            self.chat.set_online(trigger is T.GO_ONLINE)
        elif not one.of:
            self.awaits(
                director.send(self, before, after) if trigger is T.SEND else self._call(one)
            )
        elif trigger in self.chart.events:
            self._hear(trigger)
        elif isinstance(spec, Ask):
            await self._outcome(one, spec, director, before, after)
        elif one.of not in self.timers.running:
            raise Impossible(f"the timer {one.of} does not run")
        else:
            await self.timers.expire(one.of)

    def _call(self, one: Occurrence) -> Call[Any]:
        chat, full = self.chat, F.FULL in one.carried
        user = None if one.user is None else {"id": one.user}
        match T(one.trigger):
            case T.LOAD:
                return chat.load()
            case T.BOOT:
                return chat.boot(user=user)
            case T.IDENTIFY if user is not None:
                return chat.identify(user=user)
            case T.BECOME:
                return chat.become(user, clear_storage=full)
            case T.UPDATE:
                return chat.update(context={"n": len(self.awaiting)})
            case T.USE:
                return chat.conversations()
            case T.SHUTDOWN:
                return chat.shutdown(clear_storage=full)
            case T.DESTROY:
                return chat.destroy()
            case _:
                raise Impossible(f"nobody can call {one.trigger} so")

    def _hear(self, trigger: T) -> None:
        connection = self.way.connection
        if connection is None or self.trace.account.link is None:
            raise Impossible("no link is open")
        if trigger is T.LINK_LOST:
            connection.lose()
        elif not connection.hear():
            raise Impossible("the backend has said nothing that the tab has not heard")

    async def _outcome(
        self, one: Occurrence, spec: Ask, director: Director, before: Places, after: Places
    ) -> None:
        operations, taken = OPERATIONS[one.of], len(self.trace.steps)
        told = director.crossing(self, one, before, after)  # of several
        fails = one.trigger == spec.failure and one.trigger != spec.success
        loss = director.loss(self, one, before, after) if fails else None
        while len(self.trace.steps) == taken:
            crossing = told or next(iter(self.gate.awaited(operations)), None)
            if crossing is None:
                raise Impossible(f"the session waits for no {' or '.join(operations)}")
            last = crossing.operation == operations[-1] or told is not None
            if loss is Loss.GIVEN_UP and last:
                await asyncio.sleep(SETTINGS.storage_timeout)
            elif loss is None or (loss in (Loss.ANSWER, Loss.GIVEN_UP) and not last):
                await self._passes(crossing, one.trigger)
            else:
                await self._lost(crossing, loss, one, spec)
            await settled()

    async def _passes(self, crossing: Crossing, trigger: str) -> None:
        if not crossing.arrived:
            await crossing.arrive()
        other = crossing.operation == "get" and crossing.result != self.storage.secret
        if trigger == T.VISITOR_CHECKED and other:
            crossing.lose(StorageError("The storage is out of order."))
        else:
            crossing.answer()

    async def _lost(self, crossing: Crossing, loss: Loss, one: Occurrence, spec: Ask) -> None:
        if loss is Loss.ANSWER and not crossing.arrived:
            await crossing.arrive()
        if loss is Loss.NEVER_ARRIVES:
            crossing.drop()
        assert spec.blame is not None, "whatever a session asks says whose fault a failure is"
        beyond = F.BEYOND in one.carried
        later = RateLimitedError("Later.", retry_after=1e9)
        crossing.lose(later if beyond else spec.blame.error("No answer."))

    # --- messages ---------------------------------------------------------------------------------

    def sends(self) -> Sequence[tuple[SendMessage, Crossing]]:
        """Every message and mark that has left, with its request, in their order."""
        asked = [
            command.request.payload
            for step in self.trace.steps
            for command in step.commands
            if isinstance(command, Perform) and command.request.effect == E.SEND_MESSAGES
        ]
        return list(zip(asked, self.gate.of("send", "mark_read"), strict=True))

    # --- the end ----------------------------------------------------------------------------------

    async def open(self, *, lost: bool) -> None:
        """From now on everything goes well, and nothing is held; what nobody waits for is `lost`,
        or arrives.
        """
        await self.gate.open(lost=lost)
        self.timers.open()
        if self.way.connection is not None:
            self.way.connection.open()

    async def end(self) -> None:
        """Destroys the session."""
        await self.chat.destroy()
        await asyncio.gather(*self.awaiting.values(), return_exceptions=True)
        if self.way.connection is not None:
            self.way.connection.close("the story is over")
