"""`support-chat trace`: what it prints, as text and as JSON, and its exit status in every case."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support_chat_adapters.cli import main

HEAD = {"schema": "support-chat/trace", "version": 1}
BOOT = {"trigger": "boot", "phase": "loading"}
LOADED = {"trigger": "loaded", "phase": "booting"}

Write = Callable[..., str]


@pytest.fixture
def log(tmp_path: Path) -> Write:
    def write(*lines: dict[str, Any]) -> str:
        path = tmp_path / "life.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
        return str(path)

    return write


def test_a_path_is_told_with_how_much_is_left_open(
    log: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log(HEAD, BOOT, LOADED, {"end": 2})
    assert main(["trace", path]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"path  {path}: 2 steps; ")
    assert main(["trace", path, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["version"]) == ("support-chat/trace-verdict", 1)
    assert (told["path"], told["steps"], told["fault"]) == (True, 2, "")


def test_no_path_is_told_with_its_line_the_states_before_it_and_what_rules_them_out(
    log: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log(HEAD, BOOT, {**LOADED, "phase": "ready"}, {"end": 2})
    assert main(["trace", path]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"no path  {path}:3\n  loaded cannot lead to ready here.\n")
    assert "possible before it: loading" in out
    assert "load.done: leads to booting" in out
    assert main(["trace", path, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["line"], told["steps"]) == (False, 3, 1)
    assert {"load.done"} == {row["row"] for one in told["possible"] for row in one["rows"]}


def test_states_that_the_same_rules_out_are_told_as_one(
    log: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    middle = {**HEAD, "from": "authenticated"}
    path = log(middle, {"trigger": "load", "phase": "ready"}, {"end": 1})
    assert main(["trace", path]) == 1
    out = capsys.readouterr().out
    assert out.count("possible before it") == 1
    assert "like it)" in out


def test_a_log_of_standard_input_and_a_chart_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = str(Path(__file__).parents[2] / "docs" / "examples")
    lines = [HEAD, {"trigger": "show", "phase": "opening"}, {"trigger": "loaded", "phase": "open"}]
    text = "".join(json.dumps(each) + "\n" for each in [*lines, {"end": 2}])
    own = ["trace", "-", "--chart", "panel:CHART", "--app-dir", examples]
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(own) == 0
    assert capsys.readouterr().out.startswith("path  standard input: 2 steps")
    monkeypatch.setattr("sys.stdin", io.StringIO(text.replace("loaded", "boot")))
    assert main(own) == 1
    assert "The chart has no trigger 'boot'" in capsys.readouterr().out


def test_what_cannot_be_judged_is_misuse(
    log: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\xff")
    for arguments, why in (
        (["nowhere.jsonl"], "No such file"),
        ([str(picture)], "not UTF-8"),
        (["-", "--chart", "-"], "cannot both be standard input"),
        ([log(HEAD), "--max-states", "0"], "1 or more"),
    ):
        assert main(["trace", *arguments]) == 2
        assert why in capsys.readouterr().err


def test_too_many_states_are_no_verdict(log: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = log({**HEAD, "from": "ready"}, {"trigger": "load", "phase": "ready"}, {"end": 1})
    assert main(["trace", path, "--max-states", "10"]) == 1
    assert "more than 10 states" in capsys.readouterr().out
    assert main(["trace", path]) == 0
