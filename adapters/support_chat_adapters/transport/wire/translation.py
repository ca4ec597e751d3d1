"""Payloads to the values of the ports and back: the same things under the names of the wire.

What has the same shape on both sides is converted as it is (`payload_of`, `value_of`); the others
are for what has another.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote

import attrs
import msgspec
from msgspec import Struct, structs

from support_chat.errors import BackendRejectedError, InvalidInputError
from support_chat.ports import (
    Claim,
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Outgoing,
    Welcome,
)
from support_chat.values import About, Conversation, Identity as ChatIdentity, SignedIn, Visitor

from .payloads import (
    OWNER_PATTERN,
    ConversationPayload,
    Identified,
    Identify,
    Identity,
    LostIdentify,
    OpenSession,
    Rejected,
    SessionOpened,
    StartConversation,
)
from .problems import shortened

P = TypeVar("P", bound=Struct)
V = TypeVar("V")

ECHOES: Final = "echoes"
"""The word by which a backend says that a client may ask for its own messages, and for read marks
and changes of the owner."""
PAGES: Final = "pages_before"
"""That it lists messages before one."""
CAN: Final = (ECHOES, "marks", "epoch", "owner", PAGES)
"""What our backend can, in the words of the welcome."""


def payload_of(value: object, kind: type[P]) -> P:
    """A value of the same shape, as a payload; raises BackendRejectedError beyond its limits, as
    the backend would.
    """
    try:
        return msgspec.convert(value, kind, from_attributes=True)
    except msgspec.ValidationError as error:
        raise BackendRejectedError(
            f"{kind.__name__} takes no such value: {error}.", code="validation_error"
        ) from None


def value_of(payload: Struct, kind: type[V]) -> V:
    """A payload, as a value of the same shape."""
    return msgspec.convert(payload, kind, from_attributes=True)


def owner_text(identity: ChatIdentity) -> str:
    """An identity as text that any header can carry."""
    if isinstance(identity, Visitor):
        return f"visitor:{quote(identity.id, safe='')}"
    return f"user:{quote(identity.user_id, safe='')}"


def owner_from(text: str) -> ChatIdentity:
    """The identity that such a text names; raises InvalidInputError for what is none."""
    if re.fullmatch(OWNER_PATTERN, text) is None:
        raise InvalidInputError(
            "An owner is `visitor:` or `user:` and the percent-encoded id of whoever is meant."
        )
    kind, _, quoted = text.partition(":")
    id = unquote(quoted)
    return Visitor(id) if kind == "visitor" else SignedIn(id)


def opening_of(credentials: Credentials) -> OpenSession:
    """What a dial presents, as a request."""
    claim, user_id, token = credentials.claim, credentials.user_id, credentials.token
    return OpenSession(
        workspace_id=credentials.workspace_id,
        widget_id=credentials.widget_id,
        visitor=credentials.visitor,
        session=credentials.session,
        identity=None if user_id is None else Identity(user_id=user_id, token=token),
        claim=None
        if claim is None
        else LostIdentify(identify_id=claim.identify_id, user_id=claim.user_id, token=token),
        cursor=credentials.cursor,
    )


def credentials_of(request: OpenSession) -> Credentials:
    """What a dial presented, as the backend takes it."""
    identity, claim = request.identity, request.claim
    proven = identity or claim
    return Credentials(
        workspace_id=request.workspace_id,
        widget_id=request.widget_id,
        visitor=request.visitor,
        session=request.session,
        user_id=None if identity is None else identity.user_id,
        token=None if proven is None else proven.token,
        claim=None if claim is None else Claim(claim.identify_id, claim.user_id),
        cursor=request.cursor,
    )


def opened_of(welcome: Welcome, realtime_token: str) -> SessionOpened:
    """The backend's welcome, as an answer."""
    return SessionOpened(
        session=welcome.session,
        visitor_id=welcome.visitor_id,
        realtime_token=realtime_token,
        user_id=welcome.user_id,
        claim=None if welcome.claim is None else identified_of(welcome.claim),
        cursor=welcome.cursor,
        gap=welcome.gap,
        unread=welcome.unread,
        can=CAN if welcome.echoes else (),
    )


def welcome_of(answer: SessionOpened) -> Welcome:
    """An answer, as the backend's welcome."""
    return Welcome(
        session=answer.session,
        visitor_id=answer.visitor_id,
        user_id=answer.user_id,
        claim=None if answer.claim is None else identify_answer_of(answer.claim),
        cursor=answer.cursor,
        gap=answer.gap,
        unread=answer.unread,
        echoes=ECHOES in answer.can,
    )


def identify_request_of(request: Identify) -> IdentifyRequest:
    """A request, as the identify that the backend takes."""
    # `value_of` does not know the type of JSON, which is recursive
    return IdentifyRequest(**structs.asdict(request))


def identified_of(answer: IdentifyAnswer) -> Identified:
    """What an identify did, as an answer."""
    return Identified(
        user_id=answer.user_id,
        merged=answer.merged,
        conversations_moved=answer.conversations_moved,
        not_merged_because=answer.not_merged_because,
        rejected=rejected_of(answer.rejected),
        unread=answer.unread,
        session=answer.session,
    )


def identify_answer_of(answer: Identified) -> IdentifyAnswer:
    """An answer, as what an identify did."""
    return IdentifyAnswer(
        user_id=answer.user_id,
        merged=answer.merged,
        conversations_moved=answer.conversations_moved,
        not_merged_because=answer.not_merged_because,
        rejected=rejections_of(answer.rejected),
        unread=answer.unread,
        session=answer.session,
    )


def rejected_of(rejections: tuple[tuple[str, str], ...]) -> tuple[Rejected, ...]:
    """Rejected paths with their reasons, for the wire."""
    return tuple(Rejected(path=path, reason=reason) for path, reason in rejections)


def rejections_of(rejected: tuple[Rejected, ...]) -> tuple[tuple[str, str], ...]:
    """Rejected paths with their reasons, from the wire."""
    return tuple((one.path, shortened(one.reason)) for one in rejected)


def conversation_from(conversation: Conversation) -> ConversationPayload:
    """A conversation, for the wire."""
    return ConversationPayload(
        id=conversation.id,
        messages=conversation.messages,
        unread=conversation.unread,
        created_at=conversation.created_at,
        **_said(conversation.about),
    )


def conversation_to(payload: ConversationPayload) -> Conversation:
    """A conversation, from the wire."""
    return Conversation(
        payload.id, payload.messages, payload.unread, payload.created_at, _about(payload)
    )


def beginning_of(message: Outgoing) -> StartConversation:
    """A message that begins a conversation, as a request."""
    return StartConversation(
        message=message.text,
        client_message_id=message.client_message_id,
        **_said(message.about),
    )


def outgoing_of(request: StartConversation) -> Outgoing:
    """A request to begin a conversation, as the message that does."""
    return Outgoing(request.client_message_id, request.message, about=_about(request))


def _said(about: About) -> dict[str, Any]:
    return attrs.asdict(about, recurse=False)


def _about(payload: ConversationPayload | StartConversation) -> About:
    return About(
        subject=payload.subject,
        tags=payload.tags,
        custom_fields=payload.custom_fields,
        metadata=payload.metadata,
    )
