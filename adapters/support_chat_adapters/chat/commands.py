"""What a person types: a line is a message, or a command if it begins with a slash. Pure: text in,
a value or an error out.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from support_chat.errors import InvalidInputError


@attrs.frozen
class Say:
    """Send this message."""

    text: str


@attrs.frozen
class Retry:
    """Send again what could not be sent."""


@attrs.frozen
class Identify:
    """Become this user."""

    user_id: str


@attrs.frozen
class Update:
    """Record these changes; None for a part that does not change."""

    user: Mapping[str, Any] | None = None
    company: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None


@attrs.frozen
class Boot:
    """Begin a session: as this user, or as the one that the client was started for."""

    user_id: str | None = None


@attrs.frozen
class Shutdown:
    """End the session, and with `clear` forget the visitor too."""

    clear: bool = False


@attrs.frozen
class ListConversations:
    """Show the conversations."""


@attrs.frozen
class History:
    """Show what was said in the conversation that goes on, and count it as read."""


@attrs.frozen
class Help:
    """Say what can be typed."""


@attrs.frozen
class Quit:
    """Leave."""


Command: TypeAlias = (
    Say | Retry | Identify | Update | Boot | Shutdown | ListConversations | History | Help | Quit
)

HELP: Final = (
    "a line is a message; //word is one that begins with a slash",
    "/retry              send again what could not be sent",
    "/list               your conversations",
    "/history            what was said; it counts as read",
    "/identify USER      become a user, with what you wrote",
    "/update KEY=VALUE   tell more: role=admin context.page=billing",
    "/shutdown [--clear] end the session; --clear forgets you",
    "/boot [USER]        begin again, as USER or as before",
    "/quit               leave, as Ctrl-D does",
)
"""What /help says, a line each."""
_PARTS: Final = ("user", "company", "context")
_ATTRIBUTES: Final = {
    "user": ("id", "email", "name"),
    "company": ("id", "name", "plan"),
    "context": (),
}


def command_of(line: str) -> Command | None:
    """The command that a line is, None for a blank one. Raises InvalidInputError, which says how it
    is written, for a wrong one.
    """
    # bytes that are no text come from a terminal as lone surrogates
    text = line.strip().encode(errors="replace").decode()
    if not text.startswith("/"):
        return Say(text) if text else None
    if text.startswith("//"):
        return Say(text[1:])
    name, _, rest = text.partition(" ")
    maker = _MAKERS.get(name)
    if maker is None:
        raise InvalidInputError(
            f"There is no {name[:40]} here: /help shows what there is, and /{name[:40]} sends it "
            "as a message."
        )
    try:
        return maker(shlex.split(rest))
    except ValueError as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"{name} has a quote without its end: close it.") from None


def word_of(line: str) -> str:
    """Which command a line means, for reports: `identify` of `/identify ada`, `send` of a
    message.
    """
    name = line.strip().partition(" ")[0]
    return name[1:] if name in _MAKERS else "send" if not name.startswith("/") else "line"


def suggestion(text: str) -> str:
    """What completes the command that is being typed, empty if nothing does."""
    begun = [
        form for form in _FORMS if text.startswith("/") and form.startswith(text) and form != text
    ]
    return begun[0][len(text) :] if begun and len(text) > 1 else ""


def _none(form: str, command: Command) -> Callable[[list[str]], Command]:
    def make(words: list[str]) -> Command:
        if words:
            raise InvalidInputError(f"{form} takes nothing after it: write it alone.")
        return command

    return make


def _identify(words: list[str]) -> Command:
    if len(words) != 1:
        raise InvalidInputError("/identify takes the id of one user: /identify ada.")
    return Identify(words[0])


def _boot(words: list[str]) -> Command:
    if len(words) > 1:
        raise InvalidInputError("/boot takes the id of a user, or nothing: /boot ada.")
    return Boot(*words)


def _shutdown(words: list[str]) -> Command:
    if words not in ([], ["--clear"]):
        raise InvalidInputError("/shutdown takes --clear or nothing: /shutdown --clear.")
    return Shutdown(clear=bool(words))


def _update(words: list[str]) -> Command:
    if not words:
        raise InvalidInputError(
            "/update takes pairs: /update role=admin user.name='Ada Lovelace' context.page=billing."
        )
    parts: dict[str, dict[str, Any]] = {}
    for word in words:
        path, equals, value = word.partition("=")
        if not (path and equals):
            raise InvalidInputError(
                "/update takes pairs with an equals sign, such as role=admin; null erases, as in "
                "role=null."
            )
        part, dot, key = path.partition(".")
        if not dot or part not in _PARTS:
            part, key = "user", path
        known = parts.setdefault(part, {})
        if part == "context" or key in _ATTRIBUTES[part]:
            known[key] = _value(value)
        else:
            known.setdefault("traits", {})[key.removeprefix("traits.")] = _value(value)
    return Update(**parts)


def _value(text: str) -> object:
    """JSON where it is JSON (`3`, `true`, `null`), else the text as it is."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


_MAKERS: Final[Mapping[str, Callable[[list[str]], Command]]] = MappingProxyType(
    {
        "/retry": _none("/retry", Retry()),
        "/list": _none("/list", ListConversations()),
        "/identify": _identify,
        "/update": _update,
        "/shutdown": _shutdown,
        "/boot": _boot,
        "/history": _none("/history", History()),
        "/help": _none("/help", Help()),
        "/quit": _none("/quit", Quit()),
    }
)
_FORMS: Final = (
    "/identify ",
    "/update ",
    "/shutdown --clear",
    "/shutdown",
    "/boot",
    "/list",
    "/retry",
    "/history",
    "/help",
    "/quit",
)
