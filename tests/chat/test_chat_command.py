"""`support-chat chat` before anything begins: what is missing or wrong is told in a line, with
status 2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from unittest.mock import Mock

import jwt
import pytest

from support_chat import TokenProviderError
from support_chat_adapters.backend.server.key_file import identity_secret
from support_chat_adapters.cli import main
from support_chat_adapters.cli.served import minted_tokens

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


def test_a_token_is_minted_anew_for_each_renewal_and_for_the_user_who_is_asked_for(
    tmp_path: Path,
) -> None:
    key = tmp_path / "chat.db.key"
    options = argparse.Namespace(db="", key_file=key, workspace="demo", widget="web")
    secret = identity_secret(key)
    ada = minted_tokens(options)("ada")
    tokens = (ada(), ada(), minted_tokens(options)("bob")())
    assert len(set(tokens)) == 3
    claims = [jwt.decode(each, secret, ["HS256"], {"verify_aud": False}) for each in tokens]
    said = [(each["sub"], each["workspace_id"], each["widget_id"]) for each in claims]
    assert said == [(user, "demo", "web") for user in ("ada", "ada", "bob")]
    key.unlink()
    with pytest.raises(TokenProviderError, match="bring it back"):
        ada()
    assert not key.exists()


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
    monkeypatch.setitem(sys.modules, missing, None)
    terminal = Mock(return_value=on_terminal)
    monkeypatch.setattr("support_chat_adapters.cli.chat.can_draw", terminal)
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
