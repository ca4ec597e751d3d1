"""The judge of a long run: what was seen and what the database holds must fit. Each rule is one
function that yields a sentence for each violation, and takes time in proportion to what there is.

The rules of `killing.judge` look at one round of a few clients, and at each pair of them; two of
them are used here as they are.
"""

from __future__ import annotations

import bisect
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final

import attrs

from killing import judge as of_rounds
from killing.evidence import Evidence
from killing.stored import Stored, StoredMessage

from .evidence import Life, Seen

Rule = Callable[["Case"], Iterator[str]]


@attrs.frozen
class Case:
    """What is judged: what was seen, what is stored, and this as it can be looked up."""

    seen: Seen
    stored: Stored
    rows: Mapping[int, StoredMessage]
    by_id: Mapping[str, list[StoredMessage]]
    merged: Mapping[str, str]
    """Each visitor who became a user, and who; both as owners."""
    written_for: Mapping[str, list[int]]
    """By owner at the time of writing: the numbers of the messages, in order."""


def judge(seen: Seen, stored: Stored) -> list[str]:
    """Every violation, what the clients complained of included."""
    case = case_of(seen, stored)
    return [*seen.complaints, *(sentence for rule in RULES for sentence in rule(case))]


def case_of(seen: Seen, stored: Stored) -> Case:
    """What is judged, made ready."""
    by_id: dict[str, list[StoredMessage]] = defaultdict(list)
    for row in stored.messages:
        if row.client_message_id is not None:
            by_id[row.client_message_id].append(row)
    written_for: dict[str, list[int]] = defaultdict(list)
    for number, (owner, _) in seen.replies.items():
        written_for[owner].append(number)
    for life in seen.lives.values():
        for id, sent in life.sent.items():
            numbers = {row.number for row in by_id.get(id, [])} | {*sent.numbers}
            written_for[sent.owner] += numbers
    return Case(
        seen,
        stored,
        {row.number: row for row in stored.messages},
        by_id,
        {
            f"visitor:{visitor.id}": f"user:{visitor.merged_into}"
            for visitor in stored.visitors
            if visitor.merged_into is not None
        },
        {owner: sorted(numbers) for owner, numbers in written_for.items()},
    )


def the_file_is_sound(case: Case) -> Iterator[str]:
    """As in a round; and whoever was accepted is one user."""
    nothing = Evidence(0, "boot", "during")
    yield from of_rounds.the_file_is_sound(nothing, case.stored)
    yield from of_rounds.users_are_unique(nothing, case.stored)


def messages_are_stored_once(case: Case) -> Iterator[str]:
    """What was acknowledged is there as it was answered, what was refused is not; what has an
    unknown end is there at most once, with its payload; nothing is there that nobody sent.
    """
    known: set[str] = set()
    for name, life in case.seen.lives.items():
        known.update(life.sent)
        for id, sent in life.sent.items():
            rows = case.by_id.get(id, [])
            if len(rows) > 1:
                yield f"doubled: {id} is stored {len(rows)} times"
            if len({*sent.numbers}) > 1:
                yield f"doubled: {id} was answered as {sorted({*sent.numbers})}"
            if sent.numbers and not rows:
                yield f"lost: {id} of {name} was acknowledged and is not stored"
            if sent.refused and rows:
                yield f"{id} is stored, though the session had said that it was not sent"
            owner = case.merged.get(sent.owner, sent.owner)
            for row in rows:
                if (row.text, row.owner) != (sent.text, owner):
                    yield f"lost: {id} of {owner} is stored as {row}"
                elif sent.numbers and row.number not in sent.numbers:
                    yield f"{id} was answered as {sent.numbers} and is stored as {row.number}"
    yield from (f"doubled: {id} is stored and was never sent" for id in case.by_id.keys() - known)
    for number, (_, text) in case.seen.replies.items():
        if number not in case.rows or case.rows[number].text != text:
            yield f"lost: an agent's message-{number} is stored as {case.rows.get(number)}"


def sends_keep_their_order(case: Case) -> Iterator[str]:
    """A client awaits each send, so the next one that is acknowledged comes after it."""
    for name, life in case.seen.lives.items():
        numbers = [sent.numbers[0] for sent in life.sent.values() if sent.numbers]
        if numbers != sorted(numbers):
            yield f"out of order: {name} sent, one after the other, {_first_back(numbers)}"


