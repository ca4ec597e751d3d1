"""Every way a happening can go, as guarded commands on packed states: `if state & mask == wanted:
state & keep | sets`.

A row's guard is a conjunction of facts, and all that it does to facts and ledger is clear, set or
free bits. So a row is two masks for its guard and two for what it does; and a row followed by the
rows that its internal triggers fire is again one such command, because a guard on the state in
between is a guard on the state before: a bit that the first row leaves alone is looked up there,
one that it sets or clears is known. Whole steps, internal triggers included, are composed once,
before anything is explored.

Commands come in *decisions*: of one decision the first whose guard holds is taken. A happening has
several decisions where several things are possible: what the context decides (`Derived` facts) and
whether an optional timer runs is free wherever the chart says so.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product, zip_longest
from typing import NamedTuple, TypeAlias

import attrs

from ..chart.model import Carried, Derived, Raise, Transition
from ..errors import ChartError
from .layout import Layout

LONGEST_RUN = 64
"""How many rows one step may fire, internal triggers included, before it counts as one that never
comes to rest.
"""


@attrs.frozen(slots=True)
class Happening:
    """One thing that can happen: a trigger with the facts and the user that come with it; `of` is
    what it is the outcome of.
    """

    trigger: str
    carried: int
    named: int
    of: str = ""
    spends: int = 0
    """The ledger's bits that are gone once this has happened."""
    always: bool = False
    """Whether it happens even if no row wants it: then nothing but `spends` changes."""


@attrs.define(slots=True, eq=False)
class Way:
    """One way for a happening to go: the rows that fire (the first by the trigger, the others by
    internal triggers).
    """

    happening: Happening
    rows: tuple[Transition, ...]
    high: int
    """The high part of the state it leads to, before users are renamed."""


Command: TypeAlias = "tuple[int, int, int, int, Way | None]"
"""`(mask, wanted, keep, sets, way)`: where `state & mask == wanted`, `way` leads to `state & keep |
sets`. None: nothing happens.
"""
Decision: TypeAlias = "list[Command]"


class _Change(NamedTuple):
    """A row as bits: its guard, what it clears, sets, leaves open (`frees`), may set (`raised`) and
    may clear (`lowered`), and its internal triggers.
    """

    row: Transition
    mask: int
    wanted: int
    keep: int
    sets: int
    frees: int
    raised: int
    lowered: int
    triggers: tuple[tuple[str, bool], ...]


class _Run(NamedTuple):
    """A step half composed: under `mask` and `wanted` it has come, by `rows`, to `state & keep |
    sets` and to `high`.
    """

    mask: int
    wanted: int
    keep: int
    sets: int
    high: int
    rows: tuple[Transition, ...]
    todo: tuple[tuple[str, bool], ...]

    def narrowed(self, mask: int, wanted: int) -> _Run | None:
        """The same under a further guard on the state it has come to; None if the two can never
        hold together.
        """
        known = self.sets | ~self.keep
        if (self.sets ^ wanted) & mask & known:
            return None
        mask &= ~known
        wanted &= mask
        if (self.wanted ^ wanted) & self.mask & mask:
            return None
        if not mask:
            return self
        return _Run(
            self.mask | mask,
            self.wanted | wanted,
            self.keep,
            self.sets,
            self.high,
            self.rows,
            self.todo,
        )


_Candidate: TypeAlias = "tuple[_Change, int, int, int]"
"""A row, the bits of a state that it looks at, those it wants set, and the high part it leads to.
"""


