"""Counterexamples are real: each goes, step by step, on the real session that runs the faulty
chart, and on no other.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType
from typing import Any, Final

import pytest

from support_chat import CHART
from support_chat.verify import Occurrence, Structure, occurrences
from support_chat.verify.replay import Replay, as_test, replay

NO_SESSION_GOES_SO = {
    "S18b": "the update timer runs only while something is recorded, which the model leaves open"
}
"""Faults whose story the model has and a session has not, and why."""
ONLY_THE_ERROR: Final = ("S58a", "S59a")
"""Faults in which somebody is told another error, of which a story says nothing."""


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


def test_each_fault_breaks_its_property_and_the_story_goes_on_the_faulty_session_and_on_no_other(
    faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict, chart = faulty.verdict, faulty.model.chart
    assert verdict.held is False, faulty.fault.wrong
    if isinstance(verdict.property, Structure):
        assert verdict.detail, "the rows that are wrong"
        return
    whole = occurrences(faulty.model, verdict)
    if verdict.property.id in NO_SESSION_GOES_SO:
        assert replay(chart, whole).differs
        return
    assert replay(chart, whole) == Replay(len(whole))
    if verdict.property.id in ONLY_THE_ERROR:
        assert replay(CHART, whole) == Replay(len(whole))
        return
    assert replay(CHART, whole).differs

    charts = ModuleType("charts_of_this_test")
    monkeypatch.setitem(sys.modules, charts.__name__, charts)
    text = as_test(whole, "charts_of_this_test:PANEL", verdict.property.sentence, "s1")
    for panel, fails in ((chart, True), (CHART, False)):
        charts.PANEL = panel  # type: ignore[attr-defined]
        written: dict[str, Any] = {}
        exec(compile(text, "test_of_a_story.py", "exec"), written)
        with pytest.raises(AssertionError) if fails else nullcontext():
            written["test_s1_no_session_goes_this_way"]()


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
