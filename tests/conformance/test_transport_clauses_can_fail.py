"""Each clause of the transport suite can fail: for each there is a transport with that fault, and
the error names the clause.
"""

from __future__ import annotations

import pytest

from broken_transports import BROKEN, Healthy, arranged
from support_chat.testing import TRANSPORT_CLAUSES, ConformanceError, check_transport


def test_the_transport_without_a_fault_passes_every_clause() -> None:
    report = check_transport(arranged(Healthy))
    assert report.passed == tuple(clause.id for clause in TRANSPORT_CLAUSES)
    assert report.not_applicable == {}


def test_every_clause_has_its_broken_transport() -> None:
    assert set(BROKEN) == {clause.id for clause in TRANSPORT_CLAUSES}


@pytest.mark.parametrize("clause", [clause.id for clause in TRANSPORT_CLAUSES])
def test_a_broken_transport_is_told_by_the_clause_that_it_breaks(clause: str) -> None:
    one = next(known for known in TRANSPORT_CLAUSES if known.id == clause)
    with pytest.raises(ConformanceError) as told:
        check_transport(arranged(BROKEN[clause]), only=[clause], limit=1.0)
    assert [failure.id for failure in told.value.report.failures] == [clause]
    assert f"{clause}: {one.sentence}\n    seen: " in str(told.value)
    assert "the factory failed" not in str(told.value)
