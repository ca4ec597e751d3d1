"""Where the boxes of a drawing stand: a grid with the usual way down the middle and the ends at the
side.

The rules are few, so that the same chart always looks the same and a changed one looks almost as
before:

- Phases stand below each other in the middle column, in the order of the chart.
- In a frame the members that are entered from outside stand side by side, the others below them.
- An *end*, a phase to which at least half of the others lead, stands in a column of its own on the
  right: its many arrows then run through free space.
- Rows and columns are as far apart as the labels between them need.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from unicodedata import east_asian_width

import attrs

from .drawing import Drawing, Edge, Frame

CHARACTER, LINE = 7.0, 15.0
"""Width of a character and height of a line of a label, in pixels (a monospaced face, so that
widths are known).
"""
BOX_HEIGHT, BOX_PAD, FRAME_PAD = 40.0, 14.0, 24.0
ENDS = 3
"""The column of the ends; 0 to 2 are those of the frames, 1 is the middle."""


@attrs.frozen
class Cell:
    """A place in the grid."""

    column: int
    row: int


@attrs.frozen
class Box:
    """A rectangle on the page, in pixels, y pointing down."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def x(self) -> float:
        """The middle, from the left."""
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        """The middle, from the top."""
        return (self.top + self.bottom) / 2


@attrs.frozen
class Placement:
    """Where everything stands: the cell and the box of every node, the box of every frame (its
    cell: its first row).
    """

    cells: Mapping[str, Cell]
    boxes: Mapping[str, Box]
    frames: Mapping[str, Box]


def place(drawing: Drawing) -> Placement:
    """Places every node and every frame of the drawing; pure and deterministic."""
    cells = _cells(drawing)
    xs, width = _columns(drawing, cells)
    ys = _rows(drawing, cells)
    boxes = {
        name: Box(
            xs[cell.column] - width / 2, ys[cell.row] - BOX_HEIGHT / 2,
            xs[cell.column] + width / 2, ys[cell.row] + BOX_HEIGHT / 2,
        )
        for name, cell in cells.items()
    }  # fmt: skip
    frames = {frame.name: _frame(drawing, frame, boxes) for frame in drawing.frames}
    for frame in drawing.frames:
        cells[frame.name] = Cell(1, min(cells[member].row for member in frame.members))
    return Placement(cells, boxes, frames)


def _frame(drawing: Drawing, frame: Frame, boxes: Mapping[str, Box]) -> Box:
    """Round the members, the name of the whole, and what stands beside the upright arrows between
    members.
    """
    inner = [boxes[member] for member in frame.members]
    beside = [
        boxes[edge.source].x + side * (text_width(edge.label) + 26 - FRAME_PAD)
        for edge in drawing.edges
        if edge.source in frame.members
        and edge.target in frame.members
        and boxes[edge.source].x == boxes[edge.target].x
        for side in (-1, 1)
    ]
    name = boxes[frame.members[0]].x - len(frame.name) * 11 - 16
    return Box(
        min(name, *(box.left for box in inner), *beside) - FRAME_PAD,
        min(box.top for box in inner) - FRAME_PAD - 8,
        max(*(box.right for box in inner), *beside, name) + FRAME_PAD,
        max(box.bottom for box in inner) + FRAME_PAD,
    )  # fmt: skip


def text_width(lines: Iterable[str]) -> float:
    """How wide a label is, in pixels."""
    columns = (sum(1 + (east_asian_width(c) in "WF") for c in line) for line in lines)
    return max(columns, default=0) * CHARACTER


def name_width(name: str) -> float:
    """How wide the name in a box is: its face is bold and proportional, so this is an estimate."""
    return sum(15.0 if east_asian_width(c) in "WF" else 11.0 if c.isupper() else 8.2 for c in name)


# --- cells ----------------------------------------------------------------------------------------


