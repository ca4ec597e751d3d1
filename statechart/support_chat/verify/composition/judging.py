"""Judges states and steps of a composition: each once, for all states of which the same is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...errors import InvalidInputError
from ..deciding import raised
from ..properties import Property
from .model import Invariant, Possible, StepInvariant, Taken, Whole
from .world import World


class Judge:
    """Judges what a search of a world comes to."""

    def __init__(self, world: World) -> None:
        properties = list(enumerate(world.composition.properties))
        self._world = world
        self._of_states = [(i, p) for i, p in properties if isinstance(p, Invariant)]
        self._of_steps = [(i, p) for i, p in properties if isinstance(p, StepInvariant)]
        self.goals = [(i, p) for i, p in properties if isinstance(p, Possible)]
        self.bad: dict[tuple[int, int, int], dict[int, str]] = {}
        """The steps that break a property, with what to say of it: by whom, by what, and from which
        places.
        """
        self._known: dict[int, dict[int, str]] = {}
        self._seen: list[list[int]] = []
        width = 1
        for copy in world.copies:  # what is seen of a block, as a digit
            numbers: dict[Any, int] = {}
            seen = [numbers.setdefault(s, len(numbers)) for s in copy.part.blocks.system.seen]
            self._seen.append([number * width for number in seen])
            width *= len(numbers)
        self._width = width

    def state(self, places: int, blocks: Sequence[int]) -> dict[int, str]:
        """The invariants (their numbers) that do not hold of a state, with what to say of it."""
        key = self._key(places, blocks)
        found = self._known.get(key)
        if found is None:
            wholes = self._world.wholes(places, blocks)
            found = self._known[key] = {}
            for i, each in self._of_states:
                fault = _same(each, [fault_of(each.holds, whole) for whole in wholes])
                if fault is not None:
                    found[i] = fault
        return found

    def asking(
        self, goal: Possible, holds: Callable[[Whole], bool]
    ) -> Callable[[int, Sequence[int]], bool]:
        """Whether this holds of a state."""
        known: dict[int, bool] = {}

        def asked(places: int, blocks: Sequence[int]) -> bool:
            key = self._key(places, blocks)
            if key not in known:
                wholes = self._world.wholes(places, blocks)
                known[key] = _same(goal, [bool(holds(whole)) for whole in wholes])
            return known[key]

        return asked

    def steps(self, key: tuple[int, int, int], taken: Iterable[Taken]) -> None:
        """Judges what one act may make of the places."""
        for step in taken:
            for i, each in self._of_steps:
                fault = fault_of(each.holds, step)
                if fault is not None:
                    self.bad.setdefault(key, {}).setdefault(i, fault)

    def _key(self, places: int, blocks: Iterable[int]) -> int:
        """A number for what is seen of a state."""
        digits = zip(self._seen, blocks, strict=True)
        return places * self._width + sum([digit[block] for digit, block in digits])


def fault_of(holds: Callable[[Any], bool], seen: Any) -> str | None:
    """None if the property holds of what is seen, else what to say of it."""
    try:
        return None if holds(seen) else ""
    except Exception as error:  # a user's property may do anything; it must be named all the same
        return raised(error)


def _same(each: Property, answers: Sequence[Any]) -> Any:
    """The one answer of all exchanges of copies."""
    if any(answer != answers[0] for answer in answers):
        raise InvalidInputError(
            f"{each.id} is not the same if copies are exchanged, and they are alike; ask it of any "
            "copy, or of all, and not of one by its number."
        )
    return answers[0]
