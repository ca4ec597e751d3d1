"""Properties of what the shipped chart keeps, notes and tells: that nothing outlives its time, is
lost on the way, or stays untold.

They were found by taking every effect, guard and fact out of every row, one at a time: these are
what no other property missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

from ..chart.model import Ask, Chart, Detach, Raise
from ..lifecycle.chart import CALLS, ENDED, LINK_EVENTS, LINK_FACTS, LIVE, OFFLINE, ONLINE
from ..lifecycle.names import (
    Effect as E,
    Fact as F,
    Lane,
    Phase as P,
    Register,
    Slot,
    Timer,
    Trigger as T,
)
from .explore import Space
from .generic import parts_whole, stops_what_it_starts
from .properties import Always, EachStep, Property, Structure
from .views import Move, View

FETCHES: Final = (E.FETCH_TOKEN, E.FETCH_TARGET_TOKEN)
PRESENTS: Final = (E.DIAL, E.SEND_IDENTIFY, E.SEND_TOKEN)
STORES: Final = (E.CLEAR_USER, E.CLEAR_ALL, E.READ_VISITOR)


def _nothing_outlives_its_session(view: View) -> bool:
    begun = view.phase in (P.BOOTING, *LIVE)
    left = any(view.has(fact) for fact in (F.UNRESOLVED, F.RETRYING, F.TOKEN_WANTED, *LINK_FACTS))
    booted = view.phase in LIVE or view.waiting(Slot.BOOT)
    return (begun or not left) and view.has(F.BOOTED) == booted


def _nothing_outlives_its_identify(view: View) -> bool:
    targeted = view.who(Register.TARGET) != 0
    wanted = view.has(F.IDENTIFYING) or view.has(F.UNRESOLVED)
    return targeted == wanted and (targeted or not view.has(F.TARGET_PROVIDER))


def _timers_bound_something(view: View) -> bool:
    ending = view.phase == P.DESTROYED and not view.has(F.RELEASING) and not view.has(F.RELEASED)
    pairs = (
        (Timer.GIVE_UP, view.phase == P.RECONNECTING),
        (Timer.SILENCE, view.phase in ONLINE),
        (Timer.DESTROY, ending),
    )
    return all(view.running(timer) == bounds for timer, bounds in pairs) and not (
        view.running(Timer.UPDATE) and view.phase not in ONLINE
    )


def _an_owed_clear_begins(move: Move) -> bool:
    owes = move.after.phase in ENDED and move.after.has(F.OWED) and not move.before.has(F.OWED)
    return not owes or move.after.asked(*STORES)


def _nothing_is_lost(move: Move) -> bool:
    before, after, effects = move.before, move.after, move.asks
    answered = not (before.has(F.SENDING) and not after.has(F.SENDING)) or effects & {
        E.RESTORE,
        E.DROP_SENT,
        E.ACKNOWLEDGE,
        E.DROP_UPDATES,
    }
    settled = not (before.who(Register.TARGET) and not after.who(Register.TARGET)) or effects & {
        E.FORGET_TARGET,
        E.BECOME_USER,
        E.DROP_UPDATES,
    }
    ended = not (before.has(F.BOOTED) and not after.has(F.BOOTED)) or E.DROP_UPDATES in effects
    taken = move.trigger != T.UPDATE or E.DONE not in effects or effects & {E.RECORD, E.HOLD}
    return bool(answered and settled and ended and taken)


def _what_may_leave_is_scheduled(view: View) -> bool:
    waits = (
        view.has(F.SENDING)
        or view.has(F.TOKEN_WANTED)
        or view.has(F.RENEWING)
        or view.who(Register.TARGET)
    )
    return not (view.phase in ONLINE and view.has(F.PENDING) and not waits) or view.running(
        Timer.UPDATE
    )


def _tokens_are_noted(move: Move) -> bool:
    accepted = move.trigger == T.RENEWED or (
        move.after.phase == P.AUTHENTICATED != move.before.phase
    )
    refused = move.trigger == T.DIAL_REFUSED and move.after.has(F.TOKEN_WANTED)
    arrived = move.trigger == T.TOKEN_ARRIVED and move.after.asked(*PRESENTS)
    notes = ((accepted, E.ACCEPT_TOKEN), (refused, E.SPEND_TOKEN), (arrived, E.KEEP_TOKEN))
    return all(effect in move.effects for happens, effect in notes if happens)


def _listeners_are_told(move: Move) -> bool:
    before, after = move.before, move.after
    opens = not before.open(Lane.LINK) and after.open(Lane.LINK)
    goes = before.open(Lane.LINK) and not after.open(Lane.LINK) and after.phase in LIVE
    live = before.phase == P.BOOTING and after.phase in ONLINE
    ended = before.phase in LIVE and after.phase == P.SHUTDOWN and move.trigger not in CALLS
    told = (
        (opens, E.TELL_CONNECTED),
        (goes, E.TELL_LOST),
        (live, E.TELL_READY),
        (ended, E.TELL_ERROR),
    )
    return all(effect in move.effects for happens, effect in told if happens)


def _late_ones_are_disposed_of(chart: Chart, space: Space) -> Sequence[str]:
    """On a lane that calls are detached from they wait for nothing else."""
    specs = chart.effects.values()
    detached = {spec.lane for spec in specs if isinstance(spec, Detach)}
    awaited = {
        trigger
        for spec in specs
        if isinstance(spec, Ask) and spec.lane in detached
        for trigger in spec.outcomes
    }
    return [
        f"{row.name} leaves what came too late as it is"
        for row in chart.transitions
        if chart.late in row.when
        for trigger in row.trigger
        if (E.SETTLE_DETACHED if trigger in awaited else E.DISPOSE) not in row.effects
    ]


_FIRST: Final[Mapping[str, tuple[str, ...]]] = {
    # what reads or sends comes after what is kept, and before what is forgotten
    E.FORGET: (E.PART, E.DROP_UPDATES, E.FAIL_BOOT, E.ANSWER_MESSAGES),
    E.DIAL: (E.KEEP_TOKEN,),
    E.SEND_IDENTIFY: (E.KEEP_TOKEN,),
    E.SEND_TOKEN: (E.KEEP_TOKEN,),
    E.FETCH_TOKEN: (E.ADOPT,),
    E.READ_VISITOR: (E.ADOPT, E.SETTLE_CLEAR, E.COUNT_FAILURE, E.TELL_ERROR),
    E.ADOPT_TARGET: (E.JOIN_IDENTIFY,),
    E.RESTORE: (E.CUT,),
    E.SPEND_TOKEN: (E.RESTORE,),
    E.DROP_TOKEN: (E.RESTORE,),
    # a timer is set by what is known at last
    E.ARM_DIAL: (E.DONE, E.KEEP_VISITOR, E.TELL_LOST),
    E.ARM_RENEW: (E.BECOME_USER, E.ACCEPT_TOKEN, E.SPEND_TOKEN, E.TELL_ERROR),
    E.ARM_RETRY: (E.COUNT_FAILURE, E.SPEND_TOKEN, E.CUT, E.TELL_EXPIRED),
    E.ARM_PROBE: (E.COUNT_FAILURE, E.CUT, E.DISARM_GIVE_UP, E.TELL_LOST),
    E.ARM_DESTROY: (E.FORGET,),
    E.DISARM_GIVE_UP: (E.CUT,),
    # whoever waits is settled by what has been done, and hears of it afterwards
    E.SETTLE_BOOT: (E.KEEP_LINK, E.ARM_RENEW),
    E.TELL_READY: (E.KEEP_LINK, E.SETTLE_BOOT),
    E.TELL_EXPIRED: (E.COUNT_FAILURE,),
    E.FAIL_BOOT: (E.COUNT_FAILURE,),
    E.FORGET_TARGET: (E.FAIL_IDENTIFY,),
    E.DROP_HELD: (E.FAIL_IDENTIFY,),
    E.ANSWER_MESSAGES: (E.TELL_CONNECTED, E.TELL_MESSAGE, E.TELL_READ),
    E.DONE: (E.RECORD, E.HOLD, E.ADOPT),
    E.FLUSH: (E.SAY_EXPIRED,),
    # a call waits before what it waits for begins or ends
    E.CHECK_ADAPTERS: (E.JOIN_LOAD, E.JOIN_BOOT, E.ADOPT),
    E.PART: (E.JOIN_SHUTDOWN, E.JOIN_CLEAR),
    E.ABANDON_LOAD: (E.DONE, E.JOIN_CLEAR, E.JOIN_DESTROY),
    E.CLEAR_ALL: (E.SETTLE_SHUTDOWN,),
    # the end: who waits, then what is under way, then the adapters
    E.ABANDON_REST: (E.SETTLE_CLEAR, E.FAIL_CLEAR, E.DISARM),
    E.ABANDON_PARTINGS: (E.ABANDON_REST,),
    E.RELEASE: (E.ABANDON_REST, E.ABANDON_PARTINGS),
    E.SETTLE_DETACHED: (E.ABANDON_PARTINGS,),
    E.SETTLE_DESTROY: (E.SETTLE_DETACHED,),
}
"""What comes before an effect wherever one row has both."""


def _in_the_right_order(chart: Chart, space: Space) -> Sequence[str]:
    return [
        f"{row.name} asks for {effect} before {first}"
        for row in chart.transitions
        for number, effect in enumerate(row.effects)
        for first in _FIRST.get(effect, ())
        if first in row.effects[number:]
    ]


_EITHER_WAY: Final = frozenset({E.ACCEPT_TOKEN, E.FLUSH})
"""What stands in both orders: a link lets messages leave as it comes up, an identify when it is
through; and they leave after the row.
"""


def _in_one_order(chart: Chart, space: Space) -> Sequence[str]:
    rows: dict[tuple[str, str], list[str]] = {}
    for row in chart.transitions:
        once = [effect for effect in row.effects if row.effects.count(effect) == 1]
        for pair in combinations(once, 2):
            rows.setdefault(pair, []).append(row.name)
    return [
        f"{', '.join(rows[one, other])}: {one} stands before {other}, elsewhere behind it"
        for one, other in rows
        if {one, other} != _EITHER_WAY and len(rows[one, other]) <= len(rows.get((other, one), ()))
    ]


_AT_LAST: Final = frozenset(
    {E.PROCEED, E.CLEAN, E.SAY_EXPIRED, E.CALL_BOOT, E.CALL_IDENTIFY, E.CALL_BECOME}
)


def _goes_on_at_last(chart: Chart, space: Space) -> Sequence[str]:
    return [
        f"{row.name} asks for {effect} after what goes on when it is through"
        for row in chart.transitions
        for number, effect in enumerate(row.effects)
        if not isinstance(chart.effects[effect], Raise)
        and not _AT_LAST.isdisjoint(row.effects[:number])
    ]


_FAILED_ATTEMPTS: Final = (
    T.DIAL_FAILED,
    T.DIAL_ASTRAY,
    T.DIAL_REFUSED,
    T.TOKEN_FAILED,
    T.TOKEN_REFUSED,
    T.VISITOR_ENDED,
)


BOOKKEEPING: Final[tuple[Property, ...]] = (
    Always("S4a", "No fact of a session outlives it.", _nothing_outlives_its_session),
    Always(
        "S4b",
        "Who is to be identified is known exactly as long as the identify is not settled and "
        "resolved.",
        _nothing_outlives_its_identify,
    ),
    EachStep(
        "S6a",
        "A clear that is owed begins at once, unless a write is under way.",
        _an_owed_clear_begins,
    ),
    EachStep(
        "S7",
        "What was recorded is sent, recorded again or dropped with an event.",
        _nothing_is_lost,
    ),
    EachStep(
        "S15b", "A token that arrives, is accepted or refused is noted as such.", _tokens_are_noted
    ),
    EachStep(
        "S15c",
        "A failed attempt to connect is counted, so that the next one waits longer.",
        lambda move: (
            (move.after.phase not in (P.BOOTING, *OFFLINE) and move.trigger != T.DIAL_FAILED)
            or E.COUNT_FAILURE in move.effects
        ),
        _FAILED_ATTEMPTS,
    ),
    Always("S18a", "What is recorded and may leave is scheduled.", _what_may_leave_is_scheduled),
    EachStep(
        "S22b",
        "No event of the link goes unanswered, but for a token that is being replaced.",
        lambda move: (
            bool(move.rows) or (move.trigger == T.TOKEN_EXPIRED and move.before.has(F.RENEWING))
        ),
        LINK_EVENTS,
    ),
    Structure(
        "S22c",
        "A row that begins or ends the session or the link has its entry or exit.",
        parts_whole,
    ),
    Structure(
        "S22d", "In a row, what is known is used before it is forgotten.", _in_the_right_order
    ),
    Structure("S22f", "Two effects stand in one order wherever a row has both.", _in_one_order),
    Structure("S22g", "What goes on by itself goes on when its row is through.", _goes_on_at_last),
    Structure("S22e", "What a row starts it does not stop again.", stops_what_it_starts),
    Structure("S25", "What comes too late is disposed of.", _late_ones_are_disposed_of),
    Always("S26a", "A timer runs exactly while there is what it bounds.", _timers_bound_something),
    Always(
        "S26b",
        "A token counts as fresh exactly while it is presented for the first time.",
        lambda view: not view.has(F.TOKEN_FRESH) or view.asked(*PRESENTS),
    ),
    EachStep(
        "S28",
        "Listeners are told of each link, each boot that succeeds, and each end that nobody "
        "called for.",
        _listeners_are_told,
    ),
    Always(
        "L1a",
        "An identify of a live visitor goes on.",
        lambda view: (
            not (view.phase == P.ANONYMOUS and view.waiting(Slot.IDENTIFY))
            or view.asked(*FETCHES, E.SEND_IDENTIFY, E.SEND_UPDATE)
        ),
    ),
    Always(
        "L2a",
        "While a boot is under way, something of it is.",
        lambda view: (
            view.phase != P.BOOTING
            or view.running(Timer.RETRY)
            or view.asked(E.READ_VISITOR, E.DIAL, *FETCHES)
        ),
    ),
    Always(
        "L3a",
        "While there is no link an attempt is scheduled or under way.",
        lambda view: (
            view.phase not in OFFLINE
            or view.running(Timer.RETRY)
            or view.asked(E.CHECK_VISITOR, E.DIAL, *FETCHES)
        ),
    ),
)
"""What no other property would miss."""
