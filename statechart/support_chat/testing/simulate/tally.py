"""Counts what a schedule is made of, while it is played."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

from .plan import Plan
from .verdict import Counts, Verdict, Violation
from .witness import Made, Witness


class Tally:
    """What has been made of each kind, and what became of it."""

    def __init__(self) -> None:
        self._counts = Counts()
        self.faults_so_far = 0
        self.steps = 0

    def fault(self, kind: str) -> None:
        """Something went wrong."""
        self.faults_so_far += 1
        self._counts.faults[kind] += 1

    def ended(self, made: Made, disturbed: bool) -> None:
        """A call has ended; `disturbed`: while something is wrong."""
        call = made.use.call
        self._counts.made[call] += 1
        if made.error is None:
            self._counts.succeeded[call] += 1
            if disturbed or made.faults != self.faults_so_far:
                self._counts.disturbed[call] += 1

    def counts(self) -> Counts:
        """What there was."""
        counts = self._counts
        return Counts(counts.made, counts.succeeded, counts.disturbed, counts.faults, self.steps)


def too_few(counts: Counts, floors: Mapping[str, int]) -> Iterator[str]:
    """Why a run of many schedules says too little: which kinds of calls have succeeded too seldom
    while something was wrong, which kinds of faults were too rare.
    """
    for kind, least in floors.items():
        seen = counts.disturbed[kind] + counts.faults[kind]
        if seen < least:
            yield f"{kind}: {seen} times, and {least} are the least"


def verdict(
    plan: Plan,
    story: Iterable[str],
    found: Iterable[Violation],
    tally: Tally,
    witnesses: Iterable[Witness],
) -> Verdict:
    """What a schedule has come to, each violation once."""
    steps = json.dumps([witness.steps for witness in witnesses])
    digest = hashlib.sha256(steps.encode()).hexdigest()
    return Verdict(plan, tuple(story), tuple(dict.fromkeys(found)), tally.counts(), digest)
