"""The explorer: it takes the very steps that the machine takes, finds every state whatever the
order, and stops when it is told to.

What makes the space finite is not believed but compared: states under their users' own names with
states under canonical ones, two users with three and four, one order of trying with the opposite
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from typing import Any, Final, TypeAlias

import attrs
import pytest

from limits import seconds
from support_chat import CHART, Chart, ChartError, Transition
from support_chat.chart.machine import UNHANDLED, Compiled, Input, State as Snapshot
from support_chat.chart.model import (
    Arm,
    Ask,
    Carried,
    Derived,
    EffectSpec,
    Ignored,
    Join,
    Note,
    Present,
    Raise,
    Same,
    Settle,
    Stored,
)
from support_chat.verify import (
    Always,
    CanReach,
    EachStep,
    Eventually,
    Model,
    Property,
    Space,
    Step,
    Verdict,
    check,
    decide,
    decide_all,
    explore,
    occurrences,
)
from support_chat.verify.catalogue import CATALOGUE
from support_chat.verify.model import Happening
from support_chat.verify.ways import renamed

Seen: TypeAlias = "tuple[str, tuple[int, ...], int]"
"""A state without its packing: phase, canonical registers, facts and ledger."""
Edge: TypeAlias = "tuple[Seen, str, int, tuple[str, ...], Seen]"


@pytest.fixture(scope="module")
def space() -> Space:
    """The whole space of the shipped chart."""
    return explore(CHART)


def seen(model: Model, state: int) -> Seen:
    return (
        model.phase_of(state),
        renamed(model.registers_of(state)),
        state & ((1 << model.shift) - 1),
    )


def edges(space: Space) -> set[Edge]:
    as_seen = {state: seen(space.model, state) for state in space.states}
    return {
        (
            as_seen[s.before],
            s.happening.trigger,
            s.happening.carried,
            tuple([row.name for row in s.rows]),
            as_seen[s.after],
        )
        for s in space.steps
    }


# --- the steps are the machine's ------------------------------------------------------------------


class Life:
    """The machine that runs sessions, led along the steps of the model with users called by
    name.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.compiled = model, Compiled(model.chart)
        self.stored = self.compiled.mask(
            f for f, kind in model.chart.facts.items() if isinstance(kind, Stored)
        )
        derived = [
            f
            for f, k in model.chart.facts.items()
            if isinstance(k, Derived) and f != model.chart.late
        ]
        self.derived = self.compiled.mask(derived)
        self.any_context = [
            self.compiled.mask(f for f, yes in zip(derived, c, strict=True) if yes)
            for c in product((0, 1), repeat=len(derived))
        ]

    def snapshot(self, state: int) -> Snapshot:
        """The machine's state at this state of the model, user 1 named `1`."""
        who = tuple(str(n) if n else None for n in self.model.registers_of(state))
        return Snapshot(str(self.model.phase_of(state)), state & self.stored, who)

    def led(self, at: Snapshot, step: Step, named: str | None) -> Snapshot:
        """Where the machine gets by firing the step's rows one after the other, whatever the
        context says in between.
        """
        trigger, carried = step.happening.trigger, step.happening.carried
        came: tuple[int, str | None] = (carried, named)
        nothing: tuple[int, str | None] = (0, None)
        waiting: list[tuple[str, int, str | None]] = []
        for row in step.rows:
            while (after := self._fired(at, row, Input(trigger, carried, named))) is None:
                # an internal trigger that nothing wants is passed over, as a session passes it over
                assert self._fired(at, UNHANDLED, Input(trigger, carried, named)) is not None, (
                    "another row would have fired"
                )
                trigger, carried, named = waiting.pop(0)
            specs = [self.model.chart.effects[effect] for effect in row.effects]
            for spec in specs:
                if isinstance(spec, Raise):
                    brings, who = came if spec.carries else nothing
                    waiting.append((spec.trigger, brings, who))
            at = after
            trigger, carried, named = waiting.pop(0) if waiting else ("", *nothing)
        return at

    def _fired(self, at: Snapshot, row: Transition, happening: Input) -> Snapshot | None:
        for derived in self.any_context:
            after, fired = self.compiled.fire(
                at, attrs.evolve(happening, facts=happening.facts | derived)
            )
            if fired is row:
                return after
        return None


