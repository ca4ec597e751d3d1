"""What the commands that answer share: a text that is one argument, the id that makes an answer
one, and how it is told.
"""

from __future__ import annotations

import argparse
import secrets
import shlex
from typing import Final

from support_chat import Identity, InvalidInputError
from support_chat.values import Agent

from ..backend import Backend
from .options import group, option
from .terminal import Misuse, as_json, emit

ANSWER_ID: Final = option(
    "--id",
    dest="answer_id",
    metavar="ID",
    help="an id of yours for this answer, so that it may be given again when you do not know "
    "whether it was stored (default: a new one, which is printed)",
)
"""The option that names an answer."""
AGENT: Final = group(
    "who answers",
    option("--agent", metavar="ID", help="the agent's id in your helpdesk; clients are told"),
    option("--agent-name", metavar="NAME", help="the name that clients show for --agent"),
)
"""The options that say who answers."""


def one_text(words: list[str], command: str) -> str:
    """The text of an answer; raises Misuse for a blank one, and for several words without quotes
    after this command.
    """
    text, *more = words
    if more:
        quoted = shlex.quote(" ".join(words))
        raise Misuse(f"put the text into quotes: {command} {quoted}")
    if not text.strip():
        raise Misuse("the text is blank; say something.")
    return text


def answer(
    backend: Backend, arguments: argparse.Namespace, to: str | Identity, text: str, nobody: str
) -> int:
    """Stores an answer once for its id, tells of it, and returns the exit status; raises Misuse,
    which says `nobody` if there is nobody to write to.
    """
    if arguments.agent is None and arguments.agent_name is not None:
        raise Misuse("--agent-name needs the id of the agent: add --agent ID.")
    id = f"answer-{secrets.token_hex(6)}" if arguments.answer_id is None else arguments.answer_id
    try:
        agent = None if arguments.agent is None else Agent(arguments.agent, arguments.agent_name)
        answered = backend.agent.answer(to, text, agent=agent, answer_id=id)
    except InvalidInputError as error:
        raise Misuse(nobody if error.reason == "nobody" else error.message) from None
    message = answered.message
    if arguments.json:
        stored = {
            "id": message.id,
            "conversation_id": message.conversation_id,
            "answer_id": id,
            "again": answered.again,
        }
        emit(as_json("reply", stored))
    else:
        how = f"was stored before as {id}; nothing new" if answered.again else f"as {id}"
        emit(f"{message.id} in {message.conversation_id} {how}\n")
    return 0
