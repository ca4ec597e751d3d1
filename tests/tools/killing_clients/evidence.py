"""What is written down while a round runs: what each process told, and what is left. Nothing is
judged here.
"""

from __future__ import annotations

from typing import Any

import attrs

from killing.stored import Stored

from .plans import Plan


@attrs.define(eq=False)
class Told:
    """The lines of one process, in order, and its exit status."""

    lines: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    status: int | None = None

    def did(self, what: str) -> bool:
        """Whether it told so."""
        return any(line["did"] == what for line in self.lines)

    def of(self, what: str, field: str) -> list[Any]:
        """This field of each such line."""
        return [line[field] for line in self.lines if line["did"] == what]


@attrs.define(eq=False)
class Evidence:
    """Everything that was seen in one round."""

    plan: Plan
    dead: Told = attrs.field(factory=Told)
    """What the process told that was killed."""
    successors: list[Told] = attrs.field(factory=list[Told])
    """What those told that took the storage over; the last one, after all others, cleared it."""
    found: str | None = attrs.field(default=None, repr=False)
    """The secret that was stored when the process was dead."""
    left_behind: list[str] = attrs.field(factory=list[str])
    """What was found of a cleared visitor: what it is, and where."""
    before_late: str | None = attrs.field(default=None, repr=False)
    after_late: str | None = attrs.field(default=None, repr=False)
    """The secret that was stored before and after a write got through past its deadline."""
    accepted: dict[str, bool] = attrs.field(factory=dict[str, bool], repr=False)
    """Secrets that were cleared, and whether the backend still takes them."""
    heard: list[str] | None = None
    """The client ids of the messages that another tab heard of, if there was one."""
    visitors: frozenset[str] = frozenset()
    """Those that there are since the round began."""
    stored: Stored = attrs.field(factory=Stored)
    """The backend's database at the end."""
    complaints: list[str] = attrs.field(factory=list[str])

    @property
    def names(self) -> tuple[str, ...]:
        """Every message of the round by its client id, in the order of the calls."""
        first = (first_of(self.plan),) if self.plan.begun or self.plan.call == "clear" else ()
        return (*first, *(self.plan.calls if self.plan.call in ("send", "destroy") else ()))

    @property
    def answered(self) -> dict[str, str]:
        """The messages that were acknowledged, and the ids that they got."""
        return {
            line["call"]: line["id"]
            for told in (self.dead, *self.successors)
            for line in told.lines
            if line["did"] == "acknowledged"
        }


def first_of(plan: Plan) -> str:
    """The message that begins the conversation before the call is under way."""
    return f"message-{plan.seed}-first"
