"""Graphviz and Mermaid, each with its own parser, read in every picture what was drawn: the boxes,
the arrows and what stands at them, whatever a chart calls its things.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import attrs

from browser import answered, needs_chromium
from desk import DESK, WANTED
from node import MODULES, ROOT, laid, needs_node, node
from support_chat import CHART, Chart
from support_chat.verify import check
from support_chat.verify.story import sequence
from support_chat_adapters.cli.charts import chart_named
from support_chat_adapters.diagrams.as_mermaid import mermaid
from support_chat_adapters.diagrams.dot import dot
from support_chat_adapters.diagrams.drawing import Drawing, Edge, Frame, Node
from support_chat_adapters.diagrams.exported import from_json, to_json
from support_chat_adapters.diagrams.views import group, group_on_the_map, overview

HERE: Final = Path(__file__).parent
WORDS: Final = (
    "in use", "in-use", "in_use", "end", "End", "note", "state", "class", "default", "start",
    "root_start", "a: b", 'say "x"', "x; y", "#1", "50%", "%% x", "<b>", "a -> b", "--> c", "[*]",
    "{x}", "rích", "*very*", "_so_", "`code`", "1", "1.", "- x", "A\\B", "a\\n", "&amp; x", "graph",
)  # fmt: skip
"""What one of the two reads otherwise where it is not written with care."""


def awkward() -> Iterator[Drawing]:
    """Each of the words as a box, an arrow's label and a line in a box; and as a frame."""
    yield Drawing(
        title="words",
        nodes=tuple(Node(word, word) for word in WORDS),
        edges=tuple(Edge(one, other, (one, other)) for one, other in pairwise(WORDS)),
        initial=WORDS[0],
        final=(WORDS[-1],),
    )
    yield Drawing(
        title="lines",
        nodes=tuple(Node(f"box {n}", word, (word, f"/ {word}")) for n, word in enumerate(WORDS)),
        frames=tuple(Frame(word, (f"box {n}",)) for n, word in enumerate(WORDS)),
        edges=(Edge(WORDS[0], WORDS[1], ("go()",)),),
    )


def drawings(player: Chart) -> dict[str, Drawing]:
    """Every picture of the shipped chart, of the examples, and of charts with awkward names."""
    words = {"idle": "end", "busy": "in use: now", "enter": "note", "news": '"news"', "desk": "#1"}
    text = to_json(DESK)
    for word, other in words.items():
        text = text.replace(json.dumps(word), json.dumps(other))
    panel = chart_named("panel:CHART", "", str(ROOT / "docs" / "examples"))
    found = dict(enumerate(awkward()))
    named = {f"awkward {number}": drawing for number, drawing in found.items()}
    for chart in (CHART, panel, DESK, attrs.evolve(from_json(text), name="odd"), player):
        named[f"{chart.name} overview"] = overview(chart)
        for name in chart.groups:
            named[f"{chart.name} {name}"] = group(chart, name)
            named[f"{chart.name} {name} on the map"] = group_on_the_map(chart, name)
    return named


def tight(words: Iterable[str]) -> str:
    """The words without spaces: where a line breaks is for whoever lays it out."""
    return "".join("".join(words).split())


# --- Graphviz -------------------------------------------------------------------------------------


def escaped(lines: Iterable[str]) -> str:
    return "\\n".join(line.replace("\\", "\\\\") for line in lines)


def as_graphviz(drawing: Drawing) -> dict[str, Any]:
    """What Graphviz is to read: boxes by what stands in them, the beginning by nothing."""
    first = {frame.name: frame.members[0] for frame in drawing.frames}
    labels = {node.name: escaped([node.label, *node.lines]) for node in drawing.nodes}

    def name(word: str) -> str:
        return labels[first.get(word, word)]

    def clipped(word: str) -> str:
        return f"cluster_{escaped([word])}" if word in first else ""

    beginning = [["", name(drawing.initial), "", "", ""]] if drawing.initial else []
    arrows = [
        [name(e.source), name(e.target), escaped(e.label), clipped(e.source), clipped(e.target)]
        for e in drawing.edges
    ]
    return {
        "nodes": sorted([*labels.values(), *("" for _ in beginning)]),
        "frames": sorted([escaped([f.name]), sorted(map(name, f.members))] for f in drawing.frames),
        "edges": sorted([*beginning, *arrows]),
    }


