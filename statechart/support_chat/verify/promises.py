"""What the README, the table of calls and the docstrings promise of each call and each end, said of
the chart: a row that forgets what it was asked for, or whom it is for, breaks one of these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ..lifecycle.chart import CONNECTING, ENDED, LIVE, OFFLINE, ONLINE
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
from .properties import Always, EachEffect, EachStep, Property
from .views import Move, View

_EDGES: Final[Mapping[str, Collection[str]]] = {
    P.NOT_INITIALIZED: (P.LOADING,),
    P.LOADING: (P.READY, P.NOT_INITIALIZED),
    P.READY: (P.BOOTING,),
    P.BOOTING: (P.READY, *ONLINE),
    P.ANONYMOUS: (P.AUTHENTICATED, *OFFLINE),
    P.AUTHENTICATED: OFFLINE,
    P.RECONNECTING: (P.DISCONNECTED, *ONLINE),
    P.DISCONNECTED: (P.RECONNECTING, *ONLINE),
    P.SHUTDOWN: (P.BOOTING,),
    P.DESTROYED: (),
}
"""Where the phase goes, but for the two ends, which every phase before them has."""


_ANSWERS: Final = (T.IDENTIFIED, T.IDENTIFY_REFUSED, T.DIAL_REFUSED, T.TOKEN_REFUSED)
"""What says what became of an identify, whatever comes along."""
_DIAL_AT_ONCE: Final = (T.BOOT, T.BECOME, T.GO_ONLINE, T.VISITOR_READ, T.OWNER_CHANGED)
_LETS_GO: Final = frozenset({E.UNCLAIM, E.FORGET_TARGET})


def _goes_along_the_picture(move: Move) -> bool:
    phase: str = move.before.phase
    for row in move.rows:
        target = row.target or phase
        known = target in (phase, *_EDGES[phase], P.DESTROYED)
        if not known and not (target == P.SHUTDOWN and phase != P.DESTROYED):
            return False
        phase = target
    return True


def _is_somebodys(view: View) -> bool:
    user = view.who(Register.USER)
    return (view.phase != P.ANONYMOUS or not user) and (view.phase != P.AUTHENTICATED or bool(user))


def _accepted(move: Move) -> bool:
    return bool(move.rows) and E.REFUSE not in move.effects and E.DISPOSE not in move.effects


def _is_for_whom_it_names(move: Move) -> bool:
    if not _accepted(move):
        return True
    after, named = move.after, move.named
    if E.JOIN_IDENTIFY in move.effects:
        return after.who(Register.TARGET) == named and after.who(Register.USER) == 0
    return after.who(Register.USER) == named


def _what_it_brings_is_adopted(move: Move) -> bool:
    adopts = E.ADOPT_TARGET if E.JOIN_IDENTIFY in move.effects else E.ADOPT
    return not _accepted(move) or adopts in move.effects


def _makes_the_user_of_the_visitor(move: Move) -> bool:
    meant = move.named == move.before.who(Register.TARGET) != 0
    if not (_accepted(move) and meant):
        return True
    return move.after.phase == P.AUTHENTICATED and move.after.who(Register.USER) == move.named


def _says_what_became_of_it(move: Move) -> bool:
    """Whether an identify that has left may be let go of by this."""
    match move.trigger:
        case T.LINK_UP:
            return not move.carries(F.REPEATABLE) or move.named == move.before.who(Register.TARGET)
        case T.IDENTIFY_FAILED:
            return move.carries(F.BEYOND)
        case _:
            return move.trigger in _ANSWERS


def _is_asked_again(move: Move) -> bool:
    let_go = not move.after.has(F.UNRESOLVED) or not _LETS_GO.isdisjoint(move.effects)
    open_still = move.before.has(F.UNRESOLVED) and move.after.phase in LIVE
    return not (open_still and let_go) or _says_what_became_of_it(move)


def _a_link_is_kept_or_let_go(move: Move) -> bool:
    if not move.rows:
        return True
    before, named = move.before, move.named
    target = before.who(Register.TARGET) if before.has(F.UNRESOLVED) else 0
    expected = named == before.who(Register.USER) or named == target != 0
    kept = E.KEEP_LINK in move.effects
    return (
        kept
        == move.after.open(Lane.LINK)
        == (E.DISPOSE not in move.effects)
        == (expected and move.before.phase in CONNECTING)
    )


def _an_end_owes_a_clear(move: Move) -> bool:
    passes = any(row.target == P.SHUTDOWN for row in move.rows)  # perhaps on to another boot
    ends = move.before.phase in (P.BOOTING, *LIVE) and passes
    return not ends or move.after.has(F.OWED)


def _a_full_clear_is_owed_in_full(move: Move) -> bool:
    asked = move.carries(F.FULL) and _accepted(move) and move.after.phase == P.SHUTDOWN
    ends = move.trigger == T.SHUTDOWN or move.before.phase in (P.BOOTING, *LIVE)
    return not (asked and ends) or move.after.has(F.OWED_FULL)


def _what_is_owed_is_done(move: Move) -> bool:
    if move.trigger == T.DESTROY_TIMEOUT:
        return not move.rows or not (move.after.has(F.OWED) or move.after.has(F.OWED_FULL))
    before, after = move.before, move.after
    cleared = move.trigger == T.CLEARED and E.DISPOSE not in move.effects
    all_gone = cleared and before.asked(E.CLEAR_ALL)
    plainly = before.has(F.OWED) and not after.has(F.OWED)
    wholly = before.has(F.OWED_FULL) and not after.has(F.OWED_FULL)
    return (
        (not plainly or cleared)
        and (not wholly or all_gone)
        and (not all_gone or not (after.has(F.OWED) or after.has(F.OWED_FULL)))
    )


def _nobody_waits_longer(move: Move) -> bool:
    """For a plain shutdown() than its clear and its parting take, one after the other."""
    after = move.after
    if not _accepted(move) or not after.waiting(Slot.SHUTDOWN):
        return True
    if move.trigger == T.CLEARED and move.before.asked(E.CLEAR_USER):
        return after.asked(E.PART)
    return after.asked(E.PART, E.CLEAR_USER, E.CLEAR_ALL, E.READ_VISITOR)


def _an_old_token_is_replaced(move: Move) -> bool:
    """That of an identify which had left; a user's is seen by the phase."""
    before = move.before
    left = before.has(F.UNRESOLVED) and before.phase in OFFLINE
    again = before.has(F.TARGET_PROVIDER) and not before.has(F.TOKEN_FRESH)
    return not left or move.after.has(F.UNRESOLVED) == again


