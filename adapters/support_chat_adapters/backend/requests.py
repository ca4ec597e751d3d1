"""What no request may hold, whichever transport brings it: ids that are none, text that UTF-8 and
JSON cannot carry, JSON that is none.

The rules are those that the client keeps (`support_chat.values`): what it lets through is stored as
it is, character for character, and what it refuses is refused here, too.
"""

from __future__ import annotations

from typing import Final, cast

import attrs

from support_chat.errors import BackendRejectedError, InvalidInputError
from support_chat.ports import Claim, Credentials, IdentifyRequest, Outgoing
from support_chat.values import About, check_id, check_text, is_json

_COMPARED: Final = ("workspace_id", "widget_id", "visitor", "session", "token", "cursor", "owner")
_LEFT_OUT: Final = (*_COMPARED, "visitor_changes", "user_changes")


def check_request(request: Credentials | IdentifyRequest | Outgoing) -> None:
    """Raises BackendRejectedError (`validation_error`) for a request that no backend can store.

    What is only compared, such as a secret, is looked at by who compares it, and changes by
    `profiles`, which rejects each path by itself.
    """
    try:
        _check(request)
    except InvalidInputError as error:
        raise BackendRejectedError(error.message, code="validation_error") from None


def _check(value: attrs.AttrsInstance) -> None:
    for field in attrs.fields(type(value)):
        name, item = field.name, getattr(value, field.name)
        if item is None or name in _LEFT_OUT:
            continue
        if name.endswith("_id"):
            check_id(name, item)
        elif isinstance(item, About | Claim):
            _check(item)
        elif isinstance(item, tuple):
            for text in cast("tuple[object, ...]", item):
                check_text(name, text)
        elif isinstance(item, str):
            check_text(name, item)
        elif not is_json(item):
            raise InvalidInputError(f"{name} is no JSON, or is nested too deep; convert it first.")
