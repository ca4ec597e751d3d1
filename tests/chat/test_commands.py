"""A line that a person types is a message, a command, or wrong in a way that is said."""

from __future__ import annotations

import pytest

from support_chat import InvalidInputError
from support_chat_adapters.chat.commands import (
    COMMANDS,
    HELP,
    arguments_of,
    changes_of,
    parse,
    suggestion,
)


@pytest.mark.parametrize(
    ("line", "name", "rest"),
    [
        ("Hello, it's me", "send", "Hello, it's me"),
        ("  spaces around  ", "send", "spaces around"),
        ("", "", ""),
        ("   ", "", ""),
        ("//etc/hosts is empty", "send", "/etc/hosts is empty"),
        ("/etc/hosts is empty", "line", "/etc/hosts is empty"),
        ("two\nlines", "send", "two\nlines"),
        ("caf\udce9", "send", "caf?"),
        ("/identify 'ada lovelace'", "identify", "'ada lovelace'"),
        ("/quit ", "quit", ""),
    ],
)
def test_a_line_means_one_thing(line: str, name: str, rest: str) -> None:
    assert parse(line) == (name, rest)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("/identify ada", ["ada"]),
        ("/identify 'ada lovelace'", ["ada lovelace"]),
        ("/boot", []),
        ("/boot ada", ["ada"]),
        ("/shutdown", []),
        ("/shutdown --clear", ["--clear"]),
        ("/update user.name='Ada Lovelace' role=admin", ["user.name=Ada Lovelace", "role=admin"]),
    ],
)
def test_a_command_has_arguments(line: str, arguments: list[str]) -> None:
    assert arguments_of(*parse(line)) == arguments


@pytest.mark.parametrize(
    ("pairs", "changes"),
    [
        ("role=admin", {"user": {"traits": {"role": "admin"}}}),
        ("user.name=Ada email=null", {"user": {"name": "Ada", "email": None}}),
        ("user.traits.seats=3 user.vip=true", {"user": {"traits": {"seats": 3, "vip": True}}}),
        ("company.id=acme company.plan=pro", {"company": {"id": "acme", "plan": "pro"}}),
        ("context.page=billing context.depth=2", {"context": {"page": "billing", "depth": 2}}),
        ("last.seen=today", {"user": {"traits": {"last.seen": "today"}}}),
        ("equation=a=b", {"user": {"traits": {"equation": "a=b"}}}),
    ],
)
def test_pairs_say_what_changes(pairs: str, changes: object) -> None:
    assert changes_of(pairs.split()) == changes


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
def test_a_wrong_command_is_refused_with_how_it_is_written(line: str, way_out: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        changes_of(arguments_of(*parse(line)))
    assert way_out in refused.value.message


@pytest.mark.parametrize(
    ("typed", "rest"),
    [
        ("/i", "dentify "),
        ("/sh", "utdown"),
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
    assert all(any(line.startswith(f"/{name} ") for line in HELP) for name in COMMANDS)
