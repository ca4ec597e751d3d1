"""The page on writing an adapter is true: its snippets are one program, which prints what the page
shows.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support_chat.testing import (
    STORAGE_CLAUSES,
    TOKEN_CLAUSES,
    TRANSPORT_CLAUSES,
    FullArrangement,
    StoragePlace,
)

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "write-an-adapter.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SNIPPETS = [text for language, text in BLOCKS if language == "python"]
SHOWN = "".join(text for language, text in BLOCKS if language == "text")


def test_the_page_has_what_it_is_to_show() -> None:
    assert [language for language, _ in BLOCKS] == ["python", "text"] * 5
    assert len(PAGE.splitlines()) < 300


def test_the_snippets_are_a_program_that_prints_what_the_page_shows(tmp_path: Path) -> None:
    program = tmp_path / "adapters.py"
    program.write_text("\n\n".join(SNIPPETS), "utf-8")
    command = [sys.executable, "-W", "error", "-X", "utf8", str(program)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.stderr == ""
    assert done.stdout == SHOWN


@pytest.mark.parametrize(
    "id", sorted(set(re.findall(r"(?:storage|tokens|transport|link)\.[a-z-]+[a-z](?=[:\"])", PAGE)))
)
def test_every_clause_that_is_mentioned_exists(id: str) -> None:
    assert id in {
        *(c.id for c in STORAGE_CLAUSES),
        *(c.id for c in TOKEN_CLAUSES),
        *(c.id for c in TRANSPORT_CLAUSES),
    }


def test_the_controls_that_are_mentioned_exist() -> None:
    for control in (
        "token",
        "say",
        "cut",
        "revoke",
        "expire_tokens",
        "open_links",
        "forget_history",
    ):
        assert hasattr(FullArrangement, control)
        assert f"{control}(" in PAGE
    for switch in ("open", "raw_bytes", "spoil", "many_loops"):
        assert switch in StoragePlace.__match_args__


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGE))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (DOCS / link).exists()
