"""A counterexample of a composition, as real steps: blocks become states, and whoever was exchanged
or renamed on the way is again who they were.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence

import attrs

from ..model import Step
from .judging import fault_of
from .model import Act, Places, StepInvariant, Taken
from .world import World


@attrs.frozen
class Told:
    """One entry of a story of the whole: what places did by themselves (`move`; where it is there
    for each, for this `copy`), or what the copy of a component did: steps that the places do not
    see, and a last one, which they may. `places` are as they are afterwards.
    """

    places: Places
    move: str = ""
    component: str = ""
    copy: int = 0
    steps: tuple[Step, ...] = ()


@attrs.frozen
class _Next:
    """One way to go on: who did what (`copy` -1: places, for this `number`), and how everything is
    afterwards.
    """

    copy: int
    number: int
    act: Act
    label: int
    places: Places
    blocks: tuple[int, ...]


def expanded(
    world: World, way: Sequence[tuple[int, tuple[int, ...]]], wrong: StepInvariant | None
) -> Iterator[Told]:
    """The story that goes this way, states as a search keeps them, and then, if a step is `wrong`,
    takes such a step.
    """
    traveller = _Traveller(world)
    for places, blocks in way[1:]:
        yield traveller.take(
            next(
                each
                for each in traveller.possible()
                if world.canonical(world.number(each.places), each.blocks) == (places, blocks)
            )
        )
    if wrong is not None:
        its = (e for e in traveller.possible() if _breaks(world, wrong, traveller.places, e))
        yield traveller.take(next(its))


def wandered(
    world: World, choose: random.Random, entries: int, without: Collection[str] = ()
) -> Iterator[Told]:
    """A story that chance takes: so many entries, or as many as there are until nothing can happen,
    `without` these rows. What is real may be tried on it.
    """
    traveller = _Traveller(world)
    for _ in range(entries):
        possible = list(traveller.possible())
        choose.shuffle(possible)
        for each in possible:
            if not {row.name for step in traveller.steps(each) for row in step.rows} & {*without}:
                yield traveller.take(each)
                break
        else:
            return


class _Traveller:
    """Goes through a world step by step, with nobody exchanged and nothing renamed."""

    def __init__(self, world: World) -> None:
        self.places = world.composition.begin()
        self._world = world
        self._blocks = (0,) * len(world.copies)
        self._states = [0] * len(world.copies)

    def possible(self) -> Iterator[_Next]:
        """Every way to go on."""
        world, places, blocks = self._world, self.places, self._blocks
        for i, (copy, block) in enumerate(zip(world.copies, blocks, strict=True)):
            for label, after in copy.part.blocks.system.moves[block]:
                act = copy.part.act(label, block, after)
                now = (*blocks[:i], after, *blocks[i + 1 :])
                for then in world.acted(copy, act, places):
                    yield _Next(i, copy.number, act, label, then, now)
        for move, number in world.moves:
            for then in world.moved(move, number, places):
                yield _Next(-1, number, moving(move.name), 0, then, blocks)

    def take(self, found: _Next) -> Told:
        """Goes on so."""
        steps, state = self._way(found)
        self.places, self._blocks = found.places, found.blocks
        if found.copy < 0:
            return Told(found.places, found.act.trigger, copy=found.number)
        self._states[found.copy] = state
        return Told(found.places, "", self._world.copies[found.copy].name, found.number, steps)

    def steps(self, found: _Next) -> tuple[Step, ...]:
        """The steps of the component that goes on so."""
        return self._way(found)[0]

    def _way(self, found: _Next) -> tuple[tuple[Step, ...], int]:
        if found.copy < 0:
            return (), 0
        part, block = self._world.copies[found.copy].part, found.blocks[found.copy]
        steps, state = part.way(self._states[found.copy], found.label, block)
        return tuple(steps), state


def moving(move: str) -> Act:
    """A move of places, as an act."""
    return Act(move, None, (), (), None, None)


def _breaks(world: World, wrong: StepInvariant, places: Places, each: _Next) -> bool:
    copy = world.copies[each.copy] if each.copy >= 0 else None
    taken = Taken(copy.name if copy else "", each.number, each.act, places, each.places)
    return fault_of(wrong.holds, taken) is not None
