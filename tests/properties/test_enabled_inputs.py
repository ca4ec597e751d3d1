"""Any order of enabled inputs, on the engine: the chart and the context together, thousands of
steps a second.

A life (`driving.Life`) keeps an account of what is under way, by inputs and commands alone.
Whatever is under way may come in at any moment, in any declared outcome, between any two calls;
nothing else may. The chart's own facts choose nothing: if a row forgot to clear one, the outcome
would still come in. After each step the account is compared with what the snapshot says, and each
promise is looked at: S1 to S4, S8, S9, S11, S13, S16 to S21, S26, S27, L1, L3, L6.

The lives are seeded, so they are the same everywhere; a failure prints the story that led to it.
Together they are long enough for every transition to fire and every guard to be seen both ways,
which is asserted, so that a dead row does not stay unnoticed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache

import hypothesis.strategies as st
from hypothesis import given

from driving import Life
from support_chat.chart.machine import UNHANDLED, Compiled
from support_chat.engine import CallMade, Input, Now, Settle
from support_chat.lifecycle.chart import CALLS, CHART, CONNECTING, ENDED, LIVE, ONLINE, OUTCOMES
from support_chat.lifecycle.names import Effect as E
from support_chat.lifecycle.names import Fact, Lane, Phase, Slot, Timer
from support_chat.lifecycle.names import Trigger as T
from support_chat.lifecycle.updates import NO_UPDATES
from support_chat.testing.chart_coverage import Sighting, Watch
from support_chat.values import SignedIn, Visitor

MOST_LIVES = 10_000
BITS = Compiled(CHART).bits
ROWS_OF_THE_LATE = {row.name for row in CHART.transitions if Fact.LATE in row.when}
OVER = (Phase.NOT_INITIALIZED, Phase.READY, Phase.SHUTDOWN, Phase.DESTROYED)
NEEDS_A_LINK = {E.SEND_IDENTIFY, E.SEND_UPDATE, E.SEND_TOKEN, E.USE_LINK}
FLIGHTS = {
    Fact.FETCHING: Lane.TOKEN,
    Fact.SENDING: Lane.UPDATE,
    Fact.RENEWING: Lane.RENEW,
    Fact.WRITING: Lane.VISITOR,
    Fact.CLEARING: Lane.CLEAR,
    Fact.PARTING: Lane.PART,
    Fact.RELEASING: Lane.RELEASE,
}


# --- what must hold of every step -----------------------------------------------------------------


def s02_what_is_late_changes_nothing(life: Life) -> None:
    """S2 A superseded outcome or event changes nothing, and settles nobody but who waits for it."""
    taken = life.log[-1]
    for fired in taken.reaction.fired[:1]:
        late = fired.row.name in ROWS_OF_THE_LATE
        assert late != taken.current, f"S2 {fired.trigger} fires {fired.row.name}"
        if late:
            assert unchanged(life), f"S2 a late {fired.trigger} changes something"
            settles = any(isinstance(command, Settle) for command in taken.reaction.commands)
            assert not settles or fired.trigger == T.PARTED, "S2 a late outcome settles a call"


def s13_what_is_refused_changes_nothing(life: Life) -> None:
    """S13 A refused call changes nothing."""
    assert E.REFUSE not in life.log[-1].effects or unchanged(life), (
        "S13 a refusal changes something"
    )


def s20_each_call_has_one_answer(life: Life) -> None:
    """S20 A call is settled, or waits, in the very step that it is made."""
    taken = life.log[-1]
    if isinstance(taken.happened, CallMade):
        call = taken.happened.call
        answers = [c for c in taken.reaction.commands if isinstance(c, Settle) and c.call == call]
        waits = [waiter for waiter in life.snapshot.waiting if waiter.call == call]
        assert len(answers) + len(waits) == 1, f"S20 {taken.happened.trigger} has no one answer"


def l1_everything_is_handled(life: Life) -> None:
    """L1 Calls and outcomes have a row in every phase."""
    for fired in life.log[-1].reaction.fired:
        handled = fired.row is not UNHANDLED or fired.trigger not in (*CALLS, *OUTCOMES)
        assert handled, f"L1 nothing handles {fired.trigger} in {fired.phase}"


def s09_requests_begin_where_they_may(life: Life) -> None:
    """S9 A lane has one request at a time; S16 to S18 each begins in its phases, and on the link
    that it needs.
    """
    taken = life.log[-1]
    for request in taken.asked:
        effect, before = request.effect, taken.before.current
        position = life.engine.program.lane[request.lane]
        free = taken.is_outcome_of(before[position]) or not before[position]
        given_up = E.DETACH in taken.effects or request.lane in taken.cancelled
        assert effect == E.USE_LINK or free or given_up, f"S9 {effect} while the lane is busy"
        if effect in (E.FETCH_TOKEN, E.FETCH_TARGET_TOKEN, E.DIAL):
            assert life.phase in (Phase.BOOTING, *LIVE), f"S16 {effect} in {life.phase}"
        if effect in NEEDS_A_LINK:
            assert request.link is not None, f"{effect} without a link"
            assert request.link == life.account.link, f"{effect} on another link"
        assert effect != E.SEND_UPDATE or life.phase in ONLINE, "S18 an update leaves"


def unchanged(life: Life) -> bool:
    """Whether the last step has left state and context as they were."""
    before, after = life.log[-1].before, life.snapshot
    return (before.state, before.context) == (after.state, after.context)


# --- what must hold after every step --------------------------------------------------------------


def s01_nothing_opens_once_ended(life: Life) -> None:
    """S1 In `shutdown` and `destroyed` no link is open or opening, and no timer that leads to one
    is armed.
    """
    if life.phase in ENDED:
        assert life.account.link is None, "S1 a link is open"
        assert not {Lane.DIAL, Lane.TOKEN} & life.lanes, "S1 a link is opening"
        assert Timer.RETRY not in life.account.timers, "S1 an attempt is scheduled"


def s03_only_a_boot_makes_live(life: Life) -> None:
    """S3 After shutdown, only a boot() made later makes the session live."""
    if life.phase in (Phase.BOOTING, *LIVE):
        calls = (taken.happened for taken in reversed(life.log))
        made = (call.trigger for call in calls if isinstance(call, CallMade))
        last = next(call for call in made if call in (T.BOOT, T.SHUTDOWN, T.DESTROY))
        assert last == T.BOOT, "S3 live without a boot"


def s04_the_former_user_is_forgotten(life: Life) -> None:
    """S4 After shutdown no recorded value of the former user is reachable."""
    if life.phase in OVER and not life.holds(Fact.BOOTED):
        c = life.snapshot.context
        who = (c.user_id, c.identity, c.provider, c.target, c.token, c.session, c.visitor, c.cursor)
        assert not any(who), "S4 who it was"
        assert c.updates == NO_UPDATES, "S4 what they said"


def s08_one_link(life: Life) -> None:
    """S8 At most one unsuperseded link is open or opening; one is open exactly while the session is
    online.
    """
    is_open = life.account.link is not None
    assert is_open + (Lane.DIAL in life.lanes) <= 1, "S8 two links"
    assert is_open == (life.phase in ONLINE), "S8 a link that the phase does not know"
    assert life.account.link == life.snapshot.link, "S8 another link"


def s11_who_is_authenticated_was_accepted(life: Life) -> None:
    """S11 `authenticated` as u implies that the backend accepted u; `anonymous` that it accepted
    nobody.
    """
    user, identity = life.snapshot.state.registers[0], life.snapshot.context.identity
    if life.phase == Phase.AUTHENTICATED:
        assert user is not None, "S11 authenticated as nobody"
        assert identity == SignedIn(user), "S11 not the one accepted"
    if life.phase == Phase.ANONYMOUS:
        assert (user, type(identity)) == (None, Visitor), "S11 anonymous as somebody"


def s17_the_context_and_the_registers_agree(life: Life) -> None:
    """S17 Whom the context sends updates for is whom the chart compares names with."""
    context = life.snapshot.context
    target = context.target and context.target.user_id
    assert life.snapshot.state.registers == (context.user_id, target), "S17 two opinions"


def s19_no_clear_beside_a_write(life: Life) -> None:
    """S19 The visitor is never written and cleared at once."""
    assert not {Lane.VISITOR, Lane.CLEAR} <= life.lanes, "S19 a clear beside a write"


def s20_every_call_is_somewhere(life: Life) -> None:
    """S20, L1 Every call has settled once, or waits in a slot, for a reply or for an earlier
    parting.
    """
    slots = {call for calls in life.account.slots.values() for call in calls}
    using = {request.call for request in life.account.asked.values()} - {None}
    assert life.unsettled == slots | life.account.detached | using, "S20 calls are lost"


def l1_every_slot_is_bounded(life: Life) -> None:
    """L1 Whoever waits waits for something that ends: a timer, or an effect with a limit."""
    slots, lanes, timers = life.account.slots, life.lanes, life.account.timers
    assert not slots.get(Slot.LOAD) or Lane.LOAD in lanes, "L1 a load waits for nothing"
    assert not slots.get(Slot.BOOT) or Timer.BOOT in timers, "L1 a boot waits for nothing"
    identifying = slots.get(Slot.IDENTIFY)
    assert not identifying or Timer.IDENTIFY in timers, "L1 an identify waits for nothing"
    ending = slots.get(Slot.SHUTDOWN) or slots.get(Slot.CLEAR)
    assert not ending or {Lane.CLEAR, Lane.PART, Lane.VISITOR} & lanes, (
        "L1 a shutdown waits for nothing"
    )
    assert not slots.get(Slot.DESTROY) or lanes, "L1 a destroy waits for nothing"


def l3_whoever_connects_tries(life: Life) -> None:
    """L3 While connecting exactly one thing goes on: the wait for the next attempt, the token call
    or the dial.
    """
    attempts = (Timer.RETRY in life.account.timers) + len({Lane.TOKEN, Lane.DIAL} & life.lanes)
    if life.phase in CONNECTING:
        reading = life.phase == Phase.BOOTING and Lane.VISITOR in life.lanes
        assert attempts == (not reading), "L3 not one attempt"
    elif life.phase not in ONLINE:
        assert not attempts, "L3 an attempt that nobody wants"


def s21_destroyed_is_absorbing(life: Life) -> None:
    """S21 `destroyed` is absorbing and the account empties."""
    if life.holds(Fact.RELEASED):
        assert life.phase == Phase.DESTROYED, "S21 out of destroyed"
        assert life.account.ledger() == (), "S21 something is left"
        assert not life.unsettled, "S21 somebody waits"


def s26_facts_equal_the_account(life: Life) -> None:
    """S26 Each "in flight" fact equals its entry of the account, and so does what is current."""
    for fact, lane in FLIGHTS.items():
        assert life.holds(fact) == (lane in life.lanes), f"S26 {fact} and the {lane} lane"
    retrying = Timer.RETRY in life.account.timers
    assert life.holds(Fact.RETRYING) == retrying, "S26 retrying and its timer"
    loading = Lane.LOAD in life.lanes
    assert (life.phase == Phase.LOADING) == loading, "S26 loading and its lane"
    entries = {r.lane: number for number, r in life.account.asked.items() if r.call is None}
    entries |= {} if life.account.link is None else {Lane.LINK: life.account.link}
    current = zip(life.engine.program.lanes, life.snapshot.current, strict=True)
    assert {lane: number for lane, number in current if number} == entries, "S26 what is current"


def renewing(life: Life) -> bool:
    """Whether a token is on its way, or scheduled to be."""
    return Timer.RENEW in life.account.timers or bool({Lane.TOKEN, Lane.RENEW} & life.lanes)


def s27_a_renewal_is_scheduled(life: Life) -> None:
    """S27 In `authenticated` with a provider and a known expiry a renewal or its retry is scheduled
    or under way.
    """
    provider, token = life.snapshot.context.provider, life.snapshot.context.token
    if life.phase == Phase.AUTHENTICATED and provider and token and token.life is not None:
        assert renewing(life), "S27 no renewal"


def l6_what_is_recorded_leaves(life: Life) -> None:
    """L6 While live, what is recorded is scheduled to leave, or waits for a request, an identify or
    a token that is to come.
    """
    context = life.snapshot.context
    waits = context.target is not None or life.holds(Fact.TOKEN_WANTED)
    if life.phase in ONLINE and context.updates.recorded and not waits:
        leaves = Timer.UPDATE in life.account.timers or {Lane.UPDATE, Lane.RENEW} & life.lanes
        assert leaves, "L6 an update that never leaves"


def l6_a_token_that_is_wanted_comes(life: Life) -> None:
    """L6 In `authenticated`, a token that is wanted is on its way, or scheduled to be."""
    if life.phase == Phase.AUTHENTICATED and life.holds(Fact.TOKEN_WANTED):
        assert renewing(life), "L6 a token that nobody fetches"


PROMISES: tuple[Callable[[Life], None], ...] = (
    s01_nothing_opens_once_ended,
    s02_what_is_late_changes_nothing,
    s03_only_a_boot_makes_live,
    s04_the_former_user_is_forgotten,
    s08_one_link,
    s09_requests_begin_where_they_may,
    s11_who_is_authenticated_was_accepted,
    s13_what_is_refused_changes_nothing,
    s17_the_context_and_the_registers_agree,
    s19_no_clear_beside_a_write,
    s20_each_call_has_one_answer,
    s20_every_call_is_somewhere,
    s21_destroyed_is_absorbing,
    s26_facts_equal_the_account,
    s27_a_renewal_is_scheduled,
    l1_everything_is_handled,
    l1_every_slot_is_bounded,
    l3_whoever_connects_tries,
    l6_what_is_recorded_leaves,
    l6_a_token_that_is_wanted_comes,
)


def look(life: Life) -> None:
    """Looks at every promise; the error tells the story that led to where one is broken."""
    try:
        for promise in PROMISES:
            promise(life)
    except AssertionError as broken:
        raise AssertionError(f"{broken}\n{life.story}") from broken


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
def test_every_promise_holds_on_every_life(seed: int) -> None:
    Life.begin(random.Random(seed)).live(200, look)


def test_every_transition_fires_and_every_guard_is_seen_both_ways() -> None:
    seen, worth_a_visit, watch = set[object](), list[Life](), Watch(CHART)
    watch.begin()
    try:
        for seed in range(MOST_LIVES):
            roll = random.Random(seed)
            fresh = not worth_a_visit or seed % 4 == 0
            life = Life.begin(roll) if fresh else roll.choice(worth_a_visit).branch(roll)
            worth_a_visit += explore(life, watch, seen)
            if seed % 500 == 499 and not silent(seen) and one_sided(seen) == set(PRECAUTIONS):
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
        inputs = [life.enabled() for _ in range(3)]
        novelty = next((one for one in inputs if not shown_by(life, one, watch) <= seen), inputs[0])
        shown = shown_by(life, novelty, watch)
        life.take(*novelty)
        look(life)
        shown.add(life.snapshot.state[:2])
        if not shown <= seen:
            seen |= shown
            yield life.branch(life.roll)


def shown_by(life: Life, one: tuple[Input, Now], watch: Watch) -> set[object]:
    """What would be seen of the chart if this happened: rows that fire, sides of guards."""
    watch.sightings.clear()
    life.look(*one)
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
