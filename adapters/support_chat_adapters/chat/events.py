"""What a shell shows: the session's own events, and what came of what a person typed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias, cast

import attrs

from support_chat import AnyEvent, Message, SupportChatError
from support_chat.lifecycle.events import to_json


def _now() -> Any:
    return attrs.field(factory=time.time, kw_only=True, eq=False)


@attrs.frozen
class Sending:
    """A message is on its way; it is shown at once, before anybody has answered."""

    type: ClassVar[str] = "message_sending"
    text: str
    client_message_id: str
    created_at: float = _now()


@attrs.frozen
class Done:
    """A command has done its work. `shows` is for people, a line each; `data` the same for
    programs.
    """

    type: ClassVar[str] = "command_done"
    command: str
    shows: tuple[str | Message, ...] = ()
    data: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    created_at: float = _now()


@attrs.frozen
class Failed:
    """A command has failed, or was no command; the error's message ends with the way out."""

    type: ClassVar[str] = "command_failed"
    command: str
    error: SupportChatError
    created_at: float = _now()


@attrs.frozen
class Warned:
    """Something that a person should know: of the client, or a warning in the library's log."""

    type: ClassVar[str] = "warning"
    message: str
    created_at: float = _now()


Event: TypeAlias = AnyEvent | Sending | Done | Failed | Warned
"""Everything that a shell shows."""


def as_json(event: Event) -> dict[str, Any]:
    """The event as JSON-ready data, told apart by `type`."""
    if isinstance(event, Done):
        stamped = {"command": event.command, **event.data, "created_at": event.created_at}
        return {"type": event.type, **stamped}
    return to_json(cast("AnyEvent", event))  # ours have the same shape as the session's
