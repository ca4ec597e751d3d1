"""The log of one session: every line of it names the session, and what an adapter does against its
port is told once, with its traceback.

No line holds a secret. So of an error that is not ours only its class and its traceback are told:
the text of a `KeyError` may be the token that a cache did not know.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any, Final

from ..chart.model import Ask
from ..engine import Reaction
from ..errors import SupportChatError
from ..lifecycle.requests import Keys

_LEFT_OUT: Final = "its text is left out, since it may hold a secret"
_LONGEST: Final = 20
"""At most so many errors of a chain are told."""


class SessionLog(logging.LoggerAdapter[logging.Logger]):
    """Writes to the logger `support_chat`. Each line begins with the `label` of its session, which
    is the attribute `session` of the record, too.

    The label is the workspace, the widget, the scope, and a few random digits that tell sessions of
    one scope apart.
    """

    def __init__(self, keys: Keys) -> None:
        where = f"{keys.workspace_id}/{keys.widget_id}/{keys.scope}"
        self.digits = secrets.token_hex(2)
        self.label = f"{where}#{self.digits}"
        super().__init__(logging.getLogger("support_chat"), {"session": self.label})
        self._told: set[str] = set()

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Writes one line."""
        # the label is an argument, since a scope may hold what a format takes for its own
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, f"%s: {msg}", self.label, *args, **kwargs)

    def step(self, reaction: Reaction, came: BaseException | None) -> None:
        """A line for each row that fired, with the last failure: the one that came, or the trouble
        that lasts.
        """
        failure = came or reaction.snapshot.context.trouble
        for fired in reaction.fired:
            self.debug(
                "%s --%s--> %s by %s%s",
                fired.phase,
                fired.trigger,
                fired.row.target or fired.phase,
                fired.row.name,
                "" if failure is None else f" ({_in_short(failure)})",
                stacklevel=2,
            )

    def failed(self, spec: object, error: BaseException) -> None:
        """An adapter raised an error when it was asked for this effect (None: to revoke a session
        that nobody waits for). It is told unless its port knows it, or it is the program's.
        """
        blame = spec.blame if isinstance(spec, Ask) else None
        allowed = SupportChatError if blame is None else blame.allowed
        if isinstance(error, allowed) and spec is None:
            self.info("a superseded session could not be revoked: %s", _in_short(error))
        elif not isinstance(error, (allowed, KeyboardInterrupt, SystemExit)):
            who = "An adapter" if blame is None else blame.who
            work = spec.doc if isinstance(spec, Ask) else "revoke a superseded session"
            raised = f"raised {type(error).__name__}, which is no error of its port"
            self.fault(f"{who} {raised}, when it was asked to {work}", error)

    def fault(self, what: str, error: BaseException) -> None:
        """An adapter did `what`, and no port allows the error: a warning with its traceback. After
        the first of its kind they are for DEBUG: what fails once fails at each attempt.
        """
        kind = f"{what}: {type(error).__qualname__}"
        level = logging.DEBUG if kind in self._told else logging.WARNING
        self._told.add(kind)
        trace = (type(error), _without_text(error), error.__traceback__)
        self.log(level, "%s", what, exc_info=trace, stacklevel=2)


def _in_short(error: BaseException) -> str:
    """An error in a line: its class, and the sentence of one of ours."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, SupportChatError) else name


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, SupportChatError) else _LEFT_OUT


def _without_text(error: BaseException, left: int = _LONGEST) -> BaseException:
    """One that a traceback shows as it shows this one and what caused it, without foreign texts."""
    kind = type(error)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    shown: BaseException = type(kind.__name__, (Exception,), names)(_text(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and left:
        shown.__cause__ = _without_text(before, left - 1)
    return shown.with_traceback(error.__traceback__)
