"""What adapters are asked for: a value for each kind of request, and how it is made of the context.

A request holds all that its adapter needs and nothing of another identity (property S4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from ..engine import Close, Command, Moment, Now, Perform, Request
from ..errors import NetworkError, StorageError, TokenProviderError, VisitorEndedError
from ..ports import (
    Credentials,
    IdentifyRequest,
    MarkRead,
    Outgoing,
    ReadAnswer,
    TokenProvider,
    TokenReason,
    Use,
    Welcome,
)
from ..settings import Settings
from ..values import Changes, Identity, Message
from . import outbox as o
from .context import Context, is_secret
from .tokens import Token, read_token


def _prefix(keys: Keys) -> str:
    """No two scopes share one, whatever characters their ids hold (property S23)."""
    parts = (keys.workspace_id, keys.widget_id, keys.scope)
    escaped = (part.replace("%", "%25").replace("/", "%2F") for part in parts)
    return "/".join(("support-chat", *escaped, ""))


@attrs.frozen
class Keys:
    """Whom a session speaks to, and where it keeps its keys."""

    workspace_id: str
    widget_id: str
    scope: str
    prefix: str = attrs.field(
        init=False, repr=False, default=attrs.Factory(_prefix, takes_self=True)
    )
    """What every key of the scope begins with."""

    @property
    def visitor(self) -> str:
        """The one key that is stored: the visitor's secret."""
        return f"{self.prefix}visitor"


# --- the requests ---------------------------------------------------------------------------------


@attrs.frozen
class CheckStorage:
    """See that `key` can be read."""

    key: str


@attrs.frozen
class CheckVisitor:
    """See that `key` still holds `visitor`."""

    key: str
    visitor: str | None = attrs.field(repr=False)


@attrs.frozen
class CreateVisitor:
    """Store a new secret under `key` if there is none; the adapter mints it, so no log has it."""

    key: str


@attrs.frozen
class MendVisitor:
    """Remove what is stored under `key`, unless it is another than `bad` by now; then store a new
    secret.
    """

    key: str
    bad: str = attrs.field(repr=False)

    def mended(self, removed: str | None) -> str | None:
        """The secret to be stored again: that of whoever has mended it since this was asked for,
        and dials with it; None if nobody has.
        """
        is_good = removed is not None and removed != self.bad and is_secret(removed)
        return removed if is_good else None


@attrs.frozen
class Clear:
    """Remove every key that begins with `prefix`, but for `keep`; answer what `visitor` held."""

    prefix: str
    visitor: str
    keep: str | None = None


@attrs.frozen
class FetchToken:
    """Call the token provider. `spent` is the digest of a token that was refused."""

    provider: TokenProvider | None = attrs.field(repr=False)
    user_id: str | None
    spent: bytes | None = attrs.field(default=None, repr=False)
    reason: TokenReason = "first"


@attrs.frozen
class Dial:
    """Open a link."""

    credentials: Credentials


@attrs.frozen
class Identify:
    """Ask the backend to make the visitor this user."""

    request: IdentifyRequest


@attrs.frozen
class Update:
    """Send these changes."""

    changes: Changes = attrs.field(repr=False, hash=False)
    owner: Identity | None
    tokens_accepted: int = 0
    """Under which token it leaves, told by how many were accepted until then."""


@attrs.frozen
class Renew:
    """Present the token."""

    token: str = attrs.field(repr=False)


@attrs.frozen
class UseLink:
    """Ask of the link what a call is for."""

    use: Use


@attrs.frozen
class SendMessage:
    """Send the message, or the mark, that the call `number` has given, for the `attempt`-th
    time.
    """

    message: Outgoing | MarkRead
    number: int
    attempt: int
    tokens_accepted: int = 0
    """As an update's."""


@attrs.frozen
class Part:
    """Revoke the session by name, if there is one, and say goodbye on the link that comes along."""

    session: str | None = attrs.field(repr=False)


@attrs.frozen
class EndVisitor:
    """Tell the backend that the visitor is over; whatever comes of it, nobody waits."""

    workspace_id: str
    widget_id: str
    visitor: str = attrs.field(repr=False)


@attrs.frozen
class Revoke:
    """Revoke the session by name; whatever comes of it, nobody waits."""

    session: str = attrs.field(repr=False)


@attrs.frozen
class Release:
    """End what is left, and let go of everything."""


# --- how they are made ----------------------------------------------------------------------------


def check_storage(context: Context, moment: Moment) -> CheckStorage:
    """To read the visitor's key."""
    return CheckStorage(moment.keys.visitor)


def check_visitor(context: Context, moment: Moment) -> CheckVisitor:
    """To see that the session's visitor is the stored one."""
    return CheckVisitor(moment.keys.visitor, context.visitor)


def unchanged(request: Request, stored: str | None, now: Now) -> None:
    """Nothing. Raises VisitorEndedError if the session's visitor is not the stored one."""
    if stored != request.payload.visitor:
        raise VisitorEndedError("The storage holds another visitor by now, or none.")


