"""What is known of mutants, kept in a file: a line of JSON for each, written when it is known.

Each line says of which chart, properties and code it is (`key_of`), so that a file never answers
for another one: lines with another key are left where they are, and not read. A line that was cut
short is no line.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

import attrs

from .edits import Edit, Kind
from .judging import Fate, Ruling

COLUMNS: Final = tuple(Fate)
"""The columns of a matrix, cheapest judge first."""
_CODE: Final = (".py", ".txt", ".json", ".toml")


@attrs.frozen
class Result:
    """What became of one mutant."""

    edit: Edit
    ruling: Ruling


def key_of(chart: str, *sources: Path) -> str:
    """What results are valid for: this chart, as exported, and the code in these files and folders
    (the checker, the properties, a judge of yours).
    """
    digest = hashlib.sha256(chart.encode())
    for source in sources:
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            if file.suffix in _CODE and file.is_file():
                digest.update(file.relative_to(source.parent).as_posix().encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class Book:
    """The results in a file, those of one key."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._known: dict[str, Ruling] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            said: Mapping[str, Any] = json.loads(line)
            if said["key"] == self._key:
                self._known[said["edit"]] = Ruling(Fate(said["fate"]), said["by"], said["why"])
        except (ValueError, KeyError, TypeError):
            return

    def of(self, edit: Edit) -> Ruling | None:
        """What is known of this edit."""
        return self._known.get(edit.id)

    def open(self) -> TextIO:
        """The file, to `write` to; what was cut short ends there."""
        file = self._path.open("a+", encoding="utf-8", newline="\n")
        if file.tell() and not self._path.read_bytes().endswith(b"\n"):
            file.write("\n")
        return file

    def write(self, file: TextIO, result: Result) -> None:
        """Notes a result, at once."""
        said = {"key": self._key, "kind": result.edit.kind, "edit": result.edit.id}
        said |= attrs.asdict(result.ruling)
        file.write(json.dumps(said, ensure_ascii=False) + "\n")
        file.flush()


def matrix(results: Iterable[Result]) -> dict[Kind, Counter[Fate]]:
    """How many mutants of each kind came to which end."""
    found: dict[Kind, Counter[Fate]] = {}
    for each in results:
        found.setdefault(each.edit.kind, Counter())[each.ruling.fate] += 1
    return {kind: found[kind] for kind in Kind if kind in found}


def killers(results: Iterable[Result]) -> Counter[str]:
    """How many mutants each property has killed."""
    return Counter(each.ruling.by for each in results if each.ruling.fate is Fate.KILLED)
