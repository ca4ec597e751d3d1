"""What rounds have come upon, counted: for each call, how far it had come when its process died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from .evidence import Evidence
from .plans import CALLS

Tally = tuple[str, str]
"""A call, and what had become of it."""
ENDS: Final = ("nothing done", "done, not told", "done and told")


def tally_of(evidence: Evidence) -> Tally:
    """How one round is counted: a send by the last of its messages that is stored, and was not sent
    again, so that somebody else may have stored it.
    """
    call, dead = evidence.plan.call, evidence.dead
    if call in ("send", "destroy"):
        later = {name for told in evidence.successors for name in told.of("acknowledged", "call")}
        stored = {message.client_message_id for message in evidence.stored.messages} - later
        done = [name for name in evidence.plan.calls if name in stored]
        told = bool(done) and done[-1] in dead.of("acknowledged", "call")
    else:
        done = [call] if (evidence.found is None) is (call == "clear") else []
        told = dead.did("cleared" if call == "clear" else "booted")
    return call, ENDS[bool(done) + (told if done else 0)]


def lines(tallies: Iterable[Tally]) -> list[str]:
    """A table with a line for each call."""
    counts = Counter(tallies)
    header = f"{'under way':14}" + "".join(f"{end:>20}" for end in ENDS)
    body = [f"{call:14}" + "".join(f"{counts[call, end]:20}" for end in ENDS) for call in CALLS]
    return [header, *body, f"{counts.total()} rounds"]
