"""`support-chat demo` as a user meets it: as a program that prints, ends with a status, and leaves
nothing behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from chat_client import PROGRAM
from support_chat import Phase
from support_chat_adapters.demo.scenes import SCENES

OPTIONS = ("--plain", "--json", "")
"""The last: no option, while standard output is no terminal."""


@attrs.frozen
class Ended:
    """A demo that has ended."""

    status: int
    out: str
    error: str
    folder: Path

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def values(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [value for value in self.values if value["type"] == kind]


def started(option: str, folder: Path) -> subprocess.Popen[str]:
    """The demo as a process whose temporary files are in `folder`, run from elsewhere than the
    checkout.
    """
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, "demo", *option.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "PYTHONIOENCODING": "utf-8"},
    )


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """The demo with each option, all at the same time."""
    folders = {option: tmp_path_factory.mktemp("demo") for option in OPTIONS}
    running = {option: started(option, folder) for option, folder in folders.items()}
    try:
        ended = {option: process.communicate(timeout=60) for option, process in running.items()}
        yield {
            o: Ended(running[o].returncode, out, error, folders[o])
            for o, (out, error) in ended.items()
        }
    finally:
        for process in running.values():
            process.kill()


@pytest.mark.parametrize("option", OPTIONS)
def test_every_step_ends_as_expected_and_nothing_is_left_behind(
    demos: dict[str, Ended], option: str
) -> None:
    demo = demos[option]
    assert (demo.status, demo.error) == (0, ""), demo.out
    assert list(demo.folder.iterdir()) == []


def test_plain_names_all_ten_phases_as_they_come(demos: dict[str, Ended]) -> None:
    moves = [
        line.split(": ")[1]
        for line in demos["--plain"].lines
        if line.startswith("  event  phase: ")
    ]
    assert moves[0].startswith("not_initialized -> ")
    assert {phase for phase in Phase if any(f"-> {phase}" in move for move in moves)} == set(
        Phase
    ) - {Phase.NOT_INITIALIZED}


def test_plain_has_a_line_for_each_step_and_what_came_of_it(demos: dict[str, Ended]) -> None:
    lines = demos["--plain"].lines
    done, ok = (
        [line for line in lines if line.startswith(word)] for word in ("  do     ", "  ok     ")
    )
    assert len(done) == len(ok) == len(demos["--json"].of("step"))
    assert (
        lines[-1] == f"ok: {len(ok)} of {len(ok)} steps ended as expected, 10 of 10 phases visited"
    )


def test_plain_is_ascii_without_colours_and_the_same_whether_asked_for_or_not(
    demos: dict[str, Ended],
) -> None:
    assert demos["--plain"].out.isascii()
    assert "\x1b" not in demos["--plain"].out
    by_chance = ("numbers: ", "  event  attempt ")  # how often it tries is a matter of the machine
    worded = [
        [line for line in demos[option].lines if not line.startswith(by_chance)]
        for option in ("--plain", "")
    ]
    assert worded[0] == worded[1]


def test_json_is_an_object_a_line_and_the_summary_comes_last(demos: dict[str, Ended]) -> None:
    demo = demos["--json"]
    [summary] = demo.of("summary")
    assert demo.values[-1] == summary
    assert (summary["ok"], summary["failed"], set(summary["phases"])) == (
        True,
        [],
        {str(phase) for phase in Phase},
    )
    assert [scene["title"] for scene in demo.of("scene")] == list(SCENES)


def test_json_has_the_facts_of_each_step_and_the_events_of_the_session(
    demos: dict[str, Ended],
) -> None:
    demo = demos["--json"]
    for step in demo.of("step"):
        assert step["ok"]
        assert step["says"]
        assert step["facts"], step["did"]
        assert all(fact["seen"] == fact["wanted"] for fact in step["facts"])
    types = {value["type"] for value in demo.values}
    assert types >= {
        "phase_changed",
        "ready",
        "auth_changed",
        "auth_expired",
        "connection_changed",
        "error_occurred",
    }
    assert types >= {"message_received", "message_sent", "unread_changed"}


def test_json_counts_what_the_demo_promises(demos: dict[str, Ended]) -> None:
    counters = demos["--json"].of("summary")[0]["counters"]
    assert (counters["updates"], counters["update_requests"]) == (50, 4)
    assert (counters["links_open"], counters["links_most"], counters["token_calls"]) == (0, 1, 5)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to one process")
def test_ctrl_c_ends_it_with_130_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with started("--plain", tmp_path) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("scene 2/"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (130, "support-chat: stopped\n")
    assert list(tmp_path.iterdir()) == []
