"""What a step is made of: one small action for each effect of a row, compiled once a chart.

A *plan* is what a row does: the actions of its effects, in order. It is made once for each row,
whoever runs the chart, so that a step looks nothing up. The actions work on a `Step`: the parts of
the snapshot that are being changed, and the commands so far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

from ..chart.machine import State
from ..chart.model import (
    Abandon,
    Answer,
    Arm,
    Ask,
    Chart,
    Detach,
    Disarm,
    Dispose,
    Done,
    Fail,
    Hold,
    Inform,
    Join,
    Note,
    Raise,
    Refuse,
    Reply,
    Semantics,
    Settle,
    SettleDetached,
)
from ..errors import SupportChatError
from . import commands
from .commands import Command, Emit
from .moment import Moment
from .snapshot import Asking, Snapshot, Waiter


class Step:
    """What the actions of a step work on; made of a snapshot, and turned into the next one."""

    __slots__ = (
        "abandoned",
        "asking",
        "commands",
        "context",
        "current",
        "detached",
        "fired",
        "held",
        "leaving",
        "link",
        "moment",
        "raised",
        "semantics",
        "serial",
        "slots",
        "state",
    )

    def __init__(self, snapshot: Snapshot, semantics: Semantics) -> None:
        self.state: State = snapshot.state
        self.context: Any = snapshot.context
        self.current: tuple[int, ...] = snapshot.current
        self.serial: int = snapshot.serial
        self.link: int | None = snapshot.link
        self.leaving: tuple[int, ...] = snapshot.leaving
        self.slots: Mapping[str, tuple[Waiter, ...]] = snapshot.slots
        self.detached: Mapping[int, tuple[Waiter, ...]] = snapshot.detached
        self.asking: Mapping[int, Asking] = snapshot.asking
        self.held: frozenset[int] = snapshot.held
        self.abandoned: frozenset[int] = snapshot.abandoned
        self.semantics = semantics
        self.commands: list[Command] = []
        self.fired: list[Any] = []
        self.raised: deque[tuple[str, bool]] = deque()
        self.moment: Moment

    def emit(self, events: Iterable[Any]) -> None:
        """Adds the events to the commands."""
        for event in events:
            self.commands.append(Emit(event))

    def take(self, slot: str) -> tuple[Waiter, ...]:
        """Empties the slot; returns who waited there, the first first."""
        waiters = self.slots.get(slot, ())
        if waiters:
            self.slots = {name: group for name, group in self.slots.items() if name != slot}
        return waiters

    def slot_of(self, call: int) -> str | None:
        """The slot in which this call waits."""
        groups = self.slots.items()
        return next((slot for slot, group in groups if any(w.call == call for w in group)), None)

    def leave(self, slot: str, call: int) -> Waiter:
        """Takes this call out of its slot."""
        (waiter,) = (w for w in self.slots[slot] if w.call == call)
        self.slots = {**self.slots, slot: tuple(w for w in self.slots[slot] if w is not waiter)}
        return waiter

    def settle(self, waiters: Iterable[Waiter]) -> None:
        """Ends these calls, each with what a call of its kind returns."""
        for waiter in waiters:
            returns = self.semantics.results.get(waiter.trigger)
            result = None if returns is None else returns(self.context, self.moment)
            self.commands.append(commands.Settle(waiter.call, result))

    def snapshot(self) -> Snapshot:
        """The snapshot after the step."""
        if self.abandoned:
            waiting = {w.call for group in self.slots.values() for w in group}
            self.abandoned = frozenset(call for call in self.abandoned if call in waiting)
        return Snapshot(
            self.state,
            self.context,
            self.current,
            self.serial,
            self.link,
            self.leaving,
            self.slots,
            self.detached,
            self.asking,
            self.held,
            self.abandoned,
        )


Action: TypeAlias = "Callable[[Step], None]"
"""What one effect does to a step: it changes the context and who waits, and adds commands."""


def plans(chart: Chart, semantics: Semantics) -> Mapping[str, tuple[Action, ...]]:
    """The plan of each row, by its name."""
    lanes = lanes_of(chart)
    actions = {
        effect: _KINDS[type(spec)](effect, spec, lanes, semantics, chart)
        for effect, spec in chart.effects.items()
    }
    return {row.name: tuple(actions[effect] for effect in row.effects) for row in chart.transitions}


def lanes_of(chart: Chart) -> tuple[str, ...]:
    """The lanes of a chart, in an order of their own."""
    asks = (spec.lane for spec in chart.effects.values() if isinstance(spec, Ask))
    return tuple(dict.fromkeys((*asks, *chart.events.values())))


def _positions(lanes: tuple[str, ...], names: Iterable[str]) -> frozenset[int]:
    return frozenset(lanes.index(name) for name in names if name in lanes)


# --- adapters and links ---------------------------------------------------------------------------


def _ask(effect: str, spec: Ask, lanes: tuple[str, ...], *_: Any) -> Action:
    position = lanes.index(spec.lane)
    reduce, request = spec.reduce, spec.request

    def ask(step: Step) -> None:
        step.serial = number = step.serial + 1
        moment = step.moment
        link = step.link
        if not spec.several:
            step.current = _changed(step.current, position, number)
        if reduce is not None:
            step.context = reduce(step.context, moment)
        payload = None if request is None else request(step.context, moment)
        call = moment.call if spec.several else None
        if spec.several:
            waiter = None if call is None else Waiter(call, moment.made)
            step.asking = {**step.asking, number: Asking(effect, waiter)}
        if spec.takes_link and link is not None:
            step.link, step.leaving = None, (*step.leaving, link)
        asked = commands.Request(effect, spec.lane, number, payload, call, link)
        step.commands.append(commands.Perform(asked, getattr(moment.settings, spec.limit, 0.0)))

    def ask_each(step: Step) -> None:
        moment, payloads = (
            step.moment,
            () if request is None else request(step.context, step.moment),
        )
        limit = getattr(moment.settings, spec.limit, 0.0)
        for payload in payloads:
            step.serial = number = step.serial + 1
            step.asking = {**step.asking, number: Asking(effect)}
            asked = commands.Request(effect, spec.lane, number, payload, None, step.link)
            step.commands.append(commands.Perform(asked, limit))
        if reduce is not None:
            step.context = reduce(step.context, moment)

    return ask_each if spec.batch else ask


def _inform(effect: str, spec: Inform, *_: Any) -> Action:
    request = spec.request

    def inform(step: Step) -> None:
        payload = None if request is None else request(step.context, step.moment)
        if payload is not None:
            asked = commands.Request("", "", 0, payload)
            limit = getattr(step.moment.settings, spec.limit, 0.0)
            step.commands.append(commands.Perform(asked, limit))

    return inform


def _abandon(effect: str, spec: Abandon, lanes: tuple[str, ...], _: Any, chart: Chart) -> Action:
    given_up = _positions(lanes, spec.lanes)
    closes = not set(chart.events.values()).isdisjoint(spec.lanes)
    asks = [ask for ask in chart.effects.values() if isinstance(ask, Ask)]
    parts = any(ask.takes_link and ask.lane in spec.lanes for ask in asks)
    reduce, cancel = spec.reduce, commands.Cancel(spec.lanes)

    def abandon(step: Step) -> None:
        step.current = tuple(
            [0 if i in given_up else number for i, number in enumerate(step.current)]
        )
        if reduce is not None:
            step.context = reduce(step.context, step.moment)
        step.commands.append(cancel)
        if parts:
            step.commands += [commands.Close(link) for link in step.leaving]
            step.leaving = ()
        if closes and step.link is not None:
            step.commands.append(commands.Close(step.link))
            step.link = None
        for number, asking in tuple(step.asking.items()):
            ask = cast("Ask", chart.effects[asking.effect])
            if ask.lane in spec.lanes:
                lost = None if ask.lost is None else ask.lost.make(asking.effect, "")
                _answer(step, number, None, lost or SupportChatError("The call was given up."))

    return abandon


def _dispose(effect: str, spec: Dispose, lanes: Any, _: Any, chart: Chart) -> Action:
    def dispose(step: Step) -> None:
        moment = step.moment
        if moment.request is not None and moment.error is None:
            ask = cast("Ask", chart.effects[moment.request.effect])
            if ask.dispose is not None:
                step.commands += ask.dispose(moment.request, moment.result, moment.settings)

    return dispose


def _reply(effect: str, spec: Reply, *_: Any) -> Action:
    reduce = spec.reduce

    def reply(step: Step) -> None:
        moment = step.moment
        if reduce is not None:
            step.context = reduce(step.context, moment)
        request = moment.request
        if request is not None and request.number in step.asking:
            _answer(step, request.number, moment.result, moment.failure)

    return reply


def _answer(step: Step, number: int, result: Any, error: Exception | None) -> None:
    waiter = step.asking[number].waiter
    step.asking = {other: one for other, one in step.asking.items() if other != number}
    if waiter is not None:
        step.commands.append(commands.Settle(waiter.call, result, error))


# --- timers ---------------------------------------------------------------------------------------


def _arm(effect: str, spec: Arm, lanes: Any, semantics: Semantics, *_: Any) -> Action:
    reduce, delay, emits = spec.reduce, semantics.delays[spec.delay], spec.emits
    stop = commands.Disarm((spec.timer,))

    def arm(step: Step) -> None:
        if reduce is not None:
            step.context = reduce(step.context, step.moment)
        seconds = delay(step.context, step.moment)
        if emits is not None and seconds is not None:
            step.emit(emits(step.context, step.moment, seconds))
        step.commands.append(stop if seconds is None else commands.Arm(spec.timer, seconds))

    return arm


def _disarm(effect: str, spec: Disarm, *_: Any) -> Action:
    stop = commands.Disarm(spec.timers)
    return lambda step: step.commands.append(stop)


# --- calls ----------------------------------------------------------------------------------------


def _join(effect: str, spec: Join, *_: Any) -> Action:
    reduce, limit = spec.reduce, spec.limit

    def join(step: Step) -> None:
        moment = step.moment
        if moment.call is not None:
            waiter = Waiter(moment.call, moment.made)
            step.slots = {**step.slots, spec.slot: (*step.slots.get(spec.slot, ()), waiter)}
            if limit is not None:
                own = getattr(moment.arguments, "timeout", None)
                seconds = getattr(moment.settings, limit, 0.0) if own is None else own
                step.commands.append(commands.Bound(moment.call, seconds))
        if reduce is not None:
            step.context = reduce(step.context, moment)

    return join


def _hold(effect: str, spec: Hold, *_: Any) -> Action:
    reduce, emits = spec.reduce, spec.emits

    def hold(step: Step) -> None:
        moment = step.moment
        if moment.call is not None:
            step.held |= {moment.call}
        if emits is not None:
            step.emit(emits(step.context, moment))
        if reduce is not None:
            step.context = reduce(step.context, moment)

    return hold


def _answer_held(effect: str, spec: Answer, *_: Any) -> Action:
    answers, reduce, emits = spec.answers, spec.reduce, spec.emits

    def answer(step: Step) -> None:
        if emits is not None:
            step.emit(emits(step.context, step.moment))
        for call, result, error in () if answers is None else answers(step.context):
            if call in step.held:
                step.held -= {call}
                step.commands.append(commands.Settle(call, result, error))
        if reduce is not None:
            step.context = reduce(step.context, step.moment)

    return answer


def _settle(effect: str, spec: Settle, *_: Any) -> Action:
    return lambda step: step.settle(step.take(spec.slot))


def _fail(effect: str, spec: Fail, *_: Any) -> Action:
    def fail(step: Step) -> None:
        failure = step.moment.failure or SupportChatError("The call failed.")
        for waiter in step.take(spec.slot):
            step.commands.append(commands.Settle(waiter.call, error=failure))

    return fail


def _done(effect: str, spec: Done, *_: Any) -> Action:
    def done(step: Step) -> None:
        moment = step.moment
        if moment.call is not None:
            step.settle((Waiter(moment.call, moment.made),))

    return done


def _refuse(effect: str, spec: Refuse, *_: Any) -> Action:
    def refuse(step: Step) -> None:
        moment = step.moment
        if moment.call is not None:
            step.commands.append(commands.Settle(moment.call, error=moment.failure))

    return refuse


def _detach(effect: str, spec: Detach, lanes: tuple[str, ...], *_: Any) -> Action:
    position = lanes.index(spec.lane)

    def detach(step: Step) -> None:
        number = step.current[position]
        step.current = _changed(step.current, position, 0)
        waiters = tuple(waiter for slot in spec.slots for waiter in step.take(slot))
        if waiters:
            step.detached = {**step.detached, number: (*step.detached.get(number, ()), *waiters)}

    return detach


def _settle_detached(effect: str, spec: SettleDetached, *_: Any) -> Action:
    def settle(step: Step) -> None:
        request = step.moment.request
        alone = request.number if request is not None and request.lane == spec.lane else None
        for number in tuple(step.detached) if alone is None else (alone,):
            step.settle(step.detached.get(number, ()))
            step.detached = {n: w for n, w in step.detached.items() if n != number}

    return settle


# --- the context, listeners, internal triggers ----------------------------------------------------


def _note(effect: str, spec: Note, lanes: tuple[str, ...], *_: Any) -> Action:
    reduce, emits = spec.reduce, spec.emits
    opens = None if spec.opens is None else lanes.index(spec.opens)

    def note(step: Step) -> None:
        if emits is not None:
            step.emit(emits(step.context, step.moment))
        if reduce is not None:
            step.context = reduce(step.context, step.moment)
        request = step.moment.request
        if opens is not None and request is not None:
            step.current = _changed(step.current, opens, request.number)
            step.link = request.number
            step.commands.append(commands.Keep(request.number))

    return note


def _raise(effect: str, spec: Raise, *_: Any) -> Action:
    raised = (spec.trigger, spec.carries)
    return lambda step: step.raised.append(raised)


def _changed(current: tuple[int, ...], position: int, number: int) -> tuple[int, ...]:
    return (*current[:position], number, *current[position + 1 :])


_KINDS: Final[Mapping[type, Callable[..., Action]]] = {
    Ask: _ask,
    Inform: _inform,
    Abandon: _abandon,
    Dispose: _dispose,
    Reply: _reply,
    Arm: _arm,
    Disarm: _disarm,
    Join: _join,
    Hold: _hold,
    Answer: _answer_held,
    Settle: _settle,
    Fail: _fail,
    Done: _done,
    Refuse: _refuse,
    Detach: _detach,
    SettleDetached: _settle_detached,
    Note: _note,
    Raise: _raise,
}
