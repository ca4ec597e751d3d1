"""Python processes without the cost of a start: each is forked from one that has imported what they
need, and runs a program of its own there.

A suite that kills a server a few hundred times would spend most of its time on importing it again.
A forked process is as real as any other: it has an id, and can be signalled and killed. What it was
forked from, the *nursery*, ends with the process that made it, and so does whatever it has forked.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

_ENDS_WITHIN: Final = 60.0
"""Seconds that a process has for its end, however busy the machine is."""


class Forked:
    """One process; `wait()` for its end."""

    def __init__(self, nursery: Nursery, pid: int, stdout: TextIO) -> None:
        self.pid, self.stdout = pid, stdout
        self._nursery = nursery

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Until nothing of the process runs any more; returns its exit status.

        Raises:
            TimeoutError: It does not end.
        """
        return self._nursery.ask({"wait": self.pid})


class Nursery:
    """Forks processes that have imported `modules` already."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_ENDS_WITHIN)
        self._one_at_a_time = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *modules],
                pass_fds=(theirs.fileno(),),
            )

    def fork(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], stderr: int
    ) -> Forked:
        """A process that runs the text `program` with these arguments."""
        reads, writes = os.pipe()
        try:
            request = {
                "program": program,
                "arguments": ["-c", *arguments],
                "environment": dict(environment),
                "folder": os.getcwd(),
            }
            pid = self.ask(request, (writes, stderr))
        finally:
            os.close(writes)
        return Forked(self, pid, os.fdopen(reads))

    def ask(self, request: Mapping[str, Any], handed_over: Sequence[int] = ()) -> int:
        with self._one_at_a_time:
            socket.send_fds(self._control, [json.dumps(request).encode() + b"\n"], handed_over)
            return int(_line(self._control))

    def close(self) -> None:
        """Ends all that was forked, and the nursery."""
        self._control.close()
        self._process.wait()


def _line(connection: socket.socket, first: bytes = b"") -> bytes:
    """The rest of a line; empty at the end."""
    while not first.endswith(b"\n"):
        more = connection.recv(1 << 16)
        if not more:
            return b""
        first += more
    return first


def _born(control: socket.socket) -> str | None:
    """Forks at each request. Returns twice: in each process that is forked, with its program; and
    at the end.
    """
    alive = set[int]()
    while True:
        first, handed_over, _, _ = socket.recv_fds(control, 1 << 16, 2)
        request = json.loads(_line(control, first) or b"null")
        if request is None:
            break
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            alive.discard(request["wait"])
            control.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            for target, given in enumerate(handed_over, start=1):
                os.dup2(given, target)
                os.close(given)
            os.chdir(request["folder"])
            os.environ.clear()
            os.environ.update(request["environment"])
            sys.argv = request["arguments"]
            return str(request["program"])
        for given in handed_over:
            os.close(given)
        alive.add(pid)
        control.sendall(b"%d\n" % pid)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


_nurseries: dict[tuple[str, ...], Nursery] = {}


def nursery(*modules: str) -> Nursery:
    """The nursery of this process for these modules, made when it is first asked for."""
    if modules not in _nurseries:
        _nurseries[modules] = Nursery(modules)
    return _nurseries[modules]


@atexit.register
def pytest_sessionfinish() -> None:
    """Closes the nurseries of this process: as a plugin before it is looked for what is left."""
    while _nurseries:
        _nurseries.popitem()[1].close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who made it
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()
    _program = _born(socket.socket(fileno=int(sys.argv[1])))
    if _program is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        exec(compile(_program, "<program>", "exec"), {"__name__": "__main__"})
