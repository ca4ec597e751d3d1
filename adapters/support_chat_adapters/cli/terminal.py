"""What a command says to a person: colours where there is a terminal to show them, errors that fit
on a screen.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final, TextIO, cast

from ..ui.terminal import can_draw, columns, hanging

_CODES: Final = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_MOST_LINES: Final = 20
_ENTRY: Final = re.compile(r"(?P<head> *\S.*? {2,}| {20,}|)(?P<text>\S.*)")


class Misuse(Exception):
    """The command line asks for what cannot be done; the message says what to write instead. Exit
    status 2.
    """


def coloured(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour (`red`, `green`, `yellow`, `bold`) if `stream` is a terminal and
    NO_COLOR is not set, else as it is.
    """
    plain = not can_draw(stream) or os.environ.get("NO_COLOR")
    return text if plain else f"\033[{_CODES[colour]}m{text}\033[0m"


class Help(argparse.HelpFormatter):
    """What `--help` shows, in lines that fit on the terminal: prose is wrapped, what stands beside
    an example stays beside it, and no word and no example is broken.
    """

    def _split_lines(self, text: str, width: int) -> list[str]:
        return hanging("", " ".join(text.split()), width + 1).split("\n")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        entries: list[tuple[str, str]] = []
        for line in text.split("\n"):
            last, so_far = entries[-1] if entries else ("", "")
            if last and line.startswith(" " * len(last)) and not line[len(last)].isspace():
                entries[-1] = (last, f"{so_far} {line.lstrip()}")  # it goes on
            else:
                entry = _ENTRY.fullmatch(line)
                entries.append((entry["head"], entry["text"]) if entry else ("", line))
        return "\n".join(
            said if said.startswith(" ") else hanging(head, said, width + 1)
            for head, said in entries
        )


def needs(extra: str, *modules: str) -> None:
    """Raises Misuse, with the line that installs them, unless all these modules are there."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        install = f'pip install "support-chat[{extra}]"'
        raise Misuse(f"{', '.join(missing)} {verb} not installed: {install}")


def say(text: str, head: str = "") -> None:
    """Writes to standard output, and flushes; on a terminal wrapped between words, beside
    `head`.
    """
    print(hanging(head, text, columns(sys.stdout)), flush=True)


def emit(text: str) -> None:
    """Writes a document to standard output as it would stand in a file: UTF-8 and plain newlines on
    every platform.
    """
    out: TextIO = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        cast("io.TextIOWrapper", out).reconfigure(encoding="utf-8", newline="\n")
    out.write(text)


def as_json(kind: str, values: Mapping[str, Any], *, indent: int | None = None) -> str:
    """What a command prints with `--json`: the values, and before them what document this is and
    its version, which changes when a key changes its meaning or goes away.
    """
    document = {"schema": f"support-chat/{kind}", "version": 1, **values}
    return json.dumps(document, indent=indent, ensure_ascii=False) + "\n"


def complain(message: str) -> None:
    """Writes an error to standard error, cut to what fits on a screen."""
    lines = message.splitlines() or [""]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"  ... and {len(lines) - _MOST_LINES + 1} more lines"]
    head = "support-chat: error:"
    first = hanging(f"{head} ", lines[0], columns(sys.stderr)).removeprefix(head)
    print(coloured(head, "red", sys.stderr) + "\n".join([first, *lines[1:]]), file=sys.stderr)
