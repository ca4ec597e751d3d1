"""Small charts and what they share, small enough to be counted by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from support_chat import Chart, Transition
from support_chat.chart.model import Ask, Carried, Ignored, Note, Present, Stored
from support_chat.verify import (
    Act,
    Component,
    Composition,
    Invariant,
    Place,
    PlaceMove,
    Possible,
    Rule,
    StepInvariant,
)

# fmt: off  # a chart reads as a table


def row(
    name: str, trigger: str, sources: str | Iterable[str], target: str | None = None, **more: Any
) -> Transition:
    """A row of one of these charts."""
    return Transition(
        name=name, group="all", trigger=trigger, sources=sources, target=target, **more
    )


PHASES: Final = ("out", "waiting", "inside")
WORKER: Final = Chart(
    name="worker",
    initial="out",
    phases=PHASES,
    triggers=("want", "got", "leave", "fidget"),
    external=("want", "leave", "fidget"),
    facts={"restless": Stored("nobody else can see it")},
    effects={
        "ask": Ask(doc="ask for the key", lane="key", success="got", failure="got", limit=""),
        "free": Note(doc="give the key back"),
    },
    transitions=(
        row("want", "want", "out", "waiting", effects="ask"),
        row("got", "got", "waiting", "inside"),
        row("leave", "leave", "inside", "out", effects="free"),
        row("fidget", "fidget", PHASES, sets="restless", unless="restless"),
        row("rest", "fidget", PHASES, clears="restless", when="restless"),
    ),
    ignored=(
        Ignored(triggers="want", phases=("waiting", "inside"), because="it is wanted"),
        Ignored(triggers="got", phases=("out", "inside"), because="it is not asked for"),
        Ignored(triggers="leave", phases=("out", "waiting"), because="nobody is inside"),
    ),
)
"""Goes in with the key, and leaves. By the way it fidgets, which is nobody's business: of its six
states only the phase is seen.
"""


def key(workers: int, *, guarded: bool = True, given_back: bool = True) -> Composition:
    """Workers and the one key between them. Not `guarded`: it is given to everybody who asks; not
    `given_back`: it is lost when one leaves.
    """
    return Composition(
        name="key",
        components=(
            Component(
                name="worker", chart=WORKER, copies=workers, sees={"phase": lambda v: v.phase}
            ),
        ),
        places=(Place(name="taken", doc="somebody has the key", initial=False),),
        rules=(
            Rule(
                of="worker",
                on="got",
                changes="taken",
                does=lambda p, me, act: [] if guarded and p.taken else [p.put(taken=True)],
            ),
            Rule(
                of="worker",
                on="free",
                changes="taken",
                does=lambda p, me, act: [p.put(taken=not given_back)],
            ),
        ),
        properties=(
            Invariant(
                "K1", "One is inside.", lambda w: sum(one.phase == "inside" for one in w.worker) < 2
            ),
            StepInvariant(
                "K2",
                "Nobody gives back what nobody has.",
                lambda t: "free" not in t.act.effects or t.before.taken,
            ),
            Possible(
                "K3",
                "Somebody can get in.",
                lambda w: any(one.phase == "inside" for one in w.worker),
            ),
        ),
    )


KEY: Final = key(2)
LOST: Final = key(2, given_back=False)

WRITER: Final = Chart(
    name="writer",
    initial="idle",
    phases=("idle", "writing"),
    triggers=("write", "wrote"),
    external=("write",),
    effects={
        "put": Ask(doc="store it", lane="put", success="wrote", failure="wrote", limit=""),
    },
    transitions=(
        row("write", "write", "idle", "writing", effects="put"),
        row("wrote", "wrote", "writing", "idle"),
    ),
    ignored=(
        Ignored(triggers="write", phases="writing", because="one at a time"),
        Ignored(triggers="wrote", phases="idle", because="nothing is under way"),
    ),
)
"""Writes one thing after the other."""


def renamed(places: Any) -> Any:
    """The same notes under the names 1, 2, ... in the order in which they are met."""
    names: dict[Any, int | None] = {None: None}

    def of(name: int | None) -> int | None:
        return names.setdefault(name, len(names))

    return places._replace(stored=of(places.stored), sent=tuple(of(one) for one in places.sent))


def notes(writers: int, *, late: bool = True) -> Composition:
    """Writers that each send notes, always a new one, to a board that holds the last to arrive. A
    note arrives by itself; `late`: perhaps after its writer has given up waiting.
    """

    def send(p: Any, me: int, act: Act) -> list[Any]:
        fresh = next(n for n in range(1, 99) if n not in (p.stored, *p.sent))
        return [p.put(me, sent=fresh)]

    return Composition(
        name="notes",
        components=(
            Component(
                name="writer", chart=WRITER, copies=writers, sees={"phase": lambda v: v.phase}
            ),
        ),
        places=(
            Place(name="stored", doc="the note on the board"),
            Place(name="sent", doc="the note on its way", each="writer"),
        ),
        rules=(
            Rule(of="writer", on="put", changes="sent", does=send),
            Rule(
                of="writer",
                on="wrote",
                does=lambda p, me, act: [p] if late or p.sent[me] is None else [],
            ),
        ),
        moves=(
            PlaceMove(
                name="the note arrives",
                changes=("stored", "sent"),
                each="writer",
                does=lambda p, me: (
                    [] if p.sent[me] is None else [p.put(me, stored=p.sent[me], sent=None)]
                ),
            ),
        ),
        properties=(
            Invariant(
                "N1",
                "While nobody writes nothing is on its way.",
                lambda w: any(one.phase == "writing" for one in w.writer) or not any(w.places.sent),
            ),
            StepInvariant(
                "N2",
                "A note arrives on an empty board.",
                lambda t: t.act.trigger != "the note arrives" or t.before.stored is None,
            ),
            Possible("N3", "A note can be on the board.", lambda w: w.places.stored is not None),
            Possible("N4", "The board can be empty.", lambda w: w.places.stored is None),
        ),
        canonical=renamed,
    )


GUEST: Final = Chart(
    name="guest",
    initial="away",
    phases=("away", "asking", "here"),
    triggers=("come", "welcome", "go"),
    external=("come", "go"),
    registers=("who",),
    named="named",
    facts={
        "vip": Carried("the guest is a known one"),
        "somebody": Present("the call names somebody", "named"),
    },
    effects={
        "ask": Ask(
            doc="ask at the door", lane="door", success="welcome", failure="welcome", limit=""
        )
    },
    transitions=(
        row(
            "come",
            "come",
            "away",
            "asking",
            when="somebody",
            assigns={"who": "named"},
            effects="ask",
        ),
        row("vip", "welcome", "asking", "here", when="vip"),
        row("guest", "welcome", "asking", "here", unless="vip"),
        row("go", "go", "here", "away", assigns={"who": None}),
    ),
    ignored=(
        Ignored(triggers="come", phases=("asking", "here"), because="one at a time"),
        Ignored(triggers="welcome", phases=("away", "here"), because="nobody asks"),
        Ignored(triggers="go", phases=("away", "asking"), because="nobody is here"),
    ),
)
"""Somebody comes, by name, is welcomed, known or not, and goes."""
