"""Any order of enabled inputs: the chart and the book together, without a loop, thousands of steps
a second.

A walk keeps a *ledger* of its own, changed only by the effects that were emitted and the outcomes
that were delivered: what is under way and current, what is under way and superseded, which timers
run, who waits for what, whether a link is open. Whatever is in the ledger may come in at any
moment, in any declared outcome, between any two calls; nothing else may. After each step the ledger
is compared with what the chart believes, and each promise is looked at. The chart's own facts
choose nothing: if a row forgot to clear one, the outcome would still come in.

The walks are seeded, so they are the same everywhere; a failure prints the story that led to it.
Together they are long enough for every transition to fire and every guard to be seen both ways,
which is asserted, so that a dead row does not stay unnoticed.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import attrs
import hypothesis.strategies as st
from hypothesis import given

from support_chat.chart.machine import UNHANDLED, Compiled, Input, State
from support_chat.chart.model import (
    Abandon,
    Arm,
    Ask,
    Detach,
    Disarm,
    Fail,
    Join,
    Present,
    Raise,
    Same,
    Settle,
    Transition,
)
from support_chat.errors import AuthRefusedError, NetworkError, RateLimitedError
from support_chat.lifecycle.chart import (
    CALLS,
    CHART,
    CONNECTING,
    ENDED,
    LINK_EVENTS,
    LIVE,
    ONLINE,
    OUTCOMES,
)
from support_chat.lifecycle.context import Book, facts
from support_chat.lifecycle.delays import DELAYS, Wait
from support_chat.lifecycle.names import Effect, Fact, Lane, Phase, Slot, Timer, Trigger
from support_chat.lifecycle.occasion import Asked, Occasion
from support_chat.lifecycle.reducers import arrive, note
from support_chat.lifecycle.tokens import Token
from support_chat.lifecycle.updates import NO_UPDATES
from support_chat.ports import IdentifyAnswer, MessageArrived, UpdateAnswer, Welcome
from support_chat.settings import Settings
from support_chat.values import Message, SignedIn, Visitor

COMPILED = Compiled(CHART)
SETTINGS = Settings()
USERS = ("ann", "bob")
ROWS_OF_THE_LATE = {"late.dispose", "part.done_earlier"}
EXPIRY = {
    Trigger(spec.expiry): Timer(spec.timer)
    for spec in CHART.effects.values()
    if isinstance(spec, Arm)
}
MOST_WALKS = 10_000
CALL_WEIGHTS = {
    "boot": 50,
    "identify": 40,
    "update": 40,
    "use": 30,
    "shutdown": 12,
    "load": 6,
    "destroy": 2,
}
OVER = (Phase.NOT_INITIALIZED, Phase.READY, Phase.SHUTDOWN, Phase.DESTROYED)


def provider() -> str:
    return "token"


@attrs.frozen
class Under:
    """One effect under way: what was asked, with which tag, and whose call it answers."""

    effect: Effect
    lane: Lane
    tag: int

    @property
    def spec(self) -> Ask:
        spec = CHART.effects[self.effect]
        assert isinstance(spec, Ask)
        return spec


@attrs.define(eq=False)
class Coverage:
    """Which rows have fired, and of which facts each row has seen both values (as bits: seen true,
    seen false).
    """

    fired: Counter[str] = attrs.field(factory=Counter[str])
    true: dict[str, int] = attrs.field(factory=dict[str, int])
    false: dict[str, int] = attrs.field(factory=dict[str, int])
    worth_a_visit: list[Walk] = attrs.field(factory=list[Any])
    """Where something was seen for the first time: good places to begin from."""
    states: set[tuple[str, int]] = attrs.field(factory=set[tuple[str, int]])
    """The phases with their stored facts that were seen."""

    def is_new(self, phase: str, trigger: str, bits: int, row: Transition) -> bool:
        """Whether this would show a row, or a side of a guard, that was never seen; the walk
        prefers it then.
        """
        return row.name not in self.fired or any(
            (bits & ~self.true.get(name, 0) | ~bits & ~self.false.get(name, 0)) & GUARDS[name]
            for name in candidates(phase, trigger)
        )

    def saw(self, phase: str, trigger: str, bits: int, row: Transition) -> None:
        self.fired[row.name] += 1
        for name in candidates(phase, trigger):
            self.true[name] = self.true.get(name, 0) | bits
            self.false[name] = self.false.get(name, 0) | ~bits


@cache
def candidates(phase: str, trigger: str) -> tuple[str, ...]:
    return tuple(row.name for row in CHART.rows(phase, trigger))


GUARDS = {row.name: COMPILED.mask((*row.when, *row.unless)) for row in CHART.transitions}


@attrs.define(eq=False)
class Walk:
    """One lifecycle and its ledger, taken from input to input by a seeded random generator."""

    roll: random.Random
    coverage: Coverage
    state: State = COMPILED.initial
    book: Book = attrs.field(factory=Book)
    now: float = 1000.0
    current: dict[Lane, Under] = attrs.field(factory=dict[Lane, Under])
    superseded: list[Under] = attrs.field(factory=list[Under])
    link: int | None = None
    """The tag of the open link."""
    old_links: list[int] = attrs.field(factory=list[int])
    timers: set[Timer] = attrs.field(factory=set[Timer])
    waiting: dict[Slot, int] = attrs.field(factory=dict[Slot, int])
    """How many calls wait in each slot."""
    using: int = 0
    """How many calls wait for a reply on the link."""
    detached: dict[int, int] = attrs.field(factory=dict[int, int])
    """How many calls wait for an earlier parting alone, by its tag."""
    open_calls: int = 0
    wanted: bool = False
    """Whether a boot came after the last shutdown or destroy."""
    story: list[str] = attrs.field(factory=list[str])

    # --- what may happen --------------------------------------------------------------------------

    def occasion(self, trigger: str, **rest: Any) -> Occasion:
        return Occasion(Trigger(trigger), self.now, fresh_id=f"id {len(self.story)}", **rest)

    def one_of(self, *of: Any) -> Any:
        return self.roll.choice(of)

    def call(self) -> Occasion:
        kind = self.roll.choices(list(CALL_WEIGHTS), list(CALL_WEIGHTS.values()))[0]
        # most of what is worth seeing happens while live
        if self.wanted == (kind == "boot") and self.one_of(True, False):
            kind = "identify" if self.wanted else "boot"
        who = self.one_of("ann", "ann", "ann", "bob")
        user = who if kind == "identify" else self.one_of(None, None, who)
        given = kind == "update" or self.one_of(True, False, False)
        changes = {f"user.traits.{self.one_of('a', 'b')}": self.one_of(1, 2, None)} if given else {}
        return self.occasion(
            kind,
            asked=Asked(
                user_id=user if kind in ("boot", "identify", "update") else None,
                changes=changes,
                provider=self.one_of(None, provider, provider)
                if user and kind in ("boot", "identify")
                else None,
                timeout=self.one_of(None, 1.0, 100.0),
                clear_storage=kind == "shutdown" and self.one_of(True, False),
            ),
        )

    def result(self, under: Under, trigger: str) -> Any:
        """A result of the right type, as good or as bad as a backend may send it."""
        who = self.one_of(*[self.book.user_id] * 8, None, *USERS)
        target = self.book.target.user_id if self.book.target else self.one_of(*USERS)
        answer = IdentifyAnswer(
            self.one_of(target, target, target, *USERS), self.one_of(True, False)
        )
        if trigger == Trigger.LINK_UP:
            claim = answer if self.book.claim and self.one_of(True, False) else None
            return Welcome("session", "visitor-1", claim.user_id if claim else who, claim=claim)
        results = {
            Trigger.IDENTIFIED: answer,
            Trigger.TOKEN_ARRIVED: Token(
                f"token {len(self.story)}", self.one_of(None, 20.0, 900.0)
            ),
            Trigger.VISITOR_READ: "secret",
            Trigger.VISITOR_RETIRED: "another secret",
            Trigger.UPDATED: UpdateAnswer(self.one_of((), (("user.traits.a", "no"),))),
        }
        return results.get(Trigger(trigger))

    def outcome(self, under: Under) -> Occasion:
        trigger = self.one_of(*under.spec.outcomes, *[under.spec.success] * 3)
        if trigger == under.spec.success and (
            trigger != under.spec.failure or self.one_of(True, False)
        ):
            return self.occasion(
                trigger, result=self.result(under, trigger), lane=under.lane, tag=under.tag
            )
        error: Exception = self.one_of(
            NetworkError("x"), RateLimitedError("x", retry_after=self.one_of(0.5, 1e6))
        )
        if trigger == under.spec.refusal:
            error = AuthRefusedError("x")
        return self.occasion(trigger, error=error, lane=under.lane, tag=under.tag)

    def link_event(self, tag: int) -> Occasion:
        trigger = self.roll.choices(LINK_EVENTS, (4, 4, 1, 6))[0]
        message = MessageArrived(Message("m", "c", "agent", "hello", 0.0), "7", 1)
        return self.occasion(
            trigger,
            result=message if trigger == Trigger.MESSAGE_ARRIVED else None,
            lane=Lane.LINK,
            tag=tag,
        )

    def expiry(self) -> Occasion:
        timer = self.roll.choice(sorted(self.timers))
        trigger = next(trigger for trigger, of in EXPIRY.items() if of == timer)
        return self.occasion(trigger, heard_at=self.one_of(self.now, self.now - 100.0))

    def enabled(self) -> Occasion:
        """One of the inputs that may come now."""
        kinds: list[tuple[int, Callable[[], Occasion]]] = [
            (6, self.call),
            (1, lambda: self.occasion(self.one_of(Trigger.GO_ONLINE, Trigger.GO_OFFLINE))),
        ]
        if self.current:
            kinds.append((12, lambda: self.outcome(self.roll.choice(list(self.current.values())))))
        if self.superseded:
            kinds.append((2, lambda: self.outcome(self.roll.choice(self.superseded))))
        if self.link is not None:
            link = self.link
            kinds.append((3, lambda: self.link_event(link)))
        if self.using and self.link is not None:
            reply = Under(Effect.USE_LINK, Lane.LINK, self.link)
            kinds.append((3, lambda: self.outcome(reply)))
        if self.old_links:
            kinds.append((1, lambda: self.link_event(self.roll.choice(self.old_links))))
        if self.timers:
            kinds.append((4, self.expiry))
        if self.waiting.get(Slot.BOOT):
            kinds.append((1, lambda: self.occasion(Trigger.ABANDON_BOOT)))
        if self.waiting.get(Slot.IDENTIFY):
            kinds.append((1, lambda: self.occasion(Trigger.ABANDON_IDENTIFY)))
        weights = [weight for weight, _ in kinds]
        return self.roll.choices(kinds, weights)[0][1]()

    # --- what happens -----------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        """Takes so many inputs, and looks at every promise after each."""
        try:
            for _ in range(steps):
                self.now += self.one_of(0.0, 0.01, 0.5, 4.0, 40.0)
                inputs = [self.enabled() for _ in range(3)]
                novelty = next((happening for happening in inputs if self.is_new(happening)), None)
                self.happen(novelty or inputs[0])
                for promise in PROMISES:
                    promise(self)
                if novelty is not None or self.control not in self.coverage.states:
                    self.coverage.worth_a_visit.append(self.branch(self.roll))
                    self.coverage.states.add(self.control)
                if self.holds(Fact.RELEASED) and self.one_of(True, False, False, False):
                    break
        except AssertionError as broken:
            raise AssertionError("\n".join([str(broken), *self.story])) from broken

    @property
    def control(self) -> tuple[str, int]:
        return self.state.phase, self.state.facts

    def branch(self, roll: random.Random) -> Walk:
        """A walk that goes on from here on its own."""
        fresh = attrs.evolve(self, roll=roll)
        for name in (
            "current",
            "superseded",
            "old_links",
            "timers",
            "waiting",
            "detached",
            "story",
        ):
            setattr(fresh, name, copy.copy(getattr(self, name)))
        return fresh

    def is_new(self, occasion: Occasion) -> bool:
        bits, row = self.look(occasion)[:2]
        return self.coverage.is_new(self.state.phase, occasion.trigger, bits, row)

    def look(self, occasion: Occasion) -> tuple[int, Transition, State]:
        """Every fact that holds of this occasion, the row that would fire, and the state after
        it.
        """
        given = COMPILED.mask(facts(self.book, occasion, SETTINGS))
        bits = self.state.facts | given | derived((*self.state.registers, occasion.named))
        after, row = COMPILED.fire(self.state, Input(occasion.trigger, given, occasion.named))
        return bits, row, after

    def happen(self, occasion: Occasion) -> None:
        """One input, and the internal triggers that it raises."""
        late = occasion.lane is not None and not self.is_current(occasion)
        before = (self.state, self.book, self.open_calls)
        is_call = occasion.trigger in CALLS
        self.open_calls += is_call
        if is_call and occasion.trigger in (Trigger.BOOT, Trigger.SHUTDOWN, Trigger.DESTROY):
            self.wanted = occasion.trigger == Trigger.BOOT
        if occasion.trigger in EXPIRY:
            self.timers.discard(EXPIRY[occasion.trigger])
        if occasion.lane is not None and occasion.lane in self.current and not late:
            # an adapter that is over its limit may still succeed
            self.superseded.append(self.current.pop(occasion.lane))
        rows = [self.step(occasion)]
        raised = [spec.trigger for spec in specs(rows[0]) if isinstance(spec, Raise)]
        while raised:
            rows.append(
                self.step(attrs.evolve(occasion, trigger=Trigger(raised.pop(0)), lane=None, tag=0))
            )
            raised += [spec.trigger for spec in specs(rows[-1]) if isinstance(spec, Raise)]
        if late:
            assert rows[0].name in ROWS_OF_THE_LATE, (
                f"S2 a late {occasion.trigger} fires {rows[0].name}"
            )
            assert (self.state, self.book) == before[:2], (
                f"S2 a late {occasion.trigger} changes something"
            )
            assert self.open_calls == before[2] or occasion.trigger == Trigger.PARTED, (
                f"S2 a late {occasion.trigger} settles a call"
            )
        if is_call:
            answers = sum(map(is_answer, (effect for row in rows for effect in row.effects)))
            assert answers == 1, f"S20 {occasion.trigger} is answered {answers} times"
        if Effect.REFUSE in rows[0].effects:
            assert (self.state, self.book) == before[:2], (
                f"S13 a refused {occasion.trigger} changes something"
            )

    def is_current(self, occasion: Occasion) -> bool:
        if occasion.lane is Lane.LINK:
            return occasion.tag == self.link
        under = self.current.get(occasion.lane or Lane.LOAD)
        return under is not None and under.tag == occasion.tag

    def step(self, occasion: Occasion) -> Transition:
        """One step of the chart, with the effects written down in the book and in the ledger."""
        phase = self.state.phase
        bits, row, self.state = self.look(occasion)
        self.coverage.saw(phase, occasion.trigger, bits, row)
        self.story.append(
            f"{occasion.trigger} {occasion.named or ''} --{row.name}--> {self.state.phase}"
        )
        if row is UNHANDLED:
            assert occasion.trigger not in (*CALLS, *OUTCOMES), (
                f"L1 nothing handles {occasion.trigger} in {phase}"
            )
        self.book = arrive(self.book, occasion)
        for effect in row.effects:
            self.emit(Effect(effect), occasion)
        return row

    def emit(self, effect: Effect, occasion: Occasion) -> None:
        """The effect is written down; what the ledger shows to be wrong at this very moment fails
        here.
        """
        spec = CHART.effects[effect]
        if effect in (Effect.FETCH_TOKEN, Effect.FETCH_TARGET_TOKEN, Effect.DIAL):
            assert self.state.phase in (Phase.BOOTING, *LIVE), f"S16 {effect} in {self.state.phase}"
        if effect in (Effect.READ_VISITOR, Effect.RETIRE_VISITOR):
            assert Lane.CLEAR not in self.current, "S19 a write starts beside a clear"
        if effect in (Effect.CLEAR_USER, Effect.CLEAR_ALL):
            assert Lane.VISITOR not in self.current, "S19 a clear starts beside a write"
        if effect is Effect.SEND_UPDATE:
            assert self.state.phase in ONLINE, f"S18 an update leaves in {self.state.phase}"
        if effect in (Effect.SEND_IDENTIFY, Effect.SEND_UPDATE, Effect.SEND_TOKEN, Effect.USE_LINK):
            assert self.link is not None, f"{effect} without a link"
        if effect is Effect.DIAL:
            assert self.link is None, "S8 a dial beside a link"
        self.book = note(self.book, effect, occasion, SETTINGS)
        match spec:
            case Ask(several=True):
                self.using += 1
            case Ask(lane=lane):
                assert lane not in self.current, f"S9 {effect} while the lane is busy"
                self.current[Lane(lane)] = Under(effect, Lane(lane), self.book.tag(Lane(lane)))
            case Arm(timer=timer, delay=delay):
                waits = DELAYS[delay](Wait(self.book, occasion, SETTINGS, 0.5))
                (self.timers.discard if waits is None else self.timers.add)(Timer(timer))
            case Disarm(timers=timers):
                self.timers -= {Timer(timer) for timer in timers}
            case Join(slot=slot):
                self.waiting[Slot(slot)] = self.waiting.get(Slot(slot), 0) + 1
            case Settle(slot=slot) | Fail(slot=slot):
                self.open_calls -= self.waiting.pop(Slot(slot), 0)
            case Detach(slots=slots, lane=lane):
                self.detach(slots, Lane(lane))
            case Abandon(lanes=lanes):
                self.abandon(lanes)
            case _:
                self.noted(effect, occasion)

    def detach(self, slots: tuple[str, ...], lane: Lane) -> None:
        under = self.current.pop(lane, None)
        count = sum(self.waiting.pop(Slot(slot), 0) for slot in slots)
        assert not count or under is not None, "L1 calls are detached to nothing"
        if under is not None:
            self.superseded.append(under)
            self.detached[under.tag] = count

    def abandon(self, lanes: tuple[str, ...]) -> None:
        for lane in map(Lane, lanes):
            if lane in self.current:
                self.superseded.append(self.current.pop(lane))
            if lane is Lane.LINK and self.link is not None:
                self.old_links.append(self.link)
                self.superseded += [Under(Effect.USE_LINK, Lane.LINK, self.link)] * bool(self.using)
                self.link = None
                self.open_calls -= self.using
                self.using = 0

    def noted(self, effect: Effect, occasion: Occasion) -> None:
        match effect:
            case Effect.KEEP_LINK:
                self.link = occasion.tag
            case Effect.DONE | Effect.REFUSE:
                self.open_calls -= 1
            case Effect.ANSWER:
                self.using -= 1
                self.open_calls -= 1
            case Effect.SETTLE_DETACHED:
                tags = [occasion.tag] if occasion.lane is Lane.PART else list(self.detached)
                self.open_calls -= sum(self.detached.pop(tag, 0) for tag in tags)
            case _:
                pass

    def holds(self, fact: Fact) -> bool:
        return bool(self.state.facts & COMPILED.bits[fact])


def specs(row: Transition) -> list[object]:
    return [CHART.effects[effect] for effect in row.effects]


def is_answer(effect: str) -> bool:
    return isinstance(CHART.effects[effect], Join) or effect in (
        Effect.DONE,
        Effect.REFUSE,
        Effect.USE_LINK,
    )


@cache
def derived(registers: tuple[str | None, ...]) -> int:
    """The bits of the facts that compare registers."""
    values = dict(zip((*CHART.registers, CHART.named), registers, strict=True))
    bits = 0
    for fact, kind in CHART.facts.items():
        same = isinstance(kind, Same) and values[kind.left] == values[kind.right]
        present = isinstance(kind, Present) and values[kind.register] is not None
        bits |= COMPILED.bits[fact] if same or present else 0
    return bits


# --- what must hold after every step --------------------------------------------------------------


def s01_nothing_opens_once_ended(walk: Walk) -> None:
    """S1 In `shutdown` and `destroyed` no link is open or opening, and no timer that leads to one
    is armed.
    """
    if walk.state.phase in ENDED:
        assert walk.link is None, "S1 a link is open"
        assert not {Lane.DIAL, Lane.TOKEN} & set(walk.current), "S1 a link is opening"
        assert Timer.RETRY not in walk.timers, "S1 an attempt is scheduled"


def s03_only_a_boot_makes_live(walk: Walk) -> None:
    """S3 After shutdown, only a boot() made later makes the session live."""
    assert walk.wanted or walk.state.phase not in (Phase.BOOTING, *LIVE), "S3 live without a boot"


def s04_the_former_user_is_forgotten(walk: Walk) -> None:
    """S4 After shutdown no recorded value of the former user is reachable."""
    if walk.state.phase in OVER and not walk.holds(Fact.BOOTED):
        book, updates = walk.book, walk.book.updates
        who = (
            book.user_id,
            book.identity,
            book.provider,
            book.target,
            book.token,
            book.session,
            book.visitor,
            book.cursor,
        )
        assert not any(who), "S4 who it was"
        assert updates == NO_UPDATES, "S4 what they said"


def s08_one_link(walk: Walk) -> None:
    """S8 At most one unsuperseded link is open or opening; one is open exactly while the session is
    online.
    """
    assert (walk.link is not None) + (Lane.DIAL in walk.current) <= 1, "S8 two links"
    assert (walk.link is not None) == (walk.state.phase in ONLINE), (
        "S8 a link that the phase does not know"
    )


def s11_who_is_authenticated_was_accepted(walk: Walk) -> None:
    """S11 `authenticated` as u implies that the backend accepted u; `anonymous` that it accepted
    nobody.
    """
    user = walk.state.registers[0]
    if walk.state.phase == Phase.AUTHENTICATED:
        assert user is not None, "S11 authenticated as nobody"
        assert walk.book.identity == SignedIn(user), "S11 not the one accepted"
    if walk.state.phase == Phase.ANONYMOUS:
        assert (user, type(walk.book.identity)) == (None, Visitor), "S11 anonymous as somebody"


def s20_every_call_is_somewhere(walk: Walk) -> None:
    """S20, L1 Every call has settled once, or waits in a slot, for a reply or for an earlier
    parting.
    """
    assert (
        walk.open_calls == sum(walk.waiting.values()) + sum(walk.detached.values()) + walk.using
    ), "S20 calls are lost"


def l1_every_slot_is_bounded(walk: Walk) -> None:
    """L1 Whoever waits waits for something that ends: a timer, or an effect with a limit."""
    current, timers = set(walk.current), walk.timers
    assert not walk.waiting.get(Slot.LOAD) or Lane.LOAD in current, "L1 a load waits for nothing"
    assert not walk.waiting.get(Slot.BOOT) or Timer.BOOT in timers, "L1 a boot waits for nothing"
    assert not walk.waiting.get(Slot.IDENTIFY) or Timer.IDENTIFY in timers, (
        "L1 an identify waits for nothing"
    )
    ending = walk.waiting.get(Slot.SHUTDOWN) or walk.waiting.get(Slot.CLEAR)
    assert not ending or {Lane.CLEAR, Lane.PART, Lane.VISITOR} & current, (
        "L1 a shutdown waits for nothing"
    )
    assert not walk.waiting.get(Slot.DESTROY) or current, "L1 a destroy waits for nothing"


def l3_whoever_connects_tries(walk: Walk) -> None:
    """L3 While connecting exactly one thing goes on: the wait for the next attempt, the token call
    or the dial.
    """
    going_on = (Timer.RETRY in walk.timers) + len({Lane.TOKEN, Lane.DIAL} & set(walk.current))
    if walk.state.phase in CONNECTING:
        assert going_on == (
            walk.state.phase != Phase.BOOTING or Lane.VISITOR not in walk.current
        ), "L3 not one attempt"
    elif walk.state.phase not in ONLINE:
        assert not going_on, "L3 an attempt that nobody wants"


def s17_the_book_and_the_registers_agree(walk: Walk) -> None:
    """S17 Whom the book sends updates for is whom the chart compares names with."""
    target = walk.book.target.user_id if walk.book.target else None
    assert walk.state.registers == (walk.book.user_id, target), "S17 two opinions of who is who"


def s21_destroyed_is_absorbing(walk: Walk) -> None:
    """S21 `destroyed` is absorbing and the ledger empties."""
    if walk.holds(Fact.RELEASED):
        assert walk.state.phase == Phase.DESTROYED, "S21 out of destroyed"
        assert (walk.current, walk.timers, walk.open_calls, walk.link) == ({}, set(), 0, None), (
            "S21 something is left"
        )


def s26_facts_equal_the_ledger(walk: Walk) -> None:
    """S26 Each "in flight" fact equals its ledger entry, and so do the book's tags."""
    for fact, lane in FLIGHTS.items():
        assert walk.holds(fact) == (lane in walk.current), f"S26 {fact} and the {lane} lane"
    assert walk.holds(Fact.RETRYING) == (Timer.RETRY in walk.timers), "S26 retrying and its timer"
    assert (walk.state.phase == Phase.LOADING) == (Lane.LOAD in walk.current), (
        "S26 loading and its lane"
    )
    tags = {lane: walk.book.tag(lane) for lane in Lane if walk.book.tag(lane)}
    entries = {lane: under.tag for lane, under in walk.current.items()} | (
        {} if walk.link is None else {Lane.LINK: walk.link}
    )
    assert tags == entries, "S26 the tags and the ledger"


