"""The shell for a terminal: the conversation in the terminal's own scrollback, under it a prompt,
and the status at the foot.

One prompt-toolkit application runs from beginning to end; events are printed above it. So
scrolling, selecting and searching are the terminal's, and what was said is still there after the
client has left. Colours are those of the terminal's own palette.

Printing takes the prompt away, prints and has the prompt drawn again, in one step of the event
loop, once the terminal has said where the cursor is, if it was asked: an answer from before would
push what was printed since out of sight. `run_in_terminal` would do that with the terminal given
back to the system meanwhile, and a Ctrl-D or Ctrl-C pressed in that moment would be the system's,
not ours.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from prompt_toolkit.application import Application
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.layout.processors import AfterInput, ConditionalProcessor
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import TextArea

from .commands import suggestion
from .controller import Controller
from .events import Event
from .lines import Line, fragments
from .status import bar

STYLE: Final = Style(
    [
        ("phase", "bold"),
        ("phase.live", "bg:ansigreen fg:ansiblack"),
        ("phase.trying", "bg:ansiyellow fg:ansiblack"),
        ("phase.lost", "bg:ansired fg:ansiwhite"),
        ("phase.idle", "reverse"),
        ("bar", "reverse"),
        ("time", "dim"),
        ("label", "bold"),
        ("label.agent", "fg:ansicyan"),
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
        self._controller: Controller | None = None
        self._asked_at = -_ASKING
        self._unprinted: list[Line] = []
        placeholder = AfterInput(_PLACEHOLDER, style="class:placeholder")
        self._typed = TextArea(
            accept_handler=self._accept,
            auto_suggest=_Suggest(),
            get_line_prefix=_prefix,
            input_processors=[
                ConditionalProcessor(placeholder, Condition(lambda: not self._typed.text))
            ],
        )
        self._app: Application[None] = Application(
            layout=Layout(HSplit([self._typed, Window(FormattedTextControl(self._bar), height=1)])),
            key_bindings=self._keys(),
            style=STYLE,
            refresh_interval=_REFRESH,
            erase_when_done=True,
            input=input,
            output=output,
        )

    def show(self, event: Event, lines: Sequence[Line]) -> None:
        """Prints the lines above the prompt, and has the status drawn."""
        begins = bool(lines) and not self._unprinted
        self._unprinted += lines
        if not self._app.is_running or not self._app.renderer.waiting_for_cpr:
            self._print()
        elif begins:
            self._app.create_background_task(self._print_in_place())
        self._app.invalidate()

    async def _print_in_place(self) -> None:
        await self._app.renderer.wait_for_cpr_responses()
        self._print()

    def _print(self) -> None:
        lines, self._unprinted = self._unprinted, []
        if lines and self._app.is_running:
            self._app.renderer.erase()
        output = self._app.output
        for line in lines:
            pieces = fragments(line, output.get_size().columns)
            text = FormattedText([*pieces, ("", "\n")])
            print_formatted_text(output, text, STYLE, color_depth=self._app.color_depth)
        if lines and self._app.is_running:
            # how much room there is below, to put the status at the foot
            self._app.renderer.request_absolute_cursor_position()

    async def run(self, controller: Controller) -> None:
        """Reads and shows until the person leaves, or the controller is done."""
        self._controller = controller

        def begin() -> None:
            controller.over.add_done_callback(self._leave)

        with contextlib.suppress(EOFError):  # the terminal has gone
            # signals are for who runs the screen: prompt_toolkit would leave Ctrl-C to nobody
            await self._app.run_async(pre_run=begin, handle_sigint=False)
        self._print()

    def _leave(self, _: object = None) -> None:
        if self._app.is_running and not self._app.is_done:
            self._app.exit()

    def _bar(self) -> StyleAndTextTuples:
        if self._controller is None:
            return []
        asking = time.monotonic() - self._asked_at < _ASKING
        hint = "Ctrl-C again to leave" if asking else "/help"
        width = self._app.output.get_size().columns
        return [*bar(self._controller.status, time.time(), width, hint)]

    def _accept(self, buffer: Buffer) -> bool:
        self._app.create_background_task(self._do(buffer.text))
        return False  # the prompt is empty again

    async def _do(self, line: str) -> None:
        if self._controller is not None and not await self._controller.do(line):
            self._leave()

    def _keys(self) -> KeyBindings:
        keys, typed = KeyBindings(), self._typed.buffer

        def interrupt(_: KeyPressEvent) -> None:
            if typed.text:
                typed.reset()
            elif time.monotonic() - self._asked_at < _ASKING:
                self._leave()
            else:
                self._asked_at = time.monotonic()

        def delete(_: KeyPressEvent) -> None:
            if typed.text:
                typed.delete()
            else:
                self._leave()

        bound: dict[tuple[str, ...], Callable[[KeyPressEvent], None]] = {
            ("enter",): lambda _: typed.validate_and_handle(),
            ("escape", "enter"): lambda _: typed.insert_text("\n"),
            ("tab",): lambda _: typed.insert_text(
                typed.suggestion.text if typed.suggestion else ""
            ),
            ("c-c",): interrupt,
            ("c-d",): delete,
        }
        for pressed, does in bound.items():
            keys.add(*pressed)(does)
        return keys


def _prefix(line: int, wraps: int) -> StyleAndTextTuples:
    return [("class:prompt", _PROMPT if line == wraps == 0 else " " * len(_PROMPT))]


class _Suggest(AutoSuggest):
    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        return Suggestion(suggestion(document.text))
