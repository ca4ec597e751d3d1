"""The steps of our model as lines that XState is asked about: a state, what happens, and every way
it must go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, TypeAlias

import attrs

from support_chat import Chart
from support_chat.chart.machine import UNHANDLED, Compiled, Input
from support_chat.chart.model import Ask
from support_chat.verify import Always, Model
from support_chat.verify.layout import State
from support_chat.verify.properties import Property
from support_chat.verify.views import View
from support_chat.verify.ways import Happening
from support_chat_adapters.murphi.names import Names, names_of
from support_chat_adapters.xstate.machine import state_keys, to_xstate

Lines: TypeAlias = Iterator[str]


def machine(chart: Chart, properties: Iterable[Property] = ()) -> str:
    """The line that begins the steps of a chart."""
    return json.dumps({"machine": json.loads(to_xstate(chart, properties))})


@attrs.frozen
class Asked:
    """Asks about states and steps of a model."""

    model: Model
    _names: Names = attrs.field(
        init=False, default=attrs.Factory(lambda self: names_of(self.model.chart), takes_self=True)
    )

    @property
    def _keys(self) -> Mapping[str, str]:
        return state_keys(self.model.chart.phases)

    def every_step(self, states: Iterable[State]) -> Lines:
        """Each phase, facts and users that are met, with all that may happen there, once: of states
        that differ in the ledger alone the first.
        """
        model, seen = self.model, set[tuple[int, int, Happening]]()
        for state in states:
            here = state >> model.shift, model.facts_of(state)
            for happening in model.happenings(state):
                if (*here, happening) not in seen:
                    seen.add((*here, happening))
                    yield self.step(state, happening)

    def what_is_late(self) -> Lines:
        """In each phase, each outcome and event too late: a row fires that changes nothing."""
        chart, compiled = self.model.chart, Compiled(self.model.chart)
        late = () if chart.late is None else (chart.late,)
        for phase, trigger in product(chart.phases, sorted(chart.superseding) if late else ()):
            state = compiled.initial._replace(phase=phase)
            after, row = compiled.fire(state, Input(trigger, compiled.mask(late)))
            assert after == state
            rows = [] if row is UNHANDLED else [row.name]
            registers = dict.fromkeys(map(str, chart.registers))
            nothing: dict[str, Any] = {"facts": [], "ledger": [], "registers": registers}
            told: dict[str, Any] = {
                "state": {"value": self._keys[phase], "context": nothing},
                "event": {"type": str(trigger), "late": True},
                "ways": [[rows, list(map(str, row.effects)), self._keys[phase], *nothing.values()]],
            }
            yield json.dumps(told)

    def what_cannot_happen(self, states: Iterable[State]) -> Lines:
        """Internal triggers from outside, what comes of nothing that is under way, and a trigger of
        `naming` that names nobody: nothing happens, unless it is late.
        """
        chart, model = self.model.chart, self.model
        inside = [t for t in chart.triggers if t not in chart.external or t in chart.events]
        for state in states:
            phase, (key, *here) = model.phase_of(state), self._told(state)
            happening = list(model.happenings(state))
            possible = {each.trigger for each in happening}
            naming = {t for t in chart.naming if any(h.named for h in happening if h.trigger == t)}
            for trigger in [t for t in inside if t not in possible] + sorted(naming):
                late = [row for row in chart.rows(phase, trigger) if chart.late in row.when]
                fired = late if trigger not in naming else []
                told = {
                    "state": self.state(state),
                    "event": {"type": str(trigger)},
                    "ways": [
                        [
                            [row.name for row in fired],
                            [str(effect) for row in fired for effect in row.effects],
                            key,
                            *here,
                        ]
                    ],
                }
                yield json.dumps(told)

    def step(self, state: State, happening: Happening) -> str:
        """What happens in a state, and every way it must go."""
        model, named = self.model, self.model.chart.named
        carried = model.names(happening.carried)
        event = {
            "type": str(happening.trigger),
            **({"of": str(happening.of)} if happening.of else {}),
            "facts": list(map(str, carried)),
            **({"user": _user(happening.named)} if named else {}),
            "more": self._is_more(state, happening),
        }
        taken = {(step.rows, step.raw) for step in model.take(state, happening)}
        ways = [
            [
                [row.name for row in rows],
                [str(effect) for row in rows for effect in row.effects],
                *self._told(after),
            ]
            for rows, after in taken or {((), state)}
        ]
        return json.dumps({"state": self.state(state), "event": event, "ways": ways})

    def state(self, state: State) -> dict[str, Any]:
        """A state as XState resolves it."""
        phase, facts, ledger, registers = self._told(state)
        return {
            "value": phase,
            "context": {"facts": facts, "ledger": ledger, "registers": registers},
        }

    def judged(self, state: State, properties: Iterable[Property]) -> str:
        """A state, and which properties are broken in it."""
        view = View(self.model, state)
        broken = [
            each.id
            for each in properties
            if isinstance(each, Always)
            and (each.when is None or each.when(view))
            and not each.holds(view)
        ]
        return json.dumps({"state": self.state(state), "broken": broken})

    def _is_more(self, state: State, happening: Happening) -> bool:
        spec = self.model.chart.effects.get(happening.of)
        return isinstance(spec, Ask) and spec.several and not happening.spends

    def _told(self, state: State) -> list[Any]:
        """The phase, the facts, the ledger and the users of a state."""
        model, names = self.model, self._names
        facts = [str(fact) for fact in names.kept if state & model.fact[fact]]
        entries = [
            word
            for table, bits in (
                (names.asked, model.asked),
                (names.open, model.open),
                (names.running, model.running),
                (names.waiting, model.waiting),
                (names.stored, model.stored),
            )
            for name, word in table.items()
            if state & bits[name]
        ]
        users = zip(model.chart.registers, model.registers_of(state), strict=True)
        registers = {str(register): _user(who) for register, who in users}
        return [self._keys[model.phase_of(state)], sorted(facts), sorted(entries), registers]


def _user(who: int) -> str | None:
    return None if who == 0 else f"user {who}"
