"""Pages whose commands and programs are run as they stand, in docs/examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import attrs

DOCS: Final = Path(__file__).parents[2] / "docs"


@attrs.frozen
class CheckedPage:
    """A page, and the examples that it takes excerpts of.

    A block of `sh` is one command with its exit status as a comment; a block of `python` is an
    excerpt of the example, or a program. What one prints is the block that follows it.
    """

    text: str
    example: str

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """The language and the text of each block."""
        return re.findall(r"^```(\w+)\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)

    @property
    def shown(self) -> dict[str, str]:
        """What follows each block."""
        blocks = self.blocks
        return {text: blocks[i + 1][1] for i, (_, text) in enumerate(blocks[:-1])}

    def of(self, language: str) -> list[str]:
        """The blocks of a language."""
        return [text for each, text in self.blocks if each == language]

    @property
    def programs(self) -> list[str]:
        """The snippets that are no excerpts."""
        return [text for text in self.of("python") if text not in self.example]


def checked_page(page: str, example: str = "") -> CheckedPage:
    """The page of this name in docs, and its example in docs/examples, if it has one."""
    text = (DOCS / "examples" / example).read_text("utf-8") if example else ""
    return CheckedPage((DOCS / page).read_text("utf-8"), text)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python where the examples are."""
    command = [sys.executable, "-W", "error", "-X", "utf8", *arguments]
    return subprocess.run(
        command,
        cwd=DOCS / "examples",
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def support_chat(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the program where the examples are."""
    return run(
        "-c", "import sys; from support_chat_adapters.cli import main; sys.exit(main())", *arguments
    )


def timeless(text: str) -> str:
    """The text without times, which may differ."""
    return re.sub(r"[\d.]+ s, [\d,]+ steps/s", "T s, N steps/s", text)
