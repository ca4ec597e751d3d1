"""The frames of the realtime gateway: JSON objects with a `type`, from the backend to the client,
and a heartbeat that either side may ask for.

The gateway begins with a `hello` and replays what was missed. A frame of a type that this version
does not know is skipped; one of a known type that does not keep to its form is an error, because
skipping it could lose a message: who dials again gets it again. The same frames come as the answer
of a long poll, for networks that let no WebSocket through.

Own messages, read marks and changes of the owner come to a client that asks for `echoes`: one of
before there were any would take them for somebody else's, or not understand an answer that holds
them.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from support_chat.errors import NetworkError
from support_chat.ports import (
    LinkEvent,
    MessageArrived,
    OwnerChanged,
    ReadUpTo,
    SessionRevoked,
    TokenExpired,
)

from .payloads import Count, Cursor, Id, MessagePayload, Owner, Payload
from .translation import payload_of, value_of

MAX_FRAME_BYTES: Final = 256 * 1024
"""The longest frame that a client reads, in bytes; a message of 16 Ki characters takes at most 96
KiB of it.
"""
MAX_CLIENT_FRAME_BYTES: Final = 4 * 1024
"""The longest frame that a client may send, in bytes; the gateway closes with 1009 at a longer
one.
"""


class Hello(Payload, frozen=True, tag_field="type", tag="hello"):
    """The gateway knows the session, and whose it is now; what follows begins after `cursor`, and
    `gap` says that something before it is lost.
    """

    cursor: Cursor
    gap: bool = False
    unread: Count | None = 0
    owner: Owner | None = None


class MessageCreated(Payload, frozen=True, tag_field="type", tag="message.created"):
    """A message for this session, new or replayed; `cursor` is where a reconnect goes on. `own`
    says that this very session has sent it.
    """

    message: MessagePayload
    cursor: Cursor
    unread: Count | None = 0
    own: bool = False


class ConversationRead(Payload, frozen=True, tag_field="type", tag="conversation.read"):
    """On some link of this identity, this one included, a conversation was read up to a message."""

    conversation_id: Id
    up_to: Id
    unread: Count | None = None


class OwnerHasChanged(Payload, frozen=True, tag_field="type", tag="owner.changed"):
    """The session is another visitor's, since its own was merged elsewhere: dial again."""


class TokenHasExpired(Payload, frozen=True, tag_field="type", tag="token.expired"):
    """The session's identity token is not accepted any more: refresh the session."""


class SessionEnded(Payload, frozen=True, tag_field="type", tag="session.revoked"):
    """The backend has ended this session for good; the link closes after this."""

    reason: Annotated[str, Meta(max_length=64)] = "revoked"


class Ping(Payload, frozen=True, tag_field="type", tag="ping"):
    """Asks the other side for a sign of life, where nobody sees the pings of the protocol."""


class Pong(Payload, frozen=True, tag_field="type", tag="pong"):
    """The answer to a `ping`."""


Told: TypeAlias = (
    MessageCreated | ConversationRead | OwnerHasChanged | TokenHasExpired | SessionEnded
)
"""Every frame that carries a link event."""
Frame: TypeAlias = Hello | Told | Ping | Pong
"""Every frame there is."""
_EVENT_OF: Final[dict[type[Told], type[LinkEvent]]] = {
    MessageCreated: MessageArrived,
    ConversationRead: ReadUpTo,
    OwnerHasChanged: OwnerChanged,
    TokenHasExpired: TokenExpired,
    SessionEnded: SessionRevoked,
}
_FRAME_OF: Final = {event: frame for frame, event in _EVENT_OF.items()}

FRAMES: Final[dict[str, type[Frame]]] = {
    "hello": Hello,
    "message.created": MessageCreated,
    "conversation.read": ConversationRead,
    "owner.changed": OwnerHasChanged,
    "token.expired": TokenHasExpired,
    "session.revoked": SessionEnded,
    "ping": Ping,
    "pong": Pong,
}
PolledFrame: TypeAlias = MessageCreated | ConversationRead | OwnerHasChanged | SessionEnded
"""What a poll brings as a frame."""


class Polled(Payload, frozen=True):
    """The answer of a long poll: what happened after the cursor and the read mark that were asked
    for, where the next poll begins, and whose the session is now.
    """

    cursor: Cursor
    frames: tuple[PolledFrame, ...] = ()
    gap: bool = False
    unread: Count | None = 0
    token_expired: bool = False
    """The session's token is not accepted any more; a poll that says it knows waits for something
    else.
    """
    marked: Count | None = None
    """The number of the last read mark that was told, for the next poll."""
    owner: Owner | None = None


class _Typed(msgspec.Struct):
    type: str


def encode_frame(frame: Frame) -> str:
    """The text of a frame."""
    return msgspec.json.encode(frame).decode()


def decode_frame(text: str | bytes) -> Frame | None:
    """The frame of this text, None if its type is not known here; raises NetworkError for one that
    is no frame at all.
    """
    try:
        kind = FRAMES.get(msgspec.json.decode(text, type=_Typed).type)
        return None if kind is None else msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NetworkError(
            "The backend sent a frame that cannot be read; the session dials again and asks for "
            "it anew."
        ) from None


def frame_of(event: LinkEvent) -> Told:
    """The frame that carries a link event."""
    return payload_of(event, _FRAME_OF[type(event)])


def event_of(frame: Frame) -> LinkEvent | None:
    """The link event that a frame brings; None for a `hello` or a heartbeat, which are the link's
    own business.
    """
    return (
        None if isinstance(frame, Hello | Ping | Pong) else value_of(frame, _EVENT_OF[type(frame)])
    )
