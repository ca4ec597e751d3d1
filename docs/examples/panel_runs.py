"""What is said of the panel's runs, and what is asked of nothing: docs/ask-more-of-a-chart.md."""

from __future__ import annotations

from typing import Final

from panel import CHART

from support_chat.verify import Always, LeadsTo, Property, Until, View

# fmt: off


def looked_at(view: View) -> bool:
    return view.phase == "open" and view.has("focused")


RUNS: Final[tuple[Property, ...]] = (
    LeadsTo("R 1", "A panel that opens is open at last.",
            when=lambda v: v.phase == "opening", to=lambda v: v.phase == "open"),
    LeadsTo("R 2", "It is, if show() is called and the load succeeds, again and again.",
            when=lambda v: v.phase == "opening", to=lambda v: v.phase == "open",
            fair=("show", "loaded"), calls=True),
    Until("R 3", "What is unread stays so until it is looked at.",
          when=lambda v: v.has("unread"), holds=lambda v: v.has("unread"), to=looked_at),
    Always("R 4", "What loads behind a minimised panel is unread.",
           when=lambda v: v.phase == "minimised" and v.asked("load"),
           holds=lambda v: v.has("unread")),
)

__all__ = ["CHART", "RUNS"]
