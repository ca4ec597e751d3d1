"""Compositions of small charts: their states are counted by hand, and their stories go step by step
on each component.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from composed_charts import GUEST, key, notes
from support_chat import Chart, InvalidInputError
from support_chat.chart.machine import Compiled, Input
from support_chat.verify import (
    Act,
    Component,
    Composition,
    Invariant,
    Judgement,
    Occurrence,
    Place,
    PlaceMove,
    Possible,
    Product,
    Rule,
    StepInvariant,
    View,
    check_whole,
    each_story,
    whole_story,
)
from support_chat.verify.composition import parts
from support_chat.verify.composition.expanding import wandered
from support_chat.verify.composition.minimise import Minimal, System
from support_chat.verify.composition.model import Seen
from support_chat.verify.composition.world import World


def held(product: Product) -> dict[str, bool | None]:
    return {each.property.id: each.held for each in product.judgements}


def judged(product: Product, id: str) -> Judgement:
    return next(each for each in product.judgements if each.property.id == id)


def triggers(judgement: Judgement) -> list[str]:
    return [
        entry.move or f"{entry.copy + 1} {' '.join(str(s.happening.trigger) for s in entry.steps)}"
        for entry in judgement.story
    ]


# --- states counted by hand -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "symmetric", "states", "steps"),
    [
        (1, True, 3, 3),
        # out or waiting, each; or one inside, and the other out or waiting
        (2, False, 4 + 2 * 2, 14),
        (2, True, 3 + 2, 9),
        (3, False, 8 + 3 * 4, 48),
        (3, True, 4 + 3, 18),
    ],
)
def test_states_of_workers_with_one_key(
    workers: int, symmetric: bool, states: int, steps: int
) -> None:
    product = check_whole(key(workers), symmetric=symmetric)
    assert (product.states, product.steps, product.complete) == (states, steps, True)
    assert held(product) == {"K1": True, "K2": True, "K3": True}


@pytest.mark.parametrize(
    ("writers", "late", "symmetric", "states"),
    [
        # each is idle, writes, or has a note on its way, in either; the board is empty or not
        (1, True, True, 7),
        (2, True, False, 9 + 16),
        (2, True, True, 6 + 10),
        (3, True, True, 10 + 20),
        # nobody gives up: nothing is on its way for who is idle
        (1, False, True, 5),
        (2, False, False, 4 + 9),
        (2, False, True, 3 + 6),
        (3, False, True, 4 + 10),
    ],
)
def test_states_of_writers_whose_notes_get_new_names_for_ever(
    writers: int, late: bool, symmetric: bool, states: int
) -> None:
    assert check_whole(notes(writers, late=late), symmetric=symmetric).states == states


def test_a_component_has_as_few_states_as_are_seen() -> None:
    (part,) = check_whole(key(2)).parts
    assert (len(part.numbers), len(part.blocks.member)) == (6, 3)


def test_what_is_left_out_never_happens() -> None:
    worker = attrs.evolve(key(2).components[0], without="leave")
    product = check_whole(attrs.evolve(key(2), components=(worker,)))
    assert product.states == 5
    assert held(product)["K3"], "who is inside stays"
    worker = attrs.evolve(worker, without=("leave", "ask"))
    assert check_whole(attrs.evolve(key(2), components=(worker,))).states == 1


def test_what_is_not_as_it_is_said_to_be_never_happens() -> None:
    def never_waits(seen: Seen) -> bool:
        return bool(seen.phase != "waiting")

    worker = attrs.evolve(key(2).components[0], where=never_waits)
    assert check_whole(attrs.evolve(key(2), components=(worker,))).states == 1


def test_components_of_several_kinds_share_places() -> None:
    boss = attrs.evolve(key(1).components[0], name="boss")
    workers = key(2)
    whole = attrs.evolve(
        workers,
        components=(*workers.components, boss),
        rules=(*workers.rules, *(attrs.evolve(rule, of="boss") for rule in workers.rules)),
    )
    # nobody inside: 3 pairs of workers x 2; a worker: 2 x 2; the boss: 3
    assert check_whole(whole).states == 6 + 4 + 3


# --- each kind of property can fail ---------------------------------------------------------------


def test_an_invariant_fails_on_a_shortest_way() -> None:
    found = judged(check_whole(key(2, guarded=False)), "K1")
    assert found.held is False
    assert triggers(found) == ["1 want", "2 want", "1 got", "2 got"]


def test_an_invariant_of_steps_fails_on_the_step_that_breaks_it() -> None:
    found = judged(check_whole(key(2, guarded=False)), "K2")
    assert found.held is False
    assert triggers(found)[-2:] == ["1 leave", "2 leave"]


def test_an_invariant_of_steps_is_asked_of_what_places_do_by_themselves() -> None:
    found = judged(check_whole(notes(1, late=False)), "N2")
    assert triggers(found)[-1] == "the note arrives"
    assert triggers(found).count("the note arrives") == 2


def test_what_is_possible_no_more_is_told_from_the_first_state_that_is_stuck() -> None:
    found = judged(check_whole(key(2, given_back=False)), "K3")
    assert (found.held, found.detail) == (False, "from here on there is no way")
    assert triggers(found) == ["1 want", "1 got", "1 leave"]
    assert judged(check_whole(notes(1)), "N4").held is False


def test_a_property_that_raises_fails_and_says_so() -> None:
    raising = (
        Invariant("R1", "Raises.", lambda whole: 1 / 0 > 0),
        StepInvariant("R2", "Raises.", lambda taken: 1 / 0 > 0),
        Possible("R3", "Raises.", lambda whole: 1 / 0 > 0),
    )
    product = check_whole(attrs.evolve(key(1), properties=raising))
    assert held(product) == {"R1": False, "R2": False, "R3": False}
    assert {each.detail for each in product.judgements} == {
        "the property raised ZeroDivisionError: division by zero"
    }


@pytest.mark.parametrize("limit", [{"max_states": 2}, {"time_limit": 0.0}])
def test_a_limit_leaves_open_what_has_not_failed(limit: dict[str, Any]) -> None:
    product = check_whole(key(3), **limit)
    assert not product.complete
    assert product.held is None
    assert set(held(product).values()) == {None}


def test_what_has_failed_altogether_is_explored_no_further() -> None:
    whole = key(3, guarded=False)
    first = attrs.evolve(whole, properties=whole.properties[:1])
    assert check_whole(first).states < check_whole(whole).states
    assert not check_whole(first).complete
    assert check_whole(first).held is False


# --- stories --------------------------------------------------------------------------------------


def plays(chart: Chart, story: Sequence[Occurrence]) -> None:
    """Plays a story of one component on the machine that runs its chart."""
    compiled = Compiled(chart)
    state = compiled.initial
    for one in story:
        state, _ = compiled.step(state, Input(one.trigger, compiled.mask(one.carried), one.user))
        assert (state.phase, *state.registers) == (one.phase, *one.registers.values())


@pytest.mark.parametrize(
    "whole",
    [
        key(3, guarded=False),
        key(3, given_back=False),
        notes(3),
    ],
)
def test_every_story_goes_step_by_step_on_each_component(whole: Composition) -> None:
    product = check_whole(whole)
    failed = [each for each in product.judgements if each.held is False]
    assert failed
    for judgement in failed:
        stories = each_story(product, judgement)
        assert sum(map(len, stories.values())) == sum(len(e.steps) for e in judgement.story)
        for (name, _), story in stories.items():
            plays(whole.component(name).chart, story)


def test_hidden_steps_that_lead_there_are_told() -> None:
    worker = attrs.evolve(key(1).components[0], sees={})
    never = StepInvariant("H1", "Nobody leaves.", lambda t: "free" not in t.act.effects)
    whole = attrs.evolve(key(1), components=(worker,), rules=key(1).rules[1:], properties=(never,))
    product = check_whole(whole)
    assert len(product.parts[0].blocks.member) == 1
    (found,) = product.judgements
    assert triggers(found) == ["1 want got leave"]
    plays(worker.chart, each_story(product, found)["worker", 0])


def test_a_story_is_told_in_numbered_steps_with_what_became_of_the_places() -> None:
    product = check_whole(notes(2))
    assert whole_story(product, judged(product, "N2")) == (
        "At first: stored = None, sent = (None, None).\n"
        "  1. writer 1: write()\n"
        "       -> writing, [write]\n"
        "       places: sent = (1, None)\n"
        "  2. writer 2: write()\n"
        "       -> writing, [write]\n"
        "       places: sent = (1, 2)\n"
        "  3. the note arrives\n"
        "       places: stored = 1, sent = (None, 2)\n"
        "  4. the note arrives\n"
        "       places: stored = 2, sent = (None, None)\n"
    )
    assert whole_story(product, judged(product, "N3")) == ""


# --- nothing is lost by what makes it small -------------------------------------------------------


def not_minimised(system: System) -> Minimal:
    count = list(range(len(system.moves)))
    return Minimal(count, count, System(system.seen, [sorted(set(m)) for m in system.moves]))


@pytest.mark.parametrize(
    "whole",
    [key(2), key(2, guarded=False), key(2, given_back=False), notes(2), notes(2, late=False)],
)
def test_neither_minimising_nor_symmetry_changes_a_verdict_or_what_is_seen(
    whole: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(symmetric: bool) -> tuple[set[Any], dict[str, bool | None]]:
        found: set[Any] = set()

        def note(state: Any) -> bool:
            found.add(state)
            return True

        watched = attrs.evolve(
            whole, properties=(*whole.properties, Invariant("W", "Is watched.", note))
        )
        return found, held(check_whole(watched, symmetric=symmetric))

    small = seen(True)
    assert seen(False) == small
    monkeypatch.setattr(parts, "minimise", not_minimised)
    assert seen(False) == small
    assert seen(True) == small


def test_a_property_that_singles_out_a_copy_is_refused() -> None:
    first = Invariant("F1", "The first is out.", lambda w: w.worker[0].phase == "out")
    with pytest.raises(InvalidInputError, match="F1 is not the same if copies are exchanged"):
        check_whole(attrs.evolve(key(2), properties=(first,)))
    assert check_whole(attrs.evolve(key(2), properties=(first,)), symmetric=False).held is False
    first_in = Possible("F2", "The first gets in.", lambda w: w.worker[0].phase == "inside")
    with pytest.raises(InvalidInputError, match="ask it of any copy"):
        check_whole(attrs.evolve(key(2), properties=(first_in,)))


# --- what the places see of a step ----------------------------------------------------------------


def door() -> Composition:
    def welcome(places: Any, me: int, act: Act) -> list[Any]:
        return [places.put(last=act.facts)] if act.may("vip", places.known) else []

    def come(places: Any, me: int, act: Act) -> list[Any]:
        return [places.put(known=user == 1) for user in (1, 2) if act.may_name(user)]

    return Composition(
        name="door",
        components=(
            Component(
                name="guest",
                chart=GUEST,
                users=2,
                sees={"phase": lambda v: v.phase, "who": lambda v: v.who("who")},
            ),
        ),
        places=(
            Place(name="known", doc="whether the one who asks is known", initial=False),
            Place(name="last", doc="how the last was welcomed"),
        ),
        rules=(
            Rule(of="guest", on="come", changes="known", does=come),
            Rule(of="guest", on="welcome", changes="last", does=welcome),
        ),
        properties=(
            Invariant(
                "D1",
                "The first user is known, and the second is not.",
                lambda w: w.guest[0].who == 0 or w.places.known == (w.guest[0].who == 1),
            ),
            StepInvariant(
                "D2",
                "Who is known is welcomed so.",
                lambda t: t.act.trigger != "welcome" or t.after.last == (("vip", t.before.known),),
            ),
            Invariant("D3", "The second user never comes.", lambda w: w.guest[0].who != 2),
        ),
    )


def test_a_rule_knows_whom_a_trigger_names_and_which_facts_come_along() -> None:
    product = check_whole(door())
    assert held(product) == {"D1": True, "D2": True, "D3": False}
    (come,) = each_story(product, judged(product, "D3"))["guest", 0]
    assert (come.trigger, come.user, come.registers) == ("come", "B", {"who": "B"})


def test_what_no_row_asks_may_be_so_or_not() -> None:
    act = Act("come", None, (("vip", True),), (), None, None)
    assert act.may("vip")
    assert not act.may("vip", False)
    assert act.may("late")
    assert act.may("late", False)
    assert act.may_name(0)
    assert not attrs.evolve(act, user=1).may_name(0)
    assert attrs.evolve(act, user=1).may_name(1)


# --- what is wrong with a composition -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (
            {"places": (*key(1).places, Place(name="worker", doc=""))},
            "worker is there twice",
        ),
        (
            {"places": (Place(name="taken", doc="", each="boss"),)},
            "the place taken is there for each boss, which is no component",
        ),
        (
            {"moves": (PlaceMove(name="m", changes="keys", does=lambda p, me: [p]),)},
            "the move 'm' changes keys, which is no place",
        ),
        (
            {"rules": (Rule(of="boss", on="got", does=lambda p, me, act: [p]),)},
            "the rule on got is of boss, which is no component",
        ),
        (
            {"rules": (Rule(of="worker", on="gto", does=lambda p, me, act: [p]),)},
            "a rule is on gto, which worker has not",
        ),
        (
            {"rules": (*key(1).rules, *key(1).rules)},
            "two rules are on got of worker; two rules are on free of worker",
        ),
        (
            {"components": (attrs.evolve(key(1).components[0], without="gto"),)},
            "worker is without gto, which it has not",
        ),
        (
            {"components": (attrs.evolve(key(1).components[0], copies=0),)},
            "of worker there are 0 copies",
        ),
    ],
)
def test_a_composition_names_what_is_not_there(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        attrs.evolve(key(1), **change)
    assert raised.value.message == f"The composition key is faulty: {wrong}."


def test_a_rule_changes_what_it_says_and_no_more() -> None:
    rules = tuple(attrs.evolve(rule, changes=()) for rule in key(1).rules)
    with pytest.raises(InvalidInputError, match="worker on got changes taken without saying so"):
        check_whole(attrs.evolve(key(1), rules=rules))
    silent = PlaceMove(name="drifts", changes=(), does=lambda p, me: [p.put(taken=True)])
    with pytest.raises(InvalidInputError, match="'drifts' changes taken"):
        check_whole(attrs.evolve(key(1), moves=(silent,)))


def test_a_trigger_that_cannot_be_has_no_effects() -> None:
    """`free` is an effect of the row, but its rule is not asked when the trigger's has no way."""
    never = Rule(of="worker", on="leave", does=lambda p, me, act: [])
    product = check_whole(attrs.evolve(key(2), rules=(*key(2).rules, never)))
    assert (product.states, held(product)["K3"]) == (5, True)


