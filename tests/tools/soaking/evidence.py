"""What a run writes down: JSON lines in files that only grow, one file for each process and
sitting, and what they say together.

A call that may change something is written down before it leaves, with its payload; what became of
it is a line of its own. A call without such a line has an unknown end, and is never taken for
failed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

Kind: TypeAlias = Literal[
    "boot",
    "send",
    "update",
    "identify",
    "mark_read",
    "conversations",
    "messages",
    "reconnect",
    "shutdown",
    "reply",
]
"""What can succeed; `reply` is an agent's, the others are calls of a session, and `reconnect` is
that a link which was lost is back.
"""
KINDS: Final[tuple[Kind, ...]] = Kind.__args__  # type: ignore[attr-defined]  # a Literal has them
FOLDER: Final = "evidence"


class Notes:
    """A file of lines; what was added is on its way to the disk before `add` returns."""

    def __init__(self, folder: Path, name: str) -> None:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        self._file = (folder / FOLDER / f"{name}.jsonl").open("a", encoding="utf-8", buffering=1)

    def add(self, what: str, **said: Any) -> None:
        """Adds a line."""
        self._file.write(json.dumps({"what": what, **said}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Nothing follows."""
        self._file.close()


@attrs.define(eq=False)
class Sent:
    """A client's message, whose it was when it was sent first, and the number of each answer."""

    text: str
    owner: str
    numbers: list[int] = attrs.field(factory=list[int])
    refused: bool = False
    """The session said that it was not sent at all."""


@attrs.define(eq=False)
class Life:
    """From a boot to its shutdown, or to where the process was cut off."""

    owners: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])
    """Whose it became, and the newest message of all before that."""
    sent: dict[str, Sent] = attrs.field(factory=dict[str, Sent])
    """By client message id, in the order in which they were sent."""
    got: list[tuple[int, str, str]] = attrs.field(factory=list[tuple[int, str, str]])
    """Number, conversation and text of each message that arrived."""
    gaps: int = 0
    up_to: int = 0
    """Every message of its owner's up to this number had its time to arrive."""
    listed: dict[str, int] | None = None
    """Its conversations at the end, and how many messages each has."""


@attrs.frozen
class Value:
    """A value that was to be stored, and whether it was seen in the database."""

    value: str
    stored: bool


@attrs.define(eq=False)
class Seen:
    """All lines of a run together."""

    lives: dict[str, Life] = attrs.field(factory=dict[str, Life])
    replies: dict[int, tuple[str, str]] = attrs.field(factory=dict[int, tuple[str, str]])
    """Owner and text of what an agent wrote, by number."""
    identified: list[tuple[str, str, int | None]] = attrs.field(
        factory=list[tuple[str, str, int | None]]
    )
    """Visitor and user of each identify that was answered, and how many conversations it moved."""
    values: dict[tuple[str, str], list[Value]] = attrs.field(
        factory=dict[tuple[str, str], list[Value]]
    )
    complaints: list[str] = attrs.field(factory=list[str])
    done: list[tuple[str, Kind, float, float]] = attrs.field(
        factory=list[tuple[str, Kind, float, float]]
    )
    """Sitting, kind, begin and end of each call that succeeded."""
    outages: dict[str, list[tuple[float, float]]] = attrs.field(
        factory=dict[str, list[tuple[float, float]]]
    )
    """By sitting: from each kill until the backend was back."""
    memory: dict[str, list[tuple[float, float]]] = attrs.field(
        factory=dict[str, list[tuple[float, float]]]
    )
    """By process: age in seconds, and resident memory in MiB."""
    played: dict[str, float] = attrs.field(factory=lambda: {"faults": 0.0, "calm": 0.0})
    """Seconds of all sittings, of `faults` and of the `calm` after them."""

    def unknown(self) -> int:
        """How many messages have an end that nobody knows."""
        return sum(
            not sent.numbers and not sent.refused
            for life in self.lives.values()
            for sent in life.sent.values()
        )

    def succeeded(self) -> tuple[Counter[str], Counter[str]]:
        """For each kind, how many calls succeeded while faults were on (from the first kill of a
        sitting until the last time that the backend came back), and how many of those were under
        way while it was dead.
        """
        during: Counter[str] = Counter()
        across: Counter[str] = Counter()
        for sitting, kind, began, ended in self.done:
            outages = self.outages.get(sitting, [])
            if outages and outages[0][0] <= ended <= outages[-1][1]:
                during[kind] += 1
                across[kind] += any(began <= back and ended >= dead for dead, back in outages)
        return during, across


def lines(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every line with the sitting that it belongs to; the last of a file may be cut off."""
    for path in sorted((folder / FOLDER).glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield path.stem.partition("-")[0], json.loads(line)


def read(folder: Path) -> Seen:
    """What the files say."""
    seen = Seen()
    for sitting, line in lines(folder):
        _take(seen, sitting, line)
    return seen


def _take(seen: Seen, sitting: str, line: Mapping[str, Any]) -> None:
    life = seen.lives.setdefault(line["life"], Life()) if "life" in line else Life()
    match line["what"]:
        case "is":
            life.owners.append((line["owner"], line["after"]))
        case "sending":
            life.sent[line["id"]] = Sent(line["text"], line["owner"])
        case "sent":
            life.sent[line["id"]].numbers.append(line["number"])
        case "refused":
            life.sent[line["id"]].refused = True
        case "got":
            life.got.append((line["number"], line["conversation"], line["text"]))
        case "gap":
            life.gaps += 1
        case "end":
            life.up_to = line["up_to"]
        case "listed":
            life.listed = line["conversations"]
        case "identified":
            seen.identified.append((line["visitor"], line["user"], line["moved"]))
        case "setting":
            values = seen.values.setdefault((line["owner"], line["path"]), [])
            values.append(Value(line["value"], stored=False))
        case "set":
            seen.values[line["owner"], line["path"]][-1] = Value(line["value"], stored=True)
        case "did":
            seen.done.append((sitting, line["kind"], line["began"], line["at"]))
        case "reply":
            seen.replies[line["number"]] = (line["owner"], line["text"])
        case "outage":
            seen.outages.setdefault(sitting, []).append((line["dead"], line["back"]))
        case "memory":
            process = seen.memory.setdefault(f"{sitting}/{line['process']}", [])
            process.append((line["age"], line["mib"]))
        case "played":
            seen.played[line["phase"]] = seen.played.get(line["phase"], 0.0) + line["seconds"]
        case "complaint":
            seen.complaints.append(line["text"])
        case _:
            pass
