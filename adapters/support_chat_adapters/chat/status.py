"""Where the session stands, in one line: a value that each event changes, and the bar that shows
it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

from support_chat import (
    AttemptFailed,
    AuthChanged,
    ConnectionChanged,
    Identity,
    MessageReceived,
    MessageSent,
    Phase,
    PhaseChanged,
)

from .events import Event

Fragments: TypeAlias = list[tuple[str, str]]
"""Pieces of text, each with the class of its style."""

KINDS: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        Phase.NOT_INITIALIZED: "idle",
        Phase.LOADING: "trying",
        Phase.READY: "idle",
        Phase.BOOTING: "trying",
        Phase.ANONYMOUS: "live",
        Phase.AUTHENTICATED: "live",
        Phase.RECONNECTING: "trying",
        Phase.DISCONNECTED: "lost",
        Phase.SHUTDOWN: "lost",
        Phase.DESTROYED: "idle",
    }
)
"""How each phase looks: `live` can send, `trying` moves by itself, `lost` waits for something,
`idle` has not begun.
"""

_TURNS: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURNS_PER_SECOND: Final = 8


@attrs.frozen
class Status:
    """What the bar shows, and what lines depend on. Times are in seconds since the epoch.

    Attributes:
        since: When this phase began.
        lost_at: When the link that is gone was lost.
        trouble: What the last attempt to connect has failed of, in words.
        away: The last time without a link: from, to.
        sending: How many messages are on their way.
        conversation: Where something was said last; None if that is not known.
    """

    url: str
    phase: Phase = Phase.NOT_INITIALIZED
    since: float = 0.0
    identity: Identity | None = None
    unread: int = 0
    lost_at: float | None = None
    trouble: str = ""
    away: tuple[float, float] = (0.0, 0.0)
    sending: int = 0
    conversation: str | None = None


def after(status: Status, event: Event) -> Status:
    """The status after the event."""
    match event:
        case PhaseChanged():
            return attrs.evolve(status, phase=event.current, since=event.created_at)
        case AuthChanged():
            return attrs.evolve(status, conversation=None)
        case ConnectionChanged(connected=False) if status.lost_at is None:
            return attrs.evolve(status, lost_at=event.created_at)
        case ConnectionChanged(connected=True):
            lost, now = status.lost_at, event.created_at
            away = status.away if lost is None else (lost, now)
            return attrs.evolve(status, lost_at=None, trouble="", away=away)
        case AttemptFailed():
            return attrs.evolve(status, trouble=str(event.error))
        case MessageSent(message) | MessageReceived(message):
            return attrs.evolve(status, conversation=message.conversation_id)
        case _:
            return status


def lasted(seconds: float) -> str:
    """A length of time as people read it: `6 s`, `2 min 5 s`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def bar(status: Status, now: float, width: int, hint: str = "/help") -> Fragments:
    """The status as a line of at most `width` characters; what matters least gives way first, the
    phase never does.

    `now` is in seconds since the epoch. While a phase moves by itself, so does the bar, and it says
    for how long.
    """
    kind = KINDS[status.phase]
    phase = f" {status.phase} "
    if kind == "trying":
        phase += f"{_TURNS[int(now * _TURNS_PER_SECOND) % len(_TURNS)]} "
    if kind == "trying" or status.lost_at is not None:
        phase += f"{lasted(now - (status.since if status.lost_at is None else status.lost_at))} "
    shown = {
        "identity": str(status.identity or ""),
        "url": status.url.split("://")[-1],
        "unread": f"{status.unread} unread" if status.unread else "",
        "sending": f"sending {status.sending}" if status.sending else "",
        "hint": f"{hint} ",
    }
    texts = {name: f"  {text}" for name, text in shown.items() if text}
    for name in ("url", "unread", "identity", "sending", "hint"):
        if len(phase) + sum(map(len, texts.values())) <= width:
            break
        texts.pop(name, None)
    filled = width - len(phase) - sum(map(len, texts.values()))
    texts["hint"] = " " * filled + texts.pop("hint", "")
    parts = ((f"class:bar.{name}", text) for name, text in texts.items())
    return [(f"class:phase.{kind}", phase[:width]), *parts]
