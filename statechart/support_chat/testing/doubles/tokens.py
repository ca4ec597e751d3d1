"""A token provider whose calls a test sees, holds and fails, and tokens for it to return."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from ...values import JSON
from .script import CallLog, PortCall, Script


def unsigned_token(**claims: JSON) -> str:
    """An identity token with exactly these claims and no valid signature: enough for a client,
    which does not verify.

    `unsigned_token(sub="ada", iat=0, exp=300)` lives for 300 seconds, since a session measures `exp
    - iat`; another `jti` makes another token of the same claims.
    """
    header = {"alg": "none", "typ": "JWT"}
    return ".".join((_encoded(header), _encoded(claims), "unsigned"))


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _opaque(number: int) -> str:
    return f"token {number}"


class ScriptedTokens:
    """A `TokenProvider` that records each call as `tokens.fetch` and returns `mint(n)` for call n,
    counted from 1.

    By default the tokens are opaque (`token 1`, `token 2`...: no known user, no known expiry); pass
    `lambda n: unsigned_token(sub="ada", iat=0, exp=300, jti=str(n))` for ones that expire. `hold`,
    `release`, `waiting`, `answer_next` and `fail_next` are those of `Script`, with `"fetch"` as the
    operation.
    """

    def __init__(self, mint: Callable[[int], str] = _opaque, *, log: CallLog | None = None) -> None:
        self.log: CallLog = CallLog() if log is None else log
        self._mint = mint
        self._calls = 0
        self._script = Script(self.log, ("fetch",))
        self.hold = self._script.hold
        self.release = self._script.release
        self.waiting = self._script.waiting
        self.answer_next = self._script.answer_next
        self.fail_next = self._script.fail_next

    async def __call__(self) -> str:
        """The next token."""
        self._calls += 1
        number = self._calls
        return await self._script.perform(PortCall("tokens", "fetch"), lambda: self._mint(number))
