"""The provider for a token one already has: it gives that token, shows it to nobody, and takes
nothing else for one.
"""

from __future__ import annotations

import pytest

from async_tests import in_virtual_time
from support_chat.errors import InvalidInputError
from support_chat.ports import TokenProvider
from support_chat_adapters.tokens import StaticToken


@in_virtual_time
async def test_it_gives_the_same_token_every_time() -> None:
    provider = StaticToken("a.b.c")
    a_provider: TokenProvider = provider
    assert callable(a_provider)
    assert [await provider() for _ in range(3)] == ["a.b.c"] * 3


def test_its_repr_hides_the_token() -> None:
    assert repr(StaticToken("a.b.c")) == "StaticToken()"


@pytest.mark.parametrize("token", ["", None, 7, b"a.b.c"])
def test_what_is_no_token_is_refused_without_being_shown(token: object) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^StaticToken needs the token as a non-empty str\.$"
    ):
        StaticToken(token)  # type: ignore[arg-type]
