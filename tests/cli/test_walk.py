"""`support-chat walk`: what can be chosen, what is told of it, as text and as JSON, how it ends."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect  # type: ignore[import-untyped]  # it has no types of its own
import pytest

from support_chat import CHART
from support_chat.verify import trace_log
from support_chat_adapters.cli import main

EXAMPLES = str(Path(__file__).parents[2] / "docs" / "examples")
PANEL = ("--chart", "panel:CHART", "--app-dir", EXAMPLES)

Walk = Callable[..., tuple[int, str, str]]


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Walk:
    """Runs a script of choices: its exit status, its output, its complaint."""

    def once(script: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(script.replace(", ", "\n")))
        status = main(["walk", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return once


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_script_chooses_by_name_or_by_number_and_is_shown_with_where_it_comes_to(
    walk: Walk,
) -> None:
    status, out, complaint = walk("show, 6, quit, hide", *PANEL)
    assert (status, complaint) == (0, "")
    assert out.startswith(
        "     -> closed\nwhat can happen now:\n   1  show() -> opening [panel.show]"
    )
    assert "> show\n  1. show()\n     -> opening    [panel.show]\n     facts:  focused\n" in out
    assert "> 6\n  2. loaded\n     -> open    [panel.opened]\n" in out
    assert out.endswith("> quit\n")


def test_the_end_of_the_input_is_the_end_and_back_takes_the_last_step_back(walk: Walk) -> None:
    status, out, _ = walk("show, show, back, back", *PANEL, "--json")
    assert status == 0
    assert [(one["step"], one["phase"]) for one in lines(out)] == [
        (0, "closed"), (1, "opening"), (2, "opening"), (1, "opening"), (0, "closed"),
    ]  # fmt: skip
    assert lines(out)[0] == lines(out)[-1]


def test_why_not_names_the_guards_of_each_row_and_why_what_is_ignored_is(walk: Walk) -> None:
    _, out, _ = walk("show, loaded, why not message, why not load_failed, why not hide", *PANEL)
    assert "  unread.behind: needs not focused\n" in out
    assert "  nothing under way ends in load_failed\n  ignored on purpose: nothing is load" in out
    assert "  panel.hide: leads to closed\n" in out
    _, out, _ = walk("why not loaded", *PANEL, "--json")
    told = lines(out)[1]
    assert (told["schema"], told["trigger"], told["rows"]) == (
        "support-chat/walk-why-not", "loaded", [],
    )  # fmt: skip


def test_facts_are_told_with_what_they_mean(walk: Walk) -> None:
    _, out, _ = walk("show, facts", *PANEL)
    assert "  yes  focused  the keyboard speaks to this window\n  no   unread   a mess" in out
    _, out, _ = walk("facts", *PANEL, "--json")
    assert lines(out)[1]["facts"] == {"focused": False, "unread": False}


def test_what_can_go_in_several_ways_is_told_apart_by_what_follows(walk: Walk) -> None:
    _, out, _ = walk("boot", "--json")
    (ways,) = lines(out)
    alike = [one["number"] for one in ways["choices"] if one["trigger"] == "boot"]
    assert len(alike) > 1
    status, out, complaint = walk("boot")
    assert "  boot() -> loading [boot.load_first], with pending\n" in out
    assert "  boot() -> loading [boot.load_first], without pending\n" in out
    assert status == 2
    said = " ".join(complaint.split())
    assert f"line 1: boot can go in several ways here: choose one of {alike[0]}, " in said


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("show, 99", "line 2: There is no choice 99; they go from 1 to 7."),
        ("back", "line 1: This is where it begins"),
        ("hide", "line 1: hide changes nothing here: `why not hide`"),
        ("dance", "line 1: There is no 'dance' to choose; `help` says what there is."),
        ("why not dance", "has no trigger 'dance'; it has show, hide,"),
    ],
)
def test_a_script_that_chooses_what_cannot_be_fails_with_its_line(
    script: str, said: str, walk: Walk
) -> None:
    status, _, complaint = walk(script, *PANEL)
    assert status == 2
    assert said in " ".join(complaint.split())


def test_random_steps_are_the_same_for_the_same_seed(walk: Walk) -> None:
    first = walk("", "--steps", "8", "--seed", "5")
    assert first == walk("", "--steps", "8", "--seed", "5")
    assert first[1].count("\n     -> ") == 8
    assert first != walk("", "--steps", "8", "--seed", "6")
    assert len(lines(walk("", "--seed", "5", "--json")[1])) == 21


@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_walk_is_a_path_of_the_chart_by_the_judge_of_logs(seed: int, walk: Walk) -> None:
    _, out, _ = walk("", "--steps", "60", "--seed", str(seed), "--json")
    steps = [one["taken"] for one in lines(out)[1:]]
    log: list[dict[str, Any]] = [{"schema": "support-chat/trace", "version": 1}]
    keys = ("trigger", "phase", "rows", "effects")
    log += [{key: step[key] for key in keys} for step in steps]
    found = trace_log(CHART, [json.dumps(line) for line in [*log, {"end": 60}]])
    assert (found.fault, found.steps) == ("", 60)


def test_a_chart_that_has_come_to_its_end_says_so(walk: Walk, tmp_path: Path) -> None:
    (tmp_path / "one_way.py").write_text(
        "from support_chat import Chart, Transition\n"
        "from support_chat.chart.model import Ignored\n"
        "row = Transition(name='go', group='', trigger='go', sources='a', target='b')\n"
        "CHART = Chart(name='once', initial='a', phases=('a', 'b'), triggers='go',\n"
        "    external='go', transitions=[row],\n"
        "    ignored=[Ignored(triggers='go', phases='b', because='it is gone')])\n",
        "utf-8",
    )
    own = ("--chart", "one_way:CHART", "--app-dir", str(tmp_path))
    status, out, _ = walk("go, back, go, why not go", *own)
    assert status == 0
    assert out.count("Nothing can happen any more: `back`, or `quit`.\n") == 2
    assert "ignored on purpose: it is gone" in out
    assert walk("", "--steps", "9", *own)[1].endswith("Nothing can happen any more.\n")
    status, _, complaint = walk("go, 1", *own)
    assert (status, "Nothing can happen here any more." in complaint) == (2, True)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_at_a_terminal_a_slip_is_asked_again_and_ctrl_c_and_ctrl_d_end_it() -> None:
    command = "import sys; from support_chat_adapters.cli import main; sys.exit(main())"
    arguments = ["-c", command, "walk", *PANEL]
    spawn: Any = pexpect.spawn
    for key, said, status in (("c", "stopped", 130), ("d", "", 0)):
        person = spawn(sys.executable, arguments, encoding="utf-8", timeout=60)
        person.expect("what can happen now:")
        person.expect("> ")
        person.sendline("dance")
        person.expect("There is no 'dance' to choose")
        person.expect("> ")
        person.sendline("show")
        person.expect("panel.show")
        person.expect("load_failed.*> ")
        person.sendcontrol(key)
        if said:
            person.expect(said)
        person.expect(pexpect.EOF)
        person.close()
        assert person.exitstatus == status
