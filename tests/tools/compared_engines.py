"""Rumur and this package's own engine, side by side on one chart: how many states and steps, and
in how many of them each property is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from support_chat.chart.model import Chart
from support_chat.verify import Property, explore
from support_chat.verify.deciding import counterexamples
from support_chat_adapters.murphi import rumur
from support_chat_adapters.murphi.model import Murphi, to_murphi
from support_chat_adapters.murphi.names import quoted


@attrs.frozen
class Counts:
    """What an engine has seen: states, steps, the states or steps that break each property by its
    id, and the error that stopped it.
    """

    states: int
    steps: int
    broken: Mapping[str, int]
    error: str = ""


def by_rumur(murphi: Murphi, text: str | None = None) -> Counts:
    """What Rumur counts, of the model or of a doctored text of it."""
    seen = rumur.explore(murphi.text if text is None else text, threads=1, limit=300)
    ids = (each.property.id for each in murphi.judged.judgements)
    broken = {id: count for id in ids if (count := seen.counts.get(quoted(id)[1:-1], 0))}
    return Counts(seen.states, seen.steps, broken, seen.error)


def by_us(chart: Chart, murphi: Murphi) -> Counts:
    """What our own engine counts, of the properties that the model judges."""
    space = explore(chart)
    wanted = [each.property for each in murphi.judged.judgements]
    counts = {each.id: sum(1 for _ in counterexamples(space, each)) for each in wanted}
    broken = {id: count for id, count in counts.items() if count}
    return Counts(len(space.states), len(space.ways), broken)


def counted(chart: Chart, properties: Iterable[Property]) -> Murphi:
    """The model that counts."""
    return to_murphi(chart, properties, counted=True)
