"""The benchmark of gateways runs on a real server and prints every row."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from postgres_server import INSTALL, is_installed

MAIN = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "gateways.py"))


@pytest.mark.skipif(not is_installed(), reason=f"needs PostgreSQL: {INSTALL}")
def test_the_quick_mode_prints_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    MAIN["main"](["--quick"])
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert "load" in title
    assert "two" in head
    assert [row.split()[0].rstrip(",") for row in rows] == [*MAIN["HINTS"], "batched"]
    assert all(row.count("/s") == 2 and "x" in row for row in rows)
