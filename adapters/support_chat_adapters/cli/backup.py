"""`support-chat backup`: a copy of a backend's database, also while it is served."""

from __future__ import annotations

import argparse
import os
import sqlite3
from pathlib import Path
from typing import Final

from .options import option
from .served import DEFAULT_DB, is_at_a_server, require_database
from .terminal import Misuse, as_json, complain, emit

ABOUT: Final = "Copies the database of a backend to a new file."
MORE: Final = """\
The copy is whole and of one moment; requests go on meanwhile. It is checked, has
mode 0600, and takes no other file's place. The key that identity tokens are
signed with lies beside the database, and is not in it: keep it elsewhere.

to put a copy in place, end the server, move the database and its -wal and -shm
files away, and start the server on the copy. What came after the copy is lost;
clients notice, and go on.

examples:
  support-chat backup /backups/chat-$(date +%F).db
  support-chat backup copy.db --db /srv/chat.db

exit status: 0, 1 if the copy is not sound, 2 if it cannot be made.
"""
OPTIONS: Final = (
    option("file", metavar="FILE", help="the copy, which must not be there yet"),
    option(
        "--db",
        metavar="FILE",
        default=DEFAULT_DB,
        help=f"the database (default: {DEFAULT_DB} in this folder)",
    ),
    option("--json", action="store_true", help="what was written, as a line of JSON"),
)


def run(arguments: argparse.Namespace) -> int:
    """Makes the copy."""
    from support_chat.errors import StorageError

    from ..backend.backup import back_up

    if is_at_a_server(arguments):
        raise Misuse("a database at a server is backed up with its own tools, such as pg_dump.")
    require_database(arguments)
    try:
        back_up(Path(arguments.db), Path(arguments.file))
    except FileExistsError:
        raise Misuse(f"there is a file {arguments.file} already; name another.") from None
    except StorageError as error:
        complain(error.message)
        return 1
    except sqlite3.Error as error:
        raise Misuse(f"cannot back up {arguments.db}: {error}.") from None
    size = os.path.getsize(arguments.file)
    if arguments.json:
        emit(as_json("backup", {"file": str(arguments.file), "bytes": size}))
    else:
        emit(f"{arguments.file}: {size} bytes\n")
    return 0
