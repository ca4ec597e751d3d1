"""What each call does in each phase, as one Markdown table: the table that every other SDK leaves
to the reader.

The model checker knows every reachable state and the row that fires there on the call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from support_chat import Chart, Effect, Fact, InvalidInputError, Register, Transition, Trigger
from support_chat.chart.model import Arm, Ask, Join, Raise
from support_chat.verify import Space, View, explore
from support_chat.verify.model import Way

_MOST_STATES: Final = 200_000
_Registers: TypeAlias = Mapping[str, int]
# the names of the rows that answer, by the phase, whether a boot waits, and the column's title
_Answers: TypeAlias = "dict[tuple[str, bool, str], set[str]]"

_LEGEND: Final = """\
*now*: settles in the same step, without the network. *join*: shares the outcome of what is under
way. *wait*: done when it is possible, and settled with its outcome, within its timeout. *→ phase*:
begins it; the phase changes at once. *✗*: raises the error of that name on the spot, changing
nothing. *–*: nobody yet whom another user could differ from. Where a cell has several answers, what
is under way decides. The table is for a plain `shutdown()`; with `clear_storage=True` it always
waits for the clear.
"""


@attrs.frozen
class _Column:
    title: str
    trigger: Trigger
    asks_for: Callable[[_Registers, int], bool]
    """Whether a call that names this user belongs here, by who is in the registers (0: nobody)."""


def _same(held: _Registers, named: int) -> bool:
    return named == held.get(Register.USER, 0)


def _stays(held: _Registers, named: int) -> bool:
    """The call names whom the session is for, or will be after the identify under way."""
    return named == (held.get(Register.TARGET, 0) or held.get(Register.USER, 0))


def _fits(held: _Registers, named: int) -> bool:
    """The call names nobody whom the session, or the identify under way, is not already for."""
    return all(held.get(register, 0) in (0, named) for register in (Register.USER, Register.TARGET))


def _nobody(held: _Registers, named: int) -> bool:
    return named == 0


_COLUMNS: Final = (
    _Column("`boot()` same identity", Trigger.BOOT, _same),
    _Column("`boot()` another", Trigger.BOOT, lambda held, named: not _same(held, named)),
    _Column("`identify()` a user", Trigger.IDENTIFY, _fits),
    _Column("`identify()` another", Trigger.IDENTIFY, lambda held, named: not _fits(held, named)),
    _Column("`become()` the same", Trigger.BECOME, _stays),
    _Column("`become()` another", Trigger.BECOME, lambda held, named: not _stays(held, named)),
    _Column("`update()`", Trigger.UPDATE, _nobody),
    _Column("`send_message()`", Trigger.SEND, _nobody),
    _Column("`shutdown()`", Trigger.SHUTDOWN, _nobody),
    _Column("`destroy()`", Trigger.DESTROY, _nobody),
)


def has_calls(chart: Chart) -> bool:
    """Whether the chart has any of the calls that the table is about."""
    return any(column.trigger in chart.triggers for column in _COLUMNS)


def calls_table(chart: Chart) -> str:
    """The table of calls by phases. Raises InvalidInputError for a chart that has none of the calls
    of the shipped one.
    """
    columns = [column for column in _COLUMNS if column.trigger in chart.triggers]
    if not has_calls(chart):
        raise InvalidInputError(
            f"The chart {chart.name!r} has none of the calls of a session: use `--format table` "
            "for it."
        )
    space = explore(chart, max_states=_MOST_STATES)
    answers = _answers(space, columns)
    rows: dict[tuple[str, ...], list[str]] = {}
    for phase in chart.phases:
        variants = {waits for where, waits, _ in answers if where == phase} or {False}
        for waits in sorted(variants):
            suffix = ", a boot waits" if waits and len(variants) > 1 else ""
            cells = [
                _cell(chart, phase, answers.get((phase, waits, c.title), set())) for c in columns
            ]
            rows.setdefault((suffix, *cells), []).append(f"`{phase}`")
    lines = [
        "# What each call does in each phase",
        "",
        _LEGEND,
        f"| phase | {' | '.join(column.title for column in columns)} |",
        "|" + "---|" * (len(columns) + 1),
    ]
    lines += [
        f"| {', '.join(phases)}{suffix} | {' | '.join(cells)} |"
        for (suffix, *cells), phases in rows.items()
    ]
    if not space.complete:
        lines += [
            "",
            f"Only the first {_MOST_STATES:,} states were explored; others may differ.",
        ]
    return "\n".join(lines) + "\n"


def _answers(space: Space, columns: list[_Column]) -> _Answers:
    model, chart = space.model, space.model.chart
    found: _Answers = {}
    for number, state in enumerate(space.states):
        view = View(model, state)
        boot_waits = Fact.BOOTED in chart.facts and view.has(Fact.BOOTED)
        held = dict(zip(chart.registers, model.registers_of(state), strict=True))
        ways = [space.ways[edge] for edge in space.edges(number)]
        for column in columns:
            mine = [way for way in ways if way.rows and _is_plain(way, column.trigger)]
            # where no row asks whom a call names, the checker makes one call that stands for all
            alike = not any(way.happening.named for way in mine)
            for way in mine:
                who = range(model.users + 1) if alike else (way.happening.named,)
                if any(column.asks_for(held, named) for named in who):
                    place = view.phase, boot_waits, column.title
                    found.setdefault(place, set()).add(_answering(chart, way.rows).name)
    return found


def _answering(chart: Chart, rows: Sequence[Transition]) -> Transition:
    """The row that answers: the first, or the one by which the call goes on as another."""
    row = rows[0]
    while row.target is None:
        raises = (spec for e in row.effects if isinstance(spec := chart.effects[e], Raise))
        trigger = next((spec.trigger for spec in raises if spec.carries), None)
        after = next((other for other in rows[1:] if trigger in other.trigger), None)
        if after is None:
            break
        row = after
    return row


def _is_plain(way: Way, call: str) -> bool:
    """A plain call carries no fact."""
    return way.happening.trigger == call and not way.happening.carried


def _cell(chart: Chart, phase: str, names: set[str]) -> str:
    rows = (row for row in chart.transitions if row.name in names)
    return ", ".join(dict.fromkeys(_word(chart, row, phase) for row in rows)) or "–"


def _word(chart: Chart, row: Transition, phase: str) -> str:
    if Effect.REFUSE in row.effects and row.error:
        words = re.sub(
            r"(?<!^)(?=[A-Z])", " ", row.error.error.__name__.removesuffix("Error")
        ).lower()
        return f"✗ {words}"
    moves = f"→ {row.target}" if row.target not in (None, phase) else ""
    if Effect.DONE in row.effects:
        return f"now {moves}".strip()
    specs = [chart.effects[effect] for effect in row.effects]
    begins = bool(row.sets) or any(isinstance(spec, Ask | Arm) for spec in specs)
    joins = any(isinstance(spec, Join) for spec in specs)
    return moves or ("join" if joins and not begins else "wait")
