"""What the tools of this package need of the machine they run on."""

from __future__ import annotations

import sys


def need_threads_and_sockets(what: str) -> None:
    """Raises NotImplementedError where there are none: in a browser, and wherever else Pyodide
    runs.
    """
    if sys.platform in ("emscripten", "wasi"):
        raise NotImplementedError(
            f"{what} needs threads and sockets, and Pyodide has none: use it under CPython. A "
            "session needs neither."
        )
