"""A chart and its ledger as a machine for XState 5: what `createMachine` takes, as JSON.

States are the phases, events the triggers. What holds is in the `context`: the `facts` that are
stored or derived, the `ledger`, whom the `registers` name. A machine in JSON names its guards and
actions; three names do here:

- guard `chart.holds` with `when` and `unless`, of a row, and whether its trigger `names` somebody
  for certain;
- action `chart.row` with the row's `name` and what it changes: in `facts` and `ledger`, as
  `changes` says it, and the registers that it `assigns`; of a refusal it says the `error`;
- action `chart.raise` with a `trigger` that follows before anything else, and whether it `carries`.

All other actions are the effects of the chart by name, in their order, for a client to implement.
`docs/examples/xstate.mjs` implements the three names, and says what an event brings.

The machine's `meta` has what they need: the `facts` as in an exported chart, `named`, `late`,
`naming`, and for each trigger what it comes `of`: what the ledger `needs` for it, and what it
`spends`. It has the `effects` and the `registers`, too, and the `properties`: those of states with
what `holds` (`formulas`). The `meta` of a state says what makes a difference there: what each
trigger `brings`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, cast

import attrs

from support_chat import ChartError
from support_chat.chart.model import Chart, Raise, Transition
from support_chat.verify.properties import Always, Property

from ..diagrams.drawing import identifiers
from ..diagrams.exported import specified
from ..murphi.effects import Effects, effects_of
from ..murphi.happenings import rules, told_apart
from ..murphi.judged import judged
from ..murphi.names import names_of
from .changes import changes_of
from .formulas import formula

SCHEMA: Final = "support-chat/xstate"
VERSION: Final = 1
_WIDTH: Final = 100
_DEPTH: Final = 5
"""Where rows stand: states, a state, on, a trigger, a row."""


def to_xstate(chart: Chart, properties: Iterable[Property] = ()) -> str:
    """The machine as JSON text; the same chart always gives the same text, and one changed row
    changes few lines. Raises ChartError for a trigger that XState takes for a wildcard.
    """
    if wild := [trigger for trigger in chart.triggers if "*" in trigger]:
        raise ChartError(
            f"XState takes an event named {wild[0]!r} for a wildcard: give the trigger a name "
            "without *."
        )
    writer = _Writer(chart, effects_of(names_of(chart)), state_keys(chart.phases))
    return _lines(writer.machine(tuple(properties))) + "\n"


def state_keys(phases: Sequence[str]) -> Mapping[str, str]:
    """The key of each phase's state: its name, but for what XState reads as a path or an id."""
    odd = {phase for phase in phases if not phase or re.search(r"[.#\\]", phase)}
    found = identifiers(odd, {phase.lower() for phase in phases})
    return {phase: found.get(phase, phase) for phase in phases}


