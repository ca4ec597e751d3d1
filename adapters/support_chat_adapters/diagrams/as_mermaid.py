"""Writes a drawing as a Mermaid `stateDiagram-v2`, which GitHub, GitLab and most documentation
tools render by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from .drawing import Drawing, Node, identifiers

# Mermaid takes them for its own words, in any case, or for the beginning and the end
_RESERVED: Final = frozenset({
    "acctitle", "accdescr", "as", "class", "classdef", "click", "default", "direction", "end",
    "hide", "href", "note", "root_end", "root_start", "scale", "state", "statediagram", "style",
})  # fmt: skip
_LIT: Final = "fill:#ffedc2,stroke:#a85f00,stroke-width:3px,color:#17212e"

# as they stand these would end a label, begin an entity or a tag, break a line, or mean emphasis
_MEANT: Final = re.compile(r'[:;"#<>%*\\]|&(?=\w+;)|\b_\B|\B_\b')


def mermaid(drawing: Drawing) -> str:
    """The drawing as Mermaid text, one statement a line. Of what is lit its boxes are: Mermaid
    styles no arrow of a state diagram.
    """
    names = [*(node.name for node in drawing.nodes), *(frame.name for frame in drawing.frames)]
    ids = identifiers(names, _RESERVED)
    lines = ["stateDiagram-v2", "  direction TB"]
    if drawing.initial:
        lines.append(f"  [*] --> {ids[drawing.initial]}")
    lines += [f"  {line}" for node in drawing.inside(None) for line in _state(node, ids)]
    for frame in drawing.frames:
        lines.append(f"  {_named(frame.name, ids[frame.name], 'state ')} {{")
        lines += [f"    {line}" for node in drawing.inside(frame) for line in _state(node, ids)]
        lines.append("  }")
    lines += [
        f"  {ids[edge.source]} --> {ids[edge.target]}: {_text(edge.label)}"
        for edge in drawing.edges
    ]
    lines += [f"  {ids[name]} --> [*]" for name in drawing.final]
    if lit := [ids[node.name] for node in drawing.nodes if node.lit]:
        lines += [f"  classDef lit {_LIT}", f"  class {','.join(lit)} lit"]
    return "\n".join(lines) + "\n"


def _state(node: Node, ids: Mapping[str, str]) -> Iterator[str]:
    identifier = ids[node.name]
    if node.lines:  # the first description becomes the box's heading, the others stand under a rule
        yield from (f"{identifier}: {_text([line])}" for line in (node.label, *node.lines))
    else:
        yield _named(node.label, identifier)


def _named(label: str, identifier: str, keyword: str = "") -> str:
    text = _text([label])
    if text == identifier:
        return f"{keyword}{identifier}"
    return f'state "{text}" as {identifier}'


def _text(lines: Iterable[str]) -> str:
    return "<br/>".join(_MEANT.sub(lambda found: f"#{ord(found[0])};", line) for line in lines)
