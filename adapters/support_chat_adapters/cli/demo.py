"""`support-chat demo`: a whole session, played against the backend inside the process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from typing import Final

from .options import one_of, option
from .terminal import needs

ABOUT: Final = """\
Plays the whole lifecycle against a backend inside the process:
no network, no account, nothing to set up."""
MORE: Final = """\
examples:
  support-chat demo              live, on a terminal
  support-chat demo --plain      as lines of text, for a log
  support-chat demo --json       as lines of JSON, for a program

exit status: 0 if every step ended as expected, 1 if one did not, 2 if a part is
missing (pip install "support-chat[demo]").
"""
OPTIONS: Final = (
    one_of(
        option("--plain", action="store_true", help="lines of text instead of the live view"),
        option("--json", action="store_true", help="lines of JSON instead of the live view"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Plays the demo: a live view on a terminal that can draw it, else lines of text."""
    live = not (arguments.plain or arguments.json)
    needs("demo", "jwt", *(["rich"] if live else []))
    from ..demo.play import watch
    from ..demo.scenes import SCENES

    # what the log says the demo shows as events; on a terminal it would tear the view
    logging.getLogger("support_chat").addHandler(logging.NullHandler())
    return asyncio.run(watch(SCENES, sys.stdout, plain=arguments.plain, json=arguments.json))
