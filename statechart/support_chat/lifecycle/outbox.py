"""What send_message() and mark_read() were given and has no answer yet: a pure record, changed by
pure functions.

A message *waits*, is *under way* (a request for it has no outcome yet), or is *unknown*: it has
left and may have arrived. An unknown one is sent again under its id, which never makes two, until
the backend answers or the stream brings it. Of each conversation one message is under way at a
time, the first; those behind it wait, so that everybody sees one order, and no other conversation
does. What is *over* is to be told: to the call that waits for it, and to listeners.

A read mark goes the same way, in an order of its own, and is owed until the backend has it: marks
may come twice. Its call waits for no link. Where the stream tells of marks, the call is told once
it has: what is unread is true then.

What waited for a link leaves with pauses, whatever its conversation: a backend that is back has all
of its clients back, and their messages come as far apart as their dials did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from ..errors import AuthRefusedError, RateLimitedError, SupportChatError
from ..ports import MarkRead, Outgoing, ReadAnswer
from ..values import Identity, Message

OWNER_CHANGED: Final = "owner_changed"
"""The code of the refusal of a request that was made for another owner than the session's."""
_OWED: Final = ReadAnswer(None)
"""What is told of a mark that is owed: how many are unread is not known."""
_SHORTEST: Final = 0.25
"""The least part of the wait before the last dial that passes between two messages."""


@attrs.frozen
class Entry:
    """A message, or a read mark, on its way. `number` is the call that sent it, `until` when that
    call gives up, on the session's clock. `thread` names whose order it keeps: its conversation, or
    one that the first of the thread is to begin; None: it begins one that nobody else knows of.
    """

    number: int
    message: Outgoing | MarkRead
    until: float
    thread: str | None = None
    waits: bool = True
    """Whether it waits for a link, and is sent again until it is answered."""
    awaited: bool = True
    """Whether its call is not told yet."""
    attempts: int = 0
    under_way: bool = False
    left: bool = False
    """Whether it may have arrived."""
    wanted: bool = True
    """Whether it is sent again; not after it was withdrawn, nor for somebody else."""
    not_before: float = 0.0
    held_back: bool = False
    """Whether it has waited for the link, and waits its turn among all that have."""
    answer: ReadAnswer | None = None
    """What the backend has said of a mark of which the stream is to tell: it is under way until
    then.
    """
    heard: bool = False
    """Whether the stream has told of a mark that is not answered yet."""

    @property
    def is_mark(self) -> bool:
        """Whether it is a read mark."""
        return isinstance(self.message, MarkRead)


@attrs.frozen
class Over:
    """A message that has come to its end, or the wait for it: what the call is told, if it still
    waits, and what listeners hear.
    """

    entry: Entry
    answer: Message | ReadAnswer | None = None
    error: Exception | None = None
    unknown: bool = False
    """Whether the backend may have the message."""
    ends: bool = True
    """Whether it is the end of the message, too."""


@attrs.frozen
class Outbox:
    """The messages on their way, in the order of their calls, and what is over and not yet told.

    `pace` is the wait before the last dial, in seconds, and `next_at` when the next message that
    was held back may leave; `begun` are the conversations that named threads have become.
    """

    entries: tuple[Entry, ...] = ()
    over: tuple[Over, ...] = ()
    pace: float = 0.0
    next_at: float = 0.0
    begun: tuple[tuple[str, str], ...] = ()


EMPTY: Final = Outbox()


# --- waiting and leaving --------------------------------------------------------------------------


def add(outbox: Outbox, entry: Entry) -> Outbox:
    """The message waits its turn; a mark that is owed already is not owed twice."""
    again = [e for e in outbox.entries if e.is_mark and e.message == entry.message]
    if any(not each.awaited and not each.under_way for each in again):
        outbox = attrs.evolve(
            outbox, entries=tuple(e for e in outbox.entries if e not in again or e.under_way)
        )
    for thread, conversation in outbox.begun:
        if entry.thread == thread:
            entry = _in(entry, conversation)
    return attrs.evolve(outbox, entries=(*outbox.entries, entry))


