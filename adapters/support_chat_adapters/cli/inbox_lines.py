"""What `support-chat inbox` shows: conversations and messages as rows for people, and as JSON.
Pure, but for the colours of a terminal.

Whatever a visitor or a user chose is cleaned of what could steer a terminal, their id included.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import attrs

from support_chat import Identity, Message, SignedIn
from support_chat.values import JSON

from ..backend import Listed
from ..ui.terminal import clean, fitted, hanging
from .terminal import coloured

_INDENT: Final = "    "
_OWNER: Final = 22
"""Columns for a name in a list."""


def rows(one: Listed, now: float, width: int | None) -> str:
    """A conversation in a list, in two rows: whose it is and how it stands, and what was said last.
    `now` is in seconds since the epoch; `width` None is no terminal, where nothing is cut.
    """
    who = clean(str(one.owner))
    if width is not None:
        who = fitted(who, _OWNER)
    said = clean(" ".join(one.last.text.split()))
    if one.conversation.about.subject:
        said = f"{clean(one.conversation.about.subject)}: {said}"
    if one.last.author == "agent":
        said = f"{_author(one.last)}: {said}"
    if width is not None:
        said = fitted(said, max(_OWNER, width - len(_INDENT) - 1)).rstrip()
    return f"{one.conversation.id}  {who}  {state(one, now)}\n{_INDENT}{said}"


def state(one: Listed, now: float) -> str:
    """How long a conversation has waited for an answer, or has been answered."""
    if one.waiting_since is None:
        return f"answered {_rough(now - one.last.created_at)} ago"
    waits = f"waits {_rough(now - one.waiting_since)}, {one.unanswered} unanswered"
    return coloured(waits, "yellow", sys.stdout)


def spoken(message: Message, width: int | None) -> str:
    """A message among those of its conversation."""
    colour = "green" if message.author == "agent" else "bold"
    author = f"{_author(message):7}"
    head = f"{_clock(message)}  {author}  "
    text = hanging(head, clean(message.text), width).removeprefix(head)
    author = coloured(author, colour, sys.stdout)
    return f"{_clock(message)}  {author}  {text}"


def arrived(message: Message, owner: Identity, width: int | None) -> str:
    """A message among those of everybody."""
    who = coloured(clean(str(owner)), "bold", sys.stdout)
    text = hanging(_INDENT, clean(message.text), width)
    return f"{_clock(message)}  {who} in {message.conversation_id}\n{text}"


def conversation_as_json(one: Listed) -> dict[str, JSON]:
    """A conversation, whose it is, and what was said last; times are seconds since the epoch."""
    about = attrs.asdict(one.conversation.about)
    return {
        "id": one.conversation.id,
        "owner": owner_as_json(one.owner),
        "created_at": one.conversation.created_at,
        "about": about,
        "messages": one.conversation.messages,
        "unanswered": one.unanswered,
        "waiting_since": one.waiting_since,
        "last_message": message_as_json(one.last),
    }


def message_as_json(message: Message) -> dict[str, JSON]:
    """A message."""
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "author": message.author,
        "agent": None if message.agent is None else attrs.asdict(message.agent),
        "text": message.text,
        "created_at": message.created_at,
    }


def owner_as_json(owner: Identity) -> dict[str, JSON]:
    """A user, or a visitor."""
    return {"user": owner.user_id} if isinstance(owner, SignedIn) else {"visitor": owner.id}


def _author(message: Message) -> str:
    """Who has written it: of agents, which one, where it is known."""
    agent = message.agent
    if agent is None:
        return message.author
    return f"agent {fitted(clean(agent.name or agent.id), _OWNER).rstrip()}"


def _clock(message: Message) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(message.created_at))


def _rough(seconds: float) -> str:
    """A length of time in its largest unit."""
    for least, size, unit in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
