"""Any order of enabled inputs, on the engine: the chart and the context together, thousands of
steps a second.

A life (`driving.Life`) keeps an account of what is under way, by inputs and commands alone.
Whatever is under way may come in at any moment, in any declared outcome, between any two calls;
nothing else may. The chart's own facts choose nothing: if a row forgot to clear one, the outcome
would still come in. After each step the account is compared with what the snapshot says, and each
promise is looked at: S1 to S4, S8, S9, S11, S13, S16 to S21, S26, S27, S38a, L1, L3, L6.

The lives are seeded, so they are the same everywhere; a failure prints the story that led to it.
Together they are long enough for every transition to fire and every guard to be seen both ways,
which is asserted, so that a dead row does not stay unnoticed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import cache

import hypothesis.strategies as st
from hypothesis import given

from driving import Life
from keeping import kept
from support_chat.chart.machine import UNHANDLED, Compiled
from support_chat.engine import CallMade, Input, Now, Outcome, Request, Settle
from support_chat.lifecycle.chart import CALLS, CHART, LIVE, ONLINE, OUTCOMES
from support_chat.lifecycle.names import Effect as E, Fact, Lane, Phase, Slot, Timer, Trigger as T
from support_chat.lifecycle.outbox import EMPTY
from support_chat.lifecycle.updates import NO_UPDATES
from support_chat.ports import Welcome
from support_chat.settings import Settings
from support_chat.testing.chart_coverage import Sighting, Watch
from support_chat.values import SignedIn, Visitor

MOST_LIVES = 10_000
SMALL = Settings(outbox_size=2)
"""An outbox that is full now and then."""
BITS = Compiled(CHART).bits
ROWS_OF_THE_LATE = {row.name for row in CHART.transitions if Fact.LATE in row.when}
OVER = (Phase.NOT_INITIALIZED, Phase.READY, Phase.SHUTDOWN, Phase.DESTROYED)
NEEDS_A_LINK = {E.SEND_IDENTIFY, E.SEND_UPDATE, E.SEND_TOKEN, E.SEND_MESSAGES, E.USE_LINK}


# --- what must hold -------------------------------------------------------------------------------


def of_step(life: Life) -> Mapping[str, bool]:
    """What the last step shows."""
    taken = life.log[-1]
    happened, fired, commands = taken.happened, taken.reaction.fired, taken.reaction.commands
    is_late = bool(fired) and fired[0].row.name in ROWS_OF_THE_LATE
    unchanged = all(
        getattr(taken.before, what) == getattr(life.snapshot, what) for what in ("state", "context")
    )
    settled = [command.call for command in commands if isinstance(command, Settle)]
    call = happened.call if isinstance(happened, CallMade) else None
    answers = [*settled, *life.snapshot.waiting].count(call or 0)
    return {
        "S2 what is superseded is late, and nothing else is": (
            not fired or is_late != taken.current
        ),
        "S2 what is late changes nothing": not is_late or unchanged,
        "S2 what is late settles nobody but who waits for it": (
            not (is_late and settled) or fired[0].trigger == T.PARTED
        ),
        "S9 a lane has one request at a time": all(is_free(life, one) for one in taken.asked),
        "S18 what needs a link goes out on the session's": all(
            request.link == life.account.link is not None
            for request in taken.asked
            if request.effect in NEEDS_A_LINK
        ),
        "S13 a refused call changes nothing": E.REFUSE not in taken.effects or unchanged,
        "S20 a call is settled, or waits, in the step that it is made": (
            call is None or answers == 1
        ),
        "S38a an identify that may have been accepted is asked again": (
            not lets_go(life) or says_what_became_of_it(life)
        ),
        "L1 calls and outcomes are handled": all(
            one.row is not UNHANDLED or one.trigger not in (*CALLS, *OUTCOMES) for one in fired
        ),
        **kept(
            life.phase,
            set(life.engine.program.machine.names(life.snapshot.state.facts)),
            life.snapshot.state.registers,
            set(life.account.ledger()),
            {request.effect for request in taken.asked},
        ),
    }


def is_free(life: Life, request: Request) -> bool:
    """Whether the lane of a request had none, or its last one has ended or was given up."""
    taken = life.log[-1]
    before = taken.before.current[life.engine.program.lane[request.lane]]
    given_up = E.DETACH in taken.effects or request.lane in taken.cancelled
    return request.effect == E.USE_LINK or not before or taken.is_outcome_of(before) or given_up


def lets_go(life: Life) -> bool:
    """Whether a session that goes on no longer claims the identify that has left."""
    before, after = life.log[-1].before.context.claim, life.snapshot.context.claim
    return before is not None and before != after and life.phase in LIVE


def says_what_became_of_it(life: Life) -> bool:
    """Whether the last outcome answers the identify, or is a no to whoever would ask for it."""
    taken = life.log[-1]
    target, trigger = taken.before.context.target, taken.reaction.fired[0].trigger
    match taken.happened:
        case Outcome(_, Welcome(user_id=user, identify=identify)):
            return identify == "remembered" or (target is not None and target.user_id == user)
        case _ if trigger == T.IDENTIFY_FAILED:
            return target is not None and not target.again
        case _:
            return trigger in (T.IDENTIFIED, T.IDENTIFY_REFUSED, T.DIAL_REFUSED, T.TOKEN_REFUSED)


def of_state(life: Life) -> Mapping[str, bool]:
    """What the session shows between two steps."""
    phase, snapshot, account, lanes = life.phase, life.snapshot, life.account, life.lanes
    c, (user, target), timers = snapshot.context, snapshot.state.registers, account.timers
    who = (c.user_id, c.identity, c.provider, c.target, c.token, c.session, c.visitor, c.cursor)
    is_over = phase in OVER and not life.holds(Fact.BOOTED)
    using = {request.call for request in account.asked.values()} - {None}
    held = {entry.number for entry in c.outbox.entries if entry.awaited}
    timed = {call for slot in (Slot.BOOT, Slot.IDENTIFY) for call in account.slots.get(slot, ())}
    batches = {number for number, r in account.asked.items() if r.lane == Lane.SEND}
    slotted = {call for calls in account.slots.values() for call in calls}
    waits = {slot for slot, calls in account.slots.items() if calls}
    asked = {n: r for n, r in account.asked.items() if r.call is None and n not in batches}
    entries = {r.lane: number for number, r in asked.items()}
    entries |= {} if account.link is None else {Lane.LINK: account.link}
    current = zip(life.engine.program.lanes, snapshot.current, strict=True)
    renewing = Timer.RENEW in timers or bool({Lane.TOKEN, Lane.RENEW} & lanes)
    expires = c.provider and c.token and c.token.life is not None
    recorded = c.updates.recorded and c.target is None and not life.holds(Fact.TOKEN_WANTED)
    signed_in, ending = phase == Phase.AUTHENTICATED, {Slot.SHUTDOWN, Slot.CLEAR} & waits
    return {
        "S3 only a boot() or a become() makes it live": phase not in (Phase.BOOTING, *LIVE)
        or booted(life),
        "S4 the former user is forgotten": not (is_over and any(who)),
        "S4 what the former user said is forgotten": (
            not is_over or (c.updates, c.outbox) == (NO_UPDATES, EMPTY)
        ),
        "S8 the link is the account's": account.link == snapshot.link,
        "S11 who is authenticated was accepted": (
            not signed_in or (user is not None and c.identity == SignedIn(user))
        ),
        "S11 anonymous is nobody": (
            phase != Phase.ANONYMOUS or (user, type(c.identity)) == (None, Visitor)
        ),
        "S17 context and registers agree": (
            (user, target) == (c.user_id, c.target and c.target.user_id)
        ),
        "S20 every call has settled, or waits": (
            life.unsettled == slotted | account.detached | using | held
        ),
        "S21 once released nobody waits": not (life.holds(Fact.RELEASED) and life.unsettled),
        "S26 what is current is what is under way": (
            {lane: number for lane, number in current if number} == entries
        ),
        "S27 a renewal is scheduled, or under way": not (signed_in and expires) or renewing,
        "L1 a load waits for an outcome": Slot.LOAD not in waits or Lane.LOAD in lanes,
        "L1 who waits for a boot or an identify has a time": timed == set(life.bounds),
        "L1 a message that waits has a time": not held or Timer.OUTBOX in timers,
        "L1 a shutdown waits for an outcome": (
            not ending or bool({Lane.CLEAR, Lane.PART, Lane.VISITOR} & lanes)
        ),
        "L1 a destroy waits for an outcome": Slot.DESTROY not in waits or bool(lanes),
        "L6 what is recorded leaves": (
            not (phase in ONLINE and recorded)
            or Timer.UPDATE in timers
            or bool({Lane.UPDATE, Lane.RENEW} & lanes)
        ),
        "L6 a token that is wanted comes": (
            not (signed_in and life.holds(Fact.TOKEN_WANTED)) or renewing
        ),
    }


def booted(life: Life) -> bool:
    """Whether a boot() or a become() was called since the last call that ends a session."""
    calls = (taken.happened for taken in reversed(life.log))
    made = (call.trigger for call in calls if isinstance(call, CallMade))
    ends = (T.BOOT, T.BECOME, T.SHUTDOWN, T.DESTROY)
    return next(call for call in made if call in ends) in (T.BOOT, T.BECOME)


def look(life: Life) -> None:
    """Looks at every promise; the error tells the story that led to where one is broken."""
    held = {**of_step(life), **of_state(life)}
    broken = [promise for promise, holds in held.items() if not holds]
    assert not broken, f"{broken}\n{life.story}"


PRECAUTIONS: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        [("boot.abandoned_waiting", Fact.BOOTED)],
        "somebody waits only while a boot is accepted",
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
    **dict.fromkeys(
        [
            (f"become.end_{what}{how}", Fact.BOOTED)
            for what in ("live", "unresolved", "boot")
            for how in ("", "_clear")
        ],
        "the session is for a user, or becomes one's, only while a boot is accepted",
    ),
    **dict.fromkeys(
        [("send.due", Fact.BOOTED), ("send.withdraw", Fact.BOOTED)],
        "a message waits only while a boot is accepted",
    ),
    ("update.send", Fact.SENDING): "the timer is not armed while a request is under way",
    ("update.visitor_unauthorised", Fact.OUTDATED): "no token was ever accepted of a visitor",
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
def test_every_promise_holds_on_every_life(seed: int) -> None:
    Life.begin(random.Random(seed), settings=SMALL).live(200, look)


def test_every_transition_fires_and_every_guard_is_seen_both_ways() -> None:
    seen, worth_a_visit, watch = set[object](), list[Life](), Watch(CHART)
    watch.begin()
    try:
        for seed in range(MOST_LIVES):
            roll = random.Random(seed)
            fresh = not worth_a_visit or seed % 100 == 0
            life = (
                Life.begin(roll, settings=SMALL)
                if fresh
                else roll.choice(worth_a_visit).branch(roll)
            )
            worth_a_visit += explore(life, watch, seen)
            if seed % 100 == 99 and not silent(seen) and one_sided(seen) == set(PRECAUTIONS):
                break
    finally:
        watch.end()
    assert not silent(seen), "these rows never fire by enabled inputs"
    assert one_sided(seen) == set(PRECAUTIONS), (
        "the sides of guards that were never seen, but for precautions"
    )


def explore(life: Life, watch: Watch, seen: set[object]) -> Iterator[Life]:
    """Lives on, by an input that shows something new where there is one; yields places from where
    to go on another time.
    """
    for _ in range(15):
        life.at += life.one_of(0.0, 0.01, 0.5, 4.0, 40.0)
        inputs = [life.enabled() for _ in range(6)]
        novelty = next((one for one in inputs if not shown_by(life, one, watch) <= seen), inputs[0])
        watch.sightings.clear()
        life.take(*novelty)
        shown = shown_of(watch)
        look(life)
        shown.add(life.snapshot.state[:2])
        if not shown <= seen:
            seen |= shown
            yield life.branch(life.roll)


def shown_by(life: Life, one: tuple[Input, Now], watch: Watch) -> set[object]:
    """What would be seen of the chart if this happened: rows that fire, sides of guards."""
    watch.sightings.clear()
    life.look(*one)
    return shown_of(watch)


def shown_of(watch: Watch) -> set[object]:
    return {shown for sighting in watch.sightings for shown in sides(sighting)}


@cache
def sides(sighting: Sighting) -> set[object]:
    """The row that fired, and of each row that might have, each fact of its guard and whether it
    held. (Of what is late nothing else is read.)
    """
    phase, trigger, facts, fired = sighting
    rows = () if fired in ROWS_OF_THE_LATE else CHART.rows(phase, trigger)
    guards = {(row.name, fact) for row in rows for fact in (*row.when, *row.unless)}
    return {fired, *((*guard, bool(facts & BITS[guard[1]])) for guard in guards)}


def silent(seen: set[object]) -> list[str]:
    return [row.name for row in CHART.transitions if row.name not in seen]


def one_sided(seen: set[object]) -> set[tuple[str, str]]:
    guards = {(row.name, f) for row in CHART.transitions for f in (*row.when, *row.unless)}
    return {
        guard
        for guard in guards
        if guard[1] != Fact.LATE and not {(*guard, True), (*guard, False)} <= seen
    }
