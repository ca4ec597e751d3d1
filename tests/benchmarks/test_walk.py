"""The figure of the walk stands in the architecture's page, and stays short."""

from __future__ import annotations

from pathlib import Path

from walk import walk

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_a_boot_is_a_short_walk_and_the_page_says_how_short() -> None:
    walked = walk()
    assert len(walked.files) <= 12
    assert walked.changes <= 140
    assert str(walked) in PAGE.read_text("utf-8")
