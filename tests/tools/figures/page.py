"""The page of the figures: made of what was measured, which is kept beside it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from .lines import AGAIN, Compared, Found, Part, compared

DOCS: Final = Path(__file__).parents[3] / "docs"
PAGE: Final = DOCS / "measured.md"
FIGURES: Final = DOCS / "measured.json"
COMMAND: Final = "python tests/benchmarks/measured.py"
HEAD: Final = f"""\
# Measured

What this library costs, side by side with others, in one run on one machine. This page is made by
`{COMMAND}`.

Look at the ratios: those of a line come from rounds in which everything has its turn. A figure is
the median of its rounds, a ratio the median of the rounds' ratios, and half of them lie within the
range that follows it. Where a thing is measured *again* it is held against itself: what such a
ratio differs from 1 by is noise. Goals were set before; a missed one says by how much, and why.
"""


@attrs.frozen
class Measured:
    """A part as it was found: on which day, on which machine, how busy it was."""

    found: Found
    day: str
    machine: str
    load: tuple[float, float]


def measured(part: Part, *, quick: bool) -> Measured:
    """Measures a part now."""
    before = os.getloadavg()[0]
    found = part.measure(quick)
    now = datetime.datetime.now(datetime.UTC)
    return Measured(found, f"{now:%Y-%m-%d}", machine(), (before, os.getloadavg()[0]))


def machine() -> str:
    """This machine in words."""
    model = "an unnamed processor"
    for line in _text("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    node = ""
    if shutil.which("node"):
        done = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=60)
        node = f", Node {done.stdout.strip().lstrip('v')}"
    return (
        f"{os.cpu_count()} cores of {model}, {pages / 2**30:.0f} GiB, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}{node}"
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


# --- kept -----------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Measured]:
    """What is kept, by the name of the part."""
    if not path.exists():
        return {}
    kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {
        name: Measured(
            Found(one["samples"], one["missing"]), one["day"], one["machine"], tuple(one["load"])
        )
        for name, one in kept.items()
    }


def write(path: Path, results: Mapping[str, Measured]) -> None:
    """Keeps the results: four digits of each figure, a line for each subject."""
    kept = {
        name: {
            "day": one.day,
            "machine": one.machine,
            "load": [round(load, 1) for load in one.load],
            "missing": dict(one.found.missing),
            "samples": {
                subject: [float(f"{figure:.4g}") for figure in figures]
                for subject, figures in one.found.samples.items()
            },
        }
        for name, one in results.items()
    }
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    # the figures of a subject on one line
    text = re.sub(r"\[\n([^\]]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    path.write_text(text + "\n", "utf-8")


# --- shown ----------------------------------------------------------------------------------------


def page(parts: Iterable[Part], results: Mapping[str, Measured]) -> str:
    """The page, of the parts that were measured."""
    sections = [_section(part, results[part.name]) for part in parts if part.name in results]
    return "\n".join([HEAD, *sections])


def _section(part: Part, one: Measured) -> str:
    lines = [compared(line, one.found) for line in part.lines]
    there = [line for line in lines if line is not None]
    text = [
        f"## {part.title}\n",
        f"{_wrapped(part.about)}\n",
        _wrapped(
            f"Measured on {one.day}: {one.machine}; load {one.load[0]:.1f} at the beginning and "
            f"{one.load[1]:.1f} at the end."
        )
        + "\n",
        "| what | measured | figure | beside | its figure | ratio | half of the ratios | goal |",
        "|---|---|---:|---|---:|---:|---|---|",
        *(_row(line) for line in there),
        "",
    ]
    text += [f"{_wrapped(_missed(line), '  ')}\n" for line in there if line.is_missed]
    for name, way in sorted(one.found.missing.items()):
        text.append(f"{_wrapped(f'- Without {name}, which was not there: {way}.', '  ')}\n")
    return "\n".join(text)


def _row(one: Compared) -> str:
    line = one.line
    cells = [line.what, _named(line.ours), f"{digits(one.ours)} {line.unit}"]
    if one.theirs is None or one.ratio is None:
        cells += ["", "", "", ""]
    else:
        within = "" if one.spread is None else f"{short(one.spread[0])} to {short(one.spread[1])}"
        theirs = f"{digits(one.theirs)} {line.unit}"
        cells += [_named(line.theirs), theirs, short(one.ratio), within]
    return f"| {' | '.join([*cells, _goal(one)])} |"


def _named(subject: str) -> str:
    """A subject without the part of its name that its line says already."""
    again = AGAIN if subject.endswith(AGAIN) else ""
    name = subject.removesuffix(AGAIN).removesuffix(", phone").removesuffix(", session")
    return name.partition(": ")[0] + again


def _goal(one: Compared) -> str:
    goal = one.line.goal
    if goal is None:
        return ""
    return f"{_bound(one)}: {'**missed**' if one.is_missed else 'met'}"


def _bound(one: Compared) -> str:
    goal = one.line.goal
    assert goal is not None
    unit = f" {one.line.unit}" if goal.figure else ""
    return f"{'at least' if goal.most is None else 'at most'} {digits(goal.bound)}{unit}"


def _missed(one: Compared) -> str:
    goal, value = one.line.goal, one.judged
    assert goal is not None
    assert value is not None
    unit = f" {one.line.unit}" if goal.figure else ""
    why = f": {goal.why}" if goal.why else ""
    return (
        f"- Missed: *{one.line.what}* is {short(value)}{unit}, and was to be {_bound(one)}; that "
        f"is {short(abs(value - goal.bound))}{unit} ({abs(value / goal.bound - 1):.0%}) off{why}."
    )


def digits(number: float) -> str:
    """A figure: a count as it is, else as `short` has it."""
    return f"{number:,.0f}" if float(number).is_integer() else short(number)


def short(number: float) -> str:
    """A number in three digits, or in as many as it has before its point."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:#.3g}"


def _wrapped(text: str, indent: str = "") -> str:
    """The text in lines of at most 100 characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= 100:
            lines.append(indent)
        lines[-1] += word if lines[-1] in ("", indent) else f" {word}"
    return "\n".join(lines)
