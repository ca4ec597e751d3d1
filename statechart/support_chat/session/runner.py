"""Runs the chart: every call, outcome, event and expiry becomes a trigger, every effect of the step is carried out, in order.

This is the whole of the shell. It knows the kinds of effects, not the lifecycle: there is no branch on a phase here, and nothing is
decided that the chart does not say. A step runs to its end, internal triggers included, before anything else happens; everything
runs on the loop that made the first call.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs

from ..book.book import Book, arrive, facts, note, outliving
from ..book.delays import DELAYS, Wait, leaves_in
from ..book.occasion import Occasion
from ..book.telling import changed, told
from ..chart.machine import Compiled, Input, State
from ..chart.model import Abandon, Arm, Ask, Detach, Disarm, EffectSpec, Fail, Join, Raise, Refusal, Settle, Transition
from ..errors import NetworkError, RateLimitedError, SupportChatError
from ..events import AnyEvent, MessageFailed, MessageSent, PhaseChanged
from ..lifecycle.alphabet import Effect as E
from ..lifecycle.alphabet import Lane, Phase, Slot, Trigger
from ..lifecycle.chart import CHART
from ..ports import Link, LinkEvent, MessageArrived, SessionRevoked, Storage, TokenExpired, Transport
from ..settings import Settings
from ..values import IdentifyResult, Message
from .asks import Asks
from .calls import Call, Slots, settle_all
from .listeners import Listeners
from .performers import Place, Work
from .timers import Clock, Timers

LOG: Final = logging.getLogger("support_chat")
COMPILED: Final = Compiled(CHART)

_ABANDONS: Final = {Slot.BOOT: Trigger.ABANDON_BOOT, Slot.IDENTIFY: Trigger.ABANDON_IDENTIFY}
_CUT_LANES: Final = CHART.effects[E.CUT].lanes  # type: ignore[union-attr]  # it is an Abandon
_CALL_NAMES: Final = {Trigger.USE: "send_message"}


@attrs.frozen
class _Moment:
    """One effect being carried out: the book before it, what it is about, whose call it answers, what went wrong."""

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
    compiled: Compiled = COMPILED
    """The chart that is run: the shipped one, unless a replay shows what a faulty one would do."""
    state: State = attrs.field(default=attrs.Factory(lambda self: self.compiled.initial, takes_self=True))
    book: Book = attrs.field(factory=Book)
    link: Link | None = None
    clock: Clock = attrs.field(init=False)
    timers: Timers = attrs.field(init=False)
    asks: Asks = attrs.field(init=False)
    slots: Slots = attrs.field(factory=Slots)
    using: set[Call[Any]] = attrs.field(factory=set)
    """Calls that use the link and have no answer yet."""
    leaving: set[Link] = attrs.field(factory=set)
    """Links of ended sessions that still say goodbye."""
    background: set[asyncio.Task[Any]] = attrs.field(factory=set)
    pump: asyncio.Task[Any] | None = None
    """What listens to the link."""
    internal: deque[Trigger] = attrs.field(factory=deque)

    def __attrs_post_init__(self) -> None:
        self.clock = Clock(self.loop)
        self.timers = Timers(self.loop, self.clock)
        self.asks = Asks(self.loop)

    # --- what comes in --------------------------------------------------------------------------------------------------

    def call(self, call: Call[Any]) -> None:
        """A call of the user."""
        self.happen(self.occasion(call.trigger, asked=call.asked), call)

    def hint(self, trigger: Trigger) -> None:
        """A hint of the platform."""
        self.happen(self.occasion(trigger))

    def awaiter_left(self, call: Call[Any]) -> None:
        """The last awaiter of a call was cancelled: the operation is abandoned if nobody else waits for it."""
        abandon = _ABANDONS.get(self.slots.all_left(call) or "")  # type: ignore[call-overload]
        if abandon is not None:
            self.hint(abandon)

    def nobody_heard(self, call: Call[Any], error: Exception) -> None:
        """A call failed that nobody can await any more."""
        LOG.warning("%s() failed and nobody awaited it: %s", call.trigger, error)
        if not self.loop.is_closed():
            self._emit(told(self.book, E.TELL_ERROR, self.occasion(call.trigger), error))

    def occasion(self, trigger: str, **rest: Any) -> Occasion:
        """The trigger with the time, and with what it brings along."""
        heard = self.clock() if self.link is None else self.clock() - (self.loop.time() - self.link.heard_at)
        return Occasion(Trigger(trigger), self.clock(), fresh_id=uuid.uuid4().hex, heard_at=heard, **rest)

    # --- the step -------------------------------------------------------------------------------------------------------

    def happen(self, occasion: Occasion, call: Call[Any] | None = None) -> None:
        """Steps the chart, carries out the effects, and lets internal triggers run to completion."""
        before = self.book
        self._step(occasion, call)
        while self.internal:
            self._step(attrs.evolve(occasion, trigger=self.internal.popleft(), lane=None, tag=0), call)
        self._emit(changed(before, self.book))

    def _step(self, occasion: Occasion, call: Call[Any] | None) -> None:
        happening = Input(occasion.trigger, self.compiled.mask(facts(self.book, occasion, self.settings)), occasion.named)
        before = self.state
        self.state, row = self.compiled.fire(before, happening)
        LOG.debug("%s --%s--> %s by %s", before.phase, occasion.trigger, self.state.phase, row.name)
        if self.state.phase != before.phase:
            self._emit((PhaseChanged(Phase(before.phase), Phase(self.state.phase), row.reason),))
        self.book = arrive(self.book, occasion)
        for effect in row.effects:
            self._carry_out(effect, row, occasion, call)

    def _carry_out(self, effect: str, row: Transition, occasion: Occasion, call: Call[Any] | None) -> None:
        spec, before = self.compiled.chart.effects[effect], self.book
        error = self._error(row, occasion)
        self._emit(told(before, effect, occasion, error))
        self.book = note(before, effect, occasion, self.settings)
        moment = _Moment(effect, before, occasion, call, error)
        if (carry_out := _KINDS.get(type(spec))) is not None:
            carry_out(self, spec, moment)
        elif (answer := _NOTES.get(effect)) is not None:
            answer(self, moment)

    def _error(self, row: Transition, occasion: Occasion) -> Exception | None:
        if row.error is None:
            return occasion.error
        error = make(row.error, occasion.trigger, self.state.phase)
        error.__cause__ = occasion.error
        return error

    def _emit(self, events: tuple[AnyEvent, ...]) -> None:
        for event in events:
            self.listeners.emit(event, self.loop)

    # --- the kinds of effects -------------------------------------------------------------------------------------------

    def _ask(self, spec: Ask, moment: _Moment) -> None:
        lane, call = Lane(spec.lane), moment.call if spec.several else None
        tag, began, asked = self.book.tag(lane), self.book.session is None, moment.occasion.asked if spec.several else None
        leaving = self.link if moment.effect == E.PART else None
        if call is not None:
            self.using.add(call)
        if leaving is not None:  # it says goodbye on the link itself: what CUT aborts is no longer ours
            self.leaving.add(leaving)

        def deliver(trigger: str, result: object, failure: Exception | None) -> None:
            link: Link | None = None
            if trigger == Trigger.LINK_UP:
                link = result  # type: ignore[assignment]  # the one effect whose result is a link
                result = link.welcome if link is not None else None
            came = self.occasion(
                trigger,
                asked=asked,
                result=result,
                error=failure,
                lane=lane,
                tag=tag,
                link=link,
                began=began,
            )
            if leaving in self.leaving:
                self.leaving.discard(leaving)
                self._abort(leaving)
            self.happen(came, call)

        book = self.book if lane in _CUT_LANES else outliving(self.book)
        work = Work(self.storage, self.transport, self.place, book, asked, self.link, self._release)
        self.link = None if leaving is not None else self.link
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
            for link in tuple(self.leaving):
                self._abort(link)
            self.leaving.clear()
        if Lane.LINK in spec.lanes:
            self._abort(self.link)
            self.link = None
            if self.pump is not None and self.pump is not asyncio.current_task():
                self.pump.cancel()  # an aborted link delivers nothing; one that does all the same is not heard
            self.pump = None
            lost = NetworkError("The link closed before the answer came; it is not known whether the backend got it.")
            for call in tuple(self.using):
                self._answer_use(call, None, lost)

    # --- notes that answer somebody -------------------------------------------------------------------------------------

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
        self.link = moment.occasion.link
        if self.link is not None:
            self.pump = self._in_background(self._pump(self.link, moment.occasion.tag), "link")

    def _dispose(self, moment: _Moment) -> None:
        link = moment.occasion.link
        if link is not None:
            self._abort(link)
            if moment.occasion.began:
                self._in_background(self._revoke(link.welcome.session), "revoke")

    def _result(self, call: Call[Any], occasion: Occasion) -> Any:
        if call.trigger == Trigger.BOOT:
            return self.book.identity
        if call.trigger == Trigger.UPDATE:
            return leaves_in(self._wait(occasion))
        if call.trigger == Trigger.IDENTIFY:
            answer = occasion.identified
            if answer is None:
                return IdentifyResult(False, 0, "already_signed_in")
            return IdentifyResult(answer.merged, answer.conversations_moved, answer.not_merged_because)
        return None

    # --- the link and the end -------------------------------------------------------------------------------------------

    async def _pump(self, link: Link, tag: int) -> None:
        error: Exception | None = None
        try:
            async for event in link.events():
                self.happen(self._arrived(event, tag))
        except Exception as raised:
            error = raised
            if not isinstance(raised, SupportChatError):
                LOG.exception("a link failed in a way that its port does not know; it counts as lost")
        self.happen(self.occasion(Trigger.LINK_LOST, error=error, lane=Lane.LINK, tag=tag))

    def _arrived(self, event: LinkEvent, tag: int) -> Occasion:
        match event:
            case MessageArrived():
                return self.occasion(Trigger.MESSAGE_ARRIVED, result=event, lane=Lane.LINK, tag=tag)
            case TokenExpired():
                return self.occasion(Trigger.TOKEN_EXPIRED, lane=Lane.LINK, tag=tag)
            case SessionRevoked():
                ended = SupportChatError("The backend ended this session: boot() begins a new one.", reason=event.reason)
                return self.occasion(Trigger.SESSION_REVOKED, error=ended, lane=Lane.LINK, tag=tag)

    def _abort(self, link: Link | None) -> None:
        if link is None:
            return
        try:
            link.abort()
        except Exception:
            LOG.exception("a link could not be aborted; the session goes on without it")

    async def _revoke(self, session: str) -> None:
        try:
            async with asyncio.timeout(self.settings.revoke_timeout):
                await self.transport.revoke(session)
        except Exception as error:
            LOG.info("a superseded session could not be revoked: %s", type(error).__name__)

    def _in_background(self, work: Any, name: str) -> asyncio.Task[Any]:
        task = self.loop.create_task(work, name=f"support-chat {name}")
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    async def _release(self) -> None:
        self.listeners.close()
        await self.asks.ended(but=asyncio.current_task())
        if self.background:  # revocations of superseded sessions, each with its limit
            await asyncio.wait(tuple(self.background))


def make(refusal: Refusal, trigger: str, phase: str) -> SupportChatError:
    """The error that a row's data describes, for this call in this phase."""
    return refusal.error(refusal.message.format(call=_CALL_NAMES.get(Trigger(trigger), trigger), phase=phase))


_KINDS: Final[dict[type[EffectSpec], Callable[..., None]]] = {
    Ask: Runner._ask,
    Arm: Runner._arm,
    Disarm: Runner._disarm,
    Join: Runner._join,
    Settle: Runner._settle,
    Fail: Runner._fail,
    Raise: Runner._raise,
    Abandon: Runner._abandon,
    Detach: Runner._detach,
}

_NOTES: Final[dict[str, Callable[..., None]]] = {
    E.DONE: Runner._done,
    E.REFUSE: Runner._refuse,
    E.ANSWER: Runner._answer,
    E.SETTLE_DETACHED: Runner._settle_detached,
    E.KEEP_LINK: Runner._keep_link,
    E.DISPOSE: Runner._dispose,
}
