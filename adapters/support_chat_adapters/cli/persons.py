"""What the commands about one person share: whom they name."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from .terminal import Misuse

if TYPE_CHECKING:
    from support_chat.values import Identity


def add_person_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name a person."""
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--user", metavar="ID", help="this user")
    whom.add_argument("--visitor", metavar="ID", help="this visitor, by their public id")


def person(arguments: argparse.Namespace) -> Identity:
    """Who is named; raises Misuse where there is no database to look for them."""
    from support_chat.values import SignedIn, Visitor

    if not os.path.exists(arguments.db):
        raise Misuse(f"there is no {arguments.db}; name the database of your backend with --db.")
    if arguments.user is not None:
        return SignedIn(arguments.user)
    return Visitor(arguments.visitor)
