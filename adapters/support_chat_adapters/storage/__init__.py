"""Storages: where a session keeps the visitor between runs of the program.

| class | keeps it in | shared by |
|---|---|---|
| `MemoryStorage` | this object | nobody: it forgets when the process ends |
| `FileStorage` | a JSON file | the processes of a machine |
| `SQLiteStorage` | a SQLite file | the processes of a machine |
| `RedisStorage` | a Redis server | whoever reaches the server |
| `KeyringStorage` | the system's keyring | the processes of a user |
| `MappingStorage` | a mapping of yours | whoever shares the mapping; `FileLock` helps |

Each is imported when it is asked for: some stand on an extra, and some builds of Python (Pyodide's,
for one) come without sqlite3 or without locks on files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .memory import MemoryStorage

__all__ = [
    "FileLock",
    "FileStorage",
    "KeyringStorage",
    "MappingStorage",
    "MemoryStorage",
    "RedisStorage",
    "SQLiteStorage",
]

if TYPE_CHECKING:
    from .file import FileStorage
    from .files import FileLock
    from .keyring import KeyringStorage
    from .mapping import MappingStorage
    from .redis import RedisStorage
    from .sqlite import SQLiteStorage
else:  # hidden from type checkers, which would otherwise take every misspelt name for a class
    _MODULES = {
        "FileLock": "files",
        "FileStorage": "file",
        "KeyringStorage": "keyring",
        "MappingStorage": "mapping",
        "RedisStorage": "redis",
        "SQLiteStorage": "sqlite",
    }

    def __getattr__(name: str) -> type:
        if name in _MODULES:
            return getattr(import_module(f".{_MODULES[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
