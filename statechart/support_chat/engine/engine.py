"""`Engine.step`: what happens when something happens. Pure, total, and all there is to run a chart.

A step asks the chart which row fires, does what the row's effects say, and lets the internal
triggers that they raise run to completion before anything else can happen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final, NamedTuple

import attrs

from ..chart.machine import Compiled, Input as ChartInput
from ..chart.model import (
    Arm,
    Ask,
    Blame,
    Carried,
    Chart,
    Derived,
    Hold,
    Join,
    Reader,
    Refusal,
    Transition,
)
from ..errors import ChartError, SupportChatError
from .commands import Close, Command, Emit, Settle
from .inputs import (
    AwaiterCame,
    AwaiterLeft,
    CallMade,
    Expired,
    Heard,
    Hinted,
    Input,
    LimitReachedError,
    Now,
    Outcome,
    OutOfTime,
)
from .moment import Moment
from .plan import Action, Step, lanes_of, plans
from .snapshot import Snapshot

_KEPT: Final = 16
"""How many charts stay compiled: a process runs one or two, whoever tries variants makes many."""


_new: Final[Any] = vars(tuple)["__new__"]
"""Makes a Fired and a Reaction without the constructor of a named tuple, which is written in Python
and takes as long as a guard: every step makes both.
"""

_NOBODY: Final = Blame(SupportChatError, "An adapter", "Mend it, then try again.")


class Fired(NamedTuple):
    """A row that fired: in which phase, on which trigger, with which facts of the context or the
    moment (as bits, of those that a row here reads), naming whom.
    """

    phase: str
    trigger: str
    facts: int
    named: str | None
    row: Transition


class Reaction(NamedTuple):
    """What a step came to: the snapshot after it, the commands, in order, and what fired (the first
    row by what happened, the others by internal triggers).
    """

    snapshot: Snapshot
    commands: tuple[Command, ...]
    fired: tuple[Fired, ...]

    @property
    def rows(self) -> tuple[Transition, ...]:
        """The rows that fired."""
        return tuple(fired.row for fired in self.fired)


class Program:
    """A chart made ready to run: its machine, the plan of each row, the readers of each pair."""

    def __init__(self, chart: Chart) -> None:
        if chart.semantics is None:
            raise ChartError(
                f"The chart {chart.name!r} says nothing about what its names mean, so it can be "
                "drawn and checked, not run: give it `semantics`."
            )
        self.chart, self.semantics = chart, chart.semantics
        self.machine = Compiled(chart)
        self.lanes = lanes_of(chart)
        self.lane = {lane: position for position, lane in enumerate(self.lanes)}
        self.plans: dict[str, tuple[Action, ...]] = dict(plans(chart, chart.semantics))
        self.expiries = {
            spec.timer: spec.expiry for spec in chart.effects.values() if isinstance(spec, Arm)
        }
        self.joins = {spec.slot: spec for spec in chart.effects.values() if isinstance(spec, Join)}
        holds = [spec.abandoned for spec in chart.effects.values() if isinstance(spec, Hold)]
        self.withdrawal = holds[0] if holds else ""
        self.readers = {
            (str(phase), str(trigger)): self._readers(chart, phase, trigger)
            for phase in chart.phases
            for trigger in chart.triggers
        }

    def _readers(self, chart: Chart, phase: str, trigger: str) -> tuple[tuple[int, Reader], ...]:
        """What is to be read for the rows of this pair: facts that no row asks for are not read."""
        rows = chart.rows(phase, trigger)
        asked = {fact for row in rows for fact in (*row.when, *row.unless)}
        return tuple(
            (self.machine.bits[fact], kind.reads)
            for fact, kind in chart.facts.items()
            if fact in asked and isinstance(kind, Carried | Derived) and kind.reads is not None
        )


class _Identity:
    """A chart as a key: by identity, since to hash its rows takes longer than to compile them."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart

    def __hash__(self) -> int:
        return id(self.chart)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.chart is self.chart


@lru_cache(_KEPT)
def _program(key: _Identity) -> Program:
    return Program(key.chart)


