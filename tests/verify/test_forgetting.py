"""A chart that forgets what a trigger carries is refused, or breaks a property: whichever option of
a call or word of an outcome it takes for granted, in whichever phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Final

import attrs
import pytest

from support_chat import CHART, Chart, Transition
from support_chat.chart.model import Carried, Present, Same
from support_chat.lifecycle.names import Phase as P, Trigger as T
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.mutants.edits import Edit, Kind
from support_chat.verify.mutants.judging import Fate, Judge

NEVER: Final = {
    "boot named": "who is named is asked by whom there is, not by whether there is somebody",
    "boot same_target": "boot() never joins an identify",
    "identify named": "identify() always names somebody",
    "link_up named": "who has answered is compared with whom it was dialled for",
    "identified named": "the backend always names the user",
    "identified same_user": "a visitor is identified, and is no user yet",
}
"""What no row reads of what a trigger carries, and why."""


@cache
def judge() -> Judge:
    """The judge of the shipped chart, by its catalogue alone."""
    return Judge(CHART, CATALOGUE)


def brought(chart: Chart, trigger: str) -> Iterator[str]:
    """The facts that are known by what this trigger carries."""
    carried = (chart.carries or {})[trigger]
    for fact, kind in chart.facts.items():
        match kind:
            case Carried():
                known = fact in carried
            case Present(register=register):
                known = register == chart.named in carried
            case Same(left=left, right=right):
                known = chart.named in carried and chart.named in (left, right)
            case _:
                known = False
        if known:
            yield fact


def phases_that_read(chart: Chart, trigger: str, fact: str) -> tuple[str, ...]:
    rows = {phase: chart.rows(phase, trigger) for phase in chart.phases}
    return tuple(p for p in chart.phases if any(fact in (*r.when, *r.unless) for r in rows[p]))


def forgetting(chart: Chart, trigger: str, fact: str, phases: Sequence[str], holds: bool) -> Chart:
    """The chart, but that in these phases this fact is taken to hold, or not to, on the trigger:
    rows that want it otherwise are gone, the others do not ask.
    """
    rows: list[Transition] = []
    for row in chart.transitions:
        here = tuple(phase for phase in row.sources if phase in phases)
        if not (here and trigger in row.trigger and fact in (*row.when, *row.unless)):
            rows.append(row)
            continue
        others = tuple(each for each in row.trigger if each != trigger)
        elsewhere = tuple(phase for phase in row.sources if phase not in phases)
        if others:
            rows.append(attrs.evolve(row, name=f"{row.name} by others", trigger=others))
        if elsewhere:
            name = f"{row.name} elsewhere"
            rows.append(attrs.evolve(row, name=name, trigger=trigger, sources=elsewhere))
        if (fact in row.when) == holds:
            when, unless = (
                tuple(f for f in these if f != fact) for these in (row.when, row.unless)
            )
            asks_not = attrs.evolve(row, trigger=trigger, sources=here, when=when, unless=unless)
            rows.append(asks_not)
    return attrs.evolve(chart, transitions=rows)


def fates(trigger: str, fact: str, phases: Sequence[str]) -> Iterator[Fate]:
    for holds in (True, False):
        make = partial(forgetting, trigger=trigger, fact=fact, phases=phases, holds=holds)
        words = f"takes for granted that {fact} is {holds} in {', '.join(phases)}"
        yield judge().judge(Edit(Kind.GUARD, trigger, words, make)).fate


ALL: Final = [
    (str(trigger), str(fact)) for trigger in CHART.carries or () for fact in brought(CHART, trigger)
]


@pytest.mark.parametrize(("trigger", "fact"), ALL, ids=lambda one: one)
def test_a_chart_that_forgets_what_comes_along_is_refused_or_breaks_a_property(
    trigger: str, fact: str
) -> None:
    phases = phases_that_read(CHART, trigger, fact)
    assert (not phases) == (f"{trigger} {fact}" in NEVER)
    noticed, nothing = {Fate.INVALID, Fate.KILLED}, {Fate.EQUIVALENT}
    for where in (phases, *((phase,) for phase in phases)) if phases else ():
        found = set(fates(trigger, fact, where))
        assert found <= noticed | nothing, where
        if where == phases:
            assert found & noticed, "it is forgotten everywhere, and nobody has noticed"


def test_an_option_that_one_call_ignores_in_one_phase_breaks_a_property() -> None:
    """The single option that a visitor's trust depends on."""
    for trigger, phases in ((T.SHUTDOWN, tuple(P)), (T.BECOME, (P.BOOTING, P.AUTHENTICATED))):
        for phase in phases:
            if phase in phases_that_read(CHART, trigger, "full"):
                assert set(fates(trigger, "full", [phase])) == {Fate.KILLED}, phase


def test_a_boot_that_is_for_nobody_breaks_a_property() -> None:
    def for_nobody(name: str, chart: Chart) -> Chart:
        rows = (attrs.evolve(r, assigns={}) if r.name == name else r for r in chart.transitions)
        return attrs.evolve(chart, transitions=tuple(rows))

    for row in CHART.transitions:
        if T.BOOT in row.trigger and row.assigns:
            edit = Edit(Kind.ASSIGN, row.name, "is for nobody", partial(for_nobody, row.name))
            assert judge().judge(edit).fate is Fate.KILLED, row.name
