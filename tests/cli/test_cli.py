"""The program `support-chat`: what it prints, where, and its exit status."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support_chat import CHART
from support_chat_adapters.cli import COMMANDS, main
from support_chat_adapters.cli.terminal import coloured
from support_chat_adapters.diagrams.exported import from_json

Printed = pytest.CaptureFixture[str]
Module = Callable[[str, str], None]

LAMP = """
from support_chat import Chart, Transition
LAMP = Chart(
    name="lamp", initial="off", phases=("off", "on"), triggers="switch", external="switch",
    transitions=(
        Transition(name="switch.on", group="switching", trigger="switch", sources="off",
            target="on"),
        Transition(name="switch.off", group="switching", trigger="switch", sources="on",
            target="{off}"),
    ),
)
OTHER = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Writes a module into the working directory; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


def test_ctrl_c_ends_any_command_with_130_and_no_traceback(module: Module, capsys: Printed) -> None:
    module("slow", "import signal\nsignal.raise_signal(signal.SIGINT)")
    assert main(["check", "--chart", "slow:LAMP"]) == 130
    assert capsys.readouterr() == ("", "support-chat: stopped\n")


def test_help_teaches_every_command_with_an_example_and_the_exit_statuses(capsys: Printed) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s", text, re.MULTILINE)
        assert main([command, "--help"]) == 0
        assert f"support-chat {command}" in capsys.readouterr().out.split("examples:")[1]
    assert "exit status" in text


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS, "inbox follow"])
def test_help_fits_on_a_terminal_and_breaks_no_example(
    command: str, width: int, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    for columns in (width, 1000):
        monkeypatch.setenv("COLUMNS", str(columns))
        main([*command.split(), "--help"])
        shown.append(capsys.readouterr().out)
    fits, whole = shown
    assert max(map(len, fits.splitlines())) <= width
    assert fits.split() == whole.split()
    examples = re.findall(r"^  (support-chat \S.*?)(?:  |$)", whole, re.MULTILINE)
    assert examples
    assert not [one for one in examples if one not in fits]


def test_without_a_command_the_program_helps(capsys: Printed) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: support-chat ")


@pytest.mark.parametrize("module", ["support_chat", "support_chat_adapters.cli"])
def test_the_program_is_also_a_module(module: str) -> None:
    ran = subprocess.run([sys.executable, "-m", module, "token"], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.startswith("usage: support-chat token ")


def test_the_version_is_the_installed_one(capsys: Printed) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"support-chat {version('support-chat')}\n"


def test_the_program_is_imported_and_helps_without_anything_heavy() -> None:
    check = (
        "import sys; from support_chat_adapters.cli import main; main(['--help']); "
        "heavy = {'asyncio', 'support_chat', 'attrs', 'transitions', 'rich', 'jwt'} & "
        "set(sys.modules); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", check], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [
        ([], "stateDiagram-v2\n"),
        (["--view", "overview"], "stateDiagram-v2\n"),
        (["--view", "group", "booting", "--format", "dot"], 'digraph "support_chat: booting" {'),
        (["--view", "group", "staying", "connected"], "stateDiagram-v2\n"),
        (["--view", "group", "staying-connected", "--format", "svg"], "<svg "),
        (["--format", "dot"], 'digraph "support_chat: overview" {'),
        (["--format", "svg"], "<svg "),
        (["--format", "html"], "<!doctype html>\n"),
        (["--path", "ready", "booting"], "stateDiagram-v2\n"),
        (["--phase", "ready", "--format", "svg"], "<svg "),
        (["--format", "table"], "# support_chat: every transition\n"),
        (["--format", "calls"], "# What each call does in each phase\n"),
        (["--format", "json"], '{\n"schema": "support-chat/chart",\n"version": 2,\n'),
    ],
)
def test_draw_prints_what_was_asked_for(
    arguments: list[str], beginning: str, capsys: Printed
) -> None:
    assert main(["draw", *arguments]) == 0
    assert capsys.readouterr().out.startswith(beginning)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--phase", "nowhere"], "has no phase 'nowhere'; it has: not_initialized, "),
        (["--path", "ready", "anonymous"], "Nothing here leads from 'ready' to 'anonymous'."),
        (["--phase", "ready", "--path", "ready"], "--phase and --path: name the phase in the path"),
        (["--format", "calls", "--phase", "ready"], "--format calls has no picture"),
        (["--format", "html", "--view", "overview"], "--format html is always of the whole chart"),
        (["--check", "diagrams", "--phase", "ready"], "leave out --format, --view, --phase"),
    ],
)
def test_what_cannot_be_lit_is_told_with_the_way_out(
    arguments: list[str], told: str, capsys: Printed
) -> None:
    assert main(["draw", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_the_interpreter_of_charts_is_exported(capsys: Printed) -> None:
    assert main(["export", "--format", "javascript"]) == 0
    assert "export class Chart {" in capsys.readouterr().out
    assert main(["export", "--format", "javascript", "--chart", "lamps:LAMP"]) == 2
    assert "--format javascript is of no chart" in capsys.readouterr().err


def test_documents_are_utf_8_whatever_the_terminal_speaks() -> None:
    command = [
        sys.executable,
        "-c",
        "from support_chat_adapters.cli import main; main(['draw', '--format', 'calls'])",
    ]
    printed = subprocess.run(
        command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True
    ).stdout

    assert "→ booting" in printed.decode("utf-8")
    assert b"\r" not in printed


@pytest.mark.parametrize(
    ("name", "options", "beginning"),
    [
        ("chart.svg", [], "<svg "),
        ("CHART.SVG", [], "<svg "),
        ("chart.dot", [], "digraph "),
        ("chart.html", ["--phase", "ready"], "<!doctype html>"),
        ("chart.mmd", [], "stateDiagram-v2"),
        ("chart.json", [], "{"),
        ("chart.md", [], "# support_chat: every transition"),
        ("chart.md", ["--format", "calls"], "# What each call does"),
        ("chart", [], "stateDiagram-v2"),
        ("chart.txt", ["--format", "dot"], "digraph "),
    ],
)
def test_draw_writes_into_a_file_what_its_suffix_says(
    name: str, options: list[str], beginning: str, tmp_path: Path, capsys: Printed
) -> None:
    assert main(["draw", *options, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(beginning)
    assert capsys.readouterr().out == ""


def test_export_prints_the_whole_chart(capsys: Printed) -> None:
    assert main(["export"]) == 0
    assert from_json(capsys.readouterr().out) == CHART


def test_check_names_each_difference_and_the_one_command_that_mends_it(
    module: Module, tmp_path: Path, capsys: Printed
) -> None:
    module("lamps", LAMP.replace("{off}", "off"))
    chart = ["--chart", "lamps:LAMP"]
    assert main(["draw", *chart, "--write", "my diagrams"]) == 0
    assert main(["draw", *chart, "--check", "my diagrams"]) == 0
    diagrams = tmp_path / "my diagrams"
    (diagrams / "old.mmd").write_bytes((diagrams / "overview.mmd").read_bytes())
    (diagrams / "table.md").write_text("changed", encoding="utf-8")
    (diagrams / "chart.json").unlink()
    capsys.readouterr()

    assert main(["draw", *chart, "--check", "my diagrams"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "stale: table.md",
        "missing: chart.json",
        "superfluous: old.mmd",
        "mend it with:",
        "  support-chat draw --chart lamps:LAMP --write 'my diagrams'",
    ]

    assert main(["draw", *chart, "--write", "my diagrams"]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "rewritten: table.md",
        "new: chart.json",
        "removed: old.mmd",
    ]
    assert main(["draw", *chart, "--check", "my diagrams"]) == 0


def test_the_directory_is_diagrams_unless_another_is_named(
    module: Module, tmp_path: Path, capsys: Printed
) -> None:
    module("lamps", LAMP.replace("{off}", "off"))
    assert main(["draw", "--write", "--chart", "lamps:LAMP"]) == 0
    assert (tmp_path / "diagrams/overview.svg").exists()
    assert main(["draw", "--check", "--chart", "lamps:LAMP"]) == 0
    assert "diagrams: " in capsys.readouterr().out


HOOKS = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^ +entry: support-chat (.*)$", HOOKS, re.M)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_hook_runs_with_its_documented_arguments_and_not_without_a_chart_of_one_s_own(
    entry: str, module: Module, capsys: Printed
) -> None:
    module("lamps", LAMP.replace("{off}", "off"))
    assert main(["draw", "--write", "--chart", "lamps:LAMP"]) == 0
    (documented,) = re.findall(r"^# args: \[(.*)\]$", HOOKS, re.M)
    assert documented == "package.module:CHART"
    for arguments in ([documented], ["--chart", documented]):
        named = [each.replace(documented, "lamps:LAMP") for each in arguments]
        assert main([*entry.split(), *named]) == 0
    capsys.readouterr()

    assert main(entry.split()) == 2
    assert "name a chart of your own" in capsys.readouterr().err


def test_modules_are_imported_from_another_directory_if_that_is_asked_for(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    module("lamps", LAMP.replace("{off}", "off"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["export", "--chart", "lamps:LAMP"]) == 2
    assert main(["export", "--chart", "lamps:LAMP", "--app-dir", ".."]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "lamp"


def test_an_exported_chart_is_as_good_as_a_module(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    module("lamps", LAMP.replace("{off}", "off"))
    assert main(["export", "--chart", "lamps:LAMP"]) == 0
    text = capsys.readouterr().out
    (tmp_path / "lamp.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    for named in ("lamp.json", "-"):
        assert main(["export", "--chart", named]) == 0
        assert capsys.readouterr().out == text


def test_a_chart_of_one_s_own_is_found_in_the_working_directory(
    module: Module, capsys: Printed
) -> None:
    module("lamps", LAMP.replace("{off}", "off"))

    assert main(["export", "--chart", "lamps:LAMP"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "lamp"


@pytest.mark.parametrize(
    ("chart", "complaint"),
    [
        (
            "lamps",
            "there is no such file; write it as package.module:NAME, for example support_chat:",
        ),
        ("lamps:", "write it as package.module:NAME"),
        ("candles:LAMP", "there is no module 'candles', neither here nor installed"),
        ("lamps.inner:LAMP", "there is no module 'lamps.inner'"),
        ("lamps:CANDLE", "lamps has no 'CANDLE'; its charts: LAMP"),
        ("lamps:OTHER", "OTHER is of type int, not a support_chat.Chart"),
        (
            "needy:LAMP",
            "needy needs the module 'not_installed_anywhere', which is not installed "
            "({here}needy.py:1)",
        ),
        (
            "broken:LAMP",
            "importing broken raised ZeroDivisionError: division by zero ({here}broken.py:2)",
        ),
        (
            "unreadable:LAMP",
            "importing unreadable raised SyntaxError: invalid syntax (unreadable.py, line 1)",
        ),
    ],
)
def test_a_chart_that_cannot_be_loaded_is_a_misuse_that_says_why(
    chart: str, complaint: str, module: Module, tmp_path: Path, capsys: Printed
) -> None:
    module("lamps", LAMP.replace("{off}", "off"))
    module("needy", "import not_installed_anywhere")
    module("broken", "import lamps\n1 / 0")
    module("unreadable", "1 +* 0")

    assert main(["draw", "--chart", chart]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"support-chat: error: --chart {chart}: ")
    assert complaint.format(here=f"{tmp_path}/") in errors
    assert len(errors.splitlines()) == 1


def test_a_faulty_chart_is_told_fault_by_fault(module: Module, capsys: Printed) -> None:
    module("faulty", LAMP.replace("{off}", "dark"))

    assert main(["draw", "--chart", "faulty:LAMP"]) == 1
    assert "  - switch.off: unknown phase 'dark'" in capsys.readouterr().err.splitlines()


def test_a_chart_with_a_hundred_faults_still_fits_on_a_screen(
    module: Module, capsys: Printed
) -> None:
    rows = "*(Transition(name=f'r{i}', group='g', trigger='t', sources='s') for i in range(99)),"
    module("faulty", LAMP.replace("    ),\n)", f"    {rows}\n    ),\n)"))

    assert main(["export", "--chart", "faulty:LAMP"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert lines[-1].endswith("more lines")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["draw", "--view", "everything"],
            "--view is `overview` or `group NAME`, NAME one of: loading, booting",
        ),
        (["draw", "--view", "group"], "--view is `overview` or `group NAME`"),
        (
            ["draw", "--view", "group", "dancing"],
            "has no group 'dancing'; it has: loading, booting",
        ),
        (
            ["draw", "--view", "overview", "--format", "table"],
            "--format table is always of the whole chart: leave out --view",
        ),
        (["draw", "-o", "x.png"], "-o x.png: say with --format what to write into a .png file"),
        (["draw", "-o", "x.svg", "--format", "dot"], "a .svg file is not for --format dot"),
        (
            ["draw", "--check", "diagrams", "--format", "svg"],
            "--write and --check are about every file",
        ),
        (["draw", "--check", __file__], "is not a directory"),
        (
            ["draw", "-o", "no/such/directory/file.svg"],
            "no/such/directory/file.svg: No such file or directory",
        ),
        (["draw", "--format", "painting"], "invalid choice: 'painting'"),
        (["dance"], "invalid choice: 'dance'"),
        (["draw", "--chart"], "--chart: name a chart of your own, as package.module:NAME"),
        (["draw", "--app-dir", "no/such", "--chart", "x:Y"], "--app-dir no/such: there is no such"),
    ],
)
def test_a_misuse_ends_with_status_2_and_says_what_to_write_instead(
    arguments: list[str], complaint: str, capsys: Printed
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("missing", "options"), [("rich", []), ("jwt", []), ("jwt", ["--plain"]), ("jwt", ["--json"])]
)
def test_the_demo_says_what_to_install_when_a_part_is_missing(
    missing: str, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["demo", *options]) == 2
    sentence = f'{missing} is not installed: pip install "support-chat[demo]"'
    assert capsys.readouterr() == ("", f"support-chat: error: {sentence}\n")


class Terminal:
    """As much of a terminal as colours ask for."""

    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal: object = Terminal()

    assert coloured("hot", "red", terminal) == "\033[31mhot\033[0m"  # type: ignore[arg-type]
    assert coloured("hot", "red", sys.stdout) == "hot"
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("hot", "red", terminal) == "hot"  # type: ignore[arg-type]
