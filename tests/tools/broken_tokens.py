"""For each clause of the token suite a provider with that fault, and one without."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import attrs

from broken import breaker, but_for
from support_chat.errors import TokenProviderError, TokenRefusedError
from support_chat.testing import TokenSource

API_KEY = "the-key-that-the-provider-presents"


@attrs.define(eq=False)
class Healthy:
    """A provider without a fault of its own."""

    state: str = "fine"
    numbers: itertools.count[int] = attrs.field(factory=itertools.count, repr=False)
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, repr=False)

    def mint(self) -> Any:
        return f"token-{next(self.numbers)}-9b71d224"

    def refused(self) -> Exception:
        return TokenRefusedError("This user gets no token.")

    def failed(self) -> Exception:
        return TokenProviderError("Nobody answers.")

    async def __call__(self) -> Any:
        if self.state == "fine":
            return self.mint()
        raise self.refused() if self.state == "refuses" else self.failed()


def giving(token: object) -> type[Any]:
    """It gives something else than a token."""

    def mint(_: Healthy) -> object:
        return token

    return but_for(Healthy, "mint", mint)


BROKEN: dict[str, Any] = {
    "tokens.text": giving(b"token"),
    "tokens.not-empty": giving(""),
    "tokens.short-enough": giving("é" * 8193),
    "tokens.clean-text": giving("token\n"),
}
breaks = breaker(BROKEN)


@breaks("tokens.repeats", Healthy, "mint")
def gives_one(provider: Healthy) -> str:
    if next(provider.numbers):
        raise RuntimeError("cannot reuse already awaited coroutine")
    return "token"


@breaks("tokens.ends-when-cancelled", Healthy, "__call__")
async def ignores_being_cancelled(provider: Healthy) -> str:
    until = asyncio.get_running_loop().time() + 3.2
    while asyncio.get_running_loop().time() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
    return "token"


@breaks("tokens.cancelled", Healthy, "__call__")
async def keeps_its_lock_when_it_is_cancelled(provider: Healthy) -> str:
    await provider.lock.acquire()
    await asyncio.sleep(0.005)
    provider.lock.release()
    return "token"


@breaks("tokens.refuses", Healthy, "refused")
def fails_where_it_should_refuse(provider: Healthy) -> Exception:
    return PermissionError("403")


@breaks("tokens.fails", Healthy, "failed")
def refuses_where_it_should_fail(provider: Healthy) -> Exception:
    return TokenRefusedError("503")


@breaks("tokens.errors-hide-secrets", Healthy, "failed")
def tells_what_it_presented(provider: Healthy) -> Exception:
    error = TokenProviderError("Nobody answers.")
    error.__cause__ = ValueError(f"GET /token?key={API_KEY}")
    return error


@breaks("tokens.repr-hides-secrets", Healthy, "__repr__")
def shows_its_token(provider: Healthy) -> str:
    return "ShowsItsToken('token-0-9b71d224')"


def source(kind: type[Any]) -> Callable[[], TokenSource]:
    """A provider of this kind, and its switches."""

    def made() -> TokenSource:
        provider = kind()
        return TokenSource(
            provider,
            refuse=lambda: setattr(provider, "state", "refuses"),
            fail=lambda: setattr(provider, "state", "fails"),
            secrets=(API_KEY,),
        )

    return made
