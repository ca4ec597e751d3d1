"""How the requests of stepped tabs are done, on the models: each at one instant."""

from __future__ import annotations

from typing import Any, Final

from ...engine import Request
from ...errors import TokenProviderError, TokenRefusedError
from ...lifecycle import requests as r
from ...ports import MarkRead, Outgoing
from ..doubles.tokens import unsigned_token
from .model import Line, ModelBackend, lost
from .stepping import Minted, SteppedTab

STORAGE: Final = (r.CheckStorage, r.CheckVisitor, r.CreateVisitor, r.MendVisitor, r.Clear)
"""What is asked of a storage."""
ON_LINKS: Final = (r.Identify, r.Update, r.Renew, r.SendMessage, r.UseLink)
"""What is asked of an open link."""


def perform(backend: ModelBackend, tab: SteppedTab, request: Request, *, well: bool) -> Any:
    """Does what a tab asks for; returns what an adapter returns, a `Line` for a dial, and raises
    what it raises. `well`: no token provider fails any more.
    """
    payload = request.payload
    line = tab.lines.get(request.link or 0)
    match payload:
        case r.FetchToken(Minted() as provider):
            return _token(backend, provider, well=well)
        case r.Dial(credentials):
            return backend.dial(credentials, remembers=tab.remembers)
        case r.Part(session):
            if session is not None:
                backend.revoke(session)
            if line is not None:
                line.close()
            return None
        case r.Revoke(session):
            return backend.revoke(session)
        case r.EndVisitor(_, _, visitor):
            return backend.end_visitor(visitor)
        case r.Release():
            return None
        case _ if isinstance(payload, STORAGE):
            return _stored(backend, tab.witness.scope, payload)
        case _:
            if line is None or not line.open:
                raise lost()
            return _asked(backend, line, payload)


def _stored(backend: ModelBackend, scope: str, payload: Any) -> Any:
    stored = backend.storages.setdefault(scope, {})
    match payload:
        case r.CreateVisitor(key):
            return stored.setdefault(key, _secret(backend))
        case r.MendVisitor(key):
            removed = stored.pop(key, None)
            return stored.setdefault(key, payload.mended(removed) or _secret(backend))
        case r.Clear(prefix, visitor, keep):
            cleared = [key for key in stored if key.startswith(prefix) and key != keep]
            return {key: stored.pop(key) for key in cleared}.get(visitor)
        case _:
            return stored.get(payload.key)


def _asked(backend: ModelBackend, line: Line, payload: Any) -> Any:
    session = line.session
    match payload:
        case r.Identify(asked):
            return backend.identify(session, asked)
        case r.Update(changes, owner):
            return backend.update(session, changes, owner)
        case r.Renew(token):
            return backend.renew(session, token)
        case r.SendMessage(MarkRead() as mark):
            return backend.mark_read(session, mark)
        case r.SendMessage(Outgoing() as message):
            return backend.send(session, message)
        case _:
            return backend.conversations(session, payload.use.owner)


def _token(backend: ModelBackend, provider: Minted, *, well: bool) -> str:
    if provider.tokens == "failing" and not well:
        raise TokenProviderError("Nobody mints tokens now.")
    if provider.tokens == "refusing" and not well:
        raise TokenRefusedError("This user gets none.")
    return unsigned_token(sub=provider.user, iat=0, exp=3600, jti=backend.mint("token"))


def _secret(backend: ModelBackend) -> str:
    return backend.mint("a-secret-of-some-visitor")
