"""The page of a chart as text: everything in the chart is in it, in sentences too, and nothing of a
chart is ever taken for markup.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings, strategies as st

from awkward import ALONE, AWKWARD, HOSTILE
from support_chat import CHART, Chart, InvalidInputError, Transition
from support_chat.chart.model import Ignored, Note
from support_chat_adapters.diagrams import as_html, html
from support_chat_adapters.diagrams.articles import address, articles, way_name
from support_chat_adapters.diagrams.exported import from_json
from support_chat_adapters.diagrams.views import along, overview

MOST = 1_500_000
"""Characters of the page of the shipped chart: it is sent around."""
VOID = {"meta", "input", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """A page as it is read: which elements there are, with what attributes, and which texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        within = self.scripts if self.open and self.open[-1] == "script" else self.texts
        within.append(data)

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]


@pytest.mark.parametrize("chart", [CHART, AWKWARD, ALONE], ids=lambda chart: chart.name[:9])
def test_everything_in_a_chart_has_its_article(chart: Chart) -> None:
    page = Page(html(chart))
    assert page.open == []
    shown = {text.strip() for text in page.texts}
    for kind, names in (
        ("phase", chart.phases),
        ("row", [row.name for row in chart.transitions]),
        ("trigger", chart.triggers),
        ("effect", chart.effects),
        ("fact", chart.facts),
    ):
        for name in names:
            assert address(kind, name) in page.ids
            assert str(name) in shown
    assert len(page.ids) == len({*page.ids})


@pytest.mark.parametrize("chart", [CHART, AWKWARD, ALONE], ids=lambda chart: chart.name[:9])
def test_every_row_is_a_sentence_and_every_arrow_tells_its_rows(chart: Chart) -> None:
    drawing = overview(chart)
    told = {(each.kind, each.name): each.html for each in articles(chart, drawing)}
    whole = told["chart", chart.name]
    for row in chart.transitions:
        (sentence,) = re.findall(rf'<li><a href="#{address("row", row.name)}">.*?</li>', whole)
        for trigger in row.trigger:
            assert address("trigger", trigger) in sentence
        assert ("goes to" in sentence) == (row.target not in (None, *row.sources))
    drawn = [
        (row.name, source, row.target)
        for edge in drawing.edges
        for row in along(chart, edge)
        for source in row.sources
        if address("row", row.name) in told["way", way_name(edge)]
    ]
    moves = {
        (row.name, source, row.target)
        for row in chart.transitions
        for source in row.sources
        if row.target not in (None, source)
    }
    assert moves <= {*drawn}, "what moves is drawn, and told where it is drawn"


def test_what_a_row_says_is_told() -> None:
    told = {(each.kind, each.name): each.html for each in articles(CHART, overview(CHART))}
    for row in CHART.transitions:
        text = told["row", row.name]
        for name in (*row.when, *row.unless, *row.sets, *row.clears):
            assert address("fact", name) in text
        for effect in row.effects:
            assert address("effect", effect) in text
        assert not row.error or row.error.error.__name__ in text
        assert row.reason in text


def test_nothing_of_a_chart_is_markup() -> None:
    page = Page(html(AWKWARD))
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not [tag for tag, _ in page.elements if tag in ("img", "iframe", "object", "link")]
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    assert HOSTILE in page.texts
    document, _ = page.scripts
    assert from_json(document).transitions == AWKWARD.transitions


def test_it_needs_nothing_else_and_says_so() -> None:
    page = Page(html(CHART))
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert str(policy).startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha2")
    for _, attributes in page.elements:
        assert not attributes.get("src")
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"^(import|export) ", page.scripts[-1], re.MULTILINE)
    code = re.sub(r"^//.*$", "", page.scripts[-1], flags=re.MULTILINE)
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|innerHTML|eval\(", code)


def test_it_is_small_enough_and_the_same_each_time() -> None:
    assert len(html(CHART)) < MOST
    assert html(CHART) == html(CHART)


def test_a_failure_of_drawing_is_told_where_the_picture_would_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> str:
        raise ZeroDivisionError("of <nothing>")

    monkeypatch.setattr(as_html, "inlined", fails)
    text = html(CHART)
    assert "The picture could not be drawn: ZeroDivisionError: of &lt;nothing&gt;" in text
    assert all(address("row", row.name) in text for row in CHART.transitions)


def test_a_path_is_lit_and_one_that_is_none_is_refused() -> None:
    lit = re.findall(r'class="box[^"]* lit"', html(CHART, path=("ready", "booting")))
    assert len(lit) == 2
    with pytest.raises(InvalidInputError, match="Nothing here leads from 'ready' to 'anonymous'"):
        html(CHART, path=("ready", "anonymous"))
    with pytest.raises(InvalidInputError, match="has no phase 'nowhere'"):
        html(CHART, path=("nowhere",))


NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name.strip() == name)


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    """Any small chart: names and sentences of any characters."""
    phases = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    triggers = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    effect = draw(NAMES)
    pairs = [(phase, trigger) for phase in phases for trigger in triggers]
    # each trigger somewhere, and wherever else it falls
    used = {(phases[0], trigger) for trigger in triggers} | {
        p for p in pairs if draw(st.booleans())
    }
    rows = [
        Transition(
            name=f"{number} {draw(NAMES)}", group=draw(NAMES), trigger=trigger, sources=phase,
            target=phases[(phases.index(phase) + draw(st.integers(0, 4))) % len(phases)],
            effects=effect, reason=draw(st.text(max_size=5)),
        )
        for number, (phase, trigger) in enumerate(p for p in pairs if p in used)
    ]  # fmt: skip
    ignored = [
        Ignored(triggers=trigger, phases=phase, because=draw(NAMES))
        for phase, trigger in pairs
        if (phase, trigger) not in used
    ]
    # every phase is reached
    onward = [
        Transition(name=f"on {n}", group="g", trigger="__on", sources=one, target=other)
        for n, (one, other) in enumerate(pairwise(phases))
    ]
    last = [Ignored(triggers="__on", phases=phases[-1], because="it is the last")]
    return Chart(
        name=draw(NAMES),
        initial=phases[0],
        phases=phases,
        triggers=[*triggers, *(["__on"] if onward else [])],
        external=[*triggers, *(["__on"] if onward else [])],
        effects={effect: Note(doc=draw(st.text(max_size=8)))},
        transitions=[*rows, *onward],
        ignored=[*ignored, *(last if onward else [])],
    )


@given(charts())
@settings(deadline=None)
def test_whatever_the_chart_its_page_is_whole(chart: Chart) -> None:
    page = Page(html(chart))
    assert page.open == []
    assert len(page.ids) == len({*page.ids})
    leads = [a["href"] for tag, a in page.elements if tag == "a"]
    assert {str(each).removeprefix("#") for each in leads} <= {*page.ids}
    names = [*chart.phases, *chart.triggers, *(row.name for row in chart.transitions)]
    shown = "\n".join(page.texts)
    assert all(name in shown for name in names)
    document = json.loads(page.scripts[0])
    assert document["phases"] == list(chart.phases)
    assert "could not be drawn" not in shown


def test_the_modules_name_nothing_twice() -> None:
    """They are one module in the page."""
    script = Page(html(ALONE)).scripts[-1]
    names = re.findall(
        r"^(?:async )?(?:function\*?|class|const|let) (\w+)", script, flags=re.MULTILINE
    )
    assert len(names) == len({*names}) > 40
    files = chain.from_iterable(as_html.source(name).splitlines() for name in as_html.MODULES)
    assert max(map(len, files)) <= 110
