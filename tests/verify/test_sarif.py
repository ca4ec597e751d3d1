"""SARIF: each failure at its transition with its story, in the shape that the format asks for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest

from support_chat_adapters.cli import main

EXAMPLES: Final = Path(__file__).parents[2] / "docs" / "examples"
MORE: Final = """\
from panel import *
from support_chat.verify import *
CHART, PROPERTIES = AT_FIRST, (
    *PROPERTIES,
    LeadsTo("P6", "What is hidden is shown again.", lambda v: v.phase == "minimised",
            lambda v: v.phase == "open", fair="message"),
    Always("P7", "Nobody waits.", lambda v: True, when=lambda v: v.phase == "burning"),
)[:COUNT]
"""


def a(**properties: Any) -> dict[str, Any]:
    """An object with these properties, of which those that end in `_` may be missing; no others."""
    required = [name for name in properties if not name.endswith("_")]
    return {
        "type": "object",
        "properties": {name.rstrip("_"): value for name, value in properties.items()},
        "required": required,
        "additionalProperties": False,
    }


def many(of: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": least}


TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1}
MESSAGE: Final = a(text=TEXT)
NUMBER: Final = {"type": "integer", "minimum": 0}
LINE: Final = {"type": "integer", "minimum": 1}
URI: Final = {"type": "string", "pattern": r"^(file:///)?[\w./%-]+$"}
LOCATION: Final = a(
    physicalLocation_=a(artifactLocation=a(uri=URI), region=a(startLine=LINE)),
    logicalLocations_=many(a(name=TEXT, kind=TEXT), 1),
    message_=MESSAGE,
)
SARIF: Final = a(
    version={"const": "2.1.0"},
    runs=many(
        a(
            tool=a(
                driver=a(name=TEXT, version=TEXT, rules=many(a(id=TEXT, shortDescription=MESSAGE)))
            ),
            invocations=many(
                a(
                    executionSuccessful={"const": True},
                    toolExecutionNotifications=many(
                        a(
                            level={"enum": ["note", "warning"]},
                            message=MESSAGE,
                            associatedRule=a(id=TEXT, index=NUMBER),
                        )
                    ),
                ),
                1,
            ),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            results=many(
                a(
                    ruleId=TEXT,
                    ruleIndex=NUMBER,
                    level={"const": "error"},
                    message=MESSAGE,
                    partialFingerprints={"type": "object", "additionalProperties": TEXT},
                    locations_=many(LOCATION, 1),
                    codeFlows_=many(
                        a(
                            threadFlows=many(
                                a(
                                    locations=many(
                                        a(
                                            location=LOCATION,
                                            nestingLevel=NUMBER,
                                            executionOrder=NUMBER,
                                        ),
                                        1,
                                    )
                                ),
                                1,
                            )
                        ),
                        1,
                    ),
                )
            ),
        ),
        1,
    ),
)
"""What SARIF 2.1.0 asks of what we use of it; the whole schema takes what we write, too."""
SARIF["properties"]["$schema"] = {"const": "https://json.schemastore.org/sarif-2.1.0.json"}

Written = Callable[..., dict[str, Any]]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Checks in the folder of the examples, and returns the one run of the SARIF file."""

    def check(*arguments: str) -> dict[str, Any]:
        file = tmp_path / "check.sarif"
        monkeypatch.chdir(EXAMPLES)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        assert main(["check", "-q", "--sarif", str(file), *arguments]) == 1
        document = json.loads(file.read_text("utf-8"))
        jsonschema_rs.validate(SARIF, document)
        (run,) = document["runs"]
        return dict(run)

    return check


def test_a_failure_is_at_its_row_and_its_story_is_a_code_flow(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written("--chart", "panel:AT_FIRST", "--properties", "panel:PROPERTIES")
    (failure,) = run["results"]
    assert run["tool"]["driver"]["rules"][failure["ruleIndex"]]["id"] == failure["ruleId"] == "P1"
    (place,) = failure["locations"]
    line: int = place["physicalLocation"]["region"]["startLine"]
    assert place["physicalLocation"]["artifactLocation"] == {"uri": "panel.py"}
    written_at = (EXAMPLES / "panel.py").read_text("utf-8").splitlines()[line - 1]
    assert 'name="panel.opened"' in written_at
    assert place["logicalLocations"] == [{"name": "panel.opened", "kind": "transition"}]
    assert f"at panel.py:{line}" in capsys.readouterr().out
    steps = failure["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [each["location"]["message"]["text"] for each in steps] == [
        "show() -> opening", "message() -> opening", "loaded -> open",
    ]  # fmt: skip
    assert steps[-1]["location"]["physicalLocation"] == place["physicalLocation"]
    assert run["invocations"][0]["toolExecutionNotifications"] == []


def test_a_round_is_nested_and_what_is_never_asked_is_no_result(
    written: Written, tmp_path: Path
) -> None:
    (tmp_path / "more_of_it.py").write_text(MORE.replace("COUNT", "5"), "utf-8")
    run = written("--chart", "more_of_it:CHART", "--properties", "more_of_it:PROPERTIES")
    (lasts,) = [each for each in run["results"] if each["ruleId"] == "P6"]
    steps = lasts["codeFlows"][0]["threadFlows"][0]["locations"]
    told = [(each["nestingLevel"], each["location"]["message"]["text"]) for each in steps]
    assert told[-2:] == [(0, "minimise() -> minimised"), (1, "message() -> minimised")]


def test_what_is_open_or_asked_of_nothing_is_a_notification(
    written: Written, tmp_path: Path
) -> None:
    text = MORE.replace("COUNT", "6").replace('"burning"', '"open" and v.waiting("show")')
    (tmp_path / "some_more.py").write_text(text, "utf-8")
    own = ("--chart", "some_more:CHART", "--properties", "some_more:PROPERTIES")
    run = written(*own)
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "P7: it is never asked of any state or step"
    run = written(*own, "--max-states", "15")
    notes = {
        note["associatedRule"]["id"]: note["message"]["text"]
        for note in run["invocations"][0]["toolExecutionNotifications"]
    }
    assert notes["P2"] == "P2: inconclusive: a limit was hit"


def test_a_composition_is_told_as_well(written: Written) -> None:
    run = written("--composition", "windows:AT_FIRST")
    (failure,) = run["results"]
    steps = failure["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [each["location"]["message"]["text"] for each in steps][2:4] == [
        "a message is written", "window 2: message() -> closed",
    ]  # fmt: skip
    assert failure["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "windows.py"}
