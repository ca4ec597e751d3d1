"""`check` by Rumur: the verdicts of a model that Rumur explores, with the stories told as ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

import attrs

from support_chat.chart.model import Chart
from support_chat.verify.model import Model
from support_chat.verify.properties import Elsewhere, Property, Structure, Verdict

from .model import Murphi, to_murphi
from .names import quoted
from .retold import retold
from .rumur import Explored, explore

BY: Final = "this package's own engine"
"""Who decides what is left out."""


@attrs.frozen
class ByRumur:
    """What Rumur has seen of a chart: states and steps, how often each property is broken, by its
    id, the verdicts, and the properties that are not decided by it.
    """

    model: Model
    states: int
    steps: int
    broken: dict[str, int]
    verdicts: tuple[Verdict, ...]
    elsewhere: tuple[Elsewhere, ...]

    @property
    def held(self) -> bool:
        """Whether every property holds that Rumur decides."""
        return all(verdict.held for verdict in self.verdicts)


def check(
    chart: Chart,
    properties: Iterable[Property],
    *,
    users: int | None = None,
    again: Callable[[Property], str] = lambda each: f"support-chat check --property '{each.id}'",
) -> ByRumur:
    """Explores a chart with Rumur, on all cores, and decides what can be asked of it; for each
    property that is broken once more, for the way to it. `again` says where a property is decided
    that is left out.

    Raises NoRumurError where Rumur or a C compiler is missing, DisagreementError where Rumur and
    this package's engine do not agree, UnknownNameError as `to_murphi`.
    """
    wanted = tuple(properties)
    model = Model(chart, users)
    counted = to_murphi(chart, wanted, users=users, counted=True)
    seen = explore(counted.text)
    verdicts: list[Verdict] = []
    elsewhere: list[Elsewhere] = []
    broken: dict[str, int] = {}
    for each in wanted:
        if (why := counted.judged.left_out.get(each.id)) is None:
            broken[each.id] = seen.counts.get(quoted(each.id)[1:-1], 0)
            verdicts.append(_verdict(chart, each, model, users, broken[each.id]))
        elif isinstance(each, Structure) and (faults := _faults(chart, each)) is not None:
            verdicts.append(Verdict(each, not faults, detail="; ".join(faults)))
        else:
            told = "it asks what was explored" if isinstance(each, Structure) else why
            by = f"{BY}, since {told}"
            elsewhere.append(Elsewhere(each.id, each.sentence, by, again(each)))
    return ByRumur(model, seen.states, seen.steps, broken, tuple(verdicts), tuple(elsewhere))


def _verdict(
    chart: Chart, wanted: Property, model: Model, users: int | None, broken: int
) -> Verdict:
    if not broken:
        return Verdict(wanted, True)
    murphi = to_murphi(chart, [wanted], users=users)
    return Verdict(wanted, False, retold(murphi, model, wanted, _way(murphi).way))


def _way(murphi: Murphi) -> Explored:
    """To the first error; one thread goes the shortest way, and the same each time."""
    return explore(murphi.text, threads=1)


class _NotExploredError(Exception):
    """A property of the chart asks for states that this engine has not."""


class _NotExplored:
    def __getattr__(self, name: str) -> Any:
        raise _NotExploredError(name)


def _faults(chart: Chart, wanted: Structure) -> Sequence[str] | None:
    """What is wrong with the chart itself; None if states have to be asked."""
    try:
        return wanted.faults(chart, cast("Any", _NotExplored()))
    except _NotExploredError:
        return None
