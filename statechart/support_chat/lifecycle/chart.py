"""The lifecycle of a support-chat session: every phase, every guard, every refusal. Read it top to
bottom.

A session is *loaded* (its adapters work), *booted* (somebody is live: an anonymous visitor or a
signed-in user), may turn its visitor into a user (*identify*), keeps itself connected while it is
live, and is ended by *shutdown*, after which it may be booted again, or by *destroy*, after which
nothing can happen any more.

How to read a row. On `trigger`, in one of `sources`, if every fact in `when` holds and none in
`unless` does, the session goes to `target` (or stays), sets and clears facts, assigns registers,
and asks for `effects`, in order. There is no other rule: rows of one (phase, trigger) exclude each
other by their guards, so their order means nothing. A call that is refused has a row, too.

The reasoning that the rows share:

- *One answer to each call.* A call row joins a slot (`JOIN_...`), is `DONE` at once, or is refused
  (`REFUSE`); a slot is settled or failed by whatever ends what it waits for. Failing a slot in
  which nobody waits does nothing.
- *Late results change nothing.* Every outcome carries the number of its request. What
  boot, shutdown, destroy or a lost link superseded is `LATE`, and goes to the one row for it, the
  last of this file, before any other row is asked.
- *The session and the link end as wholes.* A row that clears `BOOTED` ends the session, one that
  leads from a phase with a link to one without ends the link; what must then be cleared, forgotten
  and told is said once, in `COMPOSITES`, and written out into every such row: the entry before the
  row's own effects, the exit after them, before the timers and internal triggers that it starts.
- *Connecting is one loop*, for a boot, a lost link and a probe alike: `RETRYING` (the timer runs),
  then `FETCHING` if a token is wanted, then the dial. Everybody who wants to connect starts the
  timer; only its expiry dials. So dials keep their distance whatever causes them, and there is
  never a second one.
- *Three outcomes of a token*: it arrives; it is refused (then nobody tries again: a boot fails, a
  live session ends); or the attempt fails (then the next one is scheduled). A no of the backend to
  a token is a refusal only if the token was `TOKEN_FRESH`.
- *A lost reply is learnt, not guessed.* From the moment an identify request leaves until its answer
  is known, `UNRESOLVED` holds, whoever still waits. A reopened link asks what became of it; a
  backend that does not remember is asked the same again.
- *A clear is owed until it has succeeded* (`OWED`, at its strongest level `OWED_FULL`), waits for a
  write under way, and comes before the next boot. It waits for no network. The parting (revocation
  and goodbye) belongs to the shutdown that asked for it and goes on beside a boot that follows; its
  link is no longer the session's: nothing it delivers is heard.
- *A message waits its turn.* send_message() waits for the link, and for those before it in its
  conversation; the outbox (`outbox`) knows which may leave, and `FLUSH` lets them. What has left
  without an answer is sent again under its id until there is one. A read mark goes the same way,
  and is owed until the backend has it; its call waits for no link.
- *Another tab is another session.* It is told of a merge, and dials again; it looks whether its
  visitor is still the stored one before each dial; and what was cleared is over at the backend.
- `PROCEED`, `FLUSH` and `CLEAN` are internal: they run before anything else happens, and let what
  waits go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from ..chart.composites import written_out
from ..chart.model import Ask, Chart, Composite, Ignored, Transition
from . import refusals as R
from .effects import EFFECTS
from .facts import FACTS
from .names import Effect as E, Fact as F, Lane, Phase as P, Register, Trigger as T
from .semantics import SEMANTICS

Assignment: TypeAlias = Mapping[str, str | None]

# --- phases that are treated alike ----------------------------------------------------------------

# fmt: off

ONLINE: Final = (P.ANONYMOUS, P.AUTHENTICATED)
OFFLINE: Final = (P.RECONNECTING, P.DISCONNECTED)
LIVE: Final = (*ONLINE, *OFFLINE)
CONNECTING: Final = (P.BOOTING, *OFFLINE)
UNDESTROYED: Final = tuple(phase for phase in P if phase is not P.DESTROYED)
BOOTABLE: Final = tuple(phase for phase in UNDESTROYED if phase is not P.NOT_INITIALIZED)
ENDED: Final = (P.SHUTDOWN, P.DESTROYED)

# --- parts of the lifecycle with a beginning and an end -------------------------------------------

LINK_FACTS: Final = (F.FETCHING, F.TOKEN_FRESH, F.RENEWING, F.SENDING)
NOBODY: Final[Assignment] = {Register.USER: None, Register.TARGET: None}

COMPOSITES: Final = (
    Composite(
        name="session", doc="from the boot that was accepted to its failure or its end",
        fact=F.BOOTED, assigns=NOBODY,
        clears=(F.BOOTED, F.IDENTIFYING, F.UNRESOLVED, F.RETRYING, F.TOKEN_WANTED),
        exit=(
            E.FAIL_BOOT, E.FAIL_IDENTIFY, E.CUT, E.DISARM, E.DROP_UPDATES, E.DROP_MESSAGES,
            E.ANSWER_MESSAGES, E.FORGET,
        ),
    ),
    Composite(
        name="link", doc="while a link is open", phases=ONLINE, within="session",
        clears=LINK_FACTS,
        entry=(
            E.KEEP_LINK, E.DISARM_GIVE_UP, E.ARM_SILENCE, E.TELL_CONNECTED, E.ANSWER_MESSAGES,
            E.FLUSH,
        ),
        exit=(E.CUT, E.RESTORE, E.DISARM_LINK, E.ANSWER_MESSAGES, E.TELL_LOST),
    ),
    Composite(name="live", doc="somebody is live, with a link or without", phases=LIVE),
)

# --- facts and effects that go together -----------------------------------------------------------

IDENTIFY_FACTS: Final = (F.IDENTIFYING, F.UNRESOLVED, F.FETCHING, F.TOKEN_FRESH)
NO_TARGET: Final[Assignment] = {Register.TARGET: None}
TARGET_IS_USER: Final[Assignment] = {Register.USER: Register.TARGET, Register.TARGET: None}

IDENTIFIED: Final = (
    E.BECOME_USER, E.ANSWER_MESSAGES, E.ACCEPT_TOKEN, E.SETTLE_IDENTIFY, E.FLUSH,
)
IDENTIFY_FAILS: Final = (E.FAIL_IDENTIFY, E.FORGET_TARGET)

LOADING: Final = (
    Transition(
        name="load.begin", group="loading", trigger=T.LOAD, sources=P.NOT_INITIALIZED,
        target=P.LOADING, effects=(E.JOIN_LOAD, E.CHECK_ADAPTERS),
    ),
    Transition(
        name="load.join", group="loading", trigger=T.LOAD, sources=P.LOADING, effects=E.JOIN_LOAD,
    ),
    Transition(
        name="load.done_already", group="loading", trigger=T.LOAD,
        sources=(P.READY, P.BOOTING, *LIVE, P.SHUTDOWN), effects=E.DONE,
    ),
    Transition(
        name="load.done", group="loading", trigger=T.LOADED, sources=P.LOADING, target=P.READY,
        effects=(E.SETTLE_LOAD, E.PROCEED),
    ),
    Transition(
        name="load.failed", group="loading", trigger=T.LOAD_FAILED, sources=P.LOADING,
        target=P.NOT_INITIALIZED, clears=F.BOOTED, effects=E.FAIL_LOAD, reason="load_failed",
    ),
)

BOOTING: Final = (
    # The call, phase by phase.
    Transition(
        name="boot.load_first", group="booting", trigger=T.BOOT, sources=P.NOT_INITIALIZED,
        target=P.LOADING, sets=F.BOOTED, assigns={Register.USER: Register.NAMED},
        effects=(E.JOIN_BOOT, E.ADOPT, E.CHECK_ADAPTERS),
    ),
    Transition(
        name="boot.wait_for_load", group="booting", trigger=T.BOOT, sources=P.LOADING,
        unless=F.BOOTED, sets=F.BOOTED, assigns={Register.USER: Register.NAMED},
        effects=(E.JOIN_BOOT, E.ADOPT),
    ),
    Transition(
        name="boot.begin", group="booting", trigger=T.BOOT, sources=(P.READY, P.SHUTDOWN),
        target=P.BOOTING, unless=(F.BOOTED, F.OWED, F.WRITING), sets=(F.BOOTED, F.WRITING),
        clears=F.PARTING, assigns={Register.USER: Register.NAMED},
        effects=(E.DETACH, E.JOIN_BOOT, E.ADOPT, E.READ_VISITOR),
    ),
    # a boot that failed early left its read of the visitor under way: it serves this one
    Transition(
        name="boot.begin_while_reading", group="booting", trigger=T.BOOT,
        sources=(P.READY, P.SHUTDOWN), target=P.BOOTING, when=F.WRITING, unless=(F.BOOTED, F.OWED),
        sets=F.BOOTED, clears=F.PARTING, assigns={Register.USER: Register.NAMED},
        effects=(E.DETACH, E.JOIN_BOOT, E.ADOPT),
    ),
    Transition(
        name="boot.clear_first", group="booting", trigger=T.BOOT, sources=P.SHUTDOWN, when=F.OWED,
        unless=F.BOOTED, sets=F.BOOTED, assigns={Register.USER: Register.NAMED},
        effects=(E.JOIN_BOOT, E.ADOPT, E.CLEAN),
    ),
    Transition(
        name="boot.join", group="booting", trigger=T.BOOT,
        sources=(P.LOADING, P.READY, P.SHUTDOWN, P.BOOTING), when=(F.BOOTED, F.SAME_USER),
        effects=(E.JOIN_BOOT, E.ADOPT),
    ),
    Transition(
        name="boot.refuse_other", group="booting", trigger=T.BOOT,
        sources=(P.LOADING, P.READY, P.SHUTDOWN, P.BOOTING), when=F.BOOTED, unless=F.SAME_USER,
        effects=E.REFUSE, error=R.OTHER_BOOT,
    ),
    Transition(
        name="boot.live_already", group="booting", trigger=T.BOOT,
        sources=(*ONLINE, P.RECONNECTING), when=F.SAME_USER, effects=(E.ADOPT, E.DONE, E.PROCEED),
    ),
    Transition(
        name="boot.try_at_once", group="booting", trigger=T.BOOT, sources=P.DISCONNECTED,
        target=P.RECONNECTING, when=(F.SAME_USER, F.RETRYING),
        effects=(E.ADOPT, E.DONE, E.ARM_DIAL, E.ARM_GIVE_UP), reason="boot",
    ),
    Transition(
        name="boot.trying_already", group="booting", trigger=T.BOOT, sources=P.DISCONNECTED,
        target=P.RECONNECTING, when=F.SAME_USER, unless=F.RETRYING,
        effects=(E.ADOPT, E.DONE, E.ARM_GIVE_UP), reason="boot",
    ),
    Transition(
        name="boot.refuse_visitor_is_live", group="booting", trigger=T.BOOT, sources=LIVE,
        unless=(F.SAME_USER, F.SIGNED_IN), effects=E.REFUSE, error=R.VISITOR_IS_LIVE,
    ),
    Transition(
        name="boot.refuse_user_is_live", group="booting", trigger=T.BOOT, sources=LIVE,
        when=F.SIGNED_IN, unless=F.SAME_USER, effects=E.REFUSE, error=R.USER_IS_LIVE,
    ),
    # A boot that waited for the load or for the clear goes on.
    Transition(
        name="boot.go_on", group="booting", trigger=T.PROCEED, sources=(P.READY, P.SHUTDOWN),
        target=P.BOOTING, when=F.BOOTED, unless=(F.OWED, F.PARTING), sets=F.WRITING,
        effects=(E.SETTLE_SHUTDOWN, E.SETTLE_CLEAR, E.READ_VISITOR),
    ),
    Transition(
        name="boot.go_on_while_parting", group="booting", trigger=T.PROCEED, sources=P.SHUTDOWN,
        target=P.BOOTING, when=(F.BOOTED, F.PARTING), unless=F.OWED, sets=F.WRITING,
        clears=F.PARTING, effects=(E.DETACH, E.READ_VISITOR),
    ),
    # The visitor is known: connect.
    Transition(
        name="boot.visitor_known", group="booting", trigger=T.VISITOR_READ, sources=P.BOOTING,
        unless=(F.PROVIDER, F.DAMAGED, F.BEYOND), sets=F.RETRYING, clears=F.WRITING,
        effects=(E.KEEP_VISITOR, E.ARM_DIAL),
    ),
    Transition(
        name="boot.visitor_known_token_wanted", group="booting", trigger=T.VISITOR_READ,
        sources=P.BOOTING, when=F.PROVIDER, unless=(F.DAMAGED, F.BEYOND),
        sets=(F.RETRYING, F.TOKEN_WANTED), clears=F.WRITING, effects=(E.KEEP_VISITOR, E.ARM_DIAL),
    ),
    # no backend takes it, and it would fail every boot
    Transition(
        name="boot.visitor_damaged", group="booting", trigger=T.VISITOR_READ, sources=P.BOOTING,
        when=F.DAMAGED, unless=F.BEYOND, effects=(E.TELL_ERROR, E.READ_VISITOR), error=R.DAMAGED,
    ),
    Transition(
        name="boot.not_in_time", group="booting", trigger=T.VISITOR_READ, sources=P.BOOTING,
        target=P.READY, when=F.BEYOND, clears=(F.WRITING, F.BOOTED), error=R.NOT_IN_TIME,
        reason="boot_failed",
    ),
    Transition(
        name="boot.visitor_unknown", group="booting", trigger=T.VISITOR_FAILED, sources=P.BOOTING,
        target=P.READY, clears=(F.WRITING, F.BOOTED), reason="boot_failed",
    ),
    Transition(
        name="boot.visitor_unused", group="booting", trigger=(T.VISITOR_READ, T.VISITOR_FAILED),
        sources=P.READY, clears=F.WRITING,
    ),
    # The backend has answered.
    Transition(
        name="boot.live_as_visitor", group="booting", trigger=T.LINK_UP, sources=P.BOOTING,
        target=P.ANONYMOUS, when=F.SAME_USER, unless=F.SIGNED_IN,
        effects=(E.SETTLE_BOOT, E.TELL_READY, E.PROCEED),
    ),
    Transition(
        name="boot.live_as_user", group="booting", trigger=T.LINK_UP, sources=P.BOOTING,
        target=P.AUTHENTICATED, when=(F.SAME_USER, F.SIGNED_IN), clears=F.TOKEN_FRESH,
        effects=(
            E.ACCEPT_TOKEN, E.ARM_RENEW, E.SETTLE_BOOT, E.TELL_READY, E.PROCEED,
        ),
    ),
    Transition(
        name="boot.answered_as_another", group="booting", trigger=T.LINK_UP, sources=P.BOOTING,
        target=P.READY, unless=F.SAME_USER, clears=F.BOOTED, effects=E.DISPOSE, error=R.WRONG_USER,
        reason="boot_failed",
    ),
    # No: the boot ends, and nothing but the visitor's secret is left behind.
    Transition(
        name="boot.no_token", group="booting", trigger=(T.TOKEN_REFUSED, T.TOKEN_FAILED),
        sources=P.BOOTING, target=P.READY, clears=F.BOOTED, reason="boot_failed",
    ),
    Transition(
        name="boot.rejected", group="booting", trigger=(T.DIAL_REJECTED, T.DIAL_ASTRAY),
        sources=P.BOOTING, target=P.READY, clears=F.BOOTED, reason="boot_failed",
    ),
    Transition(
        name="boot.refused", group="booting", trigger=T.DIAL_REFUSED, sources=P.BOOTING,
        target=P.READY, unless=F.PROVIDER, clears=F.BOOTED, reason="boot_failed",
    ),
    Transition(
        name="boot.fresh_token_refused", group="booting", trigger=T.DIAL_REFUSED, sources=P.BOOTING,
        target=P.READY, when=(F.PROVIDER, F.TOKEN_FRESH), clears=F.BOOTED, reason="boot_failed",
    ),
    Transition(
        name="boot.rate_limited", group="booting", trigger=T.DIAL_FAILED, sources=P.BOOTING,
        target=P.READY, when=F.BEYOND, clears=F.BOOTED, effects=E.COUNT_FAILURE,
        reason="boot_failed",
    ),
    # the secret was cleared in another tab after it was read here: there is another one by now
    Transition(
        name="boot.visitor_ended", group="booting", trigger=T.VISITOR_ENDED, sources=P.BOOTING,
        sets=F.WRITING, clears=F.TOKEN_FRESH, effects=(E.COUNT_FAILURE, E.READ_VISITOR),
    ),
    # Not now: try again until the time is over.
    Transition(
        name="boot.old_token_refused", group="booting", trigger=T.DIAL_REFUSED, sources=P.BOOTING,
        when=F.PROVIDER, unless=F.TOKEN_FRESH, sets=(F.RETRYING, F.TOKEN_WANTED),
        effects=(E.SPEND_TOKEN, E.COUNT_FAILURE, E.ARM_RETRY),
    ),
    Transition(
        name="boot.retry", group="booting", trigger=T.DIAL_FAILED, sources=P.BOOTING,
        unless=F.BEYOND, sets=F.RETRYING, clears=F.TOKEN_FRESH,
        effects=(E.COUNT_FAILURE, E.ARM_RETRY),
    ),
    Transition(
        name="boot.abandoned", group="booting", trigger=T.ABANDON_BOOT, sources=P.BOOTING,
        target=P.READY, clears=F.BOOTED, error=R.BOOT_ABANDONED, reason="boot_abandoned",
    ),
    Transition(
        name="boot.abandoned_waiting", group="booting", trigger=T.ABANDON_BOOT,
        sources=(P.LOADING, P.SHUTDOWN), when=F.BOOTED, clears=F.BOOTED, error=R.BOOT_ABANDONED,
    ),
)

IDENTIFYING: Final = (
    # The call. For a visitor's session it begins, or waits until the session is live; for a user's
    # it is done or refused.
    Transition(
        name="identify.begin", group="identifying", trigger=T.IDENTIFY, sources=BOOTABLE,
        when=F.BOOTED, unless=(F.SIGNED_IN, F.TARGETED), sets=F.IDENTIFYING,
        assigns={Register.TARGET: Register.NAMED},
        effects=(E.JOIN_IDENTIFY, E.ADOPT_TARGET, E.PROCEED),
    ),
    Transition(
        name="identify.join", group="identifying", trigger=T.IDENTIFY, sources=BOOTABLE,
        when=(F.BOOTED, F.TARGETED, F.IDENTIFYING, F.SAME_TARGET), unless=F.SIGNED_IN,
        effects=(E.JOIN_IDENTIFY, E.ADOPT_TARGET),
    ),
    # an earlier one was given up after it had left: whoever asks again waits for what became of it
    Transition(
        name="identify.wait_for_outcome", group="identifying", trigger=T.IDENTIFY,
        sources=(P.ANONYMOUS, *OFFLINE), when=(F.BOOTED, F.TARGETED, F.SAME_TARGET),
        unless=(F.SIGNED_IN, F.IDENTIFYING), sets=F.IDENTIFYING,
        effects=(E.JOIN_IDENTIFY, E.ADOPT_TARGET),
    ),
    Transition(
        name="identify.refuse_other_target", group="identifying", trigger=T.IDENTIFY,
        sources=BOOTABLE, when=(F.BOOTED, F.TARGETED), unless=(F.SIGNED_IN, F.SAME_TARGET),
        effects=E.REFUSE, error=R.OTHER_TARGET,
    ),
    Transition(
        name="identify.join_boot", group="identifying", trigger=T.IDENTIFY,
        sources=(P.LOADING, P.READY, P.SHUTDOWN, P.BOOTING),
        when=(F.BOOTED, F.SIGNED_IN, F.SAME_USER), effects=(E.JOIN_BOOT, E.ADOPT),
    ),
    Transition(
        name="identify.signed_in_already", group="identifying", trigger=T.IDENTIFY, sources=LIVE,
        when=(F.BOOTED, F.SIGNED_IN, F.SAME_USER), effects=(E.ADOPT, E.DONE, E.PROCEED),
    ),
    Transition(
        name="identify.refuse_other_user", group="identifying", trigger=T.IDENTIFY,
        sources=BOOTABLE, when=(F.BOOTED, F.SIGNED_IN), unless=F.SAME_USER, effects=E.REFUSE,
        error=R.USER_IS_LIVE,
    ),
    # The visitor is live: fetch a token, then ask. An update that is out goes first, so that it
    # stays the visitor's.
    Transition(
        name="identify.fetch_token", group="identifying", trigger=T.PROCEED, sources=P.ANONYMOUS,
        when=(F.TARGETED, F.IDENTIFYING, F.TARGET_PROVIDER),
        unless=(F.UNRESOLVED, F.FETCHING, F.SENDING), sets=F.FETCHING, effects=E.FETCH_TARGET_TOKEN,
    ),
    Transition(
        name="identify.send_without_token", group="identifying", trigger=T.PROCEED,
        sources=P.ANONYMOUS, when=(F.TARGETED, F.IDENTIFYING),
        unless=(F.TARGET_PROVIDER, F.UNRESOLVED, F.FETCHING, F.SENDING), sets=F.UNRESOLVED,
        effects=E.SEND_IDENTIFY,
    ),
    Transition(
        name="identify.send", group="identifying", trigger=T.TOKEN_ARRIVED, sources=P.ANONYMOUS,
        sets=(F.UNRESOLVED, F.TOKEN_FRESH), clears=F.FETCHING,
        effects=(E.KEEP_TOKEN, E.SEND_IDENTIFY),
    ),
    Transition(
        name="identify.no_token", group="identifying", trigger=(T.TOKEN_REFUSED, T.TOKEN_FAILED),
        sources=P.ANONYMOUS, clears=IDENTIFY_FACTS, assigns=NO_TARGET,
        effects=(*IDENTIFY_FAILS, E.PROCEED),
    ),
    # The answer.
    Transition(
        name="identify.done", group="identifying", trigger=T.IDENTIFIED, sources=P.ANONYMOUS,
        target=P.AUTHENTICATED, when=F.SAME_TARGET, clears=IDENTIFY_FACTS, assigns=TARGET_IS_USER,
        effects=(*IDENTIFIED, E.ARM_RENEW, E.PROCEED),
        reason="identified",
    ),
    Transition(
        name="identify.answered_as_another", group="identifying", trigger=T.IDENTIFIED,
        sources=P.ANONYMOUS, target=P.SHUTDOWN, unless=F.SAME_TARGET, sets=F.OWED, clears=F.BOOTED,
        effects=(E.TELL_ERROR, E.CLEAN), error=R.WRONG_USER, reason="wrong_user",
    ),
    Transition(
        name="identify.refused", group="identifying", trigger=T.IDENTIFY_REFUSED,
        sources=P.ANONYMOUS, clears=IDENTIFY_FACTS, assigns=NO_TARGET,
        effects=(*IDENTIFY_FAILS, E.PROCEED),
    ),
    Transition(
        name="identify.rate_limited", group="identifying", trigger=T.IDENTIFY_FAILED,
        sources=P.ANONYMOUS, when=F.BEYOND, clears=IDENTIFY_FACTS, assigns=NO_TARGET,
        effects=(*IDENTIFY_FAILS, E.PROCEED),
    ),
    # The reply is lost, or nobody waits for it any more: a reopened link learns what became of it.
    Transition(
        name="identify.reply_lost", group="identifying", trigger=T.IDENTIFY_FAILED,
        sources=P.ANONYMOUS, target=P.RECONNECTING, unless=F.BEYOND, sets=F.RETRYING,
        effects=(E.ARM_RETRY, E.ARM_GIVE_UP), reason="reply_lost",
    ),
    Transition(
        name="identify.given_up_after_sending", group="identifying",
        trigger=T.ABANDON_IDENTIFY, sources=P.ANONYMOUS,
        target=P.RECONNECTING, when=(F.IDENTIFYING, F.UNRESOLVED), sets=F.RETRYING,
        clears=F.IDENTIFYING,
        effects=(E.FAIL_IDENTIFY, E.DROP_HELD, E.ARM_RETRY, E.ARM_GIVE_UP),
        error=R.IDENTIFY_TIMED_OUT, reason="outcome_unknown",
    ),
    Transition(
        name="identify.given_up_offline", group="identifying",
        trigger=T.ABANDON_IDENTIFY, sources=OFFLINE,
        when=(F.IDENTIFYING, F.UNRESOLVED), clears=F.IDENTIFYING,
        effects=(E.FAIL_IDENTIFY, E.DROP_HELD), error=R.IDENTIFY_TIMED_OUT,
    ),
    Transition(
        name="identify.given_up_before_sending", group="identifying",
        trigger=T.ABANDON_IDENTIFY,
        sources=(P.LOADING, P.SHUTDOWN, P.BOOTING, P.ANONYMOUS, *OFFLINE), when=F.IDENTIFYING,
        unless=F.UNRESOLVED, clears=(F.IDENTIFYING, F.FETCHING), assigns=NO_TARGET,
        effects=(*IDENTIFY_FAILS, E.ABANDON_TOKEN, E.PROCEED), error=R.IDENTIFY_TIMED_OUT,
    ),
)

BECOMING: Final = (
    # Whoever the site says it is now: nobody is booted yet, or it is the same one.
    Transition(
        name="become.boot", group="becoming", trigger=T.BECOME, sources=UNDESTROYED,
        unless=F.BOOTED, effects=E.CALL_BOOT,
    ),
    Transition(
        name="become.same", group="becoming", trigger=T.BECOME, sources=BOOTABLE,
        when=(F.BOOTED, F.SAME_USER), unless=F.TARGETED, effects=E.CALL_BOOT,
    ),
    # A visitor becomes a user by an identify; one to another user that has not left is dropped.
    Transition(
        name="become.identify", group="becoming", trigger=T.BECOME, sources=BOOTABLE,
        when=(F.BOOTED, F.NAMED), unless=(F.SAME_USER, F.SIGNED_IN, F.TARGETED),
        effects=E.CALL_IDENTIFY,
    ),
    Transition(
        name="become.target", group="becoming", trigger=T.BECOME, sources=BOOTABLE,
        when=(F.BOOTED, F.TARGETED, F.SAME_TARGET), unless=F.SIGNED_IN, effects=E.CALL_IDENTIFY,
    ),
    Transition(
        name="become.drop_target", group="becoming", trigger=T.BECOME, sources=BOOTABLE,
        when=(F.BOOTED, F.TARGETED), unless=(F.SIGNED_IN, F.SAME_TARGET, F.UNRESOLVED),
        clears=(F.IDENTIFYING, F.FETCHING), assigns=NO_TARGET,
        effects=(*IDENTIFY_FAILS, E.ABANDON_TOKEN, E.CALL_BECOME), error=R.SUPERSEDED,
    ),
    # Anybody else: the session ends as by shutdown(), and the next one boots. An identify to
    # another user that has left may have been committed.
    Transition(
        name="become.end_live", group="becoming", trigger=T.BECOME, sources=LIVE,
        target=P.SHUTDOWN, when=(F.BOOTED, F.SIGNED_IN), unless=(F.SAME_USER, F.FULL),
        sets=(F.OWED, F.PARTING), clears=F.BOOTED, effects=(E.PART, E.CLEAN, E.CALL_BOOT),
        error=R.SUPERSEDED, reason="become",
    ),
    Transition(
        name="become.end_live_clear", group="becoming", trigger=T.BECOME, sources=LIVE,
        target=P.SHUTDOWN, when=(F.BOOTED, F.SIGNED_IN, F.FULL), unless=F.SAME_USER,
        sets=(F.OWED, F.OWED_FULL, F.PARTING), clears=F.BOOTED,
        effects=(E.PART, E.CLEAN, E.CALL_BOOT), error=R.SUPERSEDED, reason="become",
    ),
    Transition(
        name="become.end_unresolved", group="becoming", trigger=T.BECOME, sources=LIVE,
        target=P.SHUTDOWN, when=(F.BOOTED, F.TARGETED, F.UNRESOLVED),
        unless=(F.SIGNED_IN, F.SAME_TARGET, F.FULL), sets=(F.OWED, F.PARTING), clears=F.BOOTED,
        effects=(E.PART, E.CLEAN, E.CALL_BOOT), error=R.SUPERSEDED, reason="become",
    ),
    Transition(
        name="become.end_unresolved_clear", group="becoming", trigger=T.BECOME, sources=LIVE,
        target=P.SHUTDOWN, when=(F.BOOTED, F.TARGETED, F.UNRESOLVED, F.FULL),
        unless=(F.SIGNED_IN, F.SAME_TARGET), sets=(F.OWED, F.OWED_FULL, F.PARTING),
        clears=F.BOOTED, effects=(E.PART, E.CLEAN, E.CALL_BOOT), error=R.SUPERSEDED,
        reason="become",
    ),
    Transition(
        name="become.end_boot", group="becoming", trigger=T.BECOME, sources=P.BOOTING,
        target=P.SHUTDOWN, when=(F.BOOTED, F.SIGNED_IN), unless=(F.SAME_USER, F.FULL), sets=F.OWED,
        clears=F.BOOTED, effects=(E.CLEAN, E.CALL_BOOT), error=R.SUPERSEDED, reason="become",
    ),
    Transition(
        name="become.end_boot_clear", group="becoming", trigger=T.BECOME, sources=P.BOOTING,
        target=P.SHUTDOWN, when=(F.BOOTED, F.SIGNED_IN, F.FULL), unless=F.SAME_USER,
        sets=(F.OWED, F.OWED_FULL), clears=F.BOOTED, effects=(E.CLEAN, E.CALL_BOOT),
        error=R.SUPERSEDED, reason="become",
    ),
    Transition(
        name="become.end_waiting_boot", group="becoming", trigger=T.BECOME,
        sources=(P.LOADING, P.READY, P.SHUTDOWN), when=(F.BOOTED, F.SIGNED_IN), unless=F.SAME_USER,
        clears=F.BOOTED, effects=E.CALL_BOOT, error=R.SUPERSEDED,
    ),
)

UPDATING: Final = (
    Transition(
        name="update.record", group="updating", trigger=T.UPDATE, sources=BOOTABLE, when=F.BOOTED,
        unless=(F.NAMED, F.TARGETED), effects=(E.RECORD, E.DONE, E.PROCEED),
    ),
    Transition(
        name="update.record_named", group="updating", trigger=T.UPDATE, sources=BOOTABLE,
        when=(F.BOOTED, F.NAMED, F.SAME_USER), effects=(E.RECORD, E.DONE, E.PROCEED),
    ),
    Transition(
        name="update.hold", group="updating", trigger=T.UPDATE, sources=BOOTABLE,
        when=(F.BOOTED, F.TARGETED), unless=F.NAMED, effects=(E.HOLD, E.DONE),
    ),
    Transition(
        name="update.hold_named", group="updating", trigger=T.UPDATE, sources=BOOTABLE,
        when=(F.BOOTED, F.TARGETED, F.NAMED, F.SAME_TARGET), unless=F.SAME_USER,
        effects=(E.HOLD, E.DONE),
    ),
    Transition(
        name="update.refuse_other_user", group="updating", trigger=T.UPDATE, sources=BOOTABLE,
        when=(F.BOOTED, F.NAMED, F.SIGNED_IN), unless=(F.SAME_USER, F.TARGETED), effects=E.REFUSE,
        error=R.USER_IS_LIVE,
    ),
    Transition(
        name="update.refuse_visitor", group="updating", trigger=T.UPDATE, sources=BOOTABLE,
        when=(F.BOOTED, F.NAMED), unless=(F.SAME_USER, F.TARGETED, F.SIGNED_IN), effects=E.REFUSE,
        error=R.VISITOR_IS_LIVE,
    ),
    Transition(
        name="update.refuse_other_target", group="updating", trigger=T.UPDATE, sources=BOOTABLE,
        when=(F.BOOTED, F.NAMED, F.TARGETED), unless=(F.SAME_USER, F.SAME_TARGET), effects=E.REFUSE,
        error=R.OTHER_TARGET,
    ),
    # What is recorded leaves when the session is live, one request at a time, and never while an
    # identify is not settled: what was recorded before it travels with it.
    Transition(
        name="update.schedule", group="updating", trigger=T.PROCEED, sources=ONLINE, when=F.PENDING,
        unless=(F.SENDING, F.TARGETED, F.TOKEN_WANTED), effects=E.ARM_UPDATE,
    ),
    Transition(
        name="update.send", group="updating", trigger=T.UPDATE_DUE, sources=ONLINE, when=F.PENDING,
        unless=(F.SENDING, F.TARGETED, F.TOKEN_WANTED), sets=F.SENDING, effects=E.SEND_UPDATE,
    ),
    Transition(
        name="update.sent", group="updating", trigger=T.UPDATED, sources=ONLINE, clears=F.SENDING,
        effects=(E.ACKNOWLEDGE, E.PROCEED),
    ),
    Transition(
        name="update.refused", group="updating", trigger=T.UPDATE_REFUSED, sources=ONLINE,
        clears=F.SENDING, effects=(E.DROP_SENT, E.PROCEED),
    ),
    Transition(
        name="update.visitor_unauthorised", group="updating", trigger=T.UPDATE_UNAUTHORISED,
        sources=P.ANONYMOUS, target=P.RECONNECTING, unless=F.OUTDATED, sets=F.RETRYING,
        effects=(E.ARM_RETRY, E.ARM_GIVE_UP), reason="expired",
    ),
    # the refused token is not the one in use: that one is as good as it was
    Transition(
        name="update.unauthorised_before", group="updating", trigger=T.UPDATE_UNAUTHORISED,
        sources=ONLINE, when=F.OUTDATED, clears=F.SENDING, effects=(E.RESTORE, E.PROCEED),
    ),
    # the token has expired and nobody said so: renew it, and send again afterwards
    Transition(
        name="update.unauthorised", group="updating", trigger=T.UPDATE_UNAUTHORISED,
        sources=P.AUTHENTICATED, when=F.PROVIDER, unless=(F.OUTDATED, F.FETCHING, F.RENEWING),
        sets=F.TOKEN_WANTED, clears=F.SENDING,
        effects=(E.RESTORE, E.SPEND_TOKEN, E.TELL_EXPIRED, E.ARM_RENEW),
    ),
    Transition(
        name="update.unauthorised_while_fetching", group="updating", trigger=T.UPDATE_UNAUTHORISED,
        sources=P.AUTHENTICATED, when=(F.PROVIDER, F.FETCHING), unless=F.OUTDATED,
        sets=F.TOKEN_WANTED, clears=F.SENDING, effects=(E.RESTORE, E.DROP_TOKEN),
    ),
    # it may have been the token before this one: send again once this one is accepted, or was not
    Transition(
        name="update.unauthorised_while_renewing", group="updating", trigger=T.UPDATE_UNAUTHORISED,
        sources=P.AUTHENTICATED, when=(F.PROVIDER, F.RENEWING), unless=(F.OUTDATED, F.FETCHING),
        clears=F.SENDING, effects=E.RESTORE,
    ),
    Transition(
        name="update.unauthorised_for_good", group="updating", trigger=T.UPDATE_UNAUTHORISED,
        sources=P.AUTHENTICATED, target=P.SHUTDOWN, unless=(F.OUTDATED, F.PROVIDER), sets=F.OWED,
        clears=F.BOOTED, effects=(E.TELL_EXPIRED, E.TELL_ERROR, E.CLEAN), error=R.EXPIRED,
        reason="auth_refused",
    ),
    Transition(
        name="update.failed", group="updating", trigger=T.UPDATE_FAILED, sources=ONLINE,
        clears=F.SENDING, effects=(E.RESTORE, E.PROCEED),
    ),
)

MESSAGING: Final = (
    # A message, or a read mark, waits its turn, whether there is a link or not; the outbox keeps
    # the order.
    Transition(
        name="send.queue", group="messaging", trigger=T.SEND, sources=BOOTABLE, when=F.BOOTED,
        unless=(F.AT_ONCE, F.CROWDED),
        effects=(E.QUEUE, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    Transition(
        name="send.refuse_no_link", group="messaging", trigger=T.SEND, sources=BOOTABLE,
        when=(F.BOOTED, F.AT_ONCE), effects=E.REFUSE, error=R.NO_LINK,
    ),
    Transition(
        name="send.refuse_crowded", group="messaging", trigger=T.SEND, sources=BOOTABLE,
        when=(F.BOOTED, F.CROWDED), unless=F.AT_ONCE, effects=E.REFUSE, error=R.CROWDED,
    ),
    Transition(
        name="send.leave", group="messaging", trigger=T.FLUSH, sources=ONLINE, when=F.QUEUED,
        effects=(E.SEND_MESSAGES, E.ARM_OUTBOX),
    ),
    Transition(
        name="send.done", group="messaging", trigger=T.SENT, sources=ONLINE,
        effects=(E.KEEP_SENT, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    Transition(
        name="send.refused", group="messaging", trigger=T.SEND_REFUSED, sources=ONLINE,
        unless=F.DISOWNED, effects=(E.KEEP_REFUSED, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    # an identify is not resolved: whose the message is will be known, and it is sent again
    Transition(
        name="send.disowned", group="messaging", trigger=T.SEND_REFUSED, sources=ONLINE,
        when=F.DISOWNED, effects=(E.KEEP_DISOWNED, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    Transition(
        name="send.failed", group="messaging", trigger=T.SEND_FAILED, sources=ONLINE,
        effects=(E.KEEP_UNANSWERED, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    # the token has expired and nobody said so: it is renewed, and the message is sent again. What
    # is next may leave afterwards, if there is a link then.
    Transition(
        name="send.unauthorised", group="messaging", trigger=T.SEND_UNAUTHORISED, sources=ONLINE,
        unless=F.OUTDATED,
        effects=(E.KEEP_UNANSWERED, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.SAY_EXPIRED, E.FLUSH),
    ),
    # the refused token is not the one in use: it is sent again under that
    Transition(
        name="send.unauthorised_before", group="messaging", trigger=T.SEND_UNAUTHORISED,
        sources=ONLINE, when=F.OUTDATED,
        effects=(E.KEEP_UNANSWERED, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    # the stream brings it, before its answer or instead of it
    Transition(
        name="send.echoed", group="messaging", trigger=T.MESSAGE_ARRIVED, sources=ONLINE,
        when=F.OWN, effects=(E.TELL_MESSAGE, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    Transition(
        name="send.due", group="messaging", trigger=T.OUTBOX_DUE, sources=BOOTABLE, when=F.BOOTED,
        effects=(E.EXPIRE_MESSAGES, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    Transition(
        name="send.withdraw", group="messaging", trigger=T.WITHDRAW, sources=BOOTABLE,
        when=F.BOOTED, effects=(E.WITHDRAW_MESSAGE, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
    # What needs a link, and waits for none.
    Transition(
        name="use.link", group="messaging", trigger=T.USE, sources=ONLINE, when=F.BOOTED,
        effects=E.USE_LINK,
    ),
    Transition(
        name="use.refuse_no_link", group="messaging", trigger=T.USE,
        sources=(P.LOADING, P.READY, P.SHUTDOWN, *CONNECTING), when=F.BOOTED, effects=E.REFUSE,
        error=R.NO_LINK,
    ),
    Transition(
        name="use.replied", group="messaging", trigger=T.REPLIED, sources=ONLINE, effects=E.ANSWER,
    ),
    Transition(
        name="use.message", group="messaging", trigger=T.MESSAGE_ARRIVED, sources=ONLINE,
        unless=F.OWN, effects=E.TELL_MESSAGE,
    ),
    Transition(
        name="use.read", group="messaging", trigger=T.READ_MARKED, sources=ONLINE,
        effects=(E.TELL_READ, E.ANSWER_MESSAGES, E.ARM_OUTBOX, E.FLUSH),
    ),
)

STAYING_CONNECTED: Final = (
    # The one loop of connecting: the timer, then the token if one is wanted, then the dial. A live
    # session looks first whether its visitor is still the stored one; a failed look says nothing.
    Transition(
        name="connect.boot_fetches_token", group="staying connected", trigger=T.RETRY_DUE,
        sources=P.BOOTING, when=F.TOKEN_WANTED, sets=F.FETCHING, clears=F.RETRYING,
        effects=E.FETCH_TOKEN,
    ),
    Transition(
        name="connect.boot_dials", group="staying connected", trigger=T.RETRY_DUE,
        sources=P.BOOTING, unless=F.TOKEN_WANTED, clears=F.RETRYING, effects=E.DIAL,
    ),
    Transition(
        name="connect.look", group="staying connected", trigger=T.RETRY_DUE, sources=OFFLINE,
        clears=F.RETRYING, effects=E.CHECK_VISITOR,
    ),
    Transition(
        name="connect.fetch_token", group="staying connected", trigger=T.VISITOR_CHECKED,
        sources=OFFLINE, when=(F.TOKEN_WANTED, F.SIGNED_IN), sets=F.FETCHING,
        effects=E.FETCH_TOKEN,
    ),
    Transition(
        name="connect.fetch_target_token", group="staying connected", trigger=T.VISITOR_CHECKED,
        sources=OFFLINE, when=F.TOKEN_WANTED, unless=F.SIGNED_IN, sets=F.FETCHING,
        effects=E.FETCH_TARGET_TOKEN,
    ),
    Transition(
        name="connect.dial", group="staying connected", trigger=T.VISITOR_CHECKED,
        sources=OFFLINE, unless=F.TOKEN_WANTED, effects=E.DIAL,
    ),
    Transition(
        name="connect.dial_with_token", group="staying connected", trigger=T.TOKEN_ARRIVED,
        sources=CONNECTING, sets=F.TOKEN_FRESH, clears=(F.FETCHING, F.TOKEN_WANTED),
        effects=(E.KEEP_TOKEN, E.DIAL),
    ),
    # The link goes away.
    Transition(
        name="link.lost", group="staying connected", trigger=T.LINK_LOST, sources=ONLINE,
        target=P.RECONNECTING, sets=F.RETRYING, effects=(E.ARM_RETRY, E.ARM_GIVE_UP),
        reason="link_lost",
    ),
    Transition(
        name="link.silent", group="staying connected", trigger=T.SILENCE_DUE, sources=ONLINE,
        target=P.RECONNECTING, when=F.SILENT, sets=F.RETRYING, effects=(E.ARM_RETRY, E.ARM_GIVE_UP),
        reason="silence",
    ),
    Transition(
        name="link.heard", group="staying connected", trigger=T.SILENCE_DUE, sources=ONLINE,
        unless=F.SILENT, effects=E.ARM_SILENCE,
    ),
    # its visitor was merged in another tab: the next dial says who it is for now
    Transition(
        name="link.owner_changed", group="staying connected", trigger=T.OWNER_CHANGED,
        sources=ONLINE, target=P.RECONNECTING, sets=F.RETRYING,
        effects=(E.ARM_DIAL, E.ARM_GIVE_UP), reason="owner_changed",
    ),
    # a visitor presents no token: a fresh link is all there is to renew
    Transition(
        name="link.visitor_expired", group="staying connected", trigger=T.TOKEN_EXPIRED,
        sources=P.ANONYMOUS, target=P.RECONNECTING, sets=F.RETRYING,
        effects=(E.ARM_RETRY, E.ARM_GIVE_UP), reason="expired",
    ),
    Transition(
        name="link.network_down", group="staying connected", trigger=T.GO_OFFLINE, sources=ONLINE,
        target=P.DISCONNECTED, sets=F.RETRYING, effects=E.ARM_PROBE, reason="offline",
    ),
    # Attempts fail. Who answers in the backend's place is gone again one day (a network's sign-in
    # page); only a boot ends by it.
    Transition(
        name="link.retry", group="staying connected",
        trigger=(T.DIAL_FAILED, T.DIAL_ASTRAY, T.TOKEN_FAILED), sources=P.RECONNECTING,
        sets=F.RETRYING, clears=(F.FETCHING, F.TOKEN_FRESH),
        effects=(E.COUNT_FAILURE, E.ARM_RETRY),
    ),
    Transition(
        name="link.probe_again", group="staying connected",
        trigger=(T.DIAL_FAILED, T.DIAL_ASTRAY, T.TOKEN_FAILED), sources=P.DISCONNECTED,
        sets=F.RETRYING, clears=(F.FETCHING, F.TOKEN_FRESH),
        effects=(E.COUNT_FAILURE, E.ARM_PROBE),
    ),
    Transition(
        name="link.give_up", group="staying connected", trigger=T.GIVE_UP, sources=P.RECONNECTING,
        target=P.DISCONNECTED, when=F.RETRYING, effects=E.ARM_PROBE, reason="attempts_spent",
    ),
    Transition(
        name="link.give_up_while_trying", group="staying connected", trigger=T.GIVE_UP,
        sources=P.RECONNECTING, target=P.DISCONNECTED, unless=F.RETRYING, reason="attempts_spent",
    ),
    # Hints.
    Transition(
        name="link.network_down_while_trying", group="staying connected", trigger=T.GO_OFFLINE,
        sources=P.RECONNECTING, target=P.DISCONNECTED, sets=F.RETRYING, clears=LINK_FACTS,
        effects=(E.CUT, E.DISARM_GIVE_UP, E.ARM_PROBE), reason="offline",
    ),
    Transition(
        name="link.network_up", group="staying connected", trigger=T.GO_ONLINE,
        sources=P.DISCONNECTED, target=P.RECONNECTING, when=F.RETRYING,
        effects=(E.ARM_DIAL, E.ARM_GIVE_UP), reason="online",
    ),
    Transition(
        name="link.network_up_while_trying", group="staying connected", trigger=T.GO_ONLINE,
        sources=P.DISCONNECTED, target=P.RECONNECTING, unless=F.RETRYING, effects=E.ARM_GIVE_UP,
        reason="online",
    ),
    Transition(
        name="link.hurry", group="staying connected", trigger=T.GO_ONLINE,
        sources=(P.BOOTING, P.RECONNECTING), when=F.RETRYING, effects=E.ARM_DIAL,
    ),
    # The link is back.
    Transition(
        name="link.back_as_user", group="staying connected", trigger=T.LINK_UP, sources=OFFLINE,
        target=P.AUTHENTICATED, when=(F.SIGNED_IN, F.SAME_USER),
        clears=(F.TOKEN_FRESH, F.TOKEN_WANTED), effects=(E.ACCEPT_TOKEN, E.ARM_RENEW, E.PROCEED),
        reason="connected",
    ),
    Transition(
        name="link.back_as_visitor", group="staying connected", trigger=T.LINK_UP, sources=OFFLINE,
        target=P.ANONYMOUS, when=F.SAME_USER, unless=(F.SIGNED_IN, F.UNRESOLVED), effects=E.PROCEED,
        reason="connected",
    ),
    # the identify had not been committed: it is asked again
    Transition(
        name="link.back_not_identified", group="staying connected", trigger=T.LINK_UP,
        sources=OFFLINE, target=P.ANONYMOUS, when=(F.SAME_USER, F.UNRESOLVED, F.IDENTIFYING),
        unless=(F.SIGNED_IN, F.REPEATABLE), clears=(F.UNRESOLVED, F.TOKEN_FRESH, F.TOKEN_WANTED),
        effects=(E.UNCLAIM, E.PROCEED), reason="connected",
    ),
    # nor had the one that was given up: it is forgotten
    Transition(
        name="link.back_identify_forgotten", group="staying connected", trigger=T.LINK_UP,
        sources=OFFLINE, target=P.ANONYMOUS, when=(F.SAME_USER, F.UNRESOLVED),
        unless=(F.SIGNED_IN, F.IDENTIFYING, F.REPEATABLE),
        clears=(F.UNRESOLVED, F.TOKEN_FRESH, F.TOKEN_WANTED), assigns=NO_TARGET,
        effects=(E.FORGET_TARGET, E.PROCEED), reason="connected",
    ),
    # nobody knows whether it will be: it is asked again, whoever still waits for it
    Transition(
        name="link.back_identify_repeated", group="staying connected", trigger=T.LINK_UP,
        sources=OFFLINE, target=P.ANONYMOUS, when=(F.SAME_USER, F.UNRESOLVED, F.REPEATABLE),
        unless=F.SIGNED_IN, effects=E.SEND_IDENTIFY, reason="connected",
    ),
    # it had been committed, whoever still waits for it
    Transition(
        name="link.back_identified", group="staying connected", trigger=T.LINK_UP, sources=OFFLINE,
        target=P.AUTHENTICATED, when=(F.UNRESOLVED, F.SAME_TARGET), unless=F.SAME_USER,
        clears=(*IDENTIFY_FACTS, F.TOKEN_WANTED), assigns=TARGET_IS_USER,
        effects=(*IDENTIFIED, E.ARM_RENEW, E.PROCEED),
        reason="identified",
    ),
    Transition(
        name="link.back_as_another", group="staying connected", trigger=T.LINK_UP, sources=OFFLINE,
        target=P.SHUTDOWN, unless=(F.SAME_USER, F.UNRESOLVED), sets=F.OWED, clears=F.BOOTED,
        effects=(E.DISPOSE, E.TELL_ERROR, E.CLEAN), error=R.WRONG_USER, reason="wrong_user",
    ),
    Transition(
        name="link.back_as_neither", group="staying connected", trigger=T.LINK_UP, sources=OFFLINE,
        target=P.SHUTDOWN, when=F.UNRESOLVED, unless=(F.SAME_USER, F.SAME_TARGET), sets=F.OWED,
        clears=F.BOOTED, effects=(E.DISPOSE, E.TELL_ERROR, E.CLEAN), error=R.WRONG_USER,
        reason="wrong_user",
    ),
    # The visitor was cleared in another tab, as the storage says, or the backend.
    Transition(
        name="link.signed_out", group="staying connected", trigger=T.VISITOR_ENDED,
        sources=OFFLINE, target=P.SHUTDOWN, sets=F.OWED, clears=F.BOOTED,
        effects=(E.TELL_ERROR, E.CLEAN), error=R.SIGNED_OUT, reason="signed_out",
    ),
    # The backend says no: to the session, to a fresh token, to an old one, to an identify that was
    # not resolved.
    Transition(
        name="link.rejected", group="staying connected", trigger=T.DIAL_REJECTED, sources=OFFLINE,
        target=P.SHUTDOWN, sets=F.OWED, clears=F.BOOTED, effects=(E.TELL_ERROR, E.CLEAN),
        reason="rejected",
    ),
    Transition(
        name="link.visitor_refused", group="staying connected", trigger=T.DIAL_REFUSED,
        sources=OFFLINE, target=P.SHUTDOWN, unless=(F.SIGNED_IN, F.UNRESOLVED), sets=F.OWED,
        clears=F.BOOTED, effects=(E.TELL_ERROR, E.CLEAN), reason="auth_refused",
    ),
    Transition(
        name="link.fresh_token_refused", group="staying connected", trigger=T.DIAL_REFUSED,
        sources=OFFLINE, target=P.SHUTDOWN, when=(F.SIGNED_IN, F.TOKEN_FRESH), sets=F.OWED,
        clears=F.BOOTED, effects=(E.TELL_ERROR, E.CLEAN), reason="auth_refused",
    ),
    Transition(
        name="link.expired_for_good", group="staying connected", trigger=T.DIAL_REFUSED,
        sources=OFFLINE, target=P.SHUTDOWN, when=F.SIGNED_IN, unless=(F.TOKEN_FRESH, F.PROVIDER),
        sets=F.OWED, clears=F.BOOTED, effects=(E.TELL_ERROR, E.CLEAN), error=R.EXPIRED,
        reason="auth_refused",
    ),
    Transition(
        name="link.old_token_refused", group="staying connected", trigger=T.DIAL_REFUSED,
        sources=OFFLINE, when=(F.SIGNED_IN, F.PROVIDER), unless=F.TOKEN_FRESH,
        sets=(F.RETRYING, F.TOKEN_WANTED),
        effects=(E.SPEND_TOKEN, E.COUNT_FAILURE, E.TELL_EXPIRED, E.ARM_RETRY),
    ),
    Transition(
        name="link.old_target_token_refused", group="staying connected", trigger=T.DIAL_REFUSED,
        sources=OFFLINE, when=(F.UNRESOLVED, F.TARGET_PROVIDER),
        unless=(F.SIGNED_IN, F.TOKEN_FRESH), sets=(F.RETRYING, F.TOKEN_WANTED),
        effects=(E.SPEND_TOKEN, E.COUNT_FAILURE, E.ARM_RETRY),
    ),
    Transition(
        name="link.fresh_target_token_refused", group="staying connected", trigger=T.DIAL_REFUSED,
        sources=OFFLINE, when=(F.UNRESOLVED, F.TARGET_PROVIDER, F.TOKEN_FRESH), unless=F.SIGNED_IN,
        sets=F.RETRYING, clears=IDENTIFY_FACTS, assigns=NO_TARGET,
        effects=(E.COUNT_FAILURE, *IDENTIFY_FAILS, E.ARM_RETRY),
    ),
    Transition(
        name="link.target_refused", group="staying connected", trigger=T.DIAL_REFUSED,
        sources=OFFLINE, when=F.UNRESOLVED, unless=(F.SIGNED_IN, F.TARGET_PROVIDER),
        sets=F.RETRYING, clears=IDENTIFY_FACTS, assigns=NO_TARGET,
        effects=(E.COUNT_FAILURE, *IDENTIFY_FAILS, E.ARM_RETRY),
    ),
    Transition(
        name="link.token_refused", group="staying connected", trigger=T.TOKEN_REFUSED,
        sources=OFFLINE, target=P.SHUTDOWN, when=F.SIGNED_IN, sets=F.OWED, clears=F.BOOTED,
        effects=(E.TELL_ERROR, E.CLEAN), reason="auth_refused",
    ),
    # without a token the identify cannot be resolved; the visitor's credential shows nothing of
    # what was merged
    Transition(
        name="link.target_token_refused", group="staying connected", trigger=T.TOKEN_REFUSED,
        sources=OFFLINE, unless=F.SIGNED_IN, sets=F.RETRYING,
        clears=(F.TOKEN_WANTED, *IDENTIFY_FACTS), assigns=NO_TARGET,
        effects=(E.COUNT_FAILURE, *IDENTIFY_FAILS, E.ARM_RETRY),
    ),
    Transition(
        name="link.revoked", group="staying connected", trigger=T.SESSION_REVOKED, sources=ONLINE,
        target=P.SHUTDOWN, sets=F.OWED, clears=F.BOOTED, effects=(E.TELL_ERROR, E.CLEAN),
        reason="revoked",
    ),
)

RENEWING: Final = (
    Transition(
        name="renew.due", group="renewing the token", trigger=T.RENEW_DUE, sources=P.AUTHENTICATED,
        when=F.PROVIDER, unless=(F.FETCHING, F.RENEWING), sets=F.FETCHING, effects=E.FETCH_TOKEN,
    ),
    Transition(
        name="renew.due_offline", group="renewing the token", trigger=T.RENEW_DUE, sources=OFFLINE,
        when=(F.PROVIDER, F.SIGNED_IN), unless=F.FETCHING, sets=F.TOKEN_WANTED,
        effects=E.DROP_TOKEN,
    ),
    Transition(
        name="renew.present", group="renewing the token", trigger=T.TOKEN_ARRIVED,
        sources=P.AUTHENTICATED, sets=(F.RENEWING, F.TOKEN_FRESH),
        clears=(F.FETCHING, F.TOKEN_WANTED), effects=(E.KEEP_TOKEN, E.SEND_TOKEN),
    ),
    Transition(
        name="renew.done", group="renewing the token", trigger=T.RENEWED, sources=P.AUTHENTICATED,
        clears=(F.RENEWING, F.TOKEN_FRESH), effects=(E.ACCEPT_TOKEN, E.ARM_RENEW, E.PROCEED),
    ),
    Transition(
        name="renew.failed", group="renewing the token", trigger=(T.TOKEN_FAILED, T.RENEW_FAILED),
        sources=P.AUTHENTICATED, clears=(F.FETCHING, F.RENEWING, F.TOKEN_FRESH),
        effects=(E.TELL_ERROR, E.ARM_RENEW, E.PROCEED),
    ),
    Transition(
        name="renew.refused", group="renewing the token",
        trigger=(T.TOKEN_REFUSED, T.RENEW_REFUSED), sources=P.AUTHENTICATED, target=P.SHUTDOWN,
        sets=F.OWED, clears=F.BOOTED, effects=(E.TELL_ERROR, E.CLEAN), reason="auth_refused",
    ),
    Transition(
        name="renew.expired", group="renewing the token", trigger=T.TOKEN_EXPIRED,
        sources=P.AUTHENTICATED, when=F.PROVIDER, unless=(F.FETCHING, F.RENEWING),
        sets=F.TOKEN_WANTED, effects=(E.SPEND_TOKEN, E.TELL_EXPIRED, E.ARM_RENEW),
    ),
    # the token that is on its way makes good for it
    Transition(
        name="renew.expired_meanwhile", group="renewing the token", trigger=T.TOKEN_EXPIRED,
        sources=P.AUTHENTICATED, when=(F.PROVIDER, F.FETCHING), sets=F.TOKEN_WANTED,
        effects=E.DROP_TOKEN,
    ),
    Transition(
        name="renew.expired_for_good", group="renewing the token", trigger=T.TOKEN_EXPIRED,
        sources=P.AUTHENTICATED, target=P.SHUTDOWN, unless=F.PROVIDER, sets=F.OWED, clears=F.BOOTED,
        effects=(E.TELL_EXPIRED, E.TELL_ERROR, E.CLEAN), error=R.EXPIRED, reason="auth_refused",
    ),
)

SHUTTING_DOWN: Final = (
    # The call. Nothing is live yet: only a full clear takes time.
    Transition(
        name="shutdown.nothing_live", group="shutting down", trigger=T.SHUTDOWN,
        sources=(P.NOT_INITIALIZED, P.READY), target=P.SHUTDOWN, unless=F.FULL, effects=E.DONE,
        reason="shutdown",
    ),
    Transition(
        name="shutdown.nothing_live_clear", group="shutting down", trigger=T.SHUTDOWN,
        sources=(P.NOT_INITIALIZED, P.READY), target=P.SHUTDOWN, when=F.FULL,
        sets=(F.OWED, F.OWED_FULL), effects=(E.JOIN_CLEAR, E.CLEAN), reason="shutdown",
    ),
    Transition(
        name="shutdown.loading", group="shutting down", trigger=T.SHUTDOWN, sources=P.LOADING,
        target=P.SHUTDOWN, unless=F.FULL, clears=F.BOOTED,
        effects=(E.DONE, E.ABANDON_LOAD, E.FAIL_LOAD), error=R.ENDED, reason="shutdown",
    ),
    Transition(
        name="shutdown.loading_clear", group="shutting down", trigger=T.SHUTDOWN, sources=P.LOADING,
        target=P.SHUTDOWN, when=F.FULL, sets=(F.OWED, F.OWED_FULL), clears=F.BOOTED,
        effects=(E.JOIN_CLEAR, E.ABANDON_LOAD, E.FAIL_LOAD, E.CLEAN), error=R.ENDED,
        reason="shutdown",
    ),
    # A boot is under way: it ends, and there is no session yet to revoke (the late success of its
    # dial revokes itself).
    Transition(
        name="shutdown.booting", group="shutting down", trigger=T.SHUTDOWN, sources=P.BOOTING,
        target=P.SHUTDOWN, unless=F.FULL, sets=F.OWED, clears=F.BOOTED,
        effects=(E.JOIN_SHUTDOWN, E.CLEAN), error=R.ENDED, reason="shutdown",
    ),
    Transition(
        name="shutdown.booting_clear", group="shutting down", trigger=T.SHUTDOWN, sources=P.BOOTING,
        target=P.SHUTDOWN, when=F.FULL, sets=(F.OWED, F.OWED_FULL), clears=F.BOOTED,
        effects=(E.JOIN_CLEAR, E.CLEAN), error=R.ENDED, reason="shutdown",
    ),
    # Live: the phase changes and memory is cleared at once; the clear and the parting take their
    # time.
    Transition(
        name="shutdown.live", group="shutting down", trigger=T.SHUTDOWN, sources=LIVE,
        target=P.SHUTDOWN, unless=F.FULL, sets=(F.OWED, F.PARTING), clears=F.BOOTED,
        effects=(E.JOIN_SHUTDOWN, E.PART, E.CLEAN), error=R.ENDED, reason="shutdown",
    ),
    Transition(
        name="shutdown.live_clear", group="shutting down", trigger=T.SHUTDOWN, sources=LIVE,
        target=P.SHUTDOWN, when=F.FULL, sets=(F.OWED, F.OWED_FULL, F.PARTING), clears=F.BOOTED,
        effects=(E.JOIN_CLEAR, E.PART, E.CLEAN), error=R.ENDED, reason="shutdown",
    ),
    # Again: join what is under way, begin what is owed; a boot that waits here ends.
    Transition(
        name="shutdown.again", group="shutting down", trigger=T.SHUTDOWN, sources=P.SHUTDOWN,
        unless=(F.FULL, F.OWED, F.PARTING), effects=E.DONE,
    ),
    Transition(
        name="shutdown.join_parting", group="shutting down", trigger=T.SHUTDOWN, sources=P.SHUTDOWN,
        when=F.PARTING, unless=(F.FULL, F.OWED), effects=E.JOIN_SHUTDOWN,
    ),
    Transition(
        name="shutdown.join_clear", group="shutting down", trigger=T.SHUTDOWN, sources=P.SHUTDOWN,
        when=F.OWED, unless=(F.FULL, F.OWED_FULL), clears=F.BOOTED,
        effects=(E.JOIN_SHUTDOWN, E.CLEAN), error=R.ENDED,
    ),
    Transition(
        name="shutdown.join_full_clear", group="shutting down", trigger=T.SHUTDOWN,
        sources=P.SHUTDOWN, when=(F.OWED, F.OWED_FULL), unless=F.FULL, clears=F.BOOTED,
        effects=(E.JOIN_CLEAR, E.CLEAN), error=R.ENDED,
    ),
    Transition(
        name="shutdown.clear_too", group="shutting down", trigger=T.SHUTDOWN, sources=P.SHUTDOWN,
        when=F.FULL, sets=(F.OWED, F.OWED_FULL), clears=F.BOOTED, effects=(E.JOIN_CLEAR, E.CLEAN),
        error=R.ENDED,
    ),
    # Clearing: after a write that is under way, one clear at a time, the stronger one queued.
    Transition(
        name="clear.write_ended", group="shutting down",
        trigger=(T.VISITOR_READ, T.VISITOR_FAILED), sources=ENDED, clears=F.WRITING,
        effects=(E.CLEAN, E.PROCEED),
    ),
    Transition(
        name="clear.user", group="shutting down", trigger=T.CLEAN, sources=ENDED, when=F.OWED,
        unless=(F.CLEARING, F.WRITING, F.OWED_FULL), sets=F.CLEARING, effects=E.CLEAR_USER,
    ),
    Transition(
        name="clear.all", group="shutting down", trigger=T.CLEAN, sources=ENDED,
        when=(F.OWED, F.OWED_FULL), unless=(F.CLEARING, F.WRITING),
        sets=(F.CLEARING, F.CLEARING_FULL), effects=E.CLEAR_ALL,
    ),
    Transition(
        name="clear.user_done", group="shutting down", trigger=T.CLEARED, sources=ENDED,
        unless=(F.CLEARING_FULL, F.OWED_FULL), clears=(F.CLEARING, F.OWED), effects=E.PROCEED,
    ),
    Transition(
        name="clear.user_done_all_next", group="shutting down", trigger=T.CLEARED, sources=ENDED,
        when=F.OWED_FULL, unless=(F.CLEARING_FULL, F.PARTING), sets=F.CLEARING_FULL,
        effects=(E.SETTLE_SHUTDOWN, E.CLEAR_ALL),
    ),
    Transition(
        name="clear.user_done_all_next_parting", group="shutting down", trigger=T.CLEARED,
        sources=ENDED, when=(F.OWED_FULL, F.PARTING), unless=F.CLEARING_FULL, sets=F.CLEARING_FULL,
        effects=E.CLEAR_ALL,
    ),
    Transition(
        name="clear.all_done", group="shutting down", trigger=T.CLEARED, sources=ENDED,
        when=F.CLEARING_FULL, clears=(F.CLEARING, F.CLEARING_FULL, F.OWED, F.OWED_FULL),
        effects=(E.END_VISITOR, E.PROCEED),
    ),
    # the session stays dirty: OWED holds until a later shutdown or boot has cleared
    Transition(
        name="clear.failed", group="shutting down", trigger=T.CLEAR_FAILED, sources=P.SHUTDOWN,
        clears=(F.CLEARING, F.CLEARING_FULL, F.BOOTED),
        effects=(E.FAIL_SHUTDOWN, E.FAIL_CLEAR, E.TELL_ERROR),
    ),
    Transition(
        name="clear.failed_at_the_end", group="shutting down", trigger=T.CLEAR_FAILED,
        sources=P.DESTROYED, clears=(F.CLEARING, F.CLEARING_FULL),
        effects=(E.FAIL_SHUTDOWN, E.FAIL_CLEAR, E.TELL_ERROR, E.PROCEED),
    ),
    # Parting.
    Transition(
        name="part.done", group="shutting down", trigger=T.PARTED, sources=ENDED, clears=F.PARTING,
        effects=E.PROCEED,
    ),
    # not superseded: it belongs to an earlier shutdown, whose callers wait for nothing else
    Transition(
        name="part.done_earlier", group="shutting down", trigger=T.PARTED, sources=tuple(P),
        when=F.LATE, effects=E.SETTLE_DETACHED,
    ),
    Transition(
        name="shutdown.done", group="shutting down", trigger=T.PROCEED, sources=P.SHUTDOWN,
        unless=(F.OWED, F.PARTING, F.BOOTED), effects=(E.SETTLE_SHUTDOWN, E.SETTLE_CLEAR),
    ),
)

DESTROYING: Final = (
    Transition(
        name="destroy.begin", group="destroying", trigger=T.DESTROY, sources=UNDESTROYED,
        target=P.DESTROYED, clears=F.BOOTED,
        effects=(E.JOIN_DESTROY, E.ABANDON_LOAD, E.FAIL_LOAD, E.ARM_DESTROY, E.PROCEED),
        error=R.WAS_DESTROYED, reason="destroy",
    ),
    Transition(
        name="destroy.release", group="destroying", trigger=T.PROCEED, sources=P.DESTROYED,
        unless=(F.CLEARING, F.PARTING, F.WRITING, F.RELEASING, F.RELEASED), sets=F.RELEASING,
        effects=(E.SETTLE_SHUTDOWN, E.SETTLE_CLEAR, E.DISARM, E.ABANDON_REST, E.RELEASE),
    ),
    Transition(
        name="destroy.release_at_last", group="destroying", trigger=T.DESTROY_TIMEOUT,
        sources=P.DESTROYED, unless=(F.RELEASING, F.RELEASED), sets=F.RELEASING,
        clears=(F.CLEARING, F.CLEARING_FULL, F.OWED, F.OWED_FULL, F.PARTING, F.WRITING),
        effects=(E.FAIL_SHUTDOWN, E.FAIL_CLEAR, E.ABANDON_REST, E.ABANDON_PARTINGS, E.RELEASE),
        error=R.WAS_DESTROYED,
    ),
    Transition(
        name="destroy.done", group="destroying", trigger=T.RELEASED, sources=P.DESTROYED,
        sets=F.RELEASED, clears=F.RELEASING,
        effects=(E.ABANDON_PARTINGS, E.SETTLE_DETACHED, E.SETTLE_DESTROY),
    ),
    Transition(
        name="destroy.join", group="destroying", trigger=T.DESTROY, sources=P.DESTROYED,
        unless=F.RELEASED, effects=E.JOIN_DESTROY,
    ),
    Transition(
        name="destroy.done_already", group="destroying", trigger=T.DESTROY, sources=P.DESTROYED,
        when=F.RELEASED, effects=E.DONE,
    ),
)

REFUSALS: Final = (
    Transition(
        name="refuse.not_booted", group="refusals", trigger=(T.IDENTIFY, T.UPDATE, T.SEND, T.USE),
        sources=UNDESTROYED, unless=F.BOOTED, effects=E.REFUSE, error=R.NOT_BOOTED,
    ),
    Transition(
        name="refuse.destroyed", group="refusals",
        trigger=(T.LOAD, T.BOOT, T.IDENTIFY, T.BECOME, T.UPDATE, T.SEND, T.USE, T.SHUTDOWN),
        sources=P.DESTROYED, effects=E.REFUSE, error=R.DESTROYED,
    ),
)

CALLS: Final = (
    T.LOAD, T.BOOT, T.IDENTIFY, T.BECOME, T.UPDATE, T.SEND, T.USE, T.SHUTDOWN, T.DESTROY,
)
HINTS: Final = (T.GO_ONLINE, T.GO_OFFLINE, T.WITHDRAW)
LINK_EVENTS: Final = (
    T.MESSAGE_ARRIVED, T.READ_MARKED, T.OWNER_CHANGED, T.TOKEN_EXPIRED, T.SESSION_REVOKED,
    T.LINK_LOST,
)
OUTCOMES: Final = tuple(
    dict.fromkeys(t for spec in EFFECTS.values() if isinstance(spec, Ask) for t in spec.outcomes)
)

LATE_RESULTS: Final = (
    Transition(
        name="late.dispose", group="late results",
        trigger=tuple(t for t in T if t in (*OUTCOMES, *LINK_EVENTS) and t is not T.PARTED),
        sources=tuple(P), when=F.LATE, effects=E.DISPOSE,
    ),
)

TRANSITIONS: Final = (
    *LOADING, *BOOTING, *IDENTIFYING, *BECOMING, *UPDATING, *MESSAGING, *STAYING_CONNECTED,
    *RENEWING, *SHUTTING_DOWN, *DESTROYING, *REFUSALS, *LATE_RESULTS,
)


# --- what means nothing, on purpose ---------------------------------------------------------------

UNBOOTED: Final = (P.NOT_INITIALIZED, P.READY, P.DESTROYED)
BEFORE_LIVE: Final = (P.NOT_INITIALIZED, P.LOADING, P.READY)

IGNORED: Final = (
    Ignored(
        triggers=T.ABANDON_BOOT, phases=(*UNBOOTED, *LIVE),
        because="no boot is under way or waits",
    ),
    Ignored(
        triggers=T.ABANDON_IDENTIFY, phases=(*UNBOOTED, P.AUTHENTICATED),
        because="no identify is under way or waits",
    ),
    Ignored(
        triggers=T.GO_ONLINE, phases=(*BEFORE_LIVE, *ONLINE, *ENDED),
        because="nothing tries to connect",
    ),
    Ignored(
        triggers=T.GO_OFFLINE, phases=(*BEFORE_LIVE, P.BOOTING, P.DISCONNECTED, *ENDED),
        because="a boot tries until its time is over, and elsewhere no link is to be had or lost",
    ),
    Ignored(
        triggers=T.RETRY_DUE, phases=(*BEFORE_LIVE, *ONLINE, *ENDED),
        because="the timer runs while connecting",
    ),
    Ignored(
        triggers=T.GIVE_UP, phases=tuple(phase for phase in P if phase is not P.RECONNECTING),
        because="the timer runs while reconnecting",
    ),
    Ignored(
        triggers=(T.SILENCE_DUE, T.UPDATE_DUE), phases=(*BEFORE_LIVE, *CONNECTING, *ENDED),
        because="the timers run while a link is open",
    ),
    Ignored(
        triggers=T.RENEW_DUE, phases=(*BEFORE_LIVE, P.BOOTING, P.ANONYMOUS, *ENDED),
        because="the timer runs while a user is live",
    ),
    Ignored(
        triggers=T.DESTROY_TIMEOUT, phases=UNDESTROYED,
        because="the timer runs once the session is destroyed",
    ),
    Ignored(
        triggers=(T.OUTBOX_DUE, T.WITHDRAW), phases=(P.NOT_INITIALIZED, P.DESTROYED),
        because="nobody is booted, and so no message waits",
    ),
    Ignored(
        triggers=T.FLUSH, phases=(*BEFORE_LIVE, *CONNECTING, *ENDED),
        because="a message waits for the link",
    ),
    Ignored(
        triggers=T.PROCEED, phases=(P.NOT_INITIALIZED, P.LOADING, *CONNECTING),
        because="nothing that waits may go on yet",
    ),
    Ignored(
        triggers=T.CLEAN, phases=(*BEFORE_LIVE, P.BOOTING, *LIVE),
        because="nothing is cleared before the session has ended",
    ),
)

# --- what comes along with what happens -----------------------------------------------------------

CARRIES: Final[Mapping[str, tuple[str, ...]]] = {
    # calls
    T.BOOT: (Register.NAMED,),
    T.IDENTIFY: (Register.NAMED,),
    T.BECOME: (Register.NAMED, F.FULL),
    T.UPDATE: (Register.NAMED,),
    T.SEND: (F.AT_ONCE, F.CROWDED),
    T.SHUTDOWN: (F.FULL,),
    # outcomes
    T.VISITOR_READ: (F.DAMAGED, F.BEYOND),
    T.LINK_UP: (Register.NAMED, F.REPEATABLE),
    T.DIAL_FAILED: (F.BEYOND,),
    T.IDENTIFIED: (Register.NAMED,),
    T.IDENTIFY_FAILED: (F.BEYOND,),
    T.UPDATE_UNAUTHORISED: (F.OUTDATED,),
    T.SEND_UNAUTHORISED: (F.OUTDATED,),
    T.SEND_REFUSED: (F.DISOWNED,),
    # events and expiries
    T.MESSAGE_ARRIVED: (F.OWN,),
    T.SILENCE_DUE: (F.SILENT,),
}

CHART: Final = Chart(
    name="support_chat",
    initial=P.NOT_INITIALIZED,
    phases=tuple(P),
    triggers=tuple(T),
    external=(*CALLS, *HINTS, *LINK_EVENTS),
    facts=FACTS,
    registers=(Register.USER, Register.TARGET),
    named=Register.NAMED,
    effects=EFFECTS,
    transitions=written_out(TRANSITIONS, COMPOSITES, EFFECTS),
    ignored=IGNORED,
    events=dict.fromkeys(LINK_EVENTS, Lane.LINK),
    naming=(T.IDENTIFY, T.IDENTIFIED),
    carries=CARRIES,
    late=F.LATE,
    composites=COMPOSITES,
    semantics=SEMANTICS,
)
