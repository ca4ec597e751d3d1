"""The judge: what the processes told, what the storage held and what the database has must fit.
Each rule is one function that yields a sentence for each violation.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from killing.stored import StoredMessage

from .evidence import Evidence

Rule = Callable[[Evidence], Iterator[str]]


def judge(evidence: Evidence) -> list[str]:
    """Every violation, what was complained of while the round ran included."""
    return [*evidence.complaints, *(sentence for rule in RULES for sentence in rule(evidence))]


def it_was_killed_with_its_call_under_way(evidence: Evidence) -> Iterator[str]:
    """Otherwise the round shows nothing."""
    if evidence.dead.status != -signal.SIGKILL:
        yield f"nobody was killed: it ended with {evidence.dead.status}"
    if not evidence.dead.did("under way"):
        yield "it was killed before its call was under way"
    for error in evidence.dead.of("broken", "error"):
        yield f"before it was killed, it came upon {error}"


def every_later_boot_succeeds(evidence: Evidence) -> Iterator[str]:
    """And whatever a successor does after it."""
    for told in evidence.successors:
        if not told.did("booted"):
            yield f"a later boot failed: {told.of('broken', 'error')}"
        elif not told.did("done") or told.did("broken"):
            yield f"a successor did not get to its end: {told.of('broken', 'error')}"


def messages_are_stored_once(evidence: Evidence) -> Iterator[str]:
    """What was acknowledged is there once, as it was answered; what was not, at most once."""
    rows = _rows(evidence)
    for name, times in Counter(row.client_message_id for row in rows).items():
        if times != 1:
            yield f"{name} is stored {times} times"
        if name not in evidence.names:
            yield f"{name} was never sent"
    ids = {row.client_message_id: f"message-{row.number}" for row in rows}
    for name, id in evidence.answered.items():
        if name not in ids:
            yield f"{name} was acknowledged and is not stored"
        elif ids[name] != id:
            yield f"{name} was answered as {id} and is stored as {ids[name]}"
    for row in rows:
        if row.text != f"text of {row.client_message_id}":
            yield f"{row.client_message_id} is stored with the text {row.text!r}"
    if evidence.plan.resends and (lost := [one for one in evidence.names if one not in ids]):
        yield f"{lost} never came, though they were sent again"


def messages_are_in_order(evidence: Evidence) -> Iterator[str]:
    """One leaves when the one before it has an answer: so what is there are the first of the calls,
    in one conversation.
    """
    rows = _rows(evidence)
    names = [row.client_message_id for row in rows]
    expected = list(evidence.names[: len(names)])
    if names != expected:
        yield f"{names} are stored, in this order, and the calls were {list(evidence.names)}"
    if len(conversations := {row.conversation_id for row in rows}) > 1:
        yield f"one conversation became {len(conversations)}"
    for listed in (told.of("listed", "conversations") for told in evidence.successors[:1]):
        if evidence.found is not None and listed and listed[0] != ([names] if names else []):
            yield f"the successor was shown {listed[0]}, and {names} are stored"
    if evidence.heard is not None and evidence.heard != names:
        yield f"another tab heard of {evidence.heard}, and {names} are stored"


def all_is_gone_or_all_is_usable(evidence: Evidence) -> Iterator[str]:
    """The visitor is stored as before or not at all, not only in part; and is there unless a clear
    was under way.
    """
    found, call = evidence.found, evidence.plan.call
    secrets = evidence.dead.of("booted", "secret")
    if secrets and found not in (*secrets, None):
        yield "what is stored is neither the visitor's secret nor nothing"
    if secrets and found is None and call != "clear":
        yield f"the visitor was lost by a {call}"
    if evidence.dead.did("cleared") and found is not None:
        yield "the clear had succeeded, and the secret is stored"
    if found is None:
        return
    known = {*evidence.dead.of("booted", "visitor")}
    for told in evidence.successors:
        if {*told.of("booted", "secret")} - {found}:
            yield "the secret that was stored is not the successor's"
        if known and {*told.of("booted", "visitor")} - known:
            yield "the visitor was not recognised"


def one_visitor_at_most_is_minted(evidence: Evidence) -> Iterator[str]:
    """All who take over are one visitor, and there is no other than that one and the dead one's."""
    dead = {*evidence.dead.of("booted", "visitor")}
    came = {visitor for told in evidence.successors for visitor in told.of("booted", "visitor")}
    if len(came) > 1:
        yield f"{len(came)} visitors took over"
    if len(made := evidence.visitors | dead | came) > 1 + (evidence.found is None):
        yield f"{len(made)} visitors were made"


def a_late_write_is_refused(evidence: Evidence) -> Iterator[str]:
    """What the network held past its deadline changes nothing."""
    if evidence.before_late != evidence.after_late:
        yield "a dead process's write landed after its deadline"


def nothing_is_left_of_who_was_cleared(evidence: Evidence) -> Iterator[str]:
    """No byte of theirs is in the storage, and the backend refuses their secret."""
    yield from (f"after a clear {what}" for what in evidence.left_behind)
    if any(evidence.accepted.values()):
        yield "the backend still takes the secret of a visitor who was cleared"


RULES: Final[tuple[Rule, ...]] = (
    it_was_killed_with_its_call_under_way,
    every_later_boot_succeeds,
    messages_are_stored_once,
    messages_are_in_order,
    all_is_gone_or_all_is_usable,
    one_visitor_at_most_is_minted,
    a_late_write_is_refused,
    nothing_is_left_of_who_was_cleared,
)
"""All of them."""


def _rows(evidence: Evidence) -> list[StoredMessage]:
    """The messages of the round, in the backend's order."""
    mine = f"message-{evidence.plan.seed}-"
    return [
        row for row in evidence.stored.messages if (row.client_message_id or "").startswith(mine)
    ]
