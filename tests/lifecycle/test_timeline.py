"""A timeline tells each message once and in the backend's order, whatever the stream leaves out or
repeats, and however the pages of the past fall in between.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, strategies as st

from support_chat.lifecycle import timeline as t
from support_chat.lifecycle.timeline import Item, Timeline
from support_chat.values import Message

LIMIT = 3


def message(number: int) -> Message:
    return Message(f"m{number}", "c", "agent", "", float(number))


class World:
    """A backend that stores messages and pages them, a stream that may be late, cut and repeat
    itself, and who is told.
    """

    def __init__(self) -> None:
        self.stored: list[Message] = []
        self.kept_from = 0
        self.heard = 0
        self.line = Timeline()
        self.told: list[Item] = []

    def _tell(self, after: tuple[Timeline, Sequence[Item]]) -> None:
        self.line, items = after
        self.told += items

    def store(self) -> None:
        self.stored.append(message(len(self.stored)))

    def hear(self) -> None:
        """The stream brings the next message, if there is one."""
        if self.heard < len(self.stored):
            self.heard += 1
            self._tell(t.heard(self.line, self.stored[self.heard - 1]))

    def hear_again(self) -> None:
        """A replay of what the backend has, or an echo after its answer."""
        for again in self.stored[max(self.kept_from, self.heard - 2) : self.heard]:
            self._tell(t.heard(self.line, again))

    def lose(self) -> None:
        """A gap: the stream goes on after all that is stored."""
        self.heard = len(self.stored)
        self.line = t.missed(self.line)

    def page(self) -> None:
        """A page, asked for and answered, if one is wanted."""
        if self.line.loading:
            before = t.before(self.line)
            end = len(self.stored) if before is None else int(before[1:])
            start = max(self.kept_from, end - LIMIT)
            self._tell(t.page(self.line, self.stored[start:end], LIMIT))

    def prune(self) -> None:
        """The backend forgets what is older than the newest few; a stream that has not brought it
        yet never will, and says so by a gap.
        """
        self.kept_from = max(self.kept_from, len(self.stored) - 2)
        if self.heard < self.kept_from:
            self.lose()

    def come_to_rest(self) -> None:
        while self.line.loading:
            self.page()
        while self.heard < len(self.stored):
            self.hear()

    @property
    def messages(self) -> list[Message]:
        return [item for item in self.told if isinstance(item, Message)]


STEPS = ("store", "hear", "hear_again", "lose", "page")


@given(st.lists(st.sampled_from(STEPS), max_size=60))
@example(["store", "store", "store", "lose", "page", "store", "hear"])
def test_each_message_is_told_once_and_in_order(steps: list[str]) -> None:
    world = World()
    for step in steps:
        getattr(world, step)()
        assert world.messages == world.stored[: len(world.messages)], "a beginning of the order"
    world.come_to_rest()
    assert world.told == world.stored


@given(st.lists(st.sampled_from((*STEPS, "prune")), max_size=60))
@example(["store", "page", "store", "store", "store", "lose", "prune"])
@example(["store", "store", "store", "prune"])
@example(["store", "store", "store", "hear", "prune"])
def test_a_gap_is_told_wherever_messages_are_missing(steps: list[str]) -> None:
    world = World()
    for step in steps:
        getattr(world, step)()
    world.come_to_rest()
    numbers = [int(each.id[1:]) for each in world.messages]
    assert numbers == sorted(set(numbers))
    for one, two in zip(world.told, world.told[1:], strict=False):
        if isinstance(one, Message) and isinstance(two, Message):
            assert int(two.id[1:]) == int(one.id[1:]) + 1, "nothing is missing untold"
    if world.stored:
        assert world.messages[-1] == world.stored[-1]


@pytest.mark.parametrize("length", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 5 * LIMIT])
def test_a_backend_that_knows_no_pages_is_asked_no_more_than_twice(length: int) -> None:
    line, told = Timeline(), list[Item]()
    everything = [message(number) for number in range(length)]
    for _ in range(2):
        line, items = t.page(line, everything, LIMIT)
        told += items
    assert not line.loading
    assert told == everything
