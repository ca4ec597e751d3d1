"""States and steps of a model as properties read them: by name, not by bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from .model import Model, State, Step


@attrs.frozen(slots=True)
class View:
    """One state: the chart's side (`phase`, `has`, `who`) and the ledger's (`asked`, `open`,
    `running`, `waiting`, `stored`).
    """

    model: Model
    state: State

    @property
    def phase(self) -> str:
        """The phase."""
        return self.model.phase_of(self.state)

    def has(self, fact: str) -> bool:
        """Whether a stored or booked fact holds."""
        return bool(self.state & self.model.fact[fact])

    def who(self, register: str) -> int:
        """Who is in the register: 0 for nobody."""
        return self.model.registers_of(self.state)[self.model.chart.registers.index(register)]

    def asked(self, *effects: str) -> bool:
        """Whether one of these effects is outstanding and current."""
        return any(self.state & self.model.asked[effect] for effect in effects)

    def open(self, lane: str) -> bool:
        """Whether events may come in on this lane."""
        return bool(self.state & self.model.open[lane])

    def running(self, *timers: str) -> bool:
        """Whether one of these timers runs."""
        return any(self.state & self.model.running[timer] for timer in timers)

    def waiting(self, *slots: str) -> bool:
        """Whether a call waits in one of these slots."""
        return any(self.state & self.model.waiting[slot] for slot in slots)

    def stored(self, name: str) -> bool:
        """Whether this may be in the storage."""
        return bool(self.state & self.model.stored[name])

    @property
    def idle(self) -> bool:
        """Whether the ledger is empty: nothing outstanding, open or running, and nobody waits."""
        return all(entry.startswith("stored ") for entry in self.ledger())

    def facts(self) -> tuple[str, ...]:
        """The facts that hold, in the chart's order."""
        return tuple(fact for fact, bit in self.model.fact.items() if self.state & bit)

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
            if self.state & bit
        )


@attrs.frozen(slots=True)
class Move:
    """One step: what happened between two states. `after` keeps the users' numbers of `before`."""

    model: Model
    step: Step

    @property
    def before(self) -> View:
        """The state before it."""
        return View(self.model, self.step.before)

    @property
    def after(self) -> View:
        """The state after it, users not renamed."""
        return View(self.model, self.step.raw)

    @property
    def trigger(self) -> str:
        """What happened."""
        return self.step.happening.trigger

    @property
    def named(self) -> int:
        """The user whom the trigger names, 0 for nobody."""
        return self.step.happening.named

    def carries(self, fact: str) -> bool:
        """Whether this fact came along with the trigger."""
        return bool(self.step.happening.carried & self.model.fact[fact])

    @property
    def effects(self) -> tuple[str, ...]:
        """Every effect of the step, internal triggers' included, in order."""
        return tuple(effect for row in self.step.rows for effect in row.effects)

    def moments(self, effects: Iterable[str]) -> Iterator[tuple[str, View]]:
        """Each of these effects as it is asked, with the ledger as it is just before it (facts as
        before the step).
        """
        wanted = set(effects)
        state = self.step.before & ~self.step.happening.spends
        for effect in self.effects:
            if effect in wanted:
                yield effect, View(self.model, state)
            does = self.model.impacts[effect]
            state = state & ~(does.off | does.free) | does.on
