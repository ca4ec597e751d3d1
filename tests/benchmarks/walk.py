"""The walk of a boot(): how many functions and files a reader goes through, from the call of an
anonymous boot() until its await returns: `python tests/benchmarks/walk.py`.

Counted by a profiler in the second session of a process, with MemoryStorage and the loopback: calls
of Python functions of `support_chat` (not of the adapters, nor of what attrs generates, nor
comprehensions, which are none from Python 3.12 on), and how often one call lies in another file
than the one before. `--calls` lists them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any, Final

import attrs

import support_chat
from support_chat import SupportChat
from support_chat_adapters.backend import Backend
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import LoopbackTransport

ROOT: Final = Path(support_chat.__file__).parent
COMPREHENSIONS: Final = ("<listcomp>", "<setcomp>", "<dictcomp>")


@attrs.frozen
class Walk:
    """The functions called, in order, each as its file and its name."""

    calls: tuple[tuple[str, str], ...]

    @property
    def files(self) -> frozenset[str]:
        """The files walked through."""
        return frozenset(file for file, _ in self.calls)

    @property
    def changes(self) -> int:
        """How often the next call lies in another file."""
        return len(list(groupby(file for file, _ in self.calls))) - 1

    def __str__(self) -> str:
        functions = len(set(self.calls))
        return (
            f"{len(self.calls)} calls of {functions} functions in {len(self.files)} files, "
            f"{self.changes} changes of file"
        )


async def boot(backend: Backend, calls: list[tuple[str, str]] | None) -> None:
    """Boots a session; with `calls`, notes what it calls."""

    def note(frame: FrameType, event: str, _: Any) -> None:
        path, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        if event != "call" or name in COMPREHENSIONS:
            return
        if calls is not None and path.is_relative_to(ROOT):
            calls.append((path.relative_to(ROOT).as_posix(), frame.f_code.co_qualname))

    chat = SupportChat(
        workspace_id="w",
        widget_id="w",
        transport=LoopbackTransport(backend),
        storage=MemoryStorage(),
    )
    sys.setprofile(note if calls is not None else None)
    try:
        await chat.boot()
    finally:
        sys.setprofile(None)
        await chat.destroy()


def walk() -> Walk:
    """The walk of a boot() in the second session of this process."""

    async def main() -> Walk:
        backend, calls = Backend(workspace_id="w", widget_id="w"), list[tuple[str, str]]()
        try:
            await boot(backend, None)
            await boot(backend, calls)
        finally:
            backend.close()
        return Walk(tuple(calls))

    return asyncio.run(main())


def main() -> None:
    """Prints the figure, and with `--calls` the walk itself."""
    parser = argparse.ArgumentParser(description="The walk of a boot() through the files.")
    parser.add_argument("--calls", action="store_true", help="list the calls, in order")
    walked = walk()
    if parser.parse_args().calls:
        for file, names in groupby(walked.calls, key=lambda call: call[0]):
            print(f"{file}: {', '.join(name for _, name in names)}")
    print(walked)


if __name__ == "__main__":
    main()
