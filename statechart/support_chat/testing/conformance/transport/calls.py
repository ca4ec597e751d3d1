"""What a `Link` promises of its calls, as clauses: identify, renew, update, send, conversations,
and the transport's revoke.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from ....errors import AuthRefusedError, BackendRejectedError, NetworkError, SupportChatError
from ....ports import IdentifyAnswer, Outgoing, ReadAnswer, TokenExpired, UpdateAnswer
from ....values import About, Message, SignedIn, Visitor
from ..arrangement import TransportTrial
from ..expecting import expect, expect_that, raised
from ..suites import Clause, clause

UNKNOWN: Final = "nonsense"
"""A path that no backend stores."""


@clause("link.identify-merges")
async def identify_merges(tried: TransportTrial) -> None:
    """identify() makes the visitor the user, and the visitor's conversations theirs, each once."""
    link = await tried.open()
    message = await link.send(Outgoing("m-1", "hello"))
    answer = await link.identify(await tried.request())
    expect(
        answer,
        IdentifyAnswer(tried.user(), merged=True, conversations_moved=1),
        "identify() of a visitor with one conversation",
    )
    expect(
        [one.id for one in await link.conversations()],
        [message.conversation_id],
        "the user's conversations",
    )
    elsewhere = await tried.open(await tried.as_user(visitor="other"))
    expect(
        [one.id for one in await elsewhere.conversations()],
        [message.conversation_id],
        "their conversations on another device",
    )
    expect(
        (await link.send(Outgoing("m-2", "me again"))).author,
        "user",
        "the author of a message after it",
    )


@clause("link.identify-once")
async def identify_once(tried: TransportTrial) -> None:
    """identify() with the same identify_id is answered as the first time, and nothing is done
    twice.
    """
    link = await tried.open()
    await link.send(Outgoing("m-1", "hello"))
    request = await tried.request()
    first = await link.identify(request)
    expect(await link.identify(request), first, "the same identify again")
    expect(len(await link.conversations()), 1, "the number of conversations after it")


@clause("link.identify-refused")
async def identify_refused(tried: TransportTrial) -> None:
    """A refused identify() raises AuthRefusedError and leaves the visitor exactly as they were."""
    link = await tried.open()
    message = await link.send(Outgoing("m-1", "hello"))
    await raised(
        AuthRefusedError,
        link.identify(await tried.request(token="this-is-no-token")),
        "identify() with a bad token",
    )
    await raised(
        AuthRefusedError,
        link.identify(await tried.request("identify-2", token=None)),
        "identify() without a token",
    )
    expect(
        [one.id for one in await link.conversations()],
        [message.conversation_id],
        "the visitor's conversations",
    )
    expect(
        (await link.send(Outgoing("m-2", "still here"))).author,
        "visitor",
        "the author of a message after it",
    )
    link.abort()
    expect(
        (await tried.open()).welcome.visitor_id,
        link.welcome.visitor_id,
        "the id of the visitor who dials again",
    )


@clause("link.identify-needs-the-visitor")
async def identify_needs_the_visitor(tried: TransportTrial) -> None:
    """identify() without the visitor's own secret is refused: it authorises the merge."""
    link = await tried.open()
    await raised(
        AuthRefusedError,
        link.identify(await tried.request(visitor=tried.visitor("guess"))),
        "identify() with a guess",
    )


@clause("link.identify-carries-changes")
async def identify_carries_changes(tried: TransportTrial) -> None:
    """What travels with an identify() is stored for the user, and what is rejected is named."""
    link = await tried.open()
    request = await tried.request(
        visitor_changes={"user.name": "V", UNKNOWN: 1}, user_changes={"user.traits.role": "admin"}
    )
    answer = await link.identify(request)
    expect(
        [path for path, _ in answer.rejected],
        [UNKNOWN],
        "the paths that an identify() names as rejected",
    )
    stored = await tried.hands("traits").traits(SignedIn(tried.user()))
    expect(stored.get("user.traits.role"), "admin", "what is stored of the user")


