"""Each rule of the judge can fail: a story that fits is doctored in one place, and the judge names
that place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from killing.stored import Stored, StoredMessage
from killing_clients import judge
from killing_clients.evidence import Evidence, Told
from killing_clients.plans import Call, Plan

Doctor = Callable[[Evidence], object]


def plan(call: Call) -> Plan:
    return Plan(7, call, "file", 9, None, False, False, 3, 0.0, True, True, 1, True)


def booted(visitor: str = "v", secret: str = "s") -> dict[str, Any]:
    return {"did": "booted", "visitor": visitor, "secret": secret}


def acknowledged(name: str, number: int) -> dict[str, Any]:
    conversation = {"conversation": "conversation-1"}
    return {"did": "acknowledged", "call": name, "id": f"message-{number}", **conversation}


FIRST, *NAMES = ("message-7-first", "message-7-0", "message-7-1", "message-7-2")


def row(name: str, number: int, **changes: Any) -> StoredMessage:
    one = StoredMessage(number, "conversation-1", "visitor:v", "visitor", f"text of {name}", name)
    return attrs.evolve(one, **changes)


ROWS = tuple(row(name, number) for number, name in enumerate((FIRST, *NAMES), start=1))


def a_send() -> Evidence:
    """One that is answered, one that is stored, one that has not left; all are sent again."""
    listed: dict[str, Any] = {"did": "listed", "conversations": [[FIRST, *NAMES]]}
    dead = [booted(), acknowledged(FIRST, 1), {"did": "under way"}, acknowledged(NAMES[0], 2)]
    again = [booted(), acknowledged(NAMES[1], 3), acknowledged(NAMES[2], 4), listed]
    return Evidence(
        plan("send"),
        Told(dead, -9),
        [
            Told([*again, {"did": "done"}], -9),
            Told([booted(), listed, {"did": "cleared"}, {"did": "done"}], -9),
        ],
        found="s",
        accepted={"s": False},
        heard=[FIRST, *NAMES],
        visitors=frozenset({"v"}),
        stored=Stored(messages=ROWS),
    )


def a_clear() -> Evidence:
    """One that had succeeded; whoever comes then is somebody else."""
    dead = [booted(), acknowledged(FIRST, 1), {"did": "under way"}, {"did": "cleared"}]
    other, listed = booted("w", "t"), {"did": "listed", "conversations": list[Any]()}
    return Evidence(
        attrs.evolve(plan("clear"), resends=False, watched=False),
        Told(dead, -9),
        [
            Told([other, listed, {"did": "done"}], -9),
            Told([other, listed, {"did": "cleared"}, {"did": "done"}], -9),
        ],
        accepted={"s": False, "t": False},
        visitors=frozenset({"v", "w"}),
        stored=Stored(messages=ROWS[:1]),
    )


def test_a_story_that_fits_is_no_violation() -> None:
    assert judge.judge(a_send()) == []
    assert judge.judge(a_clear()) == []


def _set(name: str, value: object) -> Doctor:
    return lambda evidence: setattr(evidence, name, value)


def _stored(*rows: StoredMessage) -> Doctor:
    return _set("stored", Stored(messages=rows))


def _dead(*lines: dict[str, Any], status: int = -9) -> Doctor:
    return _set("dead", Told(list(lines), status))


def _last_lost(evidence: Evidence) -> None:
    evidence.stored = Stored(messages=ROWS[:-1])
    del evidence.successors[0].lines[2]


DOCTORED: dict[str, tuple[Callable[[], Evidence], Doctor, str]] = {
    "complained of": (a_send, lambda one: one.complaints.append("it hangs"), "it hangs"),
    "nobody killed": (a_send, lambda one: setattr(one.dead, "status", 0), "nobody was killed"),
    "killed too soon": (a_send, _dead(booted()), "before its call was under way"),
    "broken before": (
        a_send,
        lambda one: one.dead.lines.append({"did": "broken", "error": "StorageError"}),
        "it came upon StorageError",
    ),
    "no later boot": (
        a_send,
        _set("successors", [Told([{"did": "broken", "error": "locked"}])]),
        "a later boot failed: ['locked']",
    ),
    "half a successor": (a_send, _set("successors", [Told([booted()])]), "did not get to its end"),
    "doubled": (a_send, _stored(*ROWS, row(NAMES[2], 5)), "is stored 2 times"),
    "another id": (a_send, _stored(*ROWS, row("message-7-9", 5)), "message-7-9 was never sent"),
    "lost": (a_send, _stored(*ROWS[:-1]), f"{NAMES[2]} was acknowledged and is not stored"),
    "lost though sent again": (
        a_send,
        _last_lost,
        "never came, though they were sent again",
    ),
    "answered otherwise": (a_send, _stored(*ROWS[:-1], row(NAMES[2], 9)), "is stored as message-9"),
    "another text": (
        a_send,
        _stored(*ROWS[:-1], row(NAMES[2], 4, text="hello")),
        "is stored with the text 'hello'",
    ),
    "out of order": (a_send, _stored(ROWS[0], ROWS[2], ROWS[1], ROWS[3]), "in this order"),
    "one left before the one before it": (a_clear, _stored(), "acknowledged and is not stored"),
    "begun twice": (
        a_send,
        _stored(*ROWS[:-1], row(NAMES[2], 4, conversation_id="conversation-2")),
        "one conversation became 2",
    ),
    "shown otherwise": (
        a_send,
        lambda one: one.successors[0].lines[3].update(conversations=[[FIRST]]),
        f"the successor was shown [['{FIRST}']]",
    ),
    "heard twice": (a_send, _set("heard", [FIRST, FIRST, *NAMES]), "another tab heard of"),
    "half a secret": (a_send, _set("found", "s-"), "neither the visitor's secret nor nothing"),
    "a visitor lost": (a_send, _set("found", None), "the visitor was lost by a send"),
    "there after a clear": (a_clear, _set("found", "s"), "the clear had succeeded"),
    "not the secret": (
        a_send,
        lambda one: one.successors[0].lines[0].update(secret="t"),
        "is not the successor's",
    ),
    "not recognised": (
        a_send,
        lambda one: one.successors[0].lines[0].update(visitor="w"),
        "the visitor was not recognised",
    ),
    "two at once": (
        a_clear,
        lambda one: one.successors[0].lines.__setitem__(0, booted("x", "t")),
        "2 visitors took over",
    ),
    "one too many": (a_send, _set("visitors", frozenset({"v", "w"})), "2 visitors were made"),
    "late": (a_send, _set("after_late", "s"), "landed after its deadline"),
    "left": (
        a_clear,
        lambda one: one.left_behind.append("a secret is still in chat.db"),
        "after a clear a secret is still in chat.db",
    ),
    "still good": (a_clear, _set("accepted", {"s": True}), "the backend still takes"),
}


def test_whatever_does_not_fit_is_seen_and_named() -> None:
    for what, (story, doctor, named) in DOCTORED.items():
        evidence = story()
        doctor(evidence)
        violations = judge.judge(evidence)
        assert any(named in violation for violation in violations), (what, violations)


def test_every_rule_has_something_that_it_sees() -> None:
    for rule in judge.RULES:
        seen = 0
        for story, doctor, _ in DOCTORED.values():
            evidence = story()
            doctor(evidence)
            seen += any(True for _ in rule(evidence))
        assert seen, rule.__name__


def test_a_clear_that_was_cut_off_has_happened_or_not() -> None:
    gone, kept = a_clear(), a_clear()
    for one in (gone, kept):
        one.dead.lines.pop()
    kept.found = "s"
    kept.visitors = frozenset({"v"})
    for told in kept.successors:
        told.lines[0] = booted()
        told.lines[1] = {"did": "listed", "conversations": [[FIRST]]}
    assert judge.judge(gone) == judge.judge(kept) == []
