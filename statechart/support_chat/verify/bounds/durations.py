"""How long whatever a ledger holds can last: what an adapter is asked its limit, a timer the most
of its delay, a call in a slot its own limit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from ...chart.model import Arm, Ask, Join, Span
from ...errors import InvalidInputError
from ..model import Model


@attrs.frozen
class Term:
    """A part of a wait: `what` lasts at most `seconds`, which `limit` says (an attribute of
    Settings, or what else sets it).
    """

    what: str
    limit: str
    seconds: float


@attrs.frozen
class Durations:
    """How long everything can last: what an effect has begun (`begun`, by the effect), and what a
    bit of the ledger stands for, whichever effect has begun it (`longest`, by the bit).
    """

    bits: Mapping[str, int]
    """The bit of the ledger that an effect sets of which the end is timed."""
    begun: Mapping[str, Term]
    longest: Mapping[int, Term] = attrs.field(
        init=False, default=attrs.Factory(lambda self: self._longest_of_each(), takes_self=True)
    )

    def _longest_of_each(self) -> Mapping[int, Term]:
        longest: dict[int, Term] = {}
        for effect, term in self.begun.items():
            bit = self.bits[effect]
            if bit not in longest or term.seconds > longest[bit].seconds:
                longest[bit] = term
        return longest

    def stretched(self, limits: Collection[str], times: float) -> Durations:
        """With these limits so many times as long."""
        longer = {
            effect: attrs.evolve(term, seconds=term.seconds * times)
            for effect, term in self.begun.items()
            if term.limit in limits
        }
        return Durations(self.bits, {**self.begun, **longer})


def durations(model: Model, settings: Any) -> Durations:
    """How long everything in this model's ledger can last with these settings.

    Raises InvalidInputError for a limit that the settings have not, and for a delay of which the
    chart does not say how long it is.
    """
    bits: dict[str, int] = {}
    begun: dict[str, Term] = {}
    for effect, spec in model.chart.effects.items():
        match spec:
            case Ask(limit=limit):
                bits[effect] = model.asked[effect]
                begun[effect] = limited(effect, limit, settings)
            case Arm(timer=timer, delay=delay):
                span = span_of(model, delay, settings)
                bits[effect] = model.running[timer]
                begun[effect] = Term(timer, span.by, span.most)
            case Join(slot=slot, limit=str(limit)):
                bits[effect] = model.waiting[slot]
                begun[effect] = limited(slot, limit, settings)
            case _:
                pass
    return Durations(bits, begun)


def limited(what: str, limit: str, settings: Any) -> Term:
    """What lasts as long as the settings say. Raises InvalidInputError if they do not."""
    seconds = getattr(settings, limit, None)
    if not isinstance(seconds, int | float):
        raise InvalidInputError(
            f"The chart has a limit {limit!r}, and {type(settings).__name__} has none of that name."
        )
    return Term(what, limit, seconds)


def span_of(model: Model, delay: str, settings: Any) -> Span:
    """How long this delay is. Raises InvalidInputError if the chart does not say."""
    semantics = model.chart.semantics
    if semantics is None or delay not in semantics.spans:
        raise InvalidInputError(
            f"The chart {model.chart.name!r} does not say how long the delay {delay!r} is: add it "
            "to the `spans` of its semantics."
        )
    return semantics.spans[delay](settings)
