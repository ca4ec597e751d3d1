"""The demo's parts: what becomes of scenes that do not go as expected, and what is drawn on a
terminal.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable

import pytest
from rich.console import Console

from support_chat import Phase, PhaseChanged
from support_chat.testing.virtual_loop import VirtualLoop
from support_chat_adapters.demo import run as run_demo
from support_chat_adapters.demo.report import Counters, Fact, Step, Summary
from support_chat_adapters.demo.run import BRISK, SCENE_LIMIT, WATCHABLE, play, watch
from support_chat_adapters.demo.scenes import SCENES, Scene
from support_chat_adapters.demo.stage import Stage
from support_chat_adapters.demo.view import Page, View, drawn
from support_chat_adapters.demo.world import World

COUNTERS = Counters(
    dials=3, links_open=1, links_most=1, token_calls=2, updates=50, update_requests=4
)


class Terminal(io.StringIO):
    """Text that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def in_virtual_time(main: Awaitable[int]) -> int:
    async def awaited() -> int:
        return await main

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(awaited())


def watched(*scenes: Scene) -> tuple[int, list[str]]:
    """The exit status of a demo of these scenes, and its lines."""
    out = io.StringIO()
    status = in_virtual_time(watch(scenes, out, plain=True, json=False))
    return status, out.getvalue().splitlines()


async def boots(stage: Stage) -> None:
    async with stage.step("boot") as step:
        await stage.chat.boot()
        step.check("live", phase=(stage.chat.state, Phase.ANONYMOUS))


async def expects_another_phase(stage: Stage) -> None:
    async with stage.step("boot") as step:
        await stage.chat.boot()
        step.check(
            "wrong on purpose", phase=(stage.chat.state, Phase.AUTHENTICATED), live=(True, True)
        )


async def raises(stage: Stage) -> None:
    async with stage.step("an update nobody can make"):
        await stage.chat.update(context={"page": "/"})


async def checks_nothing(stage: Stage) -> None:
    async with stage.step("look away"):
        pass


async def hangs(stage: Stage) -> None:
    async with stage.step("wait for what never comes"):
        await stage.chat.wait_for(Phase.AUTHENTICATED)


BROKEN = (
    (expects_another_phase, "boot: phase: wanted authenticated, saw anonymous"),
    (
        raises,
        "an update nobody can make: raised NotBootedError: "
        "update() needs a booted session, and this one is not_initialized: call boot() first.",
    ),
    (checks_nothing, "look away: nothing was checked"),
    (hangs, f"wait for what never comes: did not end within {SCENE_LIMIT:g} s"),
)


@pytest.mark.parametrize(("scene", "complaint"), BROKEN)
def test_a_step_that_ends_otherwise_than_expected_makes_the_status_1_and_is_named(
    scene: Callable[[Stage], Awaitable[None]], complaint: str
) -> None:
    status, lines = watched(Scene("It breaks", scene))
    assert status == 1
    assert f"FAILED: scene 1, {complaint}" in lines
    assert f"  FAILED {complaint.partition(': ')[2]}" in lines
    assert lines[-1].startswith("FAILED: 0 of 1 steps ended as expected")


def test_a_scene_that_raises_is_the_last_and_what_is_not_played_is_no_success() -> None:
    status, lines = watched(Scene("It raises", raises), Scene("It is not reached", boots))
    assert status == 1
    assert not [line for line in lines if line.startswith("scene 2/")]


def test_a_step_that_fails_does_not_keep_the_next_scene_from_being_played() -> None:
    status, lines = watched(Scene("It breaks", expects_another_phase), Scene("It goes on", boots))
    assert status == 1
    assert lines[-1].startswith("FAILED: 1 of 2 steps ended as expected")


def test_a_session_left_live_by_its_last_scene_is_destroyed() -> None:
    status, lines = watched(Scene("It boots", boots))
    assert status == 0
    assert "  event  phase: anonymous -> destroyed (destroy)" in lines
    assert next(line for line in lines if line.startswith("numbers: ")).startswith(
        "numbers: 1 dials, at most 1 link"
    )


