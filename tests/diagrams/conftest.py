"""A chart small enough to write every picture of it by hand."""

from __future__ import annotations

import pytest

from support_chat import Chart, InvalidInputError, Transition
from support_chat.chart.model import Carried, Ignored, Note, Refusal

LOCKED = Refusal(InvalidInputError, "{call}() on a locked player: unlock it first.")


@pytest.fixture
def player() -> Chart:
    """A music player: `idle`, `loaded` (`playing` or `paused`) and `gone`."""
    return Chart(
        name="player",
        initial="idle",
        phases=("idle", "playing", "paused", "gone"),
        triggers=("play", "pause", "stop", "eject", "ended"),
        external=("play", "pause", "stop", "eject", "ended"),
        events={"ended": "sound"},
        facts={"locked": Carried("nobody may play")},
        effects={"done": Note(doc="it is done"), "refuse": Note(doc="it is refused")},
        composites={"loaded": ("playing", "paused")},
        transitions=(
            Transition(
                name="play.begin", group="playing", trigger="play",
                sources="idle", target="playing", unless="locked", effects="done",
            ),
            Transition(
                name="play.refuse", group="playing", trigger="play",
                sources="idle", when="locked", effects="refuse", error=LOCKED,
            ),
            Transition(
                name="play.resume", group="playing", trigger="play",
                sources="paused", target="playing", effects="done",
            ),
            Transition(
                name="play.restart", group="playing", trigger="play",
                sources="playing", target="playing", effects="done",
            ),
            Transition(
                name="play.pause", group="playing", trigger="pause",
                sources="playing", target="paused", effects="done",
            ),
            Transition(
                name="stop.call", group="stopping", trigger="stop",
                sources=("playing", "paused"), target="idle", effects="done",
            ),
            Transition(
                name="stop.ended", group="stopping", trigger="ended",
                sources="playing", target="idle",
            ),
            Transition(
                name="stop.eject", group="stopping", trigger="eject",
                sources=("idle", "playing", "paused"), target="gone", effects="done",
            ),
        ),
        ignored=(
            Ignored(triggers="play", phases="gone", because="it is out"),
            Ignored(triggers="pause", phases=("idle", "paused", "gone"), because="nothing plays"),
            Ignored(triggers="stop", phases=("idle", "gone"), because="nothing is loaded"),
            Ignored(triggers="ended", phases=("idle", "paused", "gone"), because="nothing plays"),
            Ignored(triggers="eject", phases="gone", because="it is out"),
        ),
    )  # fmt: skip
