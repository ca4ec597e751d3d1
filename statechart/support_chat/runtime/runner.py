"""Runs the chart: every call, outcome, event and expiry becomes a trigger, every effect of the step
is carried out, in order.

This is the whole of the shell. It knows the kinds of effects, not the lifecycle: there is no branch
on a phase here, and nothing is decided that the chart does not say. A step runs to its end,
internal triggers included, before anything else happens; everything runs on the loop that made the
first call.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Final

import attrs

from ..chart.machine import Compiled, Input, State
from ..chart.model import (
    Abandon,
    Arm,
    Ask,
    Detach,
    Disarm,
    EffectSpec,
    Fail,
    Join,
    Raise,
    Settle,
    Transition,
)
from ..errors import NetworkError, RateLimitedError, SupportChatError
from ..lifecycle.announcements import changed, told
from ..lifecycle.chart import CHART
from ..lifecycle.context import Book, facts
from ..lifecycle.delays import DELAYS, Wait, leaves_in
from ..lifecycle.events import AnyEvent, ErrorOccurred, MessageFailed, MessageSent, PhaseChanged
from ..lifecycle.names import Effect as E
from ..lifecycle.names import Lane, Phase, Slot, Trigger
from ..lifecycle.occasion import Occasion
from ..lifecycle.reducers import arrive, note, outliving
from ..ports import (
    Link,
    LinkEvent,
    MessageArrived,
    SessionRevoked,
    Storage,
    TokenExpired,
    Transport,
)
from ..settings import Settings
from ..values import IdentifyResult, Message
from .adapters import Place, Work
from .asks import Asks
from .calls import Call, Slots, settle_all
from .links import Links
from .listeners import Listeners
from .timers import Clock, Timers

LOG: Final = logging.getLogger("support_chat")


@functools.cache
def shipped() -> Compiled:
    """The shipped chart, compiled at its first use: once for a process, and not by importing the
    library.
    """
    return Compiled(CHART)


_ABANDONS: Final = {Slot.BOOT: Trigger.ABANDON_BOOT, Slot.IDENTIFY: Trigger.ABANDON_IDENTIFY}
_CUT_LANES: Final = CHART.effects[E.CUT].lanes  # type: ignore[union-attr]  # it is an Abandon


@attrs.frozen
class _Moment:
    """One effect being carried out: the book before it, what it is about, whose call it answers,
    what went wrong.
    """

    effect: str
    before: Book
    occasion: Occasion
    call: Call[Any] | None
    error: Exception | None


@attrs.define(eq=False)
class Runner:
    """One session at work; `state` and `book` are what it knows, everything else is machinery."""

    storage: Storage
    transport: Transport
    place: Place
    settings: Settings
    listeners: Listeners
    loop: asyncio.AbstractEventLoop
    compiled: Compiled = attrs.field(factory=shipped)
    """The chart that is run: the shipped one, unless a replay shows what a faulty one would do."""
    state: State = attrs.field(
        default=attrs.Factory(lambda self: self.compiled.initial, takes_self=True)
    )
    book: Book = attrs.field(factory=Book)
    clock: Clock = attrs.field(init=False)
    timers: Timers = attrs.field(init=False)
    asks: Asks = attrs.field(init=False)
    links: Links = attrs.field(init=False)
    slots: Slots = attrs.field(factory=Slots)
    using: set[Call[Any]] = attrs.field(factory=set[Call[Any]])
    """Calls that use the link and have no answer yet."""
    internal: deque[Trigger] = attrs.field(factory=deque[Trigger])

    def __attrs_post_init__(self) -> None:
        self.clock = Clock(self.loop)
        self.timers = Timers(self.loop, self.clock)
        self.asks = Asks(self.loop)
        self.links = Links(self.loop, self.transport, self.settings, self._heard)

    # --- what comes in ----------------------------------------------------------------------------

    def call(self, call: Call[Any]) -> None:
        """A call of the user."""
        self.happen(self.occasion(call.trigger, asked=call.asked), call)

    def hint(self, trigger: Trigger) -> None:
        """A hint of the platform."""
        self.happen(self.occasion(trigger))

    def awaiter_left(self, call: Call[Any]) -> None:
        """The last awaiter of a call was cancelled: the operation is abandoned if nobody else waits
        for it.
        """
        abandon = _ABANDONS.get(self.slots.all_left(call) or "")  # type: ignore[call-overload]
        if abandon is not None:
            self.hint(abandon)

    def nobody_heard(self, call: Call[Any], error: Exception) -> None:
        """A call failed that nobody can await any more."""
        LOG.warning("%s() failed and nobody awaited it: %s", call.asked.called(call.trigger), error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens either
            # a call may be dropped on any thread
            self.loop.call_soon_threadsafe(self._emit, (ErrorOccurred(error),))

    def occasion(self, trigger: str, **rest: Any) -> Occasion:
        """The trigger with the time, and with what it brings along."""
        link = self.links.open
        heard = self.clock() if link is None else self.clock() - (self.loop.time() - link.heard_at)
        return Occasion(
            Trigger(trigger), self.clock(), fresh_id=uuid.uuid4().hex, heard_at=heard, **rest
        )

    # --- the step ---------------------------------------------------------------------------------

    def happen(self, occasion: Occasion, call: Call[Any] | None = None) -> None:
        """Steps the chart, carries out the effects, and lets internal triggers run to
        completion.
        """
        before = self.book
        self._step(occasion, call)
        while self.internal:
            self._step(
                attrs.evolve(occasion, trigger=self.internal.popleft(), lane=None, tag=0), call
            )
        self._emit(changed(before, self.book))

    def _step(self, occasion: Occasion, call: Call[Any] | None) -> None:
        happening = Input(
            occasion.trigger,
            self.compiled.mask(facts(self.book, occasion, self.settings)),
            occasion.named,
        )
        before = self.state
        self.state, row = self.compiled.fire(before, happening)
        LOG.debug("%s --%s--> %s by %s", before.phase, occasion.trigger, self.state.phase, row.name)
        if self.state.phase != before.phase:
            self._emit((PhaseChanged(Phase(before.phase), Phase(self.state.phase), row.reason),))
        self.book = arrive(self.book, occasion)
        for effect in row.effects:
            self._carry_out(effect, row, occasion, call)

    def _carry_out(
        self, effect: str, row: Transition, occasion: Occasion, call: Call[Any] | None
    ) -> None:
        spec, before = self.compiled.chart.effects[effect], self.book
        error = self._error(row, occasion)
        self._emit(told(before, effect, occasion, error))
        self.book = note(before, effect, occasion, self.settings)
        moment = _Moment(effect, before, occasion, call, error)
        if (carry_out := self.KINDS.get(type(spec))) is not None:
            carry_out(self, spec, moment)
        elif (answer := self.NOTES.get(effect)) is not None:
            answer(self, moment)

    def _error(self, row: Transition, occasion: Occasion) -> Exception | None:
        if row.error is None:
            return occasion.error
        called = (
            occasion.trigger if occasion.asked is None else occasion.asked.called(occasion.trigger)
        )
        error = row.error.make(called, self.state.phase)
        if isinstance(error, RateLimitedError):
            error.retry_after = max(0.0, self.book.not_before - occasion.now)
        error.__cause__ = occasion.error
        return error

    def _emit(self, events: tuple[AnyEvent, ...]) -> None:
        for event in events:
            self.listeners.emit(event, self.loop)

    # --- the kinds of effects ---------------------------------------------------------------------

    def _ask(self, spec: Ask, moment: _Moment) -> None:
        lane, call = Lane(spec.lane), moment.call if spec.several else None
        tag, began, asked = (
            self.book.tag(lane),
            self.book.session is None,
            moment.occasion.asked if spec.several else None,
        )
        if call is not None:
            self.using.add(call)
        book = self.book if lane in _CUT_LANES else outliving(self.book)
        parts = moment.effect == E.PART  # what says goodbye is no longer ours to abort
        link = self.links.leave() if parts else self.links.open

        def deliver(trigger: str, result: object, failure: Exception | None) -> None:
            opened: Link | None = None
            if trigger == Trigger.LINK_UP:
                opened = result  # type: ignore[assignment]  # the one effect whose result is a link
                result = opened.welcome if opened is not None else None
            came = self.occasion(
                trigger,
                asked=asked,
                result=result,
                error=failure,
                lane=lane,
                tag=tag,
                link=opened,
                began=began,
            )
            if parts and link is not None:
                self.links.left(link)
            self.happen(came, call)

        work = Work(self.storage, self.transport, self.place, book, asked, link, self._release)
        self.asks.start(moment.effect, spec, work, getattr(self.settings, spec.limit), deliver)

    def _arm(self, spec: Arm, moment: _Moment) -> None:
        delay = DELAYS[spec.delay](self._wait(moment.occasion))
        if delay is None:
            self.timers.disarm((spec.timer,))
        else:
            self.timers.arm(spec.timer, delay, lambda: self.happen(self.occasion(spec.expiry)))

    def _wait(self, occasion: Occasion) -> Wait:
        return Wait(self.book, occasion, self.settings, random.random())

    def _disarm(self, spec: Disarm, moment: _Moment) -> None:
        self.timers.disarm(spec.timers)

    def _join(self, spec: Join, moment: _Moment) -> None:
        if moment.call is not None:
            self.slots.join(spec.slot, moment.call)

    def _settle(self, spec: Settle, moment: _Moment) -> None:
        settle_all(self.slots.take(spec.slot), lambda call: self._result(call, moment.occasion))

    def _fail(self, spec: Fail, moment: _Moment) -> None:
        error = moment.error or SupportChatError("The call failed.")
        settle_all(self.slots.take(spec.slot), lambda _: None, error)

    def _raise(self, spec: Raise, moment: _Moment) -> None:
        self.internal.append(Trigger(spec.trigger))

    def _detach(self, spec: Detach, moment: _Moment) -> None:
        self.slots.detach(spec.slots, moment.before.tag(Lane(spec.lane)))

    def _abandon(self, spec: Abandon, moment: _Moment) -> None:
        self.asks.abandon(spec.lanes)
        if Lane.PART in spec.lanes:
            self.links.left()
        if Lane.LINK in spec.lanes:
            self.links.cut()
            lost = NetworkError(
                "The link closed before the answer came; it is not known whether the backend got "
                "it."
            )
            for call in tuple(self.using):
                self._answer_use(call, None, lost)

    # --- notes that answer somebody ---------------------------------------------------------------

    def _done(self, moment: _Moment) -> None:
        if moment.call is not None:
            moment.call.settle(self._result(moment.call, moment.occasion))

    def _refuse(self, moment: _Moment) -> None:
        if moment.call is not None:
            moment.call.settle(error=moment.error)

    def _answer(self, moment: _Moment) -> None:
        if moment.call is not None and moment.call in self.using:
            self._answer_use(moment.call, moment.occasion.result, moment.occasion.error)

    def _answer_use(self, call: Call[Any], result: object, error: Exception | None) -> None:
        self.using.discard(call)
        message = call.asked.message
        if message is not None and error is not None:
            unknown = isinstance(error, NetworkError) and not isinstance(error, RateLimitedError)
            self._emit((MessageFailed(message.client_message_id, error, unknown),))
        elif isinstance(result, Message):
            self._emit((MessageSent(result),))
        call.settle(result, error)

    def _settle_detached(self, moment: _Moment) -> None:
        tag = moment.occasion.tag if moment.occasion.lane is Lane.PART else None
        settle_all(self.slots.take_detached(tag), lambda call: self._result(call, moment.occasion))

    def _keep_link(self, moment: _Moment) -> None:
        if moment.occasion.link is not None:
            self.links.keep(moment.occasion.link, moment.occasion.tag)

    def _dispose(self, moment: _Moment) -> None:
        if moment.occasion.link is not None:
            self.links.dispose(moment.occasion.link, moment.occasion.began)

    def _result(self, call: Call[Any], occasion: Occasion) -> Any:
        if call.trigger == Trigger.BOOT:
            return self.book.identity
        if call.trigger == Trigger.UPDATE:
            return leaves_in(self._wait(occasion))
        if call.trigger == Trigger.IDENTIFY:
            answer = occasion.identified
            if answer is None:
                return IdentifyResult(False, 0, "already_signed_in")
            return IdentifyResult(
                answer.merged, answer.conversations_moved, answer.not_merged_because
            )
        return None

    # --- the link and the end ---------------------------------------------------------------------

    def _heard(self, event: LinkEvent | None, error: Exception | None, tag: int) -> None:
        match event:
            case MessageArrived():
                self.happen(
                    self.occasion(Trigger.MESSAGE_ARRIVED, result=event, lane=Lane.LINK, tag=tag)
                )
            case TokenExpired():
                self.happen(self.occasion(Trigger.TOKEN_EXPIRED, lane=Lane.LINK, tag=tag))
            case SessionRevoked():
                ended = SupportChatError(
                    "The backend ended this session: boot() begins a new one.", reason=event.reason
                )
                self.happen(
                    self.occasion(Trigger.SESSION_REVOKED, error=ended, lane=Lane.LINK, tag=tag)
                )
            case None:
                self.happen(self.occasion(Trigger.LINK_LOST, error=error, lane=Lane.LINK, tag=tag))

    async def _release(self) -> None:
        self.listeners.close()
        await self.asks.ended(but=asyncio.current_task())
        await self.links.ended()

    KINDS: ClassVar[dict[type[EffectSpec], Callable[..., None]]] = {
        Ask: _ask,
        Arm: _arm,
        Disarm: _disarm,
        Join: _join,
        Settle: _settle,
        Fail: _fail,
        Raise: _raise,
        Abandon: _abandon,
        Detach: _detach,
    }
    NOTES: ClassVar[dict[str, Callable[..., None]]] = {
        E.DONE: _done,
        E.REFUSE: _refuse,
        E.ANSWER: _answer,
        E.SETTLE_DETACHED: _settle_detached,
        E.KEEP_LINK: _keep_link,
        E.DISPOSE: _dispose,
    }