@clause("link.retired-visitor")
async def retired_visitor(tried: TransportTrial) -> None:
    """After a merge the visitor's secret alone is a new visitor's, who sees nothing of what was
    merged.
    """
    link = await tried.open()
    await link.send(Outgoing("m-1", "hello"))
    await link.identify(await tried.request())
    successor = await tried.open()
    expect_that(
        successor.welcome.visitor_id != link.welcome.visitor_id,
        "the secret still stands for the visitor that was merged",
    )
    expect(list(await successor.conversations()), [], "the conversations of a new visitor")


@clause("link.renew")
async def renew(tried: TransportTrial) -> None:
    """renew() presents a fresh token, also after the backend has told that the old one expired."""
    link = await tried.open(await tried.as_user())
    await link.renew(await tried.arrangement.token(tried.user()))
    other, events = tried.hands("expire_tokens"), tried.reader(link)
    await other.expire_tokens(tried.user())
    with contextlib.suppress(AuthRefusedError):  # what it may learn by
        await link.conversations()
    await events.next(TokenExpired, "TokenExpired")
    await link.renew(await tried.arrangement.token(tried.user()))
    expect(list(await link.conversations()), [], "conversations() with the fresh token")


@clause("link.renew-refused")
async def renew_refused(tried: TransportTrial) -> None:
    """renew() with a token that is bad or another user's is refused with AuthRefusedError."""
    link = await tried.open(await tried.as_user())
    await raised(AuthRefusedError, link.renew("this-is-no-token"), "renew() with a bad token")
    await raised(
        AuthRefusedError,
        link.renew(await tried.arrangement.token(tried.user("bob"))),
        "renew() with another user's token",
    )


@clause("link.token-expired")
async def token_expired(tried: TransportTrial) -> None:
    """A call after the token has expired raises AuthRefusedError, no NetworkError: a dial would not
    help.
    """
    link = await tried.open(await tried.as_user())
    await tried.hands("expire_tokens").expire_tokens(tried.user())
    await raised(AuthRefusedError, link.conversations(), "conversations() with an expired token")


@clause("link.update")
async def update(tried: TransportTrial) -> None:
    """update() stores what is changed."""
    link = await tried.open()
    expect(
        await link.update({"user.name": "V", "context.page": "/é"}),
        UpdateAnswer(),
        "update() of what can be stored",
    )
    stored = await tried.hands("traits").traits(Visitor(link.welcome.visitor_id))
    expect(dict(stored), {"user.name": "V", "context.page": "/é"}, "what is stored")
    await link.update({"user.name": None})
    stored = await tried.hands("traits").traits(Visitor(link.welcome.visitor_id))
    expect(dict(stored), {"context.page": "/é"}, "what is stored once a value was erased")


@clause("link.update-rejected")
async def update_rejected(tried: TransportTrial) -> None:
    """update() names the paths that were rejected, each with a reason, and stores the rest."""
    link = await tried.open()
    answer = await link.update({UNKNOWN: 1, "user.name": "V"})
    expect(
        [path for path, _ in answer.rejected],
        [UNKNOWN],
        "the paths that an update() names as rejected",
    )
    expect(
        all(isinstance(reason, str) and reason for _, reason in answer.rejected),
        True,
        "whether each has a reason",
    )


@clause("link.send")
async def send(tried: TransportTrial) -> None:
    """send() returns the message as it was stored, in a conversation of its own or the one that it
    names.
    """
    link = await tried.open()
    text = "Héllo,\n🎈 " + "x" * 4000
    first = await link.send(Outgoing("m-1", text))
    expect(
        (type(first), first.text, first.client_message_id),
        (Message, text, "m-1"),
        "type, text and client id of the message",
    )
    expect_that(
        bool(first.id) and bool(first.conversation_id), "the message has no id or no conversation"
    )
    expect(
        (first.author, type(first.created_at)), ("visitor", float), "author and type of the time"
    )
    second = await link.send(Outgoing("m-2", "and", conversation_id=first.conversation_id))
    expect(
        second.conversation_id,
        first.conversation_id,
        "the conversation of a message that names one",
    )
    expect_that(second.id != first.id, "two messages have one id")


