"""The record of updates against a model: a backend that stores what reaches it, and a caller who
remembers what they wrote last.

The model knows nothing of how the record is kept. After every step it asks the one question that
matters: *if from now on everything went well, would the backend have the last value of every key?*
Only keys that were dropped with an event may be missing. That is asked for every way in which what
is under way may end, since the functions are pure and a future can be played without living it.

Then the rules one by one: the last writer wins, what is known or on its way is not sent again, what
is newer is kept; and what a caller changes afterwards in place is another value.
"""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from async_tests import in_virtual_time
from support_chat.lifecycle import updates as u
from support_chat.lifecycle.updates import NO_UPDATES, Updates
from support_chat.testing.lives import Life
from support_chat.values import Changes

PATHS = st.sampled_from(("user.name", "user.email", "user.traits.plan", "context.page"))
ALIKE = (
    1,
    True,
    1.0,
    0,
    False,
    0.0,
    None,
    "1",
    "",
    [1],
    [True],
    {"a": 1},
    {"a": 1.0},
    {"b": 2, "a": 1},
)
"""Values that are equal in Python and different in JSON, among others."""
CHANGES = st.dictionaries(PATHS, st.sampled_from(ALIKE), min_size=1, max_size=3)


def wire(value: object) -> str:
    """A value as the backend tells it from others."""
    return json.dumps(value, sort_keys=True)


