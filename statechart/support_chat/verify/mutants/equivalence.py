"""Whether anybody can tell a mutant from its chart: the engine of each is led through the same
situations, and must answer alike.

Alike means: the same events in the same order and the same commands, up to swaps of commands that
commute (`support_chat.engine.commuting`), and the same snapshot after it, so that it goes on alike.
Requests that a step makes in another order have other numbers, and are the same all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import attrs

from ...chart.model import Chart
from ...engine import (
    Arm,
    Cancel,
    Command,
    Disarm,
    Emit,
    Engine,
    Perform,
    Reaction,
    Settle,
    Snapshot,
)
from ...engine.commuting import first_difference
from ..model import edited_pairs
from .judging import Differs
from .lives import KEYS, SETTINGS, Lives, can_be_led


def engine_differs(chart: Chart) -> Differs | None:
    """Says of mutants of this chart what is different for whoever runs them; None if the chart says
    not what its names mean, as the shipped one's do.
    """
    return Compared(chart).differs if can_be_led(chart) else None


class Compared:
    """One chart, and the situations in the `lives` of its sessions; without these they are found
    when they are first asked for.
    """

    def __init__(self, chart: Chart, lives: Lives | None = None) -> None:
        self._chart, self._known = chart, lives

    @cached_property
    def _lives(self) -> Lives:
        return self._known or Lives(self._chart)

    def differs(self, mutant: Chart) -> str | None:
        """What is different, the first that is found, or None."""
        pairs = edited_pairs(self._chart, mutant)
        all_alike = mutant.effects is self._chart.effects  # no outcome is another
        engine = Engine(mutant, SETTINGS, KEYS)
        for step in self._lives.steps(pairs if all_alike else None):
            before, reaction = step.situation.snapshot, step.reaction
            try:
                other = engine.step(before, step.happened, step.now)
            except Exception as error:
                return f"{_when(reaction)} the engine raises {type(error).__name__}: {error}"
            if different := next(_differences(before.serial, reaction, other), None):
                return f"{_when(reaction)} {different}"
        return None


def _when(reaction: Reaction) -> str:
    if not reaction.fired:
        return "on nothing"
    first = reaction.fired[0]
    return f"in {first.phase}, on {first.trigger}:"


def _differences(serial: int, one: Reaction, other: Reaction) -> Iterator[str]:
    numbers = _renumbered(serial, one.commands, other.commands)
    if found := first_difference(
        one.commands, tuple(_with(c, numbers) for c in other.commands), alike
    ):
        mine, its = found
        yield f"{_told(mine)} in the chart, {_told(its)} in the mutant"
    after = _with(other.snapshot, numbers)
    for field in attrs.fields(Snapshot):
        had, has = getattr(one.snapshot, field.name), getattr(after, field.name)
        if field.name == "context":
            names = sorted(cast("Mapping[str, Any]", vars(had)))
            for name in names:
                if not alike(getattr(had, name), getattr(has, name)):
                    yield f"afterwards {name} is another"
        elif not alike(had, has):
            yield f"afterwards {field.name} is {had} in the chart, {has} in the mutant"


def _renumbered(
    serial: int, one: tuple[Command, ...], other: tuple[Command, ...]
) -> Mapping[int, int]:
    """The numbers of the requests that a step has made, each as that of the same one."""
    mine, its = ([c.request for c in each if isinstance(c, Perform)] for each in (one, other))
    numbers: dict[int, int] = {}
    for request in its:
        for each in mine:
            same = each.effect == request.effect and alike(each.payload, request.payload)
            if same and request.number > serial and each.number not in numbers.values():
                numbers[request.number] = each.number
                break
    return {a: b for a, b in numbers.items() if a != b}


def _with(value: Any, numbers: Mapping[int, int]) -> Any:
    """A command or a snapshot with these numbers of requests."""
    if not numbers:
        return value
    match value:
        case Perform(request, limit):
            number = numbers.get(request.number, request.number)
            return Perform(attrs.evolve(request, number=number), limit)
        case Snapshot():
            return attrs.evolve(
                value,
                current=tuple(numbers.get(number, number) for number in value.current),
                detached={numbers.get(n, n): who for n, who in value.detached.items()},
                asking={numbers.get(n, n): who for n, who in value.asking.items()},
            )
        case _:
            return value


def alike(one: Any, other: Any) -> bool:
    """Whether two values say the same; errors do if they are of one class and say the same."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, BaseException):
        return one.args == other.args and alike(vars(one), vars(other))
    kind = cast("Any", type(one))
    if attrs.has(kind):
        fields: list[str] = [field.name for field in attrs.fields(kind) if field.eq]
        return all(alike(getattr(one, name), getattr(other, name)) for name in fields)
    if isinstance(one, Mapping):
        mine, its = cast("Any", one), other
        return mine.keys() == its.keys() and all(alike(mine[key], its[key]) for key in mine)
    if isinstance(one, tuple | list):
        first, second = cast("Sequence[Any]", one), cast("Sequence[Any]", other)
        return len(first) == len(second) and all(map(alike, first, second))
    return bool(one == other)


def _told(command: Command | None) -> str:
    match command:
        case None:
            return "nothing"
        case Perform(request):
            return f"{request.effect or 'word'} is asked"
        case Emit(event):
            return f"{type(event).__name__} is told"
        case Settle(error=error):
            return f"a call ends with {type(error).__name__ if error else 'its result'}"
        case Cancel(lanes):
            return f"{', '.join(lanes)} is cancelled"
        case Disarm(timers):
            return f"{', '.join(timers)} is stopped"
        case Arm(timer, seconds):
            return f"{timer} runs for {seconds:.3g} s"
        case _:
            return repr(command)
