"""What the commands around a served backend share: where its database and its secret are, and which
widget it is.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .terminal import Misuse, needs

if TYPE_CHECKING:
    from ..backend import Backend, Store

DEFAULT_DB: Final = "support-chat.db"
"""The database when none is named, in the current folder."""
DEFAULT_PORT: Final = 8787
"""The port when none is named."""


def add_backend_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name a backend: its database, its secret and its widget."""
    group = parser.add_argument_group("the backend")
    group.add_argument(
        "--db",
        metavar="FILE|ADDRESS",
        default=DEFAULT_DB,
        help=f"its SQLite database (default: {DEFAULT_DB} in this folder), or the address of a "
        "PostgreSQL one, postgresql://host/name, which several processes may serve; passwords are "
        "better left to PGPASSFILE",
    )
    group.add_argument(
        "--key-file",
        metavar="FILE",
        help="the secret that identity tokens are signed with (default: the database's name with "
        f".key; of one at a server, {DEFAULT_DB}.key)",
    )
    group.add_argument(
        "--workspace", metavar="ID", default="demo", help="the workspace it serves (default: demo)"
    )
    group.add_argument(
        "--widget", metavar="ID", default="web", help="the widget it serves (default: web)"
    )


def is_at_a_server(arguments: argparse.Namespace) -> bool:
    """Whether the database that the options name is no file."""
    return str(arguments.db).startswith(("postgresql://", "postgres://"))


def shown(arguments: argparse.Namespace) -> str:
    """The database that the options name, without the password that an address may have in it."""
    if not is_at_a_server(arguments):
        return str(arguments.db)
    where = str(arguments.db).partition("://")[2].partition("?")[0]
    user, at, place = where.rpartition("@")
    return f"postgresql://{user.partition(':')[0]}{at}{place}"


def key_file(arguments: argparse.Namespace) -> Path:
    """Where the secret of the backend is that the options name."""
    beside = DEFAULT_DB if is_at_a_server(arguments) else arguments.db
    return Path(arguments.key_file or f"{beside}.key")


def key_secret(arguments: argparse.Namespace) -> str:
    """The secret of the backend that the options name, made if there is none; raises Misuse if it
    can be neither read nor made.
    """
    from ..backend.server.key_file import identity_secret

    folder = key_file(arguments).parent if is_at_a_server(arguments) else Path(arguments.db).parent
    if not folder.is_dir():
        raise Misuse(
            f"there is no folder {folder}; make it, or name a database elsewhere with --db."
        )
    path = key_file(arguments)
    try:
        return identity_secret(path)
    except OSError as error:
        raise Misuse(
            f"cannot use the key file {path}: {error.strerror}; name another with --key-file."
        ) from None


def minted_tokens(arguments: argparse.Namespace) -> Callable[[str], Callable[[], str]]:
    """From a user's id to a provider of their tokens, which mints a fresh one each time with the
    secret of the backend that the options name; raises InvalidInputError where there is none.
    """
    path = key_file(arguments)

    def provider_for(user_id: str) -> Callable[[], str]:
        from support_chat import InvalidInputError, TokenProviderError

        def mint() -> str:
            from ..backend import sign_identity_token
            from ..backend.server.key_file import identity_secret

            if not path.exists():  # a new key would be accepted by nobody
                raise TokenProviderError(
                    f"{path.name} is gone, and with it what tokens are minted with; bring it back."
                )
            where = {"workspace_id": arguments.workspace, "widget_id": arguments.widget}
            return sign_identity_token(user_id, identity_secret(path), **where)

        if not path.exists():
            raise InvalidInputError(
                f"There is no {path.name} here to mint a token for {user_id} with: name the "
                "database of the backend with --db, "
                "or say with --token-url or --token where tokens come from."
            )
        return mint

    return provider_for


def require_database(arguments: argparse.Namespace) -> None:
    """Raises Misuse where there is no database: to open one would make it."""
    if not (is_at_a_server(arguments) or Path(arguments.db).exists()):
        raise Misuse(f"there is no {arguments.db}; name the database of your backend with --db.")


def open_backend(arguments: argparse.Namespace, *, durable: bool = True, **more: Any) -> Backend:
    """The backend that the options name, to be closed by the caller; raises Misuse for what cannot
    be its database. `durable` is as for `SQLiteStore`.
    """
    from ..backend import Backend

    open_store = _store_at_a_server if is_at_a_server(arguments) else _store_in_a_file
    widget = {"workspace_id": arguments.workspace, "widget_id": arguments.widget}
    # no command reads its log
    return Backend(open_store(arguments, durable), **widget, remembers=0, **more)


def _store_at_a_server(arguments: argparse.Namespace, durable: bool) -> Store:
    needs("postgres", "psycopg")
    import psycopg

    from ..backend.postgres import PostgresStore

    try:
        return PostgresStore(arguments.db, durable=durable)
    except psycopg.Error as error:
        why = str(error).strip().partition("\n")[0]
        raise Misuse(
            f"cannot use {shown(arguments)} as the database: {why}; name another with --db."
        ) from None


def _store_in_a_file(arguments: argparse.Namespace, durable: bool) -> Store:
    from ..backend import SQLiteStore

    try:
        return SQLiteStore(arguments.db, durable=durable)
    except sqlite3.Error as error:
        raise Misuse(
            f"cannot use {arguments.db} as the database: {error}; name another with --db."
        ) from None
    except OSError as error:
        raise Misuse(
            f"cannot use {arguments.db} as the database: {error.strerror}; name another with --db."
        ) from None
