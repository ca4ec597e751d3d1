"""`support-chat reply`: an agent's answer without a look at the conversation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from support_chat import Identity, SignedIn, Visitor

from .answers import AGENT, ANSWER_ID, answer, one_text
from .options import one_of, option
from .served import add_backend_options, open_backend, require_database
from .terminal import Misuse

ABOUT: Final = "Writes a message of an agent, in the newest conversation or to somebody you name."
MORE: Final = """\
It writes into the backend's database. While `support-chat serve` runs, the
message is delivered at once; else once it runs again, as a missed message.
`support-chat inbox` shows the conversations first.

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
    ANSWER_ID,
    AGENT,
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
    text = one_text(arguments.text, "support-chat reply")
    require_database(arguments)
    kind = next((kind for kind in _WHOM if getattr(arguments, kind) is not None), "conversation")
    with open_backend(arguments) as backend:
        id = getattr(arguments, kind)
        if id is None:
            newest = backend.agent.newest()
            if newest is None:
                raise Misuse("nobody has written yet; name somebody with --user or --visitor.")
            id = newest.id
        nobody = f"there is no {kind} {id!r} to write to; leave --{kind} out for the newest."
        return answer(backend, arguments, _WHOM[kind](id), text, nobody)
