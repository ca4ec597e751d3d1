"""A state, and a step, as a property reads them while everything of them is open: each answer is a
variable of Murphi, or a decision (`decisions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from support_chat.chart.model import Chart, Present, Raise, Stored, Transition
from support_chat.verify.known import UnknownNameError

from .decisions import LeftOutError, OneOf, Oracle, Somebody, Truth
from .formulas import FALSE, Atom, both, either, negated
from .names import Names


@attrs.frozen(eq=False)
class OpenView:
    """A state as a property reads it: `before` is written before each variable. What is read in the
    `middle` of a step, and what of it cannot be, is noted by `reads`.
    """

    oracle: Oracle
    names: Names
    before: str = ""
    reads: Callable[[str], None] = attrs.field(default=lambda _: None)
    middle: bool = False

    @property
    def phase(self) -> Any:
        """As `View.phase`."""
        self.reads(f"{self._old}phase")
        return OneOf(self.oracle, f"{self._old}phase", self.names.phase, "phase")

    def has(self, fact: str) -> Any:
        """As `View.has`."""
        if fact not in self.names.kept:
            if fact not in self.names.chart.facts:
                raise UnknownNameError(f"there is no fact {str(fact)!r}")
            return False  # what comes along, or is read of the registers, is in no state
        return self._any(self._old, self.names.kept, "fact", fact)

    def who(self, register: str) -> Somebody:
        """As `View.who`."""
        if register not in self.names.register:
            raise ValueError(f"there is no register {str(register)!r}")
        text = f"{self._old}{self.names.register[register]}"
        self.reads(text)
        return Somebody(self.oracle, text)

    def asked(self, *effects: str) -> Any:
        """As `View.asked`."""
        return self._any(self.before, self.names.asked, "effect that asks", *effects)

    def open(self, lane: str) -> Any:
        """As `View.open`."""
        return self._any(self.before, self.names.open, "lane of events", lane)

    def running(self, *timers: str) -> Any:
        """As `View.running`."""
        return self._any(self.before, self.names.running, "timer", *timers)

    def waiting(self, *slots: str) -> Any:
        """As `View.waiting`."""
        return self._any(self.before, self.names.waiting, "slot", *slots)

    def stored(self, name: str) -> Any:
        """As `View.stored`."""
        return self._any(self.before, self.names.stored, "key", name)

    @property
    def idle(self) -> Any:
        """As `View.idle`."""
        kept = set(self.names.stored.values())
        ledger = [name for name in self.names.ledger if name not in kept]
        return ~self._of(self.before, ledger)

    @property
    def state(self) -> _State:
        """As `View.state`, to be compared with that of another view."""
        return _State(self)

    def facts(self) -> tuple[str, ...]:
        """As `View.facts`."""
        return tuple(fact for fact in self.names.kept if self.has(fact))

    def ledger(self) -> tuple[str, ...]:
        """As `View.ledger`."""
        raise LeftOutError("it goes through the whole ledger")

    @property
    def _old(self) -> str:
        """In the middle of a step, facts, phase and registers are as before it."""
        return "was_" if self.middle else self.before

    def _any(self, before: str, table: Mapping[str, str], kind: str, *these: str) -> Truth:
        for each in these:
            if each not in table:
                raise UnknownNameError(f"there is no {kind} {str(each)!r}")
        return self._of(before, [table[each] for each in these])

    def _of(self, before: str, variables: Iterable[str]) -> Truth:
        told = [f"{before}{name}" for name in variables]
        for each in told:
            self.reads(each)
        return Truth(self.oracle, either(*map(Atom, told)))


class _State:
    """A whole state, to be compared with another."""

    __slots__ = ("view",)

    def __init__(self, view: OpenView) -> None:
        self.view = view

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, _State):
            return False
        names, one, two = self.view.names, self.view, other.view
        told: list[str] = []
        for name in ("phase", *names.register.values(), *names.variables):
            one.reads(f"{one.before}{name}")
            two.reads(f"{two.before}{name}")
            told.append(f"{one.before}{name} = {two.before}{name}")
        return Truth(one.oracle, Atom(f"({' & '.join(told)})"))

    def __ne__(self, other: object) -> Any:
        same = self == other
        return ~same if isinstance(same, Truth) else not same

    __hash__ = None  # type: ignore[assignment]  # no table of states can be asked


@attrs.frozen(eq=False)
class _OnlyChart:
    chart: Chart


@attrs.frozen(eq=False)
class OpenMove:
    """A step as a property reads it; what is read of its end is noted by `reads`."""

    oracle: Oracle
    names: Names
    firings: Firings
    reads: Callable[[str], None]

    @property
    def before(self) -> OpenView:
        """As `Move.before`."""
        return OpenView(self.oracle, self.names, "was_", self.reads)

    @property
    def after(self) -> OpenView:
        """As `Move.after`."""
        self.reads(END)
        return OpenView(self.oracle, self.names, "", self.reads)

    @property
    def model(self) -> _OnlyChart:
        """The chart."""
        return _OnlyChart(self.names.chart)

    @property
    def trigger(self) -> Any:
        """As `Move.trigger`."""
        return OneOf(self.oracle, TRIGGER, self.names.trigger)

    @property
    def named(self) -> Somebody:
        """As `Move.named`."""
        return Somebody(self.oracle, "named")

    def carries(self, fact: str) -> Any:
        """As `Move.carries`."""
        if fact not in self.names.chart.facts:
            raise UnknownNameError(f"there is no fact {str(fact)!r}")
        brought = self.names.brought.get(fact)
        return False if brought is None else Truth(self.oracle, Atom(brought))

    @property
    def rows(self) -> _Rows:
        """As `Move.rows`."""
        self.reads(END)
        return _Rows(self)

    @property
    def effects(self) -> _Effects:
        """As `Move.effects`."""
        self.reads(END)
        return _Effects(self)

    @property
    def asks(self) -> _Asks:
        """As `Move.asks`."""
        self.reads(END)
        return _Asks(self)

    def moments(self, effects: Iterable[str]) -> Iterator[tuple[str, OpenView]]:
        """As `Move.moments`, which no model remembers."""
        raise LeftOutError("it goes through the moments of a step")

    def fired(self) -> tuple[Transition, ...]:
        """The rows that have fired, one decided after the other."""
        self.reads(FIRED)
        decide, row_of = self.oracle.decide, self.names.row
        found: list[Transition] = []
        sofar = self.firings.beginning(self.oracle.left("was_phase"), str(self.trigger))
        while sofar.queue:
            rows, sofar = self.firings.candidates(sofar)
            for row in rows:
                if decide(Atom(f"(fired[{len(found) + 1}] = {row_of[row.name]})")):
                    found.append(row)
                    sofar = self.firings.after(sofar, row)
                    break
        return tuple(found)


@attrs.frozen
class _Sofar:
    """How far a step has come: the phases it may be in, the triggers that wait, what is known of
    stored facts and registers, and how often which row has fired.
    """

    phases: frozenset[str]
    queue: tuple[str, ...]
    known: Mapping[str, bool]
    fired: tuple[str, ...]


@attrs.frozen
class Firings:
    """Which rows may follow each other in a step, by what they say themselves."""

    chart: Chart
    _rows: Mapping[str, tuple[Transition, ...]]

    @staticmethod
    def of(chart: Chart) -> Firings:
        """Those of a chart."""
        return Firings(
            chart,
            {
                str(trigger): tuple(
                    row
                    for row in chart.transitions
                    if trigger in row.trigger and chart.late not in row.when
                )
                for trigger in chart.triggers
            },
        )

    def beginning(self, phases: Iterable[str], trigger: str) -> _Sofar:
        """Before the first row."""
        return _Sofar(frozenset(phases), (trigger,), {}, ())

    def candidates(self, sofar: _Sofar) -> tuple[list[Transition], _Sofar]:
        """The rows that the first trigger which waits may fire, and how far it is without one."""
        rows = [
            row
            for row in self._rows[sofar.queue[0]]
            if not sofar.phases.isdisjoint(row.sources)
            and all(sofar.known.get(fact, True) for fact in row.when)
            and not any(sofar.known.get(fact, False) for fact in row.unless)
            and sofar.fired.count(row.name) < MOST_TIMES
        ]
        return rows, attrs.evolve(sofar, queue=sofar.queue[1:])

    def after(self, sofar: _Sofar, row: Transition) -> _Sofar:
        """How far it is when this row has fired."""
        facts, effects = self.chart.facts, self.chart.effects
        known = dict(sofar.known)
        for guard, holds in ((row.when, True), (row.unless, False)):
            known |= {str(f): holds for f in guard if self._lasts(f)}
        known |= {str(fact): False for fact in row.clears} | {str(f): True for f in row.sets}
        for fact, kind in facts.items():
            if isinstance(kind, Present) and kind.register in row.assigns:
                known.pop(str(fact), None)
                if row.assigns[kind.register] is None:
                    known[str(fact)] = False
        raised = (s.trigger for s in map(effects.__getitem__, row.effects) if isinstance(s, Raise))
        phases = {row.target} if row.target else sofar.phases.intersection(row.sources)
        queue = (*sofar.queue, *raised)
        return _Sofar(frozenset(phases), queue, known, (*sofar.fired, row.name))

    def _lasts(self, fact: str) -> bool:
        """Whether it holds until a row says otherwise."""
        match self.chart.facts[fact]:
            case Stored():
                return True
            case Present(register=register):
                return register != self.chart.named
            case _:
                return False


MOST_TIMES: Final = 2
"""How often one row may fire in a step."""
TRIGGER: Final = "first"
"""The variable of a step that says its trigger."""
END: Final = "(the end)"
"""What is noted of a property that reads how a step ends."""
FIRED: Final = "(the rows)"
"""What is noted of a property that goes through the rows."""


class _Rows:
    """The rows of a step."""

    __slots__ = ("move",)

    def __init__(self, move: OpenMove) -> None:
        self.move = move

    def __bool__(self) -> bool:
        return self.move.oracle.decide(Atom("(rows > 0)"))

    def __len__(self) -> int:
        return len(self.move.fired())

    def __iter__(self) -> Iterator[Transition]:
        return iter(self.move.fired())

    def __getitem__(self, at: int) -> Transition:
        return self.move.fired()[at]


class _Effects:
    """The effects of a step in their order: whether one is among them is one decision, what their
    order is takes one for each row.
    """

    __slots__ = ("move",)

    def __init__(self, move: OpenMove) -> None:
        self.move = move

    def _all(self) -> tuple[str, ...]:
        return tuple([effect for row in self.move.fired() for effect in row.effects])

    def __contains__(self, effect: object) -> bool:
        return bool(_did(self.move, effect))

    def __eq__(self, other: object) -> Any:
        return bool(self._all() == other)

    def __ne__(self, other: object) -> Any:
        return bool(self._all() != other)

    __hash__ = None  # type: ignore[assignment]  # their order is not known

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._all())

    def __getitem__(self, at: int) -> str:
        return self._all()[at]


class _Asks:
    """The effects of a step as a set."""

    __slots__ = ("move",)

    def __init__(self, move: OpenMove) -> None:
        self.move = move

    def __contains__(self, effect: object) -> bool:
        return bool(_did(self.move, effect))

    def __and__(self, these: Any) -> Truth:
        found = either(*(_did(self.move, effect).formula for effect in these))
        return Truth(self.move.oracle, found)

    __rand__ = __and__

    def __ge__(self, these: Any) -> Truth:
        found = both(*(_did(self.move, effect).formula for effect in these))
        return Truth(self.move.oracle, found)

    def isdisjoint(self, these: Any) -> Truth:
        """Whether none of these is asked."""
        return Truth(self.move.oracle, negated((self & these).formula))


def _did(move: OpenMove, effect: object) -> Truth:
    found = move.names.effect.get(str(effect))
    if found is None:
        return Truth(move.oracle, FALSE)
    move.reads(found)
    return Truth(move.oracle, Atom(found))
