"""Turns what callers pass in into the flat, checked form that the book records: what is wrong is
found on the line of the call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

import attrs

from .errors import InvalidInputError
from .lifecycle.occasion import Asked
from .ports import Outgoing, TokenProvider
from .values import (
    MAX_ID_LENGTH,
    NOTHING_SAID,
    UNSET,
    About,
    Changes,
    Company,
    CompanyDict,
    User,
    UserDict,
    check_id,
    check_json,
)

UserLike: TypeAlias = "User | UserDict | Mapping[str, Any]"
"""A `User`, or a mapping of its keys."""
CompanyLike: TypeAlias = "Company | CompanyDict | Mapping[str, Any]"
"""A `Company`, or a mapping of its keys."""

# stands for the id that an update may leave out, while the rest of the mapping is checked
_ANYBODY: Final = "-"
MAX_TEXT: Final = 16 * 1024
"""Longest message, in characters."""
MAX_TAGS: Final = 64
"""Most tags of a conversation."""

Kind = TypeVar("Kind", User, Company)


def asked_to_boot(
    user: UserLike | None,
    company: CompanyLike | None,
    provider: TokenProvider | None,
    fallback: TokenProvider | None,
    timeout: float | None,
) -> Asked:
    """The arguments of boot() and identify(). Raises InvalidInputError."""
    named = None if user is None else _as(User, "user", user)
    if provider is not None and not callable(provider):
        raise InvalidInputError(
            "token_provider must be callable without arguments; wrap a fixed token in StaticToken."
        )
    if provider is not None and named is None:
        raise InvalidInputError(
            "token_provider needs the user whose tokens it provides; pass user=..., or leave it "
            "out."
        )
    return Asked(
        user_id=named.id if named else None,
        changes=_own({**_user_changes(named), **_company_changes(company)}),
        provider=provider,
        fallback=fallback if named else None,
        timeout=_seconds(timeout),
    )


def asked_to_update(
    user: UserLike | None, company: CompanyLike | None, context: Mapping[str, Any] | None
) -> Asked:
    """The arguments of update(). Raises InvalidInputError, also when there is nothing to update."""
    if user is None and company is None and context is None:
        raise InvalidInputError("update() has nothing to update; pass user=, company= or context=.")
    named, user_id = None, None
    if user is not None:
        if isinstance(user, Mapping) and "id" not in user:
            named = _as(User, "user", {**user, "id": _ANYBODY})
        else:
            named = _as(User, "user", user)
            user_id = named.id
    if context is not None:
        check_json("context", context)
    paths = {f"context.{key}": value for key, value in (context or {}).items()}
    return Asked(
        user_id=user_id,
        changes=_own({**_user_changes(named), **_company_changes(company), **paths}),
    )


def asked_to_send(
    text: str, conversation_id: str | None, client_message_id: str, about: About = NOTHING_SAID
) -> Asked:
    """The arguments of send_message() and start_conversation(). Raises InvalidInputError."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidInputError("text must be a str that is not blank; there is nothing to send.")
    if len(text) > MAX_TEXT:
        raise InvalidInputError(
            f"text has {len(text)} characters; at most {MAX_TEXT} are allowed. Send it in parts."
        )
    if conversation_id is not None:
        check_id("conversation_id", conversation_id)
    return Asked(
        use=Outgoing(check_id("client_message_id", client_message_id), text, conversation_id, about)
    )


def said_of(
    subject: str | None,
    tags: Iterable[str],
    custom_fields: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
) -> About:
    """What start_conversation() says of the conversation. Raises InvalidInputError."""
    if subject is not None and (not isinstance(subject, str) or len(subject) > MAX_ID_LENGTH):
        raise InvalidInputError(
            f"subject must be a str of at most {MAX_ID_LENGTH} characters, or None."
        )
    labels = () if isinstance(tags, str) else tuple(tags)
    if isinstance(tags, str) or len(labels) > MAX_TAGS:
        raise InvalidInputError(f"tags must be a list of at most {MAX_TAGS} texts.")
    for name, value in (("custom_fields", custom_fields), ("metadata", metadata)):
        if value is not None:
            check_json(name, value)
    return About(
        subject=subject,
        tags=tuple(check_id("tag", label) for label in labels),
        custom_fields=_own(custom_fields or {}),
        metadata=_own(metadata or {}),
    )


def _own(changes: Changes) -> Changes:
    """A copy that the caller cannot change afterwards."""
    copied: Changes = json.loads(json.dumps(changes))
    return copied


def _seconds(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 1e9:
        raise InvalidInputError(
            "timeout must be a positive number of seconds, or None for the one in Settings."
        )
    return float(timeout)


def _as(kind: type[Kind], name: str, value: Any) -> Kind:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise InvalidInputError(
            f"{name} must be a {kind.__name__} or a mapping of its keys, not "
            f"{type(value).__name__}."
        )
    given = cast("Mapping[str, Any]", value)
    known = [field.name for field in attrs.fields(kind)]
    for key in given:
        if key not in known:
            raise InvalidInputError(
                f"{name} has no key {key!r} (it has {', '.join(known)}): put it in traits."
            )
    if "id" not in given:
        raise InvalidInputError(
            f"{name} needs an id: the one that your own system knows this {name} by."
        )
    return kind(**given)


def _user_changes(user: User | None) -> Changes:
    if user is None:
        return {}
    given = {"user.email": user.email, "user.name": user.name}
    traits = {f"user.traits.{key}": value for key, value in user.traits.items()}
    return {**{path: value for path, value in given.items() if value is not UNSET}, **traits}


def _company_changes(company: CompanyLike | None) -> Changes:
    if company is None:
        return {}
    value = _as(Company, "company", company)
    given = {"company.id": value.id, "company.name": value.name, "company.plan": value.plan}
    traits = {f"company.traits.{key}": item for key, item in value.traits.items()}
    return {**{path: item for path, item in given.items() if item is not UNSET}, **traits}
