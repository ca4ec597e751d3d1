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


async def called(
    provider: TokenProvider, user_id: str | None, reason: TokenReason = "first"
) -> object:
    """Calls a provider, a plain function on a thread, since it may block; returns what it comes
    to and raises what it raises. Only one that takes the user's id, or a `reason`, is told it.
    """
    function = cast("Callable[..., Any]", provider)
    required = _required(provider)
    if required.pop("reason", None) is not None:
        function = partial(function, reason=reason)
    if any(parameter.kind is not parameter.KEYWORD_ONLY for parameter in required.values()):
        function = partial(function, user_id)
    raw = function() if _may_be_called_here(provider) else await _elsewhere(function)
    return await raw if inspect.isawaitable(raw) else raw


def _required(provider: TokenProvider) -> dict[str, inspect.Parameter]:
    """The parameters that a provider cannot be called without."""
    try:
        parameters = inspect.signature(provider).parameters
    except (TypeError, ValueError):
        return {}  # it says nothing of what it takes
    return {
        name: each
        for name, each in parameters.items()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }


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