class Engine:
    """Runs `chart` for one session: `settings` and `keys` are handed to its functions.

    It holds no state of its own, so any number of snapshots can be stepped by one. Raises
    ChartError for a chart without semantics.
    """

    def __init__(self, chart: Chart, settings: Any, keys: Any) -> None:
        self.program = _program(_Identity(chart))
        self.settings, self.keys = settings, keys
        self.initial = Snapshot(
            self.program.machine.initial,
            self.program.semantics.context,
            current=(0,) * len(self.program.lanes),
        )

    @property
    def chart(self) -> Chart:
        """The chart that is run."""
        return self.program.chart

    def step(self, snapshot: Snapshot, happened: Input, now: Now) -> Reaction:
        """Takes what happened; returns the next snapshot and what is to be done, in order."""
        semantics = self.program.semantics
        step = Step(snapshot, semantics)
        moment = self._TAKE[type(happened)](self, step, happened, now)
        if moment is not None:
            self._fire(step, moment)
            while step.raised:
                trigger, carries = step.raised.popleft()
                called = moment if carries else Moment("", now, self.settings, self.keys)
                self._fire(step, attrs.evolve(called, trigger=trigger, failure=None))
            step.emit(semantics.changes(snapshot.context, step.context))
        made = step.snapshot(), tuple(step.commands), tuple(step.fired)
        reaction: Reaction = _new(Reaction, made)
        return reaction

    def facts(self, snapshot: Snapshot, now: Now) -> frozenset[str]:
        """The stored and derived facts that hold: for reports."""
        moment = Moment("", now, self.settings, self.keys)
        chart, machine = self.chart, self.program.machine
        return frozenset(machine.names(snapshot.state.facts)) | {
            fact
            for fact, kind in chart.facts.items()
            if isinstance(kind, Derived) and kind.reads and kind.reads(snapshot.context, moment)
        }

    # --- what happened: each input becomes a moment, or nothing that the chart is asked about -----

    def _called(self, step: Step, made: CallMade, now: Now) -> Moment:
        moment = Moment(
            made.trigger,
            now,
            self.settings,
            self.keys,
            made.call,
            made.arguments,
            made=made.trigger,
        )
        moment.named = step.semantics.names(moment)
        return moment

    def _ended(self, step: Step, ended: Outcome, now: Now) -> Moment | None:
        program, request = self.program, ended.request
        if not request.lane:
            return None  # nobody waits for it
        spec = program.chart.effects[request.effect]
        if not isinstance(spec, Ask):
            raise ChartError(f"{request.effect!r} asks for nothing, so nothing can come of it.")
        trigger, result, error = _outcome(spec, ended, now)
        moment = Moment(
            trigger, now, self.settings, self.keys, result=result, error=error, request=request
        )
        if error is not None and spec.dispose is not None:
            step.commands += spec.dispose(request, None, self.settings)
        if spec.takes_link and request.link in step.leaving:
            step.leaving = tuple(link for link in step.leaving if link != request.link)
            step.commands.append(Close(request.link or 0))
        if spec.several:
            moment.late = request.number not in step.asking
            if spec.batch:
                step.asking = {n: w for n, w in step.asking.items() if n != request.number}
        else:
            current, position = step.current, program.lane[request.lane]
            moment.late = current[position] != request.number
            if not moment.late:  # whatever else comes of this request is late
                step.current = (*current[:position], 0, *current[position + 1 :])
        moment.named = step.semantics.names(moment)
        return moment

    def _heard(self, step: Step, heard: Heard, now: Now) -> Moment | None:
        program, event = self.program, heard.event
        meant = program.semantics.hears(event)
        if meant is None:
            return None  # a later backend says what this chart does not know
        trigger, error = meant
        moment = Moment(
            trigger, now, self.settings, self.keys, result=event, error=heard.error or error
        )
        lane = program.lane[program.chart.events[trigger]]
        moment.late = step.current[lane] != heard.link
        return moment

    def _expired(self, step: Step, expired: Expired, now: Now) -> Moment:
        return Moment(self.program.expiries[expired.timer], now, self.settings, self.keys)

    def _hinted(self, step: Step, hinted: Hinted, now: Now) -> Moment:
        return Moment(hinted.trigger, now, self.settings, self.keys, hinted.call)

    def _came(self, step: Step, came: AwaiterCame, now: Now) -> None:
        step.abandoned -= {came.call}

    def _left(self, step: Step, left: AwaiterLeft, now: Now) -> Moment | None:
        if left.call in step.held:
            return Moment(self.program.withdrawal, now, self.settings, self.keys, left.call)
        step.abandoned |= {left.call}
        slot = step.slot_of(left.call)
        return None if slot is None else self._deserted(step, slot, now)

    def _out_of_time(self, step: Step, late: OutOfTime, now: Now) -> Moment | None:
        slot = step.slot_of(late.call)
        if slot is None:
            return None
        waiter, late_with = step.leave(slot, late.call), self.program.joins[slot].late
        moment = Moment(waiter.trigger, now, self.settings, self.keys)
        error: Exception = LimitReachedError(0.0)
        if late_with is not None:
            error = late_with.make(step.semantics.calls(waiter.trigger, None), step.state.phase)
            if late_with.details is not None:
                late_with.details(error, step.context, moment)
        step.commands.append(Settle(late.call, error=error))
        return self._deserted(step, slot, now)

    def _deserted(self, step: Step, slot: str, now: Now) -> Moment | None:
        """Nobody is left in the slot who is awaited."""
        waiting = {waiter.call for waiter in step.slots.get(slot, ())}
        trigger = self.program.joins[slot].abandoned
        if trigger is None or not waiting <= step.abandoned:
            return None
        return Moment(trigger, now, self.settings, self.keys)

    _TAKE: ClassVar[Mapping[type, Callable[[Any, Step, Any, Now], Moment | None]]] = {
        CallMade: _called,
        Outcome: _ended,
        Heard: _heard,
        Expired: _expired,
        Hinted: _hinted,
        AwaiterCame: _came,
        AwaiterLeft: _left,
        OutOfTime: _out_of_time,
    }

    # --- the chart --------------------------------------------------------------------------------

    def _fire(self, step: Step, moment: Moment) -> None:
        """Fires the row that the chart says, and does what its effects say."""
        program, before, trigger = self.program, step.state, moment.trigger
        bits = 0
        if moment.late:
            bits = program.machine.late
        else:
            for bit, reads in program.readers[before.phase, trigger]:
                if reads(step.context, moment):
                    bits |= bit
        step.state, row = program.machine.fire(before, ChartInput(trigger, bits, moment.named))
        step.fired.append(_new(Fired, (before.phase, trigger, bits, moment.named, row)))
        step.moment, moment.failure = moment, moment.error
        if step.state is not before:
            phase = step.state.phase
            if phase != before.phase:
                step.commands.append(Emit(step.semantics.moves(before.phase, phase, row.reason)))
        if row.error is not None:
            self._refuse(step, moment, row.error)
        for action in program.plans.get(row.name, ()):
            action(step)

    def _refuse(self, step: Step, moment: Moment, refusal: Refusal) -> None:
        """The calls that the row fails or refuses are told so."""
        called = step.semantics.calls(moment.trigger, moment.arguments)
        moment.failure = error = refusal.make(called, step.state.phase)
        error.__cause__ = moment.error
        if refusal.details is not None:
            refusal.details(error, step.context, moment)


