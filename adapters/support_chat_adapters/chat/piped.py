"""The shell for pipes and logs: lines of text or of JSON out, a message or a command a line in, one
after the other.

Lines are read on a daemon thread of their own, since a pipe, a file and a terminal have no way of
waiting in common on every platform. The next line is taken when the one before it is done, so that
a script means the same each time.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import TextIO

from .desk import Desk
from .lines import Line, plain
from .told import Told, as_json


class PipedShell:
    """Reads `source` and writes to `out` until the source ends or says /quit; `as_data` writes JSON
    instead of text.
    """

    def __init__(self, source: TextIO, out: TextIO, *, as_data: bool) -> None:
        self._source = source
        self._out = out
        self._as_data = as_data
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._broken: BrokenPipeError | None = None

    def show(self, told: Told, lines: Sequence[Line]) -> None:
        """Writes at once, and flushes, so that a reader sees it as it happens."""
        if self._broken is None:
            try:
                for text in (
                    [json.dumps(as_json(told))]
                    if self._as_data
                    else [plain(line) for line in lines]
                ):
                    print(text, file=self._out, flush=True)
            except BrokenPipeError as error:  # the reader has gone
                self._broken = error
                self._lines.put_nowait(None)

    async def run(self, desk: Desk) -> None:
        """Waits for the first boot, then does line after line. Raises BrokenPipeError when nobody
        reads any more.
        """
        self._read()
        over = asyncio.create_task(desk.done.wait())
        # who waits for a line is told
        over.add_done_callback(lambda _: self._lines.put_nowait(None))
        try:
            await desk.begun.wait()
            while not desk.done.is_set() and self._broken is None:
                line = await self._lines.get()
                if line is None or not await desk.do(line):
                    break
        finally:
            over.cancel()
        if self._broken is not None:
            raise self._broken

    def _read(self) -> None:
        """Begins to collect the lines of the source as they come, and None at its end."""
        loop = asyncio.get_running_loop()

        def put(line: str | None) -> bool:
            try:
                loop.call_soon_threadsafe(self._lines.put_nowait, line)
            except RuntimeError:  # the loop is closed: the client left during the wait
                return False
            return True

        def read() -> None:
            try:
                for line in iter(self._source.readline, ""):
                    if not put(line):
                        return
            except ValueError:  # bytes that are no text, or a source closed under us
                pass
            put(None)

        threading.Thread(target=read, name="support-chat input", daemon=True).start()
