"""A lamp with a lock as a chart, small enough to judge each of its edits by hand."""

from __future__ import annotations

from typing import Final

from support_chat import Chart, Transition
from support_chat.chart.model import Note, Stored
from support_chat.verify import EachStep

PHASES: Final = ("off", "on")

CHART: Final = Chart(
    name="lamp",
    initial="off",
    phases=PHASES,
    triggers=("press", "hold"),
    external=("press", "hold"),
    facts={"locked": Stored("pressing does nothing")},
    effects={"click": Note(doc="a click is heard"), "tick": Note(doc="a tick is heard")},
    transitions=(
        Transition(
            name="light", group="lamp", trigger="press", sources="off", target="on",
            unless="locked", effects=("click", "tick"),
        ),
        Transition(
            name="douse", group="lamp", trigger="press", sources="on", target="off",
            unless="locked",
        ),
        Transition(
            name="lock", group="lamp", trigger="hold", sources=PHASES, unless="locked",
            sets="locked",
        ),
        Transition(
            name="unlock", group="lamp", trigger="hold", sources=PHASES, when="locked",
            clears="locked",
        ),
    ),
)  # fmt: skip

PROPERTIES: Final = (
    EachStep(
        "P1",
        "Pressing changes the light, unless the lamp is locked.",
        lambda move: (move.before.phase != move.after.phase) != move.before.has("locked"),
        ("press",),
    ),
    EachStep(
        "P2",
        "Holding locks and unlocks.",
        lambda move: move.before.has("locked") != move.after.has("locked"),
        ("hold",),
    ),
    EachStep(
        "P3",
        "Only what lights the lamp clicks.",
        lambda move: ("click" in move.effects) == (move.after.phase == "on" != move.before.phase),
    ),
)
