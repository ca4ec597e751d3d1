"""Whether something can last for ever: strongly connected components of what happens by itself.

Without another call, only outcomes and expiries happen. What is waited for can last for ever in two
ways: in a state in which nothing at all can happen, or on a round. A round counts only if it is
fair: a timer that runs in all of its states, and that no step of it fires or starts anew, would
fire at last and end it; an effect that is outstanding in all of them, and that no step ends or
asks anew, would end, since every effect has a limit; and so has each call that waits in a slot
which can be abandoned. The component as a whole is judged, and that
is exact: what is missing in all of it is missing in each round within it, and a walk through all of
it is a round.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import attrs

from ..chart.model import Arm, Chart
from .explore import Space
from .model import Model, deserted
from .ways import Way


@attrs.frozen
class Lasting:
    """The state (its number) from which something can last for ever, and the steps (entries of the
    space) of a fair round there.

    Without steps nothing at all happens there by itself.
    """

    number: int
    round: tuple[tuple[int, int], ...]
    """`(number of the state, entry of the step out of it)`."""


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


def is_by_itself(chart: Chart, way: Way) -> bool:
    """Whether this needs no call, hint or event: an outcome or an expiry."""
    return bool(way.happening.of) and way.happening.trigger not in chart.events


def lasting(space: Space, waits: set[int]) -> Lasting | None:
    """The first state from which `waits` (numbers of states) can go on for ever, or None."""
    chart, inside, found = space.model.chart, dict[int, list[int]](), list[int]()
    rounds: dict[int, list[int]] = {}
    for number in waits:
        edges = [edge for edge in space.edges(number) if is_by_itself(chart, space.ways[edge])]
        inside[number] = [edge for edge in edges if space.afters[edge] in waits]
        if not edges and number < len(space.starts):
            found.append(number)
    debts = _debts(space.model)
    for component in components(
        {number: [space.afters[edge] for edge in edges] for number, edges in inside.items()}
    ):
        members = set(component)
        edges = [
            edge for number in component for edge in inside[number] if space.afters[edge] in members
        ]
        if edges and _fair(space, component, edges, debts):
            first = min(component)
            rounds[first] = edges
            found.append(first)
    if not found:
        return None
    number = min(found)
    return Lasting(
        number, tuple(_round(space, number, rounds[number], debts)) if number in rounds else ()
    )


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
    space: Space, number: int, edges: Iterable[int], debts: Iterable[_Debt]
) -> list[tuple[int, int]]:
    """A short fair round from this state: to one step after the other that pays a debt, and
    back.
    """
    out = defaultdict[int, list[int]](list)
    for edge in edges:
        out[space.owner(edge)].append(edge)
    owed = [debt for debt in debts if space.states[number] & debt.bit]
    walk: list[int] = []
    at = number
    while owed:
        walk += _path(space, out, at, lambda edge, debt=owed[0]: _pays(space, edge, debt))  # type: ignore[misc]
        at = space.afters[walk[-1]]
        owed = [debt for debt in owed if not any(_pays(space, edge, debt) for edge in walk)]
    if at != number or not walk:
        walk += _path(space, out, at, lambda edge: space.afters[edge] == number)
    return [(space.owner(edge), edge) for edge in walk]


def _pays(space: Space, edge: int, debt: _Debt) -> bool:
    return debt.paid_by(space.ways[edge]) or not space.states[space.afters[edge]] & debt.bit


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


def can_reach(space: Space, begins: Iterable[int], ends: set[int], calls: bool) -> int | None:
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
