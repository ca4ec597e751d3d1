"""Which web pages may use a widget: the allow-list that the Origin header is held against.

A browser sends Origin with every request that changes something, and no page can forge it (RFC
6454); a program that is no browser sends none, and needs its session's credential anyway. So a
missing Origin passes, and a present one must be on the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from support_chat.errors import BackendRejectedError, InvalidInputError

_PATTERN: Final = re.compile(
    r"https?://((\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:\d{1,5})?",
    re.IGNORECASE,
)


def _checked(_: object, __: object, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise InvalidInputError(
                f"{pattern!r} is no origin: write https://app.example.com, or "
                "https://*.example.com for one more label, without a path."
            )


def _normal(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(pattern.lower() for pattern in patterns)


@attrs.frozen
class AllowedOrigins:
    """Exact origins (`https://app.example.com`), and wildcards for exactly one label
    (`https://*.example.com`).

    Raises InvalidInputError for a pattern that is neither.
    """

    patterns: tuple[str, ...] = attrs.field(default=(), converter=_normal, validator=_checked)

    @property
    def expression(self) -> str:
        """A regular expression that matches an allowed origin as a whole, in lower case, and no
        other.
        """
        if not self.patterns:
            return r"(?!)"
        return "|".join(
            re.escape(pattern).replace(r"://\*\.", r"://[a-z0-9_-]+\.") for pattern in self.patterns
        )

    def check(self, origin: str | None) -> None:
        """Raises BackendRejectedError (`invalid_origin`) if a page of this origin may not use the
        widget.
        """
        if origin is not None and not re.fullmatch(self.expression, origin.lower()):
            raise BackendRejectedError(
                "Pages of this origin may not use the widget: add it to the widget's allowed "
                "origins.",
                code="invalid_origin",
            )
