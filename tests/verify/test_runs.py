"""What is said of whole runs: what leads to what, under which fairness, what is kept until when;
and what is asked of nothing.

The decisions are compared with a plain definition, on small charts by seed: a run can last if it
can stop, or if some set of states, whichever, can be gone through fairly for ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from typing import Any, Final

import pytest

from support_chat import Chart, Transition
from support_chat.chart.model import Arm, Ask, Disarm, Ignored
from support_chat.verify import (
    Always,
    CanReach,
    EachEffect,
    EachStep,
    Eventually,
    LeadsTo,
    Property,
    Space,
    Step,
    Structure,
    Until,
    Verdict,
    View,
    decide,
    explore,
    story,
)
from support_chat.verify.deciding import never_asked

# fmt: off


def chart(phases: tuple[str, ...], **parts: Any) -> Chart:
    """A chart that ignores whatever it has no row for."""
    known = {(t, p) for row in parts["transitions"] for t in row.trigger for p in row.sources}
    return Chart(
        name="small", initial=phases[0], phases=phases, **parts,
        ignored=[
            Ignored(triggers=trigger, phases=phase, because="no row")
            for trigger in parts["triggers"] for phase in phases if (trigger, phase) not in known
        ],
    )


PHONE: Final = chart(
    phases=("idle", "dialling", "waiting", "talking"),
    triggers=("dial", "hang_up", "cut", "answered", "busy", "again"),
    external=("dial", "hang_up", "cut"),
    effects={
        "call": Ask(doc="", lane="call", success="answered", failure="busy", limit=""),
        "wait": Arm(doc="", timer="wait", expiry="again", delay=""),
        "stop": Disarm(doc="", timers="wait"),
    },
    transitions=(
        Transition(name="dial", group="", trigger="dial", sources="idle", target="dialling",
                   effects="call"),
        Transition(name="answered", group="", trigger="answered", sources="dialling",
                   target="talking"),
        Transition(name="busy", group="", trigger="busy", sources="dialling", target="waiting",
                   effects="wait"),
        Transition(name="again", group="", trigger="again", sources="waiting", target="dialling",
                   effects="call"),
        Transition(name="cut", group="", trigger="cut", sources="talking", target="dialling",
                   effects="call"),
        Transition(name="hang_up", group="", trigger="hang_up", sources="talking", target="idle"),
        Transition(name="give_up", group="", trigger="hang_up", sources="waiting", target="idle",
                   effects="stop"),
    ),
)
# fmt: on


def at(*phases: str) -> Callable[[View], bool]:
    return lambda view: view.phase in phases


def triggers(steps: tuple[Step, ...]) -> list[str]:
    return [step.happening.trigger for step in steps]


@pytest.fixture(scope="module")
def phone() -> Space:
    return explore(PHONE)


@pytest.mark.parametrize(("wanted", "held", "way", "round"), [
    # whoever is called may always be busy
    (LeadsTo("", "", at("dialling"), at("talking")), False, ["dial"], ["busy", "again"]),
    (LeadsTo("", "", at("dialling"), at("talking"), fair="answered"), True, [], []),
    (LeadsTo("", "", at("dialling"), at("talking", "waiting")), True, [], []),
    # of what is fair it is enough that it can happen again and again, not that it can all the time
    (LeadsTo("", "", at("dialling", "waiting"), at("talking"), fair="answered"), True, [], []),
    # calls may come instead; then it is not in the middle that it lasts
    (LeadsTo("", "", at("waiting"), at("talking"), fair="answered", calls=True), False,
     ["dial", "busy", "hang_up"], []),
    (LeadsTo("", "", at("waiting"), at("talking", "idle"), fair="answered", calls=True), True,
     [], []),
    # a call is bound to come only if it is taken to be fair
    (LeadsTo("", "", at("talking"), at("idle")), False, ["dial", "answered"], []),
    (LeadsTo("", "", at("talking"), at("idle"), fair="hang_up"), True, [], []),
    (LeadsTo("", "", at("talking"), at("idle"), fair="hang_up", calls=True), True, [], []),
    (LeadsTo("", "", at("talking"), at("waiting"), fair=("cut",)), False,
     ["dial", "answered"], ["cut", "answered"]),
    (LeadsTo("", "", at("talking"), at("waiting"), fair=("cut", "busy")), True, [], []),
    (LeadsTo("", "", at("idle"), at("waiting"), fair=("dial", "busy", "hang_up")), True, [], []),
    (Eventually("", "", at("dialling")), True, [], []),
    (Eventually("", "", at("dialling", "waiting")), False, ["dial"], ["busy", "again"]),
    (Eventually("", "", at("dialling", "waiting"), fair="answered"), True, [], []),
    (Until("", "", at("dialling"), at("dialling", "waiting"), at("talking")), False,
     ["dial", "busy", "hang_up"], []),
    (Until("", "", at("dialling"), at("dialling", "waiting"), at("talking", "idle")), True, [], []),
    (Until("", "", at("talking"), at("talking"), at("idle")), False,
     ["dial", "answered", "cut"], []),
    (Until("", "", at("idle"), at("idle"), at("dialling")), True, [], []),
    # what is to hold until then holds at once
    (Until("", "", at("idle"), at("waiting"), at("dialling")), False, [], []),
])  # fmt: skip
def test_what_leads_to_what_and_is_kept_until_then(
    phone: Space, wanted: Property, held: bool, way: list[str], round: list[str]
) -> None:
    verdict = decide(phone, wanted)
    assert verdict.held is held
    assert (triggers(verdict.story), triggers(verdict.round)) == (way, round)


def test_a_lasso_is_told_as_a_way_and_then_a_round(phone: Space) -> None:
    verdict = decide(phone, LeadsTo("", "", at("dialling"), at("talking")))
    assert story(phone.model, verdict).splitlines()[3:5] == [
        "       ledger: asked call",
        "From here on this goes round for ever:",
    ]


def test_what_a_limit_has_left_out_is_open(phone: Space) -> None:
    cut = explore(PHONE, max_states=2)
    for wanted in (
        LeadsTo("", "", at("dialling"), at("talking")),
        Until("", "", at("talking"), at("talking"), at("idle")),
    ):
        assert decide(phone, wanted).held is False
        assert decide(cut, wanted).held is None


# --- what is asked of nothing ---------------------------------------------------------------------


def yes(*_: object) -> bool:
    return True


@pytest.mark.parametrize(("wanted", "asked"), [
    (Always("", "", yes), True),
    (Always("", "", yes, when=at("talking")), True),
    (Always("", "", yes, when=lambda v: v.phase == "idle" and v.asked("call")), False),
    (EachStep("", "", yes, on="cut"), True),
    (EachStep("", "", yes, when=lambda m: m.trigger == "cut" and m.after.phase == "idle"), False),
    (EachStep("", "", yes, on="cut", when=lambda m: m.after.phase == "dialling"), True),
    (EachEffect("", "", "stop", yes), True),
    (EachEffect("", "", "stop", yes, when=lambda v, m: m.trigger == "hang_up"), True),
    (EachEffect("", "", "stop", yes, when=lambda v, m: v.asked("call")), False),
    (Structure("", "", lambda chart, space: ()), True),
    (LeadsTo("", "", lambda v: v.phase == "idle" and v.asked("call"), at("idle")), False),
    (LeadsTo("", "", at("talking"), at("talking")), True),
    (Eventually("", "", lambda v: v.phase == "idle" and v.asked("call")), False),
    (Until("", "", lambda v: v.phase == "idle" and v.asked("call"), yes, yes), False),
    (CanReach("", "", lambda v: v.phase == "idle" and v.asked("call"), yes), False),
])  # fmt: skip
def test_each_kind_of_property_knows_whether_it_is_asked_of_anything(
    phone: Space, wanted: Property, asked: bool
) -> None:
    assert decide(phone, wanted).held
    assert never_asked(phone, wanted) is not asked


def test_what_is_asked_where_something_holds_is_asked_there_alone(phone: Space) -> None:
    assert not decide(phone, Always("", "", at("idle"))).held
    assert decide(phone, Always("", "", at("idle"), when=at("idle"))).held
    (verdict,) = [decide(phone, Always("", "", at("idle"), when=at("idle", "talking")))]
    assert triggers(verdict.story) == ["dial", "answered"]
    ends = EachStep("", "", lambda m: m.after.phase == "idle", "hang_up")
    assert decide(phone, ends).held
    kept = EachEffect("", "", "call", lambda v, m: False, when=lambda v, m: m.trigger == "again")
    assert triggers(decide(phone, kept).story) == ["dial", "busy", "again"]


# --- compared with a plain definition -------------------------------------------------------------

PLACES: Final = ("a", "b", "c")


def drawn(seed: int) -> Chart:
    """A small chart: two things that may come, a request and a timer."""
    rng = random.Random(seed)
    happens = ("push", "pull", "won", "lost", "due")
    asked = ((), (), "ask", "arm", ("ask", "arm"), "stop")
    begun = {("push", "a"): ("b", "ask"), ("pull", "a"): ("c", "arm"), ("pull", "b"): ("a", "stop")}
    return chart(
        PLACES,
        triggers=happens,
        external=("push", "pull"),
        effects={
            "ask": Ask(doc="", lane="ask", success="won", failure="lost", limit=""),
            "arm": Arm(doc="", timer="timer", expiry="due", delay=""),
            "stop": Disarm(doc="", timers="timer"),
        },
        transitions=[
            Transition(
                name=f"{trigger} in {place}",
                group="",
                trigger=trigger,
                sources=place,
                target=target,
                effects=effects,
            )
            for trigger in happens
            for place in PLACES
            if (trigger, place) in begun or rng.random() < 0.6
            for target, effects in [
                begun.get((trigger, place)) or (rng.choice(PLACES), rng.choice(asked))
            ]
        ],
    )


def is_fair(space: Space, states: frozenset[int], steps: list[Step], fair: tuple[str, ...]) -> bool:
    """Whether going through all of this for ever leaves nothing out that is bound to happen."""
    model = space.model
    for of, begins, bit in [
        *((name, "ask", bit) for name, bit in model.asked.items()),
        *((name, "arm", bit) for name, bit in model.running.items()),
    ]:
        ends = any(s.happening.of == of or begins in s.rows[0].effects for s in steps if s.rows)
        ends = ends or any(s.happening.of == of for s in steps)
        if all(state & bit for state in states) and not ends:
            return False
    can = {step.happening.trigger for step in space.steps if step.before in states}
    return can.intersection(fair) <= {step.happening.trigger for step in steps}


def connected(states: frozenset[int], steps: list[Step]) -> bool:
    """Whether each of these states leads to each of them."""
    first = min(states)

    def reached(forwards: bool) -> set[int]:
        found = {first}
        while (
            more := {
                step.after if forwards else step.before
                for step in steps
                if (step.before if forwards else step.after) in found
            }
            - found
        ):
            found |= more
        return found

    return bool(steps) and reached(True) == reached(False) == set(states)


def can_last(space: Space, wanted: LeadsTo) -> bool:
    """Whether the property fails, by its definition."""
    stays = {s for s in space.states if not wanted.to(View(space.model, s))}
    fair = wanted.fair
    steps = [
        s for s in space.steps if wanted.calls or s.happening.of or s.happening.trigger in fair
    ]
    reached = {s for s in stays if wanted.when(View(space.model, s))}
    while more := {s.after for s in steps if s.before in reached and s.after in stays} - reached:
        reached |= more
    bound = {s.before for s in steps if s.happening.of or s.happening.trigger in fair}
    return not reached <= bound or any(
        connected(some, inside) and is_fair(space, some, inside, fair)
        for some in subsets(reached)
        for inside in [[s for s in steps if s.before in some and s.after in some]]
    )


def subsets(of: set[int]) -> Iterator[frozenset[int]]:
    for size in range(1, len(of) + 1):
        yield from map(frozenset, combinations(sorted(of), size))


def goes_round_fairly(space: Space, verdict: Verdict, wanted: LeadsTo) -> bool:
    steps = list(verdict.round)
    goes_on = all(one.after == next.before for one, next in pairwise([*steps, steps[0]]))
    return goes_on and is_fair(space, frozenset(s.before for s in steps), steps, wanted.fair)


@pytest.mark.parametrize("seed", [*range(30), 351, 468, 519, 552])  # these need weak fairness
def test_what_lasts_is_what_lasts_by_the_definition(seed: int) -> None:
    space = explore(drawn(seed))
    assert len(space.states) <= 12
    rng = random.Random(seed)
    for _ in range(3):
        when, to = at(rng.choice(PLACES)), at(rng.choice(PLACES))
        fair = tuple(t for t in ("push", "won", "lost") if rng.random() < 0.3)
        fair = tuple(trigger for trigger in fair if trigger in space.model.chart.triggers)
        wanted = LeadsTo("", "", when, to, fair, calls=rng.random() < 0.5)
        verdict = decide(space, wanted)
        assert bool(verdict.held) is not can_last(space, wanted)
        if verdict.round:
            assert goes_round_fairly(space, verdict, wanted)
