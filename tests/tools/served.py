"""A real `support-chat serve` in a process of its own, for tests: started on a free port, killed,
and started again on the same one.

It is forked from a process that has imported it (`forking`): the command as users start it is
tested in `tests/server/test_serve_command.py`.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from forking import Forked, nursery
from support_chat.values import Identity
from support_chat_adapters.backend import Backend, IdentityKey, Store, sign_identity_token
from support_chat_adapters.backend.server.key_file import identity_secret

WORKSPACE = "demo"
WIDGET = "web"
_STARTS_WITHIN = 60.0
"""Seconds, on a machine however busy."""
_IMPORTS = (
    *(
        f"support_chat_adapters.cli.{command}"
        for command in (
            "chat",
            "check",
            "demo",
            "diff",
            "draw",
            "export",
            "inbox",
            "reply",
            "serve",
            "token",
        )
    ),
    "support_chat_adapters.backend.server.run",
    "jwt",
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
)
"""What `serve` imports until it answers."""
_PROGRAM = "from support_chat_adapters.cli import main; raise SystemExit(main())"


class Served:
    """One served backend; its data stays in `db` whatever becomes of the process. Made by
    `served`.
    """

    def __init__(self, folder: Path, options: tuple[str, ...], address: str | None) -> None:
        self.db = folder / "chat.db"
        """Its database, unless that is at a server."""
        self._address = address
        self.log = folder / "serve.log"
        self.url = ""
        self.status_url = ""
        """Where it tells how it is, if it was started with `--status`."""
        self._options = options
        self._port = 0
        self._process: Forked | None = None

    def start(self) -> None:
        """Starts the process, unless it runs, and waits until it answers; the port is the same each
        time.
        """
        if self._process is not None:
            return
        options = (
            "serve",
            "--json",
            "--verbose",
            f"--db={self.db if self._address is None else self._address}",
            f"--key-file={self.db}.key",
            f"--port={self._port}",
            *self._options,
        )
        with self.log.open("a") as log:
            self._process = nursery(*_IMPORTS).fork(_PROGRAM, options, os.environ, log.fileno())
        limit = threading.Timer(_STARTS_WITHIN, self._process.kill)
        limit.start()
        line = self._process.stdout.readline()
        limit.cancel()
        assert line, f"serve did not start: {self.log.read_text()[-2000:]}"
        told = json.loads(line)
        self.url, self.status_url = told["url"], told.get("status", "")
        self._port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL: nothing of the process runs any more when this returns."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ctrl-C: it says goodbye to its clients."""
        self._end(signal.SIGINT)

    def restart(self) -> None:
        """Killed, and started again."""
        self.kill()
        self.start()

    def ended(self, within: float) -> int:
        """The exit status of the process, which is killed if it has not ended by itself before so
        many seconds have passed.
        """
        process, self._process = self._process, None
        assert process is not None
        limit = threading.Timer(within, process.kill)
        limit.start()
        with process.stdout:
            status = process.wait()
        limit.cancel()
        return status

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._port

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def secret(self) -> str:
        """What its identity tokens are signed with."""
        return identity_secret(Path(f"{self.db}.key"))

    def token(self, user_id: str, *, lifetime: float = 900.0) -> str:
        """An identity token that it accepts."""
        return sign_identity_token(
            user_id, self.secret, workspace_id=WORKSPACE, widget_id=WIDGET, lifetime=lifetime
        )

    @contextmanager
    def backend(self) -> Generator[Backend, None, None]:
        """Its data, opened in this process: what an agent or a judge looks at. Works while it runs
        and while it does not.
        """
        keys = [IdentityKey("HS256", self.secret)]
        database = self.db if self._address is None else _at_a_server(self._address)
        with Backend(database, workspace_id=WORKSPACE, widget_id=WIDGET, keys=keys) as backend:
            yield backend

    def reply(self, to: str | Identity, *texts: str) -> None:
        """An agent writes into this conversation, or to this visitor or user."""
        with self.backend() as backend:
            for text in texts:
                backend.agent.reply(to, text)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            os.kill(process.pid, how)
            process.wait()
            process.stdout.close()


def _at_a_server(address: str) -> Store:
    from support_chat_adapters.backend.postgres import PostgresStore

    return PostgresStore(address)


@contextmanager
def served(
    folder: Path, *options: str, address: str | None = None
) -> Generator[Served, None, None]:
    """A backend served from this folder, started; it is killed at the end. `options` are those of
    `support-chat serve`, `address` is that of a database at a server, in place of the file.
    """
    one = Served(folder, options, address)
    try:
        one.start()
        yield one
    finally:
        one.kill()
