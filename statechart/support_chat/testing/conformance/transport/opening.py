"""What a `Transport` promises of a dial, as clauses: who is welcomed, who is refused, and what a
lost reply came to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import attrs

from ....errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    SupportChatError,
)
from ....ports import (
    Claim,
    Credentials,
    Link,
    ListConversations,
    Outgoing,
    Welcome,
)
from ..arrangement import TransportTrial
from ..expecting import (
    MOMENT,
    NotApplicable,
    Unmet,
    expect,
    expect_that,
    raised,
    resolved,
    until,
)
from ..suites import Clause, clause, clauses_of


@clause("transport.welcomes-visitor")
async def welcomes_visitor(trial: TransportTrial) -> None:
    """A visitor is welcomed as one: with a session, an id, and no user."""
    welcome = (await trial.open()).welcome
    expect(type(welcome), Welcome, "the type of the welcome")
    expect(welcome.user_id, None, "the user of a visitor's welcome")
    expect(
        (type(welcome.session), type(welcome.visitor_id)),
        (str, str),
        "the types of the session and the visitor's id",
    )
    expect_that(
        bool(welcome.session) and bool(welcome.visitor_id),
        "the session or the visitor's id is empty",
    )
    expect((welcome.claim, welcome.gap), (None, False), "claim and gap of a first welcome")


@clause("transport.welcomes-user")
async def welcomes_user(trial: TransportTrial) -> None:
    """A user with a genuine token is welcomed as this user."""
    welcome = (await trial.open(await trial.as_user())).welcome
    expect(welcome.user_id, trial.user(), "the user of the welcome")


@clause("transport.same-visitor")
async def same_visitor(trial: TransportTrial) -> None:
    """The same visitor's secret is the same visitor, in a session of its own each time."""
    first, second = (await trial.open()).welcome, (await trial.open()).welcome
    expect(second.visitor_id, first.visitor_id, "the id of the same visitor")
    expect_that(
        first.session != second.session,
        "a dial that resumes nothing was given the session of another dial",
    )


@clause("transport.another-visitor")
async def another_visitor(trial: TransportTrial) -> None:
    """Another visitor's secret is another visitor, who sees nothing of the first."""
    first, other = await trial.open(), await trial.open(trial.credentials("other"))
    expect_that(
        first.welcome.visitor_id != other.welcome.visitor_id, "two visitors were given one id"
    )
    await first.send(Outgoing("m-1", "hello"))
    expect(
        list(await other.conversations(ListConversations())),
        [],
        "the conversations of another visitor",
    )


@clause("transport.resumes-visitor")
async def resumes_visitor(trial: TransportTrial) -> None:
    """A visitor's session that is named is resumed."""
    await _resumes(trial, trial.credentials())


@clause("transport.resumes-user")
async def resumes_user(trial: TransportTrial) -> None:
    """A user's session that is named is resumed, also with another token."""
    await _resumes(trial, await trial.as_user())


async def _resumes(trial: TransportTrial, credentials: Credentials) -> None:
    first = await trial.open(credentials)
    first.abort()
    token = await trial.arrangement.token(credentials.user_id) if credentials.user_id else None
    again = (
        await trial.open(attrs.evolve(credentials, session=first.welcome.session, token=token))
    ).welcome
    expect_that(
        again.session == first.welcome.session,
        "another session was begun instead of the one that is named",
    )
    seen = (again.visitor_id, again.user_id)
    expect(
        seen,
        (first.welcome.visitor_id, credentials.user_id),
        "the visitor and the user of what was resumed",
    )


@clause("transport.unknown-session")
async def unknown_session(trial: TransportTrial) -> None:
    """A session that the backend does not know is rejected with BackendRejectedError."""
    await raised(
        BackendRejectedError,
        trial.open(trial.credentials(session=f"unknown-{trial.mark}")),
        "resuming an unknown session",
    )


@clause("transport.revoked-session")
async def revoked_session(trial: TransportTrial) -> None:
    """A session that was revoked is rejected with BackendRejectedError."""
    link = await trial.open()
    await trial.transport.revoke(link.welcome.session)
    link.abort()
    await raised(
        BackendRejectedError,
        trial.resume(link),
        "resuming a revoked session",
    )


def _refused(
    id: str, sentence: str, token: Callable[[TransportTrial], object], what: str
) -> Clause[TransportTrial]:
    async def body(trial: TransportTrial) -> None:
        credentials = trial.credentials(user_id=trial.user(), token=await resolved(token(trial)))
        await raised(AuthRefusedError, trial.open(credentials), what)

    return Clause(id, sentence, body)


