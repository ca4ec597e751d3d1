"""What travels as JSON over HTTP: one struct a payload, in camelCase on the wire, checked while it
is decoded.

Limits are part of the types, so that they are documented where they are enforced. Keys that a
reader does not know are ignored: an older client understands a newer backend. No payload is ever
shown in a log or a `repr`, since most hold secrets or personal data.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from support_chat.values import NotMergedBecause

# Patterns are documented here, and told by the backend, whose errors say more.
ID_PATTERN: Final = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"
"""An id begins and ends with something, and holds no control characters."""
_NO_NUL: Final[dict[str, object]] = {"pattern": r"^[^\x00]*$"}
_NOT_BLANK: Final[dict[str, object]] = {"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"}
Id: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="An id, of at most 255 characters: no control characters, no blanks at its "
        "ends. It is kept character for character.",
        extra_json_schema={"pattern": ID_PATTERN},
    ),
]
Secret: TypeAlias = Annotated[
    str,
    Meta(
        min_length=22,
        max_length=512,
        description="A random secret of at least 128 bits, as text (22 characters of base64url).",
    ),
]
Credential: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=512, description="A credential that the backend has given out."),
]
Token: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=16 * 1024,
        description="An identity token: a JWT of at most 16 KiB.",
    ),
]
Cursor: TypeAlias = Annotated[
    str, Meta(max_length=64, description="Where a replay or a listing goes on; opaque.")
]
OWNER_PATTERN: Final = r"^(visitor|user):[A-Za-z0-9._~%-]+$"
"""An identity as text that any header can carry."""
Owner: TypeAlias = Annotated[
    str,
    Meta(
        description="Whose something is: `visitor:` or `user:` and the percent-encoded id.",
        extra_json_schema={"pattern": OWNER_PATTERN},
    ),
]
Text: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=16 * 1024,
        description="The text of a message, without NUL. It is kept character for character: "
        "nothing is trimmed or normalised.",
        extra_json_schema=_NOT_BLANK,
    ),
]
Label: TypeAlias = Annotated[str, Meta(max_length=255, extra_json_schema=_NO_NUL)]
Details: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        max_length=64,
        description="Names to JSON values, nested at most 100 deep, whose texts hold no NUL.",
    ),
]
Paths: TypeAlias = Annotated[
    dict[str, Any],
    Meta(
        max_length=1024,
        description="Dotted path (`user.email`, `context.page`) to JSON value; null erases.",
        examples=[{"user.name": "Ada"}],
    ),
]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0)]


class Payload(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The base of what follows: frozen, camelCase on the wire, defaults left out."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Rejected(Payload, frozen=True, omit_defaults=False):
    """A path of an update that was not stored, and why."""

    path: str
    reason: str


class Identity(Payload, frozen=True):
    """Who a session is opened for, instead of the visitor."""

    user_id: Id
    token: Token | None = None


class LostIdentify(Payload, frozen=True):
    """An identify whose answer was lost: the backend says what became of it, and closes its id.

    The session is the user's if it was committed, so the user's token comes along.
    """

    identify_id: Id
    user_id: Id
    token: Token | None = None


class OpenSession(Payload, frozen=True):
    """Begins a session, or resumes the one that `session` names; for the visitor, or for a user
    from its first moment.
    """

    workspace_id: Id
    widget_id: Id
    visitor: Secret
    session: Credential | None = None
    identity: Identity | None = None
    claim: LostIdentify | None = None
    cursor: Cursor | None = None


class Identified(Payload, frozen=True):
    """What an identify did: whom the backend accepted, and what became of the visitor."""

    user_id: Id
    merged: bool
    conversations_moved: Count = 0
    not_merged_because: NotMergedBecause | None = None
    rejected: tuple[Rejected, ...] = ()
    unread: Count | None = None
    session: Credential | None = None
    """The session's new credential; without it, it is the same."""


class SessionOpened(Payload, frozen=True):
    """Who the caller is, and under which session; with a realtime token, so that a dial needs two
    round trips and not three. `can` names what this backend does and others may not; words that a
    client does not know are ignored.
    """

    session: Credential
    realtime_token: Credential
    visitor_id: Id | None = None
    user_id: Id | None = None
    claim: Identified | None = None
    cursor: Cursor | None = None
    gap: bool = False
    unread: Count | None = 0
    can: tuple[str, ...] = ()


