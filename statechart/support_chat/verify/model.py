"""A chart and its ledger as one machine over integers, so that a whole lifecycle is explored in a
second.

The ledger is changed only by the effects a row emits and by the outcomes delivered, never by the
chart's facts: a row that clears a fact does not make the call in flight vanish. Whatever is in the
ledger may end in any outcome its effect declares, at any moment; any call may come at any moment,
with whatever the chart says that it carries, whether a row reads that or not.
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

from collections.abc import Iterator, Mapping, Sequence
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


@attrs.frozen(slots=True, eq=False)
class Offer:
    """What may happen while the ledger has a `bit` (0: at any time): one of these triggers, each an
    outcome, an expiry or an event `of` something. `spends` says which bits are gone by each; None
    for what happens whether a row wants it or not. There may be `several` of these outcomes.
    """

    bit: int
    triggers: tuple[str, ...]
    of: str = ""
    spends: Mapping[str, int] | None = None
    several: bool = False


def deserted(chart: Chart) -> dict[str, str]:
    """The trigger of each slot that means that nobody in it is awaited any more: calls have their
    time, and whoever awaits them may be cancelled.
    """
    joins = (spec for spec in chart.effects.values() if isinstance(spec, Join))
    return {join.slot: join.abandoned for join in joins if join.abandoned is not None}


class Model:
    """A chart made ready to be explored, with as many users as it can tell apart, or with `users`.
    With `apart` they are not renamed: each number is somebody, for whoever else knows of them.

    Of a chart that differs from the one of `former` in its rows alone, nothing is composed again
    in which no edited row has a say; users are those of `former`.

    Raises ValueError for a negative number, ChartError for internal triggers that never come to
    rest.
    """

    def __init__(
        self,
        chart: Chart,
        users: int | None = None,
        *,
        apart: bool = False,
        former: Model | None = None,
    ) -> None:
        if users is not None and users < 0:
            raise ValueError("users must be 0 or more: how many different users may call.")
        enough = len(chart.registers) + 1 if chart.named else 0
        self.chart, self.users = chart, enough if users is None or not chart.named else users
        self._former = former
        if former is None:
            self._layout = layout = Layout(chart, self.users)
            self._ways = Ways(layout, apart)
            self._edited = frozenset[tuple[str, str]]()
        else:
            self.users = former.users
            self._layout = layout = former._layout.of(chart)
            self._ways = Ways(layout, apart, former._ways)
            self._edited = edited_pairs(former.chart, chart)
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
        self._offers = tuple(self._offered())
        self._happenings = cache(self._possible)
        self._decisions = cache(self._ways.decisions)
        self._decided = cache(self._all_decisions)
        self._consulted = cache(self._ways.consulted)
        self._as_before = cache(self._is_as_before)

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
        high = state >> self.shift
        for number, offer in enumerate(self._offers):
            if not offer.bit or state & offer.bit:
                yield from self._happenings(high, number)

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
            (offer.bit, self._decided(high, number)) for number, offer in enumerate(self._offers)
        ]

    def edited(self, high: int) -> list[tuple[int, list[Decision], list[Decision]]]:
        """What may happen in which an edited row has a say: the ledger's bit that it needs, how it
        was decided in `former`, and how it is decided now.
        """
        phase = self._layout.phase_of(high)
        return [
            (offer.bit, self._former._decided(high, number), self._decided(high, number))
            for number, offer in enumerate(self._offers)
            if self._former is not None and not self._as_before(phase, number)
        ]

    def is_edited(self, state: State, way: Way) -> bool:
        """Whether an edited row has a say in what this way of `former` out of a state is now."""
        former = self._former
        return former is not None and not former._consulted(
            self.phase_of(state), way.happening.trigger
        ).isdisjoint(self._edited)

    def _all_decisions(self, high: int, number: int) -> list[Decision]:
        """Every decision on what an offer brings about in states with this high part."""
        if self._former is not None and self._as_before(self._layout.phase_of(high), number):
            return self._former._decided(high, number)
        return [
            decision
            for happening in self._happenings(high, number)
            for decision in self._ways.decisions(high, happening)
        ]

    def _is_as_before(self, phase: str, number: int) -> bool:
        """Whether no edited row has a say in what this offer brings about in this phase."""
        former = self._former
        return former is not None and all(
            former._consulted(phase, trigger).isdisjoint(self._edited)
            for trigger in self._offers[number].triggers
        )

    def _possible(self, high: int, number: int) -> list[Happening]:
        """What an offer brings about in states with this high part."""
        offer, variants = self._offers[number], self._ways.variants
        found = [
            happening
            for trigger in offer.triggers
            for happening in (
                variants(high, trigger, offer.of, always=True)
                if offer.spends is None
                else variants(high, trigger, offer.of, offer.spends[trigger])
            )
        ]
        return found + ([attrs.evolve(h, spends=0) for h in found] if offer.several else [])

    def _offered(self) -> Iterator[Offer]:
        chart, specs = self.chart, self.chart.effects
        # calls and hints may come at any time, events on an open lane
        yield from (Offer(0, (t,)) for t in chart.external if t not in chart.events)
        for trigger, lane in chart.events.items():
            if lane in self.open:
                yield Offer(self.open[lane], (trigger,), lane)
        for effect, bit in self.asked.items():
            spec = specs[effect]
            if isinstance(spec, Ask):
                erased = sum(self.stored[name] for name in spec.erases)
                spends = {t: bit | (erased if t == spec.success else 0) for t in spec.outcomes}
                yield Offer(bit, spec.outcomes, effect, spends, spec.several)
        for slot, trigger in deserted(chart).items():
            yield Offer(self.waiting[slot], (trigger,), slot)
        for timer, bit in self.running.items():
            expiries = dict.fromkeys(
                s.expiry for s in specs.values() if isinstance(s, Arm) and s.timer == timer
            )
            yield Offer(bit, tuple(expiries), timer, dict.fromkeys(expiries, bit))


def edited_rows(chart: Chart, other: Chart) -> list[Transition]:
    """The rows that only one of two charts has, as they are there."""
    old, new = chart.transitions, other.transitions
    known, kept = {id(row) for row in old}, {id(row) for row in new}
    return [
        *(row for row in old if id(row) not in kept),
        *(row for row in new if id(row) not in known),
    ]


def edited_pairs(chart: Chart, other: Chart) -> frozenset[tuple[str, str]]:
    """The pairs of a phase and a trigger for which two charts have other rows."""
    return frozenset(
        (phase, trigger)
        for row in edited_rows(chart, other)
        for phase in row.sources
        for trigger in row.trigger
    )
