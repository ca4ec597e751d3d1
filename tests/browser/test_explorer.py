"""The page that explores a chart, in a real browser: read, clicked, typed into, stepped through."""

from __future__ import annotations

import random
from typing import Final

import pytest

from awkward import ALONE, AWKWARD
from devtools import Page
from lamp import CHART as LAMP
from support_chat import CHART, Chart
from support_chat.chart.machine import Compiled, Input
from support_chat.chart.model import Raise, Stored
from support_chat_adapters.diagrams.articles import address

from .conftest import Explore

SIZES: Final = ((1280, 900), (390, 844))


def heading(page: Page) -> str:
    """What the article that is shown is about."""
    shown = page.evaluate(
        "[...document.querySelectorAll('article')].filter((each) => each.checkVisibility())"
        ".map((each) => each.querySelector('h2').textContent).join('; ')"
    )
    return str(shown)


def phase(page: Page) -> str:
    """Where the walk stands."""
    return page.text("#now b")


def happen(page: Page, trigger: str) -> None:
    """Presses the button of a trigger."""
    page.click(f'#happenings button[data-trigger="{trigger}"]')


# --- what it shows --------------------------------------------------------------------------------


def test_a_click_on_a_phase_an_arrow_or_a_row_tells_of_it(explore: Explore) -> None:
    page = explore()
    assert heading(page) == "chart support_chat"
    page.click('#picture .node[data-name="booting"]')
    page.wait("document.querySelector('article:not([hidden])').dataset.name === 'booting'")
    assert heading(page) == "phase booting"
    assert "Leads to ready, anonymous" in page.text("#book")
    page.click('#picture .way[data-source="anonymous"][data-target="authenticated"] text')
    page.wait("document.querySelector('article:not([hidden])').dataset.kind === 'way'")
    assert heading(page) == "way anonymous → authenticated"
    page.click("article:not([hidden]) a[href^='#row=']")
    page.wait("document.querySelector('article:not([hidden])').dataset.kind === 'row'")
    told = page.text("article:not([hidden])")
    for words in ("guard", "effects, in order", "reason", "identified"):
        assert words in told
    assert page.evaluate("document.querySelectorAll('#picture .way.chosen').length") == 1


def test_a_row_that_refuses_tells_its_error(explore: Explore) -> None:
    page = explore(fragment="#row=boot.refuse_other")
    assert "IdentityConflictError: {call}() names another identity" in page.text("#book")


def test_a_deep_link_opens_what_it_names_however_it_is_written(explore: Explore) -> None:
    page = explore(fragment="#row=boot.visitor_known")
    assert heading(page) == "row boot.visitor_known"
    page.wait("scrollY === 0")  # the picture is in sight
    page.evaluate("location.hash = '#phase=ready'")
    page.wait("document.querySelector('#phase\\\\=ready:not([hidden])')")
    page.evaluate("history.back()")
    page.wait("location.hash === '#row=boot.visitor_known'")
    page.wait("document.querySelector('#row\\\\=boot\\\\.visitor_known:not([hidden])')")
    page.evaluate("location.hash = '#phase=nowhere'")
    page.wait("document.querySelector('article:not([hidden])').dataset.kind === 'chart'")


def test_names_that_break_pages_are_shown_as_they_are(explore: Explore) -> None:
    page = explore(AWKWARD)
    assert page.evaluate("document.title") == AWKWARD.name
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    names = [("phase", each) for each in AWKWARD.phases]
    names += [("row", row.name) for row in AWKWARD.transitions]
    names += [("trigger", each) for each in AWKWARD.triggers]
    for kind, name in names:
        page.evaluate(f"location.hash = {'#' + address(kind, name)!r}")
        page.wait(f"document.querySelector('article:not([hidden])').dataset.name === {name!r}")
        assert heading(page) == f"{kind} {name}"
    page.evaluate("location.hash = '#phase=first & last'")  # as a person types it
    page.wait("document.querySelector('article:not([hidden])').dataset.name === 'first & last'")
    page.click('#happenings button[data-trigger="go (now)!"]')
    assert phase(page) == "<b>bold</b>"
    page.click("#now a[href^='#phase=']")
    page.wait("document.querySelector('article:not([hidden])').dataset.name === '<b>bold</b>'")


def test_a_chart_of_one_phase_has_a_page(explore: Explore) -> None:
    page = explore(ALONE)
    happen(page, "wait")
    assert phase(page) == "here"
    assert "wait(): wait" in page.text("#told")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_is_wider_than_the_screen_but_the_picture_in_its_sheet(
    width: int, height: int, explore: Explore
) -> None:
    for chart in (CHART, LAMP, AWKWARD):
        page = explore(chart, width=width, height=height)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        node = page.evaluate("""(() => {
            const { left, right } = document.querySelector('.node.here').getBoundingClientRect();
            return left >= 0 && right <= innerWidth;
        })()""")
        assert node, "where the walk stands is in sight"


def test_no_two_elements_have_one_id_and_every_link_leads_somewhere(explore: Explore) -> None:
    for chart in (CHART, AWKWARD):
        page = explore(chart)
        twice = page.evaluate("""(() => {
            const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
            return ids.filter((id, place) => ids.indexOf(id) !== place);
        })()""")
        assert twice == []
        lost = page.evaluate("""[...document.querySelectorAll('a')]
            .map((a) => a.getAttribute('href').slice(1))
            .filter((id) => !document.getElementById(id))""")
        assert lost == []