def test_a_story_says_for_whom_places_move() -> None:
    """Only the second of two that turn is wrong, whoever it is."""
    turns = PlaceMove(
        name="turns",
        each="worker",
        changes="turned",
        does=lambda p, me: [] if p.turned[me] else [p.put(me, turned=True)],
    )
    first = StepInvariant(
        "K4",
        "One turns.",
        lambda t: t.act.trigger != "turns" or t.before.turned[t.copy] or not any(t.before.turned),
    )
    turned = Place(name="turned", doc="who has turned", initial=False, each="worker")
    product = check_whole(
        attrs.evolve(key(2), places=(*key(2).places, turned), moves=(turns,), properties=(first,))
    )
    story = judged(product, "K4").story
    assert [(entry.move, entry.copy) for entry in story] == [("turns", 0), ("turns", 1)]


def test_chance_goes_where_a_composition_can_go() -> None:
    world = World(key(2), symmetric=False)
    ways = [tuple(wandered(world, random.Random(seed), 9)) for seed in range(20)]
    assert ways == [tuple(wandered(world, random.Random(seed), 9)) for seed in range(20)]
    reached = {(each.places, each.component and each.steps[-1]) for way in ways for each in way}
    assert {len(way) for way in ways} == {9}
    assert {places.taken for places, _ in reached} == {True, False}
    never = attrs.evolve(
        key(1), components=(attrs.evolve(key(1).components[0], without=("want", "fidget")),)
    )
    assert list(wandered(World(never, symmetric=False), random.Random(0), 9)) == []


def test_an_effect_cannot_be_refused() -> None:
    rules = (Rule(of="worker", on="ask", does=lambda p, me, act: []),)
    with pytest.raises(InvalidInputError, match="worker on ask has no way"):
        check_whole(attrs.evolve(key(1), rules=rules))


def test_what_is_seen_must_be_there() -> None:
    def tired(view: View) -> bool:
        return view.has("tired")

    worker = attrs.evolve(key(1).components[0], sees={"tired": tired})
    with pytest.raises(InvalidInputError, match="seen of worker is misspelt: there is no fact"):
        check_whole(attrs.evolve(key(1), components=(worker,), properties=()))
