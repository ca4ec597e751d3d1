"""Events as lines for people: a time, who speaks, what is said. Pure; how wide and how coloured is
the shell's business.

Messages stand out and everything else is quiet. A message comes from somewhere else, so what it
could do to a terminal is taken out of it here, before any shell sees it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import attrs

from support_chat import (
    AttemptFailed,
    AuthChanged,
    AuthExpired,
    CallTimeoutError,
    ConnectionChanged,
    ErrorOccurred,
    Message,
    MessageFailed,
    MessageQueued,
    MessageReceived,
    NotBootedError,
    Phase,
    PhaseChanged,
    SupportChatError,
)

from ..ui.events import in_words
from ..ui.terminal import clean, hanging
from .events import Done, Event, Failed, Sending, Warned
from .status import Fragments, Status, lasted

Style: TypeAlias = Literal["mine", "agent", "quiet", "good", "warning", "error"]
"""What a line is; `class:line.<style>` in the terminal."""

_QUIET_PHASES: Final = frozenset({Phase.LOADING, Phase.READY, Phase.DESTROYED})
_REASONS: Final[Mapping[tuple[Phase, str], str]] = MappingProxyType(
    {
        (Phase.RECONNECTING, "link_lost"): "the connection is lost; trying again",
        (Phase.RECONNECTING, "silence"): "nothing was heard for a while; trying again",
        (Phase.RECONNECTING, "expired"): "the token has expired; asking for another",
        (Phase.RECONNECTING, "online"): "the network is back; trying again",
        (Phase.RECONNECTING, "boot"): "trying again now",
        (Phase.SHUTDOWN, "shutdown"): "the session has ended; /boot begins another, /quit leaves",
        (Phase.SHUTDOWN, "auth_refused"): "the backend accepts this user no longer",
        (Phase.SHUTDOWN, "revoked"): "the backend has ended this session",
        (Phase.SHUTDOWN, "wrong_user"): "the backend answered for somebody else",
        (Phase.SHUTDOWN, "rejected"): "the backend will not have this session",
    }
)
_CALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "boot": "/boot",
        "identify": "/identify",
        "update": "/update",
        "shutdown": "/shutdown",
        "conversations": "/list",
        "messages": "/history",
    }
)
_WAYS_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Pass tls= for an authority of your own": "Name an authority of your own in SSL_CERT_FILE",
        "check proxy=, or HTTPS_PROXY": "check HTTPS_PROXY",
        "base_url": "--url",
    }
)
"""What is passed in Python, and said here in another way."""


@attrs.frozen
class Line:
    """One line: when (seconds since the epoch), whose, the text, and after it a remark that is
    shown quietly.
    """

    at: float
    label: str
    text: str
    style: Style
    remark: str = ""


def lines_of(event: Event, status: Status) -> tuple[Line, ...]:
    """The lines that an event is worth; `status` is as it was before the event."""
    return tuple(attrs.evolve(line, text=clean(line.text)) for line in _lines(event, status))


def _lines(event: Event, status: Status) -> Iterable[Line]:
    at = event.created_at
    match event:
        case MessageReceived(message=message):
            away = status.away[0] <= message.created_at < status.away[1]
            yield _spoken(message, "missed while away" * away)
        case Sending():
            yield Line(at, "you", event.text, "mine")
        case PhaseChanged() if event.current not in _QUIET_PHASES:
            yield _phase(event, status)
        case AuthChanged(identity=identity) if identity is not None:
            yield Line(at, "·", in_words(event), "quiet")
        case AuthExpired():
            yield Line(at, "·", in_words(event), "quiet")
        case ConnectionChanged(gap=True):
            missed = "some messages were missed that cannot be replayed; /history shows them"
            yield Line(at, "!", missed, "warning")
        case AttemptFailed(error=error) if str(error) != status.trouble:  # told once
            yield Line(at, "!", f"{for_people(error, status.url)} (still trying)", "warning")
        case ErrorOccurred():
            dropped = f" (given up: {', '.join(event.dropped)})" if event.dropped else ""
            yield Line(at, "!", f"{for_people(event.error, status.url)}{dropped}", "error")
        case MessageQueued() if status.lost_at is not None:
            yield Line(at, "·", "it is sent when the connection is back", "quiet")
        case MessageFailed():
            what = "perhaps not sent" if event.outcome_unknown else "not sent"
            yield Line(at, "!", f"{what}: {for_people(event.error, status.url)}", "warning")
        case Done():
            for shown in event.shows:
                yield (
                    _spoken(shown) if isinstance(shown, Message) else Line(at, "·", shown, "quiet")
                )
        case Failed():
            what = "not sent: " * (event.command == "send")
            yield Line(at, "!", f"{what}{for_people(event.error, status.url)}", "error")
        case Warned():
            yield Line(at, "!", event.message, "warning")
        case _:
            pass


def _spoken(message: Message, remark: str = "") -> Line:
    if message.author == "agent":
        return Line(message.created_at, "agent", message.text, "agent", remark)
    return Line(message.created_at, "you", message.text, "mine", remark)


def for_people(error: Exception, url: str) -> str:
    """An error's message, with the ways out that there are in this client rather than in Python."""
    if isinstance(error, NotBootedError):
        return "there is no session now: /boot begins one."
    if isinstance(error, CallTimeoutError):
        if isinstance(error.__cause__, SupportChatError):
            return f"given up: {for_people(error.__cause__, url)}"
        return f"no answer from {url} in time; is the backend running there, is --url right?"
    words = str(error)
    if isinstance(error.__cause__, ConnectionRefusedError):
        words += " Is `support-chat serve` running there?"
    for python, here in _WAYS_OUT.items():
        words = words.replace(python, here)
    return re.sub(r"\b(\w+)\(\)", lambda call: _CALLS.get(call[1], call[0]), words)


def _phase(event: PhaseChanged, status: Status) -> Line:
    style: Style = "warning"
    word = event.reason.replace("_", " ") + "; trying again" * (event.current is Phase.RECONNECTING)
    words = _REASONS.get((event.current, event.reason), word)
    if event.current is Phase.BOOTING:
        words, style = f"looking for {status.url}", "quiet"
    elif event.current is Phase.DISCONNECTED:
        words = "given up for now, looking every half minute; /boot tries at once"
    elif event.current is not Phase.RECONNECTING and event.current is not Phase.SHUTDOWN:
        back = f"back after {lasted(event.created_at - (status.lost_at or 0.0))}"
        words, style = back if status.lost_at is not None else words or "live", "good"
    return Line(event.created_at, "·", f"{event.current}: {words}", style)


def fragments(line: Line, width: int | None) -> Fragments:
    """A line for a terminal of `width` columns, wrapped at words under its first; None for what is
    no terminal, where only its own line breaks stay.
    """
    clock = time.strftime("%H:%M:%S", time.localtime(line.at))
    label = f"  {line.label:5}  "
    text = f"{line.text}  ({line.remark})" if line.remark else line.text
    rows = hanging(clock + label, text, width).removeprefix(clock + label)
    return [
        ("class:time", clock),
        (f"class:label.{line.style}", label),
        (f"class:line.{line.style}", rows),
    ]
