"""Messages in two tabs: each rule of the backend, and what a session does with a message, is missed
by a property if it is wrong. What goes wrong then is real: each tab's part of the story goes, step
by step, on the engine that a session runs, which then knows and has told what the story says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import attrs
import pytest

from support_chat import CHART, Chart, Message
from support_chat.engine import Emit
from support_chat.lifecycle import reducers as do
from support_chat.lifecycle.context import replaced
from support_chat.lifecycle.events import MessageReceived, MessageSent
from support_chat.lifecycle.names import Effect as E, Fact as F, Trigger as T
from support_chat.lifecycle.outbox import leave
from support_chat.lifecycle.requests import SendMessage
from support_chat.ports import MarkRead, MessageArrived, Outgoing, ReadAnswer, ReadUpTo, Welcome
from support_chat.verify import (
    Composition,
    Judgement,
    Occurrence,
    Places,
    Product,
    check_whole,
    each_story,
)
from support_chat.verify.delivery import DELIVERY, Rules, Size, delivery
from support_chat.verify.replay import Player
from support_chat.verify.trace import Seen

ENOUGH: Final = 20_000
"""States after which a faulty whole is explored no further; each fault is found far sooner."""
AT_ONCE: Final = 1e-6
"""Seconds between two steps, unless a timer has run out."""
LATER: Final = 25.0
"""Seconds after which whatever has no answer is sent again."""
FEW: Final = Size(mine=1, both=1, marks=1)
MUCH_TO_READ: Final = Size(mine=0, both=0, answers=2, marks=2)


def doing(effect: str, **otherwise: Callable[[Any, Any], Any]) -> Chart:
    """The shipped chart, of which one effect does something else."""
    values: dict[str, Any] = {**otherwise}
    spec = attrs.evolve(CHART.effects[effect], **values)
    return attrs.evolve(CHART, name="edited", effects={**CHART.effects, effect: spec})


def without(row: str, effect: str) -> Chart:
    """The shipped chart, of which one row has an effect less."""
    transitions = tuple(
        attrs.evolve(each, effects=tuple(e for e in each.effects if e != effect))
        if each.name == row
        else each
        for each in CHART.transitions
    )
    return attrs.evolve(CHART, name="edited", transitions=transitions)


def everything_leaves(context: Any, moment: Any) -> Any:
    """All messages are under way at once."""
    for _ in context.outbox.entries:
        context = replaced(context, outbox=leave(context.outbox, moment.now.at, 0.0))
    entries = [attrs.evolve(e, under_way=True, attempts=1) for e in context.outbox.entries]
    return replaced(context, outbox=attrs.evolve(context.outbox, entries=tuple(entries)))


def all_that_waits(context: Any, moment: Any) -> Any:
    waiting = [entry for entry in context.outbox.entries if not entry.under_way]
    return [SendMessage(entry.message, entry.number, 1) for entry in waiting]


# --- a story with its values, on an engine --------------------------------------------------------


class Tab(Player):
    """A player that brings what the places of a story say: the messages, and what is unread."""

    def __init__(self, chart: Chart) -> None:
        super().__init__(chart)
        self.before: Places = DELIVERY.begin()
        self.after = self.before
        self.copy = 0

    def play(self, one: Occurrence, rest: Sequence[Occurrence]) -> Sequence[Seen]:
        """As it is, but time stands still until something is to be sent again."""
        self._at += (LATER if one.trigger == T.OUTBOX_DUE else AT_ONCE) - 1.0
        return super().play(one, rest)

    def _arguments(self, one: Occurrence, rest: Sequence[Occurrence]) -> Any:
        arguments = super()._arguments(one, rest)
        if one.trigger == T.SEND:
            (given,) = set(self._waiting(self.after)) - set(self._waiting(self.before))
            return attrs.evolve(arguments, message=self._waiting(self.after)[given])
        return arguments

    def _waiting(self, places: Places) -> dict[int, Any]:
        """What is on its way, by the number of its call."""
        entries = places.knows[self.copy].context.outbox.entries
        return {entry.number: entry.message for entry in entries}

    def _event(self, trigger: T, one: Occurrence) -> Any:
        if trigger is T.LINK_LOST:
            return None
        what, position, unread = self.before.link[self.copy][0]
        if what == "mark":
            return ReadUpTo("c", str(position), unread)
        names = {at: f"m{number}" for number, at in self.before.stored[self.copy]}
        message = Message(str(position), "c", "somebody", "hello", 0.0, names.get(position))
        return MessageArrived(message, str(position), unread, F.OWN in one.carried)

    def _outcome(self, one: Occurrence, spec: Any, request: Any, rest: Any) -> Any:
        """What was asked is answered as the places say: there was one such request, or it is the
        one whose answer is there no more.
        """
        outcome = super()._outcome(one, spec, request, rest)
        sends, marking = self.before.sends[self.copy], self.before.marking[self.copy]
        if one.trigger == T.LINK_UP:
            last = len(self.before.record)
            unread = sum(author == "agent" for author in self.before.record[self.before.read :])
            welcome = Welcome("s", "v", cursor=str(last), unread=unread, echoes=True)
            return attrs.evolve(outcome, result=welcome)
        if one.trigger in (T.SENT, T.SEND_FAILED):
            gone = set(sends) - set(self.after.sends[self.copy])
            marked = set(marking) - set(self.after.marking[self.copy])
            ((what, answer),) = gone or marked
            name = f"m{what}" if gone else str(what)
            asked = [r for r in self.trace.account.asked.values() if r.effect == E.SEND_MESSAGES]
            its = next(r for r in asked if _name(r.payload.message) == name)
            stored = Message(str(answer), "c", "visitor", "hello", 0.0)
            result = (stored if gone else ReadAnswer(answer)) if one.trigger == T.SENT else None
            return attrs.evolve(outcome, request=its, result=result)
        return outcome

    def told(self) -> tuple[tuple[int, str], ...]:
        """What listeners were told of messages."""
        events = [c.event for s in self.trace.steps for c in s.commands if isinstance(c, Emit)]
        kinds = {MessageSent: "sent", MessageReceived: "received"}
        return tuple((int(e.message.id), kinds[type(e)]) for e in events if type(e) in kinds)


def went_on_the_engine(
    chart: Chart, product: Product, judgement: Judgement, copy: int
) -> list[str]:
    """Plays one tab's part of a story; returns where the engine knows, or tells, something else
    than the story says.
    """
    tab, differs = Tab(chart), list[str]()
    tab.copy = copy
    story = list(each_story(product, judgement)["tab", copy])
    for entry in judgement.story:
        tab.after = entry.places
        if (entry.component, entry.copy) == ("tab", copy):
            for _ in entry.steps:
                one = story.pop(0)
                seen = tab.play(one, story)
                rows = [row.name for step in seen for row in step.rows if row in chart.transitions]
                if rows != list(one.rows):
                    differs.append(f"{one.trigger}: {one.rows} in the story, and {rows}")
            context, knows = tab.trace.snapshot.context, entry.places.knows[copy]
            pairs = (
                ("told", knows.told, tab.told()),
                ("cursor", knows.context.cursor, context.cursor),
                ("unread", knows.context.unread, context.unread),
                ("outbox", *(_waiting(c) for c in (knows.context, context))),
            )
            differs += [f"{entry}: {what}: {a}, {b}" for what, a, b in pairs if a != b]
        tab.before = entry.places
    return differs


def _waiting(context: Any) -> list[tuple[str | None, bool, bool]]:
    entries = context.outbox.entries
    return [(_name(e.message), e.under_way, e.left) for e in entries]


def _name(message: Outgoing | MarkRead) -> str | None:
    return message.up_to if isinstance(message, MarkRead) else message.client_message_id


# --- faults ---------------------------------------------------------------------------------------


@attrs.frozen
class Fault:
    """What is wrong, and the property that misses it."""

    breaks: str
    wrong: str
    whole: Composition


FAULTS: Final = (
    Fault("D1", "a message is stored for each copy", delivery(rules=Rules(once=False), size=FEW)),
    Fault(
        "D1",
        "messages of one conversation leave at once",
        delivery(doing(E.SEND_MESSAGES, request=all_that_waits, reduce=everything_leaves)),
    ),
    Fault(
        "D2",
        "an answer is told although the stream tells it",
        delivery(
            doing(E.ANSWER_MESSAGES, emits=lambda c, m: do.over(replaced(c, echoes=False), m))
        ),
    ),
    Fault(
        "D2",
        "what is told moves no cursor",
        delivery(
            doing(
                E.TELL_MESSAGE,
                reduce=lambda c, m: replaced(do.receive(c, m), cursor=c.cursor),
            ),
            size=FEW,
        ),
    ),
    Fault(
        "D3",
        "own messages are told as received",
        delivery(
            doing(E.TELL_MESSAGE, emits=lambda c, m: (MessageReceived(m.result.message),)), size=FEW
        ),
    ),
    Fault("D4", "a link replays nothing", delivery(rules=Rules(replays=False), size=FEW)),
    Fault(
        "D4",
        "a link that is up moves the cursor",
        delivery(
            doing(
                E.KEEP_LINK,
                reduce=lambda c, m: replaced(do.keep_link(c, m), cursor=m.result.cursor),
            ),
            size=Size(losses=2),
        ),
    ),
    Fault("D5", "a mark is told to nobody", delivery(rules=Rules(marks_told=False), size=FEW)),
    Fault(
        "D5",
        "the answer to a mark is believed, and may have been overtaken",
        delivery(
            doing(
                E.KEEP_SENT,
                reduce=lambda c, m: replaced(
                    do.keep_sent(c, m), unread=getattr(m.result, "unread", c.unread)
                ),
            ),
            size=MUCH_TO_READ,
        ),
    ),
    Fault("D6", "messages of all count", delivery(rules=Rules(agents_alone=False), size=FEW)),
    Fault(
        "D7", "the last mark is in force", delivery(rules=Rules(onwards=False), size=MUCH_TO_READ)
    ),
    Fault(
        "D8",
        "a message without an answer stays under way",
        delivery(without("send.failed", E.KEEP_UNANSWERED), size=FEW),
    ),
)


@cache
def explored(fault: Fault) -> Product:
    """The faulty whole, as far as the property needs it."""
    wanted = tuple(each for each in fault.whole.properties if each.id == fault.breaks)
    return check_whole(attrs.evolve(fault.whole, properties=wanted), max_states=ENOUGH)


def test_there_is_a_fault_for_each_property() -> None:
    found = dict.fromkeys(fault.breaks for fault in FAULTS)
    assert list(found) == [each.id for each in DELIVERY.properties]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.breaks}: {fault.wrong}")
def test_the_fault_makes_its_property_fail(fault: Fault) -> None:
    (found,) = explored(fault).judgements
    assert found.held is False, fault.wrong
    assert found.story


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.breaks}: {fault.wrong}")
def test_each_tab_goes_its_part_of_the_story_on_the_engine(fault: Fault) -> None:
    product = explored(fault)
    (found,) = product.judgements
    for copy in range(2):
        went = went_on_the_engine(fault.whole.component("tab").chart, product, found, copy)
        assert went == [], fault.wrong


@pytest.mark.parametrize("size", [FEW, MUCH_TO_READ], ids=["few messages", "much to read"])
def test_two_tabs_with_little_to_do_are_right(size: Size) -> None:
    product = check_whole(delivery(size=size))
    assert product.complete
    assert [each.property.id for each in product.judgements if each.held is not True] == []
