"""Life against the ledger: whatever a real session does against the embedded backend is a path of
the model that the checker explores.

Seeded random lives of a session: calls with their options, cancelled awaiters, hints, time, faults
of the storage, the network, the backend and the token provider, dials that come back although they
were cancelled. Each is traced at the seams and laid over the model. That this can fail is shown by
shells with one fault each, which the same lives catch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypedDict

import attrs
import pytest

from support_chat import CHART, SupportChat
from support_chat.chart.model import Abandon, Ask, Detach, Disarm, Fail, Settle
from support_chat.errors import NetworkError, StorageError, TokenProviderError, TokenRefusedError
from support_chat.lifecycle.names import Effect as E
from support_chat.lifecycle.names import Fact, Lane, Phase
from support_chat.ports import Credentials, Link
from support_chat.runtime.runner import Runner
from support_chat.testing import RecordingStorage, run
from support_chat.verify import Model
from support_chat.verify.following import follow
from support_chat.verify.trace import Trace, watch
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

SECRET: Final = "a secret of thirty-two characters"


class Ids(TypedDict):
    """Whom sessions, tokens and the backend are for."""

    workspace_id: str
    widget_id: str


WIDGET: Final[Ids] = {"workspace_id": "acme", "widget_id": "help"}
EPOCH: Final = 1_700_000_000.0
USERS: Final = ("ada", "bob", "eve")
SEEDS: Final = range(20)
LENGTH: Final = 300
"""Things that are done in one life."""


class DeafTransport:
    """The loopback, whose dials now and then come back although they were cancelled."""

    def __init__(self, backend: Backend, dice: random.Random) -> None:
        self._inner, self._dice = LoopbackTransport(backend), dice
        self.revoke, self.aclose = self._inner.revoke, self._inner.aclose

    async def open(self, credentials: Credentials) -> Link:
        dial = asyncio.ensure_future(self._inner.open(credentials))
        if self._dice.random() < 0.5:
            return await dial
        while not dial.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([dial])
        return dial.result()


@attrs.define(eq=False)
class Life:
    """One session, what surrounds it, and the dice that decide what happens."""

    dice: random.Random
    backend: Backend
    chat: SupportChat
    storage: RecordingStorage
    trace: Trace
    calls: list[asyncio.Future[Any]] = attrs.field(factory=list[asyncio.Future[Any]])
    wrong: list[str] = attrs.field(factory=list[str])

    def provider(self, user: str) -> Any:
        async def fetch() -> str:
            await asyncio.sleep(self.dice.choice((0.0, 0.0, 0.2)))
            match self.dice.randrange(12):
                case 0:
                    raise TokenRefusedError("not this user")
                case 1:
                    raise TokenProviderError("not now")
                case 2:
                    return f"opaque {self.dice.random()}"
                case _:
                    now = EPOCH + asyncio.get_running_loop().time()
                    lifetime = self.dice.choice((20.0, 900.0))
                    return sign_identity_token(user, SECRET, **WIDGET, lifetime=lifetime, now=now)

        return fetch

    def user(self) -> dict[str, Any]:
        user = self.dice.choice(USERS)
        return {
            "user": {"id": user, "traits": self.traits()},
            "token_provider": self.dice.choice((None, self.provider(user))),
        }

    def traits(self) -> dict[str, Any]:
        return {self.dice.choice("xyz"): self.dice.randrange(3)} if self.dice.random() < 0.6 else {}

    def call(self, make: Callable[[], Any], *, full: bool = False) -> None:
        """Makes the call; what the chart answers at once is to be settled at once."""
        call = make()
        seen = self.trace.steps[-1]
        answered = {E.DONE, E.REFUSE} & set(seen.rows[0].effects)
        if bool(answered) > call.done:
            self.wrong.append(f"{seen.trigger} is answered by {answered}, and waits")
        if (Fact.FULL in seen.told[0]) != full:
            self.wrong.append(f"{seen.trigger} does not know whether to clear all")

        async def await_it() -> None:
            with contextlib.suppress(Exception):
                await call

        self.calls.append(asyncio.ensure_future(await_it()))

    async def act(self) -> None:
        """One thing happens."""
        chat, dice, faults = self.chat, self.dice, self.backend.faults
        full, online = dice.random() < 0.3, dice.random() < 0.6
        operation: Any = dice.choice(("dial", "identify", "update", "renew"))
        deeds: tuple[tuple[int, Callable[[], object]], ...] = (
            (2, lambda: self.call(chat.load)),
            (8, lambda: self.call(lambda: chat.boot())),
            (8, lambda: self.call(lambda: chat.boot(**self.user()))),
            (9, lambda: self.call(lambda: chat.identify(**self.user()))),
            (9, lambda: self.call(lambda: chat.update(context=self.traits()))),
            (
                3,
                lambda: self.call(
                    lambda: chat.update(user={"id": dice.choice(USERS), "traits": self.traits()})
                ),
            ),
            (5, lambda: self.call(lambda: chat.shutdown(clear_storage=full), full=full)),
            (3, lambda: self.call(chat.conversations)),
            (3, lambda: self.call(lambda: chat.send_message("hello"))),
            (4, lambda: chat.set_online(online)),
            (4, lambda: [call.cancel() for call in self.calls]),
            (3, faults.drop_links),
            (1, faults.silence_links),
            (3, lambda: faults.refuse_dials(1)),
            (3, lambda: faults.refuse(operation)),
            (1, lambda: faults.reject(operation)),
            (2, lambda: faults.rate_limit(dice.choice((0.5, 300.0)), operation)),
            (2, lambda: faults.fail(operation, NetworkError("not now"))),
            (2, faults.expire_tokens),
            (2, lambda: faults.swallow("identify")),
            (1, lambda: faults.answer_as(dice.choice(USERS))),
            (4, faults.heal),
            (3, lambda: faults.delay(dice.choice((0.0, 0.3, 15.0)))),
            (
                2,
                lambda: self.storage.fail_next(
                    dice.choice(("create", "replace", "keys", "get")), StorageError("full")
                ),
            ),
            (2, lambda: self.storage.hold(dice.choice(("create", "replace", "keys", "get")))),
            (6, lambda: self.storage.release("create", "replace", "keys", "get")),
            (1, self.revoke),
            (1, self.reply),
        )
        weights = [weight for weight, _ in deeds]
        dice.choices([deed for _, deed in deeds], weights)[0]()
        await asyncio.sleep(dice.choice((0.0, 0.0, 0.0, 0.01, 0.3, 1.0, 1.0, 8.0, 45.0, 150.0)))

    def revoke(self) -> None:
        if session := self.trace.runner.book.session:
            self.backend.faults.revoke(session)

    def reply(self) -> None:
        if conversations := self.backend.agent.conversations():
            self.backend.agent.reply(conversations[0].id, "hello")


async def live(seed: int, length: int = LENGTH) -> Life:
    """One life from the first call to the end."""
    random.seed(seed)  # the session rolls the dice of the process for its delays
    dice, loop = random.Random(seed), asyncio.get_running_loop()
    backend = Backend(
        **WIDGET, keys=[IdentityKey("HS256", SECRET)], clock=lambda: EPOCH + loop.time()
    )
    storage = RecordingStorage()
    chat = SupportChat(**WIDGET, transport=DeafTransport(backend, dice), storage=storage)
    life = Life(dice, backend, chat, storage, watch(chat))
    try:
        for _ in range(length):
            await life.act()
    finally:
        backend.faults.heal()
        life.call(chat.destroy)
        for again in (chat.destroy, chat.boot, chat.shutdown, chat.conversations):
            life.call(again)
        await asyncio.sleep(60.0)
        life.call(chat.destroy)
        life.trace.close()
        backend.close()
    return life


def fault_of(life: Life) -> str:
    """What the model has to say of a life; "" if nothing."""
    return follow(life.trace, Model(CHART)) or next(iter(life.wrong), "")


@cache
def lived(seed: int) -> Life:
    return run(live(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_life_is_a_path_of_the_model(seed: int) -> None:
    assert fault_of(lived(seed)) == ""


def test_the_lives_are_lively() -> None:
    """What was never seen was not compared: most rows fire, every phase is seen, and late outcomes
    come.
    """
    steps = [seen for seed in SEEDS for seen in lived(seed).trace.steps]
    fired = {row.name for seen in steps for row in seen.rows} & {
        row.name for row in CHART.transitions
    }
    assert {seen.phase for seen in steps} == set(Phase)
    assert "late.dispose" in fired
    assert len(fired) > 0.8 * len(CHART.transitions)


# --- shells with one fault each -------------------------------------------------------------------


def wrong_tag(patch: pytest.MonkeyPatch) -> None:
    occasion = Runner.occasion

    def wrong(self: Any, trigger: str, **rest: Any) -> Any:
        if rest.get("lane") == Lane.TOKEN:
            rest["tag"] -= 1
        return occasion(self, trigger, **rest)

    patch.setattr(Runner, "occasion", wrong)


def late_taken_for_current(patch: pytest.MonkeyPatch) -> None:
    occasion = Runner.occasion

    def wrong(self: Any, trigger: str, **rest: Any) -> Any:
        if rest.get("lane") == Lane.DIAL:
            rest["tag"] = self.book.tag(Lane.DIAL)
        return occasion(self, trigger, **rest)

    patch.setattr(Runner, "occasion", wrong)


def effect_run_twice(patch: pytest.MonkeyPatch) -> None:
    ask = Runner.KINDS[Ask]

    def twice(self: Any, spec: Any, moment: Any) -> None:
        ask(self, spec, moment)
        if moment.effect == E.SEND_UPDATE:
            ask(self, spec, moment)

    patch.setitem(Runner.KINDS, Ask, twice)


def _nothing(self: Any, *_: Any) -> None:
    return None


def skipped(kind: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """A shell that never does this kind of effect."""
    return lambda patch: patch.setitem(Runner.KINDS, kind, _nothing)


def forgotten(effect: E) -> Callable[[pytest.MonkeyPatch], None]:
    """A shell that never does this effect, which the chart declares as a note."""
    return lambda patch: patch.setitem(Runner.NOTES, effect, _nothing)


MUTANTS: Final[dict[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a token comes with the wrong tag": wrong_tag,
    "a late dial is taken for the current one": late_taken_for_current,
    "an update is sent twice": effect_run_twice,
    "a settle is skipped": skipped(Settle),
    "a fail is skipped": skipped(Fail),
    "an abandon is skipped": skipped(Abandon),
    "a disarm is skipped": skipped(Disarm),
    "a detach is skipped": skipped(Detach),
    "a dispose is forgotten": forgotten(E.DISPOSE),
    "a call that is done is not told so": forgotten(E.DONE),
    "a call that is refused is not told so": forgotten(E.REFUSE),
    "a link is not kept": forgotten(E.KEEP_LINK),
    "the calls of an earlier parting are not told": forgotten(E.SETTLE_DETACHED),
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda name: name.replace(" ", "_"))
def test_a_faulty_shell_leaves_the_model(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant](monkeypatch)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)  # a faulty shell complains
    assert any(fault_of(run(live(seed))) for seed in SEEDS)
