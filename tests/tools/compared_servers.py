"""The servers that a benchmark compares, each as its users start it, with a person's history
written straight into its database: this `support-chat serve`, a former one, and Prosody.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import attrs

from bare_lines import CONVERSATION, Dials, dial_widget, dial_xmpp, visitor
from long_history import WatchedStore
from redis_server import free_port

PROSODY: Final = "prosody"
INSTALL_PROSODY: Final = "apt-get install prosody lua-dbi-sqlite3"
PERSONS: Final = 1001
"""How many can log in at Prosody, which makes no account by itself."""
_PATIENCE: Final = 120.0
_UNBOUNDED: Final = ("--opens-per-minute=0", "--requests-per-minute=0")

Fill = Callable[[Path, int], None]
"""Writes a history of so many messages of person 0 into the database in this folder."""


@attrs.frozen
class Server:
    """A kind of server: how it is run in a folder on a port, dialled, and given a history."""

    name: str
    command: Callable[[Path, int], Sequence[str]]
    dial: Dials
    begin: Callable[[Path, int], None]
    """Makes its tables, and person 0, while it runs in a folder on a port."""
    fill: Fill

    def prepare(self, folder: Path, messages: int) -> None:
        """Makes a folder in which person 0 has so many messages."""
        folder.mkdir()
        with self.running(folder) as (port, _):
            self.begin(folder, port)
        self.fill(folder, messages)

    @contextmanager
    def running(self, folder: Path) -> Generator[tuple[int, int], None, None]:
        """Runs it in this folder, and yields its port and its process id."""
        port = free_port()
        with (
            (folder / "output").open("a") as output,
            subprocess.Popen(self.command(folder, port), stdout=output, stderr=output) as process,
        ):
            try:
                _wait_for(port, process, folder / "output")
                yield port, process.pid
            finally:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_PATIENCE)
                process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.01)
    raise RuntimeError(f"the server does not answer: {output.read_text()[-2000:]}")


# --- support-chat ---------------------------------------------------------------------------------


def this_version() -> Server:
    """What is imported here."""
    program = (sys.executable, "-m", "support_chat_adapters.cli")
    held = ("--links-per-address=0", "--connections-per-address=0")
    return Server("this version", _serve(program, held), dial_widget, _visit, _fill)


def former_version(what: str, folder: Path) -> Server:
    """A wheel, or a commit of this repository of which one is made, in an environment of its own
    below `folder`, with the libraries that this one has.
    """
    wheel = Path(what) if what.endswith(".whl") else _built(what, folder)
    constraints = folder / "constraints"
    constraints.write_text(
        "".join(
            f"{one.name}=={one.version}\n"
            for one in importlib.metadata.distributions()
            if one.name != "support-chat"
        )
    )
    _run(sys.executable, "-m", "venv", str(folder / "env"))
    python = str(folder / "env" / "bin" / "python")
    wanted = f"support-chat[serve] @ {wheel.resolve().as_uri()}"
    _run(python, "-m", "pip", "install", "--quiet", "--constraint", str(constraints), wanted)
    program = (python, "-I", str(folder / "env" / "bin" / "support-chat"))
    return Server("before", _serve(program, ()), dial_widget, _visit, _fill_former)


def _built(commit: str, folder: Path) -> Path:
    source = folder / "source"
    source.mkdir()
    archive = folder / "source.tar"
    _run("git", "archive", f"--output={archive}", commit)
    shutil.unpack_archive(archive, source)
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"-w{folder}", str(source))
    return next(folder.glob("*.whl"))


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")


def _serve(program: Sequence[str], options: Sequence[str]) -> Callable[[Path, int], Sequence[str]]:
    def command(folder: Path, port: int) -> Sequence[str]:
        where = (f"--db={folder}/chat.db", f"--port={port}")
        return (*program, "serve", *where, *_UNBOUNDED, *options)

    return command


def _visit(folder: Path, port: int) -> None:
    async def once() -> None:
        (await dial_widget(port, 0, hears=False)).close()

    asyncio.run(once())


def _conversations_for(messages: int) -> int:
    return max(messages // 10, CONVERSATION + 1)


def _fill(folder: Path, messages: int) -> None:
    store = WatchedStore(str(folder / "chat.db"), durable=False)
    try:
        owner = f"visitor:{store.rows('SELECT id FROM visitors')[0][0]}"
        store.fill(owner, messages, _conversations_for(messages))
    finally:
        store.close()


def _fill_former(folder: Path, messages: int) -> None:
    """As `WatchedStore.fill`, in the tables from before they had a version."""
    with closing(sqlite3.connect(folder / "chat.db")) as db, db:
        owner = f"visitor:{db.execute('SELECT id FROM visitors').fetchone()[0]}"
        conversations = _conversations_for(messages)
        db.executemany(
            "INSERT INTO conversations (id, owner, created_at) VALUES (?, ?, 0)",
            [(f"c-{number}", owner) for number in range(conversations)],
        )
        db.executemany(
            "INSERT INTO messages (conversation_id, author, text, created_at)"
            " VALUES (?, ?, 'some words', 0)",
            [
                (f"c-{number % conversations}", ("visitor", "agent")[number // conversations % 2])
                for number in range(messages)
            ],
        )


# --- Prosody --------------------------------------------------------------------------------------

_CONFIGURATION: Final = """\
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
log = {{ {{ levels = {{ min = "warn" }}, to = "console" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
modules_enabled = {{ "saslauth", "roster", "mam", "smacks", "posix" }}
modules_disabled = {{ "offline", "s2s", "tls" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "sql"
sql = {{ driver = "SQLite3", database = "{folder}/prosody.sqlite" }}
archive_expires_after = "never"
smacks_hibernation_time = 0
VirtualHost "localhost"
"""


def prosody() -> Server:
    """Prosody, with its archive of messages in SQLite as its accounts are; no encryption, since a
    proxy does that for `support-chat serve`.
    """
    return Server("Prosody", _prosody, dial_xmpp, _register, _fill_prosody)


def is_prosody_installed() -> bool:
    """Whether it can be started here."""
    return shutil.which("prosody") is not None


def _prosody(folder: Path, port: int) -> Sequence[str]:
    configuration = folder / "prosody.cfg.lua"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port))
    return ("prosody", "--config", str(configuration), "-F")


def _register(folder: Path, port: int) -> None:
    configuration = str(folder / "prosody.cfg.lua")
    _run("prosodyctl", "--config", configuration, "register", "v0", "localhost", visitor(0))


def _fill_prosody(folder: Path, messages: int) -> None:
    """Accounts, and an archive of as many correspondents as there are conversations elsewhere; a
    write-ahead log, as the others have it.
    """
    conversations = _conversations_for(messages)
    with closing(sqlite3.connect(folder / "prosody.sqlite")) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executemany(
            "INSERT INTO prosody (host, user, store, key, type, value)"
            " VALUES ('localhost', ?, 'accounts', 'password', 'string', ?)",
            [(f"v{person}", visitor(person)) for person in range(1, PERSONS)],
        )
        db.executemany(
            'INSERT INTO prosodyarchive (host, user, store, key, "when", "with", type, value)'
            " VALUES ('localhost', 'v0', 'archive', ?, ?, ?, 'xml', ?)",
            [
                (
                    f"filled-{number}",
                    1_700_000_000 + number,
                    f"c-{number % conversations}@localhost",
                    f"<message id='{number}' type='chat' to='v0@localhost'"
                    f" from='c-{number % conversations}@localhost'>"
                    "<body>some words</body></message>",
                )
                for number in range(messages)
            ],
        )
