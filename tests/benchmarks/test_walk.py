"""The figure of the walk stands in the architecture's page, and stays short."""

from __future__ import annotations

import runpy
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "architecture.md"


def test_a_boot_is_a_short_walk_and_the_page_says_how_short() -> None:
    walked = runpy.run_path(str(HERE / "walk.py"))["walk"]()
    assert len(walked.files) <= 12
    assert walked.changes <= 140
    assert str(walked) in PAGE.read_text("utf-8")