def relay() -> Chart:
    """A step raises two internal triggers; if nothing wants the first, the second leaves something
    to the context.
    """

    def row(name: str, trigger: str, **rest: Any) -> Transition:
        return Transition(name=name, group="relay", trigger=trigger, sources="on", **rest)

    return Chart(
        name="relay",
        initial="on",
        phases="on",
        triggers=("go", "hold", "first", "second"),
        external=("go", "hold"),
        facts={
            "held": Stored("the first is wanted"),
            "done": Stored("the second is not"),
            "noted": Derived("the context says so", frees="note"),
        },
        effects={
            "raise_first": Raise(doc="", trigger="first"),
            "raise_second": Raise(doc="", trigger="second"),
            "note": Note(doc=""),
        },
        transitions=(
            row("go", "go", effects=("raise_first", "raise_second")),
            row("hold", "hold", unless="held", sets="held", clears="done"),
            row("first", "first", when="held", clears="held", sets="done"),
            row("second", "second", unless=("noted", "done"), effects="note"),
        ),
    )


def musical_chairs() -> Chart:
    """Two seats for whoever comes: a chart whose registers really hold two different users at
    once.
    """
    seats = ("left", "right")

    def row(name: str, trigger: str, **rest: Any) -> Transition:
        return Transition(name=name, group="chairs", trigger=trigger, sources="room", **rest)

    rows = [
        *(
            row(
                f"{seat}.sit",
                f"sit_{seat}",
                unless=(f"{seat}_taken", "over"),
                assigns={seat: "who"},
            )
            for seat in seats
        ),
        *(
            row(f"{seat}.rise", f"rise_{seat}", when=f"{seat}_mine", assigns={seat: None})
            for seat in seats
        ),
        row("swap", "knock", when="left_mine", assigns={"left": "right", "right": "left"}),
        row("ring", "knock", when="somebody", unless=("left_mine", "right_mine"), sets="rung"),
        row("stop", "stop", when="rung", sets="over"),
    ]
    return Chart(
        name="chairs",
        initial="room",
        phases="room",
        triggers=tuple({trigger: None for each in rows for trigger in each.trigger}),
        external=tuple({trigger: None for each in rows for trigger in each.trigger}),
        facts={
            "rung": Stored("somebody who has no seat has knocked"),
            "over": Stored("nobody sits down any more"),
            "somebody": Present("whoever acts has a name", "who"),
            **{
                f"{seat}_mine": Same("it is whoever acts who sits there", "who", seat)
                for seat in seats
            },
            **{f"{seat}_taken": Present("somebody sits there", seat) for seat in seats},
        },
        registers=seats,
        named="who",
        transitions=rows,
    )


CHARTS = (CHART, musical_chairs(), relay())


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_in_every_state_whatever_can_happen_fires_the_row_that_the_machine_fires(
    chart: Chart,
) -> None:
    space = explore(chart)
    model = space.model
    life = Life(model)
    for state in space.states:
        for happening in model.happenings(state):
            named = str(happening.named) if happening.named else None
            derived = state & ~happening.spends & life.derived
            _, row = life.compiled.fire(
                life.snapshot(state), Input(happening.trigger, happening.carried | derived, named)
            )
            taken = {
                way.rows[0].name if way.rows else UNHANDLED.name
                for way in model.take(state, happening)
            } or {UNHANDLED.name}
            assert taken == {row.name}, happening


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_step_leads_where_the_machine_gets_by_firing_its_rows_one_after_the_other(
    chart: Chart,
) -> None:
    space = explore(chart)
    model = space.model
    life = Life(model)
    for step in space.steps:
        named = str(step.happening.named) if step.happening.named else None
        assert life.led(life.snapshot(step.before), step, named) == life.snapshot(step.raw)


def test_a_row_that_fires_alone_is_not_taken_twice_to_the_same_state(space: Space) -> None:
    """With an internal trigger it may be: what the context decided in between may be undone by the
    second row.
    """
    for number in range(len(space.states)):
        steps = [space.step(number, edge) for edge in space.edges(number)]
        alone = [(step.happening, step.rows, step.raw) for step in steps if len(step.rows) == 1]
        assert len(set(alone)) == len(alone)


def test_one_of_several_replies_may_be_the_last_one_or_not(space: Space) -> None:
    model = space.model
    bit = model.asked["use_link"]
    replies = [step for step in space.steps if step.happening.of == "use_link"]
    assert replies
    for state in {step.before for step in replies}:
        left = {step.after & bit for step in replies if step.before == state}
        assert left == {0, bit}


