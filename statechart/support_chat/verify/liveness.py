"""What is said of whole runs: whether something can last for ever, whether it is kept until then,
whether it can be reached.

A run lasts where it *stops*, in a state out of which nothing leads that is bound to happen, or on a
round, of a strongly connected component of what may happen. Calls and events may come or not;
outcomes and expiries are bound to happen, and so is what a property takes to be `fair`. A round
counts only if it is fair. Two things make it unfair:

- Something is due in all of its states, and no step of it ends it or begins it anew. A timer that
  runs fires at last; an effect that is outstanding ends, since every effect has a limit; and so
  does a call that waits in a slot which can be abandoned.
- A trigger that is taken to be fair can happen in one of its states, and is no step of it. What can
  happen again and again happens.

A component is judged as a whole, and that is exact: what is missing in all of it is missing in each
round within it, and a walk through all of it is a round. Where a fair trigger is missing, a round
within it keeps away from the states in which that can happen: what is left is judged again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias

import attrs

from ..chart.model import Arm, Chart
from .explore import Space
from .model import Model, deserted
from .ways import Way

Entry: TypeAlias = "tuple[int, int]"
"""A step as numbers: of the state that it goes out of, and of its entry in the space."""


@attrs.frozen
class Lasting:
    """How something can last for ever: from the state `begin` (its number) on by the steps `way`,
    and then by those of `round` again and again. Without a round nothing more is bound to happen.
    """

    begin: int
    way: tuple[Entry, ...]
    round: tuple[Entry, ...]


@attrs.frozen
class Assumed:
    """What is taken to happen: the triggers that are `fair`, and with `calls` any call and event
    may come; without, only what needs none, and what is fair.
    """

    fair: frozenset[str] = frozenset()
    calls: bool = False

    def is_bound(self, chart: Chart, way: Way) -> bool:
        """Whether this is a step that is bound to happen: an outcome or an expiry, or fair."""
        return way.happening.trigger in self.fair or is_by_itself(chart, way)


@attrs.frozen
class _Debt:
    """What ends at last: while its `bit` is set, a step of `of` ends it and one with any of
    `effects` begins it anew.
    """

    bit: int
    of: str
    effects: frozenset[str]

    def paid_by(self, way: Way) -> bool:
        return way.happening.of == self.of or any(
            not self.effects.isdisjoint(row.effects) for row in way.rows
        )


_NOTHING: Final = Assumed()


def is_by_itself(chart: Chart, way: Way) -> bool:
    """Whether this needs no call, hint or event: an outcome or an expiry."""
    return bool(way.happening.of) and way.happening.trigger not in chart.events


def lasting(
    space: Space, begins: Collection[int], stays: Collection[int], assumed: Assumed = _NOTHING
) -> Lasting | None:
    """How it can go on for ever within `stays` (numbers of states), from one of `begins` among
    them; a shortest way to it, or None.
    """
    chart, inside, stops = space.model.chart, dict[int, list[int]](), set[int]()
    is_bound = cache(partial(assumed.is_bound, chart))
    reached = _reached(space, begins, stays, lambda way: assumed.calls or is_bound(way))
    for number in reached:
        bound = [edge for edge in space.edges(number) if is_bound(space.ways[edge])]
        edges = space.edges(number) if assumed.calls else bound
        inside[number] = [edge for edge in edges if space.afters[edge] in stays]
        if not bound and number < len(space.starts):
            stops.add(number)
    debts = _debts(space.model)
    rounds = {
        number: edges
        for part, edges in _fair_parts(space, inside, debts, assumed.fair)
        for number in part
    }
    lasts = next((number for number in reached if number in rounds or number in stops), None)
    if lasts is None:
        return None
    way, at = list[Entry](), lasts
    while (edge := reached[at]) is not None:
        at = space.owner(edge)
        way.append((at, edge))
    found = None if lasts in stops else rounds.get(lasts)
    return Lasting(
        at,
        tuple(way[::-1]),
        () if found is None else tuple(_round(space, lasts, found, debts, assumed.fair)),
    )


def _reached(
    space: Space, begins: Collection[int], stays: Collection[int], may: Callable[[Way], bool]
) -> dict[int, int | None]:
    """The states within `stays` that can be reached from `begins`, the nearest to the initial state
    first, each with the entry by which it is (None: it is a begin).
    """
    if len(begins) == len(stays):
        return dict.fromkeys(sorted(begins))  # states are numbered as they were found
    far = [0]  # how far each state is, by the shortest way
    for edge in space.born[1:]:
        far.append(far[space.owner(edge)] + 1)
    waiting: list[tuple[int, int, int]] = [(far[number], number, -1) for number in begins]
    heapify(waiting)
    found: dict[int, int | None] = {}
    while waiting:
        away, number, came = heappop(waiting)
        if number in found:
            continue
        found[number] = None if came < 0 else came
        for edge in space.edges(number):
            after = space.afters[edge]
            if after in stays and after not in found and may(space.ways[edge]):
                heappush(waiting, (away + 1, after, edge))
    return found


def _fair_parts(
    space: Space,
    inside: Mapping[int, list[int]],
    debts: Collection[_Debt],
    fair: frozenset[str],
) -> Iterator[tuple[list[int], list[int]]]:
    """The states and steps on which a run can go round fairly, part by part."""
    left = [inside]
    while left:
        graph = left.pop()
        for part in components({n: [space.afters[e] for e in graph[n]] for n in graph}):
            members = set(part)
            edges = [e for number in part for e in graph[number] if space.afters[e] in members]
            if not edges or not _fair(space, part, edges, debts):
                continue
            missing = fair.difference(space.ways[edge].happening.trigger for edge in edges)
            spurns = {
                number
                for number in (part if missing else ())
                if any(space.ways[e].happening.trigger in missing for e in space.edges(number))
            }
            if not spurns:
                yield part, edges
                continue
            members -= spurns
            left.append({n: [e for e in graph[n] if space.afters[e] in members] for n in members})


def _debts(model: Model) -> list[_Debt]:
    arms = defaultdict[str, set[str]](set)
    for effect, spec in model.chart.effects.items():
        if isinstance(spec, Arm):
            arms[spec.timer].add(effect)
    timers = [_Debt(bit, timer, frozenset(arms[timer])) for timer, bit in model.running.items()]
    asked = [_Debt(bit, effect, frozenset([effect])) for effect, bit in model.asked.items()]
    slots = deserted(model.chart)
    waits = [_Debt(bit, s, frozenset()) for s, bit in model.waiting.items() if s in slots]
    return timers + asked + waits


def _fair(
    space: Space, numbers: Iterable[int], edges: Collection[int], debts: Iterable[_Debt]
) -> bool:
    """Whether nothing is due all through this component without being ended or begun anew by one of
    its steps.
    """
    always = -1
    for number in numbers:
        always &= space.states[number]
    ways = {space.ways[edge] for edge in edges}
    return all(any(debt.paid_by(way) for way in ways) for debt in debts if always & debt.bit)


def _round(
    space: Space,
    number: int,
    edges: Collection[int],
    debts: Iterable[_Debt],
    fair: frozenset[str],
) -> list[Entry]:
    """A short fair round from this state: to one step after the other that pays a debt or is of a
    fair trigger, and back.
    """
    out = defaultdict[int, list[int]](list)
    for edge in edges:
        out[space.owner(edge)].append(edge)
    taken = fair.intersection(space.ways[edge].happening.trigger for edge in edges)
    owed = [
        *(partial(_pays, space, debt) for debt in debts if space.states[number] & debt.bit),
        *(partial(_is_of, space, trigger) for trigger in sorted(taken)),
    ]
    walk: list[int] = []
    at = number
    while owed:
        walk += _path(space, out, at, owed[0])
        at = space.afters[walk[-1]]
        owed = [pays for pays in owed if not any(map(pays, walk))]
    if at != number or not walk:
        walk += _path(space, out, at, lambda edge: space.afters[edge] == number)
    return [(space.owner(edge), edge) for edge in walk]


def _pays(space: Space, debt: _Debt, edge: int) -> bool:
    return debt.paid_by(space.ways[edge]) or not space.states[space.afters[edge]] & debt.bit


def _is_of(space: Space, trigger: str, edge: int) -> bool:
    return space.ways[edge].happening.trigger == trigger


def _path(
    space: Space, out: Mapping[int, list[int]], begin: int, last: Callable[[int], bool]
) -> list[int]:
    """The steps of a shortest way from `begin` that ends with one that is `last`."""
    came: dict[int, int] = {}
    frontier = deque([begin])
    while frontier:
        number = frontier.popleft()
        for edge in out[number]:
            after = space.afters[edge]
            if last(edge):
                way = [edge]
                while number != begin:
                    way.append(came[number])
                    number = space.owner(came[number])
                return way[::-1]
            if after not in came:
                came[after] = edge
                frontier.append(after)
    raise AssertionError("a component's states all reach each other")


def components(edges: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """The strongly connected components of a graph (Tarjan's algorithm, without recursion)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[list[int]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            state, successors = work[-1]
            for after in successors:
                if after not in index:
                    index[after] = low[after] = len(index)
                    stack.append(after)
                    on_stack.add(after)
                    work.append((after, iter(edges[after])))
                    break
                if after in on_stack:
                    low[state] = min(low[state], index[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == index[state]:
                    component: list[int] = []
                    while not component or component[-1] != state:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    found.append(component)
    return found


def can_reach(
    space: Space, begins: Iterable[int], ends: Collection[int], calls: bool
) -> int | None:
    """The first of `begins` from which none of `ends` can be reached, or None; by what happens by
    itself, and by `calls` too.
    """
    reached, left = set(ends), dict[int, list[int]]()
    for number in range(len(space.states)):
        if number not in reached:
            edges = space.edges(number)
            left[number] = [space.afters[e] for e in edges if calls or space.ways[e].happening.of]
    nearer = [-1]
    while nearer:  # a few rounds: most states are near an end
        nearer = [number for number, afters in left.items() if not reached.isdisjoint(afters)]
        reached.update(nearer)
        for number in nearer:
            del left[number]
    return next((number for number in begins if number not in reached), None)


def let_go(
    space: Space, begins: Collection[int], keeps: Collection[int], ends: Collection[int]
) -> list[Entry] | None:
    """The steps of a shortest way from one of `begins`, past none of `ends`, to a state that is
    none of `keeps` or `ends`; None if there is no such way. It is told from the initial state.
    """
    first = (0, 0 in begins)
    came: dict[tuple[int, bool], tuple[tuple[int, bool], int] | None] = {first: None}
    frontier = deque[tuple[int, bool]]([first])
    while frontier:
        at = frontier.popleft()
        number, begun = at
        begun = begun and number not in ends
        if begun and number not in keeps:
            way: list[Entry] = []
            here = came[at]
            while here is not None:
                way.append((here[0][0], here[1]))
                here = came[here[0]]
            return way[::-1]
        for edge in space.edges(number):
            after = space.afters[edge]
            into = after, begun or after in begins
            if into not in came:
                came[into] = at, edge
                frontier.append(into)
    return None
