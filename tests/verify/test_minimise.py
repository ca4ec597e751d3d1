"""Minimising keeps what can be told apart, and nothing else: hand-made systems, and random ones
against the definition of branching bisimulation, word for word.
"""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings, strategies as st

from support_chat.verify.composition.minimise import HIDDEN, Minimal, System, minimise

A, B = 1, 2


def blocks(*moves: list[tuple[int, int]], seen: str | None = None) -> list[int]:
    return list(minimise(System(seen or "x" * len(moves), moves)).block_of)


def test_states_that_do_the_same_are_one() -> None:
    assert blocks([(A, 1)], [(A, 0)]) == [0, 0]


def test_a_hidden_step_that_changes_nothing_is_no_step() -> None:
    assert blocks([(HIDDEN, 1)], [(A, 2)], []) == [0, 0, 1]


def test_a_hidden_step_that_gives_up_a_choice_counts() -> None:
    assert blocks([(A, 2), (HIDDEN, 1)], [(B, 2)], []) == [0, 1, 2]


def test_what_is_seen_of_a_state_counts() -> None:
    assert blocks([(HIDDEN, 1)], [], seen="xy") == [0, 1]


def test_a_round_of_hidden_steps_is_no_step() -> None:
    assert blocks([(HIDDEN, 1)], [(HIDDEN, 0), (A, 2)], []) == [0, 0, 1]


def test_whether_hidden_steps_go_round_for_ever_is_not_kept() -> None:
    assert blocks([(HIDDEN, 0)], []) == [0, 0]


def test_the_blocks_are_a_system_with_a_member_each_and_no_hidden_step_within() -> None:
    found = minimise(System("xxy", [[(HIDDEN, 1)], [(A, 2), (HIDDEN, 0)], [(B, 0)]]))
    assert found == Minimal([0, 0, 1], [0, 2], System(["x", "y"], [[(A, 1)], [(B, 0)]]))


@st.composite
def systems(draw: st.DrawFn) -> System:
    count = draw(st.integers(1, 7))
    move = st.tuples(st.sampled_from((HIDDEN, HIDDEN, A, B)), st.integers(0, count - 1))
    moves = [draw(st.lists(move, max_size=3)) for _ in range(count)]
    return System(draw(st.text("xy", min_size=count, max_size=count)), moves)


def alike(system: System) -> set[tuple[int, int]]:
    """Which states are branching bisimilar, blind to divergence: the greatest relation in which
    each step of one is answered by the other, after hidden steps to states alike. A step that
    changes what is seen is not hidden.
    """
    count = range(len(system.moves))
    found = {(s, t) for s, t in product(count, count) if system.seen[s] == system.seen[t]}

    def hidden_from(start: int) -> set[int]:
        reached, todo = {start}, [start]
        for state in todo:
            for label, after in system.moves[state]:
                same = system.seen[after] == system.seen[start]
                if label == HIDDEN and same and after not in reached:
                    reached.add(after)
                    todo.append(after)
        return reached

    def answered(s: int, t: int) -> bool:
        return all(
            (label == HIDDEN and (after, t) in found)
            or any(
                (s, between) in found and other == label and (after, then) in found
                for between in hidden_from(t)
                for other, then in system.moves[between]
            )
            for label, after in system.moves[s]
        )

    while True:
        kept = {(s, t) for s, t in found if answered(s, t) and answered(t, s)}
        if kept == found:
            return found
        found = kept


@given(systems())
@settings(max_examples=300)
def test_states_are_in_one_block_exactly_if_they_are_bisimilar(system: System) -> None:
    found = minimise(system).block_of
    count = range(len(system.moves))
    together = {(s, t) for s, t in product(count, count) if found[s] == found[t]}
    assert together == alike(system)


@given(systems())
def test_what_is_minimal_gets_no_smaller(system: System) -> None:
    found = minimise(system)
    again = minimise(found.system)
    assert len(again.member) == len(found.member)
    assert again.system == found.system


@pytest.mark.parametrize("seen", ["xxx", "xyx"])
def test_the_first_state_is_in_the_first_block(seen: str) -> None:
    assert blocks([(A, 1)], [(A, 2)], [(A, 0)], seen=seen)[0] == 0
