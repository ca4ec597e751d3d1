"""States and steps of a model as properties read them: by name, not by bit.

What is read is noted: of all the steps that go alike, those that agree in what a property has read
of one are alike to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

import attrs

from ..chart.model import Transition
from .model import Model, State, Step


@attrs.define(slots=True, eq=False)
class Reads:
    """The bits that were looked at: of a state, those below its high part; of a step, those of
    what it is `told` by.
    """

    bits: int = 0


def goes(step: Step, shift: int) -> Hashable:
    """How a step goes: all that can be read of it and is not noted. `shift` is the model's."""
    happening, rows = step.happening, tuple([row.name for row in step.rows])
    what = (happening.trigger, happening.named, happening.spends)
    return (step.before >> shift, step.raw >> shift, what, rows)


def told(step: Step, shift: int) -> int:
    """The bits by which steps that go alike are told apart: those below the high part of the state
    before it, then those of the state after it, then the facts that come along.
    """
    low = (1 << shift) - 1
    return (step.happening.carried << shift | step.raw & low) << shift | step.before & low


def decisive(read: int, shift: int) -> int:
    """The bits of the state before it that decide what a step on one way is `told` by, as far as it
    was read.
    """
    return (read | read >> shift) & (1 << shift) - 1


@attrs.frozen(slots=True, eq=False)
class View:
    """One state: the chart's side (`phase`, `has`, `who`) and the ledger's (`asked`, `open`,
    `running`, `waiting`, `stored`).
    """

    model: Model
    _state: State
    _reads: Reads = attrs.field(factory=Reads)
    _at: int = 0
    """How many bits of what is noted lie below its own."""

    @property
    def state(self) -> State:
        """The packed state."""
        return self._read(-1)

    @property
    def phase(self) -> str:
        """The phase."""
        return self.model.phase_of(self._state)

    def has(self, fact: str) -> bool:
        """Whether a stored or booked fact holds."""
        return bool(self._read(self.model.fact[fact]))

    def who(self, register: str) -> int:
        """Who is in the register: 0 for nobody."""
        return self.model.registers_of(self._state)[self.model.chart.registers.index(register)]

    def asked(self, *effects: str) -> bool:
        """Whether one of these effects is outstanding and current."""
        return any(self._read(self.model.asked[effect]) for effect in effects)

    def open(self, lane: str) -> bool:
        """Whether events may come in on this lane."""
        return bool(self._read(self.model.open[lane]))

    def running(self, *timers: str) -> bool:
        """Whether one of these timers runs."""
        return any(self._read(self.model.running[timer]) for timer in timers)

    def waiting(self, *slots: str) -> bool:
        """Whether a call waits in one of these slots."""
        return any(self._read(self.model.waiting[slot]) for slot in slots)

    def stored(self, name: str) -> bool:
        """Whether this may be in the storage."""
        return bool(self._read(self.model.stored[name]))

    @property
    def idle(self) -> bool:
        """Whether the ledger is empty: nothing outstanding, open or running, and nobody waits."""
        return all(entry.startswith("stored ") for entry in self.ledger())

    def facts(self) -> tuple[str, ...]:
        """The facts that hold, in the chart's order."""
        return tuple(fact for fact, bit in self.model.fact.items() if self._read(bit))

    def ledger(self) -> tuple[str, ...]:
        """What the ledger holds, in words."""
        words = (
            ("asked", self.model.asked),
            ("open", self.model.open),
            ("timer", self.model.running),
            ("waits for", self.model.waiting),
            ("stored", self.model.stored),
        )
        return tuple(
            f"{word} {name}"
            for word, table in words
            for name, bit in table.items()
            if self._read(bit)
        )

    def _read(self, bits: int) -> State:
        self._reads.bits |= bits << self._at
        return self._state & bits


@attrs.frozen(slots=True, eq=False)
class Move:
    """One step: what happened between two states. `after` keeps the users' numbers of `before`."""

    model: Model
    _step: Step
    _reads: Reads = attrs.field(factory=Reads)

    @property
    def step(self) -> Step:
        """The step itself."""
        self._reads.bits = -1
        return self._step

    @property
    def before(self) -> View:
        """The state before it."""
        return View(self.model, self._step.before, self._reads)

    @property
    def after(self) -> View:
        """The state after it, users not renamed."""
        return View(self.model, self._step.raw, self._reads, self.model.shift)

    @property
    def trigger(self) -> str:
        """What happened."""
        return self._step.happening.trigger

    @property
    def named(self) -> int:
        """The user whom the trigger names, 0 for nobody."""
        return self._step.happening.named

    def carries(self, fact: str) -> bool:
        """Whether this fact came along with the trigger."""
        bit = self.model.fact[fact]
        self._reads.bits |= bit << 2 * self.model.shift
        return bool(self._step.happening.carried & bit)

    @property
    def rows(self) -> tuple[Transition, ...]:
        """The rows that fired, those of internal triggers after the first; none if nothing wanted
        the trigger.
        """
        return self._step.rows

    @property
    def effects(self) -> tuple[str, ...]:
        """Every effect of the step, internal triggers' included, in order."""
        return tuple([effect for row in self._step.rows for effect in row.effects])

    @property
    def asks(self) -> frozenset[str]:
        """The effects of the step, whatever their order."""
        return frozenset(self.effects)

    def moments(self, effects: Iterable[str]) -> Iterator[tuple[str, View]]:
        """Each of these effects as it is asked, with the ledger as it is just before it (facts as
        before the step).
        """
        wanted = set(effects)
        state = self._step.before & ~self._step.happening.spends
        for effect in self.effects:
            if effect in wanted:
                yield effect, View(self.model, state, self._reads)
            does = self.model.impacts[effect]
            state = state & ~(does.off | does.free) | does.on
