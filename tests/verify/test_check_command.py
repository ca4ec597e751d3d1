"""`support-chat check`: what it prints, the files it writes, what it tells GitHub, and its exit
status in every case there is.

The charts are a user's own: a panel that opens and closes, written as a module into the working
directory, sound or spoilt.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from support_chat import CHART, Chart, InvalidInputError, Transition
from support_chat.chart.model import EffectSpec, Fail, Join, Note, Refusal, Stored
from support_chat.verify import Occurrence, Verdict, explore
from support_chat.verify.catalogue import CATALOGUE, ELSEWHERE
from support_chat_adapters.cli import main

Printed = pytest.CaptureFixture[str]
Check = Callable[..., int]

PANEL = """
from support_chat import Chart, Transition
from support_chat.chart.model import Ask, Ignored, Join, Settle
from support_chat.verify import Always, EachEffect, EachStep, Eventually, LeadsTo

OPEN = Transition(name="panel.open", group="panel", trigger="open", sources="closed",
    target="opening", effects=("wait", "load"))
OPENED = Transition(
    name="panel.opened", group="panel", trigger="loaded", sources="opening", target="opened",
    effects=({settle}),
)
CLOSE = Transition(name="panel.close", group="panel", trigger="close", sources="opened",
    target="closed")
CHART = Chart(
    name="panel", initial="closed", phases=("closed", "opening", "opened"),
    triggers=("open", "close", "loaded", "failed"),
    external=("open", "close"), transitions=(OPEN, OPENED, CLOSE, {more}),
    effects={{
        "wait": Join(doc="open() waits", slot="open"),
        "load": Ask(doc="load it", lane="load", success="loaded", failure="failed", limit="",
            dispose="drop it"),
        "settle": Settle(doc="open() is done", slot="open"),
    }},
    ignored=(
        Ignored(triggers="open", phases=("opening", "opened"), because="it is open"),
        Ignored(triggers="close", phases=("closed", "opening"), because="it is not open"),
        Ignored(triggers=("loaded", "failed"), phases=("closed", "opened"),
            because="nothing loads"),
    ),
)
"""
FAILED = """Transition(name="panel.failed", group="panel", trigger="failed", sources="opening",
    target="closed", effects="settle")"""
UNSETTLED = FAILED.replace(', effects="settle"', "")
PROPERTIES = """
PROPERTIES = [
    Always("P1", "The panel is never opened.", lambda view: view.phase != "opened"),
    EachStep("P2", "Only open() opens.",
        lambda move: move.trigger == "open" or move.after.phase != "opening"),
]
ALIKE = [
    Always("A1", "It never opens.", lambda view: view.phase != "opened"),
    Always("A2", "It never begins to.", lambda view: view.phase != "opening"),
    Always("A3", "It is never open.", lambda view: view.phase != "opened"),
    Always("A4", "It is somewhere.", lambda view: True),
]
MISSPELT = [EachStep("M1", "Only oepn() opens.", lambda move: False, on=("oepn",))]
PHASE = [Always("M3", "It is never opend.", lambda view: view.phase != "opend")]
WHOLE = [Eventually("M4", "It is not opend for long.", lambda view: view.phase == "opend")]
FACT = [EachStep("M5", "It has no fcat.", lambda move: not move.after.has("fcat"))]
UNFAIR = [LeadsTo("M7", "It opens.", lambda view: True, lambda view: True, fair="laoded")]
SLOT = [Always("M6", "Nobody waits.", lambda view: not view.waiting("opne"))]
UNKNOWN = [EachEffect("M2", "Nothing is laoded.", ("laod",), lambda view, move: False)]
RAISES = [Always("R1", "Raises.", lambda view: 1 / 0)]
TWICE = [PROPERTIES[0], PROPERTIES[0]]
NONE = []
TEXT = "P1"
"""

GAP = """
from support_chat import Chart, Transition
from support_chat.chart.model import Join, Note, Settle, Stored
from support_chat.verify import CanReach, EachEffect, EachStep, Eventually

