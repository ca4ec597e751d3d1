"""update(): dotted paths stored for whom the session belongs to, each rejected or accepted by
itself.
"""

from __future__ import annotations

from typing import Any

import pytest

from support_chat.ports import Credentials
from support_chat.values import JSON, Identity, SignedIn, Visitor
from support_chat_adapters.backend import Backend, WidgetRules
from support_chat_adapters.backend.log import LONGEST_DETAIL, short

WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}


def backend() -> Backend:
    return Backend(**WIDGET, rules=WidgetRules(jwt_required_for_identified_users=False))


def open_as(b: Backend, user: str | None = None, secret: str = "secret-1") -> tuple[str, Identity]:
    welcome = b.open(Credentials(**WIDGET, visitor=secret, user_id=user)).welcome
    return welcome.session, Visitor(welcome.visitor_id or "") if user is None else SignedIn(user)


EVERY_KIND: dict[str, JSON] = {
    "user.email": "ann@example.com",
    "user.name": "Ann",
    "user.traits.role": ["admin", {"of": "shop"}],
    "user.traits.with.dots": 1,
    "company.name": "Acme",
    "company.plan": "pro",
    "company.id": "acme-gmbh",
    "company.traits.seats": 12,
    "context.page": "/pricing",
    "context.cart": {"total": 9.5, "empty": False},
}


@pytest.mark.parametrize("user", [None, "ann"])
def test_every_kind_of_path_is_stored_for_the_sessions_identity(user: str | None) -> None:
    with backend() as b:
        session, identity = open_as(b, user)
        assert b.update(session, EVERY_KIND).rejected == ()
        assert b.agent.traits(identity) == EVERY_KIND
        other, _ = open_as(b, "bob", "secret-2")
        b.update(other, {"user.name": "Bob", "company.id": "acme-gmbh", "company.name": "Not Acme"})
        assert b.agent.traits(identity) == EVERY_KIND, (
            "what somebody else says about the same company changes nothing here"
        )


def test_the_last_value_counts_and_none_erases() -> None:
    with backend() as b:
        session, identity = open_as(b)
        b.update(session, {"user.name": "A", "user.traits.x": 1, "context.page": "/"})
        b.update(session, {"user.name": "B", "user.traits.x": None, "context.never": None})
        assert b.agent.traits(identity) == {"user.name": "B", "context.page": "/"}


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("user.traits.", 1, "unknown_path"),
        ("user.plan", "pro", "unknown_path"),
        ("user", {}, "unknown_path"),
        ("company.email", "a@b", "unknown_path"),
        ("context.", 1, "unknown_path"),
        ("context", 1, "unknown_path"),
        ("", 1, "unknown_path"),
        ("session.role", "admin", "unknown_path"),
        ("user.email", 7, "not_text"),
        ("user.name", ["Ann"], "not_text"),
        ("company.id", "", "not_an_id"),
        ("company.id", 7, "not_an_id"),
        ("company.id", "x" * 256, "not_an_id"),
        ("company.name", "Acme", "company_unknown"),
        ("company.traits.seats", 12, "company_unknown"),
        ("user.id", "bob", "other_user"),
        ("user.id", None, "other_user"),
    ],
)
def test_a_wrong_path_is_rejected_by_itself_and_the_rest_is_stored(
    path: str, value: Any, reason: str
) -> None:
    with backend() as b:
        session, identity = open_as(b, "ann")
        answer = b.update(session, {"context.before": 1, path: value, "user.traits.after": 2})
        assert answer.rejected == ((path, reason),)
        assert b.agent.traits(identity) == {"context.before": 1, "user.traits.after": 2}


def test_naming_the_sessions_own_user_is_fine_and_changes_nothing() -> None:
    with backend() as b:
        session, identity = open_as(b, "ann")
        assert b.update(session, {"user.id": "ann"}).rejected == ()
        assert b.agent.traits(identity) == {}


def test_naming_another_company_forgets_the_description_of_the_former() -> None:
    with backend() as b:
        session, identity = open_as(b)
        b.update(session, {"company.id": "one", "company.plan": "pro", "company.traits.seats": 1})
        b.update(session, {"company.id": "one", "company.name": "One"})
        assert set(b.agent.traits(identity)) == {
            "company.id",
            "company.plan",
            "company.traits.seats",
            "company.name",
        }
        b.update(session, {"company.name": "Two", "company.id": "two"})
        assert b.agent.traits(identity) == {"company.id": "two", "company.name": "Two"}
        b.update(session, {"company.id": None})
        assert b.agent.traits(identity) == {}


def test_a_backend_may_reject_paths_on_principle() -> None:
    with backend() as b:
        session, identity = open_as(b)
        b.faults.reject_paths({"user.traits.x": "too_long"})
        assert b.update(session, {"user.traits.x": 1, "user.traits.y": 2}).rejected == (
            ("user.traits.x", "too_long"),
        )
        b.faults.heal()
        assert b.update(session, {"user.traits.x": 1}).rejected == ()
        assert b.agent.traits(identity) == {"user.traits.x": 1, "user.traits.y": 2}


def test_what_the_log_keeps_of_an_update_is_bounded_whatever_paths_a_client_makes_up() -> None:
    assert short(("user.name", "context.page")) == ("user.name", "context.page")
    long = short(tuple(f"context.{number}.{'x' * 300}" for number in range(100)))
    assert sum(map(len, long)) <= LONGEST_DETAIL + len("...")
    assert long[-1] == "..."
