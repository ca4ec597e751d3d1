"""A small chart that uses everything that a chart may, and properties that do not hold of it: what
another engine must read as ours does.
"""

from __future__ import annotations

from typing import Any, Final

from support_chat import Chart, Transition
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
from support_chat.verify import Always, EachEffect, EachStep


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
    Always("D1", "Who is busy has a user.", lambda v: v.who("user") != 0,
           when=lambda v: v.phase != "idle"),
    Always("D2", "Who waits has asked.", lambda v: not v.waiting("desk") or v.asked("fetch")),
    EachStep("D3", "Who is named is let in.", lambda m: m.named in (0, m.after.who("user")),
             ("enter",)),
    EachStep("D4", "Whatever is told is taken.",
             lambda m: not m.after.has("rich") or m.before.has("rich") or "take" in m.effects),
    EachStep("D5", "Who turns is quiet.", lambda m: "hush" not in [r.name for r in m.rows], "turn"),
    EachEffect("D6", "Nothing is fetched twice.", "refetch",
               lambda moment, move: not moment.asked("fetch", "refetch")),
    EachEffect("D7", "Only the rich tell.", "tell", lambda moment, move: move.after.has("rich")),
    EachStep("D8", "Nothing urgent is swapped.", lambda m: not m.asks & {"tire"}, "turn",
             when=lambda m: not m.carries("urgent")),
)  # fmt: skip
