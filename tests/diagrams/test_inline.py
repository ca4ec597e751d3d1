"""Pictures for pages, which share nothing with each other, and what is lit in each format."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from support_chat import CHART, Chart, InvalidInputError
from support_chat_adapters import diagrams
from support_chat_adapters.diagrams.dot import dot
from support_chat_adapters.diagrams.inline import inlined
from support_chat_adapters.diagrams.views import lit, overview


def test_two_pictures_of_a_page_share_no_id_and_no_style() -> None:
    picture = inlined(overview(CHART))
    assert not re.search(r"""\bid=|url\(#|href""", picture)
    style = re.findall(r"<style>(.*?)</style>", picture, re.DOTALL)
    assert len(style) == 1
    assert style[0].startswith("svg.support-chat {")
    assert style[0].endswith("}")
    assert style[0].count("{") == style[0].count("}")


def test_every_arrow_has_a_tip_and_every_phase_its_name(player: Chart) -> None:
    for chart in (CHART, player):
        drawing = overview(chart)
        root = ElementTree.fromstring(inlined(drawing))
        tips = [each for each in root.iter() if each.get("class", "").endswith("tip")]
        paths = [each for each in tips if each.tag.endswith("path")]
        assert len(paths) == len(drawing.edges) + 3  # the beginning, two of the legend
        words = {"".join(each.itertext()) for each in root.iter()}
        assert {*map(str, chart.phases)} <= words


def test_what_has_a_link_leads_there_and_says_what_it_is(player: Chart) -> None:
    root = ElementTree.fromstring(inlined(overview(player), lambda _: "#<there>"))
    links = [each for each in root.iter() if each.tag.endswith("}a")]
    assert {each.get("href") for each in links} == {"#<there>"}
    names = {each.get("aria-label") for each in links}
    assert {"idle", "idle to playing: play()", "loaded to idle: stop() ended"} <= names


def test_a_path_is_lit_in_every_format(player: Chart) -> None:
    path = ("idle", "playing")
    assert len(re.findall(r'class="box[^"]* lit"', diagrams.svg(player, path=path))) == 2
    assert 'class="line lit"' in diagrams.svg(player, path=path)
    assert "url(#lit-tip)" in diagrams.svg(player, path=path)
    assert "class idle,playing lit" in diagrams.mermaid(player, path=path)
    assert dot(lit(player, overview(player), path)).count("penwidth=3") == 3
    assert 'class="box lit"' in diagrams.html(player, path=path)


def test_an_arrow_of_a_composite_or_of_any_phase_is_on_the_path(player: Chart) -> None:
    drawing = lit(player, overview(player), ("playing", "gone"))
    assert [(e.source, e.target) for e in drawing.edges if e.lit] == [("loaded", "gone")]
    drawing = lit(CHART, overview(CHART), ("ready", "destroyed"))
    assert [(e.source, e.target) for e in drawing.edges if e.lit] == [("any phase", "destroyed")]


def test_what_is_not_lit_is_drawn_as_ever() -> None:
    assert diagrams.svg(CHART) == diagrams.svg(CHART, path=())
    assert "lit" not in diagrams.svg(CHART)
    assert diagrams.svg(CHART, "booting") != diagrams.svg(CHART)
    assert diagrams.mermaid(CHART, "booting").startswith("stateDiagram-v2")


@pytest.mark.parametrize(
    ("path", "told"),
    [(("playing", "idle", "paused"), "from 'idle' to 'paused'"), (("up",), "has no phase 'up'")],
)
def test_a_path_that_is_none_is_refused(path: tuple[str, ...], told: str, player: Chart) -> None:
    with pytest.raises(InvalidInputError, match=told):
        diagrams.svg(player, path=path)