@needs_node("@hpcc-js/wasm-graphviz")
def test_graphviz_reads_every_picture_as_it_was_drawn(player: Chart, tmp_path: Path) -> None:
    pictures = drawings(player)
    folder = laid(tmp_path, HERE / "read_by_graphviz.mjs")
    texts = {title: dot(drawing) for title, drawing in pictures.items()}
    (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
    done = node(folder / "read_by_graphviz.mjs", folder / "texts.json")
    assert (done.stderr, done.returncode) == ("", 0)
    for title, read in json.loads(done.stdout).items():
        expected = as_graphviz(pictures[title])
        read["nodes"].sort()
        read["edges"].sort()
        read["frames"] = sorted([name, sorted(members)] for name, members in read["frames"])
        assert read == expected, title


# --- Mermaid --------------------------------------------------------------------------------------

RENDERED: Final = """
    const texts = await (await fetch("texts.json")).json();
    const built = document.head.appendChild(document.createElement("script"));
    await new Promise((loaded) => { built.onload = loaded; built.src = "mermaid.js"; });
    mermaid.initialize({ startOnLoad: false });
    const read = {};
    for (const [number, [title, text]] of Object.entries(texts).entries()) {
      const place = document.body.appendChild(document.createElement("div"));
      place.innerHTML = (await mermaid.render(`picture-${number}`, text)).svg;
      const of = (kind) => [...place.querySelectorAll(kind)]
        .map((each) => each.textContent.replace(/\\s/g, "")).filter(Boolean).sort();
      read[title] = {
        nodes: of("g.node"), edges: of("g.edgeLabel"), frames: of(".cluster-label"),
        actors: of("text.actor"), messages: of("text.messageText"),
      };
      place.remove();
    }
    return read;
"""


def rendered(texts: dict[str, str], folder: Path) -> dict[str, dict[str, list[str]]]:
    """What Mermaid shows of each text, in a browser."""
    shutil.copy(
        MODULES / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js", folder / "mermaid.js"
    )
    (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
    return dict(answered(folder, RENDERED))


@needs_chromium
@needs_node("@mermaid-js/tiny")
def test_mermaid_shows_every_picture_as_it_was_drawn(player: Chart, tmp_path: Path) -> None:
    pictures = drawings(player)
    texts = {title: mermaid(drawing) for title, drawing in pictures.items()}
    for title, read in rendered(texts, tmp_path).items():
        drawing = pictures[title]
        assert read["nodes"] == sorted(tight([n.label, *n.lines]) for n in drawing.nodes), title
        assert read["edges"] == sorted(filter(None, (tight(e.label) for e in drawing.edges))), title
        assert read["frames"] == sorted(tight([f.name]) for f in drawing.frames), title


@needs_chromium
@needs_node("@mermaid-js/tiny")
def test_mermaid_shows_who_says_what_in_a_story(tmp_path: Path) -> None:
    report = check(DESK, WANTED)
    failed = {v.property.id: v for v in report.verdicts if v.held is False}
    assert {each.id for each in WANTED} <= failed.keys()
    stories = {id: sequence(report.space.model, verdict) for id, verdict in failed.items()}
    for id, read in rendered(stories, tmp_path).items():
        lines = stories[id].splitlines()
        taking_part = [line.split()[1] for line in lines if "participant " in line]
        assert set(read["actors"]) == set(taking_part), id
        said = sorted(tight(line.partition(": ")[2]) for line in lines if "->>" in line)
        assert read["messages"] == said, id
