"""What a joiner adds to the operation it joins, and what a boot that fails leaves behind: nothing
but the visitor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from support_chat import (
    AttemptFailed,
    AuthRefusedError,
    BackendRejectedError,
    Call,
    CallTimeoutError,
    ErrorOccurred,
    NetworkError,
    NotABackendError,
    Phase,
    RateLimitedError,
    SessionEndedError,
    SignedIn,
    StorageError,
    SupportChat,
    TokenProviderError,
    TokenRefusedError,
)
from support_chat.ports import TokenExpired

if TYPE_CHECKING:
    from tests.session.conftest import Rig


def boot(rig: Rig, chat: SupportChat, **options: Any) -> Call[Any]:
    return chat.boot(
        user={"id": "ann", **options.pop("user", {})}, token_provider=rig.tokens("ann"), **options
    )


def identify(rig: Rig, chat: SupportChat, **options: Any) -> Call[Any]:
    return chat.identify(
        user={"id": "ann", **options.pop("user", {})}, token_provider=rig.tokens("ann"), **options
    )


def now() -> float:
    return asyncio.get_running_loop().time()


async def time_is_over(call: Call[Any]) -> float:
    """After how many seconds the call raised that its time was over."""
    began = now()
    with pytest.raises(CallTimeoutError):
        await call
    return round(now() - began, 3)


# --- joining --------------------------------------------------------------------------------------


@pytest.mark.parametrize("joining", [boot, identify], ids=["boot", "identify"])
@pytest.mark.parametrize("held", ["get", "create", "token", "dial", "nothing: it is live already"])
def test_the_traits_of_whoever_joins_go_out_as_an_update(
    rig: Rig, joining: Callable[..., Call[Any]], held: str
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold(held)
        first = boot(rig, chat, user={"name": "A", "traits": {"role": "admin"}})
        if held.startswith("nothing"):
            await first
        await rig.quiet()
        second = joining(rig, chat, user={"name": "Ann"})
        rig.release()
        await asyncio.gather(first, second)
        await rig.quiet()
        last: dict[str, Any] = {}
        for user, changes in rig.updates:
            assert user == "ann"
            last |= changes
        assert last == {"user.name": "Ann", "user.traits.role": "admin"}
        assert rig.log.count("dial") == rig.log.count("token") == 1

    rig.run(scenario)


def test_the_traits_of_a_joined_identify_reach_the_backend_as_the_users(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.hold("identify")
        first = identify(rig, chat, user={"email": "a@example.com"})
        await rig.quiet(1)
        second = identify(rig, chat, user={"name": "Ann"})
        rig.release()
        assert await first == await second
        await rig.quiet()
        assert rig.updates == [
            ("ann", {"user.email": "a@example.com"}),
            ("ann", {"user.name": "Ann"}),
        ]

    rig.run(scenario)


def test_an_update_before_identify_is_the_visitors_and_one_after_is_held_for_the_user(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.hold("dial")
        chat.boot()
        before = chat.update(context={"page": "home"})
        call = identify(rig, chat)
        after = chat.update(user={"id": "ann", "name": "Ann"})
        rig.release()
        await call
        await asyncio.gather(before, after)
        await rig.quiet()
        (request,) = rig.identifies
        assert request.visitor_changes == {"context.page": "home"}
        assert [(user, changes) for user, changes in rig.updates if "user.name" in changes] == [
            ("ann", {"user.name": "Ann"})
        ]

    rig.run(scenario)


def test_an_identify_that_joins_a_boot_is_not_a_merge(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        first = boot(rig, chat)
        assert not (await identify(rig, chat)).merged
        assert not (await identify(rig, chat)).merged
        assert await first == SignedIn("ann")
        assert rig.identifies == []

    rig.run(scenario)


@pytest.mark.parametrize(("mine", "joined"), [(20.0, 1.0), (2.0, 25.0)])
def test_the_timeout_of_whoever_joins_is_its_own(rig: Rig, mine: float, joined: float) -> None:
    async def scenario() -> None:
        rig.hold("dial", "identify")
        chat = rig.chat()
        calls = [chat.boot(timeout=mine), chat.boot(timeout=joined)]
        assert await asyncio.gather(*map(time_is_over, calls)) == [mine, joined]

        rig.release("dial")
        await chat.boot()
        calls = [identify(rig, chat, timeout=mine), identify(rig, chat, timeout=joined)]
        assert await asyncio.gather(*map(time_is_over, calls)) == [mine, joined]

    rig.run(scenario)


@pytest.mark.parametrize("later", ["boot while booting", "boot", "identify"])
def test_a_later_token_provider_for_the_same_user_replaces_the_earlier(
    rig: Rig, later: str
) -> None:
    async def fetch() -> str:
        asked.append("second")
        return f"another-opaque-token-{len(asked)}"

    asked: list[str] = []

    async def scenario() -> None:
        chat = rig.chat()
        first = boot(rig, chat)
        if later != "boot while booting":
            await first
        call = chat.identify if later == "identify" else chat.boot
        await call(user={"id": "ann"}, token_provider=fetch)
        before = len(asked)
        rig.log.clear()
        rig.links[-1].push(TokenExpired())
        await rig.quiet(10)
        assert len(asked) == before + 1
        assert rig.log == ["renew"]
        assert chat.is_in(Phase.AUTHENTICATED)

    rig.run(scenario)


def test_a_joiner_without_a_token_provider_leaves_the_earlier_in_place(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await boot(rig, chat)
        await chat.boot(user={"id": "ann"})
        rig.log.remove("write")
        rig.links[-1].push(TokenExpired())
        await rig.quiet(10)
        assert rig.log == ["token", "dial", "token", "renew"]

    rig.run(scenario)


# --- a failed boot --------------------------------------------------------------------------------


@attrs.frozen
class Failure:
    """A way for a boot of ann to fail: which operation raises what, and which error the caller
    gets.
    """

    operation: str
    raised: Exception
    expected: type[Exception]

    def __str__(self) -> str:
        return f"{self.operation} raises {type(self.raised).__name__}"


FAILURES = [
    Failure("create", StorageError("disk full"), StorageError),
    Failure("create", OSError("disk full"), StorageError),
    Failure("create", NetworkError("a storage behind a network"), StorageError),
    Failure("token", TokenRefusedError("no token for you"), TokenRefusedError),
    Failure("token", TokenProviderError("cannot fetch"), TokenProviderError),
    Failure("token", ConnectionResetError("token endpoint"), TokenProviderError),
    Failure("token", NetworkError("token endpoint"), TokenProviderError),
    Failure("token", AuthRefusedError("token endpoint"), TokenProviderError),
    Failure("token", TimeoutError("token endpoint"), TokenProviderError),
    Failure("dial", AuthRefusedError("bad token"), AuthRefusedError),
    Failure("dial", BackendRejectedError("disabled"), BackendRejectedError),
    Failure("dial", NotABackendError("a sign-in page"), NotABackendError),
    Failure("dial", RateLimitedError("slow down", retry_after=31), RateLimitedError),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_a_failed_boot_leaves_nothing_but_the_visitor_and_may_be_tried_again(
    rig: Rig, failure: Failure
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.load()
        rig.hold(failure.operation)
        rig.fail(failure.operation, failure.raised)
        call, joiner = boot(rig, chat), identify(rig, chat)
        chat.update(context={"page": "billing"})
        await rig.quiet(1)
        rig.release()
        with pytest.raises(failure.expected) as caught:
            await call
        assert type(caught.value) is failure.expected
        with pytest.raises(failure.expected):
            await joiner
        await rig.quiet(0)
        assert now() < 2, "it is not tried again"
        assert chat.is_in(Phase.READY)
        assert chat.identity is None
        assert rig.open_links == []
        assert rig.kept() <= {"visitor"}
        assert [event.dropped for event in rig.of(ErrorOccurred)] == [("context.page",)]
        await rig.quiet(40)  # longer than any `retry_after` here
        assert await chat.boot() == chat.identity
        await rig.quiet()
        assert rig.updates == []

    rig.run(scenario)


@pytest.mark.parametrize(
    "failure",
    [f for f in FAILURES if f.operation != "token"]
    + [Failure("hang", NetworkError("hangs"), CallTimeoutError)],
    ids=str,
)
def test_a_failed_boot_ends_the_identify_that_waits_with_the_same_error(
    rig: Rig, failure: Failure
) -> None:
    """But for a boot that ran out of its own time: the identify's is not over, the boot is."""

    async def scenario() -> None:
        chat = rig.chat()
        await chat.load()
        rig.hold(failure.operation if failure.operation != "hang" else "dial")
        rig.fail(failure.operation, failure.raised)
        call, waiting = chat.boot(timeout=20), identify(rig, chat)
        chat.update(user={"id": "ann", "name": "Ann"})
        await rig.quiet(1)
        if failure.operation != "hang":
            rig.release()
        outcomes = await asyncio.gather(call, waiting, return_exceptions=True)
        waited = SessionEndedError if failure.operation == "hang" else failure.expected
        assert [type(outcome) for outcome in outcomes] == [failure.expected, waited]
        await rig.quiet(0)
        assert [event.dropped for event in rig.of(ErrorOccurred)] == [("user.name",)]
        assert chat.is_in(Phase.READY)
        rig.release()
        await rig.quiet(40)
        await chat.boot()
        await rig.quiet()
        assert chat.is_in(Phase.ANONYMOUS), (
            "the identify that failed with the boot is not made up for"
        )

    rig.run(scenario)


