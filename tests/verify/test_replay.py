"""Counterexamples are real: each goes, step by step, on the real session that runs the faulty
chart, and on no other.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from support_chat import CHART
from support_chat.verify import Occurrence, occurrences
from support_chat.verify.replay import Replay, as_test, replay


def story(faulty: Any) -> tuple[Occurrence, ...]:
    return occurrences(faulty.model, faulty.verdict)


def told(trigger: str, **values: Any) -> Occurrence:
    """One step of a story; what is not given is nothing."""
    nothing: dict[str, Any] = {
        "user": None,
        "of": "",
        "words": "",
        "by": "",
        "phase": "",
        "registers": {},
    }
    lists: dict[str, Any] = dict.fromkeys(("carried", "rows", "effects", "facts", "ledger"), ())
    return Occurrence(trigger=trigger, **{**nothing, **lists, **values})


def test_each_counterexample_goes_all_the_way_on_the_session(faulty_on_the_way: Any) -> None:
    whole = story(faulty_on_the_way)
    assert replay(faulty_on_the_way.model.chart, whole) == Replay(len(whole))


def test_on_the_shipped_chart_the_session_goes_elsewhere(faulty_on_the_way: Any) -> None:
    assert replay(CHART, story(faulty_on_the_way)).differs


@pytest.mark.parametrize(
    ("one", "differs"),
    [
        (told("boot", effects=("adopt",), facts=("provider",)), "a visitor has no token provider"),
        (told("identify", effects=("join_identify",)), "nobody can call identify() so"),
        (told("abandon_boot"), "nobody waits for the boot, and the story cancels whoever does"),
        (told("loaded", of="check_adapters"), "no adapter is at work on check_adapters"),
        (told("retry_due", of="retry"), "the timer retry does not run"),
    ],
)
def test_a_replay_says_what_cannot_be(one: Occurrence, differs: str) -> None:
    assert replay(CHART, [one]) == Replay(0, f"{one.trigger}: {differs}")


def test_a_replay_says_where_the_session_stands_instead() -> None:
    nobody = {"user": None, "target": None}
    one = told(
        "load",
        effects=("join_load", "check_adapters"),
        phase="loading",
        registers=nobody,
        ledger=("asked check_adapters",),
    )
    assert replay(CHART, [one]) == Replay(
        0, "load: ledger: [] only in the story, ['waits for load'] only in the session"
    )


def test_a_replay_written_as_a_test_fails_while_the_fault_is_there(
    faulty_on_the_way: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    charts = ModuleType("charts_of_this_test")
    monkeypatch.setitem(sys.modules, charts.__name__, charts)
    text = as_test(
        story(faulty_on_the_way),
        "charts_of_this_test:PANEL",
        faulty_on_the_way.verdict.property.sentence,
        "s1",
    )
    for chart, fails in ((faulty_on_the_way.model.chart, True), (CHART, False)):
        charts.PANEL = chart  # type: ignore[attr-defined]
        written: dict[str, Any] = {}
        exec(compile(text, "test_of_a_story.py", "exec"), written)
        if fails:
            with pytest.raises(AssertionError):
                written["test_s1_no_session_goes_this_way"]()
        else:
            written["test_s1_no_session_goes_this_way"]()
