"""The demo on a terminal: one page, redrawn in place, and a summary that stays on the screen
afterwards.

Drawn with Rich on the terminal's alternate screen, from one task of the event loop and at a fixed
rate, so nothing flickers and nothing scrolls; a resized window is simply drawn anew. The page is a
pure function of what was told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, TextIO

import attrs

try:
    from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
    from rich.live import Live
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        'the view needs Rich: pip install "support-chat[demo]", or use --plain', name="rich"
    ) from None

from support_chat.lifecycle.events import AnyEvent, PhaseChanged
from support_chat.lifecycle.names import Phase

from .lines import in_words, verdict
from .report import Counters, Step, Summary

FRAMES: Final = 12
"""Drawings a second."""
_ROW: Final = 5
"""Phases in a row."""
_MARGIN: Final = (0, 1)


@attrs.define(eq=False)
class Page:
    """What the screen shows: the scene, the steps so far with the events of each, and where the
    session stands.
    """

    heading: str = ""
    title: str = ""
    entries: list[Text] = attrs.field(factory=list[Text])
    phase: Phase = Phase.NOT_INITIALIZED
    visited: set[Phase] = attrs.field(factory=lambda: {Phase.NOT_INITIALIZED})
    path: list[str] = attrs.field(factory=lambda: [str(Phase.NOT_INITIALIZED)])
    doing: Text | None = None
    meanwhile: Text | None = None


class View:
    """A reporter that draws on the terminal behind `out` while its `async with` block runs;
    `counters` is asked at each drawing.
    """

    def __init__(self, out: TextIO, counters: Callable[[], Counters]) -> None:
        self.console = Console(file=out)
        self._counters = counters
        self.page = Page()
        self._began = time.monotonic()
        self._live = Live(
            console=self.console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._drawn,
        )

    async def __aenter__(self) -> View:
        self._live.start()
        self._drawing = asyncio.create_task(self._draw())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._drawing.cancel()
        self._live.stop()

    async def _draw(self) -> None:
        while True:
            self._live.refresh()
            await asyncio.sleep(1 / FRAMES)

    def _drawn(self) -> RenderableType:
        return drawn(self.page, self._counters(), time.monotonic() - self._began)

    def scene(self, number: int, of: int, title: str) -> None:
        """A heading, on top and among the steps: what came before stays in sight as long as there
        is room.
        """
        self.page.heading = f"scene {number} of {of}"
        self.page.title = title
        self.page.entries.append(Text(f"{number} {title}", "dim italic"))

    def begin(self, did: str) -> None:
        """A line that says what is being done."""
        self.page.doing = Text.assemble(("▸ ", "bold cyan"), (did, "bold"))
        self.page.meanwhile = None
        self.page.entries.append(self.page.doing)

    def event(self, event: AnyEvent) -> None:
        """A move of the phases, or a few words under the step being done."""
        if isinstance(event, PhaseChanged):
            self.page.phase = event.current
            self.page.visited.add(event.current)
            self.page.path.append(f"{event.current}{f' ({event.reason})' if event.reason else ''}")
        elif self.page.meanwhile is None:
            self.page.meanwhile = Text(f"  · {in_words(event)}", "dim")
            self.page.entries.append(self.page.meanwhile)
        else:
            self.page.meanwhile.append(f" · {in_words(event)}")

    def step(self, step: Step) -> None:
        """What came of it."""
        if self.page.doing is not None:
            self.page.entries[self.page.entries.index(self.page.doing)] = Text.assemble(
                _mark(step.ok), (step.did, "bold")
            )
        self.page.entries.append(
            Text(f"  {step.says}") if step.ok else Text(f"  {step.complaint}", "bold red")
        )

    def end(self, summary: Summary) -> None:
        """The page goes, the summary stays."""
        self._close()
        self.console.print(summed_up(summary))


def _mark(ok: bool) -> tuple[str, str]:
    return ("✓ ", "bold green") if ok else ("✗ ", "bold red")


def drawn(page: Page, counters: Counters, seconds: float) -> RenderableType:
    """A page, to fill the screen."""
    clock = f"{page.heading} · {int(seconds)} s"
    return Padding(
        _Filled(
            above=(
                _ends(Text("support-chat demo", "dim"), Text(clock, "dim")),
                Text(page.title, "bold"),
                Rule(style="dim"),
                _phases(page.phase, page.visited),
                _Tail(page.path),
                Rule(style="dim"),
            ),
            entries=page.entries,
            below=(Rule(style="dim"), _numbers(counters)),
        ),
        _MARGIN,
    )


def _ends(left: Text, right: Text) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row(left, right)
    return grid


def _phases(current: Phase | None, visited: Iterable[Phase]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    seen, phases = set(visited), tuple(Phase)
    for row in (phases[:_ROW], phases[_ROW:]):
        grid.add_row(*(_phase(phase, phase is current, phase in seen) for phase in row))
    return grid


def _phase(phase: Phase, current: bool, visited: bool) -> Text:
    if current:
        return Text(f"● {phase}", "bold cyan")
    return Text(f"✓ {phase}", "green") if visited else Text(f"○ {phase}", "dim")


def _numbers(counters: Counters) -> Text:
    numbers = (
        ("dials", f"{counters.dials}"),
        ("links open", f"{counters.links_open} (most: {counters.links_most})"),
        ("token calls", f"{counters.token_calls}"),
        ("updates", f"{counters.updates} in {counters.update_requests} requests"),
    )
    parts = [
        part
        for name, number in numbers
        for part in ((f"{name} ", "dim"), (number, "bold"), ("   ", ""))
    ]
    return Text.assemble(*parts[:-1], no_wrap=True, overflow="crop")


@attrs.frozen
class _Tail:
    """The end of the session's path through its phases, as much as fits on a line."""

    path: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = " → ".join(self.path)
        if len(shown) > options.max_width:
            shown = "… " + shown[2 - options.max_width :].partition(" → ")[2]
        yield Text(shown, "cyan", no_wrap=True, overflow="crop")


