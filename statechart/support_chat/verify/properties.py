"""What can be asked of a chart: the kinds of properties, and how each is decided on an explored
space.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

import attrs

from ..chart.model import Chart
from .explore import Space, explore
from .known import UnknownNameError
from .liveness import can_reach, lasting
from .model import Model, State, Step
from .views import Move, Reads, View, decisive, goes, told
from .ways import Way

_Seen = TypeVar("_Seen")
_Answer = TypeVar("_Answer")


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@attrs.frozen
class Property:
    """One thing that is to hold, with a stable id and a sentence for people; what is decided of it
    says its class.
    """

    id: str
    sentence: str


@attrs.frozen
class Always(Property):
    """Holds in every reachable state."""

    holds: Callable[[View], bool]


@attrs.frozen
class EachStep(Property):
    """Holds of every step; with `on`, of every step of this trigger, or of one of these."""

    holds: Callable[[Move], bool]
    on: tuple[str, ...] = attrs.field(default=(), converter=_several)


@attrs.frozen
class EachEffect(Property):
    """Holds whenever one of `effects` is asked: of the ledger at that moment, and of the step it
    belongs to.
    """

    effects: tuple[str, ...] = attrs.field(converter=_several)
    holds: Callable[[View, Move], bool]


@attrs.frozen
class Structure(Property):
    """Holds of the chart itself; `faults` names what is wrong, one sentence each. `space` is what
    was explored.
    """

    faults: Callable[[Chart, Space], Sequence[str]]


@attrs.frozen
class Eventually(Property):
    """What `waits` describes does not last: without another call it ends, whatever the outcomes, if
    timers are fair.

    Every adapter effect has a limit, so whatever is outstanding ends. A timer that keeps running
    fires at last.
    """

    waits: Callable[[View], bool]


@attrs.frozen
class CanReach(Property):
    """From every state in which `begin` holds, one in which `end` holds can be reached (by calls
    too, if `calls`).
    """

    begin: Callable[[View], bool]
    end: Callable[[View], bool]
    calls: bool = False


@attrs.frozen
class Elsewhere:
    """A property that no model decides: its id and sentence, by what it is decided, and where (a
    test's path).
    """

    id: str
    sentence: str
    by: str
    where: str


@attrs.frozen
class Verdict:
    """What became of a property: `held` is None when a limit cut the exploration short before a
    failure was found.

    `story` is a shortest way to the failure, `detail` says in words what is wrong where there is no
    way to show.
    """

    property: Property
    held: bool | None
    story: tuple[Step, ...] = ()
    detail: str = ""
    round: tuple[Step, ...] = ()
    """The steps by which it then goes round for ever, back to where the story ends; for an
    `Eventually` only.
    """


@attrs.frozen
class Report:
    """A space and the verdicts on it."""

    space: Space
    verdicts: tuple[Verdict, ...]

    @property
    def held(self) -> bool | None:
        """True if everything held, False if something failed, None if a limit left something
        open.
        """
        if any(v.held is False for v in self.verdicts):
            return False
        return None if any(v.held is None for v in self.verdicts) else True


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
    return answers(space.model, space.states, partial(_fault, wanted, wanted.holds))


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
    return _fault(wanted, wanted.holds, View(model, state))


_Concerned: TypeAlias = "tuple[int, Callable[[Move], bool], dict[int, set[int]]]"
"""A property, by number, and what it has read of steps that go alike, as bits and their values."""


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
            concerned = self._concerned[way] = self._kinds.setdefault(
                goes(step, shift), [(i, self._holds[i], {}) for i in _concerned(self._wanted, way)]
            )
        move, bits_of = Move(model, step, reads := Reads()), told(step, shift)
        left, all_read = list[_Concerned](), 0
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
        alike = self._judged.get(way)
        if alike is not None and _alike(alike, state) is not None:
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


def _concerned(wanted: Mapping[int, EachStep | EachEffect], way: Way) -> Iterator[int]:
    """Those, by number, that say something of the steps that go this way."""
    trigger, effects = way.happening.trigger, {e for row in way.rows for e in row.effects}
    for i, each in wanted.items():
        if isinstance(each, EachEffect):
            if not effects.isdisjoint(each.effects):
                yield i
        elif not each.on or trigger in each.on:
            yield i


def _concerns(wanted: EachStep | EachEffect, way: Way) -> bool:
    return any(True for _ in _concerned({0: wanted}, way))


def _judge(wanted: EachStep | EachEffect) -> Callable[[Move], bool]:
    if isinstance(wanted, EachStep):
        return wanted.holds
    effects, holds = wanted.effects, wanted.holds
    return lambda move: all(holds(moment, move) for _, moment in move.moments(effects))


def _judge_whole(space: Space, wanted: Property) -> Verdict | None:
    if isinstance(wanted, Structure):
        faults = wanted.faults(space.model.chart, space)
        return Verdict(wanted, False, detail="; ".join(faults)) if faults else None
    if isinstance(wanted, Eventually):
        found = lasting(space, _numbers(space, wanted.waits))
        if found is None:
            return None
        detail = (
            "from here on it can go round for ever"
            if found.round
            else "from here on nothing more happens by itself"
        )
        return Verdict(
            wanted,
            False,
            tuple(space.way_to(found.number)),
            detail,
            tuple(space.step(*at) for at in found.round),
        )
    assert isinstance(wanted, CanReach), "a property is of one of the kinds of this module"
    if not space.complete:
        return None  # what was not explored might be the way
    begins, ends = _numbers(space, wanted.begin), _numbers(space, wanted.end)
    stuck = can_reach(space, sorted(begins), ends, wanted.calls)
    return (
        None
        if stuck is None
        else Verdict(wanted, False, tuple(space.way_to(stuck)), "from here on there is no way")
    )


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
        holds = _judge(wanted)
        for number, edge in space.entries():
            if _concerns(wanted, space.ways[edge]):
                move = Move(space.model, space.step(number, edge))
                if _fault(wanted, holds, move) is not None:
                    yield Verdict(wanted, False, (*space.way_to(number), move.step))


def never_asked(space: Space, wanted: Property) -> bool:
    """Whether there is no state or step that the property says anything of, so that it holds
    whatever the chart does.
    """
    match wanted:
        case EachStep() | EachEffect():
            return not any(_concerns(wanted, way) for way in space.distinct)
        case Eventually(waits=begin) | CanReach(begin=begin):
            return not any(answers(space.model, space.states, begin))
        case _:
            return False


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
