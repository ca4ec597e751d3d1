"""The checker can fail: for each property there is a chart, one small fault away from the shipped
one, in which it does not hold. That it does not, and that its counterexample is real, is in
`test_replay`.
"""

from __future__ import annotations

from typing import Any

from support_chat import CHART
from support_chat.verify import check
from support_chat.verify.catalogue import CATALOGUE


def test_there_is_a_seeded_fault_for_each_property(faults: tuple[Any, ...]) -> None:
    assert sorted(fault.breaks for fault in faults) == sorted(each.id for each in CATALOGUE)


def test_no_two_properties_have_one_id() -> None:
    assert len({each.id for each in CATALOGUE}) == len(CATALOGUE)


def test_the_shipped_chart_holds_them_all() -> None:
    report = check(CHART, CATALOGUE)
    assert report.space.complete
    assert [
        (verdict.property.id, verdict.detail)
        for verdict in report.verdicts
        if verdict.held is not True
    ] == []
