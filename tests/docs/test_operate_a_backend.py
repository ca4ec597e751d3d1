"""The page on operating a backend is held to the code: its options and their defaults, its metrics,
its reasons.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx2

import soak
from served import served
from support_chat_adapters.backend.pruning import DAY, Ages
from support_chat_adapters.backend.server.limits import RateLimits
from support_chat_adapters.cli import parser
from support_chat_adapters.cli.serve import HELD, KEPT

PAGE = (Path(__file__).parents[2] / "docs/operate-a-backend.md").read_text("utf-8")


def test_every_limit_of_the_page_is_an_option_with_this_default_and_none_is_left_out() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)` \| ([\d,]+)", PAGE, re.MULTILINE)
    told = {option: float(default.replace(",", "")) for option, default in rows}
    defaults = {option: float(default) for option, _, default, _ in HELD}
    defaults |= {option: days for option, days, _ in KEPT}
    rates = RateLimits()
    defaults["--buffered"] /= 2**20
    defaults["--opens-per-minute"] = rates.opens_per_minute
    defaults["--requests-per-minute"] = rates.requests_per_minute
    [goodbye] = set(re.findall(r"`--goodbye-seconds`\s+\((\d+)\)", PAGE))
    assert told | {"--goodbye-seconds": float(goodbye)} == defaults


def test_the_ages_of_the_command_line_are_those_of_the_class() -> None:
    ages = Ages()
    days = {option: age for option, age, _ in KEPT}
    assert days == {
        "--prune-sessions": ages.sessions / DAY,
        "--prune-visitors": ages.visitors / DAY,
    }


def test_every_command_of_the_page_is_one() -> None:
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in "".join(blocks).splitlines():
        program, *words = shlex.split(line)
        assert program == "support-chat"
        parser().parse_args(words)


def test_the_commands_of_a_long_run_are_what_it_takes_and_so_are_its_exit_statuses() -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines():
        python, program, *words = shlex.split(line)
        assert (python, program) == ("python", "tests/tools/soak.py")
        soak.options().parse_args(words)
    table = PAGE.partition("## How it is tried")[2]
    statuses = [int(status) for status in re.findall(r"^\| (\d) \|", table, re.MULTILINE)]
    known = {soak.PASSED, soak.VIOLATED, soak.INCONCLUSIVE, soak.UNFINISHED}
    assert statuses == sorted(known | {2})


def test_its_command_runs_and_every_metric_that_it_names_is_there(tmp_path: Path) -> None:
    [command] = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[:1]
    _, *words = shlex.split(command)
    parser().parse_args(words)
    words[words.index("--status") + 1] = "127.0.0.1:0"
    with served(tmp_path, *words[1:]) as backend:
        metrics = httpx2.get(f"{backend.status_url}/metrics", trust_env=False).text
    published = set(re.findall(r"^# TYPE (\w+) ", metrics, re.MULTILINE))
    named = {name.removesuffix("_total") for name in re.findall(r"`(support_chat_\w+)", PAGE)}
    assert named | {"support_chat_info"} == {
        name.removesuffix("_total") for name in published if name.startswith("support_chat")
    }
    assert any(name.startswith("process_") for name in published)
