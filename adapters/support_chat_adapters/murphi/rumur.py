"""Rumur, as a program: it makes C of a model, which is compiled and explores it.

Nothing is kept: the model, the C and what is made of it lie in a folder that goes away.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import attrs

INSTALL: Final = "apt-get install -y rumur gcc"
"""The line that installs both on Debian."""


SMALL: Final = 100_000
"""How many characters a model has at most that is explored before a compiler has optimised it."""


class NoRumurError(Exception):
    """There is no Rumur, or no C compiler, or one of them refuses the model."""


@attrs.frozen
class Stage:
    """One stop on the way to an error: the number of the way that was taken (None: the beginning),
    and the values of the variables after it.
    """

    number: int | None
    values: Mapping[str, str]


@attrs.frozen
class Explored:
    """What Rumur has seen: so many states and steps, how often each property is broken that is
    counted, and the first error, with the way to it.
    """

    states: int
    steps: int
    counts: Mapping[str, int]
    error: str
    way: tuple[Stage, ...]


def missing() -> str | None:
    """What to install if there is no Rumur or no C compiler, in a sentence."""
    gone = [what for what, found in (("Rumur", _rumur()), ("C compiler", _compiler())) if not found]
    if not gone:
        return None
    return f"there is no {' and no '.join(gone)} here; on Debian: {INSTALL}"


def explore(text: str, *, threads: int = 0, limit: float | None = None) -> Explored:
    """Explores a model, with so many threads (0: one for each core), within `limit` seconds.

    Raises NoRumurError where something is missing or refuses the model, TimeoutError when the time
    is over.
    """
    if (gone := missing()) is not None:
        raise NoRumurError(gone)
    count = threads or os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "chart.m").write_text(text, encoding="ascii", errors="replace", newline="\n")
        run = _Runs(at, limit)
        run("rumur", "--deadlock-detection", "off", "--output-format", "machine-readable",
            "--threads", str(count), "--output", "chart.c", "chart.m")  # fmt: skip
        # a double word is exchanged at once where threads share the states
        double = ["-mcx16"] if platform.machine() in ("x86_64", "AMD64") else []
        atomic = [] if double else ["-latomic"]
        level = "-O1" if len(text) > SMALL else "-O0"
        run(_compiler() or "cc", level, "-std=c11", *double, "-o", "chart", "chart.c", "-lpthread",
            *atomic)  # fmt: skip
        return _read(run("./chart", fails=True))


def _rumur() -> str | None:
    return shutil.which("rumur")


def _compiler() -> str | None:
    return next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


@attrs.frozen
class _Runs:
    """Runs one program after the other in a folder."""

    folder: Path
    limit: float | None

    def __call__(self, *command: str, fails: bool = False) -> str:
        try:
            done = subprocess.run(
                command, cwd=self.folder, capture_output=True, text=True, timeout=self.limit
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{command[0]} took more than {self.limit} s") from error
        if done.returncode and not (fails and done.stdout):
            told = (done.stderr or done.stdout).strip().splitlines()[:3]
            raise NoRumurError(f"{command[0]} refuses the model: {' '.join(told)}")
        return done.stdout


def _read(xml: str) -> Explored:
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise NoRumurError(f"what Rumur found cannot be read: {error}") from error
    summary = root.find("summary")
    if summary is None:
        raise NoRumurError("Rumur came to no end")
    counts: dict[str, int] = {}
    for each in root.iter("cover_result"):
        told = each.get("message", "")
        counts[told] = counts.get(told, 0) + int(each.get("count", "0"))
    found = root.find("error")
    message = "" if found is None else found.findtext("message", "").strip()
    way = () if found is None else tuple(_stages(found))
    return Explored(
        int(summary.get("states", "0")),
        int(summary.get("rules_fired", "0")),
        counts,
        message,
        way,
    )


def _stages(error: ElementTree.Element) -> list[Stage]:
    found: list[Stage] = []
    number: int | None = None
    values: Mapping[str, str] = {}
    for each in error:
        if each.tag == "transition":
            told = {p.get("name"): p.text for p in each.iter("parameter")}
            number = int(told["number"] or 0) if "number" in told else None
        elif each.tag == "state":  # it tells what has changed
            changed = {c.get("name", ""): c.get("value", "") for c in each.iter("state_component")}
            values = {**values, **changed}
            found.append(Stage(number, values))
    return found
