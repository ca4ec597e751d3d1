"""What the commands about one person share: whom they name."""

from __future__ import annotations

import argparse
from typing import Final

from support_chat import Identity, SignedIn, Visitor

from .options import one_of, option
from .served import require_database

PERSON: Final = one_of(
    option("--user", metavar="ID", help="this user"),
    option("--visitor", metavar="ID", help="this visitor, by their public id"),
    required=True,
)
"""The options that name a person."""


def person(arguments: argparse.Namespace) -> Identity:
    """Who is named; raises Misuse where there is no database to look for them."""
    require_database(arguments)
    return Visitor(arguments.visitor) if arguments.user is None else SignedIn(arguments.user)
