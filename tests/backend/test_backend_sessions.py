"""Who a dial becomes: visitors by their secret, users by their token, resumed sessions,
revocation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support_chat.errors import AuthRefusedError, BackendRejectedError, SupportChatError
from support_chat.ports import Credentials, IdentifyRequest, Outgoing, Welcome
from support_chat.values import SignedIn, Visitor
from support_chat_adapters.backend import Backend, IdentityKey, WidgetRules, sign_identity_token
from support_chat_adapters.cli import parser
from support_chat_adapters.cli.served import open_backend

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
WIDGET: dict[str, Any] = {"workspace_id": "acme", "widget_id": "help"}
KEY = IdentityKey("HS256", SECRET)


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def backend(clock: Clock | None = None, **rules: bool) -> Backend:
    return Backend(**WIDGET, keys=[KEY], rules=WidgetRules(**rules), clock=clock or Clock())


def token(user: str, *, now: float = NOW) -> str:
    return sign_identity_token(user, SECRET, **WIDGET, now=now)


def visitor(b: Backend, secret: str = "secret-1", **more: Any) -> Welcome:
    return b.open(Credentials(**WIDGET, visitor=secret, **more)).welcome


def user(b: Backend, name: str, secret: str = "secret-1", **more: Any) -> Welcome:
    credentials = Credentials(**WIDGET, visitor=secret, user_id=name, token=token(name), **more)
    return b.open(credentials).welcome


def identify(
    b: Backend,
    welcome: Welcome,
    name: str,
    secret: str = "secret-1",
    identify_id: str = "identify-1",
) -> None:
    b.identify(welcome.session, IdentifyRequest(identify_id, name, secret, token(name)))


def refused(
    b: Backend, kind: type[SupportChatError] = AuthRefusedError, **changed: Any
) -> tuple[str, str | None]:
    """Code and reason with which a dial is refused that is ann's but for what is changed."""
    good: dict[str, Any] = {
        **WIDGET,
        "visitor": "secret-1",
        "user_id": "ann",
        "token": token("ann"),
    }
    with pytest.raises(kind) as caught:
        b.open(Credentials(**(good | changed)))
    return caught.value.code, caught.value.reason


def test_the_same_secret_is_the_same_visitor_and_another_secret_is_another() -> None:
    with backend() as b:
        first, again, other = visitor(b), visitor(b), visitor(b, "secret-2")
        assert first.visitor_id == again.visitor_id != other.visitor_id
        assert first.user_id is None
        assert "secret" not in (first.visitor_id or "")


def test_every_boot_is_a_new_session_and_a_resumed_one_the_old() -> None:
    with backend() as b:
        first, second = visitor(b), visitor(b)
        assert first.session != second.session
        assert visitor(b, session=first.session).session == first.session
        signed_in = user(b, "ann")
        assert user(b, "ann", session=signed_in.session).session == signed_in.session


def test_a_user_is_who_their_token_says_however_often_and_from_wherever_they_come() -> None:
    with backend() as b:
        assert [user(b, "ann", secret).user_id for secret in ("s1", "s2", "s1")] == ["ann"] * 3
        assert user(b, "bob").user_id == "bob"
        assert b.agent.users() == (SignedIn("ann"), SignedIn("bob"))


def test_without_a_token_a_user_is_believed_only_where_the_rule_is_waived() -> None:
    with backend() as strict:
        assert refused(strict, token=None) == ("auth_required", "token_missing")
        assert strict.agent.users() == ()
    with backend(jwt_required_for_identified_users=False) as lax:
        assert lax.open(Credentials(**WIDGET, visitor="s", user_id="ann")).welcome.user_id == "ann"
        assert refused(lax, token=token("bob")) == ("invalid_token", "wrong_sub"), (
            "a token that is given must be good"
        )


