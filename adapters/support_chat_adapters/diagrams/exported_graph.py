"""Every state of a chart and its ledger, and every step, as stable JSON: a graph for programs.

The document is what networkx calls node-link data, and one entry a line. Beside its `nodes` and
`edges` it says that it is `directed` and a `multigraph`; `graph` holds `"schema":
"support-chat/graph"`, `"version": 1`, the `chart`'s name and how many `users` there are.

A node has an `id`: 0 is the initial state, and none is farther from it than a later one. Then come
its `phase`, its `registers` (each the number of a user, 0 for nobody), the `facts` that hold, and
the `ledger`, what is under way, in words. An edge leads from its `source` to its `target`; `key`
tells those between the same two apart. Its `trigger` happens, as the outcome, event or expiry `of`
something, names a user (`named`, 0 for nobody, by the numbers of the source), and brings the facts
`carried` along; `rows` are the transitions that fire. What a state and a step are is said in
docs/chart-semantics.md.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from support_chat.verify import Space, View

SCHEMA: Final = "support-chat/graph"
VERSION: Final = 1


def graph_to_json(space: Space) -> str:
    """The graph of an explored space as JSON text; the same chart always gives the same text."""
    model = space.model
    about = {
        "schema": SCHEMA,
        "version": VERSION,
        "chart": model.chart.name,
        "users": model.users,
    }
    head = json.dumps({"directed": True, "multigraph": True, "graph": about})
    nodes = ",\n".join(f"  {json.dumps(node)}" for node in _nodes(space))
    edges = ",\n".join(f"  {json.dumps(edge)}" for edge in _edges(space))
    return f'{head[:-1]},\n"nodes": [\n{nodes}\n],\n"edges": [\n{edges}\n]}}\n'


def _nodes(space: Space) -> Iterator[Mapping[str, Any]]:
    model = space.model
    for number, state in enumerate(space.states):
        view = View(model, state)
        yield {
            "id": number,
            "phase": view.phase,
            "registers": dict(zip(model.chart.registers, model.registers_of(state), strict=True)),
            "facts": view.facts(),
            "ledger": view.ledger(),
        }


def _edges(space: Space) -> Iterator[Mapping[str, Any]]:
    between = Counter[tuple[int, int]]()
    for number, edge in space.entries():
        way, after = space.ways[edge], space.afters[edge]
        happening = way.happening
        yield {
            "source": number,
            "target": after,
            "key": between[number, after],
            "trigger": happening.trigger,
            "of": happening.of,
            "named": happening.named,
            "carried": space.model.names(happening.carried),
            "rows": [row.name for row in way.rows],
        }
        between[number, after] += 1
