"""A chart and its ledger as one machine over integers, so that a whole lifecycle is explored in a
second.

The ledger is changed only by the effects a row emits and by the outcomes delivered, never by the
chart's facts: a row that clears a fact does not make the call in flight vanish. Whatever is in the
ledger may end in any outcome its effect declares, at any moment; any call may come at any moment.
Nothing of the lifecycle is written here a second time: the rows are read from the chart.

The space is finite without having been cut, and nothing is lost by that:

- *Users* are numbers, 0 is nobody. Guards compare users and do nothing else with them, so a state
  in which A is the session's user and B the one to be identified goes on exactly as one in which B
  and A are: one is the other under other names. States are kept under the names 1, 2, ... in the
  order of the registers. For the same reason one user who is in no register stands for everybody
  who is in none. With r registers, r + 1 users are all that can be told apart at once: that is how
  many there are unless `users` says otherwise, and one more adds not one state or step (a test
  compares them, and compares them with a space that is not renamed).
- *Tags* are relative: an outcome is current or superseded. A superseded one is not explored: that
  it only disposes, which changes neither facts nor ledger, is proved on the rows themselves
  (`late_ones_do_more`, property S2). Delivered anywhere, it would lead from a state to
  itself.
- *Counters* (attempts, records, expiries) are seen by the chart through `Derived` facts alone. Each
  is free wherever the chart declares that it may change: more can happen here than in life, never
  less.
- *Many calls* that wait in one slot are settled together, and replies on a lane that takes
  `several` come one by one: "at least one" is all that the ledger needs to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import attrs

from ..chart.model import Arm, Ask, Chart, Join, Transition
from .known import Bits, PhaseName
from .layout import Layout, State
from .ways import Decision, Happening, Way, Ways

__all__ = ["Happening", "Model", "State", "Step", "Way"]


@attrs.frozen(slots=True)
class Step:
    """One edge: what happened in `before`, the rows that fired (none if nothing wanted it), and the
    state it led to.
    """

    before: State
    happening: Happening
    rows: tuple[Transition, ...]
    after: State
    raw: State
    """`after` before its users were renamed."""


def deserted(chart: Chart) -> dict[str, str]:
    """The trigger of each slot that means that nobody in it is awaited any more: calls have their
    time, and whoever awaits them may be cancelled.
    """
    joins = (spec for spec in chart.effects.values() if isinstance(spec, Join))
    return {join.slot: join.abandoned for join in joins if join.abandoned is not None}


class Model:
    """A chart made ready to be explored, with as many users as it can tell apart, or with `users`.
    With `apart` they are not renamed: each number is somebody, for whoever else knows of them.

    Raises ValueError for a negative number, ChartError for internal triggers that never come to
    rest.
    """

    def __init__(self, chart: Chart, users: int | None = None, *, apart: bool = False) -> None:
        if users is not None and users < 0:
            raise ValueError("users must be 0 or more: how many different users may call.")
        enough = len(chart.registers) + 1 if chart.named else 0
        self.chart, self.users = chart, enough if users is None or not chart.named else users
        self._layout = layout = Layout(chart, self.users)
        self._ways = Ways(layout, apart)
        known = frozenset(map(str, chart.phases))
        self.phases = tuple(PhaseName(phase, known) for phase in map(str, chart.phases))
        self.fact, self.asked = Bits("fact", layout.fact), Bits("effect that asks", layout.asked)
        self.open, self.running = Bits("lane of events", layout.open), Bits("timer", layout.running)
        self.waiting, self.stored = Bits("slot", layout.waiting), Bits("key", layout.stored)
        self.impacts = layout.impacts
        self._facts = sum(layout.fact.values())
        self.shift = layout.shift
        """How many bits of a state lie below its high part."""
        self._phase_shift = layout.shift + layout.phase_shift
        self.initial: State = (
            layout.high_of(chart.initial, [0] * len(chart.registers)) << layout.shift
        )
        self._offers = cache(self._possible)
        self._decisions = cache(self._ways.decisions)

    # --- reading a state --------------------------------------------------------------------------

    def phase_of(self, state: State) -> str:
        """The phase of a packed state."""
        return self.phases[state >> self._phase_shift]

    def registers_of(self, state: State) -> tuple[int, ...]:
        """Who is in each register: 0 for nobody."""
        return self._layout.registers_of(state >> self.shift)

    def facts_of(self, state: State, named: int = 0) -> int:
        """The facts that hold as bits, those of registers among them when a trigger names this
        user.
        """
        return state & self._facts | self.derived(self.registers_of(state), named)

    def derived(self, registers: Sequence[int], named: int = 0) -> int:
        """The facts of registers as bits, when a trigger names this user."""
        return self._layout.compiled.derive((*registers, named), 0)

    def names(self, facts: int) -> tuple[str, ...]:
        """The facts whose bits are set, in the chart's order."""
        return tuple([fact for fact, bit in self.fact.items() if facts & bit])

    # --- what can happen, and how it can go -------------------------------------------------------

    def happenings(self, state: State) -> Iterator[Happening]:
        """Everything that can happen in this state: any call, any outcome of what is outstanding,
        any expiry, any event.
        """
        for bit, happenings in self._offers(state >> self.shift):
            if not bit or state & bit:
                yield from happenings

    def take(self, state: State, happening: Happening) -> list[Step]:
        """Every way this can go: one, unless the context is free to decide, or none when no row
        wants it.
        """
        high = state >> self.shift
        done: list[Step] = []
        for decision in self._decisions(high, happening):
            for mask, wanted, keep, sets, way in decision:
                if state & mask == wanted:
                    if way is not None:
                        after = state & keep | sets
                        done.append(Step(state, happening, way.rows, after, self.raw(after, way)))
                    break
        return done

    def raw(self, after: State, way: Way) -> State:
        """The state that a way led to, before its users were renamed."""
        return after & self._layout.low | way.high << self.shift

    def plan(self, high: int) -> list[tuple[int, list[Decision]]]:
        """Every decision that states with this high part have, under the ledger's bit that it needs
        (0: none).
        """
        return [
            (
                bit,
                [
                    decision
                    for happening in happenings
                    for decision in self._ways.decisions(high, happening)
                ],
            )
            for bit, happenings in self._offers(high)
        ]

    def _possible(self, high: int) -> list[tuple[int, list[Happening]]]:
        """What states with this high part offer, under the ledger's bit that it needs (0: none)."""
        chart, variants, specs = self.chart, self._ways.variants, self.chart.effects
        # calls and hints may come at any time, events on an open lane
        calls = (trigger for trigger in chart.external if trigger not in chart.events)
        found = [(0, [h for t in calls for h in variants(high, t, always=True)])]
        for trigger, lane in chart.events.items():
            if lane in self.open:
                found.append((self.open[lane], list(variants(high, trigger, lane, always=True))))
        for effect, bit in self.asked.items():
            spec = specs[effect]
            if isinstance(spec, Ask):
                erased = sum(self.stored[name] for name in spec.erases)
                ends = [
                    h
                    for t in spec.outcomes
                    for h in variants(high, t, effect, bit | (erased if t == spec.success else 0))
                ]
                several = [attrs.evolve(h, spends=0) for h in ends] if spec.several else []
                found.append((bit, ends + several))
        for slot, trigger in deserted(chart).items():
            bit = self.waiting[slot]
            found.append((bit, list(variants(high, trigger, slot, always=True))))
        for timer, bit in self.running.items():
            expiries = dict.fromkeys(
                s.expiry for s in specs.values() if isinstance(s, Arm) and s.timer == timer
            )
            found.append((bit, [h for t in expiries for h in variants(high, t, timer, bit)]))
        return found
