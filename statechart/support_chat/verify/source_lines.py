"""Where in the source a transition is written: for a message that leads its reader to the line."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path


def place_of(row: str, source: str) -> tuple[str, int] | None:
    """The file and line of a transition, or None if it is nowhere to be found.

    `source` is the file of an exported chart, or a module; what else is imported of the same
    top-level package is looked at, too: a chart may take its rows from anywhere there. A row that
    is not written with its `name="..."` is made by a function: then it is where its name is passed,
    or where the function puts it together. A file below the working directory is named relative to
    it.
    """
    texts = [(path, text) for path in _sources(source) if (text := _read(path)) is not None]
    found = [
        (rank, path, line)
        for path, text in texts
        if row in text
        for rank, line in (_written(row, text) if path.suffix == ".py" else _exported(row, text))
    ] or [
        (rank, path, line)
        for path, text in texts
        if path.suffix == ".py"
        for rank, line in _put_together(row, text)
    ]
    if not found:
        return None
    _, path, line = min(found, key=itemgetter(0))
    return _shown(path), line


def file_of(source: str) -> str | None:
    """The file of an exported chart or of a module, named as `place_of` does; None if there is
    none.
    """
    path = next(_sources(source), None)
    return None if path is None else _shown(path)


def _shown(path: Path) -> str:
    shown, here = path.resolve(), Path.cwd().resolve()
    return (shown.relative_to(here) if shown.is_relative_to(here) else shown).as_posix()


def _exported(row: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(f'"name": {json.dumps(row, ensure_ascii=False)}')
    if at >= 0:
        yield 0, text.count("\n", 0, at) + 1


def _written(row: str, text: str) -> Iterator[tuple[int, int]]:
    """The lines on which the name is passed, each with a rank: 0 where it is passed as `name`."""
    yield from ((rank, line) for rank, value, line in _passed(text) if value == row)


def _put_together(row: str, text: str) -> Iterator[tuple[int, int]]:
    """The lines of f-strings that may give the name, and before them those that fill one in."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr) and (parts := _parts(node, row)):
            yield 1, node.lineno
            yield from ((0, line) for _, value, line in _passed(text) if value in parts)


def _passed(text: str) -> Iterator[tuple[int, str, int]]:
    """The texts that are passed to functions, with their lines: as `name` (0), or otherwise (1)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            named = [(int(each.arg != "name"), each.value) for each in node.keywords]
            for rank, value in [*named, *((1, each) for each in node.args)]:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield rank, value.value, value.lineno


def _parts(text: ast.JoinedStr, row: str) -> tuple[str, ...]:
    """What an f-string would have to be filled with to give this name; empty if it cannot be."""
    pattern = "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "(.+)"
        for part in text.values
    )
    fits = re.fullmatch(pattern, row)
    return fits.groups() if fits and pattern.replace("(.+)", "") else ()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _sources(source: str) -> Iterator[Path]:
    if Path(source).is_file():
        yield Path(source)
        return
    package = source.partition(".")[0]
    related = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    for name in [source, *sorted(related)]:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and file.endswith(".py"):
            yield Path(file)
