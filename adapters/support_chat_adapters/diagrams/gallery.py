"""Everything that a directory of diagrams holds, made in one go, and whether such a directory is
still what the chart says.

Every file made here says so at its top. Only files that do are ever judged or removed; what else
lies in the directory is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from support_chat import Chart

from .as_mermaid import mermaid
from .as_svg import svg
from .bounds import bounds_tables, has_bounds
from .calls import calls_table, has_calls
from .dot import dot
from .exported import SCHEMA, to_json
from .table import table
from .views import group, group_on_the_map, overview, slugs

MARK: Final = "Generated from the chart by `support-chat draw`: change the chart, not this file."
MARKS: Final = (MARK, f'"schema": "{SCHEMA}"')
"""A file that has one of them at its top was written here."""
_COMMENTS: Final[Mapping[str, str]] = {
    ".mmd": "%% {}\n",
    ".dot": "// {}\n",
    ".svg": "<!-- {} -->\n",
    ".md": "<!-- {} -->\n\n",
}


def gallery(chart: Chart) -> dict[str, str]:
    """Every file by its name: the overview three times, each group twice, the tables, the JSON and
    an index.
    """
    whole, again = overview(chart), "the same, for whatever renders Mermaid"
    files = [
        ("overview.svg", svg(whole), "every phase and every way between them"),
        ("overview.mmd", mermaid(whole), again),
        ("overview.dot", dot(whole), "the same, for Graphviz"),
    ]
    for name, slug in slugs(chart).items():
        about = f"{name}: every transition with its guard and its effects"
        files += [
            (f"{slug}.svg", svg(group_on_the_map(chart, name)), about),
            (f"{slug}.mmd", mermaid(group(chart, name)), again),
        ]
    files.append(("table.md", table(chart), "every transition, fact and effect"))
    if has_calls(chart):
        files.append(("calls.md", calls_table(chart), "what each call does in each phase"))
    if has_bounds(chart):
        files.append(("bounds.md", bounds_tables(chart), "how long each call can wait"))
    files.append(("chart.json", to_json(chart), "the whole chart for programs"))
    links = [f"- [{name}]({name}): {about}" for name, _, about in files]
    index = "\n".join([f"# {chart.name}", "", "![overview](overview.svg)", "", *links])
    files.append(("README.md", f"{index}\n", ""))
    return {
        name: _COMMENTS.get(Path(name).suffix, "").format(MARK) + text for name, text, _ in files
    }


def compare(
    directory: Path, files: Mapping[str, str], *, marks: Iterable[str] = MARKS
) -> dict[str, str]:
    """How a directory differs from what it should hold, by the names of files: each is `stale`,
    `missing`, or, if it has one of these `marks` at its top, `superfluous`.

    Raises OSError for what cannot be read.
    """
    present = {path.name for path in directory.iterdir()} if directory.is_dir() else set[str]()
    found: dict[str, str] = {}
    for name, text in files.items():
        if name not in present:
            found[name] = "missing"
        elif _read(directory / name) != text:
            found[name] = "stale"
    for name in sorted(present - set(files)):
        path = directory / name
        if path.is_file() and any(mark in _read(path)[:300] for mark in marks):
            found[name] = "superfluous"
    return found


def write(
    directory: Path, files: Mapping[str, str], *, marks: Iterable[str] = MARKS
) -> dict[str, str]:
    """Makes the directory hold these files, and removes generated ones that no longer belong;
    returns how it differed.
    """
    before = compare(directory, files, marks=marks)
    directory.mkdir(parents=True, exist_ok=True)
    for name, how in before.items():
        if how == "superfluous":
            (directory / name).unlink()
        else:
            (directory / name).write_text(files[name], encoding="utf-8", newline="\n")
    return before


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
