"""How verdicts are told at a terminal, of a chart and of a composition alike."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Final

from ..ui.terminal import columns, hanging
from .terminal import as_json, coloured, emit, say

COLOURS: Final = {
    "held": "green", "failed": "red", "inconclusive": "yellow", "never asked": "yellow",
    "unanswered": "yellow", "elsewhere": "bold",
}  # fmt: skip
"""The words that a verdict may have, in the order in which they are counted."""
STATUS: Final[dict[bool | None, int]] = {True: 0, False: 1, None: 3}
"""The exit status of a whole verdict."""
# what later rows of a story's line stand beside, and the rest of the line
_HEAD: Final = re.compile(r"^( *(?:\w+: +|-> |\d+\. )?)(.+)$", re.MULTILINE)


def print_line(word: str, id: str, sentence: str) -> None:
    """One verdict."""
    padded = f"{word:12}"
    line = hanging(f"{padded} {id:11} ", sentence, columns(sys.stdout))
    print(coloured(padded, COLOURS[word], sys.stdout) + line.removeprefix(padded))


def print_list(properties: Sequence[tuple[str, str]], arguments: argparse.Namespace) -> int:
    """`--list`: the id of each property and what is said of it; returns the exit status."""
    if arguments.json:
        listed = [{"id": id, "sentence": sentence} for id, sentence in properties]
        emit(as_json("properties", {"properties": listed}, indent=2))
    else:
        for id, sentence in properties:
            say(sentence, f"{id:11} ")
    return 0


def print_story(text: str) -> None:
    """A story, below its verdict."""
    for head, rest in _HEAD.findall(text):
        say(rest, f"    {head}")


def print_counts(words: list[str], whole: str) -> None:
    """How many properties have which verdict, in the colour of the `whole` one."""
    counts = ", ".join(f"{words.count(word)} {word}" for word in COLOURS if word in words)
    print(coloured(f"{len(words)} properties: {counts}", COLOURS[whole], sys.stdout))


def print_cut_short() -> None:
    """That not everything was seen."""
    say(
        "A limit was hit before every state was seen: what failed has failed, the rest is "
        "open. See --max-states, --time-limit."
    )


def progress() -> Callable[[int, int], None] | None:
    """Tells a person at a terminal how far it is, on one line that wipes itself; nobody else."""
    if not sys.stderr.isatty():
        return None

    def tell(states: int, steps: int) -> None:
        print(f"\r{states:,} states, {steps:,} steps \r", end="", file=sys.stderr, flush=True)

    return tell


def is_meant(wanted: str, id: str) -> bool:
    """Whether `--property` means the property of this id: `L1` means `L1 boot`, too."""
    return id == wanted or id.startswith(f"{wanted} ")
