"""A chat panel as a chart: it opens, closes and is minimised, has the focus or not, and may hold
messages that nobody has read.

`AT_FIRST` is the chart as first written, `CHART` the one with the mistake mended that model
checking found in it, and `PROPERTIES` are what must hold. docs/check-your-own-chart.md walks
through them.
"""

from __future__ import annotations

from typing import Final

from support_chat import Chart, Transition
from support_chat.chart.model import (
    Abandon,
    Ask,
    EffectSpec,
    Fail,
    Ignored,
    Join,
    Note,
    Refusal,
    Settle,
    Stored,
)
from support_chat.errors import SessionEndedError
from support_chat.verify import Always, CanReach, EachStep, Eventually

PHASES: Final = ("closed", "opening", "open", "minimised")

# fmt: off

HIDDEN: Final = Refusal(SessionEndedError, "hide() came before the panel was open.")

FACTS: Final = {
    "focused": Stored("the keyboard speaks to this window"),
    "unread": Stored("a message came that nobody has seen"),
}

EFFECTS: Final[dict[str, EffectSpec]] = {
    "wait": Join(doc="show() waits until the panel is open", slot="show"),
    "done": Note(doc="show() is done at once"),
    "settle": Settle(doc="every show() that waits is done", slot="show"),
    "fail": Fail(doc="every show() that waits fails", slot="show"),
    "load": Ask(
        doc="load the conversation", lane="load", success="loaded", failure="load_failed",
        limit="load",
    ),
    "drop": Abandon(doc="what is loading is not wanted any more", lanes="load"),
    "badge": Note(doc="show the badge"),
}

ROWS: Final = (
    Transition(
        name="panel.show", group="panel", trigger="show", sources="closed", target="opening",
        sets="focused", effects=("wait", "load"),
    ),
    Transition(
        name="panel.show_again", group="panel", trigger="show", sources="opening",
        sets="focused", effects="wait",
    ),
    Transition(
        name="panel.restore", group="panel", trigger="show",
        sources=("open", "minimised"), target="open",
        sets="focused", clears="unread", effects="done",
    ),
    Transition(
        name="panel.failed", group="panel", trigger="load_failed",
        sources="opening", target="closed", effects="fail",
    ),
    Transition(
        name="panel.cancel", group="panel", trigger="hide", sources="opening", target="closed",
        effects=("fail", "drop"), error=HIDDEN,
    ),
    Transition(
        name="panel.hide", group="panel", trigger="hide",
        sources=("open", "minimised"), target="closed",
    ),
    Transition(
        name="panel.minimise", group="panel", trigger="minimise",
        sources="open", target="minimised",
    ),
    Transition(
        name="unread.hidden", group="unread", trigger="message",
        sources=("closed", "opening", "minimised"), unless="unread",
        sets="unread", effects="badge",
    ),
    Transition(
        name="unread.behind", group="unread", trigger="message",
        sources="open", unless=("focused", "unread"),
        sets="unread", effects="badge",
    ),
    Transition(
        name="focus.back", group="focus", trigger="focus", sources="open",
        sets="focused", clears="unread",
    ),
    Transition(
        name="focus.gained", group="focus", trigger="focus",
        sources=("closed", "opening", "minimised"), sets="focused",
    ),
    Transition(
        name="focus.lost", group="focus", trigger="blur", sources=PHASES, clears="focused",
    ),
)

OPENED_AT_FIRST: Final = (
    Transition(
        name="panel.opened", group="panel", trigger="loaded", sources="opening", target="open",
        effects="settle",
    ),
)

OPENED: Final = (
    Transition(
        name="panel.opened", group="panel", trigger="loaded", sources="opening", target="open",
        when="focused", clears="unread", effects="settle",
    ),
    Transition(
        name="panel.opened_behind", group="panel", trigger="loaded",
        sources="opening", target="open", unless="focused", effects="settle",
    ),
)


def panel(*opened: Transition) -> Chart:
    """The chart of the panel, with these rows for the moment at which it has opened."""
    return Chart(
        name="panel",
        initial="closed",
        phases=PHASES,
        triggers=("show", "hide", "minimise", "focus", "blur", "message", "loaded", "load_failed"),
        external=("show", "hide", "minimise", "focus", "blur", "message"),
        facts=FACTS,
        effects=EFFECTS,
        transitions=(*ROWS, *opened),
        ignored=(
            Ignored(triggers="hide", phases="closed", because="it is closed"),
            Ignored(
                triggers="minimise",
                phases=("closed", "opening", "minimised"),
                because="only what is open gets smaller",
            ),
            Ignored(
                triggers=("loaded", "load_failed"),
                phases=("closed", "open", "minimised"),
                because="nothing is loading",
            ),
        ),
    )


AT_FIRST: Final = panel(*OPENED_AT_FIRST)
CHART: Final = panel(*OPENED)

PROPERTIES: Final = (
    Always("P1", "What is open and has the focus is read.",
           lambda v: not (v.phase == "open" and v.has("focused") and v.has("unread"))),
    EachStep("P2", "Only show() opens.",
             lambda m: m.trigger == "show"
             or (m.before.phase, m.after.phase) != ("closed", "opening")),
    Eventually("P3", "Opening comes to an end, and so does every show().",
               lambda v: v.phase == "opening" or v.waiting("show")),
    CanReach("P4", "The panel can always be opened.",
             lambda v: True, lambda v: v.phase == "open", calls=True),
)

MORE_PROPERTIES: Final = (
    *PROPERTIES,
    EachStep("P5", "hide() closes it.", lambda m: m.after.phase == "closed", on="hide"),
)