@attrs.frozen
class _Filled:
    """Something above, something at the foot of the screen, and between them the last entries that
    fit.
    """

    above: Sequence[RenderableType]
    entries: Sequence[Text]
    below: Sequence[RenderableType]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inside = options.update(height=None)
        above = console.render_lines(Group(*self.above), inside)
        below = console.render_lines(Group(*self.below), inside)
        room = max(1, (options.height or console.height) - len(above) - len(below))
        between = console.render_lines(
            Group(*(_hanging(entry) for entry in self.entries[-room:])), inside
        )[-room:]
        blank = [[Segment(" " * options.max_width)]] * (room - len(between))
        for line in (*above, *between, *blank, *below):
            yield from line
            yield Segment.line()


def _hanging(entry: Text) -> RenderableType:
    """The entry with its later lines indented like its first."""
    grid = Table.grid()
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    grid.add_row(entry[:2], entry[2:])
    return grid


def summed_up(summary: Summary) -> RenderableType:
    """The summary: each scene with its verdict, the phases, the numbers, and where to go on."""
    scenes = Table.grid(padding=(0, 2, 0, 0))
    for number, title in enumerate(summary.titles, 1):
        steps = summary.of(number)
        ended = f"{len(steps)} step{'' if len(steps) == 1 else 's'}" if steps else "not played"
        scenes.add_row(
            Text.assemble(_mark(bool(steps) and all(s.ok for s in steps)), title),
            Text(ended, "dim"),
        )
    wrong = [Text(f"  {step.did}: {step.complaint}", "bold red") for step in summary.failed]
    return Padding(
        Group(
            Text(
                f"{verdict(summary)}, in {summary.seconds:.0f} s",
                "bold green" if summary.ok else "bold red",
            ),
            "",
            scenes,
            *wrong,
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
