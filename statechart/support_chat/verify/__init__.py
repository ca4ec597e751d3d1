"""The model checker: explores every reachable state of a chart and its ledger, and decides properties on it.

`check(chart, properties)` is the way in; `CATALOGUE` (in `support_chat.verify.catalogue`) holds the properties of the shipped chart.
A property of your own is an `Always`, `EachStep`, `EachEffect`, `Structure`, `Eventually` or `CanReach` with a small function.
"""

from .explore import Space, Step, explore
from .model import Model
from .properties import (
    Always,
    CanReach,
    EachEffect,
    EachStep,
    Eventually,
    Property,
    Report,
    Structure,
    Verdict,
    check,
)
from .views import Move, View

__all__ = [
    "Always",
    "CanReach",
    "EachEffect",
    "EachStep",
    "Eventually",
    "Model",
    "Move",
    "Property",
    "Report",
    "Space",
    "Step",
    "Structure",
    "Verdict",
    "View",
    "check",
    "explore",
]