CHART = Chart(
    name="gap", initial="choosing", phases=("choosing", "done"),
    triggers=("choose", "submit", "scroll"),
    external=("choose", "submit", "scroll"), facts={"has_file": Stored("a file is chosen")},
    effects={"wait": Join(doc="submit() waits", slot="submit"),
        "settle": Settle(doc="done", slot="submit"), "odd": Note(doc="never")},
    transitions=(
        Transition(name="choose", group="wizard", trigger="choose", sources=("choosing", "done"),
            sets="has_file"),
        Transition(
            name="submit", group="wizard", trigger="submit", sources="choosing", target="done",
            when="has_file", effects=("wait", "settle")
        ),
        Transition(name="again", group="wizard", trigger="submit", sources="done",
            effects=("wait", "settle")),
        Transition(name="scroll", group="wizard", trigger="scroll", sources=("choosing", "done"),
            when="has_file"),
        Transition(name="odd", group="wizard", trigger="scroll", sources="done", unless="has_file",
            effects="odd"),
    ),
)
UNASKED = [
    CanReach("U1", "Begins where nothing leads to.",
        lambda view: view.phase == "done" and not view.has("has_file"), lambda view: False),
    Eventually("U2", "Nobody waits for long.", lambda view: view.waiting("submit")),
    EachEffect("U3", "Never.", ("odd",), lambda view, move: False),
]
"""

EMPTY = """
from support_chat import Chart
CHART = Chart(name="empty", initial="closed", phases="closed", triggers=(), external=(),
    transitions=())
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs the command in a directory with the modules `panel`, `spoilt`, `faulty`, `broken` and
    `leaves`; outside of GitHub.
    """
    texts = {
        "panel": PANEL.format(settle='"settle",', more=FAILED) + PROPERTIES,
        "spoilt": PANEL.format(settle='"settle",', more=UNSETTLED),
        "faulty": PANEL.format(settle='"setle",', more=FAILED),
        "broken": "import panel\nraise RuntimeError('half written')\n",
        "needs": "import no_such_module_at_all\n",
        "leaves": "raise SystemExit(0)\n",
        "empty": EMPTY,
        "gap": GAP,
        "restless": PANEL.format(settle='"settle",', more=FAILED)
        .replace("Join, Settle", "Join, Raise, Settle")
        .replace(
            'trigger="close", sources="opened",\n    target="closed"',
            'trigger="close", sources="opened",\n    effects="again"',
        )
        .replace(
            '"settle": Settle', '"again": Raise(doc="again", trigger="close"), "settle": Settle'
        ),
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    return lambda *arguments: main(["check", *arguments])


def test_the_shipped_chart_holds_and_every_property_is_named_with_its_verdict(
    check: Check, capsys: Printed
) -> None:
    assert check() == 0
    out = capsys.readouterr().out
    head, *lines = out.splitlines()
    assert re.fullmatch(
        r"support_chat: [\d,]+ states, [\d,]+ transitions, depth \d+, 3 users, \d+\.\d\d s, "
        r"[\d,]+ steps/s",
        head,
    ), head
    for one in CATALOGUE:
        assert f"{'held':12} {one.id:11} {one.sentence}" in lines
    for each in ELSEWHERE:
        assert (
            f"{'elsewhere':12} {each.id:11} {each.sentence} Decided by {each.by}: {each.where}"
            in lines
        )
    assert lines[-1] == f"{len(CATALOGUE)} properties: {len(CATALOGUE)} held"
    assert "\033" not in out
    assert "\r" not in out


def test_what_is_decided_elsewhere_is_decided_there() -> None:
    for one in ELSEWHERE:
        assert f"test_{one.id.lower()}_" in (Path(__file__).parents[2] / one.where).read_text(
            encoding="utf-8"
        )


def test_a_chart_without_properties_is_checked_by_what_it_declares(
    check: Check, capsys: Printed
) -> None:
    assert check("--chart", "panel:CHART") == 0
    out = capsys.readouterr().out
    assert "panel: 3 states, 4 transitions, depth 2, 0 users" in out
    for id in ("G1", "G2", "G3", "G4", "G5 open", "G6"):
        assert f"{'held':12} {id:11} " in out
    assert "elsewhere" not in out


def test_a_failure_is_told_as_a_story_with_what_is_true_after_each_step(
    check: Check, tmp_path: Path, capsys: Printed
) -> None:
    text = (tmp_path / "spoilt.py").read_text(encoding="utf-8")
    line = text[: text.index('name="panel.failed"')].count("\n") + 1
    assert check("--chart", "spoilt:CHART", "--property", "G5") == 1
    out = capsys.readouterr().out.splitlines()
    assert out[1:] == [
        "failed       G5 open     Every call that waits for open settles.",
        "    The session begins in the phase closed.",
        "      1. open()",
        "           -> opening    [panel.open]",
        "           ledger: asked load, waits for open",
        "      2. failed",
        "           -> closed    [panel.failed]",
        "           ledger: waits for open",
        "    From here on nothing more happens by itself.",
        f"    at spoilt.py:{line}",
        "    support-chat check --chart spoilt:CHART '--property=G5 open'",
        "1 properties: 1 failed",
    ]


def test_properties_of_your_own(check: Check, capsys: Printed) -> None:
    assert check("--chart", "panel:CHART", "--properties", "panel:PROPERTIES") == 1
    out = capsys.readouterr().out
    assert "failed       P1          The panel is never opened." in out
    assert "held         P2          Only open() opens." in out
    assert out.endswith("8 properties: 7 held, 1 failed\n"), "the generic ones are decided, too"
    assert (
        check("--chart", "panel:CHART", "--properties", "panel:PROPERTIES", "--property", "P2") == 0
    )


def test_failures_come_last_and_those_of_one_kind_together(check: Check, capsys: Printed) -> None:
    assert check("--chart", "panel:CHART", "--properties", "panel:ALIKE") == 1
    out = capsys.readouterr().out.splitlines()
    verdicts = [line.split()[:2] for line in out if re.match(r"held|failed", line)]
    assert [word for word, _ in verdicts] == ["held"] * 7 + ["failed"] * 3
    assert [id for word, id in verdicts if word == "failed"] == ["A1", "A3", "A2"]
    assert len([line for line in out if line.startswith("    The session begins")]) == 2
    assert (
        "    support-chat check --chart panel:CHART --properties panel:ALIKE --property=A1 "
        "--property=A3"
    ) in out


def test_a_quiet_check_says_only_what_fails(check: Check, capsys: Printed) -> None:
    assert check("-q", "--chart", "panel:CHART") == 0
    assert capsys.readouterr().out == "6 properties: 6 held\n"
    assert check("--quiet", "--chart", "spoilt:CHART") == 1
    assert capsys.readouterr().out.startswith("failed       G5 open ")


def test_what_a_command_says_to_paste_decides_the_same_again(check: Check, capsys: Printed) -> None:
    assert check("--chart", "panel:CHART", "--properties", "panel:ALIKE", "--users", "1") == 1
    lines = capsys.readouterr().out.splitlines()
    (paste, *_) = [line for line in lines if line.startswith("    support-chat check ")]
    program, command, *arguments = shlex.split(paste)
    assert (program, command) == ("support-chat", "check")
    assert check(*arguments) == 1
    assert "2 properties: 2 failed" in capsys.readouterr().out


def test_a_call_without_an_answer_fails_and_a_hint_without_one_is_told(
    check: Check, capsys: Printed
) -> None:
    assert check("--chart", "gap:CHART") == 1
    out = capsys.readouterr().out
    assert "failed       G4          Every call and every outcome is answered by a row" in out
    assert "  1. submit()\n" in out.replace("    ", "")
    unanswered = "unanswered   scroll      no row wants it in some states of choosing\n"
    assert unanswered in out
    assert check("--json", "--chart", "gap:CHART") == 1
    found = json.loads(capsys.readouterr().out)["unanswered"]
    assert found == {"submit": ["choosing"], "scroll": ["choosing"]}


REFUSAL = Refusal(InvalidInputError, "Choose a file first.")


@pytest.mark.parametrize(
    ("row", "answered"),
    [
        ({"effects": "wait"}, False),
        ({"error": REFUSAL, "effects": "no"}, False),
        ({"error": REFUSAL, "effects": "fail"}, True),
        ({"effects": "no"}, True),
    ],
    ids=["a call waits", "a call is refused", "a hint that fails a call", "a hint"],
)
def test_a_call_is_what_some_row_makes_wait_or_refuses(row: dict[str, Any], answered: bool) -> None:
    from support_chat.verify import check, generic

    effects: dict[str, EffectSpec] = {
        "wait": Join(doc="", slot="s"),
        "fail": Fail(doc="", slot="s"),
        "no": Note(doc=""),
    }
    chart = Chart(
        name="gap",
        initial="a",
        phases=("a", "b"),
        triggers=("go", "submit"),
        external=("go", "submit"),
        facts={"ready": Stored("it may be submitted")},
        effects={row["effects"]: effects[row["effects"]]},
        transitions=(
            Transition(name="go", group="g", trigger="go", sources=("a", "b"), sets="ready"),
            Transition(
                name="yes", group="g", trigger="submit", sources="a", target="b", when="ready"
            ),
            Transition(name="no", group="g", trigger="submit", sources="b", **row),
        ),
    )
    (verdict,) = check(chart, [one for one in generic(chart) if one.id == "G4"]).verdicts
    assert verdict.held is answered


@pytest.mark.parametrize("id", ["U1", "U2", "U3"])
def test_a_property_that_is_never_asked_of_anything_says_so(
    id: str, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    asked = ("--chart", "gap:CHART", "--properties", "gap:UNASKED", "--property", id)
    assert check(*asked) == 0
    out = capsys.readouterr().out
    assert f"never asked  {id} " in out
    assert out.endswith("1 properties: 1 never asked\n")
    assert check("--json", *asked) == 0
    (found,) = json.loads(capsys.readouterr().out)["properties"]
    assert (found["verdict"], found["asked"]) == ("held", False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert check("--junit", "check.xml", *asked) == 0
    (case,) = ElementTree.parse(tmp_path / "check.xml").getroot().findall("testcase")
    assert [each.get("message") for each in case] == ["never asked of any state or step"]
    assert "| ❔ never asked |" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_a_property_of_the_shipped_chart_is_always_asked_of_something(
    check: Check, capsys: Printed
) -> None:
    assert check("--json") == 0
    assert all(one["asked"] for one in json.loads(capsys.readouterr().out)["properties"])


def test_what_follows_from_the_declarations_holds_of_the_shipped_chart() -> None:
    from support_chat.verify import check, generic

    report = check(CHART, generic(CHART))
    assert [verdict.property.id for verdict in report.verdicts if not verdict.held] == []


def test_a_variant_of_the_shipped_chart_is_held_to_the_whole_catalogue(
    check: Check, tmp_path: Path, capsys: Printed
) -> None:
    (tmp_path / "variant.py").write_text(VARIANT, encoding="utf-8")
    assert check("--list", "--chart", "variant:CHART") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CATALOGUE) + len(ELSEWHERE)


def test_an_exported_chart_is_checked_and_its_failures_are_at_its_lines(
    check: Check, tmp_path: Path, capsys: Printed
) -> None:
    assert main(["export", "--chart", "spoilt:CHART"]) == 0
    (tmp_path / "spoilt.json").write_text(capsys.readouterr().out, encoding="utf-8")
    assert check("--chart", "spoilt.json") == 1
    out = capsys.readouterr().out
    (line,) = re.findall(r"    at spoilt\.json:(\d+)\n", out)
    text = (tmp_path / "spoilt.json").read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert '"name": "panel.failed"' in text


def test_a_property_that_raises_fails_and_says_what_it_raised(
    check: Check, capsys: Printed
) -> None:
    assert check("--chart", "panel:CHART", "--properties", "panel:RAISES") == 1
    assert "The property raised ZeroDivisionError: division by zero." in capsys.readouterr().out


def test_an_id_stands_for_all_that_begin_with_it(check: Check, capsys: Printed) -> None:
    assert check("--list", "--property", "L1", "--property", "S15") == 0
    listed = [line[:11].strip() for line in capsys.readouterr().out.splitlines()]
    assert "L1 boot" in listed
    assert listed == [one.id for one in CATALOGUE if one.id.startswith("L1 ") or one.id == "S15"]


def test_the_list_has_every_property_and_decides_none(
    check: Check, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support_chat_adapters.cli.check.check", None)
    assert check("--list") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CATALOGUE) + len(ELSEWHERE)


MISUSES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("--chart", "panel"), "write it as package.module:NAME"),
    (("--chart",), "--chart: name a chart of your own, as package.module:NAME"),
    (("--chart", "panel.py"), "This is no exported chart"),
    (
        ("--chart", "panel:CHART", "--properties", "panel:MISSPELT"),
        "M1 is of the trigger 'oepn', which the chart has not",
    ),
    (
        ("--chart", "panel:CHART", "--properties", "panel:UNFAIR"),
        "M7 is of the trigger 'laoded', which the chart has not",
    ),
    (
        ("--chart", "panel:CHART", "--properties", "panel:UNKNOWN"),
        "M2 is of the effect 'laod', which the chart has not",
    ),
    (
        ("--chart", "panel:CHART", "--properties", "panel:PHASE"),
        "M3 is misspelt: there is no phase 'opend' in the chart",
    ),
    (
        ("--chart", "panel:CHART", "--properties", "panel:WHOLE"),
        "M4 is misspelt: there is no phase",
    ),
    (("--chart", "panel:CHART", "--properties", "panel:FACT"), "M5 is misspelt: there is no fact"),
    (("--chart", "panel:CHART", "--properties", "panel:SLOT"), "M6 is misspelt: there is no slot"),
    (("--chart", "nowhere:CHART"), "no module 'nowhere'"),
    (("--chart", "broken:CHART"), "importing broken raised RuntimeError: half written ("),
    (
        ("--chart", "needs:CHART"),
        "needs the module 'no_such_module_at_all', which is not installed",
    ),
    (("--chart", "leaves:CHART"), "importing leaves raised SystemExit: 0"),
    (("--chart", "panel:CHRAT"), "panel has no 'CHRAT'; its charts: CHART"),
    (("--chart", "panel:OPEN"), "OPEN is of type Transition, not a support_chat.Chart"),
    (
        ("--properties", "nowhere:PROPERTIES"),
        "--properties nowhere:PROPERTIES: there is no module 'nowhere'",
    ),
    (("--properties", "panel:PROPERTY"), "panel has no 'PROPERTY'; its properties: PROPERTIES"),
    (("--properties", "panel:NONE"), "no sequence of properties"),
    (("--properties", "panel:TEXT"), "no sequence of properties"),
    (("--properties", "panel:CHART"), "no sequence of properties"),
    (("--properties", "panel:TWICE"), "two properties have the id P1"),
    (("--property", "S99"), "--property S99: there is no such property; there are: S1, S2"),
    (("--property", "N1"), "decided by hypothesis: run tests/lifecycle/test_delays.py"),
    (("--users", "-1"), "'-1' is not a whole number, 0 or more"),
    (("--max-states", "0"), "'0' is not a whole number, 1 or more"),
    (("--max-states", "many"), "'many' is not a whole number"),
    (("--time-limit", "nan"), "'nan' is not a number of seconds"),
    (
        ("--junit", "no/such/directory/check.xml", "--property", "S2", "--max-states", "1"),
        "no/such/directory/check.xml: No such file",
    ),
    (("--counterexamples", "panel.py", "--chart", "spoilt:CHART"), "panel.py: File exists"),
)


@pytest.mark.parametrize(
    ("arguments", "said"), MISUSES, ids=[" ".join(arguments) for arguments, _ in MISUSES]
)
def test_misuse_is_one_clear_message_and_status_2(
    check: Check, capsys: Printed, arguments: tuple[str, ...], said: str
) -> None:
    assert check(*arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("faulty", "panel.opened: unknown effect 'setle'"),
        ("empty", "there are no transitions"),
        ("restless", "never come to rest"),
    ],
)
def test_a_faulty_chart_is_a_failure_that_names_the_fault(
    check: Check, capsys: Printed, module: str, said: str
) -> None:
    assert check("--chart", f"{module}:CHART") == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("limit", [("--max-states", "100"), ("--time-limit", "0")])
def test_a_limit_that_is_hit_is_inconclusive(
    check: Check, capsys: Printed, limit: tuple[str, ...]
) -> None:
    assert check(*limit) == 3
    out = capsys.readouterr().out
    assert "cut short by a limit" in out
    assert f"{'inconclusive':12} S1 " in out
    assert "See --max-states, --time-limit." in out


def test_what_fails_within_a_limit_has_failed(check: Check, capsys: Printed) -> None:
    assert (
        check("--chart", "panel:CHART", "--properties", "panel:PROPERTIES", "--max-states", "2")
        == 1
    )
    out = capsys.readouterr().out
    assert "failed       P1 " in out
    assert "inconclusive P2 " in out


def test_the_number_of_users_is_an_option_and_reported(check: Check, capsys: Printed) -> None:
    assert check("--users", "2", "--property", "S12") == 0
    assert ", 2 users, " in capsys.readouterr().out


def test_the_report_as_json(check: Check, capsys: Printed) -> None:
    assert check("--json", "--chart", "panel:CHART", "--properties", "panel:PROPERTIES") == 1
    report = json.loads(capsys.readouterr().out)
    assert {
        key: report[key]
        for key in ("chart", "states", "transitions", "depth", "complete", "verdict")
    } == {
        "chart": "panel",
        "states": 3,
        "transitions": 4,
        "depth": 2,
        "complete": True,
        "verdict": "failed",
    }
    assert (report["schema"], report["version"]) == ("support-chat/check", 1)
    failed, held, *generic = report["properties"]
    assert [one["id"] for one in generic] == ["G1", "G2", "G3", "G4", "G5 open", "G6"]
    assert report["unanswered"] == {}
    assert failed["asked"]
    assert held["asked"]
    assert (held["id"], held["kind"], held["verdict"], held["story"]) == (
        "P2",
        "EachStep",
        "held",
        [],
    )
    assert (failed["id"], failed["verdict"], failed["sentence"]) == (
        "P1",
        "failed",
        "The panel is never opened.",
    )
    assert [(one["words"], one["rows"], one["phase"]) for one in failed["story"]] == [
        ("open()", ["panel.open"], "opening"),
        ("loaded", ["panel.opened"], "opened"),
    ]


def test_json_of_the_shipped_chart_lists_what_is_decided_elsewhere_apart(
    check: Check, capsys: Printed
) -> None:
    assert check("--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in report["properties"]] == [one.id for one in CATALOGUE]
    assert [one["id"] for one in report["elsewhere"]] == [one.id for one in ELSEWHERE]
    assert report["verdict"] == "held"


def test_junit_has_a_test_case_for_each_property(check: Check, tmp_path: Path) -> None:
    assert (
        check("--junit", "check.xml", "--chart", "panel:CHART", "--properties", "panel:PROPERTIES")
        == 1
    )
    suite = ElementTree.parse(tmp_path / "check.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("8", "1", "0")
    failed, held, *_ = suite.findall("testcase")
    failure = failed.find("failure")
    assert failure is not None
    assert failed.get("name") == "P1: The panel is never opened."
    assert "1. open()" in (failure.text or "")
    assert list(held) == []


def test_junit_skips_what_is_open_and_what_is_decided_elsewhere(
    check: Check, tmp_path: Path
) -> None:
    assert check("--junit", "check.xml", "--max-states", "10") == 3
    suite = ElementTree.parse(tmp_path / "check.xml").getroot()
    cases = suite.findall("testcase")
    assert len(cases) == len(CATALOGUE) + len(ELSEWHERE)
    reasons = {
        case.get("name", "").partition(":")[0]: skipped.get("message")
        for case in cases
        for skipped in case.findall("skipped")
    }
    assert reasons["S1"] == "inconclusive: a limit was hit"
    assert reasons["N1"] == "decided by hypothesis: tests/lifecycle/test_delays.py"


def test_counterexamples_are_written_as_story_and_as_sequence_diagram(
    check: Check, tmp_path: Path, capsys: Printed
) -> None:
    assert check("--counterexamples", "out/put", "--chart", "spoilt:CHART") == 1
    assert sorted(path.name for path in (tmp_path / "out/put").iterdir()) == [
        "G5_open.mmd",
        "G5_open.txt",
    ]
    told = "G5 open gets no pytest file: a session runs nothing but variants of the shipped chart\n"
    assert capsys.readouterr().out.endswith(told)
    assert "1. open()" in (tmp_path / "out/put/G5_open.txt").read_text(encoding="utf-8")
    assert (
        (tmp_path / "out/put/G5_open.mmd")
        .read_text(encoding="utf-8")
        .startswith("sequenceDiagram\n")
    )


VARIANT = """
import attrs
from support_chat import CHART, Chart, InvalidInputError, Transition
from support_chat.chart.model import EffectSpec, Fail, Join, Note, Refusal, Stored
from support_chat.verify.catalogue import CATALOGUE
CHART = attrs.evolve(CHART, transitions=tuple(
    attrs.evolve(row, effects=tuple(e for e in row.effects if e != "fail_boot"))
    if row.name == "boot.rejected" else row
    for row in CHART.transitions
))
"""


def test_a_counterexample_of_a_variant_of_the_shipped_chart_is_also_written_as_a_test(
    check: Check, tmp_path: Path
) -> None:
    (tmp_path / "variant.py").write_text(VARIANT, encoding="utf-8")
    assert check("--counterexamples", "out", "--chart", "variant:CHART", "--property=L1 boot") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "L1_boot.mmd",
        "L1_boot.txt",
        "test_l1_boot.py",
    ]
    run = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "out/test_l1_boot.py",
    ]
    ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stdout
    assert "1 failed" in ran.stdout


@pytest.mark.parametrize("differing", [1, 3])
def test_the_next_story_that_a_session_goes_is_written_as_a_test(
    differing: int, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support_chat.verify.replay import Replay

    tried: list[Sequence[Occurrence]] = []

    def replay(chart: object, story: Sequence[Occurrence]) -> Replay:
        tried.append(story)
        return Replay(0, "" if len(tried) > differing else "another phase")

    monkeypatch.setattr("support_chat_adapters.cli.counterexamples.replay", replay)
    (tmp_path / "variant.py").write_text(VARIANT, encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        "from support_chat.verify import EachStep\n"
        "OWN = [EachStep('X', 'No boot begins.', lambda move: False, on=('boot',))]\n",
        encoding="utf-8",
    )
    wanted = ("--chart", "variant:CHART", "--properties", "mine:OWN", "--property", "X")
    assert check("--counterexamples", "out", *wanted) == 1
    assert len(tried) == differing + 1
    assert {story[-1].trigger for story in tried} == {"boot"}
    written = (tmp_path / "out/test_x.py").read_text(encoding="utf-8")
    assert written.count("Occurrence(") == len(tried[-1])


def test_a_failure_that_no_session_comes_to_is_told_to_be_one(
    check: Check, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support_chat.verify.replay import Replay

    def replay(chart: Chart, story: Sequence[Occurrence]) -> Replay:
        return Replay(0, "another phase")

    monkeypatch.setattr("support_chat_adapters.cli.counterexamples.replay", replay)
    (tmp_path / "variant.py").write_text(VARIANT, encoding="utf-8")
    assert check("--counterexamples", "out", "--chart", "variant:CHART", "--property=L1 boot") == 1
    told = (
        "L1 boot gets no pytest file: no session goes this way, nor the next ones (another phase)"
    )
    assert told in capsys.readouterr().out
    assert not (tmp_path / "out/test_l1_boot.py").exists()


def test_github_shows_a_failure_at_the_line_of_its_transition(
    check: Check, capsys: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert check("--chart", "spoilt:CHART") == 1
    lines = (tmp_path / "spoilt.py").read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if 'name="panel.failed"' in text)
    assert (
        f"::error file=spoilt.py,line={line},title=G5 open failed::Every call that waits for open "
        "settles. "
        "from here on nothing more happens by itself\n"
    ) in capsys.readouterr().out
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "| G5 open | Every call that waits for open settles. | ❌ failed |" in summary
    assert "```mermaid\nsequenceDiagram" in summary
    assert "```mermaid\nstateDiagram-v2" in summary


def test_github_s_commands_stay_out_of_the_json(
    check: Check, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert check("--chart", "spoilt:CHART", "--json") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["verdict"] == "failed"
    assert printed.err.startswith("::error file=spoilt.py,")


@pytest.mark.parametrize("row", CHART.transitions, ids=lambda row: row.name)
def test_every_transition_of_the_shipped_chart_has_its_line(
    row: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support_chat.verify.source_lines import place_of

    monkeypatch.chdir(Path(__file__).parents[2])
    place = place_of(getattr(row, "name", ""), "support_chat")
    assert place is not None
    assert place[0] == "statechart/support_chat/lifecycle/chart.py"


def test_progress_is_shown_on_a_terminal_only(
    check: Check, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert check("--property", "S1") == 0
    assert re.search(r"\r[\d,]+ states, [\d,]+ steps", capsys.readouterr().err)


def test_colours_are_shown_on_a_terminal_only(
    check: Check, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert check("--property", "S2") == 0
    assert "\033[32mheld" in capsys.readouterr().out


HUGE = """
from support_chat import Chart, Transition
from support_chat.chart.model import Ignored, Stored
NAMES = [f"bit{i}" for i in range(64)]
CHART = Chart(
    name="counter", initial="on", phases=("on", "off"), triggers="tick", external="tick",
    facts={name: Stored("a digit") for name in NAMES},
    transitions=[
        *(Transition(name=f"carry.{i}", group="counting", trigger="tick", sources="on",
            when=NAMES[:i], unless=NAMES[i], sets=NAMES[i],
                     clears=NAMES[:i]) for i in range(64)),
        Transition(name="full", group="counting", trigger="tick", sources="on", when=NAMES,
            target="off"),
    ],
    ignored=(Ignored(triggers="tick", phases="off", because="it is full"),),
)
"""


def test_a_huge_chart_ends_at_its_limit_within_its_memory(tmp_path: Path) -> None:
    (tmp_path / "huge.py").write_text(HUGE, encoding="utf-8")
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); "
    program = limited + "from support_chat_adapters.cli import main; sys.exit(main(sys.argv[1:]))"
    ran = subprocess.run(
        [sys.executable, "-c", program, "check", "--chart", "huge:CHART", "--max-states", "200000"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3, ran.stderr
    assert "counter: 200,001 states" in ran.stdout


def test_a_verdict_may_be_asked_of_the_python_api_too() -> None:
    from support_chat.verify import decide

    verdict = decide(explore(CHART), CATALOGUE[0])
    assert isinstance(verdict, Verdict)
    assert verdict.held


def test_on_a_terminal_no_line_is_broken_in_mid_word(check: Check) -> None:
    """But for the command, which is pasted in one piece."""
    command = f"{sys.executable} -m support_chat check --chart spoilt:CHART"
    pexpect: Any = pytest.importorskip("pexpect")  # it comes without types
    said = pexpect.run(command, timeout=60, encoding="utf-8", dimensions=(24, 50))
    lines = [line for line in said.splitlines() if "--property=" not in line]
    assert "failed       G" in re.sub(r"\x1b\[\d+m", "", said)
    assert all(len(re.sub(r"\x1b\[\d+m", "", line)) < 50 for line in lines)
    assert any(line.startswith(" " * 25) for line in lines), "a sentence goes on beside its id"
