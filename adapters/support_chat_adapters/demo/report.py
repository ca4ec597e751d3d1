"""What the demo reports, beside the session's events: scenes, steps with what was expected of them,
a summary; and each as lines of text and as JSON.

A step is one thing that the demo does to a session, together with facts that must hold afterwards.
It is reported twice: when it begins, since what happens meanwhile are events of the session, and
when it has ended. Lines and JSON are stable: the lines name no ids and no times of day, and so are
the same at every run but for the numbers; the JSON always has the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeAlias, cast

import attrs

from support_chat import AnyEvent, Phase
from support_chat.lifecycle.events import to_json

from ..ui.events import in_words


@attrs.frozen
class Counters:
    """What the other side has counted so far: at the backend, and at the customer's own server that
    mints the tokens.

    Attributes:
        dials: Attempts to open a link, failed ones included.
        links_most: The most links that were open at the same time.
        updates: Calls of update().
        update_requests: Requests that those calls became.
    """

    dials: int
    links_open: int
    links_most: int
    token_calls: int
    updates: int
    update_requests: int


@attrs.frozen
class SceneBegun:
    """Scene `number` (from 1) of so many begins."""

    type: ClassVar[str] = "scene"
    number: int
    of: int
    title: str


@attrs.frozen
class StepBegun:
    """A step begins, which will do this."""

    type: ClassVar[str] = "step_begun"
    did: str


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, cast("Sequence[object]", value))) or "nothing"
    if isinstance(value, type):
        return value.__name__
    return "none" if value is None else str(value)


@attrs.frozen
class Fact:
    """One thing that must be so after a step: its name, what was seen, and what was wanted, as
    text.
    """

    name: str
    seen: str = attrs.field(converter=_text)
    wanted: str = attrs.field(converter=_text)


@attrs.frozen
class Step:
    """A step that has ended: what was done, what came of it in plain words, the facts, and the
    counters afterwards.

    `failure` says in one sentence what raised, or hung, before the facts could be looked at.
    """

    type: ClassVar[str] = "step"
    scene: int
    did: str
    says: str
    facts: tuple[Fact, ...]
    counters: Counters
    failure: str | None = None

    @property
    def complaint(self) -> str:
        """What is not as expected, in one sentence; empty if all is."""
        return self.failure or "; ".join(
            f"{f.name}: wanted {f.wanted}, saw {f.seen}" for f in self.facts if f.seen != f.wanted
        )

    @property
    def ok(self) -> bool:
        """Whether the step ended as expected."""
        return not self.complaint


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
        played = {step.scene for step in self.steps}
        return not self.failed and len(played) == len(self.titles)

    @property
    def verdict(self) -> str:
        """The whole demo in one sentence."""
        steps, ok = len(self.steps), len(self.steps) - len(self.failed)
        phases = f"{len(self.visited)} of {len(Phase)} phases visited"
        return f"{ok} of {steps} steps ended as expected, {phases}"


Report: TypeAlias = AnyEvent | SceneBegun | StepBegun | Step | Summary
"""Everything that the demo reports."""
Show: TypeAlias = Callable[[Report], None]
"""Who watches the demo: a terminal, a log, a program."""


def lines_of(report: Report) -> Iterator[tuple[str, str]]:
    """The report as lines for a log: what stands at its beginning, and the text beside it."""
    match report:
        case SceneBegun():
            yield "", f"scene {report.number}/{report.of}: {report.title}"
        case StepBegun():
            yield "  do     ", report.did
        case Step():
            yield ("  ok     ", report.says) if report.ok else ("  FAILED ", report.complaint)
        case Summary(counters=counted):
            yield "phases: ", " ".join(report.visited)
            yield (
                "numbers: ",
                (
                    f"{counted.dials} dials, at most {counted.links_most} link open at once, "
                    f"{counted.token_calls} token calls, "
                    f"{counted.updates} updates in {counted.update_requests} requests"
                ),
            )
            for step in report.failed:
                yield "FAILED: ", f"scene {step.scene}, {step.did}: {step.complaint}"
            yield ("ok: " if report.ok else "FAILED: "), report.verdict
        case _:
            yield "  event  ", in_words(report, visitor="a visitor")


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON-ready data, told apart by `type`; the summary has each step that did not
    end as expected.
    """
    match report:
        case Step():
            return {"type": report.type, "ok": report.ok, **attrs.asdict(report)}
        case Summary():
            return {
                "type": "summary",
                "ok": report.ok,
                "verdict": report.verdict,
                "scenes": len(report.titles),
                "steps": len(report.steps),
                "failed": [
                    {"scene": step.scene, "did": step.did, "complaint": step.complaint}
                    for step in report.failed
                ],
                "phases": report.visited,
                "counters": attrs.asdict(report.counters),
                "seconds": round(report.seconds, 3),
            }
        case _:
            return to_json(cast("AnyEvent", report))  # a beginning has the shape of an event
