"""What a `Transport` and its links promise where one person has several sessions, as clauses: for
whom a call is, own messages, merges, the end of a visitor, read marks and pages.

What not every backend can is not applicable where the welcome says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ....errors import BackendRejectedError, VisitorEndedError
from ....ports import (
    Link,
    ListConversations,
    ListMessages,
    MarkRead,
    MessageArrived,
    Outgoing,
    OwnerChanged,
    ReadUpTo,
    SessionRevoked,
)
from ....values import SignedIn
from ..arrangement import TransportTrial, visitor_of
from ..expecting import NotApplicable, Reader, expect, expect_that, raised
from ..suites import clause, clauses_of

ODD_NAMES: Final = ("Ann@Example.COM", "a|b", "größe é", "visitor:ann", "%41+")
"""Names of users as other people's systems give them out."""


async def _echoing(trial: TransportTrial) -> Link:
    """A visitor's link, if the backend tells it of its own messages."""
    link = await trial.open()
    if not link.welcome.echoes:
        raise NotApplicable("the backend does not echo, as its welcome says")
    return link


@clause("link.odd-user-ids")
async def odd_user_ids(trial: TransportTrial) -> None:
    """A user's id is kept character for character: capitals, accents and signs."""
    for number, name in enumerate(ODD_NAMES):
        link = await trial.open(await trial.as_user(name, f"visitor{number}"))
        owner = SignedIn(trial.user(name))
        expect(link.welcome.user_id, owner.user_id, "the user of the welcome")
        sent = await link.send(Outgoing("m-1", "hello", owner=owner))
        listed = await link.conversations(ListConversations(owner))
        expect([one.id for one in listed], [sent.conversation_id], "the user's conversations")
        await trial.arrangement.say(owner, "to you")
        expect(await Reader(link).texts(1), ["to you"], "the text of what arrived")


@clause("link.owner")
async def owner(trial: TransportTrial) -> None:
    """A call for somebody else than the session is for is refused (`owner_changed`), and nothing of
    it is done.
    """
    link, other = await trial.open(), await trial.open(trial.credentials("other"))
    own, another = visitor_of(link), visitor_of(other)
    sent = await link.send(Outgoing("m-1", "hello", owner=own))
    named = sent.conversation_id
    calls: Mapping[str, Callable[[], Awaitable[object]]] = {
        "send()": lambda: link.send(Outgoing("m-2", "for whom?", named, owner=another)),
        "a send() that begins": lambda: link.send(Outgoing("m-3", "for whom?", owner=another)),
        "update()": lambda: link.update({"user.name": "V"}, another),
        "conversations()": lambda: link.conversations(ListConversations(another)),
        "messages()": lambda: link.messages(ListMessages(named, owner=another)),
        "mark_read()": lambda: link.mark_read(MarkRead(named, owner=another)),
        "send() as a user": lambda: link.send(Outgoing("m-4", "for whom?", owner=SignedIn("ann"))),
    }
    for what, call in calls.items():
        error = await raised(BackendRejectedError, call(), f"{what} for somebody else")
        expect(error.code, "owner_changed", f"the code of {what} for somebody else")
    expect(list(await link.messages(ListMessages(named, owner=own))), [sent], "what is stored")
    expect(len(await link.conversations(ListConversations(own))), 1, "how many conversations are")


@clause("link.own-messages")
async def own_messages(trial: TransportTrial) -> None:
    """A session's own messages come in its stream, once, as its own; in the other sessions of its
    identity they are somebody else's, and nowhere unread.
    """
    link = await _echoing(trial)
    tab = await trial.open()
    readers = {"the sender": Reader(link, own=True), "the other session": Reader(tab, own=True)}
    sent = [await link.send(Outgoing(f"m-{n}", f"{n}")) for n in range(3)]
    await link.send(Outgoing("m-1", "1"))
    for name, reader in readers.items():
        arrived = [await reader.next(MessageArrived, f"message {n} to {name}") for n in range(3)]
        expect([one.message for one in arrived], sent, f"what {name} is told")
        is_own = name == "the sender"
        expect([one.own for one in arrived], [is_own] * 3, f"whether it is own to {name}")
        expect({one.unread for one in arrived} - {None}, {0}, f"how many are unread for {name}")
        await reader.silent()


