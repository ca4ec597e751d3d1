"""What somebody can wait for, and which steps of a model end that."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final

import attrs

from ...chart.model import (
    Abandon,
    Answer,
    Ask,
    Chart,
    Derived,
    Detach,
    Done,
    EffectSpec,
    Fail,
    Hold,
    Join,
    Refuse,
    Settle,
)
from ..model import Model
from ..ways import Way
from .durations import Term, limited

WAITS: Final = -1
"""They wait on."""
OVER: Final = 0
"""They wait no more."""


@attrs.frozen(eq=False)
class Waiting:
    """Somebody waits.

    `after` says what becomes of them by a step, to a state: `WAITS`, `OVER`, or the bits of the
    asks of which the one that was under way is all that they wait for from now on. After their
    `own` time they wait no more, whatever happens. Timers in `latest`, by their bits, run out
    within so much time from the beginning of the wait, however often they are started anew: what
    they count from was before. As long as somebody waits they have something to run for.
    """

    after: Callable[[Way, int], int]
    own: Term | None = None
    latest: Mapping[int, Term] = attrs.field(factory=dict[int, Term])
    clocks: int | None = None
    needs: tuple[int, ...] = ()
    kept: str = ""

    def allows(self, begins: Collection[int], state: int) -> bool:
        """Whether a step that begins this (bits) may lead to this state while they wait."""
        return all(state & bit for bit in self.latest if bit in begins) and all(
            state & bits for bits in self.needs
        )


class Calls:
    """The calls of a model's chart, with these settings: what each waits for once it is made.

    Raises InvalidInputError for a limit that the settings have not.
    """

    def __init__(self, model: Model, settings: Any) -> None:
        self._model, self._settings = model, settings
        self._slots, self._replies, self._kept = (
            cache(self._in_slot),
            cache(self._for_reply),
            cache(self._kept_for),
        )

    def begun_by(self, way: Way) -> Sequence[Waiting] | None:
        """What the call that has caused this step waits for after it, one of these; nothing if it
        is answered at once. None: nobody answers it, as it is with what is no call.
        """
        waits: Sequence[Waiting] | None = None
        slot = ""
        for effect, spec in specs_of(self._model.chart, way):
            match spec:
                case Done() | Refuse():
                    return ()
                case Join():
                    slot, waits = spec.slot, (self._slots(spec.slot, spec.limit),)
                case Settle() | Fail() if spec.slot == slot:
                    return ()
                case Ask(several=True, batch=False):
                    return (self._replies(effect),)
                case Hold():
                    ways = ((spec.limit, False), (spec.linked, True))
                    return [self._kept(effect, limit, linked) for limit, linked in ways if limit]
                case _:
                    pass
        return waits

    def _in_slot(self, slot: str, limit: str | None) -> Waiting:
        """Until the slot is settled or failed. A call that is detached from it waits for what is
        under way on a lane alone.
        """
        chart, asked = self._model.chart, self._model.asked

        @cache
        def after(way: Way) -> int:
            for _, spec in specs_of(chart, way):
                if isinstance(spec, Settle | Fail) and spec.slot == slot:
                    return OVER
                if isinstance(spec, Detach) and slot in spec.slots:
                    return sum(
                        bit for effect, bit in asked.items() if _lane(chart, effect) == spec.lane
                    )
            return WAITS

        own = None if limit is None else limited(slot, limit, self._settings)
        return Waiting(lambda way, _: after(way), own)

    def _for_reply(self, effect: str) -> Waiting:
        """Until that has ended which it has asked, one of several, or the lane is given up."""
        chart = self._model.chart
        lane, limit = _lane(chart, effect), getattr(chart.effects[effect], "limit", "")

        @cache
        def given_up(way: Way) -> bool:
            specs = (spec for _, spec in specs_of(chart, way) if isinstance(spec, Abandon))
            return any(lane in spec.lanes for spec in specs)

        def after(way: Way, _: int) -> int:
            return OVER if given_up(way) else WAITS

        return Waiting(after, limited(effect, limit, self._settings))

    def _kept_for(self, effect: str, limit: str, linked: bool) -> Waiting:
        """Until nothing is kept any more, and that is told; the timer sees to its time."""
        model, chart = self._model, self._model.chart
        spec = chart.effects[effect]
        timer = spec.timer if isinstance(spec, Hold) else None
        keeps = sum(
            model.fact[fact]
            for fact, kind in chart.facts.items()
            if isinstance(kind, Derived) and effect in kind.sets
        )
        needs = (keeps, sum(model.open.values())) if linked else (keeps,)

        @cache
        def tells(way: Way) -> bool:
            return any(isinstance(spec, Answer) for _, spec in specs_of(chart, way))

        def after(way: Way, state: int) -> int:
            return WAITS if all(state & bits for bits in needs) or not tells(way) else OVER

        time, bit = limited(effect, limit, self._settings), model.running[timer] if timer else 0
        return Waiting(after, latest={bit: time}, clocks=bit, needs=needs, kept=limit)


NOBODY_ANSWERS: Final = Waiting(lambda way, state: WAITS, clocks=0)
"""A call waits for nothing that could end."""


def during(
    model: Model, phases: Collection[str], timers: Collection[str], latest: Mapping[str, Term]
) -> Waiting:
    """Somebody waits until the session is in none of these phases any more, which these timers see
    to; `latest` are those that count from what was before.
    """
    those = frozenset(phase for phase in model.phases if phase in phases)
    return Waiting(
        lambda _, state: WAITS if model.phase_of(state) in those else OVER,
        latest={model.running[timer]: term for timer, term in latest.items()},
        clocks=sum(model.running[timer] for timer in timers),
    )


def specs_of(chart: Chart, way: Way) -> list[tuple[str, EffectSpec]]:
    """The effects of a step and what they declare, in order."""
    return [(effect, chart.effects[effect]) for row in way.rows for effect in row.effects]


def _lane(chart: Chart, effect: str) -> str:
    spec = chart.effects[effect]
    return spec.lane if isinstance(spec, Ask) else ""
