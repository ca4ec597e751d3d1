"""What is wrong with a chart is said when it is built: tiny charts with one fault each, and the
shipped chart with one row spoilt.

`chart()` below makes a chart without a fault: a door that opens and closes, a lock that somebody
owns. Every row of the table changes one thing and names the one sentence that is expected of it, so
that a check cannot be lost, nor cry wolf.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any, Final

import attrs
import pytest

from support_chat import CHART, Chart, ChartError
from support_chat.chart.model import (
    Arm,
    Ask,
    Carried,
    Composite,
    Disarm,
    Fail,
    Ignored,
    Note,
    Present,
    Raise,
    Same,
    Stored,
    Transition,
)
from support_chat.errors import NotBootedError
from support_chat.lifecycle.names import Phase
from support_chat.lifecycle.refusals import NOT_BOOTED


def row(
    name: str, trigger: str | tuple[str, ...], sources: str | tuple[str, ...], **rest: Any
) -> Transition:
    return Transition(name=name, group="door", trigger=trigger, sources=sources, **rest)


OPEN = row("open", "open", "closed", target="opened", unless="locked", effects=("push", "ring"))
LOCKED_OUT = row("open.locked", "open", "closed", when="locked", effects="ring")
OPENED = row("opened", "pushed", "opened", when="gently")
SLAMMED = row("slammed", "pushed", "opened", unless="gently", effects="hush")
CLOSE = row(
    "close",
    ("close", "time_over"),
    "opened",
    target="closed",
    clears="locked",
    effects=("wait", "settle"),
)
LOCK = row("lock", "lock", "closed", when="mine", sets="locked", assigns={"owner": "who"})
LOCK_REFUSED = row("lock.refused", "lock", "closed", when="owned", unless="mine", effects="ring")
LOCK_UNOWNED = row("lock.unowned", "lock", "closed", unless=("owned", "mine"), effects="ring")
SETTLED = row("settled", "settled", "closed")
LATE = row("late", "pushed", ("closed", "opened"), when="late")
LATE_OPENED = attrs.evolve(LATE, sources="opened")
ROWS = (OPEN, LOCKED_OUT, OPENED, SLAMMED, CLOSE, LOCK, LOCK_REFUSED, LOCK_UNOWNED, SETTLED)
NOTHING = (
    Ignored(triggers=("open", "lock", "settled"), phases="opened", because="it is open"),
    Ignored(triggers=("close", "time_over", "pushed"), phases="closed", because="it is closed"),
)
NOTHING_LATE = (NOTHING[0], attrs.evolve(NOTHING[1], triggers=("close", "time_over")))
PUSH = Ask(
    doc="push it",
    lane="arm",
    success="pushed",
    failure="pushed",
    limit="patience",
)


def chart(**changes: Any) -> Chart:
    """The door, with these changes."""
    parts: dict[str, Any] = {
        "name": "door",
        "initial": "closed",
        "phases": ("closed", "opened"),
        "triggers": ("open", "close", "lock", "pushed", "time_over", "settled"),
        "external": ("open", "close", "lock"),
        "facts": {
            "locked": Stored("the bolt is in"),
            "gently": Carried("it was pushed gently"),
            "mine": Same("whoever acts owns it", "who", "owner"),
            "owned": Present("somebody owns it", "owner"),
        },
        "registers": ("owner",),
        "named": "who",
        "effects": {
            "push": PUSH,
            "ring": Note(doc="ring"),
            "hush": Disarm(doc="no timer", timers="spring"),
            "wait": Arm(doc="wait", timer="spring", expiry="time_over", delay="spring"),
            "settle": Raise(doc="settle", trigger="settled"),
        },
        "transitions": ROWS,
        "ignored": NOTHING,
        "composites": {"any": ("closed", "opened")},
    }
    return Chart(**{**parts, **changes})


def rows(*spoilt: Transition) -> dict[str, Any]:
    """The rows of the door, with these in the place of those of the same name, or added."""
    names = {one.name for one in spoilt}
    return {"transitions": (*(one for one in ROWS if one.name not in names), *spoilt)}


def facts(**more: Any) -> dict[str, Any]:
    return {"facts": {**chart().facts, **more}}


def effects(**more: Any) -> dict[str, Any]:
    return {"effects": {**chart().effects, **more}}


def ignoring(*more: Ignored) -> dict[str, Any]:
    return {"ignored": (*NOTHING, *more)}


ONE_FAULT: tuple[tuple[str, dict[str, Any], str], ...] = (
    # names that are in no alphabet
    (
        "the initial phase is unknown",
        {"initial": "ajar"},
        "the initial phase: unknown phase 'ajar'",
    ),
    (
        "a source is unknown",
        rows(attrs.evolve(SETTLED, sources=("closed", "ajar"))),
        "settled: unknown phase 'ajar'",
    ),
    ("a target is unknown", rows(attrs.evolve(OPEN, target="ajar")), "open: unknown phase 'ajar'"),
    (
        "a trigger is unknown",
        rows(attrs.evolve(CLOSE, trigger=("close", "time_over", "kick"))),
        "close: unknown trigger 'kick'",
    ),
    (
        "an external trigger is unknown",
        {"external": ("open", "close", "lock", "kick")},
        "the external triggers: unknown trigger 'kick'",
    ),
    (
        "a wanted fact is unknown",
        rows(attrs.evolve(OPENED, when=("gently", "loudly"))),
        "opened: unknown fact 'loudly'",
    ),
    (
        "an unwanted fact is unknown",
        rows(attrs.evolve(SLAMMED, unless=("gently", "loudly"))),
        "slammed: unknown fact 'loudly'",
    ),
    (
        "a set fact is unknown",
        rows(attrs.evolve(LOCK, sets=("locked", "loud"))),
        "lock: unknown fact 'loud'",
    ),
    (
        "a cleared fact is unknown",
        rows(attrs.evolve(CLOSE, clears=("locked", "loud"))),
        "close: unknown fact 'loud'",
    ),
    (
        "an effect is unknown",
        rows(attrs.evolve(SETTLED, effects="sing")),
        "settled: unknown effect 'sing'",
    ),
    (
        "an assigned register is unknown",
        rows(attrs.evolve(LOCK, assigns={"heir": "who"})),
        "lock: unknown register 'heir'",
    ),
    (
        "a register read is unknown",
        rows(attrs.evolve(LOCK, assigns={"owner": "heir"})),
        "lock: unknown register 'heir'",
    ),
    (
        "an equality's register is unknown",
        facts(mine=Same("", "who", "heir")),
        "fact 'mine': unknown register 'heir'",
    ),
    (
        "a presence's register is unknown",
        facts(owned=Present("", "heir")),
        "fact 'owned': unknown register 'heir'",
    ),
    (
        "an outcome of an effect is unknown",
        effects(push=attrs.evolve(PUSH, refusal="repelled")),
        "the outcome of effect 'push': unknown trigger 'repelled'",
    ),
    (
        "the expiry of a timer is unknown",
        effects(wait=Arm(doc="", timer="spring", expiry="rust", delay="spring")),
        "the outcome of effect 'wait': unknown trigger 'rust'",
    ),
    (
        "an internal trigger is unknown",
        effects(settle=Raise(doc="", trigger="rust")),
        "the outcome of effect 'settle': unknown trigger 'rust'",
    ),
    (
        "an ignored trigger is unknown",
        ignoring(Ignored(triggers="kick", phases="closed", because="mere noise")),
        "ignored (mere noise): unknown trigger 'kick'",
    ),
    (
        "a phase that ignores is unknown",
        ignoring(Ignored(triggers="open", phases="ajar", because="mere noise")),
        "ignored (mere noise): unknown phase 'ajar'",
    ),
    (
        "a composite's phase is unknown",
        {"composites": {"any": ("closed", "ajar")}},
        "composite 'any': unknown phase 'ajar'",
    ),
    # what a row may not do
    (
        "the trigger's own register is assigned",
        rows(attrs.evolve(LOCK, assigns={"who": "owner"})),
        "lock: assigns 'who', which only a trigger brings along",
    ),
    (
        "a carried fact is set",
        rows(attrs.evolve(LOCK, sets=("locked", "gently"))),
        "lock: sets or clears 'gently', which is not a stored fact",
    ),
    (
        "a register's fact is cleared",
        rows(attrs.evolve(CLOSE, clears=("locked", "mine"))),
        "close: sets or clears 'mine', which is not a stored fact",
    ),
    (
        "one fact is set and cleared",
        rows(attrs.evolve(LOCK, clears="locked")),
        "lock: both sets and clears 'locked'",
    ),
    (
        "two rows share a name",
        {"transitions": (*ROWS, attrs.evolve(SETTLED, sources="opened"))},
        "two transitions are named 'settled'",
    ),
    ("there is no row at all", {"transitions": ()}, "there are no transitions"),
    # rows that quarrel, rows that never fire
    (
        "two rows can both fire",
        rows(row("open.always", "open", "closed", when="owned", effects="ring")),
        "open.locked and open.always can both fire on open in closed: no fact tells them apart",
    ),
    (
        "a guard contradicts itself",
        rows(row("lock.never", "lock", "closed", when=("owned", "mine"), unless=("owned", "mine"))),
        "lock.never: can never fire, it wants mine, owned to be both true and false",
    ),
    (
        "a row has no source",
        rows(row("nowhere", "open", ())),
        "nowhere: can never fire, it has no source or no trigger",
    ),
    (
        "a row has no trigger",
        rows(row("never", (), "closed")),
        "never: can never fire, it has no source or no trigger",
    ),
    (
        "a row starts where nobody arrives",
        {
            "phases": ("closed", "opened", "ajar"),
            **rows(row("ajar", chart().triggers, "ajar")),
        },
        "ajar: can never fire, none of its sources is ever reached",
    ),
    (
        "nothing leads to a phase",
        {
            "phases": ("closed", "opened", "ajar"),
            **ignoring(Ignored(triggers=chart().triggers, phases="ajar", because="never")),
        },
        "no transitions lead to the phase 'ajar'",
    ),
    # what is declared and not used, used and not produced
    ("a fact is never read", facts(loud=Carried("noise")), "fact 'loud' is never read by a guard"),
    ("a stored fact is never set", rows(attrs.evolve(LOCK, sets=())), "fact 'locked' is never set"),
    (
        "an effect is never used",
        effects(sing=Note(doc="sing")),
        "effect 'sing' is used by no transition",
    ),
    (
        "nothing produces a trigger",
        {"external": ("open", "close")},
        "trigger 'lock' is neither external nor the outcome of an effect",
    ),
    # pairs that nobody thought of, or twice
    (
        "a pair is neither handled nor ignored",
        {"ignored": NOTHING[1:]},
        "open in opened is neither handled, refused nor ignored on purpose",
    ),
    (
        "a late outcome has no row of its own",
        {**facts(late=Carried("too late")), "late": "late", **rows(LATE_OPENED)},
        "pushed in closed has 0 rows for an outcome that comes too late; it needs exactly one",
    ),
    (
        "a late outcome is told apart",
        {
            **facts(late=Carried("too late")),
            "late": "late",
            **rows(attrs.evolve(LATE, when=("late", "gently"))),
            "ignored": NOTHING_LATE,
        },
        "late: a late outcome is late whatever else holds; drop the other facts",
    ),
    (
        "a row looks out for what is late",
        {
            **facts(late=Carried("too late")),
            "late": "late",
            **rows(LATE, attrs.evolve(OPENED, unless="late")),
            "ignored": NOTHING_LATE,
        },
        "opened: what is late never gets here; drop 'late'",
    ),
    (
        "an internal trigger is asked for what only a call carries",
        rows(attrs.evolve(SETTLED, when="gently")),
        "settled: reads 'gently', which the internal trigger 'settled' never carries",
    ),
    (
        "a call that fails is told nothing",
        {
            **effects(fail=Fail(doc="it fails", slot="door")),
            **rows(attrs.evolve(LOCKED_OUT, effects="fail")),
        },
        "open.locked: 'fail' fails calls, and there is no error to tell them",
    ),
    (
        "a composite ends with what nobody knows",
        {"composites": (Composite(name="open", phases="opened", exit="slam"),)},
        "composite 'open': unknown effect 'slam'",
    ),
    (
        "a composite spans phases and a fact",
        {"composites": (Composite(name="open", phases="opened", fact="locked"),)},
        "composite 'open': it spans either phases or a fact",
    ),
    (
        "a pair is handled and ignored",
        ignoring(Ignored(triggers="open", phases="closed", because="mere noise")),
        "open in closed is both handled and ignored",
    ),
)

MORE_BY_NATURE = {
    "a row starts where nobody arrives": {"no transitions lead to the phase 'ajar'"},
    "two rows can both fire": {
        "open and open.always can both fire on open in closed: no fact tells them apart"
    },
    "a pair is neither handled nor ignored": {
        "lock in opened is neither handled, refused nor ignored on purpose",
        "settled in opened is neither handled, refused nor ignored on purpose",
    },
}
"""Faults that cannot come alone: what is said beside the sentence of the table."""


def faults(**changes: Any) -> tuple[str, ...]:
    with pytest.raises(ChartError) as raised:
        chart(**changes)
    return raised.value.faults


def test_the_chart_that_the_table_spoils_has_no_fault() -> None:
    assert chart().name == "door"


@pytest.mark.parametrize(
    ("case", "changes", "sentence"), ONE_FAULT, ids=[case for case, _, _ in ONE_FAULT]
)
def test_one_fault_is_one_sentence(case: str, changes: dict[str, Any], sentence: str) -> None:
    assert set(faults(**changes)) == {sentence, *MORE_BY_NATURE.get(case, set())}


def test_every_fault_is_named_in_one_error_once_with_the_rows_to_mend() -> None:
    with pytest.raises(ChartError) as raised:
        chart(
            initial="ajar",
            external=("open", "close", "lock", "kick"),
            **rows(
                attrs.evolve(OPEN, target="ajar", sets="loud"),
                attrs.evolve(LOCK, clears="locked", effects="sing"),
            ),
        )
    expected = {
        "the initial phase: unknown phase 'ajar'",
        "the external triggers: unknown trigger 'kick'",
        "open: unknown phase 'ajar'",
        "open: unknown fact 'loud'",
        "lock: unknown effect 'sing'",
        "lock: both sets and clears 'locked'",
    }
    assert set(raised.value.faults) == expected
    assert len(raised.value.faults) == len(expected)
    message = str(raised.value)
    assert message.startswith("The chart 'door' has 6 problem(s); mend these rows:")
    assert all(f"\n  - {fault}" in message for fault in expected)


def test_faults_of_structure_are_named_together_as_well() -> None:
    found = faults(
        external=("open", "close"),
        **facts(loud=Carried("noise"), soft=Stored("softness")),
        **effects(sing=Note(doc="sing")),
        **rows(row("nowhere", "open", ())),
    )
    assert set(found) == {
        "trigger 'lock' is neither external nor the outcome of an effect",
        "fact 'loud' is never read by a guard",
        "fact 'soft' is never read by a guard",
        "fact 'soft' is never set",
        "effect 'sing' is used by no transition",
        "nowhere: can never fire, it has no source or no trigger",
    }


CARRIED: Final = {"open": "who", "close": "who", "lock": "who", "pushed": "gently"}
"""What the triggers of the door bring along."""


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"carries": {**CARRIED, "lock": ()}},
            "lock: reads 'mine', which the trigger 'lock' never carries",
        ),
        (
            {"carries": {**CARRIED, "lock": ()}},
            "lock: reads 'who', which the trigger 'lock' never carries",
        ),
        (
            {"carries": CARRIED, **rows(attrs.evolve(CLOSE, when="mine"))},
            "close: reads 'mine', which the trigger 'time_over' never carries",
        ),
        (
            {"carries": {**CARRIED, "pushed": ()}},
            "opened: reads 'gently', which the trigger 'pushed' never carries",
        ),
        (
            {"carries": {**CARRIED, "settled": "gently"}},
            "settled carries 'gently', and is internal: it carries nothing",
        ),
        (
            {"carries": {**CARRIED, "open": ("who", "locked")}},
            "open carries 'locked', which is no carried fact, nor the register 'who'",
        ),
        ({"carries": {**CARRIED, "ring": "who"}}, "what triggers carry: unknown trigger 'ring'"),
        (
            {"carries": CARRIED, "naming": "pushed"},
            "pushed always names somebody, and does not carry 'who'",
        ),
        ({"naming": "ring"}, "the naming triggers: unknown trigger 'ring'"),
    ],
)
def test_rows_read_of_a_trigger_what_it_carries(changes: dict[str, Any], fault: str) -> None:
    assert chart(carries=CARRIED).carries == {t: (what,) for t, what in CARRIED.items()}
    assert fault in faults(**changes)


def test_a_trigger_that_carries_a_call_on_brings_what_the_call_brings() -> None:
    on = {"again": Raise(doc="as if pushed", trigger="settled", carries=True)}
    gently = attrs.evolve(SETTLED, when="gently")
    pushed = attrs.evolve(SLAMMED, effects=(*SLAMMED.effects, "again"))
    assert "gently" in chart(carries=CARRIED, **effects(**on), **rows(gently, pushed)).facts
    never = {**CARRIED, "pushed": ()}
    assert f"{SETTLED.name}: reads 'gently', which the trigger 'settled' never carries" in faults(
        carries=never, **effects(**on), **rows(gently, pushed)
    )


def test_a_misspelt_name_is_not_repeated_in_other_words() -> None:
    assert faults(**rows(attrs.evolve(LOCK, sets="lokced"))) == ("lock: unknown fact 'lokced'",)


def test_the_facts_of_a_guard_exclude_each_other_in_both_directions() -> None:
    for one, other in ((OPEN, LOCKED_OUT), (LOCKED_OUT, OPEN)):
        assert chart(**rows(attrs.evolve(one), attrs.evolve(other))).rows("closed", "open")


# --- the shipped chart, spoilt --------------------------------------------------------------------


def shipped(name: str) -> Transition:
    return next(one for one in CHART.transitions if one.name == name)


def spoilt(name: str, **changes: Any) -> tuple[Transition, ...]:
    return tuple(
        attrs.evolve(one, **changes) if one.name == name else one for one in CHART.transitions
    )


def without(*names: str) -> tuple[Transition, ...]:
    return tuple(one for one in CHART.transitions if one.name not in names)


def shipped_faults(**changes: Any) -> str:
    with pytest.raises(ChartError) as raised:
        attrs.evolve(CHART, **changes)
    return "\n".join(raised.value.faults)


def test_a_row_of_the_shipped_chart_that_answered_alone_is_missed_when_it_is_gone() -> None:
    """Where a row was alone on its (phase, trigger) the hole is seen; where it was not, only an
    exploration can tell.
    """
    for one in CHART.transitions:
        alone = [
            (phase, trigger)
            for phase in one.sources
            for trigger in one.trigger
            if len(CHART.rows(phase, trigger)) == 1
        ]
        if not alone:
            continue
        found = shipped_faults(transitions=without(one.name))
        for phase, trigger in alone:
            assert (
                f"{trigger} in {phase} is neither handled, refused nor ignored on purpose" in found
            )


def test_a_guard_of_the_shipped_chart_cannot_lose_a_fact_that_keeps_two_rows_apart() -> None:
    """For each pair of rows that one fact alone keeps apart: take it away, and the pair is
    named.
    """
    pairs = {
        (one, other)
        for phase in CHART.phases
        for trigger in CHART.triggers
        for one, other in permutations(CHART.rows(phase, trigger), 2)
        if len(set(one.when) & set(other.unless)) == 1 and not set(other.when) & set(one.unless)
    }
    assert len(pairs) > 100
    for one, other in pairs:
        (fact,) = set(one.when) & set(other.unless)
        found = shipped_faults(
            transitions=spoilt(
                one.name, when=tuple(wanted for wanted in one.when if wanted != fact)
            )
        )
        assert (
            f"{one.name} and {other.name} can both" in found
            or f"{other.name} and {one.name} can both" in found
        )


def test_every_late_outcome_of_the_shipped_chart_needs_its_row() -> None:
    (late,) = [row for row in CHART.transitions if row.name == "late.dispose"]
    assert len(late.trigger) * len(late.sources) > 300
    for trigger in late.trigger:
        others = tuple(other for other in late.trigger if other != trigger)
        found = shipped_faults(transitions=spoilt("late.dispose", trigger=others))
        for phase in late.sources:
            assert f"{trigger} in {phase} has 0 rows for an outcome that comes too late" in found


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase != Phase.NOT_INITIALIZED])
def test_a_phase_of_the_shipped_chart_that_nothing_leads_to_is_found(phase: Phase) -> None:
    rerouted = tuple(
        attrs.evolve(one, target=None) if one.target == phase else one for one in CHART.transitions
    )
    assert f"no transitions lead to the phase {phase!r}" in shipped_faults(transitions=rerouted)


@pytest.mark.parametrize(
    "fact", [fact for fact, kind in CHART.facts.items() if isinstance(kind, Stored)]
)
def test_a_fact_of_the_shipped_chart_that_is_never_set_is_found(fact: str) -> None:
    never = tuple(
        attrs.evolve(one, sets=tuple(name for name in one.sets if name != fact))
        for one in CHART.transitions
    )
    assert f"fact {fact!r} is never set" in shipped_faults(transitions=never)


@pytest.mark.parametrize("effect", list(CHART.effects))
def test_an_effect_of_the_shipped_chart_that_no_row_uses_is_found(effect: str) -> None:
    unused = tuple(
        attrs.evolve(one, effects=tuple(name for name in one.effects if name != effect))
        for one in CHART.transitions
    )
    assert f"effect {effect!r} is used by no transition" in shipped_faults(transitions=unused)


def test_what_the_shipped_chart_ignores_it_ignores_on_purpose() -> None:
    for entry in CHART.ignored:
        rest = tuple(other for other in CHART.ignored if other is not entry)
        assert "is neither handled, refused nor ignored on purpose" in shipped_faults(ignored=rest)
        assert entry.because


def test_the_error_of_a_refusal_is_data() -> None:
    assert shipped("refuse.not_booted").error == NOT_BOOTED
    assert NOT_BOOTED.error is NotBootedError
