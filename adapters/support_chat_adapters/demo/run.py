"""Runs the demo: chooses who watches and how fast, plays the scenes in order, and judges the
whole.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import Final, TextIO

from support_chat.settings import Settings

from .lines import JsonReporter, PlainReporter
from .report import Reporter, Summary
from .scenes import SCENES, Scene
from .stage import opened
from .world import Pace, World

SCENE_LIMIT: Final = 30.0
"""How long a scene may take, in seconds: the demo never hangs."""
INTERRUPTED: Final = 130
"""The exit status after Ctrl-C, as shells have it."""

BRISK: Final = Pace(
    Settings(
        backoff_base=0.02, backoff_min=0.01, backoff_max=0.05,
        probe_interval=0.05, min_refresh_interval=0.01,
        update_burst=3, update_window=1.2, update_interval=0.05,
    ),
    latency=0.002, pause=0.0, reading=0.0,
)  # fmt: skip
"""For logs and programs: about three seconds."""
WATCHABLE: Final = Pace(
    Settings(
        backoff_base=0.3, backoff_min=0.15, backoff_max=0.6,
        probe_interval=0.8, min_refresh_interval=0.2,
        update_burst=3, update_window=1.5, update_interval=0.25,
    ),
    latency=0.06, pause=0.1, reading=0.002,
)  # fmt: skip
"""For people: some twelve seconds."""


def run(*, plain: bool = False, json: bool = False) -> int:
    """Plays the demo on standard output, and returns the exit status: 0 if every step ended as
    expected, else 1; 130 after Ctrl-C.

    On a terminal it is a live view; `plain`, or an output that is no terminal, makes it lines of
    text, `json` lines of JSON. 2 if a part that it needs is not installed; standard error then has
    the line that installs it.
    """
    # what the log says the demo shows as events; on a terminal it would tear the view
    quiet = logging.NullHandler()
    logging.getLogger("support_chat").addHandler(quiet)
    try:
        return asyncio.run(watch(SCENES, sys.stdout, plain=plain, json=json))
    except ModuleNotFoundError as missing:
        print(f"support-chat demo: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("support-chat demo: stopped", file=sys.stderr)
        return INTERRUPTED
    finally:
        logging.getLogger("support_chat").removeHandler(quiet)


async def watch(scenes: Sequence[Scene], out: TextIO, *, plain: bool, json: bool) -> int:
    """Plays the scenes, tells them on `out`, and returns 0 if every step ended as expected, else
    1.
    """
    if json or plain or not _can_draw(out):
        world = World.begin(BRISK)
        summary = await play(scenes, world, JsonReporter(out) if json else PlainReporter(out))
    else:
        from .view import View

        world = World.begin(WATCHABLE)
        async with View(out, world.counters) as view:
            summary = await play(scenes, world, view)
    return 0 if summary.ok else 1


def _can_draw(out: TextIO) -> bool:
    """Whether a view is possible: a terminal that moves its cursor and has more than ASCII."""
    utf = (out.encoding or "").lower().startswith("utf")
    return out.isatty() and utf and os.environ.get("TERM", "") not in ("dumb", "unknown")


async def play(scenes: Sequence[Scene], world: World, reporter: Reporter) -> Summary:
    """Plays the scenes on a stage of their own, tells `reporter`, and returns how it went; closes
    the world's backend.

    A scene that raises, or takes longer than `SCENE_LIMIT`, is the last.
    """
    began = time.monotonic()
    with world.backend:
        async with opened(world, reporter) as stage:
            for stage.number, scene in enumerate(scenes, 1):
                reporter.scene(stage.number, len(scenes), scene.title)
                limit = asyncio.timeout(SCENE_LIMIT)
                try:
                    async with limit:
                        await scene.play(stage)
                except ModuleNotFoundError:
                    raise
                except Exception as error:
                    hung = limit.expired()
                    stage.fail(
                        f"did not end within {SCENE_LIMIT:g} s"
                        if hung
                        else f"raised {type(error).__name__}: {error}"
                    )
                    break
        summary = Summary(
            titles=tuple(scene.title for scene in scenes),
            steps=tuple(stage.steps),
            visited=tuple(stage.visited),
            counters=world.counters(),
            seconds=time.monotonic() - began,
        )
    reporter.end(summary)
    return summary
