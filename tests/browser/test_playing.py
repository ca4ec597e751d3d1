"""Stories of the model checker, cases and logs are opened in the page, and gone through."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from devtools import Page
from lamp import CHART as LAMP
from support_chat import CHART, SupportChat
from support_chat.lifecycle.names import Effect, Phase
from support_chat.testing import RecordingStorage, RecordingTransport
from support_chat.verify import check
from support_chat.verify.cases import cases
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.reports import to_json
from support_chat_adapters.diagrams.exported_cases import cases_to_json

from .conftest import Explore

FORGOTTEN: Final = {"boot.live_as_visitor": Effect.SETTLE_BOOT, "load.failed": Effect.FAIL_LOAD}
BROKEN: Final = attrs.evolve(
    CHART,
    transitions=tuple(
        attrs.evolve(row, effects=tuple(e for e in row.effects if e != FORGOTTEN.get(row.name)))
        for row in CHART.transitions
    ),
)
"""The chart, but that some calls never settle."""


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """What is found of it."""
    told: dict[str, Any] = json.loads(to_json(check(BROKEN, CATALOGUE)))
    return told


def opened(page: Page, file: Path) -> None:
    # what an earlier file has left is not what this one brings
    page.evaluate("document.getElementById('tape').replaceChildren()")
    page.evaluate("document.getElementById('fault').hidden = true")
    page.evaluate("document.getElementById('file').hidden = false")
    page.choose_file("#file", file)
    page.wait("document.getElementById('file').files.length === 0")
    page.wait("document.querySelector('#tape li') || !document.getElementById('fault').hidden")


def fault(page: Page) -> str:
    return page.text("#fault") if page.evaluate("!document.getElementById('fault').hidden") else ""


def phases(page: Page) -> Any:
    """The phase after each step that is shown."""
    return page.evaluate(
        "[...document.querySelectorAll('#tape li')].map((li) => li.textContent)"
        ".map((text) => text.match(/.*→ (\\S+)/)[1])"
    )


def test_a_counterexample_is_gone_through_step_by_step(
    report: dict[str, Any], explore: Explore, tmp_path: Path
) -> None:
    failed = [each for each in report["properties"] if each["verdict"] == "failed"]
    assert failed
    (tmp_path / "check.json").write_text(json.dumps(report), "utf-8")
    page = explore(BROKEN)
    opened(page, tmp_path / "check.json")
    assert fault(page) == ""
    story = [*failed[0]["story"], *failed[0]["round"]]
    assert phases(page) == [step["phase"] for step in story]
    for step in story:
        page.press("ArrowRight")
        assert page.text("#now b") == step["phase"]
        assert step["words"] in page.text("#told")
    page.press("ArrowLeft")
    assert page.text("#now b") == story[-2]["phase"]
    page.click("#happenings button[data-trigger=destroy]")  # a way of one's own from there
    assert page.text("#now b") == "destroyed"


def test_every_story_of_a_chart_that_fails_is_one_of_the_page(
    report: dict[str, Any], explore: Explore, tmp_path: Path
) -> None:
    stories = [p for p in report["properties"] if p["story"] or p["round"]]
    assert len(stories) > 1
    (tmp_path / "check.json").write_text(json.dumps(report), "utf-8")
    page = explore(BROKEN)
    opened(page, tmp_path / "check.json")
    for number, told in enumerate(stories):
        choose(page, number)
        assert fault(page) == ""
        assert phases(page) == [step["phase"] for step in (*told["story"], *told["round"])]


def choose(page: Page, number: int) -> None:
    page.evaluate(f"""(() => {{
        const select = document.querySelector('.tapes select');
        select.value = '{number}';
        select.dispatchEvent(new Event('change'));
    }})()""")


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """The cases of the shipped chart, as exported."""
    document: dict[str, Any] = json.loads(cases_to_json(cases(CHART)))
    return document


def test_the_page_comes_to_what_every_case_says(
    told: dict[str, Any], explore: Explore, tmp_path: Path
) -> None:
    (tmp_path / "cases.json").write_text(json.dumps(told), "utf-8")
    page = explore()
    opened(page, tmp_path / "cases.json")
    for number, case in enumerate(told["cases"]):
        choose(page, number)
        assert fault(page) == "", case
        assert phases(page) == [step["phase"] for step in case]


EDITS: Final[tuple[Callable[[Any], None], ...]] = (
    lambda step: step.update(phase="ready"),
    lambda step: step.update(effects=["dial"]),
    lambda step: step.update(facts=["released"]),
    lambda step: step["registers"].update(user="Z"),
    lambda step: step["asks"][0].update(row=CHART.transitions[0].name),
)


def test_a_case_with_one_edit_is_told_to_be_none(
    told: dict[str, Any], explore: Explore, tmp_path: Path
) -> None:
    page, longest = explore(), max(told["cases"], key=len)
    for number, edit in enumerate(EDITS):
        case = json.loads(json.dumps(longest))
        edit(case[-1])
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps({**told, "cases": [case]}), "utf-8")
        opened(page, file)
        assert f"Step {len(case)} is none" in fault(page)
        assert phases(page) == [step["phase"] for step in case[:-1]]
        page.click("#again")


async def lived() -> str:
    file = io.StringIO()
    async with SupportChat(
        workspace_id="ws",
        widget_id="help",
        transport=RecordingTransport(),
        storage=RecordingStorage(),
    ) as chat:
        with chat.log_steps(file):
            await chat.boot()
            await chat.update(user={"traits": {"role": "admin"}})
            await chat.shutdown()
            await chat.boot()
            assert chat.is_in(Phase.ANONYMOUS)
    return file.getvalue()


def test_the_log_of_a_session_is_gone_through(explore: Explore, tmp_path: Path) -> None:
    log = asyncio.run(lived())
    (tmp_path / "life.jsonl").write_text(log, "utf-8")
    page = explore()
    opened(page, tmp_path / "life.jsonl")
    assert fault(page) == ""
    assert phases(page) == [json.loads(line)["phase"] for line in log.splitlines()[1:-1]]


def test_of_a_log_that_says_little_a_path_is_found_if_there_is_one(
    explore: Explore, tmp_path: Path
) -> None:
    log = asyncio.run(lived()).splitlines()
    first, *steps, last = map(json.loads, log)
    brief = [
        {key: step[key] for key in ("trigger", "late", "phase") if key in step} for step in steps
    ]
    (tmp_path / "brief.jsonl").write_text(
        "\n".join(map(json.dumps, [first, *brief, last])), "utf-8"
    )
    page = explore()
    opened(page, tmp_path / "brief.jsonl")
    assert fault(page) == ""
    assert phases(page) == [step["phase"] for step in steps]
    brief[2]["phase"] = "destroyed"
    (tmp_path / "wrong.jsonl").write_text(
        "\n".join(map(json.dumps, [first, *brief, last])), "utf-8"
    )
    opened(page, tmp_path / "wrong.jsonl")
    assert fault(page).startswith("Step 3 is none: in booting")


NO_TRACES: Final = (
    ("", "no trace"),
    ("{", "Line 1 is no JSON"),
    ('{"schema": "support-chat/trace", "version": 2}', "no trace of version 1"),
    ('{"schema": "support-chat/trace", "version": 1}\n{"trigger": "press"}', "cut"),
    (
        '{"schema": "support-chat/trace", "version": 1, "chart": "support_chat"}\n{"end": 0}',
        "This is of the chart support_chat, and the page of lamp",
    ),
    (
        '{"schema": "support-chat/trace", "version": 1}\n'
        '{"trigger": "fly", "phase": "on"}\n{"end": 1}',
        "Step 1: the chart has no trigger fly",
    ),
    ("[1, 2]", "no trace"),
    ("{}", "no trace"),
)


def test_what_is_no_trace_is_told_in_the_page(explore: Explore, tmp_path: Path) -> None:
    page = explore(LAMP)
    for number, (text, words) in enumerate(NO_TRACES):
        file = tmp_path / f"{number}.jsonl"
        file.write_text(text, "utf-8")
        opened(page, file)
        assert words in fault(page)
        page.press("Escape")
        assert fault(page) == ""


def test_a_report_in_which_all_holds_has_no_story(explore: Explore, tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "schema": "support-chat/check",
        "chart": CHART.name,
        "properties": [],
    }
    (tmp_path / "check.json").write_text(json.dumps(document), "utf-8")
    page = explore()
    opened(page, tmp_path / "check.json")
    assert "every property holds" in fault(page)
