"""How a token provider is called, whatever kind of callable it is."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from ..errors import TokenProviderError
from ..ports import TokenProvider, TokenReason
from .threads import DaemonThreads


async def called(provider: TokenProvider, reason: TokenReason = "first") -> object:
    """Calls a provider, a plain function on a thread, since it may block; returns what it comes
    to and raises what it raises. Only one that asks for the `reason` is told it.
    """
    function = cast("Callable[..., Any]", provider)
    if _wants_reason(provider):
        function = partial(function, reason=reason)
    raw = function() if _may_be_called_here(provider) else await _elsewhere(function)
    return await raw if inspect.isawaitable(raw) else raw


def _wants_reason(provider: TokenProvider) -> bool:
    try:
        parameter = inspect.signature(provider).parameters.get("reason")
    except (TypeError, ValueError):
        return False  # it says nothing of what it takes
    return (
        parameter is not None
        and parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    )


def _may_be_called_here(provider: TokenProvider) -> bool:
    call = getattr(provider, "__call__", None)  # noqa: B004  # asks for the method, to look at it
    is_async = inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(call)
    return is_async or sys.platform in ("emscripten", "wasi")  # there are no threads in a browser


async def _elsewhere(function: Callable[[], Any]) -> Any:
    context = contextvars.copy_context()  # as one that is awaited has it
    loop = asyncio.get_running_loop()
    try:
        working = loop.run_in_executor(DaemonThreads(), context.run, function)
    except RuntimeError as error:
        raise TokenProviderError(
            f"No thread could be started for the token_provider ({error}); make it `async def`, "
            "which needs none."
        ) from error
    return await working
