"""What can be asked of a chart: the kinds of properties, and how each is decided on an explored
space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias, TypeVar

import attrs

from ..chart.model import Chart
from .explore import Space, explore
from .known import UnknownNameError
from .liveness import Assumed, Entry, can_reach, lasting, let_go
from .model import Model, State, Step
from .views import Move, Reads, View
from .ways import Way

_Seen = TypeVar("_Seen")


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@attrs.frozen
class Property:
    """One thing that is to hold, with a stable id and a sentence for people; what is decided of it
    says its class.

    Each kind has a `when`, or may have one: what it is asked of. A property that is asked of
    nothing holds whatever the chart does, and `check` says so.
    """

    id: str
    sentence: str


@attrs.frozen
class Always(Property):
    """Holds in every reachable state; with `when`, in every one in which that is so."""

    holds: Callable[[View], bool]
    when: Callable[[View], bool] | None = None


@attrs.frozen
class EachStep(Property):
    """Holds of every step; with `on`, of every step of this trigger, or of one of these; with
    `when`, of those of which that is so.
    """

    holds: Callable[[Move], bool]
    on: tuple[str, ...] = attrs.field(default=(), converter=_several)
    when: Callable[[Move], bool] | None = None


@attrs.frozen
class EachEffect(Property):
    """Holds whenever one of `effects` is asked: of the ledger at that moment, and of the step it
    belongs to; with `when`, whenever that is so then.
    """

    effects: tuple[str, ...] = attrs.field(converter=_several)
    holds: Callable[[View, Move], bool]
    when: Callable[[View, Move], bool] | None = None


@attrs.frozen
class Structure(Property):
    """Holds of the chart itself; `faults` names what is wrong, one sentence each. `space` is what
    was explored.
    """

    faults: Callable[[Chart, Space], Sequence[str]]


@attrs.frozen
class LeadsTo(Property):
    """From every state in which `when` holds, one in which `to` holds is come to at last, whatever
    the outcomes; without another call or event, or, with `calls`, whatever is called and heard.

    Every adapter effect has a limit, so whatever is outstanding ends. A timer that keeps running
    fires at last. Nothing else is taken for granted, but that what can happen again and again of
    the triggers in `fair` happens: an outcome, or a call or event, whether a row wants it then or
    not.
    """

    when: Callable[[View], bool]
    to: Callable[[View], bool]
    fair: tuple[str, ...] = attrs.field(default=(), converter=_several)
    calls: bool = False


@attrs.frozen
class Eventually(Property):
    """What `when` describes does not last: it leads to a state in which that is not so, as
    `LeadsTo` has it.
    """

    when: Callable[[View], bool]
    fair: tuple[str, ...] = attrs.field(default=(), converter=_several)


@attrs.frozen
class Until(Property):
    """From every state in which `when` holds, `holds` stays true, whatever happens, until one in
    which `to` holds. Whether that is ever come to is a `LeadsTo`.
    """

    when: Callable[[View], bool]
    holds: Callable[[View], bool]
    to: Callable[[View], bool]


@attrs.frozen
class CanReach(Property):
    """From every state in which `when` holds, one in which `to` holds can be reached (by calls too,
    if `calls`).
    """

    when: Callable[[View], bool]
    to: Callable[[View], bool]
    calls: bool = False


OfRuns: TypeAlias = LeadsTo | Eventually | Until | CanReach
"""What is said of all that can happen from a state on."""


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
    """The steps by which it then goes round for ever, back to where the story ends; for a `LeadsTo`
    or an `Eventually` only.
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
    _judge_states(space, {i: p for i, p in enumerate(wanted) if isinstance(p, Always)}, failed)
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


def _judge_states(space: Space, pending: dict[int, Always], failed: dict[int, Verdict]) -> None:
    claims = {i: claim(each) for i, each in pending.items()}
    for number, state in enumerate(space.states):
        if not pending:
            return
        view = View(space.model, state)
        for i, each in tuple(pending.items()):
            if (fault := _fault(each, claims[i], view)) is not None:
                failed[i] = Verdict(pending.pop(i), False, tuple(space.way_to(number)), fault)


