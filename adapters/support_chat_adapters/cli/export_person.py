"""`support-chat export-person`: all that a served backend knows of one person."""

from __future__ import annotations

import argparse
from typing import Any, Final

from .persons import add_person_options, person
from .served import add_backend_options, open_backend
from .terminal import as_json, emit

_MORE: Final = """\
It prints JSON: their traits, their conversations with every message, when they
were seen, and the visitors who have become this user. Times are seconds since
1970. Hashes of secrets, which are of use to nobody else, are left out.

examples:
  support-chat export-person --user ada > ada.json
  support-chat export-person --visitor visitor-3f2a --db /srv/chat.db

exit status: 0, or 2 if there is no such person.
"""


def register(commands: Any) -> None:
    """Adds the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "export-person",
        help="all that a served backend knows of one person",
        description="Prints what is known of one person, for them to have.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_person_options(parser)
    add_backend_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints it."""
    whom = person(arguments)
    with open_backend(arguments) as backend:
        known = backend.records.export(whom)
    emit(as_json("person", known, indent=2))
    return 0
