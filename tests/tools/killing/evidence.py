"""What is written down while a round runs: calls, events, requests on the wire, what an agent
wrote. Nothing is judged here.

Identities are kept as the database keys them, `visitor:<id>` and `user:<id>` (an *owner*).
"""

from __future__ import annotations

import time
from typing import Any, Literal, TypeAlias

import attrs

from support_chat import IdentifyResult, Identity, Message, PhaseChanged, Visitor

Kind: TypeAlias = Literal["boot", "identify", "merge", "update", "send", "shutdown"]
"""What the client was doing when the backend was killed; a merge is an identify of a visitor
who has conversations.
"""
Wire: TypeAlias = Literal["boot", "resume", "identify", "update", "send", "shutdown", "other"]
"""What a request asks for."""
Ending: TypeAlias = Literal["stay", "shutdown", "clear"]
"""How a life ends: live, or by shutdown(), or by shutdown(clear_storage=True)."""


def owner_of(identity: Identity) -> str:
    """The key under which the database keeps what belongs to this identity."""
    return f"visitor:{identity.id}" if isinstance(identity, Visitor) else f"user:{identity.user_id}"


@attrs.define(eq=False)
class Exchange:
    """One request on the wire; `began` is its place in the order of everything on the wire,
    `status` the answer's.
    """

    asks: Wire
    began: int
    session: str | None = attrs.field(default=None, repr=False)
    body: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    status: int | None = None

    @property
    def granted(self) -> bool:
        """The backend did what was asked, and said so."""
        return self.status is not None and 200 <= self.status < 300


@attrs.define(eq=False)
class Sent:
    """A message of the client's; `owner` is whose it was when it was sent first, `answers` what
    each successful attempt returned.
    """

    client_message_id: str
    text: str
    owner: str
    conversation_id: str | None = None
    attempts: int = 0
    answers: list[Message] = attrs.field(factory=list[Message])


@attrs.frozen
class Recorded:
    """A value that update() took, for whom."""

    owner: str
    path: str
    value: str | None


@attrs.define(eq=False)
class Identifying:
    """One identify() of a visitor (its id), and its result; None if it had none."""

    visitor: str
    user: str
    result: IdentifyResult | None = None


@attrs.define(eq=False)
class Life:
    """From one boot() to its shutdown() or the end of the round. `owners`: whose it became, and the
    newest message before that.
    """

    ending: Ending
    owners: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])
    sent: list[Sent] = attrs.field(factory=list[Sent])
    recorded: list[Recorded] = attrs.field(factory=list[Recorded])
    identifies: list[Identifying] = attrs.field(factory=list[Identifying])
    received: list[Message] = attrs.field(factory=list[Message])
    told_sent: list[Message] = attrs.field(factory=list[Message])
    gap: bool = False
    listed: tuple[tuple[str, int | None], ...] | None = None
    """The conversations that the session listed at the end: id and how many messages."""

    @property
    def owner(self) -> str:
        """Whose it is now; empty before its boot has succeeded."""
        return self.owners[-1][0] if self.owners else ""

    @property
    def owner_of_updates(self) -> str:
        """Whose an update() is that comes now: the user's from the call of identify() on."""
        return f"user:{self.identifies[-1].user}" if self.identifies else self.owner


@attrs.define(eq=False)
class Client:
    """One session object with its storage, its transport and its lives."""

    name: str
    lives: list[Life] = attrs.field(factory=list[Life])
    exchanges: list[Exchange] = attrs.field(factory=list[Exchange])
    phases: list[PhaseChanged] = attrs.field(factory=list[PhaseChanged])
    unsettled: list[str] = attrs.field(factory=list[str])
    """Calls that were made and have not settled."""


@attrs.frozen
class Reply:
    """What an agent wrote: the message's number, whose conversation it was at that moment."""

    number: int
    conversation_id: str
    owner: str
    while_dead: bool


@attrs.define(eq=False)
class Kill:
    """Whether the process was killed, whether the request that this was aimed at had been committed
    by then, and whether it was answered.
    """

    done: bool = False
    committed: bool = False
    answered: bool = False


@attrs.define(eq=False)
class Evidence:
    """Everything that was seen in one round."""

    seed: int
    kind: Kind
    moment: str
    users: tuple[str, ...] = ()
    """Every user that somebody was asked to become."""
    clients: list[Client] = attrs.field(factory=list[Client])
    replies: list[Reply] = attrs.field(factory=list[Reply])
    kill: Kill = attrs.field(factory=Kill)
    refused: dict[str, int] = attrs.field(factory=dict[str, int], repr=False)
    """Sessions that were revoked, and the status of the answer to whoever tried them again."""
    complaints: list[str] = attrs.field(factory=list[str])
    """What went wrong at once: a call that did not settle, an unexpected error, a task that was
    left.
    """
    story: list[str] = attrs.field(factory=list[str])
    _began: float = attrs.field(factory=time.monotonic)
    _places: int = 0

    def tell(self, line: str) -> None:
        """Adds a line to the story."""
        self.story.append(f"{(time.monotonic() - self._began) * 1000:7.1f} ms  {line}")

    def complain(self, line: str) -> None:
        """Adds what went wrong, to the story too."""
        self.complaints.append(line)
        self.tell(f"!! {line}")

    def place(self) -> int:
        """The next place in the order of everything on the wire."""
        self._places += 1
        return self._places
