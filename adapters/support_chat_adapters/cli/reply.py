"""`support-chat reply`: the agent's side of a conversation, from the command line."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from typing import Final

from support_chat import Identity, InvalidInputError, SignedIn, Visitor

from .options import one_of, option
from .served import add_backend_options, open_backend
from .terminal import Misuse, as_json, emit

ABOUT: Final = "Writes a message of an agent, in the newest conversation or to somebody you name."
MORE: Final = """\
It writes into the backend's database. While `support-chat serve` runs, the
message is delivered at once; else once it runs again, as a missed message.

examples:
  support-chat reply "Hello, how can I help?"         in the newest conversation of all
  support-chat reply --user ada "It is fixed."        to a signed-in user
  support-chat reply --visitor visitor-3f2a "Hello"   to a visitor, by their public id

exit status: 0, or 2 if there is nobody to write to, or nothing to say.
"""
OPTIONS: Final = (
    option("text", nargs="+", help="what to say, in quotes"),
    one_of(
        option("--user", metavar="ID", help="to this signed-in user"),
        option("--visitor", metavar="ID", help="to this visitor"),
        option("--conversation", metavar="ID", help="in this conversation"),
    ),
    add_backend_options,
    option("--json", action="store_true", help="what was stored, as a line of JSON"),
)

_WHOM: Final[dict[str, Callable[[str], str | Identity]]] = {
    "user": SignedIn,
    "visitor": Visitor,
    "conversation": str,
}


def run(arguments: argparse.Namespace) -> int:
    """Stores the message."""
    text, *more = arguments.text
    if more:
        quoted = shlex.quote(" ".join(arguments.text))
        raise Misuse(f"put the text into quotes: support-chat reply {quoted}")
    if not text.strip():
        raise Misuse("the text is blank; say something.")
    if not os.path.exists(arguments.db):
        raise Misuse(f"there is no {arguments.db}; name the database of your backend with --db.")
    kind = next((kind for kind in _WHOM if getattr(arguments, kind) is not None), None)
    with open_backend(arguments) as backend:
        if kind is not None:
            id = getattr(arguments, kind)
        elif newest := backend.agent.newest():
            id = newest.id
        else:
            raise Misuse("nobody has written yet; name somebody with --user or --visitor.")
        try:
            message = backend.agent.reply(_WHOM[kind or "conversation"](id), text)
        except InvalidInputError as error:
            # without a name the newest is there: then it is the text
            raise Misuse(
                error.message
                if kind is None
                else f"there is no {kind} {id!r} to write to; leave --{kind} out for the newest."
            ) from None
    stored = {"id": message.id, "conversation_id": message.conversation_id}
    line = f"{message.id} in {message.conversation_id}\n"
    emit(as_json("reply", stored) if arguments.json else line)
    return 0
