"""What send_message() was given and has no answer yet: a pure record, changed by pure functions.

A message *waits*, is *under way* (a request for it has no outcome yet), or is *unknown*: it has
left and may have arrived. An unknown one is sent again under its id, which never makes two, until
the backend answers or the stream brings it. Of each conversation one message is under way at a
time, the first; those behind it wait, so that everybody sees one order, and no other conversation
does. What is *over* is to be told: to the call that waits for it, and to listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from ..errors import RateLimitedError, SupportChatError
from ..ports import Outgoing
from ..values import Identity, Message

OWNER_CHANGED = "owner_changed"
"""The code of the refusal of a request that was made for another owner than the session's."""


@attrs.frozen
class Entry:
    """A message on its way. `number` is the call that sent it, `until` when that call gives up, on
    the session's clock. With `waits` it is sent again until it is answered.
    """

    number: int
    message: Outgoing
    until: float
    waits: bool = True
    awaited: bool = True
    """Whether the call still waits."""
    attempts: int = 0
    under_way: bool = False
    left: bool = False
    """Whether it may have arrived."""
    resent: bool = True
    """Whether it is sent again; not after its call was cancelled."""
    not_before: float = 0.0

    @property
    def conversation(self) -> str:
        """Whose order it keeps: a message that begins a conversation follows none."""
        return self.message.conversation_id or f"begun by {self.number}"


@attrs.frozen
class Over:
    """A message that has come to its end, or the wait for it: what the call is told, if it still
    waits, and what listeners hear.
    """

    entry: Entry
    answer: Message | None = None
    error: SupportChatError | None = None
    unknown: bool = False
    """Whether the backend may have the message."""
    ends: bool = True
    """Whether it is the end of the message, too."""


@attrs.frozen
class Outbox:
    """The messages on their way, in the order of their calls, and what is over and not yet told."""

    entries: tuple[Entry, ...] = ()
    over: tuple[Over, ...] = ()


EMPTY = Outbox()


def add(outbox: Outbox, entry: Entry) -> Outbox:
    """The message waits its turn."""
    return attrs.evolve(outbox, entries=(*outbox.entries, entry))


def first(outbox: Outbox) -> Iterator[Entry]:
    """The first message of each conversation."""
    seen: set[str] = set()
    for entry in outbox.entries:
        if entry.conversation not in seen:
            seen.add(entry.conversation)
            yield entry


def sendable(outbox: Outbox, now: float) -> tuple[Entry, ...]:
    """The messages that may leave now."""
    return tuple(e for e in first(outbox) if not e.under_way and e.resent and e.not_before <= now)


def leave(outbox: Outbox, now: float) -> Outbox:
    """Whatever may leave leaves."""
    leaving = {entry.number for entry in sendable(outbox, now)}
    return _each(
        outbox,
        lambda e: attrs.evolve(e, under_way=True, attempts=e.attempts + 1),
        lambda e: e.number in leaving,
    )


def is_under_way(outbox: Outbox, number: int, attempt: int) -> bool:
    """Whether this very attempt at the message is the one whose outcome counts."""
    return any(e.under_way and (e.number, e.attempts) == (number, attempt) for e in outbox.entries)


def stored(outbox: Outbox, number: int, message: Message) -> Outbox:
    """The backend has it."""
    return _over(outbox, lambda e: e.number == number, lambda e: Over(e, message))


def arrived(outbox: Outbox, message: Message) -> Outbox:
    """The stream has brought a message of this session: it needs no other answer."""
    sent = message.client_message_id
    return _over(
        outbox,
        lambda e: e.attempts > 0 and e.message.client_message_id == sent,
        lambda e: Over(e, message),
    )


def refused(outbox: Outbox, number: int, asked: Outgoing, error: SupportChatError) -> Outbox:
    """The backend does not take it. It fails alone and lets the next go on; but one that was asked
    for the visitor whom this session has merged since is asked again, for the user.
    """
    mine = {e.number: e for e in outbox.entries}.get(number)
    if mine is not None and error.code == OWNER_CHANGED and mine.message.owner != asked.owner:
        return _each(
            outbox, lambda e: attrs.evolve(e, under_way=False), lambda e: e.number == number
        )
    return _over(outbox, lambda e: e.number == number, lambda e: Over(e, error=error))


