"""XState, in a Node beside this process: `npm install --no-save --prefix .venv xstate`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from . import phone, shipped

MODULES: Final = Path(os.environ.get("NODE_PATH") or Path(sys.prefix) / "node_modules")
INSTALL: Final = "Node 20, and npm install --no-save --prefix .venv xstate"
PROGRAM: Final = Path(__file__).parent / "xstate.mjs"
PATIENCE: Final = 60.0


class Node:
    """A Node that runs the words; what it is asked it answers with a number."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def tell(self, line: str) -> str:
        """The line with which it answers one."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._line()
        if not answer:
            raise RuntimeError("XState gave up: what it said stands above")
        return answer.strip()

    def nanoseconds(self, subject: str, laps: int) -> float:
        """How long the word takes, so many times."""
        return float(self.tell(f"{subject} {laps}"))

    def bytes_of_one(self, count: int) -> float:
        """What one of so many actors of the phone takes of the heap."""
        return float(self.tell(f"bytes {count}"))


def is_there() -> bool:
    """Whether XState can be run here."""
    return shutil.which("node") is not None and (MODULES / "xstate").is_dir()


@contextmanager
def node() -> Generator[Node, None, None]:
    """Runs it, and checks that it goes where our charts go."""
    given = {
        "most": phone.MOST,
        "phone": {"word": phone.WORD, "after": phone.STATES},
        "session": shipped.as_data(),
    }
    command = ["node", "--expose-gc", str(PROGRAM), str(MODULES)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            one = Node(process)
            assert one.tell(json.dumps(given)) == "ready"
            yield one
        finally:
            process.kill()
