"""What `check_token_provider` tries: a provider, and the switches of who stands behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, TypeAlias

import attrs

from ....ports import TokenProvider
from ....runtime.providers import called
from ..expecting import NotApplicable, entered, resolved


@attrs.frozen
class TokenSource:
    """A provider with the switches that its factory has: return one to have refusals and failures
    tried too.

    After `refuse()` whoever mints the tokens says that this user gets none; after `fail()` they
    cannot be reached, or fail. Both may return an awaitable. `secrets` are the texts that no error
    may show: what the provider presents to get a token, say.
    """

    provider: TokenProvider
    refuse: Callable[[], object] | None = None
    fail: Callable[[], object] | None = None
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)


TokenFactory: TypeAlias = Callable[
    [],
    TokenProvider
    | TokenSource
    | AbstractAsyncContextManager[TokenSource]
    | AbstractAsyncContextManager[TokenProvider],
]
"""Called for each clause, on its thread: gives a provider, a `TokenSource`, or an async context
manager that gives one of them.
"""


_SOMEBODY = "user_123"
"""For whom a provider is asked that takes the user's id."""


@attrs.define(eq=False)
class TokenTrial:
    """A token provider as a clause gets it."""

    source: TokenSource

    @property
    def provider(self) -> TokenProvider:
        """The provider to try."""
        return self.source.provider

    async def ask(self) -> object:
        """Calls the provider as a session does; returns what it comes to."""
        return await called(self.provider, _SOMEBODY)

    async def switch(self, name: Literal["refuse", "fail"]) -> None:
        """From now on the user gets no token, or nobody can be asked; raises NotApplicable if the
        factory has no such switch.
        """
        switch = getattr(self.source, name)
        if switch is None:
            raise NotApplicable(f"the factory gives no TokenSource with {name}=")
        await resolved(switch())


@asynccontextmanager
async def token_trial(factory: TokenFactory) -> AsyncGenerator[TokenTrial, None]:
    """A trial of what the factory makes."""
    async with entered(factory()) as given:
        yield TokenTrial(given if isinstance(given, TokenSource) else TokenSource(given))
