"""The properties of the shipped chart, each with its id, one sentence, and what decides it.

What the phases and facts of the chart say is compared with what the ledger says: the ledger is the
environment's own account. What a model does not hold (delays, keys, credentials) is decided
`ELSEWHERE`: N1 to N4 by hypothesis on the pure functions in `support_chat.lifecycle.delays`, S23
and S24 by the tests of the session.
"""

from __future__ import annotations

from operator import methodcaller
from typing import Final

from ..chart.model import Ask, Hold, Join
from ..lifecycle.chart import CALLS, CONNECTING, ENDED, LIVE, OFFLINE, ONLINE
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
from .bookkeeping import BOOKKEEPING
from .calls import CALLED
from .frames import FRAMES
from .generic import late_ones_do_more, no_dead_row, one_expiry_each
from .messages import MESSAGES
from .model import deserted
from .outcomes import LEADING
from .promises import PROMISES
from .properties import (
    Always,
    CanReach,
    EachEffect,
    EachStep,
    Elsewhere,
    Eventually,
    LeadsTo,
    Property,
    Structure,
)
from .tabs import TABS
from .telling import TELLING
from .views import Move, View

FETCHES: Final = (E.FETCH_TOKEN, E.FETCH_TARGET_TOKEN)
CLEARS: Final = (E.CLEAR_USER, E.CLEAR_ALL)
WRITES: Final = (E.READ_VISITOR,)
WORKING: Final = (P.BOOTING, *LIVE)


def _no_way_to_a_link(view: View) -> bool:
    opens = view.open(Lane.LINK) or view.asked(E.DIAL, *FETCHES) or view.running(Timer.RETRY)
    return view.phase not in ENDED or not opens


def _only_a_boot_makes_live(move: Move) -> bool:
    begins = move.after.phase in WORKING and move.before.phase not in WORKING
    called = move.trigger in (T.BOOT, T.BECOME)
    return not begins or (
        move.after.phase == P.BOOTING and (called or move.before.waiting(Slot.BOOT))
    )


def _shutdown_ends_boots(move: Move) -> bool:
    goes_on = move.after.waiting(Slot.BOOT) or move.after.phase in WORKING
    return move.trigger not in (T.SHUTDOWN, T.DESTROY) or not goes_on


def _nothing_of_the_user(view: View) -> bool:
    over = view.phase in ENDED and not view.waiting(Slot.BOOT)
    remembered = any(
        view.has(fact) for fact in (F.PROVIDER, F.TARGET_PROVIDER, F.PENDING, F.QUEUED)
    )
    return not (over and (remembered or view.who(Register.USER) or view.who(Register.TARGET)))


def _accepted_by_the_backend(move: Move) -> bool:
    becomes = move.before.phase != P.AUTHENTICATED == move.after.phase
    accepted = move.named if move.trigger in (T.LINK_UP, T.IDENTIFIED) else 0
    return not becomes or 0 != accepted == move.after.who(Register.USER)


def _identity_stays(move: Move) -> bool:
    user = move.before.who(Register.USER)
    live = move.before.phase in LIVE and move.after.phase in LIVE
    return not (live and user) or move.after.who(Register.USER) == user


def _another_boot_is_refused(move: Move) -> bool:
    begun = move.before.phase in WORKING or move.before.waiting(Slot.BOOT)
    is_another = begun and move.named != move.before.who(Register.USER)
    changes = move.effects != (E.REFUSE,) or move.after.state != move.before.state
    return not (is_another and changes)


def _same_boot_opens_nothing(move: Move) -> bool:
    quiet = (*ONLINE, P.RECONNECTING)
    if move.before.phase not in quiet or move.named != move.before.who(Register.USER):
        return True
    return (
        not {E.DIAL, E.ARM_DIAL, E.ARM_RETRY, *FETCHES, *WRITES} & move.asks
        and move.after.phase == move.before.phase
    )


