"""Plays one sitting of a long run: serves, starts the client processes, kills by seed, writes as
agents, and ends with a time without faults in which everything settles.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from served import Served, served
from support_chat.errors import InvalidInputError
from support_chat_adapters.backend import Backend

from .evidence import FOLDER, KINDS, Notes, read

TOOLS: Final = Path(__file__).parents[1]
_PROGRAM: Final = "from soaking.clients import main; main()"
_NO_LIMITS: Final = (
    "--opens-per-minute=0",
    "--requests-per-minute=0",
    "--links-per-address=0",
    "--connections-per-address=0",
)
_TICK: Final = 0.1
_MEGA: Final = 2**20
Tell = Callable[[str], None]


@attrs.frozen
class Run:
    """What is played; times in seconds. `pace` is the mean between two acts of one client, `every`
    about the mean between two kills, and `patience` what anything has to happen within.
    """

    folder: Path
    seed: int = 0
    clients: int = 1000
    processes: int = 2
    every: float = 30.0
    pace: float = 10.0
    patience: float = 120.0


class SittingFailed(Exception):
    """A sitting cannot go on; why is a complaint among what it has seen."""


class Process:
    """One client process, and what it has told last."""

    def __init__(self, work: Mapping[str, Any], log: int) -> None:
        self.live = 0
        self.done: Counter[str] = Counter()
        self.stopped = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TOOLS), *sys.path])},
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, word: str) -> None:
        """`stop` or `settle`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    @property
    def has_ended(self) -> bool:
        """It is over, as it should be or not."""
        return self._process.poll() is not None

    def end(self, within: float) -> int:
        """Its exit status; it is killed if it takes longer."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                told = json.loads(line)
                if "stopped" in told:
                    self.stopped.set()
                else:
                    self.live, self.done = told["live"], Counter(told["done"])
        except ValueError:  # closed, with the process
            return


class Agents:
    """Write into the database beside whoever serves it, whether that lives or not."""

    def __init__(self, backend: Backend, db: sqlite3.Connection, notes: Notes, seed: str) -> None:
        self.written = 0
        self._backend = backend
        self._db = db
        self._notes = notes
        self._rng = random.Random(f"agents {seed}")

    def write(self) -> None:
        """One message, to one of those who have written lately."""
        (newest,) = self._db.execute(
            "SELECT coalesce(max(number), 0) FROM conversations"
        ).fetchone()
        number = self._rng.randint(max(1, newest - 2000), max(1, newest))
        row = self._db.execute(
            "SELECT id FROM conversations WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            return
        began, text = time.time(), f"reply {self.written} of {self._rng.getrandbits(64):x}"
        try:
            message = self._backend.agent.reply(row[0], text)
        except InvalidInputError:  # whose it was has just become a user
            return
        (owner,) = self._db.execute(
            "SELECT owner FROM conversations WHERE id = ?", (row[0],)
        ).fetchone()
        self._notes.add(
            "reply", number=int(message.id.removeprefix("message-")), owner=owner, text=text
        )
        self._notes.add("did", kind="reply", began=began, at=time.time())
        self.written += 1


class Sitting:
    """One sitting; made by `sitting`."""

    def __init__(
        self, run: Run, name: str, backend: Served, notes: Notes, processes: list[Process]
    ) -> None:
        self.kills = 0
        self._run = run
        self._name = name
        self._served = backend
        self._notes = notes
        self._processes = processes
        self._rng = random.Random(f"kills {run.seed} {name}")
        self._played = {"faults": 0.0}
        self._began = time.monotonic()
        self._up_since = time.monotonic()
        self._looked_at = self._told_at = 0.0

    def play(self, faults: float, calm: float, tell: Tell) -> None:
        """So many seconds with faults, and so many without; then all settles."""
        with ExitStack() as stack:
            agents = stack.enter_context(self._agents())
            self._wait_for_everybody(agents, tell)
            if faults > 0:
                self._faults(faults, agents, tell)
            if calm > 0:
                self._go_on("calm", calm, agents, tell)
        self._settle(tell)

    def _faults(self, seconds: float, agents: Agents, tell: Tell) -> None:
        """Until the time is over, and each kind of call has succeeded: a slow machine takes longer,
        and at most so much longer as patience is.
        """
        limit = time.monotonic() + seconds + self._run.patience
        while time.monotonic() < limit:
            if self._played["faults"] >= seconds and self.kills >= 2:
                during, _ = read(self._run.folder).succeeded()
                if all(during[kind] for kind in KINDS):
                    return
            self._go_on("faults", self._run.every * 4 ** self._rng.uniform(-1, 1), agents, tell)
            began = time.monotonic()
            self._kill(agents)
            self._note_time("faults", began)

    def _kill(self, agents: Agents) -> None:
        dead = time.time()
        self._served.kill()
        self.kills += 1
        if self._rng.random() < 0.5:
            time.sleep(self._rng.uniform(0, 1))
        for _ in range(3):
            agents.write()
        self._served.start()
        self._up_since = time.monotonic()
        self._notes.add("outage", dead=dead, back=time.time())

    def _go_on(self, phase: str, seconds: float, agents: Agents, tell: Tell) -> None:
        """Nothing is killed for so long; agents write, memory is looked at."""
        now = time.monotonic()
        noted, until = now, now + seconds
        between = 4 * self._run.pace / self._run.clients
        due = now
        while now < until:
            if now >= due:
                agents.write()
                due = max(due + between, now)
            self._look(phase, agents, tell)
            time.sleep(max(0.0, min(_TICK, due - time.monotonic(), until - time.monotonic())))
            now = time.monotonic()
            if now - noted >= 1 or now >= until:
                noted = self._note_time(phase, noted)

    def _note_time(self, phase: str, since: float) -> float:
        now = time.monotonic()
        self._played[phase] = self._played.get(phase, 0.0) + now - since
        self._notes.add("played", phase=phase, seconds=now - since)
        return now

    def _look(self, phase: str, agents: Agents | None, tell: Tell) -> None:
        """Once a second memory is written down, and every five it is told how it goes. Not while
        everything settles: what it takes when all of them look and leave at once is no growth.
        """
        now = time.monotonic()
        if now - self._looked_at < 1:
            return
        self._looked_at = now
        mib = _resident(self._served.pid)
        if not mib:
            raise self._failed("serve has ended by itself; see serve.log")
        if phase != "settling":
            self._notes.add("memory", process=self._served.pid, age=now - self._up_since, mib=mib)
        if now - self._told_at >= 5:
            self._told_at = now
            done = self._done(agents)
            live = sum(process.live for process in self._processes)
            tell(
                f"{now - self._began:7.0f} s  {phase:8} {self.kills:4} kills  "
                f"{live:5} of {self._run.clients} have a link  {done['send']:7} sent  "
                f"{done['received']:7} received  {mib:6.1f} MiB"
            )
        for number, process in enumerate(self._processes):
            if process.has_ended and phase != "settling":
                raise self._failed(f"client process {number} has ended; see clients.log")

    def _failed(self, what: str) -> SittingFailed:
        self._notes.add("complaint", text=what)
        return SittingFailed(what)

    def _done(self, agents: Agents | None) -> Counter[str]:
        done = sum((process.done for process in self._processes), Counter[str]())
        done["reply"] = agents.written if agents is not None else 0
        return done

    def _wait_for_everybody(self, agents: Agents, tell: Tell) -> None:
        """A kill before everybody has begun would show little."""
        until = time.monotonic() + self._run.patience
        while sum(process.done["boot"] > 0 for process in self._processes) < len(
            self._processes
        ) or (sum(process.live for process in self._processes) < 0.9 * self._run.clients):
            if time.monotonic() > until:
                return
            self._go_on("boot", 0.2, agents, tell)

    def _settle(self, tell: Tell) -> None:
        """Everybody ends what they are doing; then nobody writes, and everybody looks."""
        for word in ("stop", "settle"):
            for process in self._processes:
                if not process.has_ended:
                    process.tell(word)
            until = time.monotonic() + 3 * self._run.patience
            for process in self._processes:
                while time.monotonic() < until and not process.has_ended:
                    self._look("settling", None, tell)
                    if word == "stop" and process.stopped.wait(_TICK):
                        break
                    time.sleep(_TICK)
        for number, process in enumerate(self._processes):
            if status := process.end(self._run.patience):
                self._notes.add(
                    "complaint", text=f"client process {number} ended with status {status}"
                )

    @contextmanager
    def _agents(self) -> Generator[Agents, None, None]:
        with (
            self._served.backend() as backend,
            closing(sqlite3.connect(self._served.db, isolation_level=None, timeout=60)) as db,
        ):
            yield Agents(backend, db, self._notes, f"{self._run.seed} {self._name}")


def play(run: Run, faults: float, calm: float, tell: Tell) -> None:
    """Plays one sitting in `run.folder`, of so many seconds with faults and without; what it saw is
    in the folder.

    Raises:
        SittingFailed: A process has ended by itself.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    known = {path.name.partition("-")[0] for path in (run.folder / FOLDER).glob("*.jsonl")}
    name = f"s{len(known) + 1:03}"
    notes = Notes(run.folder, f"{name}-driver")
    log = (run.folder / "clients.log").open("a")
    processes: list[Process] = []
    with closing(notes), log, served(run.folder, *_NO_LIMITS) as backend:
        try:
            for number in range(run.processes):
                work = {
                    "folder": str(run.folder),
                    "url": backend.url,
                    "db": str(backend.db),
                    "seed": f"{run.seed} {name}",
                    "sitting": name,
                    "process": number,
                    "processes": run.processes,
                    "clients": run.clients,
                    "pace": run.pace,
                    "patience": run.patience,
                }
                processes.append(Process(work, log.fileno()))
            sitting = Sitting(run, name, backend, notes, processes)
            sitting.play(faults, calm, tell)
        finally:
            for process in processes:
                process.end(0.0)


def _resident(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEGA
