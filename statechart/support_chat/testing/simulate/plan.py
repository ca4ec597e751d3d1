"""A schedule as data: which of the moves that a seed draws are made, by how many tabs.

Each move has a randomness of its own, so that the others are the same when one is left out: that is
what lets a failing schedule shrink. What the seed draws beside the moves (whose turn it is, how
long things take) is drawn anew for each `salt`.
"""

from __future__ import annotations

import random

import attrs

MOVES = 30
"""How many moves a schedule has."""


@attrs.frozen
class Plan:
    """What a schedule is made of."""

    seed: int
    tabs: int
    scopes: int
    moves: tuple[int, ...]
    salt: int = 0

    @staticmethod
    def of(seed: int, *, moves: int = MOVES) -> Plan:
        """The schedule of this seed: one to three tabs, which may share a scope."""
        shape = _roll(seed, "shape")
        tabs = shape.choice((1, 2, 2, 2, 3))
        return Plan(seed, tabs, shape.choice((1, 1, tabs)), tuple(range(moves)))

    def move(self, number: int) -> random.Random:
        """What the move of this number is drawn from."""
        return _roll(self.seed, f"move {number}")

    def chance(self, what: str) -> random.Random:
        """What everything else of this name is drawn from."""
        return _roll(self.seed, f"{what} {self.salt}")

    def tab_of(self, number: int) -> int:
        """The tab that makes the move of this number, counted from 0."""
        return self.move(number).randrange(self.tabs)

    def __str__(self) -> str:
        kept = ",".join(map(str, self.moves))
        salt = f" --salt {self.salt}" if self.salt else ""
        return f"--seed {self.seed} --tabs {self.tabs} --scopes {self.scopes} --moves {kept}{salt}"


def _roll(seed: int, what: str) -> random.Random:
    return random.Random(f"{seed} {what}")  # a str is hashed the same in every process
