"""What a `Link` promises of its calls, as clauses: identify, renew, update, send, conversations,
and the transport's revoke.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import attrs

from ....errors import AuthRefusedError, BackendRejectedError, NetworkError, SupportChatError
from ....ports import (
    IdentifyAnswer,
    ListConversations,
    ListMessages,
    MarkRead,
    Outgoing,
    ReadAnswer,
    TokenExpired,
    UpdateAnswer,
)
from ....values import About, Message, SignedIn
from ..arrangement import TransportTrial, visitor_of
from ..expecting import Reader, expect, expect_that, raised
from ..suites import clause, clauses_of

UNKNOWN: Final = "nonsense"
"""A path that no backend stores."""


@clause("link.identify-merges")
async def identify_merges(trial: TransportTrial) -> None:
    """identify() makes the visitor the user, and the visitor's conversations theirs, each once."""
    link = await trial.open()
    message = await link.send(Outgoing("m-1", "hello"))
    answer = attrs.evolve(await link.identify(await trial.request()), unread=None, session=None)
    expect(
        answer,
        IdentifyAnswer(trial.user(), merged=True, conversations_moved=1),
        "identify() of a visitor with one conversation",
    )
    expect(
        [one.id for one in await link.conversations(ListConversations())],
        [message.conversation_id],
        "the user's conversations",
    )
    elsewhere = await trial.open(await trial.as_user(visitor="other"))
    expect(
        [one.id for one in await elsewhere.conversations(ListConversations())],
        [message.conversation_id],
        "their conversations on another device",
    )
    expect(
        (await link.send(Outgoing("m-2", "me again"))).author,
        "user",
        "the author of a message after it",
    )


@clause("link.identify-once")
async def identify_once(trial: TransportTrial) -> None:
    """identify() with the same identify_id is answered as the first time, and nothing is done
    twice.
    """
    link = await trial.open()
    await link.send(Outgoing("m-1", "hello"))
    request = await trial.request()
    first = await link.identify(request)
    expect(await link.identify(request), first, "the same identify again")
    expect(
        len(await link.conversations(ListConversations())),
        1,
        "the number of conversations after it",
    )


@clause("link.identify-refused")
async def identify_refused(trial: TransportTrial) -> None:
    """A refused identify() raises AuthRefusedError and leaves the visitor exactly as they were."""
    link = await trial.open()
    message = await link.send(Outgoing("m-1", "hello"))
    await raised(
        AuthRefusedError,
        link.identify(await trial.request(token="this-is-no-token")),
        "identify() with a bad token",
    )
    await raised(
        AuthRefusedError,
        link.identify(await trial.request("identify-2", token=None)),
        "identify() without a token",
    )
    expect(
        [one.id for one in await link.conversations(ListConversations())],
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
        (await trial.open()).welcome.visitor_id,
        link.welcome.visitor_id,
        "the id of the visitor who dials again",
    )


@clause("link.identify-needs-the-visitor")
async def identify_needs_the_visitor(trial: TransportTrial) -> None:
    """identify() without the visitor's own secret is refused: it authorises the merge."""
    link = await trial.open()
    await raised(
        AuthRefusedError,
        link.identify(await trial.request(visitor=trial.visitor("guess"))),
        "identify() with a guess",
    )


@clause("link.identify-carries-changes")
async def identify_carries_changes(trial: TransportTrial) -> None:
    """What travels with an identify() is stored for the user, and what is rejected is named."""
    link = await trial.open()
    request = await trial.request(
        visitor_changes={"user.name": "V", UNKNOWN: 1}, user_changes={"user.traits.role": "admin"}
    )
    answer = await link.identify(request)
    expect(
        [path for path, _ in answer.rejected],
        [UNKNOWN],
        "the paths that an identify() names as rejected",
    )
    stored = await trial.controls("traits").traits(SignedIn(trial.user()))
    expect(stored.get("user.traits.role"), "admin", "what is stored of the user")


@clause("link.retired-visitor")
async def retired_visitor(trial: TransportTrial) -> None:
    """After a merge the visitor's secret alone is a new visitor's, who sees nothing of what was
    merged.
    """
    link = await trial.open()
    await link.send(Outgoing("m-1", "hello"))
    await link.identify(await trial.request())
    successor = await trial.open()
    expect_that(
        successor.welcome.visitor_id != link.welcome.visitor_id,
        "the secret still stands for the visitor that was merged",
    )
    expect(
        list(await successor.conversations(ListConversations())),
        [],
        "the conversations of a new visitor",
    )


