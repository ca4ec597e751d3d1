"""Each writer, on a chart small enough to write the picture by hand."""

from __future__ import annotations

import pytest

from support_chat import Chart, InvalidInputError
from support_chat_adapters.diagrams.dot import dot
from support_chat_adapters.diagrams.drawing import Drawing, Edge, Node
from support_chat_adapters.diagrams.mermaid import mermaid
from support_chat_adapters.diagrams.table import table
from support_chat_adapters.diagrams.views import group, overview

OVERVIEW_MERMAID = """\
stateDiagram-v2
  direction TB
  [*] --> idle
  idle
  gone
  state loaded {
    playing
    paused
  }
  idle --> playing: play()
  paused --> playing: play()
  playing --> paused: pause()
  idle --> gone: eject()
  loaded --> idle: stop()<br/>ended
  loaded --> gone: eject()
  gone --> [*]
"""

OVERVIEW_DOT = """\
digraph "player: overview" {
  compound=true; rankdir=TB; nodesep=0.6; ranksep=0.6;
  node [shape=box, style=rounded, fontname="Helvetica"];
  edge [fontname="Helvetica", fontsize=10];
  "start" [shape=point, label=""];
  "start" -> "idle";
  "idle" [label="idle"];
  "gone" [label="gone", peripheries=2];
  subgraph "cluster_loaded" {
    label="loaded"; style=rounded;
    "playing" [label="playing"];
    "paused" [label="paused"];
  }
  "idle" -> "playing" [label="play()"];
  "paused" -> "playing" [label="play()"];
  "playing" -> "paused" [label="pause()"];
  "idle" -> "gone" [label="eject()"];
  "playing" -> "idle" [label="stop()\\nended", ltail="cluster_loaded"];
  "playing" -> "gone" [label="eject()", ltail="cluster_loaded"];
}
"""

PLAYING_MERMAID = """\
stateDiagram-v2
  direction TB
  [*] --> idle
  idle: idle
  idle: play() [locked]
  idle: / refuse InvalidInputError
  playing: playing
  playing: play()
  playing: / done
  paused
  idle --> playing: play() [!locked]<br/>/ done
  paused --> playing: play()<br/>/ done
  playing --> paused: pause()<br/>/ done
"""

STOPPING_ROWS = """\
| transition | trigger | in | guard | goes to | remembers | effects |
|---|---|---|---|---|---|---|
| `stop.call` | `stop()` | loaded |  | idle |  | `done` |
| `stop.ended` | `ended` | playing |  | idle |  |  |
| `stop.eject` | `eject()` | any phase but gone |  | gone |  | `done` |
"""


def test_the_overview_as_mermaid(player: Chart) -> None:
    assert mermaid(overview(player)) == OVERVIEW_MERMAID


def test_the_overview_as_dot(player: Chart) -> None:
    assert dot(overview(player)) == OVERVIEW_DOT


def test_a_group_shows_guards_effects_and_what_changes_no_phase(player: Chart) -> None:
    assert mermaid(group(player, "playing")) == PLAYING_MERMAID


def test_what_leads_to_a_phase_alike_from_another_one_is_said_once(player: Chart) -> None:
    assert "  loaded --> gone: as from idle\n" in mermaid(group(player, "stopping"))


def test_what_would_end_a_mermaid_label_early_is_left_out_of_it() -> None:
    drawing = Drawing(
        title="t",
        nodes=(Node("a b", "a: b"), Node("c", "c")),
        edges=(Edge("a b", "c", ('x: "y"; #1 <z>',)),),
    )

    assert mermaid(drawing).splitlines()[2:] == [
        '  state "a  b" as a_b',
        "  c",
        "  a_b --> c: x   y    1  z ",
    ]


def test_the_table_has_a_row_for_each_transition(player: Chart) -> None:
    text = table(player)

    assert STOPPING_ROWS in text
    assert (
        "| `play.refuse` | `play()` | idle | `[locked]` | (stays) |  | `refuse` raises "
        "InvalidInputError |\n"
    ) in text
    assert "| `pause()` | any phase but playing | nothing plays |\n" in text
    assert "| `locked` | carried | nobody may play |\n" in text
    assert "| `done` | note | it is done |\n" in text


def test_an_unknown_group_is_refused_with_the_groups_there_are(player: Chart) -> None:
    with pytest.raises(
        InvalidInputError, match="has no group 'dancing'; it has: playing, stopping"
    ):
        group(player, "dancing")
