"""The benchmark of everything runs, part by part, and its page shows what it measures. What it
finds is judged by no stop-watch.
"""

from __future__ import annotations

import platform
import runpy
from pathlib import Path
from typing import Final

import pytest

from figures.lines import Part, compared
from figures.page import FIGURES, PAGE, page, read

MAIN: Final = runpy.run_path(str(Path(__file__).parent / "measured.py"))
PARTS: Final[tuple[Part, ...]] = MAIN["PARTS"]


@pytest.mark.parametrize("part", PARTS, ids=[part.name for part in PARTS])
def test_a_part_has_a_figure_for_every_subject_and_names_what_is_missing(part: Part) -> None:
    found = part.measure(True)
    for subject in part.subjects:
        if any(name in subject for name in found.missing):
            assert subject not in found.samples
        else:
            assert found.samples[subject], subject
            assert all(figure >= 0 for figure in found.samples[subject]), subject


def test_the_page_is_made_of_the_figures_that_are_kept() -> None:
    assert PAGE.read_text("utf-8") == page(PARTS, read(FIGURES))


@pytest.mark.parametrize("part", PARTS, ids=[part.name for part in PARTS])
def test_the_page_shows_every_line_and_nothing_is_missing(part: Part) -> None:
    kept = read(FIGURES)[part.name]
    assert not kept.found.missing
    for line in part.lines:
        shown = compared(line, kept.found)
        assert shown is not None, (line.what, line.ours, line.theirs)
        assert f"| {line.what} |" in PAGE.read_text("utf-8")


def test_the_page_describes_the_machine_and_does_not_name_it() -> None:
    text = PAGE.read_text("utf-8")
    assert " cores of " in text
    assert platform.node() not in text


def test_only_some_parts_are_measured_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert MAIN["main"](["--quick", "--only", "machines"]) == 0
    printed = capsys.readouterr().out
    assert "## A machine" in printed
    assert "## A step" not in printed


def test_a_part_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert MAIN["main"](["--only", "stepz"]) == 2
    assert "stepz" in capsys.readouterr().out
