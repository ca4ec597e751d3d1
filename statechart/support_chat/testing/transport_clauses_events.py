"""What a `Link` promises of its events and its end, as clauses."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from ..errors import NetworkError, SupportChatError
from ..ports import Link, MessageArrived, Outgoing, SessionRevoked, TokenExpired
from ..values import SignedIn, Visitor
from .arrangement import TransportTrial
from .conformance import Clause, clause
from .expecting import MOMENT, PATIENCE, Unmet, expect, expect_that, in_time, raised, until


def _who(link: Link) -> Visitor:
    return Visitor(link.welcome.visitor_id)


async def _calls(tried: TransportTrial) -> Mapping[str, Callable[[Link], Awaitable[object]]]:
    """One call of each kind."""
    request, token = await tried.request(), await tried.arrangement.token(tried.user())
    return {
        "update()": lambda link: link.update({"user.name": "V"}),
        "send()": lambda link: link.send(Outgoing("m-last", "hello")),
        "conversations()": lambda link: link.conversations(),
        "identify()": lambda link: link.identify(request),
        "renew()": lambda link: link.renew(token),
    }


@clause("link.events", "Messages arrive in order, each once, as the agent wrote them, each with the cursor to go on from.")
async def events(tried: TransportTrial) -> None:
    link = await tried.open()
    reader, texts = tried.reader(link), [f"{n} é 🎈" for n in range(6)]
    for text in texts:
        await tried.arrangement.say(_who(link), text)
    arrived = [await reader.next(MessageArrived, f"message {n}") for n in range(6)]
    expect([event.message.text for event in arrived], texts, "the texts of what arrived")
    expect({event.message.author for event in arrived}, {"agent"}, "who wrote it")
    expect_that(len({event.message.id for event in arrived}) == 6, "two messages that arrived have one id")
    expect({type(event.cursor) for event in arrived}, {str}, "the types of the cursors")
    expect_that(len({event.cursor for event in arrived}) == 6, "two messages that arrived have one cursor")
    await reader.silent()


@clause("link.events-of-user", "A user's messages arrive on every link of theirs, also on one that became theirs by identify().")
async def events_of_user(tried: TransportTrial) -> None:
    booted, upgraded = await tried.open(await tried.as_user(visitor="other")), await tried.open()
    await upgraded.identify(await tried.request())
    await tried.arrangement.say(SignedIn(tried.user()), "to ann")
    for link in (booted, upgraded):
        expect(await tried.reader(link).texts(1), ["to ann"], "the text of what arrived")


@clause("link.events-of-nobody-else", "No message of somebody else arrives.")
async def events_of_nobody_else(tried: TransportTrial) -> None:
    link, other = await tried.open(), await tried.open(tried.credentials("other"))
    reader = tried.reader(link)
    await tried.arrangement.say(_who(other), "to somebody else")
    expect(await tried.reader(other).texts(1), ["to somebody else"], "the text of what arrived there")
    await tried.arrangement.say(_who(link), "to me")
    expect(await reader.texts(1), ["to me"], "the text of what arrived")


@clause("link.replay", "What was missed after the cursor arrives first, in order, each once, and then what is new.")
async def replay(tried: TransportTrial) -> None:
    first = await tried.open()
    await tried.arrangement.say(_who(first), "seen")
    seen = await tried.reader(first).next(MessageArrived, "the first message")
    first.abort()
    for text in ("missed 1", "missed 2"):
        await tried.arrangement.say(_who(first), text)
    again = await tried.open(tried.credentials(session=first.welcome.session, cursor=seen.cursor))
    expect(again.welcome.gap, False, "whether the welcome tells of a gap")
    reader = tried.reader(again)
    await tried.arrangement.say(_who(first), "new")
    arrived = [await reader.next(MessageArrived, f"message {n}") for n in range(3)]
    expect([event.message.text for event in arrived], ["missed 1", "missed 2", "new"], "the texts of what arrived")
    expect(again.welcome.cursor, arrived[1].cursor, "where the welcome says that the replay ends")
    await reader.silent()


@clause("link.replay-from-welcome", "The cursor of a welcome is one to go on from, also when nothing ever arrived.")
async def replay_from_welcome(tried: TransportTrial) -> None:
    first = await tried.open()
    first.abort()
    await tried.arrangement.say(_who(first), "missed")
    again = await tried.open(tried.credentials(session=first.welcome.session, cursor=first.welcome.cursor))
    expect(await tried.reader(again).texts(1), ["missed"], "the texts of what arrived")


@clause("link.gap", "A welcome says so if not all that was missed can be replayed.")
async def gap(tried: TransportTrial) -> None:
    first = await tried.open()
    first.abort()
    await tried.arrangement.say(_who(first), "missed")
    await tried.hands("forget_history").forget_history()
    again = await tried.open(tried.credentials(session=first.welcome.session, cursor=first.welcome.cursor))
    expect(again.welcome.gap, True, "whether the welcome tells of a gap")


@clause("link.token-expired-event", "TokenExpired comes when the backend no longer accepts the token that the link was opened with.")
async def token_expired_event(tried: TransportTrial) -> None:
    link = await tried.open(await tried.as_user())
    reader = tried.reader(link)
    await tried.hands("expire_tokens").expire_tokens(tried.user())
    await reader.next(TokenExpired, "TokenExpired")


@clause("link.revoked-event", "SessionRevoked comes as the last event, after what was sent before it; other sessions hear nothing.")
async def revoked_event(tried: TransportTrial) -> None:
    link, other = await tried.open(), await tried.open()
    reader = tried.reader(link)
    await tried.arrangement.say(_who(link), "before")
    await tried.hands("revoke").revoke(link.welcome.session)
    expect(await reader.texts(1), ["before"], "the text of what arrived")
    await reader.next(SessionRevoked, "SessionRevoked")
    await reader.ends()
    elsewhere = tried.reader(other)
    expect(await elsewhere.texts(1), ["before"], "what arrived in the other session")
    await elsewhere.silent()


@clause("link.heard-at", "heard_at is when the last sign of life came, by the running loop's clock.")
async def heard_at(tried: TransportTrial) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    link = await tried.open()
    expect_that(before <= link.heard_at <= loop.time(), f"heard_at is {link.heard_at} on a link opened from {before} to {loop.time()}")
    reader = tried.reader(link)
    await asyncio.sleep(MOMENT)
    said = loop.time()
    await tried.arrangement.say(_who(link), "hello")
    await reader.texts(1)
    expect_that(said <= link.heard_at <= loop.time(), f"heard_at is {link.heard_at} after a message between {said} and {loop.time()}")


@clause("link.heard-no-more", "heard_at stays where it is once the link is lost.")
async def heard_no_more(tried: TransportTrial) -> None:
    link = await tried.open()
    reader = tried.reader(link)
    await tried.hands("cut").cut()
    await reader.ends()
    heard = link.heard_at
    await asyncio.sleep(MOMENT)
    expect(link.heard_at, heard, "heard_at of a lost link, a moment later")


@clause("link.cut", "When a link breaks, its events end, and every call that is pending or made later raises NetworkError.")
async def cut(tried: TransportTrial) -> None:
    other = tried.hands("cut")
    for name, call in (await _calls(tried)).items():
        link = await tried.open(tried.credentials("other") if name != "renew()" else await tried.as_user())
        reader, pending = tried.reader(link), asyncio.ensure_future(call(link))
        await other.cut()
        await reader.ends()
        await _lost(pending, f"{name} while the link breaks")
        await _over(call(link), f"{name} on a link that broke")


@clause("link.cut-replay", "What was on its way when the link broke is replayed to whoever comes back with the cursor.")
async def cut_replay(tried: TransportTrial) -> None:
    link = await tried.open()
    await tried.arrangement.say(_who(link), "on its way")
    await tried.hands("cut").cut()
    again = await tried.open(tried.credentials(session=link.welcome.session, cursor=link.welcome.cursor))
    expect(await tried.reader(again).texts(1), ["on its way"], "the texts of what arrived")


@clause("link.abort-is-synchronous", "abort() is done when it returns: it is no coroutine, and later calls raise NetworkError.")
async def abort_is_synchronous(tried: TransportTrial) -> None:
    for name, call in (await _calls(tried)).items():
        link = await tried.open()
        returned: object = link.abort()  # type: ignore[func-returns-value]  # which is to be seen
        if inspect.iscoroutine(returned):
            returned.close()
        expect(returned, None, "what abort() returns")
        await _over(call(link), f"{name} after abort()")


@clause("link.abort-ends-pending", "abort() makes every pending call raise NetworkError, and ends the events.")
async def abort_ends_pending(tried: TransportTrial) -> None:
    for name, call in (await _calls(tried)).items():
        link = await tried.open(tried.credentials("other") if name != "renew()" else await tried.as_user())
        reading = asyncio.ensure_future(tried.reader(link).ends())
        pending = asyncio.ensure_future(call(link))
        await asyncio.sleep(0)
        link.abort()
        await _lost(pending, f"{name} while the link is aborted")
        await reading


@clause("link.abort-delivers-nothing", "After abort() nothing is delivered, not even what had arrived before.")
async def abort_delivers_nothing(tried: TransportTrial) -> None:
    link, witness = await tried.open(), await tried.open()
    reader, watching = tried.reader(link), tried.reader(witness)
    await tried.arrangement.say(_who(link), "before")
    expect(await watching.texts(1), ["before"], "the text of what arrived in another session of the visitor")
    link.abort()
    await tried.arrangement.say(_who(link), "after")
    await watching.texts(1)
    await reader.ends()
    await tried.reader(link).ends()


@clause("link.abort-twice", "A second abort() does nothing, nor does one after aclose() or after the link is lost.")
async def abort_twice(tried: TransportTrial) -> None:
    link, closed = await tried.open(), await tried.open()
    link.abort()
    link.abort()
    await closed.aclose()
    closed.abort()


@clause("link.abort-closes", "abort() closes the link at the other side, and so does aclose().")
async def abort_closes(tried: TransportTrial) -> None:
    other = tried.hands("open_links")
    before = await other.open_links()
    aborted, closed = await tried.open(), await tried.open()
    aborted.abort()
    await closed.aclose()

    async def as_before() -> bool:
        return await other.open_links() == before

    await until(as_before, "links that were aborted or closed are open at the backend")


@clause("link.abort-leaves-no-task", "abort() ends every task that the link has started.")
async def abort_leaves_no_task(tried: TransportTrial) -> None:
    (await tried.open()).abort()  # what the transport itself keeps is there from now on
    await asyncio.sleep(MOMENT)
    before = asyncio.all_tasks()
    link = await tried.open()
    await link.conversations()
    link.abort()
    await until(lambda: asyncio.all_tasks() <= before, "a task still runs after abort()", PATIENCE / 5)


@clause("link.abort-keeps-session", "abort() ends the link, not the session, which can be resumed; and so does aclose().")
async def abort_keeps_session(tried: TransportTrial) -> None:
    for closes in (False, True):
        link = await tried.open()
        if closes:
            await link.aclose()
        else:
            link.abort()
        again = await tried.open(tried.credentials(session=link.welcome.session))
        expect(again.welcome.session, link.welcome.session, "the session of the next link")


@clause("link.closed", "After aclose() every call raises NetworkError, the events end, and a second aclose() is no error.")
async def closed(tried: TransportTrial) -> None:
    for name, call in (await _calls(tried)).items():
        link = await tried.open()
        reader = tried.reader(link)
        await link.aclose()
        await _over(call(link), f"{name} after aclose()")
        await reader.ends()
        await link.aclose()


@clause(
    "transport.closed", "aclose() of the transport leaves links to their sessions: they are asked and aborted without another error."
)
async def transport_closed(tried: TransportTrial) -> None:
    link = await tried.open()
    await tried.transport.aclose()
    for name, call in (await _calls(tried)).items():
        try:
            await in_time(call(link), f"{name} after the transport was closed does not end")
        except (SupportChatError, Unmet):
            continue
    link.abort()
    await _over(link.conversations(), "conversations() after abort()")


async def _lost(pending: Awaitable[object], what: str) -> None:
    """The call raises NetworkError, unless it was answered before the link was over."""
    try:
        await in_time(pending, f"{what} does not end")
    except NetworkError as error:
        expect(type(error), NetworkError, f"the type of the error of {what}")
    except SupportChatError as error:
        raise Unmet(f"{what} raised {error!r} instead of NetworkError") from error


async def _over(asked: Awaitable[object], what: str) -> None:
    error = await raised(NetworkError, in_time(asked, f"{what} does not end"), what)
    expect(type(error), NetworkError, f"the type of the error of {what}")


EVENTS: Final[Sequence[Clause[TransportTrial]]] = (
    events,
    events_of_user,
    events_of_nobody_else,
    replay,
    replay_from_welcome,
    gap,
    token_expired_event,
    revoked_event,
    heard_at,
    heard_no_more,
    cut,
    cut_replay,
    abort_is_synchronous,
    abort_ends_pending,
    abort_delivers_nothing,
    abort_twice,
    abort_closes,
    abort_leaves_no_task,
    abort_keeps_session,
    closed,
    transport_closed,
)
