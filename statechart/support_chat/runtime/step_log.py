"""Writes the steps of a session, one a line, as a log that `support-chat trace` judges.

It holds names of the chart alone (`support_chat.engine.told`): no id, no token, no text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Protocol

from ..chart.model import Chart

SCHEMA: Final = "support-chat/trace"
VERSION: Final = 1


class Text(Protocol):
    """Where lines are written to: an open file."""

    def write(self, text: str, /) -> object:
        """Writes it."""
        ...


class StepLog:
    """A log of the session that goes by this name, into `file`. `begins` is the phase in which it
    begins, if the session has begun before.

    It ends with `close()`, or with the `with` that it is used in; one without an end counts as cut.
    """

    def __init__(self, file: Text, chart: Chart, session: str, begins: str | None) -> None:
        self.open = True
        self._file, self._session, self._steps = file, session, 0
        begun = {} if begins is None else {"from": str(begins)}
        names = {"chart": chart.name, "session": session}
        self._write({"schema": SCHEMA, "version": VERSION, **names, **begun})

    def step(self, told: Mapping[str, Any]) -> None:
        """Writes a step; what the chart was not asked about is none."""
        if told and self.open:
            self._steps += 1
            self._write({"session": self._session, **told})

    def close(self) -> None:
        """Ends the log; the file is its owner's to close."""
        if self.open:
            self.open = False
            self._write({"end": self._steps})

    def give_up(self) -> None:
        """Writes no more, and no end: what is there is cut."""
        self.open = False

    def __enter__(self) -> StepLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(values) + "\n")
