"""The benchmark of the network runs and prints its table; what it measures is not judged here."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest


def test_the_quick_mode_prints_every_part_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parent / "network.py"))["main"](["--quick"])
    printed = capsys.readouterr().out
    for line in (
        "httpx2 alone, one POST",
        "a message over a link of WidgetAPITransport",
        "... through a session",
        "a dial with a WebSocket",
        "a dial with polls",
        "the codec",
        "FileStorage",
    ):
        assert line in printed
