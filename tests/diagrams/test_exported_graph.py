"""The graph of states as JSON: the states and steps that are explored, each once, as node-link
data.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any, Final

import pytest

from support_chat import CHART
from support_chat.verify import explore
from support_chat_adapters.cli import main
from support_chat_adapters.diagrams.exported_graph import graph_to_json

EXAMPLES: Final = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def graph(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """That of the panel, as the command writes it."""
    of = ["--chart", "panel:CHART", "--app-dir", str(EXAMPLES)]
    assert main(["export", "--format", "graph", *of]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_it_is_node_link_data(graph: dict[str, Any]) -> None:
    assert (graph["directed"], graph["multigraph"]) == (True, True)
    assert graph["graph"] == {
        "schema": "support-chat/graph", "version": 1, "chart": "panel", "users": 0,
    }  # fmt: skip
    ids = [node["id"] for node in graph["nodes"]]
    assert ids == list(range(len(ids)))
    ends = [(edge["source"], edge["target"], edge["key"]) for edge in graph["edges"]]
    assert len(set(ends)) == len(ends)
    assert {end for source, target, _ in ends for end in (source, target)} <= set(ids)


def test_it_has_the_states_and_steps_that_are_explored(graph: dict[str, Any]) -> None:
    import panel

    space = explore(panel.CHART)
    assert (len(graph["nodes"]), len(graph["edges"])) == (len(space.states), len(space.ways))
    begin = graph["nodes"][0]
    assert begin == {"id": 0, "phase": "closed", "registers": {}, "facts": [], "ledger": []}
    shown = [edge for edge in graph["edges"] if edge["source"] == 0 and edge["trigger"] == "show"]
    ((row,),) = [edge["rows"] for edge in shown]
    after = graph["nodes"][shown[0]["target"]]
    assert (row, after["phase"], after["facts"]) == ("panel.show", "opening", ["focused"])
    assert after["ledger"] == ["asked load", "waits for show"]


def test_every_state_can_be_come_to_by_its_edges(graph: dict[str, Any]) -> None:
    seen, waiting = {0}, deque([0])
    while waiting:
        here = waiting.popleft()
        for edge in graph["edges"]:
            if edge["source"] == here and edge["target"] not in seen:
                seen.add(edge["target"])
                waiting.append(edge["target"])
    assert seen == {node["id"] for node in graph["nodes"]}


def test_what_comes_along_is_told_with_its_edge() -> None:
    graph = json.loads(graph_to_json(explore(CHART, max_states=40)))
    assert graph["graph"]["users"] == 3
    full = [edge for edge in graph["edges"] if edge["carried"] == ["full"]]
    assert {edge["trigger"] for edge in full} >= {"shutdown"}
    assert any(edge["named"] for edge in graph["edges"] if edge["trigger"] == "boot")
    who = [node["registers"] for node in graph["nodes"]]
    assert {"user": 1, "target": 0} in who
