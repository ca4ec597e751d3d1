"""Adapters that are broken on purpose, one for each clause of a suite: how they are told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def breaker(broken: dict[str, Any]) -> Callable[..., Callable[[Any], Any]]:
    """A decorator that adds to those that are broken: `@breaks("storage.keys")` this class,
    `@breaks("storage.keys", Healthy, "keys")` the healthy one with this function as its method.
    """

    def breaks(clause: str, healthy: Any = None, method: str = "") -> Callable[[Any], Any]:
        def add(fault: Any) -> Any:
            assert clause not in broken
            broken[clause] = but_for(healthy, method, fault) if method else fault
            return fault

        return add

    return breaks


def but_for(healthy: type[Any], method: str, fault: object) -> type[Any]:
    """The healthy one, but for this method."""
    return type("Broken", (healthy,), {method: fault})
