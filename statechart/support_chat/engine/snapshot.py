"""The snapshot: everything that a session is, between two steps, in one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from ..chart.machine import State

_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})


@attrs.frozen(slots=True)
class Waiter:
    """A call that waits: its number and its trigger."""

    call: int
    trigger: str


@attrs.frozen(slots=True)
class Asking:
    """What was asked of the open link, beside others: by which effect, and for which call. For what
    was asked in a batch no call waits.
    """

    effect: str
    waiter: Waiter | None = None


@attrs.frozen(slots=False)
class Snapshot:
    """Where a session stands: the chart's state, the context, and who waits for what.

    `current` has the number of the request that is current on each lane, in the order of the
    engine's lanes, 0 for none; `serial` is the highest number given. `link` is the open link's
    number, `leaving` those of links that say goodbye. `slots` has the calls waiting in each slot,
    `detached` those that wait for one request alone, `asking` what was asked of the link, by
    the request's number, `held` the calls that the context keeps; `abandoned` are calls that nobody
    awaits.
    """

    state: State
    context: Any
    current: tuple[int, ...] = ()
    serial: int = 0
    link: int | None = None
    leaving: tuple[int, ...] = ()
    slots: Mapping[str, tuple[Waiter, ...]] = _NONE
    detached: Mapping[int, tuple[Waiter, ...]] = _NONE
    asking: Mapping[int, Asking] = _NONE
    held: frozenset[int] = frozenset()
    abandoned: frozenset[int] = frozenset()

    @property
    def waiting(self) -> frozenset[int]:
        """Every call that has not been settled."""
        groups = (*self.slots.values(), *self.detached.values())
        waiting = {waiter.call for group in groups for waiter in group}
        asking = {each.waiter.call for each in self.asking.values() if each.waiter is not None}
        return self.held | waiting | asking
