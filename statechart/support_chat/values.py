"""The values a caller passes in and gets back: who is who, and what came of it.

All are frozen. A `repr` shows ids only, since traits are personal data and end up in logs. Mappings
of the same keys are accepted wherever a `User` or a `Company` is, so that a frontend may pass on
the JSON it has.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypedDict, cast

import attrs

from .errors import InvalidInputError

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
"""What JSON can hold: the type of a trait or of a context value."""

Changes: TypeAlias = Mapping[str, JSON]
"""A flat update: dotted path (`user.email`, `user.traits.role`, `company.plan`, `context.page`) to
value; None erases.
"""

MAX_ID_LENGTH: Final = 255
"""Longest user, company, workspace, widget or scope id, in characters."""
MAX_TRAITS_BYTES: Final = 16 * 1024
"""Largest user, company or context mapping, in bytes of its JSON."""
MAX_DEPTH: Final = 100
"""How deep JSON may be nested: readers of it recurse, and have limits of their own."""
_LARGEST_INT: Final = 10**1000
"""Python reads and writes no number of more than 4,300 digits."""
_NOT_CARRIED: Final = re.compile("[\0\ud800-\udfff]")
_CONTROL: Final = re.compile("[\0-\x1f\x7f-\x9f]")


class Unset(enum.Enum):
    """The type of `UNSET`, so that `email: str | None | Unset` can be told apart by a type
    checker.
    """

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""'Not given': an attribute that is UNSET is not sent, one that is None is erased."""


def _checked_id(_: object, attribute: attrs.Attribute[str], value: object) -> None:
    check_id(f"{attribute.name}", value)


def can_be_carried(text: str) -> bool:
    """Whether UTF-8 and JSON can carry the text: it holds no half of a surrogate pair and no NUL.

    What they can carry is kept character for character: nothing is trimmed or normalised.
    """
    return _NOT_CARRIED.search(text) is None


def check_text(name: str, value: object) -> str:
    """Returns `value` if it is a str that can be carried, else raises InvalidInputError (the value
    is not shown).
    """
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be a str, not {type(value).__name__}.")
    if not can_be_carried(value):
        raise InvalidInputError(
            f"{name} holds half of a character (a lone surrogate) or a NUL, which UTF-8 and JSON "
            "cannot carry; pass clean text."
        )
    return value


def check_id(name: str, value: object) -> str:
    """Returns `value` if it can be an id, else raises InvalidInputError.

    An id is a non-empty str of at most 255 characters that can be carried, without control
    characters and without blanks at its ends.
    """
    if not isinstance(value, str):
        raise InvalidInputError(
            f"{name} must be a str, not {type(value).__name__}; pass the id as a string."
        )
    if not value.strip():
        raise InvalidInputError(f"{name} is empty; pass the id that your own system knows this by.")
    if len(value) > MAX_ID_LENGTH:
        raise InvalidInputError(
            f"{name} has {len(value)} characters; at most {MAX_ID_LENGTH} are allowed."
        )
    check_text(name, value)
    if value != value.strip() or _CONTROL.search(value):
        raise InvalidInputError(
            f"{name} begins or ends with a blank, or holds a control character; pass the id alone."
        )
    return value


def check_json(name: str, value: Mapping[str, object]) -> None:
    """Raises InvalidInputError unless `value` is a mapping of str to JSON of at most 16 KiB, nested
    at most 100 deep (the value is not shown).
    """
    if not isinstance(value, Mapping):
        raise InvalidInputError(
            f"{name} must be a mapping of names to JSON values, not {type(value).__name__}."
        )
    size = 0
    for key, item in value.items():
        if not isinstance(key, str) or not key:
            raise InvalidInputError(
                f"{name} has a key that is not a non-empty str; name every trait with a string."
            )
        if not is_json({key: item}):
            raise InvalidInputError(
                f"{name}[{key!r}] is not JSON (str, int, finite float, bool, None, list, dict with "
                f"str keys, nested at most {MAX_DEPTH} deep, text without NUL and half "
                "characters); convert it first."
            )
        size += len(json.dumps({key: item}, ensure_ascii=False).encode())
    if size > MAX_TRAITS_BYTES:
        raise InvalidInputError(
            f"{name} takes {size} bytes as JSON; at most {MAX_TRAITS_BYTES} are allowed."
        )


def is_json(value: object, depth: int = MAX_DEPTH) -> bool:
    """Whether JSON can hold the value as it is, `depth` levels deep at most: every key is a str,
    every text can be carried, every number is finite.
    """
    match value:
        case str():
            return can_be_carried(value)
        case int():
            return -_LARGEST_INT < value < _LARGEST_INT
        case float():
            return math.isfinite(value)
        case dict():
            members = cast("dict[object, object]", value).items()
            return depth > 0 and all(
                isinstance(key, str) and can_be_carried(key) and is_json(item, depth - 1)
                for key, item in members
            )
        case list() | tuple():
            items = cast("Sequence[object]", value)
            return depth > 0 and all(is_json(item, depth - 1) for item in items)
        case _:
            return value is None


