"""What is told, as lines for people: a time, who speaks, what is said. Pure; how wide and how
coloured is the shell's business.

Messages stand out and everything else is quiet. A message comes from somewhere else, so what it
could do to a terminal (escape sequences, text that runs backwards) is taken out of it here, before
any shell sees it.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import attrs

from support_chat.errors import NotBootedError
from support_chat.lifecycle.events import (
    AuthChanged,
    AuthExpired,
    ConnectionChanged,
    ErrorOccurred,
    MessageFailed,
    MessageReceived,
    PhaseChanged,
)
from support_chat.lifecycle.names import Phase
from support_chat.values import Message, SignedIn

from .status import Fragments, Status, lasted, who
from .told import Done, Failed, Said, Sending, Told, Warned

Style: TypeAlias = Literal["mine", "agent", "quiet", "good", "warning", "error"]
"""What a line is; `class:line.<style>` in the terminal."""

_QUIET_PHASES: Final = frozenset({Phase.LOADING, Phase.READY, Phase.DESTROYED})
_LOST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "link_lost": "the connection is lost; trying again",
        "silence": "nothing was heard for a while; trying again",
        "expired": "the token has expired; asking for another",
        "online": "the network is back; trying again",
        "boot": "trying again now",
    }
)
_ENDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "shutdown": "the session has ended; /boot begins another, /quit leaves",
        "auth_refused": "the backend accepts this user no longer",
        "revoked": "the backend has ended this session",
        "wrong_user": "the backend answered for somebody else",
        "rejected": "the backend will not have this session",
    }
)
_LABEL_WIDTH: Final = 5
_BEFORE_TEXT: Final = 8 + 2 + _LABEL_WIDTH + 2


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


def lines_of(told: Told, status: Status) -> tuple[Line, ...]:
    """The lines that this is worth; `status` is as it was before it was told."""
    match told:
        case MessageReceived():
            return _message(told, status)
        case Sending():
            return (Line(told.created_at, "you", clean(told.text), "mine"),)
        case PhaseChanged():
            return _phase(told, status)
        case AuthChanged():
            if told.identity is None:
                return ()
            words = "signed in as" if isinstance(told.identity, SignedIn) else "you are"
            return (_quiet(told, f"{words} {who(told.identity)}"),)
        case ConnectionChanged(gap=True):
            return (
                Line(
                    told.created_at,
                    "!",
                    "some messages were missed that cannot be replayed; /history shows them",
                    "warning",
                ),
            )
        case AuthExpired():
            return (_quiet(told, "the backend asks for a fresh token"),)
        case ErrorOccurred():
            dropped = f" (given up: {', '.join(told.dropped)})" if told.dropped else ""
            return (Line(told.created_at, "!", clean(f"{told.error}{dropped}"), "error"),)
        case MessageFailed():
            return (Line(told.created_at, "!", clean(_unsent(told, status)), "warning"),)
        case Done():
            return tuple(_quiet(told, says) for says in told.says)
        case Said():
            first = _quiet(told, "what was said:" if told.messages else "nothing was said yet")
            return (first, *(_spoken(message) for message in told.messages))
        case Failed():
            return (Line(told.created_at, "!", clean(_in_here(told.error)), "error"),)
        case Warned():
            return (Line(told.created_at, "!", clean(told.text), "warning"),)
        case _:
            return ()


def _quiet(told: Told, text: str) -> Line:
    return Line(told.created_at, "·", clean(text), "quiet")


def _message(told: MessageReceived, status: Status) -> tuple[Line, ...]:
    message = told.message
    if message.client_message_id in status.sending | status.unsent:
        return (_quiet(told, "the message that was in doubt has arrived"),)
    missed = "missed while away" if status.away[0] <= message.created_at < status.away[1] else ""
    return (_spoken(message, missed),)


def _spoken(message: Message, remark: str = "") -> Line:
    agent = message.author == "agent"
    return Line(
        message.created_at,
        "agent" if agent else "you",
        clean(message.text),
        "agent" if agent else "mine",
        remark,
    )


def _unsent(told: MessageFailed, status: Status) -> str:
    if told.outcome_unknown:
        return f"perhaps not sent: {told.error} /retry makes sure; it arrives once."
    if status.lost_at is not None:
        return "not sent, no connection: /retry sends it when it is back"
    return f"not sent: {_in_here(told.error)} /retry sends it again."


def _in_here(error: Exception) -> str:
    """An error's message, with the way out that there is in this client rather than in Python."""
    return (
        "there is no session now: /boot begins one."
        if isinstance(error, NotBootedError)
        else str(error)
    )