# --- what an adapter did --------------------------------------------------------------------------


def _outcome(spec: Ask, ended: Outcome, now: Now) -> tuple[str, Any, Exception | None]:
    """The trigger, the result and the error that an ask has ended in.

    This is the one place where whatever an adapter did becomes an outcome that its effect declares.
    It may have returned, returned something of the wrong type, raised anything, or not have
    answered in time.
    """
    result, error = ended.result, ended.error
    if error is None:
        if not isinstance(result, spec.answers):
            return spec.failure, None, _blamed(spec, f"returned {type(result).__name__}")
        if spec.reads is None:
            return spec.success, result, None
        try:
            return spec.success, spec.reads(ended.request, result, now), None
        except SupportChatError as raised:
            error = raised
    return _failed(spec, error)


def _failed(spec: Ask, error: BaseException) -> tuple[str, None, Exception]:
    """An error of another port than the one asked (a storage's NetworkError) is a mere failure."""
    blame = spec.blame or _NOBODY
    if isinstance(error, blame.ended):
        return spec.ended or spec.refusal or spec.failure, None, error
    if isinstance(error, blame.refusals):
        return spec.refusal or spec.failure, None, error
    if isinstance(error, blame.rejections):
        return spec.rejection or spec.failure, None, error
    if isinstance(error, blame.strangers):
        return spec.stranger or spec.failure, None, error
    if isinstance(error, blame.error) and blame is not _NOBODY:
        return spec.failure, None, error
    if isinstance(error, LimitReachedError):
        return spec.failure, None, _blamed(spec, f"did not answer within {error.seconds:g} s")
    fault = _blamed(
        spec,
        f"raised {type(error).__name__}{_where(error)}",
        None if isinstance(error, OSError) else "Mend it there.",
    )
    fault.__cause__ = error
    return spec.failure, None, fault


def _where(error: BaseException) -> str:
    """In which line of theirs; what the error says may hold a secret."""
    place, trace = "", error.__traceback__
    while trace is not None:
        frame, trace = trace, trace.tb_next
        if not frame.tb_frame.f_globals.get("__name__", "").startswith("support_chat."):
            file = os.path.basename(frame.tb_frame.f_code.co_filename)
            place = f" ({file}, line {frame.tb_lineno})"
    return place


def _blamed(spec: Ask, what: str, way_out: str | None = None) -> SupportChatError:
    blame = spec.blame or _NOBODY
    return blame.error(
        f"{blame.who} {what} when it was asked to {spec.doc}. {way_out or blame.way_out}"
    )
