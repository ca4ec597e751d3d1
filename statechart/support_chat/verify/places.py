"""Where in the source a transition is written: for a message that leads its reader to the line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path


def place_of(row: str, module: str) -> tuple[str, int] | None:
    """The file and line of `name="..."` of a transition, or None if it is nowhere as such.

    Looked for in `module`, then in what else is imported of the same top-level package: a chart may
    take its rows from anywhere there. A file below the working directory is named relative to it.
    """
    written = re.compile(rf"""\bname\s*=\s*(["']){re.escape(row)}\1""")
    for path in _sources(module):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found = written.search(text)
        if found is not None:
            shown = path.resolve()
            here = Path.cwd().resolve()
            relative = shown.relative_to(here) if shown.is_relative_to(here) else shown
            return relative.as_posix(), text.count("\n", 0, found.start()) + 1
    return None


def _sources(module: str) -> Iterator[Path]:
    package = module.partition(".")[0]
    related = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    for name in [module, *sorted(related)]:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and file.endswith(".py"):
            yield Path(file)
