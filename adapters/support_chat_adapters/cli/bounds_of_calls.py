"""`support-chat check --bounds`: how long each call can wait, by which limits."""

from __future__ import annotations

import argparse
import math
from typing import Any

import attrs

from support_chat import Chart, InvalidInputError, Settings
from support_chat.verify import explore
from support_chat.verify.bounds import Bounds, bounds

from ..diagrams.bounds import bounds_tables
from .charts import load
from .terminal import Misuse, as_json, emit


def print_bounds(chart: Chart, arguments: argparse.Namespace) -> int:
    """Prints them, as Markdown or as JSON; 0."""
    settings = _settings(arguments)
    try:
        if arguments.json:
            emit(to_json(chart, bounds(explore(chart), settings)))
        else:
            emit(bounds_tables(chart, settings))
    except InvalidInputError as error:
        raise Misuse(f"--bounds: {error}") from error
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    if not arguments.bounds:
        return Settings()
    found = load(arguments.bounds, "--bounds ", arguments.app_dir, "settings", _are_settings)
    if not isinstance(found, Settings):
        raise Misuse(f"--bounds {arguments.bounds}: this is no support_chat.Settings")
    return found


def _are_settings(value: object) -> bool:
    return isinstance(value, Settings)


def to_json(chart: Chart, found: Bounds) -> str:
    """The bounds as JSON. A wait without end has null for its seconds: JSON has no infinity."""
    return as_json(
        "bounds",
        {
            "chart": chart.name,
            "calls": [_finite(attrs.asdict(each)) for each in found.calls],
            "told": [_finite(attrs.asdict(each)) for each in found.told],
            "limits": [attrs.asdict(each) for each in found.limits],
            "timers": [
                {"timer": timer, "delay": delay, **span._asdict()}
                for timer, delay, span in found.timers
            ],
        },
        indent=2,
    )


def _finite(bound: dict[str, Any]) -> dict[str, Any]:
    for wait in (bound["alone"], bound["beside"]):
        if math.isinf(wait["seconds"]):
            wait["seconds"] = None
    return bound
