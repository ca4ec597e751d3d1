"""What `check` found as SARIF 2.1.0, the format in which code hosts and editors take findings: each
failure at its transition, with its story as a code flow.

A property is a rule, and a failure of one is a result. What is open, asked of nothing or decided
elsewhere is no result, since readers would show one as a finding: it is a notification of the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import attrs

Place: TypeAlias = "tuple[str, int]"
"""A file, relative to where the command runs or with its whole path, and the number of a line."""
SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


@attrs.frozen(kw_only=True)
class Finding:
    """A failure of the property `id`: what to say of it, where it is written, the name of the
    transition that it is about, and its story, each step with where its transition is written. The
    steps from number `round` on go round for ever, if there is a round.
    """

    id: str
    text: str
    place: Place | None
    row: str | None = None
    steps: Sequence[tuple[str, Place | None]] = ()
    round: int | None = None


@attrs.frozen
class Note:
    """What is to be said of a property that has not failed; `level` is `note` or `warning`."""

    id: str
    level: str
    text: str


def to_sarif(
    version: str,
    rules: Mapping[str, str],
    findings: Iterable[Finding],
    notes: Iterable[Note] = (),
) -> str:
    """The findings as the text of a SARIF file. `rules` are the sentences of all properties, by
    id; `version` is that of the program.
    """
    numbers = {id: number for number, id in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "support-chat check",
                "version": version,
                "rules": [
                    {"id": id, "shortDescription": {"text": sentence}}
                    for id, sentence in rules.items()
                ],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {
                        "level": note.level,
                        "message": {"text": f"{note.id}: {note.text}"},
                        "associatedRule": {"id": note.id, "index": numbers[note.id]},
                    }
                    for note in notes
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, numbers[finding.id]) for finding in findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(finding: Finding, number: int) -> Mapping[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": number,
        "level": "error",
        "message": {"text": finding.text},
        # the same failure keeps its identity while lines move
        "partialFingerprints": {"property/v1": f"{finding.id} {finding.row or ''}".strip()},
    }
    location = _location(finding.place)
    if finding.row is not None:
        location["logicalLocations"] = [{"name": finding.row, "kind": "transition"}]
    if location:
        result["locations"] = [location]
    if finding.steps:
        steps = [
            {
                "location": {**_location(place or finding.place), "message": {"text": words}},
                "nestingLevel": int(finding.round is not None and finding.round <= step),
                "executionOrder": step,
            }
            for step, (words, place) in enumerate(finding.steps, 1)
        ]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return result


def _location(place: Place | None) -> dict[str, Any]:
    if place is None:
        return {}
    file, line = place
    uri = f"file://{quote(file)}" if file.startswith("/") else quote(file)
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": line},
        }
    }