REFUSED: Final = (
    _refused(
        "transport.refuses-no-token",
        "A user without a token is refused with AuthRefusedError.",
        lambda trial: None,
        "a dial without a token",
    ),
    _refused(
        "transport.refuses-bad-token",
        "A token that is none is refused with AuthRefusedError.",
        lambda trial: "this-is-no-token",
        "a dial with a bad token",
    ),
    _refused(
        "transport.refuses-token-of-another",
        "Another user's token is refused with AuthRefusedError.",
        lambda trial: trial.token("bob"),
        "a dial with another user's token",
    ),
    _refused(
        "transport.refuses-expired-token",
        "An expired token is refused with AuthRefusedError.",
        lambda trial: trial.controls("expired_token").expired_token(trial.user()),
        "a dial with an expired token",
    ),
)
"""The clauses of the tokens that a dial is refused with."""


@clause("transport.errors-hide-secrets")
async def errors_hide_secrets(trial: TransportTrial) -> None:
    """No error of a dial shows the token or the visitor's secret."""
    token, secret = await trial.token("bob"), trial.visitor()
    for credentials in (
        trial.credentials(user_id=trial.user(), token=token),
        trial.credentials(session=f"unknown-{trial.mark}"),
    ):
        error = await raised(SupportChatError, trial.open(credentials), "a dial that is refused")
        expect_that(
            not any(hidden in f"{error} {error!r}" for hidden in (token, secret)),
            "the error of a dial shows a secret",
        )


@clause("transport.other-widget")
async def other_widget(trial: TransportTrial) -> None:
    """A widget that the backend does not serve is rejected with BackendRejectedError."""
    await raised(
        BackendRejectedError,
        trial.open(attrs.evolve(trial.credentials(), widget_id="no-such-widget")),
        "a dial to no widget",
    )


@clause("transport.rate-limited")
async def rate_limited(trial: TransportTrial) -> None:
    """A dial that has to wait raises RateLimitedError with the seconds; the next one is welcome."""
    await trial.controls("rate_limit").rate_limit(7.0)
    error = await raised(RateLimitedError, trial.open(), "a dial that has to wait")
    expect(error.retry_after, 7.0, "retry_after")
    await trial.open()


@clause("transport.unreachable")
async def unreachable(trial: TransportTrial) -> None:
    """When the backend cannot be reached, a dial and a revocation raise NetworkError."""
    link = await trial.open()
    await trial.controls("go_away").go_away()
    await raised(NetworkError, trial.open(), "a dial to nobody")
    await raised(
        NetworkError, trial.transport.revoke(link.welcome.session), "a revocation at nobody"
    )


@clause("transport.claim-answered")
async def claim_answered(trial: TransportTrial) -> None:
    """A claim of an identify that was committed is answered with its answer, as the user."""
    link = await _remembering(trial)
    await link.send(Outgoing("m-1", "hello"))
    request = await trial.request()
    answer = await link.identify(request)
    link.abort()
    welcome = (await trial.open(await _claiming(trial, link.welcome, request.identify_id))).welcome
    expect(welcome.claim, answer, "the remembered answer")
    expect(welcome.user_id, trial.user(), "the user of the welcome")
    expect_that(
        welcome.session == link.welcome.session,
        "another session was begun instead of the one that is named",
    )


@clause("transport.claim-closed")
async def claim_closed(trial: TransportTrial) -> None:
    """A claim of an identify that was not committed is answered with None, and closes it for
    good.
    """
    first, request = await _remembering(trial), await trial.request()
    first.abort()
    link = await trial.open(await _claiming(trial, first.welcome, request.identify_id))
    expect(
        (link.welcome.claim, link.welcome.user_id), (None, None), "claim and user of the welcome"
    )
    await raised(
        AuthRefusedError, link.identify(request), "an identify that was closed by its claim"
    )
    expect(
        (await link.send(Outgoing("m-1", "hello"))).author,
        "visitor",
        "the author of a message after it",
    )


