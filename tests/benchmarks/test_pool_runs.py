"""The benchmark of the pool runs, prints every row, and the page explains it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

MAIN = runpy.run_path(str(Path(__file__).parent / "pool.py"))


def test_the_quick_mode_prints_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    MAIN["main"](["--quick"])
    _, *rows = capsys.readouterr().out.splitlines()
    page = (Path(__file__).parents[2] / "docs/sessions-of-a-server.md").read_text("utf-8")
    for row, (name, unit) in zip(rows, MAIN["ROWS"], strict=True):
        assert row.strip().startswith(name)
        assert row.count(f" {unit}") == 2
        assert f"| {name} |" in page