def test_what_has_ended_is_over_unless_the_same_step_begins_it_anew(space: Space) -> None:
    model = space.model
    specs = model.chart.effects
    for step in space.steps:
        of = step.happening.of
        spec = specs.get(of)
        if isinstance(spec, Ask) and spec.several:
            continue
        begun = {
            name
            for row in step.rows
            for effect in row.effects
            for name in (effect, getattr(specs[effect], "timer", ""))
        }
        bit = (
            model.asked.get(of)
            if isinstance(spec, Ask)
            else model.running.get(of)
            if of not in model.chart.events.values()
            else None
        )
        assert not (bit and of not in begun and step.after & bit), step


# --- nothing is lost ------------------------------------------------------------------------------


def unreduced(model: Model) -> tuple[set[Seen], set[Edge]]:
    """Everything reachable with each of the model's users under his own name; what is seen is
    renamed only afterwards.
    """
    reached, todo = {model.initial}, [model.initial]
    found: set[Edge] = set()
    as_seen = cache(partial(seen, model))
    while todo:
        state = todo.pop()
        for happening in model.happenings(state):
            for one in called_by_everybody(model, state, happening):
                for taken in model.take(state, one):
                    rows = tuple([row.name for row in taken.rows])
                    found.add((as_seen(state), one.trigger, one.carried, rows, as_seen(taken.raw)))
                    if taken.raw not in reached:
                        reached.add(taken.raw)
                        todo.append(taken.raw)
    return {as_seen(state) for state in reached}, found


def called_by_everybody(model: Model, state: int, happening: Happening) -> Iterator[Happening]:
    """A happening that names a stranger, named by each stranger there is."""
    held = {0, *model.registers_of(state)}
    strangers = [who for who in range(model.users + 1) if who not in held]
    yield from (
        [attrs.evolve(happening, named=who) for who in strangers]
        if happening.named in strangers
        else [happening]
    )


@pytest.mark.parametrize(
    ("chart", "users"),
    [(CHART, 2), (musical_chairs(), 3), (musical_chairs(), 4)],
    ids=["shipped", "chairs", "more"],
)
def test_renaming_users_loses_no_state_and_no_step(chart: Chart, users: int) -> None:
    reduced = explore(chart, users=users)
    states, steps = unreduced(Model(chart, users))
    assert {seen(reduced.model, state) for state in reduced.states} == states
    assert len(reduced.states) == len(states), "two states differ by the names of users only"
    assert edges(reduced) == steps


@pytest.mark.parametrize("chart", [CHART, musical_chairs()], ids=lambda chart: chart.name)
def test_one_user_more_than_the_registers_hold_is_enough_and_another_one_changes_nothing(
    chart: Chart,
) -> None:
    enough, more = explore(chart), explore(chart, users=len(chart.registers) + 2)
    assert enough.model.users == len(chart.registers) + 1
    assert {seen(enough.model, state) for state in enough.states} == {
        seen(more.model, state) for state in more.states
    }
    assert edges(enough) == edges(more)


def test_the_shipped_chart_is_the_same_for_two_users_as_for_three(space: Space) -> None:
    two = explore(CHART, users=2)
    assert space.model.users == 3
    assert {seen(two.model, state) for state in two.states} == {
        seen(space.model, state) for state in space.states
    }
    assert edges(two) == edges(space)


def test_too_few_users_do_lose_something() -> None:
    assert len(edges(explore(musical_chairs(), users=2))) < len(
        edges(explore(musical_chairs(), users=3))
    )
    assert len(explore(CHART, users=0).states) < len(explore(CHART, users=1).states)


def test_a_call_that_an_internal_trigger_carries_on_may_be_anybodys() -> None:
    """The row that the call itself fires asks neither who it is nor what it brings."""

    def row(name: str, trigger: str, **rest: Any) -> Transition:
        return Transition(name=name, group="door", trigger=trigger, sources="room", **rest)

    chart = Chart(
        name="door",
        initial="room",
        phases="room",
        triggers=("knock", "enter"),
        external=("knock",),
        facts={
            "invited": Carried("there is an invitation"),
            "known": Present("whoever knocks has a name", "who"),
        },
        registers=("guest",),
        named="who",
        effects={"enter": Raise(doc="", trigger="enter", carries=True)},
        transitions=(
            row("knock", "knock", effects="enter"),
            row("come_in", "enter", when=("invited", "known"), assigns={"guest": "who"}),
        ),
    )
    space = explore(chart)
    assert {space.model.registers_of(state) for state in space.states} == {(0,), (1,)}


