"""For each clause of the transport suite a transport with that fault, around the loopback.

`Healthy` and `HealthyLink` pass everything on; what `@breaks` a clause inherits from them and does
one thing wrong. Where the fault is in a link, the class is a link, and the transport around it is
the healthy one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs

from broken import breaker
from loopback_arrangement import LoopbackArrangement, loopback
from support_chat import ports
from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
)
from support_chat.values import About, Changes, Conversation, Message

BROKEN: dict[str, type[Healthy] | type[HealthyLink]] = {}
breaks = breaker(BROKEN)


def arranged(
    kind: type[Healthy] | type[HealthyLink],
) -> Callable[[], AbstractAsyncContextManager[LoopbackArrangement]]:
    """An arrangement with this transport, or with links of this kind."""

    @asynccontextmanager
    async def made() -> AsyncGenerator[LoopbackArrangement, None]:
        async with loopback() as arrangement:
            inner = arrangement.transport
            transport = Healthy(inner, kind) if issubclass(kind, HealthyLink) else kind(inner)
            yield attrs.evolve(arrangement, transport=transport)

    return made


class HealthyLink:
    """A link without a fault of its own."""

    def __init__(
        self, inner: ports.Link, transport: Healthy, credentials: ports.Credentials
    ) -> None:
        self.inner, self.transport, self.credentials = inner, transport, credentials

    @property
    def welcome(self) -> ports.Welcome:
        return self.inner.welcome

    @property
    def heard_at(self) -> float:
        return self.inner.heard_at

    def events(self) -> AsyncIterator[ports.LinkEvent]:
        return self.inner.events()

    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        return await self.inner.identify(request)

    async def renew(self, token: str) -> None:
        await self.inner.renew(token)

    async def update(self, changes: Changes) -> ports.UpdateAnswer:
        return await self.inner.update(changes)

    async def send(self, message: ports.Outgoing) -> Message:
        return await self.inner.send(message)

    async def conversations(self) -> Sequence[Conversation]:
        return await self.inner.conversations()

    async def messages(self, conversation_id: str) -> Sequence[Message]:
        return await self.inner.messages(conversation_id)

    async def mark_read(self, conversation_id: str) -> ports.ReadAnswer:
        return await self.inner.mark_read(conversation_id)

    async def aclose(self) -> None:
        await self.inner.aclose()

    def abort(self) -> None:
        self.inner.abort()


class Healthy:
    """A transport without a fault of its own."""

    def __init__(self, inner: ports.Transport, link: type[HealthyLink] = HealthyLink) -> None:
        self.inner, self.link = inner, link
        self.links: list[HealthyLink] = []
        self.presented: set[object] = set()
        self.closed = False

    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await self.inner.open(credentials)

    async def open(self, credentials: ports.Credentials) -> HealthyLink:
        link = self.link(await self.dial(credentials), self, credentials)
        self.links.append(link)
        return link

    async def revoke(self, session: str) -> None:
        await self.inner.revoke(session)

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


# --- dials ----------------------------------------------------------------------------------------


class AnotherWelcome(HealthyLink):
    """A link whose welcome is not what the backend answered."""

    def changed(self, welcome: ports.Welcome) -> ports.Welcome:
        return welcome

    @property
    def welcome(self) -> ports.Welcome:
        return self.changed(self.inner.welcome)


@breaks("transport.welcomes-visitor")
class CallsVisitorsByAName(AnotherWelcome):
    def changed(self, welcome: ports.Welcome) -> ports.Welcome:
        return attrs.evolve(welcome, user_id=welcome.user_id or "")


@breaks("transport.welcomes-user")
class LeavesTheUserOut(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(attrs.evolve(credentials, user_id=None, token=None))


@breaks("transport.same-visitor")
class MintsVisitors(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(attrs.evolve(credentials, visitor=secrets.token_hex()))


@breaks("transport.another-visitor")
class KnowsOneVisitor(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(attrs.evolve(credentials, visitor="the one"))


@breaks("transport.resumes-visitor")
class BeginsAnewForVisitors(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(
            credentials if credentials.user_id else attrs.evolve(credentials, session=None)
        )


@breaks("transport.resumes-user")
class BeginsAnewForUsers(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(
            attrs.evolve(credentials, session=None) if credentials.user_id else credentials
        )


@breaks("transport.unknown-session")
class TakesARejectionForALoss(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        try:
            return await super().dial(credentials)
        except BackendRejectedError as error:
            raise NetworkError("The server closed the connection.") from error


@breaks("transport.revoked-session")
class BeginsAnewWhenItIsRejected(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        try:
            return await super().dial(credentials)
        except BackendRejectedError:
            return await super().dial(attrs.evolve(credentials, session=None))


@breaks("transport.refuses-no-token")
class TakesUsersWithoutATokenForVisitors(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(
            credentials if credentials.token else attrs.evolve(credentials, user_id=None)
        )


class OtherRefusals(Healthy):
    """A transport that translates refusals wrongly."""

    def translated(self, error: AuthRefusedError, credentials: ports.Credentials) -> Exception:
        raise NotImplementedError

    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        try:
            return await super().dial(credentials)
        except AuthRefusedError as error:
            raise self.translated(error, credentials) from error


@breaks("transport.refuses-bad-token")
class TakesA401ForALoss(OtherRefusals):
    def translated(self, error: AuthRefusedError, credentials: ports.Credentials) -> Exception:
        return NetworkError("401")


@breaks("transport.refuses-token-of-another")
class TakesA403ForForEver(OtherRefusals):
    def translated(self, error: AuthRefusedError, credentials: ports.Credentials) -> Exception:
        return BackendRejectedError("403")


@breaks("transport.refuses-expired-token")
class ComesBackWithAnExpiredToken(OtherRefusals):
    def translated(self, error: AuthRefusedError, credentials: ports.Credentials) -> Exception:
        return RateLimitedError("Later.") if error.code == "auth_expired" else error


@breaks("transport.errors-hide-secrets")
class TellsItsToken(OtherRefusals):
    def translated(self, error: AuthRefusedError, credentials: ports.Credentials) -> Exception:
        return AuthRefusedError(f"Authorization: Bearer {credentials.token} was refused.")


@breaks("transport.other-widget")
class KnowsOneWidget(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(attrs.evolve(credentials, widget_id="help"))


@breaks("transport.rate-limited")
class TakesA429ForALoss(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        try:
            return await super().dial(credentials)
        except RateLimitedError as error:
            raise NetworkError("429") from error


@breaks("transport.unreachable")
class LetsErrorsOfSocketsThrough(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        try:
            return await super().dial(credentials)
        except NetworkError as error:
            raise ConnectionRefusedError("111") from error


@breaks("transport.claim-answered")
class ForgetsTheClaim(AnotherWelcome):
    def changed(self, welcome: ports.Welcome) -> ports.Welcome:
        return attrs.evolve(welcome, claim=None)


@breaks("transport.claim-closed")
class PresentsNoClaim(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        if credentials.claim is None:
            return await super().dial(credentials)
        return await super().dial(attrs.evolve(credentials, claim=None, user_id=None, token=None))


@breaks("transport.lost-reply")
class PresentsTheClaimTheSecondTime(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        claim: ports.Claim | None = credentials.claim
        if claim is not None and claim not in self.presented:
            self.presented.add(claim)
            fresh = attrs.evolve(credentials, claim=None, user_id=None, token=None, session=None)
            return await super().dial(fresh)
        return await super().dial(credentials)


@breaks("transport.cancelled-open")
class DialsOnWhenItIsCancelled(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await asyncio.shield(asyncio.ensure_future(super().dial(credentials)))


@breaks("transport.many-links")
class HasOneLink(Healthy):
    async def open(self, credentials: ports.Credentials) -> HealthyLink:
        link = await super().open(credentials)
        return link if len(self.links) == 1 else self.links[0]


# --- calls ----------------------------------------------------------------------------------------


@breaks("link.identify-merges")
class DoesNotCountWhatMoved(HealthyLink):
    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        return attrs.evolve(await super().identify(request), conversations_moved=0)


@breaks("link.identify-once")
class MintsIdentifyIds(HealthyLink):
    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        return await super().identify(attrs.evolve(request, identify_id=secrets.token_hex()))


@breaks("link.identify-refused")
class ClosesWhenItIsRefused(HealthyLink):
    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        try:
            return await super().identify(request)
        except AuthRefusedError:
            self.abort()
            raise


@breaks("link.identify-needs-the-visitor")
class AuthorisesTheMergeItself(HealthyLink):
    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        return await super().identify(attrs.evolve(request, visitor=self.credentials.visitor))


@breaks("link.identify-carries-changes")
class CarriesNoChanges(HealthyLink):
    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        return await super().identify(attrs.evolve(request, visitor_changes={}, user_changes={}))


@breaks("link.retired-visitor")
class RemembersVisitorsItself(AnotherWelcome):
    def changed(self, welcome: ports.Welcome) -> ports.Welcome:
        first = next(
            link
            for link in self.transport.links
            if link.credentials.visitor == self.credentials.visitor
        )
        return attrs.evolve(welcome, visitor_id=first.inner.welcome.visitor_id)


@breaks("link.renew")
class RenewsNothing(HealthyLink):
    async def renew(self, token: str) -> None:
        pass


@breaks("link.renew-refused")
class RenewsWithAnything(HealthyLink):
    async def renew(self, token: str) -> None:
        with contextlib.suppress(AuthRefusedError):
            await super().renew(token)


@breaks("link.token-expired")
class TakesAnExpiredTokenForALoss(HealthyLink):
    async def conversations(self) -> Sequence[Conversation]:
        try:
            return await super().conversations()
        except AuthRefusedError as error:
            raise NetworkError("401") from error


@breaks("link.update")
class UpdatesNothing(HealthyLink):
    async def update(self, changes: Changes) -> ports.UpdateAnswer:
        return ports.UpdateAnswer()


@breaks("link.update-rejected")
class HidesWhatWasRejected(HealthyLink):
    async def update(self, changes: Changes) -> ports.UpdateAnswer:
        await super().update(changes)
        return ports.UpdateAnswer()


@breaks("link.send")
class ForgetsTheClientId(HealthyLink):
    async def send(self, message: ports.Outgoing) -> Message:
        return attrs.evolve(await super().send(message), client_message_id=None)


class MintsClientIds(HealthyLink):
    """A link that sends under a client id of its own."""

    def client_id(self, message: ports.Outgoing) -> str:
        return message.client_message_id

    async def send(self, message: ports.Outgoing) -> Message:
        sent = await super().send(attrs.evolve(message, client_message_id=self.client_id(message)))
        return attrs.evolve(sent, client_message_id=message.client_message_id)


@breaks("link.send-once")
class MintsOneForEachSend(MintsClientIds):
    def client_id(self, message: ports.Outgoing) -> str:
        return secrets.token_hex()


@breaks("link.send-once-over-links")
class MintsOneForEachLink(MintsClientIds):
    def client_id(self, message: ports.Outgoing) -> str:
        return f"{id(self)} {message.client_message_id}"


@breaks("link.send-rejected")
class TakesA404ForALoss(HealthyLink):
    async def send(self, message: ports.Outgoing) -> Message:
        try:
            return await super().send(message)
        except BackendRejectedError as error:
            raise NetworkError("404") from error


@breaks("link.conversations")
class ListsOldestFirst(HealthyLink):
    async def conversations(self) -> Sequence[Conversation]:
        return tuple(reversed(await super().conversations()))


@breaks("link.describes")
class SaysNothingOfIt(HealthyLink):
    async def send(self, message: ports.Outgoing) -> Message:
        return await super().send(attrs.evolve(message, about=About()))


@breaks("link.messages")
class ListsOnePage(HealthyLink):
    async def messages(self, conversation_id: str) -> Sequence[Message]:
        return (await super().messages(conversation_id))[:3]


@breaks("link.mark-read")
class MarksNothing(HealthyLink):
    async def mark_read(self, conversation_id: str) -> ports.ReadAnswer:
        return ports.ReadAnswer(1)


@breaks("link.cancelled-call")
class ClosesWhenItIsCancelled(HealthyLink):
    async def send(self, message: ports.Outgoing) -> Message:
        try:
            return await super().send(message)
        except asyncio.CancelledError:
            self.abort()
            raise


@breaks("transport.revoke")
class RevokesNothing(Healthy):
    async def revoke(self, session: str) -> None:
        pass


@breaks("transport.revoke-unknown")
class InsistsOnWhatItRevokes(Healthy):
    async def revoke(self, session: str) -> None:
        if all(link.welcome.session != session for link in self.links):
            raise BackendRejectedError("404")
        await super().revoke(session)


# --- events ---------------------------------------------------------------------------------------


class OtherEvents(HealthyLink):
    """A link that delivers something else than what arrives."""

    def instead(self, event: ports.LinkEvent) -> Sequence[ports.LinkEvent]:
        return (event,)

    def events(self) -> AsyncIterator[ports.LinkEvent]:
        return self._events()

    async def _events(self) -> AsyncIterator[ports.LinkEvent]:
        async for event in self.inner.events():
            for delivered in self.instead(event):
                yield delivered


@breaks("link.events")
class DeliversTwice(OtherEvents):
    def instead(self, event: ports.LinkEvent) -> Sequence[ports.LinkEvent]:
        return (event, event)


@breaks("link.events-of-user")
class HearsNothingOnceIdentified(OtherEvents):
    identified = False

    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        self.identified = True
        return await super().identify(request)

    def instead(self, event: ports.LinkEvent) -> Sequence[ports.LinkEvent]:
        return () if self.identified else (event,)


@breaks("link.events-of-nobody-else")
class ReadsTheLinkOpenedLast(HealthyLink):
    def events(self) -> AsyncIterator[ports.LinkEvent]:
        return self.transport.links[-1].inner.events()


@breaks("link.replay")
class PresentsNoCursor(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await super().dial(attrs.evolve(credentials, cursor=None))


@breaks("link.replay-from-welcome")
class WelcomesWithoutACursor(AnotherWelcome):
    def changed(self, welcome: ports.Welcome) -> ports.Welcome:
        return attrs.evolve(welcome, cursor=None)


@breaks("link.unread")
class CountsNothing(AnotherWelcome):
    def changed(self, welcome: ports.Welcome) -> ports.Welcome:
        return attrs.evolve(welcome, unread=0)


@breaks("link.gap")
class HidesTheGap(AnotherWelcome):
    def changed(self, welcome: ports.Welcome) -> ports.Welcome:
        return attrs.evolve(welcome, gap=False)


@breaks("link.token-expired-event")
class KeepsTokensForEver(OtherEvents):
    def instead(self, event: ports.LinkEvent) -> Sequence[ports.LinkEvent]:
        return () if isinstance(event, ports.TokenExpired) else (event,)


@breaks("link.revoked-event")
class TakesARevocationForALoss(OtherEvents):
    def instead(self, event: ports.LinkEvent) -> Sequence[ports.LinkEvent]:
        return () if isinstance(event, ports.SessionRevoked) else (event,)


@breaks("link.heard-at")
class LooksAtAnotherClock(HealthyLink):
    @property
    def heard_at(self) -> float:
        return super().heard_at + 1e6


@breaks("link.heard-no-more")
class HearsOnWhenItIsLost(HealthyLink):
    @property
    def heard_at(self) -> float:
        return asyncio.get_running_loop().time()


# --- the end --------------------------------------------------------------------------------------


@breaks("link.cut")
class DoesNotNoticeThatItIsLost(HealthyLink):
    def events(self) -> AsyncIterator[ports.LinkEvent]:
        return self._events()

    async def _events(self) -> AsyncIterator[ports.LinkEvent]:
        with contextlib.suppress(NetworkError):
            async for event in self.inner.events():
                yield event
        await asyncio.get_running_loop().create_future()


@breaks("link.cut-replay")
class CountsWhatItHasNotDelivered(Healthy):
    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        cursor = None if credentials.cursor is None else str(int(credentials.cursor) + 1)
        return await super().dial(attrs.evolve(credentials, cursor=cursor))


@breaks("link.abort-is-synchronous")
class AbortsLater(HealthyLink):
    def abort(self) -> None:
        asyncio.get_running_loop().call_later(0.02, self.inner.abort)


@breaks("link.abort-ends-pending")
class LetsCallsHangWhenItIsAborted(HealthyLink):
    async def update(self, changes: Changes) -> ports.UpdateAnswer:
        try:
            return await super().update(changes)
        except NetworkError:
            await asyncio.get_running_loop().create_future()
            raise


@breaks("link.abort-delivers-nothing")
class DeliversWhatItHasBuffered(HealthyLink):
    def __init__(
        self, inner: ports.Link, transport: Healthy, credentials: ports.Credentials
    ) -> None:
        super().__init__(inner, transport, credentials)
        self.buffer: asyncio.Queue[ports.LinkEvent | None] = asyncio.Queue()
        self.pump = asyncio.ensure_future(self._pump())

    async def _pump(self) -> None:
        with contextlib.suppress(NetworkError):
            async for event in self.inner.events():
                self.buffer.put_nowait(event)
        self.buffer.put_nowait(None)

    def events(self) -> AsyncIterator[ports.LinkEvent]:
        return self._events()

    async def _events(self) -> AsyncIterator[ports.LinkEvent]:
        while (event := await self.buffer.get()) is not None:
            yield event
        self.buffer.put_nowait(None)


@breaks("link.abort-twice")
class AbortsOnce(HealthyLink):
    aborted = False

    def abort(self) -> None:
        if self.aborted:
            raise RuntimeError("already aborted")
        self.aborted = True
        super().abort()


@breaks("link.abort-closes")
class AbortsForItself(HealthyLink):
    aborted = False

    def abort(self) -> None:
        self.aborted = True

    async def conversations(self) -> Sequence[Conversation]:
        if self.aborted:
            raise NetworkError("aborted")
        return await super().conversations()


@breaks("link.abort-leaves-no-task")
class LeavesItsHeartbeat(HealthyLink):
    beat: Any = None

    async def conversations(self) -> Sequence[Conversation]:
        self.beat = asyncio.ensure_future(asyncio.sleep(60))
        return await super().conversations()


@breaks("link.abort-keeps-session")
class RevokesWhenItCloses(HealthyLink):
    async def aclose(self) -> None:
        await self.transport.revoke(self.welcome.session)
        await super().aclose()


@breaks("link.closed")
class DoesNotClose(HealthyLink):
    async def aclose(self) -> None:
        pass


@breaks("transport.closed")
class LinksNeedTheirTransport(HealthyLink):
    async def conversations(self) -> Sequence[Conversation]:
        if self.transport.closed:
            raise RuntimeError("Cannot send a request, as the client has been closed.")
        return await super().conversations()
