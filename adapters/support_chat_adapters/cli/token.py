"""`support-chat token`: an identity token for tests, signed with the secret of a served backend."""

from __future__ import annotations

import argparse
from typing import Final

from support_chat.values import User

from ..backend import sign_identity_token
from .options import option
from .served import add_backend_options, key_secret
from .terminal import Misuse, as_json, emit

ABOUT: Final = """\
Prints an identity token (a JWT, HS256) that `support-chat serve` on the same database accepts."""
MORE: Final = """\
For tests and development: in production your own server mints tokens for the
people it has signed in, in the same six lines (README, "Tokens"). The token is
all that goes to standard output, so that it can be piped.

examples:
  support-chat token --user ada
  support-chat token --user ada --lifetime 20 --json
  curl -d "$(support-chat token --user ada)" ...

exit status: 0, or 2 if the token cannot be made.
"""
OPTIONS: Final = (
    option("--user", metavar="ID", required=True, help="who the token is for"),
    option("--name", help="their name, for a user who is new to the backend"),
    option("--email", help="their e-mail address, likewise"),
    option(
        "--lifetime",
        metavar="SECONDS",
        type=float,
        default=900.0,
        help="how long it lives (default: 900)",
    ),
    add_backend_options,
    option("--json", action="store_true", help='{"token": ...} instead of the token alone'),
)


def run(arguments: argparse.Namespace) -> int:
    """Prints the token."""
    user = User(
        arguments.user,
        **{
            key: value
            for key in ("name", "email")
            if (value := getattr(arguments, key)) is not None
        },
    )
    try:
        token = sign_identity_token(
            user,
            key_secret(arguments),
            workspace_id=arguments.workspace,
            widget_id=arguments.widget,
            lifetime=arguments.lifetime,
        )
    except ModuleNotFoundError as error:
        raise Misuse(str(error)) from None
    emit(as_json("token", {"token": token}) if arguments.json else f"{token}\n")
    return 0