def test_what_wants_in_from_elsewhere_is_kept_out(explore: Explore) -> None:
    page = explore(LAMP)
    assert (
        page.evaluate("""new Promise((done) => {
            document.addEventListener('securitypolicyviolation', () => done('refused'));
            document.body.append(Object.assign(new Image(), { src: 'https://example.com/a.png' }));
        })""")
        == "refused"
    )
    page.forgive("Content Security Policy")


# --- walking --------------------------------------------------------------------------------------


def test_triggers_are_fired_and_undone_and_done_again(explore: Explore) -> None:
    page = explore()
    assert phase(page) == "not_initialized"
    for trigger, comes_to in (
        ("boot", "loading"),
        ("loaded", "booting"),
        ("visitor_read", "booting"),
        ("retry_due", "booting"),
        ("link_up", "anonymous"),
    ):
        happen(page, trigger)
        assert phase(page) == comes_to
    assert "boot.live_as_visitor" in page.text("#told")
    assert page.evaluate("document.querySelectorAll('#tape .done').length") == 5
    here = page.evaluate("document.querySelector('#picture .node.here').dataset.name")
    assert here == "anonymous"
    page.click("#undo")
    page.click("#undo")
    assert phase(page) == "booting"
    assert page.evaluate("document.querySelectorAll('#tape .done').length") == 3
    page.click("#redo")
    page.click("#redo")
    assert phase(page) == "anonymous"
    page.click("#undo")
    happen(page, "shutdown")  # what was undone is given up
    assert phase(page) == "shutdown"
    assert page.evaluate("document.querySelectorAll('#tape li').length") == 5
    page.click("#again")
    assert phase(page) == "not_initialized"
    assert page.text("#tape").strip() == ""


def test_what_a_step_names_and_brings_along_is_set_before_it(explore: Explore) -> None:
    page = explore()
    page.evaluate("""(() => {
        const who = document.querySelector('#facts select');
        who.value = 'A';
        who.dispatchEvent(new Event('change'));
    })()""")
    happen(page, "boot")
    assert "user A" in page.text("#now")
    happen(page, "loaded")
    page.click("#facts fieldset:nth-of-type(2) label")  # a token provider, in the records
    page.evaluate("document.querySelector('#facts details').open = true")
    assert "provider" in page.text("#facts")


def test_the_state_is_set_by_hand_and_that_is_undone(explore: Explore) -> None:
    page = explore(LAMP)
    page.click("#facts summary")
    page.click("#facts details input")
    assert "locked" in page.text("#now")
    happen(page, "press")
    assert phase(page) == "off"
    assert "no row wants it here" in page.text("#told")
    page.click("#undo")
    page.click("#undo")
    happen(page, "press")
    assert phase(page) == "on"


@pytest.mark.parametrize(
    ("chart", "seed"),
    [(CHART, 0), (AWKWARD, 1), (LAMP, 2)],
    ids=["support_chat", "awkward", "lamp"],
)
def test_it_comes_to_what_our_machine_comes_to(chart: Chart, seed: int, explore: Explore) -> None:
    """A random walk over all triggers, possible or not; the facts of records stay false."""
    page, machine, dice = explore(chart), Compiled(chart), random.Random(seed)
    page.evaluate("document.querySelector('#happenings details')?.setAttribute('open', '')")
    state = machine.initial
    internal = {
        name: (spec.trigger, spec.carries)
        for name, spec in chart.effects.items()
        if isinstance(spec, Raise)
    }
    none = frozenset(
        effect for kind in chart.facts.values() for effect in getattr(kind, "sets", ())
    )
    for _ in range(40):
        trigger = dice.choice(chart.triggers)
        shown = page.evaluate(f"""(() => {{
            const button = document.querySelector(
                '#happenings button[data-trigger=' + CSS.escape({str(trigger)!r}) + ']');
            button.click();
            return [document.querySelector('#now b').textContent,
                [...document.querySelectorAll('#told a[href^="#row="]')].map((a) => a.textContent),
                [...document.querySelectorAll('#told a[href^="#effect="]')]
                    .map((a) => a.textContent)];
        }})()""")
        late = page.evaluate("document.querySelector('#tape [aria-current]').innerText")
        facts = machine.late if late.split(" →")[0].endswith("late") else 0
        rows, effects, todo = list[str](), list[str](), [(trigger, facts)]
        for one, carried in todo:
            state, row = machine.fire(state, Input(one, carried))
            if row.group:
                rows.append(row.name)
                effects += row.effects
                todo += [
                    (internal[each][0], carried if internal[each][1] else 0)
                    for each in row.effects
                    if each in internal
                ]
        assert shown == [state.phase, rows, [str(each) for each in effects]], trigger
        assert shown[0] in chart.phases
        stored = [f for f in machine.names(state.facts) if isinstance(chart.facts[f], Stored)]
        held = page.evaluate(
            "[...document.querySelectorAll('#now a[href^=\"#fact=\"]')].map((a) => a.textContent)"
        )
        assert sorted(held) == sorted(map(str, stored))
        if none.intersection(effects):  # from here on a fact of records holds
            page.click("#again")
            state = machine.initial
