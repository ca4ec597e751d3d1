"""The demo as lines: for people who read a log (`PlainReporter`) and for programs (`JsonReporter`).

Both write a line at a time and flush it, so that a pipe shows the demo as it goes. Both are stable:
the plain one names no ids and no times of day, and so is the same at every run but for the numbers;
the other always has the same keys.
"""

from __future__ import annotations

import json
from typing import Any, TextIO

import attrs

from support_chat.lifecycle.events import (
    AnyEvent,
    AuthChanged,
    ConnectionChanged,
    ErrorOccurred,
    MessageFailed,
    MessageReceived,
    MessageSent,
    PhaseChanged,
    Ready,
    UnreadChanged,
    to_json,
)
from support_chat.lifecycle.names import Phase
from support_chat.values import Identity, SignedIn

from .report import Step, Summary


def in_words(event: AnyEvent) -> str:
    """An event in a few plain words, without ids of its own and without colours."""
    match event:
        case PhaseChanged():
            because = f" ({event.reason})" if event.reason else ""
            return f"phase: {event.previous} -> {event.current}{because}"
        case Ready():
            return f"ready: as {_who(event.identity)}"
        case AuthChanged():
            return f"identity: {_who(event.identity)}"
        case ConnectionChanged():
            gap = ", with a gap" if event.gap else ""
            return f"link: {'open' if event.connected else 'gone'}{gap}"
        case ErrorOccurred():
            return f"error: {event.error}"
        case MessageReceived():
            return f'message from the {event.message.author}: "{event.message.text}"'
        case MessageSent():
            return f'message sent: "{event.message.text}"'
        case MessageFailed():
            return f"message failed: {event.error}"
        case UnreadChanged():
            return f"unread: {event.unread}"
        case _:
            return "token: expired"


def _who(identity: Identity | None) -> str:
    if identity is None:
        return "nobody"
    return identity.user_id if isinstance(identity, SignedIn) else "a visitor"


def verdict(summary: Summary) -> str:
    """The whole demo in one sentence."""
    ended = (
        f"{len(summary.steps) - len(summary.failed)} of {len(summary.steps)} steps ended as "
        "expected"
    )
    return f"{ended}, {len(summary.visited)} of {len(Phase)} phases visited"


@attrs.frozen
class PlainReporter:
    """One line for each thing that happens; `out` is any text file."""

    out: TextIO

    def scene(self, number: int, of: int, title: str) -> None:
        """The title, set off."""
        self._line(f"scene {number}/{of}: {title}")

    def begin(self, did: str) -> None:
        """What is done now."""
        self._line(f"  do     {did}")

    def event(self, event: AnyEvent) -> None:
        """What the session tells meanwhile."""
        self._line(f"  event  {in_words(event)}")

    def step(self, step: Step) -> None:
        """What came of it."""
        self._line(f"  ok     {step.says}" if step.ok else f"  FAILED {step.complaint}")

    def end(self, summary: Summary) -> None:
        """The phases, the numbers, what failed, and the verdict."""
        counted = summary.counters
        self._line(f"phases: {' '.join(summary.visited)}")
        self._line(
            f"numbers: {counted.dials} dials, at most {counted.links_most} link open at once, "
            f"{counted.token_calls} token calls, "
            f"{counted.updates} updates in {counted.update_requests} requests"
        )
        for step in summary.failed:
            self._line(f"FAILED: scene {step.scene}, {step.did}: {step.complaint}")
        self._line(f"{'ok' if summary.ok else 'FAILED'}: {verdict(summary)}")

    def _line(self, text: str) -> None:
        print(text, file=self.out, flush=True)


@attrs.frozen
class JsonReporter:
    """One JSON object for each thing that happens, told apart by `type`; events as
    `support_chat.lifecycle.events.to_json` has them.
    """

    out: TextIO

    def scene(self, number: int, of: int, title: str) -> None:
        """`{"type": "scene", "number", "of", "title"}`."""
        self._line({"type": "scene", "number": number, "of": of, "title": title})

    def begin(self, did: str) -> None:
        """`{"type": "step_begun", "did"}`."""
        self._line({"type": "step_begun", "did": did})

    def event(self, event: AnyEvent) -> None:
        """The event."""
        self._line(to_json(event))

    def step(self, step: Step) -> None:
        """`{"type": "step", "ok", ...}` with the fields of `Step`."""
        self._line({"type": "step", "ok": step.ok, **attrs.asdict(step)})

    def end(self, summary: Summary) -> None:
        """`{"type": "summary", "ok", ...}`, the last line; `failed` has each step that did not end
        as expected.
        """
        self._line(
            {
                "type": "summary",
                "ok": summary.ok,
                "verdict": verdict(summary),
                "scenes": len(summary.titles),
                "steps": len(summary.steps),
                "failed": [
                    {"scene": s.scene, "did": s.did, "complaint": s.complaint}
                    for s in summary.failed
                ],
                "phases": summary.visited,
                "counters": attrs.asdict(summary.counters),
                "seconds": round(summary.seconds, 3),
            }
        )

    def _line(self, value: dict[str, Any]) -> None:
        print(json.dumps(value), file=self.out, flush=True)
