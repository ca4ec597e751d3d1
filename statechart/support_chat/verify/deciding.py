"""How each kind of property is decided on an explored space, and asked of single states and
steps.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from ..chart.model import Chart
from .explore import Space, explore
from .known import UnknownNameError
from .liveness import Assumed, Entry, can_reach, lasting, let_go
from .model import Model, State, Step
from .properties import (
    Always,
    CanReach,
    EachEffect,
    EachStep,
    Eventually,
    LeadsTo,
    OfRuns,
    Property,
    Report,
    Structure,
    Until,
    Verdict,
)
from .views import Move, Reads, View, decisive, goes, told
from .ways import Way

_Seen = TypeVar("_Seen")
_Answer = TypeVar("_Answer")


def check(
    chart: Chart,
    properties: Iterable[Property],
    *,
    users: int | None = None,
    max_states: int | None = None,
    time_limit: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Explores `chart` and decides each property; options as `explore`. A property that raises
    fails, with the error as detail.

    Raises InvalidInputError for one that asks for a phase, a fact or another name that the chart
    has not.
    """
    space = explore(
        chart, users=users, max_states=max_states, time_limit=time_limit, progress=progress
    )
    return Report(space, decide_all(space, properties))


def decide(space: Space, wanted: Property) -> Verdict:
    """The verdict on one property."""
    return decide_all(space, [wanted])[0]


def decide_all(space: Space, properties: Iterable[Property]) -> tuple[Verdict, ...]:
    """The verdict on each property, in their order. The states and the steps are gone through once
    for all of them.
    """
    wanted = tuple(properties)
    failed: dict[int, Verdict] = {}
    for i, each in enumerate(wanted):
        if isinstance(each, Always):
            for number, fault in enumerate(_faults(space, each)):
                if fault is not None:
                    failed[i] = Verdict(each, False, tuple(space.way_to(number)), fault)
                    break
    _judge_steps(
        space, {i: p for i, p in enumerate(wanted) if isinstance(p, EachStep | EachEffect)}, failed
    )
    for i, each in enumerate(wanted):
        if not isinstance(each, Always | EachStep | EachEffect):
            try:
                found = _judge_whole(space, each)
            except UnknownNameError as slip:
                raise _named(each, slip) from None
            except Exception as error:  # as in _fault
                found = Verdict(each, False, detail=raised(error))
            if found is not None:
                failed[i] = found
    held = True if space.complete else None
    return tuple(failed.get(i) or Verdict(each, held) for i, each in enumerate(wanted))


def _faults(space: Space, wanted: Always) -> Iterator[str | None]:
    """What to say of each state: None where the property holds."""
    return answers(space.model, space.states, partial(_fault, wanted, claim(wanted)))


def answers(
    model: Model, states: Iterable[State], ask: Callable[[View], _Answer]
) -> Iterator[_Answer]:
    """The answer to `ask` of each of these states. Of those that agree in all that it reads of the
    first, only the first is asked.
    """
    known: dict[int, dict[int, dict[int, _Answer]]] = {}  # by high part, bits read, and their value
    for state in states:
        alike = known.setdefault(state >> model.shift, {})
        bits = _alike(alike, state)
        if bits is None:
            reads = Reads()
            answer = ask(View(model, state, reads))
            bits = reads.bits
            alike.setdefault(bits, {})[state & bits] = answer
        yield alike[bits][state & bits]


def _alike(known: Mapping[int, Collection[int]], state: State) -> int | None:
    """The bits by which a state is alike to one whose bits are known, or None."""
    for bits, values in known.items():
        if state & bits in values:
            return bits
    return None


def holds_in(model: Model, state: State, wanted: Always) -> str | None:
    """None if the property holds in this state, else what to say of it."""
    return _fault(wanted, claim(wanted), View(model, state))


def holds_of(model: Model, step: Step, wanted: EachStep | EachEffect) -> str | None:
    """None if the property holds of this step, else what to say of it."""
    return _fault(wanted, _judge(wanted), Move(model, step)) if _concerns(wanted, step) else None


_Concerned: TypeAlias = "tuple[int, Callable[[Move], bool], dict[int, set[int]]]"
"""A property, by number, and what it has read of steps that go alike, as bits and their values."""
_NOTHING: Final[dict[int, set[int]]] = {}


