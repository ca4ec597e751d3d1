"""Mutants of a chart: every single edit is made, and judged as somebody would by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Final

import pytest

import lamp
from support_chat import CHART, Chart, ChartError, Transition
from support_chat.chart.composites import written_out
from support_chat.chart.model import Ask, Stored
from support_chat.verify import (
    Always,
    CanReach,
    EachStep,
    Eventually,
    LeadsTo,
    Property,
    Until,
    check,
)
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.mutants.edits import Edit, Kind, edits, unwritten
from support_chat.verify.mutants.judging import Fate, Judge, Ruling

BY_HAND: Final = """
light   is dropped              invalid
light   stays where it is       invalid
light   also in on              invalid
light   whether or not locked   killed P1
light   when locked             killed P1
light   sets locked             survives
light   clears locked           equivalent
light   without click           invalid
light   without tick            invalid
light   tick before click       survives
douse   is dropped              invalid
douse   stays where it is       killed P1
douse   also in off             invalid
douse   whether or not locked   killed P1
douse   when locked             killed P1
douse   sets locked             survives
douse   clears locked           equivalent
lock    is dropped              invalid
lock    leads to off            survives
lock    leads to on             killed P3
lock    not in off              killed P2
lock    not in on               killed P2
lock    whether or not locked   invalid
lock    when locked             invalid
lock    does not set locked     invalid
lock    clears locked           invalid
unlock  is dropped              killed P2
unlock  leads to off            survives
unlock  leads to on             killed P3
unlock  not in off              killed P2
unlock  not in on               killed P2
unlock  whether or not locked   invalid
unlock  unless locked           invalid
unlock  does not clear locked   killed P2
unlock  sets locked             killed P2
"""
"""What becomes of each edit of the lamp. Nothing says that pressing does not lock, that holding
does not put out the light, or that the click is heard before the tick.
"""


def told(edit: Edit, ruling: Ruling) -> str:
    return f"{edit.of:8}{edit.words:24}{ruling.fate} {ruling.by}".rstrip()


def of(chart: Chart, id: str) -> Edit:
    return next(edit for edit in edits(chart) if edit.id == id)


@cache
def judge() -> Judge:
    """The judge of the shipped chart."""
    return Judge(CHART, CATALOGUE)


# --- a small chart, by hand -----------------------------------------------------------------------


def test_every_edit_of_a_small_chart_ends_as_by_hand() -> None:
    small = Judge(lamp.CHART, lamp.PROPERTIES)
    found = [told(edit, small.judge(edit)) for edit in edits(lamp.CHART)]
    assert found == BY_HAND.split("\n")[1:-1]


@pytest.mark.parametrize("missing", lamp.PROPERTIES, ids=lambda each: each.id)
def test_without_a_property_something_more_survives(missing: Property) -> None:
    fewer = Judge(lamp.CHART, [each for each in lamp.PROPERTIES if each is not missing])
    more = [told(e, fewer.judge(e)) for e in edits(lamp.CHART)]
    assert sum("survives" in line for line in more) > BY_HAND.count("survives")


def test_what_properties_let_through_a_judge_of_ones_own_may_catch() -> None:
    def wrong(chart: Chart) -> str | None:
        (light,) = (row for row in chart.transitions if row.name == "light")
        return None if light.effects[0] == "click" else "it does not click first"

    small = Judge(lamp.CHART, lamp.PROPERTIES, wrong)
    fates = {edit.id: small.judge(edit) for edit in edits(lamp.CHART)}
    assert fates["light: tick before click"] == Ruling(Fate.CAUGHT, why="it does not click first")
    assert fates["light: sets locked"].fate is Fate.SURVIVES


def test_a_chart_that_fails_itself_has_no_mutants_to_speak_of() -> None:
    never = EachStep("P4", "It never lights.", lambda move: move.after.phase != "on")
    with pytest.raises(ChartError, match="P4"):
        Judge(lamp.CHART, [never])


def test_what_lasts_and_what_can_be_reached_is_judged_of_the_whole() -> None:
    """The mutant is locked for ever: no single step shows it."""
    reach = CanReach("R", "", lambda v: True, lambda v: v.phase == "on", calls=True)
    ends = Eventually("E", "", lambda v: False)
    opens = LeadsTo("L", "", lambda v: v.has("locked"), lambda v: not v.has("locked"), "hold", True)
    kept = Until("U", "", lambda v: v.phase == "on", lambda v: not v.has("locked"), lambda v: False)
    edit = of(lamp.CHART, "unlock: does not clear locked")
    for wanted in (reach, opens):
        stuck = Judge(lamp.CHART, [ends, wanted]).judge(edit)
        assert (stuck.fate, stuck.by) == (Fate.KILLED, wanted.id)
    with pytest.raises(ChartError, match="fails U"):
        Judge(lamp.CHART, [kept])


def test_a_mutant_with_too_many_states_is_left_open() -> None:
    names = [f"bit{i}" for i in range(12)]
    rows = [
        Transition(
            name=f"carry.{i}", group="g", trigger="tick", sources="on",
            when=("go", *names[:i]), unless=names[i], sets=names[i], clears=names[:i],
        )
        for i in range(12)
    ]  # fmt: skip
    start = Transition(
        name="start", group="g", trigger="start", sources="on", when="bit0", sets="go"
    )
    counter = Chart(
        name="counter", initial="on", phases="on", triggers=("tick", "start"),
        external=("tick", "start"), transitions=(*rows, start),
        facts={name: Stored("a digit") for name in ("go", *names)},
    )  # fmt: skip
    somewhere = Always("A", "", lambda view: view.phase == "on")
    ruling = Judge(counter, [somewhere]).judge(of(counter, "start: whether or not bit0"))
    assert ruling.fate is Fate.OPEN


# --- the edits ------------------------------------------------------------------------------------


def test_every_kind_of_edit_is_made_of_the_shipped_chart_and_each_edit_once() -> None:
    made = list(edits(CHART))
    assert {edit.kind for edit in made} == set(Kind)
    assert len({edit.id for edit in made}) == len(made) > 10_000


def test_composites_are_taken_out_of_rows_and_written_into_them_again() -> None:
    plain = [unwritten(row, CHART.composites) for row in CHART.transitions]
    assert written_out(plain, CHART.composites, CHART.effects) == CHART.transitions


def test_an_edit_of_a_composite_edits_the_rows_that_begin_or_end_it_and_no_others() -> None:
    session, *_ = CHART.composites
    without = of(CHART, "composite session: its exit is without disarm").make(CHART)
    for before, after in zip(CHART.transitions, without.transitions, strict=True):
        effects = tuple(effect for effect in before.effects if effect != "disarm")
        assert after.effects == (effects if session.ends(before) else before.effects)


def test_an_outcome_may_be_another_of_the_same_effect() -> None:
    chart = of(CHART, "effect fetch_token: its failure is token_arrived").make(CHART)
    spec = chart.effects["fetch_token"]
    assert isinstance(spec, Ask)
    assert spec.failure == "token_arrived"


# --- the shipped chart ----------------------------------------------------------------------------

ESCAPED: Final = {
    # after a merge the session is anonymous
    "identify.done: stays where it is": "S38",
    "link.back_identified: leads to anonymous": "S38c",
    # clear_storage=True is ignored
    "shutdown.live_clear: does not set owed_full": "S40a",
    "shutdown.live_clear: join_shutdown instead of join_clear": "S40e",
    # shutdown() does not lead to shutdown
    "shutdown.live: leads to ready": "S34",
    "shutdown.booting: leads to ready": "S36",
    "shutdown.nothing_live: stays where it is": "S36",
}
"""What once held every property, and the property that fails by it now."""


@pytest.mark.parametrize("id", ESCAPED)
def test_what_once_escaped_is_killed_by_a_named_property(id: str) -> None:
    ruling = judge().judge(of(CHART, id))
    assert (ruling.fate, ruling.by) == (Fate.KILLED, ESCAPED[id])


def sampled(seed: int, count: int) -> Sequence[Edit]:
    return random.Random(seed).sample(list(edits(CHART)), count)


@pytest.mark.parametrize("edit", sampled(3, 8), ids=lambda edit: edit.id)
def test_the_short_way_comes_to_the_same_verdict_as_checking_the_whole_mutant(edit: Edit) -> None:
    ruling = judge().judge(edit)
    if ruling.fate is Fate.INVALID:
        with pytest.raises(Exception, match="problem"):
            edit.make(CHART)
        return
    report = check(edit.make(CHART), CATALOGUE, max_states=3 * len(judge().space.states))
    failed = {verdict.property.id for verdict in report.verdicts if verdict.held is False}
    if ruling.fate is Fate.KILLED:
        assert ruling.by in failed
    elif report.space.complete:
        assert not failed


def test_an_edit_that_only_says_something_else_is_judged_wherever_it_says_it() -> None:
    """Also where the chart is led by the very call whose row is edited."""
    edits_of_errors = [
        edit
        for edit in edits(CHART)
        if edit.of == "identify.refuse_other_target" and edit.kind is Kind.ERROR
    ]
    assert {judge().judge(edit).fate for edit in edits_of_errors} <= {Fate.KILLED, Fate.INVALID}
