"""The page on driving the engine is true: its program prints what the page shows, it is short, and
it names every input and every command that there is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from support_chat.engine import Command, Input

PAGE = (Path(__file__).parents[2] / "docs" / "drive-the-engine.md").read_text("utf-8")
((_, PROGRAM), (_, SHOWN)) = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_program_prints_what_the_page_shows() -> None:
    command = [sys.executable, "-W", "error", "-X", "utf8", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.stdout, done.stderr) == (SHOWN, "")


def test_the_loop_has_twenty_lines_and_names_nothing_private() -> None:
    loop = [
        line for line in PROGRAM.splitlines() if line and not line.startswith(("from", "import"))
    ]
    assert len(loop) <= 20
    assert not re.search(r"\b_\w", PROGRAM)


def test_every_input_and_every_command_has_its_line() -> None:
    for kind in (*get_args(Input), *get_args(Command)):
        assert f"`{kind.__name__}(" in PAGE, kind