def _a_hint_dials_at_once(move: Move) -> bool:
    before, after = move.before, move.after
    if move.trigger == T.GO_OFFLINE:
        watches = before.phase in (*ONLINE, P.RECONNECTING)
        return not watches or (after.phase == P.DISCONNECTED and after.running(Timer.RETRY))
    waits = before.phase in CONNECTING and before.running(Timer.RETRY)
    back = before.phase == P.DISCONNECTED
    return (not waits or E.ARM_DIAL in move.effects) and (not back or after.phase == P.RECONNECTING)


def _who_gives_up_probes(move: Move) -> bool:
    given_up = move.before.phase == P.RECONNECTING
    probes = E.ARM_PROBE in move.effects or not move.before.running(Timer.RETRY)
    return not given_up or (move.after.phase == P.DISCONNECTED and probes)


def _a_refusal_spends_what_it_names(move: Move) -> bool:
    if move.before.phase not in ONLINE or not move.carries(F.OUTDATED):
        return True
    spends = {E.SPEND_TOKEN, E.DROP_TOKEN, E.SAY_EXPIRED} & set(move.effects)
    return move.after.phase == move.before.phase and not spends


def _an_expiry_is_made_good(move: Move) -> bool:
    if move.before.phase != P.AUTHENTICATED or not move.rows or E.DISPOSE in move.effects:
        return True
    if move.carries(F.OUTDATED):  # it is a former one that is not accepted
        return move.after.phase == P.AUTHENTICATED and E.SPEND_TOKEN not in move.effects
    if move.after.phase == P.SHUTDOWN:
        return {E.TELL_EXPIRED, E.TELL_ERROR} <= move.asks
    if move.before.has(F.FETCHING):
        return E.DROP_TOKEN in move.effects and move.after.has(F.TOKEN_WANTED)
    spent = {E.SPEND_TOKEN, E.TELL_EXPIRED, E.ARM_RENEW} <= move.asks
    return move.before.has(F.RENEWING) or (spent and move.after.has(F.TOKEN_WANTED))


