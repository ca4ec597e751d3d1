"""Calls a property for every way to decide what it wants to know.

A property is a function of Python. It is called with a state (or a step) whose every answer is
open: each time that it wants to know one, that is a decision, and it is called once more for each
way to decide. What it returns at the ends of all decisions is the condition under which it holds.
So nothing of a property is written a second time, and one of your own is translated like those of
the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from support_chat.verify.known import UnknownNameError

from .formulas import FALSE, TRUE, Atom, Formula, both, choice, either, negated

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
