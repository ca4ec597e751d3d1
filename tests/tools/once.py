"""What costs seconds is made once a run: by the worker that needs it first, for all others."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from support_chat import CHART
from support_chat.verify.cases import Side, cases
from support_chat_adapters.diagrams.exported_cases import cases_to_json


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Any]) -> Any:
    """What `make` returns, made by one worker of this run; it must be something to pickle."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the run's, and not the worker's own
    path = folder / f"{name}.pickle"
    with open(folder / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            whole = path.with_suffix(".whole")
            whole.write_bytes(pickle.dumps(make()))
            whole.rename(path)  # whoever is killed before leaves nothing to read
    return pickle.loads(path.read_bytes())


@attrs.frozen
class ShippedCases:
    """The cases of the shipped chart as they are exported, and what is never seen in them."""

    text: str
    unseen: tuple[Side, ...]


@pytest.fixture(scope="session")
def shipped_cases(tmp_path_factory: pytest.TempPathFactory) -> ShippedCases:
    """The cases of the shipped chart."""

    def make() -> ShippedCases:
        found = cases(CHART)
        return ShippedCases(cases_to_json(found), tuple(found.unseen))

    made: ShippedCases = once(tmp_path_factory, "shipped_cases", make)
    return made
