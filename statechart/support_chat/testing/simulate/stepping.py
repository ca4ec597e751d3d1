"""A session that is stepped by hand: an engine's snapshot, and what a shell would hold for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from ...engine import (
    Arm,
    AwaiterLeft,
    Bound,
    CallMade,
    Cancel,
    Close,
    Disarm,
    Emit,
    Engine,
    Hinted,
    Input,
    Keep,
    Now,
    Perform,
    Request,
    Settle,
    Snapshot,
)
from ...engine.told import told
from ...lifecycle import requests as r
from ...lifecycle.calls import Arguments
from ...lifecycle.names import Phase, Trigger as T
from ...lifecycle.outbox import named
from ...ports import ListConversations, MarkRead, Outgoing
from ...values import Identity
from .judge import trait
from .model import Line
from .tally import Tally
from .witness import Asked, Made, Use, Witness

_EPOCH: Final = 1_800_000_000.0


class Schedule(Protocol):
    """What a tab needs of the schedule that steps it."""

    @property
    def now(self) -> float:
        """The time, in seconds."""
        ...

    @property
    def choose(self) -> random.Random:
        """What is drawn from."""
        ...

    @property
    def tally(self) -> Tally:
        """What is counted."""
        ...

    def given_up(self, tab: SteppedTab, under: Under) -> None:
        """Nobody waits for this request any more."""
        ...

    def ended(self, tab: SteppedTab, made: Made) -> None:
        """A call has ended."""
        ...


@attrs.define(eq=False)
class Under:
    """A request under way. `arrived`: its outcome is on its way; `hangs`: it ends by its limit."""

    request: Request
    due: float
    arrived: bool = False
    hangs: bool = False
    over: bool = False
    """Nobody waits for it any more: it was cancelled, or its limit has come."""
    result: Any = None
    error: Exception | None = None
    asked: Asked | None = None


@attrs.frozen
class Minted:
    """A token provider: what it does is drawn when it is asked."""

    user: str
    tokens: str

    def __call__(self) -> str:
        raise AssertionError("The schedule mints tokens itself.")


class SteppedTab:
    """A session, stepped by hand."""

    def __init__(
        self, schedule: Schedule, engine: Engine, witness: Witness, *, remembers: bool
    ) -> None:
        self._schedule, self.engine = schedule, engine
        self.witness, self.remembers = witness, remembers
        self.snapshot: Snapshot = self.engine.initial
        self.under: list[Under] = []
        self.timers: dict[str, float] = {}
        self.bounds: dict[int, float] = {}
        self.lines: dict[int, Line] = {}
        self.kept: dict[int, Line] = {}
        self.calls: dict[int, Made] = {}
        self._made = 0

    @property
    def state(self) -> Phase:
        """The phase it is in."""
        return Phase(self.snapshot.state.phase)

    @property
    def identity(self) -> Identity | None:
        """Whose it is; None if it is nobody's."""
        identity: Identity | None = self.snapshot.context.identity
        return identity

    @property
    def unread(self) -> int | None:
        """How many messages it takes for unread; None if it does not know."""
        unread: int | None = self.snapshot.context.unread
        return unread

    @property
    def waiting(self) -> Sequence[str]:
        """The ids of the messages that it has not sent yet, in order."""
        sent = (entry.message for entry in self.snapshot.context.outbox.entries)
        return [m.client_message_id for m in sent if isinstance(m, Outgoing)]

    # --- steps ------------------------------------------------------------------------------------

    def take(self, happened: Input) -> None:
        """Steps, and obeys."""
        schedule, before = self._schedule, self.snapshot
        reaction = self.engine.step(before, happened, self._now())
        self.snapshot = reaction.snapshot
        schedule.tally.steps += 1
        if step := told(self.engine.program, before, happened, reaction):
            self.witness.steps.append(step)
        for command in reaction.commands:
            self._OBEY[type(command)](self, command)

    def _now(self) -> Now:
        schedule, at = self._schedule, self._schedule.now
        line = self.kept.get(self.snapshot.link or 0)
        heard_at = line.heard_at if line is not None and line.silent else at
        return Now(at, heard_at, _EPOCH + at, schedule.choose.randbytes(24))

    def _perform(self, command: Perform) -> None:
        under = Under(command.request, self._schedule.now + command.limit)
        if isinstance(command.request.payload, r.Dial):
            under.asked = Asked("open", self._schedule.now)
            self.witness.asked.append(under.asked)
        self.under.append(under)

    def _cancel(self, command: Cancel) -> None:
        for under in self.under:
            if under.request.lane in command.lanes:
                self._schedule.given_up(self, under)

    def _arm(self, command: Arm) -> None:
        self.timers[command.timer] = self._schedule.now + command.seconds

    def _disarm(self, command: Disarm) -> None:
        for timer in command.timers:
            self.timers.pop(timer, None)

    def _bound(self, command: Bound) -> None:
        self.bounds[command.call] = self._schedule.now + command.seconds

    def _settle(self, command: Settle) -> None:
        self.bounds.pop(command.call, None)
        made = self.calls.pop(command.call)
        made.settled = True
        if made.given_up_at is None:
            made.ended_at, made.result, made.error = (
                self._schedule.now,
                command.result,
                command.error,
            )
            self._schedule.ended(self, made)

    def _keep(self, command: Keep) -> None:
        self.kept[command.link] = self.lines[command.link]

    def _close(self, command: Close) -> None:
        self.kept.pop(command.link, None)
        line = self.lines.pop(command.link, None)
        if line is not None:
            line.close()

    def _emit(self, command: Emit) -> None:
        self.witness.tell(self._schedule.now, command.event)

    _OBEY: Mapping[type, Callable[[Any, Any], None]] = {
        Perform: _perform, Cancel: _cancel, Arm: _arm, Disarm: _disarm, Bound: _bound,
        Settle: _settle, Keep: _keep, Close: _close, Emit: _emit,
    }  # fmt: skip

    # --- calls ------------------------------------------------------------------------------------

    def make(self, use: Use) -> Made:
        """Makes the call; somebody awaits it."""
        schedule = self._schedule
        made = Made(use, schedule.now, self.state, self.identity, schedule.tally.faults_so_far)
        self._made += 1
        self.witness.calls.append(made)
        self.calls[self._made] = made
        trigger, arguments = self._arguments(use)
        self.take(CallMade(self._made, trigger, arguments))
        return made

    def _arguments(self, use: Use) -> tuple[str, Arguments]:
        provider: Any = None if use.user is None else Minted(use.user, use.tokens)
        match use.call:
            case "update":
                return T.UPDATE, Arguments(changes={trait(self.witness): use.value})
            case "send_message":
                message = Outgoing(use.text, use.text, use.conversation)
                return T.SEND, Arguments(message=message, queue=use.queue, timeout=use.timeout)
            case "mark_read":
                return T.SEND, Arguments(message=MarkRead(use.conversation or "", use.up_to))
            case "conversations":
                return T.USE, Arguments(use=ListConversations())
            case _:
                return T(use.call), Arguments(
                    use.user, provider=provider, timeout=use.timeout, clear_storage=use.clear
                )

    def give_up(self) -> str:
        """Whoever awaits the newest call leaves, if one has not ended."""
        pending = [n for n, made in self.calls.items() if made.given_up_at is None]
        if not pending:
            return "nobody waits"
        made = self.calls[pending[-1]]
        made.given_up_at = self._schedule.now
        self.take(AwaiterLeft(pending[-1]))
        return f"nobody waits any more for {made.use}"

    def withdraw(self, name: str) -> None:
        """Takes a message back."""
        entry = named(self.snapshot.context.outbox, name)
        if entry is not None:
            self.take(Hinted(T.WITHDRAW, entry.number))
