"""What rounds have come upon, counted: for each kind, on which side of its commit the process died,
and who knew of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .evidence import Evidence
from .plans import KINDS

Tally = tuple[str, str]
"""A kind, and what became of the request that the kill was aimed at."""


def tally_of(evidence: Evidence) -> Tally:
    """How one round is counted."""
    kill = evidence.kill
    if not kill.committed:
        return evidence.kind, "not committed"
    return evidence.kind, "committed, answered" if kill.answered else "committed, answer lost"


def lines(tallies: Iterable[Tally]) -> list[str]:
    """A table with a line for each kind."""
    counts = Counter(tallies)
    columns = ("not committed", "committed, answer lost", "committed, answered")
    header = f"{'killed during':14}" + "".join(f"{column:>24}" for column in columns)
    body = [
        f"{kind:14}" + "".join(f"{counts[kind, column]:24}" for column in columns) for kind in KINDS
    ]
    return [header, *body, f"{counts.total()} rounds"]
