"""What a tab was asked, and what it has told: all that a judge from outside knows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from ...lifecycle.events import AnyEvent
from ...lifecycle.names import Phase
from ...values import Identity

CallName: TypeAlias = Literal[
    "load", "boot", "identify", "become", "update", "send_message", "mark_read", "conversations",
    "shutdown", "destroy",
]  # fmt: skip
"""A call that frontends make here."""
Tokens: TypeAlias = Literal["good", "slow", "failing", "refusing"]
"""How a token provider behaves while something may go wrong; afterwards every one is good."""


@attrs.frozen
class Use:
    """A call as a frontend makes it; a message's id is its text."""

    call: CallName
    user: str | None = None
    text: str = ""
    conversation: str | None = None
    up_to: str = ""
    queue: bool = True
    timeout: float | None = None
    clear: bool = False
    value: int = 0
    tokens: Tokens = "good"

    def __str__(self) -> str:
        told: list[str] = []
        if self.call == "update":
            told.append(str(self.value))
        if self.user is not None:
            told.append(self.user)
        if self.text:
            told.append(f"{self.text!r}")
        if self.conversation is not None:
            told.append(f"in {self.conversation}")
        if self.up_to:
            told.append(f"up to {self.up_to}")
        if not self.queue:
            told.append("queue=False")
        if self.timeout is not None:
            told.append(f"timeout={self.timeout:g}")
        if self.clear:
            told.append("clear_storage=True")
        if self.tokens != "good":
            told.append(f"tokens are {self.tokens}")
        return f"{self.call}({', '.join(told)})"


@attrs.define(eq=False)
class Made:
    """A call that was made: when, in which phase, whom the tab showed then, how many faults had
    been until then, and how it has ended.

    `settled` is whether it has; what it came to is known of one that somebody awaited to its end.
    """

    use: Use
    at: float
    phase: Phase
    shown: Identity | None
    faults: int
    settled: bool = False
    ended_at: float | None = None
    result: Any = None
    error: Exception | None = None
    given_up_at: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether somebody saw it succeed."""
        return self.ended_at is not None and self.error is None


@attrs.define(eq=False)
class Asked:
    """A request to an adapter: when it began and ended."""

    operation: str
    at: float
    ended_at: float | None = None


@attrs.define(eq=False)
class Witness:
    """Everything that is known of a tab from outside, and its log of steps.

    `dead`: its process was killed. `left_at`: it was destroyed on purpose. `heard` and `streamed`
    are what an async handler and a reader of the stream were told, beside `events`.
    """

    number: int
    scope: str
    calls: list[Made] = attrs.field(factory=list[Made])
    events: list[AnyEvent] = attrs.field(factory=list[AnyEvent])
    times: list[float] = attrs.field(factory=list[float])
    """When each of the events was told."""
    asked: list[Asked] = attrs.field(factory=list[Asked])
    steps: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])
    wrong: list[str] = attrs.field(factory=list[str])
    """What whoever watched it has seen that must never be."""
    heard: list[AnyEvent] | None = None
    streamed: list[AnyEvent] | None = None
    dead: bool = False
    left_at: float | None = None

    @property
    def name(self) -> str:
        """What it is called in stories."""
        return f"tab {self.number}"

    def tell(self, at: float, event: AnyEvent) -> None:
        """It has told an event."""
        self.times.append(at)
        self.events.append(event)

    @property
    def sent(self) -> Iterator[Made]:
        """The messages that it was given."""
        return (made for made in self.calls if made.use.call == "send_message")

    @property
    def targets(self) -> Iterator[tuple[Identity | None, str]]:
        """Whom it showed when it was asked to become a user, and which."""
        for made in self.calls:
            if made.use.call in ("identify", "become") and made.use.user is not None:
                yield made.shown, made.use.user