class Ways:
    """Composes the steps of one chart, each at its first use; users are renamed unless they are to
    be told `apart`. Of a chart in which a few rows of `former` were edited only these are made
    anew.
    """

    def __init__(self, layout: Layout, apart: bool, former: Ways | None = None) -> None:
        self._layout, self._chart, self._apart = layout, layout.chart, apart
        chart = self._chart
        self._places: dict[str | None, int] = {
            register: i for i, register in enumerate((*chart.registers, chart.named))
        }
        self._compiled = layout.compiled
        self._carried = [fact for fact, kind in chart.facts.items() if isinstance(kind, Carried)]
        free = sum(layout.fact[fact] for fact in self._carried)
        self._known = sum(bit for bit, _, _ in layout.compiled.derived) | free
        if chart.late is not None:
            self._known |= layout.fact[chart.late]
        self._candidates = cache(self._candidates_of)
        self._change = cache(self._change_of)
        self._row_by = {row.name: row for row in chart.transitions}
        known: Mapping[str, _Change] = {} if former is None else former._change_by
        self._change_by: dict[str, _Change] = {
            name: had
            if (had := known.get(name)) is not None and had.row is row
            else self._change(name, 0)
            for name, row in self._row_by.items()
        }

    def consulted(self, phase: str, trigger: str) -> frozenset[tuple[str, str]]:
        """The pairs of a phase and a trigger whose rows may have a say in what this trigger leads
        to in this phase, and perhaps some more.
        """
        first = (phase, trigger)
        phases, raised, asked, todo = {phase}, set[str](), {first}, [first]
        while todo:
            at, by = todo.pop()
            for change in self._changes(at, by):
                phases.add(change.row.target or at)
                raised.update(follows for follows, _ in change.triggers)
            todo += set(product(phases, raised)) - asked
            asked.update(todo)
        return frozenset(asked)

    # --- what can happen --------------------------------------------------------------------------

    def variants(
        self, high: int, trigger: str, of: str = "", spends: int = 0, always: bool = False
    ) -> Iterator[Happening]:
        """The happenings of a trigger: one for each combination of the facts and users that it
        carries, or, where the chart does not say what that is, that its rows can tell apart.
        """
        changes = self._carrying(self._layout.phase_of(high), trigger)
        brought = self._brought(changes, trigger)
        carried = [self._layout.fact[fact] for fact in self._carried if fact in brought]
        for who in self._who(high, brought, trigger):
            for chosen in product((0, 1), repeat=len(carried)):
                bits = sum(bit for bit, yes in zip(carried, chosen, strict=True) if yes)
                yield Happening(trigger, bits, who, of, spends, always and bool(changes))

    def _brought(self, changes: Sequence[_Change], trigger: str) -> Container[str | None]:
        """What comes along: carried facts, and the register of whom the trigger names."""
        if self._chart.carries is not None:
            return self._chart.carries.get(trigger, ())
        read = 0
        for change in changes:
            read |= change.mask
        found = {fact for fact in self._carried if read & self._layout.fact[fact]}
        named = self._chart.named
        place = self._places[named]
        if any(
            read & bit and place in (one, other) for bit, one, other in self._compiled.derived
        ) or any(named in change.row.assigns.values() for change in changes):
            return {*found, named}
        return found

    def _who(self, high: int, brought: Container[str | None], trigger: str) -> Sequence[int]:
        """Nobody, each user in a register, and one who is in none: anybody else would only be
        another name for that one.
        """
        if self._chart.named is None or self._chart.named not in brought:
            return (0,)
        held = {0, *self._layout.registers_of(high)}
        if self._apart:
            held = set(range(self._layout.users + 1))
        stranger = next(who for who in range(len(held) + 1) if who not in held)
        anybody = {*held, stranger} if stranger <= self._layout.users else held
        return sorted(anybody - {0} if trigger in self._chart.naming else anybody)

    # --- how it can go ----------------------------------------------------------------------------

    def decisions(self, high: int, happening: Happening) -> list[Decision]:
        """Every way that `happening` can go in states with this high part. Raises ChartError if it
        never comes to rest.
        """
        begun = _Run(0, 0, ~happening.spends & self._layout.low, 0, high, (), ())
        found = self._fire(begun, happening, happening.trigger, happening.carried, happening.named)
        if happening.spends or happening.always:
            found = _else(found, [[self._command(begun, happening)]])
        return found

    def _fire(
        self, run: _Run, happening: Happening, trigger: str, carried: int, named: int
    ) -> list[Decision]:
        """The decisions of what this trigger fires, and of everything that follows from it."""
        found: list[Decision] = []
        for change, mask, wanted, high in self._candidates(run.high, trigger, carried, named):
            fits = run.narrowed(mask, wanted)
            if fits is None:
                continue
            if len(run.rows) >= LONGEST_RUN:
                names = [row.name for row in run.rows[-4:]]
                raise ChartError(
                    f"On {happening.trigger} the internal triggers never come to rest: ... "
                    f"{', '.join(names)} ..."
                )
            after = [
                then
                for taken in _apply(fits, change, high)
                for then in self._follow(taken, happening)
            ]
            found = [[*one, *other] for one, other in zip_longest(found, after, fillvalue=())]
        return found

    def _absent(self, high: int) -> int:
        """What the context cannot come to hold because nobody is there whom it is of."""
        layout, chart = self._layout, self._chart
        held = dict(zip(chart.registers, layout.registers_of(high), strict=True))
        return sum(
            layout.fact[fact]
            for fact, kind in chart.facts.items()
            if isinstance(kind, Derived) and held.get(kind.of or "") == 0
        )

    def _candidates_of(self, high: int, trigger: str, carried: int, named: int) -> list[_Candidate]:
        """The rows that the phase, the users and what comes along leave possible, with what else
        each of them wants.
        """
        layout, known = self._layout, self._known
        phase, registers = layout.phase_of(high), (*layout.registers_of(high), named)
        true = carried | self._compiled.derive(registers, 0)
        return [
            (
                self._change(change.row.name, self._absent(after)),
                change.mask & ~known,
                change.wanted & ~known,
                after,
            )
            for change in self._changes(phase, trigger)
            if not (true ^ change.wanted) & change.mask & known
            for after in (
                layout.high_of(change.row.target or phase, self._assigned(change.row, registers)),
            )
        ]

    def _follow(self, run: _Run, happening: Happening) -> list[Decision]:
        if not run.todo:
            return [[self._command(run, happening)]]
        resting = _Run(run.mask, run.wanted, run.keep, run.sets, run.high, run.rows, run.todo[1:])
        trigger, carries = run.todo[0]
        carried, named = (happening.carried, happening.named) if carries else (0, 0)
        found = self._fire(resting, happening, trigger, carried, named)
        return _else(found, self._follow(resting, happening))

    def _command(self, run: _Run, happening: Happening) -> Command:
        layout, high = self._layout, run.high
        if not self._apart:
            high = layout.high_of(layout.phase_of(high), renamed(layout.registers_of(high)))
        return (
            run.mask,
            run.wanted,
            run.keep,
            run.sets | high << layout.shift,
            Way(happening, run.rows, run.high),
        )

    def _changes(self, phase: str, trigger: str) -> Sequence[_Change]:
        return [self._change_by[row.name] for row in self._chart.rows(phase, trigger)]

    def _carrying(self, phase: str, trigger: str) -> Sequence[_Change]:
        """What may be changed by this trigger, and by the internal ones that carry it on."""
        found, todo, seen = list[_Change](), [(phase, trigger)], set[tuple[str, str]]()
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                changes = self._changes(*at)
                found += changes
                todo += [
                    (change.row.target or at[0], carried)
                    for change in changes
                    for carried, carries in change.triggers
                    if carries
                ]
        return found

    def _assigned(self, row: Transition, registers: Sequence[int]) -> list[int]:
        after = list(registers[: len(self._chart.registers)])
        for register, source in row.assigns.items():
            after[self._places[register]] = 0 if source is None else registers[self._places[source]]
        return after

    def _change_of(self, name: str, absent: int) -> _Change:
        """The row of this name as bits, where nothing that is `absent` comes to hold by chance."""
        row, fact = self._row_by[name], self._layout.fact
        wanted = sum(fact[name] for name in set(row.when))
        mask = wanted | sum(fact[name] for name in set(row.unless))
        clears, sets = (
            sum(fact[name] for name in set(row.clears)),
            sum(fact[name] for name in set(row.sets)),
        )
        frees = raised = lowered = 0
        triggers: list[tuple[str, bool]] = []
        for effect in row.effects:
            does, spec = self._layout.impacts[effect], self._chart.effects[effect]
            free, up = does.free & ~absent, does.up & ~absent
            clears, sets = clears | does.off | does.free, sets & ~(does.off | does.free) | does.on
            frees = frees & ~(does.off | does.on | does.free) | free
            raised = raised & ~(does.off | does.on | does.free) | up & ~frees
            lowered &= ~(does.off | does.on | does.free)
            # what the row itself may have set is left open by what may clear it, and the reverse
            both = does.down & (sets | raised) | up & lowered
            clears, sets, frees = clears | both, sets & ~both, frees | both
            raised, lowered = raised & ~both, lowered & ~both | does.down & ~(frees | clears)
            if isinstance(spec, Raise):
                triggers.append((spec.trigger, spec.carries))
        return _Change(row, mask, wanted, ~clears, sets, frees, raised, lowered, tuple(triggers))


