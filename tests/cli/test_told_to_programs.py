"""What commands find, as JSON: each document says what it is, and has what the text says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support_chat_adapters.cli import main

Run = Callable[..., tuple[int, str, str]]


def told(out: str, schema: str) -> dict[str, Any]:
    document = json.loads(out)
    assert (document["schema"], document["version"]) == (f"support-chat/{schema}", 1)
    return dict(document)


SHOP = """
from support_chat import Chart, Transition
from support_chat.chart.model import Ask, Ignored, Join, Settle
CHART = Chart(
    name="shop", initial="shut", phases=("shut", "opening"), triggers=("open", "opened"),
    external="open",
    effects={
        "wait": Join(doc="", slot="open"), "done": Settle(doc="", slot="open"),
        "unlock": Ask(doc="", lane="door", success="opened", failure="opened",
                      limit="call_timeout"),
    },
    transitions=[
        Transition(name="open", group="", trigger="open", sources="shut", target="opening",
                   effects=("wait", "unlock")),
        Transition(name="opened", group="", trigger="opened", sources="opening", target="shut",
                   effects="done"),
    ],
    ignored=[Ignored(triggers="open", phases="opening", because=""),
             Ignored(triggers="opened", phases="shut", because="")],
)
"""


def test_the_bounds_are_told_with_what_adds_up_to_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "door_of_a_shop.py").write_text(SHOP, "utf-8")
    of = ("--chart", "door_of_a_shop:CHART", "--app-dir", tmp_path)
    status, out, _ = run("check", "--bounds", "--json", *of)
    assert status == 0
    bounds = told(out, "bounds")
    found = {(each["call"], each["phase"]): each["alone"] for each in bounds["calls"]}
    assert found["open", "shut"] == {
        "seconds": 30.0,
        "terms": [{"what": "unlock", "limit": "call_timeout", "seconds": 30.0}],
        "by": [],
    }
    assert [(limit["name"], limit["ends"]) for limit in bounds["limits"]] == [
        ("call_timeout", ["unlock"])
    ]


def test_the_properties_are_listed(run: Run) -> None:
    listed = told(run("check", "--list", "--json")[1], "properties")["properties"]
    text = run("check", "--list")[1]
    assert [each["id"] for each in listed] == [
        line[:11].strip() for line in text.splitlines() if not line.startswith(" " * 12)
    ]


def test_a_kept_directory_is_told_with_what_differs(run: Run, tmp_path: Path) -> None:
    there = tmp_path / "wire"
    status, out, _ = run("export", "--write", there, "--json")
    written = told(out, "files")
    assert (status, written["files"]) == (0, 2)
    assert written["differ"] == {"asyncapi.json": "new", "openapi.json": "new"}
    (there / "openapi.json").write_text("{}", "utf-8")
    status, out, _ = run("export", "--check", there, "--json")
    assert (status, told(out, "files")["differ"]) == (1, {"openapi.json": "stale"})


@pytest.mark.parametrize("command", ["export", "draw"])
def test_json_alone_is_not_for_what_writes_files(command: str, run: Run) -> None:
    status, _, complaint = run(command, "--json")
    assert status == 2
    assert "--json goes with --write or --check" in complaint


def test_every_command_that_finds_something_can_tell_a_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from support_chat_adapters.cli import COMMANDS

    nested = {"inbox"}  # each of its actions has it
    without: list[str] = []
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        if "--json" not in capsys.readouterr().out and name not in nested:
            without.append(name)
    assert without == ["export-person"]  # which prints nothing else
