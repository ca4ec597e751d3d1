"""`support-chat inbox`: the agent's side of all conversations, on a terminal or as JSON."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs

from support_chat import Message

from ..backend import Backend
from ..backend.server.condition import file_at
from ..ui.terminal import clean, columns, hanging
from .answers import AGENT, ANSWER_ID, answer, one_text
from .inbox_lines import (
    arrived,
    conversation_as_json,
    message_as_json,
    owner_as_json,
    rows,
    spoken,
    state,
)
from .options import Option, number, option
from .served import (
    DEFAULT_DB,
    add_backend_options,
    is_at_a_server,
    open_backend,
    require_database,
    shown,
)
from .terminal import Help, Misuse, as_json, coloured, complain, emit, say

ABOUT: Final = "Reads and answers as an agent: who waits, what was said, what comes in."
MORE: Final = """\
It works on the backend's database, while `support-chat serve` runs and while it
does not. `support-chat inbox ACTION --help` has the options of each action.

examples:
  support-chat inbox list --waiting                  who has waited longest
  support-chat inbox open conversation-3f2a          what was said there
  support-chat inbox answer conversation-3f2a "Hi"   answers it
  support-chat inbox follow                          what is written, as it comes

exit status: 0, or 2 for what is not there or cannot be said. `follow` ends with
0 at Ctrl-C, and with 1 when the database is deleted or replaced.
"""
_LOOKS: Final = 0.25
"""Seconds between two looks at the database."""
_ON_A_PAGE: Final = 10
"""Conversations, in two rows each: a page fits on a small screen."""
_SAID: Final = 50
"""Messages of a conversation that are shown."""


@attrs.frozen
class _Action:
    about: str
    more: str
    options: tuple[Option, ...]
    run: Callable[[Backend, argparse.Namespace], int]


def _list(backend: Backend, arguments: argparse.Namespace) -> int:
    page = backend.agent.inbox(
        waiting=arguments.waiting, after=arguments.after, limit=arguments.limit
    )
    if arguments.json:
        listed = [conversation_as_json(one) for one in page.items]
        emit(as_json("inbox", {"conversations": listed, "next": page.next_cursor}))
        return 0
    for one in page.items:
        print(rows(one, time.time(), columns(sys.stdout)))
    if not page.items and arguments.after is None:
        print("nobody waits for an answer" if arguments.waiting else "nobody has written yet")
    if page.next_cursor is not None:
        waiting = ["--waiting"] * arguments.waiting
        _say_how("more", arguments, _ON_A_PAGE, "list", *waiting, "--after", page.next_cursor)
    return 0


def _open(backend: Backend, arguments: argparse.Namespace) -> int:
    one = backend.agent.listed(arguments.conversation)
    if one is None:
        raise Misuse(_not_there(arguments))
    id, about, width = one.conversation.id, one.conversation.about, columns(sys.stdout)
    page = backend.agent.history(id, before=arguments.before, limit=arguments.limit)
    if arguments.json:
        said = [message_as_json(message) for message in page.items]
        shown = {**conversation_as_json(one), "said": said, "earlier": page.next_cursor}
        emit(as_json("conversation", shown))
        return 0
    traits = backend.agent.traits(one.owner)
    known = [str(traits[path]) for path in ("user.name", "user.email") if traits.get(path)]
    for name, what in (
        ("who", ", ".join([str(one.owner), *known])),
        ("subject", about.subject),
        ("tags", ", ".join(about.tags)),
    ):
        if what:
            print(hanging(f"{name:7}  ", clean(what), width))
    if page.next_cursor is not None:
        _say_how("earlier", arguments, _SAID, "open", id, "--before", page.next_cursor)
    for message in page.items:
        print(spoken(message, width))
    print(state(one, time.time()))
    return 0


def _answer(backend: Backend, arguments: argparse.Namespace) -> int:
    text = one_text(arguments.text, f"support-chat inbox answer {arguments.conversation}")
    return answer(backend, arguments, arguments.conversation, text, _not_there(arguments))


def _follow(backend: Backend, arguments: argparse.Namespace) -> int:
    database = Path(arguments.db)
    file = file_at(database)

    def is_there() -> bool:
        return is_at_a_server(arguments) or (file is not None and file_at(database) == file)

    if not arguments.json:
        say("what visitors and users write from now on; Ctrl-C ends it")
    try:
        for message in _arriving(backend, arguments.after, is_there):
            one = backend.agent.listed(message.conversation_id)
            if one is None:  # forgotten at this very moment
                continue
            if arguments.json:
                owner = owner_as_json(one.owner)
                emit(as_json("message", {**message_as_json(message), "owner": owner}))
            else:
                print(arrived(message, one.owner, columns(sys.stdout)))
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        if not is_at_a_server(arguments) or not backend.store.trouble(error, "reading"):
            raise
    gone = "does not answer" if is_at_a_server(arguments) else "was deleted or replaced"
    complain(f"{shown(arguments)} {gone}; begin again when it is back.")
    return 1


def _arriving(
    backend: Backend, after: str | None, is_there: Callable[[], bool]
) -> Iterator[Message]:
    """The messages as they are written, as long as the database is there."""
    page = backend.agent.arrivals(after)
    while is_there():
        yield from page.items
        cursor = page.next_cursor
        page = backend.agent.arrivals(cursor)
        if page.next_cursor == cursor:
            time.sleep(_LOOKS)


def _not_there(arguments: argparse.Namespace) -> str:
    return (
        f"there is no conversation {arguments.conversation!r}; support-chat inbox list shows "
        "those that there are."
    )


def _say_how(label: str, arguments: argparse.Namespace, limit: int, *words: str) -> None:
    """Says with which command to go on."""
    limited = [] if arguments.limit == limit else ["--limit", str(arguments.limit)]
    database = [] if arguments.db == DEFAULT_DB else ["--db", shown(arguments)]
    command = shlex.join(["support-chat", "inbox", *words, *limited, *database])
    print(f"{label}: {coloured(command, 'bold', sys.stdout)}")


def _limit(default: int, what: str) -> Option:
    return option(
        "--limit",
        metavar="N",
        type=number(int, 1, "a whole number from 1 to 1000", most=1000),
        default=default,
        help=f"how many {what} (default: {default})",
    )


_ID: Final = option("conversation", metavar="ID", help="the conversation, by its id")
_JSON: Final = option("--json", action="store_true", help="JSON instead of text")
_ACTIONS: Final = {
    "list": _Action(
        "the conversations: those first in which something was written last",
        """\
