"""A system with fewer states that nobody can tell from the first: branching bisimulation.

Of a system that is to be composed, most steps mean nothing to the others: they are *hidden*. Two
states are alike if the same is seen of them and each can do, perhaps after hidden steps that lead
only to states alike, what the other can, and comes to states alike. The *blocks* of states that are
alike, with the steps between them, reach what the system reaches, in the same order, with the same
choices left; and so they do beside any other system. It is blind to divergence: whether hidden
steps can go round for ever is not kept.

The signatures of Blom and Orzan: a state's is what it can do, by way of hidden steps within its
block, that leaves the block or is seen; blocks are split by signature until none is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Final

import attrs

from ..liveness import components

HIDDEN: Final = 0
"""The label of a step that only the system itself takes note of."""


@attrs.frozen
class System:
    """A labelled transition system: what is `seen` of each state, and its `moves`, each a label and
    the number of the state that it leads to. It begins in state 0.
    """

    seen: Sequence[Hashable]
    moves: Sequence[Sequence[tuple[int, int]]]


@attrs.frozen
class Minimal:
    """A system of blocks: `block_of` each state, the first `member` of each block, and the blocks
    as a `system`, whose moves are sorted and hold no hidden step within a block.
    """

    block_of: Sequence[int]
    member: Sequence[int]
    system: System


def minimise(system: System) -> Minimal:
    """The smallest system that is branching bisimilar to this one, blind to divergence."""
    # states on a round of hidden steps are alike, and what is left has no rounds: sinks come first
    groups = components(
        {
            state: [
                after
                for label, after in moves
                if label == HIDDEN and system.seen[after] == system.seen[state]
            ]
            for state, moves in enumerate(system.moves)
        }
    )
    group_of = [0] * len(system.moves)
    for number, states in enumerate(groups):
        for state in states:
            group_of[state] = number
    moves = [
        {(label, group_of[after]) for state in states for label, after in system.moves[state]}
        - {(HIDDEN, number)}
        for number, states in enumerate(groups)
    ]
    blocks = _numbered(system.seen[states[0]] for states in groups)
    while True:
        signatures = _signatures(moves, blocks)
        split = _numbered(zip(blocks, signatures, strict=True))
        if max(split) == max(blocks):
            return _minimal(system, [blocks[group] for group in group_of], signatures, group_of)
        blocks = split


def _signatures(
    moves: Sequence[set[tuple[int, int]]], blocks: Sequence[int]
) -> list[frozenset[tuple[int, int]]]:
    found: list[frozenset[tuple[int, int]]] = []
    for group, block in enumerate(blocks):
        signature: set[tuple[int, int]] = set()
        for label, after in moves[group]:
            if label == HIDDEN and blocks[after] == block:
                signature |= found[after]
            else:
                signature.add((label, blocks[after]))
        found.append(frozenset(signature))
    return found


def _minimal(
    system: System,
    blocks: Sequence[int],
    signatures: Sequence[frozenset[tuple[int, int]]],
    group_of: Sequence[int],
) -> Minimal:
    """The system of the blocks, numbered by their first states."""
    block_of = _numbered(blocks)
    renumbered = dict(zip(blocks, block_of, strict=True))
    first: dict[int, int] = {}
    for state, block in enumerate(block_of):
        first.setdefault(block, state)
    member = list(first.values())
    return Minimal(
        block_of,
        member,
        System(
            [system.seen[state] for state in member],
            [
                sorted((label, renumbered[block]) for label, block in signatures[group_of[state]])
                for state in member
            ],
        ),
    )


def _numbered(values: Iterable[Hashable]) -> list[int]:
    """Equal numbers for equal values, in the order in which they are met."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]
