"""The command line `support-chat`: one module a command, imported when the program starts, its
work only when it runs.

A command module has `register(commands)`, which adds its parser and sets `run`, a function from the
parsed arguments to the exit status. To add one, write the module and name it in `COMMANDS`; nothing
else changes. Everything heavy (asyncio, the chart, a third-party package) is imported inside `run`,
so that `support-chat --help` is quick and works with no extra installed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from .terminal import Misuse, complain

COMMANDS: Final = (
    "draw",
    "check",
    "diff",
    "export",
    "demo",
    "serve",
    "chat",
    "reply",
    "token",
    "export-person",
    "forget",
    "backup",
)

_ABOUT: Final = """\
The lifecycle of a support-chat session, from the command line: see it, export it, watch it run.
"""
_MORE: Final = """\
try first:
  support-chat demo                      watch a whole session against an embedded backend
  support-chat draw --view overview      the chart as Mermaid, for a README
  support-chat draw --check diagrams/    in CI: are the diagrams still what the chart says?

`support-chat COMMAND --help` has the options and more examples.

exit status:
  0  all is well
  1  what was checked is not
  2  the command cannot be run as it was given
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, or helps without one, and returns the exit status: 0 well, 1 not well, 2
    misuse. `arguments` defaults to the program's own.

    Errors that a caller can mend come out as a line on standard error, never as a traceback.
    """
    try:
        whole = parser()
        parsed = whole.parse_args(arguments)
        if parsed.command is None:
            whole.print_help()
            return 0
        status: int = parsed.run(parsed)
        sys.stdout.flush()
        return status
    except SystemExit as leaving:  # argparse leaves after --help, --version and a misuse
        return leaving.code if isinstance(leaving.code, int) else 2
    except Misuse as misuse:
        complain(str(misuse))
        return 2
    except BrokenPipeError:  # the reader has gone (`| head`): there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        complain(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return 2
    except Exception as error:
        from support_chat.errors import ChartError, SupportChatError

        if not isinstance(error, SupportChatError):
            raise
        complain(error.message)
        return 1 if isinstance(error, ChartError) else 2


def parser() -> argparse.ArgumentParser:
    """The parser with every command registered."""
    whole = argparse.ArgumentParser(
        prog="support-chat",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action=_Version, help="print the version and leave")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name in COMMANDS:
        import_module(f".{name.replace('-', '_')}", __name__).register(commands)
    return whole


class _Version(argparse.Action):
    """Reads the installed version only on demand: looking it up costs more than all the rest of a
    `--help`.
    """

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"support-chat {version('support-chat')}")
        parser.exit()
