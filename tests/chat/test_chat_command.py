"""`support-chat chat` before anything begins: what is missing or wrong is told in a line, with
status 2.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from support_chat_adapters.cli import main

Printed = pytest.CaptureFixture[str]

MISUSES = (
    (("--url", "chat.example.com"), "--url must be the http(s) address of a backend"),
    (("--url", "https://a:b@chat.example.com"), "--url must hold no user or password"),
    (("--url", "https://chat.example.com/x/widget/v1/"), "--url https://chat.example.com/x\n"),
    (("--user", "ada"), "name the database of the backend with --db"),
    (("--user", ""), "--user is empty; pass the id"),
    (("--user", "ada", "--token", ""), "the token as a non-empty str"),
    (("--user", "ada", "--token-url", "nowhere"), "--token-url names no server"),
    (("--token", "x"), "say which one with --user"),
    (("--token-url", "https://app.example.com/token"), "say which one with --user"),
    (("--memory", "--storage", "x.json"), "not allowed with argument"),
    (
        ("--user", "ada", "--token", "x", "--token-url", "https://app.example.com"),
        "not allowed with argument",
    ),
    (("--plain", "--json"), "not allowed with argument"),
    (("--memory", "--scope", "x" * 300), "--scope has 300 characters; at most 255"),
)


@pytest.mark.parametrize(("options", "complaint"), MISUSES)
def test_a_misuse_is_told_in_a_line(
    options: tuple[str, ...],
    complaint: str,
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert main(["chat", *options]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert "Traceback" not in said


def test_no_key_is_made_where_there_is_none(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["chat", "--memory", "--user", "ada"]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "on_terminal", "complains"),
    [
        ("prompt_toolkit", True, True),
        ("prompt_toolkit", False, False),
        ("httpx2", False, True),
        ("msgspec", True, True),
    ],
)
def test_a_missing_part_is_told_by_the_line_that_installs_it(
    missing: str,
    on_terminal: bool,
    complains: bool,
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = importlib.util.find_spec

    def found(name: str) -> ModuleSpec | None:
        return None if name == missing else installed(name)

    monkeypatch.setattr("support_chat_adapters.cli.terminal.find_spec", found)
    monkeypatch.setattr("support_chat_adapters.cli.chat.can_draw", lambda _: on_terminal)
    assert main(["chat", "--memory", "--url", "no address"]) == 2
    said = capsys.readouterr().err
    sentence = f'{missing} is not installed: pip install "support-chat[chat]"\n'
    assert said.endswith(sentence) is complains


def test_help_teaches_the_two_terminals_on_eighty_columns(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["chat", "--help"]) == 0
    said = capsys.readouterr().out
    for word in (
        "reconnecting",
        "support-chat reply",
        "/identify",
        "--token-url",
        "NO_COLOR",
        "exit status",
    ):
        assert word in said
    assert max(map(len, said.splitlines())) <= 80
