"""Which chart a command works on: the shipped one, or `--chart package.module:NAME` of a project of your own."""

from __future__ import annotations

import argparse
import sys
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

    Raises Misuse, saying what to write instead, if there is no such module or name, or no Chart there; ChartError if the chart
    is faulty.
    """
    from support_chat import Chart, SupportChatError

    module_name, colon, name = named.partition(":")
    if not (module_name and colon and name):
        raise Misuse(f"--chart {named}: write it as package.module:NAME, for example {DEFAULT}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = import_module(module_name)
    except SupportChatError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise Misuse(f"--chart {named}: there is no module {error.name!r}, neither here nor installed") from error
        raise Misuse(f"--chart {named}: {module_name} needs the module {error.name!r}, which is not installed") from error
    except Exception as error:
        raise Misuse(f"--chart {named}: importing {module_name} raised {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        charts = [key for key, value in vars(module).items() if isinstance(value, Chart)]
        raise Misuse(f"--chart {named}: {module_name} has no {name!r}; its charts: {', '.join(charts) or 'none'}")
    chart = getattr(module, name)
    if not isinstance(chart, Chart):
        raise Misuse(f"--chart {named}: {name} is of type {type(chart).__name__}, not a support_chat.Chart")
    return chart
