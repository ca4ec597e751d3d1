"""What the engine tells a shell to do, as data: to be done in order, each by one line of a shell.

Events stand in the same list, before what they announce. (None of these has slots: a step makes
several, and attrs initialises a frozen class without them in half the time.)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs


@attrs.frozen(slots=False)
class Request:
    """What an adapter is asked for; the shell gives it back with each of its outcomes.

    `payload` has all that the adapter needs and nothing of another identity. `effect` and `lane`
    are the chart's; `number` tells it from every other request, `call` is the call that it is made
    for alone, `link` the number of the link that it uses. A link has the number of the request that
    opened it.
    """

    effect: str
    lane: str
    number: int
    payload: Any
    call: int | None = None
    link: int | None = None


@attrs.frozen(slots=False)
class Perform:
    """Ask an adapter; report its outcome, at the latest after `limit` seconds."""

    request: Request
    limit: float


@attrs.frozen(slots=False)
class Cancel:
    """Cancel what is under way on these lanes; what ends all the same is reported all the same."""

    lanes: tuple[str, ...]


@attrs.frozen(slots=False)
class Arm:
    """Start a timer, or start it anew, to run for so many seconds."""

    timer: str
    seconds: float


@attrs.frozen(slots=False)
class Disarm:
    """Stop these timers; one that does not run is fine."""

    timers: tuple[str, ...]


@attrs.frozen(slots=False)
class Bound:
    """This call may wait for so many seconds; report if it then still does."""

    call: int
    seconds: float


@attrs.frozen(slots=False)
class Settle:
    """End this call, with a result or with an error; each call is settled once."""

    call: int
    result: Any = None
    error: Exception | None = None


@attrs.frozen(slots=False)
class Keep:
    """Listen to this link: it is the session's from now on."""

    link: int


@attrs.frozen(slots=False)
class Close:
    """Abort this link; nothing of it is heard any more."""

    link: int


@attrs.frozen(slots=False)
class Emit:
    """Tell listeners of this event, once the step is over. The shell stamps it."""

    event: Any


Command: TypeAlias = Perform | Cancel | Arm | Disarm | Bound | Settle | Keep | Close | Emit
"""One thing for a shell to do."""