class Writing(RuleBasedStateMachine):
    """Calls of update() and identify(), requests, and every end that a request may have."""

    def __init__(self) -> None:
        super().__init__()
        self.updates = NO_UPDATES
        self.stored: dict[str, Any] = {}
        """What the backend has for the session's identity."""
        self.written: dict[str, Any] = {}
        """What the caller wrote last, by key, for the session's identity; without what was dropped
        with an event.
        """
        self.surely: dict[str, Any] = {}
        """What the backend is known to have: acknowledged, and nothing of it sent again since."""
        self.target_written: dict[str, Any] | None = None
        """What the caller wrote last for the user to be identified; None when there is none."""
        self.carried = False

    # --- the caller ---

    @precondition(lambda self: self.target_written is None)
    @rule(changes=CHANGES)
    def update(self, changes: Changes) -> None:
        self.updates = u.record(self.updates, changes)
        self.written.update(changes)

    @precondition(lambda self: self.target_written is not None)
    @rule(changes=CHANGES)
    def update_while_identifying(self, changes: Changes) -> None:
        self.updates = u.hold(self.updates, changes)
        assert self.target_written is not None
        self.target_written.update(changes)

    # --- a request ---

    @precondition(
        lambda self: self.updates.recorded and not self.updates.sent and self.target_written is None
    )
    @rule()
    def send(self) -> None:
        self.updates = u.take(self.updates)
        for path, value in self.updates.sent.items():
            assert path not in self.surely or wire(self.surely[path]) != wire(value), (
                "the backend knows this already"
            )

    @precondition(lambda self: self.updates.sent)
    @rule(data=st.data())
    def acknowledged(self, data: st.DataObject) -> None:
        rejected = data.draw(st.sets(st.sampled_from(sorted(self.updates.sent))))
        sent = {path: value for path, value in self.updates.sent.items() if path not in rejected}
        self.stored.update(sent)
        self.surely.update(sent)
        self.forget_written({path: self.updates.sent[path] for path in rejected})
        self.updates = u.acknowledge(self.updates, rejected)

    @precondition(lambda self: self.updates.sent)
    @rule(arrived=st.booleans())
    def answer_lost(self, arrived: bool) -> None:
        if arrived:
            self.stored.update(self.updates.sent)
        for path in self.updates.sent:
            self.surely.pop(path, None)
        self.updates = u.restore(self.updates)

    @precondition(lambda self: self.updates.sent)
    @rule()
    def refused_as_a_whole(self) -> None:
        self.forget_written(self.updates.sent)
        self.updates = u.drop_sent(self.updates)

    def forget_written(self, dropped: Changes) -> None:
        """Dropped with an event, unless the caller has written something newer since."""
        for path, value in dropped.items():
            if wire(self.written[path]) == wire(value):
                del self.written[path]

    # --- an identify ---

    @precondition(lambda self: self.target_written is None and not self.updates.sent)
    @rule()
    def identify(self) -> None:
        self.target_written = {}

    @precondition(lambda self: self.target_written is not None and not self.carried)
    @rule()
    def identify_sent(self) -> None:
        self.updates = u.carry(self.updates)
        self.carried = True

    @precondition(lambda self: self.carried)
    @rule(data=st.data())
    def identify_committed(self, data: st.DataObject) -> None:
        assert self.target_written is not None
        carried = self.updates.carried_held
        rejected = data.draw(st.sets(st.sampled_from(sorted(carried)))) if carried else set[str]()
        self.stored = {path: value for path, value in carried.items() if path not in rejected}
        self.surely = dict(self.stored)
        self.written, self.target_written, self.carried = self.target_written, None, False
        # told as rejected, and nothing newer was written
        for path in rejected - set(self.updates.held):
            del self.written[path]
        self.updates = u.become_user(self.updates, rejected)

    @precondition(lambda self: self.carried)
    @rule()
    def identify_not_committed(self) -> None:
        self.updates = u.unclaim(self.updates)
        self.carried = False

    @precondition(lambda self: self.target_written is not None)
    @rule()
    def identify_failed(self) -> None:
        self.updates = u.forget_target(self.updates)
        self.target_written, self.carried = None, False

    @precondition(lambda self: self.carried)
    @rule()
    def identify_given_up(self) -> None:
        assert self.target_written is not None
        for path in self.updates.held:  # told as dropped; what had left may still become the user's
            self.target_written.pop(path)
            if path in self.updates.carried_held:
                self.target_written[path] = self.updates.carried_held[path]
        self.updates = u.drop_held(self.updates)

    # --- whatever happens now, nothing is lost ---

    @invariant()
    def the_last_value_of_every_key_can_still_reach_the_backend(self) -> None:
        futures = [("lost", u.restore(u.unclaim(self.updates)), dict(self.stored))]
        if self.updates.sent:
            arrived = {**self.stored, **self.updates.sent}
            futures.append(("arrived", u.restore(u.unclaim(self.updates)), arrived))
            futures.append(("acknowledged", u.acknowledge(u.unclaim(self.updates)), arrived))
        for name, updates, stored in futures:
            stored.update(updates.recorded)
            for path, value in self.written.items():
                assert path in stored, f"{name}: {path} never reaches the backend"
                assert wire(stored[path]) == wire(value), (
                    f"{name}: the backend keeps an older {path}"
                )

    @precondition(lambda self: self.carried)
    @invariant()
    def the_visitor_s_travel_with_the_identify_and_the_user_s_follow_it(self) -> None:
        assert self.target_written is not None
        visitor = {**self.stored, **self.updates.carried}
        assert all(wire(visitor[path]) == wire(value) for path, value in self.written.items())
        user = {**self.updates.carried_held, **u.become_user(self.updates).recorded}
        assert {path: wire(value) for path, value in user.items()} == {
            path: wire(value) for path, value in self.target_written.items()
        }


TestWriting = Writing.TestCase
TestWriting.settings = settings(
    max_examples=250, stateful_step_count=25, deadline=None, report_multiple_bugs=False
)


# --- the rules one by one -------------------------------------------------------------------------


def known(**values: Any) -> Updates:
    """A record of which the backend has acknowledged these values."""
    return u.acknowledge(u.take(u.record(NO_UPDATES, values)))


def test_the_last_writer_wins_key_by_key_and_none_erases() -> None:
    updates = u.record(u.record(NO_UPDATES, {"a": 1, "b": 1}), {"b": 2, "c": None})
    assert updates.recorded == {"a": 1, "b": 2, "c": None}


def test_none_is_a_value_that_is_sent_and_then_known() -> None:
    assert u.record(known(a=1), {"a": None}).recorded == {"a": None}
    assert u.record(known(a=None), {"a": None}).recorded == {}
    assert u.record(NO_UPDATES, {"a": None}).recorded == {"a": None}


