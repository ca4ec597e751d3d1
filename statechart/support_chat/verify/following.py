"""Lays the trace of a session over the model that the checker explores: every step must be one that
the model can take.

This is what makes the checker's verdicts say something about the code: whatever a session does is
something that was explored. A step is compared in five ways. It must be *enabled*: by the account,
what it is the outcome of is under way. It must be *judged right*: superseded by the account is
superseded for the session, and the facts that came along are those that the result, the error and
the clock say. Its *rows* are the model's. Its *commands* are those that the rows' effects ask for,
once and in order. And *afterwards* phase, registers, facts and what is under way are the model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..chart.model import Abandon, Arm, Ask, Chart, Disarm, Note
from ..engine import CallMade, Close, Emit, Heard, Now, Outcome, Settle, commands as c
from ..errors import RateLimitedError
from ..lifecycle.chart import ONLINE
from ..lifecycle.context import MOST_BLOCKED, is_secret
from ..lifecycle.names import Effect as E, Fact as F
from ..lifecycle.requests import EndVisitor
from ..ports import IdentifyAnswer, MessageArrived, Welcome
from .model import Happening, Model, State, Step
from .trace import Seen, Trace
from .views import View


def follow(trace: Trace, model: Model) -> str:
    """What is wrong with the first step of the trace that the model cannot take; "" if it can take
    them all.

    `model` is that of the chart which the session runs. The trace must begin with the session.
    """
    follower = _Follower(model, trace)
    for number, seen in enumerate(trace.steps, 1):
        if fault := next(follower.faults(seen), ""):
            rows = ", ".join(row.name for row in seen.rows)
            return f"step {number}, {seen.trigger} in {follower.phase} by {rows}: {fault}"
        follower.go(seen)
    return ""


class _Follower:
    """Where the model stands, and who its users are."""

    def __init__(self, model: Model, trace: Trace) -> None:
        self.model, self.at = model, model.initial
        self.names: dict[int, str | None] = {0: None}
        self.rows = {row.name for row in model.chart.transitions}
        self.settings, self.machine = trace.settings, trace.program.machine
        self.identify_until = 0.0
        self.listens_until: float | None = None

    @property
    def phase(self) -> str:
        return self.model.phase_of(self.at)

    def faults(self, seen: Seen) -> Iterator[str]:
        """What is wrong with this step, the first first."""
        late = self.model.chart.late in seen.rows[0].when
        if late == seen.current:
            judged = "current" if seen.current else "superseded"
            yield f"it is {judged} by the account, and the session takes it for the other"
        yield from self._misjudged(seen)
        asked, done = _asked(seen, self.model.chart), _done(seen, self.model.chart)
        matches = len(asked) == len(done) and all(
            did in words for words, did in zip(asked, done, strict=True)
        )
        if not matches:
            yield f"the rows ask for {asked}, and the commands are {done}"
        yield from self._untold(seen)
        yield from seen.faults
        if late:
            if (seen.phase, seen.ledger) != (self.phase, _ledger(self.model, self.at)):
                yield f"a superseded outcome changed something: {seen.phase}, {seen.ledger}"
        elif not (taken := self._takes(seen)):
            yield "nothing under way by the account can end so"
        elif self._fitting(seen, taken) is None:
            best = min(taken, key=lambda each: [row.name for row in each.rows] != self._fired(seen))
            rows, session = [row.name for row in best.rows], _told(seen)
            yield f"the model goes by {rows} to {self._stands(best.raw)}; the session to {session}"

    def go(self, seen: Seen) -> None:
        """Takes the step."""
        for command in seen.commands:
            if isinstance(command, c.Bound) and E.JOIN_IDENTIFY in _effects(seen):
                until = seen.now.at + command.seconds
                begun = self.model.registers_of(self.at)[1] != 0
                joins = begun and E.FORGET_TARGET not in _effects(seen)
                self.identify_until = max(self.identify_until, until) if joins else until
            if isinstance(command, c.Arm) and command.timer == "silence":
                again = self._heard_nothing(seen.now)
                self.listens_until = None if again else seen.now.at + command.seconds
        if seen.current and (fitting := self._fitting(seen, self._takes(seen))):
            raw, after = (self.model.registers_of(state) for state in (fitting.raw, fitting.after))
            numbered = dict(zip(raw, seen.registers, strict=True))
            new_names = {new: numbered[old] for new, old in zip(after, raw, strict=True)}
            self.names = {0: None, **new_names}
            self.at = fitting.after

    def _takes(self, seen: Seen) -> list[Step]:
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
            nothing = Happening(seen.trigger, 0, 0)
            return [Step(self.at, nothing, (), self.at, self.at)] if ignored else []
        carried = sum({bit for bit in self.model.fact.values() for h in could if h.carried & bit})
        brought = carried & seen.fired[0].facts
        chosen = [h for h in could if h.carried == brought and self._is_named(h, seen, could)]
        found = [taken for h in chosen for taken in self.model.take(self.at, h)]
        return found or [Step(self.at, h, (), self.at, self.at) for h in chosen if not h.spends]

    def _is_named(self, happening: Happening, seen: Seen, could: Sequence[Happening]) -> bool:
        if not any(h.named for h in could):
            return True  # whom it names makes no difference here
        named = seen.fired[0].named
        number = next((number for number, name in self.names.items() if name == named), None)
        stranger = happening.named not in self.names
        return stranger if number is None else happening.named == number

    def _fitting(self, seen: Seen, taken: Sequence[Step]) -> Step | None:
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
        users = self.model.registers_of(state)
        return f"{view.phase} {sorted(view.facts())} {list(_ledger(self.model, state))} {users}"

    def _heard_nothing(self, now: Now) -> bool:
        return bool(now.heard_at + self.settings.silence_timeout <= now.at)

    def _misjudged(self, seen: Seen) -> Iterator[str]:
        """Where the facts that came along, or the user, are others than what came in says."""
        fired, happened = seen.fired[0], seen.happened
        blocked = self.listens_until is not None and seen.now.at > self.listens_until + MOST_BLOCKED
        true, named = {F.SILENT: self._heard_nothing(seen.now) and not blocked}, None
        if isinstance(happened, CallMade):
            true, named = {F.FULL: happened.arguments.clear_storage}, happened.arguments.user_id
            if self.model.phase_of(self.at) not in ONLINE:
                true[F.AT_ONCE] = not happened.arguments.queue
        elif isinstance(happened, Heard) and isinstance(happened.event, MessageArrived):
            true[F.OWN] = happened.event.own
        elif isinstance(happened, Outcome):
            answer, error = happened.result, happened.error
            if isinstance(answer, Welcome | IdentifyAnswer):
                named = answer.user_id
            true = {}
            if happened.request.effect == E.SEND_IDENTIFY:
                after = error.retry_after if isinstance(error, RateLimitedError) else None
                true[F.BEYOND] = after is not None and seen.now.at + after > self.identify_until
        if named != fired.named:
            yield "the session takes what came in for another user's"
        read = {
            fact
            for row in self.model.chart.rows(fired.phase, fired.trigger)
            for fact in (*row.when, *row.unless)
        }
        said = self.machine.names(fired.facts)
        for fact, holds in true.items():
            if fact in read and seen.current and holds != (fact in said):
                yield f"the fact {fact} is {not holds} for the session, and {holds} by what came in"

    def _untold(self, seen: Seen) -> Iterator[str]:
        """Where the backend is not told of a visitor who was removed, or is told of another."""
        happened, says = seen.happened, E.END_VISITOR in _effects(seen)
        removed = happened.result if isinstance(happened, Outcome) else None
        ended = [removed] if says and isinstance(removed, str) and is_secret(removed) else []
        performed = [each.request.payload for each in seen.commands if isinstance(each, c.Perform)]
        told = [each.visitor for each in performed if isinstance(each, EndVisitor)]
        if told != ended:
            yield f"{len(ended)} visitors have ended, and the backend is told {len(told)} times"


def _asked(seen: Seen, chart: Chart) -> list[set[str]]:
    """What the effects of the rows ask for: for each command, the words that would do. A batch may
    ask for any number of things.
    """
    return [words for effect in _effects(seen) if (words := _command(effect, chart))]


def _effects(seen: Seen) -> list[str]:
    return [effect for row in seen.rows for effect in row.effects]


def _command(effect: str, chart: Chart) -> set[str]:
    match chart.effects[effect]:
        case Ask() as spec:
            return set() if spec.batch else {f"perform {effect}"}
        case Arm() as spec:
            return {f"arm {spec.timer}", *([f"disarm {spec.timer}"] if spec.optional else [])}
        case Disarm() as spec:
            return {f"disarm {' '.join(spec.timers)}"}
        case Abandon() as spec:
            return {f"cancel {' '.join(spec.lanes)}"}
        case Note() as spec if spec.opens is not None:
            return {"keep"}
        case _:
            return set()


def _done(seen: Seen, chart: Chart) -> list[str]:
    """The commands, in the same words; what they settle, close and emit is compared otherwise."""
    words: list[str] = []
    for command in seen.commands:
        match command:
            case c.Perform(request):
                spec = chart.effects.get(request.effect)
                if isinstance(spec, Ask) and not spec.batch:
                    words.append(f"perform {request.effect}")
            case c.Arm(timer):
                words.append(f"arm {timer}")
            case c.Disarm(timers):
                words.append(f"disarm {' '.join(timers)}")
            case c.Cancel(lanes):
                words.append(f"cancel {' '.join(lanes)}")
            case c.Keep():
                words.append("keep")
            case c.Bound() | Settle() | Close() | Emit():
                pass
    return words


def _ledger(model: Model, state: State) -> tuple[str, ...]:
    entries = View(model, state).ledger()
    return tuple(sorted(entry for entry in entries if not entry.startswith("stored ")))


def _told(seen: Seen) -> str:
    return f"{seen.phase} {sorted(seen.facts)} {list(seen.ledger)} {seen.registers}"
