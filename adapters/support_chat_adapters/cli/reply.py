"""`support-chat reply`: the agent's side of a conversation, from the command line."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import Any, Final

from .served import add_backend_options, open_backend
from .terminal import Misuse, as_json, emit

_MORE: Final = """\
It writes into the backend's database. While `support-chat serve` runs, the
message is delivered at once; else once it runs again, as a missed message.

examples:
  support-chat reply "Hello, how can I help?"         in the newest conversation of all
  support-chat reply --user ada "It is fixed."        to a signed-in user
  support-chat reply --visitor visitor-3f2a "Hello"   to a visitor, by their public id

exit status: 0, or 2 if there is nobody to write to, or nothing to say.
"""


def register(commands: Any) -> None:
    """Adds the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "reply",
        help="answer as an agent of a served backend",
        description="Writes a message of an agent, in the newest conversation or to somebody you "
        "name.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", nargs="+", help="what to say, in quotes")
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--user", metavar="ID", help="to this signed-in user")
    whom.add_argument("--visitor", metavar="ID", help="to this visitor")
    whom.add_argument("--conversation", metavar="ID", help="in this conversation")
    add_backend_options(parser)
    parser.add_argument("--json", action="store_true", help="what was stored, as a line of JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Stores the message."""
    from support_chat.errors import InvalidInputError
    from support_chat.values import Identity, SignedIn, Visitor

    text, *more = arguments.text
    if more:
        quoted = shlex.quote(" ".join(arguments.text))
        raise Misuse(f"put the text into quotes: support-chat reply {quoted}")
    if not text.strip():
        raise Misuse("the text is blank; say something.")
    if not os.path.exists(arguments.db):
        raise Misuse(f"there is no {arguments.db}; name the database of your backend with --db.")
    with open_backend(arguments) as backend:
        to: str | Identity
        if arguments.user is not None:
            to = SignedIn(arguments.user)
        elif arguments.visitor is not None:
            to = Visitor(arguments.visitor)
        elif arguments.conversation is not None:
            to = arguments.conversation
        else:
            newest = backend.agent.conversations()
            if not newest:
                raise Misuse("nobody has written yet; name somebody with --user or --visitor.")
            to = newest[0].id
        try:
            message = backend.agent.reply(to, text)
        except InvalidInputError as error:
            kinds = ("user", "visitor", "conversation")
            named = [kind for kind in kinds if getattr(arguments, kind) is not None]
            # without a name the newest is there: then it is the text
            raise Misuse(
                f"there is no {named[0]} {getattr(arguments, named[0])!r} to write to; leave "
                f"--{named[0]} out for the newest."
                if named
                else error.message
            ) from None
    stored = {"id": message.id, "conversation_id": message.conversation_id}
    line = f"{message.id} in {message.conversation_id}\n"
    emit(as_json("reply", stored) if arguments.json else line)
    return 0
