"""How the failures of a chart are told at a terminal, whoever has explored it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable

from support_chat import Chart
from support_chat.verify import Elsewhere, Model, Verdict, story
from support_chat.verify.reports import concerned
from support_chat.verify.source_lines import place_of

from .charts import command, is_file
from .verdicts import print_line, print_story


def print_failures(
    model: Model, verdicts: Iterable[Verdict], arguments: argparse.Namespace
) -> None:
    """Those that fail in the same way together, with their story, the place and the command that
    decides them again.
    """
    alike: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.held is False:
            alike.setdefault(story(model, verdict), []).append(verdict)
    again = command("check", arguments, "chart", "app_dir", "properties", "users")
    for text, these in alike.items():
        for verdict in these:
            print_line("failed", verdict.property.id, verdict.property.sentence)
        found = place(model.chart, these[0], arguments)
        ids = shlex.join(f"--property={verdict.property.id}" for verdict in these)
        at = [f"at {found[0]}:{found[1]}"] if found else []
        print_story("\n".join([*text.splitlines(), *at]))
        print(f"    {again} {ids}")  # in one piece, as it is pasted


def place(chart: Chart, verdict: Verdict, arguments: argparse.Namespace) -> tuple[str, int] | None:
    """Where the row is written that a failure is about."""
    row = concerned(verdict, [row.name for row in chart.transitions])
    named: str = arguments.chart
    return place_of(row, named if is_file(named) else named.partition(":")[0]) if row else None


def decided(one: Elsewhere) -> str:
    """What is decided elsewhere, and where."""
    return f"{one.sentence} Decided by {one.by}: {one.where}"