def first(outbox: Outbox) -> Iterator[Entry]:
    """The first message of each conversation, and the first mark."""
    seen: set[tuple[str, bool]] = set()
    for entry in outbox.entries:
        if entry.thread is None:
            yield entry
        elif (order := (entry.thread, entry.is_mark)) not in seen:
            seen.add(order)
            yield entry


def sendable(outbox: Outbox, now: float) -> tuple[Entry, ...]:
    """The messages that may leave now."""
    ready = [e for e in first(outbox) if not e.under_way and e.not_before <= now]
    held_back = [e for e in ready if e.held_back]
    turn = held_back[:1] if outbox.next_at <= now else []
    return tuple(e for e in ready if not e.held_back or e in turn)


def leave(outbox: Outbox, now: float, roll: float) -> Outbox:
    """Whatever may leave leaves; `roll`, from 0 to 1, says how long the next pause is."""
    leaving = {entry.number: entry for entry in sendable(outbox, now)}
    if any(entry.held_back for entry in leaving.values()):
        pause = outbox.pace * (_SHORTEST + roll * (1.0 - _SHORTEST))
        outbox = attrs.evolve(outbox, next_at=now + pause)
    return _each(
        outbox,
        lambda e: e.number in leaving,
        lambda e: attrs.evolve(e, under_way=True, attempts=e.attempts + 1, held_back=False),
    )


def due(outbox: Outbox, now: float) -> float | None:
    """When something is to be sent or given up, on the session's clock, after what can be sent now;
    None: never.
    """
    times = [e.until for e in outbox.entries if e.awaited]
    for entry in first(outbox):
        at = max(entry.not_before, outbox.next_at if entry.held_back else 0.0)
        if not entry.under_way and at > now:
            times.append(at)
    return min(times, default=None)


# --- what comes of it -----------------------------------------------------------------------------


def stored(outbox: Outbox, number: int, message: Message) -> Outbox:
    """The backend has it; those behind the first of a new conversation have one now."""
    entry = of(outbox, number)
    if entry is None:
        return outbox
    outbox = _over(outbox, lambda e: e is entry, lambda e: Over(e, message))
    if entry.thread is None or entry.message.conversation_id is not None:
        return outbox
    begun = (*outbox.begun, (entry.thread, message.conversation_id))
    return _each(
        attrs.evolve(outbox, begun=begun),
        lambda e: e.thread == entry.thread,
        lambda e: _in(e, message.conversation_id),
    )


def arrived(outbox: Outbox, message: Message) -> Outbox:
    """The stream has brought a message of this session: it needs no other answer."""
    for entry in outbox.entries:
        sent = entry.message
        if (
            entry.attempts
            and isinstance(sent, Outgoing)
            and sent.client_message_id == message.client_message_id
        ):
            outbox = stored(outbox, entry.number, message)
    return outbox


def marked(outbox: Outbox, number: int, answer: ReadAnswer, *, is_told: bool) -> Outbox:
    """The backend has the mark. If the stream `is_told` of marks, a call that still waits does so
    until it tells of this one.
    """
    if is_told:
        outbox = _each(
            outbox,
            lambda e: e.number == number and e.awaited and not e.heard,
            lambda e: attrs.evolve(e, answer=answer),
        )
    return _over(
        outbox, lambda e: e.number == number and e.answer is None, lambda e: Over(e, answer)
    )


def told_of_mark(outbox: Outbox, conversation: str, unread: int | None) -> Outbox:
    """The stream has told how far the conversation is read: of every mark that is under way, unless
    its answer says something else.
    """
    outbox = _each(
        outbox,
        lambda e: e.is_mark and e.under_way and e.message.conversation_id == conversation,
        lambda e: attrs.evolve(e, heard=True),
    )
    return _over(
        outbox, lambda e: e.heard and e.answer is not None, lambda e: Over(e, ReadAnswer(unread))
    )


def owed(outbox: Outbox, which: Callable[[Entry], bool] = lambda _: True) -> Outbox:
    """Marks have no answer, or no link: their calls wait no longer, and they are owed."""
    its = [e for e in outbox.entries if e.is_mark and e.waits and e.awaited and which(e)]
    told = tuple(Over(e, _OWED, ends=False) for e in its)
    outbox = _each(outbox, lambda e: e in its, lambda e: attrs.evolve(e, awaited=False))
    return attrs.evolve(outbox, over=(*outbox.over, *told)) if told else outbox


