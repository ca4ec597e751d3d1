"""The chart as JSON: complete, stable, and read back as the same chart."""

from __future__ import annotations

import json

import attrs
import pytest

from support_chat import CHART, Chart, ChartError
from support_chat.chart.model import Arm
from support_chat_adapters.diagrams.exported import SCHEMA, VERSION, from_json, to_json


def test_a_chart_comes_back_as_it_was(player: Chart) -> None:
    for chart in (CHART, player):
        assert from_json(to_json(chart)) == chart


def test_what_an_effect_must_declare_comes_back_even_if_it_is_empty(player: Chart) -> None:
    timer = Arm(doc="", timer="", expiry="ended", delay="")
    chart = attrs.evolve(player, effects={**player.effects, "done": timer})
    assert from_json(to_json(chart)) == chart


def test_a_chart_that_came_back_is_exported_alike() -> None:
    assert to_json(from_json(to_json(CHART))) == to_json(CHART)


def test_the_document_names_its_schema_and_holds_everything() -> None:
    document = json.loads(to_json(CHART))

    assert (document["schema"], document["version"]) == (SCHEMA, VERSION)
    assert set(document) == {
        "schema",
        "version",
        *(
            field.name
            for field in attrs.fields(Chart)
            if field.init and "code" not in field.metadata
        ),
    }
    assert document["phases"] == list(CHART.phases)
    assert list(document["facts"]) == list(CHART.facts)
    assert list(document["effects"]) == list(CHART.effects)
    assert [row["name"] for row in document["transitions"]] == [
        row.name for row in CHART.transitions
    ]


def test_a_refusal_is_exported_with_its_class_and_its_sentence(player: Chart) -> None:
    (row,) = [
        row for row in json.loads(to_json(player))["transitions"] if row["name"] == "play.refuse"
    ]

    assert row["error"] == {
        "error": "InvalidInputError",
        "message": "{call}() on a locked player: unlock it first.",
    }


def test_one_changed_row_is_one_changed_line(player: Chart) -> None:
    first, *others = player.transitions
    changed = attrs.evolve(player, transitions=(attrs.evolve(first, reason="pressed"), *others))
    before, after = to_json(player).splitlines(), to_json(changed).splitlines()

    assert len(before) == len(after)
    assert len([1 for old, new in zip(before, after, strict=True) if old != new]) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[", "is no exported chart"),
        ("[]", "is no exported chart"),
        ("{}", "is no exported chart"),
        (
            '{"schema": "support-chat/chart", "version": 99}',
            "version 99, not 'support-chat/chart' version 2",
        ),
        ('{"schema": "another", "version": 1}', "'another' version 1, not"),
    ],
)
def test_what_is_no_exported_chart_is_refused_with_the_command_that_makes_one(
    text: str, complaint: str
) -> None:
    with pytest.raises(ChartError, match=complaint) as caught:
        from_json(text)
    assert "export" in caught.value.message


def test_an_unknown_error_class_is_refused_by_name(player: Chart) -> None:
    text = to_json(player).replace("InvalidInputError", "MadeUpError")

    with pytest.raises(
        ChartError, match=r"play.refuse: 'MadeUpError' is not an error of support_chat"
    ):
        from_json(text)


def test_a_faulty_chart_is_refused_with_its_faults(player: Chart) -> None:
    text = to_json(player).replace('"target": "paused"', '"target": "nowhere"')

    with pytest.raises(ChartError, match="unknown phase 'nowhere'"):
        from_json(text)