def test_a_boot_whose_load_fails_is_where_it_was(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        for operation in ("get", "create", "keys"):
            rig.fail(operation, OSError("disk"))
        call = chat.boot()
        waiting = identify(rig, chat)
        for outcome in await asyncio.gather(call, waiting, return_exceptions=True):
            assert isinstance(outcome, StorageError)
        assert chat.is_in(Phase.NOT_INITIALIZED)
        assert chat.identity is None
        rig.gates.failures.clear()
        assert await chat.boot() == chat.identity

    rig.run(scenario)


def test_a_network_failure_is_retried_until_it_works(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.fail("dial", NetworkError("down"), OSError("down"), NetworkError("down"))
        await chat.boot()
        assert rig.log.count("dial") == 4
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


def test_a_network_failure_is_retried_until_the_timeout(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.fail("dial", *(NetworkError("down") for _ in range(1000)))
        with pytest.raises(CallTimeoutError):
            await chat.boot()
        assert round(now(), 3) == 30
        assert rig.log.count("dial") > 3
        assert chat.is_in(Phase.READY)
        seen = len(rig.log)
        await rig.quiet(100)
        assert len(rig.log) == seen, "nothing goes on behind the caller's back"

    rig.run(scenario)


def test_whoever_answers_in_the_backends_place_never_ends_a_session(rig: Rig) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        portal = [NotABackendError("a sign-in page") for _ in range(200)]
        rig.fail("dial", *portal[:3])
        rig.links[-1].lose()
        await rig.quiet(60)
        assert chat.is_in(Phase.ANONYMOUS)
        assert [event.error for event in rig.of(AttemptFailed)] == portal[:3]
        rig.fail("dial", *portal)
        rig.links[-1].lose()
        await rig.quiet(600)
        assert chat.is_in(Phase.DISCONNECTED)
        assert chat.trouble in portal
        rig.gates.failures.clear()
        await rig.quiet(600)
        assert chat.is_in(Phase.ANONYMOUS)

    rig.run(scenario)


def test_a_retry_after_within_the_timeout_is_kept_and_one_beyond_it_ends_the_boot_at_once(
    rig: Rig,
) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        rig.fail("dial", RateLimitedError("later", retry_after=12))
        await chat.boot(timeout=20)
        assert now() >= 12
        await chat.shutdown()
        began = now()
        rig.fail("dial", RateLimitedError("later", retry_after=12))
        with pytest.raises(RateLimitedError) as caught:
            await chat.boot(timeout=10)
        assert now() - began < 1
        assert caught.value.retry_after == 12
        await chat.boot()
        assert now() - began >= 12, "and whoever boots next keeps to it, too"

    rig.run(scenario)


# --- a failed identify ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [f for f in FAILURES if f.operation == "token"]
    + [
        Failure("identify", AuthRefusedError("bad token"), AuthRefusedError),
        Failure("identify", RateLimitedError("slow down", retry_after=31), RateLimitedError),
    ],
    ids=str,
)
def test_a_failed_identify_leaves_the_visitor_as_they_were(rig: Rig, failure: Failure) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        before, links = chat.identity, rig.open_links
        rig.fail(failure.operation, failure.raised)
        call = identify(rig, chat)
        chat.update(user={"id": "ann", "name": "Ann"})
        with pytest.raises(failure.expected) as caught:
            await call
        assert type(caught.value) is failure.expected
        await rig.quiet()
        assert (chat.state, chat.identity, rig.open_links) == (Phase.ANONYMOUS, before, links)
        assert [event.dropped for event in rig.of(ErrorOccurred)] == [("user.name",)]
        assert rig.log.count("token") == 1
        assert (await identify(rig, chat)).merged

    rig.run(scenario)


@pytest.mark.parametrize(
    "error",
    [NetworkError("down"), OSError("down"), RateLimitedError("later", retry_after=5)],
    ids=repr,
)
def test_an_identify_that_meets_a_network_failure_is_retried(rig: Rig, error: Exception) -> None:
    async def scenario() -> None:
        chat = rig.chat()
        await chat.boot()
        rig.fail("identify", error)
        began = now()
        assert (await identify(rig, chat)).merged
        assert now() - began >= getattr(error, "retry_after", 0.0)
        assert len(rig.committed) == 1
        assert rig.most_open == 1

    rig.run(scenario)
