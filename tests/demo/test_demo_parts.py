"""The demo's parts: what becomes of scenes that do not go as expected, and what is drawn on a
terminal.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable

import pytest
from rich.console import Console

from support_chat import Phase, PhaseChanged
from support_chat.testing import run
from support_chat_adapters.cli import main
from support_chat_adapters.demo.environment import watchable
from support_chat_adapters.demo.play import SCENE_LIMIT, Demo, play, watch
from support_chat_adapters.demo.report import (
    Counters,
    Fact,
    SceneBegun,
    Step,
    StepBegun,
    Summary,
)
from support_chat_adapters.demo.scenes import SCENES
from support_chat_adapters.demo.view import Page, view

COUNTERS = Counters(
    dials=3, links_open=1, links_most=1, token_calls=2, updates=50, update_requests=4
)


class Terminal(io.StringIO):
    """Text that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def watched(**scenes: Callable[[Demo], Awaitable[None]]) -> tuple[int, list[str]]:
    """The exit status of a demo of these scenes, and its lines."""
    out = io.StringIO()
    status = run(watch(scenes, out, plain=True, json=False))
    return status, out.getvalue().splitlines()


async def boots(demo: Demo) -> None:
    demo.step("boot")
    await demo.chat.boot()
    await demo.check("live", phase=(demo.chat.state, Phase.ANONYMOUS))


async def expects_another_phase(demo: Demo) -> None:
    demo.step("boot")
    await demo.chat.boot()
    await demo.check(
        "wrong on purpose", phase=(demo.chat.state, Phase.AUTHENTICATED), live=(True, True)
    )


async def raises(demo: Demo) -> None:
    demo.step("an update nobody can make")
    await demo.chat.update(context={"page": "/"})


async def checks_nothing(demo: Demo) -> None:
    demo.step("look away")


async def hangs(demo: Demo) -> None:
    demo.step("wait for what never comes")
    await demo.chat.wait_for(Phase.AUTHENTICATED)


BROKEN = (
    (expects_another_phase, "boot: phase: wanted authenticated, saw anonymous"),
    (raises, "an update nobody can make: raised NotBootedError: "),
    (checks_nothing, "look away: nothing was checked"),
    (hangs, f"wait for what never comes: did not end within {SCENE_LIMIT:g} s"),
)


@pytest.mark.parametrize(("scene", "complaint"), BROKEN)
def test_a_step_that_ends_otherwise_than_expected_makes_the_status_1_and_is_named(
    scene: Callable[[Demo], Awaitable[None]], complaint: str
) -> None:
    status, lines = watched(it_breaks=scene)
    assert status == 1
    assert any(line.startswith(f"FAILED: scene 1, {complaint}") for line in lines)
    assert any(line.startswith(f"  FAILED {complaint.partition(': ')[2]}") for line in lines)
    assert lines[-1].startswith("FAILED: 0 of 1 steps ended as expected")


def test_a_scene_that_raises_is_the_last_and_what_is_not_played_is_no_success() -> None:
    status, lines = watched(it_raises=raises, it_is_not_reached=boots)
    assert status == 1
    assert not [line for line in lines if line.startswith("scene 2/")]


@pytest.mark.parametrize("first", [expects_another_phase, checks_nothing])
def test_a_step_that_fails_does_not_keep_the_next_scene_from_being_played(
    first: Callable[[Demo], Awaitable[None]],
) -> None:
    status, lines = watched(it_breaks=first, it_goes_on=boots)
    assert status == 1
    assert lines[-1].startswith("FAILED: 1 of 2 steps ended as expected")


def test_a_session_left_live_by_its_last_scene_is_destroyed() -> None:
    status, lines = watched(it_boots=boots)
    assert status == 0
    assert "  event  phase: anonymous -> destroyed (destroy)" in lines
    assert any(line.startswith("numbers: 1 dials, at most 1 link") for line in lines)


def test_the_view_shows_the_whole_demo_and_leaves_its_summary_on_the_screen() -> None:
    out = Terminal()

    async def story() -> int:
        environment = watchable()
        async with view(out, environment.counters) as show:
            return await play(SCENES, environment, show)

    assert run(story()) == 0
    pages, left, summary = out.getvalue().rpartition("\x1b[?1049l")
    assert "\x1b[?1049h" in pages
    assert left
    for title in SCENES:
        assert title in pages
        assert title in summary
    for phase in Phase:
        # too short to be drawn for certain
        assert f"● {phase}" in pages or phase in (Phase.LOADING, Phase.DESTROYED)
        assert f"✓ {phase}" in summary


def test_an_interrupted_view_gives_the_terminal_back() -> None:
    out = Terminal()

    async def story() -> None:
        async with view(out, lambda: COUNTERS):
            await asyncio.sleep(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(story())
    assert out.getvalue().rstrip().endswith(("\x1b[?1049l", "\x1b[?25h"))


def drawn(page: Page, width: int = 80, height: int = 24) -> list[str]:
    out = Terminal()
    console = Console(file=out, width=width, height=height, color_system=None)
    console.print(page, height=height, end="")
    return out.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (60, 12)])
def test_a_page_fills_its_terminal_and_no_more(width: int, height: int) -> None:
    page = Page(lambda: COUNTERS)
    page.show(SceneBegun(3, 9, "The visitor signs in"))
    for number in range(12):
        did = f"step {number} " + "x" * 70
        page.show(StepBegun(did))
        page.show(PhaseChanged(Phase.BOOTING, Phase.ANONYMOUS))
        page.show(Step(3, did, "what came of it " + "y" * 80, (), COUNTERS))
    page.show(StepBegun("the step being done"))
    lines = drawn(page, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "the step being done" in "\n".join(lines)
    assert "updates 50" in lines[-1] or width < 80


def test_a_page_shows_where_the_session_stands_and_where_it_has_been() -> None:
    page = Page(lambda: COUNTERS)
    page.show(PhaseChanged(Phase.NOT_INITIALIZED, Phase.LOADING))
    page.show(PhaseChanged(Phase.LOADING, Phase.READY))
    text = "\n".join(drawn(page))
    for seen in ("✓ not_initialized", "✓ loading", "● ready", "○ booting"):
        assert seen in text
    assert "not_initialized → loading → ready" in text


def test_a_failed_step_is_shown_with_what_was_wanted_and_what_was_seen() -> None:
    page = Page(lambda: COUNTERS)
    page.show(StepBegun("boot"))
    page.show(Step(1, "boot", "live", (Fact("phase", "ready", "anonymous"),), COUNTERS))
    text = "\n".join(drawn(page))
    assert "✗ boot" in text
    assert "phase: wanted anonymous, saw ready" in text


def test_a_summary_is_good_only_if_every_scene_was_played() -> None:
    steps = (Step(1, "boot", "live", (), COUNTERS),)
    assert Summary(("one",), steps, (), COUNTERS, 1.0).ok
    assert not Summary(("one", "two"), steps, (), COUNTERS, 1.0).ok


def test_help_fits_on_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo", "--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
