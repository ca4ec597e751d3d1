"""The benchmark of servers runs on real ones and prints every row; what it prints is judged by no
stop-watch.
"""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

MAIN = runpy.run_path(str(Path(__file__).parent / "serving.py"))


def test_the_quick_mode_prints_every_row_for_this_version(
    capsys: pytest.CaptureFixture[str],
) -> None:
    MAIN["main"](["--quick", "--messages", "20,200"])
    title, servers, sizes, *rows = capsys.readouterr().out.splitlines()
    assert "load" in title
    assert servers.count("this version") == 2
    assert sizes.split()[-2:] == ["20", "200"]
    assert len(rows) == len(MAIN["ROWS"])
    for row, name in zip(rows, MAIN["ROWS"].values(), strict=True):
        assert row.startswith(name)
        assert row.count("x ") + row.endswith("x") == 2, row


def test_the_page_explains_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "serving-in-figures.md").read_text()
    explained = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)[1:]
    assert explained
    for name in MAIN["ROWS"].values():
        assert any(name.startswith(row) for row in explained), name


def test_as_json_a_side_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    MAIN["main"](["--quick", "--messages", "20", "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    (side,) = printed["sides"]
    assert set(side) == {"server", "history", *MAIN["ROWS"]}
    assert side["history"] == 20
    for name in ("boots", "messages", "p50", "p99"):
        assert side[name] > 0, name