@clause("link.send-once")
async def send_once(tried: TransportTrial) -> None:
    """send() with the same client id stores one message, and answers with it again."""
    link = await tried.open()
    first = await link.send(Outgoing("m-1", "hello"))
    expect(await link.send(Outgoing("m-1", "hello")), first, "the same send again")
    expect(
        [one.messages for one in await link.conversations()],
        [1],
        "how many messages the conversation holds",
    )


@clause("link.send-once-over-links")
async def send_once_over_links(tried: TransportTrial) -> None:
    """A send that is repeated over another link, since the first one broke, stores one message."""
    link = await tried.open()
    for number, moment in enumerate((0.0, 0.0, 0.001, 0.005)):
        sending = asyncio.ensure_future(link.send(Outgoing(f"m-{number}", "hello")))
        await asyncio.sleep(moment)
        link.abort()
        with contextlib.suppress(NetworkError):
            await sending
        link = await tried.open(tried.credentials(session=link.welcome.session))
        stored = await link.send(Outgoing(f"m-{number}", "hello"))
        expect(
            (await link.send(Outgoing(f"m-{number}", "hello"))).id,
            stored.id,
            "the id of the message sent again",
        )
    counted = [one.messages for one in await link.conversations()]
    expect(counted, [1, 1, 1, 1], "how many messages the conversations hold")


@clause("link.send-rejected")
async def send_rejected(tried: TransportTrial) -> None:
    """send() to a conversation that is not theirs raises BackendRejectedError, and the link lives
    on.
    """
    link, other = await tried.open(), await tried.open(tried.credentials("other"))
    theirs = await other.send(Outgoing("m-1", "private"))
    for conversation_id in ("no-such-conversation", theirs.conversation_id):
        await raised(
            BackendRejectedError,
            link.send(Outgoing("m-2", "hi", conversation_id)),
            "send() to no conversation of theirs",
        )
    expect((await link.send(Outgoing("m-3", "hi"))).text, "hi", "the text of a message after it")


@clause("link.conversations")
async def conversations(tried: TransportTrial) -> None:
    """conversations() lists those of the session's identity, newest first, with what they hold."""
    link = await tried.open()
    expect(list(await link.conversations()), [], "the conversations of a new visitor")
    older, newer = await link.send(Outgoing("m-1", "one")), await link.send(Outgoing("m-2", "two"))
    await link.send(Outgoing("m-3", "and", newer.conversation_id))
    listed = await link.conversations()
    expect(
        [one.id for one in listed],
        [newer.conversation_id, older.conversation_id],
        "the conversations",
    )
    expect(
        [(one.messages, one.unread) for one in listed],
        [(2, 0), (1, 0)],
        "how many messages they hold, and how many unread",
    )


@clause("link.describes")
async def describes(tried: TransportTrial) -> None:
    """What is said of a conversation when it begins is listed with it, and is told to nobody
    else.
    """
    link, other = await tried.open(), await tried.open(tried.credentials("other"))
    about = About(
        subject="Export é",
        tags=("data", "csv"),
        custom_fields={"plan": "pro"},
        metadata={"page": ["/", 1, None]},
    )
    await link.send(Outgoing("m-1", "How?", about=about))
    await other.send(Outgoing("m-1", "hello"))
    expect(
        [one.about for one in await link.conversations()],
        [about],
        "what is listed of the conversation",
    )
    expect(
        [one.about for one in await other.conversations()],
        [About()],
        "what is listed of somebody else's",
    )


