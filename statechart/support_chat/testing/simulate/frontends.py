"""What people and platforms do to tabs: drawn move by move, in view of what the tab shows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, Literal, Protocol, TypeAlias

import attrs

from ...lifecycle.chart import LIVE
from ...lifecycle.events import MessageReceived, MessageSent
from ...lifecycle.names import Phase
from ...values import Identity, Message
from .witness import Tokens, Use, Witness

DISTURBED: Final = 0.2
"""How often something goes wrong, of all that happens."""
_TOKENS: Final[Sequence[Tokens]] = ("good",) * 7 + ("slow", "failing", "refusing")


class Tab(Protocol):
    """A session that is watched."""

    @property
    def witness(self) -> Witness:
        """What is known of it."""
        ...

    @property
    def state(self) -> Phase:
        """Its phase."""
        ...

    @property
    def identity(self) -> Identity | None:
        """Whom it shows."""
        ...

    @property
    def unread(self) -> int | None:
        """How many unread messages it shows."""
        ...

    @property
    def waiting(self) -> Sequence[str]:
        """The messages without an answer, by their ids."""
        ...


@attrs.frozen
class Event:
    """Something happens to a tab that is no call: its network is hinted to come or go, it is
    answered, an awaiter leaves, a message is taken back, the process dies.
    """

    what: Literal["online", "offline", "answered", "given up", "withdraw", "killed"]
    text: str = ""


Move: TypeAlias = Use | Event
"""What happens to a tab."""


def moves_of(roll: random.Random, name: str, tab: Tab, users: Sequence[str]) -> Sequence[Move]:
    """What happens to this tab in the move of this name; several calls at once, at times."""
    booted = tab.state in (Phase.BOOTING, *LIVE)
    visits, told = tab.state == Phase.ANONYMOUS, _told(tab)
    kinds = {
        "boot": 1 if booted else 9, "boot a user": 1, "identify": 6 if visits else 1, "become": 3,
        "send": 7 if booted else 1, "send some": 2, "mark read": 5 if told else 0, "update": 3,
        "list": 2, "shutdown": 1, "clear": 1, "load": 0.5, "destroy": 0.5, "hint": 1, "answer": 4,
        "give up": 1.5, "withdraw": 0.7, "kill": 0.7,
    }  # fmt: skip
    (kind,) = roll.choices(list(kinds), list(kinds.values()))
    match kind:
        case "boot":
            return [Use("boot", timeout=roll.choice((None, None, None, 8.0)))]
        case "boot a user":
            return [Use("boot", roll.choice(users), tokens=roll.choice(_TOKENS))]
        case "identify":
            # some are given up, and may be done all the same
            user, timeout = roll.choice(users), roll.choice((None, 1.0))
            return [Use("identify", user, timeout=timeout, tokens=roll.choice(_TOKENS))]
        case "become":
            whom = roll.choice((None, *users))
            tokens: Tokens = "good" if whom is None else roll.choice(_TOKENS)
            return [Use("become", whom, clear=roll.random() < 0.3, tokens=tokens)]
        case "send":
            return [_message(roll, f"m{name}", tab)]
        case "send some":
            return [_message(roll, f"m{name}{letter}", tab) for letter in "abc"]
        case "mark read":
            message = roll.choice(told)
            return [Use("mark_read", conversation=message.conversation_id, up_to=message.id)]
        case "update":
            return [Use("update", value=roll.randrange(1_000_000))]
        case "list":
            return [Use("conversations")]
        case "hint":
            return [Event("online" if roll.random() < 0.5 else "offline")]
        case "answer":
            return [Event("answered", f"a{name}")]
        case "withdraw":
            return [Event("withdraw", roll.choice(tab.waiting))] if tab.waiting else []
        case "give up":
            return [Event("given up")]
        case "kill":
            return [Event("killed")]
        case "clear":
            return [Use("shutdown", clear=True)]
        case "load":
            return [Use("load")]
        case "destroy":
            return [Use("destroy")]
        case _:
            return [Use("shutdown")]


def _told(tab: Tab) -> Sequence[Message]:
    return [e.message for e in tab.witness.events if isinstance(e, MessageReceived)]


def _message(roll: random.Random, name: str, tab: Tab) -> Use:
    told = tab.witness.events
    known = [e.message.conversation_id for e in told if isinstance(e, MessageSent)]
    conversation = known[-1] if roll.random() < 0.8 and known else None
    timeout = roll.choice((None, None, None, 3.0))
    queue = roll.random() < 0.8
    return Use("send_message", None, name, conversation, queue=queue, timeout=timeout)
