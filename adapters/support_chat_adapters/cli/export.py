"""`support-chat export`: what programs read of us, as JSON: the whole chart, and the documents of
the Widget API.

The chart goes to standard output, for other checkers and for comparing two versions; so does one of
the documents, for whoever makes a client from it, and `--write` and `--check` keep the documents
that travel with the package.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any, Final

from .charts import DEFAULT, add_chart_option, load_chart
from .terminal import Misuse, coloured, emit

_DOCUMENTS: Final = {"openapi": "openapi.json", "asyncapi": "asyncapi.json"}
_MORE: Final = """\
examples:
  support-chat export > chart.json
  support-chat export | jq '.transitions[] | select(.target == "shutdown") | .name'
  support-chat export --chart shop.chat:CHART > before.json
  support-chat export --format openapi > openapi.json    the Widget API over HTTP
  support-chat export --format asyncapi                  its realtime gateway
  support-chat export --check wire/                      in CI: exit status 1 if a
                                                         document there is stale or missing
"""


def register(commands: Any) -> None:
    """Adds the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "export",
        help="the whole chart, or the OpenAPI and AsyncAPI documents, as stable JSON",
        description="Writes the whole chart, or a document of the Widget API, as JSON: the same "
        "code always gives the same text.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_chart_option(parser)
    parser.add_argument(
        "--format", choices=("chart", *_DOCUMENTS), help="what to export (default: chart)"
    )
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        "--write", metavar="DIR", type=Path, help="write both documents of the Widget API into DIR"
    )
    kept.add_argument(
        "--check",
        metavar="DIR",
        type=Path,
        help="check that DIR holds just what --write would write",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the JSON; 1 if `--check` found a difference."""
    directory: Path | None = arguments.write or arguments.check
    if directory is not None:
        if arguments.format or arguments.chart != DEFAULT:
            raise Misuse(
                "--write and --check are about both documents of the Widget API: leave out "
                "--format and --chart"
            )
        return _keep(directory, write=arguments.write is not None)
    if arguments.format in _DOCUMENTS:
        if arguments.chart != DEFAULT:
            raise Misuse(
                f"--format {arguments.format} tells of the Widget API, not of a chart: leave out "
                "--chart"
            )
        emit(_documents()[_DOCUMENTS[arguments.format]])
        return 0
    from support_chat_adapters.diagrams.exported import to_json

    emit(to_json(load_chart(arguments)))
    return 0


def _documents() -> dict[str, str]:
    from support_chat_adapters.extras import require

    try:
        require(
            "msgspec",
            extra="serve",
            purpose="The documents of the Widget API are written with msgspec",
        )
    except ModuleNotFoundError as error:
        raise Misuse(str(error)) from None
    from support_chat_adapters.transport.wire.documents import documents

    return documents()


def _keep(directory: Path, *, write: bool) -> int:
    if directory.exists() and not directory.is_dir():
        raise Misuse(f"{directory} is not a directory")
    texts = _documents()
    before = {name: _read(directory / name) for name in texts}
    wrong = {name: before[name] for name, text in texts.items() if before[name] != text}
    if write:
        directory.mkdir(parents=True, exist_ok=True)
        for name in wrong:
            (directory / name).write_text(texts[name], encoding="utf-8", newline="\n")
    for name, text in wrong.items():
        said = (
            ("new" if text is None else "rewritten")
            if write
            else ("missing" if text is None else "stale")
        )
        print(f"{coloured(said, 'yellow', sys.stdout)}: {name}")
    if wrong and not write:
        print(
            f"mend it with:\n  {shlex.join(['support-chat', 'export', '--write', str(directory)])}"
        )
        return 1
    print(coloured(f"{directory}: {len(texts)} documents, all fresh", "green", sys.stdout))
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
