"""What each fact of the shipped chart means, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..chart.model import Carried, Derived, FactKind, Present, Same, Stored
from . import context as c
from .names import Effect as E, Fact, Register

FACTS: Final[Mapping[str, FactKind]] = MappingProxyType(
    {
        Fact.BOOTED: Stored(
            "a boot was accepted and has neither failed nor been ended; it may still wait"
        ),
        Fact.IDENTIFYING: Stored("an identify was accepted and somebody waits for it"),
        Fact.UNRESOLVED: Stored("an identify request has left and its outcome is not known"),
        Fact.RETRYING: Stored("the next attempt to connect is scheduled"),
        Fact.FETCHING: Stored("the token provider is working on a token"),
        Fact.TOKEN_WANTED: Stored(
            "the token is not accepted or about to expire: another one is needed first"
        ),
        Fact.TOKEN_FRESH: Stored(
            "the token was fetched for this very attempt: a no to it is a refusal"
        ),
        Fact.RENEWING: Stored("a fresh token is being presented to the backend"),
        Fact.SENDING: Stored("an update request is under way"),
        Fact.WRITING: Stored(
            "a write of the visitor's secret is under way; a clear waits for its end"
        ),
        Fact.OWED: Stored("a clear was asked for and has not yet succeeded"),
        Fact.OWED_FULL: Stored("and it must remove the visitor too"),
        Fact.CLEARING: Stored("a clear is under way"),
        Fact.CLEARING_FULL: Stored("and it removes the visitor too"),
        Fact.PARTING: Stored("the revocation and the goodbye of this shutdown are under way"),
        Fact.RELEASING: Stored("links and adapters are being let go of"),
        Fact.RELEASED: Stored("they have been let go of: nothing is left to do"),
        Fact.FULL: Carried(
            "shutdown(clear_storage=True)",
            reads=c.asks_for_everything,
        ),
        Fact.DAMAGED: Carried(
            "what is stored as the visitor's secret cannot be one, or is over", reads=c.damaged
        ),
        Fact.BEYOND: Carried(
            "the backend asks, or has asked, to come back later than the call can wait",
            reads=c.beyond,
        ),
        Fact.SILENT: Carried(
            "nothing was heard on the link for the whole limit, and somebody listened",
            reads=c.silent,
        ),
        Fact.AT_ONCE: Carried(
            "there is no link, and the message is not to wait for one", reads=c.at_once
        ),
        Fact.CROWDED: Carried(
            "as many messages, or marks, as the outbox holds have no answer yet", reads=c.crowded
        ),
        Fact.OWN: Carried("this very session has sent the message", reads=c.own),
        Fact.DISOWNED: Carried(
            "it was for the visitor, whom this session's identify may have made the user",
            reads=c.disowned,
        ),
        Fact.REPEATABLE: Carried(
            "the backend does not remember what became of an identify, and takes it again",
            reads=c.repeatable,
        ),
        Fact.OUTDATED: Carried(
            "the backend has accepted another token since the request left", reads=c.outdated
        ),
        Fact.LATE: Derived("the outcome belongs to an effect that something later has superseded"),
        Fact.PROVIDER: Derived(
            "there is a token provider for the session's user",
            raises=E.ADOPT,
            frees=E.BECOME_USER,
            clears=E.FORGET,
            of=Register.USER,
            reads=c.provided,
        ),
        Fact.TARGET_PROVIDER: Derived(
            "there is a token provider for the user to be identified",
            raises=E.ADOPT_TARGET,
            clears=(E.BECOME_USER, E.FORGET_TARGET, E.FORGET),
            of=Register.TARGET,
            reads=c.target_provided,
        ),
        Fact.PENDING: Derived(
            "recorded updates wait that the backend does not know yet",
            raises=(E.RESTORE, E.UNCLAIM, E.FORGET_TARGET),
            frees=(E.ADOPT, E.RECORD, E.BECOME_USER),
            clears=(E.SEND_UPDATE, E.SEND_IDENTIFY, E.DROP_UPDATES, E.FORGET),
            reads=c.pending,
        ),
        Fact.QUEUED: Derived(
            "a message has no answer yet: it waits, is under way or unknown",
            sets=E.QUEUE,
            lowers=(
                E.CUT,
                E.KEEP_LINK,
                E.BECOME_USER,
                E.KEEP_SENT,
                E.KEEP_REFUSED,
                E.KEEP_DISOWNED,
                E.KEEP_UNANSWERED,
                E.EXPIRE_MESSAGES,
                E.WITHDRAW_MESSAGE,
                E.TELL_MESSAGE,
                E.TELL_READ,
            ),
            clears=(E.DROP_MESSAGES, E.FORGET),
            reads=c.queued,
        ),
        Fact.NAMED: Present("the trigger names a user", Register.NAMED),
        Fact.SIGNED_IN: Present("the session is for a user", Register.USER),
        Fact.TARGETED: Present("an identify is not settled, or not resolved", Register.TARGET),
        Fact.SAME_USER: Same(
            "the trigger names the session's user (or nobody, as the session does)",
            Register.NAMED,
            Register.USER,
        ),
        Fact.SAME_TARGET: Same(
            "the trigger names the user to be identified", Register.NAMED, Register.TARGET
        ),
    }
)
