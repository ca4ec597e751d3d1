"""The demo on a terminal: one page, redrawn in place, and a summary that stays on the screen
afterwards.

Drawn with Rich on the terminal's alternate screen, from one task of the event loop and at a fixed
rate, so nothing flickers and nothing scrolls; a resized window is simply drawn anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final, TextIO

import attrs
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from support_chat import Phase, PhaseChanged

from ..ui.events import in_words
from .report import Counters, Report, SceneBegun, Show, Step, StepBegun, Summary

FRAMES: Final = 12
"""Drawings a second."""
# phases in a row
_ROW: Final = 5
_MARGIN: Final = (0, 1)


@attrs.define(eq=False)
class Page:
    """What the screen shows: the scene, the steps so far with the events of each, and where the
    session stands; `counters` is asked at each drawing.

    Attributes:
        doing: The entry of the step being done.
        meanwhile: The entry of what has happened since it began.
    """

    counters: Callable[[], Counters]
    scene: SceneBegun = attrs.field(default=SceneBegun(0, 0, ""))
    entries: list[Text] = attrs.field(factory=list[Text])
    phases: list[Phase] = attrs.field(factory=lambda: [Phase.NOT_INITIALIZED])
    path: str = str(Phase.NOT_INITIALIZED)
    doing: int = 0
    meanwhile: Text | None = None
    summary: Summary | None = None
    began: float = attrs.field(factory=time.monotonic)

    def show(self, report: Report) -> None:
        """Takes it in; it is seen at the next drawing."""
        match report:
            case SceneBegun():
                self.scene = report
                self.entries.append(Text(f"{report.number} {report.title}", "dim italic"))
            case StepBegun():
                self.doing, self.meanwhile = len(self.entries), None
                self.entries.append(Text.assemble(("▸ ", "bold cyan"), (report.did, "bold")))
            case PhaseChanged():
                self.phases.append(report.current)
                self.path += f" → {report.current}{f' ({report.reason})' if report.reason else ''}"
            case Step():
                mark, style = _mark(report.ok), "" if report.ok else "bold red"
                self.entries[self.doing] = Text.assemble(mark, (report.did, "bold"))
                self.entries.append(Text(f"  {report.complaint or report.says}", style))
            case Summary():
                self.summary = report
            case _:
                if self.meanwhile is None:
                    self.meanwhile = Text(" ", "dim")
                    self.entries.append(self.meanwhile)
                self.meanwhile.append(f" · {in_words(report, visitor='a visitor')}")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The page, as high as the screen: as many of the last entries as there is room for."""
        inside, path = options.update(height=None), self.path
        if len(path) > options.max_width:
            path = "… " + path[2 - options.max_width :].partition(" → ")[2]
        ends = Table.grid(expand=True)
        ends.add_column()
        ends.add_column(justify="right")
        clock = (
            f"scene {self.scene.number} of {self.scene.of} · {time.monotonic() - self.began:.0f} s"
        )
        ends.add_row(Text("support-chat demo", "dim"), Text(clock, "dim"))
        above = console.render_lines(
            Group(
                ends,
                Text(self.scene.title, "bold"),
                Rule(style="dim"),
                _phases(self.phases[-1], self.phases),
                Text(path, "cyan", no_wrap=True, overflow="crop"),
                Rule(style="dim"),
            ),
            inside,
        )
        below = console.render_lines(Group(Rule(style="dim"), _numbers(self.counters())), inside)
        room = max(1, (options.height or console.height) - len(above) - len(below))
        last = Group(*map(_hanging, self.entries[-room:]))
        between = console.render_lines(last, inside)[-room:]
        between += [[Segment(" " * options.max_width)]] * (room - len(between))
        for line in (*above, *between, *below):
            yield from line
            yield Segment.line()


@contextlib.asynccontextmanager
async def view(out: TextIO, counters: Callable[[], Counters]) -> AsyncGenerator[Show, None]:
    """A page on the terminal behind `out` while the block runs; afterwards the summary."""
    page, console = Page(counters), Console(file=out)

    async def draw() -> None:
        while True:
            live.refresh()
            await asyncio.sleep(1 / FRAMES)

    with Live(
        Padding(page, _MARGIN),
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        drawing = asyncio.create_task(draw())
        try:
            yield page.show
        finally:
            drawing.cancel()
    if page.summary is not None:
        console.print(_summed_up(page.summary))


def _mark(ok: bool) -> tuple[str, str]:
    return ("✓ ", "bold green") if ok else ("✗ ", "bold red")


def _phases(current: Phase | None, visited: Iterable[Phase]) -> Table:
    grid, phases = Table.grid(padding=(0, 2, 0, 0)), tuple(Phase)
    looks = {
        **{phase: Text(f"○ {phase}", "dim") for phase in phases},
        **{phase: Text(f"✓ {phase}", "green") for phase in visited},
        **({current: Text(f"● {current}", "bold cyan")} if current else {}),
    }
    for row in (phases[:_ROW], phases[_ROW:]):
        grid.add_row(*(looks[phase] for phase in row))
    return grid


def _numbers(counters: Counters) -> Text:
    numbers = (
        ("dials ", f"{counters.dials}"),
        ("   links open ", f"{counters.links_open} (most: {counters.links_most})"),
        ("   token calls ", f"{counters.token_calls}"),
        ("   updates ", f"{counters.updates} in {counters.update_requests} requests"),
    )
    parts = [part for name, number in numbers for part in ((name, "dim"), (number, "bold"))]
    return Text.assemble(*parts, no_wrap=True, overflow="crop")


def _hanging(entry: Text) -> RenderableType:
    """The entry with its later lines indented like its first."""
    grid = Table.grid()
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    grid.add_row(entry[:2], entry[2:])
    return grid


def _summed_up(summary: Summary) -> RenderableType:
    scenes = Table.grid(padding=(0, 2, 0, 0))
    for number, title in enumerate(summary.titles, 1):
        steps = [step for step in summary.steps if step.scene == number]
        ended = f"{len(steps)} step{'' if len(steps) == 1 else 's'}" if steps else "not played"
        mark = _mark(bool(steps) and all(step.ok for step in steps))
        scenes.add_row(Text.assemble(mark, title), Text(ended, "dim"))
    style = "bold green" if summary.ok else "bold red"
    return Padding(
        Group(
            Text(f"{summary.verdict}, in {summary.seconds:.0f} s", style),
            "",
            scenes,
            *(_hanging(Text(f"  {s.did}: {s.complaint}", "bold red")) for s in summary.failed),
            "",
            _phases(None, summary.visited),
            _numbers(summary.counters),
            "",
            Text(
                "One SupportChat object did all this, against a backend in this process; only the "
                "waiting was shortened. "
                "What it may do when is written in one chart, which `support-chat draw` shows."
            ),
        ),
        (1, 1),
    )
