"""The moment: one trigger with everything that comes with it, as a chart's functions see it."""

from __future__ import annotations

from typing import Any

import attrs

from .commands import Request
from .inputs import Now


@attrs.define(slots=True)
class Moment:
    """One trigger, and what it brings along.

    `arguments` are a call's, `result` and `error` an outcome's or an event's, of the `request` that
    has ended. An internal trigger brings nothing but the time. `failure` is the error that calls
    are told: the row's, or the one that came. Nobody but the engine changes a moment.
    """

    trigger: str
    now: Now
    settings: Any
    keys: Any
    call: int | None = None
    arguments: Any = None
    result: Any = None
    error: Exception | None = None
    request: Request | None = None
    made: str = ""
    """The trigger of the call that was made; an internal trigger may carry it on."""
    late: bool = False
    """Whether it is superseded."""
    named: str | None = None
    """Whom it names."""
    failure: Exception | None = None
