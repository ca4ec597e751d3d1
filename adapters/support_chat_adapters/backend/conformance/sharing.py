"""The clauses of what gateways share: realtime tokens, and the buckets that callers take from."""

from __future__ import annotations

import asyncio
from typing import Final

from support_chat.errors import RateLimitedError
from support_chat.testing.conformance.expecting import MOMENT, expect, expect_that, raised
from support_chat.testing.conformance.suites import clause, clauses_of

from ..store import Buckets
from .trial import StoreTrial

_AT_ONCE: Final = 20
"""How many redeem a token at once."""
_CALLERS: Final = 500
"""How many others come between two requests of one caller."""


@clause("store.token-once")
async def token_once(trial: StoreTrial) -> None:
    """A realtime token is redeemed once, for the session it was minted for, also when several
    redeem it at the same time; one that was never minted is nobody's.
    """
    tokens = trial.store.realtime_tokens(60.0)
    first, second = await tokens.mint("session-1.a"), await tokens.mint("session-2.b")
    seen = await asyncio.gather(*(tokens.redeem(first) for _ in range(_AT_ONCE)))
    got = [session for session in seen if session is not None]
    expect(got, ["session-1.a"], "what those got who redeemed one token at once")
    expect(await tokens.redeem(first), None, "a token that was used")
    expect(await tokens.redeem(second), "session-2.b", "the other token")
    for unknown in ("", "never minted", "session-1.a"):
        expect(await tokens.redeem(unknown), None, f"the token {unknown!r}")


@clause("store.token-lifetime")
async def token_lifetime(trial: StoreTrial) -> None:
    """A realtime token is good for its lifetime, and no longer, whoever else gets one meanwhile."""
    brief, long = trial.store.realtime_tokens(MOMENT / 2), trial.store.realtime_tokens(60.0)
    late, good = await brief.mint("session-1.a"), await long.mint("session-2.b")
    await asyncio.sleep(MOMENT)
    await brief.mint("session-3.c")
    await long.mint("session-3.c")
    expect(await brief.redeem(late), None, "a token that waited for longer than its lifetime")
    expect(await long.redeem(good), "session-2.b", "a token within its lifetime")


@clause("store.bucket-refills")
async def bucket_refills(trial: StoreTrial) -> None:
    """A minute's worth may be taken at once, and what has come meanwhile; after it RateLimitedError
    says when there is one more, and then there is.
    """
    buckets, now = trial.buckets("check", 120.0), asyncio.get_running_loop().time
    taken, began, wait = 0, now(), 0.0
    while not wait:
        try:
            await buckets.take("a")
        except RateLimitedError as error:
            wait = error.retry_after
            expect_that(0 < wait <= 0.5, f"retry_after is {wait} s where one comes each 0.5 s")
        else:
            taken += 1
            most = 120 + 1 + (now() - began) / 0.5
            expect_that(taken <= most, f"{taken} were taken at once where 120 may")
    expect_that(taken >= 120, f"{taken} could be taken at once where 120 may")
    await asyncio.sleep(wait + MOMENT / 10)
    await buckets.take("a")


@clause("store.bucket-check")
async def bucket_check(trial: StoreTrial) -> None:
    """check() raises as take() does, and takes nothing; neither does a take() that is refused."""
    buckets = trial.buckets("check", 1.0)
    for _ in range(2):
        await buckets.check("a")
    await buckets.take("a")
    await raised(RateLimitedError, buckets.check("a"), "check() of an empty bucket")
    before = await _refused(buckets, "a", "take() from an empty bucket")
    after = await _refused(buckets, "a", "take() from an empty bucket")
    expect_that(after <= before, f"being refused cost {after - before} s")


@clause("store.bucket-without-limit")
async def bucket_without_limit(trial: StoreTrial) -> None:
    """0 a minute is no limit, and less than 1 a minute is one at a time."""
    free, slow = trial.buckets("free", 0.0), trial.buckets("slow", 0.5)
    for _ in range(_AT_ONCE):
        await free.take("a")
        await free.check("a")
    await slow.take("a")
    wait = await _refused(slow, "a", "a second take() where one comes in two minutes")
    expect_that(60 < wait <= 120, f"retry_after is {wait} s where one comes each 120 s")


@clause("store.bucket-of-ones-own")
async def bucket_of_ones_own(trial: StoreTrial) -> None:
    """What one caller takes is taken from nobody else, nor from buckets of another name."""
    buckets, others = trial.buckets("check", 1.0), trial.buckets("others", 1.0)
    await buckets.take("a")
    await buckets.take("b")
    await others.take("a")
    for caller in ("a", "b"):
        await _refused(buckets, caller, f"take() from the empty bucket of {caller!r}")


@clause("store.bucket-among-many")
async def bucket_among_many(trial: StoreTrial) -> None:
    """However many callers come, nobody's bucket is refilled by it."""
    buckets = trial.buckets("check", 0.5)
    await buckets.take("a")
    for other in range(_CALLERS):
        await buckets.take(f"other-{other}")
    await _refused(buckets, "a", "take() from a bucket that was emptied before the others came")


@clause("store.bucket-forgotten")
async def bucket_forgotten(trial: StoreTrial) -> None:
    """knows() tells who has taken something lately; forget() makes of them one who never came."""
    buckets = trial.buckets("check", 1.0)
    await buckets.check("a")
    expect(await buckets.knows("a"), False, "knows() of one who has taken nothing")
    for caller in ("a", "b"):
        await buckets.take(caller)
    expect(await buckets.knows("a"), True, "knows() of one who has taken something")
    await buckets.forget("a")
    await buckets.forget("never came")
    expect(await buckets.knows("a"), False, "knows() of one who is forgotten")
    expect(await buckets.knows("b"), True, "knows() of one who is not")
    await buckets.take("a")


async def _refused(buckets: Buckets, caller: str, what: str) -> float:
    """The seconds after which a caller who is refused may come back."""
    return (await raised(RateLimitedError, buckets.take(caller), what)).retry_after


SHARING: Final = clauses_of(vars(), StoreTrial)
