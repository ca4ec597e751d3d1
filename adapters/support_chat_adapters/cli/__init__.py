"""The command line `support-chat`: one module a command, imported when it is chosen.

A command module has `ABOUT` and `MORE`, which its help shows before and after the `OPTIONS`, and
`run`, a function from the parsed arguments to the exit status. To add one, write the module and
name it in `COMMANDS`; nothing else changes. What an extra installs is imported inside `run`, so
that the help of each command works without; `support-chat --help` imports no command at all.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from .terminal import Help, Misuse, complain

COMMANDS: Final = {
    "draw": "pictures and tables of the chart (Mermaid, dot, SVG, Markdown)",
    "check": "model-check the chart: every reachable state, every property",
    "walk": "step through the chart: what can happen now, and why not the rest",
    "mutants": "every single edit of the chart: which ones does nobody notice?",
    "diff": "what differs between two charts: rows, what is accepted, states, verdicts",
    "trace": "judge the log of a client: is it a path of the chart?",
    "export": "the whole chart, or the OpenAPI and AsyncAPI documents, as stable JSON",
    "demo": "watch a session live through its whole life, nothing to set up",
    "serve": "a backend to develop and test against, on this machine",
    "chat": "a chat client in the terminal that shows the phase live",
    "inbox": "read and answer as an agent of a served backend",
    "reply": "answer whoever wrote last, or somebody you name",
    "token": "mint an identity token for tests",
    "export-person": "all that a served backend knows of one person",
    "forget": "delete all that a served backend knows of one person",
    "backup": "copy a backend's database while it is served",
}
"""Every command, and what it is for."""

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
  0    all is well
  1    what was checked is not
  2    the command cannot be run as it was given
  130  stopped by Ctrl-C
"""
INTERRUPTED: Final = 130
"""The exit status after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, or helps without one, and returns the exit status: 0 well, 1 not well, 2
    misuse, 130 stopped by Ctrl-C. `arguments` defaults to the program's own.

    Errors that a caller can mend come out as a line on standard error, never as a traceback.
    """
    try:
        whole = parser()
        parsed = whole.parse_args(arguments)
        if parsed.version:
            from importlib.metadata import version  # costs more than all the rest of a `--help`

            print(f"support-chat {version('support-chat')}")
            return 0
        if parsed.command is None:
            whole.print_help()
            return 0
        status: int = parsed.run(parsed)
        sys.stdout.flush()
        return status
    except SystemExit as leaving:  # argparse leaves after --help and a misuse
        return leaving.code if isinstance(leaving.code, int) else 2
    except Misuse as misuse:
        complain(str(misuse))
        return 2
    except KeyboardInterrupt:
        print("support-chat: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has gone (`| head`): there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        from support_chat.errors import ChartError, SupportChatError

        if isinstance(error, SupportChatError):  # first: some of them are an OSError, too
            complain(error.message)
            return 1 if isinstance(error, ChartError) else 2
        if not isinstance(error, OSError):
            raise
        complain(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return 2


def parser() -> argparse.ArgumentParser:
    """The parser of the program, which knows every command by name."""
    whole = argparse.ArgumentParser(
        prog="support-chat", description=_ABOUT, epilog=_MORE, formatter_class=Help
    )
    whole.add_argument("--version", action="store_true", help="print the version and leave")
    commands = whole.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", parser_class=_Command
    )
    for name, help in COMMANDS.items():
        commands.add_parser(name, help=help, formatter_class=Help)
    return whole


class _Command(argparse.ArgumentParser):
    """Learns what its command takes when that is chosen."""

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """Parses what stands after the command."""
        command = import_module(f".{self.prog.split()[-1].replace('-', '_')}", __name__)
        self.description, self.epilog = command.ABOUT, command.MORE
        for option in command.OPTIONS:
            option(self)
        self.set_defaults(run=command.run)
        return super().parse_known_args(*args, **kwargs)
