"""The pictures of the shipped chart: complete where they promise to be, short where they promise
that.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from support_chat import CHART, Phase
from support_chat.chart.composites import as_written
from support_chat_adapters.diagrams.as_mermaid import mermaid
from support_chat_adapters.diagrams.as_svg import svg
from support_chat_adapters.diagrams.calls import calls_table
from support_chat_adapters.diagrams.dot import dot
from support_chat_adapters.diagrams.drawing import Edge
from support_chat_adapters.diagrams.table import table
from support_chat_adapters.diagrams.views import group, group_on_the_map, overview
from support_chat_adapters.diagrams.wording import composites


def test_the_overview_mentions_every_phase_in_a_README_s_worth_of_arrows() -> None:
    drawing = overview(CHART)
    ends = {end for edge in drawing.edges for end in (edge.source, edge.target)}

    assert set(CHART.phases) <= ends
    assert 15 <= len(drawing.edges) <= 32
    assert all(len(edge.label) <= 3 for edge in drawing.edges)


def test_the_overview_leaves_live_as_a_whole_and_ends_everywhere_alike() -> None:
    edges = overview(CHART).edges

    leaving = [edge for edge in edges if (edge.source, edge.target) == ("live", "shutdown")]
    assert [edge.label[0] for edge in leaving] == ["shutdown()"]
    assert [edge for edge in edges if edge.target == "destroyed"] == [
        Edge("any phase", "destroyed", ("destroy()",))
    ]


def test_every_way_from_phase_to_phase_is_an_arrow_of_the_overview() -> None:
    drawing = overview(CHART)
    wholes = {str(m): {c.name for c in drawing.frames if m in c.members} for m in CHART.phases}
    drawn = {(edge.source, edge.target) for edge in drawing.edges}
    for row in CHART.transitions:
        for source in row.sources:
            if row.target not in (None, source):
                assert {
                    (place, row.target) for place in (source, *wholes[source], "any phase")
                } & drawn, (row.name, source)


def test_no_arrow_of_the_overview_is_invented() -> None:
    members = {
        **{str(p): {p} for p in CHART.phases},
        **composites(CHART),
        "any phase": CHART.phases,
    }
    for edge in overview(CHART).edges:
        named = {label.removesuffix("()") for label in edge.label if not label.startswith("+ ")}
        rows = [
            r
            for r in CHART.transitions
            if r.target == edge.target and set(members[edge.source]) & set(r.sources)
        ]
        assert named <= {str(trigger) for row in rows for trigger in row.trigger}, edge


def test_refusals_and_late_results_are_not_in_the_overview() -> None:
    assert not any(edge.source == edge.target for edge in overview(CHART).edges)
    assert "late" not in mermaid(overview(CHART))


def test_every_transition_is_in_the_table() -> None:
    text = table(CHART)
    for row in CHART.transitions:
        assert f"| `{row.name}` |" in text


PICTURES: dict[str, Callable[[str], str]] = {
    "mermaid": lambda name: mermaid(group(CHART, name)),
    "dot": lambda name: dot(group(CHART, name)),
    "svg": lambda name: svg(group_on_the_map(CHART, name)),
}


@pytest.mark.parametrize("name", CHART.groups)
@pytest.mark.parametrize("picture", PICTURES)
def test_every_group_draws_all_of_its_own_rows(picture: str, name: str) -> None:
    words = set(re.findall(r"[\w.]+", PICTURES[picture](name).replace("\\n", " ")))
    for row in CHART.transitions:
        if row.group == name:
            effects = " ".join(as_written(row, CHART.composites).effects).split()
            names = {row.name, *row.trigger, *row.when, *row.unless, *effects}
            assert set(map(str, names)) <= words, row.name


def test_a_group_is_drawn_on_the_map_of_the_overview() -> None:
    for name in CHART.groups:
        drawing, whole = group_on_the_map(CHART, name), overview(CHART)
        moving = [r for r in CHART.transitions if r.group == name and set(r.sources) - {r.target}]
        if any(row.target for row in moving):
            assert [(e.source, e.target) for e in drawing.edges] == [
                (e.source, e.target) for e in whole.edges
            ]
            assert any(edge.label for edge in drawing.edges)
        else:
            assert not drawing.nodes
            assert not drawing.edges


def test_the_table_of_calls_says_what_the_design_promises() -> None:
    other, unbooted, dead = "✗ identity conflict", "✗ not booted", "✗ session destroyed"
    expected = {
        "`not_initialized`": [
            "→ loading",
            "→ loading",
            unbooted,
            "–",
            unbooted,
            "now → shutdown",
            "→ destroyed",
        ],
        "`loading`": ["wait", "wait", unbooted, "–", unbooted, "now → shutdown", "→ destroyed"],
        "`loading`, a boot waits": [
            "join",
            other,
            "wait, join",
            other,
            "now",
            "now → shutdown",
            "→ destroyed",
        ],
        "`ready`": [
            "→ booting",
            "→ booting",
            unbooted,
            "–",
            unbooted,
            "now → shutdown",
            "→ destroyed",
        ],
        "`booting`": ["join", other, "wait, join", other, "now", "→ shutdown", "→ destroyed"],
        "`anonymous`": ["now", other, "wait, join", other, "now", "→ shutdown", "→ destroyed"],
        "`authenticated`": ["now", other, "now", other, "now", "→ shutdown", "→ destroyed"],
        "`reconnecting`": [
            "now",
            other,
            "wait, join, now",
            other,
            "now",
            "→ shutdown",
            "→ destroyed",
        ],
        "`disconnected`": [
            "now → reconnecting",
            other,
            "wait, join, now",
            other,
            "now",
            "→ shutdown",
            "→ destroyed",
        ],
        "`shutdown`": [
            "→ booting, wait",
            "→ booting, wait",
            unbooted,
            "–",
            unbooted,
            "now, join",
            "→ destroyed",
        ],
        "`shutdown`, a boot waits": [
            "join",
            other,
            "wait, join",
            other,
            "now",
            "join",
            "→ destroyed",
        ],
        "`destroyed`": [dead, dead, dead, "–", dead, dead, "join, now"],
    }
    becomes_and_sends = {
        "`not_initialized`": ("→ loading", "→ loading", unbooted),
        "`loading`": ("wait", "wait", unbooted),
        "`loading`, a boot waits": ("join", "wait, join", "wait"),
        "`ready`": ("→ booting", "→ booting", unbooted),
        "`booting`": ("join", "join, wait, → shutdown", "wait"),
        "`anonymous`": ("now, join, wait", "now, wait, → shutdown", "wait"),
        "`authenticated`": ("now", "→ shutdown", "wait"),
        "`reconnecting`": ("now, join, wait", "now, wait, → shutdown", "wait"),
        "`disconnected`": (
            "now → reconnecting, join, wait",
            "now → reconnecting, wait, → shutdown",
            "wait",
        ),
        "`shutdown`": ("→ booting, wait", "→ booting, wait", unbooted),
        "`shutdown`, a boot waits": ("join", "wait, join", "wait"),
        "`destroyed`": (dead, dead, dead),
    }
    for phase, (same, another, sends) in becomes_and_sends.items():
        expected[phase][4:5] = [same, another, expected[phase][4], sends]
    lines = [
        line.strip("| ").split(" | ")
        for line in calls_table(CHART).splitlines()
        if line.startswith("| `")
    ]

    assert {phase: cells for phase, *cells in lines} == expected
    assert {phase.split("`")[1] for phase in expected} == set(Phase)
