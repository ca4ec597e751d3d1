"""What tests of the chat client share: the program, somebody to speak for, and tests that run
inside a setting.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from loopback_arrangement import SECRET, WIDGET
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.chat.controller import Person

P = ParamSpec("P")
S = TypeVar("S")
Play = Callable[[Coroutine[Any, Any, None]], None]

PROGRAM: Final = "from support_chat_adapters.cli import main; raise SystemExit(main())"
VISITOR: Final = Person(
    None, {}, lambda user_id: lambda: sign_identity_token(user_id, SECRET, **WIDGET)
)


def runs_in(
    setting: Callable[[], AbstractAsyncContextManager[S]], play: Play = asyncio.run
) -> Callable[[Callable[Concatenate[S, P], Coroutine[Any, Any, None]]], Callable[P, None]]:
    """Makes a test of a coroutine that runs inside `setting`; `play` runs it. What else it takes
    the test takes from pytest.
    """

    def made(body: Callable[Concatenate[S, P], Coroutine[Any, Any, None]]) -> Callable[P, None]:
        async def story(*args: P.args, **kwargs: P.kwargs) -> None:
            async with setting() as what_is_there:
                await body(what_is_there, *args, **kwargs)

        def test(*args: P.args, **kwargs: P.kwargs) -> None:
            play(story(*args, **kwargs))

        _, *others = inspect.signature(body).parameters.values()
        vars(test)["__signature__"] = inspect.Signature(others)
        return test

    return made
