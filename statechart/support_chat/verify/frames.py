"""What begins and ends each thing that the session remembers: nothing comes about, and nothing is
over, by what has nothing to do with it.

Facts that say that something is under way equal the ledger (S26). These are of the others, and of
who is who.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ..chart.model import Chart
from ..lifecycle.chart import CALLS, ENDED, ONLINE
from ..lifecycle.names import (
    Effect as E,
    Fact as F,
    Phase as P,
    Register,
    Timer,
    Trigger as T,
)
from .explore import Space
from .properties import Always, EachEffect, EachStep, Property, Structure
from .views import Move, View

_BEGINS: Final[Mapping[str, Collection[str]]] = {
    F.TOKEN_FRESH: (T.TOKEN_ARRIVED,),
    F.TOKEN_WANTED: (
        T.VISITOR_READ,
        T.DIAL_REFUSED,
        T.RENEW_DUE,
        T.TOKEN_EXPIRED,
        T.UPDATE_UNAUTHORISED,
    ),
    F.RELEASED: (T.RELEASED,),
}
"""By what alone each of these facts comes to hold."""
_ENDS: Final[Mapping[str, Collection[str]]] = {
    F.TOKEN_WANTED: (T.TOKEN_ARRIVED, T.LINK_UP),
    F.RELEASED: (),
}
"""By what alone it ends, but for the end of the session, or of the identify it is for."""


def _notes_by_its_cause(chart: Chart, space: Space) -> Sequence[str]:
    found: list[str] = []
    for row in chart.transitions:
        begun = [f for f in row.sets if not set(row.trigger) <= {*_BEGINS.get(f, row.trigger)}]
        over = F.BOOTED in row.clears or row.assigns.get(Register.TARGET, "") is None
        ended = [f for f in row.clears if not set(row.trigger) <= {*_ENDS.get(f, row.trigger)}]
        found += [f"{row.name} notes {fact}, and is no cause of it" for fact in begun]
        found += [f"{row.name} takes {fact} for over" for fact in ended if not over]
    return found


_TOKEN_TOLD: Final = (T.DIAL_REFUSED, T.TOKEN_EXPIRED, T.UPDATE_UNAUTHORISED)
_CAUSES: Final[Mapping[str, Collection[str]]] = {
    E.KEEP_VISITOR: (T.VISITOR_READ,),
    E.KEEP_TOKEN: (T.TOKEN_ARRIVED,),
    E.KEEP_LINK: (T.LINK_UP,),
    E.TELL_CONNECTED: (T.LINK_UP,),
    E.TELL_READY: (T.LINK_UP,),
    E.ACCEPT_TOKEN: (T.LINK_UP, T.IDENTIFIED, T.RENEWED),
    E.SPEND_TOKEN: _TOKEN_TOLD,
    E.TELL_EXPIRED: _TOKEN_TOLD,
    E.DROP_TOKEN: (T.RENEW_DUE, T.TOKEN_EXPIRED, T.UPDATE_UNAUTHORISED),
    E.BECOME_USER: (T.LINK_UP, T.IDENTIFIED),
    E.UNCLAIM: (T.LINK_UP,),
    E.ADOPT: (T.BOOT, T.IDENTIFY),
    E.ADOPT_TARGET: (T.IDENTIFY,),
    E.RECORD: (T.UPDATE,),
    E.HOLD: (T.UPDATE,),
    E.ACKNOWLEDGE: (T.UPDATED,),
    E.DROP_SENT: (T.UPDATE_REFUSED,),
    E.COUNT_FAILURE: (
        T.DIAL_FAILED,
        T.DIAL_ASTRAY,
        T.DIAL_REFUSED,
        T.TOKEN_FAILED,
        T.TOKEN_REFUSED,
        T.VISITOR_ENDED,
    ),
    E.TELL_MESSAGE: (T.MESSAGE_ARRIVED,),
    E.TELL_READ: (T.READ_MARKED,),
    E.EXPIRE_MESSAGES: (T.OUTBOX_DUE,),
    E.WITHDRAW_MESSAGE: (T.WITHDRAW,),
    E.END_VISITOR: (T.CLEARED,),
    E.PART: (T.SHUTDOWN, T.BECOME),
    E.DONE: CALLS,
    E.ANSWER: (T.REPLIED,),
    E.SETTLE_LOAD: (T.LOADED,),
    E.SETTLE_BOOT: (T.LINK_UP,),
    E.SETTLE_IDENTIFY: (T.LINK_UP, T.IDENTIFIED),
    E.SETTLE_SHUTDOWN: (T.CLEARED, T.PROCEED),
    E.SETTLE_CLEAR: (T.PROCEED,),
    E.SETTLE_DESTROY: (T.RELEASED,),
    E.SETTLE_DETACHED: (T.PARTED, T.RELEASED),
    E.FAIL_LOAD: (T.LOAD_FAILED, T.SHUTDOWN, T.DESTROY),
    E.FAIL_SHUTDOWN: (T.CLEAR_FAILED, T.DESTROY_TIMEOUT),
    E.FAIL_CLEAR: (T.CLEAR_FAILED, T.DESTROY_TIMEOUT),
    E.ABANDON_LOAD: (T.SHUTDOWN, T.DESTROY),
    E.ABANDON_TOKEN: (T.ABANDON_IDENTIFY, T.BECOME),
    E.ABANDON_REST: (T.PROCEED, T.DESTROY_TIMEOUT),
    E.ABANDON_PARTINGS: (T.RELEASED, T.DESTROY_TIMEOUT),
    E.DISARM_GIVE_UP: (T.LINK_UP, T.GO_OFFLINE),
    E.ARM_SILENCE: (T.LINK_UP, T.SILENCE_DUE),
    E.ARM_DESTROY: (T.DESTROY,),
    E.ARM_UPDATE: (T.PROCEED,),
}
"""By what alone each of these is done: what is noted has come, and what is told is so."""


def _does_by_its_cause(chart: Chart, space: Space) -> Sequence[str]:
    return [
        f"{row.name} asks for {effect}, and is no cause of it"
        for row in chart.transitions
        for effect in row.effects
        if not set(row.trigger) <= {*_CAUSES.get(effect, row.trigger)}
    ]


def _owes_what_is_asked_for(chart: Chart, space: Space) -> Sequence[str]:
    """A clear is owed by an end, in full by nobody but who asks for it."""
    return [
        f"{row.name} owes a clear that nobody asked for"
        for row in chart.transitions
        if F.FULL not in row.when
        and (F.OWED_FULL in row.sets or (F.OWED in row.sets and F.BOOTED not in row.clears))
    ]


def _who_it_is_for_stays(move: Move) -> bool:
    user, now = move.before.who(Register.USER), move.after.who(Register.USER)
    if user == now:
        return True
    if move.trigger in (T.LINK_UP, T.IDENTIFIED):  # the identify was accepted, or the session ends
        return now == move.before.who(Register.TARGET) or not move.after.has(F.BOOTED)
    if move.trigger in (T.BOOT, T.BECOME):
        return now == move.named
    return not (now or move.after.has(F.BOOTED))


def _whom_it_identifies_stays(move: Move) -> bool:
    target, now = move.before.who(Register.TARGET), move.after.who(Register.TARGET)
    if target == now:
        return True
    if now:
        return move.trigger in (T.IDENTIFY, T.BECOME) and now == move.named
    return not move.after.has(F.BOOTED) or move.trigger in _SETTLES_IDENTIFY


_SETTLES_IDENTIFY: Final = (
    T.BECOME,
    T.ABANDON_IDENTIFY,
    T.IDENTIFIED,
    T.IDENTIFY_REFUSED,
    T.IDENTIFY_FAILED,
    T.TOKEN_REFUSED,
    T.TOKEN_FAILED,
    T.DIAL_REFUSED,
    T.LINK_UP,
)


def _may_leave(move: Move) -> bool:
    after = move.after
    waits = after.has(F.SENDING) or after.has(F.TOKEN_WANTED) or after.who(Register.TARGET)
    there = after.has(F.PENDING) or E.ADOPT in move.effects  # it may be what the call brings
    return after.phase in ONLINE and there and not waits


_BESIDE: Final[Mapping[str, Collection[str]]] = {
    Register.USER: (E.ADOPT, E.BECOME_USER, E.FORGET),
    Register.TARGET: (E.ADOPT_TARGET, E.BECOME_USER, E.FORGET_TARGET, E.FORGET),
}
"""What goes with each register: what is known of whoever is in it."""


def _registers_go_with_what_is_known(chart: Chart, space: Space) -> Sequence[str]:
    return [
        f"{row.name} has another {register}, and what is known of the former one"
        for row in chart.transitions
        for register in row.assigns
        if not {*_BESIDE.get(register, row.effects)} & {*row.effects}
    ]


def _leaves_when_it_may(move: Move) -> bool:
    if move.trigger == T.UPDATE_DUE:
        waits = move.before.has(F.SENDING) or _is_held(move.before)
        return not move.before.has(F.PENDING) or waits or E.SEND_UPDATE in move.effects
    after = move.after
    if E.REFUSE in move.effects or after.phase not in ONLINE or not after.has(F.PENDING):
        return True
    return after.has(F.SENDING) or _is_held(after) or after.running(Timer.UPDATE)


def _is_held(view: View) -> bool:
    """An update waits for the answer of an identify, or for another token."""
    return view.who(Register.TARGET) != 0 or view.has(F.TOKEN_WANTED)


def _a_token_is_wanted_for_a_cause(move: Move) -> bool:
    wanted = move.after.has(F.TOKEN_WANTED)
    if move.trigger == T.TOKEN_ARRIVED and E.KEEP_TOKEN in move.effects:
        return not wanted
    begins = wanted and not move.before.has(F.TOKEN_WANTED)
    given_up = not {E.SPEND_TOKEN, E.DROP_TOKEN}.isdisjoint(move.effects)
    return not begins or given_up or move.trigger == T.VISITOR_READ


FRAMES: Final[tuple[Property, ...]] = (
    Structure("S60", "What is noted begins and ends by its cause alone.", _notes_by_its_cause),
    Structure("S60a", "What is noted or told has come about.", _does_by_its_cause),
    Structure(
        "S61",
        "A clear is owed by the end of a session or by who asks for it, in full by who asks for "
        "that.",
        _owes_what_is_asked_for,
    ),
    Always(
        "S61a",
        "A clear is owed after an end, and before anything else begins.",
        lambda view: view.phase in ENDED or not view.has(F.OWED),
    ),
    EachEffect(
        "S61b",
        "Nothing is cleared that is not owed.",
        (E.CLEAR_USER, E.CLEAR_ALL),
        lambda moment, move: move.after.has(F.OWED),
    ),
    EachEffect(
        "S61c",
        "The visitor is removed by nothing but a clear that is owed in full.",
        (E.CLEAR_ALL,),
        lambda moment, move: move.after.has(F.OWED_FULL),
    ),
    EachEffect(
        "S18d",
        "No messages are sent where none waits.",
        (E.SEND_MESSAGES,),
        lambda moment, move: move.before.has(F.QUEUED) or E.QUEUE in move.effects,
    ),
    EachStep(
        "S62",
        "Whom the session is for changes by a call or an accepted identify.",
        _who_it_is_for_stays,
    ),
    Structure(
        "S62b",
        "Who is who changes together with what is known of them.",
        _registers_go_with_what_is_known,
    ),
    EachStep(
        "S62a",
        "Whom an identify is for changes by a call, or when it is settled.",
        _whom_it_identifies_stays,
    ),
    EachEffect(
        "S18c",
        "An update is scheduled when it may leave.",
        (E.ARM_UPDATE,),
        lambda moment, move: _may_leave(move),
    ),
    EachStep(
        "S18e",
        "What may leave is scheduled by each call, and leaves when it is due.",
        _leaves_when_it_may,
        (T.BOOT, T.BECOME, T.UPDATE, T.UPDATE_DUE),
    ),
    EachStep(
        "S46d",
        "A token is wanted instead of one that is given up, and no longer than until it is there.",
        _a_token_is_wanted_for_a_cause,
    ),
    EachEffect(
        "S46f",
        "The token of an identify is as fresh when it is presented again as it was.",
        (E.SEND_IDENTIFY,),
        lambda moment, move: (
            move.trigger != T.LINK_UP
            or move.after.has(F.TOKEN_FRESH) == move.before.has(F.TOKEN_FRESH)
        ),
    ),
    EachEffect(
        "S44d",
        "The time until the session gives up runs from the loss, or from the return, of hope.",
        (E.ARM_GIVE_UP,),
        lambda moment, move: move.before.phase != P.RECONNECTING,
    ),
)
"""What is true of what is remembered."""