def _frozen_traits(value: Mapping[str, JSON] | None) -> Mapping[str, JSON]:
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else value


def _checked_traits(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    check_json(f"{type(instance).__name__}.{attribute.name}", value)


def _checked_text(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not UNSET and value is not None and not isinstance(value, str):
        raise InvalidInputError(
            f"{type(instance).__name__}.{attribute.name} must be a str or None."
        )
    check_json(f"{type(instance).__name__}", {attribute.name: None if value is UNSET else value})


@attrs.frozen
class User:
    """A user of yours, as boot(), identify() and update() take it: `id` is who it is, the rest
    describes them.

    `email`, `name`: text, None erases, UNSET leaves as it is. `traits`: names to JSON values, at
    most 16 KiB; None is none. Raises InvalidInputError for an id that is not a non-empty str of at
    most 255 characters, or traits that are not JSON.
    """

    id: str = attrs.field(validator=_checked_id)
    email: str | Unset | None = attrs.field(
        default=UNSET, kw_only=True, repr=False, validator=_checked_text
    )
    name: str | Unset | None = attrs.field(
        default=UNSET, kw_only=True, repr=False, validator=_checked_text
    )
    traits: Mapping[str, JSON] = attrs.field(
        factory=dict,
        kw_only=True,
        repr=False,
        converter=_frozen_traits,
        validator=_checked_traits,
        hash=False,
    )


@attrs.frozen
class Company:
    """The company a user acts for: `id` is which one it is, `name`, `plan` and `traits` describe
    it; rules as `User`.
    """

    id: str = attrs.field(validator=_checked_id)
    name: str | Unset | None = attrs.field(
        default=UNSET, kw_only=True, repr=False, validator=_checked_text
    )
    plan: str | Unset | None = attrs.field(
        default=UNSET, kw_only=True, repr=False, validator=_checked_text
    )
    traits: Mapping[str, JSON] = attrs.field(
        factory=dict,
        kw_only=True,
        repr=False,
        converter=_frozen_traits,
        validator=_checked_traits,
        hash=False,
    )


class UserDict(TypedDict, total=False):
    """The keys of a mapping that may stand for a `User` (`id` is required where a user is
    named).
    """

    id: str
    email: str | None
    name: str | None
    traits: Mapping[str, JSON] | None


class CompanyDict(TypedDict, total=False):
    """The keys of a mapping that may stand for a `Company`."""

    id: str
    name: str | None
    plan: str | None
    traits: Mapping[str, JSON] | None


@attrs.frozen
class Visitor:
    """Somebody without a sign-in, known to the backend as `id` (which is no secret: the credential
    is not in here).
    """

    id: str

    def __str__(self) -> str:
        return self.id


@attrs.frozen
class SignedIn:
    """A user the backend has accepted, by the id that your own system gave them."""

    user_id: str

    def __str__(self) -> str:
        return self.user_id


Identity: TypeAlias = "Visitor | SignedIn"
"""Who a live session belongs to."""

NotMergedBecause: TypeAlias = Literal[
    "already_signed_in", "merged_into_another_user", "merge_forbidden", "nothing_to_merge"
]
"""Why an identify() signed the user in without moving the visitor's conversations."""


@attrs.frozen
class IdentifyResult:
    """What identify() did: whether the visitor became the user, how many conversations moved, and
    if not, why.
    """

    merged: bool
    conversations_moved: int = 0
    not_merged_because: NotMergedBecause | None = None


@attrs.frozen
class Agent:
    """Who has answered: an id of the helpdesk's own, and the name to be shown."""

    id: str
    name: str | None = None


@attrs.frozen
class Message:
    """A message of a conversation; `author` is `visitor`, `user` or `agent`, `created_at` seconds
    since the epoch. `agent` says which agent, where the backend tells.
    """

    id: str
    conversation_id: str
    author: str
    text: str = attrs.field(repr=False)
    created_at: float
    client_message_id: str | None = None
    agent: Agent | None = None


@attrs.frozen(kw_only=True)
class About:
    """What a frontend says of a conversation when it begins one: a subject, tags, and JSON of its
    own; personal data, so not shown.
    """

    subject: str | None = attrs.field(default=None, repr=False)
    tags: tuple[str, ...] = attrs.field(default=(), repr=False)
    custom_fields: Changes = attrs.field(factory=dict[str, JSON], repr=False, hash=False)
    metadata: Changes = attrs.field(factory=dict[str, JSON], repr=False, hash=False)


NOTHING_SAID: Final = About()
"""Of a conversation that began with its message alone."""


@attrs.frozen
class Conversation:
    """A conversation of the session's identity: how many messages it holds and how many of the
    agents' are unread; None where the backend does not count.
    """

    id: str
    messages: int | None
    unread: int | None
    created_at: float
    """Seconds since the epoch."""
    about: About = NOTHING_SAID
    """What was said of it when it began."""
