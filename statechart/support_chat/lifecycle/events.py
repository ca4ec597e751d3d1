"""What a session tells its listeners: frozen values, each told once, in order, after the step that
caused it.

`id` is unique, `created_at` is in seconds since the epoch, `type` is a stable word for JSON.
Register with `chat.on(PhaseChanged, handler)` or read with `chat.events(...)`; a subscription
survives shutdown and boot, and ends with destroy().
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeAlias

import attrs

from ..values import Identity, Message, SignedIn, Visitor
from .names import Phase


def _stamp(unset: Any) -> Any:
    """A field that is set when the event is told to listeners (`support_chat.runtime`)."""
    return attrs.field(default=unset, kw_only=True, repr=False, eq=False)


@attrs.frozen
class PhaseChanged:
    """The session has gone from one phase to another; `reason` is a short word (`link_lost`,
    `shutdown`, `auth_refused`...).
    """

    type: ClassVar[str] = "phase_changed"
    previous: Phase
    current: Phase
    reason: str = ""
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class Ready:
    """A boot has succeeded: the session is live for `identity`."""

    type: ClassVar[str] = "ready"
    identity: Identity
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class AuthChanged:
    """The session's identity is another than before; None after it has ended."""

    type: ClassVar[str] = "auth_changed"
    identity: Identity | None
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class AuthExpired:
    """The backend no longer accepts the token; a renewal is under way if there is a token
    provider.
    """

    type: ClassVar[str] = "auth_expired"
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class ConnectionChanged:
    """A link has opened or gone. `gap` says that messages were missed which the backend could not
    replay: reload them.
    """

    type: ClassVar[str] = "connection_changed"
    connected: bool
    gap: bool = False
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class AttemptFailed:
    """An attempt to connect has failed, in a boot or while reconnecting: the first, second... in a
    row by `attempt`. The next one begins in `retry_in` seconds.
    """

    type: ClassVar[str] = "attempt_failed"
    error: Exception
    attempt: int
    retry_in: float
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class ErrorOccurred:
    """Something failed that no awaited call raises; `dropped` names the updates that were given up
    with it (not their values).
    """

    type: ClassVar[str] = "error_occurred"
    error: Exception
    dropped: tuple[str, ...] = ()
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class MessageReceived:
    """A message for this session, new or replayed after a reconnect, each one once: an agent's, or
    one that was sent in another tab or on another device.
    """

    type: ClassVar[str] = "message_received"
    message: Message
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class MessageQueued:
    """A message waits: for a link, or for those that were sent before it."""

    type: ClassVar[str] = "message_queued"
    client_message_id: str
    conversation_id: str | None
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class MessageSent:
    """A message of this session has reached the backend; told in the order of the conversation."""

    type: ClassVar[str] = "message_sent"
    message: Message
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class MessageFailed:
    """A message is not stored and will not be sent again; or (`outcome_unknown`) it may be, and is
    not sent again. Sending `text` again with the same id never makes two.
    """

    type: ClassVar[str] = "message_failed"
    client_message_id: str
    error: Exception
    outcome_unknown: bool
    text: str = attrs.field(default="", kw_only=True, repr=False)
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class MessagesRead:
    """The messages of a conversation were read, up to the one with the id `up_to`, in this session
    or another of the same identity.
    """

    type: ClassVar[str] = "messages_read"
    conversation_id: str
    up_to: str
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


@attrs.frozen
class UnreadChanged:
    """The number of unread messages is another than before, or a boot has learnt it; None: it is
    not known any more. That nobody is live any more, `AuthChanged` says.
    """

    type: ClassVar[str] = "unread_changed"
    unread: int | None
    id: str = _stamp("")
    created_at: float = _stamp(0.0)


class Event(Protocol):
    """What every event has."""

    type: ClassVar[str]

    @property
    def id(self) -> str:
        """Unique for every event."""
        ...

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""
        ...


AnyEvent: TypeAlias = (
    PhaseChanged
    | Ready
    | AuthChanged
    | AuthExpired
    | ConnectionChanged
    | AttemptFailed
    | ErrorOccurred
    | MessageQueued
    | MessageReceived
    | MessageSent
    | MessageFailed
    | MessagesRead
    | UnreadChanged
)
"""Every event there is, for exhaustive matching."""


def to_json(event: AnyEvent) -> dict[str, Any]:
    """The event as JSON-ready data: its type, id, time and fields; an error as its code and
    message.
    """
    return {
        "type": event.type,
        **{a.name: _plain(getattr(event, a.name)) for a in attrs.fields(type(event))},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Visitor):
        return {"visitor": value.id}
    if isinstance(value, SignedIn):
        return {"user": value.user_id}
    if isinstance(value, Exception):
        return {"code": getattr(value, "code", "internal_error"), "message": str(value)}
    return attrs.asdict(value) if isinstance(value, Message) else value
