"""What a property says of a state or of a step, as a condition of Murphi.

A property is a function of Python. It is called with a state (or a step) whose every answer is
open: each time that it wants to know one, that is a decision, and it is called once more for each
way to decide. What it returns at the ends of all decisions is the condition. So nothing of a
property is written a second time, and one of your own is translated like those of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from support_chat.chart.model import Chart, Present, Raise, Stored, Transition
from support_chat.verify.known import UnknownNameError

from .formulas import FALSE, TRUE, Atom, Formula, both, choice, either, negated
from .names import Names

MOST_DECISIONS: Final = 20_000
"""After how many decisions a property counts as one that Murphi cannot be told."""


class LeftOutError(Exception):
    """A property that is not translated, and why."""


class _Undecided(BaseException):
    """A property wants to know what is not decided yet."""

    def __init__(self, of: Formula, about: tuple[str, str] | None) -> None:
        super().__init__()
        self.of, self.about = of, about


class Oracle:
    """What is decided while a property is called: conditions, and of what has one of several values
    (a phase, a trigger, a row) which it is or is not.
    """

    def __init__(self, domains: Mapping[str, Sequence[str]]) -> None:
        self._domains = domains
        self._known: dict[Formula, bool] = {}
        self._not: dict[str, set[str]] = {}
        self._is: dict[str, str] = {}

    def within(self, of: Formula, about: tuple[str, str] | None, holds: bool) -> Oracle:
        """The same with one decision more."""
        after = Oracle(self._domains)
        after._known = {**self._known, of: holds}
        after._not, after._is = {k: set(v) for k, v in self._not.items()}, dict(self._is)
        if about is not None and holds:
            after._is[about[0]] = about[1]
        elif about is not None:
            after._not.setdefault(about[0], set()).add(about[1])
        return after

    def decide(self, of: Formula) -> bool:
        """Whether this holds."""
        if of in (TRUE, FALSE):
            return of == TRUE
        if of in self._known:
            return self._known[of]
        if negated(of) in self._known:
            return not self._known[negated(of)]
        raise _Undecided(of, None)

    def left(self, name: str) -> list[str]:
        """The values that are not ruled out."""
        if name in self._is:
            return [self._is[name]]
        out = self._not.get(name, ())
        return [value for value in self._domains[name] if value not in out]

    def equals(self, name: str, value: str, of: Formula) -> bool:
        """Whether what has one of several values has this one."""
        left = self.left(name)
        if value not in left:
            return False
        if len(left) == 1:
            return True
        raise _Undecided(of, (name, value))


def condition(oracle: Oracle, holds: Callable[[Oracle], Any]) -> Formula:
    """The condition under which `holds` says yes, called with every way to decide."""
    count = 0

    def grown(known: Oracle) -> Formula:
        nonlocal count
        count += 1
        if count > MOST_DECISIONS:
            raise LeftOutError(f"it takes more than {MOST_DECISIONS:,} decisions")
        try:
            said = holds(known)
            return said.formula if isinstance(said, Truth) else TRUE if said else FALSE
        except _Undecided as wants:
            of, about = wants.of, wants.about
        except UnknownNameError:
            raise
        except (ArithmeticError, LookupError, ValueError):
            return FALSE  # a property that raises fails, here as in `support_chat.verify`
        yes = grown(known.within(of, about, True))
        return choice(of, yes, grown(known.within(of, about, False)))

    try:
        return grown(oracle)
    except (LeftOutError, UnknownNameError):
        raise
    except RecursionError:
        raise LeftOutError("it takes too many decisions in a row") from None
    except Exception as error:  # a property may do anything
        raise LeftOutError(f"called with what is open it raised {error!r}") from error


class Truth:
    """Something that holds or does not; asked for, it is decided."""

    __slots__ = ("formula", "oracle")

    def __init__(self, oracle: Oracle, formula: Formula) -> None:
        self.oracle, self.formula = oracle, formula

    def __bool__(self) -> bool:
        return self.oracle.decide(self.formula)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Truth):
            one, two = self.formula, other.formula
            if isinstance(one, Atom) and isinstance(two, Atom):
                return Truth(self.oracle, Atom(f"({one.text} = {two.text})"))
            return Truth(self.oracle, either(both(one, two), both(negated(one), negated(two))))
        return self if other is True else ~self if other is False else False

    def __ne__(self, other: object) -> Any:
        same = self == other
        return ~same if isinstance(same, Truth) else not same

    def __hash__(self) -> int:
        return hash(bool(self))

    def __invert__(self) -> Truth:
        return Truth(self.oracle, negated(self.formula))

    def __and__(self, other: Any) -> Truth:
        return Truth(self.oracle, both(self.formula, _formula(other)))

    __rand__ = __and__

    def __or__(self, other: Any) -> Truth:
        return Truth(self.oracle, either(self.formula, _formula(other)))

    __ror__ = __or__


def _formula(of: Any) -> Formula:
    return of.formula if isinstance(of, Truth) else TRUE if of else FALSE


class Somebody:
    """Whoever is in a register, or is named."""

    __slots__ = ("oracle", "text")

    def __init__(self, oracle: Oracle, text: str) -> None:
        self.oracle, self.text = oracle, text

    def __bool__(self) -> bool:
        return self.oracle.decide(negated(Atom(f"({self.text} = NOBODY)")))

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Somebody):
            one, two = sorted((self.text, other.text))
            return Truth(self.oracle, TRUE if one == two else Atom(f"({one} = {two})"))
        if isinstance(other, int):
            return Truth(self.oracle, Atom(f"({self.text} = {other or 'NOBODY'})"))
        return False

    def __ne__(self, other: object) -> Any:
        same = self == other
        return ~same if isinstance(same, Truth) else not same

    def __hash__(self) -> int:
        raise LeftOutError("it looks users up in a table")


class OneOf:
    """A phase or a trigger: compared, it is decided whether it is that one."""

    __slots__ = ("_all", "_table", "_text", "oracle")

    def __init__(
        self, oracle: Oracle, text: str, table: Mapping[str, str], known: str | None = None
    ) -> None:
        self.oracle, self._text, self._table, self._all = oracle, text, table, known

    def __eq__(self, other: object) -> Any:
        if isinstance(other, OneOf):
            return Truth(self.oracle, Atom(f"({self._text} = {other._text})"))
        if not isinstance(other, str):
            return False
        if other not in self._table:
            if self._all is not None:
                raise UnknownNameError(f"there is no {self._all} {str(other)!r}")
            return False
        return self.oracle.equals(
            self._text, str(other), Atom(f"({self._text} = {self._table[other]})")
        )

    def __ne__(self, other: object) -> Any:
        same = self == other
        return ~same if isinstance(same, Truth) else not same

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return next(value for value in self.oracle.left(self._text) if self == value)


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
