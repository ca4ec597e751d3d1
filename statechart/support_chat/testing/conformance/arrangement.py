"""What `check_transport` needs: a transport, and control of the other side, which a test of an
adapter has anyway.

The suite plays the client. Whatever the backend and the network are to do, it asks of an
`Arrangement`: mint a token, let an agent write, break the links. What an arrangement cannot do it
leaves out, and the clauses that need it are reported as not applicable.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias, cast

import attrs

from ...ports import Credentials, IdentifyRequest, Link, Transport
from ...values import JSON, Identity, Visitor
from .expecting import ArrangementFailed, NotApplicable, Unmet, described, entered


class Arrangement(Protocol):
    """The least that a suite needs: a transport to a widget that serves visitors, merges them, and
    believes users by their token.
    """

    @property
    def transport(self) -> Transport:
        """The transport to try; the arrangement made it and closes it."""
        ...

    @property
    def workspace_id(self) -> str:
        """The workspace to dial."""
        ...

    @property
    def widget_id(self) -> str:
        """The widget to dial."""
        ...

    async def token(self, user_id: str) -> str:
        """A fresh identity token of this user, which the backend accepts; no two are the same."""
        ...

    async def say(self, identity: Identity, text: str) -> None:
        """An agent writes to this visitor or user, in their newest conversation or a new one."""
        ...


class FullArrangement(Arrangement, Protocol):
    """Every control that the suite can use: implement those you have beside the ones of
    `Arrangement`.
    """

    async def expired_token(self, user_id: str) -> str:
        """A token of this user that was genuine, and has expired."""
        ...

    async def expire_tokens(self, user_id: str) -> None:
        """The backend accepts the tokens that this user's sessions were opened with no longer."""
        ...

    async def revoke(self, session: str) -> None:
        """The backend ends this session, for a reason of its own."""
        ...

    async def cut(self) -> None:
        """Every open link breaks, without a goodbye; new dials work."""
        ...

    async def forget_history(self) -> None:
        """The backend can replay no message that was sent so far."""
        ...

    async def rate_limit(self, retry_after: float) -> None:
        """The next dial is asked to come back after so many seconds, and only the next."""
        ...

    async def go_away(self) -> None:
        """The backend cannot be reached any more."""
        ...

    async def traits(self, identity: Identity) -> Mapping[str, JSON]:
        """What the backend has stored of this visitor or user: dotted path (`user.name`) to
        value.
        """
        ...

    async def open_links(self) -> int:
        """How many links the backend holds open now."""
        ...


TransportFactory: TypeAlias = Callable[[], Arrangement | AbstractAsyncContextManager[Arrangement]]
"""Called for each clause, on its thread: gives an arrangement, or an async context manager that
gives one.
"""


def visitor_of(link: Link) -> Visitor:
    """The visitor for whom this link was opened; Unmet if its welcome names none."""
    if link.welcome.visitor_id is None:
        raise Unmet("the welcome of a visitor has no visitor_id")
    return Visitor(link.welcome.visitor_id)


@attrs.define(eq=False)
class TransportTrial:
    """A transport as a clause gets it: people nobody has used, and the links that were opened for
    them.
    """

    arrangement: Arrangement
    links: list[Link] = attrs.field(factory=list[Link])
    mark: str = attrs.field(factory=lambda: secrets.token_hex(6))
    """Makes the names of this trial unlike those of any other at the same backend."""

    @property
    def transport(self) -> Transport:
        """The transport to try."""
        return self.arrangement.transport

    def user(self, name: str = "ann") -> str:
        """The id of a user that no other trial has."""
        return f"{name}-{self.mark}"

    def visitor(self, name: str = "visitor") -> str:
        """The secret of a visitor that no other trial has."""
        return f"{name}-{self.mark}-{'0123456789abcdef' * 2}"

    def credentials(self, name: str = "visitor", **more: Any) -> Credentials:
        """What a visitor of this name presents."""
        return Credentials(
            self.arrangement.workspace_id, self.arrangement.widget_id, self.visitor(name), **more
        )

    async def as_user(
        self, name: str = "ann", visitor: str = "visitor", **more: Any
    ) -> Credentials:
        """What a user of this name presents, with a fresh token."""
        token = await self.token(name)
        return self.credentials(visitor, user_id=self.user(name), token=token, **more)

    async def request(
        self, identify_id: str = "identify-1", name: str = "ann", **more: Any
    ) -> IdentifyRequest:
        """The visitor asks to become the user of this name."""
        given: dict[str, Any] = {
            "visitor": self.visitor(),
            "token": await self.token(name),
            **more,
        }
        return IdentifyRequest(f"{identify_id}-{self.mark}", self.user(name), **given)

    async def open(self, credentials: Credentials | None = None) -> Link:
        """Opens a link, the visitor's by default; whatever becomes of the clause, it is aborted in
        the end.
        """
        link = await self.transport.open(self.credentials() if credentials is None else credentials)
        self.links.append(link)
        return link

    async def resume(self, link: Link, cursor: str | None = None) -> Link:
        """Opens another link of this one's session, as the visitor."""
        return await self.open(self.credentials(session=link.welcome.session, cursor=cursor))

    async def token(self, name: str = "ann") -> str:
        """A fresh token of the user of this name."""
        return await self.arrangement.token(self.user(name))

    async def say(self, link: Link, text: str) -> None:
        """An agent writes to the visitor who opened this link."""
        await self.arrangement.say(visitor_of(link), text)

    def controls(self, *names: str) -> FullArrangement:
        """The other side, if it has all of these controls; else NotApplicable."""
        for name in names:
            if getattr(self.arrangement, name, None) is None:
                raise NotApplicable(f"the arrangement has no {name}()")
        return cast("FullArrangement", self.arrangement)


@attrs.frozen
class _Watched:
    """An arrangement whose controls raise ArrangementFailed in place of their own errors."""

    _arrangement: Any

    def __getattr__(self, name: str) -> Any:
        control = getattr(self._arrangement, name)
        return self._watched(name, control) if inspect.iscoroutinefunction(control) else control

    def _watched(self, name: str, control: Callable[..., Awaitable[Any]]) -> Any:
        async def watched(*given: Any) -> Any:
            try:
                return await control(*given)
            except Exception as error:
                raise ArrangementFailed(
                    f"{name}() of the arrangement failed with {described(error)}; the adapter was "
                    "not tried"
                ) from error

        return watched


@asynccontextmanager
async def transport_trial(factory: TransportFactory) -> AsyncGenerator[TransportTrial, None]:
    """A trial of what the factory makes; afterwards its links are aborted, and the arrangement
    left.
    """
    async with entered(factory()) as arrangement:
        trial = TransportTrial(cast("Arrangement", _Watched(arrangement)))
        try:
            yield trial
        finally:
            for link in trial.links:
                link.abort()
