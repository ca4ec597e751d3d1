"""A chart and its ledger packed into integers, so that a whole lifecycle is explored in seconds.

The *ledger* is the environment's own account of what is under way: which effects are outstanding and current, which lanes are open
for events, which timers run, in which slots somebody waits. It is changed only by the effects a row emits and by the outcomes
delivered, never by the chart's facts: a row that clears a fact does not make the call in flight vanish. Whatever is in the ledger may
end in any outcome its effect declares, at any moment; any call may come at any moment.

Nothing of the lifecycle is written here a second time. A row becomes two masks for its guard and two for everything it changes,
facts and ledger alike; what the book decides (`Booked` facts) is free wherever the chart declares it so. A superseded outcome is not
explored: that it only disposes is proved on the rows themselves (`superseded_only_dispose`).

Users are numbers, 0 is nobody. They differ only in who is who, so states that differ by a renaming of users are one state; `users`
says how many there are, and more than the registers can hold at once changes nothing (a test compares the quotients).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import TypeAlias

import attrs

from ..chart.machine import Compiled
from ..chart.model import (
    Abandon,
    Arm,
    Ask,
    Booked,
    Carried,
    Chart,
    Detach,
    Disarm,
    Fail,
    Join,
    Note,
    Present,
    Raise,
    Same,
    Settle,
    Transition,
)

State: TypeAlias = int
"""A packed state: facts, ledger, registers and phase."""


@attrs.frozen(slots=True)
class Happening:
    """One thing that can happen: a trigger with the facts and the user that come with it; `of` is what it is the outcome of."""

    trigger: str
    carried: int
    named: int
    of: str = ""
    spends: int = 0
    """The ledger's bit that is gone once this has happened."""


@attrs.frozen(slots=True)
class Change:
    """What a row does to a packed state: keep these bits, set those, choose freely among `frees`, and which of `raised` to set."""

    row: Transition
    mask: int
    wanted: int
    keep: int
    sets: int
    raised: tuple[int, ...]
    frees: tuple[int, ...]
    assigns: tuple[tuple[int, int | None], ...]
    raises: tuple[str, ...]


@attrs.frozen(slots=True)
class Taken:
    """One step of the model: the rows that fired, the first by the trigger, the others by internal triggers, and where it led.

    `raw` is `after` before its users were renamed, so that who was named can still be told.
    """

    rows: tuple[Transition, ...]
    after: State
    raw: State


