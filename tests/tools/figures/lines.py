"""What a benchmark measures, said beforehand: the lines of a table, in parts that are measured one
by one, with the goals that were set for them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

import attrs

AGAIN = " again"
"""What a subject is called that is measured a second time, as if it were another: the noise."""


@attrs.frozen(kw_only=True)
class Goal:
    """What was to be reached: a ratio, or with `figure` the figure itself, of `most` at most or of
    `least` at least. `why` says why it is missed, where it is.
    """

    most: float | None = None
    least: float | None = None
    figure: bool = False
    why: str = ""

    def is_met_by(self, value: float) -> bool:
        """Whether a value reaches it."""
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )

    @property
    def bound(self) -> float:
        """The number that it names."""
        return self.least if self.most is None else self.most  # type: ignore[return-value]


@attrs.frozen
class Line:
    """A line of a table: a figure of `ours`, in `unit`, and of `theirs` if there is anything to put
    beside it.

    Figures are medians of the rounds and ratios medians of the ratios in each round; with `least`
    both are of the least figures.
    """

    what: str
    unit: str
    ours: str
    theirs: str = ""
    goal: Goal | None = attrs.field(default=None, kw_only=True)
    least: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Found:
    """What was measured: the figures of each subject, one a round, and of each subject that is not
    there what would bring it.
    """

    samples: Mapping[str, Sequence[float]]
    missing: Mapping[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen
class Part:
    """Lines that are measured together: `measure` does it, as quickly as it can if it is told that
    only its running counts.
    """

    name: str
    title: str
    about: str
    lines: tuple[Line, ...]
    measure: Callable[[bool], Found]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everything that has figures of its own."""
        named = (name for line in self.lines for name in (line.ours, line.theirs) if name)
        return tuple(dict.fromkeys(named))


@attrs.frozen
class Compared:
    """A line as it was measured: both figures, their ratio, and where half of the rounds' ratios
    lie.
    """

    line: Line
    ours: float
    theirs: float | None
    ratio: float | None
    spread: tuple[float, float] | None

    @property
    def judged(self) -> float | None:
        """What the goal is about."""
        goal = self.line.goal
        return self.ours if goal is not None and goal.figure else self.ratio

    @property
    def is_missed(self) -> bool:
        """Whether there is a goal that is not reached."""
        goal, value = self.line.goal, self.judged
        return goal is not None and value is not None and not goal.is_met_by(value)


def compared(line: Line, found: Found) -> Compared | None:
    """The line with what was found for it; None where its subject is missing."""
    ours, theirs = found.samples.get(line.ours), found.samples.get(line.theirs)
    if not ours or (line.theirs and not theirs):
        return None
    middle = min if line.least else statistics.median
    if not theirs:
        return Compared(line, middle(ours), None, None, None)
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=False))
    ratio = min(ours) / min(theirs) if line.least else statistics.median(ratios)
    quarter = len(ratios) // 4
    spread = (ratios[quarter], ratios[-1 - quarter]) if len(ratios) > 1 else None
    return Compared(line, middle(ours), middle(theirs), ratio, spread)


def in_turns(
    subjects: Mapping[str, Callable[[], float]], rounds: int, *, before: int = 1
) -> dict[str, list[float]]:
    """The figures of each subject: in every round each has its turn, the other way round in every
    second one. What is measured in the rounds `before` is forgotten: it loads and compiles.
    """
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(-before, rounds):
        names = list(subjects)
        for name in names if number % 2 else reversed(names):
            figure = subjects[name]()
            if number >= 0:
                found[name].append(figure)
    return found
