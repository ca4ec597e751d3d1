"""The page on a chart of one's own is true: its commands and snippets are run as they stand, and
print what it shows.

A block of `sh` is one command with its exit status as a comment; a block of `python` is an excerpt
of the example, or a program. What one prints is the block that follows it. Times may differ.
"""

from __future__ import annotations

import re
import shlex

import pytest

from checked_pages import DOCS, checked_page, run, support_chat, timeless

WHOLE = checked_page("check-your-own-chart.md", "panel.py")
PAGE, SHOWN, PROGRAMS = WHOLE.text, WHOLE.shown, WHOLE.programs
COMMANDS, SNIPPETS = WHOLE.of("sh"), WHOLE.of("python")
MENTIONED = re.findall(r"`support-chat ([^`]+)`", PAGE)


def test_the_page_has_what_it_is_to_show() -> None:
    commands = [shlex.split(command, comments=True)[1] for command in COMMANDS]
    assert commands == ["check", "check", "draw"]
    assert len(SNIPPETS) - len(PROGRAMS) == 3
    assert len(PROGRAMS) == 1
    assert len(PAGE.splitlines()) < 150


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_what_the_page_shows(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    status = re.search(r"# exit status (\d)$", command.strip())
    assert program == "support-chat"
    assert status is not None
    done = support_chat(*arguments)
    assert done.stderr == ""
    assert done.returncode == int(status[1])
    assert timeless(done.stdout) == timeless(SHOWN[command])


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_prints_what_the_page_shows(program: str) -> None:
    done = run("-c", program)
    assert done.stderr == ""
    assert done.stdout == SHOWN[program]


@pytest.mark.parametrize("mentioned", MENTIONED)
def test_every_command_mentioned_can_be_run(mentioned: str) -> None:
    done = support_chat(*shlex.split(mentioned))
    assert done.stderr == ""
    assert done.returncode in (0, 1)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGE))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (DOCS / link).exists()


def test_the_example_says_how_many_rows_it_has() -> None:
    counted = run("-c", "import panel; print(len(panel.CHART.transitions))").stdout.strip()
    assert f"{counted} rows;" in PAGE