class Model:
    """A chart made ready to be explored with `users` users (besides nobody). Raises ValueError for a negative number."""

    def __init__(self, chart: Chart, users: int = 2) -> None:
        if users < 0:
            raise ValueError("users must be 0 or more: how many different users may call.")
        self.chart, self.users = chart, users if chart.named else 0
        self.compiled = Compiled(chart)
        self.fact = self.compiled.bits
        place = len(chart.facts)
        self.asked: dict[str, int] = {}
        self.open: dict[str, int] = {}
        self.running: dict[str, int] = {}
        self.waiting: dict[str, int] = {}
        self.stored: dict[str, int] = {}
        for effect, spec in chart.effects.items():
            for table, name in _entries(effect, spec):
                entries: dict[str, int] = getattr(self, table)
                if name not in entries:
                    entries[name] = 1 << place
                    place += 1
        self.width = max(1, self.users.bit_length())
        self.register_shift = place
        self.register_mask = (1 << (self.width * len(chart.registers))) - 1
        self.phase_shift = place + self.width * len(chart.registers)
        self.low = (1 << place) - 1
        self.phase = {phase: i for i, phase in enumerate(chart.phases)}
        self.initial: State = self.phase[chart.initial] << self.phase_shift
        self._derived = [(fact, kind) for fact, kind in chart.facts.items() if isinstance(kind, Same | Present)]
        self._places = {register: i for i, register in enumerate(chart.registers)}
        self._carried = [fact for fact, kind in chart.facts.items() if isinstance(kind, Carried)]
        self._changes = {
            (phase, trigger): tuple(self._change(row) for row in chart.rows(phase, trigger))
            for phase in chart.phases
            for trigger in chart.triggers
        }
        self._inputs: dict[int, tuple[tuple[int, tuple[Happening, ...]], ...]] = {}
        self._picks: dict[tuple[int, str, int, int], tuple[Change, ...]] = {}

    # --- reading a state ------------------------------------------------------------------------------------------------

    def phase_of(self, state: State) -> str:
        """The phase of a packed state."""
        return self.chart.phases[state >> self.phase_shift]

    def registers_of(self, state: State) -> tuple[int, ...]:
        """Who is in each register: 0 for nobody."""
        packed, mask = state >> self.register_shift, (1 << self.width) - 1
        return tuple((packed >> (self.width * i)) & mask for i in range(len(self.chart.registers)))

    # --- what can happen ------------------------------------------------------------------------------------------------

    def happenings(self, state: State) -> Iterator[Happening]:
        """Everything that can happen in this state: any call, any outcome of what is outstanding, any expiry, any event."""
        high = state >> self.register_shift
        groups = self._inputs.get(high)
        if groups is None:
            groups = self._inputs[high] = tuple(self._groups(self.phase_of(state)))
        for bit, inputs in groups:
            if not bit or state & bit:
                yield from inputs

    def _groups(self, phase: str) -> Iterator[tuple[int, tuple[Happening, ...]]]:
        chart = self.chart
        events = set(chart.events)
        yield 0, tuple(h for t in chart.external if t not in events for h in self._variants(phase, t))
        for effect, bit in self.asked.items():
            spec = chart.effects[effect]
            if isinstance(spec, Ask):
                gone = sum(self.stored.get(name, 0) for name in spec.erases)
                ends = tuple(
                    h for t in spec.outcomes for h in self._variants(phase, t, effect, bit | (gone if t == spec.success else 0))
                )
                stays = tuple(attrs.evolve(h, spends=0) for h in ends) if spec.several else ()
                yield bit, ends + stays
        for trigger, lane in chart.events.items():
            if lane in self.open:
                yield self.open[lane], tuple(self._variants(phase, trigger, lane))
        for timer, bit in self.running.items():
            expiries = {s.expiry for s in chart.effects.values() if isinstance(s, Arm) and s.timer == timer}
            yield bit, tuple(h for t in sorted(expiries) for h in self._variants(phase, t, timer, bit))

    def _variants(self, phase: str, trigger: str, of: str = "", spends: int = 0) -> Iterator[Happening]:
        rows = self.chart.rows(phase, trigger)
        read = {fact for row in rows for fact in (*row.when, *row.unless)}
        carried = [self.fact[fact] for fact in self._carried if fact in read]
        named = self._who(rows, read)
        for who in named:
            for chosen in product((False, True), repeat=len(carried)):
                yield Happening(trigger, sum(bit for bit, yes in zip(carried, chosen, strict=True) if yes), who, of, spends)

    def _who(self, rows: Sequence[Transition], read: set[str]) -> Sequence[int]:
        named = self.chart.named
        reads = any(
            fact in read and named in ((kind.left, kind.right) if isinstance(kind, Same) else (kind.register,))
            for fact, kind in self._derived
        )
        writes = any(named in row.assigns.values() for row in rows)
        return range(self.users + 1) if named and (reads or writes) else (0,)

    # --- the step -------------------------------------------------------------------------------------------------------

    def take(self, state: State, happening: Happening) -> list[Taken]:
        """Every way this can go: one, unless the book is free to decide, or none when no row wants it."""
        state &= ~happening.spends
        found = self._fire(state, happening.trigger, happening.carried, happening.named)
        if found is None:
            return [Taken((), state, state)] if happening.spends else []
        done: list[Taken] = []
        todo = [((found.row,), found.raises, after) for after in self._apply(state, found, happening.named)]
        while todo:
            rows, raised, at = todo.pop()
            if not raised:
                done.append(Taken(rows, self._canonical(at), at))
                continue
            change = self._fire(at, raised[0], 0, 0)
            if change is None:
                todo.append((rows, raised[1:], at))
            else:
                rest = (*raised[1:], *change.raises)
                todo.extend(((*rows, change.row), rest, after) for after in self._apply(at, change, 0))
        return done

    def _fire(self, state: State, trigger: str, carried: int, named: int) -> Change | None:
        high = state >> self.register_shift
        key = (high, trigger, carried, named)
        changes = self._picks.get(key)
        if changes is None:
            changes = self._picks[key] = self._pick(state, trigger, carried, named)
        for change in changes:
            if state & change.mask == change.wanted:
                return change
        return None

    def _pick(self, state: State, trigger: str, carried: int, named: int) -> tuple[Change, ...]:
        """The rows that the phase, the registers and what comes along leave possible, with guards on stored bits alone."""
        known = sum(self.fact[fact] for fact, _ in self._derived) | sum(self.fact[fact] for fact in self._carried)
        if self.chart.late is not None:
            known |= self.fact[self.chart.late]
        true = carried | self._derive(self.registers_of(state), named)
        return tuple(
            attrs.evolve(change, mask=change.mask & ~known, wanted=change.wanted & ~known)
            for change in self._changes[self.phase_of(state), trigger]
            if true & known & change.mask == change.wanted & known
        )

    def _derive(self, registers: tuple[int, ...], named: int) -> int:
        def holds(register: str) -> int:
            return named if register == self.chart.named else registers[self._places[register]]

        bits = 0
        for fact, kind in self._derived:
            true = holds(kind.register) != 0 if isinstance(kind, Present) else holds(kind.left) == holds(kind.right)
            bits |= self.fact[fact] if true else 0
        return bits

    def _apply(self, state: State, change: Change, named: int) -> Iterator[State]:
        after = state & change.keep | change.sets
        if change.row.target is not None:
            after = after & ((1 << self.phase_shift) - 1) | self.phase[change.row.target] << self.phase_shift
        if change.assigns:
            before = self.registers_of(state)
            for place, source in change.assigns:
                shift = self.register_shift + self.width * place
                value = 0 if source is None else named if source < 0 else before[source]
                after = after & ~(((1 << self.width) - 1) << shift) | value << shift
        choices = (*change.frees, *(bit for bit in change.raised if not after & bit))
        if not choices:
            yield after
            return
        for chosen in product((False, True), repeat=len(choices)):
            yield after | sum(bit for bit, yes in zip(choices, chosen, strict=True) if yes)

    def _canonical(self, state: State) -> State:
        if not self.users:
            return state
        packed = (state >> self.register_shift) & self.register_mask
        return state & ~(self.register_mask << self.register_shift) | self._renamed(packed) << self.register_shift

    @cache  # noqa: B019  # a model lives as long as its exploration
    def _renamed(self, packed: int) -> int:
        names, result, mask = {0: 0}, 0, (1 << self.width) - 1
        for i in range(len(self.chart.registers)):
            who = (packed >> (self.width * i)) & mask
            result |= names.setdefault(who, len(names)) << (self.width * i)
        return result

    # --- compiling a row ------------------------------------------------------------------------------------------------

    def _change(self, row: Transition) -> Change:
        mask = self.compiled.mask
        clears, sets, frees, raised = mask(row.clears), mask(row.sets), 0, 0
        raises: list[str] = []
        for effect in row.effects:
            off, on, free, up = self.impact(effect)
            clears, sets, frees = clears | off | free, sets & ~(off | free) | on, frees & ~(off | on) | free
            raised = raised & ~(off | on | free) | up & ~frees
            spec = self.chart.effects[effect]
            if isinstance(spec, Raise):
                raises.append(spec.trigger)
        named = self.chart.named
        return Change(
            row=row,
            mask=mask(row.when) | mask(row.unless),
            wanted=mask(row.when),
            keep=~clears,
            sets=sets,
            raised=_bits(raised),
            frees=_bits(frees),
            assigns=tuple(
                (self._places[register], None if source is None else -1 if source == named else self._places[source])
                for register, source in row.assigns.items()
            ),
            raises=tuple(raises),
        )

    def impact(self, effect: str) -> tuple[int, int, int, int]:
        """What an effect does to the ledger and to what the book decides: the bits it clears, sets, frees, and may set."""
        spec = self.chart.effects[effect]
        off = on = free = up = 0
        if isinstance(spec, Ask):
            off = 0 if spec.several else self.on_lane(spec.lane)
            on = self.asked[effect] | sum(self.stored[name] for name in spec.writes)
        elif isinstance(spec, Arm):
            free, on = (self.running[spec.timer], 0) if spec.optional else (0, self.running[spec.timer])
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
            if isinstance(kind, Booked):
                bit = self.fact[fact]
                off |= bit if effect in kind.clears else 0
                up |= bit if effect in kind.raises else 0
                free |= bit if effect in kind.frees else 0
        return off, on, free, up

    def on_lane(self, lane: str) -> int:
        """The bits of every effect asked on this lane."""
        return sum(
            bit for effect, bit in self.asked.items() if isinstance(spec := self.chart.effects[effect], Ask) and spec.lane == lane
        )


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(1 << i for i in range(mask.bit_length()) if mask >> i & 1)


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


def superseded_only_dispose(chart: Chart, harmless: Sequence[str]) -> tuple[str, ...]:
    """The rows by which a superseded outcome would do more than dispose: empty if there are none, and late ones need no exploring.

    `harmless` are the effects that dispose. Every row of an outcome must want it not to be late, or do nothing but those.
    """
    outcomes = {t for spec in chart.effects.values() if isinstance(spec, Ask) for t in spec.outcomes} | set(chart.events)
    if chart.late is None:
        return ()
    return tuple(
        row.name
        for row in chart.transitions
        if not outcomes.isdisjoint(row.trigger)
        and chart.late not in row.unless
        and (row.target or row.sets or row.clears or row.assigns or not set(row.effects) <= set(harmless))
    )
