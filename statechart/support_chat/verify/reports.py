"""What `check` found, written for whoever reads it: people, programs (JSON), test reports (JUnit)
and GitHub Actions.

Every writer is a pure function of the report. What a model does not decide (`Elsewhere`) is listed
by all of them beside what it does, as decided where it is, and never as held here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from xml.etree import ElementTree

import attrs

from .generic import unanswered
from .properties import Elsewhere, Report, Verdict, never_asked
from .story import occurrences, sequence, story

WORDS: Final[dict[bool | None, str]] = {True: "held", False: "failed", None: "inconclusive"}
"""A verdict in a word."""


def summary(report: Report) -> str:
    """One line: states, transitions, depth, time, steps a second; and whether that is all there
    is.
    """
    space = report.space
    pace = len(space.ways) / space.seconds if space.seconds else 0.0
    text = (
        f"{space.model.chart.name}: {len(space.states):,} states, {len(space.ways):,} "
        f"transitions, depth {space.depth}, "
        f"{space.model.users} users, {space.seconds:.2f} s, {pace:,.0f} steps/s"
    )
    return text if space.complete else f"{text}; cut short by a limit"


def to_json(report: Report, elsewhere: Iterable[Elsewhere] = ()) -> str:
    """The report as JSON: the space, then each property with its verdict and its counterexample,
    then what is decided elsewhere.
    """
    space = report.space
    whole = {
        "schema": "support-chat/check",
        "version": 1,
        "chart": space.model.chart.name,
        "states": len(space.states),
        "transitions": len(space.ways),
        "depth": space.depth,
        "users": space.model.users,
        "seconds": round(space.seconds, 3),
        "complete": space.complete,
        "verdict": WORDS[report.held],
        "properties": [_verdict(report, verdict) for verdict in report.verdicts],
        "unanswered": unanswered(space),
        "elsewhere": [attrs.asdict(one) for one in elsewhere],
    }
    return json.dumps(whole, indent=2) + "\n"


def _verdict(report: Report, verdict: Verdict) -> dict[str, Any]:
    steps = occurrences(report.space.model, verdict)
    return {
        "id": verdict.property.id,
        "kind": type(verdict.property).__name__,
        "sentence": verdict.property.sentence,
        "verdict": WORDS[verdict.held],
        "asked": not never_asked(report.space, verdict.property),
        "detail": verdict.detail,
        "story": [attrs.asdict(one) for one in steps[: len(verdict.story)]],
        "round": [attrs.asdict(one) for one in steps[len(verdict.story) :]],
    }


def to_junit(report: Report, elsewhere: Iterable[Elsewhere] = ()) -> str:
    """The report as JUnit XML, a test case for each property; what is inconclusive or decided
    elsewhere is skipped, and says why.
    """
    name = _clean(report.space.model.chart.name)
    suite = ElementTree.Element(
        "testsuite", name=f"support-chat check {name}", time=f"{report.space.seconds:.3f}"
    )
    for verdict in report.verdicts:
        case = _case(suite, name, verdict.property.id, verdict.property.sentence)
        if verdict.held is False:
            message = verdict.detail or verdict.property.sentence
            ElementTree.SubElement(case, "failure", message=_clean(message)).text = _clean(
                story(report.space.model, verdict)
            )
        elif verdict.held is None:
            ElementTree.SubElement(case, "skipped", message="inconclusive: a limit was hit")
        elif never_asked(report.space, verdict.property):
            ElementTree.SubElement(case, "skipped", message="never asked of any state or step")
    for one in elsewhere:
        ElementTree.SubElement(
            _case(suite, name, one.id, one.sentence),
            "skipped",
            message=f"decided by {one.by}: {one.where}",
        )
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    ElementTree.indent(suite)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        + ElementTree.tostring(suite, encoding="unicode")
        + "\n"
    )


def _case(suite: ElementTree.Element, chart: str, id: str, sentence: str) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", classname=f"check.{chart}", name=_clean(f"{id}: {sentence}"), time="0"
    )


def _clean(text: str) -> str:
    # no other character may be in XML
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def to_markdown(report: Report, elsewhere: Iterable[Elsewhere] = (), picture: str = "") -> str:
    """The report as GitHub's Markdown: the verdicts as a table, each counterexample in words and
    drawn, and a Mermaid `picture`.
    """
    signs = {True: "✅ held", False: "❌ failed", None: "❔ inconclusive"}

    def sign(verdict: Verdict) -> str:
        unasked = verdict.held and never_asked(report.space, verdict.property)
        return "❔ never asked" if unasked else signs[verdict.held]

    lines = [
        f"### support-chat check: {WORDS[report.held]}",
        "",
        _cell(summary(report)),
        "",
        "| | property | verdict |",
        "|---|---|---|",
    ]
    lines += [
        f"| {_cell(v.property.id)} | {_cell(v.property.sentence)} | {sign(v)} |"
        for v in report.verdicts
    ]
    lines += [
        f"| {_cell(one.id)} | {_cell(one.sentence)} | decided by {one.by}: `{one.where}` |"
        for one in elsewhere
    ]
    for verdict in report.verdicts:
        if verdict.held is False:
            lines += ["", f"#### {_cell(verdict.property.id)}: {_cell(verdict.property.sentence)}"]
            lines += _fenced("text", story(report.space.model, verdict))
            if verdict.story:
                lines += _fenced("mermaid", sequence(report.space.model, verdict))
    if picture:
        lines += [
            "",
            "<details><summary>the chart</summary>",
            *_fenced("mermaid", picture),
            "",
            "</details>",
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"([|<>*`])", r"\\\1", text.replace("\n", " "))


def _fenced(language: str, text: str) -> Sequence[str]:
    return ["", f"```{language}", *text.splitlines(), "```"]


def concerned(verdict: Verdict, rows: Iterable[str]) -> str | None:
    """Which of the chart's `rows` a failure is about: the one of the last step, or else the first
    that the detail names.
    """
    for step in reversed(verdict.story):
        if step.rows:
            return step.rows[0].name
    known = set(rows)
    return next((word for word in verdict.detail.split() if word in known), None)


def annotation(verdict: Verdict, place: tuple[str, int] | None) -> str:
    """A workflow command that makes GitHub Actions show the failure at `place`, a file and the
    number of a line.
    """
    text = f"{verdict.property.sentence} {verdict.detail}".strip()
    where = f"file={_escaped(place[0], ':,')},line={place[1]}," if place else ""
    return (
        f"::error {where}title={_escaped(f'{verdict.property.id} failed', ':,')}::{_escaped(text)}"
    )


def _escaped(text: str, more: str = "") -> str:
    return "".join(
        f"%{ord(character):02X}" if character in "%\r\n" + more else character for character in text
    )
