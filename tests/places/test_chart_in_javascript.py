"""The example of a client in another language runs the chart as it is exported, in Node and in a
browser: it comes to what every case says, its random walks are paths, and with one fault in it
neither is true.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files as package_files
from pathlib import Path
from typing import Final

import pytest

from browser import answered, needs_chromium
from node import needs_node, node
from once import ShippedCases
from support_chat import CHART
from support_chat.verify import Model
from support_chat.verify.possible import Traced, trace_log
from support_chat_adapters.diagrams.exported import to_json

HERE: Final = Path(__file__).parent
INTERPRETER: Final = Path(
    str(package_files("support_chat_adapters") / "diagrams" / "explorer" / "chart.mjs")
)
SEEDS: Final = range(1, 7)
LENGTH: Final = 600
"""Steps of one walk."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, shipped_cases: ShippedCases) -> Path:
    """Where the chart and its cases are, as exported."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "chart.json").write_text(to_json(CHART), "utf-8")
    (folder / "cases.json").write_text(shipped_cases.text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(CHART)


def replayed(interpreter: Path, files: Path) -> subprocess.CompletedProcess[str]:
    return node(
        HERE / "in_node.mjs", interpreter, files / "chart.json", "replay", files / "cases.json"
    )


def walked(interpreter: Path, files: Path, model: Model, seed: int) -> tuple[str, Traced]:
    """The log of a walk, and what it is found to be."""
    done = node(HERE / "in_node.mjs", interpreter, files / "chart.json", "walk", seed, LENGTH)
    assert done.returncode == 0, done.stderr
    return done.stdout, trace_log(model, done.stdout.splitlines(keepends=True))


def test_the_interpreter_is_short_and_needs_nothing() -> None:
    text = INTERPRETER.read_text("utf-8")
    assert len(text.splitlines()) <= 150
    assert max(map(len, text.splitlines())) <= 100
    assert not re.search(r"^import |require\(|process\.", text, re.MULTILINE)


@needs_node()
def test_it_comes_to_what_every_case_says(files: Path) -> None:
    done = replayed(INTERPRETER, files)
    assert done.returncode == 0, done.stderr
    told = json.loads((files / "cases.json").read_text("utf-8"))["cases"]
    steps = sum(map(len, told))
    assert f"{steps} steps of {len(told)} cases are as they must be" in done.stdout


@needs_node()
def test_its_walks_are_paths_and_lively(files: Path, model: Model) -> None:
    fired, phases, late = set[str](), set[str](), 0
    for seed in SEEDS:
        text, verdict = walked(INTERPRETER, files, model, seed)
        assert not verdict.fault, verdict
        for line in text.splitlines()[1:-1]:
            step = json.loads(line)
            fired |= set(step["rows"])
            phases.add(step["phase"])
            late += step["late"]
    assert phases == set(CHART.phases)
    assert late > 10
    assert len(fired) > len(CHART.transitions) / 3


@needs_node()
def test_the_same_seed_walks_the_same_way(files: Path, model: Model) -> None:
    assert walked(INTERPRETER, files, model, 1) == walked(INTERPRETER, files, model, 1)


BOTH: Final = """
    const read = async (name) => await (await fetch(name)).json();
    const interpreter = await import("./chart.mjs");
    const { replay } = await import("./replaying.mjs");
    const { walk } = await import("./walking.mjs");
    const chart = await read("chart.json");
    return [replay(interpreter, chart, await read("cases.json")), walk(interpreter, chart, 1, 600)];
"""


@needs_chromium
@needs_node()
def test_in_a_browser_it_comes_to_the_same(files: Path, tmp_path: Path, model: Model) -> None:
    modules = (INTERPRETER, HERE / "replaying.mjs", HERE / "walking.mjs")
    for file in (*modules, files / "chart.json", files / "cases.json"):
        shutil.copy(file, tmp_path)
    said, walk = answered(tmp_path, BOTH)
    assert f"{said}\n" == replayed(INTERPRETER, files).stdout
    text, verdict = walked(INTERPRETER, files, model, 1)
    assert not verdict.fault, verdict
    assert walk == text.splitlines()


FAULTS: Final = {
    "what must not hold is not read": (" && !unless.some(holds)", ""),
    "what must hold is not read": ("when.every(holds) && ", ""),
    "nothing is set": (", ...sets]", "]"),
    "nothing is cleared": (".filter((fact) => !clears.includes(fact))", ""),
    "what is late counts": ("late ? [this.document.late] : facts", "facts"),
    "internal triggers are forgotten": ('if (kind === "raise")', "if (false)"),
    "no internal trigger carries anything": ("carries ? brought : nothing", "nothing"),
    "two that are nobody are not the same": (
        "who(kind.left) === who(kind.right)",
        "who(kind.left) !== null && who(kind.left) === who(kind.right)",
    ),
    "nobody is assigned": ("...Object.fromEntries(assigned)", ""),
    "it stays where it is": ("target ?? phase", "phase"),
}
FAULTS_OF_THE_ACCOUNT: Final = {
    "nothing is ever late": ("=> !this.current.has(number)", "=> false"),
    "what is abandoned goes on": ('if (kind === "abandon")', "if (false)"),
    "a timer that is stopped runs on": ("this.timers.delete(each)", "each"),
}


def faulty(fault: tuple[str, str], folder: Path) -> Path:
    right, wrong = fault
    text = INTERPRETER.read_text("utf-8")
    assert text.count(right) == 1
    path = folder / "chart.mjs"
    path.write_text(text.replace(right, wrong), "utf-8")
    return path


@needs_node()
@pytest.mark.parametrize("fault", FAULTS)
def test_an_interpreter_with_one_fault_does_not_come_to_what_the_cases_say(
    fault: str, files: Path, tmp_path: Path
) -> None:
    done = replayed(faulty(FAULTS[fault], tmp_path), files)
    assert done.returncode == 1
    assert "must come to" in done.stderr


@needs_node()
@pytest.mark.parametrize("fault", [*FAULTS, *FAULTS_OF_THE_ACCOUNT])
def test_the_walks_of_an_interpreter_with_one_fault_are_no_paths(
    fault: str, files: Path, tmp_path: Path, model: Model
) -> None:
    path = faulty({**FAULTS, **FAULTS_OF_THE_ACCOUNT}[fault], tmp_path)

    def rejected() -> Iterator[Traced]:
        for seed in SEEDS:
            verdict = walked(path, files, model, seed)[1]
            if verdict.fault:
                yield verdict

    verdict = next(rejected(), None)
    assert verdict is not None
    assert verdict.possible
