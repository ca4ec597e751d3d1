"""A token provider for one token that you already have."""

from __future__ import annotations

import attrs

from support_chat.errors import InvalidInputError


def _checked(_: object, __: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidInputError("StaticToken needs the token as a non-empty str.")


@attrs.frozen
class StaticToken:
    """A `TokenProvider` that returns `token`, an identity token, whenever it is asked: for scripts,
    demos and tests.

    It cannot renew: when the backend no longer accepts the token, it offers the same bytes again.
    This counts as a refusal, and the session ends clearly (phase `shutdown`, reason
    `auth_refused`). For anything that outlives its token, pass a function that fetches a fresh one.
    The `repr` hides the token. Raises InvalidInputError unless `token` is a non-empty str.
    """

    _token: str = attrs.field(repr=False, validator=_checked)

    async def __call__(self) -> str:
        """The token. (A coroutine, so that no thread is started for it, as there is for a plain
        function.)
        """
        return self._token
