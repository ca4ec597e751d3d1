"""What a shell is told: the session's own events, and what came of what a person typed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

import attrs

from support_chat.errors import SupportChatError
from support_chat.lifecycle.events import AnyEvent, to_json
from support_chat.values import Message


def _now() -> Any:
    return attrs.field(factory=time.time, kw_only=True, eq=False)


@attrs.frozen
class Sending:
    """A message is on its way; it is shown at once, before anybody has answered."""

    text: str
    client_message_id: str
    created_at: float = _now()


@attrs.frozen
class Done:
    """A command has done what it says; `says` is for people, a line each, `data` the same for
    programs.
    """

    command: str
    says: tuple[str, ...] = ()
    data: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    created_at: float = _now()


@attrs.frozen
class Said:
    """What was said so far in a conversation, the oldest first."""

    messages: tuple[Message, ...]
    created_at: float = _now()


@attrs.frozen
class Failed:
    """A command has failed, or was no command; the error's message ends with the way out."""

    command: str
    error: SupportChatError
    created_at: float = _now()


@attrs.frozen
class Warned:
    """The library has written a warning to its log, which nobody would see under a prompt."""

    text: str
    created_at: float = _now()


Told: TypeAlias = AnyEvent | Sending | Done | Said | Failed | Warned
"""Everything that a shell shows."""

EVENTS: tuple[type[AnyEvent], ...] = get_args(AnyEvent)
"""The kinds of events of a session, to subscribe to each."""


def as_json(told: Told) -> dict[str, Any]:
    """The same as JSON-ready data, told apart by `type`: events as
    `support_chat.lifecycle.events.to_json` has them.
    """
    match told:
        case Sending():
            return {"type": "message_sending", **attrs.asdict(told)}
        case Done():
            return {
                "type": "command_done",
                "command": told.command,
                **told.data,
                "created_at": told.created_at,
            }
        case Said():
            said = [attrs.asdict(message) for message in told.messages]
            return {
                "type": "command_done",
                "command": "history",
                "messages": said,
                "created_at": told.created_at,
            }
        case Failed():
            error = {"code": told.error.code, "message": told.error.message}
            return {
                "type": "command_failed",
                "command": told.command,
                "error": error,
                "created_at": told.created_at,
            }
        case Warned():
            return {"type": "warning", "message": told.text, "created_at": told.created_at}
        case _:
            return to_json(told)
