"""The names of a chart as identifiers of Murphi: what was declared stays recognisable, and no two
are alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from support_chat.chart.model import (
    Arm,
    Ask,
    Carried,
    Chart,
    Derived,
    Fail,
    Join,
    Note,
    Present,
    Same,
    Settle,
    Stored,
)

# fmt: off
_WORDS: Final = frozenset(
    (
        "alias", "array", "assert", "assume", "before", "begin", "bool", "boolean", "brings",
        "by", "carried", "case", "choices", "clear", "const", "count", "cover", "default", "do",
        "drawn", "else", "elsif", "end", "endalias", "endexists", "endfor", "endforall",
        "endfunction", "endif", "endprocedure", "endrecord", "endrule", "endruleset", "ends",
        "endstartstate", "endswitch", "endwhile", "enum", "error", "exists", "false", "fired",
        "first", "for", "forall", "function", "i", "if", "import", "in", "invariant",
        "isundefined", "j", "k", "known", "liveness", "longest_run", "map", "most",
        "most_choices", "multiset", "named", "newest", "no_row", "nobody", "number", "of", "on",
        "phase", "procedure", "process", "program", "put", "queue", "raised", "real", "record",
        "rest", "return", "room", "row", "rows", "rule", "ruleset", "scalarset", "startstate",
        "string", "switch", "take", "taken", "then", "to", "traceuntil", "trigger", "true",
        "type", "undefine", "union", "users", "uses", "var", "wanted", "way", "while", "who",
    )
)
# fmt: on
"""The words of the language, and what every model declares itself."""


def quoted(text: str) -> str:
    """The text as a string of Murphi."""
    return '"' + re.sub(r'[\\"%\s]+', " ", text).strip() + '"'


@attrs.frozen
class Names:
    """What everything that a chart declares is called in its model.

    `phase`, `trigger`, `row` and `effect` are constants. The facts that are `kept`, the `register`s
    and the ledger (`asked`, `open`, `running`, `waiting`, `stored`) are the variables of a state;
    the facts that are `brought` come along with a trigger.
    """

    chart: Chart
    phase: Mapping[str, str]
    trigger: Mapping[str, str]
    row: Mapping[str, str]
    effect: Mapping[str, str]
    kept: Mapping[str, str]
    brought: Mapping[str, str]
    register: Mapping[str, str]
    asked: Mapping[str, str]
    open: Mapping[str, str]
    running: Mapping[str, str]
    waiting: Mapping[str, str]
    stored: Mapping[str, str]

    @property
    def ledger(self) -> tuple[str, ...]:
        """Every variable of the ledger."""
        tables = (self.asked, self.open, self.running, self.waiting, self.stored)
        return tuple(name for table in tables for name in table.values())

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable of a state but the phase and the registers: booleans all of them."""
        return (*self.kept.values(), *self.ledger)

    def holds(self, fact: str) -> str:
        """The condition that a fact holds, in a row's guard."""
        kind = self.chart.facts[fact]
        if isinstance(kind, Carried):
            return f"(brings & {self.brought[fact]})"
        if isinstance(kind, Present):
            return f"({self.who(kind.register)} != NOBODY)"
        if isinstance(kind, Same):
            return f"({self.who(kind.left)} = {self.who(kind.right)})"
        return self.kept[fact]

    def who(self, register: str) -> str:
        """Whoever is in a register, or is named by the trigger."""
        return "who" if register == self.chart.named else self.register[register]


def names_of(chart: Chart) -> Names:
    """The names of a chart."""
    taken = set[str](_WORDS)

    def table(these: Iterable[str], prefix: str = "") -> Mapping[str, str]:
        found: dict[str, str] = {}
        for name in dict.fromkeys(map(str, these)):
            word = prefix + re.sub(r"\W", "_", name, flags=re.ASCII)
            first = word = word if word[:1].isalpha() else f"the_{word}"
            number = 2
            while word.lower() in taken:
                word, number = f"{first}_{number}", number + 1
            taken.add(word.lower())
            found[name] = word
        return found

    specs, facts = chart.effects.items(), chart.facts.items()
    asks = {effect: spec for effect, spec in specs if isinstance(spec, Ask)}
    return Names(
        chart,
        phase=table(chart.phases, "at_"),
        trigger=table(chart.triggers, "on_"),
        row=table((row.name for row in chart.transitions), "row_"),
        effect=table(chart.effects, "did_"),
        kept=table(f for f, k in facts if isinstance(k, Stored | Derived) and f != chart.late),
        brought=table(f for f, kind in facts if isinstance(kind, Carried)),
        register=table(chart.registers),
        asked=table(asks, "asked_"),
        open=table((s.opens for _, s in specs if isinstance(s, Note) and s.opens), "open_"),
        running=table((s.timer for _, s in specs if isinstance(s, Arm)), "runs_"),
        waiting=table((s.slot for _, s in specs if isinstance(s, Join | Settle | Fail)), "waits_"),
        stored=table((key for s in asks.values() for key in (*s.writes, *s.erases)), "stored_"),
    )
