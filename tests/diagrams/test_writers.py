"""Each writer, on a chart small enough to write the picture by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import attrs
import pytest

from support_chat import Chart, InvalidInputError
from support_chat_adapters.diagrams.as_mermaid import mermaid
from support_chat_adapters.diagrams.dot import dot
from support_chat_adapters.diagrams.drawing import Drawing, Edge, Node
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
  idle: play.begin#58; play() [!locked] → playing
  idle: / done
  idle: play.refuse#58; play() [locked]
  idle: / refuse InvalidInputError
  playing: playing
  playing: play.restart#58; play()
  playing: play.pause#58; pause() → paused
  playing: / done
  paused: paused
  paused: play.resume#58; play() → playing
  paused: / done
  idle --> playing: play() / …
  paused --> playing: play() / …
  playing --> paused: pause() / …
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


def test_a_group_may_be_named_as_its_file_is(player: Chart) -> None:
    renamed = attrs.evolve(
        player, transitions=[attrs.evolve(r, group="being (on)") for r in player.transitions]
    )

    assert group(renamed, "being-on").edges == group(renamed, "being (on)").edges


def test_an_arrow_says_that_effects_stand_in_a_box_only_if_there_are_any(player: Chart) -> None:
    assert {edge.label for edge in group(player, "stopping").edges} == {
        ("stop() / …",),
        ("ended",),
        ("eject() / …",),
    }


@pytest.mark.parametrize("write", [mermaid, dot])
def test_every_phase_has_a_box_of_its_own_whatever_its_name(
    write: Callable[[Drawing], str],
) -> None:
    names = ("in use", "in-use", "in_use", "in_use_", "note", "Class", "start", "start_", "end")
    drawing = Drawing(
        title="t",
        nodes=tuple(Node(name, name) for name in names),
        edges=tuple(Edge(one, other, ("go()",)) for one, other in pairwise(names)),
        initial="in use",
    )
    arrows = re.findall(r"(\S+|\".*?\") -+> (\S+|\".*?\")(?:: | \[)", write(drawing))

    assert len({end for arrow in arrows for end in arrow}) == len(names)
    (beginning,) = re.findall(r"^ *(\S+) --?> [^\[:]+$", write(drawing), re.M)
    assert beginning not in {end for arrow in arrows for end in arrow}


def test_a_composite_named_as_one_of_its_phases_is_not_taken_for_it(player: Chart) -> None:
    chart = attrs.evolve(player, composites={"playing": ("playing", "paused")})
    drawing = overview(chart)

    assert [frame.name for frame in drawing.frames] == ["playing (all)"]
    assert {edge.source for edge in drawing.edges} == {"idle", "paused", "playing", "playing (all)"}
    assert "| `stop.call` | `stop()` | playing (all) |" in table(chart)


def test_no_word_of_mermaid_s_own_is_an_identifier() -> None:
    words = ("note", "class", "Style", "click", "state", "default", "scale", "as", "end", "href")
    drawing = Drawing(title="t", nodes=tuple(Node(word, word) for word in words))

    assert mermaid(drawing).splitlines()[2:] == [f'  state "{w}" as {w}_' for w in words]


def test_what_would_end_a_mermaid_label_early_is_written_as_an_entity() -> None:
    drawing = Drawing(
        title="t",
        nodes=(Node("a b", "a: b"), Node("c", "c")),
        edges=(Edge("a b", "c", ('x: "y"; #1 <z> %%',)),),
    )

    assert mermaid(drawing).splitlines()[2:] == [
        '  state "a#58; b" as a_b',
        "  c",
        "  a_b --> c: x#58; #34;y#34;#59; #35;1 #60;z#62; #37;#37;",
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
