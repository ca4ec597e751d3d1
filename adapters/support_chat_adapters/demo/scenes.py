"""The scenes in their order: what the demo does to a session, and under which title. They are one
story.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from . import scenes_meeting, scenes_trouble
from .stage import Stage


@attrs.frozen
class Scene:
    """A part of the demo: its title in plain words, and what is done."""

    title: str
    play: Callable[[Stage], Awaitable[None]]


SCENES: Final = (
    Scene("A visitor asks, and an agent answers", scenes_meeting.a_visitor_asks),
    Scene("Calls overlap, and each still has one answer", scenes_meeting.calls_overlap),
    Scene("The visitor signs in, and keeps the conversation", scenes_meeting.the_visitor_signs_in),
    Scene("Fifty updates become a handful of requests", scenes_meeting.fifty_updates),
    Scene("The link drops, and nothing is missed", scenes_trouble.the_link_drops),
    Scene("The token expires, and then it is refused", scenes_trouble.the_token_expires),
    Scene("Leaving: what is kept, and how nothing is", scenes_trouble.leaving_no_trace),
    Scene("A result comes too late, and changes nothing", scenes_trouble.a_result_comes_too_late),
    Scene("The end", scenes_trouble.the_end),
)
"""The demo."""
