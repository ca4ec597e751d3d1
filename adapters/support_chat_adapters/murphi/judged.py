"""Which properties a model judges, and what of each of them it says where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

import attrs

from support_chat.verify.deciding import claim
from support_chat.verify.known import UnknownNameError
from support_chat.verify.properties import (
    Always,
    CanReach,
    EachEffect,
    EachStep,
    Eventually,
    LeadsTo,
    Property,
    Structure,
    Until,
)

from .decisions import LeftOutError, Oracle, condition
from .effects import Effects
from .formulas import Atom, Formula, either, negated
from .readings import END, TRIGGER, Firings, OpenMove, OpenView

UNTRANSLATED: Final[Mapping[type[Property], str]] = {
    Structure: "no state and no step decides it",
    LeadsTo: "it is said of endless runs",
    Eventually: "it is said of endless runs",
    Until: "it is said of all runs from a state",
    CanReach: "it is said of all runs from a state",
}
"""The kinds of properties that are left out, and why."""


@attrs.frozen
class Judgement:
    """A property as a condition: of each state, of the end of each step, or, if there are
    `effects`, of each moment at which one of them is asked; and what it reads.
    """

    property: Property
    formula: Formula
    reads: frozenset[str]
    of_states: bool = False
    effects: tuple[str, ...] = ()


@attrs.frozen
class Judged:
    """The judgements of a model, and the properties that are left out with the reason."""

    judgements: tuple[Judgement, ...]
    left_out: Mapping[str, str]

    @property
    def reads(self) -> frozenset[str]:
        """Everything that is read of a step."""
        return frozenset(name for each in self.judgements for name in each.reads)


def judged(effects: Effects, properties: Iterable[Property], triggers: Iterable[str]) -> Judged:
    """The properties as conditions on the model with these effects, where one of these triggers
    begins each step. Raises UnknownNameError for a property that asks for a name which the chart
    has not.
    """
    found: list[Judgement] = []
    left_out: dict[str, str] = {}
    begin = tuple(triggers)
    for each in properties:
        try:
            found.append(_judgement(effects, each, begin))
        except LeftOutError as why:
            left_out[each.id] = str(why)
        except UnknownNameError as slip:
            raise UnknownNameError(f"{each.id} is misspelt: {slip} in the chart.") from None
    return Judged(tuple(found), left_out)


def _judgement(effects: Effects, wanted: Property, triggers: tuple[str, ...]) -> Judgement:
    names, reads = effects.names, set[str]()
    firings = Firings.of(names.chart)
    phases = tuple(map(str, names.chart.phases))
    domains = {"phase": phases, "was_phase": phases, TRIGGER: triggers}
    match wanted:
        case Always():
            of_state = claim(wanted)
            formula = condition(
                Oracle(domains), lambda oracle: of_state(cast("Any", OpenView(oracle, names)))
            )
            return Judgement(wanted, formula, frozenset(), of_states=True)
        case EachStep(on=on):
            of_step = claim(wanted)
            domains[TRIGGER] = tuple(each for each in triggers if not on or each in on)
            formula = condition(
                Oracle(domains),
                lambda oracle: of_step(cast("Any", OpenMove(oracle, names, firings, reads.add))),
            )
            if on:
                these = (Atom(f"({TRIGGER} = {names.trigger[each]})") for each in domains[TRIGGER])
                formula = either(negated(either(*these)), formula)
            return Judgement(wanted, formula, frozenset(reads))
        case EachEffect(effects=asked):
            return _of_effects(effects, wanted, asked, claim(wanted), domains)
        case _:
            raise LeftOutError(UNTRANSLATED[type(wanted)])


def _of_effects(
    effects: Effects,
    wanted: Property,
    asked: tuple[str, ...],
    holds: Callable[[Any, Any], Any],
    domains: Mapping[str, tuple[str, ...]],
) -> Judgement:
    """It is judged where the effect is asked if it reads that very moment, else at the step's
    end.
    """
    names, middle, reads = effects.names, set[str](), set[str]()
    firings = Firings.of(names.chart)

    def called(oracle: Oracle) -> Any:
        moment = OpenView(oracle, names, "", middle.add, middle=True)
        return holds(moment, OpenMove(oracle, names, firings, reads.add))

    formula = condition(Oracle(domains), called)
    of_the_moment = {name for name in middle if not name.startswith("was_")}
    reads |= middle - of_the_moment
    if unsettled := of_the_moment & set(effects.openable):
        raise LeftOutError(f"it reads {min(unsettled)} in the middle of a step, where it is open")
    if not of_the_moment:
        did = [names.effect[effect] for effect in asked if effect in names.effect]
        none = negated(either(*map(Atom, did)))
        return Judgement(wanted, either(none, formula), frozenset((*reads, *did)))
    if END in reads:
        raise LeftOutError("it compares the middle of a step with its end")
    return Judgement(wanted, formula, frozenset(reads), effects=asked)
