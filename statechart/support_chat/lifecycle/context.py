"""The context: what a session knows that the chart's guards do not spell out, in one frozen value.

Counters, clocks, records and secrets live here and nowhere else. Reducers (`reducers`) change it,
facts (`facts`) are read out of it. What is bound to the user is gone after `FORGET`; what protects
the backend (the distance of dials, the limit of updates) stays.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

import attrs

from ..engine import Moment
from ..errors import BackendRejectedError, RateLimitedError
from ..ports import (
    Claim,
    IdentifyAnswer,
    MarkRead,
    MessageArrived,
    TokenProvider,
    TokenReason,
    Welcome,
)
from ..values import Identity
from . import outbox as o, updates as u
from .names import Lane
from .tokens import Token

LONGEST_STAY: Final = 3600.0
"""Longest `retry_after` that is believed, in seconds: a backend that asks for more is asked again
after this.
"""

MOST_BLOCKED: Final = 0.1
"""How many seconds late a timer may expire while the loop is taken to have listened."""
_SECRET: Final = re.compile(r"[\x21-\x7e]{22,512}")


@attrs.frozen
class Target:
    """The user to be identified: who it is, who mints their tokens, the id of the request that is
    out for them, and whether it was asked again.
    """

    user_id: str
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    identify_id: str | None = None
    again: bool = False


@attrs.frozen(slots=False)
class Context:
    """What is known. Times are in seconds on the session's clock."""

    # who we are
    user_id: str | None = None
    identity: Identity | None = None
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    target: Target | None = None
    visitor: str | None = attrs.field(default=None, repr=False)
    session: str | None = attrs.field(default=None, repr=False)
    cursor: str | None = None
    unread: int | None = None
    echoes: bool = False
    """Whether own messages and read marks come in the link's stream."""
    # the token
    token: Token | None = attrs.field(default=None, repr=False)
    accepted: bool = False
    """Whether the backend has accepted this token."""
    tokens_accepted: int = 0
    """How many it has accepted of this session's, each time that one was presented."""
    arrived_at: float = 0.0
    fetched_at: float | None = None
    spent: bytes | None = attrs.field(default=None, repr=False)
    """The digest of the token that the backend has refused."""
    # dialling
    failures: int = 0
    dialled_at: float | None = None
    not_before: float = 0.0
    waited: float = 0.0
    """How many seconds the last dial has waited for its turn."""
    up_at: float | None = None
    listens_until: float | None = None
    """When the silence is judged; None if nobody listened then, and it is judged once more."""
    trouble: Exception | None = None
    """Why the last attempt to connect has failed, or the link was lost, if that is known."""
    # calls
    boot_until: float = 0.0
    identify_until: float = 0.0
    # updates
    updates: u.Updates = u.NO_UPDATES
    updated_at: tuple[float, ...] = ()
    update_failures: int = 0
    # messages
    outbox: o.Outbox = o.EMPTY

    @property
    def token_reason(self) -> TokenReason:
        """Why another token is asked for."""
        if self.token is None and self.spent is not None:
            return "refused"
        return "first" if self.token is None and not self.accepted else "expiry"

    @property
    def claim(self) -> Claim | None:
        """What a dial presents of an identify whose answer is not known."""
        if self.target is None or self.target.identify_id is None:
            return None
        return Claim(self.target.identify_id, self.target.user_id)


def replaced(context: Context, **changes: Any) -> Context:
    """The context with other values.

    A step makes several, and `attrs.evolve` takes longer than everything else in it: it asks each
    attribute for its alias, and the initialiser sets each one by itself.
    """
    copy = object.__new__(Context)
    attributes = vars(copy)
    attributes.update(vars(context))
    attributes.update(changes)
    return copy


def is_secret(stored: str) -> bool:
    """Whether a visitor's secret can be this: at least 128 bits as text, as the Widget API takes
    it.
    """
    return _SECRET.fullmatch(stored) is not None


# --- what a moment says ---------------------------------------------------------------------------


def named(moment: Moment) -> str | None:
    """The user whom a moment names: the call's, or the one that the backend answered as."""
    if moment.arguments is not None:
        return cast("str | None", moment.arguments.user_id)
    answer = moment.result
    return answer.user_id if isinstance(answer, Welcome | IdentifyAnswer) else None


