"""A step in the chart's names alone, for a log: nothing of what a call, an answer or an error says
is in it.
"""

from __future__ import annotations

from typing import Any

from .engine import Program, Reaction
from .inputs import Input, Outcome
from .snapshot import Snapshot


def told(program: Program, before: Snapshot, happened: Input, reaction: Reaction) -> dict[str, Any]:
    """The step as `support-chat trace` reads it: `trigger`, `of`, `late`, `facts` (those that a row
    here reads, as they were), `rows` and `phase`; empty if the chart was asked nothing.

    Of users it says no more than the chart's facts do: whether somebody is named, and whether it is
    the same one.
    """
    if not reaction.fired:
        return {}
    first, machine = reaction.fired[0], program.machine
    step: dict[str, Any] = {"trigger": str(first.trigger)}
    if isinstance(happened, Outcome):
        step["of"] = str(happened.request.effect)
    if first.facts & machine.late:
        step["late"] = True
    else:
        registers = (*before.state.registers, first.named)
        held = before.state.facts | first.facts | machine.derive(registers)
        rows = program.chart.rows(first.phase, first.trigger)
        read = machine.mask(fact for row in rows for fact in (*row.when, *row.unless))
        names = machine.names(read & ~machine.late)
        step["facts"] = {str(fact): bool(held & machine.bits[fact]) for fact in names}
    known = (row.name for row in reaction.rows if row.trigger)
    return {**step, "rows": list(known), "phase": str(reaction.snapshot.state.phase)}
