"""Everything that a directory of diagrams holds, made in one go, and whether such a directory is
still what the chart says.

Every file made here says so at its top. Only files that do are ever judged or removed; what else
lies in the directory is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from support_chat import Chart

from .calls import calls_table, has_calls
from .dot import dot
from .exported import SCHEMA, to_json
from .mermaid import mermaid
from .svg import svg
from .table import table
from .views import group, group_on_the_map, overview, slug

MARK: Final = "Generated from the chart by `support-chat draw`: change the chart, not this file."
_COMMENTS: Final[Mapping[str, str]] = {
    ".mmd": "%% {}\n",
    ".dot": "// {}\n",
    ".svg": "<!-- {} -->\n",
    ".md": "<!-- {} -->\n\n",
}


@attrs.frozen
class Staleness:
    """How a directory differs from what the chart says, by the names of files; empty (and false)
    when it is fresh.
    """

    stale: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    superfluous: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stale or self.missing or self.superfluous)


def gallery(chart: Chart) -> dict[str, str]:
    """Every file by its name: the overview three times, each group twice, the tables, the JSON and
    an index.
    """
    whole = overview(chart)
    texts = {"overview.svg": svg(whole), "overview.mmd": mermaid(whole), "overview.dot": dot(whole)}
    for name in chart.groups:
        texts[f"{slug(name)}.svg"] = svg(group_on_the_map(chart, name))
        texts[f"{slug(name)}.mmd"] = mermaid(group(chart, name))
    texts["table.md"] = table(chart)
    if has_calls(chart):
        texts["calls.md"] = calls_table(chart)
    texts["chart.json"] = to_json(chart)
    texts["README.md"] = _index(chart, tuple(texts))
    return {
        name: _COMMENTS.get(Path(name).suffix, "").format(MARK) + text
        for name, text in texts.items()
    }


def compare(directory: Path, files: Mapping[str, str]) -> Staleness:
    """Compares a directory with the files that it should hold. Raises OSError for what cannot be
    read.
    """
    present = {path.name for path in directory.iterdir()} if directory.is_dir() else set[str]()
    return Staleness(
        stale=tuple(
            name
            for name, text in files.items()
            if name in present and _read(directory / name) != text
        ),
        missing=tuple(name for name in files if name not in present),
        superfluous=tuple(
            sorted(name for name in present - set(files) if _is_ours(directory / name))
        ),
    )


def write(directory: Path, files: Mapping[str, str]) -> Staleness:
    """Makes the directory hold these files, and removes generated ones that no longer belong;
    returns what it changed.
    """
    before = compare(directory, files)
    directory.mkdir(parents=True, exist_ok=True)
    for name in (*before.stale, *before.missing):
        (directory / name).write_text(files[name], encoding="utf-8", newline="\n")
    for name in before.superfluous:
        (directory / name).unlink()
    return before


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    head = _read(path)[:300]
    return MARK in head or f'"schema": "{SCHEMA}"' in head


def _index(chart: Chart, names: tuple[str, ...]) -> str:
    about = {
        "overview.svg": "every phase and every way between them",
        "overview.mmd": "the same, for whatever renders Mermaid",
        "overview.dot": "the same, for Graphviz",
        "calls.md": "what each call does in each phase",
        "table.md": "every transition, fact and effect",
        "chart.json": "the whole chart for programs",
        **{
            f"{slug(name)}.svg": f"{name}: every transition with its guard and its effects"
            for name in chart.groups
        },
        **{f"{slug(name)}.mmd": "the same, for whatever renders Mermaid" for name in chart.groups},
    }
    lines = [
        f"# {chart.name}",
        "",
        "![overview](overview.svg)",
        "",
        *(f"- [{name}]({name}): {about[name]}" for name in names),
    ]
    return "\n".join(lines) + "\n"
