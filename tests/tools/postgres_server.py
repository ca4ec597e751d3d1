"""A real PostgreSQL server as a process of its own, on a Unix socket and a free port, in a folder
that is thrown away. PostgreSQL refuses to run as root, so it runs as `postgres` there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import attrs

from redis_server import free_port

INSTALL: Final = "apt-get install postgresql"
"""The line that brings it, to be shown where a test is skipped for the lack of it."""
_FAST: Final = ("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale")
_STARTS_WITHIN: Final = "60"
POOLER: Final = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
"""The pooler, if it is installed."""
INSTALL_POOLER: Final = "apt-get install pgbouncer"
"""The line that brings it."""


def binaries() -> Path | None:
    """The folder of the newest server that is installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name)
    found = shutil.which("initdb")
    return folders[-1] if folders else Path(found).parent if found else None


def is_installed() -> bool:
    """Whether `postgres_server()` has something to start."""
    return binaries() is not None


@attrs.frozen
class PostgresServer:
    """A server with databases in `folder`."""

    folder: Path
    port: int
    bin: Path
    options: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """Its data."""
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Makes a database; returns its address."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", database)
        return self.url(database)

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        )
        said = " ".join((options, *self.options))
        log = str(self.folder / "server.log")
        waits = ("-w", "-t", _STARTS_WITHIN)
        self._run("pg_ctl", "start", *waits, "-D", str(self.data), "-l", log, "-o", said)

    def stop(self) -> None:
        """Ends it, and every connection to it, at once."""
        ends = ("-m", "immediate", "-w", "-t", _STARTS_WITHIN)
        self._run("pg_ctl", "stop", "-D", str(self.data), *ends)

    def kill(self) -> None:
        """SIGKILL: every process of it is gone when this returns."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
        )
        for each in (pid, *map(int, children.stdout.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            pass

    def initialise(self) -> None:
        """Makes its data."""
        self._run(*_FAST, "-U", "postgres", "-D", str(self.data))

    @contextlib.contextmanager
    def replica(self) -> Generator[PostgresServer, None, None]:
        """A replica of it that follows it, in this block."""
        other = attrs.evolve(self, folder=self.folder / "replica", port=free_port())
        other.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(other.folder, "postgres", "postgres")
        self._run("pg_basebackup", "-R", "-c", "fast", "-d", self.url(), "-D", str(other.data))
        other.start()
        try:
            yield other
        finally:
            other.stop()

    @contextlib.contextmanager
    def pooled(self, mode: str) -> Generator[int, None, None]:
        """The port of a `pgbouncer` before it, which shares its connections by transaction, or by
        session, in this block.
        """
        port = free_port()
        options = self.folder / f"{mode}.ini"
        options.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {mode}\n"
        )
        as_postgres = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        command = [*as_postgres, POOLER or "", "-q", str(options)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            try:
                _until_somebody_listens(port)
                yield port
            finally:
                one.terminate()

    def _run(self, command: str, *arguments: str) -> None:
        as_postgres = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        done = subprocess.run(
            [*as_postgres, str(self.bin / command), *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}")


def _until_somebody_listens(port: int) -> None:
    until = time.monotonic() + float(_STARTS_WITHIN)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def postgres_server(*options: str) -> Generator[PostgresServer, None, None]:
    """Runs a server in this block; `options` are its own (`-c fsync=off`)."""
    found = binaries()
    if found is None:
        raise RuntimeError(f"There is no PostgreSQL: {INSTALL}")
    is_root = os.geteuid() == 0
    # the folders that pytest makes are root's alone
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp" if is_root else None) as name:
        folder = Path(name)
        if is_root:
            shutil.chown(folder, "postgres", "postgres")
        server = PostgresServer(folder, free_port(), found, options)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(RuntimeError):
                server.stop()
