"""The page on mutants is true: its commands are run as they stand, and print what it shows."""

from __future__ import annotations

import re
import shlex

import pytest

from checked_pages import DOCS, checked_page, support_chat
from support_chat.verify.mutants.judging import Fate

WHOLE = checked_page("mutants.md", "panel.py")
COMMANDS = WHOLE.of("sh")


def timeless(text: str) -> str:
    return re.sub(r"judged in [\d,]+ s, [\d,]+ a second", "judged", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_what_the_page_shows(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    status = re.search(r"# exit status (\d)$", command.strip())
    assert program == "support-chat"
    assert status is not None
    done = support_chat(*arguments)
    assert done.stderr == ""
    assert done.returncode == int(status[1])
    assert timeless(done.stdout) == timeless(WHOLE.shown[command])


def test_its_snippets_are_those_of_the_example() -> None:
    assert len(COMMANDS) == 2
    assert len(WHOLE.of("python")) == 1
    assert WHOLE.programs == []


def test_it_names_every_end_of_an_edit() -> None:
    assert re.findall(r"^\| `(\w+)` \|", WHOLE.text, re.MULTILINE) == list(Fate)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", WHOLE.text))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (DOCS / link).exists()
