"""A composition made ready to be explored: its copies, their rules, and the values of the places,
numbered as they are met.

What a rule makes of the places does not depend on anything else but the act, so it is worked out
once for each act and each value of the places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Any

import attrs

from ...errors import InvalidInputError
from .model import Act, Composition, PlaceMove, Places, Rule, Whole, named
from .parts import Part, prepare


@attrs.frozen
class Copy:
    """One copy of a component: its part, and its number among its like."""

    part: Part
    number: int

    @property
    def name(self) -> str:
        """The name of the component."""
        return self.part.component.name


@attrs.frozen
class _Exchange:
    """Copies that take each other's places: of all copies, and of those of each component."""

    order: tuple[int, ...]
    within: dict[str, tuple[int, ...]] = attrs.field(hash=False)


class World:
    """The copies of a composition and the values of its places. Copies of a component may take each
    other's place if `symmetric`.
    """

    def __init__(self, composition: Composition, symmetric: bool) -> None:
        self.composition = composition
        self.parts = [
            prepare(each, [rule for rule in composition.rules if rule.of == each.name])
            for each in composition.components
        ]
        self.copies = [Copy(part, n) for part in self.parts for n in range(part.component.copies)]
        self.moves: list[tuple[PlaceMove, int]] = [
            (move, n)
            for move in composition.moves
            for n in range(composition.component(move.each).copies if move.each else 1)
        ]
        self.values: list[Places] = []
        self._numbers: dict[Places, int] = {}
        self._rules = {(rule.of, name): rule for rule in composition.rules for name in rule.on}
        self._each = [(p.name, p.each) for p in composition.places if p.each is not None]
        self._exchanges = list(self._all_exchanges(symmetric))
        self._known: list[dict[int, int]] = [{} for _ in self._exchanges]
        self._whole = named("Whole", ["places", *(part.component.name for part in self.parts)])

    def number(self, places: Places) -> int:
        """The number of these values, under their canonical names."""
        places = self.composition.canonical(places)
        number = self._numbers.get(places)
        if number is None:
            number = self._numbers[places] = len(self.values)
            self.values.append(places)
        return number

    def canonical(self, places: int, blocks: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """The state that stands for this and for all that differ from it by who is who alone."""
        best: tuple[tuple[int, ...], int] | None = None
        for which, exchange in enumerate(self._exchanges):
            those = tuple([blocks[i] for i in exchange.order])
            if best is None or those <= best[0]:
                one = those, self._exchanged(places, which)
                best = one if best is None else min(best, one)
        assert best is not None, "to stay where one is, is an exchange"
        return best[1], best[0]

    def wholes(self, places: int, blocks: Sequence[int]) -> list[Whole]:
        """A state as invariants see it, and every one that differs by who is who alone."""
        return [
            self._whole_of(
                self.values[self._exchanged(places, which)], [blocks[i] for i in exchange.order]
            )
            for which, exchange in enumerate(self._exchanges)
        ]

    def _whole_of(self, places: Places, blocks: Sequence[int]) -> Whole:
        seen: dict[str, list[Any]] = {part.component.name: [] for part in self.parts}
        for copy, block in zip(self.copies, blocks, strict=True):
            seen[copy.name].append(copy.part.blocks.system.seen[block])
        return self._whole(places, *(tuple(those) for those in seen.values()))

    def acted(self, copy: Copy, act: Act, places: Places) -> list[Places]:
        """What the places may be after this act. Raises InvalidInputError."""
        found, rules = [places], self._rules
        for name in (act.trigger, *act.effects):
            rule = rules.get((copy.name, name))
            if rule is not None:
                found = [
                    self._checked(rule, name, each, after)
                    for each in found
                    for after in rule.does(each, copy.number, act)
                ]
                if not found and name == act.trigger:
                    return []
                if not found:
                    raise InvalidInputError(
                        f"In {self.composition.name}, the rule of {copy.name} on {name} has no "
                        "way, and an effect cannot be refused; give it one. The places are "
                        f"{places}."
                    )
        return list(dict.fromkeys(found))

    def moved(self, move: PlaceMove, copy: int, places: Places) -> list[Places]:
        """What the places may be after they have moved by themselves. Raises InvalidInputError."""
        return [
            self._checked(move, move.name, places, after)
            for after in dict.fromkeys(move.does(places, copy))
        ]

    def _checked(self, by: Rule | PlaceMove, name: str, before: Places, after: Places) -> Places:
        if before is not after:
            for place, old, new in zip(before._fields, before, after, strict=True):
                if old is not new and old != new and place not in by.changes:
                    who = f"the rule of {by.of} on {name}" if isinstance(by, Rule) else repr(name)
                    raise InvalidInputError(
                        f"In {self.composition.name}, {who} changes {place} without saying so; "
                        "name it in `changes`."
                    )
        return after

    def _all_exchanges(self, symmetric: bool) -> Iterator[_Exchange]:
        names = [part.component.name for part in self.parts]
        counts = [part.component.copies for part in self.parts]
        for orders in product(
            *(permutations(range(n)) if symmetric else [tuple(range(n))] for n in counts)
        ):
            order: list[int] = []
            for own in orders:
                first = len(order)
                order += [first + i for i in own]
            yield _Exchange(tuple(order), dict(zip(names, orders, strict=True)))

    def _exchanged(self, places: int, which: int) -> int:
        """The number of the places after an exchange of copies."""
        known = self._known[which]
        number = known.get(places)
        if number is None:
            before, within = self.values[places], self._exchanges[which].within
            values = {
                name: tuple([getattr(before, name)[i] for i in within[of]])
                for name, of in self._each
            }
            number = known[places] = self.number(before._replace(**values))
        return number
