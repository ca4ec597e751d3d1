"""Which commands may change places, and what is told of two lists that differ by more."""

from __future__ import annotations

from itertools import permutations
from typing import Final

import pytest

from support_chat.engine import (
    Arm,
    Bound,
    Cancel,
    Close,
    Command,
    Disarm,
    Emit,
    Keep,
    Perform,
    Request,
    Settle,
)
from support_chat.engine.commuting import IN_ORDER, commute, first_difference

DIAL: Final = Perform(Request("dial", "dial", 1, None), 1.0)
ASK: Final = Perform(Request("ask", "ask", 2, None, link=7), 1.0)
TELL: Final = Perform(Request("tell", "tell", 3, None, link=7), 1.0)

APART: Final[tuple[tuple[Command, Command], ...]] = (
    (DIAL, ASK),
    (DIAL, Cancel(("ask",))),
    (DIAL, Emit("up")),
    (ASK, Close(8)),
    (Arm("retry", 1.0), Arm("silence", 1.0)),
    (Arm("retry", 1.0), Disarm(("silence",))),
    (Keep(1), Close(2)),
    (Bound(1, 1.0), Settle(2)),
    (Settle(1), Settle(2)),
    (Settle(1), Arm("retry", 1.0)),
    (Cancel(("ask",)), Close(7)),
)
TOGETHER: Final[tuple[tuple[Command, Command], ...]] = (
    (Emit("one"), Emit("other")),
    (Emit("over"), Settle(1)),
    (ASK, TELL),
    (DIAL, Perform(Request("redial", "dial", 4, None), 1.0)),
    (DIAL, Cancel(("dial", "ask"))),
    (ASK, Keep(7)),
    (ASK, Close(7)),
    (Keep(1), Close(1)),
    (Arm("retry", 1.0), Arm("retry", 2.0)),
    (Arm("retry", 1.0), Disarm(("silence", "retry"))),
    (Bound(1, 1.0), Settle(1)),
)


@pytest.mark.parametrize(("one", "other"), APART, ids=str)
def test_what_concerns_different_things_commutes(one: Command, other: Command) -> None:
    assert commute(one, other)
    assert commute(other, one)
    assert first_difference([one, other], [other, one]) is None


@pytest.mark.parametrize(("one", "other"), TOGETHER, ids=str)
def test_what_concerns_the_same_is_in_order(one: Command, other: Command) -> None:
    assert not commute(one, other)
    assert not commute(other, one)
    assert first_difference([one, other], [other, one]) == (one, other)


def test_each_kind_that_need_not_commute_has_an_example_and_no_other_kind_has() -> None:
    kinds = {(type(one), type(other)) for one, other in TOGETHER}
    assert kinds == set(IN_ORDER)


def test_a_command_too_many_or_too_few_is_told() -> None:
    assert first_difference([DIAL, ASK], [ASK]) == (DIAL, None)
    assert first_difference([ASK], [ASK, DIAL]) == (None, DIAL)


def test_swaps_of_several_commands_are_seen_through() -> None:
    """Of all orders, those are alike that keep each pair in order which has to be."""
    said: list[Command] = [Emit("one"), Arm("retry", 1.0), Emit("two"), Disarm(("retry",))]
    for order in permutations(said):
        kept = order.index(said[0]) < order.index(said[2])
        stopped = order.index(said[1]) < order.index(said[3])
        assert (first_difference(said, order) is None) == (kept and stopped)