def news_arrives_once_and_in_order(case: Case) -> Iterator[str]:
    """What is written for the owner of a live link arrives there once, as it is stored, in the
    order of the numbers, unless this link has sent it.
    """
    for name, life in case.seen.lives.items():
        numbers = [number for number, _, _ in life.got]
        arrived = Counter(numbers)
        yield from (
            f"doubled: message-{number} arrived {count} times at {name}"
            for number, count in arrived.items()
            if count > 1
        )
        if numbers != sorted(numbers):
            yield f"out of order: at {name} arrived {_first_back(numbers)}"
        for number, conversation, text in life.got:
            row = case.rows.get(number)
            if row is None or (row.conversation_id, row.text) != (conversation, text):
                yield f"message-{number} arrived at {name} and is stored as {row}"
            elif row.client_message_id in life.sent:
                yield f"doubled: its own {row.client_message_id} came back to {name}"
        if life.gaps:
            yield f"lost: {name} was told of a gap"
        yield from (
            f"lost: message-{number} never arrived at {name}"
            for number in _due(case, life)
            if number not in arrived
        )


def _due(case: Case, life: Life) -> Iterator[int]:
    own = {row.number for id in life.sent for row in case.by_id.get(id, [])}
    own.update(number for sent in life.sent.values() for number in sent.numbers)
    for owner, after in life.owners:
        numbers = case.written_for.get(owner, [])
        for number in numbers[bisect.bisect_right(numbers, after) :]:
            if number > life.up_to:
                break
            if number not in own:
                yield number


def merges_happened(case: Case) -> Iterator[str]:
    """An identify that was answered is a merge of this visitor into this user, of as many
    conversations as it said; no conversation was left behind.
    """
    rows = {merge.visitor_id: merge for merge in case.stored.merges}
    for visitor, user, moved in case.seen.identified:
        row = rows.get(visitor)
        if row is None or row.user_id != user or moved not in (None, row.conversations):
            yield f"identify({user}) of {visitor} moved {moved}, and the merge is {row}"
    yield from (
        f"lost: {conversation} was left with {owner}, who is merged"
        for conversation, owner in case.stored.conversations
        if owner in case.merged
    )


def values_are_stored(case: Case) -> Iterator[str]:
    """The last value that was seen in the database is there, or one that came after it."""
    for (owner, path), values in case.seen.values.items():
        acknowledged = [at for at, value in enumerate(values) if value.stored]
        if not acknowledged:
            continue
        possible = [value.value for value in values[acknowledged[-1] :]]
        found = case.stored.traits.get((owner, path))
        if found not in possible:
            yield f"lost: {path} of {owner} is {json.dumps(found)}, not one of {possible}"


def everybody_lists_what_is_theirs(case: Case) -> Iterator[str]:
    """Those who were live when everything had settled have seen their conversations, whole.

    What was written in a later sitting is not in it.
    """
    whose: dict[str, str] = dict(case.stored.conversations)
    counts = Counter(row.conversation_id for row in case.stored.messages)
    for name, life in case.seen.lives.items():
        for conversation, count in (life.listed or {}).items():
            if whose.get(conversation) != life.owners[-1][0] or count > counts[conversation]:
                yield f"{name} lists {conversation} with {count}, the database has it otherwise"
        if life.listed is not None:
            for sent in life.sent.values():
                row = case.rows.get(sent.numbers[0]) if sent.numbers else None
                if row is not None and row.conversation_id not in life.listed:
                    yield f"lost: {name} does not list its {row.conversation_id}"


RULES: Final[tuple[Rule, ...]] = (
    the_file_is_sound,
    messages_are_stored_once,
    sends_keep_their_order,
    news_arrives_once_and_in_order,
    merges_happened,
    values_are_stored,
    everybody_lists_what_is_theirs,
)
"""All of them."""


def _first_back(numbers: list[int]) -> str:
    at = next(at for at, (a, b) in enumerate(pairwise(numbers)) if b < a)
    return f"message-{numbers[at + 1]} after message-{numbers[at]}"
