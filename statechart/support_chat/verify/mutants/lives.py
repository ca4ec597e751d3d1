"""Situations in the lives of sessions that run one chart: for every state that one can be in, by
the facts, the registers and what is under way, some snapshots of its engine.

They are reached by steps of the engine itself, from its first snapshot on: whatever can happen in a
snapshot happens, with arguments, answers and errors that are drawn by a seed. So the contexts are
those that sessions have, and differ where the chart does not look.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs

from ...chart.model import Ask, Blame, Chart
from ...engine import (
    AwaiterLeft,
    CallMade,
    Engine,
    Expired,
    Heard,
    Hinted,
    Input,
    LimitReachedError,
    Now,
    Outcome,
    OutOfTime,
    Reaction,
    Request,
    Snapshot,
)
from ...errors import AuthRefusedError, BackendRejectedError, RateLimitedError, SupportChatError
from ...lifecycle.calls import Arguments
from ...lifecycle.names import Effect as E, Trigger as T
from ...lifecycle.outbox import OWNER_CHANGED
from ...lifecycle.requests import Keys
from ...ports import (
    IdentifyAnswer,
    ListConversations,
    MarkRead,
    MessageArrived,
    Outgoing,
    OwnerChanged,
    ReadAnswer,
    ReadUpTo,
    RenewAnswer,
    SessionRevoked,
    TokenExpired,
    UpdateAnswer,
    Welcome,
)
from ...settings import Settings
from ...values import Message
from ..replay import token
from ..trace import Account

SETTINGS: Final = Settings(boot_timeout=3000.0, call_timeout=3000.0, outbox_size=2)
"""A small outbox, so that it is full at times; time for whatever a backend asks for."""
KEYS: Final = Keys("w", "w", "default")
PEOPLE: Final = ("ann", "bob", "cyd")
_EVENTS: Final = (TokenExpired(), SessionRevoked(), OwnerChanged(), ReadUpTo("c", "m", 0), None)


def can_be_led(chart: Chart) -> bool:
    """Whether what the chart's names mean is what the shipped one's do, so that its sessions can be
    led here.
    """
    return (
        chart.semantics is not None
        and set(chart.triggers) <= set(T)
        and set(chart.effects) <= set(E)
    )


@attrs.frozen(eq=False)
class Situation:
    """A snapshot, what is under way in it, and what the last step has superseded; its number is
    higher than those of all on the way to it.
    """

    number: int
    snapshot: Snapshot
    account: Account
    at: float
    superseded: tuple[Request, ...] = ()


@attrs.frozen(eq=False)
class Lived:
    """One step out of a situation."""

    situation: Situation
    happened: Input
    now: Now
    reaction: Reaction


class Lives:
    """The situations of sessions that run `chart`, `each` so many of every state, drawn by `seed`,
    and every step out of them.
    """

    def __init__(self, chart: Chart, each: int = 1, seed: int = 0) -> None:
        self.chart, self._seed = chart, seed
        self.engine = Engine(chart, SETTINGS, KEYS)
        self._draw, self._made = random.Random(), 0
        self.situations = [Situation(0, self.engine.initial, Account(chart), 0.0)]
        self.states: set[Any] = set()
        """Every state that was reached: the phase, the registers, the facts, the ledger."""
        seen = Counter[Any]()
        self._by_pair: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for situation in self.situations:  # grows while it is read
            for number, (happened, now) in enumerate(self._drawn(situation)):
                step = Lived(
                    situation, happened, now, self.engine.step(situation.snapshot, happened, now)
                )
                after = self._after(step)
                state = self._state(after, now)
                self.states.add(state)
                kinds = [state, *self._beside(after)]
                if any(seen[kind] < each for kind in kinds):
                    seen.update(kinds)
                    self.situations.append(after)
                for pair in {(fired.phase, fired.trigger) for fired in step.reaction.fired}:
                    self._by_pair.setdefault(pair, []).append((situation.number, number))

    def steps(self, pairs: Iterable[tuple[str, str]] | None = None) -> Iterator[Lived]:
        """Every step, or those in which something of these pairs of a phase and a trigger
        happens.
        """
        wanted: dict[int, set[int]] = {}
        for pair in self._by_pair if pairs is None else pairs:
            for number, which in self._by_pair.get(pair, ()):
                wanted.setdefault(number, set()).add(which)
        for number in sorted(wanted):
            situation = self.situations[number]
            for which, (happened, now) in enumerate(self._drawn(situation)):
                if which in wanted[number]:
                    reaction = self.engine.step(situation.snapshot, happened, now)
                    yield Lived(situation, happened, now, reaction)

    def _drawn(self, situation: Situation) -> list[tuple[Input, Now]]:
        """What can happen in a situation, and when: the same each time."""
        self._draw, self._made = (
            random.Random(f"{self._seed} {situation.number}"),
            situation.number * 1000,
        )
        return [(happened, self._now(situation)) for happened in self._happenings(situation)]

    def _now(self, situation: Situation) -> Now:
        at = situation.at + self._draw.choice((0.1, 1.0, 40.0))
        heard = at - self._draw.choice((0.0, SETTINGS.silence_timeout))
        return Now(at, heard, at, self._draw.randbytes(24))

    def _state(self, situation: Situation, now: Now) -> Any:
        state = situation.snapshot.state
        names: dict[Any, int] = {None: 0}
        registers = tuple(names.setdefault(who, len(names)) for who in state.registers)
        facts = self.engine.facts(situation.snapshot, now)
        return state.phase, registers, facts, situation.account.ledger()

    def _beside(self, situation: Situation) -> Iterator[Any]:
        """What else rows look at, and is in no state of the model, in each phase: what may come too
        late, a full outbox, and a backend that has asked a boot to stay away.
        """
        context = situation.snapshot.context
        messages = [entry for entry in context.outbox.entries if not entry.is_mark]
        phase = situation.snapshot.state.phase
        if situation.account.apart:
            yield phase, "apart"
        for request in situation.superseded:
            yield phase, "late", request.effect
        for request in situation.account.asked.values():
            under = getattr(request.payload, "tokens_accepted", context.tokens_accepted)
            if under != context.tokens_accepted:
                yield phase, "under an earlier token", request.effect
        if len(messages) >= SETTINGS.outbox_size:
            yield phase, "crowded"
        if context.not_before > situation.at:
            yield phase, "away", frozenset(r.effect for r in situation.account.asked.values())

    def _after(self, step: Lived) -> Situation:
        old = step.situation.account
        account = attrs.evolve(
            old,
            asked=dict(old.asked),
            apart=dict(old.apart),
            timers=set(old.timers),
            slots={slot: set(calls) for slot, calls in old.slots.items()},
            detached=set(old.detached),
            held=set(old.held),
            open=set(old.open),
        )
        for _ in account.take(step.happened, step.reaction):
            pass
        gone = [old.asked[n] for n in old.asked if n not in account.asked]
        ended = step.happened.request if isinstance(step.happened, Outcome) else None
        late = [request for request in gone if request is not ended]
        return Situation(
            len(self.situations), step.reaction.snapshot, account, step.now.at, tuple(late)
        )

    # --- what can happen --------------------------------------------------------------------------

    def _happenings(self, situation: Situation) -> Iterator[Input]:
        """Whatever can happen there, drawn."""
        account, chart = situation.account, self.chart
        for trigger in chart.external:
            if trigger in (T.GO_ONLINE, T.GO_OFFLINE):
                yield Hinted(trigger)
            elif trigger not in chart.events and trigger != T.WITHDRAW:
                for who in self._people(situation):
                    for arguments in self._arguments(trigger, who):
                        yield CallMade(self._new(), trigger, arguments)
        if account.link is not None:
            for event in (*_EVENTS, *self._messages(situation)):
                yield Heard(account.link, event)
        for request in (*account.asked.values(), *account.apart.values(), *situation.superseded):
            for result in self._results(situation, request):
                yield Outcome(request, result)
            for error in self._errors(request):
                yield Outcome(request, error=error)
        for timer in sorted(account.timers):
            yield Expired(timer)
        for slot, calls in account.slots.items():
            bounded = self.engine.program.joins[slot].limit is not None
            for call in sorted(calls):
                yield AwaiterLeft(call)
                if bounded:
                    yield OutOfTime(call)
        for call in sorted(account.held):
            yield AwaiterLeft(call)
            yield Hinted(T.WITHDRAW, call)

    def _new(self) -> int:
        self._made += 1
        return self._made

    def _people(self, situation: Situation) -> Sequence[str | None]:
        """Nobody, whoever is in a register, and one who is in none."""
        held = [who for who in dict.fromkeys(situation.snapshot.state.registers) if who is not None]
        stranger = next(who for who in PEOPLE if who not in held)
        return (None, *held, stranger)

    def _arguments(self, trigger: str, who: str | None) -> Iterator[Arguments]:
        draw = self._draw
        provider = self._provider if who is not None and draw.random() < 0.7 else None
        changes = {f"context.{draw.randrange(2)}": self._new()} if draw.random() < 0.6 else {}
        timeout = draw.choice((None, 5.0))
        match trigger:
            case T.BOOT | T.IDENTIFY if trigger == T.BOOT or who is not None:
                yield Arguments(who, changes, provider, timeout=timeout)
                yield Arguments(who, {}, None if provider else self._provider if who else None)
            case T.BECOME | T.SHUTDOWN if trigger == T.BECOME or who is None:
                for clears in (False, True):
                    yield Arguments(who, changes, provider, timeout=timeout, clear_storage=clears)
            case T.UPDATE:
                yield Arguments(who, {f"context.{draw.randrange(2)}": self._new()})
            case T.SEND if who is None:
                for queue in (True, False):
                    text = Outgoing(f"m{self._new()}", "hello", draw.choice((None, "c")))
                    yield Arguments(message=text, queue=queue, timeout=timeout)
                yield Arguments(message=MarkRead("c", f"m{self._new()}"))
            case T.USE if who is None:
                yield Arguments(use=ListConversations())
            case T.LOAD | T.DESTROY if who is None:
                yield Arguments()
            case _:
                return

    @staticmethod
    def _provider(user_id: str = "") -> str:
        return user_id

    def _messages(self, situation: Situation) -> Iterator[MessageArrived]:
        number = str(self._new())
        yield MessageArrived(Message(number, "c", "agent", "hello", 0.0), number)
        entries = situation.snapshot.context.outbox.entries
        sent = entries[0].message.client_message_id if entries and not entries[0].is_mark else None
        yield MessageArrived(Message(number, "c", "visitor", "hello", 0.0, sent), number, own=True)

    def _results(self, situation: Situation, request: Request) -> Iterator[Any]:
        draw, context, payload = self._draw, situation.snapshot.context, request.payload
        match request.effect:
            case E.DIAL:
                session = context.session or f"session {self._new()}"
                credentials = payload.credentials
                claim = credentials.claim
                for who in dict.fromkeys((None, credentials.user_id, "eve")):
                    yield Welcome(session, "visitor", who)
                if claim is not None:
                    answer = IdentifyAnswer(claim.user_id, draw.random() < 0.5)
                    yield Welcome(session, "visitor", claim.user_id, answer)
                    yield Welcome(session, "visitor", identify="repeatable")
            case E.SEND_IDENTIFY:
                yield IdentifyAnswer(payload.request.user_id, True)
                yield IdentifyAnswer("eve", False)
            case E.FETCH_TOKEN | E.FETCH_TARGET_TOKEN:
                yield token(payload.user_id, self._new(), draw.random() < 0.7)
            case E.SEND_UPDATE:
                yield UpdateAnswer(draw.choice(((), (("context.0", "no"),))))
            case E.SEND_TOKEN:
                yield RenewAnswer(draw.choice((None, "another session")))
            case E.CHECK_VISITOR:
                yield payload.visitor
                yield "another-secret-that-can-be-one"
            case E.CHECK_ADAPTERS | E.READ_VISITOR:
                yield f"a-secret-that-can-be-one-{draw.randrange(2)}"
                yield "damage"
            case E.CLEAR_USER | E.CLEAR_ALL:
                yield draw.choice((None, "a-secret-that-can-be-one-0"))
            case E.SEND_MESSAGES:
                yield Message(str(self._new()), "c", "visitor", "hello", 0.0)
                yield ReadAnswer(draw.choice((None, 0, 3)))
            case E.USE_LINK:
                yield ()
            case _:
                yield None

    def _errors(self, request: Request) -> Iterator[Exception]:
        spec = self.chart.effects[request.effect]
        assert isinstance(spec, Ask)
        blame = spec.blame or Blame(SupportChatError, "", "")
        yield LimitReachedError(1.0)
        for kind in (
            blame.error,
            *blame.refusals,
            *blame.rejections[:1],
            *blame.strangers,
            *blame.ended,
        ):
            yield kind("No.")
        if AuthRefusedError in blame.refusals:
            yield BackendRejectedError("No.", code=OWNER_CHANGED)
            yield RateLimitedError("Later.", retry_after=self._draw.choice((1.0, 1e9)))
