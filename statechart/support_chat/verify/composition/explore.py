"""Explores a composition, breadth first, and decides its properties.

A state of the whole is one number: that of the values of the places, and that of each copy's block.
States that differ by which copy is which are one, and so are states of a component that the places
cannot tell apart (`parts`, `minimise`). A step is a look-up: what an act makes of the places is
worked out at its first use (`world`).

Properties of steps are judged where a step is worked out, those of states when a state is first
met; what is possible from everywhere is found backwards from its ends.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import attrs

from ...errors import InvalidInputError
from ..deciding import raised
from ..properties import Property
from .expanding import Told, expanded, moving
from .judging import Judge
from .model import Act, Composition, Possible, StepInvariant, Taken
from .parts import Part
from .world import Copy, World

PROGRESS_EVERY: Final = 10_000
"""After how many states `progress` is told again, and the time is looked at."""

_Table: TypeAlias = "dict[int, tuple[int, ...]]"
"""For each number of the places those that they may become."""
_Offer: TypeAlias = "tuple[int, Act, tuple[int, ...], _Table]"
"""An act, numbered, and the blocks that it leads to."""


@attrs.frozen
class Judgement:
    """What became of a property of a composition: `held` is None if a limit left it open. `story`
    is a way to the failure, the shortest of those that the places can see.
    """

    property: Property
    held: bool | None
    story: tuple[Told, ...] = ()
    detail: str = ""


@attrs.frozen
class Product:
    """What was explored of a composition, and the judgements on its properties.

    `states` and `steps` are those of the whole, `values` how many the places were seen to have
    together, `depth` how far the farthest state is away.
    """

    composition: Composition
    parts: tuple[Part, ...]
    states: int
    steps: int
    values: int
    depth: int
    seconds: float
    complete: bool
    judgements: tuple[Judgement, ...]

    @property
    def held(self) -> bool | None:
        """True if everything held, False if something failed, None if a limit left something
        open.
        """
        if any(each.held is False for each in self.judgements):
            return False
        return None if any(each.held is None for each in self.judgements) else True


def check_whole(
    composition: Composition,
    *,
    symmetric: bool = True,
    max_states: int | None = None,
    time_limit: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Product:
    """Explores a composition and decides its properties. One that raises fails, with the error as
    detail.

    More than `max_states` states, or `time_limit` seconds, stop it early, and so does a failure of
    every property that there is. Without `symmetric`, copies keep their numbers (the verdicts are
    the same). `progress` is told the states found and the steps taken now and then. Raises
    InvalidInputError for a rule that changes another place than it says, or has no way for an
    effect.
    """
    begun = time.perf_counter()
    search = _Search(World(composition, symmetric))
    complete = search.run(begun, max_states, time_limit, progress)
    judgements = tuple(search.judgements(complete))
    return Product(
        composition,
        tuple(search.world.parts),
        len(search.states),
        search.steps,
        len(search.world.values),
        search.depth,
        time.perf_counter() - begun,
        complete,
        judgements,
    )


@attrs.frozen
class _Failure:
    """Where a property fails: in a state, or on a step out of it."""

    state: int
    detail: str


class _Search:
    """A breadth-first search of a world."""

    def __init__(self, world: World) -> None:
        self.world, self.states = world, list[int]()
        self.steps = self.depth = 0
        self._sizes = [len(copy.part.blocks.member) for copy in world.copies]
        self._radix: list[int] = []
        self._size = 1
        for size in self._sizes:
            self._radix.append(self._size)
            self._size *= size
        self._numbers: dict[int, int] = {}
        self._parents, self._starts, self._afters = array("I"), array("Q"), array("I")
        self._offers = [
            _offers(copy, radix) for copy, radix in zip(world.copies, self._radix, strict=True)
        ]
        self._judge = Judge(world)
        self._failures: dict[int, _Failure] = {}

    def run(
        self,
        begun: float,
        max_states: int | None,
        time_limit: float | None,
        progress: Callable[[int, int], None] | None,
    ) -> bool:
        """Explores; returns whether it came to the end before a limit."""
        world, size, states, numbers = self.world, self._size, self.states, self._numbers
        copies = list(zip(world.copies, self._radix, self._offers, strict=True))
        moves: list[tuple[int, _Table]] = [(i, {}) for i in range(len(world.moves))]
        keeps, starts, afters, bad = self._judge.goals, self._starts, self._afters, self._judge.bad
        self._admit(world.number(world.composition.begin()) * size, 0)
        level_ends, wanted = 1, len(world.composition.properties) or -1
        for number, state in enumerate(states):  # grows while it is read: breadth first
            if number == level_ends:
                self.depth, level_ends = self.depth + 1, len(states)
            if not number % PROGRESS_EVERY:
                if progress is not None:
                    progress(len(states), self.steps)
                if time_limit is not None and time.perf_counter() - begun > time_limit:
                    return False
            if max_states is not None and len(states) > max_states:
                return False
            if len(self._failures) == wanted:
                return False
            begin, steps = len(afters), 0
            places, code = divmod(state, size)
            blocks = self._blocks(code)
            for i, (copy, radix, offers) in enumerate(copies):
                rest = code - blocks[i] * radix
                for act_number, act, targets, table in offers[blocks[i]]:
                    found = table.get(places)
                    if found is None:
                        found = table[places] = self._acted(i, copy, act_number, act, places)
                    if bad and (i, act_number, places) in bad:
                        self._fail(number, bad[i, act_number, places])
                    for after in found:
                        base = after * size + rest
                        for target in targets:
                            new = numbers.get(base + target)
                            if new is None:
                                new = self._admit(base + target, number)
                            steps += 1
                            if keeps:
                                afters.append(new)
            for i, table in moves:
                found = table.get(places)
                if found is None:
                    found = table[places] = self._moved(i, places)
                if bad and (-1, i, places) in bad:
                    self._fail(number, bad[-1, i, places])
                for after in found:
                    new = numbers.get(after * size + code)
                    if new is None:
                        new = self._admit(after * size + code, number)
                    steps += 1
                    if keeps:
                        afters.append(new)
            self.steps += steps
            if keeps:
                starts.append(begin)
        starts.append(len(afters))
        return True

    def judgements(self, complete: bool) -> Iterator[Judgement]:
        """What became of each property."""
        if complete:
            for i, goal in self._judge.goals:
                try:
                    stuck = self._stuck(goal)
                except InvalidInputError:
                    raise
                except Exception as error:  # as in judging.fault_of
                    stuck = _Failure(0, raised(error))
                if stuck is not None:
                    self._failures[i] = stuck
        for i, each in enumerate(self.world.composition.properties):
            failure = self._failures.get(i)
            if failure is None:
                yield Judgement(each, True if complete else None)
            else:
                wrong = each if isinstance(each, StepInvariant) else None
                story = tuple(expanded(self.world, self._way_to(failure.state), wrong))
                yield Judgement(each, False, story, failure.detail)

    # --- states -----------------------------------------------------------------------------------

    def _blocks(self, code: int) -> tuple[int, ...]:
        found: list[int] = []
        for size in self._sizes:
            code, block = divmod(code, size)
            found.append(block)
        return tuple(found)

    def _admit(self, raw: int, parent: int) -> int:
        """The number of a state that was not met under this code before."""
        places, code = divmod(raw, self._size)
        places, blocks = self.world.canonical(places, self._blocks(code))
        state = places * self._size + sum(map(int.__mul__, blocks, self._radix))
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self.states)
            self.states.append(state)
            self._parents.append(parent)
            if wrong := self._judge.state(places, blocks):
                self._fail(number, wrong)
        self._numbers[raw] = number
        return number

    def _fail(self, number: int, wrong: dict[int, str]) -> None:
        for i, detail in wrong.items():
            self._failures.setdefault(i, _Failure(number, detail))

    def _way_to(self, number: int) -> list[tuple[int, tuple[int, ...]]]:
        """The states on the way to this one, itself included: the places and the blocks."""
        numbers = [number]
        while number:
            number = self._parents[number]
            numbers.append(number)
        pairs = (divmod(self.states[n], self._size) for n in reversed(numbers))
        return [(places, self._blocks(code)) for places, code in pairs]

    # --- steps ------------------------------------------------------------------------------------

    def _acted(self, i: int, copy: Copy, act_number: int, act: Act, places: int) -> tuple[int, ...]:
        before = self.world.values[places]
        found = self.world.acted(copy, act, before)
        self._judge.steps(
            (i, act_number, places),
            (Taken(copy.name, copy.number, act, before, after) for after in found),
        )
        return tuple(dict.fromkeys(map(self.world.number, found)))

    def _moved(self, i: int, places: int) -> tuple[int, ...]:
        (move, copy), before = self.world.moves[i], self.world.values[places]
        found = self.world.moved(move, copy, before)
        act = moving(move.name)
        self._judge.steps((-1, i, places), (Taken("", copy, act, before, x) for x in found))
        return tuple(dict.fromkeys(map(self.world.number, found)))

    # --- what is possible -------------------------------------------------------------------------

    def _stuck(self, goal: Possible) -> _Failure | None:
        """The first state from which a goal cannot be reached, or None."""
        starts, afters, count = self._starts, self._afters, len(self.states)
        firsts, before = array("Q", bytes(8 * (count + 1))), array("I", bytes(4 * len(afters)))
        for after in afters:
            firsts[after + 1] += 1
        for number in range(count):
            firsts[number + 1] += firsts[number]
        free = array("Q", firsts)
        for number in range(count):
            for edge in range(starts[number], starts[number + 1]):
                after = afters[edge]
                before[free[after]] = number
                free[after] += 1
        pairs = [divmod(state, self._size) for state in self.states]
        seen = [(places, self._blocks(code)) for places, code in pairs]
        ends, begins = (self._judge.asking(goal, each) for each in (goal.end, goal.begin))
        reached = bytearray(ends(*each) for each in seen)
        todo = [number for number in range(count) if reached[number]]
        for number in todo:  # grows while it is read
            for at in range(firsts[number], firsts[number + 1]):
                if not reached[before[at]]:
                    reached[before[at]] = 1
                    todo.append(before[at])
        for number in range(count):
            if not reached[number] and begins(*seen[number]):
                return _Failure(number, "from here on there is no way")
        return None


def _offers(copy: Copy, radix: int) -> list[list[_Offer]]:
    """What a copy can do in each block."""
    tables: dict[Act, tuple[int, _Table]] = {}
    found: list[list[_Offer]] = []
    for block, moves in enumerate(copy.part.blocks.system.moves):
        targets: dict[Act, list[int]] = {}
        for label, after in moves:
            targets.setdefault(copy.part.act(label, block, after), []).append(after * radix)
        found.append([])
        for act, afters in targets.items():
            number, table = tables.setdefault(act, (len(tables), {}))
            found[-1].append((number, act, tuple(afters), table))
    return found