def test_visitors_come_in_only_where_the_rule_allows_them() -> None:
    with backend(anonymous_allowed=False) as b:
        assert refused(b, BackendRejectedError, user_id=None) == (
            "auth_required",
            "anonymous_not_allowed",
        )
        assert user(b, "ann").user_id == "ann"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"workspace_id": "other"}, ("widget_disabled", "unknown_widget")),
        ({"widget_id": "other"}, ("widget_disabled", "unknown_widget")),
        ({"visitor": ""}, ("validation_error", None)),
        ({"user_id": ""}, ("validation_error", None)),
        ({"session": "session-1.guess"}, ("auth_required", "session_unknown")),
        ({"session": "session-1"}, ("auth_required", "session_unknown")),
        ({"session": ""}, ("auth_required", "session_unknown")),
    ],
)
def test_a_dial_that_no_retry_would_help_is_rejected(
    changed: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    with backend() as b:
        user(b, "ann")
        assert refused(b, BackendRejectedError, **changed) == expected


def test_a_session_is_resumed_only_as_the_identity_it_belongs_to() -> None:
    with backend() as b:
        of_visitor, of_ann = visitor(b).session, user(b, "ann").session
        wrong: list[dict[str, Any]] = [
            {"session": of_ann, "user_id": None, "token": None},
            {"session": of_ann, "user_id": "bob", "token": token("bob")},
            {"session": of_visitor},
            {"session": of_visitor, "user_id": None, "visitor": "secret-2"},
        ]
        for changed in wrong:
            assert refused(b, **changed) == ("auth_required", "other_identity"), changed


def test_resuming_a_users_session_takes_a_good_token() -> None:
    with backend() as b:
        session = user(b, "ann").session
        assert refused(b, session=session, token=None) == ("auth_required", "token_missing")
        assert refused(b, session=session, token=token("ann", now=NOW - 900)) == (
            "auth_expired",
            None,
        )
        assert user(b, "ann", "quite-another-visitor", session=session).session == session


def test_a_refused_dial_leaves_nothing_behind() -> None:
    with backend() as b:
        refused(b, token="bad", visitor="never-seen")
        refused(b, BackendRejectedError, session="session-1.guess", visitor="never-seen")
        assert b.agent.visitors() == ()
        assert b.agent.users() == ()


def test_the_secret_of_a_retired_visitor_shows_a_new_empty_one() -> None:
    with backend() as b:
        old = visitor(b)
        b.send(old.session, Outgoing("m1", "private"))
        identify(b, old, "ann")
        new = visitor(b)
        assert new.visitor_id != old.visitor_id
        assert b.conversations(new.session) == ()
        assert visitor(b).visitor_id == new.visitor_id, (
            "one successor, however often it is asked for"
        )
        assert b.open(Credentials(**WIDGET, visitor="secret-1", cursor="0")).replay == ()


def test_a_session_whose_visitor_another_one_merged_goes_on_as_the_empty_successor() -> None:
    with backend() as b:
        first, second = visitor(b), visitor(b)
        b.send(first.session, Outgoing("m1", "private"))
        identify(b, first, "ann")
        assert b.conversations(second.session) == ()
        b.send(second.session, Outgoing("m2", "of the successor"))
        b.update(second.session, {"user.name": "Successor"})
        resumed = visitor(b, session=second.session, cursor="0")
        assert [len(b.conversations(s)) for s in (first.session, second.session)] == [1, 1]
        successor = visitor(b)
        assert resumed.visitor_id == successor.visitor_id
        assert len(b.conversations(successor.session)) == 1
        assert b.agent.traits(Visitor(successor.visitor_id or "")) == {"user.name": "Successor"}
        assert b.agent.traits(SignedIn("ann")) == {}


def test_revoking_ends_one_session_and_no_other() -> None:
    with backend() as b:
        first, second = user(b, "ann"), user(b, "ann")
        b.revoke(first.session)
        assert refused(b, BackendRejectedError, session=first.session) == (
            "auth_required",
            "session_revoked",
        )
        requests: list[Callable[[], object]] = [
            lambda: b.update(first.session, {}),
            lambda: b.send(first.session, Outgoing("m", "x")),
            lambda: b.conversations(first.session),
            lambda: b.renew(first.session, token("ann")),
            lambda: identify(b, first, "ann"),
        ]
        for request in requests:
            with pytest.raises(BackendRejectedError) as caught:
                request()
            assert (caught.value.code, caught.value.reason) == ("auth_required", "session_revoked")
        assert b.conversations(second.session) == ()
        assert user(b, "ann", session=second.session).user_id == "ann"


def test_revoking_an_unknown_or_ended_session_is_no_error() -> None:
    with backend() as b:
        welcome = visitor(b)
        for session in (welcome.session, welcome.session, "session-1.guess", "session-1", ""):
            b.revoke(session)
        assert b.log.count("revoked") == 1


def test_a_sessions_public_name_revokes_nothing() -> None:
    with backend() as b:
        welcome = visitor(b)
        b.revoke(welcome.session.partition(".")[0])
        assert b.conversations(welcome.session) == ()


def test_an_expired_token_stops_every_request_until_it_is_renewed() -> None:
    clock = Clock()
    with backend(clock) as b:
        session = user(b, "ann").session
        clock.now = NOW + 900
        for request in (
            lambda: b.update(session, {"user.name": "Ann"}),
            lambda: b.send(session, Outgoing("m", "x")),
            lambda: b.conversations(session),
            lambda: b.mark_read(session, "c"),
        ):
            with pytest.raises(AuthRefusedError) as caught:
                request()
            assert caught.value.code == "auth_expired"
        b.renew(session, token("ann", now=clock.now))
        assert b.conversations(session) == ()


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (token("bob"), ("invalid_token", "wrong_sub")),
        (token("ann", now=NOW - 900), ("auth_expired", None)),
        ("rubbish", ("invalid_token", "malformed")),
    ],
    ids=["another's", "expired", "rubbish"],
)
def test_a_renewal_takes_a_good_token_of_the_same_user_and_a_bad_one_changes_nothing(
    bad: str, expected: tuple[str, str | None]
) -> None:
    with backend() as b:
        session = user(b, "ann").session
        with pytest.raises(AuthRefusedError) as caught:
            b.renew(session, bad)
        assert (caught.value.code, caught.value.reason) == expected
        assert b.conversations(session) == ()