@pytest.mark.parametrize("one", ALIKE)
@pytest.mark.parametrize("other", ALIKE)
def test_what_the_backend_knows_is_sent_again_only_if_json_tells_it_from_the_new_value(
    one: Any, other: Any
) -> None:
    again = u.record(known(a=one), {"a": other})
    assert again.recorded == ({} if wire(one) == wire(other) else {"a": other})


def test_a_value_on_its_way_is_not_sent_twice() -> None:
    sent = u.take(u.record(NO_UPDATES, {"a": 1}))
    assert u.record(sent, {"a": 1}).recorded == {}
    assert u.record(sent, {"a": 2}).recorded == {"a": 2}


def test_going_back_to_the_value_that_the_backend_knows_needs_no_request() -> None:
    assert u.record(u.record(known(a=1), {"a": 2}), {"a": 1}).recorded == {}


def test_restoring_never_overwrites_what_is_newer() -> None:
    sent = u.take(u.record(NO_UPDATES, {"a": 1, "b": 1}))
    assert u.restore(u.record(sent, {"a": 2})).recorded == {"a": 2, "b": 1}


def test_what_an_identify_carried_goes_back_under_what_is_newer() -> None:
    carried = u.carry(u.hold(u.record(NO_UPDATES, {"a": 1, "b": 1}), {"c": 1, "d": 1}))
    newer = u.record(u.hold(carried, {"c": 2}), {"a": 2})
    back = u.unclaim(newer)
    assert (back.recorded, back.held) == ({"a": 2, "b": 1}, {"c": 2, "d": 1})
    assert (back.carried, back.carried_held) == ({}, {})


def test_after_a_lost_answer_the_old_value_is_not_taken_for_known() -> None:
    """The backend may have the new value: going back to the old one must be sent."""
    lost = u.restore(u.take(u.record(known(a="old"), {"a": "new"})))
    assert u.record(lost, {"a": "old"}).recorded == {"a": "old"}


def test_what_turns_out_to_be_known_already_is_not_sent_after_all() -> None:
    """Written back to the old value while the new one was on its way, and the new one was refused:
    the backend never had it.
    """
    under_way = u.record(u.take(u.record(known(a="old"), {"a": "new"})), {"a": "old"})
    assert under_way.recorded == {"a": "old"}
    assert u.drop_sent(under_way).recorded == {}
    assert u.acknowledge(under_way, rejected=["a"]).recorded == {}
    assert u.acknowledge(under_way).recorded == {"a": "old"}


def test_a_rejected_key_blocks_nothing_and_a_newer_value_of_it_is_kept() -> None:
    sent = u.take(u.record(NO_UPDATES, {"a": 1, "b": 1}))
    after = u.acknowledge(u.record(sent, {"b": 2}), rejected=["b"])
    assert (after.known, after.recorded, after.sent) == ({"a": 1}, {"b": 2}, {})


def test_the_functions_change_no_record_and_no_mapping_that_they_are_given() -> None:
    changes: Changes = {"a": 1}
    updates = Updates(*({field.name: 0} for field in attrs.fields(Updates)))
    before = copy.deepcopy(updates)
    for function in (
        u.take,
        u.acknowledge,
        u.restore,
        u.drop_sent,
        u.carry,
        u.become_user,
        u.unclaim,
        u.nothing_is_known,
        u.drop_held,
        u.forget_target,
    ):
        assert function(updates) == function(updates)
    for write in (u.record, u.hold):
        assert write(updates, changes) == write(updates, changes)
    assert (changes, updates) == ({"a": 1}, before)


@in_virtual_time
async def test_a_value_that_the_caller_changes_in_place_is_another_value() -> None:
    """A list is recorded as it was when update() was called, else the backend would never hear of
    the change.
    """
    life, tags = Life(), ["new"]
    await life.chat.boot()
    for tag in ("vip", "loyal"):
        await life.chat.update(context={"tags": tags})
        tags.append(tag)
        await asyncio.sleep(5.0)
    sent = [call.request for call in life.log.of("link.update")]
    assert sent == [{"context.tags": ["new"]}, {"context.tags": ["new", "vip"]}]
    await life.end()


def test_the_repr_of_a_record_shows_no_value() -> None:
    assert "secret" not in repr(Updates(recorded={"a": "secret"}, known={"user.email": "secret"}))
