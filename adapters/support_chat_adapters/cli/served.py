"""What the commands around a served backend share: where its database and its secret are, and which widget it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

DEFAULT_DB: Final = "support-chat.db"
"""The database when none is named, in the current folder."""
DEFAULT_PORT: Final = 8787
"""The port when none is named."""


def add_backend_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name a backend: its database, its secret and its widget."""
    group = parser.add_argument_group("the backend")
    group.add_argument("--db", metavar="FILE", default=DEFAULT_DB, help=f"its SQLite database (default: {DEFAULT_DB} in this folder)")
    group.add_argument(
        "--key-file", metavar="FILE", help="the secret that identity tokens are signed with (default: the database's name with .key)"
    )
    group.add_argument("--workspace", metavar="ID", default="demo", help="the workspace it serves (default: demo)")
    group.add_argument("--widget", metavar="ID", default="web", help="the widget it serves (default: web)")


def key_file(arguments: argparse.Namespace) -> Path:
    """Where the secret of the backend is that the options name."""
    return Path(arguments.key_file or f"{arguments.db}.key")
