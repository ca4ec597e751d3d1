"""Rumur, a checker that others wrote, counts the states and the steps that ours counts, finds each
property broken as often, and breaks where the translation is broken.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from compared_engines import Counts, by_rumur, by_us, counted
from desk import DESK, WANTED
from rumur import needs_rumur
from support_chat import CHART
from support_chat.chart.model import Stored
from support_chat.verify import (
    Always,
    EachEffect,
    Model,
    Structure,
    check,
    explore,
    story,
)
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.known import UnknownNameError
from support_chat.verify.properties import OfRuns
from support_chat.verify.views import Move, View
from support_chat_adapters.cli import main
from support_chat_adapters.murphi import engine, rumur
from support_chat_adapters.murphi.model import to_murphi
from support_chat_adapters.murphi.names import names_of
from support_chat_adapters.murphi.retold import DisagreementError, retold

SEED: Final = 13
"""Which of the faults are compared, each with the property that it breaks: a compiler takes most of
the time. With --hypothesis-profile=nightly all of them are, with the whole catalogue.
"""
COUNT: Final = 1
UNTRANSLATED: Final = {
    "S34": "it takes more than 20,000 decisions",
    "S51": "it goes through the moments of a step",
}
"""The properties of states and steps in the catalogue that are not translated, and why."""


# --- the shipped chart ----------------------------------------------------------------------------


@needs_rumur
def test_rumur_counts_what_we_count_of_the_shipped_chart() -> None:
    murphi = counted(CHART, CATALOGUE)
    assert by_rumur(murphi) == by_us(CHART, murphi)


def test_what_is_left_out_of_the_catalogue_is_no_property_of_states_and_steps() -> None:
    left_out = to_murphi(CHART, CATALOGUE).judged.left_out
    others = {p.id for p in CATALOGUE if isinstance(p, Structure | OfRuns)}
    assert others <= left_out.keys()
    assert {id: why for id, why in left_out.items() if id not in others} == UNTRANSLATED


@needs_rumur
def test_rumur_counts_what_we_count_of_charts_with_a_fault(
    faults: Sequence[Any], pytestconfig: pytest.Config
) -> None:
    judged = {each.property.id for each in to_murphi(CHART, CATALOGUE).judged.judgements}
    translated = [fault for fault in faults if fault.breaks in judged]
    nightly = pytestconfig.getoption("--hypothesis-profile", None) == "nightly"
    count = len(translated) if nightly else COUNT
    for fault in random.Random(SEED).sample(translated, count):
        judges = [p for p in CATALOGUE if nightly or p.id == fault.breaks]
        murphi = counted(fault.chart(), judges)
        theirs = by_rumur(murphi)
        assert theirs == by_us(fault.chart(), murphi), fault.breaks
        assert fault.breaks in theirs.broken


# --- a small chart that uses everything -----------------------------------------------------------


@pytest.fixture(scope="module")
def ours() -> Counts:
    """What we count of the desk."""
    return by_us(DESK, counted(DESK, WANTED))


@needs_rumur
def test_rumur_counts_what_we_count_of_a_chart_that_uses_everything(ours: Counts) -> None:
    assert by_rumur(counted(DESK, WANTED)) == ours
    assert set(ours.broken) == {"D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8"}


@needs_rumur
def test_rumur_tries_what_a_trigger_carries_as_we_do() -> None:
    """Also where no row reads it, and where no row is."""
    carries = {"enter": "named", "turn": ("urgent", "named"), "got": "urgent", "leave": "urgent"}
    rows = (  # an internal trigger names nobody
        attrs.evolve(row, unless=tuple(fact for fact in row.unless if fact != "named_one"))
        for row in DESK.transitions
    )
    facts = {fact: kind for fact, kind in DESK.facts.items() if fact != "named_one"}
    chart = attrs.evolve(DESK, carries=carries, transitions=tuple(rows), facts=facts)
    murphi = counted(chart, WANTED)
    assert by_rumur(murphi) == by_us(chart, murphi)
    assert len(explore(chart).ways) > len(explore(DESK).ways)


def test_what_a_row_may_raise_and_lower_may_stay_as_it_was_where_nobody_is() -> None:
    space = explore(DESK)
    taken = [Move(space.model, step) for step in space.steps if step.happening.trigger == "news"]
    of_nobody = [m for m in taken if m.before.who("user") == 0]
    assert {(m.before.has("rich"), m.after.has("rich")) for m in of_nobody} == {
        (True, True),
        (True, False),
        (False, False),
    }


OPEN: Final = "rich_is_open := rich_is_open | "
DOCTORED: Final = {
    "a guard is forgotten": ("& quiet & rich then", "& rich then"),
    "a row does not clear": ("row_leave; begun := false;", "row_leave;"),
    "a row does not set": ("row_quiet; quiet := true;", "row_quiet;"),
    "a row stays where it is": ("phase := at_idle;\n      -- settle", "\n      -- settle"),
    "a register takes nobody": ("row_other; guest := who;", "row_other; guest := NOBODY;"),
    "a register is read after it is written": ("guest := before_user;", "guest := user;"),
    "what is asked supersedes nothing": ("broke_D6 := true; end; asked_fetch := false;",
                                         "broke_D6 := true; end;"),
    "what has ended is not spent": ("on_failed; asked_fetch := false;", "on_failed;"),
    "a timer that has fired runs": ("on_due;\n    runs_bell := false;", "on_due;"),
    "what is erased is stored": ("asked_wipe := false; stored_key := false;",
                                 "asked_wipe := false;"),
    "of several there is one": (
        "asked_tell & (phase = at_busy)",
        "false & (phase = at_busy)",
    ),
    "what may be raised is not": (f"{OPEN}(!rich & user != NOBODY);", ""),
    "what is nobody's may be raised": (f"{OPEN}(!rich & user != NOBODY);", f"{OPEN}!rich;"),
    "what may be lowered is not": (f"{OPEN}rich;", ""),
    "what is free is not": ("rich_is_open := user != NOBODY;", "rich_is_open := false;"),
    "a batch asks for something": ("asked_spread_is_open := asked_spread_is_open | !asked_spread;",
                                   "asked_spread := true;"),
    "an optional timer runs": ("runs_bell_is_open := true; runs_bell := false;",
                               "runs_bell := true;"),
    "what is left open twice counts twice": ("assume rest = 0;", ""),
    "last raised, first fired": (
        "    taken := taken + 1;\n    on := queue[taken]; brings := carried[taken];",
        "    on := queue[raised]; brings := carried[raised]; raised := raised - 1;",
    ),
    "what is carried is lost": ("on_enter; carried[raised] := true;",
                                "on_enter; carried[raised] := false;"),
    "an internal trigger names somebody": (
        "if brings then who := named; else who := NOBODY; end;", "who := named;"
    ),
    "everybody has a name of his own": ("    user := known[user];\n", ""),
    "there are more strangers than one": ("named <= newest() + 1", "named <= USERS"),
    "nobody may be named": ("named <= newest() + 1 & named != NOBODY", "named <= newest() + 1"),
    "an event comes in on a closed lane": ("open_line & (phase = at_busy)", "(phase = at_busy)"),
    "what is given up is under way": ("asked_tell := false; open_line := false;", ""),
    "what is detached is under way": (
        "asked_spread := false; asked_spread_is_open := false; waits_desk := false;", ""
    ),
    "a property is of another": ("(named = user)", "(named = guest)"),
    "a moment is another": ("if asked_fetch | asked_refetch then", "if asked_fetch then"),
    "the rows are others": ("fired[3] != row_hush", "fired[3] = row_hush"),
}  # fmt: skip


@needs_rumur
@pytest.mark.parametrize("wrong", DOCTORED)
def test_rumur_differs_where_the_translation_is_broken(wrong: str, ours: Counts) -> None:
    murphi = counted(DESK, WANTED)
    old, new = DOCTORED[wrong]
    doctored = murphi.text.replace(old, new)
    assert doctored != murphi.text, "there is nothing of the kind"
    assert by_rumur(murphi, doctored) != ours


# --- the engine and the command -------------------------------------------------------------------


@needs_rumur
def test_a_story_that_rumur_finds_is_one_of_ours_and_as_short() -> None:
    ours = {verdict.property.id: verdict for verdict in check(DESK, WANTED).verdicts}
    found = engine.check(DESK, WANTED[1:4])
    assert (found.states, found.broken["D2"]) == (1412, 288)
    assert not found.held
    for verdict in found.verdicts:
        assert verdict.held is False
        assert len(verdict.story) == len(ours[verdict.property.id].story)
        assert story(found.model, verdict).startswith(
            "The session begins in the phase idle.\n  1. "
        )


@needs_rumur
def test_a_way_that_our_engine_does_not_go_is_told_and_not_believed() -> None:
    wanted = WANTED[3]
    murphi = to_murphi(DESK, [wanted])
    doctored = murphi.text.replace("rows + 1; quiet := true;", "rows + 1;")
    way = rumur.explore(doctored, threads=1).way
    with pytest.raises(DisagreementError, match="Rumur goes on with enter from idle after 0 steps"):
        retold(murphi, Model(DESK), wanted, way)


def test_a_property_that_is_misspelt_is_told_as_such() -> None:
    with pytest.raises(UnknownNameError, match="M1 is misspelt: there is no fact 'bold'"):
        to_murphi(DESK, [Always("M1", "It is bold.", lambda v: v.has("bold"))])


UNTOLD: Final[dict[str, Callable[[View, Move], bool]]] = {
    "it reads runs_bell in the middle of a step": lambda moment, move: moment.running("bell"),
    "it compares the middle of a step with its end": lambda moment, move: (
        moment.asked("tell") == move.after.asked("tell")
    ),
    "it goes through the whole ledger": lambda moment, move: not move.before.ledger(),
}


@pytest.mark.parametrize("why", UNTOLD)
def test_what_cannot_be_told_is_left_out_with_the_reason(why: str) -> None:
    murphi = to_murphi(DESK, [EachEffect("N1", "It is so.", "tell", UNTOLD[why])])
    assert murphi.judged.left_out["N1"].startswith(why)
    assert f"--   N1: {why}" in murphi.text


def test_the_names_of_a_model_are_apart_whatever_a_chart_calls_its_things() -> None:
    names = names_of(
        attrs.evolve(
            DESK,
            phases=("idle", "busy"),
            facts={**DESK.facts, "Begun": Stored("begun"), "end": Stored("a word of Murphi")},
            transitions=tuple(
                attrs.evolve(row, sets=(*row.sets, "Begun", "end"), unless=(*row.unless, "end"))
                if row.name == "swap"
                else attrs.evolve(row, when=(*row.when, "Begun"))
                if row.name == "got"
                else row
                for row in DESK.transitions
            ),
        )
    )
    assert (names.kept["begun"], names.kept["Begun"], names.kept["end"]) == (
        "begun",
        "Begun_2",
        "end_2",
    )


def test_without_rumur_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["check", "--engine", "rumur"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "support-chat: error: --engine rumur: there is no Rumur and no C compiler here; on Debian: "
        "apt-get install -y rumur gcc"
    )


def test_what_rumur_has_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--engine", "rumur", "--junit", "check.xml"]) == 2
    assert "--junit is of this package's own engine: leave out --engine rumur" in (
        capsys.readouterr().err
    )


@needs_rumur
def test_its_verdicts_are_told_to_programs_as_ours_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[3] / "docs" / "examples")
    panel = ["check", "--chart", "panel:AT_FIRST", "--properties", "panel:PROPERTIES", "--json"]
    assert main([*panel, "--engine", "rumur", "--sarif", str(tmp_path / "theirs.sarif")]) == 1
    theirs = json.loads(capsys.readouterr().out)
    assert main([*panel, "--sarif", str(tmp_path / "ours.sarif")]) == 1
    ours = json.loads(capsys.readouterr().out)
    assert (theirs["engine"], ours["engine"]) == ("rumur", "python")
    same = ("schema", "chart", "states", "transitions", "users", "complete", "verdict")
    assert [theirs[key] for key in same] == [ours[key] for key in same]
    told = {each["id"]: {**each, "asked": None} for each in ours["properties"]}
    assert {each["id"]: each for each in theirs["properties"]} == {
        id: told[id] for id in ("P1", "P2", "G1", "G3", "G4", "G6")
    }
    assert {each["id"] for each in theirs["elsewhere"]} == {"P3", "P4", "G2", "G5 show"}
    results = [
        json.loads((tmp_path / name).read_text("utf-8"))["runs"][0]["results"][0]["locations"]
        for name in ("ours.sarif", "theirs.sarif")
    ]
    assert results[0] == results[1]


def test_the_model_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", "murphi"]) == 0
    assert capsys.readouterr().out == to_murphi(CHART, CATALOGUE).text
