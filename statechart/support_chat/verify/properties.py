"""What can be asked of a chart: the kinds of properties, and what becomes of one.

How each is decided is said in `support_chat.verify.deciding`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import attrs

from ..chart.model import Chart
from .explore import Space
from .model import Step
from .views import Move, View


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@attrs.frozen
class Property:
    """One thing that is to hold, with a stable id and a sentence for people; what is decided of it
    says its class.

    Each kind has a `when`, or may have one: what it is asked of. A property that is asked of
    nothing holds whatever the chart does, and `check` says so.
    """

    id: str
    sentence: str


@attrs.frozen
class Always(Property):
    """Holds in every reachable state; with `when`, in every one in which that is so."""

    holds: Callable[[View], bool]
    when: Callable[[View], bool] | None = None


@attrs.frozen
class EachStep(Property):
    """Holds of every step; with `on`, of every step of this trigger, or of one of these; with
    `when`, of those of which that is so.
    """

    holds: Callable[[Move], bool]
    on: tuple[str, ...] = attrs.field(default=(), converter=_several)
    when: Callable[[Move], bool] | None = None


@attrs.frozen
class EachEffect(Property):
    """Holds whenever one of `effects` is asked: of the ledger at that moment, and of the step it
    belongs to; with `when`, whenever that is so then.
    """

    effects: tuple[str, ...] = attrs.field(converter=_several)
    holds: Callable[[View, Move], bool]
    when: Callable[[View, Move], bool] | None = None


@attrs.frozen
class Structure(Property):
    """Holds of the chart itself; `faults` names what is wrong, one sentence each. `space` is what
    was explored.
    """

    faults: Callable[[Chart, Space], Sequence[str]]


@attrs.frozen
class LeadsTo(Property):
    """From every state in which `when` holds, one in which `to` holds is come to at last, whatever
    the outcomes; without another call or event, or, with `calls`, whatever is called and heard.

    Every adapter effect has a limit, so whatever is outstanding ends. A timer that keeps running
    fires at last. Nothing else is taken for granted, but that what can happen again and again of
    the triggers in `fair` happens: an outcome, or a call or event, whether a row wants it then or
    not.
    """

    when: Callable[[View], bool]
    to: Callable[[View], bool]
    fair: tuple[str, ...] = attrs.field(default=(), converter=_several)
    calls: bool = False


@attrs.frozen
class Eventually(Property):
    """What `when` describes does not last: it leads to a state in which that is not so, as
    `LeadsTo` has it.
    """

    when: Callable[[View], bool]
    fair: tuple[str, ...] = attrs.field(default=(), converter=_several)


@attrs.frozen
class Until(Property):
    """From every state in which `when` holds, `holds` stays true, whatever happens, until one in
    which `to` holds. Whether that is ever come to is a `LeadsTo`.
    """

    when: Callable[[View], bool]
    holds: Callable[[View], bool]
    to: Callable[[View], bool]


@attrs.frozen
class CanReach(Property):
    """From every state in which `when` holds, one in which `to` holds can be reached (by calls too,
    if `calls`).
    """

    when: Callable[[View], bool]
    to: Callable[[View], bool]
    calls: bool = False


OfRuns: TypeAlias = LeadsTo | Eventually | Until | CanReach
"""What is said of all that can happen from a state on."""


@attrs.frozen
class Elsewhere:
    """A property that no model decides: its id and sentence, by what it is decided, and where (a
    test's path).
    """

    id: str
    sentence: str
    by: str
    where: str


@attrs.frozen
class Verdict:
    """What became of a property: `held` is None when a limit cut the exploration short before a
    failure was found.

    `story` is a shortest way to the failure, `detail` says in words what is wrong where there is no
    way to show.
    """

    property: Property
    held: bool | None
    story: tuple[Step, ...] = ()
    detail: str = ""
    round: tuple[Step, ...] = ()
    """The steps by which it then goes round for ever, back to where the story ends; for a `LeadsTo`
    or an `Eventually` only.
    """


@attrs.frozen
class Report:
    """A space and the verdicts on it."""

    space: Space
    verdicts: tuple[Verdict, ...]

    @property
    def held(self) -> bool | None:
        """True if everything held, False if something failed, None if a limit left something
        open.
        """
        if any(v.held is False for v in self.verdicts):
            return False
        return None if any(v.held is None for v in self.verdicts) else True


def unknown_names(chart: Chart, wanted: Property) -> list[tuple[str, str]]:
    """The names that a property gives and the chart has not: each with what it would be."""
    match wanted:
        case EachStep(on=names) | LeadsTo(fair=names) | Eventually(fair=names):
            return [("the trigger", name) for name in names if name not in chart.triggers]
        case EachEffect(effects=names):
            return [("the effect", name) for name in names if name not in chart.effects]
        case _:
            return []
