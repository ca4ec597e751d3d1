"""What Schemathesis is told of a served backend that no OpenAPI document says: where sessions come
from, and that it must not wait.

`SCHEMATHESIS_HOOKS=schemathesis_hooks` loads it; `SERVED_URL` is the backend, `SERVED_KEY_FILE`
what it verifies tokens with.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import httpx2
import schemathesis

from served import WIDGET, WORKSPACE
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.backend.server.key_file import identity_secret

Case: TypeAlias = Any
"""A request of Schemathesis; its own type says nothing of what is in it."""
_WAIT = 0.05
_VISITOR = secrets.token_urlsafe(24)
_CLIENT = httpx2.Client(base_url=os.environ["SERVED_URL"], timeout=60)


def _token(user_id: str) -> str:
    secret = identity_secret(Path(os.environ["SERVED_KEY_FILE"]))
    return sign_identity_token(
        user_id, secret, workspace_id=WORKSPACE, widget_id=WIDGET, lifetime=900
    )


def _is(case: Case, operation: str) -> bool:
    return bool(case.operation.definition.raw.get("operationId") == operation)


def _retired_by(case: Case) -> str:
    return f"{_VISITOR}-{case.id}"


class Session:
    """A session of its own for each request, since one of the requests ends it; all of one visitor,
    so that all see the same.

    An identify retires the visitor that it merges, so it has one of its own; a refresh is a user's.
    """

    def get(self, case: Case, context: schemathesis.AuthContext, /) -> str:
        """Opens it."""
        opening: dict[str, Any] = {
            "workspaceId": WORKSPACE,
            "widgetId": WIDGET,
            "visitor": _VISITOR,
        }
        if _is(case, "identify"):
            opening["visitor"] = _retired_by(case)
        if _is(case, "refresh"):
            opening["identity"] = {"userId": "ada", "token": _token("ada")}
        answer = _CLIENT.post("/widget/v1/sessions/anonymous", json=opening).raise_for_status()
        return str(answer.json()["session"])

    def set(self, case: Case, data: str, context: schemathesis.AuthContext, /) -> None:
        """Presents it."""
        case.headers.update({"Authorization": f"Bearer {data}"})


def _carried(value: Any) -> Any:
    """The same JSON without NUL, which no schema of any JSON forbids."""
    if isinstance(value, str):
        return value.replace("\0", "0")
    if isinstance(value, list):
        return [_carried(each) for each in cast("Sequence[object]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {_carried(name): _carried(each) for name, each in pairs}
    return value


def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Puts what is valid and cannot be guessed in the place of what is valid and was: a token that
    is signed, and a short wait.
    """
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    headers = case.headers
    if "Chat-Owner" in headers and ":" not in headers["Chat-Owner"]:
        headers["Chat-Owner"] = "user:nobody"  # a header's pattern is not heeded everywhere
    query = cast("dict[str, Any]", case.query)
    sent: object = case.body
    body = cast("dict[str, Any]", sent) if isinstance(sent, dict) else None
    if _is(case, "poll") and float(query.get("wait", 0)) > _WAIT:
        query["wait"] = _WAIT
    if _is(case, "refresh") and body is not None:
        body["token"] = _token("ada")
    if _is(case, "identify") and body is not None:
        body |= {"userId": "grace", "token": _token("grace"), "visitor": _retired_by(case)}
    if _is(case, "getConfig"):
        query |= {"workspace_id": WORKSPACE, "widget_id": WIDGET}
    if (_is(case, "openSession") or _is(case, "endVisitor")) and body is not None:
        body |= {"workspaceId": WORKSPACE, "widgetId": WIDGET}
    if body is not None:
        case.body = _carried(body)


_told: Any = schemathesis
_told.auth(refresh_interval=None)(Session)
_told.hook(before_call)