@clause("link.renew")
async def renew(trial: TransportTrial) -> None:
    """renew() presents a fresh token, also after the backend has said that the old one expired."""
    link = await trial.open(await trial.as_user())
    await link.renew(await trial.token())
    other, events = trial.controls("expire_tokens"), Reader(link)
    await other.expire_tokens(trial.user())
    with contextlib.suppress(AuthRefusedError):  # what it may learn by
        await link.conversations(ListConversations())
    await events.next(TokenExpired, "TokenExpired")
    await link.renew(await trial.token())
    expect(
        list(await link.conversations(ListConversations())),
        [],
        "conversations() with the fresh token",
    )


@clause("link.renew-refused")
async def renew_refused(trial: TransportTrial) -> None:
    """renew() with a token that is bad or another user's is refused with AuthRefusedError."""
    link = await trial.open(await trial.as_user())
    await raised(AuthRefusedError, link.renew("this-is-no-token"), "renew() with a bad token")
    await raised(
        AuthRefusedError,
        link.renew(await trial.token("bob")),
        "renew() with another user's token",
    )


@clause("link.token-expired")
async def token_expired(trial: TransportTrial) -> None:
    """A call after the token has expired raises AuthRefusedError, no NetworkError: a dial would not
    help.
    """
    link = await trial.open(await trial.as_user())
    await trial.controls("expire_tokens").expire_tokens(trial.user())
    await raised(
        AuthRefusedError,
        link.conversations(ListConversations()),
        "conversations() with an expired token",
    )


@clause("link.update")
async def update(trial: TransportTrial) -> None:
    """update() stores what is changed."""
    link = await trial.open()
    expect(
        await link.update({"user.name": "V", "context.page": "/é"}),
        UpdateAnswer(),
        "update() of what can be stored",
    )
    stored = await trial.controls("traits").traits(visitor_of(link))
    expect(dict(stored), {"user.name": "V", "context.page": "/é"}, "what is stored")
    await link.update({"user.name": None})
    stored = await trial.controls("traits").traits(visitor_of(link))
    expect(dict(stored), {"context.page": "/é"}, "what is stored once a value was erased")


@clause("link.update-rejected")
async def update_rejected(trial: TransportTrial) -> None:
    """update() names the paths that were rejected, each with a reason, and stores the rest."""
    link = await trial.open()
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
async def send(trial: TransportTrial) -> None:
    """send() returns the message as it was stored, in a conversation of its own or the one that it
    names.
    """
    link = await trial.open()
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
async def send_once(trial: TransportTrial) -> None:
    """send() with the same client id stores one message, and answers with it again."""
    link = await trial.open()
    first = await link.send(Outgoing("m-1", "hello"))
    expect(await link.send(Outgoing("m-1", "hello")), first, "the same send again")
    expect(
        [one.messages for one in await link.conversations(ListConversations())],
        [1],
        "how many messages the conversation holds",
    )


@clause("link.send-once-over-links")
async def send_once_over_links(trial: TransportTrial) -> None:
    """A send that is repeated over another link, since the first one broke, stores one message."""
    link = await trial.open()
    for number, moment in enumerate((0.0, 0.0, 0.001, 0.005)):
        sending = asyncio.ensure_future(link.send(Outgoing(f"m-{number}", "hello")))
        await asyncio.sleep(moment)
        link.abort()
        with contextlib.suppress(NetworkError):
            await sending
        link = await trial.resume(link)
        stored = await link.send(Outgoing(f"m-{number}", "hello"))
        expect(
            (await link.send(Outgoing(f"m-{number}", "hello"))).id,
            stored.id,
            "the id of the message sent again",
        )
    counted = [one.messages for one in await link.conversations(ListConversations())]
    expect(counted, [1, 1, 1, 1], "how many messages the conversations hold")


@clause("link.send-rejected")
async def send_rejected(trial: TransportTrial) -> None:
    """send() to a conversation that is not theirs raises BackendRejectedError, and the link lives
    on.
    """
    link, other = await trial.open(), await trial.open(trial.credentials("other"))
    theirs = await other.send(Outgoing("m-1", "private"))
    for conversation_id in ("no-such-conversation", theirs.conversation_id):
        await raised(
            BackendRejectedError,
            link.send(Outgoing("m-2", "hi", conversation_id)),
            "send() to no conversation of theirs",
        )
    expect((await link.send(Outgoing("m-3", "hi"))).text, "hi", "the text of a message after it")


