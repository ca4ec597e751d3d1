"""The page on the chart in a client of one's own is true: its programs and commands are run as they
stand, and print what it shows.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from checked_pages import DOCS, checked_page, run, support_chat
from node import NODE, laid, needs_node, node
from support_chat import CHART
from support_chat_adapters.cli import main
from support_chat_adapters.xstate.machine import to_xstate

PAGE: Final = checked_page("the-chart-in-your-client.md")


def test_the_page_is_short_and_its_links_lead_somewhere() -> None:
    assert len(PAGE.text.splitlines()) < 210
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.text):
        assert link.startswith("https://") or (DOCS / link).exists()
    for example in (DOCS / "examples").glob("*.mjs"):
        lines = example.read_text("utf-8").splitlines()
        assert len(lines) < 150
        assert max(map(len, lines)) <= 100


@needs_node()
def test_the_program_in_javascript_prints_what_the_page_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = PAGE.of("js")[0]
    assert NODE is not None
    for command, name in re.findall(r"`support-chat (export[^>`]*)>\s(\S+)`", PAGE.text):
        assert main(command.split()) == 0
        (tmp_path / name).write_text(capsys.readouterr().out, "utf-8")
    done = subprocess.run(
        [NODE, "--input-type=module", "-"],
        input=program,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.stderr == ""
    assert done.stdout == PAGE.shown[program]


@needs_node("xstate")
def test_the_programs_with_xstate_print_what_the_page_shows(tmp_path: Path) -> None:
    folder = laid(tmp_path, *(DOCS / "examples").glob("xstate*.mjs"))
    (folder / "machine.json").write_text(to_xstate(CHART), "utf-8")
    (export,) = re.findall(r"^`support-chat (export .*AT_FIRST.*)`:$", PAGE.text, re.MULTILINE)
    (folder / "panel.json").write_text(support_chat(*shlex.split(export)).stdout, "utf-8")
    for number, program in enumerate(PAGE.of("js")[1:]):
        script = folder / f"program_{number}.mjs"
        script.write_text(program, "utf-8")
        done = node(script)
        assert (done.stderr, done.stdout) == ("", PAGE.shown[program])


def test_the_commands_judge_the_logs_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    program, (forgotten,) = PAGE.of("js")[0], PAGE.of("json")
    Path("life.jsonl").write_text(PAGE.shown[program], "utf-8")
    Path("forgotten.jsonl").write_text(forgotten, "utf-8")
    commands = PAGE.of("sh")
    assert len(commands) == 2
    for command in commands:
        _, *arguments = shlex.split(command, comments=True)
        assert main(arguments) == int(command.strip()[-1])
        assert capsys.readouterr().out == PAGE.shown[command]


def test_the_program_in_python_prints_what_the_page_shows() -> None:
    (program,) = PAGE.of("python")
    done = run("-c", program)
    assert done.stderr == ""
    assert done.stdout == PAGE.shown[program]
