"""The page by keyboard, by search, for screen readers, in the dark, on paper, and without a
script.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from awkward import AWKWARD
from devtools import Page
from lamp import CHART as LAMP
from node import INSTALL, MODULES
from support_chat import CHART

from .conftest import Explore

AXE: Final = MODULES / "axe-core" / "axe.min.js"

SIZES_AND_SCHEMES: Final = ((1280, False), (1280, True), (390, False), (390, True))


def shown(page: Page) -> Any:
    """The kinds and names of the articles that are seen."""
    return page.evaluate(
        "[...document.querySelectorAll('article')].filter((each) => each.checkVisibility())"
        ".map((each) => `${each.dataset.kind} ${each.dataset.name}`)"
    )


def focus(page: Page) -> Any:
    """The name of what has the focus, in the picture, or its text."""
    return page.evaluate(
        "document.activeElement.dataset.name ?? document.activeElement.textContent.trim()"
    )


def test_the_search_finds_names_first_and_is_left_by_keys_alone(explore: Explore) -> None:
    page = explore()
    page.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.write("dial")
    found = page.evaluate("[...document.querySelectorAll('#found a')].map((a) => a.textContent)")
    assert found[0] == "effect dial"
    assert "trigger dial_refused" in found
    page.press("ArrowDown", "ArrowDown")
    assert focus(page) == found[1]
    page.press("ArrowUp", "ArrowUp")
    assert page.evaluate("document.activeElement.id") == "search"
    page.press("Enter")
    page.wait("document.querySelector('article:not([hidden])').dataset.name === 'dial'")
    page.wait("document.getElementById('found').hidden")
    assert shown(page) == ["effect dial"]
    page.press("/")
    page.write("somebody was listening to nothing like it")
    assert page.text("#found") == "Nothing is found."
    page.press("Escape")
    assert page.evaluate("document.getElementById('search').value") == ""
    assert shown(page) == ["effect dial"]
    page.press("Escape")
    page.wait("document.querySelector('article:not([hidden])').dataset.kind === 'chart'")
    assert shown(page) == ["chart support_chat"]


def test_the_search_finds_what_is_told_of_a_thing(explore: Explore) -> None:
    page = explore()
    page.press("/")
    page.write("another identity than the boot")  # of a message of an error
    assert "row boot.refuse_other" in page.text("#found")


def test_arrow_keys_go_from_phase_to_phase_and_enter_opens_one(explore: Explore) -> None:
    page = explore()
    page.evaluate("document.querySelector('.sheet').focus()")
    page.press("ArrowDown")
    assert focus(page) == "not_initialized"
    page.press("ArrowDown", "ArrowDown", "ArrowDown")
    assert focus(page) == "booting"
    page.press("ArrowRight")
    assert focus(page) == "shutdown"
    page.press("ArrowLeft")
    assert focus(page) == "booting"
    page.press("Enter")
    page.wait("document.querySelector('article:not([hidden])').dataset.name === 'booting'")
    assert shown(page) == ["phase booting"]
    assert focus(page) == "phase booting"  # its heading, for who hears the page
    lit = page.evaluate(
        "[...document.querySelectorAll('#picture .way.chosen')]"
        ".every(({ dataset: { source, target } }) =>"
        " [source, target].includes('booting') || source === 'any phase')"
    )
    assert lit
    page.press("Escape")
    page.wait("location.hash === '#chart=support_chat'")


def test_where_the_focus_is_can_be_seen_of_everything(explore: Explore) -> None:
    page = explore(LAMP)
    seen = set[str]()
    for _ in range(60):
        page.press("Tab")
        name, ring = page.evaluate("""(() => {
            const one = document.activeElement;
            const box = one.querySelector?.('.box, .line');
            const ring = one.closest('svg') ? getComputedStyle(box).strokeWidth
                : getComputedStyle(one).outlineStyle;
            return [one.id || one.dataset.name || one.dataset.trigger || one.tagName, ring];
        })()""")
        if name != "BODY":
            assert ring in ("solid", "4px"), name
        seen.add(name)
    assert {"search", "open", "off", "on", "press", "hold", "again", "SUMMARY"} <= seen


def test_steps_are_taken_and_undone_by_keys(explore: Explore) -> None:
    page = explore(LAMP)
    page.evaluate("document.querySelector('button[data-trigger=press]').focus()")
    page.press("Enter")
    assert page.text("#now b") == "on"
    assert page.evaluate("document.activeElement.dataset.trigger") == "press"
    page.press("Enter")
    assert page.text("#now b") == "off"
    page.press("ArrowLeft")
    assert page.text("#now b") == "on"
    page.press("ArrowRight")
    assert page.text("#now b") == "off"


def test_moving_a_walk_moves_neither_the_page_nor_what_is_read(explore: Explore) -> None:
    page = explore(fragment="#phase=shutdown")
    page.evaluate("scrollTo(0, 300)")
    page.evaluate("document.getElementById('book').scrollTop = 120")
    for _ in range(25):
        page.evaluate("document.querySelector('button[data-trigger=boot]').click()")
        page.evaluate("document.querySelector('button[data-trigger=shutdown]').click()")
    assert page.evaluate("[scrollY, document.getElementById('book').scrollTop]") == [300, 120]
    assert shown(page) == ["phase shutdown"]


def test_on_paper_are_the_picture_every_row_and_what_was_read(explore: Explore) -> None:
    page = explore(LAMP, "#phase=on")
    page.send("Emulation.setEmulatedMedia", media="print")
    assert shown(page) == ["chart lamp", "phase on"]
    told = page.text("article")
    assert all(row.name in told for row in LAMP.transitions)
    assert page.evaluate("document.querySelector('#picture svg').checkVisibility()")
    buttons = "[...document.querySelectorAll('button')].some((each) => each.checkVisibility())"
    assert not page.evaluate(buttons)
    assert len(page.send("Page.printToPDF")["data"]) > 10_000


def test_without_a_script_everything_is_told(explore: Explore) -> None:
    page = explore(CHART, scripted=False)
    page.send("Emulation.setScriptExecutionDisabled", value=False)  # to look at it
    told = page.text("#articles")
    assert all(row.name in told for row in CHART.transitions)
    assert not page.evaluate("document.getElementById('walk').checkVisibility()")


@pytest.mark.parametrize(("width", "dark"), SIZES_AND_SCHEMES)
def test_axe_finds_nothing_serious(width: int, dark: bool, explore: Explore) -> None:
    if not AXE.exists():
        pytest.skip(f"needs axe-core: {INSTALL}")
    large = [(CHART, "#phase=booting")] if (width, dark) == SIZES_AND_SCHEMES[0] else []
    for chart, fragment in ((LAMP, "#phase=on"), (AWKWARD, ""), *large):
        page = explore(chart, fragment, width=width, dark=dark)
        page.evaluate("document.querySelector('#happenings button').click()")
        page.evaluate(
            "document.querySelectorAll('details').forEach((each) => { each.open = true })"
        )
        page.evaluate(AXE.read_text("utf-8"))
        violations = page.evaluate(
            "axe.run({ exclude: [['article[hidden]']] })"
            ".then(({ violations }) => violations.map(({ id, impact, nodes }) =>"
            " [id, impact, nodes.slice(0, 3).map(({ html, failureSummary }) =>"
            " `${html.slice(0, 200)} ${failureSummary}`)]))"
        )
        assert [each for each in violations if each[1] in ("serious", "critical")] == []


def test_what_goes_wrong_is_told_in_the_page(explore: Explore) -> None:
    page = explore(LAMP)
    page.evaluate("setTimeout(() => dispatchEvent(new ErrorEvent('error', { message: 'oh' })))")
    page.wait("!document.getElementById('fault').hidden")
    assert page.text("#fault") == "oh"
