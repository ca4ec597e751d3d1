"""Each rule of the judge of long runs can fail, and a run that shows too little has not passed: a
story that fits is doctored in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from killing.stored import Stored, StoredMerge, StoredMessage, StoredVisitor
from soak import INCONCLUSIVE, PASSED, UNFINISHED, VIOLATED, verdict
from soaking import judge, memory
from soaking.evidence import KINDS, Life, Notes, Seen, Sent, Value, read

Doctor = Callable[[Seen, Stored], Stored]
VISITOR, USER = "visitor:v", "user:ada"


def story() -> tuple[Seen, Stored]:
    """A visitor writes twice, is answered and becomes a user; another device of theirs hears."""
    visitor = Life(
        owners=[(VISITOR, 0), (USER, 3)],
        sent={
            "a/1": Sent("one", VISITOR, [1]),
            "a/2": Sent("two", VISITOR),
            "a/3": Sent("three", USER, [4]),
        },
        got=[(3, "c", "an answer")],
        up_to=4,
        listed={"c": 4},
    )
    device = Life(owners=[(USER, 3)], got=[(4, "c", "three")], up_to=4)
    seen = Seen(
        lives={"a": visitor, "b": device},
        replies={3: (VISITOR, "an answer")},
        identified=[("v", "ada", 1)],
        values={(USER, "user.traits.a"): [Value("x", stored=True), Value("y", stored=False)]},
        done=[("s1", kind, 1.0, 2.0) for kind in KINDS],
        outages={"s1": [(0.5, 1.5), (3.0, 4.0)]},
    )
    seen.played["faults"] = 60.0
    texts = ("one", "two", "an answer", "three")
    ids = ("a/1", "a/2", None, "a/3")
    stored = Stored(
        users=("ada",),
        visitors=(StoredVisitor("v", "ada"),),
        merges=(StoredMerge("v", "ada", 1),),
        conversations=(("c", USER),),
        messages=tuple(
            StoredMessage(number, "c", USER, "agent" if id is None else "visitor", text, id)
            for number, (text, id) in enumerate(zip(texts, ids, strict=True), 1)
        ),
        traits={(USER, "user.traits.a"): "x"},
    )
    return seen, stored


def _seen(change: Callable[[Seen, Life, Life], object]) -> Doctor:
    def doctor(seen: Seen, stored: Stored) -> Stored:
        change(seen, seen.lives["a"], seen.lives["b"])
        return stored

    return doctor


def _without(number: int) -> Doctor:
    return lambda _, stored: attrs.evolve(
        stored, messages=tuple(row for row in stored.messages if row.number != number)
    )


def _again(number: int, **changes: Any) -> Doctor:
    return lambda _, stored: attrs.evolve(
        stored,
        messages=(
            *stored.messages,
            attrs.evolve(stored.messages[number - 1], number=5, **changes),
        ),
    )


DOCTORED: dict[str, tuple[Doctor, str]] = {
    "a damaged file": (
        lambda _, stored: attrs.evolve(stored, damage=("row 3 missing",)),
        "damaged",
    ),
    "a user twice": (lambda _, stored: attrs.evolve(stored, users=("ada", "ada")), "is 2 users"),
    "a message lost": (_without(1), "a/1 of a was acknowledged and is not stored"),
    "an answer lost": (_without(3), "an agent's message-3 is stored as None"),
    "a message twice": (_again(1), "a/1 is stored 2 times"),
    "one of unknown end twice": (_again(2), "a/2 is stored 2 times"),
    "a message from nowhere": (_again(1, client_message_id="z/1"), "was never sent"),
    "unknown noted as failed": (
        _seen(lambda _, a, __: setattr(a.sent["a/2"], "refused", True)),
        "a/2 is stored, though",
    ),
    "unknown without its payload": (
        _seen(lambda _, a, __: setattr(a.sent["a/2"], "text", "")),
        "a/2 of user:ada is stored as",
    ),
    "two answers": (
        _seen(lambda _, a, __: a.sent["a/1"].numbers.append(2)),
        "a/1 was answered as [1, 2]",
    ),
    "another answer": (
        _seen(lambda _, a, __: setattr(a.sent["a/3"], "numbers", [9])),
        "was answered as [9] and is stored as 4",
    ),
    "sent in another order": (
        _seen(lambda _, a, __: a.sent.update({"a/0": Sent("", USER, [2])})),
        "message-2 after message-4",
    ),
    "news lost": (
        _seen(lambda _, a, __: a.got.clear()),
        "message-3 never arrived at a",
    ),
    "news lost to another device": (
        _seen(lambda _, __, b: b.got.clear()),
        "message-4 never arrived at b",
    ),
    "news twice": (
        _seen(lambda _, __, b: b.got.append((4, "c", "three"))),
        "message-4 arrived 2 times at b",
    ),
    "news out of order": (
        _seen(lambda _, __, b: b.got.append((3, "c", "an answer"))),
        "at b arrived message-3 after message-4",
    ),
    "news that is not stored": (
        _seen(lambda _, __, b: b.got.append((9, "c", "nine"))),
        "message-9 arrived at b and is stored as None",
    ),
    "news of one's own": (
        _seen(lambda _, a, __: a.got.append((4, "c", "three"))),
        "its own a/3 came back",
    ),
    "a gap": (_seen(lambda _, __, b: setattr(b, "gaps", 1)), "b was told of a gap"),
    "a merge lost": (lambda _, stored: attrs.evolve(stored, merges=()), "the merge is None"),
    "a conversation left behind": (
        lambda _, stored: attrs.evolve(stored, conversations=(("c", VISITOR),)),
        "c was left with visitor:v",
    ),
    "a value lost": (lambda _, stored: attrs.evolve(stored, traits={}), "is null, not one of"),
    "a listing too long": (
        _seen(lambda _, a, __: setattr(a, "listed", {"c": 9})),
        "a lists c with 9",
    ),
    "a listing too short": (
        _seen(lambda _, a, __: setattr(a, "listed", {})),
        "a does not list its c",
    ),
    "something that was complained of": (
        _seen(lambda seen, _, __: seen.complaints.append("it hangs")),
        "it hangs",
    ),
}


def test_a_story_that_fits_is_no_violation_and_passes() -> None:
    seen, stored = story()
    assert judge.judge(seen, stored) == []
    assert verdict(seen, [], 1.0, 0.0).status == PASSED


def test_whatever_does_not_fit_is_seen_and_named() -> None:
    for what, (doctor, named) in DOCTORED.items():
        seen, stored = story()
        violations = judge.judge(seen, doctor(seen, stored))
        assert any(named in violation for violation in violations), (what, violations)


def test_every_rule_has_something_that_it_sees() -> None:
    silent = {rule.__name__ for rule in judge.RULES}
    for doctor, _ in DOCTORED.values():
        seen, stored = story()
        case = judge.case_of(seen, doctor(seen, stored))
        silent -= {rule.__name__ for rule in judge.RULES if any(True for _ in rule(case))}
    assert not silent


def test_what_has_an_unknown_end_may_have_happened_or_not() -> None:
    seen, stored = story()
    assert seen.unknown() == 1
    [gone] = (row for row in stored.messages if row.client_message_id == "a/2")
    rest = tuple(row for row in stored.messages if row is not gone)
    seen.lives["a"].listed = None
    assert judge.judge(seen, attrs.evolve(stored, messages=rest)) == []


def test_a_run_in_which_a_kind_never_succeeded_under_faults_is_inconclusive() -> None:
    for kind in KINDS:
        seen, _ = story()
        seen.done = [one for one in seen.done if one[1] != kind] + [("s1", kind, 5.0, 6.0)]
        found = verdict(seen, [], 1.0, 0.0)
        assert found.status == INCONCLUSIVE, kind
        assert found.missing == [f"no {kind} succeeded while faults were on"]


def test_a_run_without_a_kill_or_with_too_little_memory_seen_is_inconclusive() -> None:
    seen, _ = story()
    assert verdict(seen, [], 1.0, 30.0).status == INCONCLUSIVE
    seen.outages.clear()
    assert "nothing was killed" in verdict(seen, [], 1.0, 0.0).missing


def test_a_run_that_is_not_over_says_so_and_a_violation_comes_first() -> None:
    seen, _ = story()
    assert verdict(seen, [], 2.0, 0.0).status == UNFINISHED
    assert verdict(seen, ["lost"], 2.0, 0.0).status == VIOLATED


def test_memory_that_grows_is_told_from_memory_that_is_flat_at_another_height() -> None:
    flat = [[(float(age), 50.0 + 5 * life) for age in range(300)] for life in range(2)]
    grows = [[(float(age), 50.0 + age / 36) for age in range(400)]]
    warming = [[(float(age), 50.0 + min(age, 50)) for age in range(400)]]
    assert memory.growth(flat) == 0.0
    assert memory.growth(warming) == 0.0
    assert round(memory.growth(grows) or 0.0) == 100
    assert memory.growth([grows[0][:90]]) is None
    seen, _ = story()
    seen.memory["s1/7"] = grows[0]
    assert verdict(seen, [], 1.0, 30.0).status == VIOLATED
    assert verdict(seen, [], 1.0, 200.0).status == PASSED


def test_what_was_written_before_a_process_was_cut_off_is_read(tmp_path: Path) -> None:
    notes = Notes(tmp_path, "s001-clients-0")
    notes.add("sending", life="a", id="a/1", text="ü", owner=USER)
    notes.close()
    [file] = (tmp_path / "evidence").iterdir()
    with file.open("a") as cut_off:
        cut_off.write('{"what": "sent", "li')
    assert read(tmp_path).lives["a"].sent["a/1"].text == "ü"
    assert read(tmp_path).unknown() == 1
