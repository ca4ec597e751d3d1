"""What becomes of messages in two tabs of one visitor: the shipped chart twice, what the backend
has stored in its order, and the links between them. `support-chat check --composition
support_chat.verify.delivery:DELIVERY` explores it.

What a tab knows is what the chart's own reducers make of it (`support_chat.verify.knows`). Messages
are positions in the backend's order, from 1. `DELIVERY` has two messages of one tab, one of the
other and one of an agent; `READING` has one of a tab, two of an agent, and a read mark; in both
something is lost once: a link, with all that is on it, or an answer.

What is abstracted:

- One owner: *a request is accepted only for the owner shown*. That is proved of the whole that
  `support_chat.verify.identity` describes, and all that the two take from each other.
- One conversation, which is there at first, as are both tabs: they are booted before anything is
  sent, and do not end. Tokens, updates, merges, noes of the backend to a message and calls that are
  given up are left out (`WITHOUT`), and so are pages of history.
- Time is now or later: what has no answer is sent again later. How long that is, and how far apart
  messages leave, nobody asks.
- The backend deletes nothing and replays everything. A welcome is as old as its link: what came
  since it was written would be told right after it.
- A request arrives at any moment, or never: before its outcome is told or after, and once its link
  is gone, too. What a link tells comes in order until it is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

import attrs

from ..chart.model import Chart
from ..engine import Request
from ..errors import NetworkError
from ..lifecycle.calls import Arguments
from ..lifecycle.chart import CHART, ONLINE
from ..lifecycle.names import Effect as E, Fact as F, Timer, Trigger as T
from ..lifecycle.requests import SendMessage
from ..ports import MarkRead, MessageArrived, Outgoing, ReadAnswer, ReadUpTo, Welcome
from ..values import Message
from .composition.model import (
    Act,
    Component,
    Composition,
    Invariant,
    Place,
    PlaceMove,
    Places,
    Possible,
    Rule,
    Seen,
    StepInvariant,
    Taken,
    Whole,
)
from .knows import SENT, Knows, Steps
from .views import View

After: TypeAlias = Iterator[Places]

MARKS_FROM: Final = 10
"""Calls that mark have greater numbers than this: their rest is the message that they mark up to.
Those that send have smaller ones.
"""
LATE: Final = "late"
"""The answer of a request whose outcome was told already: nobody hears it."""
NONE: Final = ""
"""The answer of a request that has not arrived."""
AGENT: Final = "an agent answers"
STORED: Final = "a message arrives"
MARKED: Final = "a read mark arrives"

WITHOUT: Final = (
    E.FORGET, E.REFUSE, E.FETCH_TOKEN, E.SEND_UPDATE, T.DESTROY, T.SHUTDOWN, T.IDENTIFY, T.BECOME,
    T.UPDATE, T.USE, T.WITHDRAW, T.OWNER_CHANGED, T.GO_OFFLINE, T.SILENCE_DUE, T.TOKEN_EXPIRED,
    T.SEND_REFUSED, T.SEND_UNAUTHORISED,
)  # fmt: skip
"""What is left out of a tab: its end, other owners, tokens, noes, calls that are given up; and all
ways to lose a link but one.
"""

_LOST: Final = NetworkError("No answer.")


@attrs.frozen(kw_only=True)
class Size:
    """How much there is of everything: that is what bounds the whole."""

    mine: int = 2
    """Messages of one tab."""
    both: int = 3
    """Messages of both tabs."""
    answers: int = 1
    """Messages of an agent."""
    marks: int = 0
    """Read marks of both tabs."""
    losses: int = 1
    """How often a link is lost, or an answer."""


@attrs.frozen(kw_only=True)
class Rules:
    """What the backend owes its tabs; a test takes each away and sees what fails."""

    once: bool = True
    """A message is stored once for its id."""
    replays: bool = True
    """A link begins with what came after the cursor."""
    marks_told: bool = True
    """Read marks are told to every link of the owner."""
    agents_alone: bool = True
    """What is unread is of an agent."""
    onwards: bool = True
    """An older read mark changes nothing."""


def _places(size: Size) -> tuple[Place, ...]:
    return (
        Place(name="record", doc="who wrote each message, in the backend's order", initial=()),
        Place(name="read", doc="up to which message the owner has read", initial=0),
        Place(name="marks", doc="how many read marks are still to come", initial=size.marks),
        Place(name="losses", doc="how often something is still to be lost", initial=size.losses),
        Place(name="knows", doc="what the tab knows", initial=Knows(), each="tab"),
        Place(name="sent", doc="how many messages the tab was given", initial=0, each="tab"),
        Place(name="stored", doc="the tab's messages that are stored, and where", initial=(),
              each="tab"),
        Place(name="link", doc="what the tab's link has still to tell", initial=None, each="tab"),
        Place(name="sends", doc="messages on their way, with their answers", initial=(),
              each="tab"),
        Place(name="marking", doc="read marks on their way, with their answers", initial=(),
              each="tab"),
    )  # fmt: skip


# --- requests on their way ------------------------------------------------------------------------


def _given_up(requests: tuple[Any, ...]) -> tuple[Any, ...]:
    """Nobody waits for these any more: those that have not arrived may still do."""
    return _once([(what, LATE) for what, answer in requests if answer in (NONE, LATE)])


def _awaited(requests: tuple[Any, ...]) -> bool:
    """Whether the outcome of one of these is still to be told."""
    return any(answer != LATE for _, answer in requests)


def _once(requests: Iterable[Any]) -> tuple[Any, ...]:
    """Copies that are alike are one."""
    return tuple(dict.fromkeys(requests))


def _message(position: int, author: str) -> Message:
    return Message(str(position), "c", author, "hello", float(position))


# --- what the backend has -------------------------------------------------------------------------


def _unread(rules: Rules, p: Places) -> int:
    later = p.record[p.read :]
    return sum(author == "agent" or not rules.agents_alone for author in later)


def _positions(p: Places, me: int) -> list[int]:
    return [position for _, position in p.stored[me]]


def _begun(p: Places) -> bool:
    """Whether both tabs are booted."""
    return all(knows.context.cursor is not None for knows in p.knows)


def _tell(p: Places, event: Any) -> Places:
    """Every link tells it."""
    link = tuple(None if told is None else (*told, event) for told in p.link)
    return p._replace(link=link)


def _written(rules: Rules, p: Places, author: str) -> Places:
    """A message is stored, and told."""
    p = p._replace(record=(*p.record, author))
    return _tell(p, ("message", len(p.record), _unread(rules, p)))


def _backend(rules: Rules, size: Size) -> list[PlaceMove]:
    def agent_writes(p: Places, me: int) -> After:
        if _begun(p) and p.record.count("agent") < size.answers:
            yield _written(rules, p, "agent")

    def message_arrives(p: Places, me: int) -> After:
        for request in p.sends[me]:
            number, answer = request
            if answer not in (NONE, LATE):
                continue
            position = dict(p.stored[me]).get(number, 0) if rules.once else 0
            after = p
            if not position:
                position = len(p.record) + 1
                after = p.put(me, stored=(*p.stored[me], (number, position)))
                after = _written(rules, after, "visitor")
            answered = () if answer == LATE else ((number, position),)
            rest = [each for each in p.sends[me] if each != request]
            yield after.put(me, sends=(*rest, *answered))

    def mark_arrives(p: Places, me: int) -> After:
        for request in p.marking[me]:
            number, answer = request
            if answer not in (NONE, LATE):
                continue
            up_to = number % MARKS_FROM
            after = p._replace(read=max(p.read, up_to) if rules.onwards else up_to)
            unread = _unread(rules, after)
            if rules.marks_told:
                after = _tell(after, ("mark", after.read, unread))
            answered = () if answer == LATE else ((number, unread),)
            rest = [each for each in p.marking[me] if each != request]
            yield after.put(me, marking=(*rest, *answered))

    def late_is_lost(p: Places, me: int) -> After:
        for name in ("sends", "marking"):
            requests = getattr(p, name)[me]
            for request in requests:
                if request[1] == LATE:
                    yield p.put(me, **{name: tuple(r for r in requests if r != request)})

    def move(name: str, changes: str, does: Callable[[Places, int], After]) -> PlaceMove:
        return PlaceMove(name=name, each="tab", changes=changes.split(), does=does)

    return [
        PlaceMove(name=AGENT, changes=("record", "link"), does=agent_writes),
        move(STORED, "record stored sends link", message_arrives),
        move(MARKED, "read marking link", mark_arrives),
        move("a late copy is lost", "sends marking", late_is_lost),
    ]


# --- between them ---------------------------------------------------------------------------------


def _wire(rules: Rules, size: Size, steps: Steps) -> list[Rule]:
    def takes(p: Places, me: int, act: Act, of: Any = None, **brings: Any) -> After:
        """The tab takes this step, which brings this along, all of it named by `of`."""
        after = steps.after(p.knows[me], act, of, brings)
        p = p.put(me, knows=after.knows)
        if E.CUT in act.effects and p.link[me] is not None:
            sends, marking = map(_given_up, (p.sends[me], p.marking[me]))
            p = p.put(me, link=None, sends=sends, marking=marking)
        p = p.put(
            me,
            sends=(*p.sends[me], *((n, NONE) for n in after.leaving if n <= MARKS_FROM)),
            marking=(*p.marking[me], *((n, NONE) for n in after.leaving if n > MARKS_FROM)),
        )
        # what the chart leaves open, the context and what is on its way decide
        queued = bool(after.knows.context.outbox.entries)
        sending = _awaited(p.sends[me]) or _awaited(p.marking[me])
        agrees = (queued, sending) == (act.after.queued, act.after.sending)
        if agrees and after.due in (None, act.after.due):
            yield p

    def goes(p: Places, me: int, act: Act) -> After:
        yield from takes(p, me, act)

    def is_lost(p: Places, me: int, act: Act) -> After:
        if p.losses and _begun(p):
            yield from takes(p._replace(losses=p.losses - 1), me, act)

    def is_up(p: Places, me: int, act: Act) -> After:
        last, cursor = len(p.record), p.knows[me].context.cursor
        unread = _unread(rules, p)
        first = last if cursor is None or not rules.replays else int(cursor)
        missed = tuple(("message", n, unread) for n in range(first + 1, last + 1))
        welcome = Welcome("s", "v", cursor=str(last), unread=unread, echoes=True)
        for after in takes(p, me, act, (last, unread), result=welcome):
            yield after.put(me, link=missed)

    def hears_message(p: Places, me: int, act: Act) -> After:
        if not p.link[me] or p.link[me][0][0] != "message":
            return
        _, position, unread = p.link[me][0]
        own = position in _positions(p, me)
        after = p.put(me, link=p.link[me][1:])
        if act.may(F.OWN, own):
            message = _message(position, p.record[position - 1])
            if own:
                number = next(n for n, at in p.stored[me] if at == position)
                message = attrs.evolve(message, client_message_id=f"m{number}")
            arrived = MessageArrived(message, str(position), unread, own)
            yield from takes(
                after, me, act, (position, unread, message.author, own), result=arrived
            )

    def hears_mark(p: Places, me: int, act: Act) -> After:
        if p.link[me] and p.link[me][0][0] == "mark":
            _, up_to, unread = p.link[me][0]
            after = p.put(me, link=p.link[me][1:])
            yield from takes(
                after, me, act, (up_to, unread), result=ReadUpTo("c", str(up_to), unread)
            )

    def sends(p: Places, me: int, act: Act) -> After:
        if not _begun(p) or E.QUEUE not in act.effects:
            return
        number = p.sent[me] + 1
        if number <= size.mine and sum(p.sent) < size.both:
            yield from gives(p.put(me, sent=number), me, act, number)
        if p.marks:
            first = MARKS_FROM * (1 + size.marks - p.marks)
            for up_to, _ in p.knows[me].told:
                if p.record[up_to - 1] == "agent":
                    yield from gives(p._replace(marks=p.marks - 1), me, act, first + up_to)

    def gives(p: Places, me: int, act: Act, number: int) -> After:
        arguments = Arguments(message=_request(number).payload.message)
        yield from takes(p, me, act, number, call=number, arguments=arguments)

    def is_answered(p: Places, me: int, act: Act) -> After:
        for place in ("sends", "marking"):
            requests = getattr(p, place)[me]
            for request in requests:
                number, answer = request
                if answer not in (NONE, LATE):
                    rest = tuple(each for each in requests if each != request)
                    sent = place == "sends"
                    result = _message(answer, "visitor") if sent else ReadAnswer(answer)
                    yield from takes(
                        p.put(me, **{place: rest}), me, act, request,
                        result=result, request=_request(number),
                    )  # fmt: skip

    def is_not_answered(p: Places, me: int, act: Act) -> After:
        for place in ("sends", "marking"):
            requests = getattr(p, place)[me]
            for request in requests:
                number, answer = request
                if answer == LATE or not p.losses:
                    continue
                rest = [each for each in requests if each != request]
                late = _once([*rest, *([(number, LATE)] if answer == NONE else [])])
                after = p.put(me, **{place: late})._replace(losses=p.losses - 1)
                asked = _request(number)
                yield from takes(after, me, act, number, error=_LOST, request=asked)

    def done(p: Places, me: int, act: Act) -> After:
        if act.trigger:
            yield p  # the rule of the trigger has done it

    def rule(on: Any, does: Callable[[Places, int, Act], After], changes: str = "") -> Rule:
        always = ("knows", "link", "sends", "marking")
        return Rule(of="tab", on=on, changes=(*always, *changes.split()), does=does)

    return [
        rule(T.LINK_UP, is_up),
        rule(T.MESSAGE_ARRIVED, hears_message),
        rule(T.READ_MARKED, hears_mark),
        rule(T.SEND, sends, "sent marks"),
        rule(T.SENT, is_answered),
        rule(T.SEND_FAILED, is_not_answered, "losses"),
        rule(T.OUTBOX_DUE, goes),
        rule(T.LINK_LOST, is_lost, "losses"),
        rule(CHANGES, done),
    ]


CHANGES: Final = (
    E.KEEP_LINK, E.CUT, E.QUEUE, E.SEND_MESSAGES, E.KEEP_SENT, E.KEEP_UNANSWERED,
    E.EXPIRE_MESSAGES, E.ANSWER_MESSAGES, E.TELL_MESSAGE, E.TELL_READ, E.ARM_OUTBOX,
)  # fmt: skip
"""What changes, asks or tells something of messages."""


def _request(number: int) -> Request:
    """To send the message, or the mark, of this call."""
    is_mark = number > MARKS_FROM
    up_to = str(number % MARKS_FROM)
    what = MarkRead("c", up_to) if is_mark else Outgoing(f"m{number}", "hello", "c")
    return Request(E.SEND_MESSAGES, "", 0, SendMessage(what, number, 1))


# --- what is seen of a tab, and what must hold ----------------------------------------------------


def _online(view: View) -> bool:
    return view.phase in ONLINE


def _queued(view: View) -> bool:
    return view.has(F.QUEUED)


def _due(view: View) -> bool:
    return view.running(Timer.OUTBOX)


def _sending(view: View) -> bool:
    return view.asked(E.SEND_MESSAGES)


SEES: Final = {
    "online": _online, "queued": _queued, "due": _due, "sending": _sending,
}  # fmt: skip


def _agrees(seen: Seen) -> bool:
    """What is sent is in the outbox."""
    return bool(seen.queued >= seen.sending)


def _quiet(whole: Whole) -> bool:
    """Both tabs are online, and nothing is on its way."""
    p = whole.places
    return all(tab.online and not tab.queued for tab in whole.tab) and not any(
        any(each) for each in (p.link, p.sends, p.marking)
    )


def _each_tab(holds: Callable[[Places, int], bool]) -> Callable[[Whole], bool]:
    return lambda whole: all(holds(whole.places, me) for me in range(len(whole.tab)))


def _at_quiet(holds: Callable[[Places, int], bool]) -> Callable[[Whole], bool]:
    asked = _each_tab(holds)
    return lambda whole: not _quiet(whole) or asked(whole)


def _stored_once(p: Places, me: int) -> bool:
    return [number for number, _ in p.stored[me]] == list(range(1, len(p.stored[me]) + 1))


def _told_once(p: Places, me: int) -> bool:
    positions = [position for position, _ in p.knows[me].told]
    return positions == sorted(set(positions))


def _told_as_what_it_is(p: Places, me: int) -> bool:
    own = _positions(p, me)
    return all((kind == SENT) == (position in own) for position, kind in p.knows[me].told)


def _none_missing(p: Places, me: int) -> bool:
    knows = p.knows[me]
    told = {position for position, _ in knows.told}
    return len(p.stored[me]) == p.sent[me] and told == set(range(1, len(p.record) + 1))


def _unread_agrees(rules: Rules) -> Callable[[Places, int], bool]:
    return lambda p, me: p.knows[me].context.unread == _unread(rules, p)


def _own_never_count(whole: Whole) -> bool:
    written = whole.places.record.count("agent")
    return all((knows.context.unread or 0) <= written for knows in whole.places.knows)


def _never_raises(rules: Rules) -> Callable[[Taken], bool]:
    def holds(taken: Taken) -> bool:
        before, after = taken.before, taken.after
        if taken.act.trigger == MARKED:
            return _unread(rules, after) <= _unread(rules, before)
        if taken.act.trigger in (T.READ_MARKED, T.REPLIED):
            was, becomes = (p.knows[taken.copy].context.unread for p in (before, after))
            return bool(becomes <= was)
        return True

    return holds


def _properties(rules: Rules) -> tuple[Invariant | StepInvariant | Possible, ...]:
    return (
        Invariant("D1", "Each message is stored once, in the order of its tab's calls.",
                  _each_tab(_stored_once)),
        Invariant("D2", "Each tab tells each message once, in the backend's order.",
                  _each_tab(_told_once)),
        Invariant("D3", "A tab tells its own messages as sent, and all others as received.",
                  _each_tab(_told_as_what_it_is)),
        Invariant("D4", "At quiet no message is missing: neither at a tab nor at the backend.",
                  _at_quiet(_none_missing)),
        Invariant("D5", "At quiet both tabs show as many unread messages as the backend counts.",
                  _at_quiet(_unread_agrees(rules))),
        Invariant("D6", "Own messages never count as unread.", _own_never_count),
        StepInvariant("D7", "A read mark never raises what is unread.", _never_raises(rules)),
        Possible("D8", "Whatever is on its way can come to its end.", _quiet),
    )  # fmt: skip


def delivery(
    chart: Chart = CHART, rules: Rules | None = None, size: Size | None = None
) -> Composition:
    """Two tabs with this chart, at a backend with these rules (None: all of them), and so much of
    everything.
    """
    kept = Rules() if rules is None else rules
    size = Size() if size is None else size
    return Composition(
        name="delivery",
        components=(
            Component(name="tab", chart=chart, copies=2, sees=SEES, without=WITHOUT, where=_agrees),
        ),
        places=_places(size),
        rules=tuple(_wire(kept, size, Steps(chart))),
        moves=tuple(_backend(kept, size)),
        properties=_properties(kept),
    )


DELIVERY: Final = delivery()
"""Two tabs, as they are shipped."""
READING: Final = delivery(size=Size(mine=1, both=1, answers=2, marks=1))
"""The same, with fewer messages of their own and more to read."""
