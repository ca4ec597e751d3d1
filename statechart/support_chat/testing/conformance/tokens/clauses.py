"""What a `TokenProvider` promises, as clauses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from ....errors import TokenRefusedError
from ..expecting import (
    PATIENCE,
    NotApplicable,
    Unmet,
    described,
    expect_that,
    in_time,
    raised,
    resolved,
)
from ..suites import clause, clauses_of
from .source import TokenTrial

LONGEST: Final = 16 * 1024
"""The longest token that a session takes, in bytes."""


async def _token(trial: TokenTrial, what: str) -> str:
    answer = await trial.ask()
    if not isinstance(answer, str):
        raise Unmet(f"{what} came to a {type(answer).__name__}, not to a str")
    return answer


@clause("tokens.text")
async def text(trial: TokenTrial) -> None:
    """A call comes to a str, by itself or awaited."""
    await _token(trial, "the first call")


@clause("tokens.not-empty")
async def not_empty(trial: TokenTrial) -> None:
    """The token is not empty."""
    expect_that((await _token(trial, "the first call")).strip() != "", "the token is empty")


@clause("tokens.short-enough")
async def short_enough(trial: TokenTrial) -> None:
    """The token has at most 16 KiB."""
    size = len((await _token(trial, "the first call")).encode(errors="replace"))
    expect_that(size <= LONGEST, f"the token has {size} bytes")


@clause("tokens.clean-text")
async def clean_text(trial: TokenTrial) -> None:
    """The token can be sent as UTF-8, and has no line break or blank around it."""
    token = await _token(trial, "the first call")
    try:
        token.encode()
    except UnicodeEncodeError:
        raise Unmet("the token holds a character that UTF-8 cannot carry") from None
    expect_that(token == token.strip(), "the token has blanks or line breaks around it")


@clause("tokens.repeats")
async def repeats(trial: TokenTrial) -> None:
    """It can be called as often as a token is needed, one call at a time."""
    for number in range(1, 6):
        try:
            await _token(trial, f"call {number}")
        except Unmet:
            raise
        except Exception as error:
            raise Unmet(f"call {number} raised {described(error)}") from error


@clause("tokens.ends-when-cancelled")
async def ends_when_cancelled(trial: TokenTrial) -> None:
    """A call that is cancelled ends."""
    for moment in (0.0, 0.001, 0.01):
        await _cancelled(trial, moment)


@clause("tokens.cancelled")
async def cancelled(trial: TokenTrial) -> None:
    """A call that was cancelled harms no later one."""
    for moment in (0.0, 0.001, 0.01):
        await _cancelled(trial, moment)
        await in_time(
            _token(trial, "a call after a cancelled one"),
            "a call after a cancelled one does not end",
        )


async def _cancelled(trial: TokenTrial, moment: float) -> None:
    calling = asyncio.ensure_future(trial.ask())
    await asyncio.sleep(moment)
    calling.cancel()
    done, _ = await asyncio.wait({calling}, timeout=PATIENCE / 2)
    expect_that(bool(done), "a cancelled call goes on")


@clause("tokens.refuses")
async def refuses(trial: TokenTrial) -> None:
    """A user who gets no token is refused with TokenRefusedError, and with nothing else."""
    await trial.switch("refuse")
    await raised(TokenRefusedError, trial.ask(), "a call for a user who gets no token")


@clause("tokens.fails")
async def fails(trial: TokenTrial) -> None:
    """A failure is an exception that is not TokenRefusedError, since the session survives
    it.
    """
    await trial.switch("fail")
    error = await raised(Exception, trial.ask(), "a call that cannot succeed")
    expect_that(
        not isinstance(error, TokenRefusedError),
        f"a failure was raised as a refusal: {described(error)}",
    )


@clause("tokens.errors-hide-secrets")
async def errors_hide_secrets(trial: TokenTrial) -> None:
    """No error shows a token or what is presented to get one."""
    if trial.source.refuse is None and trial.source.fail is None:
        raise NotApplicable("the factory gives no TokenSource with refuse= or fail=")
    secrets = (await _token(trial, "the first call"), *trial.source.secrets)
    for switch in (trial.source.fail, trial.source.refuse):
        if switch is not None:
            await resolved(switch())
            error = await raised(Exception, trial.ask(), "a call that cannot succeed")
            for text in _texts(error):
                expect_that(
                    not any(secret in text for secret in secrets),
                    f"the text of a {type(error).__name__} shows a secret",
                )


def _texts(error: BaseException | None) -> Iterator[str]:
    """What is shown of an error, and of those behind it."""
    while error is not None:
        yield f"{error} {error!r} {getattr(error, '__notes__', '')}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@clause("tokens.repr-hides-secrets")
async def repr_hides_secrets(trial: TokenTrial) -> None:
    """The repr of the provider shows no token, nor what is presented to get one."""
    secrets = (await _token(trial, "the first call"), *trial.source.secrets)
    expect_that(
        not any(secret in repr(trial.provider) for secret in secrets),
        "the repr of the provider shows a secret",
    )


TOKENS = clauses_of(vars(), TokenTrial)
