"""The shell for pipes and logs: lines of text or of JSON out, a message or a command a line in, one
after the other.

Lines are read on a daemon thread of their own, since a pipe, a file and a terminal have no way of
waiting in common on every platform. The next line is taken when the one before it is done, so that
a script means the same each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Sequence
from typing import TextIO

from ..ui.terminal import columns
from .controller import Controller
from .events import Event, Sending, as_json
from .lines import Line, fragments


class PipedShell:
    """Reads `source` and writes to `out` until the source ends or says /quit; `as_data` writes JSON
    instead of text.
    """

    def __init__(self, source: TextIO, out: TextIO, *, as_data: bool) -> None:
        self._source = source
        self._out = out
        self._as_data = as_data
        # what is typed on a terminal stands there already
        self._echoed = source.isatty() and out.isatty()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._broken: BrokenPipeError | None = None

    def show(self, event: Event, lines: Sequence[Line]) -> None:
        """Writes at once, and flushes, so that a reader sees it as it happens."""
        if self._as_data:
            texts = [json.dumps(as_json(event))]
        elif self._echoed and isinstance(event, Sending):
            texts = []
        else:
            pieces = (fragments(line, columns(self._out)) for line in lines)
            texts = ["".join(text for _, text in piece) for piece in pieces]
        try:
            for text in texts if self._broken is None else ():
                print(text, file=self._out, flush=True)
        except BrokenPipeError as error:  # nobody reads any more: there is nobody to work for
            self._broken = error
            self._lines.put_nowait(None)

    async def run(self, controller: Controller) -> None:
        """Waits for the first boot, then does line after line. Raises BrokenPipeError when nobody
        reads any more.
        """
        self._read()
        # who waits for a line hears of it
        controller.over.add_done_callback(lambda _: self._lines.put_nowait(None))
        await controller.begun.wait()
        while not controller.over.done() and self._broken is None:
            line = await self._lines.get()
            if line is None or not await controller.do(line):
                break
        if self._broken is not None:
            raise self._broken

    def _read(self) -> None:
        """Begins to collect the lines of the source as they come, and None at its end."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            with contextlib.suppress(RuntimeError):  # the client has left, and its loop is closed
                with contextlib.suppress(ValueError):  # the source was closed under us
                    for line in iter(self._source.readline, ""):
                        loop.call_soon_threadsafe(self._lines.put_nowait, line)
                loop.call_soon_threadsafe(self._lines.put_nowait, None)

        threading.Thread(target=read, name="support-chat input", daemon=True).start()
