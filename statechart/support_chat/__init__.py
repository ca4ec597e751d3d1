"""The lifecycle of a support-chat session: a declarative statechart, and an asyncio session.

Frontends need `SupportChat` and the values, events and errors here; adapters need
`support_chat.ports`; whoever reads, draws or checks the lifecycle needs `CHART` and
`support_chat.chart`.

Names are imported when they are first used: a command line that only asks for help, or a program
that needs the errors alone, does not wait for the chart to be built. The one list of them is the
stub beside this file, which type checkers read as it is.
"""

import re
from importlib import import_module
from pkgutil import get_data
from typing import Any


def _homes() -> dict[str, str]:
    """The module that each public name lives in, by the stub."""
    stub = (get_data(__name__, "__init__.pyi") or b"").decode()
    homes: dict[str, str] = {}
    for module, names in re.findall(r"^from (\S+) import (\([^)]*\)|[^\n]+)", stub, re.MULTILINE):
        homes.update(dict.fromkeys(re.findall(r"(\w+) as", names), module))
    return homes


_HOMES = _homes()
__all__ = tuple(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]  # pyright reads the stub


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
