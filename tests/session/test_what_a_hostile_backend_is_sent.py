"""What one session sends by itself to a backend that misbehaves for hours: whatever that answers,
the requests of any hour are bounded by what the settings say.

The application makes its calls once, and waits.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import pairwise, product
from typing import Any, Final

import attrs
import pytest

from async_tests import in_virtual_time
from support_chat import Settings, SupportChat, User
from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    NotABackendError,
    RateLimitedError,
    SupportChatError,
)
from support_chat.lifecycle.delays import backoff_bounds
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    LinkEvent,
    Outgoing,
    RenewAnswer,
    TokenExpired,
    UpdateAnswer,
    Welcome,
)
from support_chat.testing import RecordingStorage, unsigned_token
from support_chat.values import Changes, Identity, Message

HOUR: Final = 3600.0
HOURS: Final = 1.5 * HOUR
SETTINGS: Final = Settings()

ANSWERS: Final[dict[str, Callable[[], Exception | None]]] = {
    "as it should": lambda: None,
    "never": lambda: TimeoutError("never"),
    "unavailable": lambda: NetworkError("503"),
    "no backend": lambda: NotABackendError("a page"),
    "rate limited, come back now": lambda: RateLimitedError("429", retry_after=0.0),
    "rate limited": lambda: RateLimitedError("429", retry_after=7.0),
    "rate limited for 10 minutes": lambda: RateLimitedError("429", retry_after=600.0),
    "auth expired": lambda: AuthRefusedError("expired", reason="expired"),
    "rejected": lambda: BackendRejectedError("422"),
    "nonsense": lambda: KeyError("nonsense"),
}
"""How it answers every request, but a dial, which is answered so every other time."""
KINDS: Final = [name for name in ANSWERS if name not in ("no backend", "rate limited")]
"""Those that a session may treat unlike each other, each at its worst."""
LINKS: Final = (
    "stays",
    "is lost at once",
    "is lost when it seems stable",
    "says that the token has expired",
    "falls silent",
)
"""What becomes of each link."""


@attrs.define
class Hostile:
    """A backend, as a transport, that answers everything in one way; it notes what it is sent, and
    when.
    """

    answer: str
    link: str
    sent: dict[str, list[float]] = attrs.field(factory=lambda: defaultdict[str, list[float]](list))
    dials: int = 0

    async def asked(self, what: str) -> None:
        self.sent[what].append(asyncio.get_running_loop().time())
        error = ANSWERS[self.answer]()
        if isinstance(error, TimeoutError):
            await asyncio.Event().wait()
        if error is not None:
            raise error

    async def open(self, credentials: Credentials) -> HostileLink:
        self.dials += 1
        if self.dials % 2 == 0:
            await self.asked("open")
        else:
            self.sent["open"].append(asyncio.get_running_loop().time())
        return HostileLink(self, credentials)

    async def revoke(self, session: str) -> None:
        await self.asked("revoke")

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        await self.asked("over")

    async def aclose(self) -> None: ...


class HostileLink:
    """One link to it."""

    def __init__(self, backend: Hostile, credentials: Credentials) -> None:
        self.backend = backend
        self.welcome = Welcome(f"session-{backend.dials}", "visitor-1", credentials.user_id)
        self.opened_at = asyncio.get_running_loop().time()

    @property
    def heard_at(self) -> float:
        silent = self.backend.link == "falls silent"
        return self.opened_at if silent else asyncio.get_running_loop().time()

    async def events(self) -> AsyncIterator[LinkEvent]:
        match self.backend.link:
            case "is lost at once":
                return
            case "is lost when it seems stable":
                await asyncio.sleep(SETTINGS.stable_after + 1e-3)
                return
            case "says that the token has expired":
                while True:
                    yield TokenExpired()
                    await asyncio.sleep(1.0)
            case _:
                await asyncio.Event().wait()

    async def identify(self, request: IdentifyRequest) -> IdentifyAnswer:
        await self.backend.asked("identify")
        return IdentifyAnswer(request.user_id, merged=False)

    async def send(self, message: Outgoing) -> Message:
        await self.backend.asked("send")
        return Message("m1", "c1", "visitor", message.text, 0.0, message.client_message_id)

    async def update(self, changes: Changes, owner: Identity | None = None) -> UpdateAnswer:
        await self.backend.asked("update")
        return UpdateAnswer()

    async def renew(self, token: str) -> RenewAnswer:
        await self.backend.asked("renew")
        return RenewAnswer()

    async def aclose(self) -> None:
        await self.backend.asked("goodbye")

    def abort(self) -> None: ...


def most_in_an_hour(times: Sequence[float]) -> int:
    """The most that were sent in any hour."""
    most = first = 0
    for last, time in enumerate(times):
        while times[first] <= time - HOUR:
            first += 1
        most = max(most, last - first + 1)
    return most


async def as_a_user(chat: SupportChat, tokens: Any) -> None:
    await chat.boot(user=User("ada", name="Ada"), token_provider=tokens)


async def as_a_visitor_who_signs_in(chat: SupportChat, tokens: Any) -> None:
    await chat.boot()
    await chat.identify(user=User("ada", name="Ada"), token_provider=tokens)


def dials_in_an_hour(settings: Settings) -> float:
    """The most that a backend can provoke: links that seem stable, and after each as many failed
    dials as are cheap.
    """
    rates, waited = [1.0 / settings.backoff_max], 0.0
    for failures in range(20):
        rates.append((1 + failures) / (settings.stable_after + waited))
        waited += backoff_bounds(failures, settings)[0]
    # and what comes before the backoff has grown
    return HOUR * max(rates) + 20


MOST: Final = {
    "open": dials_in_an_hour(SETTINGS),
    # a call of the application may need one besides
    "token": HOUR / SETTINGS.min_refresh_interval + 2,
    "renew": HOUR / SETTINGS.min_refresh_interval + 2,
    "update": SETTINGS.update_burst * HOUR / SETTINGS.update_window + 1,
}
"""The most requests in any hour."""


@pytest.mark.parametrize("begin", [as_a_user, as_a_visitor_who_signs_in])
@pytest.mark.parametrize(("answer", "link"), [*product(KINDS, LINKS)])
@in_virtual_time
async def test_what_it_is_sent_in_any_hour_is_bounded(
    answer: str, link: str, begin: Callable[[SupportChat, Any], Awaitable[None]]
) -> None:
    backend, number = Hostile(answer, link), 0

    async def tokens() -> str:
        nonlocal number
        number += 1
        backend.sent["token"].append(asyncio.get_running_loop().time())
        return unsigned_token(sub="ada", iat=0, exp=3600, jti=str(number))

    transport: Any = backend
    chat = SupportChat(
        workspace_id="acme", widget_id="help", transport=transport, storage=RecordingStorage()
    )
    beginning = asyncio.gather(begin(chat, tokens), return_exceptions=True)
    await asyncio.sleep(SETTINGS.boot_timeout + SETTINGS.call_timeout)
    updating = chat.update(context={"page": "billing"})
    await asyncio.gather(beginning, updating, return_exceptions=True)
    await asyncio.sleep(HOURS)
    sent = {what: most_in_an_hour(times) for what, times in backend.sent.items()}
    for what, most in MOST.items():
        assert sent.get(what, 0) <= most, sent
    # once for each link, and there are no more links than dials
    for what in ("identify", "revoke", "goodbye"):
        assert sent.get(what, 0) <= sent["open"], sent
    assert set(sent) <= {*MOST, "identify", "revoke", "goodbye"}, "all that is sent is bounded"
    await chat.destroy()


@in_virtual_time
async def test_it_is_asked_again_when_it_wants_to_be() -> None:
    backend = Hostile("rate limited for 10 minutes", "stays")
    transport: Any = backend
    chat = SupportChat(
        workspace_id="acme", widget_id="help", transport=transport, storage=RecordingStorage()
    )
    number = 0

    async def tokens() -> str:
        nonlocal number
        number += 1
        return unsigned_token(sub="ada", iat=0, exp=300, jti=str(number))

    await as_a_user(chat, tokens)
    await asyncio.sleep(HOURS)
    for what in ("update", "renew"):
        times = backend.sent[what]
        assert len(times) >= 5
        assert all(later - earlier >= 600.0 - 1e-3 for earlier, later in pairwise(times)), what
    await chat.destroy()


@pytest.mark.parametrize("answer", [answer for answer in ANSWERS if answer != "as it should"])
@in_virtual_time
async def test_a_message_is_sent_once_and_repeated_by_nobody_but_the_application(
    answer: str,
) -> None:
    backend = Hostile(answer, "stays")
    transport: Any = backend
    chat = SupportChat(
        workspace_id="acme", widget_id="help", transport=transport, storage=RecordingStorage()
    )
    await chat.boot()
    with pytest.raises(SupportChatError) as caught:
        await chat.send_message("Hello", queue=False)
    await asyncio.sleep(HOUR)
    assert len(backend.sent["send"]) == 1
    if answer == "rate limited":
        assert isinstance(caught.value, RateLimitedError)
        assert caught.value.retry_after == 7.0
    await chat.destroy()
