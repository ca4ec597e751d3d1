"""Each clause of the token suite can fail: for each there is a provider with that fault, and the
error names the clause.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from broken import assert_found, assert_healthy, breaker
from support_chat.errors import TokenProviderError, TokenRefusedError
from support_chat.testing import TOKEN_CLAUSES, Clause, TokenSource, check_token_provider

API_KEY = "the-key-that-the-provider-presents"


@attrs.define(eq=False)
class Healthy:
    """A provider without a fault; the ones below inherit it, and each has one."""

    state: str = "fine"
    numbers: itertools.count[int] = attrs.field(factory=itertools.count, repr=False)

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


BROKEN: dict[str, type[Healthy]] = {}
breaks = breaker(BROKEN)


@breaks("tokens.text")
class GivesBytes(Healthy):
    def mint(self) -> Any:
        return b"token"


@breaks("tokens.not-empty")
class GivesNothing(Healthy):
    def mint(self) -> Any:
        return ""


@breaks("tokens.short-enough")
class GivesABook(Healthy):
    def mint(self) -> Any:
        return "é" * 8193


@breaks("tokens.clean-text")
class GivesALine(Healthy):
    def mint(self) -> Any:
        return "token\n"


@breaks("tokens.repeats")
class GivesOne(Healthy):
    def mint(self) -> Any:
        if next(self.numbers):
            raise RuntimeError("cannot reuse already awaited coroutine")
        return "token"


@breaks("tokens.ends-when-cancelled")
class IgnoresBeingCancelled(Healthy):
    async def __call__(self) -> Any:
        until = asyncio.get_running_loop().time() + 3.2
        while asyncio.get_running_loop().time() < until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
        return self.mint()


@breaks("tokens.cancelled")
class KeepsItsLockWhenItIsCancelled(Healthy):
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, repr=False)

    async def __call__(self) -> Any:
        await self.lock.acquire()
        await asyncio.sleep(0.005)
        token = self.mint()
        self.lock.release()
        return token


@breaks("tokens.refuses")
class FailsWhereItShouldRefuse(Healthy):
    def refused(self) -> Exception:
        return PermissionError("403")


@breaks("tokens.fails")
class RefusesWhereItShouldFail(Healthy):
    def failed(self) -> Exception:
        return TokenRefusedError("503")


@breaks("tokens.errors-hide-secrets")
class TellsWhatItPresented(Healthy):
    def failed(self) -> Exception:
        error = TokenProviderError("Nobody answers.")
        error.__cause__ = ValueError(f"GET /token?key={API_KEY}")
        return error


@breaks("tokens.repr-hides-secrets")
class ShowsItsToken(Healthy):
    def __repr__(self) -> str:
        return "ShowsItsToken('token-0-9b71d224')"


def source(kind: type[Healthy]) -> Callable[[], TokenSource]:
    def made() -> TokenSource:
        provider = kind()
        return TokenSource(
            provider,
            refuse=lambda: setattr(provider, "state", "refuses"),
            fail=lambda: setattr(provider, "state", "fails"),
            secrets=(API_KEY,),
        )

    return made


def test_the_provider_without_a_fault_passes_every_clause() -> None:
    assert_healthy(check_token_provider(source(Healthy)), TOKEN_CLAUSES)


def test_every_clause_has_its_broken_provider() -> None:
    assert set(BROKEN) == {clause.id for clause in TOKEN_CLAUSES}


@pytest.mark.parametrize("clause", TOKEN_CLAUSES, ids=lambda clause: clause.id)
def test_a_broken_provider_is_found_by_the_clause_that_it_breaks(clause: Clause[Any]) -> None:
    assert_found(
        clause, lambda: check_token_provider(source(BROKEN[clause.id]), only=[clause.id], limit=1.0)
    )
