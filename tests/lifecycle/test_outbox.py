"""The outbox against a model: a backend that stores what reaches it, a link that comes and goes,
and callers who lose patience.

The model knows nothing of how the record is kept. After every step: of each conversation one
message is under way at most, and it is the first; whoever has sent something is told its end once,
and until then the message is in the record; the backend has stored each once, and in the order of
the calls. The rules stand below one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    CallTimeoutError,
    NetworkError,
    NotABackendError,
    RateLimitedError,
    SessionEndedError,
    SupportChatError,
)
from support_chat.lifecycle import outbox as o
from support_chat.lifecycle.outbox import EMPTY, Entry, Outbox
from support_chat.ports import MarkRead, Outgoing, ReadAnswer
from support_chat.values import Identity, Message, SignedIn, Visitor

VISITOR, USER = Visitor("v"), SignedIn("u")
REFUSED = BackendRejectedError("No.", code="message_invalid")
NOT_THEIRS = BackendRejectedError("Not theirs.", code=o.OWNER_CHANGED)
LOST, UNSENT = NetworkError("The answer is lost."), NetworkError("It never left.")
TOO_LATE, NO_ANSWER = CallTimeoutError("Too late."), CallTimeoutError("No answer.")
WITHDRAWN, ENDED = SessionEndedError("Cancelled."), SessionEndedError("The session has ended.")


def entry(number: int, thread: str | None = "c", *, until: float = 300.0, **options: Any) -> Entry:
    """What the call `number` sends; a thread of one letter is the conversation itself."""
    conversation = thread if thread is not None and len(thread) == 1 else None
    message = Outgoing(f"id {number}", f"text {number}", conversation, owner=VISITOR)
    return Entry(number, message, until, thread, **options)


Reaches: TypeAlias = "Callable[[Outbox], Outbox]"


def box(*entries: Entry) -> Outbox:
    """An outbox with these messages."""
    outbox = EMPTY
    for each in entries:
        outbox = o.add(outbox, each)
    return outbox


def answer(number: int, conversation: str = "c") -> Message:
    """How the backend has stored the message of the call `number`."""
    return Message(f"m{number}", conversation, "visitor", "text", 0.0, f"id {number}")


def leaving(outbox: Outbox, now: float = 0.0) -> list[int]:
    """Whose messages may leave now."""
    return [each.number for each in o.sendable(outbox, now)]


def left(outbox: Outbox, now: float = 0.0) -> Outbox:
    """They leave."""
    return o.leave(outbox, now, 0.5)


def ends(outbox: Outbox) -> list[tuple[int, object, bool]]:
    """Which messages are over: how, and whether the backend may have them."""
    return [(each.entry.number, each.answer or each.error, each.unknown) for each in outbox.over]


# --- the model ------------------------------------------------------------------------------------


class Sending(RuleBasedStateMachine):
    """Calls, requests and every end that one may have, links, time, and a merge."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox, self.now, self.calls = EMPTY, 0.0, 0
        self.owner: Identity = VISITOR
        self.linked = False
        self.threads: dict[int, str | None] = {}
        self.flying: dict[int, Entry] = {}
        self.kept: list[tuple[int, str]] = []
        self.ended: dict[int, bool] = {}
        self.impatient: set[int] = set()

    # --- what the model keeps ---

    def does(self, outbox: Outbox) -> None:
        """Takes what is over, as whoever tells it does."""
        for each in outbox.over:
            number = each.entry.number
            assert number not in self.ended, "an end is told once"
            if each.ends:
                self.ended[number] = each.answer is not None
                if each.answer is None and not each.unknown:
                    assert number not in dict(self.kept), "what is stored has not failed"
            else:
                assert number not in self.impatient, "a call gives up once"
                self.impatient.add(number)
        self.outbox = o.told(outbox)

    def reaches(self, number: int) -> Message:
        """The backend gets it, and stores it unless it has it."""
        message = self.flying[number].message
        conversation = message.conversation_id or f"begun by {number}"
        if number not in dict(self.kept):
            self.kept.append((number, conversation))
        return answer(number, dict(self.kept)[number])

    # --- what happens ---

    @rule(thread=st.sampled_from(("a", "b", "thread", None)), waits=st.booleans())
    def calls_again(self, thread: str | None, waits: bool) -> None:
        if waits or self.linked:
            self.calls += 1
            self.threads[self.calls] = thread
            one = entry(self.calls, thread, until=self.now + 5.0, waits=waits)
            message = attrs.evolve(one.message, owner=self.owner)
            self.does(o.add(self.outbox, attrs.evolve(one, message=message)))

    @precondition(lambda self: self.linked)
    @rule(roll=st.floats(0, 1))
    def flush(self, roll: float) -> None:
        for one in o.sendable(self.outbox, self.now):
            assert one.number not in self.flying
            assert one.message.owner == self.owner, "nothing leaves for another owner"
            self.flying[one.number] = one
        self.does(o.leave(self.outbox, self.now, roll))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), how=st.sampled_from(("stored", "refused", "lost", "limited", "echoed")))
    def request_ends(self, data: st.DataObject, how: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.flying)))
        before, fine = self.outbox, number not in dict(self.kept)
        if how in ("stored", "echoed"):
            message = self.reaches(number)
            del self.flying[number]
            echoed = o.arrived(before, message)
            self.does(echoed if how == "echoed" else o.stored(before, number, message))
            self.does(o.stored(self.outbox, number, message))  # the answer comes all the same
            return
        if how == "lost" and data.draw(st.booleans()):
            self.reaches(number)
        del self.flying[number]
        if how == "refused" and fine:
            self.does(o.refused(before, number, VISITOR, REFUSED))
        else:
            error = RateLimitedError("Later.", retry_after=1.0) if how == "limited" else LOST
            self.does(o.unanswered(before, number, error, self.now + 1.0))

    @rule(waited=st.sampled_from((0.0, 2.0)))
    def link_comes(self, waited: float) -> None:
        if not self.linked:
            self.linked = True
            self.does(o.link_up(self.outbox, self.now, waited))

    @precondition(lambda self: self.linked)
    @rule(data=st.data())
    def link_goes(self, data: st.DataObject) -> None:
        for number in sorted(self.flying):
            if data.draw(st.booleans()):
                self.reaches(number)
        self.linked, self.flying = False, {}
        self.does(o.link_gone(self.outbox, UNSENT, LOST))

    @rule(seconds=st.sampled_from((0.5, 1.0, 3.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.does(o.expire(self.outbox, self.now, TOO_LATE, NO_ANSWER))

    @precondition(lambda self: self.outbox.entries)
    @rule(data=st.data())
    def awaiter_leaves(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.outbox.entries))
        if one.awaited:
            self.does(o.withdraw(self.outbox, one.number, WITHDRAWN))

    @precondition(lambda self: self.owner == VISITOR)
    @rule(merged=st.booleans())
    def identify(self, merged: bool) -> None:
        self.owner = USER
        outbox = o.become(self.outbox, VISITOR, USER) if merged else self.outbox
        self.does(o.owned(outbox, USER, NOT_THEIRS))

    # --- what holds ---

    @invariant()
    def one_of_each_conversation_is_under_way_and_it_is_the_first(self) -> None:
        firsts = {each.number for each in o.first(self.outbox)}
        under_way = {each.number for each in self.outbox.entries if each.under_way}
        assert under_way == set(self.flying) <= firsts

    @invariant()
    def nothing_is_forgotten(self) -> None:
        kept = [each.number for each in self.outbox.entries]
        assert kept == sorted(kept), "the order of the calls"
        assert {*kept, *self.ended} == set(self.threads)

    @invariant()
    def each_conversation_is_stored_in_the_order_of_the_calls(self) -> None:
        for conversation in {conversation for _, conversation in self.kept}:
            numbers = [number for number, its in self.kept if its == conversation]
            assert numbers == sorted(numbers)

    @invariant()
    def whoever_waits_will_be_looked_after(self) -> None:
        due = o.due(self.outbox, self.now)
        if any(each.awaited for each in self.outbox.entries):
            assert due is not None
            assert due > self.now
        waiting = [each for each in o.first(self.outbox) if not each.under_way]
        assert not waiting or due is not None or o.sendable(self.outbox, self.now)

    def teardown(self) -> None:
        self.does(o.drop(self.outbox, ENDED))
        assert set(self.ended) == set(self.threads), "each has come to one end"


TestSending = Sending.TestCase
TestSending.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


# --- whose turn it is -----------------------------------------------------------------------------


def test_of_each_conversation_the_first_leaves_and_the_next_when_that_is_answered() -> None:
    outbox = box(entry(1, "a"), entry(2, "a"), entry(3, "b"), entry(4, None), entry(5, None))
    assert leaving(outbox) == [1, 3, 4, 5]
    outbox = left(outbox)
    assert leaving(outbox) == []
    assert leaving(o.stored(outbox, 1, answer(1, "a"))) == [2]
    assert leaving(o.refused(outbox, 1, VISITOR, REFUSED)) == [2]
    assert leaving(o.arrived(outbox, answer(1, "a"))) == [2], "the stream brings it first"


def test_those_behind_the_first_of_a_new_conversation_follow_it_there() -> None:
    outbox = left(box(entry(1, "new"), entry(2, "new"), entry(3, "new")))
    outbox = o.stored(outbox, 1, answer(1, "c"))
    assert [each.message.conversation_id for each in outbox.entries] == ["c", "c"]
    assert leaving(outbox) == [2]
    later = o.add(outbox, entry(4, "new"))
    assert later.entries[-1].message.conversation_id == "c", "who comes later follows, too"
    assert leaving(o.add(outbox, entry(4, "c"))) == [2], "and so does who knows where it is"


FIRST_ENDS: list[tuple[str, Reaches, list[int], int | None]] = [
    ("refused", lambda box: o.refused(box, 1, VISITOR, REFUSED), [1, 2, 3], None),
    (
        "cancelled when it may have arrived",
        lambda box: o.withdraw(o.unanswered(box, 1, LOST, 0.0), 1, WITHDRAWN),
        [1, 2, 3],
        None,
    ),
    (
        "cancelled when the backend had no time for it",
        lambda box: o.withdraw(o.unanswered(box, 1, RateLimitedError("Later."), 0.0), 1, WITHDRAWN),
        [1],
        2,
    ),
]


@pytest.mark.parametrize(
    ("what", "happens", "end", "goes_on"),
    FIRST_ENDS,
)
def test_the_first_of_a_new_conversation_takes_those_behind_it_along(
    what: str, happens: Any, end: list[int], goes_on: int | None
) -> None:
    outbox = happens(left(box(entry(1, "new"), entry(2, "new"), entry(3, "new"))))
    assert [number for number, _, _ in ends(outbox)] == end, what
    assert leaving(outbox) == ([] if goes_on is None else [goes_on]), what


def test_one_that_never_left_lets_the_next_begin_the_conversation() -> None:
    outbox = o.withdraw(box(entry(1, "new"), entry(2, "new")), 1, WITHDRAWN)
    assert ends(outbox) == [(1, WITHDRAWN, False)]
    assert leaving(outbox) == [2]


# --- what waited for a link -----------------------------------------------------------------------


def test_what_waited_for_the_link_leaves_one_by_one_whatever_its_conversation() -> None:
    outbox = o.link_up(box(entry(1, "a"), entry(2, "b"), entry(3, None)), 10.0, 4.0)
    assert leaving(outbox, 10.0) == [1]
    outbox = o.leave(outbox, 10.0, 0.0)
    assert o.due(outbox, 10.0) == 11.0, "a quarter of the dial's wait is the least"
    assert leaving(outbox, 10.9) == []
    assert leaving(outbox, 11.0) == [2]
    outbox = o.leave(outbox, 11.0, 1.0)
    assert o.due(outbox, 11.0) == 15.0, "and all of it the most"
    outbox = o.add(outbox, entry(4, "d"))
    assert leaving(outbox, 11.0) == [4], "what is sent now has not waited"
    assert o.due(left(outbox, 11.0), 11.0) == 15.0


def test_after_a_dial_that_did_not_wait_everything_leaves_at_once() -> None:
    outbox = o.link_up(box(entry(1, "a"), entry(2, "b")), 10.0, 4.0)
    outbox = o.link_up(o.link_gone(outbox, UNSENT, LOST), 20.0, 0.0)
    assert leaving(outbox, 20.0) == [1, 2]


# --- no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "may_have_arrived"),
    [
        (LOST, True),
        (NotABackendError("A proxy's page."), True),
        (RateLimitedError("Later."), False),
        (AuthRefusedError("Expired."), False),
    ],
)
def test_without_an_answer_it_is_sent_again_after_a_pause_that_delays_no_other(
    error: SupportChatError, may_have_arrived: bool
) -> None:
    outbox = left(box(entry(1, "a"), entry(2, "a"), entry(3, "b"), entry(4, "b")))
    outbox = o.unanswered(outbox, 1, error, 7.0)
    assert leaving(outbox, 6.9) == []
    assert leaving(o.stored(outbox, 3, answer(3, "b")), 6.9) == [4]
    assert o.due(outbox, 6.9) == 7.0
    assert leaving(outbox, 7.0) == [1]
    assert outbox.entries[0].left is may_have_arrived
    assert ends(o.drop(outbox, ENDED))[0] == (1, ENDED, may_have_arrived)


def test_what_was_under_way_when_the_link_went_is_sent_again() -> None:
    outbox = o.link_gone(left(box(entry(1, "a"), entry(2, "a"))), UNSENT, LOST)
    assert ends(outbox) == []
    assert leaving(outbox) == [1]
    assert [each.left for each in outbox.entries] == [True, False]


def test_what_does_not_wait_ends_with_its_link_and_says_whether_it_had_left() -> None:
    outbox = box(entry(1, "a", waits=False), entry(2, "a", waits=False), entry(3, "a"))
    outbox = o.link_gone(left(outbox), UNSENT, LOST)
    assert ends(outbox) == [(1, LOST, True), (2, UNSENT, False)]
    assert leaving(outbox) == [3]
    outbox = o.unanswered(left(box(entry(1, waits=False))), 1, RateLimitedError("Later."), 9.0)
    assert [(number, unknown) for number, _, unknown in ends(outbox)] == [(1, False)]


# --- a call ends before its message ---------------------------------------------------------------


def test_at_its_time_a_message_that_never_left_is_withdrawn() -> None:
    outbox = left(box(entry(1, until=5.0), entry(2, until=5.0), entry(3, until=9.0)))
    outbox = o.expire(outbox, 5.0, TOO_LATE, NO_ANSWER)
    assert ends(outbox) == [(2, TOO_LATE, False), (1, NO_ANSWER, True)]
    assert [each.ends for each in outbox.over] == [True, False]
    assert [each.number for each in outbox.entries] == [1, 3]


def test_an_unknown_one_goes_on_without_its_call_and_the_later_ones_wait() -> None:
    outbox = left(box(entry(1, until=5.0), entry(2)))
    outbox = o.told(o.expire(outbox, 5.0, TOO_LATE, NO_ANSWER))
    outbox = o.unanswered(outbox, 1, LOST, 6.0)
    assert leaving(outbox, 6.0) == [1]
    outbox = o.stored(left(outbox, 6.0), 1, answer(1))
    assert [each.entry.awaited for each in outbox.over] == [False], "its call was told before"
    assert leaving(outbox, 6.0) == [2]


CANCELLED: list[tuple[str, Reaches, tuple[int, object, bool]]] = [
    ("waits", lambda box: box, (1, WITHDRAWN, False)),
    (
        "is unknown",
        lambda box: o.unanswered(left(box), 1, LOST, 0.0),
        (1, WITHDRAWN, True),
    ),
    (
        "is put off by the backend",
        lambda box: o.unanswered(left(box), 1, RateLimitedError("Later."), 0.0),
        (1, WITHDRAWN, False),
    ),
]


@pytest.mark.parametrize(
    ("it", "reaches", "end"),
    CANCELLED,
)
def test_a_cancelled_one_is_not_sent_again_and_those_behind_it_go_on(
    it: str, reaches: Any, end: tuple[int, object, bool]
) -> None:
    outbox = o.withdraw(reaches(box(entry(1), entry(2))), 1, WITHDRAWN)
    assert ends(outbox) == [end], it
    assert leaving(outbox) == [2], it


ANSWERED: list[tuple[Reaches, tuple[int, object, bool]]] = [
    (lambda box: o.stored(box, 1, answer(1)), (1, answer(1), False)),
    (lambda box: o.refused(box, 1, VISITOR, REFUSED), (1, REFUSED, False)),
    (lambda box: o.unanswered(box, 1, LOST, 9.0), (1, LOST, True)),
    (lambda box: o.link_gone(box, UNSENT, LOST), (1, LOST, True)),
]


@pytest.mark.parametrize(
    ("answered", "end"),
    ANSWERED,
)
def test_a_cancelled_one_that_is_under_way_ends_with_what_comes_of_that(
    answered: Any, end: tuple[int, object, bool]
) -> None:
    outbox = o.withdraw(left(box(entry(1), entry(2))), 1, WITHDRAWN)
    assert ends(outbox) == []
    assert leaving(outbox) == [], "else a later one might be stored before it"
    outbox = answered(outbox)
    assert ends(outbox) == [end]
    assert leaving(outbox) == [2]


# --- for whom it is -------------------------------------------------------------------------------


def test_after_a_merge_it_is_the_users_and_is_sent_at_once() -> None:
    outbox = o.disowned(left(box(entry(1), entry(2))), 1, VISITOR, NOT_THEIRS, 9.0)
    assert leaving(outbox) == [], "whether there was a merge is not known yet"
    outbox = o.owned(o.become(outbox, VISITOR, USER), USER, NOT_THEIRS)
    assert [each.message.owner for each in outbox.entries] == [USER, USER]
    names = [e.message.client_message_id for e in outbox.entries if isinstance(e.message, Outgoing)]
    assert names == ["id 1", "id 2"]
    assert leaving(outbox) == [1]


def test_what_was_refused_as_the_visitors_after_the_merge_is_sent_again_as_the_users() -> None:
    merged = o.become(left(box(entry(1))), VISITOR, USER)
    assert leaving(o.refused(merged, 1, VISITOR, NOT_THEIRS)) == [1]
    assert ends(o.refused(merged, 1, VISITOR, REFUSED)) == [(1, REFUSED, False)]
    assert ends(o.refused(merged, 1, USER, NOT_THEIRS)) == [(1, NOT_THEIRS, False)]
    cancelled = o.withdraw(merged, 1, WITHDRAWN)
    assert ends(o.disowned(cancelled, 1, VISITOR, NOT_THEIRS, 9.0)) == [(1, NOT_THEIRS, False)]


def test_without_a_merge_it_is_nobodys_any_more() -> None:
    outbox = left(box(entry(1, "a"), entry(2, "a"), entry(3, "b")))
    outbox = o.unanswered(outbox, 3, LOST, 0.0)
    outbox = o.owned(outbox, USER, NOT_THEIRS)
    assert ends(outbox) == [(2, NOT_THEIRS, False), (3, NOT_THEIRS, True)]
    assert [each.number for each in outbox.entries] == [1], "this one is under way"
    refused = o.refused(outbox, 1, VISITOR, NOT_THEIRS)
    assert ends(refused)[-1] == (1, NOT_THEIRS, False)
    lost = o.unanswered(outbox, 1, LOST, 9.0)
    assert ends(lost)[-1] == (1, LOST, True), "it is not sent again, for whomever"


def test_an_owner_that_changed_says_nothing_of_an_earlier_attempt() -> None:
    outbox = left(o.unanswered(left(box(entry(1))), 1, LOST, 0.0))
    assert ends(o.refused(outbox, 1, VISITOR, NOT_THEIRS)) == [(1, NOT_THEIRS, True)]
    assert ends(o.refused(outbox, 1, VISITOR, REFUSED)) == [(1, REFUSED, False)]


def test_what_was_sent_while_the_session_booted_is_for_whom_it_has_become() -> None:
    nobodys = attrs.evolve(entry(1), message=Outgoing("id 1", "text", "c"))
    outbox = o.owned(box(nobodys), USER, NOT_THEIRS)
    assert [each.message.owner for each in outbox.entries] == [USER]


# --- read marks -----------------------------------------------------------------------------------


def mark(number: int, conversation: str = "c", *, until: float = 300.0, **options: Any) -> Entry:
    """A read mark that the call `number` makes."""
    asked = MarkRead(conversation, f"m{number}", owner=VISITOR)
    return Entry(number, asked, until, conversation, **options)


def test_a_mark_keeps_no_message_waiting_and_waits_for_none() -> None:
    outbox = box(entry(1), mark(2), entry(3), mark(4), mark(5, "d"))
    assert leaving(outbox) == [1, 2, 5]


@pytest.mark.parametrize("is_told", [False, True])
def test_an_answered_mark_is_over_once_the_stream_has_told_of_it_where_it_tells(
    is_told: bool,
) -> None:
    outbox = o.marked(left(box(mark(1), mark(2))), 1, ReadAnswer(3), is_told=is_told)
    assert ends(outbox) == ([] if is_told else [(1, ReadAnswer(3), False)])
    assert leaving(outbox, 99.0) == ([] if is_told else [2]), "it is not sent again"
    outbox = o.told_of_mark(outbox, "another", 0)
    outbox = o.told_of_mark(o.told(outbox), "c", 2)
    assert ends(outbox) == ([(1, ReadAnswer(2), False)] if is_told else [])


def test_where_the_stream_comes_first_the_call_is_told_with_the_answer() -> None:
    outbox = o.told_of_mark(left(box(mark(1))), "c", 2)
    assert not outbox.over, "it may have told of another tab's mark"
    outbox = o.marked(outbox, 1, ReadAnswer(2), is_told=True)
    assert ends(outbox) == [(1, ReadAnswer(2), False)]
    assert not outbox.entries


OWED = ReadAnswer(None)


def test_a_mark_without_an_answer_is_owed_and_its_call_waits_no_longer() -> None:
    for lost in (
        o.unanswered(left(box(mark(1))), 1, LOST, 5.0),
        o.link_gone(left(box(mark(1))), UNSENT, LOST),
        o.withdraw(left(box(mark(1))), 1, WITHDRAWN),
        o.expire(left(box(mark(1, until=5.0))), 5.0, TOO_LATE, NO_ANSWER),
        o.owed(box(mark(1))),
    ):
        assert [(each.answer, each.ends) for each in lost.over] == [(OWED, False)]
        gone = o.link_gone(o.told(lost), UNSENT, LOST)
        assert not gone.over, "its call was told"
        assert leaving(gone, 5.0) == [1]


def test_a_mark_that_is_owed_already_is_not_owed_twice() -> None:
    for owed in (o.told(o.owed(box(mark(1)))), left(o.told(o.owed(box(mark(1)))))):
        again = attrs.evolve(mark(1), number=2)
        sent = owed.entries[0].under_way
        assert [e.number for e in o.add(owed, again).entries] == ([1, 2] if sent else [2])
    other = mark(3)
    assert [e.number for e in o.add(o.owed(box(mark(1))), other).entries] == [1, 3]


def test_nobody_waits_for_the_stream_when_the_link_is_lost_or_the_time_over() -> None:
    answered = o.marked(left(box(mark(1, until=5.0))), 1, ReadAnswer(0), is_told=True)
    for outbox in (
        o.link_gone(answered, UNSENT, LOST),
        o.expire(answered, 5.0, TOO_LATE, NO_ANSWER),
    ):
        assert ends(outbox) == [(1, ReadAnswer(0), False)]
        assert not outbox.entries


def test_the_end_of_the_session_is_told_to_whoever_has_made_a_mark() -> None:
    outbox = o.drop(o.link_gone(left(box(mark(1))), UNSENT, LOST), ENDED)
    assert [(each.error, each.ends) for each in outbox.over if each.entry.awaited] == [
        (ENDED, False)
    ]
    assert not outbox.entries


def test_a_mark_that_is_not_to_wait_ends_with_its_link_or_its_time() -> None:
    outbox = o.link_gone(left(box(mark(1, waits=False))), UNSENT, LOST)
    assert ends(outbox) == [(1, LOST, True)]
    outbox = o.expire(box(mark(1, waits=False, until=5.0)), 5.0, TOO_LATE, NO_ANSWER)
    assert ends(outbox) == [(1, TOO_LATE, False)]


def test_a_mark_that_is_refused_takes_nothing_along() -> None:
    outbox = o.refused(left(box(mark(1), mark(2), entry(3))), 1, VISITOR, NOT_THEIRS)
    assert [each.number for each in outbox.entries] == [2, 3]
