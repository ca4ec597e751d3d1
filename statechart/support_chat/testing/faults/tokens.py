"""A token provider that misbehaves as planned, around any other."""

from __future__ import annotations

from functools import partial
from typing import cast

from ...errors import TokenProviderError
from ...ports import TokenProvider, TokenReason
from ...runtime.providers import called
from .plans import Fault, FaultLog, Faults, Injector


class FaultyTokens:
    """Asks `inner` for each token, with faults; what happened is in `log`. The operation is
    `fetch`.

    A call that *fails* or is *dropped* raises TokenProviderError; for a dropped one a token was
    minted all the same. A *duplicate* fetches twice and gives the second token. *Reordered*, a call
    gives the token of the call before it again, as if that answer had come late; the first call has
    none before it and is done as usual. A plain function is called on a thread, since it may block.
    """

    def __init__(
        self, inner: TokenProvider, faults: Faults, *, log: FaultLog | None = None
    ) -> None:
        self.inner = inner
        self.log: FaultLog = FaultLog() if log is None else log
        self._injector = Injector("tokens", faults, self.log, _failure)
        self._before: str | None = None

    async def __call__(self, user_id: str, /, *, reason: TokenReason) -> str:
        """The next token."""
        fetch = partial(called, self.inner, user_id, reason)
        before = self._before
        fault, seconds = self._injector.meets("fetch")
        if fault is Fault.REORDER and before is not None:
            self._before = cast("str", await fetch())
            return before
        self._before = fetched = cast(
            "str", await self._injector.carry(fault, seconds, "fetch", fetch)
        )
        return fetched

    def __repr__(self) -> str:
        return f"FaultyTokens({self.inner!r})"


def _failure(operation: str) -> TokenProviderError:
    return TokenProviderError(
        f"FaultyTokens lets this {operation} fail, as its faults say; try again.", reason="injected"
    )
