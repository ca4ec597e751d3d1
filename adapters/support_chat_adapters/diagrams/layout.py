"""Where everything of a drawing stands and runs: boxes, frames, arrows and their labels."""

from __future__ import annotations

import attrs

from .drawing import Drawing
from .placement import Placement, place
from .routes import Route, route


@attrs.frozen
class Layout:
    """A drawing that is laid out: its places, and a route for every edge, in its order."""

    placement: Placement
    routes: tuple[Route, ...]


def lay_out(drawing: Drawing) -> Layout:
    """Lays the drawing out; pure and deterministic."""
    placement = place(drawing)
    return Layout(placement, route(drawing, placement))
