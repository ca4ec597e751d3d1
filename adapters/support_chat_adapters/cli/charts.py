"""Which chart a command works on: the shipped one, or `--chart package.module:NAME` of a project of
your own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

from .terminal import Misuse

if TYPE_CHECKING:
    from support_chat import Chart

DEFAULT: Final = "support_chat:CHART"


def add_chart_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--chart`."""
    parser.add_argument(
        "--chart",
        metavar="MODULE:NAME",
        default=DEFAULT,
        help=f"the chart to use, importable from here (default: {DEFAULT})",
    )


def load_chart(named: str) -> Chart:
    """The chart that `package.module:NAME` names, with the working directory importable.

    Raises Misuse, saying what to write instead, if there is no such module or name, or no Chart
    there; ChartError if the chart is faulty.
    """
    from support_chat import Chart

    chart = load(named, "--chart", DEFAULT, "charts", lambda value: isinstance(value, Chart))
    if not isinstance(chart, Chart):
        raise Misuse(
            f"--chart {named}: {named.partition(':')[2]} is of type {type(chart).__name__}, not a "
            "support_chat.Chart"
        )
    return chart


def load(
    named: str, option: str, example: str, kind: str, is_one: Callable[[object], bool]
) -> object:
    """What `package.module:NAME` names, with the working directory importable; `option` is what
    asks for it.

    Raises Misuse if there is no such module or name; for a name that is wrong it lists the module's
    others of that `kind`.
    """
    from support_chat import SupportChatError

    module_name, colon, name = named.partition(":")
    if not (module_name and colon and name):
        raise Misuse(f"{option} {named}: write it as package.module:NAME, for example {example}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = import_module(module_name)
    except SupportChatError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (
            module_name == error.name or module_name.startswith(f"{error.name}.")
        ):
            raise Misuse(
                f"{option} {named}: there is no module {error.name!r}, neither here nor installed"
            ) from error
        raise Misuse(
            f"{option} {named}: {module_name} needs the module {error.name!r}, which is not "
            "installed"
        ) from error
    except (Exception, SystemExit) as error:
        # A script that leaves when it is imported must not decide our exit status.
        raise Misuse(
            f"{option} {named}: importing {module_name} raised {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, name):
        others = [key for key, value in vars(module).items() if is_one(value)]
        raise Misuse(
            f"{option} {named}: {module_name} has no {name!r}; its {kind}: "
            f"{', '.join(others) or 'none'}"
        )
    found: object = getattr(module, name)
    return found
