"""Where everything lies in a packed state: the bit of each fact and of each entry of the ledger,
the registers, the phase.

The *ledger* is the environment's own account of what is under way: which effects are outstanding
and current, which lanes are open for events, which timers run, in which slots somebody waits, what
may be in the storage. A packed state is, from its lowest bit: the facts, the ledger, the registers,
the phase. The part above the ledger is called *high*: it is the same for many states, so what can
happen is worked out once for each of them (`support_chat.verify.ways`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import TypeAlias

import attrs

from ..chart.machine import Compiled
from ..chart.model import (
    Abandon,
    Arm,
    Ask,
    Chart,
    Derived,
    Detach,
    Disarm,
    Fail,
    Join,
    Note,
    Settle,
)

State: TypeAlias = int
"""A packed state."""


@attrs.frozen(slots=True)
class Impact:
    """What an effect does to the ledger and to what the context decides: the bits it clears, sets,
    frees, may set and may clear.
    """

    off: int = 0
    on: int = 0
    free: int = 0
    up: int = 0
    down: int = 0


class Layout:
    """The places of a chart's facts, ledger, registers (with `users` users besides nobody) and
    phase in a packed state.
    """

    def __init__(self, chart: Chart, users: int) -> None:
        self.chart, self.users = chart, users
        self.compiled = Compiled(chart)
        self.fact = self.compiled.bits
        self.asked: dict[str, int] = {}
        self.open: dict[str, int] = {}
        self.running: dict[str, int] = {}
        self.waiting: dict[str, int] = {}
        self.stored: dict[str, int] = {}
        place = len(chart.facts)
        for effect, spec in chart.effects.items():
            for table, name in _entries(effect, spec):
                entries: dict[str, int] = getattr(self, table)
                if name not in entries:
                    entries[name] = 1 << place
                    place += 1
        self.shift = place
        self.low = (1 << place) - 1
        self._width = max(1, users.bit_length())
        self._mask = (1 << self._width) - 1
        self.phase_shift = self._width * len(chart.registers)
        self._phases = {phase: i for i, phase in enumerate(chart.phases)}
        self.impacts = {effect: self._impact(effect) for effect in chart.effects}

    def of(self, chart: Chart) -> Layout:
        """The same places, for a chart that differs from this one in its rows alone."""
        same = copy(self)
        same.chart = chart
        return same

    def high_of(self, phase: str, registers: Sequence[int]) -> int:
        """The high part of a state in this phase with these users in the registers."""
        high = self._phases[phase] << self.phase_shift
        for i, who in enumerate(registers):
            high |= who << (self._width * i)
        return high

    def phase_of(self, high: int) -> str:
        """The phase that a high part says."""
        return self.chart.phases[high >> self.phase_shift]

    def registers_of(self, high: int) -> tuple[int, ...]:
        """Who is in each register, by a high part: 0 for nobody."""
        return tuple(
            [high >> self._width * i & self._mask for i in range(len(self.chart.registers))]
        )

    def on_lane(self, lane: str) -> int:
        """The bits of every effect asked on this lane."""
        specs = self.chart.effects
        return sum(
            bit
            for effect, bit in self.asked.items()
            if isinstance(spec := specs[effect], Ask) and spec.lane == lane
        )

    def _impact(self, effect: str) -> Impact:
        spec = self.chart.effects[effect]
        off = on = free = up = down = 0
        if isinstance(spec, Ask):
            off = 0 if spec.several else self.on_lane(spec.lane)
            on = self.asked[effect] | sum(self.stored[name] for name in spec.writes)
            if spec.batch:  # of any number, also none
                on, up = on & ~self.asked[effect], self.asked[effect]
        elif isinstance(spec, Arm):
            free, on = (
                (self.running[spec.timer], 0) if spec.optional else (0, self.running[spec.timer])
            )
        elif isinstance(spec, Disarm):
            off = sum(self.running.get(timer, 0) for timer in spec.timers)
        elif isinstance(spec, Join):
            on = self.waiting[spec.slot]
        elif isinstance(spec, Settle | Fail):
            off = self.waiting[spec.slot]
        elif isinstance(spec, Abandon):
            for lane in spec.lanes:
                off |= self.on_lane(lane) | self.open.get(lane, 0)
        elif isinstance(spec, Detach):
            off = self.on_lane(spec.lane) | sum(self.waiting.get(slot, 0) for slot in spec.slots)
        elif isinstance(spec, Note) and spec.opens is not None:
            on = self.open[spec.opens]
        for fact, kind in self.chart.facts.items():
            if isinstance(kind, Derived):
                bit = self.fact[fact]
                on |= bit if effect in kind.sets else 0
                off |= bit if effect in kind.clears else 0
                up |= bit if effect in kind.raises else 0
                down |= bit if effect in kind.lowers else 0
                free |= bit if effect in kind.frees else 0
        return Impact(off, on, free, up, down)


def _entries(effect: str, spec: object) -> Iterator[tuple[str, str]]:
    """The ledger's entries that an effect needs: the table each is in, and its name there."""
    if isinstance(spec, Ask):
        yield "asked", effect
        yield from (("stored", name) for name in (*spec.writes, *spec.erases))
    elif isinstance(spec, Arm):
        yield "running", spec.timer
    elif isinstance(spec, Join | Settle | Fail):
        yield "waiting", spec.slot
    elif isinstance(spec, Note) and spec.opens is not None:
        yield "open", spec.opens