def failed(outbox: Outbox, number: int, error: SupportChatError, not_before: float) -> Outbox:
    """There is no answer. It is sent again, not before then; unless nobody wants that."""
    arrives = not isinstance(error, RateLimitedError)
    outbox = _each(
        outbox,
        lambda e: attrs.evolve(e, under_way=False, left=e.left or arrives, not_before=not_before),
        lambda e: e.number == number,
    )
    return _given_up(outbox, lambda e: e.number == number, error)


def link_gone(outbox: Outbox, error: SupportChatError) -> Outbox:
    """What was under way may have arrived, and is sent again by the next link."""
    outbox = _each(
        outbox,
        lambda e: attrs.evolve(e, left=e.left or e.under_way, under_way=False, not_before=0.0),
    )
    return _given_up(outbox, lambda e: True, error)


def expire(outbox: Outbox, now: float, unsent: SupportChatError, sent: SupportChatError) -> Outbox:
    """The time of some calls is over. A message that never left is withdrawn; one that has left
    goes on without its call.
    """
    late = {e.number for e in outbox.entries if e.awaited and e.until <= now}
    gone = {e.number for e in outbox.entries if e.number in late and (e.left or e.under_way)}
    told = [
        Over(e, error=sent, unknown=True, ends=False) for e in outbox.entries if e.number in gone
    ]
    outbox = _each(outbox, lambda e: attrs.evolve(e, awaited=False), lambda e: e.number in gone)
    outbox = _over(outbox, lambda e: e.number in late - gone, lambda e: Over(e, error=unsent))
    return attrs.evolve(outbox, over=(*outbox.over, *told))


def withdraw(outbox: Outbox, number: int, error: SupportChatError) -> Outbox:
    """Nobody awaits the call any more. A message that never left does not leave; one that has left
    is not sent again, and those behind it go on.
    """
    outbox = _each(outbox, lambda e: attrs.evolve(e, resent=False), lambda e: e.number == number)
    return _given_up(outbox, lambda e: e.number == number and not e.under_way, error)


def drop(outbox: Outbox, error: SupportChatError) -> Outbox:
    """The session has ended: nothing is sent any more."""
    return _over(
        outbox, lambda e: True, lambda e: Over(e, error=error, unknown=e.left or e.under_way)
    )


def owned(outbox: Outbox, identity: Identity) -> Outbox:
    """It is known who the session is for: what was sent while it booted is theirs."""
    return _each(
        outbox,
        lambda e: attrs.evolve(e, message=attrs.evolve(e.message, owner=identity)),
        lambda e: e.message.owner is None,
    )


def become(outbox: Outbox, visitor: Identity | None, user: Identity) -> Outbox:
    """This session has merged its visitor: what the visitor has sent is the user's."""
    return _each(
        outbox,
        lambda e: attrs.evolve(e, message=attrs.evolve(e.message, owner=user)),
        lambda e: e.message.owner == visitor,
    )


def told(outbox: Outbox) -> Outbox:
    """What was over is told."""
    return attrs.evolve(outbox, over=()) if outbox.over else outbox


def due(outbox: Outbox) -> float | None:
    """When something is to be sent again or given up, on the session's clock; None: never."""
    times = [e.until for e in outbox.entries if e.awaited]
    times += [e.not_before for e in first(outbox) if not e.under_way and e.not_before > 0]
    return min(times, default=None)


def _each(
    outbox: Outbox,
    change: Callable[[Entry], Entry],
    which: Callable[[Entry], bool] = lambda e: True,
) -> Outbox:
    if not outbox.entries:
        return outbox
    entries = tuple(change(entry) if which(entry) else entry for entry in outbox.entries)
    return attrs.evolve(outbox, entries=entries)


def _given_up(outbox: Outbox, which: Callable[[Entry], bool], error: SupportChatError) -> Outbox:
    """Those of them that are not to be sent again are over."""
    return _over(
        outbox,
        lambda e: which(e) and not (e.waits and e.resent) and (e.attempts > 0 or not e.resent),
        lambda e: Over(e, error=error, unknown=e.left),
    )


def _over(outbox: Outbox, which: Callable[[Entry], bool], how: Callable[[Entry], Over]) -> Outbox:
    """The messages that are over leave the record."""
    over = tuple(how(entry) for entry in outbox.entries if which(entry))
    if not over:
        return outbox
    kept = tuple(entry for entry in outbox.entries if not which(entry))
    return Outbox(kept, (*outbox.over, *over))
