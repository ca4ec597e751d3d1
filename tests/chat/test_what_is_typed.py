"""A line that a person types is a message, a command, or wrong in a way that is told."""

from __future__ import annotations

import pytest

from support_chat.errors import InvalidInputError
from support_chat_adapters.chat.commands import (
    HELP,
    Boot,
    Command,
    Help,
    History,
    Identify,
    ListConversations,
    Quit,
    Retry,
    Say,
    Shutdown,
    Update,
    command_of,
    suggestion,
    word_of,
)

MEANINGS: tuple[tuple[str, Command | None], ...] = (
    ("Hello, it's me", Say("Hello, it's me")),
    ("  spaces around  ", Say("spaces around")),
    ("", None),
    ("   ", None),
    ("//etc/hosts is empty", Say("/etc/hosts is empty")),
    ("two\nlines", Say("two\nlines")),
    ("caf\udce9", Say("caf?")),
    ("/identify ada", Identify("ada")),
    ("/identify 'ada lovelace'", Identify("ada lovelace")),
    ("/boot", Boot()),
    ("/boot ada", Boot("ada")),
    ("/shutdown", Shutdown()),
    ("/shutdown --clear", Shutdown(clear=True)),
    ("/retry", Retry()),
    ("/list", ListConversations()),
    ("/history", History()),
    ("/help", Help()),
    ("/quit ", Quit()),
    ("/update role=admin", Update(user={"traits": {"role": "admin"}})),
    (
        "/update user.name='Ada Lovelace' email=null",
        Update(user={"name": "Ada Lovelace", "email": None}),
    ),
    (
        "/update user.traits.seats=3 user.vip=true",
        Update(user={"traits": {"seats": 3, "vip": True}}),
    ),
    ("/update company.id=acme company.plan=pro", Update(company={"id": "acme", "plan": "pro"})),
    (
        "/update context.page=billing context.depth=2",
        Update(context={"page": "billing", "depth": 2}),
    ),
    ("/update last.seen=today", Update(user={"traits": {"last.seen": "today"}})),
    ("/update equation=a=b", Update(user={"traits": {"equation": "a=b"}})),
)


@pytest.mark.parametrize(("line", "command"), MEANINGS)
def test_a_line_means_one_thing(line: str, command: Command | None) -> None:
    assert command_of(line) == command


@pytest.mark.parametrize(
    ("line", "way_out"),
    [
        ("/identify", "/identify ada"),
        ("/identify ada bob", "/identify ada"),
        ("/boot ada bob", "/boot ada"),
        ("/shutdown now", "/shutdown --clear"),
        ("/update", "role=admin"),
        ("/update role", "equals sign"),
        ("/update =admin", "equals sign"),
        ("/update name='Ada", "close it"),
        ("/list all", "write it alone"),
        ("/quit now", "write it alone"),
        ("/etc/hosts", "//etc/hosts sends it"),
        ("/ hello", "/help shows what there is"),
    ],
)
def test_a_wrong_command_is_told_how_it_is_written(line: str, way_out: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        command_of(line)
    assert way_out in refused.value.message


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("/identify ada", "identify"),
        ("Hello", "send"),
        ("/etc/hosts", "line"),
        ("/update a=1", "update"),
    ],
)
def test_reports_name_the_command_that_was_meant(line: str, word: str) -> None:
    assert word_of(line) == word


@pytest.mark.parametrize(
    ("typed", "rest"),
    [
        ("/i", "dentify "),
        ("/sh", "utdown --clear"),
        ("/b", "oot"),
        ("/", ""),
        ("/zzz", ""),
        ("h", ""),
        ("", ""),
        ("/list", ""),
    ],
)
def test_a_command_that_is_begun_is_completed(typed: str, rest: str) -> None:
    assert suggestion(typed) == rest


def test_help_fits_beside_the_time_on_eighty_columns_and_names_every_command() -> None:
    assert max(map(len, HELP)) <= 80 - 18
    for command in (
        "/retry",
        "/list",
        "/history",
        "/identify",
        "/update",
        "/shutdown",
        "/boot",
        "/quit",
    ):
        assert any(line.startswith(command) for line in HELP)
