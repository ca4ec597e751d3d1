"""A component made ready to be composed: its space, what the places see of each step, and the
blocks of states that they cannot tell apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeAlias

import attrs

from ...chart.model import Carried
from ..explore import Space, explore
from ..known import UnknownNameError
from ..model import Step
from ..views import View
from ..ways import Way
from .minimise import HIDDEN, Minimal, System, minimise
from .model import Act, Component, Rule, named

_Told: TypeAlias = "tuple[str, int | None, tuple[tuple[str, bool], ...], tuple[str, ...]]"
"""An act without what is seen: the trigger, the user, the facts and the effects."""


@attrs.frozen
class Part:
    """A component, explored and minimised.

    `numbers` are those of its states in the `space`; the moves out of each are the labels and
    states of `system`, by the `edges` of the space. A label is the number of an act in `acts`, or
    HIDDEN. `blocks` is the minimal system.
    """

    component: Component
    space: Space
    numbers: Sequence[int]
    edges: Sequence[Sequence[int]]
    system: System
    acts: Sequence[Act | None]
    blocks: Minimal

    def act(self, label: int, before: int, after: int) -> Act:
        """The act of a move between two blocks, a hidden one's included."""
        known = self.acts[label]
        seen = self.blocks.system.seen
        return known if known is not None else Act("", None, (), (), seen[before], seen[after])

    def way(self, state: int, label: int, block: int) -> tuple[list[Step], int]:
        """The shortest steps from this state, within its block until the last, which has the label
        and leads into the other block; and the state that they lead to.
        """
        block_of, home = self.blocks.block_of, self.blocks.block_of[state]
        came: dict[int, tuple[int, int]] = {}
        todo = deque([state])
        while todo:
            at = todo.popleft()
            for (found, after), edge in zip(self.system.moves[at], self.edges[at], strict=True):
                if found == label and block_of[after] == block:
                    edges = [(at, edge)]
                    while at != state:
                        edges.append(came[at])
                        at = came[at][0]
                    steps = [self.space.step(self.numbers[n], e) for n, e in reversed(edges)]
                    return steps, after
                if (found, block_of[after]) == (HIDDEN, home) and after not in {state, *came}:
                    came[after] = (at, edge)
                    todo.append(after)
        raise AssertionError("every state of a block can do what the block can")


def prepare(component: Component, rules: Sequence[Rule]) -> Part:
    """Explores a component and minimises what these rules, its own, can see of it."""
    space = explore(component.chart, users=component.users, apart=True)
    act_of = _Acts(component, space, frozenset(name for rule in rules for name in rule.on))
    numbers, indices = [0], {0: 0}
    edges: list[list[int]] = []
    moves: list[list[tuple[int, int]]] = []
    for number in numbers:  # grows while it is read
        edges.append([])
        moves.append([])
        for edge in space.edges(number):
            after = space.afters[edge]
            if not act_of.left_out(space.ways[edge]) and component.where(act_of.seen(after)):
                if after not in indices:
                    indices[after] = len(numbers)
                    numbers.append(after)
                edges[-1].append(edge)
                moves[-1].append((act_of(number, edge), indices[after]))
    system = System([act_of.seen(number) for number in numbers], moves)
    return Part(component, space, numbers, edges, system, act_of.acts, minimise(system))


class _Acts:
    """The acts of a component's steps, numbered; HIDDEN for a step that no rule is on."""

    def __init__(self, component: Component, space: Space, on: frozenset[str]) -> None:
        self.acts: list[Act | None] = [None]
        self.seen = cache(self._seen)
        self.left_out = cache(self._left_out)
        self._component, self._space, self._on = component, space, on
        self._tuple = named("Seen", component.sees)
        self._labels: dict[Act, int] = {}
        self._told = cache(self._told_of)

    def __call__(self, number: int, edge: int) -> int:
        """The label of a step."""
        space = self._space
        told = self._told(space.ways[edge], space.model.phase_of(space.states[number]))
        if told is None:
            return HIDDEN
        act = Act(*told, self.seen(number), self.seen(space.afters[edge]))
        label = self._labels.get(act)
        if label is None:
            label = self._labels[act] = len(self.acts)
            self.acts.append(act)
        return label

    def _seen(self, number: int) -> Any:
        view = View(self._space.model, self._space.states[number])
        try:
            return self._tuple(*(read(view) for read in self._component.sees.values()))
        except UnknownNameError as slip:
            raise UnknownNameError(
                f"What is seen of {self._component.name} is misspelt: {slip} in the chart."
            ) from None

    def _left_out(self, way: Way) -> bool:
        gone = set(self._component.without)
        return way.happening.trigger in gone or not gone.isdisjoint(_effects(way))

    def _told_of(self, way: Way, phase: str) -> _Told | None:
        trigger = str(way.happening.trigger)
        effects = tuple(str(effect) for effect in _effects(way) if effect in self._on)
        if trigger not in self._on:
            return ("", None, (), effects) if effects else None
        chart, model = self._component.chart, self._space.model
        rows = chart.rows(phase, trigger)
        read = {fact for row in rows for fact in (*row.when, *row.unless)}
        carried = [f for f, kind in chart.facts.items() if isinstance(kind, Carried) and f in read]
        facts = tuple((str(f), bool(way.happening.carried & model.fact[f])) for f in carried)
        names = any(
            chart.named in (*attrs.astuple(chart.facts[fact], recurse=False),) for fact in read
        ) or any(chart.named in row.assigns.values() for row in rows)
        user = way.happening.named if chart.named is not None and names else None
        return (trigger, user, facts, effects)


def _effects(way: Way) -> Iterator[str]:
    return (effect for row in way.rows for effect in row.effects)
