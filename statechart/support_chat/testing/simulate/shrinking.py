"""A failing schedule made as short as it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from .plan import Plan
from .verdict import Verdict

_SALTS: Final = 3
"""With how many other chances a shorter plan is tried before it counts as well: an order of
callbacks that broke a promise seldom survives the loss of a move.
"""


def shrunk(failing: Verdict, play: Callable[[Plan], Verdict]) -> Verdict:
    """The shortest schedule found that breaks one of the same promises: of fewer moves, on fewer
    tabs. `play` plays a plan.
    """
    promises = {violation.promise for violation in failing.violations}
    best = failing

    def fails(plan: Plan) -> bool:
        nonlocal best
        for salt in range(plan.salt, plan.salt + _SALTS):
            verdict = play(attrs.evolve(plan, salt=salt))
            if promises & {violation.promise for violation in verdict.violations}:
                best = verdict
                return True
        return False

    size = max(1, len(best.plan.moves) // 2)
    while size:
        at = 0
        while at < len(best.plan.moves):
            moves = best.plan.moves
            if not fails(attrs.evolve(best.plan, moves=moves[:at] + moves[at + size :])):
                at += size
        size //= 2
    return best
