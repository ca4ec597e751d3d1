"""`support-chat draw`: pictures and tables of a chart, one to standard output or a whole directory
of them, kept fresh.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .charts import add_chart_option, command, load_chart
from .terminal import Misuse, coloured, emit

if TYPE_CHECKING:
    from support_chat import Chart
    from support_chat_adapters.diagrams.gallery import Staleness

_PICTURES: Final = ("mermaid", "dot", "svg")
_DIRECTORY: Final = Path("diagrams")
_WHOLE: Final = ("table", "calls", "json")
_SUFFIXES: Final = {
    ".mmd": ("mermaid",), ".mermaid": ("mermaid",), ".dot": ("dot",), ".gv": ("dot",),
    ".svg": ("svg",), ".json": ("json",), ".md": ("table", "calls"),
}  # fmt: skip
_MORE: Final = """\
examples:
  support-chat draw                          the overview as Mermaid
  support-chat draw -o lifecycle.svg         as a picture, nothing else installed
  support-chat draw --view group booting -o booting.svg
                                             one group, with guards and effects
  support-chat draw --view group booting --format dot | dot -Tpdf > booting.pdf
  support-chat draw --format calls           what each call does in each phase
  support-chat draw --chart shop.chat:CHART  a chart of your own
  support-chat draw --write diagrams/        every file of the directory
  support-chat draw --check diagrams/        in CI: exit status 1 if a file is stale,
                                             missing or superfluous
"""


def register(commands: Any) -> None:
    """Adds the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "draw",
        help="pictures and tables of the chart (Mermaid, dot, SVG, Markdown)",
        description="Draws the chart: who can go where, on what, and what it asks of the world.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_chart_option(parser)
    parser.add_argument(
        "--format",
        choices=(*_PICTURES, *_WHOLE),
        help="how to write it (default: as FILE ends, else mermaid)",
    )
    parser.add_argument(
        "--view",
        nargs="+",
        metavar="VIEW",
        help="what to draw: `overview` (default), or `group NAME` with guards and effects",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write to FILE instead of standard output"
    )
    whole = parser.add_mutually_exclusive_group()
    whole.add_argument(
        "--write",
        metavar="DIR",
        nargs="?",
        const=_DIRECTORY,
        type=Path,
        help=f"write every picture and table into DIR (default: {_DIRECTORY})",
    )
    whole.add_argument(
        "--check",
        metavar="DIR",
        nargs="?",
        const=_DIRECTORY,
        type=Path,
        help="check that DIR holds just what --write would write (default: likewise)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draws; 1 if `--check` found a difference."""
    directory: Path | None = arguments.write or arguments.check
    if directory is not None:
        if arguments.format or arguments.view or arguments.output:
            raise Misuse(
                "--write and --check are about every file: leave out --format, --view and --output"
            )
        return _keep(directory, arguments)
    form = _format(arguments.format, arguments.output)
    text = _drawn(load_chart(arguments), form, arguments.view)
    if arguments.output is None:
        emit(text)
    else:
        arguments.output.write_text(text, encoding="utf-8", newline="\n")
    return 0


def _format(named: str | None, output: Path | None) -> str:
    """The format that is named, or that the suffix of the file says; Misuse if they differ."""
    suffix = output.suffix.lower() if output else ""
    fitting = _SUFFIXES.get(suffix, ())
    if named is None and suffix and not fitting:
        raise Misuse(f"-o {output}: say with --format what to write into a {suffix} file")
    if named is not None and fitting and named not in fitting:
        raise Misuse(
            f"-o {output}: a {suffix} file is not for --format {named}: leave out --format, or "
            "choose another suffix"
        )
    return named or (fitting or ("mermaid",))[0]


def _drawn(chart: Chart, form: str, view: list[str] | None) -> str:
    from support_chat_adapters.diagrams.calls import calls_table
    from support_chat_adapters.diagrams.dot import dot
    from support_chat_adapters.diagrams.exported import to_json
    from support_chat_adapters.diagrams.mermaid import mermaid
    from support_chat_adapters.diagrams.svg import svg
    from support_chat_adapters.diagrams.table import table
    from support_chat_adapters.diagrams.views import group, group_on_the_map, overview

    if form in _WHOLE:
        if view is not None:
            raise Misuse(f"--format {form} is always of the whole chart: leave out --view")
        return {"table": table, "calls": calls_table, "json": to_json}[form](chart)
    match view or ["overview"]:
        case ["overview"]:
            drawing = overview(chart)
        case ["group", name, *names]:
            drawing = (group_on_the_map if form == "svg" else group)(
                chart, " ".join([name, *names])
            )
        case _:
            raise Misuse(
                f"--view is `overview` or `group NAME`, NAME one of: {', '.join(chart.groups)}"
            )
    return {"mermaid": mermaid, "dot": dot, "svg": svg}[form](drawing)


def _keep(directory: Path, arguments: argparse.Namespace) -> int:
    from support_chat_adapters.diagrams.gallery import compare, gallery, write

    if directory.exists() and not directory.is_dir():
        raise Misuse(f"{directory} is not a directory")
    files = gallery(load_chart(arguments))
    if arguments.write:
        _tell(
            write(directory, files),
            {"stale": "rewritten", "missing": "new", "superfluous": "removed"},
        )
        print(f"{directory}: {len(files)} files, all fresh")
        return 0
    staleness = compare(directory, files)
    if not staleness:
        print(coloured(f"{directory}: {len(files)} files, all fresh", "green", sys.stdout))
        return 0
    _tell(staleness, {"stale": "stale", "missing": "missing", "superfluous": "superfluous"})
    mend = command("draw", arguments, "chart", "app_dir")
    print(f"mend it with:\n  {mend} {shlex.join(['--write', str(directory)])}")
    return 1


def _tell(staleness: Staleness, words: dict[str, str]) -> None:
    for kind, colour in (("stale", "yellow"), ("missing", "red"), ("superfluous", "yellow")):
        for name in getattr(staleness, kind):
            print(f"{coloured(words[kind], colour, sys.stdout)}: {name}")
