"""Rumur, a checker that others wrote, counts the states and the steps that ours counts, finds each
property broken as often, and breaks where the translation is broken.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import attrs
import pytest

from compared_engines import Counts, by_rumur, by_us, counted
from rumur import needs_rumur
from support_chat import CHART, Chart, Transition
from support_chat.chart.model import (
    Abandon,
    Arm,
    Ask,
    Carried,
    Derived,
    Detach,
    Disarm,
    Ignored,
    Join,
    Note,
    Present,
    Raise,
    Same,
    Settle,
    Stored,
)
from support_chat.verify import Always, CanReach, EachEffect, EachStep, Eventually, Structure
from support_chat.verify.catalogue import CATALOGUE
from support_chat_adapters.cli import main
from support_chat_adapters.murphi import engine
from support_chat_adapters.murphi.model import to_murphi
from support_chat_adapters.murphi.retold import DisagreementError

SEED: Final = 13
"""Which faults are compared here; `tests/tools/compared_engines.py` compares them all."""
COUNT: Final = 2
TOO_MANY: Final = ("S34",)
"""The properties of the catalogue that take too many decisions to be translated."""


# --- the shipped chart ----------------------------------------------------------------------------


@needs_rumur
def test_rumur_counts_what_we_count_of_the_shipped_chart() -> None:
    murphi = counted(CHART, CATALOGUE)
    assert by_rumur(murphi) == by_us(CHART, murphi)


def test_what_is_left_out_of_the_catalogue_is_no_property_of_states_and_steps() -> None:
    left_out = to_murphi(CHART, CATALOGUE).judged.left_out
    of_other_kinds = [p.id for p in CATALOGUE if isinstance(p, Structure | Eventually | CanReach)]
    assert sorted(left_out) == sorted([*of_other_kinds, *TOO_MANY])


@needs_rumur
def test_rumur_counts_what_we_count_of_charts_with_a_fault(faults: Sequence[Any]) -> None:
    judged = {each.property.id for each in to_murphi(CHART, CATALOGUE).judged.judgements}
    translated = [fault for fault in faults if fault.breaks in judged]
    for fault in random.Random(SEED).sample(translated, COUNT):
        murphi = counted(fault.chart(), CATALOGUE)
        theirs = by_rumur(murphi)
        assert theirs == by_us(fault.chart(), murphi), fault.breaks
        assert fault.breaks in theirs.broken


# --- a small chart that uses everything -----------------------------------------------------------


def desk() -> Chart:
    """A desk that a user enters, and a guest: every kind of fact and effect, in few rows."""
    rows = (
        _row("begin", "enter", "idle", target="busy", unless="begun", sets="begun",
             assigns={"user": "named"}, effects=("wait", "fetch", "note", "go_on", "hush")),
        _row("other", "enter", "busy", when="begun", unless="same", assigns={"guest": "named"},
             effects=("refetch", "arm")),
        _row("same", "enter", "busy", when=("begun", "same"), effects=("take", "tell")),
        _row("urgent", "turn", "busy", when="urgent", effects=("reenter", "hush")),
        _row("swap", "turn", "busy", unless="urgent",
             assigns={"user": "guest", "guest": "user"}, effects=("tire", "rearm")),
        _row("quiet", "go_on", "busy", unless="quiet", sets="quiet"),
        _row("hush", "hush", "busy", when=("quiet", "rich"), clears="quiet", effects="listen"),
        _row("hush_guest", "hush", "busy", when="guested", unless=("rich", "named_one"),
             effects="take"),
        _row("got", "got", "busy", effects=("settle", "spread", "take")),
        _row("failed", "failed", "busy", effects=("part", "go_on")),
        _row("told", "told", "busy", effects=("tire",)),
        _row("news", "news", "busy", effects=("take", "tire")),
        _row("due", "due", "busy", effects="note"),
        _row("given_up", "given_up", "busy", effects="part"),
        _row("leave", "leave", "busy", target="idle", clears=("begun", "quiet"),
             assigns={"user": None, "guest": None},
             effects=("settle", "drop", "cut", "disarm", "wipe")),
    )  # fmt: skip
    phases, triggers = ("idle", "busy"), tuple(dict.fromkeys([t for r in rows for t in r.trigger]))
    triggers = (*triggers, "wiped", "unwiped")
    handled = {(phase, trigger) for row in rows for phase in row.sources for trigger in row.trigger}
    return Chart(
        name="desk", initial="idle", phases=phases, triggers=triggers,
        external=("enter", "turn", "leave", "news"), events={"news": "line"},
        registers=("user", "guest"), named="named", naming=("enter",), transitions=rows,
        facts={
            "begun": Stored("begun"), "quiet": Stored("quiet"), "urgent": Carried("urgent"),
            "rich": Derived("rich", raises="take", frees="note", lowers="tire", clears="drop",
                            of="user"),
            "guested": Present("there is a guest", "guest"),
            "named_one": Present("somebody is named", "named"),
            "same": Same("the user is named", "named", "user"),
        },
        effects={
            "wait": Join(doc="wait", slot="desk", abandoned="given_up"),
            "fetch": Ask(doc="fetch", lane="a", success="got", failure="failed", limit="",
                         writes="key"),
            "refetch": Ask(doc="fetch again", lane="a", success="got", failure="failed", limit=""),
            "tell": Ask(doc="tell", lane="b", success="told", failure="told", limit="",
                        several=True),
            "spread": Ask(doc="spread", lane="c", success="told", failure="told", limit="",
                          several=True, batch=True),
            "wipe": Ask(doc="wipe", lane="w", success="wiped", failure="unwiped", limit="",
                        erases="key"),
            "arm": Arm(doc="arm", timer="bell", expiry="due", delay="", optional=True),
            "rearm": Arm(doc="arm", timer="bell", expiry="due", delay=""),
            "disarm": Disarm(doc="disarm", timers="bell"),
            "settle": Settle(doc="settle", slot="desk"),
            "listen": Note(doc="listen", opens="line"),
            "cut": Abandon(doc="cut", lanes=("a", "b", "line")),
            "part": Detach(doc="part", slots="desk", lane="c"),
            "go_on": Raise(doc="go on", trigger="go_on"),
            "hush": Raise(doc="hush", trigger="hush"),
            "reenter": Raise(doc="enter again", trigger="enter", carries=True),
            **{name: Note(doc=name) for name in ("note", "take", "tire", "drop")},
        },
        ignored=[
            Ignored(triggers=t, phases=p, because="it means nothing")
            for t in triggers for p in phases if (p, t) not in handled
        ],
    )  # fmt: skip


def _row(name: str, trigger: str, sources: str, **more: Any) -> Transition:
    return Transition(name=name, group="desk", trigger=trigger, sources=sources, **more)


DESK: Final = desk()
WANTED: Final = (
    Always("D1", "Who is busy has a user.", lambda v: v.phase == "idle" or v.who("user") != 0),
    Always("D2", "Somebody waits for nothing.", lambda v: not v.waiting("desk") or v.asked("fetch")),
    EachStep("D3", "Who is named is let in.", lambda m: m.named in (0, m.after.who("user")),
             ("enter",)),
    EachStep("D4", "Whatever is told is taken.",
             lambda m: not m.after.has("rich") or m.before.has("rich") or "take" in m.effects),
    EachStep("D5", "Who turns is quiet.", lambda m: "hush" not in [r.name for r in m.rows], "turn"),
    EachEffect("D6", "Nothing is fetched twice.", "refetch",
               lambda moment, move: not moment.asked("fetch", "refetch")),
    EachEffect("D7", "Only the rich tell.", "tell", lambda moment, move: move.after.has("rich")),
    EachStep("D8", "Nothing urgent is swapped.", lambda m: m.carries("urgent") or not m.asks
             & {"tire"}, "turn"),
)  # fmt: skip


@pytest.fixture(scope="module")
def ours() -> Counts:
    """What we count of the desk."""
    return by_us(DESK, counted(DESK, WANTED))


@needs_rumur
def test_rumur_counts_what_we_count_of_a_chart_that_uses_everything(ours: Counts) -> None:
    assert by_rumur(counted(DESK, WANTED)) == ours
    assert set(ours.broken) == {"D2", "D3", "D4", "D5", "D6", "D7", "D8"}


DOCTORED: Final = {
    "a guard is forgotten": ("(phase = at_busy) & quiet & rich then", "(phase = at_busy) & quiet then"),
    "a guard is turned": ("!brings_urgent", "brings_urgent"),
}


@needs_rumur
@pytest.mark.parametrize("wrong", DOCTORED)
def test_rumur_differs_where_the_translation_is_broken(wrong: str, ours: Counts) -> None:
    murphi = counted(DESK, WANTED)
    old, new = DOCTORED[wrong]
    doctored = murphi.text.replace(old, new)
    assert doctored != murphi.text, "there is nothing of the kind"
    assert by_rumur(murphi, doctored) != ours
