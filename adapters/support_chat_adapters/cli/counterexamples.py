"""What `support-chat check --counterexamples` writes of each failure: its story, a diagram, and a
pytest file that replays it on the real session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

from support_chat import CHART
from support_chat.verify import Report, Space, Verdict, occurrences, sequence, story
from support_chat.verify.deciding import counterexamples
from support_chat.verify.replay import as_test, replay

from .charts import is_file

# how many ways to a failure are tried on a session before none is found to go
_MOST_STORIES: Final = 50


def write_counterexamples(report: Report, directory: Path, named: str) -> Iterator[str]:
    """Writes the files; says of each failure that gets no pytest file why not."""
    directory.mkdir(parents=True, exist_ok=True)
    model = report.space.model
    for verdict in report.verdicts:
        if verdict.held is False:
            id, sentence = re.sub(r"\W+", "_", verdict.property.id), verdict.property.sentence
            texts = {f"{id}.txt": f"{verdict.property.id}: {sentence}\n{story(model, verdict)}"}
            if verdict.story or verdict.round:
                texts[f"{id}.mmd"] = sequence(model, verdict)
            replayed = _replayable(report.space, verdict, named)
            if isinstance(replayed, str):
                yield f"{verdict.property.id} gets no pytest file: {replayed}"
            else:
                texts[f"test_{id.lower()}.py"] = as_test(
                    occurrences(model, replayed), named, sentence, id.lower()
                )
            for name, text in texts.items():
                (directory / name).write_text(text, encoding="utf-8", newline="\n")


def _replayable(space: Space, verdict: Verdict, named: str) -> Verdict | str:
    """The first way to the failure that a session goes as well, or why there is none."""
    chart = space.model.chart
    if not (verdict.story or verdict.round):
        return "there is no story to replay"
    # what the shipped chart has not, no session can do
    if not (
        set(chart.triggers) <= set(CHART.triggers) and set(chart.effects) <= set(CHART.effects)
    ):
        return "a session runs nothing but variants of the shipped chart"
    if is_file(named):
        return "it imports the chart, so name it as package.module:NAME"
    differs = ""
    for one in islice(chain([verdict], counterexamples(space, verdict.property)), _MOST_STORIES):
        found = replay(chart, occurrences(space.model, one))
        if not found.differs:
            return one
        differs = differs or found.differs
    return f"no session goes this way, nor the next ones ({differs})"