def holds_in(model: Model, state: State, wanted: Always) -> str | None:
    """None if the property holds in this state, else what to say of it."""
    return _fault(wanted, claim(wanted), View(model, state))


def holds_of(model: Model, step: Step, wanted: EachStep | EachEffect) -> str | None:
    """None if the property holds of this step, else what to say of it."""
    return _fault(wanted, _judge(wanted), Move(model, step)) if _concerns(wanted, step) else None


class StepJudge:
    """Judges steps by properties. Of steps that go one way and agree in all that the properties
    read of the first, only the first is judged.

    What `former` has judged is not judged again: the properties are the same, and all of it held.
    """

    def __init__(
        self, wanted: Mapping[int, EachStep | EachEffect], former: StepJudge | None = None
    ) -> None:
        self._wanted, self._former = wanted, former
        self._concerned: dict[Way, list[tuple[int, Callable[[Move], bool]]]] = {}  # few ways
        self._judged: dict[Way, dict[int, set[int]]] = {}

    def faults(
        self, model: Model, state: State, way: Way, after: State
    ) -> Iterator[tuple[int, Step, str]]:
        """The properties, by number, that do not hold of this step, and what to say of each."""
        if self._former is not None and self._former._is_known(way, state):
            return
        judges = self._concerned.get(way)
        if judges is None:
            judges = self._concerned[way] = [
                (i, _judge(each)) for i, each in self._wanted.items() if _concerns(each, way)
            ]
            self._judged[way] = {}
        if not judges or self._is_known(way, state):
            return
        reads = Reads()
        raw = model.raw(after, way)
        move = Move(model, step := Step(state, way.happening, way.rows, after, raw), reads)
        for i, holds in judges:
            if (fault := _fault(self._wanted[i], holds, move)) is not None:
                yield i, step, fault
        self._judged[way].setdefault(reads.bits, set()).add(state & reads.bits)

    def _is_known(self, way: Way, state: int) -> bool:
        alike = self._judged.get(way)
        return alike is not None and (
            not self._concerned[way] or any(state & bits in known for bits, known in alike.items())
        )


def _judge_steps(
    space: Space, wanted: dict[int, EachStep | EachEffect], failed: dict[int, Verdict]
) -> None:
    judge = StepJudge(wanted)
    for number, edge in space.entries():
        way, after = space.ways[edge], space.states[space.afters[edge]]
        for i, step, fault in judge.faults(space.model, space.states[number], way, after):
            if i not in failed:
                failed[i] = Verdict(wanted[i], False, (*space.way_to(number), step), fault)


def _concerns(wanted: EachStep | EachEffect, went: Way | Step) -> bool:
    if isinstance(wanted, EachStep):
        return not wanted.on or went.happening.trigger in wanted.on
    return any(effect in wanted.effects for row in went.rows for effect in row.effects)


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
    views = [View(space.model, state) for state in space.states]
    return judge_runs(
        space,
        wanted,
        [{n for n, view in enumerate(views) if seen(view)} for seen in seen_by(wanted)],
    )


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


def counterexamples(space: Space, wanted: Property) -> Iterator[Verdict]:
    """Every failure of a property of states, steps or effects, the nearest first, since a session
    may not go the shortest way; none for a property of another kind.
    """
    if isinstance(wanted, Always):
        for number, state in enumerate(space.states):
            if holds_in(space.model, state, wanted) is not None:
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
                return not any(_concerns(wanted, way) for way in space.ways)
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
    return when is not None and not any(when(View(space.model, s)) for s in space.states)


def unknown_names(chart: Chart, wanted: Property) -> list[tuple[str, str]]:
    """The names that a property gives and the chart has not: each with what it would be."""
    match wanted:
        case EachStep(on=names) | LeadsTo(fair=names) | Eventually(fair=names):
            return [("the trigger", name) for name in names if name not in chart.triggers]
        case EachEffect(effects=names):
            return [("the effect", name) for name in names if name not in chart.effects]
        case _:
            return []


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