def _refusals_are_not_retried(move: Move) -> bool:
    refused = move.trigger in (T.TOKEN_REFUSED, T.RENEW_REFUSED, T.IDENTIFY_REFUSED)
    if refused and (
        move.after.asked(*FETCHES, E.SEND_IDENTIFY, E.SEND_TOKEN) or move.after.has(F.TOKEN_WANTED)
    ):
        return False
    again = move.trigger == T.DIAL_REFUSED and move.after.phase in CONNECTING
    return not again or move.after.has(F.TOKEN_WANTED) or not move.after.who(Register.TARGET)


def _one_answer(move: Move) -> bool:
    effects = [effect for row in move.rows for effect in row.effects]
    specs = move.model.chart.effects
    return (
        sum(
            effect in (E.DONE, E.REFUSE, E.USE_LINK) or isinstance(specs[effect], Hold | Join)
            for effect in effects
        )
        == 1
    )


def _facts_equal_the_ledger(view: View) -> bool:
    pairs = (
        (view.has(F.FETCHING), view.asked(*FETCHES)),
        (view.has(F.SENDING), view.asked(E.SEND_UPDATE)),
        (view.has(F.RENEWING), view.asked(E.SEND_TOKEN)),
        (view.has(F.WRITING), view.asked(*WRITES)),
        (view.has(F.CLEARING), view.asked(*CLEARS)),
        (view.has(F.CLEARING_FULL), view.asked(E.CLEAR_ALL)),
        (view.has(F.PARTING), view.asked(E.PART)),
        (view.has(F.RELEASING), view.asked(E.RELEASE)),
        (view.has(F.RETRYING), view.running(Timer.RETRY)),
        (view.has(F.IDENTIFYING), view.waiting(Slot.IDENTIFY)),
        (view.has(F.UNRESOLVED) and view.phase == P.ANONYMOUS, view.asked(E.SEND_IDENTIFY)),
        (view.phase == P.LOADING, view.asked(E.CHECK_ADAPTERS)),
        (view.phase in ONLINE, view.open(Lane.LINK)),
    )
    return all(fact == entry for fact, entry in pairs)


def _renewal_is_scheduled(move: Move) -> bool:
    def unscheduled(view: View) -> bool:
        scheduled = view.running(Timer.RENEW) or view.asked(*FETCHES, E.SEND_TOKEN)
        return view.phase == P.AUTHENTICATED and view.has(F.PROVIDER) and not scheduled

    # a provider that comes later, by another boot() or identify(), is used when the backend asks
    # for a token
    return (
        not unscheduled(move.after)
        or E.ARM_RENEW in move.effects
        or E.ADOPT in move.effects
        or unscheduled(move.before)
    )


def _nothing_unforeseen(move: Move) -> bool:
    """A current outcome, a call, or that nobody awaits it any more, would be lost if no row wants
    it; events and hints may mean nothing.
    """
    if move.rows:
        return True
    asks = [
        spec
        for spec in move.model.chart.effects.values()
        if isinstance(spec, Ask) and not spec.several
    ]
    awaited = (*CALLS, *deserted(move.model.chart).values())
    return move.trigger not in awaited and not any(move.trigger in spec.outcomes for spec in asks)