def s27_a_renewal_is_scheduled(walk: Walk) -> None:
    """S27 In `authenticated` with a provider and a known expiry a renewal or its retry is scheduled
    or under way.
    """
    token = walk.book.token
    if (
        walk.state.phase == Phase.AUTHENTICATED
        and walk.book.provider
        and token
        and token.life is not None
    ):
        assert Timer.RENEW in walk.timers or {Lane.TOKEN, Lane.RENEW} & set(walk.current), (
            "S27 no renewal"
        )


def l6_what_is_recorded_leaves(walk: Walk) -> None:
    """L6 While live, what is recorded is scheduled to leave, or waits for a request, an identify or
    a token that is to come.
    """
    if (
        walk.state.phase in ONLINE
        and walk.book.updates.recorded
        and walk.book.target is None
        and not walk.holds(Fact.TOKEN_WANTED)
    ):
        assert Timer.UPDATE in walk.timers or {Lane.UPDATE, Lane.RENEW} & set(walk.current), (
            "L6 an update that never leaves"
        )


def l6_a_token_that_is_wanted_comes(walk: Walk) -> None:
    """L6 In `authenticated`, a token that is wanted is on its way, or scheduled to be."""
    if walk.state.phase == Phase.AUTHENTICATED and walk.holds(Fact.TOKEN_WANTED):
        assert Timer.RENEW in walk.timers or {Lane.TOKEN, Lane.RENEW} & set(walk.current), (
            "L6 a token that nobody fetches"
        )