@clause("link.own-replayed")
async def own_replayed(trial: TransportTrial) -> None:
    """A replay brings own messages, too, in their place, also to whoever resumes the session."""
    link = await _echoing(trial)
    await link.send(Outgoing("m-1", "one"))
    await trial.say(link, "two")
    await link.send(Outgoing("m-3", "three"))
    link.abort()
    reader = Reader(await trial.resume(link, link.welcome.cursor), own=True)
    arrived = [await reader.next(MessageArrived, f"message {n}") for n in range(3)]
    expect(
        [(one.message.text, one.own) for one in arrived],
        [("one", True), ("two", False), ("three", True)],
        "what is replayed, and what of it is own",
    )


@clause("link.merge-told")
async def merge_told(trial: TransportTrial) -> None:
    """When one session of a visitor merges them, the others are told by OwnerChanged, and what they
    ask for the visitor is refused.
    """
    link = await _echoing(trial)
    tab, stranger = await trial.open(), await trial.open(trial.credentials("other"))
    shown, reader = visitor_of(tab), Reader(tab)
    await link.identify(await trial.request())
    await reader.next(OwnerChanged, "OwnerChanged")
    calls: Mapping[str, Callable[[], Awaitable[object]]] = {
        "send()": lambda: tab.send(Outgoing("m-1", "for whom?", owner=shown)),
        "update()": lambda: tab.update({"user.name": "V"}, shown),
    }
    for what, call in calls.items():
        error = await raised(BackendRejectedError, call(), f"{what} after the merge")
        expect(error.code, "owner_changed", f"the code of {what} after the merge")
    owner = SignedIn(trial.user())
    expect(list(await link.conversations(ListConversations(owner))), [], "what the user has")
    await Reader(link).silent()
    await Reader(stranger).silent()


@clause("link.merge-sends-once")
async def merge_sends_once(trial: TransportTrial) -> None:
    """A message that was sent before a merge is answered with what was stored when it is sent
    again: as the user whom the visitor became, and as the visitor by a session left behind.
    """
    link, tab = await trial.open(), await trial.open()
    shown = visitor_of(link)
    first = await link.send(Outgoing("m-1", "hello", owner=shown))
    other = await tab.send(Outgoing("m-2", "hello, too", first.conversation_id, owner=shown))
    await link.identify(await trial.request())
    again = await link.send(Outgoing("m-1", "hello", owner=SignedIn(trial.user())))
    expect(again.id, first.id, "the id of the message that was sent again")
    late = Outgoing("m-2", "hello, too", first.conversation_id, owner=shown)
    expect((await tab.send(late)).id, other.id, "the id of what the session left behind sent again")
    listed = await link.messages(ListMessages(first.conversation_id))
    expect(len(listed), 2, "how many messages the conversation holds")


@clause("transport.one-successor")
async def one_successor(trial: TransportTrial) -> None:
    """A secret whose visitor was merged has one successor for whoever presents it, generation after
    generation, also for the session that was left behind.
    """
    before: list[object] = []
    for generation in range(2):
        link, tab = await trial.open(), await trial.open()
        before.append(link.welcome.visitor_id)
        name = f"ann{generation}"
        await link.identify(await trial.request(f"identify-{generation}", name))
        tab.abort()
        dials = [await trial.open(), await trial.resume(tab), await trial.open()]
        ids = {dial.welcome.visitor_id for dial in dials}
        expect(len(ids), 1, "how many visitors one secret has after a merge")
        expect_that(not ids & set(before), "the secret still stands for a visitor who was merged")
        expect({dial.welcome.user_id for dial in dials}, {None}, "the users of these welcomes")


@clause("transport.end-visitor")
async def end_visitor(trial: TransportTrial) -> None:
    """end_visitor() ends every session that was opened with the secret, a user's too, and no other;
    their links are told.
    """
    merged = await trial.open()
    await merged.identify(await trial.request())
    ended = {
        "the visitor's": await trial.open(),
        "a user's": await trial.open(await trial.as_user("bob")),
        "that of who identified": merged,
    }
    others = {
        "another visitor's": await trial.open(trial.credentials("other")),
        "the user's elsewhere": await trial.open(await trial.as_user("bob", "other")),
    }
    readers = {name: Reader(link) for name, link in ended.items()}
    await _end(trial, "visitor")
    for name, reader in readers.items():
        await reader.next(SessionRevoked, f"SessionRevoked to {name} session")
    for name, link in others.items():
        sent = await link.send(Outgoing(f"m-{name}", "still here"))
        expect(sent.text, "still here", f"the text of a message of {name} session")


