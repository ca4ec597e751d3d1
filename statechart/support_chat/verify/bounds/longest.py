"""The longest wait: how late the last moment can be at which something is still waited for.

A state of a chart and its ledger needs no more for that than a *deadline* for each entry of its
ledger: whatever is under way lasts so long and no longer (`durations`), and may as well end at
once. Nothing is gained by anything that happens early: who lets it happen at the earliest deadline
of all has as much time left for what is begun already, and more for what begins then. So time
passes for as long as it may; then each thing that can happen is tried, and what begins has its
deadline from then on. The longest wait is the latest such moment.

Of two ways to one state, one whose deadlines are all as late as the other's stands for both. A way
that comes back to a state later, and with as much time left for everything, can be gone again and
again: then the wait has no end.

A bound is never too short. It might be too long: that a timer runs for a while at least is not made
use of, and what is under way when the wait begins is taken to have just begun. The tests play the
longest waits on real sessions, which shows that they are not.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple

import attrs

from ...chart.model import Disarm
from ..explore import Space
from ..ways import Way
from .durations import Durations, Term
from .waiting import OVER, Waiting

_CLOSE: Final = 1e-9
"""Seconds that two sums of the same limits may differ by, by the order in which they are added."""


@attrs.frozen
class Longest:
    """A longest wait: `seconds`, infinity if it has no end, the `terms` that add up to it, and `by`
    which calls and hints it has come to that, if by any.
    """

    seconds: float
    terms: tuple[Term, ...] = ()
    by: tuple[str, ...] = ()


AT_ONCE: Final = Longest(0.0)
"""Nothing is waited for."""


class Deadline(NamedTuple):
    """When something has ended at the latest, in seconds from the beginning of the wait, and what
    adds up to it: its own time, and the deadline at which it was begun.
    """

    at: float
    term: Term | None = None
    since: Deadline | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        """What adds up to it, the first first."""
        before = () if self.since is None else self.since.terms
        return before if self.term is None else (*before, self.term)


_BEGINNING: Final = Deadline(0.0)
_NEVER: Final = Deadline(math.inf)


def _at(deadline: Deadline) -> float:
    return deadline.at


def _until(term: Term, since: Deadline) -> Deadline:
    return Deadline(since.at + term.seconds, term, since)


class Move(NamedTuple):
    """A step while somebody waits: to which state (its number), what it begins (by its bit, the
    effect), and the bits of the asks that they are tied to afterwards (0: to none).
    """

    way: Way
    after: int
    begins: Mapping[int, str]
    tied: int


class Moves:
    """The steps of an explored space, for those who wait; of steps that are alike one. `bits` are
    those of what effects begin.
    """

    def __init__(self, space: Space, bits: Mapping[str, int]) -> None:
        self.space, self._bits = space, bits
        self.out_of = cache(self._out_of)
        self.begins = cache(self._begins)
        self._steps = cache(self._steps_of)
        alike: dict[object, Way] = {}
        self._alike = {
            way: alike.setdefault(
                (
                    tuple([row.name for row in way.rows]),
                    way.happening.trigger,
                    not way.happening.of,
                ),
                way,
            )
            for way in set(space.ways)
        }

    def _out_of(self, number: int, waiting: Waiting) -> list[Move]:
        """What may happen in this state after which they still wait."""
        states, clocks = self.space.states, waiting.clocks
        found: dict[object, Move] = {}
        for way, after in self._steps(number):
            state, begins = states[after], self.begins(way)
            fate = waiting.after(way, state)
            if fate == OVER or not waiting.allows(begins, state):
                continue
            timed = begins if clocks is None else {b: e for b, e in begins.items() if b & clocks}
            tied, outside = max(fate, 0), "" if way.happening.of else way.happening.trigger
            if tied or timed or after != number:
                alike = (after, tuple(timed.items()), tied, outside)
                found.setdefault(alike, Move(way, after, timed, tied))
        return list(found.values())

    def _steps_of(self, number: int) -> Iterable[tuple[Way, int]]:
        ways, afters, alike = self.space.ways, self.space.afters, self._alike
        return dict.fromkeys((alike[ways[e]], afters[e]) for e in self.space.edges(number))

    def _begins(self, way: Way) -> Mapping[int, str]:
        """What a step begins, or begins anew, and does not stop again."""
        found: dict[int, str] = {}
        model = self.space.model
        for row in way.rows:
            for effect in row.effects:
                if effect in self._bits:
                    found[self._bits[effect]] = effect
                elif isinstance(stops := model.chart.effects[effect], Disarm):
                    for timer in stops.timers:
                        found.pop(model.running.get(timer, 0), None)
        return found


class _Node:
    """A state in which somebody waits: until when what can last, and how it was come to."""

    __slots__ = ("deadlines", "due", "number", "outside", "parent", "waiting", "way")

    def __init__(
        self,
        number: int,
        waiting: Waiting,
        deadlines: dict[int, Deadline],
        parent: _Node | None = None,
        way: Way | None = None,
    ) -> None:
        self.number, self.waiting, self.deadlines = number, waiting, deadlines
        self.parent, self.way = parent, way
        self.due = min(deadlines.values(), key=_at, default=_NEVER)
        """Until when nothing need happen."""
        own = waiting.own
        if own is not None and own.seconds <= self.due.at:
            self.due = Deadline(own.seconds, own)
        self.outside: int = (
            0 if parent is None else parent.outside + (not (way and way.happening.of))
        )
        """How many steps from outside it took."""

    def outlasts(self, other: _Node) -> bool:
        """Whether everything may last as long here as there."""
        mine = self.deadlines
        return all(mine[bit].at >= one.at - _CLOSE for bit, one in other.deadlines.items())

    def again(self) -> _Node | None:
        """The node on the way here that was the same, but earlier and with no more time left for
        anything.
        """
        # their own time goes by
        earlier, mine = self.parent if self.waiting.own is None else None, self.deadlines
        while earlier is not None:
            if earlier.number == self.number:
                later = self.due.at - earlier.due.at
                if later > _CLOSE and all(
                    mine[bit].at - later >= one.at - _CLOSE
                    for bit, one in earlier.deadlines.items()
                ):
                    return earlier
            earlier = earlier.parent
        return None

    def by(self, since: _Node | None = None) -> tuple[str, ...]:
        """What happened from outside on the way here, since that node."""
        found: list[str] = []
        node: _Node | None = self
        while node is not None and node is not since:
            if node.way is not None and not node.way.happening.of:
                found.append(node.way.happening.trigger)
            node = node.parent
        return tuple(dict.fromkeys(found[::-1]))


def longest(
    moves: Moves,
    durations: Durations,
    begins: Iterable[tuple[int, Waiting]],
    *,
    calls: bool,
    unless: Collection[str] = (),
    enough: float = math.inf,
) -> Longest:
    """The longest of the waits that begin in these states (their numbers), whatever adapters do,
    and with `calls` whatever else is called; `unless` one of these triggers happens. None is known
    to be longer than `enough` seconds.
    """
    states, lasting = moves.space.states, durations.longest
    found, order = AT_ONCE, itertools.count()
    heap: list[tuple[float, int, int, _Node]] = []
    known: dict[tuple[int, Waiting], list[_Node]] = {}

    @cache
    def timed(state: int, waiting: Waiting) -> list[int]:
        clocks = waiting.clocks
        return [bit for bit in lasting if state & bit and (clocks is None or clocks & bit)]

    def is_new(node: _Node) -> bool:
        alike = known.setdefault((node.number, node.waiting), [])
        if any(other.outlasts(node) for other in alike):
            return False
        alike[:] = [other for other in alike if not node.outlasts(other)]
        alike.append(node)
        heapq.heappush(heap, (-node.due.at, node.outside, next(order), node))
        return True

    def then(node: _Node, move: Move) -> _Node:
        waiting, now, before = node.waiting, node.due, node.deadlines
        deadlines: dict[int, Deadline] = {}
        begun = move.begins
        for bit in timed(states[move.after], waiting):
            if bit in begun or bit not in before:
                term = durations.begun[begun[bit]] if bit in begun else lasting[bit]
                deadline = _until(term, now)
                if bit in waiting.latest:
                    deadline = min(deadline, _until(waiting.latest[bit], _BEGINNING), key=_at)
                deadlines[bit] = deadline
            else:
                deadlines[bit] = before[bit]
        return _Node(move.after, waiting, deadlines, node, move.way)

    for number, waiting in (begins := dict.fromkeys(begins)):
        is_new(_first(number, waiting, timed(states[number], waiting), lasting))
    own = (math.inf if waiting.own is None else waiting.own.seconds for _, waiting in begins)
    enough = min(enough, max(own, default=math.inf))
    while heap:
        *_, node = heapq.heappop(heap)
        if node not in known[node.number, node.waiting]:
            continue  # another one stands for it by now
        found = _longer(found, node.due, node)
        if found.seconds >= enough - _CLOSE:
            break
        if node.due.term is not None and node.due.term is node.waiting.own:
            continue  # they wait no more
        for move in moves.out_of(node.number, node.waiting):
            happening = move.way.happening
            if (not calls and not happening.of) or happening.trigger in unless:
                continue
            if move.tied:
                under_way = (at for bit, at in node.deadlines.items() if move.tied & bit)
                found = _longer(found, max(under_way, key=_at, default=_NEVER), node)
                continue
            after = then(node, move)
            if is_new(after) and (before := after.again()) is not None:
                return Longest(math.inf, by=after.by(before))
    return found


def _first(
    number: int, waiting: Waiting, timed: Iterable[int], lasting: Mapping[int, Term]
) -> _Node:
    """Where a wait begins: everything that is under way has just begun."""
    terms = {bit: waiting.latest.get(bit, lasting[bit]) for bit in timed}
    return _Node(number, waiting, {bit: _until(term, _BEGINNING) for bit, term in terms.items()})


def _longer(found: Longest, due: Deadline, node: _Node) -> Longest:
    return Longest(due.at, due.terms, node.by()) if due.at > found.seconds + _CLOSE else found