def test_what_a_trigger_carries_comes_along_whether_a_row_reads_it_or_not() -> None:
    def door(carries: dict[str, Any] | None) -> Chart:
        return Chart(
            name="door",
            initial="room",
            phases=("room", "hall"),
            triggers=("knock", "leave"),
            external=("knock", "leave"),
            facts={"invited": Carried("there is an invitation")},
            registers=("guest",),
            named="who",
            carries=carries,
            transitions=(
                Transition(name="in", group="door", trigger="knock", sources="hall", target="room",
                           when="invited"),
                Transition(name="again", group="door", trigger="knock", sources="room"),
                Transition(name="out", group="door", trigger="leave", sources="room",
                           target="hall"),
            ),
            ignored=(Ignored(triggers="leave", phases="hall", because="nobody is in"),),
        )  # fmt: skip

    def came(chart: Chart) -> set[tuple[str, str, bool, int]]:
        space = explore(chart)
        return {
            (
                space.model.phase_of(step.before),
                step.happening.trigger,
                bool(step.happening.carried),
                step.happening.named,
            )
            for step in space.steps
        }

    read = {("room", "knock", False, 0), ("room", "leave", False, 0)}
    in_the_hall = {("hall", "knock", False, 0), ("hall", "knock", True, 0)}
    assert came(door(None)) == read | in_the_hall
    assert came(door({"knock": ("invited", "who")})) == {
        ("room", "leave", False, 0),
        *product(("room", "hall"), ("knock",), (False, True), (0, 1)),
    }


CONTEXT_DECIDES: Final[dict[tuple[str, ...], set[tuple[int, int]]]] = {
    ("sets",): {(0, 1), (1, 1)},
    ("clears",): {(0, 0), (1, 0)},
    ("raises",): {(0, 0), (0, 1), (1, 1)},
    ("lowers",): {(0, 0), (1, 0), (1, 1)},
    ("frees",): {(0, 0), (0, 1), (1, 0), (1, 1)},
    ("sets", "lowers"): {(0, 0), (0, 1), (1, 0), (1, 1)},
    ("raises", "lowers"): {(0, 0), (0, 1), (1, 0), (1, 1)},
    ("clears", "lowers"): {(0, 0), (1, 0)},
    ("lowers", "raises"): {(0, 0), (0, 1), (1, 0), (1, 1)},
    ("lowers", "sets"): {(0, 1), (1, 1)},
    ("lowers", "clears"): {(0, 0), (1, 0)},
    ("frees", "lowers"): {(0, 0), (0, 1), (1, 0), (1, 1)},
}
"""Whether a derived fact holds before and after a row with effects of these kinds, in order."""


@pytest.mark.parametrize("kinds", CONTEXT_DECIDES, ids=" then ".join)
def test_what_the_context_decides_is_as_free_as_its_fact_declares(kinds: tuple[str, ...]) -> None:
    effects = {f"{kind}_it": Note(doc="") for kind in kinds}
    declared: dict[str, Any] = {kind: f"{kind}_it" for kind in kinds}
    chart = Chart(
        name="context",
        initial="on",
        phases="on",
        triggers=("go", "look"),
        external=("go", "look"),
        facts={"noted": Derived("the context says so", **declared)},
        effects=effects,
        transitions=(
            Transition(name="go", group="it", trigger="go", sources="on", effects=tuple(effects)),
            Transition(name="look", group="it", trigger="look", sources="on", when="noted"),
        ),
    )
    model = Model(chart)
    noted = model.fact["noted"]
    for holds in (0, 1):
        before = model.initial | (noted if holds else 0)
        (go,) = (each for each in model.happenings(before) if each.trigger == "go")
        after = {(holds, int(bool(step.after & noted))) for step in model.take(before, go)}
        assert after == {pair for pair in CONTEXT_DECIDES[kinds] if pair[0] == holds}


# --- whatever the order ---------------------------------------------------------------------------


def without_a_retry() -> Chart:
    """The shipped chart, but for a lost link that nobody tries to open again."""
    rows = {row.name: row for row in CHART.transitions}
    lost = rows["link.lost"]
    rows["link.lost"] = attrs.evolve(
        lost, effects=tuple(e for e in lost.effects if e not in ("arm_retry", "arm_give_up"))
    )
    return attrs.evolve(CHART, transitions=tuple(rows.values()))


