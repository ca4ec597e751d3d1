"""`support-chat chat`: a client in the terminal, which shows the session's phase live."""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
from contextlib import aclosing
from typing import Final
from urllib.parse import urlsplit

from support_chat import InvalidInputError, User

from ..chat.controller import Person, Providers, Shell
from ..chat.piped import PipedShell
from ..chat.run import chat
from ..storage import FileStorage, MemoryStorage
from ..tokens import HTTPTokenProvider, StaticToken
from ..ui.terminal import can_draw
from .options import group, one_of, option
from .served import DEFAULT_PORT, add_backend_options, minted_tokens
from .terminal import Misuse, complain, needs

_DEFAULT_URL: Final = f"http://127.0.0.1:{DEFAULT_PORT}"
_PARTS: Final = ("httpx2", "msgspec", "websockets", "jwt", "platformdirs")
# what the Python API calls a value, and what it is called here
_OPTIONS: Final = {
    "base_url": "--url",
    "url": "--token-url",
    "id": "--user",
    "User.name": "--name",
    "User.email": "--email",
    "scope": "--scope",
    "workspace_id": "--workspace",
    "widget_id": "--widget",
}
ABOUT: Final = """\
Chats with a backend on the network, as a visitor or as a user,
and shows the phase of the session live."""
MORE: Final = f"""\
examples:
  support-chat chat --url {_DEFAULT_URL}
      a visitor, the same one each time
  support-chat chat --url {_DEFAULT_URL} --user ada --db chat.db
      a user, by a token minted with the key of this backend
  support-chat chat --url https://chat.example.com --user ada \\
      --token-url https://app.example.com/chat-token
      a user, by a token that your own server mints
  echo "Hello" | support-chat chat --memory --json
      one message, and what comes of it as lines of JSON

try this, with `support-chat serve` in another terminal: write something, stop
the server with Ctrl-C, watch the phase become reconnecting, answer with
`support-chat reply "It is fixed."`, start the server again, and see the answer
arrive.

Type a message and press Enter (Alt-Enter for another line in it). /help lists
the commands: /list, /history, /identify, /update, /shutdown, /boot, /quit.
Ctrl-D leaves, and so does Ctrl-C, twice. Without a terminal, and with --plain
or --json, each line of standard input is a message or a command, and the end
of the input leaves; for one that only listens: tail -f /dev/null | ...

Visitors are told apart by --scope, which is the address of the backend unless
you name another: what one backend knows as the visitor's secret is never shown
to a second. Two clients with the same scope are one visitor; --memory is a new
one each time. NO_COLOR is respected.

exit status: 0 once you leave, 1 if the first boot fails or the session ends by
itself (a token refused, a session revoked), 2 if the client cannot begin as it
was asked to.
"""
OPTIONS: Final = (
    option(
        "--url", default=_DEFAULT_URL, help=f"the address of the backend (default: {_DEFAULT_URL})"
    ),
    group(
        "who you are",
        option("--user", metavar="ID", help="a signed-in user (default: a visitor)"),
        option("--name", help="a name, for the backend"),
        option("--email", help="an e-mail address, for the backend"),
        one_of(
            option(
                "--token-url",
                metavar="URL",
                help="a server that answers with an identity token for the user",
            ),
            option(
                "--token",
                metavar="TOKEN",
                help="an identity token; for tests, since it cannot be renewed",
            ),
        ),
    ),
    group(
        "where the visitor is kept",
        one_of(
            option(
                "--storage", metavar="FILE", help="a JSON file (default: one in your data folder)"
            ),
            option("--memory", action="store_true", help="nowhere: a new visitor each time"),
        ),
        option(
            "--scope",
            metavar="NAME",
            help="which of the visitors in there (default: that of this backend's address)",
        ),
    ),
    add_backend_options,
    group(
        "how it shows things",
        one_of(
            option(
                "--plain",
                action="store_true",
                help="lines of text (the default where there is no terminal)",
            ),
            option(
                "--json",
                action="store_true",
                help="lines of JSON: the session's events, and what came of each command",
            ),
        ),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Chats: on the screen where there is a terminal for it, else line by line."""
    on_screen = (
        not (arguments.plain or arguments.json) and can_draw(sys.stdin) and can_draw(sys.stdout)
    )
    needs("chat", *_PARTS, *(["prompt_toolkit"] if on_screen else []))
    if "/widget/v1/" in f"{urlsplit(str(arguments.url)).path}/":
        begin = str(arguments.url).partition("/widget/v1")[0]
        raise Misuse(
            f"--url ends before /widget/v1, which the client adds by itself: --url {begin}"
        )
    try:
        failure = asyncio.run(_chat(arguments, on_screen))
    except KeyboardInterrupt:  # before there was anything to leave
        return 0
    except InvalidInputError as error:
        name, rest = error.message.split(" ", 1)
        raise Misuse(f"{_OPTIONS.get(name, name)} {rest}") from None
    if failure is not None:
        complain(failure)
    return 0 if failure is None else 1


async def _chat(arguments: argparse.Namespace, on_screen: bool) -> str | None:
    from ..transport import WidgetAPITransport

    person = _person(arguments)
    async with (
        aclosing(WidgetAPITransport(arguments.url)) as transport,
        aclosing(
            MemoryStorage() if arguments.memory else FileStorage(arguments.storage)
        ) as storage,
    ):
        return await chat(
            _shell(arguments, on_screen),
            person,
            transport=transport,
            storage=storage,
            url=arguments.url,
            workspace_id=arguments.workspace,
            widget_id=arguments.widget,
            scope=str(arguments.scope or urlsplit(str(arguments.url)).netloc),
        )


def _shell(arguments: argparse.Namespace, on_screen: bool) -> Shell:
    if on_screen:
        from ..chat.screen import Screen

        return Screen()
    source = sys.stdin or io.StringIO()  # None where it was closed
    # a message in letters that a pipe does not know ends nothing
    for stream in (source, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    return PipedShell(source, sys.stdout, as_data=arguments.json)


def _person(arguments: argparse.Namespace) -> Person:
    known = {
        key: value for key in ("name", "email") if (value := getattr(arguments, key)) is not None
    }
    providers = _providers(arguments)
    if arguments.user is None:
        if arguments.token is not None or arguments.token_url is not None:
            raise Misuse("a token is for a user: say which one with --user.")
        return Person(None, known, providers)
    user = User(arguments.user, **known)
    providers(user.id)  # what is missing is known before anything begins
    return Person(user, {}, providers)


def _providers(arguments: argparse.Namespace) -> Providers:
    if arguments.token_url is None and arguments.token is None:
        return minted_tokens(arguments)
    provider = (
        StaticToken(arguments.token)
        if arguments.token_url is None
        else HTTPTokenProvider(arguments.token_url)
    )
    return lambda _: provider
