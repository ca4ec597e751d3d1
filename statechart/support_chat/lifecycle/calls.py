"""What a call brings along, what it returns, and what users call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from ..engine import Moment
from ..ports import MarkRead, Outgoing, TokenProvider, Use
from ..values import JSON, Changes, IdentifyResult
from .context import Context, identified, identity
from .delays import leaves_in
from .names import Trigger


@attrs.frozen
class Arguments:
    """The arguments of a call, checked. `timeout` is in seconds, None for the one in Settings;
    `fallback` is the session's own token provider, `use` what is asked of the link, `message` what
    is sent, a read mark too, and `queue` whether it may wait for a link; `thread` names the
    conversation that the first of several messages is to begin.
    """

    user_id: str | None = None
    changes: Changes = attrs.field(factory=dict[str, JSON], repr=False)
    provider: TokenProvider | None = attrs.field(default=None, repr=False)
    fallback: TokenProvider | None = attrs.field(default=None, repr=False)
    timeout: float | None = None
    clear_storage: bool = False
    use: Use | None = None
    message: Outgoing | MarkRead | None = None
    queue: bool = True
    thread: str | None = None


def called(trigger: str, arguments: Arguments | None) -> str:
    """What users call the call that this trigger stands for."""
    asked = arguments and (arguments.use or arguments.message)
    return asked.call if asked else trigger


def _identify_result(context: Context, moment: Moment) -> IdentifyResult:
    answer = identified(moment)
    if answer is None:
        return IdentifyResult(False, 0, "already_signed_in")
    return IdentifyResult(answer.merged, answer.conversations_moved, answer.not_merged_because)


RESULTS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        Trigger.BOOT: identity,
        Trigger.BECOME: identity,
        Trigger.IDENTIFY: _identify_result,
        Trigger.UPDATE: leaves_in,
    }
)
"""What a call returns when it succeeds, by its trigger; every other one returns None."""
