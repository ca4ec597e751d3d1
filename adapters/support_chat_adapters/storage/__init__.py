"""Storages: where a session keeps the visitor between runs of the program.

`MemoryStorage` forgets when the process ends; `SQLiteStorage` keeps a file that several processes may share. The latter is
imported when it is asked for, since some builds of Python (Pyodide's, for one) come without sqlite3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .memory import MemoryStorage

__all__ = ["MemoryStorage", "SQLiteStorage"]

if TYPE_CHECKING:
    from .sqlite import SQLiteStorage
else:  # hidden from type checkers, which would otherwise take every misspelt name for this class

    def __getattr__(name: str) -> type[SQLiteStorage]:
        if name == "SQLiteStorage":
            from .sqlite import SQLiteStorage

            return SQLiteStorage
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
