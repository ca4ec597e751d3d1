"""What a `Link` promises of its events, as clauses: what arrives, in which order, what is replayed,
and when it was heard.
"""

from __future__ import annotations

import asyncio

from ....ports import (
    MessageArrived,
    Outgoing,
    SessionRevoked,
    TokenExpired,
)
from ....values import SignedIn
from ..arrangement import TransportTrial
from ..expecting import MOMENT, Reader, expect, expect_that
from ..suites import clause, clauses_of


@clause("link.events")
async def events(trial: TransportTrial) -> None:
    """Messages arrive in order, each once, as the agent wrote them, each with the cursor to go on
    from.
    """
    link = await trial.open()
    reader, texts = Reader(link), [f"{n} é 🎈" for n in range(6)]
    for text in texts:
        await trial.say(link, text)
    arrived = [await reader.next(MessageArrived, f"message {n}") for n in range(6)]
    expect([event.message.text for event in arrived], texts, "the texts of what arrived")
    expect({event.message.author for event in arrived}, {"agent"}, "who wrote it")
    expect_that(
        len({event.message.id for event in arrived}) == 6, "two messages that arrived have one id"
    )
    expect({type(event.cursor) for event in arrived}, {str}, "the types of the cursors")
    expect_that(
        len({event.cursor for event in arrived}) == 6, "two messages that arrived have one cursor"
    )
    await reader.silent()


@clause("link.events-of-user")
async def events_of_user(trial: TransportTrial) -> None:
    """A user's messages arrive on every link of theirs, also on one that became theirs by
    identify().
    """
    booted, upgraded = await trial.open(await trial.as_user(visitor="other")), await trial.open()
    await upgraded.identify(await trial.request())
    await trial.arrangement.say(SignedIn(trial.user()), "to ann")
    for link in (booted, upgraded):
        expect(await Reader(link).texts(1), ["to ann"], "the text of what arrived")


@clause("link.events-of-nobody-else")
async def events_of_nobody_else(trial: TransportTrial) -> None:
    """No message of somebody else arrives."""
    link, other = await trial.open(), await trial.open(trial.credentials("other"))
    reader = Reader(link)
    await trial.say(other, "to somebody else")
    expect(await Reader(other).texts(1), ["to somebody else"], "the text of what arrived there")
    await trial.say(link, "to me")
    expect(await reader.texts(1), ["to me"], "the text of what arrived")


@clause("link.replay")
async def replay(trial: TransportTrial) -> None:
    """What was missed after the cursor arrives first, in order, each once, and then what is new."""
    first = await trial.open()
    await trial.say(first, "seen")
    seen = await Reader(first).next(MessageArrived, "the first message")
    first.abort()
    for text in ("missed 1", "missed 2"):
        await trial.say(first, text)
    again = await trial.resume(first, seen.cursor)
    expect(again.welcome.gap, False, "whether the welcome tells of a gap")
    reader = Reader(again)
    await trial.say(first, "new")
    arrived = [await reader.next(MessageArrived, f"message {n}") for n in range(3)]
    expect(
        [event.message.text for event in arrived],
        ["missed 1", "missed 2", "new"],
        "the texts of what arrived",
    )
    expect(again.welcome.cursor, arrived[1].cursor, "where the welcome says that the replay ends")
    await reader.silent()


@clause("link.replay-from-welcome")
async def replay_from_welcome(trial: TransportTrial) -> None:
    """The cursor of a welcome is one to go on from, also when nothing ever arrived."""
    first = await trial.open()
    first.abort()
    await trial.say(first, "missed")
    again = await trial.resume(first, first.welcome.cursor)
    expect(await Reader(again).texts(1), ["missed"], "the texts of what arrived")


@clause("link.unread")
async def unread(trial: TransportTrial) -> None:
    """What arrives says how many messages are unread then, over all conversations, and so does a
    welcome.
    """
    link = await trial.open()
    reader = Reader(link)
    await link.send(Outgoing("m-1", "what they write themselves does not count"))
    for number in (1, 2):
        await trial.say(link, f"{number}")
        arrived = await reader.next(MessageArrived, f"message {number}")
        expect(arrived.unread, number, "how many are unread when it arrives")
    link.abort()
    again = await trial.resume(link)
    expect(again.welcome.unread, 2, "how many are unread by the welcome")


@clause("link.gap")
async def gap(trial: TransportTrial) -> None:
    """A welcome says so if not all that was missed can be replayed."""
    first = await trial.open()
    first.abort()
    await trial.say(first, "missed")
    await trial.controls("forget_history").forget_history()
    again = await trial.resume(first, first.welcome.cursor)
    expect(again.welcome.gap, True, "whether the welcome tells of a gap")


@clause("link.token-expired-event")
async def token_expired_event(trial: TransportTrial) -> None:
    """TokenExpired comes when the backend no longer accepts the token that the link was opened
    with.
    """
    link = await trial.open(await trial.as_user())
    reader = Reader(link)
    await trial.controls("expire_tokens").expire_tokens(trial.user())
    await reader.next(TokenExpired, "TokenExpired")


@clause("link.revoked-event")
async def revoked_event(trial: TransportTrial) -> None:
    """SessionRevoked comes as the last event, after what was sent before it; other sessions hear
    nothing.
    """
    link, other = await trial.open(), await trial.open()
    reader = Reader(link)
    await trial.say(link, "before")
    await trial.controls("revoke").revoke(link.welcome.session)
    expect(await reader.texts(1), ["before"], "the text of what arrived")
    await reader.next(SessionRevoked, "SessionRevoked")
    await reader.ends()
    elsewhere = Reader(other)
    expect(await elsewhere.texts(1), ["before"], "what arrived in the other session")
    await elsewhere.silent()


@clause("link.heard-at")
async def heard_at(trial: TransportTrial) -> None:
    """heard_at is when the last sign of life came, by the running loop's clock."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    link = await trial.open()
    expect_that(
        before <= link.heard_at <= loop.time(),
        f"heard_at is {link.heard_at} on a link opened from {before} to {loop.time()}",
    )
    reader = Reader(link)
    await asyncio.sleep(MOMENT)
    said = loop.time()
    await trial.say(link, "hello")
    await reader.texts(1)
    expect_that(
        said <= link.heard_at <= loop.time(),
        f"heard_at is {link.heard_at} after a message between {said} and {loop.time()}",
    )


@clause("link.heard-no-more")
async def heard_no_more(trial: TransportTrial) -> None:
    """heard_at stays where it is once the link is lost."""
    link = await trial.open()
    reader = Reader(link)
    await trial.controls("cut").cut()
    await reader.ends()
    heard = link.heard_at
    await asyncio.sleep(MOMENT)
    expect(link.heard_at, heard, "heard_at of a lost link, a moment later")


EVENTS = clauses_of(vars(), TransportTrial)
