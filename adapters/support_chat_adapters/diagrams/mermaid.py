"""Writes a drawing as a Mermaid `stateDiagram-v2`, which GitHub, GitLab and most documentation
tools render by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .drawing import Drawing, Node


def mermaid(drawing: Drawing) -> str:
    """The drawing as Mermaid text, one statement a line."""
    framed = {member for frame in drawing.frames for member in frame.members}
    lines = ["stateDiagram-v2", "  direction TB"]
    if drawing.initial:
        lines.append(f"  [*] --> {_id(drawing.initial)}")
    for node in drawing.nodes:
        if node.name not in framed:
            lines += [f"  {line}" for line in _state(node)]
    for frame in drawing.frames:
        lines.append(f"  state {_id(frame.name)} {{")
        for node in drawing.nodes:
            if node.name in frame.members:
                lines += [f"    {line}" for line in _state(node)]
        lines.append("  }")
    lines += [
        f"  {_id(edge.source)} --> {_id(edge.target)}: {_text(edge.label)}"
        for edge in drawing.edges
    ]
    lines += [f"  {_id(name)} --> [*]" for name in drawing.final]
    return "\n".join(lines) + "\n"


def _state(node: Node) -> Iterator[str]:
    name = _id(node.name)
    if node.lines:  # the first description becomes the box's heading, the others stand under a rule
        yield from (f"{name}: {_text([line])}" for line in (node.label, *node.lines))
    else:
        yield name if node.label == name else f'state "{_text([node.label])}" as {name}'


def _id(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _text(lines: Iterable[str]) -> str:
    # a colon, a semicolon, a quote or a hash would end the label or begin an entity
    return "<br/>".join(re.sub(r'[:;"#<>]', " ", line) for line in lines)