def read_visitor(context: Context, moment: Moment) -> CreateVisitor | MendVisitor:
    """To read the visitor's secret, or mint it; to replace the one just read if it is damaged."""
    key = moment.keys.visitor
    return CreateVisitor(key) if moment.result is None else MendVisitor(key, moment.result)


def end_visitor(context: Context, moment: Moment) -> EndVisitor | None:
    """To tell the backend that the visitor just removed is over; nothing if there was none."""
    secret, keys = moment.result, moment.keys
    if secret is None or not is_secret(secret):
        return None
    return EndVisitor(keys.workspace_id, keys.widget_id, secret)


def visitor_of(request: Request, stored: str, now: Now) -> str:
    """The visitor's secret, as stored; whoever has stored it just now has stored a good one.
    Raises StorageError.
    """
    mended = request.payload
    if isinstance(mended, MendVisitor) and (stored == mended.bad or not is_secret(stored)):
        raise StorageError("The storage returned what cannot be a visitor's secret; check it.")
    return stored


def clear_user(context: Context, moment: Moment) -> Clear:
    """To remove every key of the scope but the visitor."""
    return Clear(moment.keys.prefix, moment.keys.visitor, keep=moment.keys.visitor)


def clear_all(context: Context, moment: Moment) -> Clear:
    """To remove every key of the scope."""
    return Clear(moment.keys.prefix, moment.keys.visitor)


def fetch_token(context: Context, moment: Moment) -> FetchToken:
    """For a token of the session's user."""
    return FetchToken(context.provider, context.user_id, context.spent, context.token_reason)


def fetch_target_token(context: Context, moment: Moment) -> FetchToken:
    """For a token of the user to be identified."""
    target = context.target
    if target is None:
        return FetchToken(None, None)
    return FetchToken(target.provider, target.user_id, context.spent, context.token_reason)


def token_of(request: Request, raw: Any, now: Now) -> Token:
    """What the provider returned, as a token. Raises TokenProviderError or TokenRefusedError."""
    fetch = request.payload
    if fetch.user_id is None:
        raise TokenProviderError("There is no user whose token to fetch; name one in boot().")
    return read_token(raw, user_id=fetch.user_id, spent=fetch.spent, wall=now.wall)


def dial(context: Context, moment: Moment) -> Dial:
    """To open a link as whoever we are, or ask to be."""
    return Dial(
        Credentials(
            workspace_id=moment.keys.workspace_id,
            widget_id=moment.keys.widget_id,
            visitor=context.visitor or "",
            session=context.session,
            user_id=context.user_id,
            token=context.token.value if context.token else None,
            claim=context.claim,
            cursor=context.cursor,
        )
    )


def undo_dial(request: Request, welcome: Welcome | None, settings: Settings) -> Iterable[Command]:
    """Closes a link that came too late, and revokes the session that its dial began."""
    yield Close(request.number)
    if welcome is not None and request.payload.credentials.session is None:
        revoke = Request("", "", 0, Revoke(welcome.session))
        yield Perform(revoke, settings.revoke_timeout)


def identify(context: Context, moment: Moment) -> Identify:
    """To become the target."""
    target = context.target
    return Identify(
        IdentifyRequest(
            identify_id=(target and target.identify_id) or "",
            user_id=target.user_id if target else "",
            visitor=context.visitor or "",
            token=context.token.value if context.token else None,
            visitor_changes=context.updates.carried,
            user_changes=context.updates.carried_held,
        )
    )


def update(context: Context, moment: Moment) -> Update:
    """To send what was recorded."""
    return Update(context.updates.sent, context.identity, context.tokens_accepted)


def renew(context: Context, moment: Moment) -> Renew:
    """To present the fresh token."""
    return Renew(context.token.value if context.token else "")


def use_link(context: Context, moment: Moment) -> UseLink:
    """To do what the call is for, for whom it was shown to."""
    return UseLink(attrs.evolve(moment.arguments.use, owner=context.identity))


def send_messages(context: Context, moment: Moment) -> Sequence[SendMessage]:
    """To send whatever may leave now."""
    leaving = o.sendable(context.outbox, moment.now.at)
    accepted = context.tokens_accepted
    return [SendMessage(e.message, e.number, e.attempts + 1, accepted) for e in leaving]


def answer_of(request: Request, answer: Message | ReadAnswer, now: Now) -> Message | ReadAnswer:
    """The message as it was stored, or what is unread after a mark. Raises NetworkError for the
    one in the place of the other.
    """
    is_mark = isinstance(request.payload.message, MarkRead)
    if isinstance(answer, ReadAnswer) != is_mark:
        asked = "mark" if is_mark else "message"
        raise NetworkError(f"The transport answered a {asked} with {type(answer).__name__}.")
    return answer


def part(context: Context, moment: Moment) -> Part:
    """To end the session at the backend."""
    return Part(context.session)


def release(context: Context, moment: Moment) -> Release:
    """To let go of everything."""
    return Release()
