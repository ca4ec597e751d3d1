"""The table of calls, of charts that have some of the calls of the shipped one."""

from __future__ import annotations

import pytest

from support_chat import CHART, Chart, InvalidInputError, Transition
from support_chat.chart.model import Ignored, Note
from support_chat_adapters.diagrams import calls
from support_chat_adapters.diagrams.calls import calls_table


def test_a_chart_needs_no_more_than_one_of_the_calls() -> None:
    form = Chart(
        name="form",
        initial="open",
        phases=("open", "sent"),
        triggers=("update", "post"),
        external=("update", "post"),
        effects={"done": Note(doc="it is done")},
        transitions=(
            Transition(name="up", group="g", trigger="update", sources="open", effects="done"),
            Transition(name="post", group="g", trigger="post", sources="open", target="sent"),
        ),
        ignored=(Ignored(triggers=("update", "post"), phases="sent", because="it is sent"),),
    )
    assert calls_table(form).splitlines()[-4:] == [
        "| phase | `update()` |",
        "|---|---|",
        "| `open` | now |",
        "| `sent` | – |",
    ]


def test_a_chart_without_such_calls_is_refused(player: Chart) -> None:
    with pytest.raises(InvalidInputError, match="none of the calls of a session"):
        calls_table(player)


def test_a_table_of_a_part_of_the_states_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "others may differ" not in calls_table(CHART)
    monkeypatch.setattr(calls, "_MOST_STATES", 10)
    assert calls_table(CHART).endswith(
        "Only the first 10 states were explored; others may differ.\n"
    )
