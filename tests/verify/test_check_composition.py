"""`support-chat check --composition`: what it prints and writes, and its exit status."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

import composed_charts
from support_chat_adapters.cli import main

Printed = pytest.CaptureFixture[str]
HERE = str(Path(composed_charts.__file__).parent)


def check(named: str, *options: str) -> int:
    return main(["check", "--app-dir", HERE, "--composition", f"composed_charts:{named}", *options])


def timeless(text: str) -> str:
    return re.sub(r"[\d.]+ s, [\d,]+ steps/s", "T s, N steps/s", text)


def test_what_holds_is_listed_below_the_figures(capsys: Printed) -> None:
    assert check("KEY") == 0
    assert timeless(capsys.readouterr().out) == (
        "key: 5 states, 9 steps, depth 3, 2 values of places, T s, N steps/s\n"
        "of 2 worker: 6 states in 3 blocks\n"
        "held         K1          One is inside.\n"
        "held         K2          Nobody gives back what nobody has.\n"
        "held         K3          Somebody can get in.\n"
        "3 properties: 3 held\n"
    )


def test_what_fails_is_told_with_its_story_and_the_command_that_finds_it_again(
    capsys: Printed,
) -> None:
    assert check("LOST", "-q") == 1
    out = capsys.readouterr().out
    again = f"support-chat check --composition=composed_charts:LOST --app-dir={HERE} --property=K3"
    assert out == (
        "failed       K3          Somebody can get in.\n"
        "    At first: taken = False.\n"
        "      1. worker 1: want()\n"
        "           -> waiting, [want]\n"
        "      2. worker 1: got\n"
        "           -> inside, [got]\n"
        "           places: taken = True\n"
        "      3. worker 1: leave()\n"
        "           -> out, [leave]\n"
        "    From here on there is no way.\n"
        f"    {again}\n"
        "3 properties: 2 held, 1 failed\n"
    )
    assert main(shlex.split(again)[1:]) == 1
    assert capsys.readouterr().out.endswith("1 properties: 1 failed\n")


def test_json_has_it_all(capsys: Printed) -> None:
    assert check("LOST", "--json") == 1
    whole = json.loads(capsys.readouterr().out)
    assert (whole["schema"], whole["version"]) == ("support-chat/composition", 1)
    # with the key there, as long as nobody leaves: 5; without it, out or waiting: 3
    assert (whole["states"], whole["complete"], whole["verdict"]) == (8, True, "failed")
    assert whole["components"] == [
        {"name": "worker", "copies": 2, "states": 6, "blocks": 3, "without": []}
    ]
    lost = whole["properties"][2]
    assert (lost["id"], lost["kind"], lost["verdict"]) == ("K3", "Possible", "failed")
    assert [entry["steps"][0]["trigger"] for entry in lost["story"]] == ["want", "got", "leave"]
    assert lost["story"][1]["places"] == {"taken": "True"}


def test_files_are_written_beside_it(tmp_path: Path, capsys: Printed) -> None:
    junit, stories = tmp_path / "check.xml", tmp_path / "stories"
    assert check("LOST", "--junit", str(junit), "--counterexamples", str(stories)) == 1
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        "support-chat check key",
        "3",
        "1",
    )
    (written,) = stories.iterdir()
    assert written.name == "K3.txt"
    assert written.read_text("utf-8").startswith("K3: Somebody can get in.\nAt first: taken = ")


def test_a_limit_leaves_it_open(capsys: Printed) -> None:
    assert check("KEY", "--max-states", "2") == 3
    out = capsys.readouterr().out
    assert "not explored to the end" in out
    assert "A limit was hit before every state was seen" in out
    assert "3 properties: 3 inconclusive\n" in out


def test_the_properties_are_listed(capsys: Printed) -> None:
    assert check("KEY", "--list") == 0
    assert capsys.readouterr().out.splitlines()[0] == "K1          One is inside."


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--composition", "composed_charts:WORKER"], "WORKER is of type Chart, not a"),
        (["--composition", "composed_charts:LOCK"], "its compositions: KEY, LOST"),
        (
            ["--composition", "composed_charts:KEY", "--users", "2"],
            "--users: a composition says itself",
        ),
        (
            ["--composition", "composed_charts:KEY", "--chart", "composed_charts:WORKER"],
            "--chart: a composition says itself",
        ),
        (
            ["--composition", "composed_charts:KEY", "--property", "K9"],
            "--property K9: there is no such property; there are: K1, K2, K3",
        ),
    ],
)
def test_misuse_is_named(arguments: list[str], says: str, capsys: Printed) -> None:
    assert main(["check", "--app-dir", HERE, *arguments]) == 2
    assert says in capsys.readouterr().err