@clause("link.messages")
async def messages(tried: TransportTrial) -> None:
    """messages() lists those of a conversation, oldest first, and rejects a conversation that is
    not theirs.
    """
    link, other = await tried.open(), await tried.open(tried.credentials("other"))
    sent = [await link.send(Outgoing("m-0", "0"))]
    for number in range(1, 4):
        sent.append(await link.send(Outgoing(f"m-{number}", f"{number}", sent[0].conversation_id)))
    await tried.arrangement.say(Visitor(link.welcome.visitor_id), "hello")
    listed = await link.messages(sent[0].conversation_id)
    expect(list(listed[:4]), sent, "the messages that were sent")
    expect(
        [(message.author, message.text) for message in listed[4:]],
        [("agent", "hello")],
        "the messages after them",
    )
    await raised(
        BackendRejectedError,
        other.messages(sent[0].conversation_id),
        "messages() of somebody else's conversation",
    )


@clause("link.mark-read")
async def mark_read(tried: TransportTrial) -> None:
    """mark_read() counts the messages of one conversation as read, answers how many are unread now,
    and rejects another's.
    """
    link, other = await tried.open(), await tried.open(tried.credentials("other"))
    first = await link.send(Outgoing("m-1", "one"))
    await tried.arrangement.say(Visitor(link.welcome.visitor_id), "hello")
    second = await link.send(Outgoing("m-2", "two"))
    await tried.arrangement.say(Visitor(link.welcome.visitor_id), "hello again")
    expect(
        [one.unread for one in await link.conversations()],
        [1, 1],
        "how many messages are unread in each conversation",
    )
    expect(
        await link.mark_read(second.conversation_id), ReadAnswer(1), "mark_read() of one of the two"
    )
    expect(
        [one.unread for one in await link.conversations()],
        [0, 1],
        "how many messages are unread in each conversation then",
    )
    await raised(
        BackendRejectedError,
        other.mark_read(first.conversation_id),
        "mark_read() of somebody else's conversation",
    )


@clause("link.cancelled-call")
async def cancelled_call(tried: TransportTrial) -> None:
    """A call that is cancelled ends, and leaves the link as it was."""
    link = await tried.open()
    for number, moment in enumerate((0.0, 0.0, 0.0005, 0.002, 0.01)):
        sending = asyncio.ensure_future(link.send(Outgoing(f"m-{number}", "hello")))
        await asyncio.sleep(moment)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        expect(
            (await link.send(Outgoing(f"n-{number}", f"{number}"))).text,
            f"{number}",
            "the text of a message after it",
        )


@clause("transport.revoke")
async def revoke(tried: TransportTrial) -> None:
    """revoke() ends the session that it names and no other, also when its link is gone."""
    gone, other, anothers = (
        await tried.open(),
        await tried.open(),
        await tried.open(tried.credentials("other")),
    )
    gone.abort()
    await tried.transport.revoke(gone.welcome.session)
    await raised(
        SupportChatError,
        tried.open(tried.credentials(session=gone.welcome.session)),
        "resuming the revoked session",
    )
    for link in (other, anothers):
        expect(
            (await link.send(Outgoing("m-1", "hi"))).text,
            "hi",
            "the text of a message of another session",
        )
    other.abort()
    again = await tried.open(tried.credentials(session=other.welcome.session))
    expect_that(
        again.welcome.session == other.welcome.session,
        "the session of another link could not be resumed",
    )


@clause("transport.revoke-unknown")
async def revoke_unknown(tried: TransportTrial) -> None:
    """revoke() of a session that is unknown, or revoked already, is no error."""
    await tried.transport.revoke(f"unknown-{tried.mark}")
    link = await tried.open()
    await tried.transport.revoke(link.welcome.session)
    await tried.transport.revoke(link.welcome.session)


CALLS: Final[Sequence[Clause[TransportTrial]]] = (
    identify_merges,
    identify_once,
    identify_refused,
    identify_needs_the_visitor,
    identify_carries_changes,
    retired_visitor,
    renew,
    renew_refused,
    token_expired,
    update,
    update_rejected,
    send,
    send_once,
    send_once_over_links,
    send_rejected,
    conversations,
    describes,
    messages,
    mark_read,
    cancelled_call,
    revoke,
    revoke_unknown,
)
