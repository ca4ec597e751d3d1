"""Composites are written out into every row that begins or ends them, in one order, and read back.

The night of a house begins when somebody lies down and is spanned by a fact; the sleep is a part of
it and spans a phase. Who gets up ends both at once.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from support_chat import CHART, ChartError, Transition
from support_chat.chart.composites import as_written, left_open, written_out
from support_chat.chart.model import Arm, Composite, Disarm, EffectSpec, Note, Raise

NIGHT = Composite(
    name="night",
    fact="lying",
    clears=("lying", "lit"),
    assigns={"bed": None},
    entry="yawn",
    exit=("stretch", "stop"),
)
SLEEP = Composite(
    name="sleep",
    phases=("asleep", "dreaming"),
    within="night",
    clears="snoring",
    entry="hush",
    exit="blink",
)
PARTS = (NIGHT, SLEEP)
EFFECTS: dict[str, EffectSpec] = {
    **{name: Note(doc=name) for name in ("yawn", "stretch", "hush", "blink", "read")},
    "stop": Disarm(doc="no alarm", timers="alarm"),
    "wind": Arm(doc="wind the alarm", timer="alarm", expiry="rings", delay="alarm"),
    "go": Raise(doc="go on", trigger="go"),
}


def row(sources: str | tuple[str, ...], target: str | None = None, **rest: Any) -> Transition:
    return Transition(
        name="it", group="night", trigger="it", sources=sources, target=target, **rest
    )


def flat(written: Transition) -> Transition:
    (row,) = written_out([written], PARTS, EFFECTS)
    return row


@pytest.mark.parametrize(
    ("what", "written", "effects", "clears"),
    [
        ("it begins the night", row("awake", sets="lying"), ("yawn",), ()),
        (
            "the entry comes before what the row does",
            row("awake", "asleep", effects=("read", "wind")),
            ("hush", "read", "wind"),
            (),
        ),
        ("it moves within the sleep", row("asleep", "dreaming", effects="read"), ("read",), ()),
        (
            "the exit comes after what the row does, and before what it starts",
            row("asleep", "awake", effects=("read", "wind", "go")),
            ("read", "blink", "wind", "go"),
            ("snoring",),
        ),
        (
            "what is started in the middle stays there",
            row("asleep", "awake", effects=("wind", "read")),
            ("wind", "read", "blink"),
            ("snoring",),
        ),
        (
            "of what ends at once the outermost has its exit, and all facts are cleared",
            row(("asleep", "awake"), "up", clears="lying", effects=("read", "go")),
            ("read", "stretch", "stop", "go"),
            ("lying", "lit", "snoring"),
        ),
        (
            "a fact that the row sets is not cleared by the exit",
            row("asleep", "awake", sets="snoring"),
            ("blink",),
            (),
        ),
    ],
)
def test_a_row_gets_the_entry_and_the_exit(
    what: str, written: Transition, effects: tuple[str, ...], clears: tuple[str, ...]
) -> None:
    assert (flat(written).effects, flat(written).clears) == (effects, clears), what


def test_registers_are_assigned_at_the_end_unless_the_row_says_otherwise() -> None:
    assert flat(row("asleep", clears="lying")).assigns == {"bed": None}
    assert flat(row("asleep", clears="lying", assigns={"bed": "who"})).assigns == {"bed": "who"}


def test_a_row_that_ends_a_composite_from_some_of_its_sources_is_refused() -> None:
    with pytest.raises(ChartError, match="ends 'sleep' from some of its sources only"):
        flat(row(("asleep", "awake"), "up"))


def test_what_is_missing_of_an_entry_or_exit_is_found() -> None:
    for written in (row("awake", "asleep"), row("asleep", "awake"), row("asleep", clears="lying")):
        whole = flat(written)
        assert list(left_open(whole, PARTS)) == []
        for effect in whole.effects:
            without = tuple(other for other in whole.effects if other != effect)
            assert list(left_open(attrs.evolve(whole, effects=without), PARTS)), effect
        for fact in set(whole.clears) - {"lying"}:
            kept = tuple(other for other in whole.clears if other != fact)
            assert list(left_open(attrs.evolve(whole, clears=kept), PARTS)), fact
    assert list(left_open(row("asleep", clears=("lying", "lit", "snoring")), PARTS)) == [
        "it ends night and does not assign bed",
        "it ends night without its exit",
    ]


def test_the_shipped_rows_have_every_entry_and_exit_and_are_shown_without() -> None:
    ends: list[str] = []
    for one in CHART.transitions:
        assert list(left_open(one, CHART.composites)) == []
        shown = as_written(one, CHART.composites)
        ends += [effect for effect in shown.effects if effect.startswith(("begin ", "end "))]
        written = attrs.evolve(
            one,
            clears=shown.clears,
            assigns=shown.assigns,
            effects=tuple(e for e in shown.effects if not e.startswith(("begin ", "end "))),
        )
        assert written_out([written], CHART.composites, CHART.effects) == (one,)
    assert {end: ends.count(end) for end in ends} == {
        "end session": 42,
        "begin link": 8,
        "end link": 8,
    }