def _phase(told: PhaseChanged, status: Status) -> tuple[Line, ...]:
    if told.current in _QUIET_PHASES:
        return ()
    style: Style
    if told.current is Phase.BOOTING:
        words, style = f"looking for {status.url}", "quiet"
    elif told.current is Phase.RECONNECTING:
        words, style = (
            _LOST.get(told.reason, f"{told.reason.replace('_', ' ')}; trying again"),
            "warning",
        )
    elif told.current is Phase.DISCONNECTED:
        words, style = "given up for now, looking every half minute; /boot tries at once", "warning"
    elif told.current is Phase.SHUTDOWN:
        words, style = _ENDED.get(told.reason, told.reason.replace("_", " ")), "warning"
    elif status.lost_at is not None:
        words, style = f"back after {lasted(told.created_at - status.lost_at)}", "good"
    else:
        words, style = told.reason.replace("_", " ") or "live", "good"
    return (Line(told.created_at, "·", f"{told.current}: {words}", style),)


def clean(text: str) -> str:
    """The text without what could steer a terminal: control characters, and those that reorder what
    is read.
    """
    return "".join(
        c if c == "\n" or not _steers(c) else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def _steers(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


def plain(line: Line) -> str:
    """A line as text, in the time zone of this machine; later lines of a message are indented under
    its first.
    """
    remark = f"  ({line.remark})" if line.remark else ""
    text = line.text.replace("\n", "\n" + " " * _BEFORE_TEXT)
    return f"{_clock(line.at)}  {line.label:{_LABEL_WIDTH}}  {text}{remark}"


def fragments(line: Line, width: int, measure: Callable[[str], int] = len) -> Fragments:
    """A line for a terminal of `width` columns, wrapped at words under its first; `measure` is how
    many columns a text takes.
    """
    text = f"{line.text}  ({line.remark})" if line.remark else line.text
    rows = wrapped(text, max(16, width - _BEFORE_TEXT - 1), measure)
    pieces: Fragments = [
        ("class:time", _clock(line.at)),
        (f"class:label.{line.style}", f"  {line.label:{_LABEL_WIDTH}}  "),
    ]
    for number, row in enumerate(rows):
        pieces.append(
            (f"class:line.{line.style}", (" " * _BEFORE_TEXT if number else "") + row + "\n")
        )
    return pieces


def wrapped(text: str, width: int, measure: Callable[[str], int] = len) -> list[str]:
    """The text in rows of at most `width` columns, broken between words where that is possible; its
    own line breaks stay.
    """
    rows: list[str] = []
    for paragraph in text.split("\n"):
        row = ""
        for word in paragraph.split(" "):
            longer = f"{row} {word}" if row else word
            if measure(longer) <= width:
                row = longer
                continue
            if row:
                rows.append(row)
            row = word
            if measure(row) > width:
                *whole, row = _chopped(row, width, measure)
                rows += whole
        rows.append(row)
    return rows


def _chopped(word: str, width: int, measure: Callable[[str], int]) -> list[str]:
    """A word that is wider than a row in pieces that are not; each character is measured once, as
    it may be a whole message long.
    """
    pieces, begin, taken = list[str](), 0, 0
    for at, character in enumerate(word):
        columns = measure(character)
        if taken + columns > width and at > begin:
            pieces.append(word[begin:at])
            begin, taken = at, 0
        taken += columns
    return [*pieces, word[begin:]]


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