def test_the_view_shows_the_whole_demo_and_leaves_its_summary_on_the_screen() -> None:
    out = Terminal()

    async def main() -> int:
        world = World.begin(WATCHABLE)
        async with View(out, world.counters) as view:
            return 0 if (await play(SCENES, world, view)).ok else 1

    assert in_virtual_time(main()) == 0
    pages, left, summary = out.getvalue().rpartition("\x1b[?1049l")
    assert "\x1b[?1049h" in pages
    assert left
    for scene in SCENES:
        assert scene.title in pages
        assert scene.title in summary
    for phase in Phase:
        # too short to be drawn for certain
        assert f"● {phase}" in pages or phase in (Phase.LOADING, Phase.DESTROYED)
        assert f"✓ {phase}" in summary


def test_an_interrupted_view_gives_the_terminal_back() -> None:
    out = Terminal()

    async def main() -> int:
        world = World.begin(BRISK)
        with world.backend:
            async with View(out, world.counters):
                await asyncio.sleep(1)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_virtual_time(main())
    assert out.getvalue().rstrip().endswith(("\x1b[?1049l", "\x1b[?25h"))


SIZES = ((80, 24), (100, 30), (120, 40), (60, 12))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_page_fills_its_terminal_and_no_more(width: int, height: int) -> None:
    view = View(Terminal(), lambda: COUNTERS)
    view.scene(3, 9, "The visitor signs in")
    for i in range(12):
        view.begin(f"step {i} " + "x" * 70)
        view.event(PhaseChanged(Phase.BOOTING, Phase.ANONYMOUS))
        view.step(Step(3, f"step {i} " + "x" * 70, "what came of it " + "y" * 80, (), COUNTERS))
    view.begin("the step being done")
    lines = page_lines(view.page, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "the step being done" in "\n".join(lines)
    assert "updates 50" in lines[-1] or width < 80


def page_lines(page: Page, width: int, height: int) -> list[str]:
    out = Terminal()
    console = Console(file=out, width=width, height=height, color_system=None)
    console.print(drawn(page, COUNTERS, 5.0), height=height, end="")
    return out.getvalue().rstrip("\n").split("\n")


def test_a_page_shows_where_the_session_stands_and_where_it_has_been() -> None:
    view = View(Terminal(), lambda: COUNTERS)
    view.event(PhaseChanged(Phase.NOT_INITIALIZED, Phase.LOADING))
    view.event(PhaseChanged(Phase.LOADING, Phase.READY))
    text = "\n".join(page_lines(view.page, 80, 24))
    assert "✓ not_initialized" in text
    assert "✓ loading" in text
    assert "● ready" in text
    assert "○ booting" in text
    assert "not_initialized → loading → ready" in text


def test_a_failed_step_is_told_with_what_was_wanted_and_what_was_seen() -> None:
    view = View(Terminal(), lambda: COUNTERS)
    view.begin("boot")
    view.step(Step(1, "boot", "live", (Fact("phase", "ready", "anonymous"),), COUNTERS))
    text = "\n".join(page_lines(view.page, 80, 24))
    assert "✗ boot" in text
    assert "phase: wanted anonymous, saw ready" in text


def test_a_summary_is_good_only_if_every_scene_was_played() -> None:
    steps = (Step(1, "boot", "live", (), COUNTERS),)
    assert Summary(("one",), steps, (), COUNTERS, 1.0).ok
    assert not Summary(("one", "two"), steps, (), COUNTERS, 1.0).ok


MISSING = (
    ("rich.console", True, 'pip install "support-chat[demo]"'),
    ("jwt", False, 'pip install "support-chat[backend]"'),
)


@pytest.mark.parametrize(("module", "terminal", "line"), MISSING)
def test_a_missing_part_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    terminal: bool,
    line: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "support_chat_adapters.demo.view")
    monkeypatch.setattr(sys, "stdout", Terminal() if terminal else io.StringIO())
    monkeypatch.setenv("TERM", "xterm")
    assert run_demo() == 2
    error = capsys.readouterr().err
    assert line in error
    assert "Traceback" not in error
