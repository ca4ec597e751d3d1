"""The benchmark of growth runs and prints its table; that nothing grows is judged in
tests/backend/test_flat_cost.py, in steps and not by a stop-watch.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest


def test_the_quick_mode_prints_every_part_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parent / "growth.py"))["main"](["--quick"])
    printed = capsys.readouterr().out
    for line in ("a boot", "a message", "a page", "marking it read", "replay", "each message"):
        assert line in printed
