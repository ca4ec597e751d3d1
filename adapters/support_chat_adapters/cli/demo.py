"""`support-chat demo`: a whole session, played against the backend inside the process."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import Any, Final

_INSTALL: Final = 'pip install "support-chat[demo]"'
_MORE: Final = f"""\
examples:
  support-chat demo              live, on a terminal
  support-chat demo --plain      as lines of text, for a log
  support-chat demo --json       as lines of JSON, for a program

exit status:
  0  every step ended as expected
  1  one did not
  2  a part is missing: {_INSTALL}
"""


def register(commands: Any) -> None:
    """Adds the command to the program's subparsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="watch a session live through its whole life, nothing to set up",
        description="Plays the whole lifecycle against a backend inside the process: no network,\n"
        "no account, nothing to set up.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="lines of text instead of the live view")
    form.add_argument("--json", action="store_true", help="lines of JSON instead of the live view")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Plays the demo, or says what to install."""
    live = not (arguments.plain or arguments.json)
    missing = [name for name in ("jwt", *(["rich"] if live else [])) if find_spec(name) is None]
    if missing:
        print(_INSTALL, file=sys.stderr)
        return 2
    from support_chat_adapters.demo import run as play

    return play(plain=arguments.plain, json=arguments.json)