CATALOGUE: Final[tuple[Property, ...]] = (
    Always(
        "S1",
        "In shutdown and destroyed no link is open or opening, and no timer that leads to one "
        "runs.",
        _no_way_to_a_link,
    ),
    Structure(
        "S2",
        "A superseded outcome triggers its effect's dispose and nothing else.",
        lambda chart, _: late_ones_do_more(chart, (E.DISPOSE, E.SETTLE_DETACHED)),
    ),
    EachStep(
        "S3",
        "After shutdown, only a boot() or a become() made later makes the session live.",
        lambda move: _only_a_boot_makes_live(move) and _shutdown_ends_boots(move),
    ),
    Always("S4", "After shutdown nothing of the former user is remembered.", _nothing_of_the_user),
    EachEffect(
        "S5",
        "After a successful clear_storage nothing is left in the storage.",
        (E.SETTLE_CLEAR,),
        lambda moment, move: not moment.waiting(Slot.CLEAR) or not moment.stored("visitor"),
    ),
    Always(
        "S6",
        "Local clearing waits for no network outcome.",
        lambda view: (
            not (
                view.phase in ENDED and view.has(F.OWED) and view.waiting(Slot.SHUTDOWN, Slot.CLEAR)
            )
            or view.asked(*CLEARS, *WRITES)
        ),
    ),
    EachEffect(
        "S8",
        "At most one link is open or opening.",
        (E.DIAL,),
        lambda moment, move: not moment.asked(E.DIAL) and not moment.open(Lane.LINK),
    ),
    EachEffect(
        "S9",
        "At most one token call is under way.",
        FETCHES,
        lambda moment, move: not moment.asked(*FETCHES),
    ),
    Structure(
        "S10", "At most one timer of each kind runs, and it means one thing.", one_expiry_each
    ),
    EachStep(
        "S11",
        "authenticated as u implies that the backend accepted u in this very answer.",
        _accepted_by_the_backend,
    ),
    EachStep(
        "S12",
        "The identity never goes from a user to another or to a visitor without passing shutdown.",
        _identity_stays,
    ),
    EachStep(
        "S13",
        "boot() of another identity, while booting, live or waiting, changes nothing and raises.",
        _another_boot_is_refused,
        (T.BOOT,),
    ),
    EachStep(
        "S14",
        "boot() of the same identity, when live or reconnecting, opens nothing.",
        _same_boot_opens_nothing,
        (T.BOOT,),
    ),
    EachStep(
        "S15",
        "A refusal is never retried by itself.",
        _refusals_are_not_retried,
        (T.TOKEN_REFUSED, T.RENEW_REFUSED, T.IDENTIFY_REFUSED, T.DIAL_REFUSED),
    ),
    EachEffect(
        "S15a",
        "No dial goes out with a token that was refused.",
        (E.DIAL,),
        lambda moment, move: not moment.has(F.TOKEN_WANTED) or move.trigger == T.TOKEN_ARRIVED,
    ),
    EachEffect(
        "S16",
        "No token call and no dial starts outside booting and the live phases.",
        (E.DIAL, *FETCHES),
        lambda moment, move: move.after.phase in WORKING,
    ),
    EachEffect(
        "S17",
        "No update names a user who is not the session's.",
        (E.RECORD,),
        lambda moment, move: move.named in (0, move.before.who(Register.USER)),
    ),
    EachEffect(
        "S17a",
        "No update is held for a user who is not the one to be identified.",
        (E.HOLD,),
        lambda moment, move: move.named in (0, move.before.who(Register.TARGET)),
    ),
    EachEffect(
        "S18",
        "No update leaves outside anonymous and authenticated, or while an identify is open.",
        (E.SEND_UPDATE,),
        lambda moment, move: move.after.phase in ONLINE and not move.after.who(Register.TARGET),
    ),
    EachEffect(
        "S19",
        "No clear begins while a write is under way, and no write while a clear is.",
        (*CLEARS, *WRITES),
        lambda moment, move: not moment.asked(*CLEARS, *WRITES),
    ),
    EachStep(
        "S20",
        "Every call is answered in one way: it joins, is held, done or refused, or uses the link.",
        _one_answer,
        CALLS,
    ),
    EachStep(
        "S21",
        "destroyed is absorbing.",
        lambda move: move.before.phase != P.DESTROYED or move.after.phase == P.DESTROYED,
    ),
    Always(
        "S21a",
        "Once released, the ledger is empty.",
        lambda view: not view.has(F.RELEASED) or view.idle,
    ),
    Structure("S22", "Every row can fire.", no_dead_row),
    EachStep(
        "S22a",
        "No call, no current outcome and nobody who gives up goes unanswered by the chart.",
        _nothing_unforeseen,
    ),
    Always(
        "S26",
        "Each fact that says something is in flight equals its entry in the ledger.",
        _facts_equal_the_ledger,
    ),
    EachStep(
        "S27",
        "While authenticated with a provider a renewal is scheduled, if the expiry is known.",
        _renewal_is_scheduled,
    ),
    *(
        Eventually(
            f"L1 {slot}",
            f"Every call that waits for {slot} settles.",
            methodcaller("waiting", slot),
        )
        for slot in Slot
    ),
    Eventually("L2", "booting ends.", lambda view: view.phase == P.BOOTING),
    Eventually("L3", "reconnecting ends.", lambda view: view.phase == P.RECONNECTING),
    CanReach(
        "L4",
        "A live session's link can return without another call.",
        lambda view: view.phase in LIVE,
        lambda view: view.phase in ONLINE,
    ),
    LeadsTo(
        "L4a",
        "A lost link returns, if dials that can succeed again and again, and tokens, do.",
        lambda view: view.phase in OFFLINE,
        lambda view: view.phase not in OFFLINE,
        (T.LINK_UP, T.TOKEN_ARRIVED),
    ),
    CanReach(
        "L5",
        "After shutdown a boot can succeed.",
        lambda view: view.phase == P.SHUTDOWN,
        lambda view: view.phase in ONLINE,
        True,
    ),
    CanReach(
        "L6",
        "What update() recorded can be sent while the session stays live.",
        lambda view: view.phase in LIVE and view.has(F.PENDING),
        lambda view: view.phase in LIVE and view.asked(E.SEND_UPDATE),
    ),
    CanReach(
        "L6a",
        "A message without an answer can be sent while the session stays live.",
        lambda view: view.phase in LIVE and view.has(F.QUEUED),
        lambda view: view.phase in LIVE and view.asked(E.SEND_MESSAGES),
    ),
    Eventually(
        "L7",
        "From every state destroy completes.",
        lambda view: view.phase == P.DESTROYED and not view.has(F.RELEASED),
    ),
    EachStep(
        "L8",
        "A called end of a live session emits a revocation.",
        lambda move: (
            move.before.phase not in LIVE or move.after.phase in LIVE or E.PART in move.effects
        ),
        (T.SHUTDOWN, T.BECOME),
    ),
    EachStep(
        "S13a",
        "The last become() wins: the session is for whom it names, or will be.",
        lambda move: (
            move.after.phase == P.DESTROYED
            or move.named == (move.after.who(Register.TARGET) or move.after.who(Register.USER))
        ),
        (T.BECOME,),
    ),
    *MESSAGES,
    *BOOKKEEPING,
    *TABS,
    *PROMISES,
    *TELLING,
    *CALLED,
    *LEADING,
    *FRAMES,
)
"""Every property of the shipped chart that the model decides."""

ELSEWHERE: Final[tuple[Elsewhere, ...]] = (
    Elsewhere(
        "N1",
        "Dials in any window of time are bounded.",
        "hypothesis",
        "tests/lifecycle/test_delays.py",
    ),
    Elsewhere(
        "N2",
        "The wait before attempt n has a positive width at every n.",
        "hypothesis",
        "tests/lifecycle/test_delays.py",
    ),
    Elsewhere(
        "N3", "Renewals keep their distance.", "hypothesis", "tests/lifecycle/test_delays.py"
    ),
    Elsewhere(
        "N4",
        "Updates keep their limit, across shutdown and boot too.",
        "hypothesis",
        "tests/lifecycle/test_delays.py",
    ),
    Elsewhere("S23", "Two scopes share no key.", "its tests", "tests/session/test_visitors.py"),
    Elsewhere(
        "S24",
        "A revocation ends only the session it names.",
        "its tests",
        "tests/session/test_shutdown_and_destroy.py",
    ),
)
"""The numeric promises, on the pure functions of `support_chat.lifecycle.delays`, and what concerns
keys and credentials.
"""
