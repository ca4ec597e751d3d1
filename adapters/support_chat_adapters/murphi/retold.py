"""The way that Rumur went, as steps of this package's own model: so that it is told in the same
words, and so that a step which one of them has and the other has not comes to light.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from support_chat.verify.deciding import holds_in, holds_of
from support_chat.verify.model import Model, State, Step
from support_chat.verify.properties import Always, EachEffect, EachStep, Property
from support_chat.verify.views import View

from .happenings import Happening
from .model import Murphi
from .rumur import Stage

_Values: TypeAlias = "dict[str, str]"


class DisagreementError(Exception):
    """Rumur and this package's engine do not agree: one of them has a step, or a verdict, that the
    other has not.
    """


def retold(
    murphi: Murphi, model: Model, wanted: Property, way: tuple[Stage, ...]
) -> tuple[Step, ...]:
    """The steps to where the property is broken.

    Raises DisagreementError if the model has no such step, or if the property holds of the last.
    """
    found: list[Step] = []
    at = model.initial
    for count, stage in enumerate(way[1:], 2):
        steps = list(_alike(murphi, model, at, stage))
        if count == len(way):
            steps.sort(key=lambda step: not _broken(model, wanted, step))
        if not steps:
            told = _happening(murphi, stage)
            raise DisagreementError(
                f"Rumur goes on with {told} from {model.phase_of(at)} after {len(found)} steps, "
                "and this package's engine does not go there"
            )
        found.append(steps[0])
        at = steps[0].after
    broken = _broken(model, wanted, found[-1]) if found else _broken_at(model, wanted, at)
    if not broken:
        raise DisagreementError(
            f"Rumur finds {wanted.id} broken after {len(found)} steps, and this package's engine "
            "finds that it holds there"
        )
    return tuple(found)


def _alike(murphi: Murphi, model: Model, at: State, stage: Stage) -> Iterator[Step]:
    """The steps of the model that happen as this one and lead where it leads."""
    assert stage.number is not None, "only the first stage is no step"
    each = next(h for h in reversed(_by_number(murphi)) if h.first <= stage.number)
    rule = each.rule
    named, come = each.of(stage.number)
    for happening in model.happenings(at):
        if (happening.trigger, happening.of) == (rule.trigger, rule.of) and (
            happening.named == named
            and frozenset(model.names(happening.carried)) == come
            and bool(happening.spends) == bool(rule.spends)
        ):
            for step in model.take(at, happening):
                if any(_values(murphi, model, s) == stage.values for s in (step.after, step.raw)):
                    yield step


def _by_number(murphi: Murphi) -> list[Happening]:
    return sorted(murphi.happenings, key=lambda each: each.first)


def _happening(murphi: Murphi, stage: Stage) -> str:
    assert stage.number is not None, "only the first stage is no step"
    each = next(h for h in reversed(_by_number(murphi)) if h.first <= stage.number)
    return each.rule.name


def _values(murphi: Murphi, model: Model, state: State) -> _Values:
    """A state as the model of Murphi has it."""
    names, view = murphi.names, View(model, state)
    who = zip(names.register.values(), model.registers_of(state), strict=True)
    tables = (
        (names.kept, view.has),
        (names.asked, view.asked),
        (names.open, view.open),
        (names.running, view.running),
        (names.waiting, view.waiting),
        (names.stored, view.stored),
    )
    return {
        "phase": names.phase[str(view.phase)],
        **{name: str(number) for name, number in who},
        **{
            variable: "true" if holds(name) else "false"
            for table, holds in tables
            for name, variable in table.items()
        },
    }


def _broken(model: Model, wanted: Property, step: Step) -> bool:
    if isinstance(wanted, EachStep | EachEffect):
        return holds_of(model, step, wanted) is not None
    return _broken_at(model, wanted, step.after)


def _broken_at(model: Model, wanted: Property, at: State) -> bool:
    return isinstance(wanted, Always) and holds_in(model, at, wanted) is not None
