"""The lines of the server's log: for people, or with `--log json` an object a line for programs.

What a line says stands in its message and once more, by name, in `fields`; neither ever holds a
query, a header, a body or an address.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final, cast

LOG: Final = logging.getLogger("support_chat.server")


def log_request(
    method: str, path: str, status: int, request_id: str, took: float | None = None
) -> None:
    """A line for a request: its method, the template of its path, the status and the id of its
    answer, and how many seconds it took.
    """
    if not LOG.isEnabledFor(logging.INFO):
        return
    fields: dict[str, Any] = {
        "event": "request",
        "method": method,
        "path": path,
        "status": status,
        "request_id": request_id,
    }
    duration = ""
    if took is not None:
        fields["ms"] = round(took * 1000, 1)
        duration = f" {took * 1000:.1f} ms"
    LOG.info("%s %s %d%s %s", method, path, status, duration, request_id, extra={"fields": fields})


class JSONLines(logging.Formatter):
    """A record as one line of JSON: when, how grave, what it says, and its fields by name."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **cast("dict[str, Any]", getattr(record, "fields", {})),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