class StepJudge:
    """Judges steps by properties. Of steps that go alike and agree in all that a property reads of
    the first, it is asked of the first alone.

    What `former` has judged is not judged again: the properties are the same, and all of it held.
    """

    def __init__(
        self, wanted: Mapping[int, EachStep | EachEffect], former: StepJudge | None = None
    ) -> None:
        self._wanted, self._former = wanted, former
        self._holds = {i: _judge(each) for i, each in wanted.items()}
        self._concerned: dict[Way, list[_Concerned]] = {}  # few ways, and fewer that go alike
        self._kinds: dict[Hashable, list[_Concerned]] = {}
        self._judged: dict[Way, dict[int, set[int]]] = {}

    def faults(
        self, model: Model, state: State, way: Way, after: State
    ) -> Iterator[tuple[int, Step, str]]:
        """The properties, by number, that do not hold of this step, and what to say of each."""
        if self.knows(way, state):
            return
        shift = model.shift
        step = Step(state, way.happening, way.rows, after, model.raw(after, way))
        concerned = self._concerned.get(way)
        if concerned is None:
            kind = goes(step, shift)
            if kind not in self._kinds:
                concerning = _concerned(self._wanted, way)
                self._kinds[kind] = [(i, self._holds[i], {}) for i in concerning]
            concerned = self._concerned[way] = self._kinds[kind]
        move, bits_of = Move(model, step, reads := Reads()), told(step, shift)
        left: list[_Concerned] = []
        all_read = 0
        for i, holds, known in concerned:
            bits = _alike(known, bits_of)
            if bits is None:
                reads.bits = 0
                if (fault := _fault(self._wanted[i], holds, move)) is not None:
                    yield i, step, fault
                bits = reads.bits
                if not bits:
                    continue  # it says the same of all steps that go alike
                known.setdefault(bits, set()).add(bits_of & bits)
            left.append((i, holds, known))
            all_read |= bits
        concerned[:] = left
        before = decisive(all_read, shift)
        self._judged.setdefault(way, {}).setdefault(before, set()).add(state & before)

    def knows(self, way: Way, state: State) -> bool:
        """Whether a step out of this state that goes this way is alike to one that was judged."""
        # `_alike` written out, since this is asked of every step
        for bits, values in self._judged.get(way, _NOTHING).items():
            if state & bits in values:
                return True
        return self._former is not None and self._former.knows(way, state)


def _judge_steps(
    space: Space, wanted: Mapping[int, EachStep | EachEffect], failed: dict[int, Verdict]
) -> None:
    concerned = {way for way in space.distinct if any(True for _ in _concerned(wanted, way))}
    if not concerned:
        return
    judge, states, ways, afters = StepJudge(wanted), space.states, space.ways, space.afters
    for number, edge in space.entries():
        way, state = ways[edge], states[number]
        if way in concerned and not judge.knows(way, state):
            for i, step, fault in judge.faults(space.model, state, way, states[afters[edge]]):
                if i not in failed:
                    failed[i] = Verdict(wanted[i], False, (*space.way_to(number), step), fault)


def _concerned(wanted: Mapping[int, EachStep | EachEffect], went: Way | Step) -> Iterator[int]:
    """Those, by number, that say something of the steps that go this way."""
    trigger, effects = went.happening.trigger, {e for row in went.rows for e in row.effects}
    for i, each in wanted.items():
        if isinstance(each, EachEffect):
            if not effects.isdisjoint(each.effects):
                yield i
        elif not each.on or trigger in each.on:
            yield i


def _concerns(wanted: EachStep | EachEffect, went: Way | Step) -> bool:
    return any(True for _ in _concerned({0: wanted}, went))


def claim(wanted: Always | EachStep | EachEffect) -> Callable[..., bool]:
    """What is to be true of each state, step or moment: that it `holds`, if it is asked there."""
    when, holds = wanted.when, wanted.holds
    return holds if when is None else lambda *seen: not when(*seen) or holds(*seen)


def _judge(wanted: EachStep | EachEffect) -> Callable[[Move], bool]:
    holds = claim(wanted)
    if isinstance(wanted, EachStep):
        return holds
    return lambda move: all(holds(*seen) for seen in _asked_of(wanted, move))


def _asked_of(wanted: EachStep | EachEffect, move: Move) -> Iterator[tuple[Any, ...]]:
    """What the property is asked of, of a step that concerns it."""
    if isinstance(wanted, EachStep):
        yield (move,)
    else:
        yield from ((moment, move) for _, moment in move.moments(wanted.effects))


