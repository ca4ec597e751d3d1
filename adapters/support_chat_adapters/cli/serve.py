"""`support-chat serve`: the reference backend on the network."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from .options import group, option
from .served import (
    DEFAULT_DB,
    DEFAULT_PORT,
    add_backend_options,
    is_at_a_server,
    key_file,
    key_secret,
    open_backend,
    shown,
)
from .terminal import Misuse, as_json, coloured, complain, needs, say

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
  support-chat serve --behind 127.0.0.1 --status 127.0.0.1:9100 --log json

then, in another terminal:
  support-chat chat --url http://127.0.0.1:8787          a visitor
  support-chat chat --url http://127.0.0.1:8787 --user ada
  support-chat reply "Hello, how can I help?"            an agent's answer, also while
                                                         the server is stopped
  support-chat token --user ada                          an identity token for tests

exit status: 0 once it is ended (Ctrl-C or SIGTERM), 1 if it has to end by
itself since its database was deleted, 2 if it cannot begin.
"""
HELD: Final = (
    ("--connections", int, 10_000, "TCP connections of all together"),
    ("--connections-per-address", int, 5_000, "TCP connections of one address"),
    ("--links-per-address", int, 1_500, "links, by WebSocket or poll, of one address"),
    ("--links-per-session", int, 8, "links of one session"),
    ("--buffered", int, 64 * 2**20, "bytes unread, or of half bodies, of all together"),
    ("--frames-per-minute", float, 120.0, "frames that a client sends over a link"),
    ("--head-seconds", float, 10.0, "for the head of a request"),
    ("--body-seconds", float, 20.0, "for the body of a request"),
    ("--send-seconds", float, 20.0, "for a client to take what waits for it"),
    ("--goodbye-seconds", float, 5.0, "for what is under way when the server ends"),
)
"""Options, kinds, defaults and meanings of `ConnectionLimits`, which is not imported for --help."""
KEPT: Final = (
    ("--prune-sessions", 30.0, "sessions, and visitors who wrote nothing, since they last dialled"),
    ("--prune-visitors", 365.0, "visitors and what they wrote, since they last dialled"),
)
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
            help="requests of one session (default: 600, 0: no limit); a tenth of it are the "
            "requests of one address with credentials that no session has",
        ),
        option(
            "--behind",
            metavar="ADDRESS[,ADDRESS]",
            default="",
            help="the reverse proxies in front of it, by address or network: they alone are "
            "believed about X-Forwarded-For and X-Request-ID (default: none)",
        ),
    ),
    group(
        "what may be held open (0: no limit, of a count or a size)",
        *(
            option(
                name,
                metavar="N",
                type=kind,
                default=default,
                help=f"{meaning} (default: {default:g})"
                if default < 1e6
                else f"{meaning} (default: 64 MiB)",
            )
            for name, kind, default, meaning in HELD
        ),
    ),
    group(
        "how long it is kept",
        *(
            option(
                name,
                metavar="DAYS",
                type=float,
                default=days,
                help=f"{meaning} (default: {days:g}, 0: for ever)",
            )
            for name, days, meaning in KEPT
        ),
    ),
    option(
        "--no-fsync",
        action="store_true",
        help="do not wait until the disk has what is answered: faster, and a power cut may lose "
        "the last moments (a killed process loses nothing either way)",
    ),
    group(
        "output",
        option("--json", action="store_true", help="its address as a line of JSON, for programs"),
        option(
            "--verbose",
            action="store_true",
            help="a line for each request on standard error: no secrets, no bodies",
        ),
        option(
            "--log",
            choices=("text", "json"),
            default="text",
            help="how the log's lines are written (default: text); with json there is one for "
            "each request",
        ),
        option(
            "--status",
            metavar="HOST:PORT",
            help="answer /healthz, /readyz and /metrics (Prometheus) on an address of their own, "
            "which is not for the public (default: nowhere)",
        ),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is told to end."""
    needs("serve", "jwt", "starlette", "uvicorn", "websockets", "msgspec")
    if arguments.status is not None:
        needs("serve", "prometheus_client")
    import asyncio

    from ..backend import Ages, IdentityKey, WidgetRules
    from ..backend.pruning import DAY
    from ..backend.server.addresses import Proxies
    from ..backend.server.limits import ConnectionLimits, RateLimits
    from ..backend.server.origins import AllowedOrigins
    from ..backend.server.run import DatabaseLostError, serve

    _begin_log(arguments)
    origins = AllowedOrigins(arguments.allow_origin)
    limits = RateLimits(
        opens_per_minute=arguments.opens_per_minute,
        requests_per_minute=arguments.requests_per_minute,
    )
    names = [option.removeprefix("--").replace("-", "_") for option, *_ in HELD]
    connections = ConnectionLimits(**{name: getattr(arguments, name) for name in names})
    proxies = Proxies.named(filter(None, arguments.behind.split(",")))
    secret = key_secret(arguments)
    rules = WidgetRules(
        anonymous_allowed=not arguments.no_visitors, allow_merge=not arguments.no_merge
    )
    with ExitStack() as stack:
        listener = stack.enter_context(_listening(arguments.host, arguments.port, "--port"))
        status = None
        if arguments.status is not None:
            host, port = _host_and_port(arguments.status)
            status = stack.enter_context(_listening(host, port, "--status"))
        keys = [IdentityKey("HS256", secret)]
        backend = stack.enter_context(
            open_backend(arguments, durable=not arguments.no_fsync, keys=keys, rules=rules)
        )
        if _is_a_file(arguments):
            _warn_of_others(arguments)
        # the same goodbye; the database is closed in order
        terminated = signal.signal(signal.SIGTERM, signal.default_int_handler)
        stack.callback(signal.signal, signal.SIGTERM, terminated)
        serving = serve(
            backend,
            listener,
            origins=origins,
            limits=limits,
            connections=connections,
            proxies=proxies,
            database=Path(arguments.db) if _is_a_file(arguments) else None,
            status=status,
            ages=Ages(
                sessions=arguments.prune_sessions * DAY, visitors=arguments.prune_visitors * DAY
            ),
            started=lambda: _say(
                arguments, _url(listener), None if status is None else _url(status)
            ),
        )
        try:
            asyncio.run(serving)
        except KeyboardInterrupt:  # before it had begun
            pass
        except DatabaseLostError:
            complain(
                f"{arguments.db} was deleted or replaced while it was served; put the right file "
                "there and start again."
            )
            return 1
        if not arguments.json:
            print("\nstopped; everything it answered is on disk", flush=True)
    return 0


def _is_a_file(arguments: argparse.Namespace) -> bool:
    return arguments.db != ":memory:" and not is_at_a_server(arguments)


def _begin_log(arguments: argparse.Namespace) -> None:
    as_json = arguments.log == "json"
    if not (arguments.verbose or as_json):
        return
    from ..backend.server.logs import JSONLines

    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(JSONLines() if as_json else text)
    logging.basicConfig(handlers=[handler])
    logging.getLogger("support_chat.server").setLevel(logging.INFO)


def _listening(host: str, port: int, option: str) -> socket.socket:
    from ..backend.server.run import bound

    try:
        return bound(host, port)
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        others = "--host or --port" if option == "--port" else option
        raise Misuse(f"cannot listen on {host}:{port}: {why}; choose another {others}.") from None


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        raise Misuse(f"--status {address} is no address; write it as 127.0.0.1:9100.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _warn_of_others(arguments: argparse.Namespace) -> None:
    from ..backend.server.condition import open_to_others

    found = open_to_others(Path(arguments.db), key_file(arguments))
    if found:
        names = ", ".join(map(str, found))
        logging.getLogger("support_chat.server").warning(
            "others on this machine may open %s; chmod 600 keeps them out",
            names,
            extra={"fields": {"event": "loose_permissions", "files": list(map(str, found))}},
        )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(arguments: argparse.Namespace, url: str, status: str | None) -> None:
    if arguments.json:
        address = {
            "url": url,
            "workspace": arguments.workspace,
            "widget": arguments.widget,
            "db": shown(arguments),
            **({} if status is None else {"status": status}),
        }
        print(as_json("serve", address), end="", flush=True)
        return
    here = "" if arguments.db == DEFAULT_DB else f" --db {shown(arguments)}"
    say(f"support-chat backend: {coloured(url, 'bold', sys.stdout)}")
    say("development, tests and small installations", "  meant for  ")
    if is_at_a_server(arguments):
        say(f"{shown(arguments)}; any number of these may serve it", "  data       ")
    else:
        kept = "kept through restarts and kill -9; its secret lies beside it, for your eyes only"
        say(f"{Path(arguments.db).name}, {kept}", "  data       ")
    say(f"support-chat chat --url {url}{here} [--user ada]", "  a client   ")
    say(f'support-chat reply{here} "Hello, how can I help?"', "  an answer  ")
    say(f"support-chat inbox list{here}", "  an agent   ")
    if status is not None:
        say(f"{status}/healthz /readyz /metrics", "  its status ")
    say("  Ctrl-C stops it")
