"""Which chart a command works on, and by which properties: the shipped ones, or those of a project
of your own.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, TypeGuard, cast

from support_chat import CHART, Chart, ChartError, SupportChatError
from support_chat.verify import Elsewhere, Property, generic
from support_chat.verify.catalogue import CATALOGUE, ELSEWHERE
from support_chat.verify.properties import unknown_names

from ..diagrams.exported import from_json
from .options import option
from .terminal import Misuse

DEFAULT: Final = "support_chat:CHART"
"""The chart when none is named."""
APP_DIR_OPTION: Final = option(
    "--app-dir", metavar="DIR", help="import modules from DIR (default: this directory)"
)
"""Says where modules are found."""
CHART_OPTIONS: Final = (
    option(
        "--chart",
        metavar="CHART",
        nargs="?",
        default=DEFAULT,
        help="the chart to use: MODULE:NAME, a file that `support-chat export` wrote, or - for "
        f"standard input (default: {DEFAULT})",
    ),
    APP_DIR_OPTION,
)
"""Names a chart, and says where its module is found."""
PROPERTIES_OPTION: Final = option(
    "--properties",
    metavar="MODULE:NAME",
    help="your properties, a sequence of them; those that follow from what the chart declares "
    "are decided as well (default: for the shipped chart and its variants its catalogue)",
)
"""Names properties."""


def load_chart(arguments: argparse.Namespace) -> Chart:
    """The chart that `--chart` names.

    Raises Misuse, saying what to write instead, if there is none; ChartError if it is faulty.
    """
    if arguments.chart is None:
        raise Misuse(
            "--chart: name a chart of your own, as package.module:NAME; in a pre-commit hook with "
            "args: [package.module:NAME]"
        )
    return chart_named(arguments.chart, "--chart ", arguments.app_dir)


def chart_named(named: str, option: str, app_dir: str | None) -> Chart:
    """The chart that is `package.module:NAME`, a file of `support-chat export`, or `-` for such a
    text on standard input; raises as `load_chart` does.
    """
    if is_file(named):
        try:
            text = sys.stdin.read() if named == "-" else Path(named).read_text(encoding="utf-8")
            return from_json(text)
        except UnicodeDecodeError as error:
            raise Misuse(
                f"{option}{named}: this is no exported chart: write one with `support-chat export`"
            ) from error
        except ChartError as error:
            if error.faults:
                raise
            raise Misuse(f"{option}{named}: {error.message}") from error
    if ":" not in named:
        raise Misuse(
            f"{option}{named}: there is no such file; write it as package.module:NAME, for example "
            f"{DEFAULT}"
        )
    chart = load(named, option, app_dir, "charts", lambda value: isinstance(value, Chart))
    if not isinstance(chart, Chart):
        raise Misuse(
            f"{option}{named}: {named.partition(':')[2]} is of type {type(chart).__name__}, not a "
            "support_chat.Chart"
        )
    return chart


def command(name: str, arguments: argparse.Namespace, *options: str) -> str:
    """The command as a line to paste, with those of these options that are not the default."""
    words = ["support-chat", name]
    for each in options:
        value = getattr(arguments, each)
        if value is not None and (each, value) != ("chart", DEFAULT):
            words += [f"--{each.replace('_', '-')}", str(value)]
    return shlex.join(words)


def is_file(named: str) -> bool:
    """Whether a chart is named by a file or as standard input, and not by a module."""
    return named == "-" or Path(named).suffix == ".json" or Path(named).exists()


def properties_of(
    chart: Chart, arguments: argparse.Namespace
) -> tuple[Sequence[Property], Sequence[Elsewhere]]:
    """The properties to decide, and those that are decided elsewhere. Raises Misuse for what are no
    properties, or none of this chart.
    """
    named = arguments.properties
    if named is None:
        return (CATALOGUE, ELSEWHERE) if has_catalogue(chart) else (generic(chart), ())
    option = "--properties "
    own = load(named, option, arguments.app_dir, "properties", _are_properties)
    if not _are_properties(own):
        raise Misuse(
            f"{option}{named}: this is no sequence of properties of support_chat.verify "
            "(Always, EachStep, ...)"
        )
    if own is CATALOGUE:
        return CATALOGUE, ELSEWHERE
    ids = [each.id for each in (*own, *generic(chart))]
    if twice := sorted({id for id in ids if ids.count(id) > 1}):
        raise Misuse(
            f"{option}{named}: two properties have the id {', '.join(twice)}; give each its "
            "own (G1, G2, ... are decided of every chart)"
        )
    for each in own:
        for what, name in unknown_names(chart, each):
            raise Misuse(
                f"{option}{named}: {each.id} is of {what} {name!r}, which the chart has not"
            )
    return (*own, *generic(chart)), ()


def has_catalogue(chart: Chart) -> bool:
    """Whether the chart has every name of the shipped one, so that the shipped chart's properties
    apply to it.
    """
    kinds = ("phases", "triggers", "facts", "effects", "registers")
    return all(set(getattr(CHART, kind)) <= set(getattr(chart, kind)) for kind in kinds)


def _are_properties(value: object) -> TypeGuard[Sequence[Property]]:
    if not isinstance(value, list | tuple):
        return False
    members = cast("Sequence[object]", value)
    return bool(members) and all(isinstance(member, Property) for member in members)


def load(
    named: str, option: str, app_dir: str | None, kind: str, is_one: Callable[[object], bool]
) -> object:
    """What `package.module:NAME` names, with `app_dir` or the working directory importable;
    `option` is what asks for it.

    Raises Misuse if there is no such module or name; for a name that is wrong it lists the module's
    others of that `kind`.
    """
    prefix = f"{option}{named}"
    module_name, colon, name = named.partition(":")
    if not (module_name and colon and name):
        raise Misuse(f"{prefix}: write it as package.module:NAME, for example {DEFAULT}")
    directory = app_dir or ""
    if not Path(directory).is_dir():
        raise Misuse(f"--app-dir {app_dir}: there is no such directory")
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        module = import_module(module_name)
    except SupportChatError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (
            module_name == error.name or module_name.startswith(f"{error.name}.")
        ):
            where = f"in {app_dir}" if app_dir else "here"
            raise Misuse(
                f"{prefix}: there is no module {error.name!r}, neither {where} nor installed"
            ) from error
        raise Misuse(
            f"{prefix}: {module_name} needs the module {error.name!r}, which is not installed"
            f"{_place(error)}"
        ) from error
    except (Exception, SystemExit) as error:
        # A script that leaves when it is imported must not decide our exit status.
        raise Misuse(
            f"{prefix}: importing {module_name} raised {type(error).__name__}: {error}"
            f"{_place(error)}"
        ) from error
    if not hasattr(module, name):
        others = [key for key, value in vars(module).items() if is_one(value)]
        raise Misuse(
            f"{prefix}: {module_name} has no {name!r}; its {kind}: {', '.join(others) or 'none'}"
        )
    found: object = getattr(module, name)
    return found


def _place(error: BaseException) -> str:
    """The file and line that the import has come to, in brackets; a SyntaxError says its own."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    if isinstance(error, SyntaxError) or not frames:
        return ""
    return f" ({frames[-1].filename}:{frames[-1].lineno})"
