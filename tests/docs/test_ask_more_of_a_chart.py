"""The page on more to ask of a chart is true: its commands are run as they stand, by a shell, and
print what it shows.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from checked_pages import DOCS, checked_page, timeless

PAGE = checked_page("ask-more-of-a-chart.md", "panel_runs.py")
COMMANDS = PAGE.of("sh")
PROGRAMS = """
python() { "$PYTHON" -W error -X utf8 "$@"; }
support-chat() {
  python -c 'import sys; from support_chat_adapters.cli import main; sys.exit(main())' "$@"
}
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_what_the_page_shows(command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail\nPYTHON={sys.executable}\n{PROGRAMS}\n{command}"],
        cwd=DOCS / "examples",
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    status = re.search(r"# exit status (\d)$", command.strip())
    assert done.stderr == ""
    assert done.returncode == (int(status[1]) if status else 0)
    assert timeless(done.stdout) == timeless(PAGE.shown[command])


def test_its_snippet_is_that_of_the_example() -> None:
    assert len(COMMANDS) == 3
    assert len(PAGE.of("python")) == 1
    assert PAGE.programs == []
