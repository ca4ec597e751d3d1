"""A directory of generated files, kept fresh: what `--write DIR` and `--check DIR` do."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ..diagrams.gallery import MARKS, compare, write
from .options import Option, one_of, option
from .terminal import Misuse, as_json, coloured, emit

_COLOURS: Final = {"stale": "yellow", "missing": "red", "superfluous": "yellow"}
_MENDED: Final = {"stale": "rewritten", "missing": "new", "superfluous": "removed"}


def keeping_options(written: str, checked: str, **how: Any) -> Option:
    """`--write` and `--check`, with what each is for, and `--json`."""
    how = {"metavar": "DIR", "type": Path, **how}
    kept = one_of(option("--write", help=written, **how), option("--check", help=checked, **how))
    told = option("--json", action="store_true", help="what --write or --check found, as JSON")
    return lambda parser: (kept(parser), told(parser))


def refuse_json(arguments: argparse.Namespace) -> None:
    """Raises Misuse where `--json` was given without `--write` or `--check`."""
    if arguments.json:
        raise Misuse("--json goes with --write or --check; choose with --format what is written")


def keep(
    arguments: argparse.Namespace,
    made: Callable[[], Mapping[str, str]],
    what: str,
    again: str,
    *,
    marks: Iterable[str] = MARKS,
) -> int:
    """Makes the directory hold the files that are `made`, or says how it differs, and the command
    (`again`) that mends it; returns the exit status.

    Args:
        made: Makes the files, by name, once the directory is known to be one.
        what: What they are called.
        marks: What a file says at its top that may be removed (see `gallery.compare`).

    Raises:
        Misuse: It is no directory.
    """
    directory: Path = arguments.write or arguments.check
    if directory.exists() and not directory.is_dir():
        raise Misuse(f"{directory} is not a directory")
    files = made()
    differs = (write if arguments.write else compare)(directory, files, marks=marks)
    stale = bool(differs and arguments.check)
    if arguments.json:
        found = _MENDED if arguments.write else dict[str, str]()
        told = {name: found.get(how, how) for name, how in differs.items()}
        emit(as_json("files", {"directory": str(directory), "files": len(files), "differ": told}))
        return int(stale)
    for name, how in differs.items():
        said = coloured(_MENDED[how] if arguments.write else how, _COLOURS[how], sys.stdout)
        print(f"{said}: {name}")
    if stale:
        print(f"mend it with:\n  {again} {shlex.join(['--write', str(directory)])}")
        return 1
    print(coloured(f"{directory}: {len(files)} {what}, all fresh", "green", sys.stdout))
    return 0