def _a_write_lets_go_on(move: Move) -> bool:
    if move.before.phase not in ENDED or not _accepted(move):
        return True
    begins = move.after.asked(E.CLEAR_USER, E.CLEAR_ALL)
    return not (move.before.has(F.OWED) and not move.before.has(F.CLEARING)) or begins


def _tries_again_at_its_pace(move: Move) -> bool:
    """The slow cadence where it has given up, the backoff elsewhere."""
    if not move.after.running(Timer.RETRY) or E.DISPOSE in move.effects:
        return True
    paced = E.ARM_PROBE if move.after.phase == P.DISCONNECTED else E.ARM_RETRY
    return move.after.phase not in CONNECTING or paced in move.effects


PROMISES: Final[tuple[Property, ...]] = (
    EachStep("S34", "The phase goes along the edges of the picture.", _goes_along_the_picture),
    Always("S35", "anonymous is nobody's, and authenticated somebody's.", _is_somebodys),
    EachStep(
        "S36",
        "shutdown() leads to shutdown, and destroy() to destroyed.",
        lambda move: (
            move.after.phase == P.DESTROYED
            or (move.trigger == T.SHUTDOWN and move.after.phase == P.SHUTDOWN)
        ),
        (T.SHUTDOWN, T.DESTROY),
    ),
    EachStep(
        "S37",
        "A boot() or an identify() that is accepted is for whom it names.",
        _is_for_whom_it_names,
        (T.BOOT, T.IDENTIFY),
    ),
    EachStep(
        "S37a",
        "What a boot() or an identify() brings is adopted.",
        _what_it_brings_is_adopted,
        (T.BOOT, T.IDENTIFY),
    ),
    EachStep(
        "S38",
        "An identify that the backend has accepted makes the session the user's.",
        _makes_the_user_of_the_visitor,
        (T.IDENTIFIED,),
    ),
    EachStep(
        "S38a",
        "An identify that may have been accepted is asked again, and never told as forgotten.",
        _is_asked_again,
    ),
    EachStep(
        "S39",
        "A link that comes up as whom it was dialled for is kept, and any other let go.",
        _a_link_is_kept_or_let_go,
        (T.LINK_UP,),
    ),
    EachStep("S40", "A session that ends owes a clear.", _an_end_owes_a_clear),
    EachStep(
        "S40a",
        "A clear of everything that is asked for is owed in full.",
        _a_full_clear_is_owed_in_full,
        (T.SHUTDOWN, T.BECOME),
    ),
    EachStep(
        "S40e",
        "Who asks for a clear of everything waits for it.",
        lambda move: not (move.carries(F.FULL) and _accepted(move)) or E.JOIN_CLEAR in move.effects,
        (T.SHUTDOWN,),
    ),
    EachStep(
        "S40b", "What is owed is owed until it is done, and no longer.", _what_is_owed_is_done
    ),
    Always(
        "S40c",
        "A clear of everything is a clear.",
        lambda view: view.has(F.OWED) or not view.has(F.OWED_FULL),
    ),
    EachEffect(
        "S40f",
        "A clear that is owed in full removes everything, at once.",
        (E.CLEAR_USER,),
        lambda moment, move: not move.after.has(F.OWED_FULL),
    ),
    EachStep(
        "S40d",
        "A write that ends lets the clear begin that has waited for it.",
        _a_write_lets_go_on,
        (T.VISITOR_READ, T.VISITOR_FAILED),
    ),
    EachEffect(
        "S41",
        "No token is asked of no provider.",
        (E.FETCH_TOKEN,),
        lambda moment, move: move.after.has(F.PROVIDER),
    ),
    EachEffect(
        "S41a",
        "No token is asked of no provider of whoever is to be identified.",
        (E.FETCH_TARGET_TOKEN,),
        lambda moment, move: move.after.has(F.TARGET_PROVIDER),
    ),
    EachEffect(
        "S42",
        "A shutdown() is done when its parting is.",
        (E.SETTLE_SHUTDOWN, E.SETTLE_CLEAR),
        lambda moment, move: not moment.asked(E.PART),
    ),
    EachStep(
        "S42a",
        "Whoever waits for a plain shutdown() waits for its clear and its parting, and no longer.",
        _nobody_waits_longer,
        (T.CLEARED, T.PARTED),
    ),
    EachStep(
        "S15e",
        "Whoever has a token provider boots with a token of it.",
        lambda move: (
            move.after.phase != P.BOOTING
            or move.after.asked(E.READ_VISITOR)
            or move.after.has(F.TOKEN_WANTED) == move.before.has(F.PROVIDER)
        ),
        (T.VISITOR_READ,),
    ),
    EachStep(
        "S15d",
        "An old token of an identify that had left is replaced; a fresh one, or none, ends it.",
        _an_old_token_is_replaced,
        (T.DIAL_REFUSED,),
    ),
    EachStep(
        "S43",
        "A hint of the platform is followed at once.",
        _a_hint_dials_at_once,
        (T.GO_ONLINE, T.GO_OFFLINE),
    ),
    EachStep(
        "S43a",
        "A boot() of a session that has given up tries at once, and for as long as after a loss.",
        lambda move: (
            move.before.phase != P.DISCONNECTED
            or not _accepted(move)
            or (
                move.after.phase == P.RECONNECTING
                and E.ARM_GIVE_UP in move.effects
                and (E.ARM_DIAL in move.effects or not move.before.running(Timer.RETRY))
            )
        ),
        (T.BOOT,),
    ),
    EachEffect(
        "S43b",
        "Only a call, a hint, a visitor who is known at last or a change of owner dials at once.",
        (E.ARM_DIAL,),
        lambda moment, move: move.trigger in _DIAL_AT_ONCE,
    ),
    EachEffect(
        "S43c",
        "None of these makes a dial wait.",
        (E.ARM_RETRY,),
        lambda moment, move: move.trigger not in _DIAL_AT_ONCE,
    ),
    EachStep(
        "S44a",
        "An attempt that has failed is followed by one at the pace of the phase.",
        _tries_again_at_its_pace,
        (T.DIAL_FAILED, T.DIAL_ASTRAY, T.TOKEN_FAILED, T.GO_OFFLINE),
    ),
    EachEffect(
        "S44b",
        "The slow cadence is for whoever has given up.",
        (E.ARM_PROBE,),
        lambda moment, move: move.after.phase == P.DISCONNECTED,
    ),
    EachStep("S44", "Who gives up goes on probing.", _who_gives_up_probes, (T.GIVE_UP,)),
    EachStep(
        "S45",
        "What has left and has no answer is recorded again when its link is gone.",
        lambda move: (
            not (move.before.open(Lane.LINK) and move.after.phase in OFFLINE)
            or E.RESTORE in move.effects
        ),
    ),
    EachStep(
        "S46",
        "A token that has expired is replaced, and told; without a provider the session ends.",
        _an_expiry_is_made_good,
        (T.TOKEN_EXPIRED, T.UPDATE_UNAUTHORISED),
    ),
    EachStep(
        "S46c",
        "Whose token a dial refuses, and who goes on, wants another one.",
        lambda move: (
            not move.before.has(F.PROVIDER)
            or move.after.phase not in (P.BOOTING, *OFFLINE)
            or move.after.has(F.TOKEN_WANTED)
        ),
        (T.DIAL_REFUSED,),
    ),
    EachStep(
        "S46e",
        "A user whose old token a dial refuses hears of it.",
        lambda move: (
            move.before.who(Register.USER) == 0
            or move.after.phase not in OFFLINE
            or E.TELL_EXPIRED in move.effects
        ),
        (T.DIAL_REFUSED,),
    ),
    EachStep(
        "S46b",
        "A token that is being presented is not spent for the one that it replaces.",
        lambda move: (
            move.before.phase != P.AUTHENTICATED
            or not move.before.has(F.RENEWING)
            or not {E.SPEND_TOKEN, E.TELL_EXPIRED} & move.asks
            or move.after.phase == P.SHUTDOWN
        ),
        (T.TOKEN_EXPIRED, T.UPDATE_UNAUTHORISED, T.SEND_UNAUTHORISED),
    ),
    EachStep(
        "S47",
        "The end settles whoever still waits for an earlier parting.",
        lambda move: (
            E.DISPOSE in move.effects
            or not move.rows
            or {E.ABANDON_PARTINGS, E.SETTLE_DETACHED} <= move.asks
        ),
        (T.RELEASED,),
    ),
    EachStep(
        "S63",
        "A renewal and a clear that fail are told.",
        lambda move: (
            not _accepted(move)
            or (move.trigger == T.TOKEN_FAILED and move.before.phase != P.AUTHENTICATED)
            or E.TELL_ERROR in move.effects
        ),
        (T.TOKEN_FAILED, T.RENEW_FAILED, T.CLEAR_FAILED),
    ),
    Always(
        "S64",
        "A destroyed session lets go of its adapters once nothing is written or told any more.",
        lambda view: (
            view.phase != P.DESTROYED
            or view.has(F.RELEASED)
            or view.asked(E.RELEASE, E.PART, E.READ_VISITOR, E.CLEAR_USER, E.CLEAR_ALL)
        ),
    ),
    EachEffect(
        "S64a",
        "Whatever may be under way is given up before the adapters are let go.",
        (E.RELEASE,),
        lambda moment, move: E.ABANDON_REST in move.effects,
    ),
    EachStep(
        "S64b",
        "A destroy() gives up the load at once, whatever it waits for.",
        lambda move: move.before.phase == P.DESTROYED or E.ABANDON_LOAD in move.effects,
        (T.DESTROY,),
    ),
    EachStep(
        "S48",
        "A stored visitor that cannot be one is set aside, and told.",
        lambda move: (
            move.before.phase != P.BOOTING
            or not move.carries(F.DAMAGED)
            or move.carries(F.BEYOND)
            or {E.TELL_ERROR, E.READ_VISITOR} <= move.asks
        ),
        (T.VISITOR_READ,),
    ),
    EachEffect(
        "S56",
        "An update that is out is the visitor's: no identify begins before it has its answer.",
        (E.FETCH_TARGET_TOKEN, E.SEND_IDENTIFY),
        lambda moment, move: not moment.asked(E.SEND_UPDATE),
    ),
    EachEffect(
        "S49",
        "No update is sent under a token that is to be replaced.",
        (E.SEND_UPDATE,),
        lambda moment, move: not moment.has(F.TOKEN_WANTED),
    ),
    EachStep(
        "S50",
        "A refusal spends only the token that the request left under.",
        _a_refusal_spends_what_it_names,
        (T.UPDATE_UNAUTHORISED, T.SEND_UNAUTHORISED),
    ),
)
"""What is promised to those who call."""
