"""`support-chat export-person`: all that a served backend knows of one person."""

from __future__ import annotations

import argparse
from typing import Final

from .persons import PERSON, person
from .served import add_backend_options, open_backend
from .terminal import as_json, emit

ABOUT: Final = "Prints what is known of one person, for them to have."
MORE: Final = """\
It prints JSON: their traits, their conversations with every message, when they
were seen, and the visitors who have become this user. Times are seconds since
1970. Hashes of secrets, which are of use to nobody else, are left out.

examples:
  support-chat export-person --user ada > ada.json
  support-chat export-person --visitor visitor-3f2a --db /srv/chat.db

exit status: 0, or 2 if there is no such person.
"""
OPTIONS: Final = (
    PERSON,
    add_backend_options,
)


def run(arguments: argparse.Namespace) -> int:
    """Prints it."""
    whom = person(arguments)
    with open_backend(arguments) as backend:
        known = backend.records.export(whom)
    emit(as_json("person", known, indent=2))
    return 0
