"""What a `Link` promises of its end, as clauses: it breaks, is aborted, or is closed; and what the
end of its transport is to it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping

from ....errors import AuthRefusedError, BackendRejectedError, NetworkError, SupportChatError
from ....ports import (
    Link,
    ListConversations,
    ListMessages,
    MarkRead,
    Outgoing,
)
from ..arrangement import TransportTrial
from ..expecting import MOMENT, Reader, Unmet, expect, expect_that, in_time, raised, until
from ..suites import clause, clauses_of


async def _calls(trial: TransportTrial) -> Mapping[str, Callable[[Link], Awaitable[object]]]:
    request, token = await trial.request(), await trial.token()
    return {
        "update()": lambda link: link.update({"user.name": "V"}),
        "send()": lambda link: link.send(Outgoing("m-last", "hello")),
        "conversations()": lambda link: link.conversations(ListConversations()),
        "messages()": lambda link: link.messages(ListMessages("conversation-1")),
        "mark_read()": lambda link: link.mark_read(MarkRead("conversation-1")),
        "identify()": lambda link: link.identify(request),
        "renew()": lambda link: link.renew(token),
    }


@clause("link.cut")
async def cut(trial: TransportTrial) -> None:
    """When a link breaks, its events end, and every call that is pending or made later raises
    NetworkError.
    """
    other = trial.controls("cut")
    for name, call in (await _calls(trial)).items():
        link = await trial.open(
            trial.credentials("other") if name != "renew()" else await trial.as_user()
        )
        reader, pending = Reader(link), asyncio.ensure_future(call(link))
        await other.cut()
        await reader.ends()
        await _lost(pending, f"{name} while the link breaks")
        await _over(call(link), f"{name} on a link that broke")


@clause("link.cut-replay")
async def cut_replay(trial: TransportTrial) -> None:
    """What was on its way when the link broke is replayed to whoever comes back with the cursor."""
    link = await trial.open()
    await trial.say(link, "on its way")
    await trial.controls("cut").cut()
    again = await trial.resume(link, link.welcome.cursor)
    expect(await Reader(again).texts(1), ["on its way"], "the texts of what arrived")


@clause("link.abort-is-synchronous")
async def abort_is_synchronous(trial: TransportTrial) -> None:
    """abort() is done when it returns: it is no coroutine, and later calls raise NetworkError."""
    for name, call in (await _calls(trial)).items():
        link = await trial.open()
        returned: object = link.abort()  # type: ignore[func-returns-value]  # which is to be seen
        if inspect.iscoroutine(returned):
            returned.close()
        expect(returned, None, "what abort() returns")
        await _over(call(link), f"{name} after abort()")


@clause("link.abort-ends-pending")
async def abort_ends_pending(trial: TransportTrial) -> None:
    """abort() makes every pending call raise NetworkError, and ends the events."""
    for name, call in (await _calls(trial)).items():
        link = await trial.open(
            trial.credentials("other") if name != "renew()" else await trial.as_user()
        )
        reading = asyncio.ensure_future(Reader(link).ends())
        pending = asyncio.ensure_future(call(link))
        await asyncio.sleep(0)
        link.abort()
        await _lost(pending, f"{name} while the link is aborted")
        await reading


@clause("link.abort-delivers-nothing")
async def abort_delivers_nothing(trial: TransportTrial) -> None:
    """After abort() nothing is delivered, not even what had arrived before."""
    link, witness = await trial.open(), await trial.open()
    reader, watching = Reader(link), Reader(witness)
    await trial.say(link, "before")
    expect(
        await watching.texts(1),
        ["before"],
        "the text of what arrived in another session of the visitor",
    )
    link.abort()
    await trial.say(link, "after")
    await watching.texts(1)
    await reader.ends()
    await Reader(link).ends()


@clause("link.abort-twice")
async def abort_twice(trial: TransportTrial) -> None:
    """A second abort() does nothing, nor does one after aclose() or after the link is lost."""
    link, closed = await trial.open(), await trial.open()
    link.abort()
    link.abort()
    await closed.aclose()
    closed.abort()


@clause("link.abort-closes")
async def abort_closes(trial: TransportTrial) -> None:
    """abort() closes the link at the other side, and so does aclose()."""
    other = trial.controls("open_links")
    before = await other.open_links()
    aborted, closed = await trial.open(), await trial.open()
    aborted.abort()
    await closed.aclose()

    async def as_before() -> bool:
        return await other.open_links() == before

    await until(as_before, "links that were aborted or closed are open at the backend")


@clause("link.abort-leaves-no-task")
async def abort_leaves_no_task(trial: TransportTrial) -> None:
    """abort() ends every task that the link has started."""
    (await trial.open()).abort()  # what the transport itself keeps is there from now on
    await asyncio.sleep(MOMENT)
    before = asyncio.all_tasks()
    link = await trial.open()
    await link.conversations(ListConversations())
    link.abort()
    await until(lambda: asyncio.all_tasks() <= before, "a task still runs after abort()")


@clause("link.abort-keeps-session")
async def abort_keeps_session(trial: TransportTrial) -> None:
    """abort() ends the link, not the session, which can be resumed; and so does aclose()."""
    for closes in (False, True):
        link = await trial.open()
        if closes:
            await link.aclose()
        else:
            link.abort()
        again = await trial.resume(link)
        expect_that(
            again.welcome.session == link.welcome.session,
            "the next link has another session than the one that it names",
        )


@clause("link.closed")
async def closed(trial: TransportTrial) -> None:
    """After aclose() every call raises NetworkError, the events end, and a second aclose() is no
    error.
    """
    for name, call in (await _calls(trial)).items():
        link = await trial.open()
        reader = Reader(link)
        await link.aclose()
        await _over(call(link), f"{name} after aclose()")
        await reader.ends()
        await link.aclose()


@clause("transport.closed")
async def transport_closed(trial: TransportTrial) -> None:
    """aclose() of the transport leaves links to their sessions: they are asked and aborted without
    another error.
    """
    link = await trial.open()
    await trial.transport.aclose()
    for name, call in (await _calls(trial)).items():
        try:
            await in_time(call(link), f"{name} after the transport was closed does not end")
        except (SupportChatError, Unmet):
            continue
    link.abort()
    await _over(link.conversations(ListConversations()), "conversations() after abort()")


async def _lost(pending: Awaitable[object], what: str) -> None:
    """The call raises NetworkError, unless it was answered, by a refusal too, before the link was
    over.
    """
    try:
        await in_time(pending, f"{what} does not end")
    except NetworkError as error:
        expect(type(error), NetworkError, f"the type of the error of {what}")
    except (AuthRefusedError, BackendRejectedError):
        return


async def _over(asked: Awaitable[object], what: str) -> None:
    error = await raised(NetworkError, in_time(asked, f"{what} does not end"), what)
    expect(type(error), NetworkError, f"the type of the error of {what}")


ENDING = clauses_of(vars(), TransportTrial)
