"""What `check` found, written for whoever reads it: people, programs (JSON), test reports (JUnit)
and GitHub Actions.

Every writer is a pure function of the report. What a model does not decide (`Elsewhere`) is listed
by all of them beside what it does, as decided where it is, and never as held here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree

import attrs

from .deciding import never_asked
from .explore import Space
from .generic import unanswered
from .model import Model
from .properties import Elsewhere, Report, Verdict
from .story import occurrences, sequence, story

WORDS: Final[dict[bool | None, str]] = {True: "held", False: "failed", None: "inconclusive"}
"""A verdict in a word."""


UNASKED: Final = "never asked"
"""The word for what holds since there is nothing that it is asked of."""


def word_of(space: Space, verdict: Verdict) -> str:
    """A verdict in a word; what holds since it is asked of nothing is `never asked`."""
    unasked = verdict.held and never_asked(space, verdict.property)
    return UNASKED if unasked else WORDS[verdict.held]


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
    return document(
        {
            "engine": "python",
            "chart": space.model.chart.name,
            "states": len(space.states),
            "transitions": len(space.ways),
            "depth": space.depth,
            "users": space.model.users,
            "seconds": round(space.seconds, 3),
            "complete": space.complete,
            "verdict": WORDS[report.held],
            "properties": [
                verdict_as_data(space.model, verdict, asked=word_of(space, verdict) != UNASKED)
                for verdict in report.verdicts
            ],
            "unanswered": unanswered(space),
        },
        elsewhere,
    )


def document(values: Mapping[str, Any], elsewhere: Iterable[Elsewhere]) -> str:
    """What `check --json` prints: these values, and what is decided elsewhere."""
    head = {"schema": "support-chat/check", "version": 1}
    whole = {**head, **values, "elsewhere": [attrs.asdict(one) for one in elsewhere]}
    return json.dumps(whole, indent=2) + "\n"


def verdict_as_data(model: Model, verdict: Verdict, *, asked: bool | None) -> Mapping[str, Any]:
    """A verdict with its story; whether it is `asked` of anything, None if nobody has looked."""
    steps = occurrences(model, verdict)
    return {
        "id": verdict.property.id,
        "kind": type(verdict.property).__name__,
        "sentence": verdict.property.sentence,
        "verdict": WORDS[verdict.held],
        "asked": asked,
        "detail": verdict.detail,
        "story": [attrs.asdict(one) for one in steps[: len(verdict.story)]],
        "round": [attrs.asdict(one) for one in steps[len(verdict.story) :]],
    }


def to_junit(report: Report, elsewhere: Iterable[Elsewhere] = ()) -> str:
    """The report as JUnit XML, a test case for each property; what is inconclusive or decided
    elsewhere is skipped, and says why.
    """
    space = report.space
    cases: list[Case] = []
    for verdict in report.verdicts:
        failure = skipped = None
        if verdict.held is False:
            text = verdict.detail or verdict.property.sentence
            failure = (text, story(space.model, verdict))
        elif verdict.held is None:
            skipped = "inconclusive: a limit was hit"
        elif word_of(space, verdict) == UNASKED:
            skipped = f"{UNASKED} of any state or step"
        cases.append(Case(verdict.property.id, verdict.property.sentence, failure, skipped))
    cases += [
        Case(one.id, one.sentence, skipped=f"decided by {one.by}: {one.where}") for one in elsewhere
    ]
    return junit(space.model.chart.name, space.seconds, cases)


@attrs.frozen
class Case:
    """A test case: a property, with the message and the text of its `failure`, or why it was
    `skipped`.
    """

    id: str
    sentence: str
    failure: tuple[str, str] | None = None
    skipped: str | None = None


def junit(of: str, seconds: float, cases: Sequence[Case]) -> str:
    """A suite of these cases as JUnit XML."""
    name = _clean(of)
    suite = ElementTree.Element(
        "testsuite",
        name=f"support-chat check {name}",
        time=f"{seconds:.3f}",
        tests=str(len(cases)),
        failures=str(sum(case.failure is not None for case in cases)),
        errors="0",
        skipped=str(sum(case.skipped is not None for case in cases)),
    )
    for case in cases:
        element = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"check.{name}",
            name=_clean(f"{case.id}: {case.sentence}"),
            time="0",
        )
        if case.failure is not None:
            message, text = map(_clean, case.failure)
            ElementTree.SubElement(element, "failure", message=message).text = text
        elif case.skipped is not None:
            ElementTree.SubElement(element, "skipped", message=case.skipped)
    ElementTree.indent(suite)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        + ElementTree.tostring(suite, encoding="unicode")
        + "\n"
    )


def _clean(text: str) -> str:
    # no other character may be in XML
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def to_markdown(report: Report, elsewhere: Iterable[Elsewhere] = (), picture: str = "") -> str:
    """The report as GitHub's Markdown: the verdicts as a table, each counterexample in words and
    drawn, and a Mermaid `picture`.
    """
    signs = {WORDS[True]: "✅", WORDS[False]: "❌"}

    def sign(verdict: Verdict) -> str:
        word = word_of(report.space, verdict)
        return f"{signs.get(word, '❔')} {word}"

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
            if verdict.story or verdict.round:
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
    for step in reversed(verdict.story or verdict.round):
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
