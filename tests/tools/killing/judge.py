"""The judge: what was seen and what the database holds must fit. Each rule is one function that
yields a sentence for each violation.

No rule asks how it came about. A rule is strict where the client was told something (an answer, an
event) or stayed live to the end; where a life was ended by shutdown() with something on its way,
both ends are right, but nothing may have happened twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from .evidence import Client, Evidence, Life, Recorded, Sent
from .plans import Moment
from .stored import Stored, StoredMessage, hashed

Rule = Callable[[Evidence, Stored], Iterator[str]]


def judge(evidence: Evidence, stored: Stored) -> list[str]:
    """Every violation, what was complained of while the round ran included."""
    return [
        *evidence.complaints,
        *(sentence for rule in RULES for sentence in rule(evidence, stored)),
    ]


def is_on_its_way(evidence: Evidence, stored: Stored) -> bool:
    """Whether something may still arrive that the judge would miss now: a recorded value, or a
    message.
    """
    return any(
        True for rule in (values_are_stored, news_arrives_once) for _ in rule(evidence, stored)
    )


def ended_sessions(client: Client) -> list[str]:
    """The credentials of sessions that the backend has acknowledged as ended."""
    return [
        one.session
        for one in client.exchanges
        if one.asks == "shutdown" and one.granted and one.session is not None
    ]


# --- the rules ------------------------------------------------------------------------------------


def the_backend_was_killed_as_planned(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """Otherwise the round shows nothing."""
    kill, moment = evidence.kill, evidence.moment
    if not kill.done:
        yield "nothing was killed"
    elif kill.committed and moment == Moment.BEFORE:
        yield "the request was committed, though the process died before it left"
    elif not kill.committed and moment in (Moment.AT_COMMIT, Moment.AFTER):
        yield (
            f"the {evidence.kind} was not committed, though the process died {moment}: what was "
            "answered is not on disk"
        )


def the_file_is_sound(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """SQLite finds nothing wrong, and no transaction was half done."""
    yield from (f"the database is damaged: {what}" for what in stored.damage)
    used = {message.conversation_id for message in stored.messages}
    yield from (
        f"{conversation} was begun without a message"
        for conversation, _ in stored.conversations
        if conversation not in used
    )


def every_call_settled(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """No call is still under way, and no phase was skipped or told twice."""
    for client in evidence.clients:
        yield from (f"{client.name}: {what} has not settled" for what in client.unsettled)
        for before, after in zip(client.phases, client.phases[1:], strict=False):
            if before.current != after.previous:
                yield (
                    f"{client.name}: the phase went to {before.current}, then from {after.previous}"
                )


def users_are_unique(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """Whoever was accepted is one user, and nobody else has become one."""
    counts = Counter(stored.users)
    yield from (f"{user} is {count} users" for user, count in counts.items() if count != 1)
    accepted = {
        owner for life in _lives(evidence) for owner, _ in life.owners if owner.startswith("user:")
    }
    yield from (
        f"{owner} was accepted and is no user"
        for owner in accepted
        if owner.removeprefix("user:") not in counts
    )
    asked = set(evidence.users)
    mine = [user for user in counts if user.startswith(f"user-{evidence.seed}-")]
    yield from (f"{user} is a user whom nobody asked for" for user in mine if user not in asked)


def merges_happen_once(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """Each identify() that was answered is one merge, into that user, of all the visitor's
    conversations; no other visitor merged.
    """
    merges = Counter(merge.visitor_id for merge in stored.merges)
    yield from (
        f"{visitor} was merged {count} times" for visitor, count in merges.items() if count != 1
    )
    merged = {
        visitor.id: visitor.merged_into
        for visitor in stored.visitors
        if visitor.merged_into is not None
    }
    if merged != {merge.visitor_id: merge.user_id for merge in stored.merges}:
        yield "the visitors who are merged and the merges are not the same"
    yield from (
        f"{conversation} was left with {owner}, who is merged"
        for conversation, owner in stored.conversations
        if owner.startswith("visitor:") and stored.final(owner) != owner
    )
    rows = {merge.visitor_id: merge for merge in stored.merges}
    for life in _lives(evidence):
        for identifying in life.identifies:
            row, result = rows.get(identifying.visitor), identifying.result
            if row is not None and row.user_id != identifying.user:
                yield (
                    f"{identifying.visitor} was merged into {row.user_id}, not into "
                    f"{identifying.user}"
                )
            if result is None:
                if life.ending == "stay":
                    yield f"identify({identifying.user}) has no result"
                continue
            if not result.merged or row is None:
                yield (
                    f"identify({identifying.user}) of {identifying.visitor} said {result}, and "
                    f"the merge is {row}"
                )
            elif result.conversations_moved != row.conversations:
                yield (
                    f"identify({identifying.user}) said {result.conversations_moved} "
                    f"conversations, the merge {row.conversations}"
                )
    for visitor_id, row in rows.items():
        began = _conversations_of_visitor(visitor_id, evidence, stored)
        if began is not None and len(began) != row.conversations:
            yield f"{visitor_id} had {len(began)} conversations, {row.conversations} were moved"


def messages_are_stored_once(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """What was acknowledged is there once, with its owner, as it was answered; what was not is
    there at most once.
    """
    by_id: dict[str, list[StoredMessage]] = {}
    for message in stored.messages:
        if message.client_message_id is not None:
            by_id.setdefault(message.client_message_id, []).append(message)
    minted = {sent.client_message_id for sent in _sent(evidence)}
    mine = (one for one in by_id if one.startswith(f"message-{evidence.seed}-"))
    yield from (
        f"{client_id} is stored and was never sent" for client_id in mine if client_id not in minted
    )
    for life in _lives(evidence):
        for sent in life.sent:
            yield from _message_is_stored_once(sent, by_id.get(sent.client_message_id, []), stored)
            if not sent.answers and life.ending == "stay":
                yield f"{sent.client_message_id} was never acknowledged, {sent.attempts} attempts"
        told = Counter(message.client_message_id for message in life.told_sent)
        answered = Counter(
            {sent.client_message_id: len(sent.answers) for sent in life.sent if sent.answers}
        )
        yield from (f"MessageSent told {n} times of {one}" for one, n in told.items() if n > 1)
        if life.ending == "stay" and not told >= answered:
            yield f"MessageSent told of {dict(told)}, the answers are {dict(answered)}"


def _message_is_stored_once(sent: Sent, rows: list[StoredMessage], stored: Stored) -> Iterator[str]:
    if len(rows) > 1:
        yield f"{sent.client_message_id} is stored {len(rows)} times"
    if sent.answers and not rows:
        yield f"{sent.client_message_id} was acknowledged and is not stored"
    for row in rows:
        if row.text != sent.text or row.owner != stored.final(sent.owner):
            yield f"{sent.client_message_id} of {stored.final(sent.owner)} is stored as {row}"
        for answer in sent.answers:
            if (answer.id, answer.conversation_id, answer.text) != (
                f"message-{row.number}",
                row.conversation_id,
                row.text,
            ):
                yield f"{sent.client_message_id} was answered as {answer} and is stored as {row}"


def news_arrives_once(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """What an agent wrote to a life that stayed has arrived once, in order and as stored, or the
    frontend was told of a gap.
    """
    rows = {f"message-{message.number}": message for message in stored.messages}
    for client in evidence.clients:
        for life in client.lives:
            counts = Counter(message.id for message in life.received)
            yield from (
                f"{client.name}: {name} arrived {count} times"
                for name, count in counts.items()
                if count > 1
            )
            numbers = [int(name.removeprefix("message-")) for name in counts]
            if numbers != sorted(numbers):
                yield f"{client.name}: the messages arrived in the order {numbers}"
            own = {sent.client_message_id for sent in life.sent}
            for message in life.received:
                row = rows.get(message.id)
                if row is None or (row.text, row.conversation_id) != (
                    message.text,
                    message.conversation_id,
                ):
                    yield f"{client.name}: {message} arrived and is stored as {row}"
                if message.client_message_id in own:
                    yield f"{client.name}: its own {message.client_message_id} came back"
            if life.ending == "stay" and not life.gap:
                due = _due(evidence, life)
                yield from (
                    f"{client.name}: message-{number} never arrived"
                    for number in due
                    if f"message-{number}" not in counts
                )


def values_are_stored(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """The last value of each path is stored; after a shutdown() an older one may be, but none older
    than an acknowledged one.
    """
    for client in evidence.clients:
        last: dict[tuple[str, str], list[tuple[Recorded, Life]]] = {}
        for life in client.lives:
            for recorded in life.recorded:
                last.setdefault((recorded.owner, recorded.path), []).append((recorded, life))
        acknowledged = {
            (path, value)
            for exchange in client.exchanges
            if exchange.asks == "update" and exchange.granted
            for path, value in exchange.body["changes"].items()
        }
        for (owner, path), values in last.items():
            found = stored.traits.get((owner, path))
            possible: list[str | None] = []
            for recorded, life in values:
                possible = possible if possible else [None]
                if (path, recorded.value) in acknowledged or life.ending == "stay":
                    possible = []
                possible.append(recorded.value)
            if found not in possible:
                yield f"{client.name}: {path} of {owner} is {found!r}, not one of {possible}"


def what_was_ended_stays_ended(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """A session that was shut down is not used again; one whose end was acknowledged is revoked,
    and refused to whoever tries it.
    """
    revoked = {session.secret_hash: session.revoked for session in stored.sessions}
    for client in evidence.clients:
        left: dict[str, int] = {}
        for exchange in client.exchanges:
            if exchange.asks == "shutdown" and exchange.session is not None:
                left.setdefault(exchange.session, exchange.began)
        for exchange in client.exchanges:
            if (
                exchange.asks != "shutdown"
                and exchange.session in left
                and exchange.began > left[exchange.session]
            ):
                yield f"{client.name}: {exchange.asks} was asked in a session that it had ended"
        for session in ended_sessions(client):
            if not revoked.get(hashed(session)):
                yield f"{client.name}: a session whose end was acknowledged is not revoked"
            if evidence.refused.get(session) != 403:
                yield (
                    f"{client.name}: an ended session was answered with "
                    f"{evidence.refused.get(session)}"
                )


def the_client_knows_who_it_is(evidence: Evidence, stored: Stored) -> Iterator[str]:
    """Every life that stayed was live at the end, for whom the database says, with their
    conversations; a visitor is recognised.
    """
    for client in evidence.clients:
        for life in client.lives:
            if life.ending != "stay":
                continue
            if life.listed is None:
                yield f"{client.name}: not live at the end"
                continue
            expected = _listing(life.owner, stored)
            if sorted(life.listed) != sorted(expected):
                yield (
                    f"{client.name}: {life.owner} lists {life.listed}, the database has {expected}"
                )
        for before, after in zip(client.lives, client.lives[1:], strict=False):
            first, second = (life.owners[0][0] if life.owners else "" for life in (before, after))
            if first.startswith("visitor:") and second.startswith("visitor:"):
                kept = before.ending == "shutdown" and not before.identifies
                if kept and first != second:
                    yield f"{client.name}: {first} was not recognised, it became {second}"
                if before.ending == "clear" and first == second:
                    yield f"{client.name}: {first} was recognised after a clear"


RULES: Final[tuple[Rule, ...]] = (
    the_backend_was_killed_as_planned,
    the_file_is_sound,
    every_call_settled,
    users_are_unique,
    merges_happen_once,
    messages_are_stored_once,
    news_arrives_once,
    values_are_stored,
    what_was_ended_stays_ended,
    the_client_knows_who_it_is,
)
"""All of them."""


def _lives(evidence: Evidence) -> Iterator[Life]:
    return (life for client in evidence.clients for life in client.lives)


def _sent(evidence: Evidence) -> Iterator[Sent]:
    return (sent for life in _lives(evidence) for sent in life.sent)


def _due(evidence: Evidence, life: Life) -> list[int]:
    """The numbers of the agent's messages that this life has to have received: written to it while
    it was live.
    """
    own = {answer.conversation_id for sent in life.sent for answer in sent.answers}
    since = life.owners[0][1] if life.owners else 0
    return [
        reply.number
        for reply in evidence.replies
        if any(reply.owner == owner and reply.number > after for owner, after in life.owners)
        or (reply.conversation_id in own and reply.number > since)
    ]


def _conversations_of_visitor(
    visitor_id: str, evidence: Evidence, stored: Stored
) -> set[str] | None:
    """The conversations that a visitor of this round had; None for one of another round."""
    owner = f"visitor:{visitor_id}"
    if not any(owner == whose for life in _lives(evidence) for whose, _ in life.owners):
        return None
    ids = {sent.client_message_id for sent in _sent(evidence) if sent.owner == owner}
    began = {
        message.conversation_id
        for message in stored.messages
        if message.author == "visitor" and message.client_message_id in ids
    }
    return began | {reply.conversation_id for reply in evidence.replies if reply.owner == owner}


def _listing(owner: str, stored: Stored) -> tuple[tuple[str, int], ...]:
    counts = Counter(message.conversation_id for message in stored.messages)
    return tuple(
        (conversation, counts[conversation])
        for conversation, whose in stored.conversations
        if whose == owner
    )