@clause("transport.lost-reply")
async def lost_reply(trial: TransportTrial) -> None:
    """What became of an identify whose reply was lost is learnt by its claim, and stays so."""
    for number, moment in enumerate((0.0, 0.0005, 0.002, 0.01, 0.05)):
        visitor, name = f"visitor{number}", f"ann{number}"
        first = await _remembering(trial, visitor)
        request = await trial.request(name=name, visitor=trial.visitor(visitor))
        asking = asyncio.ensure_future(first.identify(request))
        await asyncio.sleep(moment)
        first.abort()
        with contextlib.suppress(NetworkError):
            await asking
        claiming = await _claiming(trial, first.welcome, request.identify_id, name, visitor)
        user: str | None = None
        # the second time it must be what it was, though the request may have arrived meanwhile
        for _ in range(2):
            link = await trial.open(claiming)
            user = None if link.welcome.claim is None else link.welcome.claim.user_id
            expect(link.welcome.user_id, user, "the user of the welcome, beside the claim's")
            expect(
                user in (None, trial.user(name)),
                True,
                "whether the claim's user is the one that was asked for",
            )
            if asking.done() and not asking.exception():
                expect(
                    link.welcome.claim,
                    asking.result(),
                    "the remembered answer, beside the one that arrived",
                )
            link.abort()
            await asyncio.sleep(MOMENT / 5)
        author = (await (await trial.open(claiming)).send(Outgoing(f"m-{number}", "hello"))).author
        expect(author, "visitor" if user is None else "user", "who writes after it")


@clause("transport.identify-late")
async def identify_late(trial: TransportTrial) -> None:
    """Whether an identify without a reply arrives before its claim is answered or after, both sides
    agree in the end on who the session is for.
    """
    for name, is_late in (("ann", False), ("bob", True)):
        first = await trial.open(trial.credentials(name))
        request = await trial.request(name=name, visitor=trial.visitor(name))
        if not is_late:
            await first.identify(request)
        first.abort()
        link = await trial.open(
            await _claiming(trial, first.welcome, request.identify_id, name, name)
        )
        shown = link.welcome.user_id
        if not is_late:
            expect(shown, trial.user(name), "the user of the welcome, once it has arrived")
        else:
            with contextlib.suppress(AuthRefusedError):
                await link.identify(request)
            if shown is None and link.welcome.identify == "repeatable":
                shown = (await link.identify(request)).user_id  # as a session asks again
        link.abort()
        credentials = trial.credentials(name) if shown is None else await trial.as_user(name, name)
        again = await trial.open(attrs.evolve(credentials, session=link.welcome.session))
        expect(again.welcome.user_id, shown, "the user of the session in the end")


async def _remembering(trial: TransportTrial, name: str = "visitor") -> Link:
    """A link of this visitor, to a backend that remembers identifies; else NotApplicable."""
    link = await trial.open(trial.credentials(name))
    if link.welcome.identify == "repeatable":
        raise NotApplicable("the backend remembers no identify, as its welcome says")
    return link


async def _claiming(
    trial: TransportTrial,
    before: Welcome,
    identify_id: str,
    name: str = "ann",
    visitor: str = "visitor",
) -> Credentials:
    """What a session presents whose identify has had no answer: it is still the visitor's."""
    claim, token = Claim(identify_id, trial.user(name)), await trial.token(name)
    return trial.credentials(visitor, session=before.session, claim=claim, token=token)


@clause("transport.cancelled-open")
async def cancelled_open(trial: TransportTrial) -> None:
    """A dial that is cancelled leaves nothing open."""
    other = trial.controls("open_links")
    await trial.open()
    before = await other.open_links()
    for moment in (0.0, 0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02):
        dialling = asyncio.ensure_future(trial.open())
        await asyncio.sleep(moment)
        dialling.cancel()
        await asyncio.wait({dialling})
        if not dialling.cancelled() and dialling.exception() is None:
            dialling.result().abort()
        elif not dialling.cancelled():
            raise Unmet(f"a dial that was cancelled raised {dialling.exception()!r}")
    await asyncio.sleep(MOMENT)  # what was on its way may still arrive

    async def none_more() -> bool:
        return await other.open_links() <= before

    await until(none_more, "links of cancelled dials are open at the backend")


@clause("transport.many-links")
async def many_links(trial: TransportTrial) -> None:
    """One transport serves many sessions at once, each as who it is."""
    names = [f"visitor{n}" for n in range(8)]
    links = await asyncio.gather(*(trial.open(trial.credentials(name)) for name in names))
    sent = await asyncio.gather(
        *(link.send(Outgoing("m-1", name)) for name, link in zip(names, links, strict=True))
    )
    expect([message.text for message in sent], names, "the messages as they were stored")
    lists = [[one.id for one in await link.conversations(ListConversations())] for link in links]
    expect(lists, [[message.conversation_id] for message in sent], "the conversations of each")


OPENING = (*clauses_of(vars(), TransportTrial), *REFUSED)