def identified(moment: Moment) -> IdentifyAnswer | None:
    """The answer to an identify, also when a dial learnt it afterwards."""
    answer = moment.result.claim if isinstance(moment.result, Welcome) else moment.result
    return answer if isinstance(answer, IdentifyAnswer) else None


def retry_after(moment: Moment) -> float | None:
    """How many seconds the backend asks to stay away, if it does."""
    return moment.error.retry_after if isinstance(moment.error, RateLimitedError) else None


def not_before(context: Context, moment: Moment) -> float:
    """The moment before which the backend does not want to be dialled, as far as is known now."""
    after = retry_after(moment)
    if after is None:
        return context.not_before
    return max(context.not_before, moment.now.at + min(after, LONGEST_STAY))


def beyond(context: Context, moment: Moment) -> bool:
    """Whether the backend asks to stay away for longer than the call can wait."""
    if moment.request is not None and moment.request.lane == Lane.IDENTIFY:
        after, target = retry_after(moment), context.target
        if after is None or (target is not None and target.again):
            return False  # only this very answer says that what was asked once was not done
        return moment.now.at + after > context.identify_until
    return not_before(context, moment) > max(moment.now.at, context.boot_until)


def identity(context: Context, moment: Moment) -> Identity | None:
    """Who the session is for: what a boot() returns."""
    return context.identity


# --- facts, read from both ------------------------------------------------------------------------


def asks_for_everything(context: Context, moment: Moment) -> bool:
    """Whether it is a shutdown(clear_storage=True)."""
    return moment.arguments is not None and moment.arguments.clear_storage


def damaged(context: Context, moment: Moment) -> bool:
    """Whether no backend takes what is stored: it cannot be a visitor's secret, or is the one of
    which this very boot was told that it is over.
    """
    stored = moment.result
    return isinstance(stored, str) and (not is_secret(stored) or stored == context.visitor)


def silent(context: Context, moment: Moment) -> bool:
    """Whether nothing was heard on the link for the whole limit, and somebody listened.

    A timer that expires late comes from a loop that was blocked: what was said meanwhile lies
    unread. That counts once; whoever hears nothing in the time that this gives is silent.
    """
    at, until = moment.now.at, context.listens_until
    listened = until is None or at <= until + MOST_BLOCKED
    return listened and bool(moment.now.heard_at + moment.settings.silence_timeout <= at)


def provided(context: Context, moment: Moment) -> bool:
    """Whether somebody provides tokens for the session's user."""
    return context.provider is not None


def target_provided(context: Context, moment: Moment) -> bool:
    """Whether somebody provides tokens for the user to be identified."""
    return context.target is not None and context.target.provider is not None


def at_once(context: Context, moment: Moment) -> bool:
    """Whether there is no link for a message that is not to wait for one."""
    asked = moment.arguments
    return context.up_at is None and asked is not None and not asked.queue


def crowded(context: Context, moment: Moment) -> bool:
    """Whether the outbox is full of messages; for a read mark, whether it is full of marks."""
    asked, entries = moment.arguments, context.outbox.entries
    marks = asked is not None and isinstance(asked.message, MarkRead)
    size: int = moment.settings.outbox_size
    return sum(entry.is_mark == marks for entry in entries) >= size


def disowned(context: Context, moment: Moment) -> bool:
    """Whether what was asked is refused as another owner's, while it is not known whether this
    session's identify has made the visitor the user.
    """
    error = moment.error
    is_for_another = isinstance(error, BackendRejectedError) and error.code == o.OWNER_CHANGED
    return is_for_another and context.claim is not None


def repeatable(context: Context, moment: Moment) -> bool:
    """Whether the backend cannot say what became of an identify, and takes it again."""
    return isinstance(moment.result, Welcome) and moment.result.identify == "repeatable"


def outdated(context: Context, moment: Moment) -> bool:
    """Whether what was refused left under an earlier token than the one that is in use."""
    payload = moment.request.payload if moment.request else None
    under: int = getattr(payload, "tokens_accepted", context.tokens_accepted)
    return under != context.tokens_accepted


def own(context: Context, moment: Moment) -> bool:
    """Whether this session has sent the message that arrived."""
    return isinstance(moment.result, MessageArrived) and moment.result.own is True


def queued(context: Context, moment: Moment) -> bool:
    """Whether a message has no answer yet."""
    return bool(context.outbox.entries)


def pending(context: Context, moment: Moment) -> bool:
    """Whether recorded updates wait that the backend does not know yet."""
    return bool(context.updates.recorded)