def refused(outbox: Outbox, number: int, owner: Identity | None, error: SupportChatError) -> Outbox:
    """The backend does not take what was sent for this owner. It fails alone and lets the next go
    on; but the first of a new conversation takes those behind it along. What was sent as the
    visitor's, and is the user's by now, is sent again.

    Had it arrived before, the answer would be another; but not every backend looks at that before
    it looks at the owner.
    """
    entry = of(outbox, number)
    if entry is None:
        return outbox
    if entry.wanted and error.code == OWNER_CHANGED and entry.message.owner != owner:
        return disowned(outbox, number, owner, error, 0.0)
    unknown = entry.left and (not entry.wanted or error.code == OWNER_CHANGED)
    outbox = _over(outbox, lambda e: e is entry, lambda e: Over(e, error=error, unknown=unknown))
    return _follow(outbox, (entry,), error)


def disowned(
    outbox: Outbox,
    number: int,
    owner: Identity | None,
    error: SupportChatError,
    not_before: float,
) -> Outbox:
    """It was asked for another owner than the session's, and nothing was done: it is asked again,
    not before then; unless nobody wants that.
    """
    entry = of(outbox, number)
    if entry is not None and not entry.wanted:
        return refused(outbox, number, owner, error)
    return _each(
        outbox,
        lambda e: e.number == number,
        lambda e: attrs.evolve(e, under_way=False, not_before=not_before),
    )


def unanswered(outbox: Outbox, number: int, error: Exception, not_before: float) -> Outbox:
    """There is no answer. It is sent again, not before then; unless nobody wants that."""
    arrives = not isinstance(error, RateLimitedError | AuthRefusedError)
    outbox = owed(outbox, lambda e: e.number == number)
    outbox = _each(
        outbox,
        lambda e: e.number == number,
        lambda e: attrs.evolve(e, under_way=False, left=e.left or arrives, not_before=not_before),
    )
    return _end(outbox, lambda e: e.number == number and not _again(e), error)


def expire(outbox: Outbox, now: float, unsent: Exception, sent: Exception) -> Outbox:
    """The time of some calls is over. A message that never left is withdrawn; one that has left
    goes on without its call, and so does a mark.
    """
    outbox = owed(_told_late(outbox, lambda e: e.until <= now), lambda e: e.until <= now)
    late = [e for e in outbox.entries if e.awaited and e.until <= now]
    gone = {e.number for e in late if e.left or e.under_way}
    withdrawn = {e.number for e in late} - gone
    told = tuple(Over(e, error=sent, unknown=True, ends=False) for e in late if e.number in gone)
    outbox = _each(outbox, lambda e: e.number in gone, lambda e: attrs.evolve(e, awaited=False))
    outbox = _end(outbox, lambda e: e.number in withdrawn, unsent)
    return attrs.evolve(outbox, over=(*outbox.over, *told)) if told else outbox


def withdraw(outbox: Outbox, number: int, error: Exception) -> Outbox:
    """Nobody wants it any more. A message that never left does not leave; one that has left
    is not sent again, and those behind it go on once it is not under way. A mark is owed all the
    same.
    """
    entry = of(outbox, number)
    if entry is not None and entry.is_mark and entry.waits:
        return owed(outbox, lambda e: e is entry)
    return _unwanted(outbox, lambda e: e.number == number, error)


# --- the link and the session ---------------------------------------------------------------------


def link_up(outbox: Outbox, now: float, waited: float) -> Outbox:
    """There is a link, whose dial has `waited` so many seconds: what waits leaves one by one."""
    outbox = _each(outbox, lambda e: True, lambda e: attrs.evolve(e, held_back=waited > 0.0))
    return attrs.evolve(outbox, pace=waited, next_at=now) if outbox.entries else outbox


def link_gone(outbox: Outbox, unsent: Exception, sent: Exception) -> Outbox:
    """What was under way may have arrived, and is sent again by the next link. Nobody waits for
    that who has made a mark.
    """
    outbox = owed(_told_late(outbox, lambda e: True))
    outbox = _each(
        outbox, lambda e: e.under_way, lambda e: attrs.evolve(e, left=True, under_way=False)
    )
    outbox = _end(outbox, lambda e: e.left and not _again(e), sent)
    return _end(outbox, lambda e: not _again(e), unsent)


