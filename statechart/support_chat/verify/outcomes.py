"""What each outcome, event, expiry and hint leads to: each does what its name says, for whom it
says, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ..chart.model import Refusal
from ..lifecycle import refusals as R
from ..lifecycle.chart import CALLS, OFFLINE, ONLINE
from ..lifecycle.names import (
    Effect as E,
    Fact as F,
    Lane,
    Phase as P,
    Register,
    Slot,
    Trigger as T,
)
from .properties import EachStep, Property
from .views import Move


def _boot_or(elsewhere: str) -> Callable[[Move], str]:
    """A boot under way ends by it; elsewhere it leads here, where it can come at all."""
    return lambda move: (
        P.READY
        if move.before.phase == P.BOOTING
        else elsewhere
        if move.before.phase in (*ONLINE, *OFFLINE)
        else move.before.phase
    )


def _boot_fails(move: Move) -> str:
    return P.READY if move.before.phase == P.BOOTING else move.before.phase


def _from_a_link(elsewhere: str) -> Callable[[Move], str]:
    return lambda move: elsewhere if move.before.phase in ONLINE else move.before.phase


def _whoever_waits_goes_on(move: Move) -> str:
    """Into the phase that is next, and on if a boot waits there."""
    if move.trigger == T.LOADED:
        return P.BOOTING if move.before.waiting(Slot.BOOT) else P.READY
    owed = move.before.has(F.OWED_FULL) and not move.before.asked(E.CLEAR_ALL)
    waits = move.before.phase == P.SHUTDOWN and move.before.waiting(Slot.BOOT)
    return P.BOOTING if waits and not owed else move.before.phase


def _visitor_ended(move: Move) -> str:
    return P.SHUTDOWN if move.before.phase in OFFLINE else move.before.phase


def _visitor_read(move: Move) -> str:
    return _boot_fails(move) if move.carries(F.BEYOND) else move.before.phase


def _token_refused(move: Move) -> str:
    """Who is signed in by a token is signed in no more; an identify ends alone."""
    before = move.before
    if before.phase == P.BOOTING:
        return P.READY
    return P.SHUTDOWN if before.who(Register.USER) else before.phase


def _link_up(move: Move) -> str:
    before, named, user = move.before, move.named, move.before.who(Register.USER)
    if before.phase not in (P.BOOTING, *OFFLINE):
        return before.phase
    if named == user:
        return P.AUTHENTICATED if user else P.ANONYMOUS
    if before.has(F.UNRESOLVED) and named == before.who(Register.TARGET):
        return P.AUTHENTICATED
    return P.READY if before.phase == P.BOOTING else P.SHUTDOWN


def _dial_refused(move: Move) -> str:
    """An old token is replaced, an identify that the backend refuses ends alone."""
    before = move.before
    tries_again = before.has(F.PROVIDER) and not before.has(F.TOKEN_FRESH)
    if before.phase == P.BOOTING:
        return P.BOOTING if tries_again else P.READY
    if before.who(Register.USER):
        return before.phase if tries_again else P.SHUTDOWN
    return before.phase if before.has(F.UNRESOLVED) else P.SHUTDOWN


def _identified(move: Move) -> str:
    meant = move.named == move.before.who(Register.TARGET)
    return P.AUTHENTICATED if meant else P.SHUTDOWN


def _identify_failed(move: Move) -> str:
    return move.before.phase if move.carries(F.BEYOND) else P.RECONNECTING


def _expired(move: Move) -> str:
    """A visitor dials anew, a user's token is replaced, and without a provider that is the end."""
    before = move.before
    if before.phase not in ONLINE or move.carries(F.OUTDATED):
        return before.phase
    if before.phase == P.ANONYMOUS:
        return P.RECONNECTING
    return before.phase if before.has(F.PROVIDER) else P.SHUTDOWN


def _silence(move: Move) -> str:
    return P.RECONNECTING if move.carries(F.SILENT) else move.before.phase


def _online(move: Move) -> str:
    return P.RECONNECTING if move.before.phase == P.DISCONNECTED else move.before.phase


def _offline(move: Move) -> str:
    tries = move.before.phase in (*ONLINE, P.RECONNECTING)
    return P.DISCONNECTED if tries else move.before.phase


def _give_up(move: Move) -> str:
    return P.DISCONNECTED if move.before.phase == P.RECONNECTING else move.before.phase


def _nobody_awaits_the_identify(move: Move) -> str:
    """One that has left: another link learns what became of it."""
    before = move.before
    left = (
        before.phase == P.ANONYMOUS and before.has(F.UNRESOLVED) and before.waiting(Slot.IDENTIFY)
    )
    return P.RECONNECTING if left else before.phase