@pytest.mark.parametrize("chart", [CHART, without_a_retry()], ids=["sound", "faulty"])
def test_states_steps_depth_and_verdicts_do_not_depend_on_the_order_of_trying(chart: Chart) -> None:
    one, other = explore(chart), explore(chart, backwards=True)
    assert one.states != other.states, "the order was the same"
    assert set(one.states) == set(other.states)
    assert edges(one) == edges(other)
    assert len(one.ways) == len(other.ways)
    assert one.depth == other.depth
    for this, that in zip(decide_all(one, CATALOGUE), decide_all(other, CATALOGUE), strict=True):
        assert (this.held, len(this.story)) == (that.held, len(that.story)), this.property.id


def test_the_way_to_a_state_is_a_way_and_a_shortest_one(space: Space) -> None:
    away = {space.model.initial: 0}
    for step in space.steps:
        away.setdefault(step.after, away[step.before] + 1)
    for number, state in enumerate(space.states):
        way = space.way_to(number)
        assert len(way) == away[state]
        assert [step.before for step in way] + [state] == [
            space.model.initial,
            *(step.after for step in way),
        ]
    assert space.depth == max(away.values())


# --- limits ---------------------------------------------------------------------------------------


def binary_counter(bits: int) -> Chart:
    """A chart with 2**bits states: each tick adds one."""
    names = [f"bit{i}" for i in range(bits)]
    rows = [
        Transition(
            name=f"carry.{i}", group="counting", trigger="tick", sources="on",
            when=names[:i], unless=names[i], sets=names[i], clears=names[:i],
        )
        for i in range(bits)
    ]  # fmt: skip
    full = Transition(
        name="full", group="counting", trigger="tick", sources="on", when=names, target="off"
    )
    return Chart(
        name="counter",
        initial="on",
        phases=("on", "off"),
        triggers="tick",
        external="tick",
        facts={name: Stored("a digit") for name in names},
        transitions=(*rows, full),
        ignored=(Ignored(triggers="tick", phases="off", because="it is full"),),
    )


def never(_: Any) -> bool:
    return False


LIMITS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("states", {"max_states": 1000}),
    ("seconds", {"time_limit": 0.0}),
)


@pytest.mark.parametrize("limit", [limit for _, limit in LIMITS], ids=[name for name, _ in LIMITS])
def test_a_limit_that_is_hit_leaves_everything_open_that_has_not_failed(
    limit: dict[str, Any],
) -> None:
    report = check(
        binary_counter(12),
        [
            Always("held so far", "", lambda view: view.phase in ("on", "off")),
            Always("failed", "", never),
            EachStep("step", "", lambda move: True),
            Eventually("ends", "", never),
            CanReach("reach", "", lambda view: True, lambda view: view.phase == "off", calls=True),
        ],
        **limit,
    )
    assert not report.space.complete
    assert len(report.space.states) <= 1001
    assert [verdict.held for verdict in report.verdicts] == [None, False, None, None, None]
    assert report.held is False


def test_a_limit_that_is_not_exceeded_changes_nothing() -> None:
    whole = explore(binary_counter(6))
    assert (len(whole.states), whole.complete) == (65, True)
    assert explore(binary_counter(6), max_states=65).complete
    assert not explore(binary_counter(6), max_states=64).complete


def test_a_huge_chart_is_left_at_its_limit_with_a_way_to_every_state_that_was_found() -> None:
    space = explore(binary_counter(40), max_states=100_000)
    assert not space.complete
    assert len(space.states) == 100_001
    assert len(space.way_to(100_000)) == 100_000
    assert space.edges(100_000) == range(0)


def test_progress_is_told_now_and_then() -> None:
    told: list[tuple[int, int]] = []
    explore(binary_counter(13), progress=lambda states, steps: told.append((states, steps)))
    assert 2 < len(told) < 20
    assert told == sorted(told)


def test_the_whole_catalogue_is_decided_within_the_limit_of_a_test() -> None:
    report = check(CHART, CATALOGUE, time_limit=seconds())
    assert report.space.complete
    assert report.held


# --- faulty charts --------------------------------------------------------------------------------


