"""Values of the wire for hypothesis: any payload and frame, made from what its type says of itself,
and the values of the ports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from support_chat.ports import (
    Claim,
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    LinkEvent,
    MessageArrived,
    Outgoing,
    OwnerChanged,
    ReadUpTo,
    SessionRevoked,
    TokenExpired,
    Welcome,
)
from support_chat.values import About, Agent, Conversation, Message
from support_chat_adapters.transport.wire import frames, payloads

ALPHABET: Final = st.characters(exclude_categories=["Cs"])
JSON_VALUES: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(ALPHABET),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(ALPHABET), inner, max_size=3)
    ),
    max_leaves=6,
)
PAYLOADS: Final[list[type[msgspec.Struct]]] = [
    kind
    for module in (payloads, frames)
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, payloads.Payload)
    and kind is not payloads.Payload
    and kind.__module__ == module.__name__
]
"""Every payload and every frame."""


def instances(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any value of a payload's type."""
    return _any(inspect.type_info(kind))


def _any(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.Metadata(type=inner):
            return _any(inner)
        case inspect.StructType(cls=cls, fields=fields):
            required = {field.name: _any(field.type) for field in fields if field.required}
            optional = {field.name: _any(field.type) for field in fields if not field.required}
            make: Callable[..., Any] = cls
            return st.fixed_dictionaries(required, optional=optional).map(
                lambda given: make(**given)
            )
        case inspect.StrType(min_length=least, max_length=most):
            return st.text(
                ALPHABET, min_size=least or 0, max_size=min(most or 40, (least or 0) + 40)
            )
        case inspect.IntType(ge=least):
            return st.integers(least or 0, 2**53)
        case inspect.FloatType():
            return st.floats(0, 1e12)
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.UnionType(types=types):
            return st.one_of(*[_any(one) for one in types])
        case inspect.VarTupleType(item_type=item):
            return st.lists(_any(item), max_size=3).map(tuple)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_any(key), _any(value), max_size=3)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.AnyType():
            return JSON_VALUES
        case _:
            raise NotImplementedError(info)


def texts(least: int = 0, most: int = 40) -> st.SearchStrategy[str]:
    """Text that UTF-8 can carry."""
    return st.text(ALPHABET, min_size=least, max_size=most)


ids: Final = texts(1)
secrets: Final = texts(22)
changes: Final = st.dictionaries(texts(1), JSON_VALUES, max_size=3)
claims: Final = st.builds(Claim, ids, ids)
rejections: Final = st.lists(st.tuples(texts(), texts()), max_size=3).map(tuple)
identify_answers: Final = st.builds(
    IdentifyAnswer,
    ids,
    st.booleans(),
    st.integers(0, 99),
    st.sampled_from(
        [
            None,
            "already_signed_in",
            "merged_into_another_user",
            "merge_forbidden",
            "nothing_to_merge",
        ]
    ),
    rejections,
    st.none() | st.integers(0, 99),
    st.none() | texts(1),
)
credentials: Final = st.builds(
    Credentials,
    ids,
    ids,
    secrets,
    session=st.none() | ids,
    user_id=st.none(),
    claim=st.none() | claims,
    cursor=st.none() | texts(),
) | st.builds(
    Credentials,
    ids,
    ids,
    secrets,
    session=st.none() | ids,
    user_id=ids,
    token=st.none() | texts(1),
    claim=st.none() | claims,
)
identify_requests: Final = st.builds(
    IdentifyRequest,
    ids,
    ids,
    secrets,
    st.none() | texts(1),
    visitor_changes=changes,
    user_changes=changes,
)
welcomes: Final = st.builds(
    Welcome,
    ids,
    st.none() | ids,
    st.none() | ids,
    st.none() | identify_answers,
    st.none() | texts(),
    st.booleans(),
    st.none() | st.integers(0, 99),
    st.booleans(),
)
messages: Final = st.builds(
    Message,
    ids,
    ids,
    st.sampled_from(["visitor", "user", "agent"]),
    texts(),
    st.floats(0, 1e12),
    st.none() | ids,
    st.none() | st.builds(Agent, ids, st.none() | texts()),
)
abouts: Final = st.builds(
    About,
    subject=st.none() | texts(),
    tags=st.lists(texts(), max_size=3).map(tuple),
    custom_fields=changes,
    metadata=changes,
)
conversations: Final = st.builds(
    Conversation,
    ids,
    st.none() | st.integers(0, 99),
    st.none() | st.integers(0, 99),
    st.floats(0, 1e12),
    abouts,
)
beginnings: Final = st.builds(Outgoing, ids, texts(1), about=abouts)
"""Messages that begin a conversation."""
link_events: Final[st.SearchStrategy[LinkEvent]] = st.one_of(
    st.builds(MessageArrived, messages, texts(), st.none() | st.integers(0, 99), st.booleans()),
    st.builds(ReadUpTo, ids, ids, st.none() | st.integers(0, 99)),
    st.builds(OwnerChanged),
    st.builds(TokenExpired),
    st.builds(SessionRevoked, texts()),
)
