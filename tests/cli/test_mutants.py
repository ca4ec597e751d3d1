"""`support-chat mutants`: what it prints, what it keeps, and where it goes on.

The chart is a user's own: a lamp with a lock (`tests/tools/lamp.py`), each of whose edits is judged
by hand in `tests/verify/engines/test_mutants.py`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lamp
from support_chat.verify.mutants.edits import edits

if TYPE_CHECKING:
    from collections.abc import Callable

LAMP = ("--chart", "lamps:CHART", "--properties", "lamps:PROPERTIES")
JUDGES = """
ASKED = []

def wrong(chart):
    ASKED.append(chart)
    if len(ASKED) == 2:
        raise KeyboardInterrupt

def content(chart):
    ASKED.append(chart)

def picky(chart):
    return "it is not to my liking"

def dies(chart):
    raise SystemExit(9)

NUMBER = 3
"""


@pytest.fixture
def mutants(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command on the lamp, in a directory with the modules `lamps` and `judges`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in ("lamps", "judges"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    shutil.copy(str(lamp.__file__), "lamps.py")
    Path("judges.py").write_text(JUDGES, encoding="utf-8")
    return lambda *arguments: run("mutants", *LAMP, *arguments)


def judged(out: str) -> int:
    """How many edits were judged now."""
    found = re.search(r"([\d,]+) judged in", out)
    assert found
    return int(found[1])


def survivors(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("survives")]


def test_it_prints_who_noticed_which_kinds_of_edits_and_where_the_survivors_are(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    status, out, _ = mutants()
    assert status == 1
    lines = out.splitlines()
    assert re.match(r"lamp: 35 edits, 35 judged in ", lines[0])
    assert lines[1].split() == [
        "invalid", "killed", "caught", "equivalent", "open", "survives", "all",
    ]  # fmt: skip
    table = {line[:20].strip(): line[20:].split() for line in lines[2:] if line[20:21] == " "}
    assert table["row dropped"] == ["3", "1", "·", "·", "·", "·", "4"]
    assert table["effects swapped"] == ["·", "·", "·", "·", "·", "1", "1"]
    assert table["all"] == ["14", "14", "·", "2", "·", "5", "35"]
    assert "killed by: P2 7, P1 5, P3 2" in lines
    source = Path("lamps.py").read_text(encoding="utf-8")
    row = source[: source.index('name="light"')].count("\n") + 1
    assert f"survives  lamps.py:{row}: light: tick before click" in out
    assert len(survivors(out)) == 5


def test_as_json_the_report_names_its_kind_and_version(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    status, out, _ = mutants("--json")
    told: dict[str, Any] = json.loads(out)
    assert status == 1
    assert (told["schema"], told["version"], told["edits"]) == ("support-chat/mutants", 1, 35)
    assert told["matrix"]["row dropped"] == {"invalid": 3, "killed": 1}
    assert told["equivalent"] == ["light: clears locked", "douse: clears locked"]
    assert [each["edit"] for each in told["unnoticed"]] == [
        "sets locked", "tick before click", "sets locked", "leads to off", "leads to off",
    ]  # fmt: skip


def test_the_shares_have_every_edit_once(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    found = [survivors(mutants("--shard", f"{n}/3")[1]) for n in (1, 2, 3)]
    assert sorted(line for share in found for line in share) == sorted(survivors(mutants()[1]))


def test_a_sample_is_the_same_for_the_same_seed(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    def drawn(*arguments: object) -> Any:
        return json.loads(mutants("--sample", 12, "--json", *arguments)[1])["matrix"]

    assert drawn("--seed", 1) == drawn("--seed", 1)
    assert len({json.dumps(drawn("--seed", seed)) for seed in range(4)}) > 1


def test_several_processes_come_to_the_same(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    assert mutants("--jobs", 3, "--json") == mutants("--json")


def test_a_process_that_ends_before_its_time_is_told_of(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    status, _, err = mutants("--jobs", 2, "--judge", "judges:dies")
    assert status == 2
    assert "has ended before its time (exit status 9)" in err


def test_what_is_known_is_not_judged_again(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    first = mutants("--results", "known.jsonl", "--sample", 20)
    whole = mutants("--results", "known.jsonl")
    again = mutants("--results", "known.jsonl")
    assert [judged(out) for _, out, _ in (first, whole, again)] == [20, 15, 0]
    assert survivors(again[1]) == survivors(mutants()[1])


def test_ctrl_c_keeps_what_is_known_and_the_same_command_goes_on(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    arguments = ("--results", "known.jsonl", "--judge", "judges:wrong")
    status, _, err = mutants(*arguments)
    assert status == 130
    known = len(Path("known.jsonl").read_text(encoding="utf-8").splitlines())
    assert f"{known} of 35 edits were judged; the same command goes on" in err
    status, out, _ = mutants(*arguments)
    assert (status, judged(out)) == (1, 35 - known)


def test_a_line_that_was_cut_short_is_judged_again(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    mutants("--results", "known.jsonl")
    file = Path("known.jsonl")
    file.write_bytes(file.read_bytes()[:-30])
    assert judged(mutants("--results", "known.jsonl")[1]) == 1
    assert judged(mutants("--results", "known.jsonl")[1]) == 0


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("chart", 'effects=("click", "tick")', 'effects=("tick", "click")'),
        ("properties", "!= move.before.phase", "and move.before.phase == 'off'"),
    ],
    ids=lambda value: value if value.isalpha() else "",
)
def test_another_chart_or_another_property_makes_what_is_known_stale(
    mutants: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    old: str,
    new: str,
) -> None:
    mutants("--results", "known.jsonl")
    text = Path("lamps.py").read_text(encoding="utf-8")
    assert text.count(old) >= 1
    Path("lamps.py").write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.delitem(sys.modules, "lamps")
    assert judged(mutants("--results", "known.jsonl")[1]) == 35


def test_a_judge_of_ones_own_is_asked_of_what_the_properties_let_through(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    status, out, _ = mutants("--judge", "judges:picky")
    assert status == 0
    assert survivors(out) == []
    assert "all                          14         14          5" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shard", "0/4"), "'0/4' is not I/N"),
        (("--shard", "half"), "'half' is not I/N"),
        (("--jobs", "0"), "'0' is not a whole number, 1 or more"),
        (("--judge", "judges:NUMBER"), "this is no function that takes a chart"),
        (("--judge", "judges:non"), "judges has no 'non'; its functions: wrong, content, picky"),
    ],
)
def test_a_misuse_is_answered_with_what_to_write_instead(
    mutants: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], said: str
) -> None:
    status, _, err = mutants(*arguments)
    assert status == 2
    assert said in " ".join(err.split())


def test_a_chart_that_fails_its_own_properties_is_to_be_mended_first(
    mutants: Callable[..., tuple[int, str, str]],
) -> None:
    text = Path("lamps.py").read_text(encoding="utf-8")
    broken = text.replace('effects=("click", "tick")', 'effects="tick"')
    broken = broken.replace('"click": Note(doc="a click is heard"), ', "")
    Path("lamps.py").write_text(broken, encoding="utf-8")
    status, _, err = mutants()
    assert status == 1
    assert "The chart fails P3 as it is" in " ".join(err.split())


def test_each_edit_of_the_lamp_is_one_of_thirty_five() -> None:
    assert len(list(edits(lamp.CHART))) == 35