FLIGHTS = {
    Fact.FETCHING: Lane.TOKEN,
    Fact.SENDING: Lane.UPDATE,
    Fact.RENEWING: Lane.RENEW,
    Fact.WRITING: Lane.VISITOR,
    Fact.CLEARING: Lane.CLEAR,
    Fact.PARTING: Lane.PART,
    Fact.RELEASING: Lane.RELEASE,
}
PROMISES: tuple[Callable[[Walk], None], ...] = (
    s01_nothing_opens_once_ended,
    s03_only_a_boot_makes_live,
    s04_the_former_user_is_forgotten,
    s08_one_link,
    s11_who_is_authenticated_was_accepted,
    s17_the_book_and_the_registers_agree,
    s20_every_call_is_somewhere,
    s21_destroyed_is_absorbing,
    s26_facts_equal_the_ledger,
    s27_a_renewal_is_scheduled,
    l1_every_slot_is_bounded,
    l3_whoever_connects_tries,
    l6_what_is_recorded_leaves,
    l6_a_token_that_is_wanted_comes,
)


PRECAUTIONS: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        [("boot.timed_out_waiting", Fact.BOOTED), ("boot.abandoned_waiting", Fact.BOOTED)],
        "the timer runs, and somebody waits, only while a boot is accepted",
    ),
    **dict.fromkeys(
        [
            ("identify.wait_for_outcome", Fact.BOOTED),
            ("identify.signed_in_already", Fact.BOOTED),
            ("use.link", Fact.BOOTED),
        ],
        "a live session is a booted one",
    ),
    **dict.fromkeys(
        [
            (f"identify.given_up_{when}", Fact.IDENTIFYING)
            for when in ("after_sending", "offline", "before_sending")
        ],
        "the timer runs, and somebody waits, only while an identify is accepted",
    ),
    ("update.send", Fact.SENDING): "the timer is not armed while a request is under way",
    **dict.fromkeys(
        [("renew.due", fact) for fact in (Fact.PROVIDER, Fact.FETCHING, Fact.RENEWING)],
        "the timer is armed when there is a provider, and when a renewal has ended",
    ),
    **dict.fromkeys(
        [("renew.due_offline", fact) for fact in (Fact.PROVIDER, Fact.SIGNED_IN)],
        "the timer was armed for this user",
    ),
    **dict.fromkeys(
        [
            (f"destroy.{row}", fact)
            for row in ("release", "release_at_last")
            for fact in (Fact.RELEASING, Fact.RELEASED)
        ],
        "what is released has superseded everything that could raise it again, and stopped the "
        "timer",
    ),
}
"""Sides of guards that no enabled input shows, and why. They keep the rows of a phase and trigger
apart by themselves (S22).
"""


# --- the tests ------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1))
def test_every_promise_holds_on_every_walk(seed: int) -> None:
    Walk(random.Random(seed), Coverage()).run(200)


def test_every_transition_fires_and_every_guard_is_seen_both_ways() -> None:
    coverage = Coverage()
    for seed in range(MOST_WALKS):
        roll = random.Random(seed)
        beginning = roll.choice(coverage.worth_a_visit) if seed % 4 else Walk(roll, coverage)
        beginning.branch(roll).run(15)
        if seed % 500 == 499 and not silent(coverage) and one_sided(coverage) == set(PRECAUTIONS):
            break
    assert not silent(coverage), "these rows never fire by enabled inputs"
    assert one_sided(coverage) == set(PRECAUTIONS), (
        "the sides of guards that were never seen, but for precautions"
    )


def silent(coverage: Coverage) -> list[str]:
    return [row.name for row in CHART.transitions if row.name not in coverage.fired]


def one_sided(coverage: Coverage) -> set[tuple[str, str]]:
    return {
        (row.name, fact)
        for row in CHART.transitions
        for fact in (*row.when, *row.unless)
        if not coverage.true.get(row.name, 0)
        & coverage.false.get(row.name, 0)
        & COMPILED.bits[fact]
    }
