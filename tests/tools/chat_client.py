"""What tests of the chat client share: the program, somebody to speak for, and tests that are told
inside a setting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from loopback_arrangement import SECRET, WIDGET
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.chat.controller import Person

S = TypeVar("S")
Play = Callable[[Coroutine[Any, Any, None]], None]

PROGRAM: Final = "from support_chat_adapters.cli import main; raise SystemExit(main())"
VISITOR: Final = Person(
    None, {}, lambda user_id: lambda: sign_identity_token(user_id, SECRET, **WIDGET)
)


def told_in(
    setting: Callable[[], AbstractAsyncContextManager[S]], play: Play = asyncio.run
) -> Callable[[Callable[[S], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Makes a test of a coroutine that is told inside `setting`; `play` runs it."""

    def made(tell: Callable[[S], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def story() -> None:
            async with setting() as what_is_there:
                await tell(what_is_there)

        def test() -> None:
            play(story())

        test.__doc__ = tell.__doc__
        return test

    return made
