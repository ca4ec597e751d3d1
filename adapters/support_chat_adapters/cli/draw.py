"""`support-chat draw`: pictures and tables of a chart, one to standard output or a whole directory
of them, kept fresh.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from support_chat import Chart

from ..diagrams.as_html import html
from ..diagrams.as_mermaid import mermaid
from ..diagrams.as_svg import svg
from ..diagrams.calls import calls_table
from ..diagrams.dot import dot
from ..diagrams.exported import to_json
from ..diagrams.gallery import gallery
from ..diagrams.table import table
from ..diagrams.views import group, group_on_the_map, lit, overview
from .charts import CHART_OPTIONS, command, load_chart
from .keeping import keep, keeping_options, refuse_json
from .options import option
from .terminal import Misuse, emit

_PICTURES: Final = {"mermaid": mermaid, "dot": dot, "svg": svg}
_PAGE: Final = "html"
_DIRECTORY: Final = Path("diagrams")
_WHOLE: Final = {"table": table, "calls": calls_table, "json": to_json}
_SUFFIXES: Final = {
    ".mmd": ("mermaid",), ".mermaid": ("mermaid",), ".dot": ("dot",), ".gv": ("dot",),
    ".svg": ("svg",), ".html": (_PAGE,), ".json": ("json",), ".md": ("table", "calls"),
}  # fmt: skip
ABOUT: Final = "Draws the chart: who can go where, on what, and what it asks of the world."
MORE: Final = """\
examples:
  support-chat draw                        the overview as Mermaid
  support-chat draw -o lifecycle.svg       as a picture, nothing else installed
  support-chat draw -o chart.html          a page to explore it, step by step
  support-chat draw --path ready booting anonymous -o path.svg
                                           with these phases lit
  support-chat draw --view group booting -o booting.svg
                                           one group, with guards and effects
  support-chat draw --view group booting --format dot | dot -Tpdf > booting.pdf
  support-chat draw --format calls         what each call does in each phase
  support-chat draw --chart shop.chat:CHART
                                           a chart of your own
  support-chat draw --write diagrams/      every file of the directory
  support-chat draw --check diagrams/      in CI: exit status 1 if a file is
                                           stale, missing or superfluous
"""
OPTIONS: Final = (
    *CHART_OPTIONS,
    option(
        "--format",
        choices=(*_PICTURES, _PAGE, *_WHOLE),
        help="how to write it (default: as FILE ends, else mermaid)",
    ),
    option(
        "--view",
        nargs="+",
        metavar="VIEW",
        help="what to draw: `overview` (default), or `group NAME` with guards and effects",
    ),
    option("--phase", metavar="PHASE", help="light this phase in the picture"),
    option(
        "--path",
        nargs="+",
        metavar="PHASE",
        help="light these phases, and the arrows from each to the next",
    ),
    option(
        "-o", "--output", metavar="FILE", type=Path, help="write to FILE instead of standard output"
    ),
    keeping_options(
        f"write every picture and table into DIR (default: {_DIRECTORY})",
        "check that DIR holds just what --write would write (default: likewise)",
        nargs="?",
        const=_DIRECTORY,
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Draws; 1 if `--check` found a difference."""
    if arguments.write or arguments.check:
        if any((arguments.format, arguments.view, arguments.output, _path(arguments))):
            raise Misuse(
                "--write and --check are about every file: leave out --format, --view, --phase, "
                "--path and --output"
            )
        again = command("draw", arguments, "chart", "app_dir")
        return keep(arguments, lambda: gallery(load_chart(arguments)), "files", again)
    refuse_json(arguments)
    form = _format(arguments.format, arguments.output)
    text = _drawn(load_chart(arguments), form, arguments.view, _path(arguments))
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


def _path(arguments: argparse.Namespace) -> list[str]:
    """The phases to light."""
    if arguments.phase is not None and arguments.path is not None:
        raise Misuse("--phase and --path: name the phase in the path, or leave one of them out")
    return [arguments.phase] if arguments.phase is not None else arguments.path or []


def _drawn(chart: Chart, form: str, view: list[str] | None, path: list[str]) -> str:
    if form not in _PICTURES and view is not None:
        raise Misuse(f"--format {form} is always of the whole chart: leave out --view")
    if form == _PAGE:
        return html(chart, path)
    if form in _WHOLE:
        if path:
            raise Misuse(f"--format {form} has no picture: leave out --phase and --path")
        return _WHOLE[form](chart)
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
    return _PICTURES[form](lit(chart, drawing, path))
