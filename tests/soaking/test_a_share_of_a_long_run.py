"""A share of a long run (`python tests/tools/soak.py --help`): it passes, in two sittings; and
against a backend that loses, doubles or disorders messages it does not.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import soak
from soaking.evidence import KINDS
from soaking.sabotage import SABOTAGES, Sabotage

SHORT = ("--memory-bound=0", "--every=1", "--json")


def test_a_share_passes_and_a_sitting_later_it_is_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"--folder={tmp_path}"
    share = ("--clients=20", "--pace=0.5", "--seed=5", "--minutes=0.1", "--calm=0.02")
    first = soak.main([where, *share, "--sitting=0.05", *SHORT])
    told = json.loads(capsys.readouterr().out)
    assert not told["violations"]
    second = soak.main([where, "--resume", *SHORT])
    both = json.loads(capsys.readouterr().out)
    assert (second, both["violations"], both["missing"]) == (soak.PASSED, [], [])
    assert first in (soak.UNFINISHED, soak.PASSED), "a slow machine has taken longer than asked"
    assert both["sent"] > told["sent"] > 0
    assert all(both["during"][kind] > 0 for kind in KINDS)
    for driver in (tmp_path / "evidence").glob("*-driver.jsonl"):
        noted = [json.loads(line)["what"] for line in driver.read_text().splitlines()]
        played = len(noted) - noted[::-1].index("played")
        assert "memory" in noted[:played], "memory is looked at"
        assert "memory" not in noted[played:], "and not while all of them leave at once"


@pytest.mark.parametrize(
    "sabotage", SABOTAGES, ids=[sabotage.what.replace(" ", "-") for sabotage in SABOTAGES]
)
def test_a_share_on_a_broken_backend_is_judged_as_a_violation(
    sabotage: Sabotage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("served._PROGRAM", sabotage.program)
    share = ("--clients=8", "--pace=0.1", "--minutes=0.04", "--calm=0")
    violations: list[str] = []
    for patience in (5, 15, 45):  # a slow machine sees nothing in the first
        where = f"--folder={tmp_path / str(patience)}"
        status = soak.main([where, *share, f"--patience={patience}", *SHORT])
        violations += json.loads(capsys.readouterr().out)["violations"]
        if any(sabotage.seen_as in violation for violation in violations):
            assert status == soak.VIOLATED
            return
    pytest.fail(f"{sabotage.what}, and all that was seen of it is {violations}")


def test_what_cannot_be_is_said_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text("{}")
    for wrong in (
        ["--resume"],
        ["--resume", f"--folder={tmp_path}/elsewhere"],
        [f"--folder={tmp_path}"],
        ["--clients=0"],
        ["--pace=0"],
    ):
        with pytest.raises(SystemExit) as exit:
            soak.main(wrong)
        assert exit.value.code == 2, wrong
    assert "--resume goes on" in capsys.readouterr().err
