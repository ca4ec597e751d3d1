"""What a picture of a chart consists of, before anybody decides how it is written down.

Views make these values and writers read them, so a new view works with every writer and a new
writer with every view.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Node:
    """A box: a phase, or with `pseudo` several phases taken together; `lines` are what happens
    inside without leaving it.
    """

    name: str
    label: str
    lines: tuple[str, ...] = ()
    pseudo: bool = False


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
    `like_this()`.
    """

    source: str
    target: str
    label: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Drawing:
    """A whole picture. `initial` and `final` name nodes; None and () where the picture shows no
    beginning or end.
    """

    title: str
    nodes: tuple[Node, ...]
    frames: tuple[Frame, ...] = ()
    edges: tuple[Edge, ...] = ()
    initial: str | None = None
    final: tuple[str, ...] = ()
