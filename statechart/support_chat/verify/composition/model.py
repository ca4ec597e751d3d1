"""Several sessions in one world: copies of charts, the places that they share, and what must hold
of the whole. All of it is data; `support_chat.verify.composition.explore` explores it.

A *component* is a chart and its ledger, as `explore` explores it. A *place* is a small finite
automaton beside the components: a storage, a record of a backend, what is on its way between them.
A *rule* says which trigger or effect of a component reads or changes which places; of the rest of a
component's steps the places see nothing. A *place move* is what a place does by itself: a request
lands, a message is lost.

A rule is a function of the places, of the number of the copy that takes the step (from 0) and of
the `Act`, and returns the places as they may be afterwards: one way, several, or none if it cannot
happen now. So the outcome of a request is held back until it has one, and told as it is. A step
follows the rule of its trigger first, then those of its effects, in order.

- Copies of a component are alike. A place that is there `each` time for a component has one value a
  copy; a place that is shared must not name copies by number. Then states that differ by who is who
  are one.
- What places name (a key that was minted, a record) may be renamed too: `canonical` gives the same
  places with names in the order in which they are met. It must not depend on what it renames.
- What a component is seen by (`sees`) is all that properties know of it beside the places. The
  less is seen, the fewer states it has.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from ...chart.model import Chart, Raise
from ...errors import InvalidInputError
from ..properties import Property
from ..views import View

Places: TypeAlias = Any
"""The values of all places, as a named tuple: `places.storage`, `places.key[copy]`.
`places.put(copy, key=3)` is the same with another value of the copy's `key`.
"""
Seen: TypeAlias = Any
"""What is seen of one component, as a named tuple of the names in `sees`."""
Whole: TypeAlias = Any
"""A state of the whole, as a named tuple: its `places`, and for each component by its name what is
seen of the copies.
"""


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class Component:
    """`copies` of a chart and its ledger, with `users` who may call (each a number that is the same
    everywhere).

    `sees` is what properties may know of a copy, by name. Steps of a trigger, or with an effect,
    that is named in `without` are left out: what the composition abstracts from. So are steps into
    states that are not as `where` says, by what is seen of them: those that a model of the chart
    alone allows, and no session comes to.
    """

    name: str
    chart: Chart
    copies: int = 1
    users: int = 0
    sees: Mapping[str, Callable[[View], Hashable]] = attrs.field(
        factory=dict[str, "Callable[[View], Hashable]"], hash=False
    )
    without: tuple[str, ...] = attrs.field(default=(), converter=_names)
    where: Callable[[Seen], bool] = attrs.field(default=lambda seen: True, hash=False)


@attrs.frozen(kw_only=True)
class Place:
    """A value that components share, or, with `each`, one for each copy of that component."""

    name: str
    doc: str
    initial: Hashable = None
    each: str | None = None


@attrs.frozen
class Act:
    """A step of a component as the places see it: its trigger, if a rule is on it ("" otherwise),
    those of its effects that rules are on, and what is seen of the component before and after.

    The users and the facts that come along are known only as far as the chart's rows tell them
    apart: what they do not ask may be so or not (`may`, `may_name`).
    """

    trigger: str
    user: int | None
    facts: tuple[tuple[str, bool], ...]
    effects: tuple[str, ...]
    before: Seen
    after: Seen

    def may(self, fact: str, holds: bool = True) -> bool:
        """Whether this fact, coming along, may hold (or may not, with `holds` False)."""
        return dict(self.facts).get(fact, holds) == holds

    def may_name(self, user: int) -> bool:
        """Whether this may be whom the trigger names; 0 is nobody."""
        return self.user in (None, user)


@attrs.frozen(kw_only=True)
class Rule:
    """What triggers or effects (`on`) of the component `of` do to the places, as the module says.
    It `changes` these, and no others.

    A trigger may be impossible now; an effect may not: it is asked for, and must have a way.
    """

    of: str
    on: tuple[str, ...] = attrs.field(converter=_names)
    changes: tuple[str, ...] = attrs.field(default=(), converter=_names)
    does: Callable[[Places, int, Act], Iterable[Places]]


@attrs.frozen(kw_only=True)
class PlaceMove:
    """What places do by themselves, in words, perhaps for `each` copy of a component: given the
    places and the number of the copy, the places as they may be afterwards.
    """

    name: str
    changes: tuple[str, ...] = attrs.field(converter=_names)
    does: Callable[[Places, int], Iterable[Places]]
    each: str | None = None


@attrs.frozen
class Taken:
    """One step of the whole, as properties see it: by the copy of the component `of`, or, if that
    is "", by places alone (then `act.trigger` is the name of the place move).
    """

    of: str
    copy: int
    act: Act
    before: Places
    after: Places


@attrs.frozen
class Invariant(Property):
    """Holds in every reachable state of the whole."""

    holds: Callable[[Whole], bool]


@attrs.frozen
class StepInvariant(Property):
    """Holds of every step of the whole."""

    holds: Callable[[Taken], bool]


@attrs.frozen
class Possible(Property):
    """From every reachable state in which `begin` holds, one in which `end` does can be reached."""

    end: Callable[[Whole], bool]
    begin: Callable[[Whole], bool] = attrs.field(default=lambda whole: True)


def _as_it_is(places: Places) -> Places:
    return places


@attrs.frozen(kw_only=True)
class Composition:
    """Components, the places between them, and the properties of the whole.

    Raises InvalidInputError for a rule, a place or a move that names what is not there.
    """

    name: str
    components: tuple[Component, ...]
    places: tuple[Place, ...]
    rules: tuple[Rule, ...]
    moves: tuple[PlaceMove, ...] = ()
    properties: tuple[Invariant | StepInvariant | Possible, ...] = ()
    canonical: Callable[[Places], Places] = _as_it_is

    def __attrs_post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise InvalidInputError(f"The composition {self.name} is faulty: {'; '.join(faults)}.")

    def component(self, name: str) -> Component:
        """The component of this name."""
        return next(each for each in self.components if each.name == name)

    def begin(self) -> Places:
        """The places as they are at first."""
        copies = {each.name: each.copies for each in self.components}
        each = frozenset(place.name for place in self.places if place.each is not None)
        names = [place.name for place in self.places]
        at = {name: number for number, name in enumerate(names)}
        kind = named("Places", names, {"put": _put, "each": each, "at": at})
        return kind(
            *(
                place.initial if place.each is None else (place.initial,) * copies[place.each]
                for place in self.places
            )
        )


def named(name: str, fields: Iterable[str], more: Mapping[str, Any] | None = None) -> Any:
    """A class of named tuples with these fields and `more` beside them."""
    base: Any = namedtuple(name, list(fields))  # type: ignore[misc]
    return type(name, (base,), {"__slots__": (), **(more or {})})


def _put(places: Places, copy: int = 0, /, **values: Hashable) -> Places:
    found = list(places)
    for name, value in values.items():
        at = places.at[name]
        if name in places.each:
            old = found[at]
            found[at] = (*old[:copy], value, *old[copy + 1 :])
        else:
            found[at] = value
    return places._make(found)


def _faults(whole: Composition) -> Iterator[str]:
    components = [each.name for each in whole.components]
    places = [place.name for place in whole.places]
    names = [*components, *places, "places", "put", "each", "at"]
    yield from (f"{name} is there twice" for name in sorted({*names}) if names.count(name) > 1)
    for what, of in (
        *((f"the place {place.name} is there for each", place.each) for place in whole.places),
        *((f"the move {move.name!r} is there for each", move.each) for move in whole.moves),
        *((f"the rule on {', '.join(rule.on)} is of", rule.of) for rule in whole.rules),
    ):
        if of is not None and of not in components:
            yield f"{what} {of}, which is no component"
    for what, changes in (
        *((f"the move {move.name!r}", move.changes) for move in whole.moves),
        *((f"the rule on {', '.join(rule.on)}", rule.changes) for rule in whole.rules),
    ):
        yield from (f"{what} changes {n}, which is no place" for n in changes if n not in places)
    for each in whole.components:
        yield from _faults_of(each, [rule for rule in whole.rules if rule.of == each.name])


def _faults_of(component: Component, rules: Sequence[Rule]) -> Iterator[str]:
    chart = component.chart
    inside = [spec.trigger for spec in chart.effects.values() if isinstance(spec, Raise)]
    known = {*chart.triggers, *chart.effects}
    ruled = [name for rule in rules for name in rule.on]
    for name in dict.fromkeys(ruled):
        if name not in known:
            yield f"a rule is on {name}, which {component.name} has not"
        if name in inside:
            yield f"a rule is on {name}, which is internal; have one on an effect of its rows"
        if ruled.count(name) > 1:
            yield f"two rules are on {name} of {component.name}"
    for name in component.without:
        if name not in known:
            yield f"{component.name} is without {name}, which it has not"
    if component.copies < 1:
        yield f"of {component.name} there are {component.copies} copies"
