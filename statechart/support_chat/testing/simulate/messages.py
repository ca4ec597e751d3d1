"""What is promised of messages, judged from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...lifecycle.chart import ONLINE
from ...lifecycle.events import (
    AuthChanged,
    ConnectionChanged,
    MessageFailed,
    MessageReceived,
    MessageSent,
    Ready,
)
from ...values import Message, SignedIn
from .frontends import Tab
from .witness import Witness
from .world import Outside, Stored


def kept(witness: Witness, stored: Sequence[Stored], outside: Outside) -> Iterator[str]:
    """Each message once, for whom it was sent, in the order of the calls; none that has failed."""
    places = {s.message.text: place for place, s in enumerate(stored)}
    times = Counter(each.message.text for each in stored)
    failed = {
        e.client_message_id
        for e in witness.events
        if isinstance(e, MessageFailed) and not e.outcome_unknown
    }
    targets = list(witness.targets)
    last: dict[str, tuple[int, str]] = {}
    for sent in witness.sent:
        name = sent.use.text
        count = times[name]
        if count > 1:
            yield f"{name} is stored {count} times"
        if not witness.dead and sent.succeeded and count != 1:
            yield f"{name} was acknowledged and is stored {count} times"
        if name in failed and count:
            yield f"{name} was told as failed and is stored"
        if not count:
            continue
        place = places[name]
        owner, shown = stored[place].owner, sent.shown
        mine = {SignedIn(user) for whom, user in targets if whom in (shown, None)}
        allowed = {outside.now(shown), *mine} if shown else {owner}
        if owner not in allowed:
            yield f"{name} was sent as {shown} and is stored for {owner}"
        if sent.use.conversation is not None:
            before = last.get(sent.use.conversation)
            if before is not None and before[0] > place:
                yield f"{name} is stored before {before[1]}, which was sent first"
            last[sent.use.conversation] = (place, name)


def told_in_order(tab: Tab, stored: Sequence[Stored]) -> Iterator[str]:
    """Each message once, in the backend's order, from where the tab was last without a past."""
    events = tab.witness.events
    places = {s.message.id: place for place, s in enumerate(stored)}
    told: list[Message] = []
    for event in events:
        if isinstance(event, MessageSent | MessageReceived):
            told.append(event.message)
        elif isinstance(event, ConnectionChanged) and event.gap:
            told.clear()
    times = Counter(message.id for message in told)
    if again := sorted(one for one, count in times.items() if count > 1):
        yield f"was told {again} twice"
    mine = [message for message in _since_it_is_who_it_is(tab.witness) if message.id in places]
    order = [places[message.id] for message in mine]
    if order != sorted(order):
        yield f"was told {[m.text for m in mine]}, and the backend's order is another"
    if tab.state in ONLINE:
        # what another tab's visitor has brought along is learnt by listing it, not told
        first: dict[str, int] = {}
        for message in reversed(mine):
            first[message.conversation_id] = places[message.id]
        known = {message.id for message in mine}
        missing = [
            s.message.text
            for place, s in enumerate(stored)
            if place >= first.get(s.message.conversation_id, len(stored))
            and s.message.id not in known
            and s.owner == tab.identity  # the visitor it was may be another user's by now
        ]
        if missing:
            yield f"was not told {missing}"


def _since_it_is_who_it_is(witness: Witness) -> list[Message]:
    """What it was told since it shows whom it shows."""
    told: list[Message] = []
    for event in witness.events:
        gap = isinstance(event, ConnectionChanged) and event.gap
        if gap or isinstance(event, AuthChanged | Ready):
            told.clear()
        elif isinstance(event, MessageSent | MessageReceived):
            told.append(event.message)
    return told
