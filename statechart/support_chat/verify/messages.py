"""Properties of messages on their way: what becomes of one is kept and told, and the next one goes
on. Which one may leave, and what is told, is the outbox's (`lifecycle.outbox`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ..lifecycle.chart import ONLINE
from ..lifecycle.names import Effect as E, Fact as F, Lane, Trigger as T
from .properties import EachStep, Property
from .views import Move

_KEEPS: Final[Mapping[str, tuple[str, ...]]] = {
    T.SENT: (E.KEEP_SENT,),
    T.SEND_REFUSED: (E.KEEP_REFUSED,),
    T.SEND_FAILED: (E.KEEP_UNANSWERED,),
    T.SEND_UNAUTHORISED: (E.KEEP_UNANSWERED, E.SAY_EXPIRED),
    T.MESSAGE_ARRIVED: (E.TELL_MESSAGE,),
    T.READ_MARKED: (E.TELL_READ,),
    T.OUTBOX_DUE: (E.EXPIRE_MESSAGES,),
    T.WITHDRAW: (E.WITHDRAW_MESSAGE,),
}
_KEEPS_IF: Final[Mapping[str, tuple[F, str]]] = {
    T.SEND_REFUSED: (F.DISOWNED, E.KEEP_DISOWNED),
    T.SEND_UNAUTHORISED: (F.OUTDATED, E.KEEP_UNANSWERED),
}
"""What alone is kept while it is not known whose it is, or what nobody has refused but before."""
_CHANGES: Final = frozenset(
    {
        E.QUEUE,
        E.SEND_MESSAGES,
        E.KEEP_SENT,
        E.KEEP_REFUSED,
        E.KEEP_DISOWNED,
        E.KEEP_UNANSWERED,
        E.EXPIRE_MESSAGES,
        E.WITHDRAW_MESSAGE,
        E.TELL_READ,
    }
)
"""What changes when something is due."""
_ENDS: Final = _CHANGES - {E.QUEUE, E.SEND_MESSAGES} | {E.KEEP_LINK, E.BECOME_USER, E.DROP_MESSAGES}
"""By what a message may come to its end."""
_FREES: Final = _ENDS - {E.DROP_MESSAGES} | {E.QUEUE}
"""By what another one may leave."""


def _kept(move: Move) -> bool:
    before = move.before
    if not before.has(F.BOOTED):  # and so there is none
        return move.trigger not in (T.WITHDRAW, T.OUTBOX_DUE) or not move.rows
    keeps = _KEEPS.get(move.trigger)
    if move.trigger in _KEEPS_IF:
        fact, kept = _KEEPS_IF[move.trigger]
        keeps = (kept,) if move.carries(fact) else keeps
    if keeps is not None and E.DISPOSE not in move.effects:  # it is not late
        return set(keeps) <= move.asks
    return move.after.has(F.BOOTED) or E.DROP_MESSAGES in move.effects


def _told(move: Move) -> bool:
    if _is_own(move):
        return _follows(E.ANSWER_MESSAGES, {E.TELL_MESSAGE}, move.effects)
    if move.before.open(Lane.LINK) and not move.after.open(Lane.LINK):
        return E.ANSWER_MESSAGES in move.effects
    return _follows(E.ANSWER_MESSAGES, _ENDS, move.effects)


def _goes_on(move: Move) -> bool:
    after = move.after
    if after.phase not in ONLINE or not after.has(F.QUEUED):
        return True
    if _is_own(move):
        return E.SEND_MESSAGES in move.effects
    return _follows(E.SEND_MESSAGES, _FREES, move.effects)


def _looked_after(move: Move) -> bool:
    if _is_own(move) and E.ARM_OUTBOX not in move.rows[0].effects:
        return False
    return all(_follows(E.ARM_OUTBOX, _CHANGES, row.effects) for row in move.rows)


def _is_own(move: Move) -> bool:
    return move.trigger == T.MESSAGE_ARRIVED and move.carries(F.OWN)


def _follows(wanted: str, effects: Collection[str], asked: Sequence[str]) -> bool:
    """Whether this effect is asked after the last of those that are."""
    for effect in reversed(asked):
        if effect == wanted:
            return True
        if effect in effects:
            return False
    return True


MESSAGES: Final[tuple[Property, ...]] = (
    EachStep(
        "S33",
        "What becomes of a message is kept: each outcome, what the stream brings, the end of a "
        "call's time or of its awaiters, and the end of the session.",
        _kept,
    ),
    EachStep("S33a", "Whoever waits for a message is told its end in the same step.", _told),
    EachStep("S33b", "A message that may leave leaves in the same step.", _goes_on),
    EachStep(
        "S33c", "After each change of what is on its way its timer is set anew.", _looked_after
    ),
)
"""What is proved of messages."""
