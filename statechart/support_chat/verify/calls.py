"""What each call comes to, whoever is there: what stands against it, what it waits for, where it
leads. Said of whom the session is for and of what is owed, as the table of calls and the docstrings
say it, so that a row that forgets an option, a user or a phase breaks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..chart.model import Chart, Refusal
from ..lifecycle import refusals as R
from ..lifecycle.chart import CALLS, LIVE, ONLINE
from ..lifecycle.names import Effect as E, Fact as F, Phase as P, Register, Trigger as T
from .explore import Space
from .properties import EachStep, Property, Structure
from .views import Move, View

WORKING: Final = (P.BOOTING, *LIVE)
_NEVER_REFUSED: Final = (T.LOAD, T.BECOME, T.SHUTDOWN, T.DESTROY)


def _against(move: Move) -> Refusal | None:
    """What stands against this call, if anything does."""
    before, trigger = move.before, move.trigger
    if before.phase == P.DESTROYED:
        return None if trigger == T.DESTROY else R.DESTROYED
    if trigger in _NEVER_REFUSED:
        return None
    if not before.has(F.BOOTED):
        return None if trigger == T.BOOT else R.NOT_BOOTED
    if trigger == T.SEND:
        return (
            R.NO_LINK
            if move.carries(F.AT_ONCE)
            else _unless(not move.carries(F.CROWDED), R.CROWDED)
        )
    if trigger == T.USE:
        return _unless(before.phase in ONLINE, R.NO_LINK)
    return _conflict(move)


def _conflict(move: Move) -> Refusal | None:
    """Somebody else is there than the call is for."""
    before, named, trigger = move.before, move.named, move.trigger
    user, target = before.who(Register.USER), before.who(Register.TARGET)
    if trigger == T.UPDATE and not named:  # it is for whoever is there
        return None
    if trigger == T.BOOT:
        is_live = R.USER_IS_LIVE if user else R.VISITOR_IS_LIVE
        return _unless(named == user, is_live if before.phase in LIVE else R.OTHER_BOOT)
    if user:
        return _unless(named == user, R.USER_IS_LIVE)
    if target:
        return _unless(named == target, R.OTHER_TARGET)
    return _unless(trigger == T.IDENTIFY, R.VISITOR_IS_LIVE)


def _unless(good: bool, refusal: Refusal) -> Refusal | None:
    return None if good else refusal


def _is_refused_for_a_cause(move: Move) -> bool:
    return (E.REFUSE in move.effects) == (_against(move) is not None)


def _refusals_change_nothing(chart: Chart, space: Space) -> Sequence[str]:
    return [
        f"{row.name} refuses a call, and does more than that"
        for row in chart.transitions
        if E.REFUSE in row.effects
        and (row.target or row.sets or row.clears or row.assigns or len(row.effects) > 1)
    ]


def _names_the_cause(move: Move) -> bool:
    against = _against(move)
    return all(row.error == against for row in move.rows if E.REFUSE in row.effects)


def _is_over_for(move: Move) -> bool:
    """Whether a become() ends what there is: it is for somebody else, or may have become so."""
    before, named = move.before, move.named
    if not before.has(F.BOOTED):
        return False
    if before.who(Register.USER):
        return named != before.who(Register.USER)
    return before.has(F.UNRESOLVED) and named != before.who(Register.TARGET)


def _waits_for(move: Move) -> str:
    """By which effect a call that nothing stands against is answered."""
    before, trigger = move.before, move.trigger
    if trigger == T.LOAD:
        return E.JOIN_LOAD if before.phase in (P.NOT_INITIALIZED, P.LOADING) else E.DONE
    if trigger == T.BOOT:
        return _boots(before)
    if trigger == T.IDENTIFY:
        return _boots(before) if before.who(Register.USER) else E.JOIN_IDENTIFY
    if trigger == T.BECOME:
        if not before.has(F.BOOTED) or _is_over_for(move):
            return E.JOIN_BOOT
        is_new = move.named and not before.who(Register.USER)
        return E.JOIN_IDENTIFY if is_new else _boots(before)
    if trigger == T.SHUTDOWN:
        return _ends(move)
    if trigger == T.DESTROY:
        return E.DONE if before.has(F.RELEASED) else E.JOIN_DESTROY
    return _AT_ONCE[str(trigger)]


_AT_ONCE: Final = {str(T.UPDATE): E.DONE, str(T.SEND): E.QUEUE, str(T.USE): E.USE_LINK}


def _boots(before: View) -> str:
    return E.DONE if before.phase in LIVE else E.JOIN_BOOT


def _ends(move: Move) -> str:
    """A full clear that is asked for, or still owed, is waited for; else what is left to do."""
    before = move.before
    if move.carries(F.FULL) or before.has(F.OWED_FULL):
        return E.JOIN_CLEAR
    left = before.phase in WORKING or before.has(F.OWED) or before.has(F.PARTING)
    return E.JOIN_SHUTDOWN if left else E.DONE


def _leads(move: Move) -> str:
    """Into which phase a call leads."""
    before, trigger = move.before, move.trigger
    phase = before.phase
    if trigger == T.DESTROY:
        return P.DESTROYED
    if _against(move) is not None:
        return phase
    if trigger == T.SHUTDOWN:
        return P.SHUTDOWN
    if trigger == T.LOAD:
        return P.LOADING if phase == P.NOT_INITIALIZED else phase
    if trigger == T.BECOME and _is_over_for(move):
        return P.SHUTDOWN if phase in WORKING else phase
    if trigger == T.BOOT or (trigger == T.BECOME and _waits_for(move) != E.JOIN_IDENTIFY):
        return _boot_leads(before)
    return phase


def _boot_leads(before: View) -> str:
    if before.phase == P.NOT_INITIALIZED:
        return P.LOADING
    if before.phase == P.DISCONNECTED:
        return P.RECONNECTING
    if before.phase == P.READY or (before.phase == P.SHUTDOWN and not before.has(F.OWED)):
        return P.BOOTING
    return before.phase


def _joins_what_is_under_way(move: Move) -> bool:
    """Whoever waits for the same one goes on waiting."""
    before, named = move.before, move.named
    user, target = before.who(Register.USER), before.who(Register.TARGET)
    same = named == target if target else named == user
    return not (before.has(F.BOOTED) and same) or not {E.FAIL_BOOT, E.FAIL_IDENTIFY} & move.asks


CALLED: Final[tuple[Property, ...]] = (
    EachStep(
        "S58",
        "A call is refused for what stands against it, and else is taken.",
        _is_refused_for_a_cause,
        CALLS,
    ),
    EachStep(
        "S58a", "A call that is refused is told what stands against it.", _names_the_cause, CALLS
    ),
    Structure("S58d", "A call that is refused changes nothing.", _refusals_change_nothing),
    EachStep(
        "S58b",
        "A call that is taken waits for what it asks for, and for nothing if there is nothing.",
        lambda move: _against(move) is not None or _waits_for(move) in move.effects,
        CALLS,
    ),
    EachStep(
        "S58c",
        "A call leads where it says, at once, and nowhere else.",
        lambda move: move.after.phase == _leads(move),
        CALLS,
    ),
    EachStep(
        "S58e",
        "A call for whoever is there ends nothing of what is under way for them.",
        _joins_what_is_under_way,
        (T.BOOT, T.IDENTIFY, T.BECOME),
    ),
)
"""What is true of each call."""
