"""The benchmark runs and prints its table. What it measures is not judged here: a test with a
stop-watch fails on busy machines.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from support_chat import CHART, Compiled
from support_chat.chart.model import Stored

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def steps() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "steps.py"))


def test_the_quick_mode_prints_every_line_of_the_table(
    steps: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    steps["main"](["--quick"])
    printed = capsys.readouterr().out
    for line in (
        "support_chat step",
        "transitions, registered model",
        "transitions, unregistered model",
        "automat, plain dispatch",
        "a state, one of 100 (tracemalloc)",
        "a context in the middle of a session (deep)",
        "renew.due_offline",
        "use.message",
        "boot.begin",
        "over attrs + transitions + asyncio",
    ):
        assert line in printed


def test_the_cycle_measures_rows_that_fire_and_that_a_stock_machine_fires_as_well(
    steps: dict[str, Any],
) -> None:
    compiled = Compiled(CHART)
    names = (*CHART.registers, str(CHART.named))
    for registered in (True, False):
        model = steps["Model"]()
        machine = steps["stock"](CHART, model, registered=registered)
        for (state, happening), (name, *_) in zip(
            steps["moments"](compiled), steps["CYCLE"], strict=True
        ):
            after, row = compiled.fire(state, happening)
            model.state, model.facts = (
                str(state.phase),
                set(compiled.names(state.facts | happening.facts)),
            )
            model.value = dict(zip(names, (*state.registers, happening.named), strict=True))
            assert machine.events[str(happening.trigger)].trigger(model), name
            assert row.name == name
            assert model.state == after.phase, name
            assert set(compiled.names(after.facts)) == {
                fact for fact in model.facts if isinstance(CHART.facts[fact], Stored)
            }
            assert tuple(model.value[register] for register in CHART.registers) == after.registers


def test_memory_is_counted_through_tuples_mappings_and_frozen_classes_and_once(
    steps: dict[str, Any],
) -> None:
    deep_size = steps["deep_size"]
    text = "x" * 1000
    assert deep_size((text, text)) < 2 * deep_size(text)
    assert deep_size({"a": text}) > deep_size(text)
    assert deep_size(steps["full_context"]()) > 1000
