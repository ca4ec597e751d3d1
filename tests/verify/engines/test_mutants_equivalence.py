"""Who runs a mutant and its chart side by side can tell them apart, or cannot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import attrs
import pytest

from support_chat import CHART
from support_chat.verify import View, explore
from support_chat.verify.mutants import equivalence
from support_chat.verify.mutants.edits import Edit, edits
from support_chat.verify.mutants.equivalence import Compared, alike, engine_differs
from support_chat.verify.mutants.lives import Lives, can_be_led
from support_chat.verify.ways import renamed

ALIKE: Final = (
    # both calls end in the same step
    "shutdown.done: settle_clear before settle_shutdown",
    # an internal trigger runs when the row's other effects are done, wherever it stands
    "boot.live_as_visitor: proceed before tell_ready",
    # what a call brings is adopted, and it waits: neither reads the other
    "identify.join_boot: adopt before join_boot",
    # a call waits, whether it is entered before or after what it waits for
    "shutdown.live: part before join_shutdown",
)
DIFFERENT: Final = {
    "boot.try_at_once: without arm_dial": "retry runs for",
    "link.lost: arm_probe instead of arm_retry": "retry runs for",
    "late.dispose: without dispose": "Close",
    "shutdown.live: without part": "part is asked in the chart",
}
"""What is said of each, or a part of it."""


@cache
def lives() -> Lives:
    """The situations of sessions that run the shipped chart."""
    return Lives(CHART, each=1)


@cache
def by_id() -> dict[str, Edit]:
    return {edit.id: edit for edit in edits(CHART)}


def differs(id: str) -> str | None:
    return Compared(CHART, lives()).differs(by_id()[id].make(CHART))


# --- the situations -------------------------------------------------------------------------------


def test_every_row_fires_somewhere_the_late_ones_too() -> None:
    fired = {fired.row.name for step in lives().steps() for fired in step.reaction.fired}
    assert {row.name for row in CHART.transitions} <= fired


def test_the_situations_are_states_of_the_model_and_most_of_them() -> None:
    space = explore(CHART)
    known = set[Any]()
    for state in space.states:
        view = View(space.model, state)
        ledger = tuple(sorted(e for e in view.ledger() if not e.startswith("stored ")))
        registers = renamed(space.model.registers_of(state))
        known.add((view.phase, registers, frozenset(view.facts()), ledger))
    assert lives().states <= known
    assert len(lives().states) > 0.6 * len(known)


def test_the_situations_are_the_same_each_time() -> None:
    again = list(lives().steps([("ready", "boot")]))
    for one, other in zip(again, lives().steps([("ready", "boot")]), strict=True):
        assert alike(one.reaction, other.reaction)
        assert one.now == other.now


def test_a_chart_that_does_not_say_what_its_names_mean_is_led_nowhere() -> None:
    silent = attrs.evolve(CHART, semantics=None)
    assert not can_be_led(silent)
    assert engine_differs(silent) is None


# --- mutants --------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ALIKE)
def test_what_nobody_can_tell_apart_is_equivalent(id: str) -> None:
    assert differs(id) is None


@pytest.mark.parametrize("id", DIFFERENT)
def test_what_is_different_is_told(id: str) -> None:
    said = differs(id)
    assert said is not None
    assert DIFFERENT[id] in said


def test_without_swaps_that_commute_more_would_be_different(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_order(one: Sequence[Any], other: Sequence[Any], same: object) -> Any:
        return None if list(one) == list(other) else (None, None)

    monkeypatch.setattr(equivalence, "first_difference", in_order)
    assert differs(ALIKE[0]) is not None
