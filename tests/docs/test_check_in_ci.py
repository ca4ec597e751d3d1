"""The page on CI is true: what is to be pasted can be read, and each command in it runs, in a
repository that has the chart and its pictures.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types of its own

from checked_pages import DOCS, checked_page
from support_chat_adapters.cli import main

PAGE: Final = checked_page("check-in-ci.md", "panel.py")
GITHUB, GITLAB, HOOKS = (yaml.safe_load(text) for text in PAGE.of("yaml"))
STEPS: Final[list[dict[str, Any]]] = GITHUB["jobs"]["chart"]["steps"]
RUN: Final = [step["run"] for step in STEPS if "run" in step]
ENTRIES: Final = [hook["entry"] for repo in HOOKS["repos"] for hook in repo["hooks"]]
OURS: Final = DOCS.parent / ".pre-commit-hooks.yaml"
ELSE: Final = re.findall(r"^\| `(support-chat [^`]+)` \|", PAGE.text, re.MULTILINE)
COMMANDS: Final = [
    line for line in (*RUN, *GITLAB["chart"]["script"], *ENTRIES) if not line.startswith("pip ")
]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the examples, and the pictures of the panel."""
    for example in ("panel.py", "windows.py"):
        shutil.copy(DOCS / "examples" / example, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert main(["draw", "--chart", "panel:CHART", "--write", "diagrams/"]) == 0
    return tmp_path


def ran(command: str) -> int:
    program, *arguments = shlex.split(command)
    assert program == "support-chat"
    return main(arguments)


def test_each_command_of_the_page_ends_well(repository: Path) -> None:
    assert len(COMMANDS) == 5
    assert {command: ran(command) for command in COMMANDS} == dict.fromkeys(COMMANDS, 0)


def test_the_files_that_jobs_hand_on_are_those_that_their_commands_write(repository: Path) -> None:
    uploads = [
        step["with"]["sarif_file"] for step in GITHUB["jobs"]["chart"]["steps"] if "if" in step
    ]
    reports = GITLAB["chart"]["artifacts"]["reports"]["junit"]
    for command in COMMANDS:
        ran(command)
    assert sorted(path.name for path in repository.glob("chart.*")) == sorted([*uploads, reports])


def test_what_else_a_job_may_run_is_a_command(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "life.jsonl").write_text(
        '{"schema": "support-chat/trace", "version": 1}\n'
        '{"trigger": "show", "phase": "opening"}\n{"end": 1}\n'
    )
    assert [ran(command) for command in ELSE] == [1, 0, 0]  # some edits of the panel survive
    assert "survives" in capsys.readouterr().out


def test_the_hooks_that_are_named_are_there_and_take_the_chart_first(repository: Path) -> None:
    hooks: list[dict[str, Any]] = yaml.safe_load(
        (DOCS.parent / ".pre-commit-hooks.yaml").read_text()
    )
    assert all(f"`{hook['id']}" in PAGE.text or f"{hook['id']}`" in PAGE.text for hook in hooks)
    assert [ran(f"{hook['entry']} panel:CHART") for hook in hooks] == [0, 0]


def test_the_workflow_has_what_github_asks_of_one() -> None:
    assert all(("uses" in step) != ("run" in step) for step in STEPS)
    assert GITHUB["permissions"]["security-events"] == "write"
    assert GITHUB[True] == ["push", "pull_request"]  # what YAML makes of `on`