def _cells(drawing: Drawing) -> dict[str, Cell]:
    whole = {member: frame for frame in drawing.frames for member in frame.members}
    pseudo = [node.name for node in drawing.nodes if node.pseudo]
    ends = _ends(drawing, set(whole))
    rows: list[dict[str, int]] = []  # what stands beside each other, with its column
    for node in drawing.nodes:
        if node.name in ends or node.pseudo or any(node.name in row for row in rows):
            continue
        if node.name in whole:
            rows += _frame_rows(drawing, whole[node.name].members)
        else:
            rows.append({node.name: 1})
    cells = {
        name: Cell(column, row) for row, each in enumerate(rows) for name, column in each.items()
    }
    taken: set[int] = set()
    for end in ends:
        back = [cells[e.target].row for e in drawing.edges if e.source == end and e.target in cells]
        above = [
            name
            for name in pseudo
            if any(e.source == name and e.target == end for e in drawing.edges)
        ]
        wanted = max(max(back, default=len(rows) - 1), len(above))
        while taken & set(range(wanted - len(above), wanted + 1)):
            wanted += 1
        for at, name in enumerate([*above, end], wanted - len(above)):
            cells[name] = Cell(ENDS, at)
            taken.add(at)
    below = [name for name in pseudo if name not in cells]
    return cells | {name: Cell(1, row) for row, name in enumerate(below, len(rows))}


def _frame_rows(drawing: Drawing, members: tuple[str, ...]) -> list[dict[str, int]]:
    """Those that are entered from outside side by side, three at the most; then the others."""
    entered = {e.target for e in drawing.edges if e.source not in members}
    entries = [member for member in members if member in entered] or [members[0]]
    rows = [entries[start : start + 3] for start in range(0, len(entries), 3)]
    columns = {1: (1,), 2: (0, 2), 3: (0, 1, 2)}
    return [
        *(dict(zip(row, columns[len(row)], strict=True)) for row in rows),
        *({member: 1} for member in members if member not in entries),
    ]


def _ends(drawing: Drawing, framed: set[str]) -> list[str]:
    everything = [n.name for n in drawing.nodes if not n.pseudo and n.name not in framed]
    pseudo = {n.name for n in drawing.nodes if n.pseudo}
    many = max(3, (len(everything) - 1 + len(drawing.frames)) / 2)
    sources = {
        name: {edge.source for edge in drawing.edges if edge.target == name} for name in everything
    }
    return [
        name
        for name, those in sources.items()
        if name != drawing.initial and (those & pseudo or len(those) >= many)
    ]


# --- distances ------------------------------------------------------------------------------------


def _columns(drawing: Drawing, cells: Mapping[str, Cell]) -> tuple[dict[int, float], float]:
    used = sorted({cell.column for cell in cells.values()})
    widest = max(name_width(node.label) for node in drawing.nodes) + 2 * BOX_PAD
    xs, x = {used[0]: 0.0}, 0.0
    for column in used[1:]:
        labels = (text_width(edge.label) + 34 for edge in _beside(drawing, cells, column))
        x += widest + max((48.0, *labels)) + (FRAME_PAD if column == ENDS else 0)
        xs[column] = x
    return xs, widest


def _beside(drawing: Drawing, cells: Mapping[str, Cell], column: int) -> Iterator[Edge]:
    """The arrows between this column and the one before it, whose labels stand in the gap."""
    for edge in drawing.edges:
        if edge.source in cells and edge.target in cells:
            columns = sorted((cells[edge.source].column, cells[edge.target].column))
            if columns[1] == column and columns[1] - columns[0] == 1:
                yield edge


def _rows(drawing: Drawing, cells: Mapping[str, Cell]) -> dict[int, float]:
    count = max(cell.row for cell in cells.values()) + 1
    first = {min(cells[m].row for m in frame.members) for frame in drawing.frames}
    last = {max(cells[m].row for m in frame.members) + 1 for frame in drawing.frames}
    ys, y = {0: 0.0}, 0.0
    for row in range(1, count):
        lines = [0]
        for edge in drawing.edges:
            if edge.source in cells and edge.target in cells:
                rows = sorted((cells[edge.source].row, cells[edge.target].row))
                if rows[1] == row and rows[0] < row:
                    lines.append(len(edge.label))
        gap = (
            max(42.0, max(lines) * LINE + 22)
            + (FRAME_PAD + 14 if row in first else 0)
            + (FRAME_PAD if row in last else 0)
        )
        y += BOX_HEIGHT + gap
        ys[row] = y
    return ys