class Identify(Payload, frozen=True):
    """Turns the session's visitor into a user, once for each `identifyId`; the visitor's secret
    authorises the merge.
    """

    identify_id: Id
    user_id: Id
    visitor: Secret
    token: Token | None = None
    visitor_changes: Paths = {}
    user_changes: Paths = {}


class Refresh(Payload, frozen=True):
    """A fresh token for the session's user."""

    token: Token


class Refreshed(Payload, frozen=True):
    """The token was taken, and the session has another credential from now on."""

    session: Credential


class EndVisitor(Payload, frozen=True):
    """Nobody has this visitor's secret any more; the secret itself authorises this."""

    workspace_id: Id
    widget_id: Id
    visitor: Secret


class RealtimeToken(Payload, frozen=True):
    """Opens the realtime gateway once, within `expiresIn` seconds."""

    realtime_token: Credential
    expires_in: Seconds


class ClientEvent(Payload, frozen=True):
    """Something the client tells: what has changed about the session's identity, its company or its
    context.
    """

    changes: Paths
    type: Literal["profile.updated"] = "profile.updated"


class EventTaken(Payload, frozen=True):
    """What of a client event was not stored."""

    rejected: tuple[Rejected, ...] = ()


class AgentPayload(Payload, frozen=True):
    """Who has answered: an id of the helpdesk's own, and the name to be shown."""

    id: Id
    name: str | None = None


class MessagePayload(Payload, frozen=True):
    """A message as it is stored; `createdAt` in seconds since the epoch."""

    id: Id
    conversation_id: Id
    author: Literal["visitor", "user", "agent"]
    text: str
    created_at: float
    client_message_id: str | None = None
    agent: AgentPayload | None = None


class ConversationPayload(Payload, frozen=True, omit_defaults=False):
    """A conversation: how many messages it holds and how many of the agents' are unread, null where
    that is not counted; `createdAt` in seconds since the epoch.
    """

    id: Id
    messages: Count | None
    unread: Count | None
    created_at: float
    subject: str | None = None
    tags: tuple[str, ...] = ()
    custom_fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class ConversationsPage(Payload, frozen=True, omit_defaults=False):
    """Conversations, the newest first; `nextCursor` gets the next page, null on the last one."""

    conversations: tuple[ConversationPayload, ...]
    next_cursor: Cursor | None = None


class MessagesPage(Payload, frozen=True, omit_defaults=False):
    """Messages of a conversation, the oldest first; `nextCursor` gets the next page, as `cursor` or
    as `before`, whichever this page was asked for with; null on the last one.
    """

    messages: tuple[MessagePayload, ...]
    next_cursor: Cursor | None = None


class StartConversation(Payload, frozen=True):
    """Begins a conversation with its first message."""

    message: Text
    client_message_id: Id
    subject: Label | None = None
    tags: Annotated[tuple[Label, ...], Meta(max_length=64)] = ()
    custom_fields: Details = {}
    metadata: Details = {}


class ConversationStarted(Payload, frozen=True):
    """The new conversation and its first message; the same `clientMessageId` again answers with
    what it began before.
    """

    conversation: ConversationPayload
    message: MessagePayload


class SendMessage(Payload, frozen=True):
    """A message to a conversation; the same `clientMessageId` never makes two."""

    text: Text
    client_message_id: Id


class ReadUpToNow(Payload, frozen=True, omit_defaults=False):
    """What is left to read, over all conversations; null where that is not counted."""

    unread: Count | None


class IdentityRules(Payload, frozen=True, omit_defaults=False):
    """Who may come in."""

    anonymous_allowed: bool
    jwt_required_for_identified_users: bool
    allow_anonymous_to_identified_merge: bool


class WidgetConfig(Payload, frozen=True):
    """What everybody may know of a widget."""

    workspace_id: Id
    widget_id: Id
    identity: IdentityRules


class Problem(Payload, frozen=True, omit_defaults=False):
    """What went wrong: a stable word, a sentence with the way out, and whether the same request may
    succeed later.
    """

    code: str
    message: str
    recoverable: bool
    reason: str | None = None
    request_id: str | None = None


class ErrorEnvelope(Payload, frozen=True):
    """The body of every answer that is an error."""

    error: Problem
