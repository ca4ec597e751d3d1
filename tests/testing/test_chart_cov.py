"""Coverage of a chart: what a suite exercised is counted, what it did not is named, by pytest's own
options and in every worker.

Each suite here is written into an empty folder and run by a pytest of its own, with the plugin
named by `-p`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from support_chat import CHART, Compiled, Fact, Input, Phase, State, Trigger
from support_chat.testing.chart_coverage import Coverage, GuardValue, Watch, coverage

Run = Callable[..., "subprocess.CompletedProcess[str]"]

DOOR = """
from support_chat import Chart, Transition
from support_chat.chart.model import Carried, Ignored, Same

CHART = Chart(
    name="door", initial="closed", phases=("closed", "open"), triggers=("open", "close"),
    external=("open", "close"),
    facts={"locked": Carried("it is locked"), "same": Same("it is who opened it", "by", "who")},
    registers="by", named="who",
    transitions=(
        Transition(
            name="door.open", group="door", trigger="open", sources="closed", target="open",
            unless="locked", assigns={"by": "who"},
        ),
        Transition(name="door.stay", group="door", trigger="open", sources="closed", when="locked"),
        Transition(name="door.close", group="door", trigger="close", sources="open",
            target="closed", when="same"),
    ),
    ignored=(Ignored(triggers="open", phases="open", because="open"),
        Ignored(triggers="close", phases="closed", because="closed")),
)
"""
SUITE = """
from door import CHART
from support_chat import Compiled, Input

DOOR = Compiled(CHART)

def test_it_opens():
    after, _ = DOOR.step(DOOR.initial, Input("open", named="ann"))
    assert after.phase == "open"
"""
MORE = """
def test_it_closes():
    opened, _ = DOOR.fire(DOOR.initial, Input("open", named="ann"))
    for who, phase in (("bob", "open"), ("ann", "closed")):
        assert DOOR.fire(opened, Input("close", named=who))[0].phase == phase

def test_it_stays_locked():
    assert DOOR.fire(DOOR.initial, Input("open", DOOR.mask(["locked"])))[0].phase == "closed"
"""
PARTLY = [
    "never tried: door.close",
    "never fired: door.stay",
    "never seen:  door.open: locked true",
    "never seen:  door.stay: locked true",
    "1 of 3 transitions fired, 2 of 6 guard values were seen: 33.3 %",
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a suite with the plugin."""

    def runs(suite: str, *options: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "door.py").write_text(DOOR, "utf-8")
        (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n", "utf-8")
        (tmp_path / "test_door.py").write_text(suite, "utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "support_chat_adapters.pytest_plugin",
            "-p",
            "no:schemathesis",  # a second's import for nothing
            "-W",
            "error",
            *options,
        ]
        outside = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
        }
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=outside,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return runs


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The section on coverage, line by line."""
    found = re.search(
        r"^=+ chart coverage of \S+ =+\n(.*?)^=", done.stdout, re.DOTALL | re.MULTILINE
    )
    assert found is not None, done.stdout + done.stderr
    return found[1].splitlines()


def test_what_no_test_exercised_is_named(run: Run) -> None:
    done = run(SUITE, "--chart-cov", "--chart-cov-chart=door:CHART")
    assert done.returncode == 0
    assert told(done) == PARTLY


def test_what_the_workers_saw_is_put_together(run: Run) -> None:
    pytest.importorskip("xdist", reason="needs pytest-xdist: pip install -e '.[test]'")
    done = run(
        SUITE + MORE, "-n", "2", "--chart-cov-chart=door:CHART", "--chart-cov-fail-under=100"
    )
    assert done.returncode == 0
    assert told(done) == ["3 of 3 transitions fired, 6 of 6 guard values were seen: 100.0 %"]


def test_a_run_that_exercises_too_little_fails(run: Run) -> None:
    enough, short = (
        run(SUITE, "--chart-cov-chart=door:CHART", f"--chart-cov-fail-under={n}")
        for n in ("33.3", "33.4")
    )
    assert enough.returncode == 0
    assert told(enough) == PARTLY
    assert short.returncode == 1
    assert told(short) == [*PARTLY, "FAIL: 33.3 % is less than the 33.4 % required"]


def test_without_an_option_nothing_is_watched_and_nothing_imported(run: Run) -> None:
    suite = (
        "import sys\ndef test_light():\n    assert not any(name.split('.')[0] == "
        "'support_chat' for name in sys.modules)\n"
    )
    done = run(suite)
    assert done.returncode == 0, done.stdout
    assert "chart coverage" not in done.stdout


def test_a_suite_that_never_steps_the_chart_is_told_so(run: Run) -> None:
    done = run("def test_nothing(): pass", "--chart-cov", "--chart-cov-fail-under=1")
    assert done.returncode == 1
    assert told(done)[0].startswith("no step of this chart was seen")


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--chart-cov-chart=door", "write it as package.module:NAME"),
        ("--chart-cov-chart=window:CHART", "there is no module 'window'"),
        ("--chart-cov-chart=door:Chart", "Chart is of type type, not a support_chat.Chart"),
        ("--chart-cov-fail-under=all", "'all' is not a number from 0 to 100"),
    ],
)
def test_a_misuse_says_what_to_write(option: str, complaint: str, run: Run) -> None:
    done = run(SUITE, option)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert complaint in done.stderr


def test_a_watch_sees_sessions_of_its_chart_alone_and_leaves_nothing_behind() -> None:
    fire, step = Compiled.fire, Compiled.step
    compiled, watch = Compiled(CHART), Watch(CHART)
    other = Compiled(attrs.evolve(CHART, name="another"))
    watch.begin()
    try:
        other.fire(other.initial, Input(Trigger.SHUTDOWN))
        compiled.fire(compiled.initial, Input(Trigger.LOAD))
        assert compiled.fire(compiled.initial, Input(Trigger.UPDATED))[0] == compiled.initial
    finally:
        watch.end()
    compiled.fire(compiled.initial, Input(Trigger.DESTROY))
    assert (Compiled.fire, Compiled.step) == (fire, step)
    assert ("not_initialized", "load", 0, "load.begin") in watch.sightings
    assert {trigger for _, trigger, _, _ in watch.sightings} == {"load", "updated"}


def test_what_the_registers_say_is_seen_as_the_machine_sees_it() -> None:
    compiled, watch = Compiled(CHART), Watch(CHART)
    watch.begin()
    try:
        for user, named in (("ann", "ann"), ("ann", "bob"), (None, None)):
            compiled.fire(
                State(Phase.BOOTING, compiled.mask([Fact.BOOTED]), (user, None)),
                Input(Trigger.BOOT, 0, named),
            )
    finally:
        watch.end()
    same = compiled.bits[Fact.SAME_USER]
    assert {(row, bool(true & same)) for _, _, true, row in watch.sightings} == {
        ("boot.join", True),
        ("boot.refuse_other", False),
    }


def test_sightings_add_up_to_what_was_exercised() -> None:
    seen = coverage(
        CHART, [("loading", "boot", 0, "boot.wait_for_load"), ("loading", "boot", 0, "no such row")]
    )
    assert isinstance(seen, Coverage)
    assert seen.fired == {"boot.wait_for_load"}
    assert GuardValue("boot.wait_for_load", "booted", False) in seen.seen
    assert GuardValue("boot.wait_for_load", "booted", True) in seen.unseen
    assert "boot.join" in seen.unfired
    assert "boot.join" not in seen.untried  # its trigger came in one of its sources
    assert 0.0 < seen.percent < 2.0
