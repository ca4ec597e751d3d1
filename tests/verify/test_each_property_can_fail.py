"""The checker can fail: for each property there is a chart, one small fault away from the shipped
one, in which it does not hold.
"""

from __future__ import annotations

from typing import Any

from support_chat import CHART
from support_chat.verify import Structure, check
from support_chat.verify.catalogue import CATALOGUE


def test_there_is_a_seeded_fault_for_each_property(faults: tuple[Any, ...]) -> None:
    assert sorted(fault.breaks for fault in faults) == sorted(each.id for each in CATALOGUE)


def test_the_shipped_chart_holds_them_all() -> None:
    report = check(CHART, CATALOGUE)
    assert report.space.complete
    assert [
        (verdict.property.id, verdict.detail)
        for verdict in report.verdicts
        if verdict.held is not True
    ] == []


def test_the_fault_makes_its_property_fail(faulty: Any) -> None:
    assert faulty.verdict.held is False, faulty.fault.wrong


def test_a_failure_shows_the_way_or_says_which_rows_are_wrong(faulty: Any) -> None:
    verdict = faulty.verdict
    if isinstance(verdict.property, Structure):
        assert verdict.detail
    else:
        assert verdict.story