@clause("transport.visitor-ended")
async def visitor_ended(trial: TransportTrial) -> None:
    """A dial with a secret that is over raises VisitorEndedError, whoever dials; that it is over
    may be said twice, and of a secret that nobody has used.
    """
    link = await trial.open()
    for name in ("visitor", "visitor", "never-used"):
        await _end(trial, name)
    for what, credentials in {
        "a dial with a secret that is over": trial.credentials(),
        "resuming a session of it": trial.credentials(session=link.welcome.session),
        "a user's dial with it": await trial.as_user(),
        "a dial with a secret that was over before it was used": trial.credentials("never-used"),
    }.items():
        await raised(VisitorEndedError, trial.open(credentials), what)
    expect_that(
        (await trial.open(trial.credentials("new"))).welcome.visitor_id != link.welcome.visitor_id,
        "a new secret stands for the visitor who is over",
    )


@clause("link.read-told")
async def read_told(trial: TransportTrial) -> None:
    """A read mark is told to every link of the identity, the marking one included."""
    link = await _echoing(trial)
    tab, readers = await trial.open(), [Reader(link)]
    readers.append(Reader(tab))
    await trial.say(link, "one")
    arrived = [await reader.next(MessageArrived, "a message") for reader in readers]
    message = arrived[0].message
    await link.mark_read(MarkRead(message.conversation_id, message.id))
    for reader in readers:
        told = await reader.next(ReadUpTo, "ReadUpTo")
        expect(told.conversation_id, message.conversation_id, "the conversation that was read")
        expect(told.up_to, message.id, "up to where it was read")
        expect_that(
            told.unread in (None, 0), f"{told.unread} are unread by the mark, which reads all"
        )


@clause("link.read-up-to")
async def read_up_to(trial: TransportTrial) -> None:
    """A read mark reads up to its message; one that is older, unknown, or of another conversation
    makes nothing unread again.
    """
    link = await trial.open()
    reader = Reader(link)
    arrived = list[MessageArrived]()
    for number in range(3):
        await trial.say(link, f"{number}")
        arrived.append(await reader.next(MessageArrived, f"message {number}"))
    if arrived[0].unread is None:
        raise NotApplicable("the backend does not count what is unread")
    named = arrived[0].message.conversation_id
    for up_to, left in (
        (arrived[1].message.id, 1),
        (arrived[0].message.id, 1),
        ("no-such-message", 1),
        (arrived[1].message.id, 1),
        (arrived[2].message.id, 0),
        (arrived[0].message.id, 0),
    ):
        answer = await link.mark_read(MarkRead(named, up_to))
        expect(answer.unread, left, "how many are unread after a mark")
    expect([one.unread for one in await link.conversations(ListConversations())], [0], "as listed")


@clause("link.identify-unread")
async def identify_unread(trial: TransportTrial) -> None:
    """The answer to an identify says how many messages are unread for the user, or that it does not
    know.
    """
    link = await trial.open()
    await trial.say(link, "to the visitor")
    await Reader(link).texts(1)
    answer = await link.identify(await trial.request())
    expect_that(answer.unread in (None, 1), f"{answer.unread} are unread by identify(), not 1")


@clause("link.messages-before")
async def messages_before(trial: TransportTrial) -> None:
    """messages() with `before` and `limit` lists the last ones before a message, oldest first."""
    link = await trial.open()
    sent = [await link.send(Outgoing("m-0", "0"))]
    named = sent[0].conversation_id
    for number in range(1, 6):
        sent.append(await link.send(Outgoing(f"m-{number}", f"{number}", named)))
    listed = list[object]()
    before: str | None = None
    for wanted in (sent[4:], sent[2:4], sent[:2], []):
        page = list(await link.messages(ListMessages(named, before, 2)))
        expect(page, wanted, "a page of messages")
        listed[:0] = page
        before = page[0].id if page else None
    expect(listed, sent, "all pages")
    rest = await link.messages(ListMessages(named, sent[3].id))
    expect(list(rest), sent[:3], "all messages before one")


@clause("link.cursor-of-nowhere")
async def cursor_of_nowhere(trial: TransportTrial) -> None:
    """A cursor that this backend never gave out is answered by a gap and a cursor to go on from."""
    link = await trial.open()
    await trial.say(link, "before")
    link.abort()
    again = await trial.resume(link, "nowhere.1")
    expect(again.welcome.gap, True, "whether the welcome tells of a gap")
    again.abort()
    await trial.say(link, "after")
    back = await trial.resume(link, again.welcome.cursor)
    expect(await Reader(back).texts(1), ["after"], "the texts of what arrived")


async def _end(trial: TransportTrial, name: str) -> None:
    arrangement = trial.arrangement
    await trial.transport.end_visitor(
        arrangement.workspace_id, arrangement.widget_id, trial.visitor(name)
    )


TABS = clauses_of(vars(), TransportTrial)