@clause("link.conversations")
async def conversations(trial: TransportTrial) -> None:
    """conversations() lists those of the session's identity, newest first, with what they hold."""
    link = await trial.open()
    expect(
        list(await link.conversations(ListConversations())),
        [],
        "the conversations of a new visitor",
    )
    older, newer = await link.send(Outgoing("m-1", "one")), await link.send(Outgoing("m-2", "two"))
    await link.send(Outgoing("m-3", "and", newer.conversation_id))
    listed = await link.conversations(ListConversations())
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
async def describes(trial: TransportTrial) -> None:
    """What is said of a conversation when it begins is listed with it, and shown to nobody
    else.
    """
    link, other = await trial.open(), await trial.open(trial.credentials("other"))
    about = About(
        subject="Export é",
        tags=("data", "csv"),
        custom_fields={"plan": "pro"},
        metadata={"page": ["/", 1, None]},
    )
    await link.send(Outgoing("m-1", "How?", about=about))
    await other.send(Outgoing("m-1", "hello"))
    expect(
        [one.about for one in await link.conversations(ListConversations())],
        [about],
        "what is listed of the conversation",
    )
    expect(
        [one.about for one in await other.conversations(ListConversations())],
        [About()],
        "what is listed of somebody else's",
    )


@clause("link.messages")
async def messages(trial: TransportTrial) -> None:
    """messages() lists those of a conversation, oldest first, and rejects a conversation that is
    not theirs.
    """
    link, other = await trial.open(), await trial.open(trial.credentials("other"))
    sent = [await link.send(Outgoing("m-0", "0"))]
    for number in range(1, 4):
        sent.append(await link.send(Outgoing(f"m-{number}", f"{number}", sent[0].conversation_id)))
    await trial.say(link, "hello")
    listed = await link.messages(ListMessages(sent[0].conversation_id))
    expect(list(listed[:4]), sent, "the messages that were sent")
    expect(
        [(message.author, message.text) for message in listed[4:]],
        [("agent", "hello")],
        "the messages after them",
    )
    await raised(
        BackendRejectedError,
        other.messages(ListMessages(sent[0].conversation_id)),
        "messages() of somebody else's conversation",
    )


@clause("link.mark-read")
async def mark_read(trial: TransportTrial) -> None:
    """mark_read() counts the messages of one conversation as read, answers how many are unread now,
    and rejects another's.
    """
    link, other = await trial.open(), await trial.open(trial.credentials("other"))
    first = await link.send(Outgoing("m-1", "one"))
    await trial.say(link, "hello")
    second = await link.send(Outgoing("m-2", "two"))
    await trial.say(link, "hello again")
    expect(
        [one.unread for one in await link.conversations(ListConversations())],
        [1, 1],
        "how many messages are unread in each conversation",
    )
    expect(
        await link.mark_read(MarkRead(second.conversation_id)),
        ReadAnswer(1),
        "mark_read() of one of the two",
    )
    expect(
        [one.unread for one in await link.conversations(ListConversations())],
        [0, 1],
        "how many messages are unread in each conversation then",
    )
    await raised(
        BackendRejectedError,
        other.mark_read(MarkRead(first.conversation_id)),
        "mark_read() of somebody else's conversation",
    )


@clause("link.cancelled-call")
async def cancelled_call(trial: TransportTrial) -> None:
    """A call that is cancelled ends, and leaves the link as it was."""
    link = await trial.open()
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
async def revoke(trial: TransportTrial) -> None:
    """revoke() ends the session that it names and no other, also when its link is gone."""
    gone, other, anothers = (
        await trial.open(),
        await trial.open(),
        await trial.open(trial.credentials("other")),
    )
    gone.abort()
    await trial.transport.revoke(gone.welcome.session)
    await raised(
        SupportChatError,
        trial.resume(gone),
        "resuming the revoked session",
    )
    for link in (other, anothers):
        expect(
            (await link.send(Outgoing("m-1", "hi"))).text,
            "hi",
            "the text of a message of another session",
        )
    other.abort()
    again = await trial.resume(other)
    expect_that(
        again.welcome.session == other.welcome.session,
        "the session of another link could not be resumed",
    )


@clause("transport.revoke-unknown")
async def revoke_unknown(trial: TransportTrial) -> None:
    """revoke() of a session that is unknown, or revoked already, is no error."""
    await trial.transport.revoke(f"unknown-{trial.mark}")
    link = await trial.open()
    await trial.transport.revoke(link.welcome.session)
    await trial.transport.revoke(link.welcome.session)


CALLS = clauses_of(vars(), TransportTrial)
