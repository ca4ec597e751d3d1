"""Which commands may change places without anybody being able to tell.

A shell obeys the commands of a step in one go: no adapter, listener or awaiter runs in between. So
the order of two of them matters only if both do something to the same thing, or if what they begin
is heard of in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import eq
from typing import Final

from .commands import (
    Arm,
    Bound,
    Cancel,
    Close,
    Command,
    Disarm,
    Emit,
    Keep,
    Perform,
    Settle,
)

IN_ORDER: Final = {
    (Emit, Emit): "listeners hear of events in their order",
    (Emit, Settle): "an event is told before the awaiter of the call that it announces goes on",
    (Perform, Perform): "requests on one lane, or of one link, go out in their order",
    (Perform, Cancel): "a request that is made after its lane was cancelled is not cancelled",
    (Perform, Keep): "what is asked of a link follows its being kept",
    (Perform, Close): "nothing is asked of a link that is closed",
    (Keep, Close): "a link that is kept and then closed is closed",
    (Arm, Arm): "a timer runs as long as it was armed to last",
    (Arm, Disarm): "a timer that is armed and then disarmed does not run",
    (Bound, Settle): "a call that has ended has no time to run out",
}
"""The kinds of commands that need not commute, each with the reason, when both concern the same.
Others always do: two calls that end in one step were promised no order among each other.
"""


def commute(one: Command, other: Command) -> bool:
    """Whether it makes no difference which of two commands of a step comes first."""
    match one, other:
        case Emit(), Emit() | Settle():
            return False
        case Perform(first), Perform(second):
            return first.lane != second.lane and not (
                first.link is not None and first.link == second.link
            )
        case Perform(request), Cancel(lanes):
            return request.lane not in lanes
        case (Perform(request), Keep(link)) | (Perform(request), Close(link)):
            return request.link != link
        case Keep(kept), Close(closed):
            return kept != closed
        case Arm(timer), Arm(again):
            return timer != again
        case Arm(timer), Disarm(timers):
            return timer not in timers
        case Bound(call), Settle(ended):
            return call != ended
        case _:
            return (type(other), type(one)) not in IN_ORDER or commute(other, one)


def first_difference(
    one: Sequence[Command],
    other: Sequence[Command],
    same: Callable[[Command, Command], bool] = eq,
) -> tuple[Command | None, Command | None] | None:
    """None if both are the same up to swaps of commands that commute, else the first command of
    `one` that `other` has not in this place, and what it has instead (None: nothing more).
    """
    left = list(other)
    for command in one:
        for place, each in enumerate(left):
            if same(command, each):
                del left[place]
                break
            if not commute(command, each):
                return command, each
        else:
            return command, None
    return (None, left[0]) if left else None
