"""Properties of who is told what: that a call is refused, or succeeds, when and only when that is
true, and that the ends of an effect are told apart.

They are what single edits of the chart have shown to be missing (`support-chat mutants`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from ..chart.model import Ask, Chart, Refusal, Transition
from ..lifecycle import refusals as R
from ..lifecycle.chart import LIVE, OFFLINE, ONLINE
from ..lifecycle.names import (
    Effect as E,
    Fact as F,
    Lane,
    Phase as P,
    Register,
    Slot,
    Trigger as T,
)
from .explore import Space
from .properties import Always, EachEffect, EachStep, Property, Structure
from .views import Move

_ASKED_ONCE: Final = (
    E.CHECK_ADAPTERS,
    E.CHECK_VISITOR,
    E.SEND_IDENTIFY,
    E.SEND_UPDATE,
    E.SEND_TOKEN,
    E.PART,
    E.RELEASE,
)

_ENDS: Final = ("success", "failure", "refusal", "rejection", "stranger", "ended")
_ONE_END: Final[Mapping[str, Collection[frozenset[str]]]] = {
    E.CHECK_VISITOR: [frozenset(("success", "failure"))],
    E.SEND_IDENTIFY: [frozenset(("refusal", "rejection"))],
    E.SEND_TOKEN: [frozenset(("refusal", "rejection"))],
    E.USE_LINK: [frozenset(("success", "failure"))],
    E.PART: [frozenset(("success", "failure"))],
    E.RELEASE: [frozenset(("success", "failure"))],
}
"""The ends of an effect that come to the same: a look that fails says nothing, a no is a no, and
whoever uses the link, parts or releases gets what came of it, or is done.
"""


def _nothing_twice(move: Move) -> bool:
    return not any(view.asked(effect) for effect, view in move.moments(_ASKED_ONCE))


_CONFLICTS: Final = (R.OTHER_BOOT, R.OTHER_TARGET, R.USER_IS_LIVE, R.VISITOR_IS_LIVE)
_BLAMES: Final[Mapping[str, Collection[Refusal]]] = {
    T.BOOT: _CONFLICTS,
    T.IDENTIFY: _CONFLICTS,
    T.UPDATE: _CONFLICTS,
    T.USE: (R.NO_LINK,),
    T.BECOME: (R.SUPERSEDED,),
    T.SHUTDOWN: (R.ENDED,),
    T.DESTROY: (R.WAS_DESTROYED,),
    T.DESTROY_TIMEOUT: (R.WAS_DESTROYED,),
    T.ABANDON_BOOT: (R.BOOT_ABANDONED,),
    T.ABANDON_IDENTIFY: (R.IDENTIFY_TIMED_OUT,),
    T.VISITOR_READ: (R.DAMAGED, R.NOT_IN_TIME),
    T.VISITOR_ENDED: (R.SIGNED_OUT,),
    T.LINK_UP: (R.WRONG_USER,),
    T.IDENTIFIED: (R.WRONG_USER,),
    T.DIAL_REFUSED: (R.EXPIRED,),
    T.UPDATE_UNAUTHORISED: (R.EXPIRED,),
    T.TOKEN_EXPIRED: (R.EXPIRED,),
}
"""What a row of its own accord may say, by what has come."""


def _blamed(row: Transition) -> Collection[Refusal]:
    """What the row may say, by whom it refuses or ends; nothing is known of other triggers."""
    if E.REFUSE in row.effects and P.DESTROYED in row.sources:
        return (R.DESTROYED,)
    if E.REFUSE in row.effects and F.BOOTED in row.unless:
        return (R.NOT_BOOTED,)
    if T.SEND in row.trigger:
        return (R.NO_LINK if F.AT_ONCE in row.when else R.CROWDED,)
    return [refusal for trigger in row.trigger for refusal in _BLAMES.get(trigger, ())]


def _names_what_is_to_blame(chart: Chart, space: Space) -> Sequence[str]:
    return [
        f"{row.name} blames what is not to blame: {row.error.message}"
        for row in chart.transitions
        if row.error is not None and (may := _blamed(row)) and row.error not in may
    ]


def _ends_are_told_apart(chart: Chart, space: Space) -> Sequence[str]:
    found: list[str] = []
    for effect, spec in chart.effects.items():
        if isinstance(spec, Ask):
            by_trigger: dict[str, set[str]] = {}
            for end in _ENDS:
                if (trigger := getattr(spec, end)) is not None:
                    by_trigger.setdefault(trigger, set()).add(end)
            alike = {frozenset(ends) for ends in by_trigger.values() if len(ends) > 1}
            if alike != set(_ONE_END.get(effect, ())):
                found.append(f"{effect} does not tell its ends apart, or tells too many")
    return found


def _is_refused_without_a_session(move: Move) -> bool:
    refuses = move.before.phase == P.DESTROYED or (
        move.trigger in (T.IDENTIFY, T.UPDATE, T.SEND, T.USE) and not move.before.has(F.BOOTED)
    )
    return not refuses or move.effects == (E.REFUSE,)


def _is_queued_unless(move: Move) -> bool:
    unable = move.carries(F.AT_ONCE) or move.carries(F.CROWDED)
    wanted = E.REFUSE if unable else E.QUEUE
    return not move.before.has(F.BOOTED) or wanted in move.effects


_COMES_ABOUT: Final[Mapping[str, tuple[str, Callable[[Move], bool]]]] = {
    E.SETTLE_LOAD: (Slot.LOAD, lambda move: move.trigger == T.LOADED),
    E.SETTLE_BOOT: (Slot.BOOT, lambda move: move.after.phase in ONLINE),
    E.SETTLE_IDENTIFY: (Slot.IDENTIFY, lambda move: move.after.phase == P.AUTHENTICATED),
    E.SETTLE_DESTROY: (Slot.DESTROY, lambda move: move.after.has(F.RELEASED)),
}
"""What each effect settles, and when that has come about."""


def _has_come_about(move: Move) -> bool:
    settled = [_COMES_ABOUT[effect] for effect in move.effects if effect in _COMES_ABOUT]
    return all(come(move) or not move.before.waiting(slot) for slot, come in settled)


_WAITS_FOR: Final[Mapping[str, Collection[str]]] = {
    T.LOAD: (E.JOIN_LOAD,),
    T.BOOT: (E.JOIN_BOOT,),
    T.IDENTIFY: (E.JOIN_IDENTIFY, E.JOIN_BOOT),
    T.BECOME: (E.JOIN_IDENTIFY, E.JOIN_BOOT),
    T.SHUTDOWN: (E.JOIN_SHUTDOWN, E.JOIN_CLEAR),
    T.DESTROY: (E.JOIN_DESTROY,),
}
_PRESENTS: Final = frozenset((E.DIAL, E.SEND_IDENTIFY, E.SEND_TOKEN))
_JOINS: Final = frozenset(join for joins in _WAITS_FOR.values() for join in joins)


def _waits_for_what_it_asks(move: Move) -> bool:
    return _JOINS.intersection(move.effects) <= set(_WAITS_FOR[move.trigger])


def _a_good_visitor_is_kept(move: Move) -> bool:
    is_good = not (move.carries(F.DAMAGED) or move.carries(F.BEYOND))
    kept = E.KEEP_VISITOR in move.effects
    return move.before.phase != P.BOOTING or E.DISPOSE in move.effects or kept == is_good


def _is_fetched_before_the_dial(move: Move) -> bool:
    before = move.before
    if before.has(F.FETCHING):  # it is on its way
        return not move.rows
    due = before.phase in OFFLINE and before.has(F.PROVIDER)
    drops = E.DROP_TOKEN in move.effects and move.after.has(F.TOKEN_WANTED)
    return not (due and before.who(Register.USER)) or drops


def _stays_fresh(move: Move) -> bool:
    """As long as its answer is out."""
    out = move.before.has(F.TOKEN_FRESH) and move.after.asked(*_PRESENTS)
    return not out or move.after.has(F.TOKEN_FRESH) or not _PRESENTS.isdisjoint(move.effects)


TELLING: Final[tuple[Property, ...]] = (
    EachEffect(
        "S38c",
        "A call that waits succeeds when what it waits for has come about, and not before.",
        tuple(_COMES_ABOUT),
        lambda moment, move: _has_come_about(move),
    ),
    Always(
        "S38b",
        "Nobody waits for what has come about: for a load, a boot, an identify, a release.",
        lambda view: (
            not (view.phase not in (P.NOT_INITIALIZED, P.LOADING) and view.waiting(Slot.LOAD))
            and not (view.phase in LIVE and view.waiting(Slot.BOOT))
            and not (view.phase == P.AUTHENTICATED and view.waiting(Slot.IDENTIFY))
            and not (view.has(F.RELEASED) and view.waiting(Slot.DESTROY))
        ),
    ),
    EachStep(
        "S20a", "A call waits for what it asks for.", _waits_for_what_it_asks, tuple(_WAITS_FOR)
    ),
    EachStep(
        "S7a",
        "What was recorded for an identify that is given up is dropped, with an event.",
        lambda move: not move.rows or bool({E.DROP_HELD, E.FORGET_TARGET} & set(move.effects)),
        (T.ABANDON_IDENTIFY,),
    ),
    EachStep(
        "S48a",
        "A visitor that can be one is the session's, and no other.",
        _a_good_visitor_is_kept,
        (T.VISITOR_READ,),
    ),
    Always(
        "S6b",
        "A boot that waits for a clear has it under way, or the write before it.",
        lambda view: (
            not (view.phase == P.SHUTDOWN and view.waiting(Slot.BOOT) and view.has(F.OWED))
            or view.asked(E.CLEAR_USER, E.CLEAR_ALL, E.READ_VISITOR)
        ),
    ),
    EachEffect(
        "S18b",
        "No update is sent of nothing.",
        (E.SEND_UPDATE,),
        lambda moment, move: moment.has(F.PENDING),
    ),
    EachStep(
        "S27a",
        "A token that is about to expire without a link is replaced before the next dial.",
        _is_fetched_before_the_dial,
        (T.RENEW_DUE,),
    ),
    EachStep("S26c", "A token is fresh until it is answered for the first time.", _stays_fresh),
    EachStep(
        "S55",
        "Whoever uses the link is told what came of it.",
        lambda move: (
            not move.before.open(Lane.LINK) or bool({E.ANSWER, E.DISPOSE} & set(move.effects))
        ),
        (T.REPLIED,),
    ),
    EachStep("S51", "Nothing is asked twice at once.", _nothing_twice),
    Structure("S52", "Each effect tells its ends apart.", _ends_are_told_apart),
    EachStep(
        "S53",
        "What needs a session is refused without one, and everything once it is destroyed.",
        _is_refused_without_a_session,
        (T.LOAD, T.BOOT, T.IDENTIFY, T.BECOME, T.UPDATE, T.SEND, T.USE, T.SHUTDOWN),
    ),
    EachStep(
        "S54",
        "A message is queued, unless it is not to wait and must, or the outbox is full.",
        _is_queued_unless,
        (T.SEND,),
    ),
    Structure(
        "S57", "What refuses or ends a call names what is to blame.", _names_what_is_to_blame
    ),
)
"""What is true of what is told."""
