"""Two chat panels of one person, in two windows: each learns of messages by a stream of its own,
and shows a badge until what came is read.

`AT_FIRST` are two panels as docs/examples/panel.py has them, `MENDED` two that are told what was
read in the other one. docs/check-several-charts.md walks through them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
from panel import CHART, PHASES

from support_chat import Chart, Transition
from support_chat.verify import (
    Act,
    Component,
    Composition,
    Invariant,
    Place,
    PlaceMove,
    Places,
    Possible,
    Rule,
    View,
)

# fmt: off


def reads(view: View) -> bool:
    """Whether somebody looks at the conversation."""
    return view.phase == "open" and view.has("focused")


def badge(view: View) -> bool:
    """Whether the badge is shown."""
    return view.has("unread")


def told(places: Places, what: str, but: int | None = None) -> Places:
    """The places with this at the end of every stream, but for one."""
    for window, stream in enumerate(places.stream):
        if window != but:
            places = places.put(window, stream=(*stream, what))
    return places


def written(places: Places, me: int) -> Iterator[Places]:
    """Somebody writes a message: it is unread, and on its way to every window."""
    if max(map(len, places.stream)) < 2:
        yield told(places.put(me, unread=True), "message")


READ_ELSEWHERE: Final = Transition(
    name="unread.elsewhere", group="unread", trigger="read_elsewhere", sources=PHASES,
    clears="unread",
)

TOLD: Final = attrs.evolve(
    CHART,
    triggers=(*CHART.triggers, "read_elsewhere"),
    external=(*CHART.external, "read_elsewhere"),
    transitions=(*CHART.transitions, READ_ELSEWHERE),
)


def windows(chart: Chart, *events: str) -> Composition:
    """Two windows with this chart, which hears these events of the server."""

    def looked(places: Places, me: int, act: Act) -> Iterator[Places]:
        # whoever has heard all, and looks, has read it
        if act.after.reads and places.unread and not places.stream[me]:
            places = places.put(me, unread=False)
            if "read_elsewhere" in events:
                places = told(places, "read_elsewhere", but=me)
        yield places

    def heard(places: Places, me: int, act: Act) -> Iterator[Places]:
        first, rest = places.stream[me][:1], places.stream[me][1:]
        if first == (act.trigger,):
            yield from looked(places.put(me, stream=rest), me, act)

    return Composition(
        name="windows",
        components=(
            Component(name="window", chart=chart, copies=2, sees={"reads": reads, "badge": badge}),
        ),
        places=(
            Place(name="unread", doc="the server has what nobody has read", initial=False),
            Place(name="stream", doc="what a window will hear", initial=(), each="window"),
        ),
        rules=(
            Rule(of="window", on=events, changes=("unread", "stream"), does=heard),
            Rule(of="window", on=LOOKS, changes=("unread", "stream"), does=looked),
        ),
        moves=(
            PlaceMove(name="a message is written", changes=("unread", "stream"), does=written),
        ),
        properties=(
            Invariant("W1", "Once all is heard, a badge is shown if something is unread.",
                      lambda w: any(w.places.stream)
                      or all(one.badge == w.places.unread for one in w.window)),
            Possible("W2", "Everything can be read.", lambda w: not w.places.unread),
        ),
    )


LOOKS: Final = ("show", "focus", "loaded")
AT_FIRST: Final = windows(CHART, "message")
MENDED: Final = windows(TOLD, "message", "read_elsewhere")
