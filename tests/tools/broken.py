"""Adapters that are broken on purpose, one for each clause of a suite: how they are told apart, and
that the suite finds each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from support_chat.testing import Clause, ConformanceError, Report

K = TypeVar("K", bound=Callable[..., Any])


def breaker(broken: dict[str, K]) -> Callable[[str], Callable[[K], K]]:
    """A decorator, `@breaks("storage.keys")`, that adds the class to those that are broken."""

    def breaks(clause: str) -> Callable[[K], K]:
        def add(kind: K) -> K:
            assert clause not in broken
            broken[clause] = kind
            return kind

        return add

    return breaks


def assert_healthy(report: Report, clauses: Sequence[Clause[Any]]) -> None:
    """Every clause could be tried, and passed."""
    assert report.passed == tuple(clause.id for clause in clauses)
    assert report.not_applicable == {}


def assert_found(clause: Clause[Any], check: Callable[[], object]) -> None:
    """The check names this clause and no other, with its sentence and what was seen."""
    with pytest.raises(ConformanceError) as caught:
        check()
    assert [failure.id for failure in caught.value.report.failures] == [clause.id]
    assert f"{clause.id}: {clause.sentence}\n    seen: " in str(caught.value)
    assert "the factory failed" not in str(caught.value)