def _judge_whole(space: Space, wanted: Property) -> Verdict | None:
    if isinstance(wanted, Structure):
        faults = wanted.faults(space.model.chart, space)
        return Verdict(wanted, False, detail="; ".join(faults)) if faults else None
    assert isinstance(wanted, OfRuns), "a property is of one of the kinds of this module"
    return judge_runs(space, wanted, [_numbers(space, seen) for seen in seen_by(wanted)])


def seen_by(wanted: OfRuns) -> tuple[Callable[[View], bool], ...]:
    """What it asks of each state."""
    match wanted:
        case Eventually(when=when):
            return (when,)
        case Until(when=when, holds=holds, to=to):
            return when, holds, to
        case _:
            return wanted.when, wanted.to


def judge_runs(space: Space, wanted: OfRuns, holding: Sequence[Set[int]]) -> Verdict | None:
    """A failure of the property, or None; `holding` are the numbers of the states in which each
    thing is so that it asks (`seen_by`).
    """
    begins, *others = holding
    match wanted:
        case CanReach(calls=calls):
            # what was not explored might be the way
            ends = others[0]
            stuck = can_reach(space, sorted(begins), ends, calls) if space.complete else None
            if stuck is None:
                return None
            return Verdict(
                wanted, False, tuple(space.way_to(stuck)), "from here on there is no way"
            )
        case Until():
            way = let_go(space, begins, *others)
            return None if way is None else Verdict(wanted, False, _steps(space, way))
        case LeadsTo(fair=fair, calls=calls):
            stays: Set[int] = set(range(len(space.states))) - others[0]
            found = lasting(space, begins & stays, stays, Assumed(frozenset(fair), calls))
        case Eventually(fair=fair):
            found = lasting(space, begins, begins, Assumed(frozenset(fair)))
    if found is None:
        return None
    story = (*space.way_to(found.begin), *_steps(space, found.way))
    detail = (
        "from here on it can go round for ever"
        if found.round
        else "from here on nothing more happens by itself"
    )
    return Verdict(wanted, False, story, detail, _steps(space, found.round))


def _steps(space: Space, entries: Iterable[Entry]) -> tuple[Step, ...]:
    return tuple(space.step(*entry) for entry in entries)


def _numbers(space: Space, seen: Callable[[View], bool]) -> set[int]:
    """The numbers of the states of which this is so."""
    held = answers(space.model, space.states, seen)
    return {number for number, holds in enumerate(held) if holds}


def counterexamples(space: Space, wanted: Property) -> Iterator[Verdict]:
    """Every failure of a property of states, steps or effects, the nearest first, since a session
    may not go the shortest way; none for a property of another kind.
    """
    if isinstance(wanted, Always):
        for number, fault in enumerate(_faults(space, wanted)):
            if fault is not None:
                yield Verdict(wanted, False, tuple(space.way_to(number)))
    elif isinstance(wanted, EachStep | EachEffect):
        for number, edge in space.entries():
            step = space.step(number, edge)
            if holds_of(space.model, step, wanted) is not None:
                yield Verdict(wanted, False, (*space.way_to(number), step))


def never_asked(space: Space, wanted: Property) -> bool:
    """Whether there is no state, step or moment that the property says anything of, so that it
    holds whatever the chart does.
    """
    when: Callable[..., bool] | None
    match wanted:
        case EachStep(when=when) | EachEffect(when=when):
            if when is None:
                return not any(_concerns(wanted, way) for way in space.distinct)
            return not any(
                when(*seen)
                for number, edge in space.entries()
                if _concerns(wanted, space.ways[edge])
                for seen in _asked_of(wanted, Move(space.model, space.step(number, edge)))
            )
        case Always(when=when):
            pass
        case LeadsTo(when=when) | Eventually(when=when) | Until(when=when) | CanReach(when=when):
            pass
        case _:
            return False
    return when is not None and not any(answers(space.model, space.states, when))


def _fault(each: Property, holds: Callable[[_Seen], bool], seen: _Seen) -> str | None:
    """None if the property holds of what is seen, else what to say of it."""
    try:
        return None if holds(seen) else ""
    except UnknownNameError as slip:
        raise _named(each, slip) from None
    except (
        Exception
    ) as error:  # a user's property may do anything; the report must name it all the same
        return raised(error)


def _named(each: Property, slip: UnknownNameError) -> UnknownNameError:
    return UnknownNameError(f"{each.id} is misspelt: {slip} in the chart.")


def raised(error: Exception) -> str:
    """What to say of a property that raises."""
    return f"the property raised {type(error).__name__}: {error}"
