"""What tabs share: what a judge may look at, and what whoever tries an adapter makes for it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from ...ports import Storage, Transport
from ...values import JSON, Identity, Message


@attrs.frozen
class Stored:
    """A message that the backend has, and whose it is by now."""

    owner: Identity
    message: Message


class Outside(Protocol):
    """What the backend and the storages have."""

    def stored(self) -> Sequence[Stored]:
        """Every message, in the backend's order."""
        ...

    def now(self, identity: Identity) -> Identity:
        """Who this is by now: the user a visitor has become, or the same."""
        ...

    def traits(self, identity: Identity) -> Mapping[str, JSON]:
        """What is known of somebody: dotted path to value."""
        ...

    def links(self) -> int:
        """How many links are open at the backend."""
        ...

    def sessions(self) -> int:
        """How many sessions the backend has that nobody has ended."""
        ...

    def contents(self, scope: str) -> Mapping[str, str]:
        """What is stored for a scope."""
        ...


@attrs.frozen
class Disturbance:
    """What goes wrong: its kind, and what it is, in words."""

    kind: str
    told: str


class World(Outside, Protocol):
    """The world of real sessions: whoever tries a backend, a transport or a storage makes one."""

    @property
    def users(self) -> Sequence[str]:
        """The ids of the users that there are."""
        ...

    @property
    def disturbed(self) -> bool:
        """Whether something is wrong now, or about to go wrong."""
        ...

    def transport(self) -> Transport:
        """A tab's way to the backend; it may fail until `heal()`."""
        ...

    def storage(self, scope: str) -> Storage:
        """A tab's way to what the tabs of a scope share; it may fail until `heal()`."""
        ...

    def token(self, user_id: str) -> str:
        """A fresh token of this user."""
        ...

    def disturb(self, choose: random.Random) -> Disturbance:
        """Something goes wrong now."""
        ...

    def heal(self) -> None:
        """Everything is well from now on."""
        ...

    def answer(self, identity: Identity, text: str) -> None:
        """An agent writes to somebody, if there is such a one."""
        ...
