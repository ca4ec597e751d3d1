"""What each effect of the shipped chart declares: its outcomes, its limit, its lane, and what
becomes of a late success.

The shell knows the kinds (`Ask`, `Arm`, `Join`...), not the effects: one place there turns whatever
an adapter does into one of the outcomes named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..chart.model import (
    Abandon,
    Arm,
    Ask,
    Detach,
    Disarm,
    EffectSpec,
    Fail,
    Join,
    Note,
    Raise,
    Settle,
)
from .names import Effect as E
from .names import Lane, Slot, Timer
from .names import Trigger as T

_LINK_WORK: Final = (Lane.DIAL, Lane.LINK, Lane.TOKEN, Lane.IDENTIFY, Lane.UPDATE, Lane.RENEW)
_NOTHING_LEFT: Final = "drop it"

EFFECTS: Final[Mapping[str, EffectSpec]] = MappingProxyType(
    {
        # --- adapters -----------------------------------------------------------------------------
        E.CHECK_ADAPTERS: Ask(
            doc="see that the storage can be read",
            lane=Lane.LOAD,
            success=T.LOADED,
            failure=T.LOAD_FAILED,
            limit="storage_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.READ_VISITOR: Ask(
            doc="read the visitor's secret, or mint it and store it before anything else",
            lane=Lane.VISITOR,
            success=T.VISITOR_READ,
            failure=T.VISITOR_FAILED,
            limit="storage_timeout",
            dispose=_NOTHING_LEFT,
            writes="visitor",
        ),
        E.RETIRE_VISITOR: Ask(
            doc="replace the merged visitor's secret by a new one, or adopt what another process "
            "stored",
            lane=Lane.VISITOR,
            success=T.VISITOR_RETIRED,
            failure=T.RETIRE_FAILED,
            limit="storage_timeout",
            dispose=_NOTHING_LEFT,
            writes="visitor",
        ),
        E.FETCH_TOKEN: Ask(
            doc="provide a token for the session's user",
            lane=Lane.TOKEN,
            success=T.TOKEN_ARRIVED,
            refusal=T.TOKEN_REFUSED,
            failure=T.TOKEN_FAILED,
            limit="token_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.FETCH_TARGET_TOKEN: Ask(
            doc="provide a token for the user to be identified",
            lane=Lane.TOKEN,
            success=T.TOKEN_ARRIVED,
            refusal=T.TOKEN_REFUSED,
            failure=T.TOKEN_FAILED,
            limit="token_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.DIAL: Ask(
            doc="open a link and learn who the backend says we are",
            lane=Lane.DIAL,
            success=T.LINK_UP,
            refusal=T.DIAL_REFUSED,
            rejection=T.DIAL_REJECTED,
            failure=T.DIAL_FAILED,
            limit="connect_timeout",
            dispose="close the link; revoke the session if this dial began it",
        ),
        E.SEND_IDENTIFY: Ask(
            doc="ask the backend to make the visitor this user",
            lane=Lane.IDENTIFY,
            success=T.IDENTIFIED,
            refusal=T.IDENTIFY_REFUSED,
            rejection=T.IDENTIFY_REFUSED,
            failure=T.IDENTIFY_FAILED,
            limit="call_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.SEND_UPDATE: Ask(
            doc="send what was recorded and the backend does not know",
            lane=Lane.UPDATE,
            success=T.UPDATED,
            refusal=T.UPDATE_UNAUTHORISED,
            rejection=T.UPDATE_REFUSED,
            failure=T.UPDATE_FAILED,
            limit="call_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.SEND_TOKEN: Ask(
            doc="present the fresh token",
            lane=Lane.RENEW,
            success=T.RENEWED,
            refusal=T.RENEW_REFUSED,
            rejection=T.RENEW_REFUSED,
            failure=T.RENEW_FAILED,
            limit="call_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.USE_LINK: Ask(
            doc="send a message or list conversations; any number at once, all of them this link's",
            lane=Lane.LINK,
            several=True,
            success=T.REPLIED,
            failure=T.REPLIED,
            limit="call_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.CLEAR_USER: Ask(
            doc="remove every key of the scope but the visitor",
            lane=Lane.CLEAR,
            success=T.CLEARED,
            failure=T.CLEAR_FAILED,
            limit="storage_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.CLEAR_ALL: Ask(
            doc="remove every key of the scope",
            lane=Lane.CLEAR,
            success=T.CLEARED,
            failure=T.CLEAR_FAILED,
            limit="storage_timeout",
            dispose=_NOTHING_LEFT,
            erases="visitor",
        ),
        E.PART: Ask(
            doc="revoke the session that ends, by name, and say goodbye on its link, each within "
            "its budget",
            lane=Lane.PART,
            success=T.PARTED,
            failure=T.PARTED,
            limit="revoke_timeout",
            dispose=_NOTHING_LEFT,
        ),
        E.RELEASE: Ask(
            doc="cancel what is left and close the adapters that the session opened",
            lane=Lane.RELEASE,
            success=T.RELEASED,
            failure=T.RELEASED,
            limit="destroy_timeout",
            dispose=_NOTHING_LEFT,
        ),
        # --- calls --------------------------------------------------------------------------------
        E.JOIN_LOAD: Join(doc="the call waits for the load", slot=Slot.LOAD),
        E.JOIN_BOOT: Join(doc="the call waits for the boot", slot=Slot.BOOT),
        E.JOIN_IDENTIFY: Join(doc="the call waits for the identify", slot=Slot.IDENTIFY),
        E.JOIN_SHUTDOWN: Join(
            doc="the call waits for the clear of the user's data and for the parting",
            slot=Slot.SHUTDOWN,
        ),
        E.JOIN_CLEAR: Join(
            doc="the call waits for the full clear and for the parting", slot=Slot.CLEAR
        ),
        E.JOIN_DESTROY: Join(doc="the call waits for the release", slot=Slot.DESTROY),
        E.SETTLE_LOAD: Settle(doc="the load has succeeded", slot=Slot.LOAD),
        E.SETTLE_BOOT: Settle(doc="the boot has succeeded", slot=Slot.BOOT),
        E.SETTLE_IDENTIFY: Settle(doc="the identify has succeeded", slot=Slot.IDENTIFY),
        E.SETTLE_SHUTDOWN: Settle(doc="the shutdown is done", slot=Slot.SHUTDOWN),
        E.SETTLE_CLEAR: Settle(doc="the shutdown with its full clear is done", slot=Slot.CLEAR),
        E.SETTLE_DESTROY: Settle(doc="the destroy is done", slot=Slot.DESTROY),
        E.FAIL_LOAD: Fail(doc="the load ends with the error", slot=Slot.LOAD),
        E.FAIL_BOOT: Fail(doc="a boot under way or waiting ends with the error", slot=Slot.BOOT),
        E.FAIL_IDENTIFY: Fail(
            doc="an identify under way or waiting ends with the error", slot=Slot.IDENTIFY
        ),
        E.FAIL_SHUTDOWN: Fail(doc="shutdowns that wait end with the error", slot=Slot.SHUTDOWN),
        E.FAIL_CLEAR: Fail(
            doc="shutdowns that wait for a full clear end with the error", slot=Slot.CLEAR
        ),
        E.DONE: Note(doc="the call has succeeded, now"),
        E.REFUSE: Note(doc="the call raises the row's error and changes nothing"),
        E.ANSWER: Note(doc="the one call that this is the reply to gets it"),
        E.DETACH: Detach(
            doc="shutdowns that wait now wait for their own parting alone",
            slots=(Slot.SHUTDOWN, Slot.CLEAR),
            lane=Lane.PART,
        ),
        E.SETTLE_DETACHED: Note(doc="shutdowns that waited for this parting alone are done"),
        # --- timers -------------------------------------------------------------------------------
        E.ARM_BOOT: Arm(
            doc="bound the boot", timer=Timer.BOOT, expiry=T.BOOT_TIMEOUT, delay="boot"
        ),
        E.ARM_IDENTIFY: Arm(
            doc="bound the identify",
            timer=Timer.IDENTIFY,
            expiry=T.IDENTIFY_TIMEOUT,
            delay="identify",
        ),
        E.ARM_DIAL: Arm(
            doc="connect as soon as dials may follow each other",
            timer=Timer.RETRY,
            expiry=T.RETRY_DUE,
            delay="dial",
        ),
        E.ARM_RETRY: Arm(
            doc="connect after the backoff", timer=Timer.RETRY, expiry=T.RETRY_DUE, delay="retry"
        ),
        E.ARM_PROBE: Arm(
            doc="connect at the slow cadence", timer=Timer.RETRY, expiry=T.RETRY_DUE, delay="probe"
        ),
        E.ARM_GIVE_UP: Arm(
            doc="bound the reconnecting", timer=Timer.GIVE_UP, expiry=T.GIVE_UP, delay="give_up"
        ),
        E.ARM_SILENCE: Arm(
            doc="listen for signs of life",
            timer=Timer.SILENCE,
            expiry=T.SILENCE_DUE,
            delay="silence",
        ),
        E.ARM_RENEW: Arm(
            doc="renew the token in time, if that is known",
            timer=Timer.RENEW,
            expiry=T.RENEW_DUE,
            delay="renew",
            optional=True,
        ),
        E.ARM_UPDATE: Arm(
            doc="send updates when they may leave",
            timer=Timer.UPDATE,
            expiry=T.UPDATE_DUE,
            delay="update",
        ),
        E.ARM_DESTROY: Arm(
            doc="bound the destroy", timer=Timer.DESTROY, expiry=T.DESTROY_TIMEOUT, delay="destroy"
        ),
        E.DISARM_BOOT: Disarm(doc="the boot is over", timers=Timer.BOOT),
        E.DISARM_IDENTIFY: Disarm(doc="the identify is over", timers=Timer.IDENTIFY),
        E.DISARM_GIVE_UP: Disarm(doc="the reconnecting is over", timers=Timer.GIVE_UP),
        E.DISARM_LINK: Disarm(
            doc="the link is gone: no silence to judge, no update to send",
            timers=(Timer.SILENCE, Timer.UPDATE),
        ),
        E.DISARM: Disarm(doc="no timer runs any more", timers=tuple(Timer)),
        # --- the book -----------------------------------------------------------------------------
        E.ADOPT: Note(doc="the call's traits and token provider become the session's"),
        E.ADOPT_TARGET: Note(
            doc="the call's traits and token provider become those of the user to be identified"
        ),
        E.RECORD: Note(doc="record the update"),
        E.HOLD: Note(doc="record the update for when the identify has settled"),
        E.KEEP_VISITOR: Note(doc="remember the visitor's secret"),
        E.KEEP_TOKEN: Note(doc="remember the token and when it expires"),
        E.KEEP_LINK: Note(
            doc="the link is the session's; remember who we are and under which session",
            opens=Lane.LINK,
        ),
        E.ACCEPT_TOKEN: Note(doc="the backend has accepted the token"),
        E.SPEND_TOKEN: Note(doc="the backend has refused the token: it is never sent again"),
        E.DROP_TOKEN: Note(doc="the token is about to expire: no dial begins with it any more"),
        E.COUNT_FAILURE: Note(doc="count a failed attempt; the next wait is longer"),
        E.BECOME_USER: Note(
            doc="the visitor is now the user; what was held for the user is to be sent"
        ),
        E.UNCLAIM: Note(
            doc="the identify was not committed: what travelled with it is the visitor's again"
        ),
        E.DROP_HELD: Note(doc="drop aloud what was recorded for the user to be identified"),
        E.FORGET_TARGET: Note(
            doc="forget the user to be identified, drop aloud what was held for them"
        ),
        E.ACKNOWLEDGE: Note(
            doc="the backend has what was sent; keys it rejected are dropped aloud"
        ),
        E.RESTORE: Note(
            doc="what was sent without an answer is to be sent again, unless something newer was "
            "recorded"
        ),
        E.DROP_SENT: Note(doc="drop aloud what the backend refused as a whole"),
        E.DROP_UPDATES: Note(doc="drop aloud every update that was not sent"),
        E.FORGET: Note(doc="forget everything of the user and of the session"),
        # --- what is given up ---------------------------------------------------------------------
        E.ABANDON_LOAD: Abandon(doc="the load is superseded", lanes=Lane.LOAD),
        E.ABANDON_TOKEN: Abandon(doc="the token call is superseded", lanes=Lane.TOKEN),
        E.CUT: Abandon(
            doc="abort the link; every dial, token call and request under way is superseded",
            lanes=_LINK_WORK,
        ),
        E.ABANDON_REST: Abandon(
            doc="everything under way is superseded, but for the partings of earlier shutdowns, "
            "which take their time",
            lanes=tuple(lane for lane in Lane if lane not in (Lane.PART, Lane.RELEASE)),
        ),
        E.ABANDON_PARTINGS: Abandon(doc="partings under way are given up", lanes=Lane.PART),
        E.DISPOSE: Note(doc="do with the late success what its effect declares, and nothing else"),
        # --- what listeners are told --------------------------------------------------------------
        E.TELL_READY: Note(doc="tell that the session is live"),
        E.TELL_CONNECTED: Note(doc="tell that a link is open, and of a gap in what it replayed"),
        E.TELL_LOST: Note(doc="tell that the link is gone"),
        E.TELL_EXPIRED: Note(doc="tell that the backend no longer accepts the token"),
        E.TELL_ERROR: Note(doc="tell of an error that no call raises"),
        E.TELL_MESSAGE: Note(doc="tell of the message"),
        # --- internal triggers --------------------------------------------------------------------
        E.PROCEED: Raise(doc="whatever waits may go on", trigger=T.PROCEED),
        E.CLEAN: Raise(doc="begin the clear that is owed, if it may begin", trigger=T.CLEAN),
    }
)
