"""What a token provider is told: by keyword why a token is asked for, if it has a required
parameter `reason`, and for whom, if it has another.

One that caches knows by the reason that the token it holds is bad. Every other provider is called
without arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support_chat import (
    AuthRefusedError,
    NetworkError,
    Phase,
    TokenProviderError,
    TokenReason,
)
from support_chat.ports import TokenExpired
from support_chat.testing import ScriptedTokens, unsigned_token

if TYPE_CHECKING:
    from tests.session.conftest import Rig

LIFE = 300.0


class Cache:
    """Mints a token when it is told that the one before is bad, or nearly over; else it repeats
    it.
    """

    def __init__(self, life: float = LIFE) -> None:
        self.reasons: list[TokenReason] = []
        self.minted = 0
        self.life = life

    async def __call__(self, *, reason: TokenReason) -> str:
        self.reasons.append(reason)
        self.minted += reason != "first" or not self.minted
        return unsigned_token(sub="ann", iat=0, exp=self.life, jti=str(self.minted))


def by_position(told: list[Any]) -> Any:
    def provide(reason: TokenReason) -> str:
        told.append(reason)
        return "token"

    return provide


def by_keyword(told: list[Any]) -> Any:
    async def provide(*, reason: TokenReason, more: int = 0) -> str:
        told.append(reason)
        return "token"

    return provide


def with_more(told: list[Any], reason: TokenReason) -> str:
    told.append(reason)
    return "token"


class Method:
    def __init__(self, told: list[Any]) -> None:
        self.told = told

    async def provide(self, reason: TokenReason) -> str:
        self.told.append(reason)
        return "token"


TOLD: dict[str, Callable[[list[Any]], Any]] = {
    "a function": by_position,
    "a keyword": by_keyword,
    "a method": lambda told: Method(told).provide,
    "a partial": lambda told: partial(with_more, told),
}


@pytest.mark.parametrize("kind", TOLD)
def test_a_required_parameter_named_reason_gets_it(rig: Rig, kind: str) -> None:
    async def scenario() -> None:
        told: list[Any] = []
        await rig.chat().boot(user={"id": "ann"}, token_provider=TOLD[kind](told))
        assert told == ["first"]

    rig.run(scenario)


def for_anybody(told: list[Any]) -> Any:
    def provide(user: str, more: int = 0) -> str:
        told.append(user)
        return "token"

    return provide


def for_a_reason(told: list[Any]) -> Any:
    async def provide(user_id: str, /, *, reason: TokenReason) -> str:
        told.append((user_id, reason))
        return "token"

    return provide


def with_key(user: str, told: list[Any], *, key: str) -> str:
    told.append(user)
    return "token"


FOR_WHOM: dict[str, tuple[Callable[[list[Any]], Any], object]] = {
    "a function": (for_anybody, "ann"),
    "with a reason": (for_a_reason, ("ann", "first")),
    "a partial": (lambda told: partial(with_key, told=told, key="k"), "ann"),
}


@pytest.mark.parametrize("kind", FOR_WHOM)
def test_another_required_parameter_gets_the_user_s_id(rig: Rig, kind: str) -> None:
    async def scenario() -> None:
        told: list[Any] = []
        provider, wanted = FOR_WHOM[kind]
        await rig.chat().boot(user={"id": "ann"}, token_provider=provider(told))
        assert told == [wanted]

    rig.run(scenario)


def test_an_identify_asks_for_a_token_of_its_user(rig: Rig) -> None:
    async def scenario() -> None:
        told: list[Any] = []
        chat = rig.chat()
        await chat.boot()
        await chat.identify(user={"id": "bob"}, token_provider=for_anybody(told))
        assert told == ["bob"]

    rig.run(scenario)


def optional(told: list[Any]) -> Any:
    def provide(reason: str = "none") -> str:
        told.append(reason)
        return "token"

    return provide


def of_any_name(told: list[Any]) -> Any:
    def provide(*arguments: object, **options: object) -> str:
        told.append((arguments, options))
        return "token"

    return provide


class Unreadable:
    """Says nothing of what it takes, as some callables of C do not."""

    __signature__ = "none"

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def __call__(self) -> str:
        self.told.append(())
        return "token"


AS_TODAY: dict[str, tuple[Callable[[list[Any]], Any], object]] = {
    "an optional one": (optional, "none"),
    "any arguments": (of_any_name, ((), {})),
    "bound beforehand": (lambda told: partial(by_position(told), reason="own"), "own"),
    "no signature": (Unreadable, ()),
}


@pytest.mark.parametrize("kind", AS_TODAY)
def test_every_other_provider_is_called_without_arguments(rig: Rig, kind: str) -> None:
    async def scenario() -> None:
        told: list[Any] = []
        provider, expected = AS_TODAY[kind]
        await rig.chat().boot(user={"id": "ann"}, token_provider=provider(told))
        assert told == [expected]

    rig.run(scenario)


def test_a_token_that_nears_its_end_is_asked_for_because_of_its_expiry(rig: Rig) -> None:
    async def scenario() -> None:
        cache, chat = Cache(), rig.chat()
        await chat.boot(user={"id": "ann"}, token_provider=cache)
        await rig.quiet(2.5 * LIFE)
        assert set(cache.reasons[1:]) == {"expiry"}
        assert cache.minted == len(cache.reasons) > 2

    rig.run(scenario)


def test_so_it_is_without_a_link(rig: Rig) -> None:
    async def scenario() -> None:
        cache, chat = Cache(), rig.chat()
        await chat.boot(user={"id": "ann"}, token_provider=cache)
        rig.fail("dial", *(NetworkError("down") for _ in range(1000)))
        rig.links[-1].lose()
        await rig.quiet(LIFE)
        rig.gates.failures.clear()
        await rig.quiet(LIFE)
        assert chat.is_in(Phase.AUTHENTICATED)
        assert set(cache.reasons[1:]) == {"expiry"}

    rig.run(scenario)


def test_a_cache_learns_that_the_backend_took_its_token_no_longer(rig: Rig) -> None:
    async def scenario() -> None:
        cache, chat = Cache(life=30 * 24 * 3600.0), rig.chat()
        await chat.boot(user={"id": "ann"}, token_provider=cache)
        rig.links[-1].push(TokenExpired())
        await rig.quiet(60)
        assert cache.reasons == ["first", "refused"]
        rig.fail("dial", AuthRefusedError("no more"))
        rig.links[-1].lose()
        await rig.quiet(60)
        assert cache.reasons == ["first", "refused", "refused"]
        assert chat.is_in(Phase.AUTHENTICATED), "a cache that is not told gives the same one again"
        assert rig.log.count("renew") == 1

    rig.run(scenario)


def test_a_provider_that_fails_is_asked_again_for_the_same_reason(rig: Rig) -> None:
    async def scenario() -> None:
        reasons: list[TokenReason] = []

        async def provide(reason: TokenReason) -> str:
            reasons.append(reason)
            if len(reasons) in (2, 3):
                raise TokenProviderError("not now")
            return unsigned_token(sub="ann", iat=0, exp=30 * 24 * 3600, jti=str(len(reasons)))

        chat = rig.chat()
        await chat.boot(user={"id": "ann"}, token_provider=provide)
        rig.links[-1].push(TokenExpired())
        await rig.quiet(600)
        assert reasons == ["first", "refused", "refused", "refused"]

    rig.run(scenario)


def test_each_session_and_each_identify_begins_with_a_first_token(rig: Rig) -> None:
    async def scenario() -> None:
        cache, chat = Cache(), rig.chat()
        await chat.boot()
        await chat.identify(user={"id": "ann"}, token_provider=cache)
        rig.links[-1].push(TokenExpired())
        await rig.quiet(60)
        await chat.shutdown()
        await chat.boot(user={"id": "ann"}, token_provider=cache)
        assert cache.reasons == ["first", "refused", "first"]
        assert rig.dials[-1].token is not None

    rig.run(scenario)


def test_the_doubles_of_the_library_are_called_as_they_were(rig: Rig) -> None:
    async def scenario() -> None:
        await rig.chat().boot(user={"id": "ann"}, token_provider=ScriptedTokens())

    rig.run(scenario)
