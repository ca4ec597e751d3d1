"""The names of a chart as properties ask for them: one that the chart has not is a slip, and told,
instead of being unlike everything.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InvalidInputError


class UnknownNameError(InvalidInputError):
    """A property asks for a name that its chart has not."""


class Bits(dict[str, int]):
    """The bits of the `kind` of thing that the names stand for."""

    def __init__(self, kind: str, bits: Mapping[str, int]) -> None:
        super().__init__(bits)
        self._kind = kind

    def __missing__(self, name: str) -> int:
        raise UnknownNameError(f"there is no {self._kind} {name!r}")


class PhaseName(str):
    """A phase, which is compared with those that are `known`."""

    __slots__ = ("_known",)
    _known: frozenset[str]

    def __new__(cls, name: str, known: frozenset[str]) -> PhaseName:
        """Makes one."""
        made = super().__new__(cls, name)
        made._known = known
        return made

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str) and other not in self._known:
            raise UnknownNameError(f"there is no phase {str(other)!r}")
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__
