"""The page on pictures of charts is true: its commands and its program are run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from checked_pages import DOCS, checked_page

PAGE: Final = checked_page("look-at-your-chart.md", "panel.py")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python beside a copy of the example."""
    shutil.copy(DOCS / "examples" / "panel.py", folder)
    command = [sys.executable, "-W", "error", "-X", "utf8", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


def test_the_page_is_short() -> None:
    assert len(PAGE.text.splitlines()) < 100


def test_every_command_does_what_it_says(tmp_path: Path) -> None:
    lines = [line for block in PAGE.of("sh") for line in block.splitlines()]
    assert len(lines) == 5
    for line in lines:
        found = re.fullmatch(r"support-chat (.*)  # exit status (\d)", line)
        assert found is not None
        command, status = found.groups()
        told, _, into = command.partition(" > ")
        program = "import sys; from support_chat_adapters.cli import main; sys.exit(main())"
        done = run(tmp_path, "-c", program, *shlex.split(told))
        assert (done.stderr, done.returncode) == ("", int(status))
        if into:
            (tmp_path / into).write_text(done.stdout, "utf-8")
    for name in ("panel.html", "at-first.html", "path.svg", "phase.svg"):
        assert (tmp_path / name).stat().st_size > 1000
    assert any(p["story"] for p in json.loads((tmp_path / "found.json").read_text())["properties"])
    page = (tmp_path / "panel.html").read_text("utf-8")
    for fragment in re.findall(r"panel\.html#([\w=.]+)", PAGE.text):
        assert f'id="{fragment}"' in page


def test_the_program_prints_what_the_page_shows(tmp_path: Path) -> None:
    (program,) = PAGE.programs
    done = run(tmp_path, "-c", program)
    assert done.stderr == ""
    assert done.stdout == PAGE.shown[program]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGE.text))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (DOCS / link).exists()
