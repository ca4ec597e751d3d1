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
  (`superseded_only_dispose`, property S2). Delivered anywhere, it would lead from a state to
  itself.
- *Counters* (attempts, records, expiries) are seen by the chart through `Derived` facts alone. Each
  is free wherever the chart declares that it may change: more can happen here than in life, never
  less.
- *Many calls* that wait in one slot are settled together, and replies on a lane that takes
  `several` come one by one: "at least one" is all that the ledger needs to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from ..chart.model import Arm, Ask, Chart, Transition
from .known import Bits, PhaseName
from .layout import Impact, Layout, State
from .ways import Decision, Happening, Way, Ways

__all__ = ["Happening", "Model", "State", "Taken", "Way", "superseded_only_dispose"]


@attrs.frozen(slots=True)
class Taken:
    """One step of the model: the rows that fired, the first by the trigger, the others by internal
    triggers, and where it led.

    `raw` is `after` before its users were renamed, so that who was named can still be told.
    """

    rows: tuple[Transition, ...]
    after: State
    raw: State


class Model:
    """A chart made ready to be explored, with as many users as it can tell apart, or with `users`.

    Raises ValueError for a negative number, ChartError for internal triggers that never come to
    rest.
    """

    def __init__(self, chart: Chart, users: int | None = None) -> None:
        if users is not None and users < 0:
            raise ValueError("users must be 0 or more: how many different users may call.")
        enough = len(chart.registers) + 1 if chart.named else 0
        self.chart, self.users = chart, enough if users is None or not chart.named else users
        self._layout = layout = Layout(chart, self.users)
        self._ways = Ways(layout)
        known = frozenset(map(str, chart.phases))
        self.phases = tuple(PhaseName(phase, known) for phase in map(str, chart.phases))
        self.fact, self.asked = Bits("fact", layout.fact), Bits("effect that asks", layout.asked)
        self.open, self.running = Bits("lane of events", layout.open), Bits("timer", layout.running)
        self.waiting, self.stored = Bits("slot", layout.waiting), Bits("key", layout.stored)
        self.shift = layout.shift
        """How many bits of a state lie below its high part."""
        self._phase_shift = layout.shift + layout.phase_shift
        self.initial: State = (
            layout.high_of(chart.initial, [0] * len(chart.registers)) << layout.shift
        )
        self._happenings: dict[int, list[tuple[int, list[Happening]]]] = {}
        self._decisions: dict[tuple[int, Happening], list[Decision]] = {}

    # --- reading a state --------------------------------------------------------------------------

    def phase_of(self, state: State) -> str:
        """The phase of a packed state."""
        return self.phases[state >> self._phase_shift]

    def registers_of(self, state: State) -> tuple[int, ...]:
        """Who is in each register: 0 for nobody."""
        return self._layout.registers_of(state >> self.shift)

    def names(self, facts: int) -> tuple[str, ...]:
        """The facts whose bits are set, in the chart's order."""
        return tuple([fact for fact, bit in self.fact.items() if facts & bit])

    def impact(self, effect: str) -> Impact:
        """What an effect does to the ledger and to what the context decides."""
        return self._layout.impacts[effect]

    # --- what can happen, and how it can go -------------------------------------------------------

    def happenings(self, state: State) -> Iterator[Happening]:
        """Everything that can happen in this state: any call, any outcome of what is outstanding,
        any expiry, any event.
        """
        for bit, happenings in self._offers(state >> self.shift):
            if not bit or state & bit:
                yield from happenings

    def take(self, state: State, happening: Happening) -> list[Taken]:
        """Every way this can go: one, unless the context is free to decide, or none when no row
        wants it.
        """
        high = state >> self.shift
        key = high, happening
        decisions = self._decisions.get(key)
        if decisions is None:
            decisions = self._decisions[key] = self._ways.decisions(high, happening)
        done: list[Taken] = []
        for decision in decisions:
            for mask, wanted, keep, sets, way in decision:
                if state & mask == wanted:
                    if way is not None:
                        after = state & keep | sets
                        done.append(Taken(way.rows, after, self.raw(after, way)))
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

    def _offers(self, high: int) -> list[tuple[int, list[Happening]]]:
        found = self._happenings.get(high)
        if found is None:
            found = self._happenings[high] = list(self._outside(high)) + list(self._inside(high))
        return found

    def _outside(self, high: int) -> Iterator[tuple[int, list[Happening]]]:
        """Calls and hints, which may come at any time, and events, which need an open lane."""
        chart, variants = self.chart, self._ways.variants
        yield (
            0,
            [
                h
                for t in chart.external
                if t not in chart.events
                for h in variants(high, t, always=True)
            ],
        )
        for trigger, lane in chart.events.items():
            if lane in self.open:
                yield self.open[lane], list(variants(high, trigger, lane, always=True))

    def _inside(self, high: int) -> Iterator[tuple[int, list[Happening]]]:
        """Outcomes of what is outstanding, and expiries of the timers that run."""
        variants, specs = self._ways.variants, self.chart.effects
        for effect, bit in self.asked.items():
            spec = specs[effect]
            if isinstance(spec, Ask):
                erased = sum(self.stored[name] for name in spec.erases)
                ends = [
                    h
                    for t in spec.outcomes
                    for h in variants(high, t, effect, bit | (erased if t == spec.success else 0))
                ]
                yield (
                    bit,
                    ends + ([attrs.evolve(h, spends=0) for h in ends] if spec.several else []),
                )
        for timer, bit in self.running.items():
            expiries = dict.fromkeys(
                s.expiry for s in specs.values() if isinstance(s, Arm) and s.timer == timer
            )
            yield bit, [h for t in expiries for h in variants(high, t, timer, bit)]


def superseded_only_dispose(chart: Chart, harmless: Sequence[str]) -> tuple[str, ...]:
    """The late rows that do more than dispose: empty if there are none, and late outcomes need no
    exploring. `harmless` are the effects that dispose.
    """
    late = [row for row in chart.transitions if chart.late in row.when]
    changes = [row for row in late if row.target or row.sets or row.clears or row.assigns]
    does_more = [row for row in late if set(row.effects) - set(harmless)]
    return tuple(row.name for row in late if row in changes or row in does_more)
