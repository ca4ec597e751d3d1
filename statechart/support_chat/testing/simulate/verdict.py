"""What a schedule has come to."""

from __future__ import annotations

from collections import Counter

import attrs

from .plan import Plan


@attrs.frozen
class Violation:
    """A promise that was broken, by its name, and how."""

    promise: str
    told: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.told}"


@attrs.frozen
class Counts:
    """What a schedule was made of: `made` has the calls of each kind that somebody awaited to their
    end, `succeeded` those that succeeded, `disturbed` those of them that did while something was
    wrong; `faults` has what went wrong, by kind. `steps` is how many the sessions took.
    """

    made: Counter[str] = attrs.field(factory=Counter[str])
    succeeded: Counter[str] = attrs.field(factory=Counter[str])
    disturbed: Counter[str] = attrs.field(factory=Counter[str])
    faults: Counter[str] = attrs.field(factory=Counter[str])
    steps: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.made + other.made,
            self.succeeded + other.succeeded,
            self.disturbed + other.disturbed,
            self.faults + other.faults,
            self.steps + other.steps,
        )


@attrs.frozen
class Verdict:
    """What a schedule has come to: its plan, what happened, in sentences, what is wrong, and what
    it was made of.
    """

    plan: Plan
    story: tuple[str, ...]
    violations: tuple[Violation, ...]
    counts: Counts = attrs.field(factory=Counts)
    digest: str = ""
    """Of every step of every session: the same for the same plan, in any process."""

    def __str__(self) -> str:
        told = "\n".join(f"  {i}. {line}" for i, line in enumerate(self.story, 1))
        wrong = "\n".join(f"  - {line}" for line in self.violations) or "  nothing is wrong"
        return f"{self.plan}\n{told}\n{wrong}"