def owned(outbox: Outbox, identity: Identity, error: Exception) -> Outbox:
    """It is known who the session is for: what was sent while it booted is theirs, and what is for
    somebody else is not sent, or not again.
    """
    outbox = _each(
        outbox,
        lambda e: e.message.owner is None,
        lambda e: attrs.evolve(e, message=attrs.evolve(e.message, owner=identity)),
    )
    return _unwanted(outbox, lambda e: e.message.owner != identity, error)


def become(outbox: Outbox, visitor: Identity | None, user: Identity) -> Outbox:
    """This session has merged its visitor: what the visitor has sent is the user's."""
    return _each(
        outbox,
        lambda e: e.message.owner == visitor,
        lambda e: attrs.evolve(e, message=attrs.evolve(e.message, owner=user), not_before=0.0),
    )


def drop(outbox: Outbox, error: Exception) -> Outbox:
    """The session has ended: nothing is sent any more, and nothing owed."""
    over = tuple(
        attrs.evolve(each, answer=None, error=error) if each.answer is _OWED else each
        for each in outbox.over
    )
    return _over(
        attrs.evolve(outbox, over=over),
        lambda e: True,
        lambda e: Over(e, error=error, unknown=e.left or e.under_way),
    )


def told(outbox: Outbox) -> Outbox:
    """What was over is told."""
    return attrs.evolve(outbox, over=()) if outbox.over else outbox


# --- helpers --------------------------------------------------------------------------------------

_Which = Callable[[Entry], bool]


def of(outbox: Outbox, number: int) -> Entry | None:
    """The message of this call."""
    return next((entry for entry in outbox.entries if entry.number == number), None)


def named(outbox: Outbox, client_message_id: str) -> Entry | None:
    """The message that was sent under this id."""
    for entry in outbox.entries:
        message = entry.message
        if isinstance(message, Outgoing) and message.client_message_id == client_message_id:
            return entry
    return None


def _told_late(outbox: Outbox, which: _Which) -> Outbox:
    """Nobody waits any longer for the stream to tell of a mark that was answered."""
    return _over(outbox, lambda e: e.answer is not None and which(e), lambda e: Over(e, e.answer))


def _again(entry: Entry) -> bool:
    return entry.waits and entry.wanted


def _in(entry: Entry, conversation: str) -> Entry:
    message = attrs.evolve(entry.message, conversation_id=conversation)
    return attrs.evolve(entry, thread=conversation, message=message)


def _each(outbox: Outbox, which: _Which, change: Callable[[Entry], Entry]) -> Outbox:
    if not any(which(entry) for entry in outbox.entries):
        return outbox
    entries = tuple(change(entry) if which(entry) else entry for entry in outbox.entries)
    return attrs.evolve(outbox, entries=entries)


def _over(outbox: Outbox, which: _Which, how: Callable[[Entry], Over]) -> Outbox:
    """The messages that are over leave the record."""
    over = tuple(how(entry) for entry in outbox.entries if which(entry))
    if not over:
        return outbox
    kept = tuple(entry for entry in outbox.entries if not which(entry))
    return attrs.evolve(outbox, entries=kept, over=(*outbox.over, *over))


def _unwanted(outbox: Outbox, which: _Which, error: Exception) -> Outbox:
    """They are not sent, or not again; one that is under way ends with what comes of that."""
    outbox = _each(outbox, which, lambda e: attrs.evolve(e, wanted=False))
    return _end(outbox, lambda e: which(e) and not e.under_way, error)


def _end(outbox: Outbox, which: _Which, error: Exception) -> Outbox:
    """They end without an answer."""
    left = tuple(entry for entry in outbox.entries if which(entry) and entry.left)
    outbox = _over(outbox, which, lambda e: Over(e, error=error, unknown=e.left))
    return _follow(outbox, left, error)


def _follow(outbox: Outbox, ended: tuple[Entry, ...], error: Exception) -> Outbox:
    """Behind a first message that was refused, or that may have begun its conversation, nobody
    knows where to go on.
    """
    lost = {e.thread for e in ended if e.message.conversation_id is None} - {None}
    return _over(outbox, lambda e: e.thread in lost, lambda e: Over(e, error=error))
