"""The page on several charts is true: its commands are run as they stand and print what it shows,
its snippets are excerpts of the example.
"""

from __future__ import annotations

import re
import shlex

import pytest

import support_chat.verify
from checked_pages import DOCS, checked_page, support_chat as support_chat_of, timeless

WHOLE = checked_page("check-several-charts.md", "windows.py")


def test_the_page_has_what_it_is_to_show() -> None:
    assert len(WHOLE.of("sh")) == 3
    assert len(WHOLE.of("python")) == 4
    assert WHOLE.programs == [], "every snippet is an excerpt"
    assert len(WHOLE.text.splitlines()) < 150


@pytest.mark.parametrize("command", WHOLE.of("sh"))
def test_every_command_prints_what_the_page_shows(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    status = re.search(r"# exit status (\d)$", command.strip())
    assert program == "support-chat"
    assert status is not None
    done = support_chat_of(*arguments)
    assert done.stderr == ""
    assert done.returncode == int(status[1])
    assert timeless(done.stdout) == timeless(WHOLE.shown[command])


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", WHOLE.text))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (DOCS / link).exists()


def test_what_the_page_names_is_public() -> None:
    for name in ("Invariant", "StepInvariant", "Possible", "each_story"):
        assert f"`{name}`" in WHOLE.text
        assert name in support_chat.verify.__all__
