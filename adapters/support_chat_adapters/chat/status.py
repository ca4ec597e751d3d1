"""Where the session stands, in one line: a value that what is told changes, and the bar that shows
it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

from support_chat.lifecycle.events import (
    AuthChanged,
    ConnectionChanged,
    MessageFailed,
    MessageReceived,
    MessageSent,
    PhaseChanged,
    UnreadChanged,
)
from support_chat.lifecycle.names import Phase
from support_chat.values import Identity, SignedIn

from .told import Sending, Told

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
    """What the bar shows. Times are in seconds since the epoch."""

    url: str
    phase: Phase = Phase.NOT_INITIALIZED
    since: float = 0.0
    """When this phase began."""
    identity: Identity | None = None
    unread: int = 0
    lost_at: float | None = None
    """When the link that is gone was lost."""
    away: tuple[float, float] = (0.0, 0.0)
    """The last time without a link: from, to."""
    sending: frozenset[str] = frozenset()
    unsent: frozenset[str] = frozenset()
    """Messages under way, and those that were not sent, by their client ids."""


def after(status: Status, told: Told) -> Status:
    """The status after this was told."""
    match told:
        case PhaseChanged():
            return attrs.evolve(status, phase=told.current, since=told.created_at)
        case AuthChanged():
            return attrs.evolve(status, identity=told.identity)
        case UnreadChanged():
            return attrs.evolve(status, unread=told.unread)
        case ConnectionChanged(connected=False):
            return attrs.evolve(
                status, lost_at=told.created_at if status.lost_at is None else status.lost_at
            )
        case ConnectionChanged():
            away = status.away if status.lost_at is None else (status.lost_at, told.created_at)
            return attrs.evolve(status, lost_at=None, away=away)
        case Sending():
            one = {told.client_message_id}
            return attrs.evolve(status, sending=status.sending | one, unsent=status.unsent - one)
        case MessageSent() | MessageReceived():
            one = {told.message.client_message_id or ""}
            return attrs.evolve(status, sending=status.sending - one, unsent=status.unsent - one)
        case MessageFailed():
            one = {told.client_message_id}
            return attrs.evolve(status, sending=status.sending - one, unsent=status.unsent | one)
        case _:
            return status


def who(identity: Identity | None) -> str:
    """An identity as people read it."""
    if identity is None:
        return "nobody"
    return identity.user_id if isinstance(identity, SignedIn) else identity.id


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
    parts = [
        ("identity", who(status.identity) if status.identity else ""),
        ("url", status.url.split("://")[-1]),
    ]
    parts += [("unread", f"{status.unread} unread" if status.unread else "")]
    parts += [("unsent", f"{len(status.unsent)} unsent: /retry" if status.unsent else "")]
    parts += [
        ("sending", f"sending {len(status.sending)}" if status.sending else ""),
        ("hint", hint),
    ]
    shown = [(name, text) for name, text in parts if text]
    for name in ("url", "sending", "unread", "identity", "unsent", "hint"):
        if len(phase) + sum(2 + len(text) for _, text in shown) + 1 <= width:
            break
        shown = [part for part in shown if part[0] != name]
    left = [(f"class:bar.{name}", f"  {text}") for name, text in shown if name != "hint"]
    right = [("class:bar.hint", f"  {text} ") for name, text in shown if name == "hint"]
    taken = len(phase) + sum(len(text) for _, text in (*left, *right))
    filled = [("class:bar", " " * max(0, width - taken))]
    return [(f"class:phase.{kind}", phase[:width]), *left, *filled, *right]