examples:
  support-chat inbox list                         the latest first
  support-chat inbox list --waiting --limit 1     who has waited longest
  support-chat inbox list --json --limit 1000     a line of JSON; `next` is the
                                                  --after of the next page
""",
        (
            option(
                "--waiting",
                action="store_true",
                help="those that wait for an answer, the longest first",
            ),
            option("--after", metavar="MESSAGE", help="the next page, as the one before names it"),
            _limit(_ON_A_PAGE, "of them"),
            _JSON,
        ),
        _list,
    ),
    "open": _Action(
        "one conversation: whose it is, and what was said",
        """\
examples:
  support-chat inbox open conversation-3f2a
  support-chat inbox open conversation-3f2a --before message-12
""",
        (
            _ID,
            option("--before", metavar="MESSAGE", help="what was said before this message"),
            _limit(_SAID, "messages, the last ones"),
            _JSON,
        ),
        _open,
    ),
    "answer": _Action(
        "write into a conversation",
        """\
An answer is stored once for its id. If you do not know whether it was stored,
give it again, with the same id: a second one is told of, and stores nothing.

examples:
  support-chat inbox answer conversation-3f2a "It is on its way."
  support-chat inbox answer conversation-3f2a "It is on its way." --id ticket-7-1
  support-chat inbox answer conversation-3f2a "It is on its way." --agent 7 \\
      --agent-name "Grace"
""",
        (_ID, option("text", nargs="+", help="what to say, in quotes"), ANSWER_ID, AGENT, _JSON),
        _answer,
    ),
    "follow": _Action(
        "what visitors and users write, as it comes, until Ctrl-C",
        """\
examples:
  support-chat inbox follow
  support-chat inbox follow --json --after message-12   for a program that was
                                                        away: it misses nothing
""",
        (
            option(
                "--after",
                metavar="MESSAGE",
                help="begin after this message (default: with the next that is written)",
            ),
            option("--json", action="store_true", help="a line of JSON a message"),
        ),
        _follow,
    ),
}


def _add_actions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        title="actions",
        metavar="ACTION",
        dest="action",
        required=True,
        parser_class=argparse.ArgumentParser,
    )
    for name, action in _ACTIONS.items():
        one = actions.add_parser(
            name,
            help=action.about,
            description=action.about.capitalize() + ".",
            epilog=action.more,
            formatter_class=Help,
        )
        for each in (*action.options, add_backend_options):
            each(one)


OPTIONS: Final = (_add_actions,)


def run(arguments: argparse.Namespace) -> int:
    """Does the action."""
    action = _ACTIONS[arguments.action]
    require_database(arguments)
    with open_backend(arguments) as backend:
        return action.run(backend, arguments)
