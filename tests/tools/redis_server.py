"""A real `redis-server` as a process of its own, on a free port and in a folder that is thrown
away.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

COMMAND: Final = "redis-server"
INSTALL: Final = "apt-get install redis-server"
"""The line that brings it, to be shown where a test is skipped for the lack of it."""


def is_installed() -> bool:
    """Whether `redis_server()` has something to start."""
    return shutil.which(COMMAND) is not None


@contextlib.contextmanager
def redis_server(
    folder: Path | None = None, *, port: int | None = None, password: str | None = None
) -> Generator[str, None, None]:
    """Runs a server in this block and yields its URL; its snapshot lies in `folder` as `dump.rdb`,
    if one is given.

    A server that is started on the `folder` and `port` of a former one takes its place, with what
    that one had saved.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-")))
        port = free_port() if port is None else port
        options = {
            "--port": port,
            "--bind": "127.0.0.1",
            "--dir": folder,
            "--save": "",
            "--appendonly": "no",
        }
        # so that whoever looks for bytes in a snapshot can find them
        options["--rdbcompression"] = "no"
        if password is not None:
            options["--requirepass"] = password
        command = [COMMAND, *(str(word) for option in options.items() for word in option)]
        server = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        try:
            wait_until_it_answers(port, server)
            yield f"redis://{'' if password is None else f':{password}@'}127.0.0.1:{port}/0"
        finally:
            server.terminate()


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(
    port: int, server: subprocess.Popen[bytes], patience: float = 30.0
) -> None:
    """Returns once the server answers a PING; raises RuntimeError if it has ended, or has not
    within `patience` seconds.
    """
    until = time.monotonic() + patience
    while time.monotonic() < until and server.poll() is None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection,
        ):
            connection.sendall(b"PING\r\n")
            if connection.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                return
        time.sleep(0.01)
    raise RuntimeError(f"{COMMAND} does not answer on port {port}: exit code {server.poll()}")
