"""What the chat tests share: a terminal with a screen to read, a free port for two of them, and a
client in this process.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pyte
import pytest

from chat_client import PROGRAM

pexpect: Any = import_module("pexpect")  # it comes without types
ROWS, COLUMNS = 24, 80


class Terminal:
    """`support-chat` with these arguments on a terminal of 80 x 24, whose screen is kept by a
    terminal emulator.
    """

    def __init__(
        self, arguments: tuple[str, ...], folder: Path, environment: dict[str, str]
    ) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._child: Any = pexpect.spawn(
            sys.executable,
            ["-c", PROGRAM, *arguments],
            dimensions=(ROWS, COLUMNS),
            cwd=str(folder),
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
        )
        # a terminal answers when it is asked where its cursor is
        self._screen.write_process_input = self._child.send  # type: ignore[method-assign]
        self.written = b""
        """Everything the program wrote, as bytes."""

    @property
    def lines(self) -> list[str]:
        """The screen, row by row."""
        return [row.rstrip() for row in self._screen.display]

    @property
    def foot(self) -> str:
        """The last row: the status."""
        return self.lines[-1]

    @property
    def url(self) -> str:
        """The address of a server, which is on the screen."""
        (found,) = re.findall(r"http://127\.0\.0\.1:\d+", "\n".join(self.lines[:3]))
        return str(found)

    def until(self, seen: Callable[[], object], *, seconds: float = 120.0) -> None:
        """Follows the screen until this is so; fails with the screen after so many seconds, or if
        the program ends first.
        """
        end = time.monotonic() + seconds
        while not seen():
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError("not seen; the screen:\n" + "\n".join(self.lines))

    def shows(self, text: str) -> None:
        """Waits until the text stands somewhere on the screen."""
        self.until(lambda: any(text in line for line in self.lines))

    def types(self, line: str) -> None:
        """Types a line, and Enter."""
        self._child.send(line + "\r")

    def presses(self, key: str) -> None:
        """Presses a control key: `c` for Ctrl-C."""
        self._child.sendcontrol(key)

    def kill(self) -> None:
        """SIGKILL: nothing of the program runs any more when this returns."""
        self._child.kill(signal.SIGKILL)
        self._rest()

    def left(self) -> int | None:
        """Waits for the program's end; returns its exit status, None if a signal ended it."""
        self._rest()
        status: int | None = self._child.exitstatus
        return status

    def close(self) -> None:
        """Ends the program if it has not ended, and closes the terminal."""
        if self._child.isalive():
            self._child.kill(signal.SIGKILL)  # close() would give it a third of a second
            self._child.wait()
        self._child.close()

    def _read(self, seconds: float) -> bool:
        """Feeds what the program writes next to the screen, waiting for it; False if it has
        ended.
        """
        try:
            data: bytes = self._child.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.written += data
        self._stream.feed(data)
        return True

    def _rest(self) -> None:
        end = time.monotonic() + 120
        while self._read(end - time.monotonic()):
            assert time.monotonic() < end, "the program does not end; the screen:\n" + "\n".join(
                self.lines
            )
        self._child.wait()


Open = Callable[..., Terminal]
"""Opens a terminal: `terminal("serve", "--port=0")`, with variables of its environment as keywords.
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Generator[Open, None, None]:
    """Opens terminals in the test's own folder; whatever still runs in them at the end is ended."""
    opened: list[Terminal] = []

    def open_one(*arguments: str, **environment: str) -> Terminal:
        one = Terminal(arguments, tmp_path, environment)
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        one.close()


Serve = Callable[[], Terminal]


@pytest.fixture
def serve(terminal: Open) -> Serve:
    """Starts `support-chat serve` in a terminal of its own, on the same port each time, and waits
    until it answers.
    """
    port = "0"

    def start() -> Terminal:
        nonlocal port
        one = terminal("serve", "--db=chat.db", f"--port={port}")
        one.shows("Ctrl-C stops it")
        port = one.url.rpartition(":")[2]
        return one

    return start
