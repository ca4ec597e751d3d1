"""What an import costs, in fresh interpreters."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from typing import Final

from .lines import AGAIN, Found, Goal, Line, Part, in_turns

OURS: Final = "import support_chat"
USED: Final = "from support_chat import SupportChat"
BARE: Final = "python -c pass"
BASE: Final = "import attrs, transitions, asyncio"
ADDED: Final = "added to it by SupportChat"
NAMED: Final = "added to it by the name of the package"
OTHERS: Final = {
    "import asyncio": "asyncio",
    "import transitions": "transitions",
    "from websockets.asyncio.client import connect": "websockets",
    "from statemachine import StateMachine": "statemachine",
    "from sismic.interpreter import Interpreter": "sismic",
}
_TIMED: Final = "import time; {}; print(time.process_time())"
_ADDED: Final = (
    "import attrs, transitions, asyncio, time; began = time.process_time(); {}; "
    "print(time.process_time() - began)"
)


def milliseconds(program: str, environment: Mapping[str, str]) -> float:
    """What the program prints, in milliseconds."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return float(done.stdout) * 1000


def measure(quick: bool) -> Found:
    """Each in an interpreter of its own, in turns, with compiled bytecode."""
    programs = {
        BARE: _TIMED.format("pass"),
        OURS: _TIMED.format(OURS),
        USED: _TIMED.format(USED),
        USED + AGAIN: _TIMED.format(USED),
        BASE: _TIMED.format(BASE),
        NAMED: _ADDED.format(OURS),
        ADDED: _ADDED.format(USED),
    }
    missing: dict[str, str] = {}
    for name, module in OTHERS.items():
        if importlib.util.find_spec(module) is None:
            missing[name] = "the libraries of the first part"
        else:
            programs[name] = _TIMED.format(name)
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        environment["PYTHONPYCACHEPREFIX"] = cache
        turns = {name: partial(milliseconds, text, environment) for name, text in programs.items()}
        return Found(in_turns(turns, 1 if quick else 15, before=0 if quick else 1), missing)


IMPORT: Final = Part(
    "import",
    "An import",
    "Processor time of a fresh interpreter, from its start to the end of the import. `import "
    "support_chat` alone loads next to nothing, since names are loaded when they are asked for; "
    "`from support_chat import SupportChat` is what a program does. What is *added* is counted in "
    "an interpreter that has attrs, transitions and asyncio already.",
    (
        Line("the noise", "ms", USED, USED + AGAIN),
        Line(OURS, "ms", OURS, BARE),
        Line(USED, "ms", USED, BARE),
        Line("beside what it stands on", "ms", USED, BASE),
        Line(OURS + ", over what it stands on", "ms", NAMED, goal=Goal(most=20, figure=True)),
        Line(
            USED + ", over what it stands on", "ms", ADDED,
            goal=Goal(
                most=20,
                figure=True,
                why="four fifths of it is attrs, which compiles the methods of 126 classes when "
                "they are made; the chart, built and checked, is a thirtieth",
            ),
        ),
        *(Line("beside another import", "ms", USED, name) for name in OTHERS),
    ),
    measure,
)  # fmt: skip
