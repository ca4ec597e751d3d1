"""`support-chat serve`: the reference backend on the network."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from typing import Final

from .options import group, option
from .served import DEFAULT_PORT, add_backend_options, key_secret, open_backend
from .terminal import Misuse, as_json, coloured, needs, say

ABOUT: Final = "Serves the Widget API (HTTP, long poll and WebSocket) on a SQLite file."
MORE: Final = """\
It is meant for development, tests and small installations: one process, one
SQLite file, no TLS of its own (put a reverse proxy in front of it). What it has
answered is on disk: killing it loses nothing.

examples:
  support-chat serve                          on this machine, data in ./support-chat.db
  support-chat serve --db /srv/chat.db --port 9000
  support-chat serve --allow-origin https://app.example.com
  support-chat serve --allow-origin 'https://*.example.com'

then, in another terminal:
  support-chat chat --url http://127.0.0.1:8787          a visitor
  support-chat chat --url http://127.0.0.1:8787 --user ada
  support-chat reply "Hello, how can I help?"            an agent's answer, also while
                                                         the server is stopped
  support-chat token --user ada                          an identity token for tests

exit status: 0 once it is ended (Ctrl-C or SIGTERM), 2 if it cannot begin.
"""
OPTIONS: Final = (
    option(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default: 127.0.0.1, this machine only)",
    ),
    option(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"the port to listen on, 0 for a free one (default: {DEFAULT_PORT})",
    ),
    add_backend_options,
    group(
        "who may come in",
        option(
            "--allow-origin",
            metavar="ORIGIN",
            action="append",
            default=[],
            help="web pages that may use the widget: https://app.example.com, or "
            "https://*.example.com for one more label; may be repeated",
        ),
        option("--no-visitors", action="store_true", help="serve signed-in users only"),
        option(
            "--no-merge",
            action="store_true",
            help="a visitor who signs in keeps their conversations to themselves",
        ),
        option(
            "--opens-per-minute",
            metavar="N",
            type=float,
            default=120,
            help="sessions begun by one address (default: 120, 0: no limit)",
        ),
        option(
            "--requests-per-minute",
            metavar="N",
            type=float,
            default=600,
            help="requests of one session (default: 600, 0: no limit)",
        ),
    ),
    group(
        "output",
        option("--json", action="store_true", help="its address as a line of JSON, for programs"),
        option(
            "--verbose",
            action="store_true",
            help="a line for each request on standard error: no secrets, no bodies",
        ),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is told to end."""
    needs("serve", "jwt", "starlette", "uvicorn", "websockets", "msgspec")
    import asyncio

    from ..backend import IdentityKey, WidgetRules
    from ..backend.server.limits import RateLimits
    from ..backend.server.origins import AllowedOrigins
    from ..backend.server.run import bound, serve

    if arguments.verbose:
        logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
        logging.getLogger("support_chat.server").setLevel(logging.INFO)
    origins = AllowedOrigins(arguments.allow_origin)
    limits = RateLimits(
        opens_per_minute=arguments.opens_per_minute,
        requests_per_minute=arguments.requests_per_minute,
    )
    secret = key_secret(arguments)
    try:
        listener = bound(arguments.host, arguments.port)
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise Misuse(
            f"cannot listen on {arguments.host}:{arguments.port}: {why}; choose another --host or "
            "--port."
        ) from None
    rules = WidgetRules(
        anonymous_allowed=not arguments.no_visitors, allow_merge=not arguments.no_merge
    )
    with (
        listener,
        open_backend(arguments, keys=[IdentityKey("HS256", secret)], rules=rules) as backend,
    ):
        host, port = listener.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        # the same goodbye; the database is closed in order
        terminated = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            asyncio.run(
                serve(
                    backend,
                    listener,
                    origins=origins,
                    limits=limits,
                    started=lambda: _say(arguments, url),
                )
            )
        except KeyboardInterrupt:
            if not arguments.json:
                print("\nstopped; everything it answered is on disk", flush=True)
        finally:
            signal.signal(signal.SIGTERM, terminated)
    return 0


def _say(arguments: argparse.Namespace, url: str) -> None:
    if arguments.json:
        address = {
            "url": url,
            "workspace": arguments.workspace,
            "widget": arguments.widget,
            "db": arguments.db,
        }
        print(as_json("serve", address), end="", flush=True)
        return
    here = "" if arguments.db == "support-chat.db" else f" --db {arguments.db}"
    say(f"support-chat backend: {coloured(url, 'bold', sys.stdout)}")
    say("development, tests and small installations", "  meant for  ")
    kept = "kept through restarts and kill -9; its secret lies beside it, for your eyes only"
    say(f"{Path(arguments.db).name}, {kept}", "  data       ")
    say(f"support-chat chat --url {url}{here} [--user ada]", "  a client   ")
    say(f'support-chat reply{here} "Hello, how can I help?"', "  an answer  ")
    say("  Ctrl-C stops it")
