"""What a person types: a line is a message, or a command if it begins with a slash. Pure: text in,
a value or an error out.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import attrs

from support_chat import InvalidInputError


@attrs.frozen
class Command:
    """A command that can be typed: the form of its arguments, what it does, how many it takes, and
    what is said of another number.
    """

    form: str
    does: str
    least: int = 0
    most: float = 0
    wrong: str = "takes nothing after it: write it alone."


COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "list": Command("", "your conversations"),
        "history": Command("", "what was said; it counts as read"),
        "identify": Command(
            "USER", "become a user, with what you wrote", 1, 1,
            "takes the id of one user: /identify ada.",
        ),
        "update": Command(
            "KEY=VALUE", "tell more: role=admin context.page=billing", 1, float("inf"),
            "takes pairs: /update role=admin user.name='Ada Lovelace' context.page=billing.",
        ),
        "shutdown": Command(
            "[--clear]", "end the session; --clear forgets you", 0, 1,
            "takes --clear or nothing: /shutdown --clear.",
        ),
        "boot": Command(
            "[USER]", "begin again, as USER or as before", 0, 1,
            "takes the id of a user, or nothing: /boot ada.",
        ),
        "help": Command("", "what can be typed"),
        "quit": Command("", "leave, as Ctrl-D does"),
    }
)  # fmt: skip
"""Every command, by its name."""
HELP: Final = (
    "a line is a message; //word is one that begins with a slash",
    *(f"/{name} {each.form}".ljust(20) + each.does for name, each in COMMANDS.items()),
)
"""What /help shows, a line each."""
_ATTRIBUTES: Final = {
    "user": ("id", "email", "name"),
    "company": ("id", "name", "plan"),
    "context": (),
}


def parse(line: str) -> tuple[str, str]:
    """The command that a line is, and the text after its name: `("identify", "ada")`. A message is
    `("send", text)`, what begins with a slash and is no command `("line", text)`, a blank line
    `("", "")`.
    """
    # bytes that are no text come from a terminal as lone surrogates
    text = line.strip().encode(errors="replace").decode()
    if not text.startswith("/") or text.startswith("//"):
        return ("send" if text else "", text.removeprefix("/"))
    name, _, rest = text[1:].partition(" ")
    return (name, rest) if name in COMMANDS else ("line", text)


def arguments_of(name: str, rest: str) -> list[str]:
    """The arguments of a command, from the text after its name.

    Raises InvalidInputError, which says how the command is written, for a wrong one.
    """
    if name not in COMMANDS:
        word = rest.split()[0][:40]
        raise InvalidInputError(
            f"There is no {word} here: /help shows what there is, and /{word} sends it as a "
            "message."
        )
    command = COMMANDS[name]
    try:
        arguments = shlex.split(rest)
    except ValueError:
        raise InvalidInputError(f"/{name} has a quote without its end: close it.") from None
    fits = command.least <= len(arguments) <= command.most
    if not fits or (name == "shutdown" and arguments not in ([], ["--clear"])):
        raise InvalidInputError(f"/{name} {command.wrong}")
    return arguments


def suggestion(text: str) -> str:
    """What completes the command that is being typed, empty if nothing does."""
    forms = (f"/{name} " if each.least else f"/{name}" for name, each in COMMANDS.items())
    begun = text if text.startswith("/") and len(text) > 1 else "no command"
    return next((form[len(text) :] for form in forms if form.startswith(begun)), "")


def changes_of(pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The arguments of update() that pairs such as `role=admin` or `context.page=billing` mean.

    A key without a part is the user's; one that is no attribute is a trait. A value is JSON where
    it can be (`3`, `true`, `null`), else text. Raises InvalidInputError for what is no pair.
    """
    parts: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        path, _, text = pair.partition("=")
        if "=" not in pair or not path:
            raise InvalidInputError(
                "/update takes pairs with an equals sign, such as role=admin; null erases, as in "
                "role=null."
            )
        part, _, key = path.partition(".")
        if not key or part not in _ATTRIBUTES:
            part, key = "user", path
        known = parts.setdefault(part, {})
        if part != "context" and key not in _ATTRIBUTES[part]:
            known, key = known.setdefault("traits", {}), key.removeprefix("traits.")
        known[key] = _value(text)
    return parts


def _value(text: str) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text