_LEADS: Final[Mapping[str, Callable[[Move], str]]] = {
    T.LOADED: _whoever_waits_goes_on,
    T.LOAD_FAILED: lambda move: P.NOT_INITIALIZED,
    T.VISITOR_READ: _visitor_read,
    T.VISITOR_FAILED: _boot_fails,
    T.VISITOR_ENDED: _visitor_ended,
    T.TOKEN_REFUSED: _token_refused,
    T.TOKEN_FAILED: _boot_fails,
    T.LINK_UP: _link_up,
    T.DIAL_REFUSED: _dial_refused,
    T.DIAL_REJECTED: _boot_or(P.SHUTDOWN),
    T.DIAL_ASTRAY: _boot_fails,
    T.DIAL_FAILED: _visitor_read,
    T.IDENTIFIED: _identified,
    T.IDENTIFY_FAILED: _identify_failed,
    T.UPDATE_UNAUTHORISED: _expired,
    T.SEND_UNAUTHORISED: _expired,
    T.TOKEN_EXPIRED: _expired,
    T.RENEW_REFUSED: lambda move: P.SHUTDOWN,
    T.CLEARED: _whoever_waits_goes_on,
    T.OWNER_CHANGED: _from_a_link(P.RECONNECTING),
    T.SESSION_REVOKED: _from_a_link(P.SHUTDOWN),
    T.LINK_LOST: _from_a_link(P.RECONNECTING),
    T.GIVE_UP: _give_up,
    T.SILENCE_DUE: _silence,
    T.GO_ONLINE: _online,
    T.GO_OFFLINE: _offline,
    T.ABANDON_BOOT: _boot_fails,
    T.ABANDON_IDENTIFY: _nobody_awaits_the_identify,
}
"""Into which phase it leads; by everything else the phase stays."""


def _leads_there(move: Move) -> bool:
    leads = _LEADS.get(move.trigger)
    if leads is None:
        return move.trigger in CALLS or move.after.phase == move.before.phase
    return move.after.phase == leads(move)


def _says(move: Move) -> Refusal | None:
    """What whoever fails by it is told, if it says so itself: the rest brings its own error."""
    before, after = move.before, move.after
    ends = after.phase != before.phase and after.phase in (P.READY, P.SHUTDOWN)
    match move.trigger:
        case T.LINK_UP | T.IDENTIFIED:
            return R.WRONG_USER if ends else None
        case T.VISITOR_READ:
            damaged = move.carries(F.DAMAGED) and before.phase == P.BOOTING
            return R.NOT_IN_TIME if ends else R.DAMAGED if damaged else None
        case T.VISITOR_ENDED:
            return R.SIGNED_OUT if ends else None
        case T.DIAL_REFUSED:
            is_old = not (before.has(F.PROVIDER) or before.has(F.TOKEN_FRESH))
            user = before.who(Register.USER) and before.phase != P.BOOTING
            return R.EXPIRED if ends and user and is_old else None
        case T.TOKEN_EXPIRED | T.UPDATE_UNAUTHORISED | T.SEND_UNAUTHORISED:
            return R.EXPIRED if ends else None
        case _:
            return None


_SAYS: Final = (
    T.LINK_UP,
    T.IDENTIFIED,
    T.VISITOR_READ,
    T.VISITOR_ENDED,
    T.DIAL_REFUSED,
    T.TOKEN_EXPIRED,
    T.UPDATE_UNAUTHORISED,
    T.SEND_UNAUTHORISED,
)


def _tells_what_has_happened(move: Move) -> bool:
    errors = [row.error for row in move.rows if row.error is not None]
    return errors == [error for error in (_says(move),) if error is not None]


def _learns_what_became_of_it(move: Move) -> bool:
    """Of an identify that had left, from a link that is up as the visitor."""
    before, named = move.before, move.named
    if not before.has(F.UNRESOLVED) or named or before.phase not in OFFLINE:
        return True
    asks = move.effects
    lets_go = E.UNCLAIM in asks or E.FORGET_TARGET in asks
    if move.carries(F.REPEATABLE):
        return E.SEND_IDENTIFY in asks and not lets_go
    return E.UNCLAIM in asks if before.has(F.IDENTIFYING) else E.FORGET_TARGET in asks


LEADING: Final[tuple[Property, ...]] = (
    EachStep(
        "S59",
        "What happens leads where its name says: an end ends, a loss reconnects, a yes is live.",
        _leads_there,
    ),
    EachStep(
        "S59a",
        "Whoever fails by what happens is told what has happened.",
        _tells_what_has_happened,
        tuple(_SAYS),
    ),
    EachStep(
        "S38d",
        "A link that is up as the visitor says what became of an identify that had left: it is "
        "asked again if nobody knows, begins anew if somebody waits, and is forgotten else.",
        _learns_what_became_of_it,
        (T.LINK_UP,),
    ),
    EachStep(
        "S33d",
        "A message of somebody else is told, and touches none of the session's own.",
        lambda move: (
            move.carries(F.OWN)
            or E.DISPOSE in move.effects
            or not move.before.open(Lane.LINK)
            or move.effects == (E.TELL_MESSAGE,)
        ),
        (T.MESSAGE_ARRIVED,),
    ),
    EachStep(
        "S59b",
        "Whoever gives up waits no more.",
        lambda move: (
            not move.after.waiting(Slot.BOOT if move.trigger == T.ABANDON_BOOT else Slot.IDENTIFY)
        ),
        (T.ABANDON_BOOT, T.ABANDON_IDENTIFY),
    ),
    EachStep(
        "S46a",
        "Once a link is up no other token is wanted than the one that it came up with.",
        lambda move: move.after.phase not in ONLINE or not move.after.has(F.TOKEN_WANTED),
        (T.LINK_UP,),
    ),
    EachStep(
        "S26d",
        "A token that has arrived is fresh.",
        lambda move: not move.rows or move.after.has(F.TOKEN_FRESH),
        (T.TOKEN_ARRIVED,),
    ),
)
"""What is true of what happens."""
