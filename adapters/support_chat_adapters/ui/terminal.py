"""What a terminal can show, and text made fit for it. Pure, but for questions to the terminal."""

from __future__ import annotations

import os
import textwrap
import unicodedata
from typing import Final, TextIO

_REORDERING: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_FILL: Final = "\0"
_NARROWEST: Final = 16


def can_draw(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal that moves its cursor; None, a closed one, is not."""
    dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return stream is not None and stream.isatty() and not dumb


def columns(stream: TextIO) -> int | None:
    """How wide the terminal behind the stream is, None if there is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def clean(text: str) -> str:
    """The text without what could steer a terminal: control characters, and those that reorder what
    is read.
    """
    return "".join(
        c if c == "\n" or not _steers(c) else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def _steers(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _REORDERING


def hanging(head: str, text: str, width: int | None) -> str:
    """The head and beside it the text, with its later rows indented like its first.

    Rows are broken between words, so that none is wider than `width` columns; where that is None,
    only where the text itself has a line break.
    """
    if width is None:
        rows = text.split("\n")
    else:
        # one column stays free: some terminals begin another row as soon as the last is taken
        room = max(_NARROWEST, width - len(head) - 1)
        rows = [row for paragraph in text.split("\n") for row in _wrapped(paragraph, room)]
    return head + ("\n" + " " * len(head)).join(rows)


def fitted(text: str, width: int) -> str:
    """So many columns of a line: it is filled up with blanks, or cut, and ends with an ellipsis."""
    cells = _cells(text)
    if len(cells) > width:
        kept = cells[: width - 1]
        cells = (kept[:-1] if cells[width - 1] == _FILL else kept) + "…"
    return cells.ljust(width).replace(_FILL, "")


def _wrapped(paragraph: str, width: int) -> list[str]:
    rows = textwrap.wrap(_cells(paragraph), width, break_on_hyphens=False, replace_whitespace=False)
    return [row.replace(_FILL, "") for row in rows if row != _FILL] or [""]


def _cells(text: str) -> str:
    """As many characters as the text takes columns: something is put beside each wide one."""
    return "".join(c + _FILL * (unicodedata.east_asian_width(c) in "WF") for c in text)
