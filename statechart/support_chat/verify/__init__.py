"""The model checker: explores every reachable state of a chart and its ledger, and decides
properties on it.

`check(chart, properties)` is the way in; `CATALOGUE` (in `support_chat.verify.catalogue`) holds the
properties of the shipped chart. A property of your own is an `Always`, `EachStep`, `EachEffect`,
`Structure`, `LeadsTo`, `Eventually`, `Until` or `CanReach` with small functions.

`trace_log(chart, lines)` judges the log of a client that runs the chart, in any language.

Several sessions that share a storage or a backend are a `Composition` of `Component`s, `Place`s and
`Rule`s; `check_whole(composition)` decides its `Invariant`s, `StepInvariant`s and `Possible`s.
"""

from .composition.expanding import Told
from .composition.explore import Judgement, Product, check_whole
from .composition.model import (
    Act,
    Component,
    Composition,
    Invariant,
    Place,
    PlaceMove,
    Places,
    Possible,
    Rule,
    StepInvariant,
    Taken,
)
from .composition.story import each_story, whole_story
from .deciding import check, decide, decide_all
from .explore import Space, explore
from .generic import generic
from .model import Model, Step
from .possible import Possibility, Traced, trace_log
from .properties import (
    Always,
    CanReach,
    EachEffect,
    EachStep,
    Elsewhere,
    Eventually,
    LeadsTo,
    Property,
    Report,
    Structure,
    Until,
    Verdict,
)
from .story import Occurrence, occurrences, sequence, story
from .views import Move, View

__all__ = [
    "Act",
    "Always",
    "CanReach",
    "Component",
    "Composition",
    "EachEffect",
    "EachStep",
    "Elsewhere",
    "Eventually",
    "Invariant",
    "Judgement",
    "LeadsTo",
    "Model",
    "Move",
    "Occurrence",
    "Place",
    "PlaceMove",
    "Places",
    "Possibility",
    "Possible",
    "Product",
    "Property",
    "Report",
    "Rule",
    "Space",
    "Step",
    "StepInvariant",
    "Structure",
    "Taken",
    "Told",
    "Traced",
    "Until",
    "Verdict",
    "View",
    "check",
    "check_whole",
    "decide",
    "decide_all",
    "each_story",
    "explore",
    "generic",
    "occurrences",
    "sequence",
    "story",
    "trace_log",
    "whole_story",
]
