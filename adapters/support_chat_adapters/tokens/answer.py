"""What counts as a token in the answer of a customer's server: a pure function from bytes, and one
reason for each that is none.

Frameworks disagree about what a function that returns a string sends: Flask calls it `text/html`,
FastAPI quotes it as JSON. So the content type decides nothing and the shape everything: a token is
one word of visible ASCII, as it is or as JSON. A page of a login form or of a captive portal is no
such word, and fails here, where the reason can still be told, not at the backend.
"""

from __future__ import annotations

import json
import re
from typing import Final, cast

MAX_TOKEN_BYTES: Final = 16 * 1024
"""The largest token that a session takes, in bytes."""
MAX_ANSWER_BYTES: Final = MAX_TOKEN_BYTES + 4 * 1024
"""The largest answer that is read: a token, and room for what JSON puts around it."""

_WORD: Final = re.compile(r"[!-~]+")


class NoTokenError(ValueError):
    """The answer holds no token; the message says why, and shows nothing of the answer."""


def token_in(body: bytes) -> str:
    """The token in an answer's body: text, a JSON string, or the `token` of a JSON object;
    whitespace around it is dropped.

    Raises NoTokenError for everything else.
    """
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise NoTokenError("is not UTF-8") from None
    if not text:
        raise NoTokenError("is empty")
    token = _member(text).strip() if text[0] in '{["' else text
    if not token:
        raise NoTokenError("holds an empty token")
    if token.startswith("<") or not _WORD.fullmatch(token):
        raise NoTokenError("is not one word of visible ASCII (a page for people?)")
    if len(token) > MAX_TOKEN_BYTES:
        raise NoTokenError(f"holds {len(token)} bytes; a token has at most {MAX_TOKEN_BYTES}")
    return token


def _member(text: str) -> str:
    try:
        answer: object = json.loads(text)
    except (ValueError, RecursionError):
        # RecursionError: brackets nested as deep as the answer is long.
        raise NoTokenError("is not valid JSON") from None
    if isinstance(answer, dict):
        answer = cast("dict[str, object]", answer).get("token")
    if not isinstance(answer, str):
        raise NoTokenError('is JSON without a string at "token"')
    return answer
