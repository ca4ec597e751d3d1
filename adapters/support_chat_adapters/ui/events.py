"""A session's events in words, the same in every program."""

from __future__ import annotations

from support_chat import (
    AnyEvent,
    AttemptFailed,
    AuthChanged,
    AuthExpired,
    ConnectionChanged,
    ErrorOccurred,
    Identity,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    MessageSent,
    MessagesRead,
    PhaseChanged,
    Ready,
    SignedIn,
    UnreadChanged,
    Visitor,
)


def in_words(event: AnyEvent, *, visitor: str | None = None) -> str:
    """What has happened, in a few words; `visitor` takes the place of a visitor's id."""
    match event:
        case PhaseChanged():
            because = f" ({event.reason})" if event.reason else ""
            return f"phase: {event.previous} -> {event.current}{because}"
        case Ready():
            return f"ready: as {_named(event.identity, visitor)}"
        case AuthChanged(identity=Visitor() | SignedIn() as identity):
            words = "signed in as" if isinstance(identity, SignedIn) else "you are"
            return f"{words} {_named(identity, visitor)}"
        case AuthChanged():
            return "nobody is live"
        case AuthExpired():
            return "the backend asks for a fresh token"
        case ConnectionChanged():
            return f"link: {'open' if event.connected else 'gone'}{', with a gap' * event.gap}"
        case AttemptFailed():
            return f"attempt {event.attempt} failed: {event.error}"
        case ErrorOccurred():
            return f"error: {event.error}"
        case MessageReceived():
            return f'message from the {event.message.author}: "{event.message.text}"'
        case MessageSent():
            return f'message sent: "{event.message.text}"'
        case MessageQueued():
            return "a message waits"
        case MessageFailed():
            return f"message failed: {event.error}"
        case MessagesRead():
            return "messages were read"
        case UnreadChanged():
            return f"unread: {event.unread}"


def _named(identity: Identity, visitor: str | None) -> str:
    return visitor if visitor and isinstance(identity, Visitor) else str(identity)
