"""Counterexamples are real: each goes, step by step, on the real session that runs the faulty chart, and on no other."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from support_chat import CHART
from support_chat.testing.replay import Beat, Replay, as_test, beats, replay
from support_chat.verify import Structure


def story(faulty: Any) -> tuple[Beat, ...]:
    if isinstance(faulty.verdict.property, Structure):
        pytest.skip("it is the chart itself that is wrong, wherever one goes")
    return beats(faulty.model, faulty.verdict.story)


def test_each_counterexample_goes_all_the_way_on_the_session(faulty: Any) -> None:
    told = story(faulty)
    assert replay(faulty.model.chart, told) == Replay(len(told))


def test_on_the_shipped_chart_the_session_goes_elsewhere(faulty: Any) -> None:
    told = story(faulty)
    assert replay(CHART, told).differs


def test_a_replay_says_what_cannot_be() -> None:
    a_visitor_with_a_provider = Beat("boot", effects=("join_boot", "adopt"), facts=("booted", "provider"))
    assert "a visitor has no token provider" in replay(CHART, [a_visitor_with_a_provider]).differs
    nothing_was_asked = Beat("loaded", of="check_adapters")
    assert replay(CHART, [nothing_was_asked]) == Replay(0, "loaded: no adapter is at work on check_adapters")


def test_a_replay_says_where_the_session_stands_instead() -> None:
    told = Beat("load", effects=("join_load", "check_adapters"), phase="loading", registers=("", ""), ledger=("asked check_adapters",))
    assert replay(CHART, [told]).differs == "load: ledger: [] only in the story, ['waits for load'] only in the session"


def test_a_replay_written_as_a_test_fails_as_long_as_the_fault_is_there(faulty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    charts = ModuleType("charts_of_this_test")
    monkeypatch.setitem(sys.modules, charts.__name__, charts)
    text = as_test(story(faulty), "charts_of_this_test:PANEL", faulty.verdict.property.sentence, "s1")
    for chart, fails in ((faulty.model.chart, True), (CHART, False)):
        charts.PANEL = chart  # type: ignore[attr-defined]
        written: dict[str, Any] = {}
        exec(compile(text, "test_of_a_story.py", "exec"), written)
        if fails:
            with pytest.raises(AssertionError):
                written["test_s1_no_session_goes_this_way"]()
        else:
            written["test_s1_no_session_goes_this_way"]()