def alarm(**effects: Any) -> Chart:
    """A clock that rings: `ring` begins, what `effects` say goes on, `hush` is what the snoozing
    timer does.
    """
    rows = {
        "ring": Transition(
            name="ring",
            group="alarm",
            trigger="ring",
            sources="quiet",
            target="loud",
            effects=effects["ring"],
        ),
        "again": Transition(
            name="again", group="alarm", trigger="due", sources="loud", effects=effects["due"]
        ),
        "fetched": Transition(
            name="fetched",
            group="alarm",
            trigger="fetched",
            sources="loud",
            target="quiet",
            effects="settle",
        ),
    }
    specs: dict[str, EffectSpec] = {
        "snooze": Arm(doc="", timer="snooze", expiry="due", delay=""),
        "fetch": Ask(doc="", lane="fetch", success="fetched", failure="fetched", limit=""),
        "settle": Settle(doc="", slot="call"),
        "join": Join(doc="", slot="call"),
        "repeat": Raise(doc="", trigger="due"),
    }
    used = {effect for row in rows.values() for effect in row.effects}
    made = {"ring", "due", "fetched"} if "fetch" in used else {"ring", "due"}
    return Chart(
        name="alarm",
        initial="quiet",
        phases=("quiet", "loud"),
        triggers=tuple(made),
        external="ring",
        effects={name: spec for name, spec in specs.items() if name in used},
        transitions=tuple(row for row in rows.values() if row.trigger[0] in made),
        ignored=(
            Ignored(triggers="ring", phases="loud", because="it rings"),
            Ignored(triggers=tuple(made - {"ring"}), phases="quiet", because="nothing is due"),
        ),
    )


WAITING = Eventually("W", "whoever rings is answered", lambda view: view.waiting("call"))


@pytest.mark.parametrize(
    ("case", "ring", "due", "held", "round"),
    [
        (
            "the answer is outstanding, and comes at last although a timer goes round",
            ("join", "fetch", "snooze"),
            ("snooze",),
            True,
            (),
        ),
        (
            "nothing is outstanding: the timer goes round for ever",
            ("join", "snooze"),
            ("settle", "join", "snooze"),
            False,
            ("due",),
        ),
        (
            "each round asks anew, so that the answer may never come",
            ("join", "fetch", "snooze"),
            ("fetch", "snooze"),
            False,
            ("due",),
        ),
        (
            "the timer is the last thing that happens",
            ("settle", "join", "snooze"),
            ("join",),
            False,
            (),
        ),
        ("the timer settles it, and fires at last", ("join", "snooze"), ("settle",), True, ()),
    ],
)
def test_what_lasts_and_what_ends(
    case: str, ring: tuple[str, ...], due: tuple[str, ...], held: bool, round: tuple[str, ...]
) -> None:
    chart = alarm(ring=ring, due=due)
    verdict = decide(explore(chart), WAITING)
    assert verdict.held is held, case
    assert tuple(step.happening.trigger for step in verdict.round) == round
    if verdict.round:
        assert verdict.round[0].before == verdict.story[-1].after == verdict.round[-1].after


def test_internal_triggers_that_never_come_to_rest_are_a_fault_of_the_chart() -> None:
    chart = alarm(ring=("repeat", "join"), due=("repeat", "settle"))
    with pytest.raises(ChartError, match=r"(?s)On ring .*never come to rest.*again"):
        explore(chart)


def test_a_negative_number_of_users_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        explore(CHART, users=-1)


def test_a_property_that_raises_fails_and_says_where() -> None:
    def raising(view: Any) -> bool:
        if view.phase == "off":
            raise KeyError("colour")
        return True

    properties: list[Property] = [
        Always("state", "", raising),
        EachStep("step", "", lambda move: raising(move.after)),
        Eventually("wait", "", raising),
        CanReach("reach", "", raising, raising),
    ]
    for verdict in check(binary_counter(2), properties).verdicts:
        assert verdict.held is False
        assert verdict.detail == "the property raised KeyError: 'colour'", verdict.property.id
    assert len(decide(explore(binary_counter(2)), properties[0]).story) == 4


# --- users by name --------------------------------------------------------------------------------


@pytest.mark.parametrize("chart", [CHART, musical_chairs()], ids=lambda chart: chart.name)
def test_users_keep_their_names_along_every_way(chart: Chart) -> None:
    """Played with the names of the story, the running machine has the story's users in its
    registers after each step.
    """
    space = explore(chart)
    model = space.model
    life = Life(model)
    met: set[str] = set()
    for edge in range(0, len(space.ways), max(1, len(space.ways) // 1000)):
        owner = space.owner(edge)
        verdict = Verdict(
            Always("", "", never), False, (*space.way_to(owner), space.step(owner, edge))
        )
        at = life.compiled.initial
        for step, one in zip(verdict.story, occurrences(model, verdict), strict=True):
            at = life.led(at, step, one.user)
            assert dict(zip(map(str, chart.registers), at.registers, strict=True)) == one.registers
            assert (at.phase, one.trigger) == (one.phase, step.happening.trigger)
            met |= {name for name in (*at.registers, one.user) if name}
    assert met == set("AB" if chart is CHART else "ABC")
