"""What every session keeps after every step, as the account of what is under way shows it, each
named by its number in the catalogue of properties; of engines without a loop and of sessions alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Final

from support_chat.chart.model import Ask
from support_chat.lifecycle.chart import CHART, CONNECTING, ENDED, LIVE, ONLINE
from support_chat.lifecycle.names import Effect as E, Fact, Lane, Phase, Timer

LANES: Final = {
    effect: spec.lane for effect, spec in CHART.effects.items() if isinstance(spec, Ask)
}
FLIGHTS: Final = {
    Fact.FETCHING: Lane.TOKEN,
    Fact.SENDING: Lane.UPDATE,
    Fact.RENEWING: Lane.RENEW,
    Fact.WRITING: Lane.VISITOR,
    Fact.CLEARING: Lane.CLEAR,
    Fact.PARTING: Lane.PART,
    Fact.RELEASING: Lane.RELEASE,
}


def kept(
    phase: str,
    facts: Set[str],
    registers: Sequence[str | None],
    ledger: Set[str],
    performed: Set[str],
) -> Mapping[str, bool]:
    """Whether each promise is kept, where a step has led that asked for the `performed` effects."""
    asked = Counter(lane for effect, lane in LANES.items() if f"asked {effect}" in ledger)
    is_open, retries = f"open {Lane.LINK}" in ledger, f"timer {Timer.RETRY}" in ledger
    ways = retries + asked[Lane.CHECK] + asked[Lane.TOKEN] + asked[Lane.DIAL]
    fetches = not performed.isdisjoint({E.FETCH_TOKEN, E.FETCH_TARGET_TOKEN})
    reads = phase == Phase.BOOTING and Fact.WRITING in facts
    return {
        "S1 nothing leads to a link once the session has ended": (
            phase not in ENDED or not (is_open or ways)
        ),
        "S8 at most one link is open or opening": is_open + asked[Lane.DIAL] <= 1,
        "S9 at most one token call is under way": asked[Lane.TOKEN] <= 1,
        "S16 a dial begins while connecting": E.DIAL not in performed or phase in CONNECTING,
        "S16 a token call begins while booting or live": (
            not fetches or phase in (Phase.BOOTING, *LIVE)
        ),
        "S18 an update leaves while online, with no identify open": (
            E.SEND_UPDATE not in performed or (phase in ONLINE and registers[1] is None)
        ),
        "S19 a write and a clear are not beside each other": (
            asked[Lane.VISITOR] + asked[Lane.CLEAR] <= 1
        ),
        "S21 once released it is destroyed, and nothing is under way": (
            Fact.RELEASED not in facts or (phase == Phase.DESTROYED and not ledger)
        ),
        "S26 the link is open while online": is_open == (phase in ONLINE),
        "S26 RETRYING says that the timer runs": (Fact.RETRYING in facts) == retries,
        "S26 the adapters are checked while loading": (
            (phase == Phase.LOADING) == bool(asked[Lane.LOAD])
        ),
        **{f"S26 {f} says what is asked": (f in facts) == bool(asked[FLIGHTS[f]]) for f in FLIGHTS},
        "L3 whoever connects tries, in one way": phase not in CONNECTING or ways == (not reads),
        "L3 nobody else tries": phase in (*CONNECTING, *ONLINE) or not ways,
    }