@attrs.frozen
class _Writer:
    chart: Chart
    effects: Effects
    keys: Mapping[str, str]

    def machine(self, properties: Sequence[Property]) -> dict[str, Any]:
        chart = self.chart
        return {
            "id": str(chart.name),
            "initial": self.keys[chart.initial],
            "context": {
                "facts": [],
                "ledger": [],
                "registers": {str(register): None for register in chart.registers},
            },
            "meta": {
                "schema": SCHEMA,
                "version": VERSION,
                "registers": list(map(str, chart.registers)),
                "named": _text(chart.named),
                "late": _text(chart.late),
                "naming": list(map(str, chart.naming)),
                "facts": {str(fact): specified(kind) for fact, kind in chart.facts.items()},
                "effects": {str(effect): specified(s) for effect, s in chart.effects.items()},
                "triggers": self.triggers,
                "properties": list(self._properties(properties)),
            },
            "states": {self.keys[phase]: self._state(phase) for phase in chart.phases},
        }

    @cached_property
    def triggers(self) -> dict[str, list[dict[str, Any]]]:
        """What each trigger comes of: nothing in particular, or an entry of the ledger."""
        found: dict[str, list[dict[str, Any]]] = {str(t): [] for t in self.chart.triggers}
        for rule in rules(self.effects.names):
            origin = {"of": str(rule.of), "needs": rule.needs, "spends": list(rule.spends)}
            again = [each for each in found[rule.trigger] if each.get("of", "") == rule.of]
            if again:  # the same once more: it may come again, which spends nothing
                again[0]["several"] = True
            else:
                found[rule.trigger].append(_filled(origin))
        return found

    def _properties(self, properties: Sequence[Property]) -> Iterator[dict[str, Any]]:
        judging = judged(self.effects, [p for p in properties if isinstance(p, Always)], ())
        told = {each.property.id: each.formula for each in judging.judgements}
        for each in properties:
            said = {"id": each.id, "sentence": each.sentence}
            if each.id in told:
                said["holds"] = formula(self.effects.names, told[each.id])
            yield said

    def _state(self, phase: str) -> dict[str, Any]:
        chart, key = self.chart, self.keys[phase]
        triggers = [str(trigger) for trigger in chart.triggers]
        brings = {trigger: self._brings(phase, trigger) for trigger in triggers}
        return {
            **({} if key == phase else {"description": str(phase)}),
            "meta": {"brings": _filled(brings)},
            "on": {
                trigger: transitions
                for trigger in triggers
                if (transitions := [*self._transitions(phase, trigger)])
            },
        }

    def _transitions(self, phase: str, trigger: str) -> Iterator[dict[str, Any]]:
        """The rows of a trigger in a phase, and what becomes of one that no row wants."""
        naming = trigger in self.chart.naming and self.chart.named in self._brings(phase, trigger)
        yield from (self._row(row, trigger, naming) for row in self.chart.rows(phase, trigger))
        if any("spends" in origin for origin in self.triggers[trigger]):
            holds = _named("chart.holds", _filled({"names": naming}))
            yield {"guard": holds, "actions": [_named("chart.row", {})]}

    def _brings(self, phase: str, trigger: str) -> list[str]:
        apart = told_apart(self.chart, phase, trigger)
        facts = [str(fact) for fact in self.effects.names.brought if fact in apart.facts]
        return [*facts, str(self.chart.named)] if apart.named else facts

    def _row(self, row: Transition, trigger: str, naming: bool) -> dict[str, Any]:
        chart = self.chart
        changed = {
            where: _filled(attrs.asdict(change))
            for where, change in changes_of(self.effects, row).items()
        }
        error = row.error and {"error": row.error.error.__name__, "message": row.error.message}
        does = {"name": row.name, **changed, "assigns": _registers(row.assigns), "error": error}
        actions: list[Any] = [_named("chart.row", _filled(does))]
        for effect in row.effects:
            actions.append(str(effect))
            if isinstance(spec := chart.effects[effect], Raise):
                raised = {"trigger": str(spec.trigger), "carries": spec.carries}
                actions.append(_named("chart.raise", _filled(raised)))
        guard = {
            "when": list(map(str, row.when)),
            "unless": list(map(str, row.unless)),
            "names": naming and chart.late not in row.when,  # what is late brings nothing
        }
        holds = _named("chart.holds", _filled(guard))
        free = {} in self.triggers[trigger] and not holds["params"]
        return {
            **({} if row.target is None else {"target": self.keys[row.target]}),
            **({} if free else {"guard": holds}),
            "actions": actions,
        }


def _named(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": name, "params": params}


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _registers(assigns: Mapping[str, str | None]) -> dict[str, str | None]:
    return {str(register): _text(source) for register, source in assigns.items()}


def _text(name: str | None) -> str | None:
    return None if name is None else str(name)


def _lines(value: Any, depth: int = 0) -> str:
    """The JSON with a line for each row of a trigger."""
    short = json.dumps(value, ensure_ascii=False)
    if len(short) + depth <= _WIDTH or depth == _DEPTH:
        return short
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value).items()
        told = [f"{json.dumps(key)}: {_lines(each, depth + 1)}" for key, each in entries]
        return "{" + inner + f",{inner}".join(told) + outer + "}"
    return "[" + inner + f",{inner}".join(_lines(each, depth + 1) for each in value) + outer + "]"
