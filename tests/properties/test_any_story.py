"""Any story: whatever is called, whatever goes wrong around it, a real session keeps its promises.

Hypothesis tells stories of two sessions on one storage and one backend (`stories`). After each step
every promise is looked at. In the end both sessions are destroyed, whatever goes wrong, nothing may
be left, and what they did must be what the checker has explored.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

from stories.moves import MOVES
from stories.world import Move, World


class Stories(RuleBasedStateMachine):
    """One world; its rules are the moves."""

    @initialize(scopes=st.sampled_from([("default", "default"), ("a", "a/b"), ("a%2Fb", "a/b")]))
    def two_sessions(self, scopes: tuple[str, str]) -> None:
        self.world = World(scopes)

    def teardown(self) -> None:
        try:
            assert self.world.end() == []
        finally:
            self.world.close()


def _rule(move: Move) -> Any:
    def happens(self: Stories, session: int, data: st.DataObject) -> None:
        choose = lambda options: data.draw(st.sampled_from(options))  # noqa: E731
        assert self.world.happen(move, session, choose) == []

    happens.__name__ = move.__name__
    return rule(session=st.integers(0, 1), data=st.data())(happens)


for _move in MOVES:
    setattr(Stories, _move.__name__, _rule(_move))


def test_any_story() -> None:
    run_state_machine_as_test(Stories)
