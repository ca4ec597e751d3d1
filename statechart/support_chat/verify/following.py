"""Lays the trace of a real session over the model that the checker explores: every step must be one
that the model can take.

This is what makes the checker's verdicts say something about the code: whatever a session does is
something that was explored. A step is compared in five ways. It must be *enabled*: by the account
of what passed the seams, what it is the outcome of is under way. It must be *judged right*:
superseded by the account is superseded for the session, and the facts that came along are those
that the result, the error and the clock say. Its *rows* are the model's. What they *ask for* passed
the seams, once and in order. And *afterwards* phase, registers, facts and what is under way are the
model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..chart.model import Abandon, Arm, Ask, Detach, Disarm, EffectSpec, Fail, Join, Settle
from ..errors import RateLimitedError
from ..lifecycle.names import Effect as E
from ..lifecycle.names import Fact as F
from ..lifecycle.names import Timer
from ..lifecycle.names import Trigger as T
from ..ports import IdentifyAnswer, Welcome
from .model import Happening, Model, State, Taken
from .trace import Seen, Trace
from .views import View

_NOTES = {E.KEEP_LINK: "keep link", E.SETTLE_DETACHED: "take detached"}
"""What is seen at the seams of effects that the chart declares as notes."""


def follow(trace: Trace, model: Model) -> str:
    """What is wrong with the first step of the trace that the model cannot take; "" if it can take
    them all.

    `model` is that of the chart which the session runs. The trace must begin with the session.
    """
    trace.close()
    follower = _Follower(model)
    for number, seen in enumerate(trace.steps, 1):
        if fault := next(follower.faults(seen, trace), ""):
            return (
                f"step {number}, {seen.trigger} in {follower.phase} by "
                f"{', '.join(row.name for row in seen.rows)}: {fault}"
            )
        follower.go(seen)
    return ""


class _Follower:
    """Where the model stands, and who its users are."""

    def __init__(self, model: Model) -> None:
        self.model, self.at = model, model.initial
        self.names: dict[int, str | None] = {0: None}
        self.rows = {row.name for row in model.chart.transitions}

    @property
    def phase(self) -> str:
        return self.model.phase_of(self.at)

    def faults(self, seen: Seen, trace: Trace) -> Iterator[str]:
        """What is wrong with this step, the first first."""
        late = self.model.chart.late in seen.told[0]
        if late == seen.current:
            yield (
                f"it is {'current' if seen.current else 'superseded'} by the account, and the "
                "session takes it for the other"
            )
        yield from _misjudged(seen, trace)
        asked = [self._seen_of(effect) for row in seen.rows for effect in row.effects]
        if not _matches([words for words in asked if words], seen.done):
            yield (
                f"asked for {[' or '.join(words) for words in asked if words]}, and seen at the "
                f"seams: {seen.done}"
            )
        yield from seen.faults
        if late:
            if (seen.phase, seen.ledger) != (self.phase, _ledger(self.model, self.at)):
                yield f"a superseded outcome changed something: {seen.phase}, {seen.ledger}"
        elif not (taken := self._takes(seen)):
            yield "nothing under way by the account can end so"
        elif self._fitting(seen, taken) is None:
            best = min(taken, key=lambda each: [row.name for row in each.rows] != self._fired(seen))
            yield (
                f"the model goes by {[row.name for row in best.rows]} to "
                f"{self._stands(best.raw)}; the session to {_told(seen)}"
            )

    def go(self, seen: Seen) -> None:
        """Takes the step."""
        if seen.current and (fitting := self._fitting(seen, self._takes(seen))):
            raw, after = (self.model.registers_of(state) for state in (fitting.raw, fitting.after))
            numbered = dict(zip(raw, seen.registers, strict=True))
            self.names = {
                0: None,
                **{new: numbered[old] for new, old in zip(after, raw, strict=True)},
            }
            self.at = fitting.after

    def _takes(self, seen: Seen) -> list[Taken]:
        """Every way in which the model can take this step; if nothing that it knows of can happen,
        none.
        """
        could = [
            h
            for h in self.model.happenings(self.at)
            if h.trigger == seen.trigger and h.of == seen.of
        ]
        if not could:
            ignored = not seen.of and not self._fired(seen)
            return [Taken((), self.at, self.at)] if ignored else []
        carried = sum({bit for bit in self.model.fact.values() for h in could if h.carried & bit})
        brought = carried & sum(self.model.fact[fact] for fact in seen.told[0])
        chosen = [h for h in could if h.carried == brought and self._is_named(h, seen, could)]
        found = [(h, taken) for h in chosen for taken in self.model.take(self.at, h)]
        return [taken for _, taken in found] or [
            Taken((), self.at, self.at) for h in chosen if not h.spends
        ]

    def _is_named(self, happening: Happening, seen: Seen, could: Sequence[Happening]) -> bool:
        if not any(h.named for h in could):
            return True  # whom it names makes no difference here
        number = next((number for number, name in self.names.items() if name == seen.named), None)
        stranger = happening.named not in self.names
        return stranger if number is None else happening.named == number

    def _fitting(self, seen: Seen, taken: Sequence[Taken]) -> Taken | None:
        """The way that the session has gone, among those of the model."""
        for each in taken:
            view = View(self.model, each.raw)
            users = dict(zip(self.model.registers_of(each.raw), seen.registers, strict=True))
            if (
                [row.name for row in each.rows] == self._fired(seen)
                and view.phase == seen.phase
                and frozenset(view.facts()) == seen.facts
                and _ledger(self.model, each.raw) == seen.ledger
                and all(
                    (who == 0) == (name is None) and self.names.get(who, name) == name
                    for who, name in users.items()
                )
            ):
                return each
        return None

    def _fired(self, seen: Seen) -> list[str]:
        return [row.name for row in seen.rows if row.name in self.rows]

    def _stands(self, state: State) -> str:
        view = View(self.model, state)
        return (
            f"{view.phase} {sorted(view.facts())} {list(_ledger(self.model, state))} "
            f"{self.model.registers_of(state)}"
        )

    def _seen_of(self, effect: str) -> tuple[str, ...]:
        """What is to be seen at the seams of this effect: one of these, or nothing if there are
        none.
        """
        return (
            (_NOTES[E(effect)],)
            if effect in _NOTES
            else _of_kind(effect, self.model.chart.effects[effect])
        )


def _of_kind(effect: str, spec: EffectSpec) -> tuple[str, ...]:
    match spec:
        case Ask():
            return (f"ask {effect}",)
        case Arm():
            return (f"arm {spec.timer}", *([f"disarm {spec.timer}"] if spec.optional else []))
        case Disarm():
            return (f"disarm {' '.join(spec.timers)}",)
        case Join():
            return (f"join {spec.slot}",)
        case Settle() | Fail():
            return (f"take {spec.slot}",)
        case Abandon():
            return (f"abandon {' '.join(spec.lanes)}",)
        case Detach():
            return (f"detach {' '.join(spec.slots)}",)
        case _:
            return ()


def _matches(asked: Sequence[Sequence[str]], done: Sequence[str]) -> bool:
    return len(asked) == len(done) and all(
        did in words for words, did in zip(asked, done, strict=True)
    )


def _misjudged(seen: Seen, trace: Trace) -> Iterator[str]:
    """Where the facts that came along, or the user, are others than what came in says."""
    answer, named = seen.brought, seen.named
    welcome = getattr(answer, "welcome", None)
    if isinstance(welcome, Welcome):
        answer, named = welcome.claim, welcome.user_id
    elif isinstance(answer, IdentifyAnswer):
        named = answer.user_id
    if named != seen.named:
        yield "the session takes the backend's answer for another user's"
    true = {F.MERGED: isinstance(answer, IdentifyAnswer) and answer.merged}
    if seen.trigger == T.SILENCE_DUE:
        true[F.SILENT] = (
            seen.heard_at is not None
            and seen.heard_at + trace.runner.settings.silence_timeout <= seen.at
        )
    if seen.of == E.SEND_IDENTIFY:
        after = answer.retry_after if isinstance(answer, RateLimitedError) else None
        true[F.BEYOND] = after is not None and seen.at + after > seen.until[Timer.IDENTIFY]
    for fact, holds in true.items():
        if holds != (fact in seen.told[0]):
            yield f"the fact {fact} is {not holds} for the session, and {holds} by what came in"


def _ledger(model: Model, state: State) -> tuple[str, ...]:
    return tuple(
        sorted(entry for entry in View(model, state).ledger() if not entry.startswith("stored "))
    )


def _told(seen: Seen) -> str:
    return f"{seen.phase} {sorted(seen.facts)} {list(seen.ledger)} {seen.registers}"
