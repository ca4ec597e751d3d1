"""What a picture of a chart consists of, before anybody decides how it is written down.

Views make these values and writers read them, so a new view works with every writer and a new
writer with every view.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import attrs

_PLAIN: Final = r"[a-zA-Z0-9_]+"


@attrs.frozen
class Node:
    """A box: a phase, or with `pseudo` several phases taken together; `lines` are what happens
    inside without leaving it. One that is `lit` stands out.
    """

    name: str
    label: str
    lines: tuple[str, ...] = ()
    pseudo: bool = False
    lit: bool = False


@attrs.frozen
class Frame:
    """A frame around the nodes named in `members`; an edge may start at or lead to the frame by its
    `name`.
    """

    name: str
    members: tuple[str, ...]


@attrs.frozen
class Edge:
    """An arrow between two nodes or frames, with a label of one or more lines. Calls are written
    `like_this()`. One that is `lit` stands out.
    """

    source: str
    target: str
    label: tuple[str, ...]
    lit: bool = False


@attrs.frozen(kw_only=True)
class Drawing:
    """A whole picture. `initial` and `final` name nodes; None and () where the picture shows no
    beginning or end. `table` stands below it: rows of cells, the first row its heads.
    """

    title: str
    nodes: tuple[Node, ...]
    frames: tuple[Frame, ...] = ()
    edges: tuple[Edge, ...] = ()
    initial: str | None = None
    final: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()

    def inside(self, frame: Frame | None) -> list[Node]:
        """The nodes in a frame, or those that stand in none."""
        frames = self.frames if frame is None else (frame,)
        members = {member for each in frames for member in each.members}
        return [node for node in self.nodes if (node.name in members) != (frame is None)]


def identifiers(names: Iterable[str], reserved: Collection[str]) -> Mapping[str, str]:
    """An identifier for each name: the name itself where it can be one, and never that of another
    name or, in whatever case, a `reserved` word.
    """
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: not re.fullmatch(_PLAIN, name)):
        identifier = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        while identifier.lower() in reserved or identifier in found.values():
            identifier += "_"
        found[name] = identifier
    return found