def taken(decisions: Iterable[Decision], state: int) -> Iterator[tuple[Way, int]]:
    """The ways that are taken in this state, each with the state it leads to."""
    for decision in decisions:
        for mask, wanted, keep, sets, way in decision:
            if state & mask == wanted:
                if way is not None:
                    yield way, state & keep | sets
                break


def renamed(registers: Sequence[int]) -> tuple[int, ...]:
    """The same users under the names 1, 2, ... in the order of the registers they are first met in;
    nobody stays 0.
    """
    names = {0: 0}
    return tuple([names.setdefault(who, len(names)) for who in registers])


def _apply(run: _Run, change: _Change, high: int) -> Iterator[_Run]:
    """What a row makes of a run, for each choice that it leaves open. A bit it may set is a choice
    only where it is not set, one it may clear only where it is set.
    """
    kept, begun = run.keep & change.keep, run.sets & change.keep | change.sets
    rows, todo = (*run.rows, change.row), (*run.todo, *change.triggers)
    for lowered in _choices(change.lowered):
        keep, sets = kept & ~lowered, begun & ~lowered
        for bits in _choices(change.frees | change.raised & ~sets):
            fits = run.narrowed(bits & change.raised & keep | lowered, lowered)
            if fits is not None:
                yield _Run(fits.mask, fits.wanted, keep, sets | bits, high, rows, todo)


def _choices(mask: int) -> Iterator[int]:
    """Every choice among these bits."""
    bits = _bits(mask)
    for chosen in product((0, 1), repeat=len(bits)):
        yield sum([bit for bit, yes in zip(bits, chosen, strict=True) if yes])


def _else(found: list[Decision], otherwise: list[Decision]) -> list[Decision]:
    """`found`, and where none of its guards holds, `otherwise`."""
    if not found:
        return otherwise
    blocked: Decision = [(mask, wanted, -1, 0, None) for mask, wanted, _, _, _ in found[0]]
    return [
        [*one, *other] if i == 0 or not other else [*one, *blocked, *other]
        for i, (one, other) in enumerate(zip_longest(found, otherwise, fillvalue=()))
    ]


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(1 << i for i in range(mask.bit_length()) if mask >> i & 1)
