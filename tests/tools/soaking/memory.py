"""Whether the memory of the served processes grows while they live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

WARM_AFTER: Final = 60.0
"""Seconds of a process's life that are not looked at: everybody comes back, caches fill."""
ENOUGH: Final = 240.0
"""Seconds of warm life, of all processes together, below which nothing can be said."""


def growth(processes: Iterable[Sequence[tuple[float, float]]]) -> float | None:
    """The slope in MiB an hour that fits the warm samples of all processes best, each of which may
    begin at a height of its own; None if there are too few.

    A sample is an age in seconds, and MiB.
    """
    lived = above = below = 0.0
    for samples in processes:
        warm = [(age, mib) for age, mib in samples if age >= WARM_AFTER]
        if len(warm) < 3:
            continue
        lived += warm[-1][0] - warm[0][0]
        age_mean = sum(age for age, _ in warm) / len(warm)
        mib_mean = sum(mib for _, mib in warm) / len(warm)
        above += sum((age - age_mean) * (mib - mib_mean) for age, mib in warm)
        below += sum((age - age_mean) ** 2 for age, _ in warm)
    return above / below * 3600 if lived >= ENOUGH and below else None
