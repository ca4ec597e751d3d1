"""What the demo tells: scenes, steps with what was expected of them, a summary; and `Reporter`, who
it is told to.

A step is one thing that the demo does to a session, together with facts that must hold afterwards.
It is told twice: when it begins, since what happens meanwhile are events of the session, and when
it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, cast

import attrs

from support_chat.lifecycle.events import AnyEvent
from support_chat.lifecycle.names import Phase


@attrs.frozen
class Counters:
    """What the other side has counted so far: at the backend, and at the customer's own server that
    mints the tokens.
    """

    dials: int
    """Attempts to open a link, failed ones included."""
    links_open: int
    links_most: int
    """The most links that were open at the same time."""
    token_calls: int
    updates: int
    """Calls of update()."""
    update_requests: int
    """Requests that those calls became."""


@attrs.frozen
class Fact:
    """One thing that must be so after a step: its name, what was seen, and what was wanted."""

    name: str
    seen: str
    wanted: str

    @property
    def holds(self) -> bool:
        """Whether it is so."""
        return self.seen == self.wanted


@attrs.frozen
class Step:
    """A step that has ended: what was done, what came of it in plain words, the facts, and the
    counters afterwards.

    `failure` says in one sentence what raised, or hung, before the facts could be looked at.
    """

    scene: int
    did: str
    says: str
    facts: tuple[Fact, ...]
    counters: Counters
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the step ended as expected."""
        return self.failure is None and all(fact.holds for fact in self.facts)

    @property
    def complaint(self) -> str:
        """What is not as expected, in one sentence; empty if all is."""
        return self.failure or "; ".join(
            f"{f.name}: wanted {f.wanted}, saw {f.seen}" for f in self.facts if not f.holds
        )


@attrs.frozen
class Summary:
    """The whole demo: its scenes' titles, every step, the phases visited, the counters at the end,
    how long it took in seconds.
    """

    titles: tuple[str, ...]
    steps: tuple[Step, ...]
    visited: tuple[Phase, ...]
    counters: Counters
    seconds: float

    @property
    def failed(self) -> tuple[Step, ...]:
        """The steps that did not end as expected."""
        return tuple(step for step in self.steps if not step.ok)

    @property
    def ok(self) -> bool:
        """Whether every scene was played and every step ended as expected."""
        return not self.failed and {step.scene for step in self.steps} == set(
            range(1, len(self.titles) + 1)
        )

    def of(self, scene: int) -> tuple[Step, ...]:
        """The steps of one scene, by its number from 1."""
        return tuple(step for step in self.steps if step.scene == scene)


class Reporter(Protocol):
    """Who watches the demo: a terminal, a log, a program."""

    def scene(self, number: int, of: int, title: str) -> None:
        """Scene `number` (from 1) begins."""
        ...

    def begin(self, did: str) -> None:
        """A step begins, which will do this."""
        ...

    def event(self, event: AnyEvent) -> None:
        """The session has told this event."""
        ...

    def step(self, step: Step) -> None:
        """The step that began last has ended."""
        ...

    def end(self, summary: Summary) -> None:
        """The demo is over."""
        ...


def named(facts: Iterable[tuple[str, tuple[object, object]]]) -> tuple[Fact, ...]:
    """Facts from names with (seen, wanted), each turned into text to be compared and shown."""
    return tuple(
        Fact(name.replace("_", " "), _text(seen), _text(wanted)) for name, (seen, wanted) in facts
    )


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(_text(item) for item in cast("Sequence[object]", value)) or "nothing"
    if isinstance(value, type):
        return value.__name__
    return "none" if value is None else str(value)