def test_a_visitor_has_no_token_to_renew() -> None:
    with backend() as b, pytest.raises(AuthRefusedError) as caught:
        b.renew(visitor(b).session, token("ann"))
    assert caught.value.reason == "not_signed_in"


def test_the_first_token_describes_a_new_user_and_later_ones_do_not_undo_what_update_said() -> None:
    described = {"id": "ann", "name": "Ann", "email": "ann@example.com"}
    with backend() as b:
        signed = sign_identity_token(described, SECRET, **WIDGET, now=NOW, company_id="acme-gmbh")  # type: ignore[arg-type]
        credentials = Credentials(**WIDGET, visitor="s", user_id="ann", token=signed)
        session = b.open(credentials).welcome.session
        assert b.agent.traits(SignedIn("ann")) == {
            "user.name": "Ann",
            "user.email": "ann@example.com",
            "company.id": "acme-gmbh",
        }
        b.update(session, {"user.name": "Ann B.", "user.email": None})
        b.renew(session, signed)
        b.open(Credentials(**WIDGET, visitor="s", user_id="ann", token=signed))
        assert b.agent.traits(SignedIn("ann")) == {"user.name": "Ann B.", "company.id": "acme-gmbh"}


def test_a_backend_remembers_as_much_of_what_happened_as_it_is_told_and_the_commands_nothing(
    tmp_path: Path,
) -> None:
    options = parser().parse_args(["serve", f"--db={tmp_path / 'chat.db'}"])
    widget = {"workspace_id": options.workspace, "widget_id": options.widget}
    with (
        Backend(**widget, remembers=2) as some,
        Backend(**widget) as most,
        open_backend(options) as served,
    ):
        for b in (some, most, served):
            b.open(Credentials(**widget, visitor=SECRET))
            [who] = b.agent.visitors()
            for text in ("one", "two", "three"):
                b.agent.reply(who, text)
        kept = [entry.detail for entry in most.log]
        assert [len(b.log) for b in (some, most, served)] == [2, 3, 0]
        assert [entry.detail for entry in some.log] == kept[-2:]
