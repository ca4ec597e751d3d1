"""The shell for a terminal: the conversation in the terminal's own scrollback, under it a prompt,
and the status at the foot.

One prompt-toolkit application runs from beginning to end; what is told is printed above it. So
scrolling, selecting and searching are the terminal's, and what was said is still there after the
client has left. Colours are those of the terminal's own palette.

Printing takes the prompt away, prints and has the prompt drawn again, in one step of the event
loop. `run_in_terminal` would do that with the terminal given back to the system meanwhile, and a
Ctrl-D or Ctrl-C pressed in that moment would be the system's, not ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from prompt_toolkit.application import Application
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    BufferControl,
    Dimension,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.processors import (
    AppendAutoSuggestion,
    ConditionalProcessor,
    Processor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from .commands import suggestion
from .desk import Desk
from .lines import Line, fragments
from .status import bar
from .told import Told

STYLE: Final = Style(
    [
        ("phase", "bold"),
        ("phase.live", "bg:ansigreen fg:ansiblack"),
        ("phase.trying", "bg:ansiyellow fg:ansiblack"),
        ("phase.lost", "bg:ansired fg:ansiwhite"),
        ("phase.idle", "reverse"),
        ("bar", "reverse"),
        ("bar.unsent", "bold"),
        ("time", "dim"),
        ("label", "bold"),
        ("label.agent", "fg:ansimagenta"),
        ("label.good", "fg:ansigreen"),
        ("label.warning", "fg:ansiyellow"),
        ("label.error", "fg:ansired"),
        ("label.quiet", "nobold dim"),
        ("line.quiet", "dim"),
        ("line.warning", "bold"),
        ("line.error", "bold"),
        ("prompt", "bold"),
        ("placeholder", "dim"),
        ("auto-suggestion", "dim"),
    ]
)
"""Sentences keep the terminal's own colour, which is legible on light and on dark alike; labels and
phases are coloured.

With NO_COLOR prompt-toolkit leaves bold, dim and reverse.
"""
_REFRESH: Final = 0.125
_ASKING: Final = 3.0
_PROMPT: Final = "> "
_PLACEHOLDER: Final = "a message, or /help"


class Screen:
    """Shows on `output` and reads `input`, which are the terminal's unless given."""

    def __init__(self, *, input: Input | None = None, output: Output | None = None) -> None:
        self._desk: Desk | None = None
        self._unprinted: list[Line] = []
        self._doing: set[asyncio.Task[None]] = set()
        self._asked_at = -_ASKING
        self._typed = Buffer(accept_handler=self._accept, auto_suggest=_Suggest(), multiline=False)
        self._app: Application[None] = Application(
            layout=Layout(
                HSplit([self._prompt(), Window(FormattedTextControl(self._bar), height=1)])
            ),
            key_bindings=self._keys(),
            style=STYLE,
            refresh_interval=_REFRESH,
            erase_when_done=True,
            input=input,
            output=output,
        )

    def show(self, told: Told, lines: Sequence[Line]) -> None:
        """Has the lines printed and the status drawn, once this step is over."""
        if lines and not self._unprinted:
            asyncio.get_running_loop().call_soon(self._print)
        self._unprinted.extend(lines)
        self._app.invalidate()

    async def run(self, desk: Desk) -> None:
        """Reads and shows until the person leaves, or the desk is done."""
        self._desk = desk
        ending = asyncio.create_task(self._leave_when_done(desk))
        try:
            await self._app.run_async(pre_run=self._print)
        except EOFError:  # the terminal has gone
            pass
        finally:
            for task in (ending, *self._doing):
                task.cancel()
            await asyncio.gather(ending, *self._doing, return_exceptions=True)
            self._write()

    async def _leave_when_done(self, desk: Desk) -> None:
        await desk.done.wait()
        self._leave()

    def _leave(self) -> None:
        if self._app.is_running and not self._app.is_done:
            self._app.exit()

    # --- what is shown ----------------------------------------------------------------------------

    def _prompt(self) -> Window:
        empty = Condition(lambda: not self._typed.text)
        processors: list[Processor] = [
            AppendAutoSuggestion(),
            ConditionalProcessor(_Placeholder(), empty),
        ]
        control = BufferControl(self._typed, input_processors=processors)
        return Window(
            control,
            height=Dimension(min=1),
            wrap_lines=True,
            get_line_prefix=lambda number, wraps: [
                ("class:prompt", _PROMPT if number == wraps == 0 else " " * len(_PROMPT))
            ],
        )

    def _bar(self) -> StyleAndTextTuples:
        if self._desk is None:
            return []
        asking = time.monotonic() - self._asked_at < _ASKING
        hint = "Ctrl-C again to leave" if asking else "/help"
        return [*bar(self._desk.status, time.time(), self._app.output.get_size().columns, hint)]

    def _print(self) -> None:
        """Prints above the prompt; what is told before there is one, or after, waits for the
        beginning or the end of `run`.
        """
        if self._unprinted and self._app.is_running and not self._app.is_done:
            self._app.renderer.erase()
            self._write()
            # how much room there is below, to put the status at the foot
            self._app.renderer.request_absolute_cursor_position()
            self._app.invalidate()

    def _write(self) -> None:
        width = self._app.output.get_size().columns
        lines, self._unprinted = self._unprinted, []
        for line in lines:
            pieces = FormattedText([*fragments(line, width, get_cwidth)])
            print_formatted_text(self._app.output, pieces, STYLE, color_depth=self._app.color_depth)

    # --- what is typed ----------------------------------------------------------------------------

    def _accept(self, buffer: Buffer) -> bool:
        task = asyncio.ensure_future(self._do(buffer.text))
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)
        return False  # the prompt is empty again

    async def _do(self, line: str) -> None:
        if self._desk is not None and not await self._desk.do(line):
            self._leave()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c")
        def _(event: KeyPressEvent) -> None:
            if self._typed.text:
                self._typed.reset()
            elif time.monotonic() - self._asked_at < _ASKING:
                self._leave()
            else:
                self._asked_at = time.monotonic()

        @keys.add("c-d")
        def _(event: KeyPressEvent) -> None:
            if self._typed.text:
                self._typed.delete()
            else:
                self._leave()

        @keys.add("tab")
        def _(event: KeyPressEvent) -> None:
            if self._typed.suggestion is not None:
                self._typed.insert_text(self._typed.suggestion.text)

        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            self._typed.insert_text("\n")

        return keys


class _Suggest(AutoSuggest):
    """Completes the command that is being typed."""

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        found = suggestion(document.text)
        return Suggestion(found) if found else None


class _Placeholder(Processor):
    """Says what may be typed, while nothing is."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        return Transformation(
            [*transformation_input.fragments, ("class:placeholder", _PLACEHOLDER)]
        )
