"""Writes a drawing as Graphviz dot text; `dot -Tsvg` lays it out, here nothing of Graphviz is
needed.
"""

from __future__ import annotations

from collections.abc import Iterable

from .drawing import Drawing, Node, identifiers

_HEAD = """digraph {title} {{
  compound=true; rankdir=TB; nodesep=0.6; ranksep=0.6;
  node [shape=box, style=rounded, fontname="Helvetica"];
  edge [fontname="Helvetica", fontsize=10];
"""
_LIT = 'color="#c26e00", penwidth=3'


def dot(drawing: Drawing) -> str:
    """The drawing as dot text; frames become clusters, and an arrow at a frame is clipped at
    its border.
    """
    # of a name that begins with % Graphviz makes another node wherever it stands
    ids = identifiers([node.name for node in drawing.nodes], ())
    inner = {frame.name: frame.members[0] for frame in drawing.frames}
    lines = [_HEAD.format(title=_quoted([drawing.title])).rstrip("\n")]
    if drawing.initial:
        start = _quoted([identifiers(["start"], set(map(str.lower, ids.values())))["start"]])
        lines += [
            f'  {start} [shape=point, label=""];',
            f"  {start} -> {_quoted([ids[drawing.initial]])};",
        ]
    lines += [
        f"  {_node(node, ids[node.name], node.name in drawing.final)}"
        for node in drawing.inside(None)
    ]
    for frame in drawing.frames:
        lines += [
            f"  subgraph {_quoted([_cluster(frame.name)])} {{",
            f"    label={_quoted([frame.name])}; style=rounded;",
            *(
                f"    {_node(node, ids[node.name], node.name in drawing.final)}"
                for node in drawing.inside(frame)
            ),
            "  }",
        ]
    for edge in drawing.edges:
        options = [f"label={_quoted(edge.label)}", *([_LIT] if edge.lit else [])]
        if edge.source in inner:
            options.append(f"ltail={_quoted([_cluster(edge.source)])}")
        if edge.target in inner:
            options.append(f"lhead={_quoted([_cluster(edge.target)])}")
        ends = (_quoted([ids[inner.get(end, end)]]) for end in (edge.source, edge.target))
        lines.append(f"  {' -> '.join(ends)} [{', '.join(options)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _cluster(name: str) -> str:
    return f"cluster_{name}"


def _node(node: Node, identifier: str, final: bool) -> str:
    options = [f"label={_quoted([node.label, *node.lines])}"]
    if node.pseudo:
        options.append('style="rounded,dashed"')
    if node.lit:
        options.append(_LIT)
    if final:
        options.append("peripheries=2")
    return f"{_quoted([identifier])} [{', '.join(options)}];"


def _quoted(lines: Iterable[str]) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
