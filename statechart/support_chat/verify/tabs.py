"""Properties of a session that is not alone on its scope: another tab may merge the visitor or
clear the storage, and must be able to tell.

They are said of one session. What comes of two is decided where several are composed.
"""

from __future__ import annotations

from typing import Final

from ..lifecycle.chart import LIVE, OFFLINE
from ..lifecycle.names import Effect as E, Phase as P, Timer, Trigger as T
from .properties import EachEffect, EachStep, Property
from .views import Move, View


def _looked_before(moment: View, move: Move) -> bool:
    """A look has just ended; or the token has come that was fetched after one."""
    fetched = move.trigger == T.TOKEN_ARRIVED and move.before.phase in OFFLINE
    return move.after.phase not in OFFLINE or move.trigger == T.VISITOR_CHECKED or fetched


def _whoever_is_over_ends(move: Move) -> bool:
    if move.before.phase in LIVE:
        return move.after.phase == P.SHUTDOWN
    return move.after.phase == P.READY or E.READ_VISITOR in move.effects


def _told_after_the_clear(move: Move) -> bool:
    cleared = move.trigger == T.CLEARED and move.before.asked(E.CLEAR_ALL)
    return (E.END_VISITOR in move.effects) == cleared


TABS: Final[tuple[Property, ...]] = (
    EachEffect(
        "S29",
        "A live session whose link is gone looks, before it dials, whether its visitor is still "
        "the stored one.",
        (E.DIAL, E.FETCH_TOKEN, E.FETCH_TARGET_TOKEN),
        _looked_before,
    ),
    EachStep(
        "S30",
        "A session whose visitor is over ends, and mints none; a boot reads the storage again.",
        _whoever_is_over_ends,
        (T.VISITOR_ENDED,),
    ),
    EachStep(
        "S31",
        "The backend is told that a visitor is over when a full clear has succeeded, each time, "
        "and never otherwise.",
        _told_after_the_clear,
    ),
    EachStep(
        "S32",
        "A session that is somebody else's by now gives up its link and dials again.",
        lambda move: move.after.phase in OFFLINE and move.after.running(Timer.RETRY),
        (T.OWNER_CHANGED,),
    ),
)
"""What a session owes the others on its scope."""
