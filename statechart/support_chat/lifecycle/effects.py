"""Every effect of the shipped chart, in one table: what it asks, what it changes in the context,
what listeners hear, and by its kind which command it becomes.

The functions named here are small and pure: what is asked is made in `requests`, what changes and
what is heard in `reducers`. Whose fault a failure is stands in `refusals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from ..chart.model import (
    Abandon,
    Answer,
    Arm,
    Ask,
    Detach,
    Disarm,
    Dispose,
    Done,
    EffectSpec,
    Fail,
    Hold,
    Inform,
    Join,
    Note,
    Raise,
    Refuse,
    Reply,
    Settle,
    SettleDetached,
)
from ..ports import IdentifyAnswer, ReadAnswer, RenewAnswer, UpdateAnswer, Welcome
from ..values import Message
from . import reducers as do, refusals as R, requests as ask
from .names import Effect as E, Lane, Slot, Timer, Trigger as T

_LINK_WORK: Final = (
    Lane.CHECK,
    Lane.DIAL,
    Lane.LINK,
    Lane.TOKEN,
    Lane.IDENTIFY,
    Lane.UPDATE,
    Lane.SEND,
    Lane.RENEW,
)
_NOTHING: Final = (type(None),)

EFFECTS: Final[Mapping[str, EffectSpec]] = MappingProxyType(
    {
        # --- the storage --------------------------------------------------------------------------
        E.CHECK_ADAPTERS: Ask(
            doc="see that the storage can be read",
            lane=Lane.LOAD,
            success=T.LOADED,
            failure=T.LOAD_FAILED,
            limit="storage_timeout",
            request=ask.check_storage,
            answers=(str, type(None)),
            blame=R.STORAGE,
        ),
        E.READ_VISITOR: Ask(
            doc="read the visitor's secret, or mint it and store it before anything else, in place "
            "of one that was read and no backend takes",
            lane=Lane.VISITOR,
            success=T.VISITOR_READ,
            failure=T.VISITOR_FAILED,
            limit="storage_timeout",
            writes="visitor",
            request=ask.read_visitor,
            answers=(str,),
            reads=ask.visitor_of,
            blame=R.STORAGE,
        ),
        E.CHECK_VISITOR: Ask(
            doc="read the visitor's secret again, in case that another tab has cleared it",
            lane=Lane.CHECK,
            success=T.VISITOR_CHECKED,
            ended=T.VISITOR_ENDED,
            failure=T.VISITOR_CHECKED,
            limit="storage_timeout",
            request=ask.check_visitor,
            answers=(str, type(None)),
            reads=ask.unchanged,
            blame=R.STORAGE,
        ),
        E.CLEAR_USER: Ask(
            doc="remove every key of the scope but the visitor",
            lane=Lane.CLEAR,
            success=T.CLEARED,
            failure=T.CLEAR_FAILED,
            limit="storage_timeout",
            request=ask.clear_user,
            answers=(str, type(None)),
            blame=R.STORAGE,
        ),
        E.CLEAR_ALL: Ask(
            doc="remove every key of the scope",
            lane=Lane.CLEAR,
            success=T.CLEARED,
            failure=T.CLEAR_FAILED,
            limit="storage_timeout",
            erases="visitor",
            request=ask.clear_all,
            answers=(str, type(None)),
            blame=R.STORAGE,
        ),
        # --- the token provider -------------------------------------------------------------------
        E.FETCH_TOKEN: Ask(
            doc="provide a token for the session's user",
            lane=Lane.TOKEN,
            success=T.TOKEN_ARRIVED,
            refusal=T.TOKEN_REFUSED,
            failure=T.TOKEN_FAILED,
            limit="token_timeout",
            request=ask.fetch_token,
            reads=ask.token_of,
            reduce=do.fetch,
            blame=R.TOKENS,
        ),
        E.FETCH_TARGET_TOKEN: Ask(
            doc="provide a token for the user to be identified",
            lane=Lane.TOKEN,
            success=T.TOKEN_ARRIVED,
            refusal=T.TOKEN_REFUSED,
            failure=T.TOKEN_FAILED,
            limit="token_timeout",
            request=ask.fetch_target_token,
            reads=ask.token_of,
            reduce=do.fetch,
            blame=R.TOKENS,
        ),
        # --- the backend --------------------------------------------------------------------------
        E.DIAL: Ask(
            doc="open a link and learn who the backend says we are",
            lane=Lane.DIAL,
            success=T.LINK_UP,
            refusal=T.DIAL_REFUSED,
            rejection=T.DIAL_REJECTED,
            stranger=T.DIAL_ASTRAY,
            ended=T.VISITOR_ENDED,
            failure=T.DIAL_FAILED,
            limit="connect_timeout",
            request=ask.dial,
            answers=(Welcome,),
            reduce=do.dial,
            dispose=ask.undo_dial,
            blame=R.BACKEND,
        ),
        E.SEND_IDENTIFY: Ask(
            doc="ask the backend to make the visitor this user",
            lane=Lane.IDENTIFY,
            success=T.IDENTIFIED,
            refusal=T.IDENTIFY_REFUSED,
            rejection=T.IDENTIFY_REFUSED,
            failure=T.IDENTIFY_FAILED,
            limit="call_timeout",
            request=ask.identify,
            answers=(IdentifyAnswer,),
            reduce=do.send_identify,
            blame=R.BACKEND,
        ),
        E.SEND_UPDATE: Ask(
            doc="send what was recorded and the backend does not know",
            lane=Lane.UPDATE,
            success=T.UPDATED,
            refusal=T.UPDATE_UNAUTHORISED,
            rejection=T.UPDATE_REFUSED,
            failure=T.UPDATE_FAILED,
            limit="call_timeout",
            request=ask.update,
            answers=(UpdateAnswer,),
            reduce=do.send_update,
            blame=R.BACKEND,
        ),
        E.SEND_TOKEN: Ask(
            doc="present the fresh token",
            lane=Lane.RENEW,
            success=T.RENEWED,
            refusal=T.RENEW_REFUSED,
            rejection=T.RENEW_REFUSED,
            failure=T.RENEW_FAILED,
            limit="call_timeout",
            request=ask.renew,
            answers=(RenewAnswer,),
            blame=R.BACKEND,
        ),
        E.SEND_MESSAGES: Ask(
            doc="send the messages and marks that may leave: of each conversation the first",
            lane=Lane.SEND,
            several=True,
            batch=True,
            success=T.SENT,
            refusal=T.SEND_UNAUTHORISED,
            rejection=T.SEND_REFUSED,
            failure=T.SEND_FAILED,
            limit="call_timeout",
            request=ask.send_messages,
            answers=(Message, ReadAnswer),
            reads=ask.answer_of,
            reduce=do.send_messages,
            blame=R.BACKEND,
        ),
        E.USE_LINK: Ask(
            doc="list conversations or messages; any number at once, all of them this link's",
            lane=Lane.LINK,
            several=True,
            success=T.REPLIED,
            failure=T.REPLIED,
            limit="call_timeout",
            request=ask.use_link,
            answers=(Sequence,),
            lost=R.ANSWER_LOST,
            blame=R.BACKEND,
        ),
        E.END_VISITOR: Inform(
            doc="tell the backend that the visitor whose secret was removed is over",
            limit="revoke_timeout",
            request=ask.end_visitor,
        ),
        E.PART: Ask(
            doc="revoke the session that ends, by name, and say goodbye on its link, each within "
            "its budget",
            lane=Lane.PART,
            success=T.PARTED,
            failure=T.PARTED,
            limit="revoke_timeout",
            takes_link=True,
            request=ask.part,
            answers=_NOTHING,
            blame=R.BACKEND,
        ),
        E.RELEASE: Ask(
            doc="wait for what is left, and let go of the links and the adapters",
            lane=Lane.RELEASE,
            success=T.RELEASED,
            failure=T.RELEASED,
            limit="destroy_timeout",
            request=ask.release,
            answers=_NOTHING,
            blame=R.BACKEND,
        ),
        # --- calls --------------------------------------------------------------------------------
        E.JOIN_LOAD: Join(doc="the call waits for the load", slot=Slot.LOAD),
        E.JOIN_BOOT: Join(
            doc="the call waits for the boot, within its own time",
            slot=Slot.BOOT,
            abandoned=T.ABANDON_BOOT,
            limit="boot_timeout",
            late=R.BOOT_TIMED_OUT,
            reduce=do.bound_boot,
        ),
        E.JOIN_IDENTIFY: Join(
            doc="the call waits for the identify, within its own time",
            slot=Slot.IDENTIFY,
            abandoned=T.ABANDON_IDENTIFY,
            limit="call_timeout",
            late=R.IDENTIFY_TIMED_OUT,
            reduce=do.bound_identify,
        ),
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
        E.DONE: Done(doc="the call has succeeded, now"),
        E.REFUSE: Refuse(doc="the call raises the row's error and changes nothing"),
        E.ANSWER: Reply(doc="the one call that this is the reply to gets it"),
        E.QUEUE: Hold(
            doc="the message waits its turn, and its call for what becomes of it; a read mark's "
            "waits for no link",
            abandoned=T.WITHDRAW,
            limit="outbox_timeout",
            linked="call_timeout",
            timer=Timer.OUTBOX,
            reduce=do.queue,
            emits=do.queued,
        ),
        E.ANSWER_MESSAGES: Answer(
            doc="the calls whose messages are over are told, and so are listeners",
            answers=do.answers,
            reduce=do.answered,
            emits=do.over,
        ),
        E.DETACH: Detach(
            doc="shutdowns that wait now wait for their own parting alone",
            slots=(Slot.SHUTDOWN, Slot.CLEAR),
            lane=Lane.PART,
        ),
        E.SETTLE_DETACHED: SettleDetached(
            doc="shutdowns that waited for this parting alone are done", lane=Lane.PART
        ),
        # --- timers -------------------------------------------------------------------------------
        E.ARM_DIAL: Arm(
            doc="connect as soon as dials may follow each other",
            timer=Timer.RETRY,
            expiry=T.RETRY_DUE,
            delay="dial",
            reduce=do.arm_dial,
        ),
        E.ARM_RETRY: Arm(
            doc="connect after the backoff",
            timer=Timer.RETRY,
            expiry=T.RETRY_DUE,
            delay="retry",
            reduce=do.arm_retry,
            emits=do.attempt_failed,
        ),
        E.ARM_PROBE: Arm(
            doc="connect at the slow cadence",
            timer=Timer.RETRY,
            expiry=T.RETRY_DUE,
            delay="probe",
            reduce=do.arm_probe,
            emits=do.attempt_failed,
        ),
        E.ARM_GIVE_UP: Arm(
            doc="bound the reconnecting", timer=Timer.GIVE_UP, expiry=T.GIVE_UP, delay="give_up"
        ),
        E.ARM_SILENCE: Arm(
            doc="listen for signs of life",
            timer=Timer.SILENCE,
            expiry=T.SILENCE_DUE,
            delay="silence",
            reduce=do.arm_silence,
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
        E.ARM_OUTBOX: Arm(
            doc="send again what has no answer, or give it up, when that is due",
            timer=Timer.OUTBOX,
            expiry=T.OUTBOX_DUE,
            delay="outbox",
            optional=True,
        ),
        E.ARM_DESTROY: Arm(
            doc="bound the destroy",
            timer=Timer.DESTROY,
            expiry=T.DESTROY_TIMEOUT,
            delay="destroy",
        ),
        E.DISARM_GIVE_UP: Disarm(doc="the reconnecting is over", timers=Timer.GIVE_UP),
        E.DISARM_LINK: Disarm(
            doc="the link is gone: no silence to judge, no update to send",
            timers=(Timer.SILENCE, Timer.UPDATE),
        ),
        E.DISARM: Disarm(doc="no timer runs any more", timers=tuple(Timer)),
        # --- the context --------------------------------------------------------------------------
        E.ADOPT: Note(
            doc="the call's traits and token provider become the session's", reduce=do.adopt
        ),
        E.ADOPT_TARGET: Note(
            doc="the call's traits and token provider become those of the user to be identified",
            reduce=do.adopt_target,
        ),
        E.RECORD: Note(doc="record the update", reduce=do.record),
        E.HOLD: Note(doc="record the update for when the identify has settled", reduce=do.hold),
        E.KEEP_VISITOR: Note(doc="remember the visitor's secret", reduce=do.keep_visitor),
        E.KEEP_TOKEN: Note(doc="remember the token and when it expires", reduce=do.keep_token),
        E.KEEP_LINK: Note(
            doc="the link is the session's; remember who we are and under which session",
            opens=Lane.LINK,
            reduce=do.keep_link,
        ),
        E.ACCEPT_TOKEN: Note(doc="the backend has accepted the token", reduce=do.accept_token),
        E.SPEND_TOKEN: Note(
            doc="the backend has refused the token: it is never sent again",
            reduce=do.spend_token,
        ),
        E.DROP_TOKEN: Note(
            doc="the token is about to expire, or asked for anew: no dial begins with it any more",
            reduce=do.drop_token,
        ),
        E.COUNT_FAILURE: Note(
            doc="count a failed attempt; the next wait is longer", reduce=do.count_failure
        ),
        E.BECOME_USER: Note(
            doc="the visitor is now the user; what was held for the user is to be sent",
            reduce=do.become_user,
            emits=do.became_user,
        ),
        E.UNCLAIM: Note(
            doc="the identify was not committed: what travelled with it is the visitor's again",
            reduce=do.unclaim,
        ),
        E.DROP_HELD: Note(
            doc="drop what was recorded for the user to be identified, with an event",
            reduce=do.drop_held,
            emits=do.held_dropped,
        ),
        E.FORGET_TARGET: Note(
            doc="forget the user to be identified; drop what was held for them, with an event",
            reduce=do.forget_target,
            emits=do.target_forgotten,
        ),
        E.ACKNOWLEDGE: Note(
            doc="the backend has what was sent; keys it rejected are dropped, with an event",
            reduce=do.acknowledge,
            emits=do.acknowledged,
        ),
        E.RESTORE: Note(
            doc="what was sent without an answer is to be sent again, unless something newer was "
            "recorded",
            reduce=do.restore,
        ),
        E.DROP_SENT: Note(
            doc="drop what the backend refused as a whole, with an event",
            reduce=do.drop_sent,
            emits=do.sent_dropped,
        ),
        E.DROP_UPDATES: Note(
            doc="drop every update that was not sent, with an event",
            reduce=do.drop_updates,
            emits=do.updates_dropped,
        ),
        E.KEEP_SENT: Note(doc="the backend has the message, or the mark", reduce=do.keep_sent),
        E.KEEP_REFUSED: Note(
            doc="the backend does not take the message; one that was sent as the visitor's and is "
            "the user's by now is sent again",
            reduce=do.keep_refused,
        ),
        E.KEEP_DISOWNED: Note(
            doc="the message was not taken, and waits until it is known whose it is",
            reduce=do.keep_disowned,
        ),
        E.KEEP_UNANSWERED: Note(
            doc="the message may have arrived, and waits to be sent again",
            reduce=do.keep_unanswered,
        ),
        E.EXPIRE_MESSAGES: Note(
            doc="the time of some calls is over: what never left is withdrawn, what has left goes "
            "on without them",
            reduce=do.expire_messages,
        ),
        E.WITHDRAW_MESSAGE: Note(
            doc="nobody awaits the message: it does not leave, or not again",
            reduce=do.withdraw_message,
        ),
        E.DROP_MESSAGES: Note(
            doc="drop the messages without an answer, with an event", reduce=do.drop_messages
        ),
        E.FORGET: Note(doc="forget everything of the user and of the session", reduce=do.forget),
        # --- what is given up ---------------------------------------------------------------------
        E.ABANDON_LOAD: Abandon(doc="the load is superseded", lanes=Lane.LOAD),
        E.ABANDON_TOKEN: Abandon(doc="the token call is superseded", lanes=Lane.TOKEN),
        E.CUT: Abandon(
            doc="abort the link; every dial, token call and request under way is superseded",
            lanes=_LINK_WORK,
            reduce=do.cut,
        ),
        E.ABANDON_REST: Abandon(
            doc="everything under way is superseded, but for the partings of earlier shutdowns, "
            "which take their time",
            lanes=tuple(lane for lane in Lane if lane not in (Lane.PART, Lane.RELEASE)),
        ),
        E.ABANDON_PARTINGS: Abandon(doc="partings under way are given up", lanes=Lane.PART),
        E.DISPOSE: Dispose(doc="undo the late success as its effect declares, and nothing else"),
        # --- what listeners hear ------------------------------------------------------------------
        E.TELL_READY: Note(doc="tell that the session is live", emits=do.ready),
        E.TELL_CONNECTED: Note(
            doc="tell that a link is open, and of a gap in what it replayed", emits=do.connected
        ),
        E.TELL_LOST: Note(doc="tell that the link is gone", emits=do.lost),
        E.TELL_EXPIRED: Note(
            doc="tell that the backend no longer accepts the token", emits=do.expired
        ),
        E.TELL_ERROR: Note(doc="tell of an error that no call raises", emits=do.failed),
        E.TELL_MESSAGE: Note(doc="tell of the message", reduce=do.receive, emits=do.received),
        E.TELL_READ: Note(
            doc="tell that messages were read, here or elsewhere",
            reduce=do.read_up_to,
            emits=do.messages_read,
        ),
        # --- internal triggers --------------------------------------------------------------------
        E.CALL_BOOT: Raise(doc="the call goes on as a boot()", trigger=T.BOOT, carries=True),
        E.CALL_IDENTIFY: Raise(
            doc="the call goes on as an identify()", trigger=T.IDENTIFY, carries=True
        ),
        E.CALL_BECOME: Raise(
            doc="the call begins anew: what was in its way is over", trigger=T.BECOME, carries=True
        ),
        E.PROCEED: Raise(doc="whatever waits may go on", trigger=T.PROCEED),
        E.FLUSH: Raise(doc="messages that may leave leave", trigger=T.FLUSH),
        E.SAY_EXPIRED: Raise(
            doc="the token or the visitor is not accepted any more", trigger=T.TOKEN_EXPIRED
        ),
        E.CLEAN: Raise(doc="begin the clear that is owed, if it may begin", trigger=T.CLEAN),
    }
)
