"""A key that is the value itself: to hash a chart by what is in it takes longer than its use."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Identical(Generic[T]):
    """Equal to another of the very same value alone."""

    def __init__(self, value: T) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identical):
            return False
        return cast("Identical[object]", other).value is self.value
