"""A counterexample of a composition, as real steps: blocks become states, and whoever was exchanged
or renamed on the way is again who they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    places, blocks = world.composition.begin(), (0,) * len(world.copies)
    states = [0] * len(world.copies)
    for wanted in [*way[1:], *([None] if wrong else [])]:
        found = next(
            each
            for each in _possible(world, places, blocks)
            if (
                world.canonical(world.number(each.places), each.blocks) == wanted
                if wanted is not None
                else wrong is not None and _breaks(world, wrong, places, each)
            )
        )
        if found.copy < 0:
            yield Told(found.places, found.act.trigger, copy=found.number)
        else:
            copy = world.copies[found.copy]
            block = found.blocks[found.copy]
            steps, states[found.copy] = copy.part.way(states[found.copy], found.label, block)
            yield Told(found.places, "", copy.name, found.number, tuple(steps))
        places, blocks = found.places, found.blocks


def _possible(world: World, places: Places, blocks: tuple[int, ...]) -> Iterator[_Next]:
    """Every way to go on from a state, with nobody exchanged and nothing renamed."""
    for i, (copy, block) in enumerate(zip(world.copies, blocks, strict=True)):
        for label, after in copy.part.blocks.system.moves[block]:
            act = copy.part.act(label, block, after)
            now = (*blocks[:i], after, *blocks[i + 1 :])
            for then in world.acted(copy, act, places):
                yield _Next(i, copy.number, act, label, then, now)
    for move, number in world.moves:
        for then in world.moved(move, number, places):
            yield _Next(-1, number, moving(move.name), 0, then, blocks)


def moving(move: str) -> Act:
    """A move of places, as an act."""
    return Act(move, None, (), (), None, None)


def _breaks(world: World, wrong: StepInvariant, places: Places, each: _Next) -> bool:
    copy = world.copies[each.copy] if each.copy >= 0 else None
    taken = Taken(copy.name if copy else "", each.number, each.act, places, each.places)
    return fault_of(wrong.holds, taken) is not None
