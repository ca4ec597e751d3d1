"""The model checker: explores every reachable state of a chart and its ledger, and decides
properties on it.

`check(chart, properties)` is the way in; `CATALOGUE` (in `support_chat.verify.catalogue`) holds the
properties of the shipped chart. A property of your own is an `Always`, `EachStep`, `EachEffect`,
`Structure`, `Eventually` or `CanReach` with a small function.
"""

from .explore import Space, explore
from .generic import generic
from .model import Model, Step
from .properties import (
    Always,
    CanReach,
    EachEffect,
    EachStep,
    Elsewhere,
    Eventually,
    Property,
    Report,
    Structure,
    Verdict,
    check,
    decide,
    decide_all,
)
from .story import Occurrence, occurrences, sequence, story
from .views import Move, View

__all__ = [
    "Always",
    "CanReach",
    "EachEffect",
    "EachStep",
    "Elsewhere",
    "Eventually",
    "Model",
    "Move",
    "Occurrence",
    "Property",
    "Report",
    "Space",
    "Step",
    "Structure",
    "Verdict",
    "View",
    "check",
    "decide",
    "decide_all",
    "explore",
    "generic",
    "occurrences",
    "sequence",
    "story",
]
